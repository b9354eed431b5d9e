/* SPDX-License-Identifier: MIT */
/*
 * Native mode's invariants on many machines, at random moments while programs start, run and end;
 * the seeds of p2m=shuffle; and a process's first instructions.
 */
#include "tests.h"
#include "offsets.h"
#include "x86.h"

/* number: seed of the moments. */
static void native(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	machine_stop(m);
	check_native(m);
	machine_continue(m);
	srand(t->number);
	for (int i = 0; i < (m->o.bochs ? 2 : 8); i++) {
		machine_send(m, "ls -l /bin | grep s | wc; cat /proc/tasks; "
				"echo done > /tmp/x; rm /tmp/x\n");
		usleep((useconds_t)(rand() % 60000));
		machine_stop(m);
		check_native(m);
		machine_continue(m);
	}
	machine_send(m, "echo all-done\n");
	machine_expect(m, "\nall-done\n", 60);
	machine_expect(m, PROMPT, 20);
	end_at_prompt(m);
}

/* The p2m of a machine with this p2m= word; n: its length. */
static uint32_t *translation_of(const struct test *t, const char *p2m, uint32_t *n)
{
	struct machine_options o = t->machine;
	struct cpu_state cpus[CPUS_MAX];
	o.p2m = p2m;
	struct machine *m = start_to_prompt(&o);
	machine_stop(m);
	machine_state(m, cpus);
	*n = kernel_word(m, "nr_pfns");
	uint32_t *p = read_array(m, cpus[0].cr3, "p2m", *n);
	machine_quit(m);
	return p;
}

/* The same seed gives the same order; two seeds differ on most frames. */
static void seeds(const struct test *t)
{
	uint32_t n[3];
	uint32_t *a = translation_of(t, "shuffle:1", &n[0]),
		 *b = translation_of(t, "shuffle:1", &n[1]);
	uint32_t *c = translation_of(t, "shuffle:0x2", &n[2]), same = 0;
	CHECK(n[0] == n[1] && memcmp(a, b, n[0] * sizeof(*a)) == 0,
	      "p2m=shuffle:1 gave two different orders");
	for (uint32_t i = 0; i < n[0] && i < n[2]; i++)
		same += a[i] == c[i];
	CHECK(same < n[0] / 4, "seeds 1 and 2 agree on %u of %u frames", same, n[0]);
}

/*
 * Both PICs are masked, and a spurious interrupt of either has a vector that no exception has; the
 * local APIC takes interrupts of every priority, and of its lines only NMI.
 */
static void controllers(const struct test *t)
{
	static const struct { const char *command, *shows; } states[] = {
		{ "info pic", "pic0: irr=00 imr=ff isr=00 hprio=0 irq_base=20 " },
		{ "info pic", "pic1: irr=00 imr=ff isr=00 hprio=0 irq_base=28 " },
		{ "info lapic", " TPR 0x00 " }, { "info lapic", "LVT0\t 0x00010000" },
		{ "info lapic", "LVT1\t 0x00000400" }, { "info lapic", "APIC enabled" },
	};
	struct machine *m = start_to_prompt(&t->machine);
	stop_idle(m);
	for (unsigned i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		char *text = qmp_human(m, states[i].command);
		for (char *at = text; (at = strstr(at, "irr=")); at++)
			memcpy(at, "irr=00", 6); /* what a device asks for is its own matter */
		CHECK(strstr(text, states[i].shows), "%s does not show \"%s\":\n%s",
		      states[i].command, states[i].shows, text);
		free(text);
	}
	machine_quit(m);
}

/*
 * A process is killed within a system call, and loses the processor before the call ends: it still
 * dies. Here `cat` does, at the first block that its exec reads.
 */
static void killed_within(struct machine *m)
{
	static const uint32_t hazard = 3; /* HAZARD_RESCHED and HAZARD_KILLED */
	struct cpu_state cpus[CPUS_MAX];
	gdb_break(m, symbol("ext2_read"), true);
	machine_send(m, "cat /etc/motd\n");
	CHECK(gdb_run(m, 20), "no program is read");
	gdb_break(m, symbol("ext2_read"), false);
	machine_state(m, cpus);
	uint32_t task = cpus[0].esp & ~(TASK_STACK_BYTES - 1);
	size_t from = m->log_bytes;
	physical_write(m, page_walk(m, cpus[0].cr3, task + TASK_HAZARD).machine, &hazard, 4);
	gdb_disconnect(m);
	machine_expect(m, PROMPT, 20);
	CHECK(!strstr(m->log + from, "help"), "a killed process went on: it lost its hazard");
}

/* Where a process begins, an interrupt may come at any instruction: the stack has room for it. */
static void first_entry(const struct test *t)
{
	struct machine *m = machine_start(&t->machine);
	gdb_connect(m);
	gdb_break(m, symbol("task_enter_user"), true);
	CHECK(gdb_run(m, 20), "no process begins");
	gdb_break(m, symbol("task_enter_user"), false);
	for (unsigned i = 0; i < 4; i++, gdb_step(m)) {
		uint32_t room = gdb_register(m, GDB_ESP) % TASK_STACK_BYTES;
		CHECK(room > 1024, "%u instructions after it begins %u bytes are left", i, room);
	}
	gdb_disconnect(m);
	machine_expect(m, PROMPT, 60);
	gdb_connect(m);
	killed_within(m);
	end_at_prompt(m);
}

/*
 * A CPU that is woken for a task counts as busy at once: a second task, made ready before that CPU
 * has answered, wakes another one.
 */
static void woken(const struct test *t)
{
	uint32_t arguments[2];
	struct machine *m = start_to_prompt(&t->machine);
	stop_idle(m);
	gdb_connect(m);
	gdb_break(m, symbol("native_irq_send"), true);
	machine_send(m, "cat /etc/motd | cat | cat\n");
	for (unsigned i = 0; i < 8; i++) {
		CHECK(gdb_run(m, 20), "no CPU is woken");
		gdb_read(m, gdb_register(m, GDB_ESP) + 4, arguments, sizeof(arguments));
		CHECK(arguments[1] != VEC_RESCHED ||
		      !(kernel_word(m, "idle_cpus") >> arguments[0] & 1),
		      "CPU %u still counts as idle while it is woken", arguments[0]);
	}
	gdb_break(m, symbol("native_irq_send"), false);
	gdb_disconnect(m);
	machine_expect(m, PROMPT, 20);
	end_at_prompt(m);
}

#define NATIVE(n, k, ...) \
	{ .name = "native-" n, .run = native, .seconds = 120, .number = k, \
	  .machine = { __VA_ARGS__ } }

const struct test native_tests[] = {
	{ .name = "native-first-entry", .run = first_entry, .seconds = 60 },
	NATIVE("identity", 1, 0),
	NATIVE("shuffle1", 2, .p2m = "shuffle:1"),
	NATIVE("shuffle2", 3, .p2m = "shuffle:2"),
	NATIVE("identity-32m-smp4", 4, .mem = 32, .cpus = 4),
	NATIVE("shuffle1-32m", 5, .mem = 32, .p2m = "shuffle:1"),
	NATIVE("shuffle2-smp2", 6, .cpus = 2, .p2m = "shuffle:2"),
	NATIVE("identity-smp8", 7, .cpus = 8),
	NATIVE("shuffle1-512m", 8, .mem = 512, .p2m = "shuffle:1"),
	NATIVE("shuffle2-512m-smp8", 9, .mem = 512, .cpus = 8, .p2m = "shuffle:2"),
	NATIVE("identity-iso", 10, .iso = true, .cpus = 2),
	{ .name = "native-bochs", .run = native, .seconds = 240,
	  .machine = { .bochs = true, .mem = 48, .p2m = "shuffle:1" } },
	NATIVE("v86", 11, .v86 = true, .mem = 16, .p2m = "shuffle:1"),
	{ .name = "native-controllers", .run = controllers, .seconds = 60 },
	{ .name = "native-woken-smp4", .run = woken, .seconds = 60, .machine = { .cpus = 4 } },
	{ .name = "native-seeds", .run = seeds, .seconds = 120 },
	{ 0 },
};
