/* SPDX-License-Identifier: MIT */
/*
 * The exchange of vCPUs. At an exit only what the VMM itself overwrites is stored. All other state
 * stays in the processor, and is exchanged here, or even later, when another vCPU needs its place:
 *
 *   state                     owner                stored                     loaded
 *   general registers, DS, ES the code that ran    at each exit, entry.S      at each way out
 *   their copy in vcpu.regs   cpu.current          here                       here
 *   FS, GS, TSS.esp1          cpu.current          here                       here
 *   CR0.TS                    cpu.current          here                       here, if it differs
 *   CR2                       nobody               vmm_shared.address has it  never
 *   x87, MMX, SSE             cpu.fpu_owner        when another vCPU clears   then
 *                                                  CR0.TS (fpu_take)
 *   CR3, TLB                  cpu.current's        vcpu.directory always      here; the whole TLB
 *                             domain               has it                     if the domain differs
 *   IDTR                      cpu.current's domain constant                   here, if it differs
 *   GDTR, TR, LDTR, DR0 to 7, the VMM              constant: no domain can    at attach
 *   SYSENTER's MSRs                                change them
 *   local APIC's timer        the VMM              -                          if it must be earlier
 *   windows                   the processor        they hold no vCPU's state  map()
 *
 * Only this processor reads the state of the vCPUs that live on it, and a vCPU never moves.
 */
#include "vmm/sched/sched.h"

#define CPUID_FXSR (1u << 24)
#define POISON 0xBD /* fills copies that are old, in the debug build */

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

static inline uint32_t read_cr0(void)
{
	uint32_t cr0;
	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
	return cr0;
}

static inline void write_cr0(uint32_t cr0) { __asm__ volatile("movl %0, %%cr0" : : "r"(cr0)); }

/* What FNINIT leaves, all registers 0, and MXCSR as after a reset (SDM vol. 1, 8.1.5, 10.5.1). */
void fpu_warm_up(void)
{
	uint32_t eax = 1, ebx, ecx, edx;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	has_fxsr = edx & CPUID_FXSR;
	uint16_t *words = (uint16_t *)clean;
	words[0] = 0x37F;
	if (has_fxsr)
		words[12] = 0x1F80; /* the other fields are 0; so is the tag byte: all empty */
	else
		words[4] = 0xFFFF;
}

void fpu_clean(struct vcpu *v) { memcpy(v->fpu, clean, sizeof(clean)); }

/* Make v the owner of the FPU registers. CR0.TS is 0. */
static void fpu_change(struct cpu *c, struct vcpu *v)
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

static void load_idt(const struct domain *d)
{
	struct descriptor_pointer idtr = { 256 * 8 - 1, (uint32_t)d->idt };
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

/* CR3, and all that depends on the domain. */
static inline void exchange_memory(const struct domain *from, const struct vcpu *v)
{
	__asm__ volatile("movl %0, %%cr3" : : "r"(v->directory << PAGE_SHIFT) : "memory");
	if (v->domain == from)
		return;
	flush_local(); /* global entries of the other domain's kernel, too */
	if (v->domain->idt != from->idt)
		load_idt(v->domain);
}

static inline void exchange_fpu(struct cpu *c, struct vcpu *old, struct vcpu *v)
{
	uint32_t cr0 = read_cr0();
	old->fpu_traps = cr0 & CR0_TS;
	if (v->fpu_traps) {
		if (!old->fpu_traps)
			write_cr0(cr0 | CR0_TS);
		return;
	}
	if (old->fpu_traps)
		__asm__ volatile("clts");
	if (c->fpu_owner != v)
		fpu_change(c, v);
}

void exchange(struct cpu *c, struct regs *r, struct vcpu *v)
{
	struct vcpu *old = c->current;
	old->regs = *r;
	*r = v->regs;
	old->esp1 = c->tss.esp1;
	c->tss.esp1 = v->esp1;
	__asm__ volatile("movl %%fs, %0; movl %%gs, %1" : "=r"(old->fs), "=r"(old->gs));
	__asm__ volatile("movl %0, %%fs; movl %1, %%gs" : : "r"(v->fs), "r"(v->gs));
	exchange_fpu(c, old, v);
	exchange_memory(old->domain, v);
	c->current = v;
#ifdef DEBUG
	memset(&v->regs, POISON, sizeof(v->regs));
#endif
}
