/* SPDX-License-Identifier: MIT */
/* Steps of the tests that grade the labs (labs.c), and the tests in labs_variants.c. */
#ifndef LABS_H
#define LABS_H

#include "tests.h"
#include <jansson.h>

enum { GRADE_SECONDS = 400, MUTANT_SECONDS = 7200 };

/*
 * A submission: the reference's files; with the patch labs/LAB/KIND/NAME.diff, if diff is
 * KIND/NAME; or the handout's files, if diff is "". Result: its directory.
 */
const char *lab_submission(const char *lab, const char *diff);
/* A student's tree with the lab done, in which later labs are empty. Result: its directory. */
const char *lab_tree(const char *lab);
/*
 * Build such a tree, from what is built here: its exercises are compiled anew. This grader judges
 * there.
 */
void lab_build(const char *tree);
/* Grade a directory. Result: the report. FAILED if there is none. */
json_t *lab_grade(const char *lab, const char *dir, unsigned seed);
/* The names of the checks that did not pass, in the report's order, a blank after each. */
char *lab_failed(const json_t *report, char *buf, size_t size);
double lab_score(const json_t *report);
/* What the diff's first lines promise: "# NAME: value". Result: the value, "" if there is none. */
const char *lab_promised(const char *lab, const char *diff, const char *name);

/* Tests. text: the lab; of lab_right() LAB/right/NAME. number: a seed, an index, an exercise. */
void lab_right(const struct test *t);
void lab_right_together(const struct test *t);
void lab_each_varied(const struct test *t);
void lab_compiled(const struct test *t);
void lab_mutants_listed(const struct test *t);
void lab_mutant_found(const struct test *t);
void lab_mutant_unbuilt(const struct test *t);
void lab_mutants(const struct test *t);
/* How many compilers there are for lab_compiled(), and their names. */
extern const unsigned lab_nr_compilers;
const char *lab_compiler(unsigned k);

#endif
