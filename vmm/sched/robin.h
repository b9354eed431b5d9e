/* SPDX-License-Identifier: MIT */
/* Round robin: the second policy. All keys are 0, so the queue is in the order of arrival. */
#ifndef VMM_ROBIN_H
#define VMM_ROBIN_H

static inline void policy_wake(struct cpu *c, struct vcpu *v) { (void)c, (void)v; }
static inline void policy_sleep(struct vcpu *v) { (void)v; }
static inline void policy_charge(struct cpu *c, struct vcpu *v, uint32_t ns)
{
	(void)c, (void)v, (void)ns;
}

static inline void policy_hurry(struct cpu *c, uint32_t now) { (void)c, (void)now; }

static inline struct vcpu *policy_pick(struct cpu *c, uint32_t now)
{
	if (queue_stays(c, now))
		return c->chosen;
	c->slice_end = now + SLICE_NS;
	return queue_turn(c);
}

#endif
