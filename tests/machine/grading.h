/* SPDX-License-Identifier: MIT */
/*
 * Steps of the tests that grade: run the grader, look at its report and its words, make submissions
 * from the reference.
 */
#ifndef GRADING_H
#define GRADING_H

#include "tests.h"
#include "grader.h"

#define LAB "01-paging" /* the lab that these tests grade */
#define GRADE "build/grader grade --lab " LAB " "
enum { REFUSED = USAGE, NO_GRADE = ENVIRONMENT, SECONDS = 400 };

/* What the grader printed last. */
extern char said[20000];
/* SKIPPED where no sandbox can be had. */
void need_sandbox(void);
/* Grade, with these further arguments and a report r.json in work_dir. Result: exit status. */
int run_grade(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The report of the last grading. */
json_t *report(void);
/* Its points; -1 if it gave no grade. */
int score(void);
int max_score(void);
/* FAILED unless status is `want`. what: names the grading in the message. */
void check_status(int status, int want, const char *what);
/* FAILED unless the grader printed this. */
void check_said(const char *text);
/* FAILED unless the environment was blamed and no grade was given. */
void check_no_grade(int status, const char *what);
/* A directory with the reference's files, below work_dir. */
const char *reference(const char *name);
/*
 * The same, but only kernel/mm/p2m.c is the reference's, which one_check() judges. All others are
 * as in the handout, so that a build compiles one file.
 */
const char *solved_p2m(const char *name);
/* That, with a first statement in p2m_build(), the function of the first exercise. */
const char *with_code(const char *name, const char *text);
/* Grade by one check. This also writes and builds the student tree, build/handout. */
void build_handout(void);
/* The check that makes the shortest grading that runs a machine. */
const char *one_check(void);

#endif
