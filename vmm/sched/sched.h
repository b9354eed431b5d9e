/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: which vCPU a processor runs, and until when. Each processor has a queue of its
 * own, and a vCPU stays on its processor. The policy is behind four functions.
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
 * A policy. All run with the processor's queue_lock held; v is a vCPU of that processor, and
 * cpu.run has those that can run. now: ns.
 */
struct policy {
	void (*wake)(struct cpu *c, struct vcpu *v); /* v can run again; it is not in cpu.run yet */
	void (*sleep)(struct cpu *c, struct vcpu *v); /* v blocked; it is not in cpu.run any more */
	void (*charge)(struct cpu *c, struct vcpu *v, uint32_t ns); /* v has run for ns */
	/* Who runs from now on, and until when if nothing happens. NULL: cpu.run is empty. */
	struct vcpu *(*pick)(struct cpu *c, uint64_t now, uint64_t *until);
};
extern const struct policy borrowed_time; /* bvt.c */
extern const struct policy round_robin;   /* robin.c */

/* The policy of this build: SCHED=bvt or SCHED=robin. */
#ifdef SCHED_ROBIN
#define POLICY round_robin
#else
#define POLICY borrowed_time
#endif

/* schedule.c */

/*
 * vcpu_schedule - the way out, after HAZARD_SCHEDULE: let another vCPU run if one is due, wait if
 * none can run, and take over what was posted to the one that runs. r: ring 1's or 3's registers.
 */
void vcpu_schedule(struct cpu *c, struct regs *r);

/* queue.c */

/* Post events (bits) to a vCPU, and wake it. Any processor. */
void vcpu_post(struct vcpu *v, uint32_t events);
/* Let a vCPU run if it waits; its processor looks at it soon. Any processor. */
void vcpu_wake(struct vcpu *v);
/* The same on its processor c, which looks at it anyway. (queue) */
void vcpu_ready(struct cpu *c, struct vcpu *v);
/* The vCPU that runs here waits for an event, unless one was posted. */
void vcpu_block(struct cpu *c);
/* Take a vCPU out of the queue: it is offline from now on, or its domain pauses. Any processor. */
void vcpu_stop(struct vcpu *v);
void vcpu_pause(struct vcpu *v);
/* Let a processor look at its queue. Any processor. */
void cpu_kick(struct cpu *c);
/* Forget a vCPU's one-shot timer. (queue) */
void timer_drop(struct cpu *c, struct vcpu *v);

/* switch.c */

/* exchange - v's registers come into the processor and into r; what was there is stored. */
void exchange(struct cpu *c, struct regs *r, struct vcpu *v);
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
/* Store the FPU registers of the vCPU that runs here, or load them. (switch.c) */
void fpu_move(struct cpu *c, bool store);
#else
static inline void eager_store(struct cpu *c) { (void)c; }
static inline void eager_load(struct cpu *c) { (void)c; }
#endif

/* time.c */

/* Nanoseconds that the time-stamp counter tells. */
uint64_t time_now(void);
/* Write a vCPU's time record: it comes to its processor. */
void time_record(struct vcpu *v, uint64_t now);
/* Let VEC_TIMER come at a time, once. */
void timer_arm(struct cpu *c, uint64_t now, uint64_t at);
/* The local APIC's timer becomes the scheduler's, or ticks for domain 0 alone again. */
void timer_take(struct cpu *c, uint64_t now);
void timer_give_back(struct cpu *c);

/* timers.c */

/* Set how often a vCPU gets VEC_TIMER, 0 to 1000 Hz. Result: 0, -EINVAL. Its processor. */
int timer_tick(struct cpu *c, struct vcpu *v, unsigned hz);
/* Set the one-shot timer of a vCPU of this processor; ns since birth, 0: never. */
void timer_once(struct cpu *c, struct vcpu *v, uint64_t ns);
/* A vCPU is to run: post its tick if that is due. Result: when the next one is. (queue) */
uint64_t timer_begin(struct vcpu *v, uint64_t now);
/* Post the one-shot timers and domain 0's ticks that are due. Result: when the next is. (queue) */
uint64_t timers_expire(struct cpu *c, uint64_t now);

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
