/* SPDX-License-Identifier: MIT */
/*
 * Domain 0, the kernel that the VMM slides beneath. Its vCPUs are the processors: vCPU i runs
 * on CPU i. All that an attach needs is made here, once, while the kernel boots and is trusted.
 */
#include "vmm/domain/domain.h"
#include "vmm/mem/frames.h"

/* The windows fill the upper half of the VMM's 64 MiB: 1024 pages for each CPU. */
#define WINDOWS 0x2000000u /* offset of the first CPU's windows */

extern const uint32_t vmm_stubs[]; /* pairs: vector, address (entry.S) */
extern const uint32_t vmm_stubs_count;
extern char hypercall_entry[];

static struct port ports[CONTROL_PORTS];

/*
 * Map what is not the VMM's own memory: the interrupt controllers and the shared page. Give each
 * CPU its windows, its vCPU and its part of the shared page.
 */
static void map_warm_up(const struct vmm_boot *boot)
{
	uint32_t end = VMM_BASE + machine.block_bytes;
	pte_t *tables = (pte_t *)(end - VMM_TABLES * PAGE_SIZE);
	const pte_t flags = PTE_P | PTE_W | PTE_A | PTE_D | PTE_G;
	tables[VMM_LAPIC_PAGE] = machine.lapic | flags | PTE_PCD;
	tables[VMM_IOAPIC_PAGE] = machine.ioapic | flags | PTE_PCD;
	tables[VMM_SHARED_PAGE] = boot->shared | flags;
	struct vmm_shared *shared = (struct vmm_shared *)(VMM_BASE + VMM_SHARED_PAGE * PAGE_SIZE);
	domain0.rest = (struct shared_rest *)((char *)shared + SHARED_REST);
	for (unsigned i = 0; i < machine.nr_cpus; i++) {
		struct cpu *c = cpu_of(i);
		c->windows = tables + (WINDOWS >> PAGE_SHIFT) + i * 1024;
		c->window_base = (char *)(VMM_BASE + WINDOWS) + i * 1024 * PAGE_SIZE;
		c->current = &domain0.vcpus[i];
		c->current->domain = &domain0;
		c->current->shared = &shared[i];
		c->current->fresh_limit = NO_LIMIT;
		c->current->index = c->current->cpu = (uint8_t)i;
		c->resident = c->fpu_owner = c->current;
		sched_warm_up(c);
	}
}

static uint32_t gate_offset(uint64_t g)
{
	return (uint32_t)(g & 0xFFFF) | (uint32_t)(g >> 48) << 16;
}

/*
 * Fill vmm_idt, which is all zero, and note the kernel's handlers (SDM vol. 3, 6.11, 6.12.1).
 *
 * Exercise 2.2 (labs/02-deprivilege/handout.md, 3.2): given handlers, and vmm_stubs, which has
 * vmm_stubs_count pairs of vector and address. Result: system calls and the exceptions that you
 * choose are direct, which means that they lead to the kernel's handler in ring 1 and leave the
 * real IF alone. All other vectors with a stub enter the VMM there, with interrupts off. By INT a
 * program raises VEC_BP, VEC_OF and SYSCALL_VECTOR, and must not raise any other. VEC_DF and
 * HYPERCALL_VECTOR are set after the exercise.
 */
static void idt_warm_up(uint32_t handlers[256], const uint64_t *native_idt)
{
	for (unsigned v = 0; v < 256; v++)
		handlers[v] = gate_offset(native_idt[v]);
	/* LAB 2 TODO 2 BEGIN quiet */
	/*
	 * The kernel's stack may be bad. A second fault during the delivery must then be no double
	 * fault, so no contributory exception is here (SDM vol. 3, table 6-4). VEC_DE is one.
	 */
	static const uint8_t direct[] = { VEC_BP, VEC_OF, VEC_UD, VEC_NM, VEC_MF, VEC_XM,
					  SYSCALL_VECTOR };
	/*
	 * Trap gates, because through an interrupt gate the real IF would stay 0 in ring 1
	 * (6.12.1.2).
	 */
	for (unsigned i = 0; i < vmm_stubs_count; i++)
		vmm_idt[vmm_stubs[2 * i]] =
			gate(vmm_stubs[2 * i + 1], SEL_VMM_CODE, GATE_INTERRUPT, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(direct); i++) {
		unsigned v = direct[i];
		unsigned dpl = v == VEC_BP || v == VEC_OF || v == SYSCALL_VECTOR ? 3 : 0;
		vmm_idt[v] = gate(handlers[v], SEL_KCODE | 1, GATE_TRAP, dpl);
	}
	/* LAB 2 TODO 2 END */
	vmm_idt[VEC_DF] = gate(0, SEL_DF_TSS, GATE_TASK, 0);
	vmm_idt[HYPERCALL_VECTOR] =
		gate((uint32_t)hypercall_entry, SEL_VMM_CODE, GATE_INTERRUPT, 1);
}

void copy_idt(uint64_t idt[256], const uint32_t handlers[256])
{
	memcpy(idt, vmm_idt, sizeof(vmm_idt));
	for (unsigned v = 0; v < 256; v++)
		if ((idt[v] >> 16 & 0xFFFC) == SEL_KCODE) /* a direct gate, whatever its RPL */
			idt[v] = gate(handlers[v], SEL_KCODE | 1, GATE_TRAP,
				      (unsigned)(idt[v] >> 45) & 3);
}

int domain_warm_up(const struct vmm_boot *boot)
{
	machine = boot->machine;
	domains[1] = &domain0;
	domain0.id = 1;
	domain0.state = DOMAIN_RUNS;
	domain0.nr_vcpus = (uint8_t)machine.nr_cpus;
	domain0.ports = ports;
	domain0.nr_ports = CONTROL_PORTS;
	domain0.idt = vmm_idt;
	domain0.rights = RIGHT_DEVICES | RIGHT_MACHINE;
	domain0.nr_pfns = boot->nr_pfns;
	domain0.directory = boot->directory;
	domain0.shared = boot->shared >> PAGE_SHIFT;
	frames = (struct frame_entry *)(VMM_BASE + machine.image_bytes);
	map_warm_up(boot);
	cpus_warm_up();
	const char *rule = inherit_warm_up();
	if (!rule)
		rule = frames_check_kernel(cpu_of(0), &domain0);
	if (rule) {
		vmm_printk("vmm: refused: %s\n", rule);
		return -EPERM;
	}
	frames_warm_up(cpu_of(0), &domain0);
	fpu_warm_up();
	idt_warm_up(domain0.handlers, boot->idt);
	return 0;
}
