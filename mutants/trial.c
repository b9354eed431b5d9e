/* SPDX-License-Identifier: MIT */
/*
 * One trial: write the mutant into a tree, build, compare with the solution's code, and grade until
 * the first check that fails. The checks of the mutant's exercise come first, then the cheap ones.
 * The tests judge a mutant that is in no lab (tests.c).
 * A mutant is a word away from the solution and runs in an emulator: it needs no sandbox.
 */
#include "trial.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { BUILD_SECONDS = 300, FILE_MIB = 8192 }; /* a test makes a sparse file of 5 GiB */

static struct campaign *campaign;
static char *root; /* of the unchanged tree */

static char *path_of(const struct campaign *c, unsigned slot, const char *name)
{
	char *path;
	root = root ? root : getcwd(NULL, 0); /* lab_copy() changes its directory */
	if (asprintf(&path, "%s/build/mutants/%s.trees/%u%s", root, c->name, slot, name) < 0)
		give_up(BROKEN, "no memory");
	return path;
}

/* --- in a tree --- */

static char said[4000]; /* by the last build */

/* Result: whether that went well. */
static bool build(const char *command)
{
	int status = shell(said, sizeof(said), BUILD_SECONDS,
			   "env -i PATH=\"$PATH\" LC_ALL=C sh -c '%s' 2>&1", command);
	if (status < 0 || status >= KILLED || status == 124)
		give_up(BROKEN, "the build was killed: %s", said);
	return status == 0;
}

static const char *all(void)
{
	return campaign->lab ? "make -s -j1 all" : "make -s -j1 all && make -s -j1 DEBUG=1 kernel";
}

bool trial_builds(const struct mutant *m, const char *command)
{
	char *source = mutant_source(m);
	write_file(m->file, source, strlen(source));
	if (build(command))
		return true;
	write_file(m->file, m->source, strlen(m->source));
	if (!build(command))
		give_up(BROKEN, "the unchanged code does not build, either: %s", said);
	write_file(m->file, source, strlen(source));
	return false;
}

/* Write what is loaded of kernel and VMM to files of this ending. */
static void write_code(const char *ending)
{
	shell_must(60, "cd build && for f in cinnabar vmm; do "
		       "objcopy -O binary $f $f.%s || exit; done", ending);
}

static bool is_same_code(void)
{
	char text[300];
	write_code("mutant");
	return shell(text, sizeof(text), 60, "cd build && cmp cinnabar.solution cinnabar.mutant && "
		     "cmp vmm.solution vmm.mutant") == 0;
}

/* In the process of one check: the grader's judge, whose results go to RESULTS_FD. */
static void run_check(const struct test *t, int fd)
{
	char seed[16];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int log = open("build/judge.log", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	snprintf(seed, sizeof(seed), "%u", campaign->seed);
	if (log < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 || dup2(fd, RESULTS_FD) < 0)
		_exit(1);
	exit(inner(5, (char *[]){ (char *)campaign->lab->name, seed, "1", "build/judge",
				  (char *)t->name, NULL }));
}

/* Judge one check. *reason: what it says. */
static enum outcome judge_check(const struct test *t, char **reason)
{
	int fds[2], outcome = BROKEN;
	const char *said = NULL;
	shell_must(30, "rm -rf build/judge");
	if (pipe2(fds, O_CLOEXEC) < 0)
		give_up(BROKEN, "pipe: %s", strerror(errno));
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		run_check(t, fds[1]);
	close(fds[1]);
	FILE *f = fdopen(fds[0], "r");
	json_t *line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
	process_wait(pid, 60);
	fclose(f);
	if (line)
		json_unpack(line, "{s:i,s:s}", "outcome", &outcome, "reason", &said);
	*reason = strdup(said ? said : "the judge gave no result");
	json_decref(line);
	return (enum outcome)outcome;
}

/* --- the order of checks --- */

static double cost(const struct test *t)
{
	return json_number_value(json_object_get(campaign->costs, t->name));
}

static unsigned exercise; /* of the mutant */

static int by_use(const void *a, const void *b)
{
	const struct test *x = &((const struct result *)a)->test;
	const struct test *y = &((const struct result *)b)->test;
	if ((x->exercise == exercise) != (y->exercise == exercise))
		return x->exercise == exercise ? -1 : 1;
	return cost(x) < cost(y) ? -1 : cost(x) > cost(y);
}

/* Grade what is built until a check fails. */
static void grade_mutant(struct trial *t)
{
	static struct result results[MAX_CHECKS];
	unsigned n = lab_checks(campaign->lab, NULL, results);
	exercise = t->m->exercise;
	qsort(results, n, sizeof(results[0]), by_use);
	t->fate = SURVIVOR;
	for (unsigned i = 0; i < n && t->fate == SURVIVOR; i++) {
		enum outcome outcome = judge_check(&results[i].test, &t->reason);
		if (outcome == BROKEN)
			outcome = judge_check(&results[i].test, &t->reason); /* once more */
		t->by = (char *)results[i].test.name;
		t->fate = outcome == FAILED ? FOUND : outcome == BROKEN ? UNJUDGED : SURVIVOR;
	}
	if (t->fate == SURVIVOR)
		t->by = t->reason = NULL;
}

/* --- a trial --- */

double trial_cpu(void)
{
	struct rusage r;
	getrusage(RUSAGE_CHILDREN, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	       (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static void end_trial(enum outcome outcome, const char *why)
{
	fprintf(stderr, "mutate: %s\n", why);
	_exit(outcome == BROKEN ? ENVIRONMENT : USAGE);
}

static void try_mutant(struct trial *t)
{
	if (!trial_builds(t->m, all()))
		t->fate = NOT_COMPILING;
	else if (is_same_code())
		t->fate = SAME_CODE;
	else if (campaign->lab)
		grade_mutant(t);
	else
		tests_judge(campaign, t, root);
	write_file(t->m->file, t->m->source, strlen(t->m->source));
	t->seconds = trial_cpu();
}

pid_t trial_start(const struct campaign *c, const struct trial *t, unsigned slot)
{
	struct trial mine = *t;
	char *tree = path_of(c, slot, "");
	fflush(stdout);
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* an orphan would keep the lock */
	judge_outside = end_trial;
	campaign = (struct campaign *)c;
	if (chdir(tree) < 0)
		give_up(BROKEN, "%s: %s", tree, strerror(errno));
	try_mutant(&mine);
	json_t *j = json_pack("{s:i,s:f}", "fate", (int)mine.fate, "seconds", mine.seconds);
	if (mine.by)
		json_object_set_new(j, "by", json_string(mine.by));
	if (mine.reason)
		json_object_set_new(j, "reason", report_text(mine.reason));
	_exit(json_dump_file(j, "build/trial.json", 0) == 0 ? 0 : ENVIRONMENT);
}

void trial_take(struct trial *t, unsigned slot, int status)
{
	int fate;
	const char *by = NULL, *reason = NULL;
	json_t *j = status == 0 ? json_load_file(path_of(campaign, slot, "/build/trial.json"), 0,
						 NULL) : NULL;
	if (!j || json_unpack(j, "{s:i,s:F,s?s,s?s}", "fate", &fate, "seconds", &t->seconds,
			      "by", &by, "reason", &reason) < 0)
		give_up(BROKEN, "the trial of %s ended with status %d", t->m->id, status);
	t->fate = (enum fate)fate;
	t->by = by ? strdup(by) : NULL;
	t->reason = reason ? strdup(reason) : NULL;
	json_decref(j);
}

/* --- before all trials --- */

/* The costs of all checks on the solution, in its tree, which must pass them. */
static void grade_solution(struct campaign *c)
{
	static struct result results[MAX_CHECKS];
	unsigned n = lab_checks(c->lab, NULL, results);
	c->costs = json_object();
	for (unsigned i = 0; i < n; i++) {
		const struct test *t = &results[i].test;
		double start = clock_seconds();
		char *reason;
		enum outcome outcome = judge_check(t, &reason);
		if (outcome != PASSED && outcome != SKIPPED)
			give_up(outcome, "the solution itself does not pass '%s': %s\n"
				"    First mend the check or the solution.", t->name, reason);
		json_object_set_new(c->costs, t->name, json_real(clock_seconds() - start));
	}
}

void trial_prepare(struct campaign *c)
{
	bool own;
	int home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct rlimit size = { (rlim_t)FILE_MIB << 20, (rlim_t)FILE_MIB << 20 };
	const char *base = c->lab ? lab_base(c->lab, false, &own) : ".";
	campaign = c;
	setrlimit(RLIMIT_FSIZE, &size);
	for (unsigned slot = 0; slot < c->jobs; slot++) {
		char *tree = path_of(c, slot, "");
		shell_must(60, "rm -rf %s", tree);
		lab_copy(base, tree);
		if (!c->lab)
			shell_must(60, "cd '%s/build' && ln -s '%s/docs' '%s/tests' '%s' && "
				   "cp -a attacks bochs-loader debug unit '%s/build'",
				   root, root, root, tree, tree);
		if (chdir(tree) < 0)
			give_up(BROKEN, "%s: %s", tree, strerror(errno));
		for (unsigned i = 0; c->lab && c->files[i]; i++) /* a handout lacks them */
			write_file(c->files[i], c->sources[i], strlen(c->sources[i]));
		if (!build(all()))
			give_up(FAILED, "the unchanged code does not build in %s: %s", tree, said);
		write_code("solution");
		if (c->lab && !c->costs)
			grade_solution(c);
		if (fchdir(home) < 0)
			give_up(BROKEN, "the root: %s", strerror(errno));
	}
	close(home);
}
