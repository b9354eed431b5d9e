/* SPDX-License-Identifier: MIT */
/*
 * What kernel and VMM agree on. Three ways lead into the VMM:
 *   VMM call    vmm_call() in the kernel, vmm_call_entry in the VMM: the kernel calls while it is
 *               native, in ring 0, for warm-up, the steps of attach, and to undo these
 *   hypercall   `int HYPERCALL_VECTOR` from ring 1: number in EAX, arguments in EBX, ECX, EDX,
 *               ESI. The result comes back in EAX; it is a negative errno value on error, and
 *               then the call has changed nothing. A long HC_LOAD or HC_UPDATE is done in
 *               parts: EIP stays at the INT, and interrupts are taken in between
 *   interrupt,  in ring 1 or 3: the VMM posts an interrupt as an event; it emulates or bounces an
 *   exception   exception, but some exceptions go straight to the kernel
 * A hypercall, an interrupt and an exception are exits: the domain is left for the VMM.
 * Both sides read and write one page, which the kernel owns: struct vmm_shared.
 */
#ifndef VMM_ABI_H
#define VMM_ABI_H

#include "layout.h"

#define VMM_MAGIC 0x6D6D7643
#define VMM_ABI_VERSION 5
#define HYPERCALL_VECTOR 0x82
#define VMM_MAX_CPUS 8

/*
 * The VMM's 64 MiB at VMM_BASE: its block of machine memory, mapped linearly (image, frame
 * table, page tables), at most VMM_BLOCK_MAX bytes of it; then pages that show other memory;
 * then windows.
 */
#define VMM_BLOCK_MAX 0x1FF0000
#define VMM_FRAME_BYTES 16     /* an entry of the frame table, which follows the image */
#define VMM_TABLES 16          /* page tables for the 64 MiB, at the block's end */
#define VMM_SHARED_PAGE 0x1FFD /* page numbers, counted from VMM_BASE */
#define VMM_IOAPIC_PAGE 0x1FFE
#define VMM_LAPIC_PAGE 0x1FFF

/* Statuses with which the VMM ends a run; kernel/log/log.h has the kernel's own. */
#define VMM_FAULT_STATUS 0x0D   /* the VMM itself failed */
#define VMM_STOPPED_STATUS 0x0E /* the kernel broke a rule and was stopped */
#define VMM_PANIC_STATUS 0x0F   /* the kernel panicked */
/* A failure of the three: the machine stays on, for its report to be read. */
#define VMM_FAILED(status) ((status) >= VMM_FAULT_STATUS && (status) <= VMM_PANIC_STATUS)

/*
 * VMM calls: vmm_call(op, cpu, argument). Result: 0 or a negative errno value; VMM_ACCOUNT: the
 * number of frames that have a type now. Context: ring 0, interrupts off.
 */
#define VMM_WARM_UP 0   /* struct vmm_boot *: build and account all; attach needs no more memory */
#define VMM_ACCOUNT 1   /* struct vmm_loaded *: types and counts of what these directories reach */
#define VMM_FORGET 2    /* drop all types and counts */
#define VMM_PROTECT 3   /* page-table frames become read-only, interrupt controllers are unmapped */
#define VMM_UNPROTECT 4 /* the opposite */
#define VMM_INSTALL 5   /* kernel stack: load this CPU's tables; returns in ring 1, virtual IF 0 */

/*
 * Hypercalls, with their arguments in order. Context: ring 1. HC_IDLE waits, HC_HALT does not
 * return. The domain needs a right for HC_MASK, HC_END and HC_IO, and another one for HC_SHUTDOWN
 * and HC_DETACH: without it the result is -EPERM.
 */
#define HC_UPDATE 0   /* store entries of a page table or directory: see below */
#define HC_LOAD 1     /* directory (mfn, checked if need be; 0: keep), stack (0: keep) + VMM_TS */
#define HC_RELEASE 2  /* mfn of an unused page table or directory: it becomes plain memory */
#define HC_FLUSH 3    /* address of a page, or VMM_FLUSH_ALL: TLB entries of this CPU */
#define HC_EVENTS 4   /* virtual IF was set while events are pending: deliver */
#define HC_IDLE 5     /* virtual IF := 1; returns after an event. A guest's: HC_TIMER first */
#define HC_FPU_TRAP 6 /* CR0.TS := argument */
#define HC_SHUTDOWN 7 /* end the run with a status */
#define HC_HALT 8     /* stop this CPU for ever */
#define HC_MASK 9     /* ISA line, masked */
#define HC_END 10     /* ISA line whose level-triggered interrupt is handled */
#define HC_SEND 11    /* CPU (this one, too) or VMM_OTHERS, vector: an event for it */
#define HC_TICK 12    /* frequency of VEC_TIMER in Hz, 1 to 1000, while the vCPU runs */
#define HC_IO 13      /* port, value or buffer, kind (VMM_IO_*), words: port input and output */
#define HC_DETACH 14  /* a step: VMM_UNPROTECT, VMM_PROTECT, or VMM_INSTALL: see below */
#define HC_RECOUNT 15 /* recount all types; result: differences (V7); -EBUSY beside guests */
#define HC_SHARE 16   /* make entries of a page table read-only, and copy them: see below */
#define HC_TRIM 17    /* some unused tables become plain memory; -EAGAIN: go on; -ETIMEDOUT */
/* Of domains, see domain_abi.h: */
#define HC_DOMAIN 18      /* operation (DOMAIN_*), address of a struct domain_op */
#define HC_PORT_SEND 19   /* port: an event for its peer; idempotent while pending */
#define HC_PORT_UNMASK 20 /* port: let it interrupt again, at once if it is pending */
#define HC_PORT_CLOSE 21  /* port: its peer gets a last event */
#define HC_CONSOLE_OUT 22 /* address, bytes: a guest's output */
#define HC_CONSOLE_IN 23  /* address, bytes: result: bytes that were typed */
#define HC_TIMER 24       /* low and high word of a time in ns since birth: VEC_TIMER; 0: none */
#define HC_YIELD 25       /* let other vCPUs run */
#define HC_VCPU_START 26  /* vCPU, eip, esp, argument (EAX there): start it */
#define NR_HYPERCALLS 27

/*
 * HC_UPDATE: machine address of the first entry; number of entries, 1 to VMM_UPDATE_MAX; the
 * value if there is one entry, else the address of the values; address of a page to flush,
 * VMM_FLUSH_ALL, or 0.
 */
#define VMM_TS 1 /* HC_LOAD: CR0.TS := 1, too */
#define VMM_UPDATE_MAX 64
#define VMM_FLUSH_ALL 0xFFFFFFFF
#define VMM_OTHERS 0xFFFFFFFF

/*
 * HC_SHARE: machine address of the first entry; number of entries, 1 to 1024; machine address in
 * another page table where the read-only entries are stored, too, or 0. The caller flushes.
 */

/*
 * HC_DETACH: after VMM_UNPROTECT, or VMM_INSTALL on any CPU, page tables are unchecked. Then no
 * CPU's hypercalls are served (-EPERM) but the steps of a detach and what a panic needs: HC_IO,
 * HC_SEND, HC_HALT, HC_SHUTDOWN. VMM_INSTALL returns in ring 0. VMM_PROTECT takes the detach back:
 * it recounts all tables; -EBUSY if a CPU is native, -EPERM if an entry or a count is wrong.
 */

#define VMM_IO_IN8 0 /* the value is the result */
#define VMM_IO_OUT8 1
#define VMM_IO_IN_BLOCK 2 /* words: number of 16-bit words in the buffer, even, at most 256 */
#define VMM_IO_OUT_BLOCK 3

/*
 * Events: bit numbers in vmm_shared.pending. Events 0 to 15 are ISA lines; those from EVENT_TIMER
 * on have the vectors from VEC_TIMER on, in the same order.
 */
#define EVENT_TIMER 16
#define EVENT_RESCHED 17
#define EVENT_HALT 18
#define EVENT_SWITCH 19
#define EVENT_PORT 20 /* a port that is not masked is pending: domain_abi.h */
#define NR_EVENTS 21
#define EVENT_BITS ((1u << NR_EVENTS) - 1)
#define EVENT_VECTOR(e) ((e) < EVENT_TIMER ? VEC_IRQ + (e) : VEC_TIMER + (e) - EVENT_TIMER)

#ifndef __ASSEMBLER__
#include <stdint.h>

struct vmm_header { /* at VMM_BASE */
	uint32_t magic, abi;
	int (*call)(uint32_t op, uint32_t cpu, uint32_t argument);
};

/*
 * What the VMM counts for each CPU, for /proc/vmm: exits by reason, up to EXIT_EXCEPTION; then
 * what it did: instructions emulated, frames bounced, events delivered, flushes of all TLBs.
 */
enum vmm_exit { EXIT_HYPERCALL, EXIT_PAGE_FAULT, EXIT_PROTECTION, EXIT_INTERRUPT, EXIT_EXCEPTION,
		EXIT_EMULATED, EXIT_BOUNCED, EXIT_EVENT, EXIT_FLUSHED, NR_EXITS };
#define VMM_EXIT_NAMES { "hypercall", "page-fault", "protection", "interrupt", "exception", \
	"emulated", "bounced", "event", "flushed" }

struct vmm_shared { /* one for each CPU; the VMM trusts nothing in it */
	volatile uint32_t vif;     /* virtual IF in bit 9 */
	volatile uint32_t pending; /* events */
	volatile uint32_t address; /* of the page fault that was bounced */
	uint32_t exits[NR_EXITS];  /* the VMM counts, the kernel shows */
	uint32_t unused[4];        /* fills 64 bytes */
};

struct vmm_machine { /* the machine, as the kernel found it at boot */
	uint32_t nr_cpus, nr_mfns;
	uint32_t block, block_bytes; /* machine address and size of the VMM's memory */
	uint32_t image_bytes;        /* the image's part of it, at its beginning; whole pages */
	uint32_t lapic, ioapic;      /* machine addresses */
	uint32_t lapic_hz;           /* rate of the local APIC's timer */
	uint32_t ns_multiplier;      /* ns = ticks of the TSC * ns_multiplier / 2^24 */
	uint8_t apic_id[VMM_MAX_CPUS];
	uint16_t off_port, off_value; /* what turns the machine off by ACPI; port 0: nothing */
	struct { uint32_t pin, entry; } line[16]; /* of the IOAPIC: pin, and low word, unmasked */
};

struct vmm_boot { /* argument of VMM_WARM_UP */
	struct vmm_machine machine;
	uint32_t nr_pfns;
	uint32_t directory;  /* mfn of the kernel's own; its upper part is in all others */
	uint32_t shared;     /* machine address of the page of struct vmm_shared */
	const uint64_t *idt; /* the kernel's gates: where exceptions and events go */
};

struct vmm_loaded { /* argument of VMM_ACCOUNT */
	uint32_t n, directory[VMM_MAX_CPUS]; /* mfn that is loaded on each CPU */
};
#endif
#endif
