/* SPDX-License-Identifier: MIT */
/*
 * The end of a run in which an invariant is broken: stop the other CPUs, print what is
 * known, and leave with PANIC_STATUS. Printing takes no lock, because a stopped CPU may hold
 * it.
 */
#include "trap/trap.h"
#include "layout.h"

unsigned panicking;

void panic_at(const uint32_t *frame, uint32_t ebx, uint32_t esi, uint32_t edi, const char *fmt,
	      va_list ap) __attribute__((noreturn));

void panic_begin(void)
{
	/* In the middle of a mode switch `vo` may be the table of the other mode's ring. */
	vo = native_vo.cpu.ring() ? virtual_vo : native_vo;
	VO(irq, disable)();
	unsigned me = 1 + this_cpu(), first = 0;
	if (!__atomic_compare_exchange_n(&panicking, &first, me, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		if (first != me)
			VO(cpu, halt)(); /* only the first CPU that panics prints */
		VO(cpu, shutdown)(PANIC_STATUS); /* this CPU panicked while it printed */
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
	if ((uint32_t)t >= VMM_BASE) /* the VMM faulted after it had given the kernel's IDT back */
		printk("ring %u, on the VMM's stack\n", VO(cpu, ring)());
	else
		printk("cpu %u, ring %u, task %d (%s)\n", t->cpu, VO(cpu, ring)(), t->pid,
		       t->name);
}

/*
 * A caller's frame lies above that of the called function, on the current stack. Any other
 * address ends the walk.
 */
void backtrace(uint32_t ebp)
{
	uint32_t low = (uint32_t)current(), high = low + TASK_STACK_BYTES;
	while (ebp >= low && ebp <= high - 8 && ebp % 4 == 0) {
		const uint32_t *frame = (const uint32_t *)ebp;
		uint32_t offset;
		const char *name = ksym_find(frame[1], &offset);
		printk("  %08x %s+%#x\n", frame[1], name, offset);
		if (frame[0] <= ebp)
			break;
		ebp = frame[0];
	}
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

/*
 * panic() calls panic_at(frame, ebx, esi, edi, fmt, arguments): it passes the caller's registers
 * on before compiled code changes them.
 */
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

/*
 * frame[0] and frame[1] are the EBP and the EIP of panic()'s caller; its stack begins above
 * them.
 */
void panic_at(const uint32_t *frame, uint32_t ebx, uint32_t esi, uint32_t edi, const char *fmt,
	      va_list ap)
{
	panic_begin();
	print_cause(fmt, ap);
	printk("eip %08x esp %08x ebp %08x ebx %08x esi %08x edi %08x\n", frame[1],
	       (uint32_t)(frame + 2), frame[0], ebx, esi, edi);
	backtrace((uint32_t)frame);
	VO(cpu, shutdown)(PANIC_STATUS);
	__builtin_unreachable();
}
