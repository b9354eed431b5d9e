/* SPDX-License-Identifier: MIT */
/*
 * The virtual object (VO): every sensitive operation of the kernel, as one table of functions.
 * `native_vo` does each operation on the hardware (ring 0); `virtual_vo` asks the VMM (ring 1).
 * `vo` is the table in use: a mode switch copies one of the two over it. Nothing else in the
 * kernel knows the mode.
 *
 * Each operation below tells its meaning in both modes (N: native, V: virtual) and the section
 * of the SDM, vol. 3, that describes the native instructions. Unless the comment says
 * otherwise, an operation may be called in any context, does not sleep, and concerns the CPU on
 * which it runs: a caller that could move to another CPU disables preemption first.
 */
#ifndef VO_VO_H
#define VO_VO_H

#include "log/log.h"

typedef uint32_t pfn_t; /* pseudo-physical frame number: what the kernel thinks in */
typedef uint32_t mfn_t; /* machine frame number: what page tables hold */
typedef uint32_t pte_t; /* entry of a page table or a page directory */

#define SWITCH_FPU_TRAP 1u /* VMM_TS in vmm_abi.h */
#define FLUSH_ALL 0xFFFFFFFFu /* VMM_FLUSH_ALL */

struct vo {
	struct {
		/* Load this CPU's descriptor tables, task register and control registers (2.4,
		   2.5). N: lgdt, lidt, ltr, CR0.WP, CR4. V: nothing, the VMM's are loaded.
		   Interrupts off. */
		void (*init)(unsigned cpu);
		/* For the task that runs next: esp, the stack on which this CPU's next entry
		   from user mode begins (8.2.1), and its page directory, or NULL to keep the
		   loaded one. With bit SWITCH_FPU_TRAP of esp also fpu_trap(true). N: esp0 of the
		   TSS, CR3. V: one hypercall. Preemption off. */
		void (*switch_context)(uint32_t esp, pte_t *directory);
		/* Address of the page fault that is being handled (4.7). N: CR2. V: the shared
		   page. Interrupts off since the fault. */
		uint32_t (*fault_address)(void);
		/* Whether the next FPU instruction traps with #NM (2.5). N: CR0.TS. V: the same
		   bit, by hypercall. */
		void (*fpu_trap)(bool on);
		/* Enable interrupts and wait for one; none is lost in between (vol. 2, STI,
		   HLT). Returns with interrupts on. wake: time (time.now) of the next timeout,
		   or 0. N: sti; hlt. V: a hypercall that returns after an event, in a guest,
		   which does not tick meanwhile, also at `wake`. */
		void (*idle)(uint64_t wake);
		/* Start a processor at the boot path's trampoline (9.4.4). Result: 0,
		   -ETIMEDOUT. N: INIT and two SIPIs by the local APIC. V: a hypercall, in a
		   guest only; else all processors run by then. */
		int (*start)(unsigned apic_id, uint32_t trampoline);
		/* End the emulator with a status; where there is no emulator, stop for ever.
		   N: ports 0xF4 and 0x8900, then hlt. V: hypercall. */
		void (*shutdown)(unsigned status);
		/* Stop this CPU for ever with interrupts off. N: cli; hlt. V: hypercall. */
		void (*halt)(void);
		/* Privilege level at which the kernel runs now, for reports (5.5). N: 0. V: 1. */
		unsigned (*ring)(void);
	} cpu;
	struct {
		/* Use another page directory and drop this CPU's non-global TLB entries (2.5,
		   4.10.4). N: mov to CR3. V: hypercall; the VMM checks and pins a directory at
		   its first load. */
		void (*load_directory)(mfn_t directory);
		/* Store an entry of a table or directory that may be in use (4.3). The caller
		   flushes. N: a store. V: hypercall, or a store while the VMM does not hold the
		   table. */
		void (*set_pte)(pte_t *at, pte_t value);
		/* Store n entries, 1 to 64, at consecutive places of one table. N: n stores. V: one
		   hypercall. */
		void (*set_ptes)(pte_t *at, const pte_t *values, unsigned n);
		/* Make n entries of a table read-only, and store them in another table, too; both
		   may be in use. n: 1 to 1024. The caller flushes. N: n loads and stores. V: one
		   hypercall; none for a table that the VMM does not hold. */
		void (*share_ptes)(pte_t *from, pte_t *to, unsigned n);
		/* set_ptes(), then flush_page(flush), or flush_all() if flush is FLUSH_ALL. V: one
		   hypercall for both. */
		void (*change_ptes)(pte_t *at, const pte_t *values, unsigned n, uint32_t flush);
		/* This table or directory is in no directory and on no CPU any more: it becomes
		   plain memory. N: nothing. V: hypercall, if the VMM holds it. */
		void (*release_table)(mfn_t table);
		/* Drop the TLB entry of one page (4.10.4.1). N: invlpg. V: hypercall. */
		void (*flush_page)(uint32_t address);
		/* Drop all non-global TLB entries. N: reload CR3. V: hypercall. */
		void (*flush_all)(void);
	} mmu;
	struct {
		/* Turn interrupts off. Result: flags for restore(); bit 9 says that they were on
		   (vol. 1, 3.4.3). N: pushf, cli. V: virtual IF := 0. */
		uint32_t (*save)(void);
		/* Turn interrupts on if bit 9 of flags is set, else off. N: sti or cli. V:
		   virtual IF := bit 9; if it is 1 and events are pending, a hypercall takes
		   them. */
		void (*restore)(uint32_t flags);
		/* The last act of an interrupt handler that returns to code with these flags.
		   Result: 0, or the vector of an interrupt that has come meanwhile; the caller
		   handles it, too, so that interrupts in a row need one frame. N: 0, IRET loads
		   IF. V: an event that is pending is taken, else as restore(), because in ring 1
		   IRET does not load IF (vol. 2, IRET). */
		unsigned (*leave)(uint32_t flags);
		/* Turn interrupts off. N: cli. V: virtual IF := 0. */
		void (*disable)(void);
		/* Turn interrupts on. N: sti. V: as restore(), with bit 9 set. */
		void (*enable)(void);
		/* Whether interrupts are on. N: EFLAGS.IF. V: virtual IF. */
		bool (*enabled)(void);
		/* Prepare the interrupt controllers, with all lines masked. Interrupts off. N:
		   PICs silent, IOAPIC (boot CPU), this CPU's local APIC (11.4). V: nothing. */
		void (*init)(unsigned cpu);
		/* Let an ISA line interrupt the boot CPU, or mask it (82093AA, 3.2.4). N: IOAPIC
		   entry. V: hypercall. */
		void (*mask)(unsigned line, bool masked);
		/* The interrupt with this vector is handled (11.8.5). N: EOI register. V: a
		   level-triggered line is let through again by hypercall; other events need
		   nothing. */
		void (*end)(unsigned vector);
		/*
		 * Interrupt a CPU (this one, too), or all others with IPI_OTHERS (11.6). N: ICR.
		 * V: hypercall; for this CPU a store to the shared page.
		 */
		void (*send)(unsigned cpu, unsigned vector);
	} irq;
	struct {
		/* Tick this CPU hz times a second with VEC_TIMER (11.5.4). N: the local APIC's
		   timer. V: the same timer, whose rate a hypercall sets. */
		void (*start_tick)(unsigned hz);
		/* Nanoseconds since boot, never going back on one CPU (18.17). N and V: the
		   time-stamp counter, scaled. */
		uint64_t (*now)(void);
	} time;
	struct {
		/* Port input and output (vol. 1, 19.3). N: in, out. V: hypercall. */
		uint8_t (*in8)(uint16_t port);
		void (*out8)(uint16_t port, uint8_t value);
		/* n 16-bit words (even, at most 256) from or to a data port. N: rep insw, rep
		   outsw. V: hypercall. */
		void (*in16_block)(uint16_t port, void *to, unsigned n);
		void (*out16_block)(uint16_t port, const void *from, unsigned n);
	} io;
};

/* All operations: DO(group, op) for each, in the table's order. */
#define VO_OPERATIONS(DO) \
	DO(cpu, init) DO(cpu, switch_context) DO(cpu, fault_address) DO(cpu, fpu_trap) \
	DO(cpu, idle) DO(cpu, start) DO(cpu, shutdown) DO(cpu, halt) DO(cpu, ring) \
	DO(mmu, load_directory) DO(mmu, set_pte) DO(mmu, set_ptes) DO(mmu, share_ptes) \
	DO(mmu, change_ptes) DO(mmu, release_table) DO(mmu, flush_page) \
	DO(mmu, flush_all) \
	DO(irq, save) DO(irq, restore) DO(irq, leave) DO(irq, disable) DO(irq, enable) \
	DO(irq, enabled) DO(irq, init) DO(irq, mask) DO(irq, end) DO(irq, send) \
	DO(time, start_tick) DO(time, now) \
	DO(io, in8) DO(io, out8) DO(io, in16_block) DO(io, out16_block)
#define VO_DECLARE(group, op) extern __typeof__(*((struct vo *)0)->group.op) native_##group##_##op;
VO_OPERATIONS(VO_DECLARE)

#define IPI_OTHERS 0xFFFFFFFF
#define NR_VO_OPS (sizeof(struct vo) / sizeof(void *))
_Static_assert(sizeof(struct vo) <= 40 * sizeof(void *), "the VO has at most 40 operations");

extern struct vo vo;                          /* in use */
extern const struct vo native_vo, virtual_vo; /* native.c, virtual.c */

/*
 * A mode switch never happens in the middle of an operation, and no task is preempted inside
 * one. The switch and the scheduler decide this by the interrupted EIP: the text between
 * vo_text_start and vo_text_end holds the operations of native.c, native_irq.c, virtual.c and
 * irq.S, and the last instructions of a return to the kernel (entry.S). VO_INTERRUPTIBLE marks an
 * operation outside of that text: where it can be interrupted, nothing of it is left to do.
 */
extern char vo_text_start[], vo_text_end[];
static inline bool vo_in_text(uint32_t eip)
{
	return eip - (uint32_t)(uintptr_t)vo_text_start < (uint32_t)(vo_text_end - vo_text_start);
}
#define VO_INTERRUPTIBLE __attribute__((section(".text.interruptible")))

/*
 * VO(group, op)(arguments) - how the kernel calls an operation. Do not call a function inside
 * the arguments: the compiler could load the operation's pointer first, and the mode could
 * change during that call (tools/check-vo proves that no pointer is kept). The debug build
 * counts calls for /proc/vo. VO=static binds the native operations at compile time, to measure
 * what the table costs; such a kernel cannot change its mode.
 */
#ifdef VO_STATIC
#define VO_IS_STATIC 1
#else
#define VO_IS_STATIC 0
#endif
#if VO_IS_STATIC
#define VO(group, op) native_##group##_##op
#elif defined(DEBUG)
extern uint32_t vo_calls[NR_VO_OPS];
#define VO_COUNT(index) __atomic_fetch_add(&vo_calls[index], 1, __ATOMIC_RELAXED)
#define VO(group, op) \
	(*(VO_COUNT(offsetof(struct vo, group.op) / sizeof(void *)), &vo.group.op))
#else
#define VO(group, op) vo.group.op
#endif

/*
 * vo_hold, vo_release - the use count of this CPU: while it is above zero, the mode must not
 * change there, because a value that was read or computed in one mode is about to be used
 * (`quiesce` waits). Preemption is off in between. Nests. Context: any.
 */
extern uint32_t vo_uses[];
void vo_hold(void);
void vo_release(void);

/*
 * vo_show - /proc/vo: a line for each operation, "group.op calls" in table order ("-" where
 * calls are not counted). Result: length, as snprintf. Context: process.
 */
int vo_show(char *buf, size_t size);

#endif
