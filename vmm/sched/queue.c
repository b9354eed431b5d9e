/* SPDX-License-Identifier: MIT */
/*
 * The queue of a processor: the vCPUs that can run, the one that runs included. Other processors
 * wake vCPUs here, so the queue has a lock; nothing waits while it holds that.
 */
#include "vmm/sched/sched.h"

void cpu_kick(struct cpu *c)
{
	hazard_raise(c, HAZARD_SCHEDULE);
	if (c != cpu_here())
		apic_send(c->index, VEC_FLUSH);
}

/* Take a vCPU out of cpu.run. (queue) */
static void leave_queue(struct cpu *c, struct vcpu *v)
{
	struct vcpu **at = &c->run;
	while (*at != v)
		at = &(*at)->run_next;
	*at = v->run_next;
	v->queued = false;
	POLICY.sleep(c, v);
}

/* Put a vCPU at the end of cpu.run. (queue) */
static void join_queue(struct cpu *c, struct vcpu *v)
{
	struct vcpu **at = &c->run;
	POLICY.wake(c, v);
	while (*at)
		at = &(*at)->run_next;
	*at = v;
	v->run_next = NULL;
	v->queued = true;
	v->ready_since = time_now();
}

void vcpu_ready(struct cpu *c, struct vcpu *v)
{
	if (v->run == RUN_BLOCKED)
		v->run = RUN_READY;
	if (v->run == RUN_READY && !v->queued && v->domain->state == DOMAIN_RUNS)
		join_queue(c, v);
}

void vcpu_wake(struct vcpu *v)
{
	struct cpu *c = cpu_of(v->cpu);
	queue_lock(c);
	vcpu_ready(c, v);
	queue_unlock(c);
	cpu_kick(c);
}

void vcpu_post(struct vcpu *v, uint32_t events)
{
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
