/* SPDX-License-Identifier: MIT */
/* The other processors: started one after the other through the trampoline, each on its own idle task's stack. */
#include "boot/boot.h"
#include "dev/dev.h"
#include "mm/vm.h"
#include "proc/task.h"

#define START_TIMEOUT_NS 1000000000ull

extern char trampoline_start[], trampoline_end[];

uint32_t smp_stack, smp_directory; /* for the processor being started: stack, CR3 (trampoline.S) */
static unsigned starting; /* index of the processor being started; whoever takes it decides: that one, or the time-out */

/* The boot directory still maps machine memory when this is called. */
void smp_place_trampoline(void)
{
	memcpy((void *)(KERNEL_BASE + TRAMPOLINE), trampoline_start, (size_t)(trampoline_end - trampoline_start));
}

void smp_cpu_main(void)
{
	unsigned cpu = __atomic_exchange_n(&starting, 0, __ATOMIC_ACQ_REL);
	if (cpu == 0)
		native_vo.cpu.halt(); /* too late: the machine goes on without it, perhaps in virtual mode */
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
		if (pfn == NO_FRAME)
			return;
		unsigned cpu = nr_cpus;
		topology.apic_id[cpu] = topology.apic_id[i];
		smp_stack = (uint32_t)pfn_to_virt(pfn) + TASK_STACK_BYTES;
		__atomic_store_n(&starting, cpu, __ATOMIC_RELEASE);
		VO(cpu, start)(topology.apic_id[i], TRAMPOLINE);
		uint64_t end = VO(time, now)() + START_TIMEOUT_NS;
		while (__atomic_load_n(&nr_cpus, __ATOMIC_ACQUIRE) == cpu) {
			__asm__ volatile("pause");
			if (VO(time, now)() < end || __atomic_exchange_n(&starting, 0, __ATOMIC_ACQ_REL) == 0)
				continue; /* there is time, or it is on its way */
			printk("smp: processor with APIC id %u does not answer; going on without it and those after it\n",
			       topology.apic_id[i]);
			return; /* its stack stays: it may yet come up, and halt */
		}
	}
}
