/* SPDX-License-Identifier: MIT */
/*
 * The grader: it takes a submission's files, puts them into a copy of the pristine tree and builds
 * that in a sandbox. There it runs itself as the judge, which looks at machines from outside
 * (machine/). The verdicts come back through a pipe that no submitted code can reach. Whatever goes
 * wrong on this side is an error and no score: give_up(BROKEN), exit status 2.
 */
#ifndef GRADER_H
#define GRADER_H

#include "judge.h"
#include <jansson.h>

/* --- labs (labs.c, made by the Makefile; lab.c) --- */

struct lab { const char *name; const struct test *checks; }; /* both lists end with no name */
extern const struct lab all_labs[];
enum { MAX_FILES = 32, MAX_CHECKS = 64 };

/* The lab of this name, or NULL. */
const struct lab *lab_find(const char *name);
/*
 * The lab's checks, or only those of a list of names, with blanks or commas between. Gives up
 * FAILED if a name is that of no check. Result: how many.
 */
unsigned lab_checks(const struct lab *lab, const char *only, struct result results[MAX_CHECKS]);
/* The tree of this project in which the program lies becomes the working directory. */
void lab_enter_root(void);
/*
 * The pristine tree of a lab: this one if it is a student's (then *own is true), else
 * build/handout/LAB, which is made up to date first unless it is ready.
 */
const char *lab_base(const struct lab *lab, bool ready, bool *own);
/*
 * The files that are handed in (labs/LAB/files of the base). *text: their names, one a line.
 * Result: how many.
 */
unsigned lab_files(const char *base, const struct lab *lab, char *files[MAX_FILES], char **text);
/* These, also as text, and all files of the base (labs/LAB/manifest). */
struct lab_tree { char *files[MAX_FILES], *text, **all; unsigned n, nr_all; };
void lab_read_tree(const char *base, const struct lab *lab, struct lab_tree *tree);
/* Copy the base, and what is built in it, to a new directory. */
void lab_copy(const char *base, const char *to);
/* The files of a student's tree that were changed but are not handed in, as text; "" if none. */
char *lab_changed(const char *base, const struct lab *lab, char *const *files, unsigned n);
/* Give up BROKEN if a program is missing that a grading needs. */
void lab_check_tools(const struct test *checks);

/* --- text from submissions (text.c) --- */

/*
 * The first n bytes of s as a line, or all of s as lines, for terminals, logs and reports. Control
 * characters, and bytes that are no UTF-8, become question marks. Result: to be freed.
 */
char *text_line(const char *s, size_t n);
char *text_lines(const char *s);
/* Empty each #line of a source. Result: the number of the first such line; 0 if there is none. */
unsigned text_unnumber(char *text);
/*
 * A source as our compiler takes it: without byte order mark, NUL and Ctrl-Z at the end, UTF-16 as
 * UTF-8, lines that end with newlines. Other bytes stay as they are. Frees text. *n: bytes of the
 * result.
 */
char *text_decode(char *text, size_t bytes, size_t *n);
/* Answers as UTF-8: without any UTF-8 in them they are Windows-1252. Frees text. */
char *text_answers(char *text);

/* --- the sandbox (sandbox.c, guard.c) --- */

struct sandbox {
	const char *tree;  /* becomes the working directory, and belongs to the sandbox's user */
	bool writable;     /* the tree is */
	bool none;         /* --no-sandbox: limits of each process only */
	unsigned cpu_seconds, megabytes, file_megabytes; /* of each process; 0: no limit */
	/* Of all together, each 0 if there is no limit: */
	unsigned processes, memory; /* with threads; in MiB, with files in its /tmp */
	unsigned all_cpu_seconds;
	unsigned idle_seconds;      /* in which nothing in it has run */
	int input;         /* its standard input; 0: none */
	int output;        /* standard output and error go there */
};
/*
 * Exit status if what all may use together was used up; the last line of the output says what. More
 * than 128: killed by a signal.
 */
enum { SANDBOX_LIMIT = 99 };
/* Whether a sandbox can be had. why: if not, the reason in one line. */
bool sandbox_works(char *why, size_t size);
/* Start a program in it, as leader of a process group. Result: its process id. */
pid_t sandbox_start(const struct sandbox *s, char *const argv[]);
/* The path of this program inside of the sandbox. */
const char *sandbox_self(const struct sandbox *s);
/*
 * The first process in the sandbox: `guard PROCESSES MIB CPU-SECONDS IDLE-SECONDS USER PROGRAM...`.
 */
int guard(int argc, char **argv);

/* --- submissions (submission.c, archive.c, match.c) --- */

struct grading;
struct taken {
	char *text[MAX_FILES]; /* contents of the wanted files, NULL if not in the submission */
	size_t bytes[MAX_FILES];
};
enum { FILE_LIMIT = 256 << 10, UNPACKED_LIMIT = 256 << 20, ENTRIES_LIMIT = 100000 };
/*
 * Take the lab's files, and nothing else, from a directory, tar (gz, bz2, xz, zst) or zip. What is
 * ambiguous, hostile or too large is refused: give_up(FAILED). s: the sandbox for archives.
 */
void submission_take(struct grading *g, struct sandbox s, const struct lab_tree *tree,
		     struct taken *t);

/* A file of a submission. */
enum found_kind { FOUND_FILE, FOUND_LINK, FOUND_DEVICE };
struct found {
	char *name; /* as it stands in the submission */
	char *path; /* the same with slashes, from the top of the submission */
	enum found_kind kind;
	char *text; /* contents of a plain file in an archive that may be wanted */
	size_t bytes;
	bool inner; /* it is in an archive that is in the archive */
	/* by match(): */
	int place;   /* which file of the lab it may be; -1: none */
	size_t root; /* bytes of the path before the lab's own path, or before the file's name */
	bool whole;  /* the path ends in the lab's own path */
	bool nested; /* its root lies in the root of others */
	bool own;    /* a source that the lab does not have */
};
struct finds { struct found *v; unsigned n; };
/* Append. text is not copied. */
void finds_add(struct finds *all, const char *path, enum found_kind kind, char *text, size_t bytes);
/* Read an archive. `unpack LIST` is the inner side; list: the lab's files, one a line. */
void archive_read(const char *path, struct sandbox s, const struct lab_tree *tree,
		  struct finds *found);
int archive_inner(char *list);
/*
 * Whether a file's name is ours (names.c): UNLIKE: no; SENT: with what course platforms put before
 * it; LIKE: but for letters' case, or as that of a copy.
 */
enum likeness { UNLIKE, SENT, LIKE };
enum likeness name_likeness(const char *found, const char *ours);
/* Whether a file's name is that of an archive. */
bool name_of_archive(const char *name);
/* Whether a path may name a wanted file. */
bool submission_wants(const char *path, char *const *wanted, unsigned n);
/* Find out which of the lab's files the found ones are. */
void match(struct finds *all, const struct lab_tree *tree);
/* Result: whether any may be one. */
bool match_any(const struct finds *all);
/* Result: what is taken as the lab's i-th file; NULL: nothing. Gives up FAILED if unclear. */
struct found *match_choice(struct grading *g, const struct finds *all,
			   const struct lab_tree *tree, unsigned i);
/* Note what was not taken. Gives up FAILED if nothing was. */
void match_notes(struct grading *g, struct finds *all, const struct lab_tree *tree,
		 const struct taken *t);

/* --- building (build.c) --- */

/* Write a new file, or give up BROKEN. */
void write_file(const char *path, const char *text, size_t bytes);
/*
 * Put the files that were taken into the tree. A file with the same contents keeps its time, and is
 * not compiled again.
 */
void build_place(const char *tree, char *const *files, unsigned n, const struct taken *t);
/*
 * Build the tree. If it does not build, fill g->not_built. base: the pristine tree, to recognize an
 * environment in which nothing builds; NULL if the pristine tree is the student's own.
 */
void build_submission(struct grading *g, struct sandbox s, const char *base,
		      const struct lab_tree *tree);
/*
 * Fill g->not_built if a built file has an instruction by which it could tell that it is judged, or
 * lines that it says are another file's. Note variables that it adds to the handout's
 * (instructions.c).
 */
void build_look(struct grading *g, struct sandbox s, const char *base, const struct lab_tree *tree);
/* What the compiler said, from a log, without the progress lines of make. */
char *build_messages(const char *log);

/* --- a grading (grade.c, notes.c), its judge (verdicts.c, inner.c), a class (class*.c) --- */

struct options {
	const struct lab *lab;
	const char *submission, *json, *junit, *html, *only, *out;
	unsigned seed;
	unsigned jobs;     /* at a time; 0: as many as the processors do best */
	char *const *more; /* arguments after the command's own */
	bool no_sandbox, again;
	bool in_class;     /* one of many: the base is ready,
	and an old grade counts unless `again` */
};

struct grading {
	const struct options *o;
	struct result results[MAX_CHECKS];
	unsigned n, printed; /* so many were shown */
	char *notes;      /* lines for the reader */
	bool quiet;       /* they are not printed yet: a grade may be there already */
	char *own_files;  /* sources of the student's that were not taken, or NULL */
	char *not_built;  /* why nothing could be run: all checks failed by that */
	char *checksum;   /* of files, checks and this program */
	double seconds, build_seconds;
	json_t *recording, *reference; /* recording.c, each NULL if there is none */
	char *handout;    /* the text that the page's links lead to, or NULL */
	json_t *answers;  /* answers.c, or NULL */
	json_t *names;         /* of the lab's files in the submission, where they differ */
};

/* Exit status of `grade`. */
enum { GRADED = 0, USAGE = 1, ENVIRONMENT = 2, INTERRUPTED = 130 };
/* Grade a submission, or each one of a directory. Result: the exit status. */
int grade(const struct options *o);
int class_grade(const struct options *o);
bool same_directory(const char *a, const char *b);
/*
 * The names of a class's submissions. Old reports without a grade are removed. Gives up FAILED if
 * there are none, or if another lab's reports would be lost. Result: how many.
 */
unsigned class_list(const struct options *o, char ***names);
/* The path of a submission of a class. To be freed. */
char *class_submission(const struct options *o, const char *name);
/* Run a check under a debugger. Result: the exit status. */
int debug_check(const struct options *o);
/* A path in this grading's directory. */
const char *grade_path(const char *name);
/* Becomes the signal's number when the user ends the program. */
extern volatile int interrupted;
/*
 * Wait for a process group's leader; end the group if the user or the time says so.
 * Result: as process_wait().
 */
int wait_for(pid_t pid, double seconds);
/* End the grading, if the user said so. */
void stop_if_interrupted(void);
/*
 * Run a shell command of ours, without input. Gives up BROKEN with its output if it fails. output,
 * size: for its output; or NULL, 0.
 */
void run_tool(char *output, size_t size, double seconds, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Add a line to g->notes, and print it unless g->quiet. */
void note(struct grading *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Print all notes, and from now on each at once. */
void notes_print(struct grading *g);
/*
 * Note which files are missing and which exercises and questions are empty; of a student's own
 * tree, other changes. Keep the answers and the handout's text for the reports.
 */
void take_notes(struct grading *g, const char *base, bool own, char *const *files, unsigned n,
		const struct taken *t);
/* Note it if all checks in QEMU pass, but one in Bochs fails. */
void note_disagreement(struct grading *g);
/*
 * The answers to questions in the form of answers.c; text: NULL if there are none.
 * Result: [{question, answer}]; an answer that was not given is "".
 */
json_t *answers_read(const char *questions, const char *text);

/*
 * Run the checks on the built tree in the sandbox, and fill g->results. log: what the judge
 * prints.
 */
void judge(struct grading *g, struct sandbox s, const char *log);
/*
 * The inner side: `judge LAB SEED JOBS DIR CHECKS`, results as JSON lines to descriptor
 * RESULTS_FD.
 */
enum { RESULTS_FD = 9 };
int inner(int argc, char **argv);

/* --- a recording of the mode switch for the HTML report (recording.c) --- */

/*
 * Fill g->recording and g->reference if the lab's machine switches. Without a recording the
 * report is the same otherwise: nothing gives up here. dir: for its files.
 */
void recording_make(struct grading *g, struct sandbox s, const char *base, const char *dir);
/* The inner side, `record LAB DIR`: a submission's recording to descriptor RESULTS_FD. */
int recording_inner(int argc, char **argv);
/* `reference LAB`: the reference's recording to standard output. */
int recording_reference(const char *lab);

/* --- which failure explains which (causes.c) --- */

struct cause {
	char *text;        /* one line: how the machine ended, or what was got and expected */
	char *where;       /* "kernel/mm/vm.c:208"; "": not known */
	unsigned exercise; /* to mend; the check's own unless text or place name another one */
	unsigned other;    /* a caller, or another CPU, is in this exercise, or 0 */
	bool sure;         /* the text names it */
	bool placed;       /* where is in it */
	bool waits;        /* the text says that nothing can be judged before it is done */
	const struct result *because; /* the failure that explains this one, or NULL */
};
/* Find the causes of n results; those of checks that did not fail are zero. */
void causes_find(const struct result *results, unsigned n, struct cause *causes);
/*
 * In which order to mend: the numbers of the failures that no other explains, by exercise. Result:
 * how many.
 */
unsigned causes_order(const struct result *results, unsigned n, const struct cause *causes,
		      unsigned order[MAX_CHECKS]);
/* Where the cause that a reason begins with ends. */
const char *cause_end(const char *reason);
/* This cause as one line. To be freed. */
char *cause_text(const char *reason);

/* --- reports (report.c, html_report.c, class_report.c, class_page.c) --- */

/* Text as JSON, whatever bytes a guest or a compiler put into it. */
json_t *report_text(const char *text);
/* Print the result of a check. */
void report_print(const struct grading *g, const struct result *r);
/* Print what to mend first, and which checks wait for that. */
void report_summary(const struct grading *g);
/* Whether the points of a check are part of the maximum. */
bool report_counts(const struct result *r);
/* All that is known of a grading, in Gradescope's format. */
json_t *report_json(const struct grading *g);
/* The same for a submission without a grade: outcome "refused" or "error", and no score. */
json_t *report_no_grade(const struct options *o, const char *outcome, const char *why);
/*
 * Write --json and --html. Each becomes a new file first, so none is ever half written. g: for its
 * recording, or NULL.
 */
void report_write(const struct options *o, json_t *report, const struct grading *g);
void html_write(const char *path, json_t *report, const struct grading *g);
/*
 * Write the class's summary.csv and index.html to o->out, from all reports of the lab there: so a
 * run over a part of the class keeps the rest.
 */
void class_write(const struct options *o);
/* Where in o->out a submission's report is: each name has its own. end: ".json". To be freed. */
char *class_path(const struct options *o, const char *name, const char *end);

#endif
