/* SPDX-License-Identifier: MIT */
/* Steps of the tests that grade: run the grader, look at its report and its words, make submissions from the reference. */
#ifndef GRADING_H
#define GRADING_H

#include "tests.h"
#include "grader.h"

#define LAB "01-paging" /* carries the tests */
#define GRADE "build/grader grade --lab " LAB " "
enum { REFUSED = USAGE, NO_GRADE = ENVIRONMENT, SECONDS = 400 };

extern char said[20000]; /* what the grader printed last */
/* SKIPPED where no sandbox can be had. */
void need_sandbox(void);
/* Grade, with its report in work_path("r.json"). Result: exit status. */
int run_grade(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
json_t *report(void); /* of the last grading */
int score(void);      /* its points; -1 if it gave no grade */
int max_score(void);
void check_status(int status, int want, const char *what);
void check_said(const char *text);
void check_no_grade(int status, const char *what);
/* A directory with the reference's files. */
const char *reference(const char *name);
/* Its first statement of the first exercise becomes text. */
const char *with_code(const char *name, const char *text);
/* The check that makes the shortest grading that runs a machine. */
const char *one_check(void);

#endif
