/* SPDX-License-Identifier: MIT */
/*
 * Switches that fail, and switches that are interrupted. Behind a failed one everything must be as before it, as
 * seen from outside: registers, descriptor tables, interrupt controllers, the VO and all mappings of the kernel's half.
 * A sweep lets the timer's tick fall at the instructions of a switch one after the other, and no tick may be lost or
 * come twice (V8).
 */
#include "tests.h"

enum { REQUEST, GATHER, QUIESCE, ACCOUNT, PROTECT, INSTALL, TRANSLATE, COMMIT, RESUME, NR_PHASES };
static const char *const phases[NR_PHASES] = {
	"request", "gather", "quiesce", "account", "protect", "install", "translate", "commit", "resume",
};

static void check_now(struct machine *m, bool is_virtual)
{
	stop_idle(m);
	is_virtual ? check_whole(m) : check_mode(m, false);
	machine_continue(m);
}

/* --- steps --- */

/* Run a command. Result: what it printed, part of the log. */
static const char *output_of(struct machine *m, const char *text, double seconds)
{
	size_t from = m->seen;
	command(m, text, seconds);
	return m->log + from + strlen(text);
}

/* Ask for a mode. error: what the writer must be told, NULL if it must go well. */
static void change(struct machine *m, bool to_virtual, const char *error)
{
	char text[100], want[100];
	const char *mode = to_virtual ? "virtual" : "native";
	snprintf(text, sizeof(text), "echo %s > /proc/mode && echo went || echo refused", mode);
	snprintf(want, sizeof(want), error ? "%s\nrefused\n" : "\nwent\n", error);
	const char *out = output_of(m, text, 60);
	CHECK(strstr(out, want), "the switch to %s mode did not end as it must, with \"%s\"", mode, error ? error : "went");
}

/* The last line of /proc/switch must hold this. Result: its number of retries. */
static unsigned check_record(struct machine *m, const char *want)
{
	unsigned retries = 0;
	const char *last = output_of(m, "cat /proc/switch", 20);
	for (const char *line = last; (line = strchr(line, '\n'));)
		if (*++line >= '0' && *line <= '9')
			last = line;
	CHECK(strstr(last, want), "/proc/switch ends with %s, not with \"%s\"", last, want);
	sscanf(last, "%*u %*s %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %u", &retries);
	return retries;
}

/* Processes, files, pipes. */
static void work(struct machine *m)
{
	const char *out = output_of(m, "ls -l /bin | grep s | wc; echo some text > /tmp/x; cat /tmp/x; rm /tmp/x; sleep 0.03",
				    60);
	CHECK(strstr(out, "\nsome text\n"), "the machine does not go on");
}

/* --- 1: a failure rehearsed behind each phase --- */

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
	change(m, to_virtual, NULL);
	check_now(m, to_virtual);
	work(m);
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

/* Silence an idle CPU (function: where one is stopped for ever) or, without a function, wake it at eip. Result: where it stood. */
static uint32_t silence(struct machine *m, unsigned cpu, uint32_t function, uint32_t eip)
{
	stop_idle(m);
	gdb_connect(m);
	uint32_t stood = function ? gdb_silence(m, cpu, function) : gdb_put_idle(m, cpu, true, eip);
	gdb_command(m, 10, "D"); /* go on without us */
	close(m->gdb);
	m->gdb = -1;
	return stood;
}

static void check_time(double start)
{
	double took = now() - start;
	CHECK(took > 0.9, "the switch failed after %.1f s: it should wait for 1 s", took);
}

static void silent_attach(struct machine *m, unsigned cpu)
{
	struct snapshot *before = snapshot_take(m);
	uint32_t eip = silence(m, cpu, symbol("native_cpu_halt"), 0);
	double start = now();
	change(m, true, "timed out");
	check_time(start);
	check_record(m, "gather: a CPU did not answer");
	work(m);
	stop_idle(m);
	check_mode(m, false);
	silence(m, cpu, 0, eip);
	snapshot_compare(before, m);
}

/* In virtual mode a new process needs all CPUs, whose TLBs are flushed: so the writer is there before. */
static void silent_detach(struct machine *m, unsigned cpu)
{
	struct snapshot *before = snapshot_take(m);
	uint32_t pid = kernel_word(m, "next_pid");
	machine_send(m, "cat > /proc/mode\n");
	for (double limit = machine_limit(10); kernel_word(m, "next_pid") == pid && !machine_late(m, limit); usleep(2000))
		machine_pump(m);
	uint32_t eip = silence(m, cpu, vmm_symbol("hc_halt"), 0); /* when all are idle: cat waits for its input */
	double start = now();
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
	change(m, true, NULL);
	check_now(m, true);
	work(m);
	silent_detach(m, m->o.cpus - 1);
	change(m, false, NULL);
	check_now(m, false);
	work(m);
	end_at_prompt(m);
}

/* --- 3: a VO that is never free --- */

enum { RETRIES = 200, TICK_MS = 10 }; /* one try a tick */

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
	uint64_t ms = (virtual_ns(m) - start) / 1000000; /* and what the idle machine did before and after */
	set_use(m, 1, 0);
	snapshot_compare(before, m);
	check_now(m, !to_virtual);
	unsigned retries = check_record(m, "quiesce: the VO was in use at every try");
	CHECK(retries == RETRIES && ms >= (RETRIES - 1) * TICK_MS, "the switch was given up after %u retries in %u ms",
	      retries, (unsigned)ms);
	work(m);
	change(m, to_virtual, NULL);
	check_now(m, to_virtual);
	work(m);
}

static void vo_in_use(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	in_use(m, true);
	in_use(m, false);
	end_at_prompt(m);
}

/* --- 4: the tick at each instruction of a switch --- */

static struct moment moment_at_rest(struct machine *m)
{
	stop_idle(m);
	struct moment now = moment(m);
	machine_continue(m);
	return now;
}

/* text: first and last instruction and step. The last one must lie behind the longest switch. */
static void sweep(const struct test *t)
{
	unsigned first, last, step, period, switches, ticks, longest[2], retried;
	char text[100];
	sscanf(t->text, "%u %u %u", &first, &last, &step);
	snprintf(text, sizeof(text), "ticks %s", t->text);
	struct machine *m = start_to_prompt(&t->machine);
	struct moment before = moment_at_rest(m);
	const char *out = output_of(m, text, t->seconds - 10), *said = strstr(out, "ticks: period");
	struct moment after = moment_at_rest(m);
	CHECK(said && sscanf(said, "ticks: period %u, switches %u, ticks %u, longest %u %u, retried %u", &period, &switches,
			     &ticks, &longest[0], &longest[1], &retried) == 6, "ticks were lost or doubled:%s", out);
	CHECK(period == before.period, "a tick is every %u ns, the program saw one every %u", before.period, period);
	CHECK(switches == 6 * ((last - first) / step + 1), "only %u switches", switches);
	CHECK(longest[0] < last && longest[1] < last, "the sweep ends within the switch: attach takes up to %u, detach %u",
	      longest[0], longest[1]);
	check_ticks(&before, &after);
	check_now(m, false);
	end_at_prompt(m);
}

/* struct switch_record of kernel/switch/record.h, in history[HISTORY] */
struct record { uint32_t attach, error, failed, fail, retries, cpus, pinned, start[2], at[2], ticks[NR_PHASES]; };
enum { HISTORY = 32 };
_Static_assert(sizeof(struct record) == 80, "as the kernel has it");

/*
 * Switches with the tick at instruction k, to virtual and to native mode: of the six that user/programs/ticks.c does, the
 * first and the fourth. Result: time of a tick, by the guest's time-stamp counter.
 */
static uint64_t pair_at(struct machine *m, uint32_t k, uint32_t *period, struct record records[2])
{
	char text[100];
	unsigned long long first;
	snprintf(text, sizeof(text), "ticks %u %u 1", k, k);
	const char *out = output_of(m, text, 30), *at = strstr(out, "first ");
	CHECK(at && sscanf(at, "first %llx", &first) == 1, "ticks were lost or doubled:%s", out);
	*period = number_in(out, "period ", 10);
	stop_idle(m);
	uint32_t n = kernel_word(m, "nr_switches"), kept = symbol("history") - KERNEL_BASE;
	for (unsigned i = 0; i < 2; i++) {
		uint32_t at = (n - 6 + 3 * i) % HISTORY * (uint32_t)sizeof(struct record);
		physical_read(m, kept + at, &records[i], sizeof(records[i]));
		CHECK((records[i].attach & 1) == !i && !records[i].error, "a switch is not recorded, or failed");
	}
	machine_continue(m);
	return first;
}

static uint64_t start_of(const struct record *r) { return (uint64_t)r->start[1] << 32 | r->start[0]; }

static uint32_t total(const struct record *r)
{
	uint32_t sum = 0;
	for (unsigned p = 0; p < NR_PHASES; p++)
		sum += r->ticks[p];
	return sum;
}

/* The phase in which a tick came; NR_PHASES: none. */
static unsigned phase_at(const struct record *r, uint64_t first, uint32_t period)
{
	uint64_t begin = start_of(r);
	for (unsigned p = 0; p < NR_PHASES; begin += r->ticks[p++])
		if ((begin + r->ticks[p] - first) / period != (begin - first) / period)
			return p;
	return NR_PHASES;
}

/* A tick at instruction k must fall into this phase; where the VMM takes it, its exit makes the switch longer. */
static void tick_within(struct machine *m, unsigned phase, uint32_t k, const struct record *quiet)
{
	struct record now[2];
	uint32_t period, attach = quiet->attach & 1;
	const char *direction = attach ? "attach" : "detach";
	uint64_t first = pair_at(m, k, &period, now);
	unsigned found = phase_at(&now[!attach], first, period);
	uint32_t longer = total(&now[!attach]) - total(quiet);
	CHECK(found == phase, "a tick meant for %s of %s fell into %s", phases[phase], direction,
	      found < NR_PHASES ? phases[found] : "none");
	if (phase > REQUEST && phase < (attach ? RESUME : INSTALL))
		CHECK(longer > 30 && longer < 1000, "a tick in %s of %s made it longer by %u instructions: no exit",
		      phases[phase], direction, longer);
}

/* The sweep does what it says: a tick can be put into each phase of both directions, and is taken there. */
static void sweep_phases(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	struct record quiet[2];
	uint32_t period, behind = t->number;
	uint64_t first = pair_at(m, behind, &period, quiet);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(phase_at(&quiet[i], first, period) == NR_PHASES, "a switch takes over %u instructions", behind);
		uint64_t start = start_of(&quiet[i]), tick = first + ((start - first) / period + 1) * period;
		uint32_t k = behind - (uint32_t)(tick - start); /* instructions from the write to the record's begin */
		for (unsigned p = 0; p < NR_PHASES; k += quiet[i].ticks[p++])
			tick_within(m, p, k + quiet[i].ticks[p] / 2, &quiet[i]);
	}
	end_at_prompt(m);
}

/* --- the tests --- */

#define REHEARSE(phase, n, s, ...) \
	{ .name = "rollback-" phase n, .run = rehearsals, .seconds = s, .text = phase, .machine = { __VA_ARGS__ } }
#define REHEARSALS(phase) \
	REHEARSE(phase, "", 60, .p2m = "shuffle:1"), REHEARSE(phase, "-smp4", 60, .p2m = "shuffle:2", .cpus = 4)
#define SILENT(n, ...) { .name = "rollback-silent-cpu-" n, .run = silent_cpu, .seconds = 120, .machine = { __VA_ARGS__ } }
#define SWEEP(n, s, from_to_step) \
	{ .name = n, .run = sweep, .seconds = s, .text = from_to_step, .machine = { .p2m = "shuffle:5" } }
const struct test rollback_tests[] = {
	REHEARSALS("gather"), REHEARSALS("quiesce"), REHEARSALS("account"), REHEARSALS("protect"), REHEARSALS("install"),
	REHEARSALS("translate"),
	REHEARSE("translate", "-bochs", 240, .p2m = "shuffle:3", .bochs = true),
	SILENT("smp2", .cpus = 2), SILENT("smp4", .cpus = 4, .p2m = "shuffle:4"),
	{ .name = "rollback-vo-in-use", .run = vo_in_use, .seconds = 60 },
	SWEEP("sweep-ticks", 120, "3 7000 29"),
	{ .name = "sweep-phases", .run = sweep_phases, .seconds = 60, .number = 12000 },
	{ 0 },
};

const struct test rollback_soak_tests[] = {
	SWEEP("soak-sweep-ticks", 1800, "0 7000 1"),
	{ 0 },
};
