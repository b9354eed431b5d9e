/* SPDX-License-Identifier: MIT */
/*
 * The virtual VO: in ring 1 each operation is a store to the page that kernel and VMM share, or
 * a hypercall. A table that the VMM does not hold yet (its home is still writable) is plain
 * memory: the kernel writes it, and the VMM checks it before the hardware first uses it.
 *
 * No task leaves its CPU within these functions (preempt_check in proc/sched.c), so shared()
 * stays this CPU's.
 */
#include "vo/virtual.h"
#include "mm/frame.h"
#include "proc/task.h"

/* A page: struct shared_rest (domain_abi.h) follows the entries of the CPUs. */
struct vmm_shared vmm_shared[PAGE_SIZE / sizeof(struct vmm_shared)]
	__attribute__((aligned(PAGE_SIZE)));

extern char smp_entry_guest[]; /* boot/trampoline.S */

static struct vmm_shared *shared(void) { return &vmm_shared[this_cpu()]; }

/* A refusal is a bug of the kernel's: it cannot go on. */
static void must(int error, const char *what)
{
	if (unlikely(error))
		panic("the VMM refuses to %s (error %d)", what, error);
}

/* The entry that maps this address in the direct map. It tells the mfn, and who may write. */
static inline pte_t home(const pte_t *at) { return direct_map[virt_to_pfn(at)]; }

/* Whether the VMM holds the table or directory of this entry. */
static inline bool held(const pte_t *at) { return !(home(at) & PTE_W); }

/* --- cpu --- */

static void virtual_cpu_init(unsigned cpu) { (void)cpu; }

/*
 * Hide the tables of a directory that the VMM does not hold yet: each is checked when it is first
 * used (mm/fault.c), and not all of them at this load.
 */
static void __attribute__((noinline)) hide_entries(pte_t *entries)
{
	for (unsigned i = 0; i < KERNEL_SLOT; i++)
		entries[i] &= ~(pte_t)PTE_P;
}

static void __attribute__((noinline)) switch_slowly(uint32_t esp, pte_t *directory)
{
	if (directory && !held(directory))
		hide_entries(directory);
	mfn_t mfn = directory ? home(directory) >> PAGE_SHIFT : 0;
	must(hypercall2(HC_LOAD, mfn, esp), "load a page directory");
}

static void virtual_cpu_switch_context(uint32_t esp, pte_t *directory)
{
	pte_t pte = directory ? home(directory) : 0;
	if (unlikely(pte & PTE_W) || unlikely(hypercall2(HC_LOAD, pte >> PAGE_SHIFT, esp)))
		switch_slowly(esp, directory);
}

static uint32_t virtual_cpu_fault_address(void) { return shared()->address; }

static void virtual_cpu_fpu_trap(bool on) { hypercall2(HC_FPU_TRAP, on, 0); }

VO_INTERRUPTIBLE static void virtual_cpu_idle(uint64_t wake)
{
	hypercall2(HC_IDLE, (uint32_t)wake, (uint32_t)(wake >> 32));
}

static int virtual_cpu_start(unsigned apic_id, uint32_t trampoline)
{
	return (void)trampoline, hypercall(HC_VCPU_START, apic_id, (uint32_t)smp_entry_guest, 0, 0);
}

static void virtual_cpu_halt(void)
{
	for (;;)
		hypercall2(HC_HALT, 0, 0);
}

static void virtual_cpu_shutdown(unsigned status)
{
	hypercall2(HC_SHUTDOWN, status, 0);
	virtual_cpu_halt();
}

static unsigned virtual_cpu_ring(void) { return 1; }

/* --- mmu --- */

static uint32_t machine_of(const pte_t *at)
{
	return (home(at) & PAGE_MASK) | ((uint32_t)at & ~PAGE_MASK);
}

/*
 * The rare case: the VMM does not hold the table, or does not hold it any more, because a CPU that
 * wants to detach has just let the VMM drop it (HC_TRIM). Any other refusal is a bug.
 */
static void __attribute__((noinline)) change_plain(pte_t *at, const pte_t *values, unsigned n,
						   uint32_t flush)
{
	if (held(at))
		panic("the VMM refuses to update a page table");
	memcpy(at, values, n * sizeof(pte_t));
	if (flush)
		hypercall2(HC_FLUSH, flush, 0);
}

/* flush: as for HC_UPDATE. */
static inline void change(pte_t *at, const pte_t *values, unsigned n, uint32_t flush)
{
	uint32_t value = n == 1 ? *values : (uint32_t)values;
	if (unlikely(!held(at)) || unlikely(hypercall(HC_UPDATE, machine_of(at), n, value, flush)))
		change_plain(at, values, n, flush);
}

static void virtual_mmu_set_pte(pte_t *at, pte_t value) { change(at, &value, 1, 0); }

static void virtual_mmu_set_ptes(pte_t *at, const pte_t *values, unsigned n)
{
	change(at, values, n, 0);
}

static void virtual_mmu_change_ptes(pte_t *at, const pte_t *values, unsigned n, uint32_t flush)
{
	change(at, values, n, flush);
}

static void virtual_mmu_share_ptes(pte_t *from, pte_t *to, unsigned n)
{
	while (held(from)) {
		uint32_t copy = held(to) ? machine_of(to) : 0;
		int error = hypercall(HC_SHARE, machine_of(from), n, copy, 0);
		if (error && (!held(from) || (copy && !held(to)))) /* as in change_plain() */
			continue;
		must(error, "share page tables");
		if (!copy)
			memcpy(to, from, n * sizeof(pte_t));
		return;
	}
	for (unsigned i = 0; i < n; i++) /* not held, and `to` changes a part at a time */
		from[i] &= ~(pte_t)PTE_W;
	for (unsigned done = 0, part; done < n; done += part) {
		part = MIN(n - done, VMM_UPDATE_MAX);
		virtual_mmu_set_ptes(to + done, from + done, part);
	}
}

static void virtual_mmu_load_directory(mfn_t directory)
{
	switch_slowly(0, pfn_to_virt(mfn_to_pfn(directory)));
}

static void virtual_mmu_release_table(mfn_t table)
{
	const pte_t *entries = pfn_to_virt(mfn_to_pfn(table));
	if (held(entries) && hypercall2(HC_RELEASE, table, 0) && held(entries))
		panic("the VMM does not release page table %#x", table);
}

static void virtual_mmu_flush_page(uint32_t address) { hypercall2(HC_FLUSH, address, 0); }

static void virtual_mmu_flush_all(void) { hypercall2(HC_FLUSH, FLUSH_ALL, 0); }

/* --- irq --- */

/*
 * Turn interrupts off.
 *
 * Exercise 2.5 (labs/02-deprivilege/handout.md, 5.1): given this CPU's shared page. Result: the
 * earlier virtual IF, in bit 9; virtual IF is 0. No instruction may trap, and the real IF must
 * stay 1.
 */
static uint32_t virtual_irq_save(void)
{
	/* LAB 2 TODO 5 BEGIN */
	struct vmm_shared *s = shared();
	uint32_t flags = s->vif;
	s->vif = 0;
	return flags;
	/* LAB 2 TODO 5 END */
}

/*
 * Turn interrupts on or off, and take the events that came while they were off.
 *
 * Exercise 2.6 (labs/02-deprivilege/handout.md, 5.2): given flags. Result: the word of virtual IF
 * has bit 9 of flags, and no other bit. If virtual IF is 1 now and an event is pending, the last
 * act is to ask for it (virtual_irq_take_events); else there is no exit. An event may become
 * pending between any two instructions: none must be missed.
 */
static void virtual_irq_restore(uint32_t flags)
{
	/* LAB 2 TODO 6 BEGIN */
	struct vmm_shared *s = shared();
	s->vif = flags & EFLAGS_IF;
	if (flags & EFLAGS_IF && unlikely(s->pending))
		virtual_irq_take_events(); /* a jump: nothing is left to do here */
	/* LAB 2 TODO 6 END */
}

static void virtual_irq_disable(void) { shared()->vif = 0; }

static void virtual_irq_enable(void) { virtual_irq_restore(EFLAGS_IF); }

static unsigned virtual_irq_leave(uint32_t flags)
{
	struct vmm_shared *s = shared();
	uint32_t events;
	while (flags & EFLAGS_IF) {
		s->vif = 0;
		events = s->pending & EVENT_BITS;
		if (events) {
			unsigned event = (unsigned)__builtin_ctz(events);
			/* One instruction: the VMM sets bits of this CPU's word at any time. */
			__asm__ volatile("btrl %1, %0" : "+m"(s->pending) : "r"(event));
			return EVENT_VECTOR(event);
		}
		s->vif = EFLAGS_IF;
		if (!(s->pending & EVENT_BITS))
			break;
	}
	return 0;
}

static bool virtual_irq_enabled(void) { return shared()->vif; }

static void virtual_irq_mask(unsigned line, bool masked)
{
	hypercall2(HC_MASK, line, masked);
}

static void virtual_irq_end(unsigned vector)
{
	if (vector >= VEC_IRQ && vector < VEC_IRQ + NR_IRQ && topology.isa[vector - VEC_IRQ].level)
		hypercall2(HC_END, vector - VEC_IRQ, 0);
}

static void virtual_irq_send(unsigned cpu, unsigned vector)
{
	struct vmm_shared *s = shared();
	if (cpu != this_cpu()) {
		hypercall2(HC_SEND, cpu, vector);
		return;
	}
	/* An event for this CPU. One instruction: see virtual_irq_leave(). */
	__asm__ volatile("btsl %1, %0"
			 : "+m"(s->pending) : "r"(vector - VEC_TIMER + EVENT_TIMER));
	if (s->vif)
		virtual_irq_take_events();
}

/* --- time --- */

static void virtual_time_start_tick(unsigned hz) { hypercall2(HC_TICK, hz, 0); }

/* --- io --- */

static uint8_t virtual_io_in8(uint16_t port)
{
	return (uint8_t)hypercall(HC_IO, port, 0, VMM_IO_IN8, 0);
}

static void virtual_io_out8(uint16_t port, uint8_t value)
{
	hypercall(HC_IO, port, value, VMM_IO_OUT8, 0);
}

static void virtual_io_in16_block(uint16_t port, void *to, unsigned n)
{
	hypercall(HC_IO, port, (uint32_t)to, VMM_IO_IN_BLOCK, n);
}

static void virtual_io_out16_block(uint16_t port, const void *from, unsigned n)
{
	hypercall(HC_IO, port, (uint32_t)from, VMM_IO_OUT_BLOCK, n);
}

/* Operations that another function serves. */
static void virtual_irq_init(unsigned cpu) __attribute__((alias("virtual_cpu_init")));
static uint64_t virtual_time_now(void) { return native_time_now(); }

#define VIRTUAL(group, op) .group.op = virtual_##group##_##op,
const struct vo virtual_vo = { VO_OPERATIONS(VIRTUAL) };
