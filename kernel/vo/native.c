/* SPDX-License-Identifier: MIT */
/*
 * The native VO: processor, MMU and ports. Each function is one privileged instruction and the few
 * around it. vo.h has the contracts.
 */
#include "vo/native.h"
#include "dev/dev.h"
#include "mm/vm.h"
#include "proc/task.h"
#include "trap/trap.h"

#define CPUID_PGE (1u << 13)
#define CPUID_FXSR (1u << 24)
#define CPUID_SSE (1u << 25)

extern uint64_t idt[256];           /* one for all CPUs */
extern const uint32_t trap_stubs[]; /* pairs: vector, address (entry.S) */
extern const uint32_t trap_stubs_count;
extern char syscall_entry[], double_fault_entry[];

uint64_t idt[256];
static struct cpu_tables {
	uint64_t gdt[GDT_ENTRIES];
	struct tss tss, df_tss;
} tables[MAX_CPUS] __attribute__((aligned(64)));

/* --- cpu --- */

static void fill_idt(void)
{
	for (unsigned i = 0; i < trap_stubs_count; i++) {
		unsigned vector = trap_stubs[2 * i];
		unsigned dpl = vector == VEC_BP || vector == VEC_OF ? 3 : 0;
		idt[vector] = gate(trap_stubs[2 * i + 1], SEL_KCODE, GATE_INTERRUPT, dpl);
	}
	idt[VEC_DF] = gate(0, SEL_DF_TSS, GATE_TASK, 0);
	idt[SYSCALL_VECTOR] = gate((uint32_t)syscall_entry, SEL_KCODE, GATE_TRAP, 3);
}

/*
 * A double fault is a hardware task switch to a stack of its own, because the old stack may be the
 * cause (SDM vol. 3, 6.12.2). The stack begins with a struct task, so that current() works there.
 */
static void fill_double_fault(struct cpu_tables *c, unsigned cpu)
{
	pfn_t pfn = frame_alloc(TASK_STACK_ORDER);
	ASSERT(pfn != NO_FRAME);
	struct task *t = memset(pfn_to_virt(pfn), 0, sizeof(*t));
	t->cpu = cpu;
	t->preempt = 1;
	c->df_tss = (struct tss){
		.esp0 = (uint32_t)t + TASK_STACK_BYTES, .ss0 = SEL_KDATA,
		.cr3 = pfn_to_mfn(virt_to_pfn(kernel_directory)) << PAGE_SHIFT,
		.eip = (uint32_t)double_fault_entry,
		.eflags = EFLAGS_FIXED, .esp = (uint32_t)t + TASK_STACK_BYTES - 16,
		.es = SEL_KDATA, .cs = SEL_KCODE, .ss = SEL_KDATA, .ds = SEL_KDATA,
		.iomap = sizeof(struct tss),
	};
}

static void set_control_registers(void)
{
	uint32_t eax = 1, ebx, ecx, edx, cr0, cr4;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	__asm__ volatile("movl %%cr4, %0" : "=r"(cr4));
	cr4 |= CR4_PSE | (edx & CPUID_PGE ? CR4_PGE : 0) | (edx & CPUID_FXSR ? CR4_OSFXSR : 0) |
	       (edx & CPUID_SSE ? CR4_OSXMMEXCPT : 0);
	__asm__ volatile("movl %0, %%cr4" : : "r"(cr4));
	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
	cr0 = (cr0 | CR0_WP | CR0_NE | CR0_MP | CR0_TS | CR0_AM) & ~(uint32_t)CR0_EM;
	__asm__ volatile("movl %0, %%cr0" : : "r"(cr0));
}

void native_cpu_init(unsigned cpu)
{
	struct cpu_tables *c = &tables[cpu];
	if (cpu == 0)
		fill_idt();
	c->gdt[SEL_KCODE / 8] = DESCRIPTOR(0, 0xFFFFF, SEG_CODE, 0);
	c->gdt[SEL_KDATA / 8] = DESCRIPTOR(0, 0xFFFFF, SEG_DATA, 0);
	/* Programs' segments end below the VMM, as in virtual mode: an EIP beyond the limit
	   would make the IRET after an attach fault. */
	c->gdt[SEL_UCODE / 8] = DESCRIPTOR(0, (VMM_BASE >> PAGE_SHIFT) - 1, SEG_CODE, 3);
	c->gdt[SEL_UDATA / 8] = DESCRIPTOR(0, (VMM_BASE >> PAGE_SHIFT) - 1, SEG_DATA, 3);
	c->gdt[SEL_TSS / 8] = tss_descriptor(&c->tss);
	c->gdt[SEL_DF_TSS / 8] = tss_descriptor(&c->df_tss);
	c->tss = (struct tss){ .ss0 = SEL_KDATA, .esp0 = (uint32_t)current() + TASK_STACK_BYTES,
			       .iomap = sizeof(struct tss) };
	fill_double_fault(c, cpu);
	struct descriptor_pointer gdtr = { sizeof(c->gdt) - 1, (uint32_t)c->gdt };
	struct descriptor_pointer idtr = { sizeof(idt) - 1, (uint32_t)idt };
	__asm__ volatile("lgdt %0\n"
			 "lidt %1\n"
			 "ljmpl %2, $1f\n"
			 "1: movl %3, %%ds\n"
			 "movl %3, %%es\n"
			 "movl %3, %%fs\n"
			 "movl %3, %%gs\n"
			 "movl %3, %%ss\n"
			 "ltr %w4\n"
			 "lldt %w5"
			 : : "m"(gdtr), "m"(idtr), "i"(SEL_KCODE), "r"(SEL_KDATA), "r"(SEL_TSS),
			     "r"(0) : "memory");
	set_control_registers();
}

/* The double fault's task gate leads here; the interrupted task's registers are in its TSS. */
void native_double_fault(void)
{
	const struct tss *t = &tables[this_cpu()].tss;
	struct trap_frame regs = {
		.ds = t->ds, .es = t->es, .edi = t->edi, .esi = t->esi, .ebp = t->ebp,
		.ebx = t->ebx, .edx = t->edx, .ecx = t->ecx, .eax = t->eax, .vector = VEC_DF,
		.eip = t->eip, .cs = t->cs, .eflags = t->eflags, .esp = t->esp, .ss = t->ss,
	};
	trap_panic(&regs, vo.cpu.fault_address());
}

void native_cpu_switch_context(uint32_t esp, pte_t *directory)
{
	tables[this_cpu()].tss.esp0 = esp & ~SWITCH_FPU_TRAP;
	if (esp & SWITCH_FPU_TRAP)
		native_cpu_fpu_trap(true);
	if (directory)
		native_mmu_load_directory(pfn_to_mfn(virt_to_pfn(directory)));
}

uint32_t native_cpu_fault_address(void)
{
	uint32_t address;
	__asm__ volatile("movl %%cr2, %0" : "=r"(address));
	return address;
}

void native_cpu_fpu_trap(bool on)
{
	uint32_t cr0;
	if (!on) {
		__asm__ volatile("clts");
		return;
	}
	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("movl %0, %%cr0" : : "r"(cr0 | CR0_TS));
}

VO_INTERRUPTIBLE void native_cpu_idle(uint64_t wake)
{
	(void)wake;
	__asm__ volatile("sti; hlt" : : : "memory");
}

void native_cpu_halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" : : : "memory");
}

void native_cpu_shutdown(unsigned status)
{
	/* QEMU's isa-debug-exit; then Bochs; then ACPI. */
	__asm__ volatile("outl %0, %1" : : "a"(status), "Nd"((uint16_t)0xF4));
	for (const char *s = "Shutdown"; *s; s++)
		native_io_out8(0x8900, (uint8_t)*s);
	if (topology.off_port && status != PANIC_STATUS) /* a panic is to be read */
		__asm__ volatile("outw %0, %1"
				 : : "a"(topology.off_value), "Nd"(topology.off_port));
	native_cpu_halt();
}

unsigned native_cpu_ring(void)
{
	uint32_t cs;
	__asm__ volatile("movl %%cs, %0" : "=r"(cs));
	return cs & 3;
}

/* --- mmu --- */

void native_mmu_load_directory(mfn_t directory)
{
	__asm__ volatile("movl %0, %%cr3" : : "r"(directory << PAGE_SHIFT) : "memory");
}

void native_mmu_set_pte(pte_t *at, pte_t value) { *(volatile pte_t *)at = value; }

void native_mmu_set_ptes(pte_t *at, const pte_t *values, unsigned n)
{
	memcpy(at, values, n * sizeof(pte_t));
}

void native_mmu_share_ptes(pte_t *from, pte_t *to, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		to[i] = from[i] &= ~(pte_t)PTE_W;
}

void native_mmu_release_table(mfn_t table) { (void)table; }

void native_mmu_flush_page(uint32_t address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

void native_mmu_flush_all(void)
{
	uint32_t cr3;
	__asm__ volatile("movl %%cr3, %0; movl %0, %%cr3" : "=r"(cr3) : : "memory");
}

void native_mmu_change_ptes(pte_t *at, const pte_t *values, unsigned n, uint32_t flush)
{
	for (unsigned i = 0; i < n; i++)
		at[i] = values[i];
	if (flush == FLUSH_ALL)
		native_mmu_flush_all();
	else
		native_mmu_flush_page(flush);
}

/* --- irq: this processor's flag --- */

uint32_t native_irq_save(void)
{
	uint32_t flags;
	__asm__ volatile("pushfl; popl %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

unsigned native_irq_leave(uint32_t flags)
{
	(void)flags;
	return 0;
}

void native_irq_disable(void) { __asm__ volatile("cli" : : : "memory"); }

bool native_irq_enabled(void)
{
	uint32_t flags;
	__asm__ volatile("pushfl; popl %0" : "=r"(flags));
	return flags & EFLAGS_IF;
}

/* --- io --- */

uint8_t native_io_in8(uint16_t port)
{
	uint8_t v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

void native_io_out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

void native_io_in16_block(uint16_t port, void *to, unsigned n)
{
	__asm__ volatile("rep insw" : "+D"(to), "+c"(n) : "d"(port) : "memory");
}

void native_io_out16_block(uint16_t port, const void *from, unsigned n)
{
	__asm__ volatile("rep outsw" : "+S"(from), "+c"(n) : "d"(port) : "memory");
}

#define NATIVE(group, op) .group.op = native_##group##_##op,
const struct vo native_vo = { VO_OPERATIONS(NATIVE) };
