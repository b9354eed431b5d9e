/* SPDX-License-Identifier: MIT */
/*
 * Time: the clock, the time record of each vCPU, and the local APIC's timer. While a processor
 * hosts guests the timer comes once, when the earliest of these is due: the end of a slice, a tick
 * of the vCPU that runs or of domain 0's, the one-shot timer of any vCPU.
 */
#include "vmm/sched/sched.h"

enum { LAPIC_TIMER = 0x320, LAPIC_INITIAL = 0x380 };
#define LVT_PERIODIC 0x20000
#define LONGEST_NS 1000000000u  /* the timer comes at least so often */
#define NS_PER_SECOND 1000000000u

/* n * multiplier / 2^24 */
static inline uint64_t scale(uint64_t n, uint32_t multiplier)
{
	return ((n & 0xFFFFFFFF) * multiplier >> 24) + (((n >> 32) * multiplier) << 8);
}

static inline uint64_t tsc_now(void)
{
	uint64_t t;
	__asm__ volatile("rdtsc" : "=A"(t));
	return t;
}

uint64_t time_now(void) { return scale(tsc_now(), machine.ns_multiplier); }

void time_record(struct vcpu *v, uint64_t now)
{
	struct vmm_time *t = &v->domain->rest->time[v->index];
	t->version++;
	barrier();
	t->multiplier = machine.ns_multiplier;
	t->tsc = tsc_now();
	t->ns = now - v->domain->born;
	t->stolen = v->stolen;
	barrier();
	t->version++;
}

void timer_arm(struct cpu *c, uint64_t now, uint64_t at)
{
	if (at >= c->armed && c->armed > now)
		return; /* it comes early enough, and then again */
	uint32_t ns = at <= now ? 0 : (uint32_t)MIN(at - now, LONGEST_NS);
	uint64_t count = (uint64_t)ns * machine.lapic_hz;
	div64(&count, NS_PER_SECOND);
	c->armed = now + ns;
	LAPIC[LAPIC_INITIAL / 4] = (uint32_t)count + 1;
}

void timer_take(struct cpu *c, uint64_t now)
{
	uint64_t ns = c->tick_count = LAPIC[LAPIC_INITIAL / 4];
	struct vcpu *v = c->resident;
	ns *= NS_PER_SECOND;
	div64(&ns, MAX(machine.lapic_hz, 1u));
	v->tick_ns = (uint32_t)ns;
	v->tick_at = now + ns;
	c->armed = 0;
	LAPIC[LAPIC_TIMER / 4] &= ~(uint32_t)LVT_PERIODIC;
}

void timer_give_back(struct cpu *c)
{
	c->hosts = false;
	LAPIC[LAPIC_TIMER / 4] |= LVT_PERIODIC;
	LAPIC[LAPIC_INITIAL / 4] = c->tick_count;
}
