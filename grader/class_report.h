/* SPDX-License-Identifier: MIT */
/* A class's reports as class_report.c has read them, for its CSV and its page. */
#ifndef CLASS_REPORT_H
#define CLASS_REPORT_H

#include "html.h"

struct student { char *name; json_t *report; };
struct column {
	const char *check, *title;
	unsigned number;         /* place in the lab's list */
	unsigned failed, judged; /* submissions */
	long long exercise, points;
};
struct class {
	const struct options *o;
	struct student *students;
	unsigned n, nr_columns;
	struct column columns[MAX_CHECKS]; /* of the page: the check that most failed first */
};

/* The outcome of a report, or of a test in it. */
const char *outcome_of(const json_t *j);
/* The result of a check in a report; NULL if it was not judged there. */
const json_t *find_test(const json_t *report, const char *check);
/* Write the page (class_page.c). */
void class_page(FILE *f, const struct class *c);

#endif
