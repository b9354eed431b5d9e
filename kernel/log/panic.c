/* SPDX-License-Identifier: MIT */
/* The end of the run when an invariant is broken: stop the others, say what is known, leave with PANIC_STATUS. */
#include "proc/task.h"

extern unsigned panicking; /* printk.c */

void panic_at(const uint32_t *frame, uint32_t ebx, uint32_t esi, uint32_t edi, const char *fmt, va_list ap) __attribute__((noreturn));

void panic_begin(void)
{
	vo = native_vo.cpu.ring() ? virtual_vo : native_vo; /* within a switch the table may still be the other mode's */
	VO(irq, disable)();
	unsigned me = 1 + this_cpu(), first = 0;
	if (!__atomic_compare_exchange_n(&panicking, &first, me, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		if (first != me)
			VO(cpu, halt)(); /* two at a time: the first one speaks */
		VO(cpu, shutdown)(PANIC_STATUS); /* a panic within */
	}
	if (nr_cpus > 1)
		VO(irq, send)(IPI_OTHERS, VEC_HALT);
}

static void print_cause(const char *fmt, va_list ap)
{
	char cause[160];
	vsnprintf(cause, sizeof(cause), fmt, ap);
	const struct task *t = current();
	printk("\nkernel panic: %s\n", cause);
	printk("cpu %u, ring %u, task %d (%s)\n", t->cpu, VO(cpu, ring)(), t->pid, t->name);
}

void panic_end(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	print_cause(fmt, ap);
	va_end(ap);
	backtrace((uint32_t)__builtin_frame_address(0));
	VO(cpu, shutdown)(PANIC_STATUS);
	__builtin_unreachable();
}

/* Hands the caller's registers on before the compiler's code changes them: panic_at(frame, ebx, esi, edi, fmt, arguments). */
__asm__(".text\n"
	".globl panic\n"
	".type panic, @function\n"
	"panic:\n"
	"	pushl %ebp\n"
	"	movl %esp, %ebp\n"
	"	leal 12(%ebp), %eax\n"
	"	pushl %eax\n"
	"	pushl 8(%ebp)\n"
	"	pushl %edi\n"
	"	pushl %esi\n"
	"	pushl %ebx\n"
	"	pushl %ebp\n"
	"	call panic_at\n"
	".size panic, . - panic");

/* frame: the caller's EBP and EIP; its ESP was behind them. */
void panic_at(const uint32_t *frame, uint32_t ebx, uint32_t esi, uint32_t edi, const char *fmt, va_list ap)
{
	panic_begin();
	print_cause(fmt, ap);
	printk("eip %08x esp %08x ebp %08x ebx %08x esi %08x edi %08x\n", frame[1], (uint32_t)(frame + 2), frame[0], ebx, esi, edi);
	backtrace((uint32_t)frame);
	VO(cpu, shutdown)(PANIC_STATUS);
	__builtin_unreachable();
}
