/* SPDX-License-Identifier: MIT */
/*
 * The way out of the VMM when another vCPU may be due. An idle processor waits here, with the
 * state of the vCPU that ran last still in its registers: if that one is next, too, nothing is
 * exchanged.
 */
#include "vmm/sched/sched.h"

/* Charge the time up to now to the vCPU that ran, or to nobody. (queue) */
static void charge(struct cpu *c, uint64_t now)
{
	uint64_t ns = now - c->since;
	c->since = now;
	c->hosted += ns;
	if (c->idle) {
		c->idled += ns;
		return;
	}
	c->charged += ns;
	c->current->ran += ns;
	POLICY.charge(c, c->current, (uint32_t)MIN(ns, 0xFFFFFFFFu));
}

/* The first guest of this processor came, or its last one has gone. */
static void begin_to_host(struct cpu *c)
{
	uint64_t now = time_now();
	c->hosts = true;
	c->since = c->slice_end = now;
	timer_take(c, now);
}

/* Choose who runs from now on, and arm the timer. Result: NULL if nobody can run. */
static struct vcpu *choose(struct cpu *c)
{
	uint64_t now = time_now(), until = NEVER, due;
	queue_lock(c);
	charge(c, now);
	due = timers_expire(c, now);
	struct vcpu *v = POLICY.pick(c, now, &until);
	c->idle = !v;
	__atomic_store_n(&c->next, v, __ATOMIC_RELEASE);
	if (v)
		due = MIN(due, timer_begin(v, now));
	if (v && v != c->current) {
		if (c->current->queued)
			c->current->ready_since = now;
		v->stolen += now - v->ready_since;
		v->switches++;
		time_record(v, now);
	}
	queue_unlock(c);
	timer_arm(c, now, MIN(due, until));
	return v;
}

/* Let the vCPU run here that the policy wants; wait until there is one. */
static void reschedule(struct cpu *c, struct regs *r)
{
	struct vcpu *v;
	if (!c->hosts)
		begin_to_host(c);
	do {
		__atomic_fetch_and(&c->hazard, ~HAZARD_SCHEDULE, __ATOMIC_SEQ_CST);
		if (unlikely(c->current->domain->state >= DOMAIN_DYING))
			exchange(c, r, c->resident); /* its memory is taken away soon */
		fpu_forget(c);
		v = choose(c);
		if (!v) {
			__asm__ volatile("sti; hlt; cli" : : : "memory");
			flush_serve(c);
		}
	} while (!v);
	if (v != c->current)
		exchange(c, r, v);
	__atomic_store_n(&c->next, NULL, __ATOMIC_RELEASE);
	if (v == c->resident && !c->nr_guests)
		timer_give_back(c);
}

void vcpu_schedule(struct cpu *c, struct regs *r)
{
	if (likely(c->hosts || c->nr_guests))
		reschedule(c, r);
	else
		__atomic_fetch_and(&c->hazard, ~HAZARD_SCHEDULE, __ATOMIC_SEQ_CST);
	struct vcpu *v = c->current;
	if (v->posted)
		v->shared->pending |= __atomic_exchange_n(&v->posted, 0, __ATOMIC_SEQ_CST);
}
