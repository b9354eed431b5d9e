/* SPDX-License-Identifier: MIT */
/*
 * The queue of a processor: the vCPUs that can run. The one that was chosen to run is queued, too,
 * but not in the list. Other processors wake vCPUs here, so the queue has a lock; nothing waits
 * while it holds that.
 */
#include "vmm/sched/policy.h"

void sched_warm_up(struct cpu *c)
{
	struct vcpu *v = c->chosen = c->resident;
	c->run = (struct turn){ .next = &c->run, .prev = &c->run, .key = INT64_MIN };
	v->queued = true;
	v->turn.weight_factor = 1 << WEIGHT_SHIFT;
	v->turn.warp_ns = 20000000; /* devices wait for it */
	v->time = &v->domain->rest->time[v->index];
}

void cpu_kick(struct cpu *c)
{
	hazard_raise(c, HAZARD_SCHEDULE);
	if (c != cpu_here())
		apic_send(c->index, VEC_FLUSH);
}

void queue_choose(struct cpu *c, struct vcpu *v)
{
	queue_lock(c);
	if (v->queued && v != c->chosen)
		queue_leave(&v->turn);
	c->chosen = v;
	queue_unlock(c);
}

static void leave_queue(struct cpu *c, struct vcpu *v)
{
	v->queued = false;
	if (v != c->chosen)
		queue_leave(&v->turn);
	policy_sleep(v);
}

static void join_queue(struct cpu *c, struct vcpu *v, uint64_t since)
{
	policy_wake(c, v);
	v->queued = true;
	v->ready_since = since;
	if (v != c->chosen)
		queue_enter(c, &v->turn);
}

void vcpu_ready(struct cpu *c, struct vcpu *v, uint64_t since)
{
	if (v->run == RUN_BLOCKED)
		v->run = RUN_READY;
	if (v->run == RUN_READY && !v->queued && v->domain->state == DOMAIN_RUNS)
		join_queue(c, v, since);
}

void vcpu_wake(struct vcpu *v)
{
	struct cpu *c = cpu_of(v->cpu);
	queue_lock(c);
	vcpu_ready(c, v, time_now());
	queue_unlock(c);
	cpu_kick(c);
}

void vcpu_post(struct vcpu *v, uint32_t events)
{
	if (events & DEVICES)
		look_at_all(cpu_of(v->cpu)); /* which is this one */
	if (events & ~__atomic_fetch_or(&v->posted, events, __ATOMIC_SEQ_CST))
		vcpu_wake(v); /* else whoever posted it first does */
}

void vcpu_block(struct cpu *c)
{
	struct vcpu *v = c->current;
	queue_lock(c);
	if (!v->posted && v->queued) {
		v->run = RUN_BLOCKED;
		leave_queue(c, v);
	}
	queue_unlock(c);
	hazard_raise(c, HAZARD_SCHEDULE);
}

void timer_drop(struct cpu *c, struct vcpu *v)
{
	for (struct vcpu **at = &c->timers; *at; at = &(*at)->timer_next)
		if (*at == v) {
			*at = v->timer_next;
			break;
		}
	v->once_at = 0;
}

static void take_out(struct vcpu *v, bool for_ever)
{
	struct cpu *c = cpu_of(v->cpu);
	queue_lock(c);
	if (v->queued)
		leave_queue(c, v);
	if (for_ever) {
		v->run = RUN_OFFLINE;
		timer_drop(c, v);
	}
	queue_unlock(c);
	cpu_kick(c);
}

void vcpu_stop(struct vcpu *v) { take_out(v, true); }

void vcpu_pause(struct vcpu *v) { take_out(v, false); }
