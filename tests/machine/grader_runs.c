/* SPDX-License-Identifier: MIT */
/*
 * How the grader runs: a grading that is repeated gives the same report; whole classes; a student's
 * tree; the archive that instructors upload; wrong arguments.
 */
#include "grading.h"
#include <signal.h>
#include <sys/stat.h>

static json_t *without_times(json_t *j)
{
	const char *key;
	json_t *value;
	size_t i;
	void *next;
	json_object_del(j, "seconds"), json_object_del(j, "build_seconds"),
		json_object_del(j, "execution_time");
	json_object_foreach_safe(j, next, key, value)
		without_times(value);
	json_array_foreach(j, i, value)
		without_times(value);
	return j;
}

/*
 * number: how often. The reports of one submission are equal but for times; so are those of one
 * that the assembler refuses. From 50 times on the handout is graded by all checks, otherwise by
 * one.
 */
static void repeated(const struct test *t)
{
	const char *broken = solved_p2m("broken");
	const char *submissions[] = { solved_p2m("solved"), "build/handout/" LAB, broken };
	shell_must(10, "echo '__asm__(\"none\");' >>%s/kernel/mm/p2m.c", broken);
	for (unsigned s = 0; s < 3; s++) {
		json_t *first = NULL;
		for (unsigned i = 0; i < t->number; i++) {
			bool whole = s == 1 && t->number >= 50;
			check_status(run_grade("--submission %s %s%s", submissions[s],
					       whole ? "" : "--only ", whole ? "" : one_check()),
				     GRADED, submissions[s]);
			json_t *j = without_times(report());
			if (!first)
				first = j;
			const char *now = json_dumps(j, 0), *then = json_dumps(first, 0);
			size_t same = 0, shown = 200;
			while (now[same] && now[same] == then[same])
				same++;
			same -= same < shown ? same : shown;
			CHECK(json_equal(first, j), "grading %u of %s differs: ...%.400s...\n"
			      "not as the first: ...%.400s...", i + 1, submissions[s],
			      now + same, then + same);
		}
	}
}

/* What a user's account, shell or place has set changes nothing in the report. */
static void any_host(const struct test *t)
{
	const char *odd = work_path("a b,c'd");
	(void)t;
	build_handout();
	json_t *plain = without_times(report());
	shell_must(10, "mkdir \"%s\"", odd);
	int status = shell(said, sizeof(said), SECONDS,
			   "umask 0777; MAKEFLAGS=-n CC32=false CFLAGS='-O0 -DX' HOSTCC=false "
			   "LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8 TZ=Asia/Kathmandu "
			   "POSIXLY_CORRECT=1 BASH_ENV=/nowhere CDPATH=/ TMPDIR=\"%s\" "
			   GRADE "--submission %s --only %s --json %s", odd, work_path("built"),
			   one_check(), work_path("r.json"));
	check_status(status, GRADED, "an odd host");
	CHECK(json_equal(plain, without_times(report())), "the report is another one:\n%s",
	      json_dumps(report(), JSON_INDENT(1)));
}

static long count_files(const char *pattern)
{
	char text[32];
	shell(text, sizeof(text), 10, "ls %s 2>/dev/null | wc -l", pattern);
	return atol(text);
}

/*
 * A class is interrupted after its first submissions; a second run grades the rest; a third one
 * only the submission that has changed. All by one check.
 */
static void class_resumes(const struct test *t)
{
#define CLASS "build/grader class --lab " LAB " --only '%s' --out %s %s"
	const char *check = one_check();
	const char *dir = work_path("class"), *out = work_path("out");
	char *in;
	(void)t;
	solved_p2m("class/b"), solved_p2m("class/c");
	shell_must(10, "mkdir %s/a && echo nothing >%s/a/README && "
		       "echo '#error' >>%s/c/kernel/mm/vm.c && tar -C %s/b -czf %s/d.tgz .",
		   dir, dir, dir, dir, dir);
	char *const argv[] = { "build/grader", "class", "--lab", LAB, (char *)dir, "--out",
			       (char *)out, "--jobs", "1", "--only", (char *)check, NULL };
	pid_t pid = process_start(argv, -1, -1, -1);
	if (asprintf(&in, "%s/*.json", out) < 0)
		give_up(BROKEN, "no memory");
	double end = clock_seconds() + SECONDS;
	while (count_files(in) < 2 && clock_seconds() < end)
		usleep(10000);
	kill(pid, SIGINT);
	CHECK(process_wait(pid, 20) == 130, "an interrupted class does not say so by its status");
	CHECK(count_files(in) < 4, "all were graded before the interruption");
	int status = shell(said, sizeof(said), SECONDS,
			   CLASS " --jobs 2", check, out, dir);
	check_status(status, GRADED, "the rest of the class");
	check_said("4 of 4 submissions done, 0 of them with an error");
	check_said("\nrefused: a holds none of the lab's files");
	shell_must(10, "cd %s && grep -q '\"c\",graded,0,' summary.csv && "
		       "sha256sum b.json d.tgz.json >sums && echo >>%s/c/kernel/mm/vm.c", out, dir);
	shell_must(SECONDS, CLASS, check, out, dir);
#undef CLASS
	CHECK(shell(said, sizeof(said), 10, "cd %s && sha256sum -c --quiet sums", out) == 0,
	      "what had a grade was graded again:\n%s", said);
}

/*
 * A student's tree grades itself where it lies, and names changes that are not handed in. Its lists
 * of files have the ends of lines of Windows. To save time it gets this tree's objects of the
 * grader, where the sources are equal.
 */
static void student(const struct test *t)
{
	const char *tree = work_path("student"), *dir = solved_p2m("solved");
	(void)t;
	build_handout();
	shell_must(20, "cp -a build/handout/" LAB " %s && cp -r %s/. %s && "
		       "echo '/* changed */' >>%s/kernel/boot/main.c && mkdir -p %s/build/host && "
		       "cd build/host && for o in $(find . -name '*.o'); do s=${o%%.o}; "
		       "! cmp -s ../../$s %s/$s || cp --parents $o ${s}.d %s/build/host; done && "
		   "cd %s/labs/" LAB " && sed -i 's/$/\\r/' files manifest",
		   tree, dir, tree, tree, tree, tree, tree, tree);
	int status = shell(said, sizeof(said), SECONDS, ALONE "make -C %s grade ONLY=%s", tree,
			   one_check());
	check_status(status, GRADED, "make grade");
	check_said("not handed in; others are graded without these changes: kernel/boot/main.c, "
		   "labs/" LAB "/files\n");
	shell_must(10, "cd %s/build && grep -q '\"score\"' grade.json && "
		       "grep -q '<h1>' grade.html && grep -q '<testsuite' grade.xml", tree);
	CHECK(!strstr(said, "[FAIL]") && strstr(said, "[ok]"),
	      "the solved student tree does not pass:\n%s", said);
}

/*
 * A signal ends a grading at once, in whatever step it is: with its own status, without a report,
 * and with nothing left, no process and no file.
 */
static void interrupted_early(const struct test *t)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	const char *tmp = work_path("tmp"), *json = work_path("r.json");
	char text[2000], *files;
	(void)t;
	build_handout();
	unlink(json);
	if (asprintf(&files, "-d %s/*", tmp) < 0)
		give_up(BROKEN, "no memory");
	shell_must(10, "mkdir %s", tmp);
	setenv("TMPDIR", tmp, 1);
	char *const argv[] = { "build/grader", "grade", "--lab", LAB, "--submission", ".",
			       "--json", (char *)json, NULL };
	for (unsigned i = 0; i < 12; i++) {
		pid_t pid = process_start(argv, -1, -1, -1);
		for (double end = clock_seconds() + 60; i % 2 && count_files(files) == 0;)
			CHECK(clock_seconds() < end, "the grader does not begin");
		usleep(20000u << i % 6); /* later each time, and half of them in the sandbox */
		kill(pid, signals[i % 3]);
		int status = process_wait(pid, 20);
		CHECK(status == INTERRUPTED || status == KILLED + signals[i % 3],
		      "after signal %d the grader ends with status %d", signals[i % 3], status);
		CHECK(access(json, F_OK) < 0, "an interrupted grading has a report");
		CHECK(status != INTERRUPTED || rmdir(tmp) == 0, "files are left in TMPDIR");
		mkdir(tmp, 0700);
		for (double end = clock_seconds() + 10; usleep(10000), shell(text, sizeof(text), 10,
		     "grep -slz '^%s/[c]innabar' /proc/[0-9]*/cmdline", tmp) == 0;)
			CHECK(clock_seconds() < end, "processes are left: %s", text);
	}
}

/* Wrong arguments give status 1 and a message. */
static void usage(const struct test *t)
{
	static const char *const wrong[] = {
		"",
		"frobnicate",
		"grade",
		"grade --lab 99 --submission .",
		"grade --lab " LAB,
		"grade --bogus",
		"grade --lab " LAB " --submission . --seed x",
		"grade --lab " LAB " --submission . --seed",
		"grade --lab " LAB " --submission . more",
		"grade --lab " LAB " --submission . --only nothing",
		"grade --lab " LAB " --submission /nowhere",
		"grade --lab " LAB " --submission ''",
		"grade --lab " LAB " --submission . --json /nowhere/report.json",
		"class --lab " LAB " tests --out README.md",
		"class --lab " LAB,
		"debug nothing",
		"judge x",
	};
	(void)t;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		check_status(shell(said, sizeof(said), 60, "build/grader %s", wrong[i]), 1,
			     wrong[i]);
		CHECK(*said, "build/grader %s says nothing", wrong[i]);
	}
	check_status(shell(said, sizeof(said), 10, "build/grader help && build/grader list"), 0,
		     "help and list");
}

const struct test grader_run_tests[] = {
	{ .name = "grader-repeated", .run = repeated, .seconds = 200, .number = 3 },
	{ .name = "grader-any-host", .run = any_host, .seconds = 120 },
	{ .name = "grader-class", .run = class_resumes, .seconds = 200 },
	{ .name = "grader-student", .run = student, .seconds = 200 },
	{ .name = "grader-interrupted", .run = interrupted_early, .seconds = 120 },
	{ .name = "grader-usage", .run = usage, .seconds = 60 },
	{ 0 },
};
const struct test grader_run_soak_tests[] = {
	{ .name = "grader-repeated-50", .run = repeated, .seconds = 2400, .number = 50 },
	{ 0 },
};
