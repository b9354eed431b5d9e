/* SPDX-License-Identifier: MIT */
/*
 * Each CPU's descriptor tables in virtual mode. The kernel's code and data segments keep their
 * indices but get DPL 1, and all segments but the VMM's own end below the VMM. Accessed bits are
 * preset, so no segment load ever writes a table.
 */
#include "vmm/cpu/cpu.h"

#define CPUID_SEP (1u << 11)
#define MSR_SYSENTER_CS 0x174 /* SYSENTER lands in ring 0, or faults if this is 0 (SDM vol. 2) */
#define DR7_OFF 0x400         /* no breakpoint; bit 10 always reads 1 (SDM vol. 3, 17.2.4) */
#define TSS_BUSY ((uint64_t)2 << 40)

pte_t vmm_directory[1024] __attribute__((aligned(PAGE_SIZE)));
uint64_t vmm_idt[256];

extern char vmm_double_fault_entry[];
static char df_stacks[VMM_MAX_CPUS][DF_STACK_BYTES];
static bool has_sysenter;

/* The machine address of an object of the VMM's: its memory is mapped linearly. */
static uint32_t machine_address(const void *own)
{
	return machine.block + (uint32_t)own - VMM_BASE;
}

/*
 * Fill the GDT and the TSS of one CPU, which are all zero.
 *
 * Exercise 2.1 (labs/02-deprivilege/handout.md, 3.1): given c. Result: the GDT has the segments
 * of the table in the handout, each at its selector's index, with accessed bits 1, and nothing
 * else. The TSS says where entries to ring 0 begin and which stack segment entries to ring 1 get,
 * and that there is no I/O bitmap. It must not name another CPU's memory; esp1 belongs to
 * exercise 2.3. (SDM vol. 3, 3.4.5, 8.2.1, 8.2.2)
 */
static void fill_tables(struct cpu *c)
{
	/* LAB 2 TODO 1 BEGIN quiet */
	const uint32_t limit = VMM_BASE / PAGE_SIZE - 1;
	c->gdt[SEL_KCODE / 8] = DESCRIPTOR(0, limit, SEG_CODE, 1);
	c->gdt[SEL_KDATA / 8] = DESCRIPTOR(0, limit, SEG_DATA, 1);
	c->gdt[SEL_UCODE / 8] = DESCRIPTOR(0, limit, SEG_CODE, 3);
	c->gdt[SEL_UDATA / 8] = DESCRIPTOR(0, limit, SEG_DATA, 3);
	c->gdt[SEL_TSS / 8] = tss_descriptor(&c->tss);
	c->gdt[SEL_DF_TSS / 8] = tss_descriptor(&c->df_tss);
	c->gdt[SEL_VMM_CODE / 8] = DESCRIPTOR(0, 0xFFFFF, SEG_CODE, 0);
	c->gdt[SEL_VMM_DATA / 8] = DESCRIPTOR(0, 0xFFFFF, SEG_DATA, 0);
	c->tss = (struct tss){ .ss0 = SEL_VMM_DATA, .esp0 = (uint32_t)c + CPU_BYTES,
			       .ss1 = SEL_KDATA | 1,
			       .iomap = sizeof(struct tss) };
	/* LAB 2 TODO 1 END */
}

/*
 * A double fault switches to a task of its own (SDM vol. 3, 6.12.2, 8.2.1): to a stack of its
 * own, because the old one may be bad, and to vmm_directory, because this TSS is filled once,
 * and domains' directories come and go.
 */
static void fill_df_tss(struct cpu *c)
{
	c->df_tss = (struct tss){
		.cr3 = machine_address(vmm_directory), .eip = (uint32_t)vmm_double_fault_entry,
		.eflags = EFLAGS_FIXED, .esp = (uint32_t)&df_stacks[c->index + 1] - 4,
		.es = SEL_VMM_DATA, .cs = SEL_VMM_CODE, .ss = SEL_VMM_DATA, .ds = SEL_VMM_DATA,
		.iomap = sizeof(struct tss),
	};
}

void cpus_warm_up(void)
{
	uint32_t edx;
	cpuid(1, &edx);
	has_sysenter = edx & CPUID_SEP;
	for (unsigned i = 0; i < machine.nr_cpus; i++) {
		cpu_of(i)->index = i;
		fill_tables(cpu_of(i));
		fill_df_tss(cpu_of(i));
	}
	uint32_t tables = machine.block + machine.block_bytes - VMM_TABLES * PAGE_SIZE;
	for (unsigned i = 0; i < VMM_TABLES; i++)
		vmm_directory[VMM_SLOT + i] = (tables + i * PAGE_SIZE) | PTE_P | PTE_W | PTE_A;
}

static void write_sysenter_cs(uint32_t value)
{
	if (has_sysenter)
		__asm__ volatile("wrmsr" : : "c"(MSR_SYSENTER_CS), "a"(value), "d"(0));
}

static uint32_t read_sysenter_cs(void)
{
	uint32_t value = 0, high;
	if (has_sysenter)
		__asm__ volatile("rdmsr" : "=a"(value), "=d"(high) : "c"(MSR_SYSENTER_CS));
	return value;
}

/*
 * Go from the kernel's tables, which are noted in c->native, to this CPU's own.
 *
 * Exercise 2.3 (labs/02-deprivilege/handout.md, 4.1): given c and kernel_stack; interrupts are
 * off, CPL is 0. Result: the CPU uses c->gdt, vmm_idt and c->tss, and entries from ring 3 to ring
 * 1 begin at kernel_stack; nothing that the kernel had in LDTR, DR7, SYSENTER_CS or the TLB is
 * left. All this also holds the second time, and on each CPU. The segment registers must not
 * change. (SDM vol. 3, 2.4, 8.2.2, 8.2.4)
 */
void cpu_install(struct cpu *c, uint32_t kernel_stack)
{
	struct descriptor_pointer gdtr = { sizeof(c->gdt) - 1, (uint32_t)c->gdt };
	struct descriptor_pointer idtr = { sizeof(vmm_idt) - 1, (uint32_t)vmm_idt };
	__asm__ volatile("sgdt %0; sidt %1; str %2; movl %%dr7, %3"
			 : "=m"(c->native.gdtr), "=m"(c->native.idtr), "=r"(c->native.tr),
			   "=r"(c->native.dr7));
	c->native.sysenter_cs = read_sysenter_cs();
	/* LAB 2 TODO 3 BEGIN */
	c->tss.esp1 = kernel_stack;
	c->gdt[SEL_TSS / 8] &= ~TSS_BUSY;
	__asm__ volatile("lgdt %0; lidt %1; ltr %w2; lldt %w3; movl %4, %%dr7"
			 : : "m"(gdtr), "m"(idtr), "r"(SEL_TSS), "r"(0), "r"(DR7_OFF) : "memory");
	write_sysenter_cs(0);
	flush_local();
	/* LAB 2 TODO 3 END */
	c->current->shared->vif = 0;
	c->current->shared->pending = 0;
	c->hazard = 0; /* a plain store: other CPUs set bits of attached CPUs only */
	c->attached = true;
}

/*
 * Undo cpu_install(). Afterwards the CPU still runs the VMM in ring 0: the hidden parts of its
 * segment registers keep the VMM's segments, although the loaded GDT is the kernel's.
 *
 * Exercise 3.10 (labs/03-switch/handout.md, 5.2): given c->native. Result: GDTR, IDTR, TR, DR7
 * and SYSENTER_CS are the noted ones, LDTR is null, and no TLB entry of virtual mode stays, not
 * even a global one. LTR takes an available TSS and makes it busy (SDM vol. 3, 8.2.2); the
 * kernel's TSS is still marked busy in the kernel's GDT.
 */
void cpu_restore(struct cpu *c)
{
	/* LAB 3 TODO 10 BEGIN */
	uint64_t *tss = (uint64_t *)(c->native.gdtr.base + (c->native.tr & ~7u));
	*tss &= ~TSS_BUSY;
	__asm__ volatile("lgdt %0; lidt %1; ltr %w2; lldt %w3; movl %4, %%dr7"
			 : : "m"(c->native.gdtr), "m"(c->native.idtr), "r"(c->native.tr), "r"(0),
			     "r"(c->native.dr7) : "memory");
	write_sysenter_cs(c->native.sysenter_cs);
	flush_local();
	/* LAB 3 TODO 10 END */
	c->attached = false;
}
