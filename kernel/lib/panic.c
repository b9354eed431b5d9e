/* SPDX-License-Identifier: MIT */
/* The end of the run when an invariant is broken: stop the others, say what is known, leave with PANIC_STATUS. */
#include "proc/task.h"

extern bool panicking; /* printf.c */

void panic(const char *fmt, ...)
{
	char cause[160];
	va_list ap;
	VO(irq, disable)();
	if (__atomic_exchange_n(&panicking, true, __ATOMIC_ACQ_REL))
		VO(cpu, shutdown)(PANIC_STATUS); /* a panic within, or two at a time */
	if (nr_cpus > 1)
		VO(irq, send)(IPI_OTHERS, VEC_HALT);
	va_start(ap, fmt);
	vsnprintf(cause, sizeof(cause), fmt, ap);
	va_end(ap);
	const struct task *t = current();
	printk("\nkernel panic: %s\n", cause);
	printk("cpu %u, ring %u, task %d (%s)\n", t->cpu, VO(cpu, ring)(), t->pid, t->name);
	backtrace((uint32_t)__builtin_frame_address(0));
	VO(cpu, shutdown)(PANIC_STATUS);
}
