/* SPDX-License-Identifier: MIT */
/*
 * Virtual timers: a vCPU gets ticks while it runs, one at once if it comes back too late for some;
 * its one-shot timer also wakes it. Domain 0 gets its ticks always: it lives by them natively, too.
 */
#include "vmm/sched/sched.h"

#define NS_PER_SECOND 1000000000u
#define FARTHEST_NS (1ull << 50) /* a later time of a one-shot timer means this one */

int timer_tick(struct cpu *c, struct vcpu *v, unsigned hz)
{
	if (v == c->resident && !c->hosts)
		return apic_tick(hz);
	if (hz > 1000 || (hz == 0 && v == c->resident))
		return -EINVAL;
	v->tick_ns = hz ? NS_PER_SECOND / hz : 0;
	v->tick_at = time_now() + v->tick_ns;
	if (v == c->resident)
		c->tick_count = MAX(machine.lapic_hz / hz, 1u);
	hazard_raise(c, HAZARD_SCHEDULE);
	return 0;
}

void timer_once(struct cpu *c, struct vcpu *v, uint64_t ns)
{
	queue_lock(c);
	timer_drop(c, v);
	if (ns && v->run != RUN_OFFLINE) { /* else it was stopped meanwhile: nothing may name it */
		struct vcpu **at = &c->timers;
		v->once_at = v->domain->born + MIN(ns, FARTHEST_NS);
		while (*at && (*at)->once_at <= v->once_at)
			at = &(*at)->timer_next;
		v->timer_next = *at;
		*at = v;
	}
	queue_unlock(c);
	hazard_raise(c, HAZARD_SCHEDULE);
}

static void post_timer(struct vcpu *v)
{
	__atomic_fetch_or(&v->posted, 1u << EVENT_TIMER, __ATOMIC_SEQ_CST);
}

uint64_t timer_begin(struct vcpu *v, uint64_t now)
{
	if (!v->tick_ns)
		return NEVER;
	if (v->tick_at <= now) {
		v->tick_at = MAX(v->tick_at + v->tick_ns, now + 1);
		post_timer(v);
	}
	return v->tick_at;
}

uint64_t timers_expire(struct cpu *c, uint64_t now)
{
	struct vcpu *v, *resident = c->resident;
	while ((v = c->timers) && v->once_at <= now) {
		timer_drop(c, v);
		post_timer(v);
		vcpu_ready(c, v);
	}
	if (resident->tick_ns && resident->tick_at <= now) {
		timer_begin(resident, now);
		vcpu_ready(c, resident);
	}
	return MIN(v ? v->once_at : NEVER, resident->tick_ns ? resident->tick_at : NEVER);
}
