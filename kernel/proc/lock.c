/* SPDX-License-Identifier: MIT */
/* Spin locks and mutexes. On one CPU a spin lock is never contended: what protects then is that preemption is off. */
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

static inline void acquire(struct spinlock *l)
{
	while (__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE))
		while (l->held)
			__asm__ volatile("pause");
}

void spin_lock(struct spinlock *l)
{
	current()->preempt++;
	acquire(l);
}

void spin_unlock(struct spinlock *l)
{
	__atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
	preempt_enable();
}

uint32_t spin_lock_irq(struct spinlock *l)
{
	uint32_t flags = VO(irq, save)();
	current()->preempt++;
	acquire(l);
	return flags;
}

void spin_unlock_irq(struct spinlock *l, uint32_t flags)
{
	__atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
	VO(irq, restore)(flags);
	preempt_enable();
}

void mutex_lock(struct mutex *m)
{
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
