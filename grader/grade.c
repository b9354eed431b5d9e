/* SPDX-License-Identifier: MIT */
/*
 * One grading, in steps: take the files, copy the pristine tree, build in the sandbox, judge in the sandbox, report. A submission that
 * does not build, or is refused for what its files say, is graded: it gets nothing. All else that goes wrong is no grade.
 */
#include "grader.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

enum { JUDGE_CPU_SECONDS = 3600, JUDGE_MIB = 16384, JUDGE_FILE_MIB = 1024 };

volatile int interrupted;
static const struct options *current; /* for end_without_grade */
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
		struct result r = { .test = { .name = "grading" }, .outcome = BROKEN, .reason = (char *)why, .done = true };
		fprintf(stderr, "grader: %s: %s\n", outcome == BROKEN ? "error, no grade" : "refused", why);
		report_write(current, report_no_grade(current, outcome == BROKEN ? "error" : "refused", why), NULL);
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
	for (double end = clock_seconds() + seconds; status < 0 && !interrupted && clock_seconds() < end;)
		status = process_wait(pid, 0.1);
	if (status < 0) {
		kill(-pid, SIGKILL);
		process_kill(pid);
	}
	if (interrupted)
		end_interrupted();
	return status;
}

static void note(struct grading *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(struct grading *g, const char *fmt, ...)
{
	char *line, *all;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) < 0 || asprintf(&all, "%s%s\n", g->notes, line) < 0)
		give_up(BROKEN, "no memory");
	va_end(ap);
	printf("note: %s\n", report_printable(line, strlen(line)));
	g->notes = all;
}

/* --- files --- */

/* Over all that can change the outcome, but for the seed: the files, the tree, and this program, which holds the checks. */
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
	int status = shell(text, sizeof(text), 20, "{ (cd %s && sha256sum file*); cat %s/build/cinnabar %s/build/vmm %s/build/rootfs.ext2 "
			   "/proc/%d/exe; } | sha256sum", dir, base, base, base, (int)getpid());
	if (status != 0)
		give_up(BROKEN, "no checksum: %s", text);
	text[64] = '\0';
	return strdup(text);
}

static void note_empty(struct grading *g, unsigned n, const struct taken *t)
{
	enum { MAX_EXERCISES = 30 };
	char list[MAX_EXERCISES * 4] = "", text[64];
	for (int k = 1; k < MAX_EXERCISES; k++) {
		bool empty = false;
		snprintf(text, sizeof(text), "lab %d, exercise %d is empty", atoi(g->o->lab->name), k);
		for (unsigned i = 0; i < n; i++)
			empty |= t->text[i] && strstr(t->text[i], text);
		if (empty)
			sprintf(list + strlen(list), " %d", k);
	}
	if (*list)
		note(g, "empty exercises:%s", list);
}

static void take_notes(struct grading *g, const char *base, bool own, char *const *files, unsigned n, const struct taken *t)
{
	for (unsigned i = 0; i < n; i++)
		if (!t->text[i])
			note(g, "%s is not in the submission: the handout's is used, with its empty exercises", files[i]);
	note_empty(g, n, t);
	char *changed = own ? lab_changed(base, g->o->lab, files, n) : "";
	if (*changed)
		note(g, "changed, but not handed in; others are graded without these changes: %s", changed);
}

/* --- judging --- */

static void take_line(struct grading *g, const char *line)
{
	json_t *j = json_loads(line, 0, NULL);
	int i, outcome;
	double seconds;
	const char *reason;
	if (!j || json_unpack(j, "{s:i,s:i,s:s,s:F}", "check", &i, "outcome", &outcome, "reason", &reason, "seconds", &seconds) < 0 ||
	    i < 0 || (unsigned)i >= g->n || outcome < PASSED || outcome > BROKEN)
		give_up(BROKEN, "the judge wrote a line that is no result: %s", line);
	struct result *r = &g->results[i];
	r->outcome = (enum outcome)outcome, r->reason = strdup(reason), r->seconds = seconds, r->done = true;
	json_decref(j);
	while (g->printed < g->n && g->results[g->printed].done)
		report_print(&g->results[g->printed++]);
}

/* What all checks in QEMU take for right, and one in Bochs does not. */
static void note_disagreement(struct grading *g)
{
	const struct result *bochs = NULL;
	bool qemu_passes = false;
	for (const struct result *r = g->results; r < g->results + g->n; r++)
		if (r->test.machine.bochs)
			bochs = r->outcome == FAILED ? r : bochs;
		else if (r->outcome != PASSED)
			return;
		else
			qemu_passes = true;
	if (bochs && qemu_passes)
		note(g, "QEMU and Bochs disagree: all checks in QEMU pass, but %s fails in Bochs. A PC does as Bochs: it enforces segment "
		     "limits, null selectors and global pages, which QEMU does not (docs/isolation.md)", bochs->test.name);
}

/* Its lines, as they come. */
static void read_results(struct grading *g, int fd)
{
	char *text = NULL;
	size_t n = 0;
	for (ssize_t got = 1; got > 0 && !interrupted;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		if (poll(&p, 1, 200) <= 0)
			continue;
		text = realloc(text, n + 65537);
		got = read(fd, text + n, 65536);
		n += got > 0 ? (size_t)got : 0;
		for (char *end; n > 0 && (end = memchr(text, '\n', n));) {
			*end = '\0';
			take_line(g, text);
			n -= (size_t)(end + 1 - text);
			memmove(text, end + 1, n);
		}
	}
	free(text);
}

static void judge(struct grading *g, struct sandbox s, const char *log)
{
	const struct options *o = g->o;
	char seed[16], jobs[16];
	int fds[2];
	snprintf(seed, sizeof(seed), "%u", o->seed), snprintf(jobs, sizeof(jobs), "%u", o->jobs ? o->jobs : (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
	s.cpu_seconds = JUDGE_CPU_SECONDS, s.megabytes = JUDGE_MIB, s.file_megabytes = JUDGE_FILE_MIB;
	s.output = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (s.output < 0 || pipe2(fds, O_CLOEXEC) < 0 || dup2(fds[1], RESULTS_FD) < 0) /* the copy stays open there */
		give_up(BROKEN, "%s: %s", log, strerror(errno));
	pid_t pid = sandbox_start(&s, (char *[]){ (char *)sandbox_self(&s), "judge", (char *)o->lab->name, seed, jobs,
		s.none ? (char *)grade_path("judge") : "/tmp/judge", (char *)(o->only ? o->only : ""), NULL });
	setpgid(pid, pid);
	close(fds[1]), close(RESULTS_FD), close(s.output);
	read_results(g, fds[0]);
	int status = wait_for(pid, 30);
	for (unsigned i = 0; i < g->n; i++)
		if (!g->results[i].done)
			give_up(BROKEN, "the judge ended early, with status %d: %s", status, build_messages(log));
	close(fds[0]);
	note_disagreement(g);
}

/* --- the whole --- */

static void choose_sandbox(struct grading *g, bool own)
{
	char why[300];
	if (g->o->no_sandbox || sandbox_works(why, sizeof(why)))
		return;
	if (!own)
		give_up(BROKEN, "no sandbox can be had here (%s); install bubblewrap, or give --no-sandbox if you trust the submission", why);
	((struct options *)g->o)->no_sandbox = true;
	note(g, "no sandbox can be had here (%s); it is your own code, so it is built and run without one", why);
}

/* Nothing could be run. */
static void fail_all(struct grading *g)
{
	for (const char *s = g->not_built; *s; s += strcspn(s, "\n"), s += *s == '\n')
		printf("%s\n", report_printable(s, strcspn(s, "\n")));
	for (unsigned i = 0; i < g->n; i++) {
		struct result *r = &g->results[i];
		r->outcome = FAILED, r->done = true, r->reason = "nothing was run: see above";
	}
}

static int report(struct grading *g)
{
	unsigned count[4] = { 0 };
	double points = 0, all = 0;
	json_t *j = report_json(g);
	for (unsigned i = 0; i < g->n; i++) {
		const struct result *r = &g->results[i];
		count[r->outcome]++;
		points += r->outcome == PASSED ? r->test.points : 0, all += report_counts(r) ? r->test.points : 0;
	}
	if (g->o->junit)
		judge_write_junit(g->o->junit, g->o->lab->name, g->results, g->n, g->seconds);
	report_write(g->o, j, g);
	if (count[BROKEN] > 0)
		printf("no grade: %u checks could not be made (an error of this environment); grade it again\n", count[BROKEN]);
	else
		printf("%.0f of %.0f points (seed %u, %.1f s, of which %.1f s building)\n", points, all, g->o->seed, g->seconds, g->build_seconds);
	return count[BROKEN] > 0 ? ENVIRONMENT : GRADED;
}

/* The report that is there is of the same files, checks and seed, and has a grade. */
static bool done_before(const struct grading *g)
{
	const char *sum = "", *outcome = "";
	json_int_t seed = -1;
	json_t *j = g->o->in_class && !g->o->again ? json_load_file(g->o->json, 0, NULL) : NULL;
	if (j)
		json_unpack(j, "{s:{s:s,s:s,s:I}}", "extra_data", "outcome", &outcome, "checksum", &sum, "seed", &seed);
	bool done = strcmp(outcome, "graded") == 0 && strcmp(sum, g->checksum) == 0 && seed == (json_int_t)g->o->seed;
	json_decref(j);
	return done;
}

static void interrupt(int sig)
{
	interrupted = sig;
}

int grade(const struct options *o)
{
	struct grading *g = calloc(1, sizeof(*g));
	struct taken *t = calloc(1, sizeof(*t));
	struct sigaction stop = { .sa_handler = interrupt };
	char *files[MAX_FILES], *text;
	double start = clock_seconds();
	bool own;
	current = o;
	judge_outside = end_without_grade;
	sigaction(SIGINT, &stop, NULL), sigaction(SIGTERM, &stop, NULL), sigaction(SIGHUP, &stop, NULL);
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
	char *real = realpath(o->submission, NULL), *here = realpath(".", NULL);
	own = own && real && here && strcmp(real, here) == 0;
	take_notes(g, base, own, files, n, t);
	choose_sandbox(g, own);
	struct sandbox s = { .tree = grade_path("tree"), .none = o->no_sandbox };
	for (unsigned i = 0; i < n && !g->not_built; i++)
		g->not_built = t->text[i] ? submission_refusal(files[i], t->text[i], t->bytes[i]) : NULL;
	if (!g->not_built) {
		lab_copy(base, s.tree);
		build_place(s.tree, files, n, t);
		build_submission(g, s, strcmp(base, ".") == 0 ? NULL : base, files, n);
	}
	if (g->not_built)
		fail_all(g);
	else
		judge(g, s, grade_path("judge.log"));
	g->seconds = clock_seconds() - start;
	recording_make(g, s, base, dir);
	judge_remove_dir(dir);
	return report(g);
}
