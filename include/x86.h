/* SPDX-License-Identifier: MIT */
/*
 * What the processor defines: control bits, descriptors, exceptions (SDM vol. 3); and the
 * selectors and interrupt vectors that we choose in its tables. For C and assembly.
 */
#ifndef X86_H
#define X86_H

/* EFLAGS (SDM vol. 1, 3.4.3) */
#define EFLAGS_CF 0x1
#define EFLAGS_FIXED 0x2 /* always reads 1 */
#define EFLAGS_TF 0x100
#define EFLAGS_IF 0x200
#define EFLAGS_DF 0x400
#define EFLAGS_IOPL 0x3000
#define EFLAGS_NT 0x4000
#define EFLAGS_VM 0x20000
#define EFLAGS_AC 0x40000

/* Control registers (SDM vol. 3, 2.5) */
#define CR0_PE 0x1
#define CR0_MP 0x2
#define CR0_EM 0x4
#define CR0_TS 0x8
#define CR0_NE 0x20
#define CR0_WP 0x10000
#define CR0_AM 0x40000
#define CR0_PG 0x80000000
#define CR4_PSE 0x10
#define CR4_PGE 0x80
#define CR4_OSFXSR 0x200
#define CR4_OSXMMEXCPT 0x400

/* Page-table entries (SDM vol. 3, 4.3) */
#define PTE_P 0x1
#define PTE_W 0x2
#define PTE_U 0x4
#define PTE_PWT 0x8
#define PTE_PCD 0x10
#define PTE_A 0x20
#define PTE_D 0x40
#define PTE_PS 0x80
#define PTE_G 0x100
#define PTE_AVL 0xE00 /* ignored by the processor, for software */
#define PAGE_SHIFT 12
#define PAGE_SIZE 4096
#define PAGE_MASK 0xFFFFF000

/* Page-fault error code (SDM vol. 3, 4.7) */
#define PF_PRESENT 0x1
#define PF_WRITE 0x2
#define PF_USER 0x4

/*
 * Selectors, equal in both modes. In virtual mode the descriptors are the VMM's: the kernel's
 * segments have DPL 1, and no segment of ring 1 or 3 reaches the VMM (docs/machine.md).
 */
#define SEL_KCODE 0x08
#define SEL_KDATA 0x10
#define SEL_UCODE 0x1B
#define SEL_UDATA 0x23
#define SEL_TSS 0x28
#define SEL_DF_TSS 0x30 /* the double-fault handler's task */
#define GDT_ENTRIES 7

/* Exceptions (SDM vol. 3, 6.3) and the interrupt vectors that we choose */
#define VEC_DE 0
#define VEC_DB 1
#define VEC_NMI 2
#define VEC_BP 3
#define VEC_OF 4
#define VEC_BR 5
#define VEC_UD 6
#define VEC_NM 7
#define VEC_DF 8
#define VEC_TS 10
#define VEC_NP 11
#define VEC_SS 12
#define VEC_GP 13
#define VEC_PF 14
#define VEC_MF 16
#define VEC_AC 17
#define VEC_MC 18
#define VEC_XM 19
#define VEC_EXCEPTIONS 32
#define VEC_IRQ 0x20      /* ISA interrupt line n arrives at VEC_IRQ + n */
#define NR_IRQ 16
#define VEC_TIMER 0xEF    /* this CPU's tick */
#define VEC_RESCHED 0xF0  /* IPI: a task is ready */
#define VEC_HALT 0xF1     /* IPI: stop for ever, because of a panic */
#define VEC_SWITCH 0xF2   /* IPI: join a mode switch */
#define VEC_PORT 0xF3     /* event: a port of the domain's is pending */
/* IPI of the VMM to its other CPUs: look at the hazard word. It may still arrive after detach. */
#define VEC_FLUSH 0xF4
#define VEC_SPURIOUS 0xFF
/* Exceptions for which the CPU pushes an error code, as bits (SDM vol. 3, 6.13) */
#define ERROR_CODES (1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17)

#ifndef __ASSEMBLER__
#include <stdint.h>

struct descriptor_pointer { /* operand of LGDT and LIDT */
	uint16_t limit;
	uint32_t base;
} __attribute__((packed));

struct tss { /* SDM vol. 3, 8.2.1 */
	uint16_t link, r0;
	uint32_t esp0;
	uint16_t ss0, r1;
	uint32_t esp1;
	uint16_t ss1, r2;
	uint32_t esp2;
	uint16_t ss2, r3;
	uint32_t cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint16_t es, r4, cs, r5, ss, r6, ds, r7, fs, r8, gs, r9, ldt, r10, trap, iomap;
};
_Static_assert(sizeof(struct tss) == 104, "TSS layout");

/*
 * A descriptor of a 32-bit code or data segment: base; limit, the number of pages less one;
 * type with the S bit; DPL (SDM vol. 3, 3.4.5).
 */
#define DESCRIPTOR(base, limit, type, dpl) \
	((uint64_t)((limit) & 0xFFFF) | (uint64_t)((base) & 0xFFFFFF) << 16 | \
	 (uint64_t)(type) << 40 | (uint64_t)(dpl) << 45 | (uint64_t)1 << 47 | \
	 (uint64_t)(((limit) >> 16) & 0xF) << 48 | (uint64_t)0xC << 52 | \
	 (uint64_t)((uint32_t)(base) >> 24) << 56)
/* Types. The accessed bit is preset, so that loading a selector does not write the GDT. */
#define SEG_CODE 0x1B /* S, code, readable, accessed */
#define SEG_DATA 0x13 /* S, data, writable, accessed */

/* The descriptor of an available 32-bit TSS, byte granular, DPL 0 (SDM vol. 3, 8.2.2) */
static inline uint64_t tss_descriptor(const struct tss *t)
{
	return DESCRIPTOR((uint32_t)(uintptr_t)t, sizeof(*t) - 1, 0x09, 0) & ~((uint64_t)0xC << 52);
}

/*
 * A gate of the IDT (SDM vol. 3, 6.11). offset: entry point, 0 for a task gate; selector: of
 * its code segment, or of the TSS; type: GATE_; dpl: the outermost ring that may use it by INT.
 */
#define GATE_INTERRUPT 0xE
#define GATE_TRAP 0xF
#define GATE_TASK 0x5
static inline uint64_t gate(uint32_t offset, unsigned selector, unsigned type, unsigned dpl)
{
	return (offset & 0xFFFF) | (uint64_t)selector << 16 |
	       (uint64_t)(0x80 | dpl << 5 | type) << 40 | (uint64_t)(offset >> 16) << 48;
}
#endif
#endif
