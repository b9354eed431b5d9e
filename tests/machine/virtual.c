/* SPDX-License-Identifier: MIT */
/* Virtual mode and the switch on many machines: invariants at random moments, pairs of switches under load, the programs' suites. */
#include "tests.h"

/* The invariants at the prompt, at random moments while programs start and end, and native again. */
static void invariants(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	command(m, "echo virtual > /proc/mode", 20);
	machine_stop(m);
	check_whole(m);
	machine_continue(m);
	srand(t->number);
	for (int i = 0; i < (m->o.bochs ? 2 : 10); i++) {
		machine_send(
			m,
			"ls -l /bin | grep s | wc; cat /proc/tasks; echo done > /tmp/x; rm /tmp/x\n");
		usleep((useconds_t)(rand() % 60000));
		machine_stop(m);
		check_whole(m);
		machine_continue(m);
		machine_expect(m, PROMPT, 60);
	}
	machine_send(m, "echo all-done\n");
	machine_expect(m, "\nall-done\n", 60);
	machine_expect(m, PROMPT, 20);
	command(m, "echo native > /proc/mode", 20);
	machine_stop(m);
	check_native(m);
	machine_continue(m);
	end_at_prompt(m);
}

/* mode=virtual: from the first program on; and a detach from there. */
static void from_boot(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	CHECK(strstr(m->log, "unknown option `mood=native` ignored"),
	      "nobody complains about mood=native");
	machine_stop(m);
	check_whole(m);
	machine_continue(m);
	command(m, "ls -l /bin | wc; echo native > /proc/mode", 20);
	machine_stop(m);
	check_native(m);
	machine_continue(m);
	end_at_prompt(m);
}

/* Before and after pairs of switches under load: the same machine (N2), and a VMM that nothing touches while dormant (N3). */
static void pairs(const struct test *t)
{
	static char before[20000], after[20000];
	struct machine *m = start_to_prompt(&t->machine);
	char line[200];
	unsigned times = 0;
	machine_stop(m);
	fingerprint(m, before, sizeof(before));
	machine_continue(m);
	snprintf(line, sizeof(line), "switcher %u 0 stress 4r 3 && echo all well", t->number);
	command(m, line, t->seconds - 20);
	const char *said = strstr(m->log, "\nswitched ");
	CHECK(said && sscanf(said, "\nswitched %u", &times) == 1 && times >= 2 * t->number &&
		      strstr(said, "\nall well"),
	      "the switcher or its load failed");
	machine_stop(m);
	check_native(m);
	fingerprint(m, after, sizeof(after));
	CHECK(strcmp(before, after) == 0, "after the switches (N2)\n%swas\n%s", after, before);
	uint32_t sum = dormant_sum(m);
	machine_continue(m);
	command(m, "ls /bin | wc; cat /proc/switch", 20);
	machine_stop(m);
	CHECK(dormant_sum(m) == sum, "the dormant VMM changed (N3)");
	machine_continue(m);
	end_at_prompt(m);
}

/* The programs' own suites in virtual mode, and while the mode changes all the time. */
static void suite(const struct test *t)
{
	char line[200];
	snprintf(line, sizeof(line), "%s", t->text);
	struct machine *m = run_command(&t->machine, line, EXIT_OK, t->seconds - 5);
	CHECK(!strstr(t->text, "usertests") || strstr(m->log, "passed, 0 failed"),
	      "usertests did not finish");
}

#define VIRTUALLY "echo virtual > /proc/mode && "
#define SUITE(n, command, ...) { .name = n, .run = suite, .seconds = 240, .text = command, .machine = { __VA_ARGS__ } }
const struct test switch_tests[] = {
	SUITE("virtual-usertests", VIRTUALLY "usertests"),
	SUITE("virtual-usertests-shuffle1-smp4", VIRTUALLY "usertests", .p2m = "shuffle:1", .cpus = 4),
	SUITE("virtual-usertests-shuffle2-bochs", VIRTUALLY "usertests", .p2m = "shuffle:2", .bochs = true),
	SUITE("virtual-usertests-bochs-smp2", VIRTUALLY "usertests", .cpus = 2, .bochs = true),
	SUITE("virtual-fuzz", VIRTUALLY "fuzz 5000 7", .p2m = "shuffle:3"),
	SUITE("switch-usertests", "switcher 10 1 usertests"),
	SUITE("switch-usertests-shuffle1-smp4", "switcher 10 0 usertests", .p2m = "shuffle:1", .cpus = 4),
	SUITE("switch-usertests-shuffle2-bochs", "switcher 10 50 usertests", .p2m = "shuffle:2", .bochs = true),
	SUITE("switch-torn", "switcher 1000 0 torn 200", .p2m = "shuffle:1", .free_running = true),
	SUITE("switch-fuzz-smp4", "switcher 10 0 fuzz 5000 8", .p2m = "shuffle:3", .cpus = 4),
	{ .name = "virtual-identity", .run = invariants, .seconds = 60, .number = 1 },
	{ .name = "virtual-shuffle1", .run = invariants, .seconds = 60, .number = 2, .machine = { .p2m = "shuffle:1" } },
	{ .name = "virtual-shuffle2-smp4", .run = invariants, .seconds = 60, .number = 3, .machine = { .p2m = "shuffle:2", .cpus = 4 } },
	{ .name = "virtual-128m-iso", .run = invariants, .seconds = 60, .number = 4, .machine = { .mem = 128, .iso = true } },
	{ .name = "virtual-from-boot", .run = from_boot, .seconds = 60, .machine = { .p2m = "shuffle:4", .cmdline = "mode=virtual mood=native" } },
	{ .name = "virtual-from-boot-smp4", .run = from_boot, .seconds = 60, .machine = { .cpus = 4, .cmdline = "mode=virtual mood=native" } },
	{ .name = "virtual-bochs", .run = invariants, .seconds = 120, .number = 5, .machine = { .bochs = true, .p2m = "shuffle:3" } },
	{ .name = "virtual-bochs-smp2", .run = invariants, .seconds = 120, .number = 6, .machine = { .bochs = true, .cpus = 2 } },
	{ .name = "switch-pairs", .run = pairs, .seconds = 120, .number = 200, .machine = { .p2m = "shuffle:4" } },
	{ .name = "switch-pairs-smp4", .run = pairs, .seconds = 120, .number = 100, .machine = { .p2m = "shuffle:5", .cpus = 4 } },
	{ 0 },
};

const struct test switch_soak_tests[] = {
	{ .name = "soak-switch-pairs", .run = pairs, .seconds = 3600, .number = 10000, .machine = { .p2m = "shuffle:6" } },
	{ .name = "soak-switch-pairs-smp4", .run = pairs, .seconds = 3600, .number = 1000, .machine = { .p2m = "shuffle:7", .cpus = 4 } },
	{ 0 },
};
