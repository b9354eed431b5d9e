/* SPDX-License-Identifier: MIT */
/*
 * Virtual timers: a vCPU gets ticks while it runs, one at once if it comes back too late for some;
 * its one-shot timer also wakes it. Domain 0 gets its ticks always: it lives by them natively, too.
 */
#include "vmm/sched/sched.h"

#define NS_PER_SECOND 1000000000u
#define LONGEST_NS 1000000000u /* VEC_TIMER comes at least so often */
#define EXPIRE_MAX 32u /* timers at once: a waking vCPU may pass all others in the queue */
#define FARTHEST_NS (1ull << 50) /* a later time of a one-shot timer means this one */

int timer_tick(struct cpu *c, struct vcpu *v, unsigned hz)
{
	if (v == c->resident && !c->hosts)
		return apic_tick(hz);
	if (hz > 1000 || (hz == 0 && v == c->resident))
		return -EINVAL;
	uint32_t ns = hz ? NS_PER_SECOND / hz : 0;
	uint64_t at = time_now() + ns;
	if (v == c->resident) {
		c->tick_count = MAX(machine.lapic_hz / hz, 1u);
		c->tick_ns = ns, c->tick_at = at;
	} else {
		v->tick_ns = ns, v->tick_at = at;
	}
	look_at_all(c);
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
	look_at_all(c);
}

static void post_timer(struct vcpu *v)
{
	__atomic_fetch_or(&v->posted, 1u << EVENT_TIMER, __ATOMIC_SEQ_CST);
}

/* When to look at what is due at a time. */
static uint32_t moment_of(uint64_t at, uint64_t now)
{
	return (uint32_t)(now + MIN(MAX(at, now) - now, LONGEST_NS));
}

uint32_t timer_begin(struct vcpu *v)
{
	uint64_t now = time_now();
	if (v->tick_at <= now) {
		v->tick_at = MAX(v->tick_at + v->tick_ns, now + 1);
		post_timer(v);
	}
	return moment_of(v->tick_at, now);
}

void timers_expire(struct cpu *c)
{
	uint64_t now = time_now();
	struct vcpu *v;
	for (unsigned n = 0; (v = c->timers) && v->once_at <= now && n < EXPIRE_MAX; n++) {
		timer_drop(c, v);
		post_timer(v);
		vcpu_ready(c, v, c->since);
	}
	if (c->tick_at <= now) {
		c->tick_at = MAX(c->tick_at + c->tick_ns, now + 1);
		post_timer(c->resident);
		vcpu_ready(c, c->resident, c->since);
	}
	c->due = moment_of(MIN(v ? v->once_at : NEVER, c->tick_at), now);
}
