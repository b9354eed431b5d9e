/* SPDX-License-Identifier: MIT */
/*
 * One grading, in steps: take the files, copy the pristine tree, build in the sandbox, judge
 * in the sandbox, report. A submission that does not build, or is refused for what its files
 * say, is graded: it gets nothing. All else that goes wrong is no grade.
 */
#include "grader.h"
#include <errno.h>
#include <signal.h>
#include <sys/statvfs.h>

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

/* What was killed just now may still write a last file. */
static void remove_dir(void)
{
	for (unsigned tries = 0; dir && tries < 20 && access(dir, F_OK) == 0; tries++) {
		judge_remove_dir(dir);
		usleep(tries * 10000);
	}
}

/* Every give_up() of this process comes here. */
static void end_without_grade(enum outcome outcome, const char *why)
{
	static bool ending;
	int status = outcome == BROKEN ? ENVIRONMENT : USAGE;
	remove_dir();
	if (!ending) { /* what fails in here, fails for good */
		ending = true;
		bool error = outcome == BROKEN;
		struct result r = { .test = { .name = "grading" }, .outcome = BROKEN,
				    .reason = (char *)why, .done = true };
		fprintf(stderr, "grader: %s: %s\n", error ? "error, no grade" : "refused",
			text_lines(why));
		report_write(current, report_no_grade(current, error ? "error" : "refused", why),
			     NULL);
		if (current->junit)
			judge_write_junit(current->junit, current->lab->name, &r, 1, 0);
	}
	exit(status);
}

void stop_if_interrupted(void)
{
	if (!interrupted)
		return;
	remove_dir();
	fprintf(stderr, "grader: interrupted\n");
	exit(INTERRUPTED);
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
	run_tool(text, sizeof(text), 60,
		 "{ (cd '%s' && sha256sum $(ls | grep '^file')); cat %s/build/cinnabar "
		 "%s/build/vmm %s/build/rootfs.ext2 /proc/%d/exe; } | b2sum -l 256",
		 dir, base, base, base, (int)getpid());
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

void notes_print(struct grading *g)
{
	for (const char *s = g->notes; *s; s += strcspn(s, "\n"), s += *s == '\n')
		printf("note: %s\n", text_line(s, strcspn(s, "\n")));
	g->quiet = false;
}

/* Nothing could be run: every check fails. */
static void fail_all(struct grading *g)
{
	for (const char *s = g->not_built; *s; s += strcspn(s, "\n"), s += *s == '\n')
		printf("%s\n", text_line(s, strcspn(s, "\n")));
	for (unsigned i = 0; i < g->n; i++) {
		struct result *r = &g->results[i];
		r->outcome = FAILED, r->done = true;
		if (asprintf(&r->reason, "nothing was run: %.*s", (int)strcspn(g->not_built, "\n"),
			     g->not_built) < 0)
			give_up(BROKEN, "no memory");
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

static unsigned nr_errors(const struct grading *g)
{
	unsigned errors = 0;
	for (unsigned i = 0; i < g->n; i++)
		errors += g->results[i].outcome == BROKEN;
	return errors;
}

/* Write the reports. Result: the exit status. */
static int report(struct grading *g)
{
	unsigned errors = nr_errors(g);
	json_t *j = report_json(g);
	if (g->o->junit)
		judge_write_junit(g->o->junit, g->o->lab->name, g->results, g->n, g->seconds);
	report_write(g->o, j, g);
	if (errors > 0)
		printf("no grade: %u checks could not be made (an error of this environment); "
		       "grade it again\n", errors);
	else
		print_points(g);
	return errors > 0 ? ENVIRONMENT : GRADED;
}

/* In a class: whether a report is there of the same files, checks and seed that has a grade. */
static bool done_before(const struct grading *g)
{
	const char *sum = "", *outcome = "", *only = "";
	json_int_t seed = -1;
	json_t *j = NULL;
	if (g->o->in_class && !g->o->again)
		j = json_load_file(g->o->json, 0, NULL);
	if (j)
		json_unpack(j, "{s:{s:s,s:s,s:I,s:s}}", "extra_data", "outcome", &outcome,
			    "checksum", &sum, "seed", &seed, "only", &only);
	bool done = strcmp(outcome, "graded") == 0 && strcmp(sum, g->checksum) == 0 &&
		    seed == (json_int_t)g->o->seed &&
		    strcmp(only, g->o->only ? g->o->only : "") == 0;
	json_decref(j);
	return done;
}

static void interrupt(int sig)
{
	interrupted = sig;
}

/*
 * Whether there is a disk in memory with room. A tree has a thousand files: on another disk, to
 * make and to remove them costs as much as a third of the build.
 */
static bool has_memory_disk(void)
{
	enum { ROOM_MIB = 1024 }; /* a grading takes 30 */
	struct statvfs d;
	return access("/dev/shm", W_OK) == 0 && statvfs("/dev/shm", &d) == 0 &&
	       !(d.f_flag & (ST_NOEXEC | ST_RDONLY)) && d.f_bavail * d.f_frsize >> 20 >= ROOM_MIB;
}

/* Paths of sockets are short, and emulators read commas and blanks in paths as something else. */
static void choose_tmpdir(void)
{
	enum { LONGEST = 60 };
	const char *tmp = getenv("TMPDIR");
	if (!tmp || *tmp != '/' || strlen(tmp) > LONGEST ||
	    tmp[strspn(tmp, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-")])
		setenv("TMPDIR", has_memory_disk() ? "/dev/shm" : "/tmp", 1);
}

static void begin(const struct options *o)
{
	struct sigaction stop = { .sa_handler = interrupt };
	current = o;
	judge_outside = end_without_grade;
	choose_tmpdir();
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
}

bool same_directory(const char *a, const char *b)
{
	char *x = realpath(a, NULL), *y = realpath(b, NULL);
	bool same = x && y && strcmp(x, y) == 0;
	free(x), free(y);
	return same;
}

static bool is_source(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot && strchr("chS", dot[1]);
}

/* Build the submission in a copy of the base, or say in g->not_built why that cannot be. */
static void build(struct grading *g, struct sandbox s, const char *base,
		  const struct lab_tree *tree, const struct taken *t)
{
	for (unsigned i = 0; i < tree->n && !g->not_built; i++)
		if (t->text[i] && strlen(t->text[i]) < t->bytes[i] &&
		    is_source(tree->files[i]) &&
		    asprintf(&g->not_built, "%s has a NUL byte in it: that is no source",
			     tree->files[i]) < 0)
			give_up(BROKEN, "no memory");
	if (g->not_built)
		return;
	lab_copy(base, s.tree);
	build_place(s.tree, tree->files, tree->n, t);
	build_submission(g, s, strcmp(base, ".") == 0 ? NULL : base, tree);
}

int grade(const struct options *o)
{
	struct grading *g = calloc(1, sizeof(*g));
	struct taken *t = calloc(1, sizeof(*t));
	struct lab_tree tree;
	double start = clock_seconds();
	bool own;
	begin(o);
	g->o = o, g->notes = "", g->quiet = true;
	g->n = lab_checks(o->lab, o->only, g->results);
	lab_check_tools(o->lab->checks);
	const char *base = lab_base(o->lab, o->in_class, &own);
	lab_read_tree(base, o->lab, &tree);
	own = own && same_directory(o->submission, ".");
	dir = judge_make_dir();
	if (!o->in_class) /* else the first that cannot start it says so */
		choose_sandbox(g, own);
	struct sandbox s = { .tree = grade_path("tree"), .none = o->no_sandbox };
	submission_take(g, s, &tree, t);
	g->checksum = checksum(base, tree.n, t);
	if (done_before(g)) {
		remove_dir();
		return GRADED;
	}
	notes_print(g);
	take_notes(g, base, own, tree.files, tree.n, t);
	build(g, s, base, &tree, t);
	if (g->not_built)
		fail_all(g);
	else
		judge(g, s, grade_path("judge.log"));
	g->seconds = clock_seconds() - start;
	if (!g->not_built && nr_errors(g) == 0)
		report_summary(g); /* a recording takes a while */
	recording_make(g, s, base, dir);
	remove_dir();
	return report(g);
}
