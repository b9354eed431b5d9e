/* SPDX-License-Identifier: MIT */
/*
 * Isolation: can a hostile kernel in ring 1, or a program, break out? The kernel under test has no
 * code for these tests: the debugger stops the machine in a system call, copies code from
 * tests/isolation into free memory, and sends the CPU there. The verdict comes from outside:
 * registers, memory, the VMM's frame table, the exit status. An attack must end as its test says:
 * by the exception that the CPU or the VMM owes it, by an error of its hypercall, or by the VMM's
 * report that the kernel broke a rule. If the VMM itself fails, the test fails, always.
 *
 * This file runs one attack; isolation_victim.c prepares the machine.
 */
#include "isolation.h"
#include "offsets.h"

enum { SECONDS = 20, RETRIES = 8 };

/* --- places --- */

uint32_t pool_address(const struct victim *v, unsigned page)
{
	return KERNEL_BASE + ((v->pfn + page) << PAGE_SHIFT);
}

uint32_t pool_mfn(struct victim *v, unsigned page)
{
	return page_walk(v->m, v->start.cr3, pool_address(v, page)).machine >> PAGE_SHIFT;
}

void pool_write(struct victim *v, unsigned page, unsigned offset, const void *data, size_t bytes)
{
	for (const char *at = data; bytes;) {
		size_t part = PAGE_SIZE - offset < bytes ? PAGE_SIZE - offset : bytes;
		physical_write(v->m, (pool_mfn(v, page) << PAGE_SHIFT) + offset, at, part);
		at += part, bytes -= part, page++, offset = 0;
	}
}

/* In Bochs a write costs a command of its debugger for each word: not where all are 0 already. */
void pool_clear(struct victim *v, unsigned page)
{
	static const uint32_t zeros[PAGE_SIZE / 4];
	uint32_t now_there[PAGE_SIZE / 4];
	physical_read(v->m, pool_mfn(v, page) << PAGE_SHIFT, now_there, sizeof(now_there));
	if (memcmp(now_there, zeros, sizeof(zeros)) != 0)
		pool_write(v, page, 0, zeros, sizeof(zeros));
}

uint32_t place(const struct victim *v, const char *label, bool ring3)
{
	char name[64];
	snprintf(name, sizeof(name), "attack_%s", label);
	return (ring3 ? v->user : pool_address(v, CODE_PAGE)) + attack_symbol(name);
}

uint32_t shared_word(struct victim *v, unsigned offset)
{
	return physical_word(v->m, v->shared + offset);
}

void set_shared_word(struct victim *v, unsigned offset, uint32_t value)
{
	physical_write(v->m, v->shared + offset, &value, 4);
}

uint32_t pte_machine(const struct victim *v, unsigned page)
{
	return (v->table << PAGE_SHIFT) + ((v->user >> PAGE_SHIFT) + page) % 1024 * 4;
}

uint32_t free_slot(struct victim *v)
{
	uint32_t at = slot_machine(v->directory, FREE_SLOT);
	CHECK(physical_word(v->m, at) == 0, "the program uses directory slot %#x", FREE_SLOT);
	return at;
}

/* --- one attack --- */

void break_function(struct machine *m, const char *function, bool set)
{
	debug_break(m, symbol(function), set);
	if (two_breaks(m))
		debug_break(m, symbol(function) + 1, set);
}

void park(struct victim *v, unsigned cpu)
{
	static const uint32_t spin = 0xFCEB90F3, none; /* pause; jmp to the pause */
	uint32_t shared = symbol("vmm_shared") - KERNEL_BASE + cpu * sizeof(struct vmm_shared);
	physical_write(v->m, shared + SHARED_VIF, &none, 4);
	pool_write(v, PARK_PAGE, 0, &spin, 4);
	debug_select(v->m, cpu);
	debug_set_register(v->m, GDB_EIP, pool_address(v, PARK_PAGE));
}

unsigned park_trapped(struct victim *v, const struct cpu_state *cpus)
{
	unsigned parked = 0;
	for (unsigned k = 0; k < v->m->o.cpus && v->parks; k++)
		if (k != v->cpu && is_at(v, &cpus[k], symbol("trap_handle")))
			park(v, k), parked++;
	return parked;
}

bool run_and_park(struct victim *v, struct cpu_state cpus[CPUS_MAX])
{
	enum { PARKINGS = 64 };
	for (unsigned i = 0; i < PARKINGS && debug_run(v->m, SECONDS); i++) {
		machine_state(v->m, cpus);
		if (!park_trapped(v, cpus) || is_at(v, &cpus[v->cpu], symbol("trap_handle")))
			return true;
	}
	return false;
}

/* At its first instruction, trap_handle(frame) has its argument above the return address. */
static void read_trap(struct victim *v, const struct cpu_state *c)
{
	uint32_t at, frame[TRAP_FRAME_BYTES / 4];
	uint32_t pushed = 4 * (c->eip - symbol("trap_handle"));
	virtual_read(v->m, c->cr3, c->esp + pushed + 4, &at, 4);
	virtual_read(v->m, c->cr3, at, frame, sizeof(frame));
	v->trap = (struct trap){
		.gs = frame[TRAP_FRAME_GS / 4],
		.fs = frame[TRAP_FRAME_FS / 4],
		.es = frame[TRAP_FRAME_ES / 4],
		.ds = frame[TRAP_FRAME_DS / 4],
		.edi = frame[TRAP_FRAME_EDI / 4],
		.esi = frame[TRAP_FRAME_ESI / 4],
		.ebp = frame[TRAP_FRAME_EBP / 4],
		.ebx = frame[TRAP_FRAME_EBX / 4],
		.edx = frame[TRAP_FRAME_EDX / 4],
		.ecx = frame[TRAP_FRAME_ECX / 4],
		.eax = frame[TRAP_FRAME_EAX / 4],
		.vector = frame[TRAP_FRAME_VECTOR / 4],
		.error = frame[TRAP_FRAME_ERROR / 4],
		.eip = frame[TRAP_FRAME_EIP / 4],
		.cs = frame[TRAP_FRAME_CS / 4],
		.eflags = frame[TRAP_FRAME_EFLAGS / 4],
	};
	v->user_esp = frame[TRAP_FRAME_ESP / 4];
	v->address = shared_word(v, SHARED_ADDRESS);
}

void launch_block(const struct victim *v, uint32_t eip, const struct entry *e,
		  uint32_t block[LAUNCH_WORDS])
{
	bool outer = e->ring3;
	uint32_t esp = outer ? v->user + USER_STACK_PAGE * PAGE_SIZE + STACK_TOP : 0;
	const uint32_t words[LAUNCH_WORDS] = {
		outer ? SEL_UDATA : SEL_KDATA,
		e->edi,
		e->esi,
		e->ebp,
		0, /* ESP, which POPA ignores */
		e->ebx,
		e->edx,
		e->ecx,
		e->eax,
		eip,
		outer ? SEL_UCODE : SEL_KCODE | v->start.cpl,
		EFLAGS_FIXED | (v->start.cpl ? EFLAGS_IF : 0) | e->flags,
		esp,
		SEL_UDATA,
	};
	memcpy(block, words, sizeof(words));
}

bool attack_at(struct victim *v, uint32_t eip, const struct entry *e)
{
	struct cpu_state cpus[CPUS_MAX];
	uint32_t block[LAUNCH_WORDS];
	launch_block(v, eip, e, block);
	pool_write(v, STACK_PAGE, STACK_TOP, block, sizeof(block));
	const struct cpu_state *c = &cpus[v->cpu];
	debug_select(v->m, v->cpu);
	debug_set_register(v->m, GDB_ESP, pool_address(v, STACK_PAGE) + STACK_TOP);
	debug_set_register(v->m, GDB_EIP, place(v, "launch", false));
	bool stopped = v->alone ? gdb_run_cpus(v->m, 1, false, SECONDS) == 0
				: v->run(v, cpus);
	if (stopped && v->alone)
		machine_state(v->m, cpus);
	if (stopped && is_at(v, c, symbol("trap_handle"))) {
		CHECK(c->cpl == v->start.cpl, "the kernel's trap_handle runs in ring %u", c->cpl);
		read_trap(v, c);
		return true;
	}
	int status = machine_wait(v->m, 2);
	CHECK(status != FAULT_STATUS, "the VMM itself failed");
	return false;
}

static unsigned event_of(unsigned vector)
{
	return vector >= VEC_TIMER ? vector - VEC_TIMER + EVENT_TIMER : vector - VEC_IRQ;
}

void event_eaten(struct victim *v)
{
	if (v->trap.vector >= VEC_EXCEPTIONS)
		v->eaten |= 1u << event_of(v->trap.vector);
}

bool attack(struct victim *v, const char *label, const struct entry *e)
{
	uint32_t eip = place(v, label, e->ring3);
	for (int i = 0; i < RETRIES; i++) {
		if (!attack_at(v, eip, e))
			return false;
		if (v->trap.vector < VEC_EXCEPTIONS)
			return true;
		CHECK(e->ring3, "%s: vector %#x although the virtual IF is 0", label,
		      v->trap.vector);
		event_eaten(v);
	}
	give_up(FAILED, "%s: events do not end", label);
}

bool returned(const struct victim *v)
{
	bool ring3 = (v->trap.cs & 3) == 3;
	return v->trap.vector == VEC_BP && v->trap.eip == place(v, "done", ring3) + 1;
}

void want_return(const struct victim *v, const char *what)
{
	CHECK(returned(v), "%s: vector %u, error %#x, EIP %#x, address %#x instead of its end",
	      what, v->trap.vector, v->trap.error, v->trap.eip, v->address);
}

void want_trap(const struct victim *v, unsigned vector, uint32_t error, const char *what)
{
	CHECK(!returned(v), "%s had no effect: it was allowed, or ignored", what);
	CHECK(v->trap.vector == vector && v->trap.error == error,
	      "%s: vector %u, error %#x at %#x, address %#x; due is %u, %#x", what, v->trap.vector,
	      v->trap.error, v->trap.eip, v->address, vector, error);
}

/* --- hypercalls --- */

int hypercall(struct victim *v, uint32_t number, uint32_t ebx, uint32_t ecx, uint32_t edx,
	      uint32_t esi)
{
	EXPECT_RETURN(v, "hypercall", .eax = number, .ebx = ebx, .ecx = ecx, .edx = edx,
		      .esi = esi);
	return (int)v->trap.eax;
}

void want_result(struct victim *v, int result, const struct call *c)
{
	int got = hypercall(v, c->number, c->ebx, c->ecx, c->edx, c->esi);
	CHECK(got == result, "hypercall %u (%#x, %#x, %#x, %#x): result %d, not %d", c->number,
	      c->ebx, c->ecx, c->edx, c->esi, got, result);
}

uint32_t call_list(const struct victim *v) { return pool_address(v, v->pages / 2); }

void write_calls(struct victim *v, const struct call *calls, unsigned n)
{
	CHECK(n * sizeof(*calls) <= v->pages / 2 * PAGE_SIZE, "too many hypercalls for one list");
	pool_write(v, v->pages / 2, 0, calls, n * sizeof(*calls));
}

void hypercalls(struct victim *v, struct call *calls, unsigned n)
{
	write_calls(v, calls, n);
	EXPECT_RETURN(v, "hypercalls", .edi = call_list(v), .ebp = n);
	virtual_read(v->m, v->start.cr3, call_list(v), calls, n * sizeof(*calls));
}

void map_user(struct victim *v, unsigned page, uint32_t flags)
{
	uint32_t address = v->user + page * PAGE_SIZE;
	ALLOWED(v, HC_UPDATE, pte_machine(v, page), 1,
		flags ? entry(pool_mfn(v, page), flags) : 0, address);
}
