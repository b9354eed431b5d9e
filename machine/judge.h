/* SPDX-License-Identifier: MIT */
/*
 * Judging machines. A test is a short function that starts a machine, brings it into a state and
 * looks at it from outside; a lab's check has the same form. Each test runs in a process of its
 * own, with its own directory and time limit; several run at a time. A test that returns has
 * passed. Otherwise it calls give_up(), which sends outcome and reason up a pipe. A test that
 * ends in any other way is an error (BROKEN), and no verdict.
 */
#ifndef JUDGE_H
#define JUDGE_H

#include "machine.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A test, or a lab's check. */
struct test {
	const char *name;
	void (*run)(const struct test *t);
	unsigned seconds;               /* limit for the whole test */
	struct machine_options machine; /* to start, if run() uses it */
	const char *text;               /* parameters of run() */
	unsigned number;
	/* Checks only: */
	unsigned points;
	unsigned exercise;              /* k of the hole "LAB n TODO k" */
	unsigned needs;                 /* exercises (bits) that must be right, too, or 0 */
	const char *title;              /* what is checked */
	const char *see;                /* where to read: section of the handout, the manual */
	const char *first;              /* where a debugger makes the judged state: function;
					   GDB's commands, with ; between; or NULL */
	const char *stop_at;            /* function of the exercise, where a debugger stops */
	const char *stop_if;            /* GDB's condition for that stop, or NULL */
	const char *look;               /* GDB's commands at that stop, with ; between, or NULL */
	const char *hint;               /* printed after them: what to do there, or NULL */
};

/* For test.needs: exercises `first` to `last`. */
#define EXERCISES(first, last) ((2u << (last)) - (1u << (first)))

/* Whatever a check leaves to chance comes from this number, which reports name. */
extern unsigned judge_seed;
/* Result: "shuffle:N", the k-th order of machine frames of this run, for p2m=. Never freed. */
const char *judge_shuffle(unsigned k);

/* Kernel text, from begin to end, that the test has replaced by code of its own. */
extern struct planted { uint32_t begin, end; } judge_planted;
/* The same, on a task's stack. A fault there is what the test tries: its own words tell why. */
extern struct planted judge_planted_on_stack;
/* What the test is doing: stands before the reason if it gives up; NULL: nothing. */
extern const char *judge_context;
/*
 * Called once when the test gives up FAILED, before it does: to find a cause that goes before. It
 * may start machines, and may give up itself: then that is the test's reason.
 */
extern void (*judge_cause)(void);
/* Give up FAILED with this reason unless x. */
#define CHECK(x, ...) do { if (!(x)) give_up(FAILED, __VA_ARGS__); } while (0)

/* --- why a test failed (diagnose.c) --- */

/* The files that a student works in, one a line, or NULL: a diagnosis names their lines first. */
extern const char *judge_files;
extern unsigned judge_lab; /* the number of the lab whose exercises are judged */
/*
 * Read the cause from the state of the machine started last. It may give up.
 * Result: the cause, or NULL if the check's own words must do.
 */
char *diagnose(const struct test *t);
/* "#PF page fault"; "interrupt" from 20 on. */
const char *trap_name(unsigned vector);
/* Result: what a diagnosis that gave up had written by then, or NULL. */
char *diagnosis_so_far(void);

/* --- the exercises' holes in a source file (holes.c) --- */

/* Lines first to last hold the markers too. empty: nothing but the handout's panic is in it. */
struct hole { unsigned lab, exercise, first, last; bool empty; };
enum { HOLES_MAX = 32 };
/* Find the holes in a file's text. Result: how many there are. */
unsigned holes_find(const char *text, struct hole holes[HOLES_MAX]);
/* The whole text of a file, to be freed; NULL if it cannot be read. */
char *file_text(const char *path);
/* The hole that holds a line of a file; exercise 0 if none does. */
struct hole hole_at(const char *file, unsigned line);

/* --- running (judge.c, verdict.c) --- */

/*
 * What give_up() calls outside of a test; it must not return. NULL, the default: print the
 * reason to standard error and exit with status 1.
 */
extern void (*judge_outside)(enum outcome outcome, const char *why);
/*
 * Run a test in this process, without a verdict: for a debugger, or to log its traps.
 * dir: its work_dir.
 */
void judge_alone(const struct test *t, const char *dir) __attribute__((noreturn));

struct result {
	struct test test;
	pid_t pid; /* 0 unless it runs */
	int pipe;
	double start, seconds, cpu_seconds;
	bool done, timed_out;
	enum outcome outcome;
	char dir[300];
	char *reason; /* NULL if it passed */
	size_t reason_bytes;
};

/* In a new process: run a test, and end. fd: the pipe; again: as in struct judge. */
void judge_child(struct result *r, int fd, const char *again) __attribute__((noreturn));

struct judge {
	unsigned jobs;        /* tests at a time */
	const char *base_dir; /* has a directory for each test that runs */
	const char *again;    /* command that repeats a test, without its name; or NULL */
	void (*report)(const struct result *r, unsigned done, unsigned all); /* after each test */
	volatile const int *interrupted; /* not 0: end all that run, start no more; or NULL */
};
/* Run all tests. results: their `test` is filled in. Result: how many are done. */
unsigned judge_all(const struct judge *j, struct result *results, unsigned n);
/* Write results as JUnit XML. suite: name of all together; seconds: how long they took. */
void judge_write_junit(const char *path, const char *suite, const struct result *results,
		       unsigned n, double seconds);
/* Make a private directory in TMPDIR. Result: its path, for judge_remove_dir(). */
char *judge_make_dir(void);
void judge_remove_dir(const char *dir);
/* "ok", "FAIL", "skip", "ERR", by outcome. */
extern const char *const outcome_words[4];

/* --- steps that tests share (session.c) --- */

#define PROMPT "$ "
/* Start a machine and wait for the shell's prompt. */
struct machine *start_to_prompt(const struct machine_options *o);
/* Type a command at the prompt and wait for the next prompt. seconds: the limit. */
void command(struct machine *m, const char *text, double seconds);
/* At the prompt: sync, check all CPUs and the root file system, and end the machine. */
void end_at_prompt(struct machine *m);
/* The same after a detach: native mode is checked, too, and that the CPU still ticks. */
void end_native(struct machine *m);
#define GUEST_FAILURE "FAIL "
/* The lines "FAIL NAME: WHY" that a suite of the guest's printed. Valid until the next call. */
const char *guest_failures(const struct machine *m);
/*
 * Start a machine with run="command", wait for its end, and compare its exit status with want.
 * After EXIT_OK its root file system is checked. Result: the machine, which has ended.
 */
struct machine *run_command(const struct machine_options *o, const char *text, int want,
			    double seconds);

/* --- invariants of a stopped machine (invariants*.c); numbers as in docs/testing.md --- */

/* Check N1, or V1 to V6; and in both modes p2m, m2p and all mappings of loaded directories. */
void check_mode(struct machine *m, bool virtual_mode);
void check_native(struct machine *m);
/* Check V1, V2, V5, V6 of one CPU. */
void check_cpu_virtual(struct machine *m, unsigned cpu, const struct cpu_state *c);
/* Check V7. No CPU is in the VMM. */
void check_frame_table(struct machine *m);
/* Check V1 to V6, and V7 if no CPU is in the VMM. */
void check_whole(struct machine *m);
/*
 * Check D1, D4, D5, and V3, V4, V7 for guests. No CPU is in the VMM, but to wait there or to
 * schedule.
 */
void check_domains(struct machine *m);
/* Array length by mfn: whatever frame number a guest has in a page table or CR3 is an index. */
enum { ALL_FRAMES = 1 << 20 };
/*
 * Read a kernel array by frame number. name: its pointer's; n: words to read. The other words are
 * all ones up to the end of the machine's memory, and then 0, up to ALL_FRAMES.
 * Result: the array, to be freed.
 */
uint32_t *read_array(struct machine *m, uint32_t cr3, const char *name, uint32_t n);

/* --- before and after switches, of a stopped machine (fingerprint.c) --- */

/*
 * Write what an attach and a detach must leave unchanged (N2) into text, size bytes: control
 * registers, descriptor tables, the kernel's text, interrupt controllers. Result: text.
 */
char *fingerprint(struct machine *m, char *text, size_t size);
/* Result: a sum over the VMM's image, which nothing may touch in native mode (N3). */
uint32_t dormant_sum(struct machine *m);

/* --- before and after a failed switch (snapshot.c) --- */

/* Stop the machine when all its CPUs are idle: their registers are then equal each time. */
void stop_idle(struct machine *m);
struct snapshot;
/* Take a snapshot of the idle machine, which then runs on. */
struct snapshot *snapshot_take(struct machine *m);
/* Wait until the machine is idle; FAILED unless it is as it was before. Frees before. */
void snapshot_compare(struct snapshot *before, struct machine *m);

/* --- time (moment.c), QEMU only --- */

/*
 * Result: QEMU's virtual time in nanoseconds from some origin, in which the guest has no part;
 * exact to a microsecond between two calls. One machine in a process.
 */
uint64_t virtual_ns(struct machine *m);
/* Virtual time, ticks that the kernel counted, and its local APIC timer's period and rest (ns). */
struct moment { uint64_t ns; uint32_t ticks, period, left; };
/* Read these of a stopped machine with one CPU. */
struct moment moment(struct machine *m);
/*
 * FAILED unless the kernel counted all ticks between two moments (V8). At either of them one
 * tick may be on its way.
 */
void check_ticks(const struct moment *a, const struct moment *b);
/* Result: the number after a label in what QEMU shows. */
unsigned number_in(const char *text, const char *label, int base);

#endif
