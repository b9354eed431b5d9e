/* SPDX-License-Identifier: MIT */
/*
 * Locks and sleeping. A spin lock is held for a few instructions, with preemption off. A
 * mutex may be held while its owner sleeps.
 *
 * Lock order, outermost first:
 *   1. mutexes: never taken while a spin lock is held (mutex_try may be, it does not wait)
 *   2. a module's spin lock: the task table's, the terminal's, a pipe's, a mutex's own ...
 *   3. the console's (tty.c): printk takes it, and may be called with any lock of 2 held
 *   4. the run queue's (sched.c): sleeping, waking and killing take it; none follows it
 * The debug build asserts 1, that each lock is released by the CPU that took it, and that
 * no CPU takes a spin lock which it holds already.
 */
#ifndef PROC_LOCK_H
#define PROC_LOCK_H

#include "log/log.h"

struct task;

struct spinlock {
	volatile uint32_t held;
#ifdef DEBUG
	volatile unsigned owner; /* 1 + index of the CPU that holds the lock, or 0 */
#endif
};

struct wait_queue { struct task *first; }; /* tasks asleep on a condition; zero is empty */

struct mutex {
	struct spinlock lock; /* of the two below */
	struct task *owner;   /* NULL: free */
	struct wait_queue waiters;
};

/*
 * Checks of what a function's comment demands. The debug build panics where a demand is
 * not met; the normal build contains nothing of them.
 */
#ifdef DEBUG
#define DEBUG_ASSERT(x) ASSERT(x)
#else
#define DEBUG_ASSERT(x) ((void)0)
#endif
#define ASSERT_HELD(lock) DEBUG_ASSERT(spin_held_here(lock))     /* by this CPU */
#define ASSERT_MUTEX(mutex) DEBUG_ASSERT(mutex_held_here(mutex)) /* by this task */
#define ASSERT_MAY_SLEEP() DEBUG_ASSERT(task_may_sleep())        /* preemption, interrupts on */
#define ASSERT_PREEMPT_OFF() DEBUG_ASSERT(preempt_is_off())      /* preemption or interrupts off */
#define ASSERT_IRQS_OFF() DEBUG_ASSERT(irqs_are_off())           /* on this CPU */
#define ASSERT_VO_HELD() DEBUG_ASSERT(vo_is_held())              /* by this CPU */
#ifdef DEBUG
bool spin_held_here(const struct spinlock *l);
bool mutex_held_here(const struct mutex *m);
bool task_may_sleep(void);
bool preempt_is_off(void);
bool irqs_are_off(void);
bool vo_is_held(void);
unsigned spin_owner_here(void); /* what `owner` is while this CPU holds a lock */
#endif

/*
 * spin_lock, spin_unlock - take and release a lock that no interrupt handler takes.
 * Preemption is off while any spin lock is held; spin_unlock reschedules if that came due
 * meanwhile. Context: any but interrupt handlers.
 */
void spin_lock(struct spinlock *l);
void spin_unlock(struct spinlock *l);
/*
 * spin_lock_irq, spin_unlock_irq - take and release a lock that interrupt handlers take, too:
 * interrupts are off while it is held. Result: the interrupt flag from before, for
 * spin_unlock_irq. Context: any.
 */
uint32_t spin_lock_irq(struct spinlock *l);
void spin_unlock_irq(struct spinlock *l, uint32_t flags);

/*
 * Take and release the lock's word only, for lock.c and sched.c: the caller has turned off
 * preemption or interrupts.
 */
static inline void spin_acquire(struct spinlock *l)
{
	DEBUG_ASSERT(!spin_held_here(l));
	while (__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE))
		while (l->held)
			__asm__ volatile("pause");
#ifdef DEBUG
	l->owner = spin_owner_here();
#endif
}

static inline void spin_release(struct spinlock *l)
{
#ifdef DEBUG
	ASSERT_HELD(l);
	l->owner = 0;
#endif
	__atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
}

/*
 * preempt_disable, preempt_enable - no other task runs on this CPU between them. They
 * nest. preempt_enable reschedules if that came due meanwhile, unless interrupts are off.
 * Context: any.
 */
void preempt_disable(void);
void preempt_enable(void);

/*
 * wait_on - sleep until woken. l is the lock of the condition that the caller waits for;
 * it was taken with spin_lock or spin_lock_irq, is released during the sleep, and is held
 * again at return. A task can be woken although its condition does not hold: test the
 * condition in a loop.
 * Result: 0, or -EINTR if this process was killed, before or during the sleep.
 * Context: process, l held and no other spin lock.
 */
int wait_on(struct wait_queue *q, struct spinlock *l);
/*
 * As wait_on, but kill does not end the sleep: for short waits that must finish, as for a
 * disk.
 */
void wait_on_unkillable(struct wait_queue *q, struct spinlock *l);
/*
 * Wake all tasks in the queue, or the first. Context: any, with the condition's lock
 * held.
 */
void wake_all(struct wait_queue *q);
void wake_one(struct wait_queue *q);
/*
 * Sleep for at least ms milliseconds. Result: 0, or -EINTR if this process was killed.
 * Context: process, no spin lock.
 */
int sleep_ms(uint32_t ms);
/*
 * sleep_until - sleep until `end` (ns since boot), or until sleep_end(). l: as for wait_on(), or
 * NULL. Result: 0, or -EINTR if this process was killed. Context: process, l held and no other
 * spin lock.
 * sleep_end - end t's sleep_until(), if t is in it. Context: any, with t's l held.
 */
int sleep_until(uint64_t end, struct spinlock *l);
void sleep_end(struct task *t);

/*
 * mutex_lock, mutex_unlock - take a mutex, asleep until it is free; release it. Not
 * recursive.
 * Context: process. mutex_lock: no spin lock held. mutex_unlock: by the owner.
 */
void mutex_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);
/*
 * Take a mutex if it is free. Result: whether it was taken. Context: process; spin locks
 * may be held.
 */
bool mutex_try(struct mutex *m);

#endif
