/* SPDX-License-Identifier: MIT */
/*
 * Time: the time record of each vCPU, and the local APIC's timer. While a processor hosts guests
 * the timer comes once, when the earliest of these is due: the end of a slice, a tick
 * of the vCPU that runs or of domain 0's, the one-shot timer of any vCPU.
 */
#include "vmm/sched/sched.h"

enum { LAPIC_TIMER = 0x320, LAPIC_INITIAL = 0x380 };
#define LVT_PERIODIC 0x20000
#define NS_PER_SECOND 1000000000u

void time_record(struct vcpu *v, uint64_t now)
{
	struct vmm_time *t = v->time;
	t->multiplier = machine.ns_multiplier;
	t->tsc = tsc_now();
	t->ns = now - v->domain->born;
	t->stolen = v->stolen;
}

void time_tell(struct vcpu *v)
{
	struct vmm_time *t = v->time;
	v->told = (uint32_t)v->stolen;
	t->version++;
	barrier();
	t->stolen = v->stolen;
	barrier();
	t->version++;
}

void timer_arm(struct cpu *c, uint32_t now, uint32_t at)
{
	uint32_t ns = before(now, at) ? at - now : 0;
	uint64_t count = (uint64_t)ns * machine.lapic_hz;
	div64(&count, NS_PER_SECOND);
	c->armed = now + ns;
	LAPIC[LAPIC_INITIAL / 4] = (uint32_t)count + 1;
}

void timer_fired(struct cpu *c)
{
	c->armed = (uint32_t)c->since; /* even if the clock is not there yet */
	hazard_raise(c, HAZARD_SCHEDULE);
}

void timer_take(struct cpu *c, uint64_t now)
{
	uint64_t ns = c->tick_count = LAPIC[LAPIC_INITIAL / 4];
	ns *= NS_PER_SECOND;
	div64(&ns, MAX(machine.lapic_hz, 1u));
	c->tick_ns = (uint32_t)ns;
	c->tick_at = ns ? now + ns : NEVER;
	c->armed = c->due = c->slice_end = (uint32_t)now; /* look at all */
	LAPIC[LAPIC_TIMER / 4] &= ~(uint32_t)LVT_PERIODIC;
}

void timer_give_back(struct cpu *c)
{
	c->hosts = false;
	LAPIC[LAPIC_TIMER / 4] |= LVT_PERIODIC;
	LAPIC[LAPIC_INITIAL / 4] = c->tick_count;
}
