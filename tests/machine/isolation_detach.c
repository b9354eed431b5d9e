/* SPDX-License-Identifier: MIT */
/*
 * The steps of a detach in any order, and calls that fail in their middle (rules 42, 43 and 17):
 * no order leaves a kernel attached with unchecked tables, and a call that fails has changed
 * nothing.
 */
#include "isolation.h"

/* Pages of the pool. */
enum { TABLE = FREE_PAGE, DIRECTORY, PLAIN, MANY };

/* --- 42: detach --- */

/* Calls that are not a step of a detach. */
static void only_steps(struct victim *v)
{
	static const uint32_t calls[] = {
		HC_UPDATE, HC_LOAD, HC_RELEASE, HC_FLUSH, HC_EVENTS, HC_IDLE, HC_FPU_TRAP,
		HC_MASK, HC_END, HC_TICK, HC_RECOUNT, HC_SHARE, HC_TRIM,
	};
	for (unsigned i = 0; i < COUNT(calls); i++)
		REFUSED(v, -EPERM, calls[i], 0, 0, 0, 0);
	REFUSED(v, -EPERM, HC_LOAD, v->directory, ENTRY_STACK(v), 0, 0);
	REFUSED(v, -EPERM, HC_UPDATE, pte_machine(v, FREE_PAGE), 1, 0, 0);
	REFUSED(v, -ENOSYS, NR_HYPERCALLS, 0, 0, 0, 0);
	REFUSED(v, -EINVAL, HC_DETACH, 77, 0, 0, 0);
}

/* Store a word where the kernel sees a machine address, as the kernel in ring 1. */
static void store(struct victim *v, uint32_t machine, uint32_t value)
{
	uint32_t pfn, m2p = kernel_word(v->m, "m2p");
	virtual_read(v->m, v->start.cr3, m2p + 4 * (machine >> PAGE_SHIFT), &pfn, 4);
	EXPECT_RETURN(v, "write_at", .eax = value,
		      .ebx = KERNEL_BASE + (pfn << PAGE_SHIFT | machine % PAGE_SIZE));
}

/*
 * A detach begins, an entry is forged that maps the VMM, a table or a foreign frame, and the
 * detach is taken back: that must fail until the entry is gone.
 */
void detach_orders(struct victim *v)
{
	uint32_t at = pte_machine(v, FREE_PAGE);
	uint32_t vmm = page_walk(v->m, v->start.cr3, VMM_BASE).machine >> PAGE_SHIFT;
	const uint32_t forged[] = {
		entry(vmm, PTE_W), entry(v->table, PTE_W), entry(v->directory, PTE_W),
		entry(0, PTE_W), entry(pool_mfn(v, PLAIN), PTE_PS),
		entry(pool_mfn(v, PLAIN), PTE_W), /* allowed, but not counted */
	};
	ALLOWED(v, HC_DETACH, VMM_PROTECT, 0, 0, 0);
	check_victim(v);
	for (unsigned i = 0; i < COUNT(forged); i++) {
		ALLOWED(v, HC_DETACH, VMM_UNPROTECT, 0, 0, 0);
		only_steps(v);
		store(v, at, forged[i]);
		REFUSED(v, -EPERM, HC_DETACH, VMM_PROTECT, 0, 0, 0);
		only_steps(v);
		store(v, at, 0);
		ALLOWED(v, HC_DETACH, VMM_PROTECT, 0, 0, 0);
		ALLOWED(v, HC_RECOUNT, 0, 0, 0, 0);
		check_victim(v);
	}
}

/* 42: the recount finds an entry that no count tells: the debugger plants it. */
void recount_entries(struct victim *v)
{
	uint32_t at = pte_machine(v, FREE_PAGE), slot = free_slot(v);
	uint32_t vmm = page_walk(v->m, v->start.cr3, VMM_BASE).machine >> PAGE_SHIFT;
	const struct { uint32_t at, entry; } planted[] = {
		{ at, entry(vmm, 0) }, { at, entry(vmm, PTE_W) }, { at, entry(0xFFFFF, PTE_W) },
		{ at, entry(pool_mfn(v, PLAIN), PTE_PS) }, { at, entry(v->table, PTE_W) },
		{ slot, entry(pool_mfn(v, PLAIN), PTE_W) }, { slot, entry(v->directory, 0) },
		{ slot_machine(v->directory, VMM_SLOT - 1), entry(v->table, 0) }, /* not shared */
	};
	for (unsigned i = 0; i < COUNT(planted); i++) {
		uint32_t old = physical_word(v->m, planted[i].at);
		physical_write(v->m, planted[i].at, &planted[i].entry, 4);
		CHECK(hypercall(v, HC_RECOUNT, 0, 0, 0, 0) > 0, "the recount lets %#x pass",
		      planted[i].entry);
		physical_write(v->m, planted[i].at, &old, 4);
		ALLOWED(v, HC_RECOUNT, 0, 0, 0, 0);
	}
}

/* --- 17: a call that fails has changed nothing --- */

static bool home_writable(struct victim *v, unsigned page)
{
	return page_walk(v->m, v->start.cr3, pool_address(v, page)).writable;
}

/* A directory with four good tables, then a bad entry; a batch that fails at its second entry. */
void failed_calls(struct victim *v)
{
	uint32_t entries[1024] = { 0 }, slot = free_slot(v), data = pool_address(v, DATA_PAGE);
	uint32_t table = entry(pool_mfn(v, TABLE), PTE_W), bad = entry(v->directory, PTE_W);
	const uint32_t batch[2] = { table, bad };
	physical_read(v->m, v->directory << PAGE_SHIFT, entries, sizeof(entries));
	memset(entries, 0, KERNEL_SLOT * 4);
	for (unsigned i = 0; i < 4; i++) {
		pool_clear(v, MANY + i);
		entries[i] = entry(pool_mfn(v, MANY + i), PTE_W);
	}
	entries[9] = bad;
	pool_write(v, DIRECTORY, 0, entries, sizeof(entries));
	REFUSED(v, -EBUSY, HC_LOAD, pool_mfn(v, DIRECTORY), 0, 0, 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK(home_writable(v, MANY + i), "table %u of a refused directory is one", i);
	pool_clear(v, DIRECTORY), pool_clear(v, TABLE);
	pool_write(v, DATA_PAGE, 0, batch, sizeof(batch));
	ALLOWED(v, HC_UPDATE, slot, 1, table, 0);
	ALLOWED(v, HC_UPDATE, slot, 1, 0, VMM_FLUSH_ALL);
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 2, data, 0);
	CHECK(!home_writable(v, TABLE), "a batch that failed demoted a table");
	ALLOWED(v, HC_RELEASE, pool_mfn(v, TABLE), 0, 0, 0);
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 2, data, 0);
	CHECK(home_writable(v, TABLE), "a batch that failed promoted a table");
}

/*
 * 55: a directory with many tables is loaded in steps, and interrupts come in between: the kernel's
 * INT is executed again and again. In the end each table is checked.
 */
void long_loads(struct victim *v)
{
	enum { TABLES = 100 };
	uint32_t entries[1024], full[1024], at = SHARED_EXITS + 4 * EXIT_HYPERCALL;
	for (unsigned i = 0; i < 1024; i++)
		full[i] = entry(pool_mfn(v, PLAIN), PTE_U);
	physical_read(v->m, v->directory << PAGE_SHIFT, entries, sizeof(entries));
	memset(entries, 0, KERNEL_SLOT * 4);
	for (unsigned i = 0; i < TABLES; i++) {
		pool_write(v, MANY + i, 0, full, sizeof(full));
		entries[1 + i] = entry(pool_mfn(v, MANY + i), PTE_U);
	}
	pool_write(v, DIRECTORY, 0, entries, sizeof(entries));
	uint32_t calls = shared_word(v, at);
	ALLOWED(v, HC_LOAD, pool_mfn(v, DIRECTORY), 0, 0, 0);
	calls = shared_word(v, at) - calls;
	CHECK(calls >= TABLES, "%u tables were checked in %u calls", TABLES, calls);
	check_frame_table(v->m);
	ALLOWED(v, HC_LOAD, v->directory, 0, 0, 0);
	ALLOWED(v, HC_RELEASE, pool_mfn(v, DIRECTORY), 0, 0, 0);
	for (unsigned i = 0; i < TABLES; i++)
		ALLOWED(v, HC_RELEASE, pool_mfn(v, MANY + i), 0, 0, 0);
	/* the same with a bad entry after the tables: they become plain memory in steps, too */
	entries[1 + TABLES] = entry(v->directory, PTE_W);
	pool_write(v, DIRECTORY, 0, entries, sizeof(entries));
	calls = shared_word(v, at);
	REFUSED(v, -EBUSY, HC_LOAD, pool_mfn(v, DIRECTORY), 0, 0, 0);
	calls = shared_word(v, at) - calls;
	CHECK(calls >= 2 * TABLES, "%u tables were checked and undone in %u calls", TABLES, calls);
	for (unsigned i = 0; i < TABLES; i++) {
		CHECK(home_writable(v, MANY + i), "table %u of a refused directory is one", i);
		pool_clear(v, MANY + i);
	}
	pool_clear(v, DIRECTORY);
}

/*
 * 55: a load is interrupted, and one of its new tables is released in between. The load must not
 * touch that table any more: neither when it is asked for again and fails, nor afterwards.
 */
void partial_loads(struct victim *v)
{
	enum { TABLES = 6 };
	uint32_t entries[1024], at = place(v, "hypercall", false), first = pool_mfn(v, MANY);
	physical_read(v->m, v->directory << PAGE_SHIFT, entries, sizeof(entries));
	memset(entries, 0, KERNEL_SLOT * 4);
	for (unsigned i = 0; i < TABLES; i++) {
		pool_clear(v, MANY + i);
		entries[1 + i] = entry(pool_mfn(v, MANY + i), PTE_U);
	}
	entries[1 + TABLES] = entry(v->directory, PTE_W);
	pool_write(v, DIRECTORY, 0, entries, sizeof(entries));
	debug_break(v->m, at, true);
	debug_set_register(v->m, GDB_EAX, HC_LOAD);
	debug_set_register(v->m, GDB_EBX, pool_mfn(v, DIRECTORY));
	debug_set_register(v->m, GDB_ECX, 0);
	debug_set_register(v->m, GDB_ESP, pool_address(v, STACK_PAGE) + PAGE_SIZE / 2);
	debug_set_register(v->m, GDB_EIP, at);
	for (unsigned i = 0; i < 2; i++) { /* two tables are checked */
		gdb_step(v->m);
		CHECK(debug_run(v->m, 20), "the load does not come back to its INT");
	}
	debug_break(v->m, at, false);
	CHECK(!home_writable(v, MANY), "no table was checked: this proves nothing");
	ALLOWED(v, HC_RELEASE, first, 0, 0, 0);
	REFUSED(v, -EINVAL, HC_RELEASE, first, 0, 0, 0);
	const uint32_t pte = pte_machine(v, FREE_PAGE); /* it is plain memory again */
	ALLOWED(v, HC_UPDATE, pte, 1, entry(first, PTE_W | PTE_U), 0);
	REFUSED(v, -EBUSY, HC_LOAD, pool_mfn(v, DIRECTORY), 0, 0, 0);
	check_frame_table(v->m);
	ALLOWED(v, HC_UPDATE, pte, 1, 0, 0);
	REFUSED(v, -EBUSY, HC_LOAD, pool_mfn(v, DIRECTORY), 0, 0, 0);
	for (unsigned i = 0; i < TABLES; i++) {
		hypercall(v, HC_RELEASE, pool_mfn(v, MANY + i), 0, 0, 0); /* the second one's */
		CHECK(home_writable(v, MANY + i), "table %u of a refused directory is one", i);
	}
	ALLOWED(v, HC_RECOUNT, 0, 0, 0, 0);
	pool_clear(v, DIRECTORY);
}

/* --- 43 --- */

/* VM in an image of EFLAGS is ignored, or the kernel gets #GP of a program (TCG). */
void vm86(struct victim *v)
{
	EXPECT_TRAP(v, "iret_vm", VEC_GP, 0, .ring3 = true);
	EXPECT_TRAP(v, "iret_vm", VEC_GP, 0);
}

/* 43: an NMI is the kernel's. */
void nmi(struct victim *v)
{
	free(qmp(v->m, "inject-nmi", NULL));
	CHECK(ATTACK(v, "hypercall", .eax = NR_HYPERCALLS), "an NMI ended the machine");
	want_trap(v, VEC_NMI, 0, "an NMI");
}

/* INVLPG of ring 1, which the VMM emulates, drops the entry of a page that is mapped elsewhere. */
void invlpg(struct victim *v)
{
	uint32_t at = v->user + FREE_PAGE * PAGE_SIZE, old = 1, new = 2;
	struct call remap = { HC_UPDATE, pte_machine(v, FREE_PAGE), 1,
			      entry(pool_mfn(v, PLAIN), PTE_U), 0, 0 };
	pool_write(v, FREE_PAGE, 0, &old, 4);
	pool_write(v, PLAIN, 0, &new, 4);
	map_user(v, FREE_PAGE, PTE_U);
	write_calls(v, &remap, 1);
	EXPECT_RETURN(v, "invlpg_read", .ebx = at, .edi = call_list(v), .ebp = 1);
	CHECK(v->trap.edx == new, "after INVLPG the page still shows %u", v->trap.edx);
	CHECK(v->trap.ecx == old, "no stale entry stood in the TLB: this proves nothing");
	map_user(v, FREE_PAGE, 0);
	pool_clear(v, FREE_PAGE), pool_clear(v, PLAIN);
}

/*
 * 43, the other way round: a failure of the VMM's own is its report and status, not the kernel's.
 * The debugger gives hypercall_handle() a bad pointer: NULL, or one into the VMM.
 */
void own_failure(const struct test *t)
{
	static const uint32_t pointers[] = { 0, 0xFFFFF000 };
	for (unsigned i = 0; i < COUNT(pointers); i++) {
		struct victim *v = victim_start(&t->machine);
		struct machine *m = v->m;
		debug_break(m, vmm_symbol("hypercall_handle"), true);
		debug_set_register(m, GDB_ESP, pool_address(v, STACK_PAGE) + PAGE_SIZE / 2);
		debug_set_register(m, GDB_EIP, place(v, "hypercall", false));
		CHECK(debug_run(m, 20), "no hypercall");
		debug_set_register(m, GDB_EAX, pointers[i]);
		debug_break(m, vmm_symbol("hypercall_handle"), false);
		machine_continue(m);
		CHECK(machine_wait(m, 20) == FAULT_STATUS, "the status is %d", m->exit_status);
		machine_pump(m);
		CHECK(strstr(m->log, "vmm: failed: exception, vector 14"), "no report says so");
	}
}

/* Vector `from` is delivered as `to` from now on, also to an INT of ring 3. */
static void redirect(struct victim *v, unsigned from, unsigned to)
{
	uint32_t idt = vmm_symbol("vmm_idt"), gate[2];
	virtual_read(v->m, v->start.cr3, idt + 8 * to, gate, sizeof(gate));
	gate[1] |= 3u << 13; /* DPL */
	physical_write(v->m, page_walk(v->m, v->start.cr3, idt + 8 * from).machine, gate,
		       sizeof(gate));
}

/*
 * 43: a machine check is nobody's rule: the VMM says so, and fails. No emulator has one, so another
 * vector is delivered as one: in ring 1 INT3; while the VMM waits in HC_IDLE, the timer's.
 */
void machine_check(const struct test *t)
{
	enum { VEC_MACHINE_CHECK = 18 };
	static const struct { const char *label, *says; unsigned vector; } ways[] = {
		{ "done", "vmm: failed: machine check, vector 18", VEC_BP },
		{ "hypercall", "vmm: failed: exception, vector 18", VEC_TIMER },
	};
	for (unsigned i = 0; i < COUNT(ways); i++) {
		struct victim *v = victim_start(&t->machine);
		struct machine *m = v->m;
		bool idles = ways[i].vector == VEC_TIMER;
		debug_set_register(m, GDB_ESP, pool_address(v, STACK_PAGE) + PAGE_SIZE / 2);
		debug_set_register(m, GDB_EIP, place(v, ways[i].label, false));
		debug_set_register(m, GDB_EAX, HC_IDLE);
		if (idles) {
			debug_break(m, vmm_symbol("hypercall_handle"), true);
			CHECK(debug_run(m, 20), "no hypercall");
			debug_break(m, vmm_symbol("hypercall_handle"), false);
		}
		set_shared_word(v, SHARED_PENDING, 0); /* HC_IDLE waits for the next tick */
		redirect(v, ways[i].vector, VEC_MACHINE_CHECK);
		debug_break(m, symbol("trap_handle"), false);
		machine_continue(m);
		CHECK(machine_wait(m, 20) == FAULT_STATUS, "the status is %d", m->exit_status);
		machine_pump(m);
		CHECK(strstr(m->log, ways[i].says), "nobody says \"%s\"", ways[i].says);
		machine_quit(m);
	}
}

/* 43: the page of the native GDT is a page table when a detach needs it. */
void gdt_is_table(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	struct cpu_state cpus[CPUS_MAX];
	uint32_t zeros[PAGE_SIZE / 4] = { 0 };
	machine_stop(m);
	machine_state(m, cpus);
	machine_continue(m);
	command(m, "echo virtual > /proc/mode", 20);
	struct victim *v = victim_at_prompt(m);
	uint32_t mfn = page_walk(m, v->start.cr3, cpus[0].gdt.base).machine >> PAGE_SHIFT;
	physical_write(v->m, mfn << PAGE_SHIFT, zeros, sizeof(zeros));
	ALLOWED(v, HC_UPDATE, free_slot(v), 1, entry(mfn, PTE_W), 0);
	CHECK(!ATTACK(v, "hypercall", .eax = HC_DETACH, .ebx = VMM_INSTALL), "a detach went on");
	victim_stopped(v, "its own GDT is not writable");
}

/* 43: INT is the last instruction of the kernel's segment. The debugger maps a page there. */
void end_of_segment(const struct test *t)
{
	struct victim *v = victim_start(&t->machine);
	uint32_t slot = slot_machine(v->directory, VMM_SLOT - 1);
	uint32_t pde = physical_word(v->m, slot), code = 0x82CD9090;
	uint32_t table = entry(pool_mfn(v, TABLE), PTE_W), page = entry(pool_mfn(v, PLAIN), PTE_W);
	pool_write(v, PLAIN, PAGE_SIZE - 4, &code, 4);
	if (pde & PTE_P) {
		physical_write(v->m, (pde & PAGE_MASK) + 4092, &page, 4);
	} else {
		pool_write(v, TABLE, 4092, &page, 4);
		physical_write(v->m, slot, &table, 4);
	}
	CHECK(!attack_at(v, VMM_BASE - 2, &(struct entry){ .eax = HC_EVENTS }),
	      "the kernel goes on with vector %u at %#x", v->trap.vector, v->trap.eip);
	victim_stopped(v, "its code ends at the end of its segment");
}
