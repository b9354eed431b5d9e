/* SPDX-License-Identifier: MIT */
/*
 * What the checks of lab 3 share, beside the harness: the steps of a switch between two stops of
 * the shell at its prompt. Functions that name no CPU work on the CPU that stopped last.
 */
#ifndef LAB3_CHECKS_H
#define LAB3_CHECKS_H

#include "harness.h"
#include <errno.h> /* the kernel's error numbers are the same */

/* Limits in the machine's time: of a command; of a way within a switch, ten times what it takes. */
enum { SECONDS = 4 };
#define SWITCH_SECONDS 0.4

/* Boot with the run's k-th order of frames to the prompt; attach the debugger, which stops it. */
struct guest start(const struct test *t, unsigned k);
/* Type the command that asks for a mode. Its end is not waited for. */
void ask(struct guest *g, bool to_virtual);
/* Stop when all CPUs are idle. The machine may run, or be stopped. */
void settle(struct guest *g);
/* Let it go on to the prompt, and settle. */
void rest(struct guest *g);
/* The machine runs: wait for the prompt. A CPU that waits in a loop may not starve the others. */
void to_prompt(struct guest *g, double seconds);
/* The machine runs: give the shell a line, and wait for the prompt. */
void type(struct guest *g, const char *line, double seconds);

/* run_cpus(), but the machine must not end. Result: the CPU, or -1 if none came in time. */
int go_on(struct guest *g, unsigned cpus);
/*
 * Let all CPUs run until one is at this function. what: why it should come there, for the message.
 * Result: the CPU.
 */
unsigned reach(struct guest *g, const char *function, const char *what);
/* All CPUs of the machine, as bits. */
unsigned all_cpus(const struct guest *g);
/* All CPUs go to the first instruction of switch_interrupt(). Result: its return address. */
uint32_t bring_all(struct guest *g);
/* At a function's first instruction: let it run to its end. Result: what it returns. */
int result_of(struct guest *g);

/*
 * At a function's first instruction: the kernel's clock goes on to half a second before its lower
 * half overflows, within the time that gather() waits. Else it would be luck whether it does.
 */
void let_clock_overflow(struct guest *g);

/*
 * Ask for a mode and wait. With several CPUs the clock overflows meanwhile. Result: what
 * switch_mode() returns to the writer of /proc/mode. The machine stays stopped there.
 */
int switch_once(struct guest *g, bool to_virtual);
/* The same, which must succeed, and rest(). */
void must_switch(struct guest *g, bool to_virtual);

/* Attach, detach, and compare with before (checks_registers.c). */
void there_and_back(struct guest *g);
/*
 * Programs change the mode. Stop when switch_mode() returns next: if it says that it went well, the
 * mode that was asked for must be the CPU's own: CPL, GDTR, IDTR, TR, CR3, and the VO in use.
 */
void look_at_switch(struct guest *g);

/*
 * The keyboard's controller is told that a key came (8042, command D2). That works while the
 * machine is stopped.
 */
void press_key(struct guest *g);
/* How often a vector came to CPU 0's kernel. */
uint32_t count_of_vector(struct guest *g, unsigned vector);
/*
 * The VMM's number of attachments; and of frames that have a type, with the CPUs that it counts as
 * users of the kernel's own directory.
 */
uint32_t nr_attachments(struct guest *g);
uint32_t nr_counted(struct guest *g);

typedef void check(const struct test *t);
/* Each exercise alone. */
check check_vo_busy;                             /* checks_busy.c */
check check_phases, check_undo_phases, check_dismiss;   /* checks_leader.c */
check check_await, check_quiesce;                /* checks_wait.c */
check check_orders, check_follow;                /* checks_orders.c */
check check_selectors, check_commit;             /* checks_exchange.c */
check check_reinject;                            /* checks_reinject.c */
check check_cpu_restore;                         /* checks_restore.c */
/* Whole switches. */
check check_silent_cpu, check_rendezvous;              /* checks_whole.c */
check check_attach, check_frames;                      /* checks_state.c */
check check_events, check_sweep;                       /* checks_events.c */
check check_detach, check_bochs;                       /* checks_registers.c */
check check_roll_back, check_roll_back_smp, check_finale; /* checks_rollback.c */

#endif
