/* SPDX-License-Identifier: MIT */
/*
 * The grader: takes a submission's files, puts them into a copy of the pristine tree, builds it in a sandbox, and there runs itself
 * as the judge, which looks at machines from outside (machine). The verdicts come back through a pipe that no submitted
 * code can reach. Whatever goes wrong on this side is an error and no score: give_up(BROKEN), exit status 2.
 */
#ifndef GRADER_H
#define GRADER_H

#include "judge.h"
#include <jansson.h>

/* --- labs (labs.c, made by the Makefile; lab.c) --- */

struct lab { const char *name; const struct test *checks; }; /* both lists end with no name */
extern const struct lab all_labs[];
enum { MAX_FILES = 32, MAX_CHECKS = 64 };

const struct lab *lab_find(const char *name);
/* The lab's checks, or only those of a list of names, with blanks or commas between. Result: how many; one that is not there: FAILED. */
unsigned lab_checks(const struct lab *lab, const char *only, struct result results[MAX_CHECKS]);
/* The tree of this project that the program lies in; the working directory. */
void lab_enter_root(void);
/* The pristine tree of a lab: this one if it is a student's (own), else build/handout/LAB, made up to date unless it is ready. */
const char *lab_base(const struct lab *lab, bool ready, bool *own);
/* labs/LAB/files of the base: what is handed in. Result: how many. text: the same, one a line. */
unsigned lab_files(const char *base, const struct lab *lab, char *files[MAX_FILES], char **text);
/* Copy the base with what is built in it. */
void lab_copy(const char *base, const char *to);
/* Files of a student's tree that were changed but are not handed in, as text ("" if none). */
char *lab_changed(const char *base, const struct lab *lab, char *const *files, unsigned n);
/* Give up BROKEN if a program is missing that a grading needs. */
void lab_check_tools(const struct test *checks);

/* --- submissions (submission.c, archive.c) --- */

struct taken {
	char *text[MAX_FILES]; /* contents of the wanted files, NULL if not in the submission */
	size_t bytes[MAX_FILES];
};
enum { FILE_LIMIT = 256 << 10, UNPACKED_LIMIT = 256 << 20, ENTRIES_LIMIT = 100000 };
/*
 * Take the wanted files, and nothing else, from a directory, tar (gz, bz2, xz, zst) or zip, at its root or in its one top directory.
 * Links, paths that leave the archive, and sizes above the limits are refused: give_up(FAILED).
 */
void submission_take(const char *path, char *const *wanted, unsigned n, struct taken *t);
void archive_take(const char *path, char *const *wanted, unsigned n, struct taken *t);
/* The wanted file that path is, "kernel/a.c" or "top/kernel/a.c", or -1. prefix: bytes of "top/". */
int submission_match(const char *path, char *const *wanted, unsigned n, size_t *prefix);
/* A line that takes files from elsewhere into the kernel (.incbin, #include "/..."), as a message; or NULL. */
char *submission_refusal(const char *name, const char *text, size_t bytes);

/* --- the sandbox (sandbox.c) --- */

struct sandbox {
	const char *tree;  /* becomes the working directory */
	bool writable;     /* the tree is */
	bool none;         /* --no-sandbox: limits only */
	unsigned cpu_seconds, megabytes, file_megabytes; /* of each process */
	int output;        /* standard output and error go there */
};
/* Whether a sandbox can be had; if not, why, in one line. */
bool sandbox_works(char *why, size_t size);
/* Start a program in it. Result: its process id. */
pid_t sandbox_start(const struct sandbox *s, char *const argv[]);
/* The path of this program inside of it. */
const char *sandbox_self(const struct sandbox *s);

/* --- building (build.c) --- */

struct grading;
void write_file(const char *path, const char *text, size_t bytes);
/* Put the files into the tree. A file that is as it was keeps its time, and is not compiled again. */
void build_place(const char *tree, char *const *files, unsigned n, const struct taken *t);
/* Build the tree; if it does not, fill g->not_built. base: to tell an environment in which nothing builds; NULL where that is the student's own. */
void build_submission(struct grading *g, struct sandbox s, const char *base, char *const *files, unsigned n);
/* What the compiler said, without make's progress. */
char *build_messages(const char *log);

/* --- a grading (grade.c), its judge (inner.c), reports (report.c, html.c) --- */

struct options {
	const struct lab *lab;
	const char *submission, *json, *junit, *html, *only, *out;
	unsigned seed, jobs; /* at a time; 0: as many as the processors do best */
	char *const *more; /* arguments behind the command's own */
	bool no_sandbox, again;
	bool in_class;    /* one of many: the base is ready, and a grade that is there is kept unless `again` */
};

struct grading {
	const struct options *o;
	struct result results[MAX_CHECKS];
	unsigned n, printed; /* so many were shown */
	char *notes;      /* lines for the reader */
	char *not_built;  /* why nothing could be run: all checks failed by that */
	char *checksum;   /* of files, checks and this program */
	double seconds, build_seconds;
	json_t *recording, *reference; /* recording.c, each NULL if there is none */
};

/* Exit status of `grade`. */
enum { GRADED = 0, USAGE = 1, ENVIRONMENT = 2, INTERRUPTED = 130 };
int grade(const struct options *o);
/* A path in this grading's directory. */
const char *grade_path(const char *name);
int class_grade(const struct options *o);
/* Wait for a process, and end it if the user or the time says so. Result: as process_wait. */
int wait_for(pid_t pid, double seconds);
/* The inner side: results as JSON lines to descriptor RESULTS_FD. */
enum { RESULTS_FD = 9 };
int inner(int argc, char **argv);
int debug_check(const struct options *o);

/* --- a recording of the mode switch for the HTML report (recording.c) --- */

/* Fill recording and reference if the lab's machine switches. Without one there is no other report: nothing gives up here. */
void recording_make(struct grading *g, struct sandbox s, const char *base, const char *dir);
/* The inner side: `record LAB DIR`, a submission's recording to descriptor RESULTS_FD; `reference LAB`, its to standard output. */
int recording_inner(int argc, char **argv);
int recording_reference(const char *lab);
extern volatile int interrupted;

/* Text as JSON, whatever bytes a guest or a compiler put into it. */
json_t *report_text(const char *text);
/* n bytes of a text without what a terminal would obey. */
char *report_printable(const char *s, size_t n);
/* A live line. */
void report_print(const struct result *r);
/* All that is known, in Gradescope's format. */
json_t *report_json(const struct grading *g);
/* The same for a submission that got no grade: outcome "refused" or "error", and no score. */
json_t *report_no_grade(const struct options *o, const char *outcome, const char *why);
/* Write --json and --html; through a new file each, so that none is half written. g: for its recording, or NULL. */
void report_write(const struct options *o, json_t *report, const struct grading *g);
void html_write(const char *path, json_t *report, const struct grading *g);
bool report_counts(const struct result *r); /* its points are part of the maximum */

#endif
