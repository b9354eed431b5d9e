/* SPDX-License-Identifier: MIT */
/*
 * Each CPU's descriptor tables in virtual mode. The kernel's code and data segments keep their indices but get DPL 1, and
 * all segments but the VMM's own end below the VMM. Accessed bits are preset, so no segment load ever writes a table.
 */
#include "vmm.h"

#define CPUID_SEP (1u << 11)
#define MSR_SYSENTER_CS 0x174 /* 0: SYSENTER faults; it would land in ring 0 (SDM vol. 2, SYSENTER) */
#define TSS_AVAILABLE 0x09
#define TSS_BUSY ((uint64_t)2 << 40)

union cpu_stack { struct cpu cpu; char bytes[CPU_BYTES]; };
union cpu_stack vmm_cpus[VMM_MAX_CPUS] __attribute__((aligned(CPU_BYTES)));
_Static_assert(sizeof(struct cpu) <= CPU_BYTES - 4096, "leaves 4 KiB of stack");

extern char double_fault_entry[];
static char df_stacks[VMM_MAX_CPUS][DF_STACK_BYTES];
static bool has_sysenter;

volatile uint32_t vmm_lock_word;

struct cpu *cpu_of(unsigned index) { return &vmm_cpus[index].cpu; }

static uint64_t tss_descriptor(const struct tss *t)
{
	return DESCRIPTOR((uint32_t)t, sizeof(*t) - 1, TSS_AVAILABLE, 0) & ~((uint64_t)0xC << 52);
}

/*
 * Lab 2, exercise 1: c->gdt and c->tss of one CPU, which are all zero (SDM vol. 3, 3.4.5, 8.2.1, 8.2.3).
 * GDT: at the selectors' indices the kernel's code and data, DPL 1; the programs', DPL 3; c->tss and c->df_tss as available
 * TSSes (tss_descriptor); the VMM's own code and data, DPL 0, all 4 GiB. The first four begin at 0 and end with the last byte
 * below VMM_BASE. DESCRIPTOR takes a limit in pages; all accessed bits are 1. Nothing else is in the table.
 * TSS: entries to ring 0 begin at the end of this CPU's CPU_BYTES, on the VMM's data segment; those to ring 1 on the kernel's.
 * There is no I/O bitmap: its base lies beyond the segment's limit. esp1 is exercise 3's, df_tss is done below.
 */
static void fill(struct cpu *c, unsigned index)
{
	c->index = index;
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
	c->tss = (struct tss){ .ss0 = SEL_VMM_DATA, .esp0 = (uint32_t)c + CPU_BYTES, .ss1 = SEL_KDATA | 1,
			       .iomap = sizeof(struct tss) }; /* no port for anybody: docs/vmm.md says why */
	/* LAB 2 TODO 1 END */
	c->df_tss = (struct tss){
		.cr3 = boot.directory << PAGE_SHIFT, .eip = (uint32_t)double_fault_entry, .eflags = EFLAGS_FIXED,
		.esp = (uint32_t)&df_stacks[index + 1] - 4, .es = SEL_VMM_DATA, .cs = SEL_VMM_CODE, .ss = SEL_VMM_DATA,
		.ds = SEL_VMM_DATA, .iomap = sizeof(struct tss),
	};
}

void cpus_warm_up(void)
{
	uint32_t eax = 1, ebx, ecx, edx;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	has_sysenter = edx & CPUID_SEP;
	for (unsigned i = 0; i < boot.nr_cpus; i++)
		fill(cpu_of(i), i);
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

void flush_local(void) /* SDM vol. 3, 4.10.4.1: a change of CR4.PGE drops global entries, too */
{
	uint32_t cr4;
	__asm__ volatile("movl %%cr4, %0" : "=r"(cr4));
	if (cr4 & CR4_PGE) {
		__asm__ volatile("movl %0, %%cr4; movl %1, %%cr4" : : "r"(cr4 & ~(uint32_t)CR4_PGE), "r"(cr4) : "memory");
	} else {
		__asm__ volatile("movl %%cr3, %0; movl %0, %%cr3" : "=&r"(cr4) : : "memory");
	}
}

/*
 * Lab 2, exercise 3: from the kernel's tables, which `native` keeps for detach, to ours (SDM vol. 3, 2.4, 8.2.4, 4.10.4.1).
 * On return: GDTR, IDTR and TR hold c->gdt, vmm_idt and c->tss; LDTR is null; DR7 is 0x400 (all breakpoints off) and
 * SYSENTER_CS 0 (write_sysenter_cs); entries from ring 3 to ring 1 begin at kernel_stack; this CPU's TLB holds nothing, global
 * entries included (flush_local), for page tables have become read-only in memory since. This also holds when it is
 * done again: an earlier LTR left our TSS marked busy. Interrupts are off, CPL is 0, the segment registers are left alone.
 */
void cpu_install(struct cpu *c, uint32_t kernel_stack)
{
	struct descriptor_pointer gdtr = { sizeof(c->gdt) - 1, (uint32_t)c->gdt };
	struct descriptor_pointer idtr = { sizeof(vmm_idt) - 1, (uint32_t)vmm_idt };
	__asm__ volatile("sgdt %0; sidt %1; str %2; movl %%dr7, %3"
			 : "=m"(c->native.gdtr), "=m"(c->native.idtr), "=r"(c->native.tr), "=r"(c->native.dr7));
	c->native.sysenter_cs = read_sysenter_cs();
	/* LAB 2 TODO 3 BEGIN */
	c->tss.esp1 = kernel_stack;
	c->gdt[SEL_TSS / 8] &= ~TSS_BUSY;
	__asm__ volatile("lgdt %0; lidt %1; ltr %w2; lldt %w3; movl %4, %%dr7"
			 : : "m"(gdtr), "m"(idtr), "r"(SEL_TSS), "r"(0), "r"(0x400) : "memory");
	write_sysenter_cs(0);
	flush_local();
	/* LAB 2 TODO 3 END */
	c->shared->vif = 0;
	c->shared->pending = 0;
	c->flush_wanted = 0;
	c->attached = true;
}

/*
 * What cpu_install() loaded, the other way: GDT, IDT, TSS and DR7 as kept in c->native, an empty LDT, SYSENTER_CS, and no TLB entry of
 * virtual mode stays, not even a global one. LTR takes an available TSS and makes it busy (SDM vol. 3, 8.2.2); the kernel's is
 * still marked busy in its GDT. What follows the exercise returns to the kernel's ring 0.
 */
void cpu_restore(struct cpu *c, struct regs *r)
{
	/* LAB 3 TODO 10 BEGIN */
	uint64_t *tss = (uint64_t *)(c->native.gdtr.base + (c->native.tr & ~7u));
	*tss &= ~TSS_BUSY;
	__asm__ volatile("lgdt %0; lidt %1; ltr %w2; lldt %w3; movl %4, %%dr7"
			 : : "m"(c->native.gdtr), "m"(c->native.idtr), "r"(c->native.tr), "r"(0), "r"(c->native.dr7) : "memory");
	write_sysenter_cs(c->native.sysenter_cs);
	flush_local();
	/* LAB 3 TODO 10 END */
	c->attached = false;
	r->eax = 0;
	/* Ring 0 of the kernel: its stack and segments, the registers as the hypercall found them. */
	__asm__ volatile("movl %0, %%edi\n"
			 "movl %1, %%ecx\n"
			 "movl %%ecx, %%ds\n"
			 "movl %%ecx, %%es\n"
			 "movl %%ecx, %%fs\n"
			 "movl %%ecx, %%gs\n"
			 "movl %c[esp](%%edi), %%eax\n"
			 "movl %%ecx, %%ss\n"
			 "movl %%eax, %%esp\n"
			 "pushl %c[eflags](%%edi)\n"
			 "andl $~0x200, (%%esp)\n"
			 "pushl %[cs]\n"
			 "pushl %c[eip](%%edi)\n"
			 "movl %c[ebp](%%edi), %%ebp\n"
			 "movl %c[ebx](%%edi), %%ebx\n"
			 "movl %c[esi](%%edi), %%esi\n"
			 "movl %c[edx](%%edi), %%edx\n"
			 "movl %c[ecx](%%edi), %%ecx\n"
			 "movl %c[edi](%%edi), %%edi\n"
			 "xorl %%eax, %%eax\n"
			 "iretl"
			 : : "r"(r), "i"(SEL_KDATA), [cs] "i"(SEL_KCODE), [esp] "i"(offsetof(struct regs, esp)),
			   [eflags] "i"(offsetof(struct regs, eflags)), [eip] "i"(offsetof(struct regs, eip)),
			   [ebp] "i"(offsetof(struct regs, ebp)), [ebx] "i"(offsetof(struct regs, ebx)),
			   [esi] "i"(offsetof(struct regs, esi)), [edx] "i"(offsetof(struct regs, edx)),
			   [ecx] "i"(offsetof(struct regs, ecx)), [edi] "i"(offsetof(struct regs, edi)) : "memory");
	__builtin_unreachable();
}

/* --- one CPU at a time, and all TLBs --- */

void flush_served(struct cpu *c)
{
	if (c->flush_wanted) {
		flush_local();
		__atomic_store_n(&c->flush_wanted, 0, __ATOMIC_RELEASE);
	}
}

void vmm_lock_wait(struct cpu *c)
{
	do
		while (vmm_lock_word) {
			flush_served(c);
			__asm__ volatile("pause");
		}
	while (__atomic_exchange_n(&vmm_lock_word, 1, __ATOMIC_ACQUIRE));
}

void flush_everywhere(struct cpu *c)
{
	flush_local();
	c->shared->exits[EXIT_FLUSHED]++;
	for (unsigned i = 0; i < boot.nr_cpus; i++) {
		struct cpu *o = cpu_of(i);
		if (o == c || !o->attached || o->halted)
			continue;
		__atomic_store_n(&o->flush_wanted, 1, __ATOMIC_RELEASE);
		irq_send_raw(i, VEC_FLUSH);
	}
	for (unsigned i = 0; i < boot.nr_cpus; i++)
		while (i != c->index && cpu_of(i)->attached && !cpu_of(i)->halted && cpu_of(i)->flush_wanted)
			__asm__ volatile("pause");
}
