/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: which vCPU a processor runs, and until when. Each processor has a queue of its
 * own, and a vCPU stays on its processor. The policy is behind five functions.
 *
 * A handler never changes the vCPU under itself: it raises HAZARD_SCHEDULE, and the way out calls
 * vcpu_schedule(). While domain 0 is alone nothing here runs: its vCPUs are the processors.
 */
#ifndef VMM_SCHED_H
#define VMM_SCHED_H

#include "vmm/cpu/cpu.h"

#define NEVER UINT64_MAX
#define WEIGHT_USUAL 256u
#define WEIGHT_SHIFT 12 /* of vcpu.weight_factor, which is 1 << this for WEIGHT_USUAL */
#define SLICE_NS 5000000u /* a vCPU runs so long before another one that waits */

/*
 * A moment is the low word of a time in nanoseconds. Moments are compared by their difference: they
 * are less than two seconds apart, because VEC_TIMER comes each second.
 */
static inline bool before(uint32_t a, uint32_t b) { return (int32_t)(a - b) < 0; }

/* schedule.c */

/*
 * vcpu_schedule - the way out, after HAZARD_SCHEDULE: let another vCPU run if one is due, wait if
 * none can run, and take over what was posted to the one that runs. r: ring 1's or 3's registers.
 * Result: whether an event is pending for it.
 */
bool vcpu_schedule(struct cpu *c, struct regs *r);

/* queue.c */

/* Prepare a processor on which domain 0's vCPU runs. Context: warm-up. */
void sched_warm_up(struct cpu *c);

/* Post events (bits) to a vCPU, and wake it. Any processor. */
void vcpu_post(struct vcpu *v, uint32_t events);
/* Let a vCPU run if it waits; its processor looks at it soon. Any processor. */
void vcpu_wake(struct vcpu *v);
/* The same on its processor c, which looks at it anyway; since: the time now. (queue) */
void vcpu_ready(struct cpu *c, struct vcpu *v, uint64_t since);
/* The vCPU that runs here waits for an event, unless one was posted. */
void vcpu_block(struct cpu *c);
/* Take a vCPU out of the queue: it is offline from now on, or its domain pauses. Any processor. */
void vcpu_stop(struct vcpu *v);
void vcpu_pause(struct vcpu *v);
/* Let a processor look at its queue. Any processor. */
void cpu_kick(struct cpu *c);
/* Timers or devices may be due: this processor's way out looks at all of them. */
static inline void look_at_all(struct cpu *c)
{
	c->due = (uint32_t)c->since;
	hazard_raise(c, HAZARD_SCHEDULE);
}
#define DEVICES ((1u << NR_IRQ) - 1) /* their events */
/* Forget a vCPU's one-shot timer. (queue) */
void timer_drop(struct cpu *c, struct vcpu *v);
/* A vCPU becomes the chosen one; the one that was is not queued any more. */
void queue_choose(struct cpu *c, struct vcpu *v);

/* fpu.c */

#define POISON 0xBD /* fills copies that are old, in the debug build */

static inline uint32_t read_cr0(void)
{
	uint32_t cr0;
	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
	return cr0;
}

static inline void write_cr0(uint32_t cr0) { __asm__ volatile("movl %0, %%cr0" : : "r"(cr0)); }

/* Make v the owner of the FPU registers. CR0.TS is 0. */
void fpu_change(struct cpu *c, struct vcpu *v);
/* The vCPU that runs here uses the FPU from now on: CR0.TS is 0. */
void fpu_take(struct cpu *c);
/* Forget the FPU registers of a dying domain. Context: domain 0's vCPU is current. */
void fpu_forget(struct cpu *c);
/* Give a vCPU the FPU registers that a program starts with. */
void fpu_clean(struct vcpu *v);
/* Note what the processor's FPU can do. Context: warm-up. */
void fpu_warm_up(void);

/* eager.c: with EXIT=eager each exit stores all state, and each way out loads it */

#ifdef EXIT_EAGER
void eager_store(struct cpu *c);
void eager_load(struct cpu *c);
/* Store the FPU registers of the vCPU that runs here, or load them. (fpu.c) */
void fpu_move(struct cpu *c, bool store);
#else
static inline void eager_store(struct cpu *c) { (void)c; }
static inline void eager_load(struct cpu *c) { (void)c; }
#endif

/* time.c */

static inline uint64_t tsc_now(void)
{
	uint32_t low, high;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}
/* Nanoseconds that the time-stamp counter tells: ticks * multiplier / 2^24. */
static inline uint64_t time_now(void)
{
	uint64_t t = tsc_now();
	return ((t & 0xFFFFFFFF) * machine.ns_multiplier >> 24) +
	       ((t >> 32) * machine.ns_multiplier << 8);
}
/* The same as a moment. */
static inline uint32_t moment_now(void)
{
	uint64_t t = tsc_now();
	return (uint32_t)((t & 0xFFFFFFFF) * machine.ns_multiplier >> 24) +
	       ((uint32_t)(t >> 32) * machine.ns_multiplier << 8);
}
/*
 * Write a vCPU's time record at its birth. Later nothing in it changes but the stolen time, which
 * is written when it has grown by TELL_NS (time_tell).
 */
void time_record(struct vcpu *v, uint64_t now);
void time_tell(struct vcpu *v);
#define TELL_NS 1000000u
/* Let VEC_TIMER come at a moment, once. */
void timer_arm(struct cpu *c, uint32_t now, uint32_t at);
/* VEC_TIMER came to a processor that hosts guests. */
void timer_fired(struct cpu *c);
/* The local APIC's timer becomes the scheduler's, or ticks for domain 0 alone again. */
void timer_take(struct cpu *c, uint64_t now);
void timer_give_back(struct cpu *c);

/* timers.c */

/* Set how often a vCPU gets VEC_TIMER, 0 to 1000 Hz. Result: 0, -EINVAL. Its processor. */
int timer_tick(struct cpu *c, struct vcpu *v, unsigned hz);
/* Set the one-shot timer of a vCPU of this processor; ns since birth, 0: never. */
void timer_once(struct cpu *c, struct vcpu *v, uint64_t ns);
/* A vCPU with ticks is to run: post one if it is due. Result: when to look again. (queue) */
uint32_t timer_begin(struct vcpu *v);
/* Post the one-shot timers and domain 0's ticks that are due; cpu.due: when to look. (queue) */
void timers_expire(struct cpu *c);

static inline void queue_lock(struct cpu *c)
{
	while (__atomic_exchange_n(&c->queue_lock, 1, __ATOMIC_ACQUIRE))
		__asm__ volatile("pause");
}
static inline void queue_unlock(struct cpu *c)
{
	__atomic_store_n(&c->queue_lock, 0, __ATOMIC_RELEASE);
}

#endif
