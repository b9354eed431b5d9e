/* SPDX-License-Identifier: MIT */
/* Trying mutants: trees to build them in, their grading, and the record of what came of each. */
#ifndef TRIAL_H
#define TRIAL_H

#include "grader.h"
#include "mutants.h"

/* What became of a mutant. UNKNOWN: not tried. UNJUDGED: the grader or a test had an error. */
enum fate { UNKNOWN, NOT_COMPILING, SAME_CODE, FOUND, EQUAL, SURVIVOR, UNJUDGED, NR_FATES };
extern const char *const fate_words[NR_FATES];

struct trial {
	const struct mutant *m;
	enum fate fate;
	bool wanted;         /* this run is about it */
	char *by;            /* the check or test that it fails, or NULL */
	char *reason;        /* what that check says; or why the mutant is equal; or NULL */
	double seconds;      /* of a processor */
};

enum { MAX_SOURCES = 300 };
struct campaign {
	const struct lab *lab; /* NULL: the mutants lie in any function, and the tests judge */
	const char *name;      /* of the lab, or "project" */
	unsigned seed, jobs, n;
	unsigned limit; /* seconds of a processor for the tests of a mutant, 0: all tests */
	struct trial *trials;
	char *files[MAX_SOURCES], *sources[MAX_SOURCES]; /* with mutants; NULL at the end */
	json_t *costs;       /* seconds of each check on the solution */
	char program[65];    /* checksum of this program, which holds the checks */
};

/* --- trees and gradings (trial.c) --- */

/*
 * Make the trees of all jobs. Unless c->costs are known, grade the solution, which gives up FAILED
 * unless it has full marks, and fill them.
 */
void trial_prepare(struct campaign *c);
/* Start a trial in a process of its own, in the tree of a slot, 0 to jobs - 1. */
pid_t trial_start(const struct campaign *c, const struct trial *t, unsigned slot);
/* In that process: the seconds of a processor that its builds and tests have taken. */
double trial_cpu(void);
/*
 * Write the mutant, and run the command, which builds it. Result: whether that went well. If not,
 * the command builds the unchanged code, or gives up BROKEN: the environment is wrong.
 */
bool trial_builds(const struct mutant *m, const char *command);
/* Take the result of a trial that ended with this status. */
void trial_take(struct trial *t, unsigned slot, int status);

/* --- the project's tests (tests.c) --- */

/*
 * In a mutant's tree, where both kernels are built: run the tests that could notice a change of
 * t->m->file, until one fails. root: the unchanged tree, which must pass that test. After c->limit
 * no further test begins; the trial is undecided.
 */
void tests_judge(const struct campaign *c, struct trial *t, const char *root);

/* --- the record, build/mutants/NAME.json (record.c) --- */

/* Take what earlier runs found of mutants whose file has not changed since; c->costs, too. */
void record_load(struct campaign *c);
void record_write(const struct campaign *c);
/*
 * Read labs/LAB/equal, lines "ID: REASON"; lines that begin with a blank go on with the reason.
 * Result: how many lines name no mutant of the lab; each is told.
 */
unsigned record_equal(struct campaign *c);
/* Print what came of all: counts, by exercise, by check; each survivor with its lines. */
void record_print(const struct campaign *c);
/* How many of those that are wanted have this fate. */
unsigned record_count(const struct campaign *c, enum fate fate);

#endif
