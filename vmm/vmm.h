/* SPDX-License-Identifier: MIT */
/*
 * The VMM's data: a processor, what a domain has on a processor, and a domain.
 *
 * The VMM runs in ring 0 beneath a kernel in ring 1. It lives in the upper 64 MiB of every
 * address space. Interrupts are off in the VMM, except while it waits for one (HC_IDLE). Each
 * processor has a stack of its own; its struct cpu lies at the low end of that stack, so the
 * stack pointer names the processor.
 *
 * The VMM trusts nothing that a kernel says: hypercall arguments, the shared page, and all
 * memory of the kernel's, which may change while the VMM reads it.
 *
 * A function that takes a `struct cpu *c` runs on that processor. A function marked (lock) is
 * called with vmm_lock held; in the debug build those that other folders call assert that the
 * lock is taken. Attach needs no lock: all other CPUs wait in the kernel's rendezvous.
 */
#ifndef VMM_VMM_H
#define VMM_VMM_H

#include "abi.h"
#include "domain_abi.h"
#include "lib/lib.h"
#include "vmm/sched/turn.h"
#include "x86.h"

typedef uint32_t mfn_t;
typedef uint32_t pte_t;

#define NO_TABLE 0xFFFFFFFFu

/* The selectors of kernel and programs are those of native mode. These follow them. */
#define SEL_VMM_CODE 0x38
#define SEL_VMM_DATA 0x40
#define VMM_GDT_ENTRIES 9

#define CPU_BYTES 8192
#define DF_STACK_BYTES 1024

/*
 * The interrupted code's registers, as an entry saves them (entry.S), lowest address first.
 * esp and ss are there if the CPU came from ring 1 or 3.
 */
struct regs {
	uint32_t es, ds;                    /* pushed by `save` */
	uint32_t edi, esi, ebp, unused_esp; /* by PUSHA, with the next four */
	uint32_t ebx, edx, ecx, eax;
	uint32_t vector, error;             /* by the stub; some error codes by the CPU */
	uint32_t eip, cs, eflags, esp, ss;  /* by the CPU */
};

/*
 * What is left to do before the VMM returns to ring 1 or 3: bits of cpu.hazard. A handler does
 * not bounce, deliver or detach by itself: it sets a bit. entry.S tests the word once on each
 * way out, and hazard_handle() does what the bits ask for.
 */
#define HAZARD_FLUSH 1u   /* another CPU waits until this one has dropped its TLB entries */
#define HAZARD_BOUNCE 2u  /* the kernel handles the exception in regs.vector */
#define HAZARD_DELIVER 4u /* an event may be pending, and the kernel may take one */
#define HAZARD_DETACH 8u  /* load the kernel's own tables and return to its ring 0 */
#define HAZARD_SCHEDULE 16u /* another vCPU may be due here, or events wait in vcpu.posted */

enum run_state { RUN_READY, RUN_BLOCKED, RUN_OFFLINE };

/*
 * What a domain has on a processor. A vCPU stays on its processor for ever. What is marked
 * (queue) belongs to that processor's queue_lock.
 */
struct vcpu {
	struct domain *domain;
	struct vmm_shared *shared;
	mfn_t directory;  /* the loaded one: the frame table counts this use */
	mfn_t last_table; /* updated last; NO_TABLE after a frame of the domain lost its type */
	uint8_t index, cpu; /* its number in the domain; its processor */
	/* Its state while another vCPU's is in the processor; else old (sched/exchange.h). */
	struct regs regs;
	uint32_t fs, gs, esp1;
	bool fpu_traps; /* CR0.TS */
	/* The scheduler's. */
	volatile uint32_t posted; /* events for shared->pending, from any processor: atomic */
	volatile uint8_t run;     /* enum run_state (queue) */
	bool queued, yielded;     /* queued: it can run, and its domain does (queue) */
	struct turn turn;        /* (queue) */
	struct vcpu *timer_next; /* (queue) */
	uint64_t once_at; /* when the one-shot timer fires, 0: never (queue) */
	uint64_t tick_at; /* when the next tick is due */
	uint32_t tick_ns; /* 0: no ticks. Domain 0's are in struct cpu */
	uint64_t ready_since; /* it is queued, but does not run */
	uint64_t ran, stolen;
	uint32_t told;         /* low word of `stolen` in the record */
	struct vmm_time *time; /* its time record */
	uint32_t switches; /* how often it came to its processor */
	/* Tables that an HC_LOAD or HC_UPDATE, which may not have ended yet, has promoted. */
	uint32_t fresh_for; /* what that call is about */
	uint32_t nr_fresh, fresh_limit;
	int fresh_error; /* it failed, and its tables are plain memory again when this is 0 */
	mfn_t fresh[KERNEL_SLOT + 1]; /* more than a directory that stays the same has */
	uint8_t fpu[512] __attribute__((aligned(16))); /* old while cpu.fpu_owner is this vCPU */
};

struct cpu { /* a processor; at the low end of its stack of CPU_BYTES */
	struct vcpu *current; /* whose state is in the processor, even while it is idle */
	volatile uint32_t hazard; /* HAZARD_*; other CPUs set bits, too: atomic */
	uint32_t index;
	volatile bool attached, halted; /* other CPUs read them while they wait */
	char *window_base; /* first address of this CPU's windows (map()) */
	pte_t *windows;    /* the page table that maps the windows */
	uint32_t update[VMM_UPDATE_MAX]; /* values of HC_UPDATE, copied from the kernel once */
	struct { /* the kernel's own registers, which detach loads again */
		struct descriptor_pointer gdtr, idtr;
		uint32_t tr, dr7, sysenter_cs;
		uint32_t cr0, cr4, tpr; /* before cpu_take() */
		bool syscall;
	} native;
	struct vcpu *resident; /* domain 0's vCPU here, which takes all interrupts */
	struct vcpu *fpu_owner; /* whose FPU registers are in the processor */
	/* The scheduler's: */
	volatile uint32_t nr_guests; /* vCPUs of guests here (lock) */
	bool hosts;             /* it schedules: guests are here, or were until now */
	bool idle;
	volatile bool lets_go;  /* a domain dies whose state may be in this processor */
	volatile uint32_t queue_lock;
	struct vcpu *chosen;    /* it is current, or will be; never in cpu.run (queue) */
	struct turn run;        /* begin and end of the queued vCPUs but the chosen one (queue) */
	struct vcpu *timers;    /* by once_at (queue) */
	uint64_t since;         /* time up to this is charged */
	/* Moments: low words of times (sched.h). */
	uint32_t slice_end;     /* until then the one that runs goes on */
	uint32_t due;           /* of the first timer, or domain 0's tick; or earlier */
	uint32_t armed;         /* when VEC_TIMER comes */
	uint64_t tick_at;       /* domain 0's next tick, or NEVER */
	uint32_t tick_ns, tick_count; /* between two; of the local APIC's timer, when it is alone */
	uint64_t began, idled; /* ns; the vCPUs have run for since - began - idled (D5) */
	uint64_t ended;        /* what those ran that are no more */
	struct tss tss, df_tss; /* tss.esp1: the ring-1 stack of the vCPU that runs here */
	uint64_t gdt[VMM_GDT_ENTRIES];
};

/* Rights of a domain. */
#define RIGHT_DEVICES 1u /* I/O ports and interrupt lines */
#define RIGHT_MACHINE 2u /* end the run, detach, and build domains */

/* An entry of the kernel's own tables that is 0 while the kernel is attached. */
struct masked_mapping { mfn_t table; uint32_t index; pte_t pte; };

#define VMM_OWNER 0xFF /* the owner of frames that hold the state of guests */

struct port { /* an end of a channel between two domains (lock) */
	bool used;
	uint8_t peer; /* id of the domain at the other end; 0: it has none now */
	uint16_t number; /* of its port there */
};

struct domain {
	uint8_t id; /* the owner of its frames in the frame table: 1 for domain 0; 0 is no owner */
	volatile uint8_t state; /* enum domain_state (lock) */
	uint8_t nr_vcpus;
	uint32_t rights;
	struct guest *guest; /* what only guests have; NULL: domain 0 */
	struct shared_rest *rest; /* behind the struct vmm_shared; NULL before birth */
	struct port *ports;
	uint32_t nr_ports;
	uint64_t *idt; /* its direct gates lead to the domain's handlers */
	uint64_t born; /* ns */
	/*
	 * Whether all hypercalls are served. From the first step of a detach on the tables are
	 * unchecked, and only what belongs to the detach is.
	 */
	volatile bool served;
	uint32_t nr_pfns;
	mfn_t directory;        /* the kernel's own; its upper part is in all others */
	mfn_t shared;           /* frame with the struct vmm_shared of each vCPU */
	uint32_t handlers[256]; /* where the kernel's native gates lead */
	/* What mem/ keeps about this domain. */
	uint32_t generation; /* one more when an attach begins or is rolled back, and at detach */
	mfn_t listed;        /* frames that got a type in this generation; or END_OF_LIST */
	uint32_t nr_listed;
	mfn_t trimmed;       /* HC_TRIM goes on behind it; END_OF_LIST: at the first */
	bool trimmed_once;   /* it goes through the list for the second time */
	mfn_t direct_map_tables[VMM_SLOT - KERNEL_SLOT];
	pte_t kernel_pdes[1024 - KERNEL_SLOT]; /* what every directory has there */
	struct masked_mapping masked_mappings[4]; /* of the interrupt controllers */
	uint32_t nr_masked_mappings;
	struct vcpu vcpus[VMM_MAX_CPUS]; /* of a guest: nr_vcpus of them */
};

extern struct domain domain0;      /* the kernel that the VMM slides beneath */
extern struct domain *domains[MAX_DOMAINS + 1]; /* by id; NULL: there is none */
extern unsigned nr_guests;                      /* domains beside domain 0 (lock) */
extern struct vmm_machine machine; /* what warm-up was told of the machine */

/* The processor that runs this. Not on the stack of a double fault. */
static inline struct cpu *cpu_here(void)
{
	uint32_t esp;
	__asm__("movl %%esp, %0" : "=r"(esp));
	return (struct cpu *)(esp & ~(uint32_t)(CPU_BYTES - 1));
}

/* Set a bit in the hazard word of any CPU. Any context. */
static inline void hazard_raise(struct cpu *c, uint32_t bit)
{
	__atomic_fetch_or(&c->hazard, bit, __ATOMIC_RELEASE);
}
/* Clear bits of this CPU's own word. */
static inline void hazard_clear(struct cpu *c, uint32_t bits)
{
	__atomic_fetch_and(&c->hazard, ~bits, __ATOMIC_SEQ_CST);
}

#endif
