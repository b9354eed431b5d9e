/* SPDX-License-Identifier: MIT */
/*
 * The grader where the environment breaks beneath it, which gives no grade at all; the same gradings again and again; classes; a
 * student's tree; what instructors upload.
 */
#include "grading.h"
#include <dirent.h>
#include <signal.h>

/* --- environments --- */

static void no_qemu(const struct test *t)
{
	const char *bin = work_path("bin");
	(void)t;
	shell_must(
		10,
		"mkdir %s && ln -s /usr/bin/* /usr/sbin/* %s/ 2>/dev/null; rm %s/qemu-system-i386",
		bin, bin, bin);
	int status = shell(said, sizeof(said), SECONDS, "PATH=%s %s --submission . --json %s", bin,
			   GRADE, work_path("r.json"));
	check_no_grade(status, "QEMU is missing");
	check_said("qemu-system-i386 is missing");
}

/* Where the grader may not set its limits nothing is built, and that is no fault of the submission's. */
static void no_limits(const struct test *t)
{
	const char *bin = work_path("bin");
	(void)t;
	shell_must(
		10,
		"mkdir %s && printf '#!/bin/sh\necho prlimit: not permitted\nexit 1\n' >%s/prlimit && chmod +x %s/prlimit",
		bin, bin, bin);
	int status = shell(said, sizeof(said), SECONDS,
			   "PATH=%s:$PATH %s --no-sandbox --submission . --json %s", bin, GRADE,
			   work_path("r.json"));
	check_no_grade(status, "no limits can be set");
	check_said("prlimit: not permitted");
}

/* A compiler that fails with everything is not the submission's fault. */
static void no_compiler(const struct test *t)
{
	const char *bin = work_path("bin");
	(void)t;
	check_status(run_grade("--submission . --only %s", one_check()), GRADED, "the reference"); /* writes and builds the student tree */
	shell_must(
		10,
		"mkdir %s && ln -s /usr/bin/* /usr/sbin/* %s/ 2>/dev/null; rm -f %s/*gcc* && ln -s /bin/false %s/gcc",
		bin, bin, bin, bin);
	int status = shell(said, sizeof(said), SECONDS,
			   "PATH=%s %s --submission . --no-sandbox --json %s", bin, GRADE,
			   work_path("r.json"));
	check_no_grade(status, "the compiler fails");
	check_said("not even the pristine files");
}

static pid_t parent_of(pid_t pid, char *name, size_t size)
{
	char path[64], text[400] = "";
	int parent = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "r");
	if (f && !fgets(text, sizeof(text), f))
		text[0] = '\0';
	if (f)
		fclose(f);
	char *open = strchr(text, '('), *close = strrchr(text, ')');
	if (!open || !close)
		return 0;
	snprintf(name, size, "%.*s", (int)(close - open - 1), open + 1);
	sscanf(close + 1, " %*c %d", &parent);
	return parent;
}

/* A process with this name that ancestor started, or what it started. 0: none. */
static pid_t descendant(pid_t ancestor, const char *wanted)
{
	DIR *d = opendir("/proc");
	pid_t found = 0;
	for (struct dirent *e; d && !found && (e = readdir(d));) {
		char name[64] = "", other[64];
		pid_t pid = atoi(e->d_name), up = pid > 0 ? parent_of(pid, name, sizeof(name)) : 0;
		if (strncmp(name, wanted, strlen(wanted)) != 0)
			continue;
		while (up > 1 && up != ancestor)
			up = parent_of(up, other, sizeof(other));
		found = up == ancestor ? pid : 0;
	}
	if (d)
		closedir(d);
	return found;
}

static void killed(const struct test *t)
{
	const char *json = work_path("r.json");
	(void)t;
	pid_t qemu = 0, pid = process_start((char *[]){ "build/grader", "grade", "--lab", LAB, "--submission", ".", "--json", (char *)json, NULL },
					    -1, -1, -1);
	for (double end = now() + SECONDS; !qemu && now() < end; usleep(1000))
		qemu = descendant(pid, "qemu-system");
	CHECK(qemu && kill(qemu, SIGKILL) == 0, "no emulator could be killed");
	said[0] = '\0';
	check_no_grade(process_wait(pid, SECONDS), "the emulator is killed");
	char *text = json_dumps(report(), 0);
	CHECK(strstr(text, "ended by signal 9"),
	      "the report does not say that QEMU was killed:\n%s", text);
}

/* No room at all; and room for the build, but not for a machine's memory. */
static void full_disk(const struct test *t)
{
	static const unsigned mib[] = { 2, 40 };
	(void)t;
	need_sandbox();
	for (unsigned i = 0; i < 2; i++) {
		unlink(work_path("r.json"));
		int status = shell(
			said, sizeof(said), SECONDS,
			"bwrap --dev-bind / / --size %u --tmpfs /mnt --setenv TMPDIR /mnt " GRADE
			"--submission . --no-sandbox --jobs 4 --json %s",
			mib[i] << 20, work_path("r.json"));
		check_no_grade(status, "the disk is full");
	}
}

/* --- repeated and many --- */

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

static void repeated(const struct test *t)
{
	static const char *const submissions[] = { ".", "build/handout/" LAB };
	for (unsigned s = 0; s < 2; s++) {
		json_t *first = NULL;
		for (unsigned i = 0; i < t->number; i++) {
			bool whole = s && t->number >= 50;
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
			CHECK(json_equal(first, j),
			      "grading %u of %s differs: ...%.400s...\nnot as the first: ...%.400s...",
			      i + 1, submissions[s], now + same, then + same);
		}
	}
}

static long count_files(const char *pattern)
{
	char text[32];
	shell(text, sizeof(text), 10, "ls %s 2>/dev/null | wc -l", pattern);
	return atol(text);
}

/* Interrupted after the first, then the rest, then nothing but the one that changed. */
static void class_resumes(const struct test *t)
{
	const char *dir = work_path("class"), *out = work_path("out");
	char *in;
	(void)t;
	reference("class/b"), reference("class/c");
	shell_must(
		10,
		"mkdir %s/a && echo nothing >%s/a/README && echo '#error' >>%s/c/kernel/mm/vm.c && tar -C %s/b -czf %s/d.tgz .",
		dir, dir, dir, dir, dir);
	pid_t pid = process_start((char *[]){ "build/grader", "class", "--lab", LAB, (char *)dir, "--out", (char *)out, "--jobs", "1", NULL }, -1,
				  -1, -1);
	if (asprintf(&in, "%s/*.json", out) < 0)
		give_up(BROKEN, "no memory");
	for (double end = now() + SECONDS; count_files(in) < 2 && now() < end; usleep(10000))
		;
	kill(pid, SIGINT);
	CHECK(process_wait(pid, 20) == 130, "an interrupted class does not say so by its status");
	CHECK(count_files(in) < 4, "all were graded before the interruption");
	int status = shell(said, sizeof(said), SECONDS,
			   "build/grader class --lab " LAB " %s --out %s --jobs 2", dir, out);
	check_status(status, GRADED, "the rest of the class");
	check_said("4 of 4 submissions done, 0 of them with an error");
	check_said("refused: a: ");
	shell_must(
		10,
		"cd %s && grep -q '\"c\",graded,0,' summary.csv && sha256sum b.json d.tgz.json >sums && echo >>%s/c/kernel/mm/vm.c",
		out, dir);
	shell_must(SECONDS, "build/grader class --lab " LAB " %s --out %s", dir, out);
	CHECK(shell(said, sizeof(said), 10, "cd %s && sha256sum -c --quiet sums", out) == 0,
	      "what had a grade was graded again:\n%s", said);
}

/* A student's tree grades itself, where it was unpacked, and tells of changes that nobody will see. */
static void student(const struct test *t)
{
	const char *tree = work_path("student"), *dir = reference("solved");
	(void)t;
	check_status(run_grade("--submission . --only %s", one_check()), GRADED, "the reference"); /* writes and builds the student tree */
	shell_must(20,
		   "cp -a build/handout/" LAB
		   " %s && cp -r %s/. %s && echo '/* changed */' >>%s/kernel/boot/main.c",
		   tree, dir, tree, tree);
	int status = shell(said, sizeof(said), SECONDS,
			   "env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C %s grade", tree);
	check_status(status, GRADED, "make grade");
	check_said("not handed in; others are graded without these changes: kernel/boot/main.c\n");
	shell_must(
		10,
		"grep -q '\"score\"' %s/build/grade.json && grep -q '<h1>' %s/build/grade.html && grep -q '<testsuite' %s/build/grade.xml",
		tree, tree, tree);
	CHECK(!strstr(said, "[FAIL]") && strstr(said, "[ok]"),
	      "the solved student tree does not pass:\n%s", said);
}

/* The archive for Gradescope does its work from where it is unpacked; its set-up, which installs packages, is left out. */
static void gradescope(const struct test *t)
{
	const char *root = work_path("autograder"), *dir = reference("submission");
	(void)t;
	shell_must(SECONDS, "env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make gradescope LAB=" LAB);
	shell_must(
		SECONDS,
		"mkdir -p %s/source && cp -r %s %s/submission && cd %s/source && unzip -q $OLDPWD/build/gradescope-" LAB
		".zip && "
		"bash -n setup.sh && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C tree all build/grader",
		root, dir, root, root);
	shell_must(SECONDS, "AUTOGRADER=%s %s/source/run_autograder", root, root);
	shell_must(10, "cp %s/results/results.json %s", root, work_path("r.json"));
	CHECK(score() > 0 && score() == max_score(),
	      "Gradescope's archive gives the reference %d points", score());
}

static void usage(const struct test *t)
{
	static const char *const wrong[] = { "", "frobnicate", "grade", "grade --lab 99 --submission .", "grade --lab " LAB, "grade --bogus",
		"grade --lab " LAB " --submission . --seed x", "grade --lab " LAB " --submission . --seed", "grade --lab " LAB " --submission . more",
		"grade --lab " LAB " --submission . --only nothing", "grade --lab " LAB " --submission /nowhere", "class --lab " LAB,
		"debug nothing", "judge x" };
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
	{ .name = "grader-no-qemu", .run = no_qemu, .seconds = 60 },
	{ .name = "grader-no-compiler", .run = no_compiler, .seconds = 200 },
	{ .name = "grader-no-limits", .run = no_limits, .seconds = 60 },
	{ .name = "grader-killed", .run = killed, .seconds = 300 },
	{ .name = "grader-full-disk", .run = full_disk, .seconds = 300 },
	{ .name = "grader-repeated", .run = repeated, .seconds = 200, .number = 5 },
	{ .name = "grader-class", .run = class_resumes, .seconds = 200 },
	{ .name = "grader-student", .run = student, .seconds = 200 },
	{ .name = "grader-usage", .run = usage, .seconds = 60 },
	{ 0 },
};
const struct test grader_run_soak_tests[] = {
	{ .name = "grader-gradescope", .run = gradescope, .seconds = 300 },
	{ .name = "grader-repeated-50", .run = repeated, .seconds = 2400, .number = 50 },
	{ 0 },
};
