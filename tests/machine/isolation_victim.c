/* SPDX-License-Identifier: MIT */
/*
 * The machine that the isolation tests attack: brought into virtual mode, stopped in a system call,
 * its free memory and free page-table entries found; and at the end put back, checked and shut down
 * by its own shell.
 */
#include "isolation.h"
#include "offsets.h"

enum { SECONDS = 20, FREE_ENTRIES = 16 };
enum { FREE_KIND = 1 }; /* FRAME_FREE of kernel/mm/frame_table.h */

static uint32_t task_stack_top(const struct victim *v)
{
	return (v->start.esp & -(uint32_t)TASK_STACK_BYTES) + TASK_STACK_BYTES;
}

/* --- start --- */

/* The pool: the highest free block of at least that many pages. Result: whether there is one. */
static bool find_block(struct victim *v, uint32_t cr3, unsigned pages)
{
	uint8_t f[FRAME_BYTES]; /* struct frame of kernel/mm/frame_table.h */
	uint32_t table = kernel_word(v->m, "frame_table");
	v->pages = pages;
	for (v->pfn = kernel_word(v->m, "nr_pfns") & -pages; v->pfn -= pages;) {
		virtual_read(v->m, cr3, table + v->pfn * FRAME_BYTES, f, sizeof(f));
		if (f[FRAME_KIND] == FREE_KIND && 1u << f[FRAME_ORDER] >= pages)
			return true;
	}
	return false;
}

/*
 * With p2m=shuffle the frames of the boot modules are scattered over all pfns, so there are no
 * large free blocks. Few tests need one.
 */
static void find_pool(struct victim *v)
{
	if (!(v->m->o.mem > 64 && find_block(v, v->start.cr3, POOL_PAGES_MOST)) &&
	    !find_block(v, v->start.cr3, POOL_PAGES) &&
	    !find_block(v, v->start.cr3, POOL_PAGES_LEAST))
		give_up(BROKEN, "no free block of %u frames", POOL_PAGES_LEAST);
}

/* The page table that maps the program's stack, and a run of free entries in it. */
static void find_user_window(struct victim *v)
{
	uint32_t table[1024], esp, from, n = 0;
	uint32_t frame = task_stack_top(v) - TRAP_FRAME_BYTES; /* of the program's system call */
	virtual_read(v->m, v->start.cr3, frame + TRAP_FRAME_ESP, &esp, 4);
	struct walk w = page_walk(v->m, v->start.cr3, esp);
	CHECK(w.present, "no user stack at %#x", esp);
	v->table = w.pde >> PAGE_SHIFT;
	physical_read(v->m, v->table << PAGE_SHIFT, table, sizeof(table));
	for (from = 0; n < FREE_ENTRIES && from + n < 1024;)
		if (table[from + n])
			from += n + 1, n = 0;
		else
			n++;
	CHECK(n == FREE_ENTRIES, "the page table of the stack has no %u free entries",
	      FREE_ENTRIES);
	v->user = (esp & 0xFFC00000) + from * PAGE_SIZE;
}

static void copy_code(struct victim *v)
{
	uint32_t code[PAGE_SIZE / 4], end = attack_symbol("attack_end");
	for (uint32_t at = 0; at < end; at += 4)
		code[at / 4] = attack_word(at);
	pool_write(v, CODE_PAGE, 0, code, (end + 3) & ~3u);
}

/* Stop a machine that is at the prompt in a system call, with the attacks in the pool. */
static struct victim *stop_in_kernel(struct machine *m)
{
	struct victim *v = calloc(1, sizeof(*v));
	struct cpu_state cpus[CPUS_MAX];
	v->m = m;
	v->run = run_and_park;
	machine_stop(m);
	if (!m->o.bochs)
		gdb_connect(m);
	break_function(m, "sys_getpid", true);
	machine_send(m, "echo $$\n");
	CHECK(debug_run(m, SECONDS), "the shell does not call getpid()");
	unsigned n = machine_state(m, cpus);
	while (v->cpu < n - 1 && !is_at(v, &cpus[v->cpu], symbol("sys_getpid")))
		v->cpu++;
	v->start = cpus[v->cpu];
	CHECK(is_at(v, &v->start, symbol("sys_getpid")), "stopped at %#x", v->start.eip);
	break_function(m, "sys_getpid", false);
	v->shared = symbol("vmm_shared") - KERNEL_BASE + v->cpu * sizeof(struct vmm_shared);
	find_pool(v);
	copy_code(v);
	return v;
}

struct victim *native_start(const struct machine_options *o)
{
	return native_at_prompt(start_to_prompt(o));
}

struct victim *native_at_prompt(struct machine *m)
{
	struct victim *v = stop_in_kernel(m);
	CHECK(v->start.cpl == 0, "stopped in ring %u", v->start.cpl);
	return v;
}

struct victim *victim_start(const struct machine_options *o)
{
	struct machine *m = start_to_prompt(o);
	command(m, "echo virtual > /proc/mode", 20);
	return victim_at_prompt(m);
}

void park_others(struct victim *v)
{
	struct cpu_state cpus[CPUS_MAX];
	v->parks = true;
	park(v, v->cpu);
	for (unsigned parked = 1; parked < v->m->o.cpus;) {
		CHECK(debug_run(v->m, SECONDS), "%u CPUs get no tick", v->m->o.cpus - parked);
		machine_state(v->m, cpus);
		parked += park_trapped(v, cpus);
	}
	/* This CPU may be within the VMM, on its way back from a tick. */
	for (machine_state(v->m, cpus); v->alone && cpus[v->cpu].cpl == 0;
	     machine_state(v->m, cpus))
		gdb_run_cpus(v->m, 1u << v->cpu, true, SECONDS);
}

struct victim *victim_at_prompt(struct machine *m)
{
	struct victim *v = stop_in_kernel(m);
	CHECK(v->start.cpl == 1, "stopped in ring %u", v->start.cpl);
	break_function(m, "trap_handle", true);
	v->directory = v->start.cr3 >> PAGE_SHIFT;
	v->alone = m->o.cpus > 1 && !m->o.bochs;
	CHECK(shared_word(v, SHARED_VIF) == EFLAGS_IF, "a system call has the virtual IF %#x",
	      shared_word(v, SHARED_VIF));
	set_shared_word(v, SHARED_VIF, 0);
	if (two_breaks(m))
		park_others(v);
	find_user_window(v);
	ALLOWED(v, HC_LOAD, 0, pool_address(v, ENTRY_PAGE) + PAGE_SIZE, 0, 0);
	map_user(v, CODE_PAGE, PTE_W | PTE_U);
	map_user(v, USER_STACK_PAGE, PTE_W | PTE_U);
	EXPECT_RETURN(v, "done", .ring3 = true);
	return v;
}

/* --- end --- */

void check_victim(struct victim *v)
{
	check_mode(v->m, true);
	check_frame_table(v->m);
	check_domains(v->m);
}

static void restore_registers(struct victim *v)
{
	const struct cpu_state *s = &v->start;
	const struct { enum gdb_register r; uint32_t value; } registers[] = {
		{ GDB_EAX, s->eax }, { GDB_EBX, s->ebx }, { GDB_ECX, s->ecx },
		{ GDB_EDX, s->edx }, { GDB_ESI, s->esi }, { GDB_EDI, s->edi },
		{ GDB_EBP, s->ebp }, { GDB_ESP, s->esp }, { GDB_EIP, s->eip },
	};
	for (unsigned i = 0; i < COUNT(registers); i++)
		debug_set_register(v->m, registers[i].r, registers[i].value);
}

void victim_end(struct victim *v)
{
	map_user(v, CODE_PAGE, 0);
	map_user(v, USER_STACK_PAGE, 0);
	ALLOWED(v, HC_FPU_TRAP, v->start.cr0 & CR0_TS, 0, 0, 0);
	ALLOWED(v, HC_LOAD, 0, task_stack_top(v), 0, 0);
	check_victim(v);
	debug_break(v->m, symbol("trap_handle"), false);
	restore_registers(v);
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
	CHECK(v->m->exit_status == STOPPED_STATUS,
	      "the machine ended with status %d; the VMM stops a kernel with %d",
	      v->m->exit_status, STOPPED_STATUS);
	machine_pump(v->m);
	CHECK(strstr(v->m->log, rule), "the VMM's report does not say \"%s\"", rule);
	machine_quit(v->m);
}

/* The experiment that tells emulators apart: a read at the first byte beyond the limit. */
void skip_without_limits(struct victim *v)
{
	check_victim(v);
	CHECK(ATTACK(v, "read_ds", .ebx = VMM_BASE),
	      "a read at the VMM's first byte ended the machine");
	if (!returned(v))
		return;
	if (v->m->o.bochs)
		give_up(FAILED, "Bochs checks limits, but this segment's let a read at the VMM's "
				"first byte pass");
	give_up(SKIPPED, "this emulator does not check segment limits: a read beyond one, which is "
			 "as it should be, passed");
}
