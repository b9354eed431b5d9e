/* SPDX-License-Identifier: MIT */
/*
 * Spin locks and mutexes. A spin lock keeps out other CPUs by its word, and the other tasks of
 * its own CPU by turning preemption off. With one processor only the latter has an effect.
 */
#include "proc/lock.h"
#include "proc/task.h"

void preempt_disable(void)
{
	current()->preempt++;
	barrier();
}

void preempt_enable(void)
{
	struct task *t = current();
	barrier();
	if (--t->preempt == 0 && unlikely(t->hazard & HAZARD_RESCHED) && VO(irq, enabled)())
		schedule();
}

void spin_lock(struct spinlock *l)
{
	current()->preempt++;
	spin_acquire(l);
}

void spin_unlock(struct spinlock *l)
{
	spin_release(l);
	preempt_enable();
}

uint32_t spin_lock_irq(struct spinlock *l)
{
	uint32_t flags = VO(irq, save)();
	current()->preempt++;
	spin_acquire(l);
	return flags;
}

void spin_unlock_irq(struct spinlock *l, uint32_t flags)
{
	spin_release(l);
	VO(irq, restore)(flags);
	preempt_enable();
}

void mutex_lock(struct mutex *m)
{
	ASSERT_MAY_SLEEP();
	spin_lock(&m->lock);
	ASSERT(m->owner != current());
	while (m->owner)
		wait_on_unkillable(&m->waiters, &m->lock);
	m->owner = current();
	spin_unlock(&m->lock);
}

bool mutex_try(struct mutex *m)
{
	spin_lock(&m->lock);
	bool taken = !m->owner;
	if (taken)
		m->owner = current();
	spin_unlock(&m->lock);
	return taken;
}

void mutex_unlock(struct mutex *m)
{
	spin_lock(&m->lock);
	ASSERT(m->owner == current());
	m->owner = NULL;
	if (m->waiters.first)
		wake_one(&m->waiters);
	spin_unlock(&m->lock);
}

#ifdef DEBUG
/*
 * The owner is a CPU, not a task: the run queue's lock is taken by one task and released
 * by the next.
 */
unsigned spin_owner_here(void) { return 1 + this_cpu(); }

bool spin_held_here(const struct spinlock *l) { return l->owner == spin_owner_here(); }

bool mutex_held_here(const struct mutex *m) { return m->owner == current(); }

bool vo_is_held(void) { return vo_uses[this_cpu()] > 0; }

bool irqs_are_off(void) { return !VO(irq, enabled)(); }

bool task_may_sleep(void) { return current()->preempt == 0 && !irqs_are_off(); }

bool preempt_is_off(void) { return current()->preempt > 0 || irqs_are_off(); }
#endif
