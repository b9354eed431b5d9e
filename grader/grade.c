/* SPDX-License-Identifier: MIT */
/*
 * One grading, in steps: take the files, copy the pristine tree, build in the sandbox, judge
 * in the sandbox, report. A submission that does not build, or is refused for what its files
 * say, is graded: it gets nothing. All else that goes wrong is no grade.
 */
#include "grader.h"
#include <errno.h>
#include <signal.h>

volatile int interrupted;
static const struct options *current; /* for end_without_grade() */
static char *dir;                     /* all of this grading's files */

const char *grade_path(const char *name)
{
	char *path;
	if (asprintf(&path, "%s/%s", dir, name) < 0)
		give_up(BROKEN, "no memory");
	return path;
}

/* Every give_up() of this process comes here. */
static void end_without_grade(enum outcome outcome, const char *why)
{
	static bool ending;
	int status = outcome == BROKEN ? ENVIRONMENT : USAGE;
	if (dir)
		judge_remove_dir(dir);
	if (!ending) { /* what fails in here, fails for good */
		ending = true;
		bool error = outcome == BROKEN;
		struct result r = { .test = { .name = "grading" }, .outcome = BROKEN,
				    .reason = (char *)why, .done = true };
		fprintf(stderr, "grader: %s: %s\n", error ? "error, no grade" : "refused", why);
		report_write(current, report_no_grade(current, error ? "error" : "refused", why),
			     NULL);
		if (current->junit)
			judge_write_junit(current->junit, current->lab->name, &r, 1, 0);
	}
	exit(status);
}

static void end_interrupted(void)
{
	judge_remove_dir(dir);
	fprintf(stderr, "grader: interrupted\n");
	exit(INTERRUPTED);
}

int wait_for(pid_t pid, double seconds)
{
	int status = -1;
	for (double end = clock_seconds() + seconds; status < 0 && !interrupted &&
	     clock_seconds() < end;)
		status = process_wait(pid, 0.1);
	if (status < 0) {
		kill(-pid, SIGKILL);
		process_kill(pid);
	}
	if (interrupted)
		end_interrupted();
	return status;
}

/* --- steps --- */

/*
 * The sum is over all that can change the outcome, except for the seed: the files, the tree,
 * and this program, which holds the checks. Result: for the caller to free.
 */
static char *checksum(const char *base, unsigned n, const struct taken *t)
{
	char text[100] = "", *path;
	for (unsigned i = 0; i < n; i++) {
		if (!t->text[i])
			continue;
		if (asprintf(&path, "%s/file%02u", dir, i) < 0)
			give_up(BROKEN, "no memory");
		write_file(path, t->text[i], t->bytes[i]);
		free(path);
	}
	int status = shell(text, sizeof(text), 20,
			   "{ (cd %s && sha256sum file*); cat %s/build/cinnabar %s/build/vmm "
			   "%s/build/rootfs.ext2 /proc/%d/exe; } | sha256sum",
			   dir, base, base, base, (int)getpid());
	if (status != 0)
		give_up(BROKEN, "no checksum: %s", text);
	text[64] = '\0';
	return strdup(text);
}

/*
 * Without a sandbox only a student's own tree is graded, unless --no-sandbox says so. own: this
 * is the student's own.
 */
static void choose_sandbox(struct grading *g, bool own)
{
	char why[300];
	if (g->o->no_sandbox || sandbox_works(why, sizeof(why)))
		return;
	if (!own)
		give_up(BROKEN,
			"no sandbox can be had here (%s); install bubblewrap, or give --no-sandbox "
			"if you trust the submission", why);
	((struct options *)g->o)->no_sandbox = true;
	note(g, "no sandbox can be had here (%s); it is your own code, so it is built and run "
		"without one", why);
}

/* Nothing could be run: every check fails. */
static void fail_all(struct grading *g)
{
	for (const char *s = g->not_built; *s; s += strcspn(s, "\n"), s += *s == '\n')
		printf("%s\n", report_printable(s, strcspn(s, "\n")));
	for (unsigned i = 0; i < g->n; i++) {
		struct result *r = &g->results[i];
		r->outcome = FAILED, r->done = true, r->reason = "nothing was run: see above";
	}
}

static void print_points(const struct grading *g)
{
	double points = 0, all = 0;
	for (const struct result *r = g->results; r < g->results + g->n; r++) {
		points += r->outcome == PASSED ? r->test.points : 0;
		all += report_counts(r) ? r->test.points : 0;
	}
	printf("%.0f of %.0f points (seed %u, %.1f s, of which %.1f s building)\n", points, all,
	       g->o->seed, g->seconds, g->build_seconds);
}

/* Write the reports. Result: the exit status. */
static int report(struct grading *g)
{
	unsigned errors = 0;
	json_t *j = report_json(g);
	for (unsigned i = 0; i < g->n; i++)
		errors += g->results[i].outcome == BROKEN;
	if (g->o->junit)
		judge_write_junit(g->o->junit, g->o->lab->name, g->results, g->n, g->seconds);
	report_write(g->o, j, g);
	if (errors > 0)
		printf("no grade: %u checks could not be made (an error of this environment); "
		       "grade it again\n", errors);
	else {
		if (!g->not_built)
			report_summary(g);
		print_points(g);
	}
	return errors > 0 ? ENVIRONMENT : GRADED;
}

/* In a class: whether a report is there of the same files, checks and seed that has a grade. */
static bool done_before(const struct grading *g)
{
	const char *sum = "", *outcome = "";
	json_int_t seed = -1;
	json_t *j = NULL;
	if (g->o->in_class && !g->o->again)
		j = json_load_file(g->o->json, 0, NULL);
	if (j)
		json_unpack(j, "{s:{s:s,s:s,s:I}}", "extra_data", "outcome", &outcome, "checksum",
			    &sum, "seed", &seed);
	bool done = strcmp(outcome, "graded") == 0 && strcmp(sum, g->checksum) == 0 &&
		    seed == (json_int_t)g->o->seed;
	json_decref(j);
	return done;
}

static void interrupt(int sig)
{
	interrupted = sig;
}

static void begin(const struct options *o)
{
	struct sigaction stop = { .sa_handler = interrupt };
	current = o;
	judge_outside = end_without_grade;
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
}

static bool same_directory(const char *a, const char *b)
{
	char *x = realpath(a, NULL), *y = realpath(b, NULL);
	bool same = x && y && strcmp(x, y) == 0;
	free(x), free(y);
	return same;
}

/* Build the submission in a copy of the base, or say in g->not_built why that cannot be. */
static void build(struct grading *g, struct sandbox s, const char *base, char *const *files,
		  unsigned n, const struct taken *t)
{
	for (unsigned i = 0; i < n && !g->not_built; i++)
		if (t->text[i])
			g->not_built = submission_refusal(files[i], t->text[i], t->bytes[i]);
	if (g->not_built)
		return;
	lab_copy(base, s.tree);
	build_place(s.tree, files, n, t);
	build_submission(g, s, strcmp(base, ".") == 0 ? NULL : base, files, n);
}

int grade(const struct options *o)
{
	struct grading *g = calloc(1, sizeof(*g));
	struct taken *t = calloc(1, sizeof(*t));
	char *files[MAX_FILES], *text;
	double start = clock_seconds();
	bool own;
	begin(o);
	g->o = o, g->notes = "";
	g->n = lab_checks(o->lab, o->only, g->results);
	lab_check_tools(o->lab->checks);
	const char *base = lab_base(o->lab, o->in_class, &own);
	unsigned n = lab_files(base, o->lab, files, &text);
	submission_take(o->submission, files, n, t);
	dir = judge_make_dir();
	g->checksum = checksum(base, n, t);
	if (done_before(g)) {
		judge_remove_dir(dir);
		return GRADED;
	}
	own = own && same_directory(o->submission, ".");
	take_notes(g, base, own, files, n, t);
	choose_sandbox(g, own);
	struct sandbox s = { .tree = grade_path("tree"), .none = o->no_sandbox };
	build(g, s, base, files, n, t);
	if (g->not_built)
		fail_all(g);
	else
		judge(g, s, grade_path("judge.log"));
	g->seconds = clock_seconds() - start;
	recording_make(g, s, base, dir);
	judge_remove_dir(dir);
	return report(g);
}
