/* SPDX-License-Identifier: MIT */
/*
 * A program keeps its registers: across system calls, across preemption, and while other programs
 * use the same registers.
 */
#include "test.h"

uint32_t regs_after[6]; /* not static: assembly names it */

/*
 * A system call leaves all registers but EAX unchanged, and the segment registers, too, null
 * selectors included.
 */
TEST(regs_system_call)
{
	uint32_t fs, gs;
	for (int i = 0; i < 50; i++) {
		__asm__ volatile("pushal\n"
				 "movl %0, %%eax\n"
				 "movl $0x11111111, %%ebx; movl $0x22222222, %%ecx\n"
				 "movl $0x33333333, %%edx; movl $0x44444444, %%esi\n"
				 "movl $0x55555555, %%edi; movl $0x66666666, %%ebp\n"
				 "int $0x80\n"
				 "movl %%ebx, regs_after; movl %%ecx, regs_after+4\n"
				 "movl %%edx, regs_after+8; movl %%esi, regs_after+12\n"
				 "movl %%edi, regs_after+16; movl %%ebp, regs_after+20\n"
				 "popal"
				 : : "i"(CALL_yield) : "memory");
		for (int r = 0; r < COUNT(regs_after); r++)
			check_is(regs_after[r], (uint32_t)(r + 1) * 0x11111111);
	}
	__asm__ volatile("movw %w2, %%fs; movw %w3, %%gs; movl %4, %%eax; int $0x80\n"
			 "xorl %0, %0; movw %%fs, %w0; xorl %1, %1; movw %%gs, %w1"
			 : "=&b"(fs), "=&c"(gs) : "d"(SEL_UDATA), "S"(0), "i"(CALL_yield) : "eax");
	check_is(fs, SEL_UDATA);
	check_is(gs, 0);
}

/*
 * Spin for about n instructions with a pattern in all registers, then exit: with status 0 if the
 * pattern is still there.
 */
static void hold_registers(uint32_t pattern, uint32_t n)
{
	static uint32_t count, wrong;
	static volatile uint32_t expected;
	count = n / 2;
	expected = pattern;
	__asm__ volatile("pushal\n"
			 "movl %1, %%eax\n"
			 "movl %%eax, %%ebx; movl %%eax, %%ecx; movl %%eax, %%edx\n"
			 "movl %%eax, %%esi; movl %%eax, %%edi; movl %%eax, %%ebp\n"
			 "1: decl %2; jnz 1b\n"
			 "xorl %1, %%eax; xorl %1, %%ebx; xorl %1, %%ecx; xorl %1, %%edx\n"
			 "xorl %1, %%esi; xorl %1, %%edi; xorl %1, %%ebp\n"
			 "orl %%ebx, %%eax; orl %%ecx, %%eax; orl %%edx, %%eax\n"
			 "orl %%esi, %%eax; orl %%edi, %%eax; orl %%ebp, %%eax\n"
			 "movl %%eax, %0; popal"
			 : "=m"(wrong), "+m"(expected), "+m"(count) : : "memory", "cc");
	exit(wrong != 0);
}

/* Registers survive preemption among processes that hold other values. */
TEST(regs_preemption)
{
	int pids[3];
	for (int i = 0; i < COUNT(pids); i++)
		if ((pids[i] = check_ok(fork())) == 0)
			hold_registers(0x01010101u * (uint32_t)(i + 1), 25000000);
	for (int i = 0; i < COUNT(pids); i++)
		check_is(wait_for(pids[i]), 0);
}

/* Load the eight x87 registers and the control word with values that depend on base. */
static void x87_load(int32_t base)
{
	uint16_t control = base & 1 ? 0x37F : 0x27F;
	__asm__ volatile("fninit; fldcw %0" : : "m"(control));
	for (int32_t i = 0; i < 8; i++) {
		int32_t n = base + i;
		__asm__ volatile("fildl %0" : : "m"(n));
	}
}

static void x87_check(int32_t base)
{
	uint16_t control;
	int32_t n;
	for (int32_t i = 7; i >= 0; i--) {
		/* Eight times FINCSTP: then the top of the stack is where it was. */
		__asm__ volatile("fistl %0; fincstp" : "=m"(n));
		check_is(n, base + i);
	}
	__asm__ volatile("fnstcw %0" : "=m"(control));
	check_is(control & 0xF3F, base & 1 ? 0x33F : 0x23F);
}

/* x87 state is kept when processes that all use x87 registers take turns. */
TEST(fpu_x87)
{
	int pids[5];
	for (int i = 0; i < COUNT(pids); i++)
		if ((pids[i] = check_ok(fork())) == 0) {
			x87_load(i * 1001);
			for (int n = 0; n < 60; n++) {
				if (n % 7 == i)
					sleep(10);
				yield();
				x87_check(i * 1001);
			}
			exit(0);
		}
	for (int i = 0; i < COUNT(pids); i++)
		check_is(wait_for(pids[i]), 0);
}

static int has_sse(void)
{
	uint32_t a = 1, b, c, d;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	return (d >> 25 & 1) && (d >> 24 & 1);
}

uint32_t xmm_in[4], xmm_out[8][4];

static void xmm_load(uint32_t base)
{
	uint32_t mxcsr = 0x1F80 | (base & 3) << 13;
	for (int i = 0; i < 4; i++)
		xmm_in[i] = base * 0x01010101 + (uint32_t)i;
	__asm__ volatile("movups xmm_in, %xmm0; movups xmm_in, %xmm3; movups xmm_in, %xmm7\n"
			 "movaps %xmm0, %xmm1; movaps %xmm0, %xmm2; movaps %xmm0, %xmm4\n"
			 "movaps %xmm0, %xmm5; movaps %xmm0, %xmm6");
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
}

static void xmm_check(uint32_t base)
{
	uint32_t mxcsr;
	__asm__ volatile("movups %%xmm0, xmm_out; movups %%xmm1, xmm_out+16\n"
			 "movups %%xmm2, xmm_out+32; movups %%xmm3, xmm_out+48\n"
			 "movups %%xmm4, xmm_out+64; movups %%xmm5, xmm_out+80\n"
			 "movups %%xmm6, xmm_out+96; movups %%xmm7, xmm_out+112\n"
			 "stmxcsr %0" : "=m"(mxcsr) : : "memory");
	for (int r = 0; r < 8; r++)
		check(!memcmp(xmm_in, xmm_out[r], 16));
	check_is(mxcsr, 0x1F80 | (base & 3) << 13);
}

/* SSE state is kept, too: eight registers and MXCSR. */
TEST(fpu_sse)
{
	int pids[5];
	if (!has_sse())
		skip("the processor has no SSE");
	for (int i = 0; i < COUNT(pids); i++)
		if ((pids[i] = check_ok(fork())) == 0) {
			xmm_load((uint32_t)i + 1);
			for (int n = 0; n < 60; n++) {
				if (n % 7 == i)
					sleep(10);
				yield();
				xmm_check((uint32_t)i + 1);
			}
			exit(0);
		}
	for (int i = 0; i < COUNT(pids); i++)
		check_is(wait_for(pids[i]), 0);
}

/* A child begins with its parent's FPU state, and does not change the parent's. */
TEST(fpu_fork)
{
	x87_load(500);
	int pid = check_ok(fork());
	if (pid == 0) {
		x87_check(500);
		x87_load(900);
		yield();
		x87_check(900);
		exit(0);
	}
	check_is(wait_for(pid), 0);
	x87_check(500);
}

/* Preempted while it computes a sum: the result shows an error in any step. */
static void compute(void)
{
	int32_t one = 1, sum;
	__asm__ volatile("fninit; fldz");
	for (int i = 0; i < 3000000; i++)
		__asm__ volatile("fiaddl %0" : : "m"(one));
	__asm__ volatile("fistpl %0" : "=m"(sum));
	check_is(sum, 3000000);
}
TEST(fpu_preemption)
{
	int a = start(compute), b = start(compute);
	check_is(wait_for(a), 0);
	check_is(wait_for(b), 0);
}

static char from[300], to[300];

/*
 * The direction flag may be set at a system call: the kernel copies upwards all the same, and the
 * flag stays set.
 */
TEST(flags_direction)
{
	int p[2];
	uint32_t flags;
	check_is(pipe(p), 0);
	fill(from, sizeof(from), 1);
	for (int i = 0; i < 2; i++) {
		int result;
		__asm__ volatile("std; int $0x80; pushfl; popl %1; cld"
				 : "=a"(result), "=&S"(flags)
				 : "a"(i ? CALL_read : CALL_write), "b"(p[1 - i]),
				   "c"(i ? to : from), "d"(sizeof(from))
				 : "memory", "cc");
		check_is(result, sizeof(from));
		check(flags & EFLAGS_DF);
	}
	check_is(differs(to, sizeof(to), 1), -1);
	int pid;
	__asm__ volatile("std; int $0x80; cld" : "=a"(pid) : "a"(CALL_fork) : "memory", "cc");
	if (pid == 0)
		exit(5);
	check_is(wait_for(pid), WSTATUS_EXIT(5));
}

/* The nested-task flag must not be set at an IRET of the kernel. */
TEST(flags_nested_task)
{
	int pid, me = getpid();
	for (int i = 0; i < 20; i++) {
		__asm__ volatile("pushfl; orl $0x4000, (%%esp); popfl; int $0x80\n"
				 "pushfl; andl $~0x4000, (%%esp); popfl"
				 : "=a"(pid)
				 : "a"(i & 1 ? CALL_yield : CALL_getpid)
				 : "memory", "cc");
		check_is(pid, i & 1 ? 0 : me);
	}
}

/* NT, AC, DF and OF stay harmless through a fault and through preemption. */
static void odd_flags_and_fault(void) { __asm__ volatile("pushl $0x44400; popfl; ud2"); }
static void odd_flags_and_spin(void)
{
	__asm__ volatile("pushl $0x44C00; popfl; movl $15000000, %%ecx; 1: loop 1b\n"
			 "pushl $2; popfl" : : : "ecx", "cc");
}
TEST(flags_odd)
{
	check_fault(odd_flags_and_fault, VEC_UD);
	check_child(odd_flags_and_spin);
}

/* A single-stepped system call: the debug exception comes after the call, in the program. */
static void step_into_call(void)
{
	__asm__ volatile("movl %0, %%eax; pushfl; orl $0x100, (%%esp); popfl; int $0x80; nop; nop"
			 : : "i"(CALL_getpid) : "eax");
}
TEST(flags_single_step) { check_fault(step_into_call, VEC_DB); }
