/* SPDX-License-Identifier: MIT */
/* The test runner: which tests there are, which are wanted, how their results are shown. */
#include "tests.h"
#include "grader.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

enum { MAX_TESTS = 1000, MAX_JOBS = 16 };

/* What a run without --soak does, and one with it; the labs' tests come on top (lab_tests). */
static const struct test *const ordinary[] = {
	boot_tests,
	hang_tests,
	limit_tests,
	native_tests,
	program_tests,
	switch_tests,
	rollback_tests,
	sweep_tests,
	isolation_tests,
	hostile_tests,
	disk_tests,
	net_tests,
	dom_tests, dom_net_tests, dom_lies_tests,
	guest_tests,
	shell_tests,
	memory_out_tests,
	gdb_tests,
	gdb_look_tests,
	gdb_tool_tests,
	document_tests,
	build_tests,
	course_tests,
	grader_submission_tests,
	grader_tests,
	grader_sandbox_tests,
	grader_outcome_tests,
	grader_layout_tests,
	grader_report_tests, grader_text_tests,
	grader_page_tests,
	grader_environment_tests,
	grader_run_tests,
	sensitive_tests,
	trace_tests,
	trace_report_tests,
	bench_tests,
	web_tests,
	NULL,
};
static const struct test *const campaigns[] = {
	boot_soak_tests,
	hang_soak_tests,
	soak_tests,
	switch_soak_tests,
	sweep_soak_tests,
	isolation_soak_tests,
	guest_soak_tests,
	dom_soak_tests,
	memory_out_soak_tests,
	grader_soak_tests,
	grader_run_soak_tests,
	grader_report_soak_tests,
	grader_outcome_soak_tests,
	build_soak_tests,
	document_soak_tests,
	course_soak_tests,
	trace_soak_tests,
	web_soak_tests,
	NULL,
};

static struct result results[MAX_TESTS];
static unsigned nr_results;
static volatile int stopping;

static void add_test(const struct test *t)
{
	if (nr_results == MAX_TESTS)
		give_up(BROKEN, "too many tests");
	results[nr_results++].test = *t;
}

static void add_tests(const struct test *t)
{
	for (; t->name; t++)
		add_test(t);
}

/* A unit test: a program for this host, which passes if its exit status is 0. */
static void run_unit(const struct test *t)
{
	char text[8192];
	int status = shell(text, sizeof(text), t->seconds, "%s 2>&1", t->text);
	CHECK(status == 0, "%s ended with status %d:\n%s", t->text, status, text);
}

/* Each program test_NAME in dir is the test unit-NAME. */
static void add_units(const char *dir)
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char *path, *name;
		struct stat s;
		if (strncmp(names[i]->d_name, "test_", 5) != 0 ||
		    asprintf(&path, "%s/%s", dir, names[i]->d_name) < 0 ||
		    asprintf(&name, "unit-%s", names[i]->d_name + 5) < 0)
			continue;
		if (stat(path, &s) == 0 && S_ISREG(s.st_mode) && (s.st_mode & S_IXUSR))
			add_test(&(struct test){ .name = name, .run = run_unit, .seconds = 120,
						 .text = path });
	}
	if (n < 0)
		give_up(BROKEN, "%s: %s", dir, strerror(errno));
}

static void print_result(const struct result *r, unsigned done, unsigned all)
{
	printf("[%3u/%u] %s %s (%.1f s, CPU %.1f s)\n", done, all, outcome_words[r->outcome],
	       r->test.name, r->seconds, r->cpu_seconds);
	if (r->outcome != PASSED)
		for (const char *s = r->reason; *s;) { /* indented */
			size_t n = strcspn(s, "\n");
			printf("        %.*s\n", (int)n, s);
			s += n + (s[n] == '\n');
		}
	fflush(stdout);
}

/*
 * Print the failures once more, at the end of the log, and the counts; write build/tests.xml.
 * Result: the program's exit status.
 */
static int summarize(unsigned done, double seconds)
{
	unsigned count[4] = { 0 };
	char path[300];
	for (const struct result *r = results; r < results + nr_results; r++) {
		count[r->outcome] += r->done;
		if (r->done && (r->outcome == FAILED || r->outcome == BROKEN))
			printf("%s %s: %.*s\n", outcome_words[r->outcome], r->test.name,
			       (int)strcspn(r->reason, "\n"), r->reason);
	}
	snprintf(path, sizeof(path), "%s/tests.xml", build_dir);
	judge_write_junit(path, "cinnabar", results, nr_results, seconds);
	printf("%u tests in %.0f s, %u skipped, "
	       "%u with an error of the environment (counted as failed)\n",
	       done, seconds, count[SKIPPED], count[BROKEN]);
	if (stopping)
		printf("interrupted: %u tests did not run\n", nr_results - done);
	printf("%u passed, %u failed\n", count[PASSED], count[FAILED] + count[BROKEN]);
	return count[FAILED] + count[BROKEN] > 0 || stopping;
}

/* A name that ends with * is a prefix. */
static bool is_named(const struct result *r, const char *name)
{
	size_t length = strlen(name);
	bool prefix = length > 0 && name[length - 1] == '*';
	return strncmp(r->test.name, name, prefix ? length - 1 : length + 1) == 0;
}

/* Keep only tests that are named. */
static void select_tests(char **names, int n)
{
	unsigned kept = 0, i;
	int k;
	for (k = 0; k < n; k++) {
		for (i = 0; i < nr_results && !is_named(&results[i], names[k]); i++)
			;
		if (i == nr_results)
			fprintf(stderr, "no test is named '%s'; -l lists them, --soak -l the long "
					"ones\n", names[k]);
	}
	for (i = 0; i < nr_results; i++) {
		for (k = 0; k < n && !is_named(&results[i], names[k]); k++)
			;
		if (k < n)
			results[kept++] = results[i];
	}
	nr_results = kept;
}

/* Tests with long limits start first, so that none of them runs alone at the end. */
static int by_limit(const void *a, const void *b)
{
	const struct test *x = &((const struct result *)a)->test;
	const struct test *y = &((const struct result *)b)->test;
	return x->seconds != y->seconds ? (x->seconds < y->seconds ? 1 : -1)
					: strcmp(x->name, y->name);
}

static void interrupt(int sig)
{
	stopping = sig;
}

/* --- the command line --- */

/* What is shown instead of judged: --demo and so on. */
static const struct test shows[] = {
	{ .name = "bench", .run = bench, .seconds = 600 },
	{ .name = "bench-switch", .run = bench_switch, .seconds = 600 },
	{ .name = "bench-domains", .run = bench_domains, .seconds = 3000 },
	{ .name = "demo", .run = demo, .seconds = 200,
	  .machine = { .cpus = 2, .p2m = "shuffle:2026" } },
	{ .name = "demo-domains", .run = demo_domains, .seconds = 300,
	  .machine = { .cpus = 2, .mem = 96 } },
};

struct choices {
	bool list, soak;
	unsigned jobs;
	const char *unit; /* directory of the unit tests, or NULL */
	const struct test *show;
};

static const struct test *show_of(const char *option)
{
	for (unsigned k = 0; k < sizeof(shows) / sizeof(shows[0]); k++)
		if (strncmp(option, "--", 2) == 0 && strcmp(option + 2, shows[k].name) == 0)
			return &shows[k];
	return NULL;
}

/* Result: the index of the first name; 0 if an option is wrong. */
static int read_options(int argc, char **argv, struct choices *c)
{
	int i = 1;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "-l") == 0)
			c->list = true;
		else if (strcmp(argv[i], "-j") == 0 && i + 1 < argc)
			c->jobs = (unsigned)atoi(argv[++i]);
		else if (strcmp(argv[i], "--unit") == 0 && i + 1 < argc)
			c->unit = argv[++i];
		else if (strcmp(argv[i], "--soak") == 0)
			c->soak = true;
		else if (!(c->show = show_of(argv[i])))
			return 0;
	}
	return c->jobs < 1 || c->jobs > MAX_JOBS ? 0 : i;
}

static int usage(const char *program)
{
	fprintf(stderr,
		"usage: %s [-l] [-j JOBS] [--unit DIR] "
		"[--soak | --bench | --bench-switch | --bench-domains | --demo | --demo-domains] "
		"[NAME | PREFIX*]...\n",
		program);
	return 2;
}

static void collect_tests(const struct choices *c)
{
	if (c->show) {
		add_test(c->show);
		return;
	}
	if (c->unit && !c->soak)
		add_units(c->unit);
	for (const struct test *const *list = c->soak ? campaigns : ordinary; *list; list++)
		add_tests(*list);
	add_tests(lab_tests(c->soak));
}

static int list_tests(void)
{
	for (unsigned k = 0; k < nr_results; k++)
		puts(results[k].test.name);
	return 0;
}

static int run_tests(unsigned jobs, bool soak)
{
	struct sigaction stop = { .sa_handler = interrupt };
	char *base_dir = judge_make_dir(), why[300];
	/* some containers allow no sandbox; the rest of the grader can be tested all the same */
	if (!sandbox_works(why, sizeof(why)))
		setenv("GRADER_NO_SANDBOX", "1", 1);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	struct judge judge = { jobs, base_dir, soak ? "build/tests/run --soak" : "build/tests/run",
			       print_result, &stopping };
	double start = clock_seconds();
	qsort(results, nr_results, sizeof(results[0]), by_limit);
	unsigned done = judge_all(&judge, results, nr_results);
	judge_remove_dir(base_dir);
	return summarize(done, clock_seconds() - start);
}

int main(int argc, char **argv)
{
	struct choices c = { .jobs = 3 }; /* two CPUs work while one test waits */
	int names = read_options(argc, argv, &c);
	if (!names)
		return usage(argv[0]);
	collect_tests(&c);
	if (names < argc)
		select_tests(argv + names, argc - names);
	if (c.list)
		return list_tests();
	if (nr_results == 0)
		return 2;
	return run_tests(c.jobs, c.soak);
}
