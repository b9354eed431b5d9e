/* SPDX-License-Identifier: MIT */
/*
 * Isolation: can a hostile kernel in ring 1, or a program, break out? The kernel under test has no hooks for this. The
 * machine is stopped in a system call of a kernel in virtual mode; code from tests/isolation is copied into free
 * memory, and the CPU is sent there. The verdict comes from outside: registers, memory, the VMM's frame table, and the
 * exit status. An attack must end as it says: with the exception that the CPU or the VMM owes it, with an error of its
 * hypercall, or with the VMM's report that the kernel broke a rule. A failure of the VMM itself is always a failure of
 * the test.
 */
#include "isolation.h"

enum { SECONDS = 20, RETRIES = 8, ENTRY_WORDS = 14, STACK_TOP = PAGE_SIZE - 256 };

/* --- places --- */

uint32_t pool_address(const struct victim *v, unsigned page) { return KERNEL_BASE + ((v->pfn + page) << PAGE_SHIFT); }

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

uint32_t shared_word(struct victim *v, unsigned offset) { return physical_word(v->m, v->shared + offset); }
void set_shared_word(struct victim *v, unsigned offset, uint32_t value)
{
	physical_write(v->m, v->shared + offset, &value, 4);
}
uint32_t pte_machine(const struct victim *v, unsigned page)
{
	return (v->table << PAGE_SHIFT) + ((v->user >> PAGE_SHIFT) + page) % 1024 * 4;
}

/* --- one attack --- */

/* The stub's argument and the frame it points to. */
static void read_trap(struct victim *v, const struct cpu_state *c)
{
	uint32_t at;
	virtual_read(v->m, c->cr3, c->esp + 4, &at, 4);
	virtual_read(v->m, c->cr3, at, &v->trap, sizeof(v->trap));
	v->address = shared_word(v, SHARED_ADDRESS);
}

bool attack_at(struct victim *v, uint32_t eip, const struct entry *e)
{
	bool outer = e->ring3;
	uint32_t esp = outer ? v->user + USER_STACK_PAGE * PAGE_SIZE + STACK_TOP : 0;
	uint32_t block[ENTRY_WORDS] = {
		outer ? SEL_UDATA : SEL_KDATA,
		e->edi,
		e->esi,
		e->ebp,
		0,
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
	struct cpu_state cpus[CPUS_MAX];
	pool_write(v, STACK_PAGE, STACK_TOP, block, sizeof(block));
	debug_set_register(v->m, GDB_ESP, pool_address(v, STACK_PAGE) + STACK_TOP);
	debug_set_register(v->m, GDB_EIP, place(v, "launch", false));
	bool stopped = debug_run(v->m, SECONDS);
	if (stopped)
		machine_state(v->m, cpus);
	if (stopped && cpus[0].eip == symbol("trap_handle")) {
		CHECK(cpus[0].cpl == v->start.cpl, "the kernel's trap_handle runs in ring %u", cpus[0].cpl);
		read_trap(v, &cpus[0]);
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

/* In ring 3 an event may come first: it is kept for later. */
bool attack(struct victim *v, const char *label, const struct entry *e)
{
	uint32_t eip = place(v, label, e->ring3);
	for (int i = 0; i < RETRIES; i++) {
		if (!attack_at(v, eip, e))
			return false;
		if (v->trap.vector < VEC_EXCEPTIONS)
			return true;
		CHECK(e->ring3, "%s: vector %#x although virtual IF is 0", label, v->trap.vector);
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
	CHECK(returned(v), "%s: vector %u, error %#x, EIP %#x, address %#x instead of its end", what, v->trap.vector,
	      v->trap.error, v->trap.eip, v->address);
}

void want_trap(const struct victim *v, unsigned vector, uint32_t error, const char *what)
{
	CHECK(!returned(v), "%s had no effect: it was allowed, or ignored", what);
	CHECK(v->trap.vector == vector && v->trap.error == error,
	      "%s: vector %u, error %#x at %#x, address %#x; due is %u, %#x", what, v->trap.vector, v->trap.error,
	      v->trap.eip, v->address, vector, error);
}

int hypercall(struct victim *v, uint32_t number, uint32_t ebx, uint32_t ecx, uint32_t edx, uint32_t esi)
{
	EXPECT_RETURN(v, "hypercall", .eax = number, .ebx = ebx, .ecx = ecx, .edx = edx, .esi = esi);
	return (int)v->trap.eax;
}

void want_result(struct victim *v, int result, const struct call *c)
{
	int got = hypercall(v, c->number, c->ebx, c->ecx, c->edx, c->esi);
	CHECK(got == result, "hypercall %u (%#x, %#x, %#x, %#x): result %d, not %d", c->number, c->ebx, c->ecx, c->edx,
	      c->esi, got, result);
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
	ALLOWED(v, HC_UPDATE, pte_machine(v, page), 1, flags ? pool_mfn(v, page) << PAGE_SHIFT | flags | PTE_P : 0,
		address);
}

/* --- set-up and end --- */

/*
 * The pool: a free block of the kernel's allocator (struct frame of mm/frame_table.h), the highest of this size.
 * Result: whether there is one.
 */
static bool find_block(struct victim *v, uint32_t cr3, unsigned pages)
{
	struct {
		uint32_t refs, next, prev, objects;
		uint16_t in_use;
		uint8_t order, kind;
	} f;
	uint32_t table = kernel_word(v->m, "frame_table");
	v->pages = pages;
	for (v->pfn = kernel_word(v->m, "nr_pfns") & -pages; v->pfn -= pages;) {
		virtual_read(v->m, cr3, table + v->pfn * sizeof(f), &f, sizeof(f));
		if (f.kind == 1 && 1u << f.order >= pages)
			return true;
	}
	return false;
}

/* In shuffled order there are no large ones: few tests need one. */
static void find_pool(struct victim *v)
{
	if (!find_block(v, v->start.cr3, POOL_PAGES) && !find_block(v, v->start.cr3, POOL_PAGES_LEAST))
		give_up(BROKEN, "no free block of %u frames", POOL_PAGES_LEAST);
}

/* The page table of the program's stack, and free entries in it, far from the stack. */
static void find_user_window(struct victim *v)
{
	uint32_t stack_top = (v->start.esp & -8192u) + 8192, table[1024], esp, from, n = 0;
	virtual_read(v->m, v->start.cr3, stack_top - 8, &esp, 4);
	struct walk w = page_walk(v->m, v->start.cr3, esp);
	CHECK(w.present, "no user stack at %#x", esp);
	v->table = w.pde >> PAGE_SHIFT;
	physical_read(v->m, v->table << PAGE_SHIFT, table, sizeof(table));
	for (from = 0; n < 16 && from + n < 1024;)
		if (table[from + n])
			from += n + 1, n = 0;
		else
			n++;
	CHECK(n == 16, "the page table of the stack has no 16 free entries");
	v->user = (esp & 0xFFC00000) + from * PAGE_SIZE;
}

static void copy_code(struct victim *v)
{
	uint32_t code[PAGE_SIZE / 4], end = attack_symbol("attack_end");
	for (uint32_t at = 0; at < end; at += 4)
		code[at / 4] = attack_word(at);
	pool_write(v, CODE_PAGE, 0, code, (end + 3) & ~3u);
}

/* A machine stopped in a system call, with the attacks in the pool. before: a command, or NULL. */
static struct victim *stopped_in_kernel(const struct machine_options *o, const char *before)
{
	struct victim *v = calloc(1, sizeof(*v));
	struct cpu_state cpus[CPUS_MAX];
	struct machine *m = v->m = start_to_prompt(o);
	if (before)
		command(m, before, 20);
	machine_stop(m);
	if (!o->bochs)
		gdb_connect(m);
	debug_break(m, symbol("sys_getpid"), true);
	machine_send(m, "echo $$\n");
	CHECK(debug_run(m, SECONDS), "the shell does not call getpid()");
	machine_state(m, cpus);
	v->start = cpus[0];
	CHECK(v->start.eip == symbol("sys_getpid"), "stopped at %#x", v->start.eip);
	debug_break(m, symbol("sys_getpid"), false);
	v->shared = symbol("vmm_shared") - KERNEL_BASE;
	find_pool(v);
	copy_code(v);
	return v;
}

struct victim *native_start(const struct machine_options *o)
{
	struct victim *v = stopped_in_kernel(o, NULL);
	CHECK(v->start.cpl == 0, "stopped in ring %u", v->start.cpl);
	return v;
}

struct victim *victim_start(const struct machine_options *o)
{
	struct victim *v = stopped_in_kernel(o, "echo virtual > /proc/mode");
	CHECK(v->start.cpl == 1, "stopped in ring %u", v->start.cpl);
	debug_break(v->m, symbol("trap_handle"), true);
	v->directory = v->start.cr3 >> PAGE_SHIFT;
	CHECK(shared_word(v, SHARED_VIF) == EFLAGS_IF, "a system call has virtual IF %#x", shared_word(v, SHARED_VIF));
	set_shared_word(v, SHARED_VIF, 0);
	find_user_window(v);
	ALLOWED(v, HC_LOAD, 0, pool_address(v, ENTRY_PAGE) + PAGE_SIZE, 0, 0);
	map_user(v, CODE_PAGE, PTE_W | PTE_U);
	map_user(v, USER_STACK_PAGE, PTE_W | PTE_U);
	EXPECT_RETURN(v, "done", .ring3 = true);
	return v;
}

void check_victim(struct victim *v)
{
	check_mode(v->m, true);
	check_frame_table(v->m);
}

void victim_end(struct victim *v)
{
	static const enum gdb_register registers[] = { GDB_EAX, GDB_EBX, GDB_ECX, GDB_EDX, GDB_ESI,
						       GDB_EDI, GDB_EBP, GDB_ESP, GDB_EIP };
	const uint32_t values[] = { v->start.eax, v->start.ebx, v->start.ecx, v->start.edx, v->start.esi,
				    v->start.edi, v->start.ebp, v->start.esp, v->start.eip };
	map_user(v, CODE_PAGE, 0);
	map_user(v, USER_STACK_PAGE, 0);
	ALLOWED(v, HC_FPU_TRAP, v->start.cr0 & CR0_TS, 0, 0, 0);
	ALLOWED(v, HC_LOAD, 0, (v->start.esp & -8192u) + 8192, 0, 0);
	check_victim(v);
	debug_break(v->m, symbol("trap_handle"), false);
	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		debug_set_register(v->m, registers[i], values[i]);
	set_shared_word(v, SHARED_PENDING, shared_word(v, SHARED_PENDING) | v->eaten);
	set_shared_word(v, SHARED_VIF, EFLAGS_IF);
	machine_continue(v->m);
	machine_expect(v->m, PROMPT, 20);
	command(v->m, "ls /bin | wc; echo still alive", 30);
	CHECK(strstr(v->m->log, "\nstill alive\n"), "the shell does not go on");
	end_at_prompt(v->m);
}

void victim_stopped(struct victim *v, const char *rule)
{
	CHECK(v->m->exit_status == STOPPED_STATUS, "the machine ended with status %d; the VMM stops a kernel with %d",
	      v->m->exit_status, STOPPED_STATUS);
	machine_pump(v->m);
	CHECK(strstr(v->m->log, rule), "the VMM's report does not say \"%s\"", rule);
	machine_quit(v->m);
}

/*
 * The experiment that tells emulators apart: a segment that ends below the VMM (V5 has been read), and a read beyond
 * its end.
 */
void skip_without_limits(struct victim *v)
{
	check_victim(v);
	CHECK(ATTACK(v, "read_ds", .ebx = VMM_BASE), "a read at the VMM's first byte ended the machine");
	if (!returned(v))
		return;
	if (v->m->o.bochs)
		give_up(FAILED, "Bochs checks limits, but this segment's let a read at the VMM's first byte pass");
	give_up(SKIPPED,
		"this emulator does not check segment limits: a read beyond one, which is as it should be, passed");
}

/* --- the list --- */

static const struct { const char *name; part *run; } parts[] = {
#define PART(f) { #f, f }
	PART(privileged), PART(flags), PART(ports), PART(interrupts), PART(selectors), PART(sysenter), PART(nulls),
	PART(null_accesses), PART(limits), PART(user_limits), PART(debug_traps), PART(icebp), PART(fpu), PART(events),
	PART(arguments), PART(references), PART(frame_numbers), PART(entry_bits), PART(directories), PART(stale),
	PART(stale_global), PART(access_matrix), PART(random_references),
	PART(random_references_soak), PART(fuzz_calls), PART(fuzz_calls_soak),
};

static part *part_of(const char *name)
{
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strcmp(parts[i].name, name) == 0)
			return parts[i].run;
	give_up(BROKEN, "no part %s", name);
}

/* text: parts that share a machine; the machine survives them. */
static void survive(const struct test *t)
{
	struct victim *v = victim_start(&t->machine);
	char *text = strdup(t->text), *rest = text;
	for (char *name; (name = strsep(&rest, " "));) {
		part_of(name)(v);
		check_victim(v);
	}
	victim_end(v);
}

/*
 * Random hypercalls change what the kernel needs (ticks, masks, devices), and show programs what they should not see;
 * the machine only has to be whole.
 */
static void fuzz(const struct test *t)
{
	struct victim *v = victim_start(&t->machine);
	struct cpu_state cpus[CPUS_MAX];
	part_of(t->text)(v);
	machine_state(v->m, cpus);
	check_cpu_virtual(v->m, 0, &cpus[0]);
	machine_quit(v->m);
}

/* --- attacks that the VMM ends --- */

static uint32_t home_of(struct victim *v, uint32_t mfn)
{
	uint32_t pfn;
	virtual_read(v->m, v->start.cr3, kernel_word(v->m, "m2p") + 4 * mfn, &pfn, 4);
	return KERNEL_BASE + (pfn << PAGE_SHIFT);
}

#define STORE "a store to a page table"
#define NO_STACK "no kernel stack for a bounce"
enum where { AT, DIRECTORY, TABLE, SHARED }; /* what the address is relative to */
static const struct fatal { const char *label; enum where where; uint32_t ebx; const char *rule; } fatal[] = {
	/* 13 */
	{ "write_at", DIRECTORY, 0x400, STORE }, { "write_at", TABLE, 0, STORE }, { "exchange_at", SHARED, 0, STORE },
	{ "or_at", TABLE, 0x800, STORE }, { "compare_at", DIRECTORY, 4092, STORE }, { "string_at", TABLE, 16, STORE },
	{ "bits_at", TABLE, 0, STORE }, { "push_at", TABLE, 64, NULL },
	/* 23 */
	{ "stack_privileged", AT, 0, NO_STACK }, { "stack_privileged", AT, 8, NO_STACK },
	{ "stack_privileged", AT, KERNEL_BASE + 4, NO_STACK },
	{ "stack_privileged", AT, VMM_BASE + 0x8000, NO_STACK }, { "stack_privileged", AT, 0xFFFFFFFF, NO_STACK },
	{ "stack_emulated", TABLE, 64, NO_STACK }, { "stack_fault", DIRECTORY, 512, NO_STACK },
	{ "stack_privileged", AT, 0xF8000000 - PAGE_SIZE, NO_STACK }, { "stack_privileged", AT, VMM_BASE + 4, NO_STACK },
	{ "stack_divide", AT, 8, NO_STACK }, { "stack_undefined", AT, 8, NO_STACK },
};

static void fatal_one(const struct test *t, const struct fatal *f)
{
	struct victim *v = victim_start(&t->machine);
	const uint32_t mfn[] = { 0, v->directory, v->table,
				 page_walk(v->m, v->start.cr3, pool_address(v, 0)).pde >> PAGE_SHIFT };
	uint32_t ebx = f->ebx + (f->where == AT ? 0 : home_of(v, mfn[f->where])),
		 at = page_walk(v->m, v->start.cr3, ebx).machine;
	uint32_t before = f->where == AT ? 0 : physical_word(v->m, at & ~3u);
	CHECK(!ATTACK(v, f->label, .eax = before, .ebx = ebx, .ecx = 4),
	      "%s at %#x: the VMM let it pass, or bounced it (vector %u)", f->label, ebx, v->trap.vector);
	CHECK(f->where == AT || physical_word(v->m, at & ~3u) == before, "%s at %#x changed a page table", f->label,
	      ebx);
	victim_stopped(v, f->rule ? f->rule : "the kernel broke a rule");
}

/* 13, 23: each ends its machine. number: the first, text: how many. */
static void stopped(const struct test *t)
{
	for (unsigned i = t->number, n = (unsigned)atoi(t->text); n--; i++)
		fatal_one(t, &fatal[i]);
}

/*
 * 24: the stack for entries from ring 3 is a page table, or not there: the VMM sees it when a program's system call
 * comes.
 */
static void bad_entry_stack(const struct test *t)
{
	for (unsigned i = 0; i < 2; i++) {
		struct victim *v = victim_start(&t->machine);
		uint32_t table = v->table << PAGE_SHIFT, before[1024], after[1024];
		physical_read(v->m, table, before, sizeof(before));
		ALLOWED(v, HC_LOAD, 0, i ? 0xF8000000 - PAGE_SIZE : home_of(v, v->table) + PAGE_SIZE / 2, 0, 0);
		CHECK(!ATTACK(v, "done", .ring3 = true), "INT3 in ring 3 was delivered on a bad stack");
		physical_read(v->m, table, after, sizeof(after));
		for (unsigned k = 0; k < 1024; k++)
			CHECK(((before[k] ^ after[k]) & ~(uint32_t)(PTE_A | PTE_D)) == 0,
			      "entry %u of the page table changed", k);
		victim_stopped(v, "its stack for entries from ring 3");
	}
}

/*
 * 28: a breakpoint on the VMM's code, set while the kernel still was in ring 0, does not last into virtual mode; it
 * comes back.
 */
static void old_breakpoint(const struct test *t)
{
	struct victim *v = native_start(&t->machine);
	struct machine *m = v->m;
	gdb_set_register(m, GDB_ECX, vmm_symbol("hypercall_entry"));
	gdb_set_register(m, GDB_EBX, 0x402); /* G0: execution */
	gdb_set_register(m, GDB_EDX, symbol("sys_getpid"));
	gdb_set_register(m, GDB_EIP, place(v, "set_breakpoint", false));
	machine_continue(m);
	machine_expect(m, PROMPT, 20);
	for (unsigned i = 0; i < 2; i++) {
		static const char *const wanted[] = { "DR7=00000400", "DR7=00000402" };
		command(m, i ? "echo native > /proc/mode" : "echo virtual > /proc/mode; ls /bin | wc", 20);
		machine_stop(m);
		char *text = qmp_human(m, "info registers");
		CHECK(strstr(text, wanted[i]), "%s mode has not %s:\n%s", i ? "native" : "virtual", wanted[i], text);
		free(text);
		machine_continue(m);
	}
	end_at_prompt(m);
}

#define SURVIVE(n, parts) { .name = "isolation-" n, .run = survive, .seconds = 120, .text = parts }
#define BOCHS(n, parts) { .name = "isolation-" n "-bochs", .run = survive, .seconds = 200, .text = parts, \
			  .machine = { .bochs = true } }
#define STOPPED(n, first, count, ...) { .name = "isolation-" n, .run = stopped, .seconds = 200, .number = first, \
					.text = count, .machine = { __VA_ARGS__ } }
const struct test isolation_tests[] = {
	SURVIVE("01-privileged", "privileged"),
	SURVIVE("02-03-12-flags", "flags"),
	SURVIVE("04-ports", "ports"),
	SURVIVE("05-interrupts", "interrupts"),
	SURVIVE("06-07-selectors", "selectors"),
	SURVIVE("08-09-limits", "limits"),
	SURVIVE("08-programs", "user_limits"),
	SURVIVE("10-nulls", "nulls"),
	SURVIVE("10-null-accesses", "null_accesses"),
	SURVIVE("11-sysenter", "sysenter"),
	STOPPED("13-stores", 0, "8", 0),
	SURVIVE("14-17-references", "references"),
	SURVIVE("16-stale", "stale"),
	SURVIVE("17-directories", "directories"),
	SURVIVE("18-random", "random_references"),
	SURVIVE("19-frame-numbers", "frame_numbers"),
	SURVIVE("20-entry-bits", "entry_bits"),
	SURVIVE("21-stale-global", "stale_global"),
	SURVIVE("22-access-matrix", "access_matrix"),
	STOPPED("23-stacks", 8, "11", 0),
	{ .name = "isolation-24-entry-stack", .run = bad_entry_stack, .seconds = 60 },
	SURVIVE("25-30-events", "events"),
	SURVIVE("26-fpu", "fpu"),
	SURVIVE("27-29-debug-traps", "debug_traps"),
	SURVIVE("27-icebp", "icebp"),
	{ .name = "isolation-28-old-breakpoint", .run = old_breakpoint, .seconds = 60 },
	{ .name = "isolation-31-fuzz", .run = fuzz, .seconds = 120, .text = "fuzz_calls" },
	SURVIVE("32-36-arguments", "arguments"),
	{ .name = "isolation-14-22-shuffle", .run = survive, .seconds = 120,
	  .text = "references stale directories access_matrix", .machine = { .p2m = "shuffle:4" } },
	BOCHS("01-12", "privileged flags selectors sysenter nulls null_accesses"),
	BOCHS("05-interrupts", "interrupts"),
	BOCHS("08-09-limits", "limits user_limits"),
	BOCHS("14-22-memory", "references stale stale_global directories access_matrix"),
	BOCHS("25-30-events", "events fpu debug_traps icebp"),
	STOPPED("13-stores-bochs", 0, "2", .bochs = true),
	STOPPED("23-stacks-bochs", 16, "3", .bochs = true),
	{ 0 },
};

const struct test isolation_soak_tests[] = {
	{ .name = "soak-isolation-18-random", .run = survive, .seconds = 3600, .text = "random_references_soak" },
	{ .name = "soak-isolation-31-fuzz", .run = fuzz, .seconds = 3600, .text = "fuzz_calls_soak" },
	{ 0 },
};
