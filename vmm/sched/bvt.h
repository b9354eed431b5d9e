/* SPDX-License-Identifier: MIT */
/*
 * Borrowed virtual time (Duda, Cheriton: SOSP 1999). The virtual time of a vCPU grows while it
 * runs, the slower the heavier it is, and the one with the least runs. One that wakes up begins
 * where the others are: sleep gives no credit. It may borrow from its own future (warp) to run at
 * once, for a limited time; it pays later, because its virtual time grows as always.
 *
 * The key is the virtual time less the warp, which is what the vCPU borrows now.
 */
#ifndef VMM_BVT_H
#define VMM_BVT_H

#define WARP_LONGEST_NS 2000000u /* of one warp; the next begins WARP_PAUSE_NS later */
#define WARP_PAUSE_NS 8000000u
#define WARP_DEVICE_NS 200000u /* for a device, which does not wait for the end of a pause */

static inline void begin_warp(struct turn *t, uint32_t longest_ns)
{
	t->warp = t->warp_ns;
	t->key -= t->warp;
	t->warp_ran = WARP_LONGEST_NS - longest_ns;
}

static inline void end_warp(struct turn *t)
{
	t->key += t->warp;
	t->warp = 0;
}

static inline void policy_wake(struct cpu *c, struct vcpu *v)
{
	struct turn *t = &v->turn;
	/* Where the others are: who borrows has the least key, but not the least virtual time. */
	const struct turn *ran = &c->chosen->turn, *first = c->run.next;
	int64_t least = ran->key + ran->warp;
	if (first != &c->run)
		least = MIN(least, first->key + first->warp);
	t->key = MAX(t->key, least);
	if (t->warp_ns && time_now() >= t->warp_from)
		begin_warp(t, WARP_LONGEST_NS);
}

static inline void policy_sleep(struct vcpu *v) { end_warp(&v->turn); }

static void __attribute__((noinline)) charge_warp(struct cpu *c, struct turn *t, uint32_t ns)
{
	if ((t->warp_ran += ns) < WARP_LONGEST_NS)
		return;
	end_warp(t);
	if (c->since >= t->warp_from)
		t->warp_from = c->since + WARP_PAUSE_NS;
}

static inline void policy_charge(struct cpu *c, struct vcpu *v, uint32_t ns)
{
	struct turn *t = &v->turn;
	t->key += (int64_t)((uint64_t)ns * t->weight_factor >> WEIGHT_SHIFT);
	if (unlikely(t->warp))
		charge_warp(c, t, ns);
}

/* Domain 0 runs now, and long enough to serve a device. */
static inline void policy_hurry(struct cpu *c, uint32_t now)
{
	struct turn *t = &c->resident->turn;
	bool waits = c->resident != c->chosen;
	if (waits)
		queue_leave(t);
	if (t->warp)
		t->warp_ran = MIN(t->warp_ran, WARP_LONGEST_NS - WARP_DEVICE_NS);
	else
		begin_warp(t, WARP_DEVICE_NS);
	if (waits)
		queue_enter(c, t);
	else if (before(c->slice_end, now + WARP_DEVICE_NS))
		c->slice_end = now + WARP_DEVICE_NS;
}

/* One that is warped does not wait for the end of a slice. */
static inline struct vcpu *policy_pick(struct cpu *c, uint32_t now)
{
	struct vcpu *v = c->chosen;
	const struct turn *first = c->run.next;
	if (queue_stays(c, now) && !(unlikely(first->warp) && first->key < v->turn.key))
		return v;
	v = queue_turn(c);
	c->slice_end = now + SLICE_NS;
	if (v && unlikely(v->turn.warp))
		c->slice_end = now + WARP_LONGEST_NS - v->turn.warp_ran;
	return v;
}

#endif
