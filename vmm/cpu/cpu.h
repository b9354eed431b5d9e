/* SPDX-License-Identifier: MIT */
/*
 * The processor: its tables, the lock, its TLB, its local APIC, copies from and to the kernel's
 * memory.
 */
#ifndef VMM_CPU_H
#define VMM_CPU_H

#include "vmm/vmm.h"

union cpu_stack { struct cpu cpu; char bytes[CPU_BYTES]; };
extern union cpu_stack vmm_cpus[VMM_MAX_CPUS];
/* The state of processor `index`. */
static inline struct cpu *cpu_of(unsigned index) { return &vmm_cpus[index].cpu; }

extern uint64_t vmm_idt[256];     /* its direct gates lead to domain 0's handlers */
extern pte_t vmm_directory[1024]; /* maps the VMM's part only; loaded by a double fault */
extern volatile uint32_t vmm_lock_word;

/* cpu.c: descriptor tables */

/* cpus_warm_up - fill GDT and TSS of each CPU, and the VMM's directory. Context: warm-up. */
void cpus_warm_up(void);
/*
 * cpu_install - load this CPU's own tables, and keep the kernel's for cpu_restore().
 * kernel_stack: ring 1's stack for entries from ring 3. Context: ring 0 of the native kernel,
 * interrupts off.
 */
void cpu_install(struct cpu *c, uint32_t kernel_stack);
/* cpu_restore - load the kernel's own tables again. Context: detach, on the way out of the VMM. */
void cpu_restore(struct cpu *c);

/* inherit.c: state that the native kernel leaves in the machine (docs/vmm.md has all of it) */

/*
 * Look which registers this CPU has, and which devices could write memory. Result: why that does
 * not do, or NULL. Context: warm-up.
 */
const char *inherit_warm_up(void);
/* cpu_take - set what the VMM relies on, and note the kernel's. Before cpu_install(). */
void cpu_take(struct cpu *c);
/* cpu_give_back - undo cpu_take(). After cpu_restore(). */
void cpu_give_back(struct cpu *c);
/* devices_quiet - no device writes to memory any more; the kernel has no driver of such a one. */
void devices_quiet(void);

/* lock.c: one lock, for the frame table and the IOAPIC; and the TLBs of all CPUs */

/* vmm_lock_wait - vmm_lock() when another CPU has the lock; serves TLB flushes meanwhile. */
void vmm_lock_wait(struct cpu *c);
/* vmm_lock, vmm_unlock - take and release the lock. Does not nest. Context: interrupts off. */
static inline void vmm_lock(struct cpu *c)
{
	if (unlikely(__atomic_exchange_n(&vmm_lock_word, 1, __ATOMIC_ACQUIRE)))
		vmm_lock_wait(c);
}
static inline void vmm_unlock(void) { __atomic_store_n(&vmm_lock_word, 0, __ATOMIC_RELEASE); }
#ifdef DEBUG
#define VMM_ASSERT(x) do { if (unlikely(!(x))) vmm_panic(#x); } while (0)
#else
#define VMM_ASSERT(x) ((void)0)
#endif
#define VMM_ASSERT_LOCKED() VMM_ASSERT(vmm_lock_word)

/* What CPUID says of `leaf` in EDX. Result: EAX. */
static inline uint32_t cpuid(uint32_t leaf, uint32_t *edx)
{
	uint32_t ebx, ecx;
	__asm__ volatile("cpuid" : "+a"(leaf), "=b"(ebx), "=c"(ecx), "=d"(*edx));
	return leaf;
}

static inline uint32_t read_cr3(void)
{
	uint32_t cr3;
	__asm__ volatile("movl %%cr3, %0" : "=r"(cr3));
	return cr3;
}
/* Drop all TLB entries of this CPU, global ones too. */
void flush_local(void);
/* flush_serve - if another CPU wants this one's TLB flushed, flush it and say so. */
void flush_serve(struct cpu *c);
/*
 * flush_everywhere - drop all TLB entries of this CPU and of all other attached CPUs, but for
 * halted ones, and wait until that is done. A CPU that waits for vmm_lock serves the request
 * there. (lock)
 */
void flush_everywhere(struct cpu *c);
/* Do so, but wait for a few million looks at most. Result: whether it is done. (lock) */
bool flush_is_answered(struct cpu *c);
/* freeze_others - keep the other attached CPUs in the VMM, or let them go on. (lock) */
void freeze_others(struct cpu *c, bool freeze);

/* apic.c: this CPU's local APIC (SDM vol. 3, chapter 11) */

/* Interrupt processor `cpu` with a vector. */
void apic_send(unsigned cpu, unsigned vector);
#define LAPIC ((volatile uint32_t *)(VMM_BASE + VMM_LAPIC_PAGE * PAGE_SIZE))
/* Whether an interrupt with this vector, 0 to 255, is being served (has no EOI yet). */
bool apic_serves(unsigned vector);
/* Signal the end of the interrupt that this CPU took (EOI). */
void apic_end(void);
/* Set how often VEC_TIMER interrupts this CPU: 1 to 1000 times a second. Result: 0, -EINVAL. */
int apic_tick(unsigned hz);

/* copy.c: the kernel's memory, where a page can be missing */

/* Whether [address, address + bytes) lies in kernel space. */
static inline bool kernel_range(uint32_t address, uint32_t bytes)
{
	return address >= KERNEL_BASE && address < VMM_BASE && bytes <= VMM_BASE - address;
}
/* Result: words left undone; a word of copy_words() has 32 bits, of the other two 16. */
uint32_t copy_words(void *to, const void *from, uint32_t words);
uint32_t in_words(void *to, uint32_t port, uint32_t words);
uint32_t out_words(void *from, uint32_t port, uint32_t words);
/*
 * copy_from_kernel, copy_to_kernel - copy whole words; bytes is a multiple of 4. Result: 0;
 * -EFAULT if the range is not in kernel space (then nothing is copied), or if a page of it is
 * not mapped, or is to be written and read-only (then the words below it are copied).
 */
static inline int copy_from_kernel(void *to, uint32_t from, uint32_t bytes)
{
	bool copied = kernel_range(from, bytes) && !copy_words(to, (const void *)from, bytes / 4);
	return copied ? 0 : -EFAULT;
}
static inline int copy_to_kernel(uint32_t to, const void *from, uint32_t bytes)
{
	bool copied = kernel_range(to, bytes) && !copy_words((void *)to, from, bytes / 4);
	return copied ? 0 : -EFAULT;
}
/*
 * copy_fault - if a page fault in ring 0 comes from such a copy, change r so that the copy ends
 * with an error. Result: whether it does.
 */
bool copy_fault(struct regs *r);

/* report.c: how a run ends. Reports go to COM1. */

void vmm_printk(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* report_kernel - tell which rule the kernel that runs here broke, and where. */
void report_kernel(const struct regs *r, const char *rule, uint32_t detail);
/* vmm_fault - the VMM itself failed: report, and end the run with VMM_FAULT_STATUS. */
void vmm_fault(struct regs *r, const char *what) __attribute__((noreturn));
/* end_run - end the emulator with a status. noipa: debuggers find the argument in EAX. */
void end_run(unsigned status) __attribute__((noreturn, noipa));
/*
 * vmm_panic - the VMM itself failed, in `what`: report, and end the run with VMM_FAULT_STATUS.
 * Takes its argument on the stack, from C and from assembly.
 */
void vmm_panic(const char *what) __attribute__((noreturn, regparm(0)));

#endif
