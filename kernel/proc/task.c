/* SPDX-License-Identifier: MIT */
/*
 * The life of a task: it is created or forked, found by its pid, killed, ended, and
 * waited for. A pid's place in the task table is pid % MAX_TASKS, so finding a task takes
 * one look. A pid whose place is taken is skipped.
 */
#include "fs/file.h"
#include "mm/vm.h"
#include "proc/task.h"

/* Of the table, and of the tasks' relations. Ctrl-C takes it in an interrupt handler. */
static struct spinlock tasks_lock;
static struct task *tasks[MAX_TASKS];
static unsigned nr_tasks;
static int next_pid = 1;

void task_begin(void);      /* context.S */
void task_enter_user(void); /* trap/entry.S: to user mode with the task's user_trap_frame */

/* The task with this pid, or NULL. With tasks_lock held. */
static struct task *find(int pid)
{
	ASSERT_HELD(&tasks_lock);
	struct task *t = pid > 0 ? tasks[pid % MAX_TASKS] : NULL;
	return t && t->pid == pid ? t : NULL;
}

struct task *task_first(void) { return tasks[1]; }

/*
 * A task whose stack begins in fn. It is not in the table yet. Result: NULL if memory is
 * out.
 */
static struct task *task_alloc(void (*fn)(void))
{
	pfn_t pfn = frame_alloc(TASK_STACK_ORDER);
	if (pfn == NO_FRAME)
		return NULL;
	struct task *t = pfn_to_virt(pfn);
	memset(t, 0, sizeof(*t));
	t->guard = TASK_GUARD;
	t->slice = 1;
	uint32_t *sp = (uint32_t *)user_trap_frame(t);
	*--sp = (uint32_t)fn;
	*--sp = (uint32_t)task_begin;
	sp -= 4; /* edi esi ebx: any values */
	sp[3] = 0; /* ebp: ends back traces */
	t->kernel_esp = (uint32_t)sp;
	return t;
}

static void task_free(struct task *t) { frame_free(virt_to_pfn(t), TASK_STACK_ORDER); }

/*
 * Give the task a pid and a parent. Result: 0, -EAGAIN if there is no free pid, -EINTR if
 * the parent was killed: when its group is killed, the new child must not survive.
 */
static int task_enter(struct task *t, struct task *parent)
{
	uint32_t flags = spin_lock_irq(&tasks_lock);
	int error = parent && parent->hazard & HAZARD_KILLED ? -EINTR : -EAGAIN;
	/* Place 0 stays empty. The search ends, because some other place is free. */
	if (error == -EAGAIN && nr_tasks < MAX_TASKS - 1) {
		while (tasks[next_pid % MAX_TASKS] || next_pid % MAX_TASKS == 0)
			next_pid = next_pid >= 0x3FFFFFFF ? 2 : next_pid + 1;
		t->pid = next_pid++;
		tasks[t->pid % MAX_TASKS] = t;
		nr_tasks++;
		t->parent = parent;
		if (parent) {
			t->ppid = parent->pid;
			t->sibling = parent->children;
			parent->children = t;
		}
		error = 0;
	}
	spin_unlock_irq(&tasks_lock, flags);
	return error;
}

struct task *task_create(const char *name, void (*fn)(void))
{
	struct task *t = task_alloc(fn);
	if (!t)
		return NULL;
	strlcpy(t->name, name, sizeof(t->name));
	if (task_enter(t, NULL)) {
		task_free(t);
		return NULL;
	}
	t->pgid = t->pid;
	return t;
}

int task_fork(void)
{
	struct task *parent = current(), *t = task_alloc(task_enter_user);
	if (!t)
		return -ENOMEM;
	struct trap_frame *regs = user_trap_frame(t);
	*regs = *user_trap_frame(parent);
	regs->eax = 0;
	/* A parent in virtual-8086 mode (trap.c) has other words there. */
	regs->cs = SEL_UCODE;
	regs->ss = regs->ds = regs->es = regs->fs = regs->gs = SEL_UDATA;
	regs->eflags &= ~(uint32_t)(EFLAGS_IOPL | EFLAGS_NT | EFLAGS_VM);
	memcpy(t->name, parent->name, sizeof(t->name));
	t->pgid = parent->pgid;
	t->fault_handler = parent->fault_handler;
	t->fault_restorer = parent->fault_restorer;
	int error = fpu_fork(t);
	if (!error && !(t->mm = mm_fork(parent->mm)))
		error = -ENOMEM;
	if (!error && !(error = task_enter(t, parent))) {
		int pid = t->pid;
		files_fork(t);
		sched_ready(t);
		return pid;
	}
	if (t->mm)
		mm_destroy(t->mm);
	fpu_drop(t);
	task_free(t);
	return error;
}

/* The children of an ending task become init's. With tasks_lock held. */
static void give_children_away(struct task *t)
{
	ASSERT_HELD(&tasks_lock);
	struct task *init = task_first();
	bool zombie = false;
	while (t->children) {
		struct task *c = t->children;
		t->children = c->sibling;
		c->parent = init;
		c->ppid = init->pid;
		c->sibling = init->children;
		init->children = c;
		zombie |= c->state == TASK_ZOMBIE;
	}
	if (zombie)
		wake_all(&init->child_ended);
}

void task_set_mm(struct mm *mm)
{
	ASSERT_VO_HELD();
	uint32_t flags = spin_lock_irq(&tasks_lock);
	current()->mm = mm;
	spin_unlock_irq(&tasks_lock, flags);
}

void task_exit(int wait_status)
{
	struct task *t = current();
	if (t->pid == 1)
		panic("init ended with status %#x", wait_status);
	files_close(t);
	struct mm *mm = t->mm;
	vo_hold(); /* no mode switch or context switch while t->mm is not the loaded one */
	task_set_mm(NULL);
	fpu_drop(t);
	sched_load_mm(t);
	vo_release();
	mm_destroy(mm);
	spin_lock_irq(&tasks_lock);
	t->status = wait_status;
	give_children_away(t);
	sched_die(&tasks_lock);
}

/*
 * Take an ended child out of the table and its parent's list, where *at refers to it.
 * With tasks_lock held.
 */
static void unlink_child(struct task *t, struct task **at)
{
	ASSERT_HELD(&tasks_lock);
	*at = t->sibling;
	tasks[t->pid % MAX_TASKS] = NULL;
	nr_tasks--;
}

int task_wait(int pid, int *status, int options)
{
	struct task *self = current();
	uint32_t flags = spin_lock_irq(&tasks_lock);
	int result = 0;
	while (result == 0) {
		struct task **at = &self->children;
		bool any = false;
		for (; *at; at = &(*at)->sibling) {
			if (pid != -1 && (*at)->pid != pid)
				continue;
			any = true;
			if (sched_dead(*at))
				break;
		}
		struct task *t = *at;
		if (t) {
			unlink_child(t, at);
			spin_unlock_irq(&tasks_lock, flags);
			*status = t->status;
			result = t->pid;
			task_free(t);
			return result;
		}
		if (!any)
			result = -ECHILD;
		else if (options & WNOHANG)
			break;
		else
			result = wait_on(&self->child_ended, &tasks_lock);
	}
	spin_unlock_irq(&tasks_lock, flags);
	return result;
}

/* --- kill and groups --- */

void task_kill_group(int pgid)
{
	uint32_t flags = spin_lock_irq(&tasks_lock);
	for (unsigned i = 0; i < MAX_TASKS; i++)
		if (tasks[i] && tasks[i]->pgid == pgid && tasks[i]->pid != 1 && tasks[i]->mm)
			sched_kill(tasks[i]);
	spin_unlock_irq(&tasks_lock, flags);
}

int task_kill(int pid)
{
	int result = -ESRCH;
	uint32_t flags = spin_lock_irq(&tasks_lock);
	for (unsigned i = 0; pid < -1 && i < MAX_TASKS; i++)
		if (tasks[i] && tasks[i]->pgid == -pid && tasks[i]->state != TASK_ZOMBIE)
			result = 0;
	struct task *t = find(pid);
	/*
	 * Init and kernel tasks have no parent. (That a task has no mm does not prove that it
	 * is a kernel task: an ending process has none, either.)
	 */
	if (t && t->state != TASK_ZOMBIE)
		result = t->parent ? 0 : -EPERM;
	if (t && result == 0)
		sched_kill(t);
	spin_unlock_irq(&tasks_lock, flags);
	if (pid < -1 && result == 0)
		task_kill_group(-pid);
	return result;
}

int task_set_group(int pid, int pgid)
{
	struct task *self = current();
	uint32_t flags = spin_lock_irq(&tasks_lock);
	struct task *t = pid ? find(pid) : self;
	int result = pgid < 0 ? -EINVAL : !t || (t != self && t->parent != self) ? -ESRCH : 0;
	if (result == 0)
		t->pgid = pgid ? pgid : t->pid;
	spin_unlock_irq(&tasks_lock, flags);
	return result;
}

void task_hazard(void)
{
	struct task *t = current();
	/*
	 * The program's IRET turns interrupts on in native mode only. If an attach came
	 * before it, the program would run with virtual IF 0.
	 */
	VO(irq, enable)();
	if (t->hazard & HAZARD_KILLED)
		task_exit(WSTATUS_KILLED);
	if (t->hazard & HAZARD_RESCHED)
		schedule();
}

int task_list_show(char *buf, size_t size)
{
	static const char *const states[] = { "free", "ready", "running", "sleeping", "zombie" };
	size_t n = 0;
	uint32_t flags = spin_lock_irq(&tasks_lock);
	for (unsigned i = 0; i < MAX_TASKS; i++) {
		const struct task *t = tasks[i];
		if (t)
			n = appendf(buf, size, n, "%d %d %d %s %u %u %u %s\n", t->pid, t->ppid,
				    t->pgid, states[t->state], t->cpu, (uint32_t)t->runtime_ticks,
				    t->mm ? mm_pages(t->mm) : 0, t->name);
	}
	spin_unlock_irq(&tasks_lock, flags);
	return (int)n;
}
