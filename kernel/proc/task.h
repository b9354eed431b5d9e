/* SPDX-License-Identifier: MIT */
/*
 * Tasks. A task is one thread of control with a kernel stack of its own; a process is a
 * task with an address space. The task structure lies at the low end of its 8 KiB kernel
 * stack, so the stack pointer names the current task.
 */
#ifndef PROC_TASK_H
#define PROC_TASK_H

#include "proc/lock.h"
#include "vo/vo.h"

#define MAX_CPUS 8
#define TICK_HZ 100
#define TASK_STACK_ORDER 1
#define TASK_STACK_BYTES (PAGE_SIZE << TASK_STACK_ORDER)
#define MAX_TASKS 512 /* places in the task table; one stays empty */

struct mm;
struct file;
struct cwd;

/*
 * The registers of interrupted code, as the entry code pushes them: lowest address first,
 * grouped by their writers (trap/entry.S checks this order). `outer` is the place where PUSHA
 * stores ESP, which POPA ignores. In a frame of interrupted kernel code trap.c stores there
 * the address of the task's next frame of this kind, or 0.
 */
struct trap_frame {
	uint32_t gs, fs, es, ds;     /* entry code */
	uint32_t edi, esi, ebp;      /* PUSHA */
	uint32_t outer;              /* trap.c */
	uint32_t ebx, edx, ecx, eax; /* PUSHA */
	uint32_t vector, error;      /* stub; the CPU writes some error codes */
	uint32_t eip, cs, eflags;    /* CPU */
	uint32_t esp, ss;            /* CPU, only from an outer ring */
};

enum task_state { TASK_FREE, TASK_READY, TASK_RUNNING, TASK_SLEEPING, TASK_ZOMBIE };

/* Bits of the hazard word, which each return to user mode tests once (task_hazard). */
enum { HAZARD_RESCHED = 1, HAZARD_KILLED = 2 };

struct task {
	uint32_t kernel_esp;            /* saved while the task does not run */
	volatile uint32_t hazard;       /* atomic */
	struct trap_frame *trap_frames; /* of its interrupted kernel code, the latest first */
	volatile uint32_t preempt;      /* above 0: no other task may take its CPU */
	unsigned cpu;                   /* where it runs or ran last */

	/* written with the run queue's lock (sched.c) */
	volatile enum task_state state;
	bool killable;      /* kill ends the sleep that it is in */
	bool idle;          /* a CPU's idle task; constant */
	int slice;          /* ticks left; the timer of its CPU counts them down */
	uint64_t wake_time; /* of sleep_ms, in ns since boot */
	struct task *next;  /* in the run queue or a wait queue */
	struct task *preempted_next, **preempted_at; /* list of the preempted (sched.c) */
	struct wait_queue *waiting_on;

	/* written with the lock of the task table (task.c) */
	int pid, ppid, pgid; /* ppid: the parent's, or 0; read without a lock */
	struct task *parent, *children, *sibling;
	struct mm *mm;       /* NULL: a kernel task */
	int status;          /* for task_wait() */
	struct wait_queue child_ended;

	/* written by the task itself */
	char name[24];
	uint64_t runtime_ticks;

	struct file *files[OPEN_MAX];
	struct cwd *cwd;     /* shared after fork; NULL: the root */
	uint32_t fault_handler, fault_restorer; /* user addresses, 0 if none */
	void *fpu;           /* 512 bytes, 16-byte aligned; NULL until first use */
	bool fpu_live;       /* its state is in this CPU's FPU */
	uint32_t guard;      /* TASK_GUARD, or the stack has overflowed */
};
#define TASK_GUARD 0x7A5C6A3D
_Static_assert(sizeof(struct task) < 1024, "leaves 7 KiB of stack");

static inline struct task *current(void)
{
	uint32_t esp;
	__asm__("movl %%esp, %0" : "=r"(esp));
	return (struct task *)(esp & ~(uint32_t)(TASK_STACK_BYTES - 1));
}

/*
 * The index of the CPU that this code runs on. Context: preemption or interrupts off,
 * else the result may be out of date.
 */
static inline unsigned this_cpu(void) { return current()->cpu; }

extern unsigned nr_cpus; /* that are running */
extern bool tickless;    /* no tick while idle: each CPU serves the sleepers; set by a guest */

/* The trap frame of a process's entry from user mode: at the top of its kernel stack. */
static inline struct trap_frame *user_trap_frame(struct task *t)
{
	return (struct trap_frame *)((char *)t + TASK_STACK_BYTES) - 1;
}

/* --- sched.c: the run queue --- */
/*
 * sched_init_cpu - make the stack that this CPU runs on the stack of its idle task.
 * Context: start-up of each CPU, interrupts off.
 */
void sched_init_cpu(unsigned cpu);
/* The idle loop of this CPU. Context: its idle task. */
void sched_idle(void) __attribute__((noreturn));
/*
 * Let another task run, if one is ready. Interrupts may be on or off; at return they are as
 * before the call. Context: preemption on, or the idle task.
 */
void schedule(void);
/* Put a new task into the run queue. Context: any. */
void sched_ready(struct task *t);
/*
 * The timer interrupt: time slices; on the boot CPU also the end of sleeps. Interrupts
 * off.
 */
void sched_tick(void);
/*
 * The end of an interrupt that hit kernel code: reschedule if that is due and allowed.
 * Interrupts off.
 */
void preempt_check(void);
/*
 * Whether t was interrupted inside the VO (vo_in_text), in any of its trap_frames.
 * Context: t does not run, or is the current task.
 */
bool task_in_vo(const struct task *t);
/*
 * Call fn, with the direction of the mode switch, for each task that is not running and
 * has trap_frames. Context: the rendezvous of a mode switch, all CPUs in it.
 */
void sched_each_preempted(void (*fn)(struct task *t, bool attach), bool attach);
/* A new task's first act: release the run queue's lock, which the task before it took. */
void sched_finish(void);
/*
 * End the current task as a zombie, and wake its parent: it has one, since neither init
 * nor a kernel task ends. l, the lock of the task table, is held and is released.
 */
void sched_die(struct spinlock *l) __attribute__((noreturn));
/*
 * Whether t has ended and its stack is no longer in use. Context: any, with t kept from
 * being freed.
 */
bool sched_dead(struct task *t);
/*
 * Mark t killed, and wake it if it sleeps killably. Context: any, with t kept from being
 * freed.
 */
void sched_kill(struct task *t);
/* Load t's page directory on this CPU. Preemption off, the VO held. */
void sched_load_mm(struct task *t);

/* --- task.c: the life of a task --- */
/*
 * task_create - a kernel task that will run fn, which never returns. It is not ready yet.
 * Its pid is the next free one.
 * Result: NULL if memory or the table is full. Context: process or boot.
 */
struct task *task_create(const char *name, void (*fn)(void));
/*
 * task_fork - a copy of the current process. Result: the child's pid, -EAGAIN (no free
 * pid), -ENOMEM, -EINTR (this process was killed).
 */
int task_fork(void);
/*
 * End the current process; panic if it is init. wait_status: WSTATUS_, what task_wait()
 * gives to the parent.
 */
void task_exit(int wait_status) __attribute__((noreturn));
/*
 * task_wait - wait until a child ends, and free it. pid: the child's, or -1 for any;
 * *status: its wait status; options: WNOHANG or 0.
 * Result: the child's pid, -ECHILD (there is no such child), -EINTR, or 0 with WNOHANG if
 * none has ended.
 */
int task_wait(int pid, int *status, int options);
/*
 * task_kill - kill a process, or all processes of group -pid if pid is below -1. Each ends
 * when it next returns to user mode; a killable sleep ends at once.
 * Result: 0, -ESRCH, -EPERM (pid 1, and kernel tasks).
 */
int task_kill(int pid);
/* Kill all processes of a group but pid 1. Context: any (Ctrl-C). */
void task_kill_group(int pgid);
/*
 * Move process pid (0: the current one; else it or a child of it) to group pgid (0: its
 * own pid). Result: 0, -ESRCH, -EINVAL.
 */
int task_set_group(int pid, int pgid);
/*
 * Give the current task another address space, or NULL, without loading it:
 * sched_load_mm() follows. The lock of the task table is taken, because /proc/tasks looks
 * into the address space. Context: the VO held from before the call until the load.
 */
void task_set_mm(struct mm *mm);
/*
 * /proc/tasks: a line "pid ppid pgid state cpu ticks pages name" for each task. Result:
 * length, as snprintf.
 */
int task_list_show(char *buf, size_t size);
/* The task with pid 1. Context: any. */
struct task *task_first(void);
/*
 * The entry code calls this before a return to user mode if a bit of the hazard word is set:
 * end the process if it was killed, else reschedule. Interrupts on or off before, on at
 * return.
 */
void task_hazard(void);

/* --- exec.c --- */
/*
 * task_exec - replace the program of the current process. path, args: in kernel memory;
 * args: argc strings, one after the other, args_bytes in all.
 * Result: 0, and the process's user_trap_frame is the new program's; or an error, with
 * the old program as it was.
 */
int task_exec(const char *path, unsigned argc, const char *args, size_t args_bytes);

/* --- user_fault.c --- */
/*
 * user_fault - a fault of the current program: deliver it to the program's handler, or
 * end the process with a report. regs: its user_trap_frame; address: of a page fault,
 * else 0.
 */
void user_fault(struct trap_frame *regs, uint32_t address);
/*
 * System calls (syscalls.def): set handler and restorer; continue after the handler with
 * the registers in `context`.
 */
int sys_on_fault(uint32_t handler, uint32_t restorer);
int sys_fault_return(uint32_t context);

/* --- fpu.c --- */
/*
 * Find out what this processor's FPU can do, and keep its clean state. Context: boot CPU,
 * once.
 */
void fpu_init(void);
/*
 * #NM: load the current task's FPU state, allocated at first use. Context: process,
 * preemption on; ends the process if memory is out.
 */
void fpu_use(void);
/*
 * Save t's state, which is in this CPU's FPU (fpu_live). t: the current task. Preemption
 * off.
 */
void fpu_leave(struct task *t);
/* Give a child a copy of the current task's state. Result: 0, -ENOMEM. */
int fpu_fork(struct task *child);
/*
 * Free t's state (exec, exit, a fork that failed). t: the current task, or one that never
 * ran.
 */
void fpu_drop(struct task *t);

#endif
