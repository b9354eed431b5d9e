/* SPDX-License-Identifier: MIT */
/* Attacks by debug traps, events and arguments of hypercalls (rules 13, 24 to 27 and 29 to 36). */
#include "isolation.h"

/* --- debug traps --- */

/*
 * 27, 29: single step through the hypercall's gate, also when MOV SS delays the trap until the gate
 * is taken (XSA-260). The VMM must not be stepped; the trap comes after the hypercall.
 */
void debug_traps(struct victim *v)
{
	static const char *const ways[] = { "step_hypercall", "step_mov_ss" };
	for (unsigned i = 0; i < COUNT(ways); i++) {
		CHECK(ATTACK(v, ways[i], .eax = NR_HYPERCALLS), "%s ended the machine", ways[i]);
		if (v->m->o.v86 && returned(v))
			give_up(SKIPPED, "v86 has no single step: it ignores EFLAGS.TF");
		want_trap(v, VEC_DB, 0, ways[i]);
		CHECK((v->trap.cs & 3) == 1 && v->trap.eax == (uint32_t)-ENOSYS,
		      "%s: the step trap came at %#x:%#x, EAX %#x", ways[i], v->trap.cs,
		      v->trap.eip, v->trap.eax);
	}
	EXPECT_TRAP(v, "step_hypercall", VEC_GP, HYPERCALL_VECTOR * 8 + 2, .ring3 = true);
	EXPECT_TRAP(v, "read_at", VEC_DB, 0, .ebx = place(v, "launch", true), .flags = EFLAGS_TF,
		    .ring3 = true);
}

/* 27: ICEBP raises #DB whatever the gate's DPL is. */
void icebp(struct victim *v)
{
	for (int ring3 = 0; ring3 < 2; ring3++) {
		CHECK(ATTACK(v, "icebp", .ring3 = ring3), "ICEBP ended the machine");
		if (v->trap.vector == VEC_UD && !v->m->o.bochs)
			give_up(SKIPPED, "this emulator does not know ICEBP: it is #UD");
		if (v->m->o.v86 && returned(v))
			give_up(SKIPPED, "v86 does not know ICEBP: nothing happens");
		want_trap(v, VEC_DB, 0, "ICEBP");
		CHECK(v->trap.eip == place(v, "icebp_end", ring3), "ICEBP trapped at %#x",
		      v->trap.eip);
	}
}

/*
 * 26: CR0.TS alone tells who owns the FPU. The kernel sets and clears it by hypercall, and gets #NM
 * in ring 1.
 */
void fpu(struct victim *v)
{
	for (int ring3 = 0; ring3 < 2; ring3++) {
		uint32_t at = ring3 ? v->user + USER_STACK_PAGE * PAGE_SIZE
				    : pool_address(v, DATA_PAGE);
		ALLOWED(v, HC_FPU_TRAP, 1, 0, 0, 0);
		EXPECT_TRAP(v, "fpu", VEC_NM, 0, .ebx = at, .ring3 = ring3);
		ALLOWED(v, HC_FPU_TRAP, 0, 0, 0, 0);
		EXPECT_RETURN(v, "fpu", .ebx = at, .ring3 = ring3);
	}
}

/* --- events --- */

/* Where the kernel has a word of the CPU's struct vmm_shared. */
static uint32_t address_of(unsigned offset) { return symbol("vmm_shared") + offset; }

/* Move pending events to v->eaten, for the end of the test; the virtual IF becomes 0. */
static void keep_pending(struct victim *v)
{
	v->eaten |= shared_word(v, SHARED_PENDING) & ((1u << NR_EVENTS) - 1);
	set_shared_word(v, SHARED_PENDING, 0);
	set_shared_word(v, SHARED_VIF, 0);
}

/* The last attack was interrupted by this event; `left` are the events still pending. */
static void want_event(struct victim *v, unsigned vector, uint32_t left, const char *what)
{
	uint32_t pending = shared_word(v, SHARED_PENDING);
	CHECK(v->trap.vector == vector, "%s: vector %u instead of event %#x", what, v->trap.vector,
	      vector);
	CHECK(v->trap.eflags & EFLAGS_IF,
	      "%s: the interrupted code's virtual IF is 0 in the frame", what);
	CHECK(shared_word(v, SHARED_VIF) == 0, "%s: the handler runs with virtual IF 1", what);
	/* not the timer's, which comes at any time */
	CHECK((pending & (1u << EVENT_RESCHED | 0xFFFF)) == left, "%s: pending events are %#x",
	      what, pending);
}

/* Send this CPU an event, and leave only that one pending. */
static void send_to_self(struct victim *v)
{
	keep_pending(v);
	EXPECT_RETURN(v, "wait_pending", .eax = HC_SEND, .ecx = VEC_RESCHED,
		      .edi = address_of(SHARED_VIF), .esi = address_of(SHARED_PENDING));
	uint32_t pending = shared_word(v, SHARED_PENDING);
	CHECK(pending & 1u << EVENT_RESCHED, "an event sent to this CPU is not pending (%#x)",
	      pending);
	set_shared_word(v, SHARED_PENDING, 1u << EVENT_RESCHED);
	v->eaten |= pending & ~(1u << EVENT_RESCHED);
}

/* On a busy host QEMU may let a tick come at each start of the machine, for a while. */
enum { TICKS_MAX = 50 };

/*
 * Enable events while the one that this CPU sent to itself is pending: it comes now. If a tick
 * comes before it, keep that one and do everything again.
 */
static void enable(struct victim *v, const char *label)
{
	struct entry e = { .eax = HC_EVENTS, .edi = address_of(SHARED_VIF) };
	for (int i = 0; i < TICKS_MAX; i++) {
		send_to_self(v);
		CHECK(attack_at(v, place(v, label, false), &e), "%s ended the machine", label);
		if (v->trap.vector != VEC_TIMER)
			break;
		event_eaten(v);
	}
	want_event(v, VEC_RESCHED, 0, label);
}

/* Enable events while only these bits are pending: none comes but, at most, the timer's tick. */
static void enable_none(struct victim *v, uint32_t pending)
{
	struct entry e = { .eax = HC_EVENTS, .edi = address_of(SHARED_VIF) };
	for (int i = 0; i < TICKS_MAX; i++) {
		keep_pending(v);
		set_shared_word(v, SHARED_PENDING, pending);
		CHECK(attack_at(v, place(v, "enable_hypercall", false), &e),
		      "HC_EVENTS ended the machine");
		if (v->trap.vector != VEC_TIMER)
			break;
		event_eaten(v);
	}
	want_return(v, "HC_EVENTS with no event pending");
	set_shared_word(v, SHARED_PENDING, 0);
	keep_pending(v);
}

/* Two events are pending: the lower number comes, the other stays pending. */
static void enable_two(struct victim *v)
{
	struct entry e = { .eax = HC_EVENTS, .edi = address_of(SHARED_VIF) };
	set_shared_word(v, SHARED_PENDING, 1u << EVENT_RESCHED | 1u << 1);
	CHECK(attack_at(v, place(v, "enable_hypercall", false), &e), "HC_EVENTS ended the machine");
	want_event(v, VEC_IRQ + 1, 1u << EVENT_RESCHED, "the first of two events");
}

/* A program that spins with an event pending is interrupted, by it or by the timer. */
static void event_in_ring3(struct victim *v)
{
	CHECK(attack_at(v, place(v, "spin", true), &(struct entry){ .ring3 = true }),
	      "an event in ring 3 ended the machine");
	CHECK((v->trap.cs & 3) == 3 && v->trap.eip == place(v, "spin", true),
	      "the event came at %#x", v->trap.eip);
	CHECK(v->trap.vector == VEC_RESCHED || v->trap.vector == VEC_TIMER, "vector %u in ring 3",
	      v->trap.vector);
	event_eaten(v);
	keep_pending(v);
}

/* A kernel that spins with the virtual IF 0 does not keep the VMM from taking the timer's tick. */
static void spin_in_ring1(struct victim *v)
{
	unsigned at = SHARED_EXITS + 4 * EXIT_INTERRUPT;
	uint32_t interrupts = shared_word(v, at);
	EXPECT_RETURN(v, "wait_pending", .eax = NR_HYPERCALLS, .edi = address_of(SHARED_VIF),
		      .esi = address_of(SHARED_PENDING));
	CHECK(shared_word(v, at) != interrupts, "the VMM counted no interrupt");
	keep_pending(v);
}

/*
 * 25, 30: enabling events while one is pending delivers it at once, and once; in ring 3 events
 * always come; a kernel that spins is interrupted by the VMM.
 */
void events(struct victim *v)
{
	enable(v, "enable_sti");
	CHECK(v->trap.eip == place(v, "enable_sti", false) + 1,
	      "the event came at %#x, not after STI", v->trap.eip);
	enable(v, "enable_hypercall");
	enable_none(v, 0); /* the event came exactly once */
	set_shared_word(v, SHARED_PENDING, 1u << EVENT_RESCHED);
	EXPECT_RETURN(v, "hypercall", .eax = HC_EVENTS); /* not now: the virtual IF is 0 */
	enable_none(v, ~((1u << NR_EVENTS) - 1)); /* bits that are no events are ignored */
	enable_two(v);
	event_in_ring3(v);
	spin_in_ring1(v);
}

/* --- arguments --- */

/* 32 to 34: HC_UPDATE is not resumable, so a bad length, place or address changes nothing. */
static void update_arguments(struct victim *v)
{
	static const uint32_t lengths[] = {
		0, VMM_UPDATE_MAX + 1, 1024, 0x40000001, 0x80000001, 0xFFFFFFFF,
	};
	const uint32_t addresses[] = {
		0, v->user, KERNEL_BASE - 4, VMM_BASE - 4, VMM_BASE, 0xFFFFFFFC,
		KERNEL_MAP_BASE - PAGE_SIZE,
	};
	uint32_t at = pte_machine(v, FREE_PAGE), data = pool_address(v, DATA_PAGE);
	uint32_t plain = entry(pool_mfn(v, FREE_PAGE), 0), value[3], entries[3];
	for (unsigned i = 0; i < COUNT(lengths); i++)
		REFUSED(v, -EINVAL, HC_UPDATE, at, lengths[i], data, 0);
	for (unsigned i = 0; i < COUNT(addresses); i++)
		REFUSED(v, -EFAULT, HC_UPDATE, at, 2, addresses[i], 0);
	for (unsigned low = 1; low < 4; low++)
		REFUSED(v, -EINVAL, HC_UPDATE, at + low, 1, 0, 0);
	REFUSED(v, -EINVAL, HC_UPDATE, slot_machine(v->table, 1023), 2, data, 0);
	REFUSED(v, -EINVAL, HC_UPDATE, slot_machine(v->directory, 767), 2, data, 0);
	/* the second of three values is bad: the first is undone */
	value[0] = value[2] = plain, value[1] = entry(v->table, PTE_W);
	pool_write(v, DATA_PAGE, 0, value, sizeof(value));
	REFUSED(v, -EBUSY, HC_UPDATE, at, 3, data, 0);
	physical_read(v->m, at, entries, sizeof(entries));
	CHECK(!entries[0] && !entries[1] && !entries[2], "a refused batch left %#x %#x %#x",
	      entries[0], entries[1], entries[2]);
	value[1] = entry(0x0FFFF, PTE_W);
	pool_write(v, DATA_PAGE, 0, value, sizeof(value));
	REFUSED(v, -EPERM, HC_UPDATE, at, 3, data, 0);
}

static bool fpu_traps(struct victim *v)
{
	struct cpu_state cpus[CPUS_MAX];
	machine_state(v->m, cpus);
	return cpus[0].cr0 & CR0_TS;
}

/*
 * 24: stacks for entries from ring 3 that cannot be right. The one in use stays, and CR0.TS, too.
 * Then a right one.
 */
static void stack_arguments(struct victim *v)
{
	static const uint32_t stacks[] = {
		4, 0x1000, KERNEL_BASE, KERNEL_BASE + 124, VMM_BASE + 4, VMM_BASE + 4096,
		0xFFFFFFFC, 0xC0200002, 0xC0200003, KERNEL_BASE + 124 + VMM_TS,
		VMM_BASE + 4 + VMM_TS,
	};
	ALLOWED(v, HC_FPU_TRAP, 0, 0, 0, 0);
	for (unsigned i = 0; i < COUNT(stacks); i++)
		for (unsigned both = 0; both < 2; both++)
			REFUSED(v, -EINVAL, HC_LOAD, both ? v->directory : 0, stacks[i], 0, 0);
	CHECK(!fpu_traps(v), "a load that is refused sets CR0.TS");
	for (unsigned both = 0; both < 2; both++) {
		ALLOWED(v, HC_FPU_TRAP, 0, 0, 0, 0);
		CHECK(!fpu_traps(v), "HC_FPU_TRAP of 0 leaves CR0.TS");
		ALLOWED(v, HC_LOAD, both ? v->directory : 0, ENTRY_STACK(v) + VMM_TS, 0, 0);
		CHECK(fpu_traps(v), "HC_LOAD with VMM_TS does not set CR0.TS");
	}
	EXPECT_RETURN(v, "done", .ring3 = true);
}

/* 13: the buffer of an input is a page table: the VMM must not write there for the kernel. */
static void input_to_table(struct victim *v)
{
	uint32_t pfn, table[4], after[4], m2p = kernel_word(v->m, "m2p");
	virtual_read(v->m, v->start.cr3, m2p + 4 * v->table, &pfn, 4);
	physical_read(v->m, v->table << PAGE_SHIFT, table, sizeof(table));
	REFUSED(v, -EFAULT, HC_IO, 0x1F0, KERNEL_BASE + (pfn << PAGE_SHIFT), VMM_IO_IN_BLOCK, 8);
	physical_read(v->m, v->table << PAGE_SHIFT, after, sizeof(after));
	CHECK(memcmp(table, after, sizeof(table)) == 0,
	      "the VMM wrote to a page table for the kernel");
}

/* A block whose second page is not there: the device gave nothing, and nothing is written. */
static void input_past_the_end(struct victim *v)
{
	static const uint32_t pattern[2] = { 0x5A5AA5A5, 0x5A5AA5A5 };
	uint32_t at = KERNEL_BASE + (kernel_word(v->m, "nr_pfns") << PAGE_SHIFT) - sizeof(pattern);
	uint32_t machine = page_walk(v->m, v->start.cr3, at).machine, before[2], after[2];
	physical_read(v->m, machine, before, sizeof(before));
	physical_write(v->m, machine, pattern, sizeof(pattern));
	REFUSED(v, -EFAULT, HC_IO, 0x1F0, at, VMM_IO_IN_BLOCK, 8);
	physical_read(v->m, machine, after, sizeof(after));
	physical_write(v->m, machine, before, sizeof(before));
	CHECK(memcmp(pattern, after, sizeof(after)) == 0, "half of a block was read");
}

static void block_arguments(struct victim *v)
{
	static const uint32_t lengths[] = { 1, 3, 258, 0x8000, 0x80000000, 0xFFFFFFFE };
	uint32_t data = pool_address(v, DATA_PAGE);
	const uint32_t buffers[] = {
		0, v->user, VMM_BASE - 2, VMM_BASE, 0xFFFFFFFC, KERNEL_BASE - 2, data + 1,
	};
	for (uint32_t kind = VMM_IO_IN_BLOCK; kind <= VMM_IO_OUT_BLOCK; kind++) {
		for (unsigned i = 0; i < COUNT(lengths); i++)
			REFUSED(v, -EINVAL, HC_IO, 0x1F0, data, kind, lengths[i]);
		for (unsigned i = 0; i < COUNT(buffers); i++)
			REFUSED(v, -EINVAL, HC_IO, 0x1F0, buffers[i], kind, 2);
		REFUSED(v, -EFAULT, HC_IO, 0x1F0, KERNEL_MAP_BASE - PAGE_SIZE, kind, 2);
	}
	input_to_table(v);
	input_past_the_end(v);
}

/*
 * 31 to 36: operations that do not exist, and arguments out of range: of events (lines, vectors and
 * CPUs are all there is), ticks, detach, exit statuses, updates, stacks, blocks.
 */
void arguments(struct victim *v)
{
	static const uint32_t numbers[] = {
		NR_HYPERCALLS, NR_HYPERCALLS + 1, 0x80000000, 0x40000000, 0xFFFFFFFF,
	};
	static const uint32_t vectors[] = {
		0, 2, 8, VEC_IRQ, VEC_IRQ + 15, 0x82, 0xF3, 0xFF, 0x100, 0x1F0, 0xFFFFFFFF,
	};
	static const uint32_t lines[] = { 16, 17, 255, 0x80000000, 0xFFFFFFFF };
	static const uint32_t statuses[] = {
		VMM_FAULT_STATUS, VMM_STOPPED_STATUS, 0x80, 0x10D, 0xFFFFFFFF,
	};
	for (unsigned i = 0; i < COUNT(numbers); i++)
		REFUSED(v, -ENOSYS, numbers[i], 0, 0, 0, 0);
	for (unsigned i = 0; i < COUNT(vectors); i++)
		REFUSED(v, -EINVAL, HC_SEND, 0, vectors[i], 0, 0);
	REFUSED(v, -EINVAL, HC_SEND, 1, VEC_RESCHED, 0, 0);
	REFUSED(v, -EINVAL, HC_SEND, 0xFFFFFFFE, VEC_RESCHED, 0, 0);
	for (unsigned i = 0; i < COUNT(lines); i++) {
		REFUSED(v, -EINVAL, HC_MASK, lines[i], 1, 0, 0);
		REFUSED(v, -EINVAL, HC_END, lines[i], 0, 0, 0);
	}
	REFUSED(v, -EINVAL, HC_TICK, 0, 0, 0, 0);
	REFUSED(v, -EINVAL, HC_TICK, 1001, 0, 0, 0);
	REFUSED(v, -EINVAL, HC_DETACH, 77, 0, 0, 0);
	for (unsigned i = 0; i < COUNT(statuses); i++)
		REFUSED(v, -EINVAL, HC_SHUTDOWN, statuses[i], 0, 0, 0);
	update_arguments(v);
	stack_arguments(v);
	block_arguments(v);
}
