/* SPDX-License-Identifier: MIT */
/*
 * Records mode switches from outside. The machine runs under -icount and changes its mode by itself (run=, mode=), so every run
 * is the same. It stops at each phase and at each function of the VMM's half, or after each instruction, from the begin of
 * the function that switches to its return.
 */
#include "judge.h"
#include "trace.h"

enum { MAX_PLACES = 64, MAX_STEPS = 20000, MEMORY = 32 };
enum { REQUEST, GATHER, QUIESCE, ACCOUNT, PROTECT, INSTALL, TRANSLATE, COMMIT, RESUME, NO_PHASE = -1 };

struct stop { const char *name; int phase; };

/* At boot some phases have no function; there they begin with the first one that they call. */
static const struct stop kernel_stops[] = {
	{ "request", REQUEST }, { "gather", GATHER }, { "quiesce", QUIESCE }, { "account", ACCOUNT }, { "protect", PROTECT },
	{ "install", INSTALL }, { "translate", TRANSLATE }, { "commit", COMMIT }, { "resume", RESUME },
	{ "switch_interrupt", NO_PHASE }, { "install_here", INSTALL }, { "translate_here", TRANSLATE },
	{ "sched_each_preempted", TRANSLATE }, { "panic", NO_PHASE }, { NULL, 0 },
};
static const struct stop vmm_stops[] = {
	{ "frames_forget", NO_PHASE }, { "frames_account", NO_PHASE }, { "frames_protect", NO_PHASE }, { "cpu_install", NO_PHASE },
	{ "irq_reinject", NO_PHASE }, { "cpu_restore", NO_PHASE }, { "panic", NO_PHASE }, { NULL, 0 },
};

struct place { uint32_t address; const char *name; int phase; };
static struct place places[MAX_PLACES];
static unsigned nr_places;
static uint32_t cpu_install; /* its address */

/* Who switches: the function that is called for it, where the recording begins, and whence that was called. */
static const struct way { const char *called, *begin, *caller; }
	by_hand = { "switch_mode", "request", "switch_mode" }, at_boot = { "switch_at_boot", "switch_at_boot", "init_main" };

/* --- where to stop: GDB knows, as the compiler puts functions into each other --- */

static void add_place(uint32_t address, const char *name, int phase)
{
	if (nr_places < MAX_PLACES)
		places[nr_places++] = (struct place){ address, name, phase };
}

static void add_places(const char *elf, const struct stop *stops)
{
	char command[1000] = "", text[16000];
	size_t at = 0;
	for (const struct stop *s = stops; s->name; s++)
		at += (size_t)snprintf(command + at, sizeof(command) - at, " -ex 'break %s'", s->name);
	if (shell(text, sizeof(text), 60, "gdb -nx -batch%s -ex 'info breakpoints' %s 2>&1", command, elf) != 0)
		give_up(BROKEN, "gdb does not find the phases in %s:\n%s", elf, text);
	for (const char *line = text; (line = strstr(line, "0x")) != NULL; line += 2) {
		char name[100];
		uint32_t address;
		if (sscanf(line, "%x in %99s at", &address, name) != 2)
			continue;
		for (const struct stop *s = stops; s->name; s++)
			if (strcmp(name, s->name) == 0)
				add_place(address, s->name, s->phase);
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

struct call { uint32_t back, attach; }; /* the stack at its begin */

static struct call run_to_begin(struct machine *m, const struct way *way, double end)
{
	struct call c;
	gdb_break(m, symbol(way->called), true);
	if (!gdb_run(m, end - now()))
		give_up(FAILED, "%s() is not called", way->called);
	gdb_break(m, symbol(way->called), false);
	for (unsigned n = 0; gdb_register(m, GDB_EIP) != symbol(way->begin); n++) {
		gdb_step(m);
		if (n == MAX_STEPS)
			give_up(FAILED, "%s() does not come to %s() in %d instructions", way->called, way->begin, MAX_STEPS);
	}
	gdb_read(m, gdb_register(m, GDB_ESP), &c, sizeof(c));
	return c;
}

/* The end of cpu_install(), with the new tables: in the function that called it. */
static void add_return(struct machine *m)
{
	uint32_t back;
	gdb_read(m, gdb_register(m, GDB_ESP), &back, sizeof(back));
	if (!place_at(back))
		add_place(back, "enter", NO_PHASE);
}

static void check_limits(struct trace *t, const char *direction, unsigned phase, unsigned steps, double end)
{
	if (steps < MAX_STEPS && now() < end)
		return;
	trace_step(t, direction, phase, NULL);
	give_up(FAILED, "%s is not done after %u instructions", direction, steps);
}

/* From the begin to the return. A repeated string instruction is one step. */
static void record_call(struct machine *m, struct trace *t, const struct switches *s, const struct way *way, const struct call *c, double end)
{
	const char *direction = s->at_boot || c->attach & 1 ? "attach" : "detach", *last = way->begin;
	unsigned phase = REQUEST;
	uint32_t eip = trace_step(t, direction, phase, way->begin);
	for (unsigned n = 0; eip != c->back && phase < s->until; n++) {
		uint32_t before = eip;
		check_limits(t, direction, phase, n, end);
		gdb_step(m);
		eip = gdb_register(m, GDB_EIP);
		if (eip == cpu_install)
			add_return(m);
		const struct place *p = place_at(eip);
		bool stop = p && strcmp(p->name, last) != 0; /* one function may begin at several places: parts of it elsewhere */
		last = stop ? p->name : last;
		if (stop && p->phase != NO_PHASE)
			phase = (unsigned)p->phase;
		if (eip == c->back && gdb_register(m, GDB_EAX) == 0)
			phase = RESUME;
		if (stop || eip == c->back || (s->instructions && eip != before))
			trace_step(t, direction, phase, stop ? last : eip == c->back ? way->caller : NULL);
		if (stop && strcmp(last, "panic") == 0)
			give_up(FAILED, "panic() is called");
	}
	if (eip == c->back && gdb_register(m, GDB_EAX) != 0)
		give_up(FAILED, "%s failed with error %d", direction, (int)gdb_register(m, GDB_EAX));
}

struct machine *switches_start(const struct switches *s)
{
	add_places(kernel_file, kernel_stops);
	add_places(vmm_file, vmm_stops);
	cpu_install = vmm_symbol("cpu_install");
	struct machine *m = machine_start(&(struct machine_options){ .mem = MEMORY, .paused = true, .cmdline = s->at_boot ?
		"mode=virtual" : "run=\"echo virtual > /proc/mode && echo native > /proc/mode\"" });
	gdb_connect(m);
	gdb_command(m, 10, "Qqemu.sstep=%d", SSTEP_ENABLE | SSTEP_NOTIMER);
	return m;
}

void switches_record(struct machine *m, struct trace *t, const struct switches *s)
{
	const struct way *way = s->at_boot ? &at_boot : &by_hand;
	double end = now() + s->seconds;
	for (unsigned n = 0; n < (s->detach ? 2 : 1); n++) {
		struct call c = run_to_begin(m, way, end);
		if (s->at_boot || (c.attach & 1 ? s->attach : s->detach))
			record_call(m, t, s, way, &c, end);
	}
}
