/* SPDX-License-Identifier: MIT */
/*
 * The x87 and SSE state of programs, switched lazily. CR0.TS is set whenever the FPU does
 * not hold the running task's state: then the task's first FPU instruction traps (#NM,
 * SDM vol. 3, 2.5 and 14.4), and its state is loaded. A task that leaves its CPU saves
 * its state if that is live, so that it can continue on any CPU. The kernel itself does
 * not use the FPU.
 */
#include "mm/frame.h"
#include "proc/task.h"

#define FPU_BYTES 512 /* FXSAVE's; FNSAVE needs 108 */
#define CPUID_FXSR (1u << 24)
#define MXCSR_DEFAULT 0x1F80

/* The state that a program starts with. */
static uint8_t clean[FPU_BYTES] __attribute__((aligned(16)));
static bool has_fxsr;

static void save(void *to)
{
	if (has_fxsr)
		__asm__ volatile("fxsave (%0)" : : "r"(to) : "memory");
	else
		__asm__ volatile("fnsave (%0); fwait" : : "r"(to) : "memory");
}

static void restore(const void *from)
{
	if (has_fxsr)
		__asm__ volatile("fxrstor (%0)" : : "r"(from) : "memory");
	else /* fnclex: frstor would trap if another task had left an exception pending */
		__asm__ volatile("fnclex; frstor (%0)" : : "r"(from) : "memory");
}

void fpu_init(void)
{
	uint32_t eax = 1, ebx, ecx, edx;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	has_fxsr = edx & CPUID_FXSR;
	VO(cpu, fpu_trap)(false);
	__asm__ volatile("fninit");
	save(clean);
	if (has_fxsr) { /* all registers 0, MXCSR as after a reset (SDM vol. 1, 10.5.1) */
		memset(clean + 32, 0, FPU_BYTES - 32);
		*(uint32_t *)(clean + 24) = MXCSR_DEFAULT;
	}
	VO(cpu, fpu_trap)(true);
}

void fpu_use(void)
{
	struct task *t = current();
	if (!t->fpu) {
		t->fpu = kmalloc(FPU_BYTES);
		if (!t->fpu) {
			printk("%s (%d): no memory for its FPU state\n", t->name, t->pid);
			task_exit(WSTATUS_FAULT(VEC_NM));
		}
		memcpy(t->fpu, clean, FPU_BYTES);
	}
	vo_hold();
	VO(cpu, fpu_trap)(false);
	restore(t->fpu);
	t->fpu_live = true;
	vo_release();
}

void fpu_leave(struct task *t)
{
	ASSERT_PREEMPT_OFF();
	save(t->fpu);
	t->fpu_live = false;
}

int fpu_fork(struct task *child)
{
	struct task *t = current();
	if (!t->fpu)
		return 0;
	child->fpu = kmalloc(FPU_BYTES);
	if (!child->fpu)
		return -ENOMEM;
	preempt_disable();
	if (t->fpu_live) {
		fpu_leave(t);
		VO(cpu, fpu_trap)(true);
	}
	preempt_enable();
	memcpy(child->fpu, t->fpu, FPU_BYTES);
	return 0;
}

void fpu_drop(struct task *t)
{
	preempt_disable();
	if (t->fpu_live) {
		t->fpu_live = false;
		VO(cpu, fpu_trap)(true);
	}
	preempt_enable();
	kfree(t->fpu);
	t->fpu = NULL;
}
