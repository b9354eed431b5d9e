/* SPDX-License-Identifier: MIT */
/* The FPU's registers, which stay in the processor until another vCPU needs them (exchange.h). */
#include "vmm/sched/sched.h"

#define CPUID_FXSR (1u << 24)

static bool has_fxsr;
static uint8_t clean[512] __attribute__((aligned(16)));

static void fpu_save(void *to)
{
	if (has_fxsr)
		__asm__ volatile("fxsave (%0)" : : "r"(to) : "memory");
	else
		__asm__ volatile("fnsave (%0); fwait" : : "r"(to) : "memory");
}

static void fpu_load(const void *from)
{
	if (has_fxsr)
		__asm__ volatile("fxrstor (%0)" : : "r"(from) : "memory");
	else
		__asm__ volatile("fnclex; frstor (%0)" : : "r"(from) : "memory");
}

/* What FNINIT leaves, all registers 0, and MXCSR as after a reset (SDM vol. 1, 8.1.5, 10.5.1). */
void fpu_warm_up(void)
{
	uint32_t edx;
	cpuid(1, &edx);
	has_fxsr = edx & CPUID_FXSR;
	uint16_t *words = (uint16_t *)clean;
	words[0] = 0x37F;
	if (has_fxsr)
		words[12] = 0x1F80; /* the other fields are 0; so is the tag byte: all empty */
	else
		words[4] = 0xFFFF;
}

void fpu_clean(struct vcpu *v) { memcpy(v->fpu, clean, sizeof(clean)); }

void fpu_change(struct cpu *c, struct vcpu *v)
{
	fpu_save(c->fpu_owner->fpu);
	fpu_load(v->fpu);
	c->fpu_owner = v;
#if defined(DEBUG) && !defined(EXIT_EAGER) /* eager builds load the copy at each exit */
	memset(v->fpu, POISON, sizeof(v->fpu));
#endif
}

#ifdef EXIT_EAGER
void fpu_move(struct cpu *c, bool store)
{
	uint32_t cr0 = read_cr0();
	__asm__ volatile("clts");
	if (store)
		fpu_save(c->current->fpu);
	else
		fpu_load(c->current->fpu);
	c->fpu_owner = c->current;
	write_cr0(cr0);
}
#endif

void fpu_take(struct cpu *c)
{
	if (unlikely(c->fpu_owner != c->current))
		fpu_change(c, c->current);
}

void fpu_forget(struct cpu *c)
{
	if (likely(c->fpu_owner->domain->state < DOMAIN_DYING))
		return;
	uint32_t cr0 = read_cr0();
	__asm__ volatile("clts");
	fpu_load(c->resident->fpu);
	c->fpu_owner = c->resident;
	write_cr0(cr0);
}
