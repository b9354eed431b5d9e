/* SPDX-License-Identifier: MIT */
/*
 * The way out of the VMM when another vCPU may be due. An idle processor waits here, with the
 * state of the vCPU that ran last still in its registers: if that one is next, too, nothing is
 * exchanged.
 */
#include "vmm/sched/exchange.h"
#include "vmm/sched/policy.h"

/*
 * Charge the time up to now to the vCPU that ran, or to nobody. A machine that stood still for
 * seconds, as under a debugger, is not charged for all of them. (queue)
 */
static inline void charge(struct cpu *c, uint32_t now)
{
	uint32_t ns = now - (uint32_t)c->since;
	c->since += ns;
	if (unlikely(c->idle)) {
		c->idled += ns;
		return;
	}
	c->chosen->ran += ns;
	policy_charge(c, c->chosen, ns);
}

/* The first guest of this processor came, or its last one has gone. */
static void __attribute__((noinline)) begin_to_host(struct cpu *c)
{
	queue_lock(c);
	uint64_t now = time_now();
	c->hosts = true;
	c->began += now - c->since;
	c->since = now;
	queue_unlock(c);
	timer_take(c, now);
}

/* Another vCPU was chosen: it has waited until now, and the other one waits. (queue) */
static inline void hand_over(struct cpu *c, struct vcpu *v)
{
	v->stolen += c->since - v->ready_since;
	v->switches++;
	c->chosen = v;
	if (unlikely((uint32_t)v->stolen - v->told >= TELL_NS))
		time_tell(v);
}

/* Timers are due, or a device. (queue) */
static void __attribute__((noinline)) look_round(struct cpu *c, uint32_t now)
{
	timers_expire(c);
	c->armed = now; /* cpu.due has changed */
	if (c->resident->posted & DEVICES && c->resident->queued)
		policy_hurry(c, now);
}

static inline bool ticks(const struct vcpu *v) { return v && v->tick_ns; }

/* Let VEC_TIMER come when the next thing is due, if it does not come earlier. v: who runs. */
static void __attribute__((noinline)) arm(struct cpu *c, struct vcpu *v, uint32_t now)
{
	uint32_t until = c->due;
	if (c->run.next != &c->run && before(c->slice_end, until))
		until = c->slice_end;
	if (ticks(v)) {
		uint32_t tick = timer_begin(v);
		until = before(tick, until) ? tick : until;
	}
	if (before(until, c->armed) || !before(now, c->armed))
		timer_arm(c, now, until);
}

/* Choose who runs from now on, and arm the timer. Result: NULL if nobody can run. */
static inline struct vcpu *choose(struct cpu *c)
{
	queue_lock(c);
	uint32_t now = moment_now();
	charge(c, now);
	if (unlikely(!before(now, c->due)))
		look_round(c, now);
	struct vcpu *v = policy_pick(c, now);
	c->idle = !v;
	if (likely(v) && v != c->chosen)
		hand_over(c, v);
	if (unlikely(before(c->slice_end, c->armed) || !before(now, c->armed) || ticks(v)))
		arm(c, v, now);
	queue_unlock(c);
	return v;
}

/* Let go of the state of vCPUs whose domain dies: its memory is taken away soon. */
static void __attribute__((noinline)) let_go(struct cpu *c, struct regs *r)
{
	c->lets_go = false;
	if (c->current->domain->state >= DOMAIN_DYING) {
		queue_choose(c, c->resident);
		exchange(c, r, c->resident);
	}
	fpu_forget(c);
}

/* Nobody can run: wait for an interrupt. */
static void __attribute__((noinline)) await_work(struct cpu *c)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
	flush_serve(c);
	hazard_clear(c, HAZARD_SCHEDULE);
}

/* Let the vCPU run here that the policy wants; wait until there is one. */
static inline void reschedule(struct cpu *c, struct regs *r)
{
	struct vcpu *v;
	for (;;) {
		if (unlikely(c->lets_go))
			let_go(c, r);
		v = choose(c);
		if (likely(v))
			break;
		await_work(c);
	}
	if (v != c->current)
		exchange(c, r, v);
	if (v == c->resident && unlikely(!c->nr_guests))
		timer_give_back(c);
}

bool vcpu_schedule(struct cpu *c, struct regs *r)
{
	if (unlikely(!c->hosts) && c->nr_guests)
		begin_to_host(c);
	if (likely(c->hosts))
		reschedule(c, r);
	struct vcpu *v = c->current;
	if (v->posted)
		v->shared->pending |= __atomic_exchange_n(&v->posted, 0, __ATOMIC_SEQ_CST);
	return v->shared->pending & EVENT_BITS;
}
