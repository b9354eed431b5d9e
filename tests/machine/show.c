/* SPDX-License-Identifier: MIT */
/*
 * What is shown rather than judged. --demo: programs at work while the VMM comes and goes beneath
 * them, with modes and rings read from outside. --bench-switch: what a switch costs, and how that
 * grows.
 */
#include "bench.h"
#include <errno.h>

enum { NR_PHASES = 9, LINES = 8 };
static const char *const phase_names[NR_PHASES] = {
	"request", "gather", "quiesce", "account", "protect", "install", "translate", "commit",
	"resume",
};

/* --- one line of /proc/switch --- */

struct cost { unsigned attach, total, phase[NR_PHASES], retries, cpus, pinned; };

static bool parse_cost(const char *line, struct cost *c)
{
	unsigned number;
	char direction[16];
	int at = 0;
	if (sscanf(line, "\n%u %15s %u%n", &number, direction, &c->total, &at) != 3 ||
	    (strcmp(direction, "attach") != 0 && strcmp(direction, "detach") != 0))
		return false;
	c->attach = direction[0] == 'a';
	for (unsigned p = 0; p < NR_PHASES; p++) {
		int used = 0;
		if (sscanf(line + at, " %u%n", &c->phase[p], &used) != 1)
			return false;
		at += used;
	}
	return sscanf(line + at, " %u %u %u", &c->retries, &c->cpus, &c->pinned) == 3 &&
	       strstr(line + at, "ok");
}

/* best: the cheapest detach and attach in a log; others were interrupted. Result: all switches. */
static unsigned find_costs(const char *log, struct cost best[2])
{
	struct cost c;
	unsigned n = 0;
	best[0].total = best[1].total = ~0u;
	for (const char *line = strchr(log, '\n'); line; line = strchr(line + 1, '\n'))
		if (parse_cost(line, &c)) {
			n++;
			if (c.total < best[c.attach].total)
				best[c.attach] = c;
		}
	CHECK(n >= 2 && best[0].total != ~0u && best[1].total != ~0u,
	      "/proc/switch shows no switch of each direction");
	return n;
}

static void print_costs(const char *what, const struct cost *c)
{
	printf("%-36s %8u", what, c->total);
	for (unsigned p = 0; p < NR_PHASES; p++)
		printf(" %9u", c->phase[p]);
	printf(" %7u\n", c->pinned);
}

static void print_head(const char *what)
{
	printf("%-36s %8s", what, "total");
	for (unsigned p = 0; p < NR_PHASES; p++)
		printf(" %9s", phase_names[p]);
	printf(" %7s\n", "pinned");
}

/* --- demo --- */

/* Collect the lines "work NAME: RESULT" of a log in text, in a fixed order. */
static void results_of(const char *log, char *text, size_t size)
{
	static const char *const names[] = { "pipeline", "clock", "processes", "files" };
	size_t n = 0;
	for (unsigned i = 0; i < 4; i++) {
		char wanted[40];
		snprintf(wanted, sizeof(wanted), "\nwork %s: ", names[i]);
		const char *line = strstr(log, wanted);
		CHECK(line, "the program `work %s` printed no result", names[i]);
		n += (size_t)snprintf(text + n, size - n, "    %.*s\n",
				      (int)strcspn(line + 6, "\r\n"), line + 6);
	}
}

struct sample { unsigned native, virtual, ring[4]; };

static void look(struct machine *m, struct sample *s)
{
	struct cpu_state cpus[CPUS_MAX];
	unsigned n = machine_state(m, cpus);
	for (unsigned i = 0; i < n; i++) {
		cpus[i].gdt.base >= VMM_BASE ? s->virtual++ : s->native++;
		if (i == 0)
			printf("    CPU 0: ring %u, %s mode (GDT at %08x, IDT at %08x, EIP %08x)\n",
			       cpus[0].cpl, cpus[0].gdt.base >= VMM_BASE ? "virtual" : "native ",
			       cpus[0].gdt.base, cpus[0].idt.base, cpus[0].eip);
		s->ring[cpus[i].cpl]++;
	}
	fflush(stdout);
}

void demo(const struct test *t)
{
	static char alone[1000], amid[1000];
	struct machine_options o = t->machine;
	struct sample s = { 0 };
	struct cost best[2];
	puts("demo: four programs run, first without any switch:");
	struct machine *m = run_command(&o, "work 400", EXIT_OK, 60);
	results_of(m->log, alone, sizeof(alone));
	printf("%s", alone);
	puts("demo: the same, while the VMM slides beneath the running kernel and out again, "
	     "all the time.\n"
	     "      Seen from outside (QMP), now and then:");
	fflush(stdout);
	o.cmdline = "run=\"switcher 30 20 work 400 && cat /proc/switch\"";
	m = machine_start(&o);
	machine_expect(m, "Cinnabar:", 20);
	for (int i = 0; i < LINES; i++) {
		usleep(90000);
		machine_pump(m);
		if (strstr(m->log, "\nswitched "))
			break;
		machine_stop(m);
		look(m, &s);
		machine_continue(m);
	}
	CHECK(machine_wait(m, 60) == EXIT_OK, "the machine ended with status %d", m->exit_status);
	root_check(m);
	results_of(m->log, amid, sizeof(amid));
	printf("%s\n", amid);
	find_costs(m->log, best);
	const char *said = strstr(m->log, "\nswitched ");
	printf("%.*s; the cheapest of the last, in ticks of the time-stamp counter:\n",
	       (int)strcspn(said + 1, "\r\n"), said + 1);
	printf("    %-12s %18s %18s\n", "phase", "attach (to ring 1)", "detach (to ring 0)");
	for (unsigned p = 0; p < NR_PHASES; p++)
		printf("    %-12s %18u %18u\n", phase_names[p], best[1].phase[p], best[0].phase[p]);
	printf("    %-12s %18u %18u\n", "total", best[1].total, best[0].total);
	printf("    looked at %u times: native %u, virtual %u; ring 0 %u, ring 1 %u, ring 3 %u "
	       "(each CPU counts)\n",
	       s.native + s.virtual, s.native, s.virtual, s.ring[0], s.ring[1], s.ring[3]);
	CHECK(strcmp(alone, amid) == 0, "a program's result differs from its run without switches");
	puts("\ndemo: every program's result equals its run without switches; "
	     "the file system is clean (e2fsck).");
	puts("demo: try it yourself with `make run`, then: "
	     "cat /proc/mode; echo virtual > /proc/mode; cat /proc/mode");
	fflush(stdout);
}

/* --- bench-switch --- */

static json_t *cost_json(const struct cost *c)
{
	json_t *j = json_pack("{s:i,s:i}", "total", c->total, "pinned", c->pinned);
	for (unsigned p = 0; p < NR_PHASES; p++)
		json_object_set_new(j, phase_names[p], json_integer(c->phase[p]));
	return j;
}

/* What a switch is measured over. The last four are kinds of `bench switch`, one at a time. */
enum { MIB, PROCESSES, CPUS, PAGES, TABLES, RAN, PREEMPTED, NR_AXES };
static const char *const axis_names[NR_AXES] = {
	"mib", "processes", "cpus", "pages", "tables", "ran", "preempted",
};
static const unsigned usual[NR_AXES] = { [MIB] = 512, [PROCESSES] = 32, [CPUS] = 1 };

/* The least of the lines "NAME N", mark being "\nNAME "; 0 if there is none above 0. */
static long long least(const char *log, const char *mark)
{
	long long best = 0;
	for (const char *line = strstr(log, mark); line; line = strstr(line + 1, mark)) {
		long long n = atoll(line + strlen(mark));
		if (n > 0 && (best == 0 || n < best))
			best = n;
	}
	return best;
}

static void measure(json_t *all, const unsigned value[NR_AXES])
{
	char command[100] = "", what[100];
	struct cost best[2];
	struct machine_options o = { .mem = value[MIB], .cpus = value[CPUS] };
	snprintf(command, sizeof(command), "crowd %u bench switch pages 0",
		 value[PROCESSES]);
	for (unsigned i = PAGES; i < NR_AXES; i++)
		if (value[i])
			snprintf(command, sizeof(command), "crowd %u bench switch %s %u",
				 value[PROCESSES], axis_names[i], value[i]);
	strcat(command, " && cat /proc/switch");
	const char *log = run_command(&o, command, EXIT_OK, 120)->log;
	find_costs(log, best);
	json_t *j = json_object();
	for (unsigned i = 0; i < NR_AXES; i++)
		json_object_set_new(j, axis_names[i], json_integer(value[i]));
	for (unsigned attach = 2; attach-- > 0;) {
		const char *way = attach ? "attach" : "detach";
		size_t n = (size_t)snprintf(what, sizeof(what), "%s", way);
		for (unsigned i = 0; i < NR_AXES; i++)
			if (value[i] != usual[i])
				n += (size_t)snprintf(what + n, sizeof(what) - n, " %s %u",
						      axis_names[i], value[i]);
		print_costs(what, &best[attach]);
		json_object_set_new(j, way, cost_json(&best[attach]));
	}
	long long later = least(log, "\nlater "), leave = least(log, "\nleave ");
	json_object_set_new(j, "later", json_integer(later));
	json_object_set_new(j, "leave", json_integer(leave));
	printf("    left for later by attach %lld; a detach in all, for its writer, %lld\n", later,
	       leave);
	fflush(stdout);
	json_array_append_new(all, j);
}

/* The usual switch, and those that differ from it in one value; then two with many CPUs. */
void bench_switch(const struct test *t)
{
	static const unsigned values[NR_AXES][7] = {
		[MIB] = { 32, 64, 128, 256 },    [PROCESSES] = { 1, 100, 200 },
		[CPUS] = { 2, 4, 8 },            [PAGES] = { 64, 256, 1024, 4096, 16384, 65536 },
		[TABLES] = { 1, 4, 16, 64, 256 }, [RAN] = { 8, 32, 100, 200 },
		[PREEMPTED] = { 1, 4, 8, 32 },
	};
	static const unsigned large[NR_AXES] = { 512, 32, 8, 16384 };
	json_t *all = json_array();
	char path[300];
	(void)t;
	printf("usual: %u MiB, %u processes, %u CPU\n", usual[MIB], usual[PROCESSES], usual[CPUS]);
	print_head("instructions, of all CPUs together");
	measure(all, usual);
	for (unsigned i = 0; i < NR_AXES; i++)
		for (unsigned k = 0; values[i][k]; k++) {
			unsigned value[NR_AXES];
			memcpy(value, usual, sizeof(value));
			value[i] = values[i][k];
			measure(all, value);
		}
	measure(all, large);
	json_t *windows = json_array();
	for (unsigned cpus = 1; cpus <= 8; cpus *= 8) {
		json_t *w = bench_windows(cpus, 4096);
		printf("interrupts off on a CPU of %u, with 4096 pages: attach %lld, detach %lld\n",
		       cpus, json_integer_value(json_object_get(w, "attach")),
		       json_integer_value(json_object_get(w, "detach")));
		json_array_append_new(windows, w);
	}
	puts("for comparison: Mercury, 0.2 ms at 3 GHz (ICPP 2007), is 600,000 cycles");
	fflush(stdout);
	snprintf(path, sizeof(path), "%s/bench-switch.json", build_dir);
	json_t *result = json_pack("{s:s,s:o,s:o}", "unit", "instructions", "switches", all,
				   "windows", windows);
	if (json_dump_file(result, path, JSON_INDENT(2)) < 0)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
}
