/* SPDX-License-Identifier: MIT */
/*
 * The other processors. The boot processor starts them one after the other through the
 * trampoline (trampoline.S), each on the stack of its own idle task.
 */
#include "boot/boot.h"
#include "dev/dev.h"
#include "mm/vm.h"
#include "proc/task.h"

#define START_TIMEOUT_NS 10000000000ull /* an emulator on a busy host may take seconds */

extern char trampoline_start[], trampoline_end[];

uint32_t smp_stack, smp_directory; /* stack and CR3 of the processor being started (trampoline.S) */
/*
 * Index of the processor being started, or 0. The processor exchanges the index for 0 when it
 * comes up; after START_TIMEOUT_NS smp_start() does. So a processor that reads 0 is too late.
 */
static unsigned starting;

void smp_place_trampoline(void)
{
	size_t bytes = (size_t)(trampoline_end - trampoline_start);
	memcpy((void *)(KERNEL_BASE + TRAMPOLINE), trampoline_start, bytes);
}

void smp_cpu_main(void)
{
	unsigned cpu = __atomic_exchange_n(&starting, 0, __ATOMIC_ACQ_REL);
	if (cpu == 0) /* too late: the others go on without it, perhaps in virtual mode */
		(native_vo.cpu.ring() ? &virtual_vo : &native_vo)->cpu.halt();
	sched_init_cpu(cpu);
	VO(cpu, init)(cpu);
	VO(irq, init)(cpu);
	VO(time, start_tick)(TICK_HZ);
	__atomic_store_n(&nr_cpus, cpu + 1, __ATOMIC_RELEASE);
	sched_idle();
}

void smp_start(void)
{
	smp_directory = pfn_to_mfn(virt_to_pfn(kernel_directory)) << PAGE_SHIFT;
	for (unsigned i = 1; i < topology.nr_cpus; i++) {
		pfn_t pfn = frame_alloc(TASK_STACK_ORDER);
		if (pfn == NO_FRAME) {
			printk("smp: no memory for more than %u processors\n", nr_cpus);
			return;
		}
		unsigned cpu = nr_cpus;
		topology.apic_id[cpu] = topology.apic_id[i];
		smp_stack = (uint32_t)pfn_to_virt(pfn) + TASK_STACK_BYTES;
		__atomic_store_n(&starting, cpu, __ATOMIC_RELEASE);
		VO(cpu, start)(topology.apic_id[i], TRAMPOLINE);
		uint64_t end = VO(time, now)() + START_TIMEOUT_NS;
		while (__atomic_load_n(&nr_cpus, __ATOMIC_ACQUIRE) == cpu) {
			__asm__ volatile("pause");
			if (VO(time, now)() < end)
				continue;
			if (__atomic_exchange_n(&starting, 0, __ATOMIC_ACQ_REL) == 0)
				continue; /* the processor has its index: it counts itself soon */
			printk("smp: processor with APIC id %u does not answer; "
			       "going on without it and those after it\n",
			       topology.apic_id[i]);
			/* Its stack is not freed: it may still come up, and halt there. */
			return;
		}
	}
}
