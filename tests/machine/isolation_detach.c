/* SPDX-License-Identifier: MIT */
/*
 * The steps of a detach in any order, and calls that fail in their middle (rules 42, 43 and 17):
 * no order leaves a kernel attached with unchecked tables, and a call that fails has changed
 * nothing.
 */
#include "isolation.h"
#include "offsets.h"

/* Pages of the pool. */
enum { TABLE_PAGE = FREE_PAGE, ROOT_PAGE, PLAIN_PAGE, MANY };

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
		entry(0, PTE_W), entry(pool_mfn(v, PLAIN_PAGE), PTE_PS),
		entry(pool_mfn(v, PLAIN_PAGE), PTE_W), /* allowed, but not counted */
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
		{ at, entry(pool_mfn(v, PLAIN_PAGE), PTE_PS) }, { at, entry(v->table, PTE_W) },
		{ slot, entry(pool_mfn(v, PLAIN_PAGE), PTE_W) }, { slot, entry(v->directory, 0) },
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
	uint32_t table = entry(pool_mfn(v, TABLE_PAGE), PTE_W), bad = entry(v->directory, PTE_W);
	const uint32_t batch[2] = { table, bad };
	physical_read(v->m, v->directory << PAGE_SHIFT, entries, sizeof(entries));
	memset(entries, 0, KERNEL_SLOT * 4);
	for (unsigned i = 0; i < 4; i++) {
		pool_clear(v, MANY + i);
		entries[i] = entry(pool_mfn(v, MANY + i), PTE_W);
	}
	entries[9] = bad;
	pool_write(v, ROOT_PAGE, 0, entries, sizeof(entries));
	REFUSED(v, -EBUSY, HC_LOAD, pool_mfn(v, ROOT_PAGE), 0, 0, 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK(home_writable(v, MANY + i), "table %u of a refused directory is one", i);
	pool_clear(v, ROOT_PAGE), pool_clear(v, TABLE_PAGE);
	pool_write(v, DATA_PAGE, 0, batch, sizeof(batch));
	ALLOWED(v, HC_UPDATE, slot, 1, table, 0);
	ALLOWED(v, HC_UPDATE, slot, 1, 0, VMM_FLUSH_ALL);
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 2, data, 0);
	CHECK(!home_writable(v, TABLE_PAGE), "a batch that failed demoted a table");
	ALLOWED(v, HC_RELEASE, pool_mfn(v, TABLE_PAGE), 0, 0, 0);
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 2, data, 0);
	CHECK(home_writable(v, TABLE_PAGE), "a batch that failed promoted a table");
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
		full[i] = entry(pool_mfn(v, PLAIN_PAGE), PTE_U);
	physical_read(v->m, v->directory << PAGE_SHIFT, entries, sizeof(entries));
	memset(entries, 0, KERNEL_SLOT * 4);
	for (unsigned i = 0; i < TABLES; i++) {
		pool_write(v, MANY + i, 0, full, sizeof(full));
		entries[1 + i] = entry(pool_mfn(v, MANY + i), PTE_U);
	}
	pool_write(v, ROOT_PAGE, 0, entries, sizeof(entries));
	uint32_t calls = shared_word(v, at);
	ALLOWED(v, HC_LOAD, pool_mfn(v, ROOT_PAGE), 0, 0, 0);
	calls = shared_word(v, at) - calls;
	CHECK(calls >= TABLES, "%u tables were checked in %u calls", TABLES, calls);
	check_frame_table(v->m);
	ALLOWED(v, HC_LOAD, v->directory, 0, 0, 0);
	ALLOWED(v, HC_RELEASE, pool_mfn(v, ROOT_PAGE), 0, 0, 0);
	for (unsigned i = 0; i < TABLES; i++)
		ALLOWED(v, HC_RELEASE, pool_mfn(v, MANY + i), 0, 0, 0);
	/* the same with a bad entry after the tables: they become plain memory in steps, too */
	entries[1 + TABLES] = entry(v->directory, PTE_W);
	pool_write(v, ROOT_PAGE, 0, entries, sizeof(entries));
	calls = shared_word(v, at);
	REFUSED(v, -EBUSY, HC_LOAD, pool_mfn(v, ROOT_PAGE), 0, 0, 0);
	calls = shared_word(v, at) - calls;
	CHECK(calls >= 2 * TABLES, "%u tables were checked and undone in %u calls", TABLES, calls);
	for (unsigned i = 0; i < TABLES; i++) {
		CHECK(home_writable(v, MANY + i), "table %u of a refused directory is one", i);
		pool_clear(v, MANY + i);
	}
	pool_clear(v, ROOT_PAGE);
}

/* Store a word of the VMM's. */
static void set_vmm_word(struct victim *v, uint32_t at, uint32_t value)
{
	physical_write(v->m, page_walk(v->m, v->start.cr3, at).machine, &value, 4);
}

/* The CPU is about to load a directory. */
static void start_load(struct victim *v, uint32_t mfn)
{
	debug_set_register(v->m, GDB_EAX, HC_LOAD);
	debug_set_register(v->m, GDB_EBX, mfn);
	debug_set_register(v->m, GDB_ECX, 0);
	debug_set_register(v->m, GDB_ESP, pool_address(v, STACK_PAGE) + PAGE_SIZE / 2);
	debug_set_register(v->m, GDB_EIP, place(v, "hypercall", false));
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
	pool_write(v, ROOT_PAGE, 0, entries, sizeof(entries));
	debug_break(v->m, at, true);
	start_load(v, pool_mfn(v, ROOT_PAGE));
	for (unsigned i = 0; i < 2; i++) { /* two tables are checked */
		gdb_step(v->m);
		CHECK(debug_run(v->m, 20), "the load does not come back to its INT");
	}
	debug_break(v->m, at, false);
	CHECK(!home_writable(v, MANY), "no table was checked: this proves nothing");
	CHECK(home_writable(v, MANY + 2), "two calls have checked three tables");
	ALLOWED(v, HC_RELEASE, first, 0, 0, 0);
	REFUSED(v, -EINVAL, HC_RELEASE, first, 0, 0, 0);
	const uint32_t pte = pte_machine(v, FREE_PAGE); /* it is plain memory again */
	ALLOWED(v, HC_UPDATE, pte, 1, entry(first, PTE_W | PTE_U), 0);
	REFUSED(v, -EBUSY, HC_LOAD, pool_mfn(v, ROOT_PAGE), 0, 0, 0);
	check_frame_table(v->m);
	ALLOWED(v, HC_UPDATE, pte, 1, 0, 0);
	REFUSED(v, -EBUSY, HC_LOAD, pool_mfn(v, ROOT_PAGE), 0, 0, 0);
	for (unsigned i = 0; i < TABLES; i++) {
		hypercall(v, HC_RELEASE, pool_mfn(v, MANY + i), 0, 0, 0); /* the second one's */
		CHECK(home_writable(v, MANY + i), "table %u of a refused directory is one", i);
	}
	ALLOWED(v, HC_RECOUNT, 0, 0, 0, 0);
	pool_clear(v, ROOT_PAGE);
}

/*
 * 55: a load goes on and on, for in between the kernel puts new tables into its directory: it has
 * promoted as many as the VMM can note (the debugger says so). Each call checks one more, all the
 * same, and no call stores beyond the list.
 */
void endless_loads(struct victim *v)
{
	enum { TABLES = 4 };
	const uint32_t vcpu = vmm_symbol("domain0") + DOMAIN_VCPUS, full = VCPU_FRESH_MAX;
	uint32_t entries[1024], at = place(v, "hypercall", false);
	physical_read(v->m, v->directory << PAGE_SHIFT, entries, sizeof(entries));
	memset(entries, 0, KERNEL_SLOT * 4);
	for (unsigned i = 0; i < TABLES; i++) {
		pool_clear(v, MANY + i);
		entries[1 + i] = entry(pool_mfn(v, MANY + i), PTE_U);
	}
	pool_write(v, ROOT_PAGE, 0, entries, sizeof(entries));
	debug_break(v->m, at, true);
	start_load(v, pool_mfn(v, ROOT_PAGE));
	for (unsigned i = 0; i < TABLES - 1; i++) {
		gdb_step(v->m);
		CHECK(debug_run(v->m, 20), "the load does not come back to its INT");
		CHECK(!home_writable(v, MANY + i) && home_writable(v, MANY + i + 1),
		      "call %u has checked no table, or more than one", i);
		if (i == 0)
			set_vmm_word(v, vcpu + VCPU_NR_FRESH, full);
	}
	debug_break(v->m, at, false);
	ALLOWED(v, HC_LOAD, pool_mfn(v, ROOT_PAGE), 0, 0, 0);
	ALLOWED(v, HC_LOAD, v->directory, 0, 0, 0);
	ALLOWED(v, HC_RELEASE, pool_mfn(v, ROOT_PAGE), 0, 0, 0);
	for (unsigned i = 0; i < TABLES; i++)
		ALLOWED(v, HC_RELEASE, pool_mfn(v, MANY + i), 0, 0, 0);
	pool_clear(v, ROOT_PAGE);
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

/* The short way of a page fault was gone for that many instructions when an NMI comes. */
static unsigned nmi_after;
static bool run_with_nmi(struct victim *v, struct cpu_state cpus[CPUS_MAX])
{
	uint32_t from = vmm_symbol("fast_store");
	debug_break(v->m, from, true);
	CHECK(debug_run(v->m, 20), "no page fault");
	debug_break(v->m, from, false);
	for (unsigned i = 0; i < nmi_after; i++)
		gdb_step(v->m);
	machine_state(v->m, cpus);
	if (cpus[0].cpl) /* that was the last one */
		nmi_after = 0;
	free(qmp(v->m, "inject-nmi", NULL));
	return run_and_park(v, cpus);
}

/* 43: an NMI on the short way of a program's page fault changes nothing there. */
void nmi_short_way(struct victim *v)
{
	uint32_t at = v->user + FREE_PAGE * PAGE_SIZE;
	uint32_t from = vmm_symbol("fast_store"), past = vmm_symbol("fast_store_end"), tries = 0;
	v->run = run_with_nmi;
	for (nmi_after = 1; nmi_after; nmi_after++, tries++) {
		CHECK(ATTACK(v, "read_at", .ebx = at, .ring3 = true), "NMI %u ends the machine",
		      tries);
		if (!nmi_after)
			break; /* the NMI came to the kernel, in ring 1 */
		want_trap(v, VEC_PF, PF_USER, "a read, with an NMI");
		CHECK(v->address == at && v->user_esp == v->user + USER_STACK_PAGE * PAGE_SIZE +
		      STACK_TOP, "NMI %u: the fault's address is %#x, the program's stack %#x",
		      tries, v->address, v->user_esp);
	}
	CHECK(tries > 10 && tries < past - from, "%u tries", tries);
	v->run = run_and_park;
}

/* INVLPG of ring 1, which the VMM emulates, drops the entry of a page that is mapped elsewhere. */
void invlpg(struct victim *v)
{
	uint32_t at = v->user + FREE_PAGE * PAGE_SIZE, old = 1, new = 2;
	struct call remap = { HC_UPDATE, pte_machine(v, FREE_PAGE), 1,
			      entry(pool_mfn(v, PLAIN_PAGE), PTE_U), 0, 0 };
	pool_write(v, FREE_PAGE, 0, &old, 4);
	pool_write(v, PLAIN_PAGE, 0, &new, 4);
	map_user(v, FREE_PAGE, PTE_U);
	write_calls(v, &remap, 1);
	EXPECT_RETURN(v, "invlpg_read", .ebx = at, .edi = call_list(v), .ebp = 1);
	CHECK(v->trap.edx == new, "after INVLPG the page still shows %u", v->trap.edx);
	CHECK(v->trap.ecx == old, "no stale entry stood in the TLB: this proves nothing");
	map_user(v, FREE_PAGE, 0);
	pool_clear(v, FREE_PAGE), pool_clear(v, PLAIN_PAGE);
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

/* Where the native kernel has its GDT, its IDT and its TSS. */
enum { GDT, IDT, TSS };
static struct victim *native_tables(const struct test *t, uint32_t at[3])
{
	struct machine *m = start_to_prompt(&t->machine);
	struct cpu_state cpus[CPUS_MAX];
	machine_stop(m);
	machine_state(m, cpus);
	machine_continue(m);
	at[GDT] = cpus[0].gdt.base, at[IDT] = cpus[0].idt.base, at[TSS] = cpus[0].tr.base;
	command(m, "echo virtual > /proc/mode", 20);
	return victim_at_prompt(m);
}

/* The page at an address is a page table from now on. */
static void retype(struct victim *v, uint32_t address)
{
	static const uint32_t zeros[PAGE_SIZE / 4];
	uint32_t mfn = page_walk(v->m, v->start.cr3, address).machine >> PAGE_SHIFT;
	physical_write(v->m, mfn << PAGE_SHIFT, zeros, sizeof(zeros));
	ALLOWED(v, HC_UPDATE, free_slot(v), 1, entry(mfn, PTE_W), 0);
}

/*
 * 43: the native GDT is not writable when a detach needs it: its page is a page table; or it lies
 * where no kernel's memory is, as the debugger says.
 */
void gdt_is_table(const struct test *t)
{
	uint32_t at[3];
	for (unsigned i = 0; i < 2; i++) {
		struct victim *v = native_tables(t, at);
		if (i == 0)
			retype(v, at[GDT]);
		else
			set_vmm_word(v, vmm_symbol("vmm_cpus") + CPU_NATIVE_GDT, PAGE_SIZE);
		CHECK(!ATTACK(v, "hypercall", .eax = HC_DETACH, .ebx = VMM_INSTALL),
		      "a detach went on");
		victim_stopped(v, "its own GDT is not writable");
	}
}

/*
 * 43: the page of the native IDT or TSS is a page table. A detach begins and is taken back; then it
 * is done, which needs no store there. The native kernel has what it made of its tables. Its GDT is
 * a copy, as the debugger says: the native one lies on the same page.
 */
void tables_are_tables(const struct test *t)
{
	uint32_t at[3];
	for (unsigned i = IDT; i <= TSS; i++) {
		struct victim *v = native_tables(t, at);
		struct cpu_state cpus[CPUS_MAX];
		uint32_t to = place(v, "hypercall", false) + 2, gdt[2 * GDT_ENTRIES];
		virtual_read(v->m, v->start.cr3, at[GDT], gdt, sizeof(gdt));
		pool_write(v, DATA_PAGE, 0, gdt, sizeof(gdt));
		at[GDT] = pool_address(v, DATA_PAGE);
		set_vmm_word(v, vmm_symbol("vmm_cpus") + CPU_NATIVE_GDT, at[GDT]);
		retype(v, at[i]);
		ALLOWED(v, HC_DETACH, VMM_UNPROTECT, 0, 0, 0);
		ALLOWED(v, HC_DETACH, VMM_PROTECT, 0, 0, 0);
		check_frame_table(v->m);
		debug_break(v->m, to, true);
		debug_set_register(v->m, GDB_EAX, HC_DETACH);
		debug_set_register(v->m, GDB_EBX, VMM_INSTALL);
		debug_set_register(v->m, GDB_ESP, pool_address(v, STACK_PAGE) + PAGE_SIZE / 2);
		debug_set_register(v->m, GDB_EIP, to - 2);
		CHECK(debug_run(v->m, 20), "the detach does not come back");
		machine_state(v->m, cpus);
		CHECK(cpus[0].eip == to && cpus[0].cpl == 0 && cpus[0].gdt.base == at[GDT] &&
		      cpus[0].idt.base == at[IDT] && cpus[0].tr.base == at[TSS],
		      "after the detach: ring %u at %#x, tables at %#x, %#x, %#x", cpus[0].cpl,
		      cpus[0].eip, cpus[0].gdt.base, cpus[0].idt.base, cpus[0].tr.base);
		machine_quit(v->m);
	}
}

/* --- 43: the ends of the kernel's segments, where they are enforced --- */

/*
 * The debugger maps a page of the pool as the last one below the VMM, with code at its end. Bochs
 * would not see that code which it has executed changes.
 */
static void map_last_page(struct victim *v, unsigned page_number, uint32_t code)
{
	uint32_t slot = slot_machine(v->directory, VMM_SLOT - 1);
	uint32_t pde = physical_word(v->m, slot);
	uint32_t table = entry(pool_mfn(v, TABLE_PAGE), PTE_W);
	uint32_t page = entry(pool_mfn(v, page_number), PTE_W);
	pool_write(v, page_number, PAGE_SIZE - 4, &code, 4);
	if (pde & PTE_P) {
		physical_write(v->m, (pde & PAGE_MASK) + 4092, &page, 4);
	} else {
		pool_write(v, TABLE_PAGE, 4092, &page, 4);
		physical_write(v->m, slot, &table, 4);
	}
	ALLOWED(v, HC_FLUSH, VMM_BASE - PAGE_SIZE, 0, 0, 0);
}

#define CODE_ENDS "its code ends at the end of its segment"
enum { INT_82 = 0x82CD9090, INT3 = 0xCC909090, HLT = 0xF4909090, CLI = 0xFA909090,
       NOP = 0x90909090, UD2 = 0x0B0F9090 };
/* The last four bytes of code; what the kernel gets: a report of the VMM's, or a trap. */
static const struct end { uint32_t code, eax, vector; const char *rule; } ends[] = {
	{ INT_82, HC_EVENTS, 0, CODE_ENDS },
	{ INT_82, HC_LOAD, 0, CODE_ENDS },     /* the short way */
	{ INT_82, HC_FPU_TRAP, 0, CODE_ENDS }, /* the short way */
	{ INT3, 0, VEC_BP, NULL },
	{ HLT, 0, VEC_GP, NULL },
	{ CLI, 0, VEC_GP, NULL }, /* the VMM reads four bytes, so it is not emulated */
	{ NOP, 0, VEC_GP, NULL },
	{ UD2, 0, VEC_UD, NULL },
};

/* 43: each is the last instruction of the kernel's segment. */
void end_of_segment(const struct test *t)
{
	struct victim *v = NULL;
	for (unsigned i = 0; i < COUNT(ends); i++) {
		const struct end *e = &ends[i];
		if (!v)
			v = victim_start(&t->machine);
		map_last_page(v, MANY + i, e->code);
		const struct entry with = { .eax = e->eax,
					    .ebx = e->eax == HC_LOAD ? v->directory : 0 };
		uint32_t length = e->rule || e->vector == VEC_UD ? 2 : 1;
		bool goes_on = attack_at(v, VMM_BASE - length, &with);
		CHECK(goes_on == !e->rule, "code %#x, EAX %u: the kernel %s", e->code, e->eax,
		      goes_on ? "goes on" : "is stopped");
		if (e->rule) {
			victim_stopped(v, e->rule);
			v = NULL;
			continue;
		}
		CHECK(v->trap.vector == e->vector && v->trap.eip >= VMM_BASE - 2,
		      "code %#x: vector %u at %#x", e->code, v->trap.vector, v->trap.eip);
	}
	machine_quit(v->m);
}
