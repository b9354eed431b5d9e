/* SPDX-License-Identifier: MIT */
/*
 * Inside of the VMM. It runs in ring 0 beneath a kernel in ring 1, in the upper 64 MiB of every address space, with
 * interrupts off; each CPU has a stack with its state at the low end, so the stack pointer names the CPU.
 *
 * Nothing that the kernel says is trusted: hypercall arguments, the shared page, and its memory, which may change while it
 * is read. A function that takes `struct cpu *` runs on that CPU; those marked (lock) are called with vmm_lock held.
 */
#ifndef VMM_VMM_H
#define VMM_VMM_H

#include "abi.h"
#include "lib/lib.h"
#include "vmm_abi.h"
#include "x86.h"

typedef uint32_t mfn_t;
typedef uint32_t pte_t;

#define KERNEL_SLOT (KERNEL_BASE >> 22)
#define VMM_SLOT (VMM_BASE >> 22)

/* Selectors: the kernel's and the programs' as in native mode, ours behind them. */
#define SEL_VMM_CODE 0x38
#define SEL_VMM_DATA 0x40
#define VMM_GDT_ENTRIES 9

/* What a stub in entry.S leaves on the stack. esp and ss are there if the CPU came from ring 1 or 3. */
struct regs {
	uint32_t es, ds, edi, esi, ebp, unused_esp, ebx, edx, ecx, eax, vector, error, eip, cs, eflags, esp, ss;
};

struct cpu { /* at the low end of its stack of CPU_BYTES */
	uint32_t index;
	struct vmm_shared *shared;
	mfn_t directory;               /* loaded; counted in the frame table */
	volatile uint32_t flush_wanted; /* another CPU waits until we have dropped our TLB entries */
	bool attached, halted;
	mfn_t table;                   /* the last table that was updated; NO_TABLE since a type was dropped */
	pte_t *windows;                /* page table of map()'s addresses */
	char *window_base;
	uint32_t update[VMM_UPDATE_MAX]; /* hypercall arguments, copied once */
	pte_t old[VMM_UPDATE_MAX];       /* what they replace */
	struct { struct descriptor_pointer gdtr, idtr; uint32_t tr, dr7, sysenter_cs; } native; /* for detach */
	struct tss tss, df_tss;
	uint64_t gdt[VMM_GDT_ENTRIES];
};
#define CPU_BYTES 8192
#define DF_STACK_BYTES 1024

extern struct vmm_boot boot;     /* what warm-up was told */
extern volatile uint32_t vmm_lock_word;

static inline struct cpu *this_cpu(void)
{
	uint32_t esp;
	__asm__("movl %%esp, %0" : "=r"(esp));
	return (struct cpu *)(esp & ~(uint32_t)(CPU_BYTES - 1));
}
struct cpu *cpu_of(unsigned index);

/* --- cpu.c: descriptor tables, TLB, the lock --- */
void cpus_warm_up(void);
/* Load this CPU's tables; the interrupted kernel's are kept for cpu_restore(). */
void cpu_install(struct cpu *c, uint32_t kernel_stack);
/* Load the kernel's own tables again and return to its ring 0 behind the hypercall. */
void cpu_restore(struct cpu *c, struct regs *r) __attribute__((noreturn));
void flush_local(void); /* all TLB entries, global ones too */
/* The same on all CPUs. Others are waited for; one that itself waits for vmm_lock serves the request there. */
void flush_everywhere(struct cpu *c);
void flush_served(struct cpu *c);
void vmm_lock_wait(struct cpu *c);
static inline void vmm_lock(struct cpu *c)
{
	if (unlikely(__atomic_exchange_n(&vmm_lock_word, 1, __ATOMIC_ACQUIRE)))
		vmm_lock_wait(c);
}
static inline void vmm_unlock(void) { __atomic_store_n(&vmm_lock_word, 0, __ATOMIC_RELEASE); }

/* --- frames.c: who may use each machine frame how --- */
void frames_warm_up(struct cpu *c);
/* A machine frame in this CPU's window; valid until the next map() of the same kind. */
enum window { WINDOW_TABLE, WINDOW_DIRECTORY, WINDOW_HOME, NR_WINDOWS };
void *map(struct cpu *c, mfn_t mfn, enum window kind);
/* Account what these directories reach (attach). Result: 0, -EPERM, -EBUSY, -EINVAL; then forget what was done. */
int frames_account(struct cpu *c, const struct vmm_loaded *loaded);
void frames_forget(void);
void frames_protect(struct cpu *c, bool protect);
uint32_t frames_recount(struct cpu *c);
bool frame_is_protected(struct cpu *c, uint32_t address); /* a kernel address: does its page hold a table? */
/* Hypercalls HC_UPDATE, HC_LOAD, HC_RELEASE (lock). */
int frames_update(struct cpu *c, uint32_t machine, const pte_t *values, unsigned n);
int frames_load(struct cpu *c, mfn_t directory);
int frames_release(struct cpu *c, mfn_t mfn);

/* --- traps.c: exits --- */
void traps_warm_up(void);
extern uint64_t vmm_idt[256];
/* Let the kernel handle a vector as if the hardware had delivered it: a frame on its stack, and its handler next. */
void bounce(struct cpu *c, struct regs *r, unsigned vector);
/* If virtual IF is set and an event is pending, bounce it. */
void deliver(struct cpu *c, struct regs *r);

/* --- irq.c: interrupt controllers --- */
void irq_arrived(struct cpu *c, unsigned vector);
int irq_mask(unsigned line, bool masked);
int irq_end(unsigned line);
int irq_send(unsigned cpu, unsigned vector);
void irq_send_raw(unsigned cpu, unsigned vector);
int irq_tick(unsigned hz);
void irq_reinject(struct cpu *c); /* detach: pending events become interrupts of the hardware again */

/* --- hypercall.c --- */
void hypercall_handle(struct regs *r);
/* Copy between the kernel's memory and ours. Result: 0; -EFAULT outside of kernel space, or where nothing is mapped so. */
int copy_from_kernel(void *to, uint32_t from, uint32_t bytes);
int copy_to_kernel(uint32_t to, const void *from, uint32_t bytes);

/* --- report.c: the ends --- */
void vmm_printk(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The kernel broke a rule: report and end the run with VMM_STOPPED_STATUS. */
void stop_kernel(struct regs *r, const char *rule, uint32_t detail) __attribute__((noreturn));
/* The VMM itself failed. */
void vmm_fault(struct regs *r, const char *what) __attribute__((noreturn));
void end_run(unsigned status) __attribute__((noreturn, noipa)); /* noipa: debuggers find the argument in EAX */

#endif
