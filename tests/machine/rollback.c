/* SPDX-License-Identifier: MIT */
/*
 * Switches that fail: in a rehearsed way after each phase, because a CPU does not answer, or
 * because the VO is always in use. Afterwards everything must be as it was before, seen from
 * outside: registers, descriptor tables, interrupt controllers, the VO, and all mappings of the
 * kernel's half. sweep.c has switches that are interrupted.
 */
#include "rollback.h"

/* --- steps --- */

void check_now(struct machine *m, bool is_virtual)
{
	stop_idle(m);
	is_virtual ? check_whole(m) : check_mode(m, false);
	machine_continue(m);
}

const char *output_of(struct machine *m, const char *text, double seconds)
{
	size_t from = m->seen;
	command(m, text, seconds);
	return m->log + from + strlen(text);
}

const char *last_words(struct machine *m, const char *guest)
{
	char text[80];
	unsigned looks = 0;
	snprintf(text, sizeof(text), "\n%-15s ended", guest);
	while (!strstr(output_of(m, "sleep 1; dom list", 120), text))
		CHECK(++looks < 250, "%s does not end", guest);
	snprintf(text, sizeof(text), "dom console %s </dev/null", guest);
	return output_of(m, text, 20);
}

/* Ask for a mode. error: what the writer must be told; NULL if the switch must succeed. */
static void change(struct machine *m, bool to_virtual, const char *error)
{
	char text[100], want[100];
	const char *mode = to_virtual ? "virtual" : "native";
	snprintf(text, sizeof(text), "echo %s > /proc/mode && echo went || echo refused", mode);
	snprintf(want, sizeof(want), error ? "%s\nrefused\n" : "\nwent\n", error);
	const char *out = output_of(m, text, 60);
	CHECK(strstr(out, want), "the switch to %s mode did not end as it must, with \"%s\"", mode,
	      error ? error : "went");
}

/* The last line of /proc/switch must contain `want`. Result: its number of retries. */
static unsigned check_record(struct machine *m, const char *want)
{
	unsigned retries = 0;
	const char *last = output_of(m, "cat /proc/switch", 20);
	for (const char *line = last; (line = strchr(line, '\n'));)
		if (*++line >= '0' && *line <= '9')
			last = line;
	CHECK(strstr(last, want), "/proc/switch ends with %s, not with \"%s\"", last, want);
	/* number, direction, total and nine phases stand before it */
	sscanf(last, "%*u %*s %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %u", &retries);
	return retries;
}

/* Programs use processes, files and pipes. */
static void work(struct machine *m)
{
	const char *out = output_of(m, "ls -l /bin | grep s | wc; echo some text > /tmp/x; "
				       "cat /tmp/x; rm /tmp/x; sleep 0.03", 60);
	CHECK(strstr(out, "\nsome text\n"), "the machine does not go on");
}

/* A switch that is not disturbed succeeds. */
static void change_well(struct machine *m, bool to_virtual)
{
	change(m, to_virtual, NULL);
	check_now(m, to_virtual);
	work(m);
}

/* --- 1: a failure rehearsed after each phase --- */

static void rehearse(struct machine *m, const char *phase, bool to_virtual)
{
	char text[100];
	snprintf(text, sizeof(text), "echo fail %s > /proc/switch", phase);
	command(m, text, 20);
	struct snapshot *before = snapshot_take(m);
	change(m, to_virtual, "input/output error");
	snapshot_compare(before, m);
	check_now(m, !to_virtual);
	snprintf(text, sizeof(text), "%s: rehearsed failure", phase);
	check_record(m, text);
	work(m);
	change_well(m, to_virtual);
}

static void rehearsals(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	rehearse(m, t->text, true);
	rehearse(m, t->text, false);
	const char *out = output_of(m, "stress 1r 5 && echo all well", 100);
	CHECK(strstr(out, "\nall well\n"), "the programs do not work any more");
	end_at_prompt(m);
}

/* --- 2: a CPU that does not answer --- */

/*
 * Make an idle CPU silent, by putting it at the end of a function that stops CPUs for ever; or,
 * without a function, make it idle again at eip. Result: where it stood.
 */
static uint32_t silence(struct machine *m, unsigned cpu, uint32_t function, uint32_t eip)
{
	stop_idle(m);
	gdb_connect(m);
	uint32_t stood = function ? gdb_silence(m, cpu, function) : gdb_put_idle(m, cpu, true, eip);
	gdb_disconnect(m);
	return stood;
}

static void check_time(double start)
{
	double took = clock_seconds() - start;
	CHECK(took > 0.9, "the switch failed after %.1f s: it should wait for 1 s", took);
}

static void silent_attach(struct machine *m, unsigned cpu)
{
	struct snapshot *before = snapshot_take(m);
	uint32_t eip = silence(m, cpu, symbol("native_cpu_halt"), 0);
	double start = clock_seconds();
	change(m, true, "timed out");
	check_time(start);
	check_record(m, "gather: a CPU did not answer");
	work(m);
	stop_idle(m);
	check_mode(m, false);
	silence(m, cpu, 0, eip);
	snapshot_compare(before, m);
}

/*
 * In virtual mode the start of a process flushes the TLBs of all CPUs, and would wait for the
 * silent one. So the program that asks for the switch, cat, is started first and then waits for
 * its input.
 */
static void silent_detach(struct machine *m, unsigned cpu)
{
	struct snapshot *before = snapshot_take(m);
	uint32_t pid = kernel_word(m, "next_pid");
	machine_wait_begins(m, 10);
	machine_send(m, "cat > /proc/mode\n");
	for (; kernel_word(m, "next_pid") == pid && !machine_late(m); usleep(2000))
		machine_pump(m);
	uint32_t eip = silence(m, cpu, vmm_symbol("hc_halt"), 0);
	double start = clock_seconds();
	machine_send(m, "native\n");
	machine_expect(m, "cat: ", 20);
	check_time(start);
	stop_idle(m);
	check_whole(m);
	silence(m, cpu, 0, eip);
	machine_expect(m, PROMPT, 20);
	snapshot_compare(before, m);
	check_record(m, "gather: a CPU did not answer");
	work(m);
}

static void silent_cpu(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	silent_attach(m, m->o.cpus - 1);
	change_well(m, true);
	silent_detach(m, m->o.cpus - 1);
	change_well(m, false);
	end_at_prompt(m);
}

/* --- 3: a VO that is always in use --- */

enum { RETRIES = 200, TICK_MS = 10 }; /* one try at each tick */

static void set_use(struct machine *m, uint32_t from, uint32_t to)
{
	uint32_t *use = (uint32_t *)(m->ram + symbol("vo_uses") - KERNEL_BASE);
	stop_idle(m);
	CHECK(*use == from, "vo_uses[0] is %u, not %u", *use, from);
	*use = to;
	machine_continue(m);
}

static void in_use(struct machine *m, bool to_virtual)
{
	struct snapshot *before = snapshot_take(m);
	set_use(m, 0, 1);
	uint64_t start = virtual_ns(m);
	change(m, to_virtual, "in use");
	/* of the switch, and of the idle machine before and after it */
	uint64_t ms = (virtual_ns(m) - start) / 1000000;
	set_use(m, 1, 0);
	snapshot_compare(before, m);
	check_now(m, !to_virtual);
	unsigned retries = check_record(m, "quiesce: the VO was in use at every try");
	CHECK(retries == RETRIES && ms >= (RETRIES - 1) * TICK_MS,
	      "the switch was given up after %u retries in %u ms", retries, (unsigned)ms);
	work(m);
	change_well(m, to_virtual);
}

static void vo_in_use(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	in_use(m, true);
	in_use(m, false);
	end_at_prompt(m);
}

/* --- the tests --- */

#define ROW(n, f, s, phase, ...) \
	{ .name = n, .run = f, .seconds = s, .text = phase, .machine = { __VA_ARGS__ } }
#define REHEARSALS(phase) \
	ROW("rollback-" phase, rehearsals, 60, phase, .p2m = "shuffle:1"), \
	ROW("rollback-" phase "-smp4", rehearsals, 60, phase, .p2m = "shuffle:2", .cpus = 4)
const struct test rollback_tests[] = {
	REHEARSALS("gather"),
	REHEARSALS("quiesce"),
	REHEARSALS("account"),
	REHEARSALS("protect"),
	REHEARSALS("install"),
	REHEARSALS("translate"),
	ROW("rollback-translate-bochs", rehearsals, 240, "translate", .p2m = "shuffle:3",
	    .bochs = true),
	ROW("rollback-translate-v86", rehearsals, 120, "translate", .p2m = "shuffle:3",
	    .v86 = true, .mem = 16),
	/* Free running: the leader spins for a second, while the other CPUs do not stand still. */
	ROW("rollback-silent-cpu-smp2", silent_cpu, 120, NULL, .cpus = 2, .free_running = true),
	ROW("rollback-silent-cpu-smp4", silent_cpu, 120, NULL, .cpus = 4, .p2m = "shuffle:4",
	    .free_running = true),
	ROW("rollback-vo-in-use", vo_in_use, 60, NULL, 0),
	{ 0 },
};
