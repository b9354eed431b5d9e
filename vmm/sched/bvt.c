/* SPDX-License-Identifier: MIT */
/*
 * Borrowed virtual time (Duda, Cheriton: SOSP 1999). The virtual time of a vCPU grows while it
 * runs, the slower the heavier it is, and the one with the least runs. One that wakes up begins
 * where the others are: sleep gives no credit. It may borrow from its own future (warp) to run at
 * once, for a limited time; it pays later, because its virtual time grows as always.
 */
#include "vmm/sched/sched.h"

#define WARP_LONGEST_NS 2000000u /* of one warp; the next begins WARP_PAUSE_NS later */
#define WARP_PAUSE_NS 8000000u
#define LEAD_MAX_NS 1000000000

/* Note the time that counts: the smallest one runs. */
static inline void set_effective(struct vcpu *v)
{
	v->effective = (int64_t)(v->virtual_time - (v->warped ? v->warp_ns : 0));
}

static void bvt_wake(struct cpu *c, struct vcpu *v)
{
	v->virtual_time = MAX(v->virtual_time, c->virtual_time);
	v->warped = v->warp_ns && time_now() >= v->warp_from;
	v->warp_ran = 0;
	set_effective(v);
}

static void bvt_sleep(struct cpu *c, struct vcpu *v)
{
	(void)c;
	v->warped = false;
}

static void bvt_charge(struct cpu *c, struct vcpu *v, uint32_t ns)
{
	(void)c;
	v->virtual_time += (uint64_t)ns * v->weight_factor >> WEIGHT_SHIFT;
	if (v->warped && (v->warp_ran += ns) >= WARP_LONGEST_NS) {
		v->warped = false;
		v->warp_from = time_now() + WARP_PAUSE_NS;
	}
	set_effective(v);
}

/* The one to run, and the one after it (or NULL): those with the smallest effective times. */
static struct vcpu *smallest(struct cpu *c, struct vcpu **second)
{
	struct vcpu *first = NULL, *next = NULL;
	for (struct vcpu *v = c->run; v; v = v->run_next)
		if (!first || v->effective < first->effective)
			next = first, first = v;
		else if (!next || v->effective < next->effective)
			next = v;
	if (next && first->yielded) { /* once */
		struct vcpu *yields = first;
		first = next, next = yields;
	}
	*second = next;
	return first;
}

/* How long v runs until its own time is SLICE_NS ahead of the next one's. */
static uint64_t slice_of(const struct vcpu *v, const struct vcpu *second)
{
	int64_t lead = second->effective - v->effective;
	uint64_t ns = (uint64_t)MIN(MAX(lead, 0), LEAD_MAX_NS) << WEIGHT_SHIFT;
	div64(&ns, v->weight_factor);
	return SLICE_NS + ns;
}

static struct vcpu *bvt_pick(struct cpu *c, uint64_t now, uint64_t *until)
{
	struct vcpu *second, *current = c->current, *v = smallest(c, &second);
	bool goes_on = current->queued && !current->yielded && now < c->slice_end;
	current->yielded = false;
	if (v && !v->warped)
		c->virtual_time = MAX(c->virtual_time, v->virtual_time);
	if (goes_on && (v == current || !v->warped))
		v = current;
	else if (v)
		c->slice_end = now + (second ? slice_of(v, second) : SLICE_NS);
	if (second)
		*until = v->warped ? MIN(c->slice_end, now + WARP_LONGEST_NS - v->warp_ran) :
				     c->slice_end;
	return v;
}

const struct policy borrowed_time = { bvt_wake, bvt_sleep, bvt_charge, bvt_pick };
