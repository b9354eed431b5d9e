/* SPDX-License-Identifier: MIT */
/*
 * Tasks: a task is one thread of control with its own kernel stack; a process is a task with an address space.
 * The task structure lies at the low end of its 8 KiB kernel stack, so the stack pointer names the current task.
 */
#ifndef PROC_TASK_H
#define PROC_TASK_H

#include "proc/lock.h"
#include "vo/vo.h"

#define MAX_CPUS 8
#define TICK_HZ 100
#define TASK_STACK_ORDER 1
#define TASK_STACK_BYTES (PAGE_SIZE << TASK_STACK_ORDER)
#define MAX_TASKS 512

struct mm;
struct file;
struct cwd;

/* What the entry code pushes, lowest address first; grouped by who writes it. trap/entry.S knows this layout. */
struct trap_frame {
	uint32_t gs, fs, es, ds;                               /* entry code */
	uint32_t edi, esi, ebp;                                /* pusha */
	uint32_t outer; /* pusha's ESP, which popa ignores: address of the next kernel frame on this stack, or 0 */
	uint32_t ebx, edx, ecx, eax;
	uint32_t vector, error;                                /* stub; the CPU writes some error codes */
	uint32_t eip, cs, eflags;                              /* CPU */
	uint32_t esp, ss;                                      /* CPU, only from an outer ring */
};
_Static_assert(sizeof(struct trap_frame) == 76, "trap/entry.S knows this layout");

enum task_state { TASK_FREE, TASK_READY, TASK_RUNNING, TASK_SLEEPING, TASK_ZOMBIE };

/* The hazard word: tested once on each return to user mode; any bit set takes the slow way. */
enum { HAZARD_RESCHED = 1, HAZARD_KILLED = 2 };

struct task {
	uint32_t kernel_esp;       /* saved while not running */
	volatile uint32_t hazard;  /* atomic */
	struct trap_frame *trap_frames; /* of its interrupted kernel code, the latest first; linked by `outer` */
	volatile uint32_t preempt; /* > 0: not to be preempted */
	unsigned cpu;              /* where it runs or ran last */
	volatile enum task_state state;
	bool killable;       /* the sleep that it is in ends when it is killed */
	bool idle;
	int slice;           /* ticks left */
	uint64_t wake_time;  /* ns, of sleep_ms */
	struct task *next;   /* run queue, wait queue */
	struct task *preempted_next, **preempted_at; /* list of those that left their CPU with trap_frames */
	struct wait_queue *waiting_on;

	int pid, ppid, pgid;  /* ppid: parent's, 0 if none; changed with it, read without a lock */
	struct task *parent, *children, *sibling; /* under tasks_lock */
	struct mm *mm;                            /* NULL: a kernel task */
	int status;    /* for wait() */
	struct wait_queue child_ended;
	char name[24];
	uint64_t runtime_ticks;

	struct file *files[OPEN_MAX];
	struct cwd *cwd; /* shared after fork; NULL: the root */

	uint32_t fault_handler, fault_restorer; /* user addresses, 0 if none */
	void *fpu;                              /* 512 bytes, 16-byte aligned; NULL until first use */
	bool fpu_live;                          /* its state is in this CPU's FPU */
	uint32_t guard;                         /* TASK_GUARD, or the stack ran over */
};
#define TASK_GUARD 0x7A5C6A3D
_Static_assert(sizeof(struct task) < 1024, "leaves 7 KiB of stack");

static inline struct task *current(void)
{
	uint32_t esp;
	__asm__("movl %%esp, %0" : "=r"(esp));
	return (struct task *)(esp & ~(uint32_t)(TASK_STACK_BYTES - 1));
}

/* Index of the CPU that this runs on. Context: preemption or interrupts off, else it may be out of date. */
static inline unsigned this_cpu(void) { return current()->cpu; }

extern unsigned nr_cpus; /* running */

/* The registers with which a process entered the kernel from user mode: at the top of its kernel stack. */
static inline struct trap_frame *user_trap_frame(struct task *t)
{
	return (struct trap_frame *)((char *)t + TASK_STACK_BYTES) - 1;
}

/* --- sched.c: the run queue --- */
/* Make the stack that this CPU runs on its idle task. Context: start-up of each CPU, interrupts off. */
void sched_init_cpu(unsigned cpu);
/* The idle loop of this CPU. */
void sched_idle(void) __attribute__((noreturn));
/* Give the CPU away; interrupts on or off, state kept. Context: process, preemption allowed. */
void schedule(void);
/* A task may run: a new one. Any context. */
void sched_ready(struct task *t);
/* Timer interrupt: time slices, and on the boot CPU sleepers. Interrupts off. */
void sched_tick(void);
/* End of an interrupt that hit the kernel: reschedule if that is due and allowed. Interrupts off. */
void preempt_check(void);
/* Whether t was interrupted within the VO (vo_in_text), in any of its trap_frames. */
bool task_in_vo(const struct task *t);
/* Call fn for every task that is not running and has trap_frames. All CPUs in the rendezvous of a mode switch. */
void sched_each_preempted(void (*fn)(struct task *t));
/* Where a new task begins, entered from context_switch: ends the switch. */
void sched_finish(void);
/* End the current task as a zombie and wake its parent, if it has one. l (held) is released. */
void sched_die(struct spinlock *l) __attribute__((noreturn));
/* Whether t has ended and its stack is no longer in use. */
bool sched_dead(struct task *t);
/* Mark t killed and wake it if it sleeps killably. Any context. */
void sched_kill(struct task *t);
mfn_t task_directory(const struct task *t); /* t's page directory, or the kernel's */
/* Load t's address space, or the kernel's, on this CPU. Preemption off. */
void sched_load_mm(struct task *t);

/* --- task.c: life of a task --- */
/* A kernel task that runs fn, not yet ready; NULL if memory is out. Its pid is the next free one. */
struct task *task_create(const char *name, void (*fn)(void));
int task_fork(void);                              /* the current process: pid of the child, -EAGAIN, -ENOMEM */
void task_exit(int wait_status) __attribute__((noreturn));
int task_wait(int pid, int *status, int options); /* pid, -ECHILD, -EINTR; 0 with WNOHANG */
int task_kill(int pid_or_minus_group);            /* 0, -ESRCH, -EPERM for pid 1 */
void task_kill_group(int pgid);                   /* any context (Ctrl-C) */
int task_set_group(int pid, int pgid);            /* 0, -ESRCH, -EINVAL */
void task_set_mm(struct mm *mm);                  /* of the current task; not yet loaded. /proc/tasks looks into it */
int task_list_show(char *buf, size_t size);       /* /proc/tasks: "pid ppid pgid state cpu ticks pages name" */
struct task *task_first(void);                    /* pid 1 */
/* Slow way back to user mode, some bit of the hazard word being set. Called by the entry code. */
void task_hazard(void);

/* --- exec.c --- */
/* Replace the program of the current process. path and args are kernel copies, args being argc strings one after the
   other, args_bytes in all. On success the user frame is the new program's. Result: 0, or an error with the old program
   intact. */
int task_exec(const char *path, unsigned argc, const char *args, size_t args_bytes);

/* --- user_fault.c --- */
/* A fault of the current program: deliver it to its handler, or end the process with a report. */
void user_fault(struct trap_frame *regs, uint32_t address);
int sys_on_fault(uint32_t handler, uint32_t restorer);
int sys_fault_return(uint32_t context);

/* --- fpu.c --- */
void fpu_use(void);                  /* #NM: give the FPU to this task; preemption may be on */
void fpu_leave(struct task *t); /* save a live state; schedule() only */
int fpu_fork(struct task *child);   /* copy the parent's state: 0, -ENOMEM */
void fpu_drop(struct task *t);      /* exec, exit */
void fpu_init(void);                 /* boot CPU, once */

#endif
