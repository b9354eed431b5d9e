/* SPDX-License-Identifier: MIT */
/*
 * The programs' own test suites on many machines. What they print names the failing test; the verdict is the exit
 * status that the machine itself ends with, the file system's state, and the invariants at the end.
 */
#include "tests.h"

enum { TESTS_MIN = 40 }; /* a suite that was linked without its tests must not pass */

/* Lines "FAIL name: why" of the guest's suite, for the reason. Result: how many lines "ok name" there are. */
static unsigned collect_failures(const char *log, char *buf, size_t size)
{
	size_t n = 0;
	unsigned passed = 0;
	buf[0] = '\0';
	for (const char *line = log; line && *line && n + 1 < size; line = strchr(line, '\n')) {
		line += *line == '\n';
		passed += strncmp(line, "ok ", 3) == 0;
		if (strncmp(line, "FAIL ", 5) == 0)
			n += (size_t)snprintf(buf + n, size - n, "  %.*s\n", (int)strcspn(line, "\n"), line);
	}
	return passed;
}

static void suite(const struct test *t)
{
	struct machine_options o = t->machine;
	char words[300], failures[2000], debug_kernel[300], debug_vmm[300];
	snprintf(words, sizeof(words), "run=\"%s\"", t->text);
	o.cmdline = words;
	if (t->number) { /* the debug build */
		snprintf(debug_kernel, sizeof(debug_kernel), "%s/debug/cinnabar", build_dir);
		if (access(debug_kernel, R_OK) < 0)
			give_up(SKIPPED, "%s is not there; run make DEBUG=1 kernel", debug_kernel);
		snprintf(debug_vmm, sizeof(debug_vmm), "%s/debug/vmm.elf", build_dir);
		kernel_file = debug_kernel;
		vmm_file = debug_vmm;
	}
	struct machine *m = machine_start(&o);
	int status = machine_wait(m, t->seconds);
	unsigned passed = collect_failures(m->log, failures, sizeof(failures));
	CHECK(status == EXIT_OK, "the machine ended with status %d (%d: success, %d: panic)\n%s",
	      status, EXIT_OK, EXIT_PANIC, failures);
	CHECK(strcmp(t->text, "usertests") != 0 || passed >= TESTS_MIN, "only %u tests were run",
	      passed);
	root_check(m);
}

#define SUITE(n, ...) { .name = "usertests-" n, .run = suite, .seconds = 400, .text = "usertests", .machine = { __VA_ARGS__ } }
const struct test program_tests[] = {
	SUITE("identity", 0),
	SUITE("shuffle1", .p2m = "shuffle:1"),
	SUITE("shuffle2", .p2m = "shuffle:2"),
	SUITE("identity-smp4", .cpus = 4),
	SUITE("shuffle1-smp4", .cpus = 4, .p2m = "shuffle:1"),
	SUITE("shuffle2-smp4", .cpus = 4, .p2m = "shuffle:2"),
	SUITE("iso", .iso = true, .p2m = "shuffle:1"),
	SUITE("iso-smp4", .iso = true, .cpus = 4),
	SUITE("bochs", .bochs = true, .p2m = "shuffle:2"),
	SUITE("bochs-smp4", .bochs = true, .cpus = 4),
	{ .name = "usertests-debug", .run = suite, .seconds = 240, .text = "usertests", .machine = { .cpus = 2 }, .number = 1 },
	{ .name = "virtual-debug", .run = suite, .seconds = 240, .machine = { .p2m = "shuffle:8" }, .number = 1,
	  .text = "echo virtual > /proc/mode && work 20 && stress 2r" }, /* every hypercall recounts the frame table */
	{ .name = "switch-debug-smp4", .run = suite, .seconds = 240, .machine = { .cpus = 4 }, .number = 1,
	  .text = "switcher 20 0 work 40 && switcher 20 0 stress 2r" },
	{ .name = "stress", .run = suite, .seconds = 120, .text = "stress 10r 6", .machine = { .p2m = "shuffle:6" } },
	{ .name = "stress-smp4", .run = suite, .seconds = 120, .text = "stress 10r 5", .machine = { .cpus = 4, .p2m = "shuffle:5" } },
	{ .name = "fuzz", .run = suite, .seconds = 240, .text = "fuzz 20000 1" },
	{ .name = "fuzz-smp4", .run = suite, .seconds = 240, .text = "fuzz 20000 2", .machine = { .cpus = 4, .p2m = "shuffle:4" } },
	{ 0 },
};

const struct test soak_tests[] = {
	{ .name = "soak-virtual-debug", .run = suite, .seconds = 3600, .machine = { .p2m = "shuffle:8" }, .number = 1,
	  .text = "echo virtual > /proc/mode && usertests" },
	{ .name = "soak-fuzz", .run = suite, .seconds = 7200, .text = "fuzz 1000000 3" },
	{ .name = "soak-fuzz-smp4", .run = suite, .seconds = 7200, .text = "fuzz 1000000 4", .machine = { .cpus = 4, .p2m = "shuffle:3" } },
	{ .name = "soak-usertests", .run = suite, .seconds = 7200, .text = "usertests -big" },
	{ .name = "soak-usertests-smp4", .run = suite, .seconds = 7200, .text = "usertests -big", .machine = { .cpus = 4 } },
	{ .name = "soak-stress-smp8", .run = suite, .seconds = 7200, .text = "stress 200", .machine = { .cpus = 8, .p2m = "shuffle:9" } },
	{ 0 },
};
