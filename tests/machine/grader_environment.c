/* SPDX-License-Identifier: MIT */
/*
 * The grader where the environment breaks: a tool is missing, limits cannot be set, QEMU is killed,
 * the disk is full. Then there is no grade at all, and the report blames the environment.
 */
#include "grading.h"
#include <dirent.h>
#include <signal.h>

/* A directory with links to all programs of the system, for a PATH from which some are taken. */
static const char *all_programs(void)
{
	const char *bin = work_path("bin");
	shell_must(10, "mkdir %s; ln -s /usr/bin/* /usr/sbin/* %s/ 2>/dev/null; ls %s/sh", bin, bin,
		   bin);
	return bin;
}

static void no_qemu(const struct test *t)
{
	const char *bin = all_programs();
	(void)t;
	shell_must(10, "rm %s/qemu-system-i386", bin);
	int status = shell(said, sizeof(said), SECONDS, "PATH=%s %s --submission . --json %s", bin,
			   GRADE, work_path("r.json"));
	check_no_grade(status, "QEMU is missing");
	check_said("qemu-system-i386 is missing");
}

/* Where the grader may not set its limits nothing is built: the environment is to blame. */
static void no_limits(const struct test *t)
{
	const char *bin = work_path("bin");
	(void)t;
	shell_must(10, "mkdir %s && printf '#!/bin/sh\necho prlimit: not permitted\nexit 1\n'"
		       " >%s/prlimit && chmod +x %s/prlimit", bin, bin, bin);
	int status = shell(said, sizeof(said), SECONDS,
			   "PATH=%s:$PATH %s --no-sandbox --submission . --json %s", bin, GRADE,
			   work_path("r.json"));
	check_no_grade(status, "no limits can be set");
	check_said("prlimit: not permitted");
}

/* A compiler that fails with everything: the environment is to blame, too. */
static void no_compiler(const struct test *t)
{
	(void)t;
	build_handout();
	const char *bin = all_programs();
	shell_must(10, "rm -f %s/*gcc* && ln -s /bin/false %s/gcc", bin, bin);
	int status = shell(said, sizeof(said), SECONDS,
			   "PATH=%s %s --submission . --no-sandbox --json %s", bin, GRADE,
			   work_path("r.json"));
	check_no_grade(status, "the compiler fails");
	check_said("not even the pristine files");
}

/* A disassembler that ends in the middle of each file: nobody has looked at the code. */
static void no_objdump(const struct test *t)
{
	const char *bin = all_programs(), *dir = solved_p2m("solved");
	(void)t;
	build_handout();
	shell_must(10, "rm %s/objdump && printf '#!/bin/sh\necho half\nexit 1\n' >%s/objdump && "
		       "chmod +x %s/objdump", bin, bin, bin);
	int status = shell(said, sizeof(said), SECONDS,
			   "PATH=%s %s --submission %s --only %s --no-sandbox --json %s", bin,
			   GRADE, dir, one_check(), work_path("r.json"));
	check_no_grade(status, "the disassembler fails");
	check_said("cannot be looked at here");
}

/* The parent of a process, and its name; 0 if it is gone. */
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

/* A process whose name begins so, among all that ancestor started, also indirectly. 0: none. */
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

/* Grade, and kill QEMU meanwhile. Result: the grader's exit status. */
static int grade_and_kill(const char *json)
{
	char *const argv[] = { "build/grader", "grade", "--lab", LAB, "--submission", ".",
			       "--only", "shuffle walk", "--json", (char *)json, NULL };
	pid_t qemu = 0, pid = process_start(argv, -1, -1, -1);
	for (double end = clock_seconds() + SECONDS; !qemu && clock_seconds() < end; usleep(1000))
		qemu = descendant(pid, "qemu-system");
	CHECK(qemu, "no emulator was started");
	kill(qemu, SIGKILL);
	return process_wait(pid, SECONDS);
}

/* Somebody kills QEMU in the middle of a grading. */
static void killed(const struct test *t)
{
	enum { TRIES = 8 };
	const char *json = work_path("r.json");
	int status = GRADED;
	(void)t;
	/* On a busy host a check may have ended before its QEMU is found and killed. */
	for (unsigned i = 0; i < TRIES && status == GRADED; i++)
		status = grade_and_kill(json);
	said[0] = '\0';
	check_no_grade(status, "the emulator is killed");
	char *text = json_dumps(report(), 0);
	CHECK(strstr(text, "ended by signal 9"),
	      "the report does not say that QEMU was killed:\n%s", text);
}

/* A TMPDIR of 2 MiB has no room at all; one of 6 MiB has for a part of the tree. */
static void full_disk(const struct test *t)
{
	static const unsigned mib[] = { 2, 6 };
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

const struct test grader_environment_tests[] = {
	{ .name = "grader-no-qemu", .run = no_qemu, .seconds = 60 },
	{ .name = "grader-no-compiler", .run = no_compiler, .seconds = 200 },
	{ .name = "grader-no-objdump", .run = no_objdump, .seconds = 200 },
	{ .name = "grader-no-limits", .run = no_limits, .seconds = 60 },
	{ .name = "grader-killed", .run = killed, .seconds = 300 },
	{ .name = "grader-full-disk", .run = full_disk, .seconds = 300 },
	{ 0 },
};
