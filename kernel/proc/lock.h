/* SPDX-License-Identifier: MIT */
/*
 * Locks. A spin lock is held for a few instructions, with preemption off; a mutex may be held across sleeping.
 * Order: mutexes before spin locks; the run queue's lock last.
 */
#ifndef PROC_LOCK_H
#define PROC_LOCK_H

#include "log/log.h"

struct task;
struct spinlock { volatile uint32_t held; };

struct wait_queue { struct task *first; }; /* tasks asleep on a condition; zero is empty */

struct mutex {
	struct spinlock lock;
	struct task *owner;
	struct wait_queue waiters;
};

/* Take and release; preemption is off while any is held. Context: any, if interrupt handlers never take this lock. */
void spin_lock(struct spinlock *l);
void spin_unlock(struct spinlock *l);
/* The same for locks that interrupt handlers take too: interrupts are off while held. Result: for unlock_irq. */
uint32_t spin_lock_irq(struct spinlock *l);
void spin_unlock_irq(struct spinlock *l, uint32_t flags);

/* Preemption of this task by others on its CPU; nests. preempt_enable() reschedules if that came due. */
void preempt_disable(void);
void preempt_enable(void);

/*
 * wait_on - sleep until woken, releasing l meanwhile (l was taken with spin_lock or spin_lock_irq and is held again
 * at return). Wakings may be spurious: test the condition again in a loop. Result: 0, or -EINTR at once or
 * later if this process was killed. Context: process, no other spin lock held.
 */
int wait_on(struct wait_queue *q, struct spinlock *l);
/* The same, not ended by kill: for short waits that must finish, as for a disk. */
void wait_on_unkillable(struct wait_queue *q, struct spinlock *l);
/* Wake all or the first of the sleepers. Any context; call with the condition's lock held. */
void wake_all(struct wait_queue *q);
void wake_one(struct wait_queue *q);
/* Sleep for at least ms milliseconds. Result: 0, -EINTR. */
int sleep_ms(uint32_t ms);

/* Context: process, no spin lock held. Not recursive. */
void mutex_lock(struct mutex *m);
bool mutex_try(struct mutex *m); /* whether it was free and is now taken; also with spin locks held */
void mutex_unlock(struct mutex *m);

#endif
