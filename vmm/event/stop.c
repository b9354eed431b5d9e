/* SPDX-License-Identifier: MIT */
/* The end of a guest, by its own wish or because it broke a rule. The others go on. */
#include "vmm/event/port.h"
#include "vmm/guest.h"

void domain_end(struct cpu *c, struct domain *d, uint32_t status, const char *reason)
{
	(void)c;
	VMM_ASSERT_LOCKED();
	if (d->state >= DOMAIN_DYING)
		return;
	d->guest->status = status;
	d->guest->reason = reason;
	d->state = DOMAIN_DYING;
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		vcpu_stop(&d->vcpus[i]);
	port_send(d, CONSOLE_PORT);
}

void stop_kernel(struct regs *r, const char *rule, uint32_t detail)
{
	struct cpu *c = cpu_here();
	struct regs *top = (struct regs *)((char *)c + CPU_BYTES) - 1;
	vmm_lock(c); /* one report at a time */
	report_kernel(r, rule, detail);
	if (c->current->domain == &domain0)
		end_run(VMM_STOPPED_STATUS);
	domain_end(c, c->current->domain, VMM_STOPPED_STATUS, rule);
	vmm_unlock();
	/* What this vCPU still wanted is void. What the stack holds above `top` is left. */
	hazard_clear(c, HAZARD_BOUNCE | HAZARD_DELIVER);
	__asm__ volatile("movl %0, %%esp; jmp hazard_exit" : : "r"(top) : "memory");
	__builtin_unreachable();
}
