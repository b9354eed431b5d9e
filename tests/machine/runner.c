/* SPDX-License-Identifier: MIT */
/* The test runner: which tests there are, which are wanted, and how their results are shown. */
#include "tests.h"
#include "grader.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

enum { MAX_TESTS = 400, MAX_JOBS = 16 };

static const struct test *const ordinary[] = {
	boot_tests,
	native_tests,
	program_tests,
	switch_tests,
	rollback_tests,
	isolation_tests,
	hostile_tests,
	disk_tests,
	gdb_tests,
	gdb_tool_tests,
	document_tests,
	grader_tests,
	grader_run_tests,
	sensitive_tests,
	trace_tests, trace_report_tests,
	NULL,
};
static const struct test *const campaigns[] = {
	boot_soak_tests,
	soak_tests,
	switch_soak_tests,
	rollback_soak_tests,
	isolation_soak_tests,
	grader_soak_tests,
	grader_run_soak_tests,
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

/* A host unit test: a program that passes by exit status 0. */
static void run_unit(const struct test *t)
{
	char text[8192];
	int status = shell(text, sizeof(text), t->seconds, "%s 2>&1", t->text);
	CHECK(status == 0, "%s ended with status %d:\n%s", t->text, status, text);
}

static void add_units(const char *dir)
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char *path, *name;
		struct stat s;
		if (strncmp(names[i]->d_name, "test_", 5) != 0 || asprintf(&path, "%s/%s", dir, names[i]->d_name) < 0 ||
		    asprintf(&name, "unit-%s", names[i]->d_name + 5) < 0)
			continue;
		if (stat(path, &s) == 0 && S_ISREG(s.st_mode) && (s.st_mode & S_IXUSR))
			add_test(&(struct test){ .name = name, .run = run_unit, .seconds = 60, .text = path });
	}
	if (n < 0)
		give_up(BROKEN, "%s: %s", dir, strerror(errno));
}

static void print_result(const struct result *r, unsigned done, unsigned all)
{
	printf("[%3u/%u] %s %s (%.1f s)\n", done, all, outcome_words[r->outcome], r->test.name, r->seconds);
	if (r->outcome != PASSED)
		for (const char *s = r->reason; *s;) { /* indented */
			size_t n = strcspn(s, "\n");
			printf("        %.*s\n", (int)n, s);
			s += n + (s[n] == '\n');
		}
	fflush(stdout);
}

/* The failures once more, where whoever looks at the end of a log sees them. */
static int summarize(unsigned done, double seconds)
{
	unsigned count[4] = { 0 };
	char path[300];
	for (const struct result *r = results; r < results + nr_results; r++) {
		count[r->outcome] += r->done;
		if (r->done && (r->outcome == FAILED || r->outcome == BROKEN))
			printf("%s %s: %.*s\n", outcome_words[r->outcome], r->test.name, (int)strcspn(r->reason, "\n"), r->reason);
	}
	snprintf(path, sizeof(path), "%s/tests.xml", build_dir);
	judge_write_junit(path, "cinnabar", results, nr_results, seconds);
	printf("%u tests in %.0f s, %u skipped, %u with an error of the environment (counted as failed)\n", done, seconds,
	       count[SKIPPED], count[BROKEN]);
	if (stopping)
		printf("interrupted: %u tests did not run\n", nr_results - done);
	printf("%u passed, %u failed\n", count[PASSED], count[FAILED] + count[BROKEN]);
	return count[FAILED] + count[BROKEN] > 0 || stopping;
}

/* Keep only tests that an argument names, or whose prefix it is with a * at its end. */
static void select_tests(char **names, int n)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < nr_results; i++)
		for (int k = 0; k < n; k++) {
			size_t length = strlen(names[k]);
			bool prefix = length > 0 && names[k][length - 1] == '*';
			if (strncmp(results[i].test.name, names[k], prefix ? length - 1 : length + 1) == 0) {
				results[kept++] = results[i];
				break;
			}
		}
	nr_results = kept;
}

static void interrupt(int sig)
{
	stopping = sig;
}

static int usage(const char *program)
{
	fprintf(stderr, "usage: %s [-l] [-j JOBS] [--unit DIR] [--soak | --bench | --bench-switch | --demo] [NAME | PREFIX*]...\n", program);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct test shows[] = {
		{ .name = "bench", .run = bench, .seconds = 600 },
		{ .name = "bench-switch", .run = bench_switch, .seconds = 600 },
		{ .name = "demo", .run = demo, .seconds = 200, .machine = { .cpus = 2, .p2m = "shuffle:2026" } },
	};
	const struct test *show = NULL;
	bool list = false, soak = false;
	const char *unit = NULL;
	unsigned jobs = 2;
	int i = 1;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "-l") == 0)
			list = true;
		else if (strcmp(argv[i], "-j") == 0 && i + 1 < argc)
			jobs = (unsigned)atoi(argv[++i]);
		else if (strcmp(argv[i], "--unit") == 0 && i + 1 < argc)
			unit = argv[++i];
		else if (strcmp(argv[i], "--soak") == 0)
			soak = true;
		else {
			for (unsigned k = 0; k < 3; k++)
				if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, shows[k].name) == 0)
					show = &shows[k];
			if (!show)
				return usage(argv[0]);
		}
	}
	if (jobs < 1 || jobs > MAX_JOBS)
		return usage(argv[0]);
	if (show) {
		add_test(show);
	} else {
		if (unit && !soak)
			add_units(unit);
		for (const struct test *const *list = soak ? campaigns : ordinary; *list; list++)
			add_tests(*list);
		add_tests(lab_tests(soak));
	}
	if (i < argc)
		select_tests(argv + i, argc - i);
	if (list) {
		for (unsigned k = 0; k < nr_results; k++)
			puts(results[k].test.name);
		return 0;
	}
	if (nr_results == 0) {
		fprintf(stderr, "no test has such a name; -l lists them\n");
		return 2;
	}
	char *base_dir = judge_make_dir(), why[300];
	if (!sandbox_works(why, sizeof(why))) /* in some containers: the rest of the grader can be tested all the same */
		setenv("GRADER_NO_SANDBOX", "1", 1);
	struct sigaction stop = { .sa_handler = interrupt };
	sigaction(SIGINT, &stop, NULL), sigaction(SIGTERM, &stop, NULL), sigaction(SIGHUP, &stop, NULL);
	double start_time = now();
	unsigned done = judge_all(&(struct judge){ jobs, base_dir, "build/tests/run", print_result, &stopping }, results, nr_results);
	judge_remove_dir(base_dir);
	return summarize(done, now() - start_time);
}
