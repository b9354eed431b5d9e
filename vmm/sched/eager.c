/* SPDX-License-Identifier: MIT */
/*
 * EXIT=eager: what a VMM does that knows no owners of state. Each exit stores all that a kernel
 * could have changed in the processor, and each way out loads all of it. It exists to be measured
 * against (docs/vmm.md), and does the same to each vCPU as the delayed way (switch.c).
 */
#include "vmm/sched/sched.h"

#ifdef EXIT_EAGER
enum { MSR_SYSENTER_CS = 0x174, SYSENTER_MSRS = 3 };

/* What no domain can change now: one image for a processor is enough. */
static struct constant {
	uint32_t dr[6], msr[SYSENTER_MSRS][2], ldtr;
	struct descriptor_pointer gdtr, idtr;
} images[VMM_MAX_CPUS];

static void move_msrs(struct constant *s, bool store)
{
	for (unsigned i = 0; i < SYSENTER_MSRS; i++)
		if (store)
			__asm__ volatile("rdmsr" : "=a"(s->msr[i][0]), "=d"(s->msr[i][1])
					 : "c"(MSR_SYSENTER_CS + i));
		else
			__asm__ volatile("wrmsr" : : "a"(s->msr[i][0]), "d"(s->msr[i][1]),
					 "c"(MSR_SYSENTER_CS + i));
}

void eager_store(struct cpu *c)
{
	struct constant *s = &images[c->index];
	struct vcpu *v = c->current;
	__asm__ volatile("movl %%fs, %0; movl %%gs, %1" : "=r"(v->fs), "=r"(v->gs));
	__asm__ volatile("movl %%dr0, %0; movl %%dr1, %1; movl %%dr2, %2"
			 : "=r"(s->dr[0]), "=r"(s->dr[1]), "=r"(s->dr[2]));
	__asm__ volatile("movl %%dr3, %0; movl %%dr6, %1; movl %%dr7, %2"
			 : "=r"(s->dr[3]), "=r"(s->dr[4]), "=r"(s->dr[5]));
	__asm__ volatile("sgdt %0; sidt %1; sldt %2"
			 : "=m"(s->gdtr), "=m"(s->idtr), "=r"(s->ldtr));
	move_msrs(s, true);
	fpu_move(c, true);
}

void eager_load(struct cpu *c)
{
	struct constant *s = &images[c->index];
	const struct vcpu *v = c->current;
	fpu_move(c, false);
	move_msrs(s, false);
	s->idtr.base = (uint32_t)v->domain->idt;
	__asm__ volatile("lgdt %0; lidt %1; lldt %w2"
			 : : "m"(s->gdtr), "m"(s->idtr), "r"(s->ldtr));
	__asm__ volatile("movl %0, %%dr0; movl %1, %%dr1; movl %2, %%dr2"
			 : : "r"(s->dr[0]), "r"(s->dr[1]), "r"(s->dr[2]));
	__asm__ volatile("movl %0, %%dr3; movl %1, %%dr6; movl %2, %%dr7"
			 : : "r"(s->dr[3]), "r"(s->dr[4]), "r"(s->dr[5]));
	__asm__ volatile("movl %0, %%fs; movl %1, %%gs" : : "r"(v->fs), "r"(v->gs));
	__asm__ volatile("movl %0, %%cr3" : : "r"(v->directory << PAGE_SHIFT) : "memory");
	flush_local();
}
#endif
