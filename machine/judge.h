/* SPDX-License-Identifier: MIT */
/*
 * Judging machines: a test is a short function that starts a machine, brings it into a state and looks at it from
 * outside. Tests of this project and checks of the labs have the same form; each runs in a process of its own, with its
 * own directory and time limit, some at a time. A test ends by returning (passed) or by give_up(), which sends outcome and
 * reason up a pipe; whatever else ends it is an error, and no verdict.
 */
#ifndef JUDGE_H
#define JUDGE_H

#include "machine.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A test, or a lab's check. machine: what it is to start, if it uses that. */
struct test {
	const char *name;
	void (*run)(const struct test *t);
	unsigned seconds; /* limit for the whole test */
	struct machine_options machine;
	const char *text; /* command, expected message, or whatever run() makes of it */
	unsigned number;
	/* checks only */
	unsigned points, exercise; /* exercise k of the lab, whose hole has this number */
	const char *title, *see;   /* what is checked; where to read: handout section, manual */
	const char *stop_at;       /* symbol where a debugger should stop: the function of the exercise */
};

/* What chance decides in the checks comes from the run's seed, which reports name. */
extern unsigned judge_seed;
/* The k-th order of machine frames of this run: "shuffle:N", for machine_options.p2m. */
const char *judge_shuffle(unsigned k);

/* What a test does just now; stands before the reason if it gives up. NULL: nothing. */
extern const char *judge_context;
/* Not x: FAILED with this reason. */
#define CHECK(x, ...) do { if (!(x)) give_up(FAILED, __VA_ARGS__); } while (0)

/* --- running (judge.c) --- */

/* Files whose lines a diagnosis names before others, one a line: those that a student works in; or NULL. */
extern const char *judge_files;
/* Why it failed, as far as the latest machine's state tells; NULL if the check's own words must do. (diagnose.c) */
char *diagnose(const struct test *t);
char *diagnosis_so_far(void); /* of one that gave up */
/* What give_up() does outside of a test; it must not return. Default: the reason to standard error, and exit status 1. */
extern void (*judge_outside)(enum outcome outcome, const char *why);
/* Run a test here, without a verdict, for a debugger or to trace it. dir: its work_dir. */
void judge_alone(const struct test *t, const char *dir) __attribute__((noreturn));

struct result {
	struct test test;
	pid_t pid; /* while it runs */
	int pipe;
	double start, seconds;
	bool done, timed_out;
	enum outcome outcome;
	char dir[300];
	char *reason;  /* unless PASSED */
	size_t reason_bytes;
};

/* How the judge does it. */
struct judge {
	unsigned jobs;         /* at a time */
	const char *base_dir;  /* each test gets a directory below it */
	const char *again;     /* the command that repeats a test, without its name; or NULL */
	void (*report)(const struct result *r, unsigned done, unsigned all); /* after each */
	volatile const int *interrupted; /* becomes not 0: end what runs, start no more */
};
/* Run all. Result: how many were done. */
unsigned judge_all(const struct judge *j, struct result *results, unsigned n);
/* Write results as JUnit XML. suite: the name of it all. */
void judge_write_junit(const char *path, const char *suite, const struct result *results, unsigned n, double seconds);
/* A new private directory in TMPDIR. Result: its path, for the caller to remove. */
char *judge_make_dir(void);
void judge_remove_dir(const char *dir);
/* "ok", "FAIL", "skip", "ERR" */
extern const char *const outcome_words[4];

/* --- steps (session.c) --- */

#define PROMPT "$ "
/* Start, wait for the prompt. */
struct machine *start_to_prompt(const struct machine_options *o);
/* Type a command at the prompt and wait for the next one. */
void command(struct machine *m, const char *text, double seconds);
/* Sync and end a machine that is at its prompt, and check its file system. */
void end_at_prompt(struct machine *m);
/* Start with run="command", wait for the end, want the exit status (QEMU's), check the file system if want is EXIT_OK. */
struct machine *run_command(const struct machine_options *o, const char *text, int want, double seconds);

/* --- invariants, of a stopped machine (invariants.c, invariants_virtual.c) --- */

/* N1 or V1 to V6, and in both modes p2m, m2p and all mappings. */
void check_mode(struct machine *m, bool virtual_mode);
void check_native(struct machine *m);
void check_cpu_virtual(struct machine *m, unsigned i, const struct cpu_state *c); /* V1, V2, V5, V6 */
void check_frame_table(struct machine *m); /* V7. No CPU may be in the VMM */
void check_whole(struct machine *m); /* V1 to V6, and V7 if no CPU is within the VMM */
/* Everything that must be as before after a pair of switches (N2): what we can read of it, as text. */
char *fingerprint(struct machine *m, char *text, size_t size);
/* A sum over the image of the VMM, which in native mode nothing may touch (N3). */
uint32_t dormant_sum(struct machine *m);
/* Arrays by mfn are so long: whatever a guest has in a page table or CR3 is an index. */
enum { ALL_FRAMES = 1 << 20 };
/* A kernel array of n words by the name of its pointer, the rest up to ALL_FRAMES all ones. Result: for the caller to free. */
uint32_t *read_array(struct machine *m, uint32_t cr3, const char *name, uint32_t n);

/* --- before and after (snapshot.c) --- */

/* Stop it when all its CPUs are idle: then registers are the same each time. Bochs does not tell: wait. */
void stop_idle(struct machine *m);
struct snapshot;
/* Of the idle machine, which then goes on. */
struct snapshot *snapshot_take(struct machine *m);
/* FAILED unless the machine, idle again, is as it was before (which is freed). */
void snapshot_compare(struct snapshot *before, struct machine *m);

/* QEMU's virtual time. Between two calls it is exact to the microsecond; the guest has no part in it. One machine a process. */
uint64_t virtual_ns(struct machine *m);
/* Time, the kernel's count of ticks, and the local APIC's; of a stopped machine with one CPU. */
struct moment { uint64_t ns; uint32_t ticks, period, left; };
struct moment moment(struct machine *m);
/* The kernel must have counted the ticks that came between the two; at either end one may be on its way. */
void check_ticks(const struct moment *a, const struct moment *b);
/* The number behind a label in what QEMU shows. */
unsigned number_in(const char *text, const char *label, int base);

#endif
