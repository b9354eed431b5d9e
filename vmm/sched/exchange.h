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
#ifndef VMM_EXCHANGE_H
#define VMM_EXCHANGE_H

#include "vmm/sched/sched.h"

static inline void load_idt(const struct domain *d)
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

/* v's registers come into the processor and into r; what was there is stored. */
static inline void __attribute__((always_inline)) exchange(struct cpu *c, struct regs *r,
							   struct vcpu *v)
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

#endif
