/* SPDX-License-Identifier: MIT */
/* Round robin: the second policy. cpu.run is in the order in which vCPUs came. */
#include "vmm/sched/sched.h"

static void nothing(struct cpu *c, struct vcpu *v) { (void)c, (void)v; }
static void robin_charge(struct cpu *c, struct vcpu *v, uint32_t ns) { (void)c, (void)v, (void)ns; }

static struct vcpu *robin_pick(struct cpu *c, uint64_t now, uint64_t *until)
{
	struct vcpu *current = c->current, *v = c->run;
	bool goes_on = current->queued && !current->yielded && now < c->slice_end;
	current->yielded = false;
	if (goes_on)
		v = current;
	else if (current->queued && current->run_next)
		v = current->run_next;
	if (!goes_on)
		c->slice_end = now + SLICE_NS;
	if (v && c->run->run_next)
		*until = c->slice_end;
	return v;
}

const struct policy round_robin = { nothing, nothing, robin_charge, robin_pick };
