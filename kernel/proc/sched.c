/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: one queue of ready tasks for all CPUs, served in turn. The run queue's
 * lock covers the queue, every task's state and all wait queues. One task takes it before
 * context_switch, and the task that runs next releases it: so no other CPU can run or
 * free a task whose stack is still in use.
 */
#include "mm/vm.h"
#include "proc/task.h"

#define SLICE_TICKS 2 /* a task's time slice */

unsigned nr_cpus = 1;
bool tickless;

static struct spinlock lock; /* the run queue's: of all that follows */
static struct { struct task *first, *last; } ready;
static struct wait_queue sleepers; /* tasks in sleep_ms, by wake_time */
static struct task *idle_tasks[MAX_CPUS];
static struct task *preempted; /* list, by preempted_next */
static uint32_t idle_cpus; /* bits of the CPUs that run their idle task */

/* Save this context on the stack of `from`, and continue that of `to` (context.S). */
void context_switch(struct task *from, struct task *to);

/*
 * Take and release the run queue's lock. Interrupts are off while it is held. Its release
 * does not reschedule.
 */
static uint32_t sched_lock(void)
{
	uint32_t flags = VO(irq, save)();
	spin_acquire(&lock);
	return flags;
}

static void sched_unlock(uint32_t flags)
{
	spin_release(&lock);
	VO(irq, restore)(flags);
}

static void hazard_set(struct task *t, uint32_t bits)
{
	__atomic_fetch_or(&t->hazard, bits, __ATOMIC_RELAXED);
}

/* Append t to the run queue. With the lock held. */
static void enqueue(struct task *t)
{
	ASSERT_HELD(&lock);
	t->state = TASK_READY;
	t->next = NULL;
	if (ready.first)
		ready.last->next = t;
	else
		ready.first = t;
	ready.last = t;
}

/*
 * Append t to the run queue, and wake an idle CPU for it, unless this CPU is idle and has
 * nothing else to run. With the lock held.
 */
static void make_ready(struct task *t)
{
	uint32_t self = 1u << this_cpu(), others = idle_cpus & ~self;
	bool mine = (idle_cpus & self) && !ready.first;
	enqueue(t);
	if (unlikely(others && !mine)) {
		unsigned cpu = (unsigned)__builtin_ctz(others);
		idle_cpus &= ~(1u << cpu); /* so that the next call wakes another CPU */
		VO(irq, send)(cpu, VEC_RESCHED);
	}
}

void sched_load_mm(struct task *t)
{
	ASSERT_VO_HELD();
	pte_t *directory = mm_entries(t->mm);
	VO(cpu, switch_context)((uint32_t)t + TASK_STACK_BYTES, directory);
}

/* --- the preempted: tasks that left their CPU with trap_frames --- */
/* A mode switch changes what these frames hold, so it must find the tasks. They are few. */

static void preempted_add(struct task *t)
{
	ASSERT_HELD(&lock);
	t->preempted_next = preempted;
	t->preempted_at = &preempted;
	if (preempted)
		preempted->preempted_at = &t->preempted_next;
	preempted = t;
}

static void preempted_remove(struct task *t)
{
	ASSERT_HELD(&lock);
	*t->preempted_at = t->preempted_next;
	if (t->preempted_next)
		t->preempted_next->preempted_at = t->preempted_at;
	t->preempted_at = NULL;
}

void sched_each_preempted(void (*fn)(struct task *t, bool attach), bool attach)
{
	for (struct task *t = preempted; t; t = t->preempted_next)
		fn(t, attach);
}

/*
 * Run the first task of the run queue, or this CPU's idle task. Returns when the current
 * task runs again, perhaps on another CPU. With the lock held, and the current task's
 * state set.
 */
static void switch_away(void)
{
	struct task *prev = current(), *next = ready.first;
	unsigned cpu = prev->cpu;
	ASSERT_HELD(&lock);
	__atomic_fetch_and(&prev->hazard, ~(uint32_t)HAZARD_RESCHED, __ATOMIC_RELAXED);
	ASSERT(prev->guard == TASK_GUARD);
	if (next)
		ready.first = next->next;
	else
		next = idle_tasks[cpu];
	if (next == prev) {
		prev->state = TASK_RUNNING;
		return;
	}
	next->state = TASK_RUNNING;
	next->cpu = cpu;
	next->slice = SLICE_TICKS;
	if (next->idle)
		idle_cpus |= 1u << cpu;
	else
		idle_cpus &= ~(1u << cpu);
	if (unlikely(prev->trap_frames))
		preempted_add(prev);
	if (unlikely(next->preempted_at))
		preempted_remove(next);
	uint32_t stack = (uint32_t)next + TASK_STACK_BYTES;
	if (prev->fpu_live) {
		fpu_leave(prev);
		stack |= SWITCH_FPU_TRAP;
	}
	pte_t *directory = prev->mm != next->mm ? mm_entries(next->mm) : NULL;
	VO(cpu, switch_context)(stack, directory);
	context_switch(prev, next);
}

void schedule(void)
{
	uint32_t flags = sched_lock();
	struct task *t = current();
	if (t->idle)
		t->state = TASK_READY;
	else
		enqueue(t);
	switch_away();
	sched_unlock(flags);
}

void sched_finish(void) { sched_unlock(EFLAGS_IF); } /* with interrupts on */

bool task_in_vo(const struct task *t)
{
	const struct trap_frame *f = t->trap_frames;
	while (f && !vo_in_text(f->eip))
		f = (const struct trap_frame *)(uintptr_t)f->outer;
	return f;
}

void preempt_check(void)
{
	struct task *t = current();
	ASSERT_IRQS_OFF();
	if (t->preempt == 0 && t->hazard & HAZARD_RESCHED && !task_in_vo(t))
		schedule();
}

void sched_ready(struct task *t)
{
	uint32_t flags = sched_lock();
	make_ready(t);
	sched_unlock(flags);
}

/* --- sleeping and waking --- */

/* Append t to a wait queue. With the lock held. */
static void wait_add(struct wait_queue *q, struct task *t)
{
	struct task **at = &q->first;
	while (*at)
		at = &(*at)->next;
	t->next = NULL;
	*at = t;
}

/* Take t out of the wait queue that it sleeps in. With the lock held. */
static void wait_remove(struct task *t)
{
	struct task **at = &t->waiting_on->first;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	t->waiting_on = NULL;
}

/* What wait_on() and wait_on_unkillable() do. */
static int wait(struct wait_queue *q, struct spinlock *l, bool killable)
{
	struct task *t = current();
	ASSERT_HELD(l);
	ASSERT(t->preempt == 1);
	uint32_t flags = sched_lock();
	if (killable && t->hazard & HAZARD_KILLED) {
		sched_unlock(flags);
		return -EINTR;
	}
	t->state = TASK_SLEEPING;
	t->killable = killable;
	t->waiting_on = q;
	wait_add(q, t);
	spin_release(l);
	switch_away();
	sched_unlock(flags);
	spin_acquire(l); /* preemption has stayed off since l was taken */
	return killable && t->hazard & HAZARD_KILLED ? -EINTR : 0;
}

int wait_on(struct wait_queue *q, struct spinlock *l) { return wait(q, l, true); }

void wait_on_unkillable(struct wait_queue *q, struct spinlock *l) { wait(q, l, false); }

/* Wake the first task in the queue; there is one. With the lock held. */
static void wake_first(struct wait_queue *q)
{
	struct task *t = q->first;
	q->first = t->next;
	t->waiting_on = NULL;
	make_ready(t);
}

void wake_all(struct wait_queue *q)
{
	ASSERT_PREEMPT_OFF();
	uint32_t flags = sched_lock();
	while (q->first)
		wake_first(q);
	sched_unlock(flags);
}

void wake_one(struct wait_queue *q)
{
	ASSERT_PREEMPT_OFF();
	uint32_t flags = sched_lock();
	if (q->first)
		wake_first(q);
	sched_unlock(flags);
}

int sleep_until(uint64_t end, struct spinlock *l)
{
	struct task *t = current(), **at;
	t->wake_time = end;
	uint32_t flags = sched_lock();
	bool killed = t->hazard & HAZARD_KILLED;
	if (!killed) {
		for (at = &sleepers.first; *at && (*at)->wake_time <= t->wake_time;)
			at = &(*at)->next;
		t->next = *at;
		*at = t;
		t->waiting_on = &sleepers;
		t->killable = true;
		t->state = TASK_SLEEPING;
		if (l)
			spin_release(l);
		switch_away();
	}
	sched_unlock(flags);
	if (l && !killed)
		spin_acquire(l);
	return t->hazard & HAZARD_KILLED ? -EINTR : 0;
}

int sleep_ms(uint32_t ms)
{
	ASSERT_MAY_SLEEP();
	uint64_t now = VO(time, now)();
	return sleep_until(now + (uint64_t)ms * 1000000, NULL);
}

void sleep_end(struct task *t)
{
	ASSERT_PREEMPT_OFF();
	uint32_t flags = sched_lock();
	if (t->state == TASK_SLEEPING && t->waiting_on == &sleepers) {
		wait_remove(t);
		make_ready(t);
	}
	sched_unlock(flags);
}

void sched_tick(void)
{
	struct task *t = current();
	ASSERT_IRQS_OFF();
	t->runtime_ticks++;
	if (!t->idle && --t->slice <= 0)
		hazard_set(t, HAZARD_RESCHED);
	if ((t->cpu == 0 || tickless) && sleepers.first) {
		uint64_t now = VO(time, now)();
		uint32_t flags = sched_lock();
		while (sleepers.first && sleepers.first->wake_time <= now)
			wake_first(&sleepers);
		sched_unlock(flags);
	}
}

/* --- the end of tasks --- */

void sched_kill(struct task *t)
{
	uint32_t flags = sched_lock();
	hazard_set(t, HAZARD_KILLED);
	if (t->state == TASK_SLEEPING && t->killable) {
		wait_remove(t);
		make_ready(t);
	} else if (t->state == TASK_RUNNING && t->cpu != this_cpu()) {
		VO(irq, send)(t->cpu, VEC_RESCHED); /* makes it test its hazard word */
	}
	sched_unlock(flags);
}

void sched_die(struct spinlock *l)
{
	struct task *t = current();
	ASSERT_HELD(l);
	sched_lock();
	t->state = TASK_ZOMBIE;
	while (t->parent->child_ended.first)
		wake_first(&t->parent->child_ended);
	spin_release(l);
	switch_away();
	panic("a zombie ran");
}

bool sched_dead(struct task *t)
{
	uint32_t flags = sched_lock();
	bool dead = t->state == TASK_ZOMBIE;
	sched_unlock(flags);
	return dead;
}

/* --- idle --- */

void sched_init_cpu(unsigned cpu)
{
	struct task *t = current();
	memset(t, 0, sizeof(*t));
	t->cpu = cpu;
	t->idle = true;
	t->preempt = 1; /* no interrupt takes the CPU away: the idle loop gives it */
	t->state = TASK_RUNNING;
	t->guard = TASK_GUARD;
	snprintf(t->name, sizeof(t->name), "idle%u", cpu);
	idle_tasks[cpu] = t;
}

void sched_idle(void)
{
	for (;;) {
		VO(irq, disable)();
		uint32_t flags = sched_lock();
		bool work = ready.first;
		uint64_t wake = sleepers.first ? sleepers.first->wake_time : 0;
		if (!work)
			idle_cpus |= 1u << this_cpu();
		sched_unlock(flags);
		if (work) {
			schedule();
			VO(irq, enable)();
		} else {
			VO(cpu, idle)(wake);
		}
	}
}
