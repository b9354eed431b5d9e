/* SPDX-License-Identifier: MIT */
/*
 * The programs' own test suites on many machines. The verdict is the exit status that the machine
 * ends with, and the state of its file system; what the programs print only names what failed.
 */
#include "tests.h"

enum { TESTS_MIN = 40 }; /* a suite that was linked without its tests must not pass */

/* How many lines "ok NAME" the guest's suite printed. */
static unsigned count_passed(const char *log)
{
	unsigned passed = 0;
	while (log && (log = strstr(log, "\nok ")))
		passed++, log++;
	return passed;
}

void use_debug_build(void)
{
	static char kernel[300], vmm[300];
	snprintf(kernel, sizeof(kernel), "%s/debug/cinnabar", build_dir);
	snprintf(vmm, sizeof(vmm), "%s/debug/vmm.elf", build_dir);
	if (access(kernel, R_OK) < 0)
		give_up(SKIPPED, "%s is not there; run make DEBUG=1 kernel", kernel);
	kernel_file = kernel;
	vmm_file = vmm;
}

static void use_vmm(const char *option, const char *value)
{
	static char vmm[300];
	snprintf(vmm, sizeof(vmm), "%s/kernel-%s/vmm.elf", build_dir, value);
	if (access(vmm, R_OK) < 0)
		give_up(SKIPPED, "%s is not there; run make %s=%s kernel", vmm, option, value);
	vmm_file = vmm;
}

void use_robin_build(void) { use_vmm("SCHED", "robin"); }
void use_eager_build(void) { use_vmm("EXIT", "eager"); }

/* text: a command; number: 1 for the debug build of kernel and VMM. */
static void suite(const struct test *t)
{
	struct machine_options o = t->machine;
	char words[500];
	snprintf(words, sizeof(words), "run=\"%s\"", t->text);
	o.cmdline = words;
	if (t->number)
		use_debug_build();
	struct machine *m = machine_start(&o);
	int status = machine_wait(m, t->seconds);
	unsigned passed = count_passed(m->log);
	CHECK(status == EXIT_OK, "%sthe machine ended with status %d (%d: success, %d: panic)",
	      guest_failures(m), status, EXIT_OK, EXIT_PANIC);
	bool all = strcmp(t->text, "usertests") == 0 || strcmp(t->text, USERTESTS_V86) == 0;
	CHECK(!all || passed >= TESTS_MIN, "only %u tests were run", passed);
	root_check(m);
}

/* text: number tests that must fail on this emulator. One that passes is no gap any more. */
static void lacks(const struct test *t)
{
	struct machine_options o = t->machine;
	char words[500];
	unsigned failed = 0;
	snprintf(words, sizeof(words), "run=\"%s\"", t->text);
	o.cmdline = words;
	struct machine *m = machine_start(&o);
	int status = machine_wait(m, t->seconds);
	CHECK(status == EXIT_OK + 2, "the machine ended with status %d; failed tests give %d",
	      status, EXIT_OK + 2);
	for (const char *at = guest_failures(m); (at = strchr(at, '\n')); at++)
		failed++;
	CHECK(failed == t->number, "%u tests failed, not %u:\n%s", failed, t->number,
	      guest_failures(m));
	give_up(SKIPPED, "this emulator lacks what these need:\n%s", guest_failures(m));
}

#define ROW(n, s, debug, command, ...) \
	{ .name = n, .run = suite, .seconds = s, .number = debug, .text = command, \
	  .machine = { __VA_ARGS__ } }
#define SUITE(n, ...) ROW("usertests-" n, 400, 0, "usertests", __VA_ARGS__)
const struct test program_tests[] = {
	SUITE("identity", 0),
	SUITE("shuffle1", .p2m = "shuffle:1"),
	SUITE("identity-smp4", .cpus = 4),
	/* Free running, here and below: the kernel's locks, on CPUs that run in parallel. */
	SUITE("shuffle1-smp4", .cpus = 4, .p2m = "shuffle:1", .free_running = true),
	ROW("usertests-bochs", 200, 0, USERTESTS_PROCESSOR, .bochs = true, .p2m = "shuffle:2"),
	{ .name = "usertests-v86-lacks", .run = lacks, .seconds = 120, .number = 4,
	  .text = "usertests " V86_LACKS, .machine = { .v86 = true } },
	ROW("usertests-bochs-smp4", 200, 0, USERTESTS_SHARING, .bochs = true, .cpus = 4),
	ROW("usertests-debug", 240, 1, "usertests", .cpus = 2),
	/* in the debug build every hypercall recounts the frame table */
	ROW("virtual-debug", 240, 1, "echo virtual > /proc/mode && work 5 && stress 1r",
	    .p2m = "shuffle:8"),
	ROW("switch-debug-smp4", 240, 1, "switcher 10 1 work 10 && switcher 10 1 stress 1r",
	    .cpus = 4),
	ROW("stress", 120, 0, "stress 10r 6", .p2m = "shuffle:6"),
	ROW("stress-smp4", 120, 0, "stress 10r 5", .cpus = 4, .p2m = "shuffle:5",
	    .free_running = true),
	ROW("fuzz", 240, 0, "fuzz 20000 1", 0),
	ROW("fuzz-smp4", 240, 0, "fuzz 20000 2", .cpus = 4, .p2m = "shuffle:4",
	    .free_running = true),
	{ 0 },
};

/* With several CPUs free running, for what only parallel CPUs meet. */
const struct test soak_tests[] = {
	ROW("soak-virtual-debug", 3600, 1, "echo virtual > /proc/mode && usertests",
	    .p2m = "shuffle:8"),
	ROW("soak-fuzz", 7200, 0, "fuzz 1000000 3", 0),
	ROW("soak-fuzz-smp4", 7200, 0, "fuzz 1000000 4", .cpus = 4, .p2m = "shuffle:3",
	    .free_running = true),
	/* usertests-shuffle1 has another order; boot-iso and its like boot from the ISO. */
	ROW("soak-usertests-shuffle2", 400, 0, "usertests", .p2m = "shuffle:2"),
	ROW("soak-usertests-iso", 400, 0, "usertests", .iso = true, .p2m = "shuffle:1"),
	ROW("soak-usertests-shuffle2-smp4", 400, 0, "usertests", .cpus = 4, .p2m = "shuffle:2"),
	ROW("soak-usertests-iso-smp4", 400, 0, "usertests", .iso = true, .cpus = 4),
	ROW("soak-usertests-bochs", 900, 0, "usertests", .bochs = true, .p2m = "shuffle:2"),
	ROW("soak-usertests-bochs-smp4", 900, 0, "usertests", .bochs = true, .cpus = 4),
	ROW("soak-usertests-v86", 400, 0, USERTESTS_V86, .v86 = true, .p2m = "shuffle:2"),
	ROW("soak-usertests", 7200, 0, "usertests -big", 0),
	ROW("soak-usertests-smp4", 7200, 0, "usertests -big", .cpus = 4,
	    .free_running = true),
	ROW("soak-stress-smp8", 7200, 0, "stress 200", .cpus = 8, .p2m = "shuffle:9",
	    .free_running = true),
	{ 0 },
};
