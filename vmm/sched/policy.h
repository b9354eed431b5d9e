/* SPDX-License-Identifier: MIT */
/*
 * The queue of a processor, and the policy of this build: SCHED=bvt or SCHED=robin. A policy is
 * five functions, which schedule.c and queue.c take in. All run with the queue_lock held; v is a
 * vCPU of processor c, now a moment:
 *
 *   policy_wake    v can run again; it is not in the queue yet
 *   policy_sleep   v cannot run; it is not in the queue any more
 *   policy_charge  v has run for ns
 *   policy_hurry   a device's interrupt has come for domain 0's vCPU, which is queued
 *   policy_pick    who runs from this moment on, until cpu.slice_end if others wait; or NULL
 *
 * The queue has all that can run, but for cpu.chosen, in the order of their keys: nobody searches.
 * Only the policy changes a key, and only of a vCPU that is not in the queue.
 */
#ifndef VMM_POLICY_H
#define VMM_POLICY_H

#include "vmm/sched/sched.h"

static inline void queue_leave(struct turn *t)
{
	t->prev->next = t->next;
	t->next->prev = t->prev;
}

/* After those with the same key. Most come to the end: they have just run. */
static inline void queue_enter(struct cpu *c, struct turn *t)
{
	struct turn *before = c->run.prev; /* the key of cpu.run is the least */
	while (unlikely(before->key > t->key))
		before = before->prev;
	t->prev = before;
	t->next = before->next;
	t->next->prev = before->next = t;
}

/* Whether the chosen vCPU goes on: it can, and its slice is not over. */
static inline bool queue_stays(const struct cpu *c, uint32_t now)
{
	return c->chosen->queued && !c->chosen->yielded && before(now, c->slice_end);
}

/* The first vCPU leaves the queue, or the chosen one stays, if its key is less; or NULL. */
static inline struct vcpu *queue_turn(struct cpu *c)
{
	struct vcpu *old = c->chosen;
	struct turn *first = c->run.next;
	bool yielded = old->yielded;
	old->yielded = false;
	if (first == &c->run || (old->queued && !yielded && old->turn.key < first->key))
		return old->queued ? old : NULL;
	queue_leave(first);
	if (old->queued) {
		queue_enter(c, &old->turn);
		old->ready_since = c->since;
	}
	return (struct vcpu *)((char *)first - offsetof(struct vcpu, turn));
}

#ifdef SCHED_ROBIN
#include "vmm/sched/robin.h"
#else
#include "vmm/sched/bvt.h"
#endif

#endif
