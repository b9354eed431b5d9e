/* SPDX-License-Identifier: MIT */
/*
 * make trace: records mode switches from outside and writes a page. The machine runs under -icount and changes its mode by
 * itself (run=), so every run is the same. It stops at each phase and at each function of the VMM's half, or after
 * each instruction, from the begin of request() to its return.
 */
#include "judge.h"
#include "trace.h"

enum { MAX_PLACES = 64, MAX_STEPS = 20000, RUN_SECONDS = 60, MEMORY = 32 };

/* The VMM's half, and the handler: stops that are no phases of their own. */
static const char *const kernel_stops[] = { "switch_interrupt", "install_here", "translate_here", NULL };
static const char *const vmm_stops[] = { "frames_forget", "frames_account", "frames_protect", "cpu_install", "irq_reinject",
					 "cpu_restore", NULL };

struct place { uint32_t address; const char *name; int phase; /* -1: none */ };
static struct place places[MAX_PLACES];
static unsigned nr_places;

static struct {
	const char *out;
	bool instructions, attach, detach;
} options = { "build/trace.html", false, true, true };

/* --- where to stop: GDB knows, as the compiler puts functions into each other --- */

static void add_places(const char *elf, const char *const *names, bool phases)
{
	char command[1000] = "", text[16000];
	size_t at = 0;
	for (unsigned i = 0; phases ? i < NR_PHASES : names[i] != NULL; i++)
		at += (size_t)snprintf(command + at, sizeof(command) - at, " -ex 'break %s'", names[i]);
	if (shell(text, sizeof(text), 60, "gdb -nx -batch%s -ex 'info breakpoints' %s 2>&1", command, elf) != 0)
		give_up(BROKEN, "gdb does not find the phases in %s:\n%s", elf, text);
	for (const char *s = text; (s = strstr(s, "0x")) != NULL; s += 2) {
		char name[100];
		uint32_t address;
		if (sscanf(s, "%x in %99s at", &address, name) != 2)
			continue;
		for (unsigned i = 0; phases ? i < NR_PHASES : names[i] != NULL; i++)
			if (strcmp(name, names[i]) == 0 && nr_places < MAX_PLACES)
				places[nr_places++] = (struct place){ address, names[i], phases ? (int)i : -1 };
	}
}

static const struct place *place_at(uint32_t address)
{
	for (const struct place *p = places; p < places + nr_places; p++)
		if (p->address == address)
			return p;
	return NULL;
}

/* --- running --- */

/*
 * While it is recorded the machine goes by single steps, with interrupts (VEC_SWITCH is one) but without timers: at each stop
 * QEMU's virtual clock jumps to the next timer, and a tick at each step would be nothing but our own doing. The one tick that
 * the first stop causes comes before request().
 */
enum { SSTEP_ENABLE = 1, SSTEP_NOTIMER = 4 };

struct call { uint32_t back, attach; }; /* request()'s stack at its begin */

static struct call to_request(struct machine *m)
{
	struct call c;
	gdb_break(m, symbol("switch_mode"), true);
	if (!gdb_run(m, RUN_SECONDS))
		give_up(FAILED, "no mode switch within %d s", RUN_SECONDS);
	gdb_break(m, symbol("switch_mode"), false);
	for (unsigned n = 0; gdb_register(m, GDB_EIP) != symbol("request"); n++) {
		gdb_step(m);
		if (n == MAX_STEPS)
			give_up(FAILED, "switch_mode() does not come to request() in %d instructions", MAX_STEPS);
	}
	gdb_read(m, gdb_register(m, GDB_ESP), &c, sizeof(c));
	return c;
}

/* From request() to its return. A repeated string instruction is one step. */
static void record_call(struct machine *m, struct trace *t, const struct call *c)
{
	const char *direction = c->attach & 1 ? "attach" : "detach";
	const struct place *last = place_at(symbol("request"));
	unsigned phase = 0;
	uint32_t eip = trace_step(t, direction, phase, trace_phases[phase]);
	for (unsigned n = 0; eip != c->back; n++) {
		uint32_t before = eip;
		gdb_step(m);
		eip = gdb_register(m, GDB_EIP);
		const struct place *p = place_at(eip);
		bool stop = p && p->name != last->name; /* one function may begin at several places: parts of it elsewhere */
		last = stop ? p : last;
		if (stop && p->phase >= 0)
			phase = (unsigned)p->phase;
		if (stop || eip == c->back || (options.instructions && eip != before))
			trace_step(t, direction, phase, stop ? p->name : eip == c->back ? "switch_mode" : NULL);
		if (n == MAX_STEPS)
			give_up(FAILED, "%s is not done after %d instructions", direction, MAX_STEPS);
	}
	if (gdb_register(m, GDB_EAX) != 0)
		give_up(FAILED, "%s failed with error %d", direction, (int)gdb_register(m, GDB_EAX));
}

static void record(const struct test *test)
{
	add_places(kernel_file, trace_phases, true);
	add_places(kernel_file, kernel_stops, false);
	add_places(vmm_file, vmm_stops, false);
	struct machine *m = machine_start(&test->machine);
	gdb_connect(m);
	gdb_command(m, 10, "Qqemu.sstep=%d", SSTEP_ENABLE | SSTEP_NOTIMER);
	char title[100];
	snprintf(title, sizeof(title), "Cinnabar: %s%s%s, %s", options.attach ? "attach" : "",
		 options.attach && options.detach ? " and " : "", options.detach ? "detach" : "",
		 options.instructions ? "instruction by instruction" : "phase by phase");
	struct trace *t = trace_begin(m, title);
	for (unsigned switches = 0; switches < (options.detach ? 2 : 1); switches++) {
		struct call c = to_request(m);
		if (c.attach & 1 ? options.attach : options.detach)
			record_call(m, t, &c);
	}
	json_t *json = trace_end(t);
	page_write(options.out, json, NULL);
	printf("trace: %zu steps in %s\n", json_array_size(json_object_get(json, "steps")), options.out);
	fflush(stdout);
	json_decref(json);
}

/* --- the program --- */

static void report(const struct result *r, unsigned done, unsigned all)
{
	(void)done, (void)all;
	if (r->outcome != PASSED)
		fprintf(stderr, "trace: %s\n", r->reason);
}

static int usage(void)
{
	fputs("usage: trace [OUT=file.html] [STEPS=phases|instructions] [DIRECTION=attach|detach|both]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *value = strchr(argv[i], '=');
		if (strncmp(argv[i], "OUT=", 4) == 0 && value[1])
			options.out = value + 1;
		else if (strcmp(argv[i], "STEPS=phases") == 0 || strcmp(argv[i], "STEPS=instructions") == 0)
			options.instructions = value[1] == 'i';
		else if (strcmp(argv[i], "DIRECTION=attach") == 0 || strcmp(argv[i], "DIRECTION=detach") == 0 ||
			 strcmp(argv[i], "DIRECTION=both") == 0)
			options.attach = value[1] != 'd', options.detach = value[1] != 'a';
		else
			return usage();
	}
	struct result result = { .test = { .name = "trace", .run = record, .seconds = 600, .machine = {
		.mem = MEMORY, .paused = true, .cmdline = "run=\"echo virtual > /proc/mode && echo native > /proc/mode\"" } } };
	char *base_dir = judge_make_dir();
	judge_all(&(struct judge){ .jobs = 1, .base_dir = base_dir, .again = "build/", .report = report }, &result, 1);
	judge_remove_dir(base_dir);
	return result.outcome != PASSED;
}
