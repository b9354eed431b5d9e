/* SPDX-License-Identifier: MIT */
/* Attacks by traps, events and arguments of hypercalls (rules 24 to 36). */
#include "isolation.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/*
 * 27, 29: single step through the hypercall's gate, also when MOV SS holds the trap back until the gate is taken
 * (XSA-260): the VMM is not stepped, and the trap comes behind it.
 */
void debug_traps(struct victim *v)
{
	static const char *const ways[] = { "step_hypercall", "step_mov_ss" };
	for (unsigned i = 0; i < COUNT(ways); i++) {
		CHECK(ATTACK(v, ways[i], .eax = NR_HYPERCALLS), "%s ended the machine", ways[i]);
		want_trap(v, VEC_DB, 0, ways[i]);
		CHECK((v->trap.cs & 3) == 1 && v->trap.eax == (uint32_t)-ENOSYS,
		      "%s: the step trap came at %#x:%#x, EAX %#x", ways[i], v->trap.cs, v->trap.eip, v->trap.eax);
	}
	EXPECT_TRAP(v, "step_hypercall", VEC_GP, HYPERCALL_VECTOR * 8 + 2, .ring3 = true);
	EXPECT_TRAP(v, "read_at", VEC_DB, 0, .ebx = place(v, "launch", true), .flags = EFLAGS_TF, .ring3 = true);
}

/* 27: ICEBP is #DB without looking at the gate's DPL. */
void icebp(struct victim *v)
{
	for (int ring3 = 0; ring3 < 2; ring3++) {
		CHECK(ATTACK(v, "icebp", .ring3 = ring3), "ICEBP ended the machine");
		if (v->trap.vector == VEC_UD && !v->m->o.bochs)
			give_up(SKIPPED, "this emulator does not know ICEBP: it is #UD");
		want_trap(v, VEC_DB, 0, "ICEBP");
		CHECK(v->trap.eip == place(v, "icebp_end", ring3), "ICEBP trapped at %#x", v->trap.eip);
	}
}

/* 26: who owns the FPU is told by CR0.TS alone, which the kernel has by hypercall; #NM goes to the kernel in ring 1. */
void fpu(struct victim *v)
{
	for (int ring3 = 0; ring3 < 2; ring3++) {
		uint32_t at = ring3 ? v->user + USER_STACK_PAGE * PAGE_SIZE : pool_address(v, DATA_PAGE);
		ALLOWED(v, HC_FPU_TRAP, 1, 0, 0, 0);
		EXPECT_TRAP(v, "fpu", VEC_NM, 0, .ebx = at, .ring3 = ring3);
		ALLOWED(v, HC_FPU_TRAP, 0, 0, 0, 0);
		EXPECT_RETURN(v, "fpu", .ebx = at, .ring3 = ring3);
	}
}

/* --- events --- */

static void keep_pending(struct victim *v)
{
	v->eaten |= shared_word(v, SHARED_PENDING) & ((1u << NR_EVENTS) - 1);
	set_shared_word(v, SHARED_PENDING, 0);
	set_shared_word(v, SHARED_VIF, 0);
}

static void want_event(struct victim *v, unsigned vector, uint32_t left, const char *what)
{
	CHECK(v->trap.vector == vector, "%s: vector %u instead of event %#x", what, v->trap.vector, vector);
	CHECK(v->trap.eflags & EFLAGS_IF, "%s: the interrupted code's virtual IF is 0 in the frame", what);
	CHECK(shared_word(v, SHARED_VIF) == 0, "%s: the handler runs with virtual IF 1", what);
	CHECK((shared_word(v, SHARED_PENDING) & (1u << EVENT_RESCHED | 0xFFFF)) == left, "%s: pending events are %#x",
	      what, shared_word(v, SHARED_PENDING));
}

static void send_to_self(struct victim *v)
{
	keep_pending(v);
	EXPECT_RETURN(v, "wait_pending", .eax = HC_SEND, .ecx = VEC_RESCHED, .edi = symbol("vmm_shared"));
	uint32_t pending = shared_word(v, SHARED_PENDING);
	CHECK(pending & 1u << EVENT_RESCHED, "an event sent to this CPU is not pending (%#x)", pending);
	set_shared_word(v, SHARED_PENDING, 1u << EVENT_RESCHED);
	v->eaten |= pending & ~(1u << EVENT_RESCHED);
}

/*
 * Enable events while one, sent by this CPU to itself, is pending. A tick that comes first is kept, and all is done
 * again.
 */
static void enable(struct victim *v, const char *label)
{
	struct entry e = { .eax = HC_EVENTS, .edi = symbol("vmm_shared") };
	for (int i = 0; i < 8; i++) {
		send_to_self(v);
		CHECK(attack_at(v, place(v, label, false), &e), "%s ended the machine", label);
		if (v->trap.vector != VEC_TIMER)
			break;
		event_eaten(v);
	}
	want_event(v, VEC_RESCHED, 0, label);
}

/* Enable events while none is pending but these bits: at most the timer's tick comes. */
static void enable_none(struct victim *v, uint32_t pending)
{
	struct entry e = { .eax = HC_EVENTS, .edi = symbol("vmm_shared") };
	for (int i = 0; i < 8; i++) {
		keep_pending(v);
		set_shared_word(v, SHARED_PENDING, pending);
		CHECK(attack_at(v, place(v, "enable_hypercall", false), &e), "HC_EVENTS ended the machine");
		if (v->trap.vector != VEC_TIMER)
			break;
		event_eaten(v);
	}
	want_return(v, "HC_EVENTS with no event pending");
	set_shared_word(v, SHARED_PENDING, 0);
	keep_pending(v);
}

/*
 * 25, 30: enabling with an event pending delivers it now, once; in ring 3 it always comes; a kernel that spins is
 * interrupted.
 */
void events(struct victim *v)
{
	uint32_t shared = symbol("vmm_shared");
	enable(v, "enable_sti");
	CHECK(v->trap.eip == place(v, "enable_sti", false) + 1, "the event came at %#x, not behind STI", v->trap.eip);
	enable(v, "enable_hypercall");
	enable_none(v, 0); /* exactly once */
	set_shared_word(v, SHARED_PENDING, 1u << EVENT_RESCHED);
	EXPECT_RETURN(v, "hypercall", .eax = HC_EVENTS); /* virtual IF 0: not now */
	enable_none(v, ~((1u << NR_EVENTS) - 1));        /* what the kernel writes there is not to be trusted */
	set_shared_word(v, SHARED_PENDING, 1u << EVENT_RESCHED | 1u << 1); /* two of them: one after the other */
	struct entry e = { .eax = HC_EVENTS, .edi = shared };
	CHECK(attack_at(v, place(v, "enable_hypercall", false), &e), "HC_EVENTS ended the machine");
	want_event(v, VEC_IRQ + 1, 1u << EVENT_RESCHED, "the first of two events");
	CHECK(attack_at(v, place(v, "spin", true), &(struct entry){ .ring3 = true }),
	      "an event in ring 3 ended the machine");
	CHECK((v->trap.cs & 3) == 3 && v->trap.eip == place(v, "spin", true), "the event came at %#x", v->trap.eip);
	CHECK(v->trap.vector == VEC_RESCHED || v->trap.vector == VEC_TIMER, "vector %u in ring 3", v->trap.vector);
	event_eaten(v);
	keep_pending(v);
	uint32_t interrupts = shared_word(v, SHARED_EXITS + 4 * EXIT_INTERRUPT);
	EXPECT_RETURN(v, "wait_pending", .eax = NR_HYPERCALLS, .edi = shared); /* until the timer's tick */
	CHECK(shared_word(v, SHARED_EXITS + 4 * EXIT_INTERRUPT) != interrupts, "the VMM counted no interrupt");
	keep_pending(v);
}

/* --- arguments --- */

/*
 * 32 to 34: lists of updates have no resumable form, so: lengths, places and addresses beyond the end change nothing.
 */
static void update_arguments(struct victim *v)
{
	static const uint32_t lengths[] = { 0, VMM_UPDATE_MAX + 1, 1024, 0x40000001, 0x80000001, 0xFFFFFFFF };
	const uint32_t addresses[] = { 0,         v->user,    KERNEL_BASE - 4,      VMM_BASE - 4,
				       VMM_BASE, 0xFFFFFFFC, 0xF8000000 - PAGE_SIZE };
	uint32_t at = pte_machine(v, FREE_PAGE), data = pool_address(v, DATA_PAGE), value[3], entries[3];
	uint32_t plain = pool_mfn(v, FREE_PAGE) << PAGE_SHIFT | PTE_P;
	for (unsigned i = 0; i < COUNT(lengths); i++)
		REFUSED(v, -EINVAL, HC_UPDATE, at, lengths[i], data, 0);
	for (unsigned i = 0; i < COUNT(addresses); i++)
		REFUSED(v, -EFAULT, HC_UPDATE, at, 2, addresses[i], 0);
	for (unsigned low = 1; low < 4; low++)
		REFUSED(v, -EINVAL, HC_UPDATE, at + low, 1, 0, 0);
	REFUSED(v, -EINVAL, HC_UPDATE, (v->table << PAGE_SHIFT) + 4092, 2, data, 0);
	REFUSED(v, -EINVAL, HC_UPDATE, (v->directory << PAGE_SHIFT) + 767 * 4, 2, data, 0);
	value[0] = value[2] = plain, value[1] = v->table << PAGE_SHIFT | PTE_P | PTE_W;
	pool_write(v, DATA_PAGE, 0, value, sizeof(value));
	REFUSED(v, -EBUSY, HC_UPDATE, at, 3, data, 0); /* the second is bad: the first is undone */
	physical_read(v->m, at, entries, sizeof(entries));
	CHECK(!entries[0] && !entries[1] && !entries[2], "a refused batch left %#x %#x %#x", entries[0], entries[1],
	      entries[2]);
	value[1] = 0x0FFFF000 | PTE_P | PTE_W;
	pool_write(v, DATA_PAGE, 0, value, sizeof(value));
	REFUSED(v, -EPERM, HC_UPDATE, at, 3, data, 0);
}

/* 24: where entries from ring 3 push. */
static void stack_arguments(struct victim *v)
{
	static const uint32_t stacks[] = {
		4,          0x1000,     KERNEL_BASE, KERNEL_BASE + 124, VMM_BASE + 4, VMM_BASE + 4096,
		0xFFFFFFFC, 0xC0200001, 0xC0200002
	};
	for (unsigned i = 0; i < COUNT(stacks); i++)
		REFUSED(v, -EINVAL, HC_LOAD, 0, stacks[i], 0, 0);
	EXPECT_RETURN(v, "done", .ring3 = true); /* the right one is still in use */
}

static void block_arguments(struct victim *v)
{
	static const uint32_t lengths[] = { 1, 3, 258, 0x8000, 0x80000000, 0xFFFFFFFE };
	const uint32_t buffers[] = {
		0, v->user, VMM_BASE - 2, VMM_BASE, 0xFFFFFFFC, KERNEL_BASE - 2, pool_address(v, DATA_PAGE) + 1
	};
	for (uint32_t kind = VMM_IO_IN_BLOCK; kind <= VMM_IO_OUT_BLOCK; kind++) {
		for (unsigned i = 0; i < COUNT(lengths); i++)
			REFUSED(v, -EINVAL, HC_IO, 0x1F0, pool_address(v, DATA_PAGE), kind, lengths[i]);
		for (unsigned i = 0; i < COUNT(buffers); i++)
			REFUSED(v, -EINVAL, HC_IO, 0x1F0, buffers[i], kind, 2);
		REFUSED(v, -EFAULT, HC_IO, 0x1F0, 0xF8000000 - PAGE_SIZE, kind, 2);
	}
	uint32_t pfn, table[4], after[4], m2p = kernel_word(v->m, "m2p");
	virtual_read(v->m, v->start.cr3, m2p + 4 * v->table, &pfn, 4);
	physical_read(v->m, v->table << PAGE_SHIFT, table, sizeof(table));
	/* 13: a page table as buffer */
	REFUSED(v, -EFAULT, HC_IO, 0x1F0, KERNEL_BASE + (pfn << PAGE_SHIFT), VMM_IO_IN_BLOCK, 8);
	physical_read(v->m, v->table << PAGE_SHIFT, after, sizeof(after));
	CHECK(memcmp(table, after, sizeof(table)) == 0, "the VMM wrote to a page table for the kernel");
}

/*
 * 31 to 36: operations that there are not, and arguments out of range. Event ports are only these: lines, vectors,
 * CPUs.
 */
void arguments(struct victim *v)
{
	static const uint32_t numbers[] = { NR_HYPERCALLS, NR_HYPERCALLS + 1, 0x80000000, 0x40000000, 0xFFFFFFFF };
	static const uint32_t vectors[] = {
		0, 2, 8, VEC_IRQ, VEC_IRQ + 15, 0x82, 0xF3, 0xFF, 0x100, 0x1F0, 0xFFFFFFFF
	};
	static const uint32_t lines[] = { 16, 17, 255, 0x80000000, 0xFFFFFFFF };
	static const uint32_t statuses[] = { VMM_FAULT_STATUS, VMM_STOPPED_STATUS, 0x80, 0x10D, 0xFFFFFFFF };
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
