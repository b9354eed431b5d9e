/* SPDX-License-Identifier: MIT */
/*
 * A class: each entry of a directory is graded by a process of its own, several at a time, so
 * one bad submission stops nothing. The reports are the memory of a run: a second run grades
 * only the submissions that have no grade yet for the same files, checks and seed.
 */
#include "grader.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NEW_LOG ".log.new" /* replaces the old log if there is something in it */
enum state { WAITING, RUNNING, DONE };
struct entry { char *name; enum state state; pid_t pid; json_t *report; };

static const char *outcome(const struct entry *e)
{
	const char *s = json_string_value(json_object_get(json_object_get(e->report, "extra_data"),
							  "outcome"));
	return s ? s : "error";
}

/* An entry is done, and no report says how: write one. */
static void no_report(const struct options *o, struct entry *e, const char *why)
{
	struct options one = *o;
	char *path = class_path(o, e->name, ".json"), *submission = class_submission(o, e->name);
	char *page = class_path(o, e->name, ".html");
	unlink(page); /* it is an older one */
	free(page);
	one.submission = submission;
	e->state = DONE;
	e->report = report_no_grade(&one, "error", why);
	json_dump_file(e->report, path, JSON_INDENT(2));
	free(path), free(submission);
}

/* Start the grading of an entry. Result: whether it runs; if not, it is done, with an error. */
static bool start(const struct options *o, struct entry *e)
{
	char *submission = class_submission(o, e->name), seed[16], *argv[24];
	unsigned n = 0;
	snprintf(seed, sizeof(seed), "%u", o->seed);
	argv[n++] = "build/grader", argv[n++] = "grade";
	argv[n++] = "--lab", argv[n++] = (char *)o->lab->name;
	argv[n++] = "--submission", argv[n++] = submission;
	argv[n++] = "--seed", argv[n++] = seed;
	argv[n++] = "--jobs", argv[n++] = "1";
	argv[n++] = "--json", argv[n++] = class_path(o, e->name, ".json");
	argv[n++] = "--html", argv[n++] = class_path(o, e->name, ".html");
	argv[n++] = "--in-class";
	if (o->only)
		argv[n++] = "--only", argv[n++] = (char *)o->only;
	if (o->again)
		argv[n++] = "--again";
	if (o->no_sandbox)
		argv[n++] = "--no-sandbox";
	argv[n] = NULL;
	int log = open(class_path(o, e->name, NEW_LOG), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		       0644);
	if (log < 0) {
		no_report(o, e, strerror(errno));
		return false;
	}
	e->pid = process_start(argv, -1, log, log);
	e->state = RUNNING;
	close(log);
	return true;
}

static void print_progress(const struct entry *e, unsigned done, unsigned n)
{
	const json_t *score = json_object_get(e->report, "score");
	const json_t *extra = json_object_get(e->report, "extra_data");
	bool line = isatty(1);
	printf("%s[%u/%u] %s: ", line ? "\r\033[K" : "", done, n,
	       text_line(e->name, strlen(e->name)));
	if (score)
		printf("%lld of %lld", json_integer_value(score),
		       json_integer_value(json_object_get(extra, "max_score")));
	else
		printf("%s", outcome(e));
	printf("%s", line ? "" : "\n");
	fflush(stdout);
}

/* The log of what had a grade already stays: its process said nothing. */
static void keep_log(const struct options *o, const struct entry *e)
{
	struct stat st;
	char *new = class_path(o, e->name, NEW_LOG), *log = class_path(o, e->name, ".log");
	if (stat(new, &st) == 0 && (st.st_size > 0 ? rename(new, log) : unlink(new)) < 0)
		give_up(BROKEN, "%s: %s", log, strerror(errno));
	free(new), free(log);
}

/*
 * An entry's process has ended. The report counts only if it says what the status says: it may
 * be old.
 */
static void finish(const struct options *o, struct entry *e, int status)
{
	char *path = class_path(o, e->name, ".json");
	const char *said = status == GRADED ? "graded" : status == USAGE ? "refused" : "error";
	e->state = DONE;
	e->report = json_load_file(path, 0, NULL);
	if (!e->report || strcmp(outcome(e), said) != 0) {
		json_decref(e->report);
		char why[100];
		snprintf(why, sizeof(why), "its grading ended without a report, with status %d; "
			 "its .log may tell more", status);
		no_report(o, e, why);
	}
	free(path);
}

/*
 * Grade all entries. After an interruption no more are started, and those that run are waited for.
 * Result: how many are done.
 */
static unsigned run_all(const struct options *o, struct entry *entries, unsigned n)
{
	unsigned started = 0, running = 0, done = 0;
	while (running > 0 || (started < n && !interrupted)) {
		while (running < o->jobs && started < n && !interrupted) {
			struct entry *e = &entries[started++];
			if (start(o, e))
				running++;
			else
				print_progress(e, ++done, n);
		}
		for (struct entry *e = entries; e < entries + started; e++) {
			int status = e->state == RUNNING ? process_wait(e->pid, 0) : -1;
			if (status < 0)
				continue;
			running--;
			keep_log(o, e);
			if (interrupted) { /* the report may be an old one */
				e->state = WAITING;
				continue;
			}
			finish(o, e, status);
			print_progress(e, ++done, n);
		}
		if (interrupted)
			for (struct entry *e = entries; e < entries + started; e++)
				if (e->state == RUNNING)
					kill(e->pid, SIGTERM);
		usleep(20000);
	}
	return done;
}

/* Print the entries without a grade, and the first line of why. Result: how many are errors. */
static unsigned list_others(const struct entry *entries, unsigned n)
{
	unsigned errors = 0;
	for (const struct entry *e = entries; e < entries + n; e++) {
		const char *why = json_string_value(json_object_get(e->report, "output"));
		if (e->state != DONE || strcmp(outcome(e), "graded") == 0)
			continue;
		errors += strcmp(outcome(e), "error") == 0;
		why = why ? why : "";
		bool named = strncmp(why, e->name, strlen(e->name)) == 0;
		printf("%s: %s%s%s\n", outcome(e), named ? "" : text_line(e->name, strlen(e->name)),
		       named ? "" : ": ", text_line(why, strcspn(why, "\n")));
	}
	return errors;
}

static void interrupt(int sig)
{
	interrupted = sig;
}

/* With those above. */
static void make_directory(const char *path)
{
	char *copy = strdup(path);
	for (char *slash = copy; (slash = strchr(slash + 1, '/')); *slash = '/') {
		*slash = '\0';
		mkdir(copy, 0777);
	}
	struct stat st;
	if ((mkdir(copy, 0777) < 0 && errno != EEXIST) || stat(copy, &st) < 0 ||
	    access(copy, W_OK) < 0)
		give_up(FAILED, "--out %s cannot be written: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		give_up(FAILED, "--out %s is no directory", path);
	free(copy);
}

int class_grade(const struct options *given)
{
	static struct result results[MAX_CHECKS];
	struct options o = *given;
	struct sigaction stop = { .sa_handler = interrupt };
	bool own;
	char *out, **names;
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	if (!o.out && asprintf(&out, "build/class/%s", o.lab->name) >= 0)
		o.out = out;
	if (o.jobs == 0) /* more than processors: each grading waits for a part of its time */
		o.jobs = ((unsigned)sysconf(_SC_NPROCESSORS_ONLN) * 3 + 1) / 2;
	make_directory(o.out);
	lab_checks(o.lab, o.only, results); /* gives up if a name is none */
	lab_base(o.lab, false, &own);       /* once, not by each */
	unsigned n = class_list(&o, &names);
	struct entry *entries = calloc(n, sizeof(*entries));
	for (unsigned i = 0; i < n; i++)
		entries[i].name = names[i];
	unsigned done = run_all(&o, entries, n);
	if (isatty(1))
		printf("\n");
	class_write(&o);
	unsigned errors = list_others(entries, n);
	printf("%u of %u submissions done, %u of them with an error; %s/index.html\n", done, n,
	       errors, o.out);
	if (interrupted)
		printf("interrupted: the same command goes on\n");
	else if (errors > 0)
		printf("errors are of this environment, and no grades: the same "
		       "command tries those again\n");
	return interrupted ? INTERRUPTED : errors > 0 ? ENVIRONMENT : GRADED;
}
