/* SPDX-License-Identifier: MIT */
/*
 * Tools of this lab's checks: breakpoints that a run goes on from, one CPU at a time if need be, calls of the kernel whose arguments
 * and results are read from registers, and memory that is set from outside to make a state that is rare by itself.
 */
#ifndef LAB3_CHECKS_H
#define LAB3_CHECKS_H

#include "judge.h"
#include "vmm_abi.h"
#include "x86.h"
#include <errno.h> /* the kernel has the same numbers */

enum { SECONDS = 4, TASK_STACK = 8192 };
enum { FRAME_OUTER = 28, FRAME_EIP = 56, FRAME_CS = 60 };                              /* struct trap_frame */
enum { TASK_HAZARD = 4, TASK_FRAMES = 8, TASK_PREEMPT = 12, TASK_PREEMPTED_NEXT = 44 }; /* struct task */
#define ALL_CPUS 0xFFu

/* Boot with the run's k-th order of frames to the prompt; the debugger attached, the machine stopped. */
struct machine *lab3_start(const struct test *t, unsigned k);
/* Type the command that asks for a mode. Its end is not waited for. */
void lab3_ask(struct machine *m, bool to_virtual);
/* Let it go on to the prompt, and stop when all CPUs are idle. */
void lab3_rest(struct machine *m);

/* --- breakpoints --- */
void lab3_stop_at(struct machine *m, uint32_t address);
void lab3_pass(struct machine *m, uint32_t address);
/* Let these CPUs run to any of them. Result: the CPU that did, or -1 after so many seconds. A CPU goes on from where it stopped. */
int lab3_run_cpus(struct machine *m, unsigned cpus, double seconds);
/* Let all run until one is at this function. what: why it should come there, for the message. Result: the CPU. */
unsigned lab3_run_to(struct machine *m, const char *function, const char *what);
/* Not one of these CPUs may come to any of them for a while. */
void lab3_want_none(struct machine *m, unsigned cpus, const char *what);

/* --- a CPU's state --- */
struct cpu_state lab3_state(struct machine *m, unsigned cpu);
/* A word of the kernel's address space, as this CPU sees it. */
uint32_t lab3_word(struct machine *m, const struct cpu_state *c, uint32_t address);
void lab3_set_word(struct machine *m, const struct cpu_state *c, uint32_t address, uint32_t value);
static inline uint32_t task_of(const struct cpu_state *c) { return c->esp & -(uint32_t)TASK_STACK; }
/* At a function's entry: let it run to its end. Result: what it returns. */
int lab3_result(struct machine *m, unsigned cpu);
/* At a function's entry: leave it, unexecuted, with this result. */
void lab3_skip(struct machine *m, unsigned cpu, int result);
/* Ask for a mode and wait. Result: what switch_mode() returns to the writer of /proc/mode. The machine stays stopped there. */
int lab3_switch(struct machine *m, bool to_virtual);
/* The same, which must go well, and lab3_rest(). */
void lab3_switch_must(struct machine *m, bool to_virtual);

/* --- variables --- */
void lab3_set_variable(struct machine *m, const char *name, unsigned index, uint32_t value);
uint32_t lab3_variable(struct machine *m, const char *name, unsigned index);
uint32_t lab3_vmm_word(struct machine *m, const char *name); /* of the VMM */
/* Which VO is in use: all its words. */
bool lab3_vo_is(struct machine *m, const char *name);
/* Invariants of a mode, and that its VO is in use. */
void lab3_check_virtual(struct machine *m);
void lab3_check_native(struct machine *m);
/* How often a vector came to CPU 0's kernel. */
uint32_t lab3_count(struct machine *m, unsigned vector);
/* The name of an errno value, with its number. */
const char *lab3_error(int error);

typedef void check(const struct test *t);
check lab3_phases, lab3_vo_busy, lab3_silent_cpu, lab3_rendezvous;    /* checks_rendezvous.c */
check lab3_attach, lab3_frames, lab3_events, lab3_sweep; /* checks_state.c */
check lab3_detach, lab3_both_ways, lab3_bochs;             /* checks_registers.c */
check lab3_roll_back, lab3_roll_back_smp, lab3_finale;                         /* checks_rollback.c */

#endif
