/* SPDX-License-Identifier: MIT */
/*
 * Records mode switches from outside. The machine runs under -icount and changes its mode by
 * itself (boot options run=, mode=), so all runs are equal. From the begin of the function that
 * switches to its return it stops at each phase and at the VMM's functions for them, or after each
 * instruction.
 */
#include "judge.h"
#include "viewer.h"

enum { MAX_STEPS = 20000, MEMORY = 32 };
enum {
	REQUEST, GATHER, QUIESCE, ACCOUNT, PROTECT, INSTALL, TRANSLATE, COMMIT, RESUME,
};

/* Functions at which the machine stops, and the phase that begins there. */
static const struct stop kernel_stops[] = {
	{ "request", REQUEST }, { "gather", GATHER }, { "quiesce", QUIESCE },
	{ "account", ACCOUNT }, { "protect", PROTECT }, { "install", INSTALL },
	{ "translate", TRANSLATE }, { "commit", COMMIT }, { "resume", RESUME },
	{ "switch_interrupt", NO_PHASE }, { "install_here", NO_PHASE },
	{ "translate_here", NO_PHASE }, { "sched_each_preempted", NO_PHASE },
	{ "panic", NO_PHASE }, { NULL, 0 },
};
static const struct stop vmm_stops[] = {
	{ "frames_forget", NO_PHASE }, { "frames_account", NO_PHASE },
	{ "frames_protect", NO_PHASE }, { "cpu_install", NO_PHASE },
	{ "irq_reinject", NO_PHASE }, { "cpu_restore", NO_PHASE },
	{ "vmm_panic", NO_PHASE }, { NULL, 0 },
};

static uint32_t cpu_install, translate; /* their addresses */

/* A way to switch: the function that does it, where the recording begins, and its caller. */
static const struct way { const char *called, *begin, *caller; }
	by_hand = { "switch_mode", "request", "switch_mode" },
	at_boot = { "switch_at_boot", "switch_at_boot", "init_main" };

/* --- running --- */

/* The stack at the begin of the recording: return address and first argument. */
struct call { uint32_t back, attach; };

static struct call run_to_begin(struct machine *m, const struct way *way, double end)
{
	struct call c;
	gdb_break(m, symbol(way->called), true);
	if (!gdb_run(m, end - clock_seconds()))
		give_up(FAILED, "%s() is not called", way->called);
	gdb_break(m, symbol(way->called), false);
	for (unsigned n = 0; gdb_register(m, GDB_EIP) != symbol(way->begin); n++) {
		gdb_step(m);
		if (n == MAX_STEPS)
			give_up(FAILED, "%s() does not come to %s() in %d instructions",
				way->called, way->begin, MAX_STEPS);
	}
	gdb_read(m, gdb_register(m, GDB_ESP), &c, sizeof(c));
	return c;
}

/* The machine is at the begin of a function: also stop where it returns to, a place in `name`. */
static void add_return(struct machine *m, const char *name, int phase)
{
	uint32_t back;
	gdb_read(m, gdb_register(m, GDB_ESP), &back, sizeof(back));
	if (!place_at(back))
		place_add(back, name, phase);
}

/* A switch that is being recorded. */
struct progress {
	struct machine *m;
	struct recording *r;
	const struct way *way;
	struct call call;
	const char *direction, *last; /* last: the function at which it last stopped */
	unsigned phase;
};

static void check_limits(const struct progress *p, unsigned steps, double end)
{
	if (steps < MAX_STEPS && clock_seconds() < end)
		return;
	recording_step(p->r, p->direction, p->phase, NULL);
	give_up(FAILED, "%s is not done after %u instructions", p->direction, steps);
}

/*
 * After cpu_install() the new tables are loaded. At boot nothing but a line after translate() is
 * the phase commit.
 */
static void watch_returns(const struct progress *p, uint32_t eip)
{
	if (eip == cpu_install)
		add_return(p->m, "vmm_call_handle", NO_PHASE);
	if (eip == translate && p->way == &at_boot)
		add_return(p->m, at_boot.begin, COMMIT);
}

/*
 * The machine has come to a new place. It is a stop if a function of the lists begins there, other
 * than the one that it is in already. Result: whether it is.
 */
static bool arrive(struct progress *p, uint32_t eip)
{
	watch_returns(p, eip);
	const struct place *place = place_at(eip);
	bool stop = place && strcmp(place->name, p->last) != 0;
	if (stop)
		p->last = place->name;
	if (stop && place->phase != NO_PHASE)
		p->phase = (unsigned)place->phase;
	if (eip == p->call.back && gdb_register(p->m, GDB_EAX) == 0)
		p->phase = RESUME;
	return stop;
}

/* From the begin to the return. A repeated string instruction is one step. */
static void record_call(struct progress *p, const struct switches *s, double end)
{
	uint32_t back = p->call.back;
	uint32_t eip = recording_step(p->r, p->direction, p->phase, p->last);
	for (unsigned n = 0; eip != back && p->phase < s->until; n++) {
		uint32_t before = eip;
		check_limits(p, n, end);
		gdb_step(p->m);
		eip = gdb_register(p->m, GDB_EIP);
		bool stop = arrive(p, eip);
		const char *name = stop ? p->last : eip == back ? p->way->caller : NULL;
		if (name || (s->instructions && eip != before))
			recording_step(p->r, p->direction, p->phase, name);
		if (stop && strstr(p->last, "panic"))
			give_up(FAILED, "%s() is called", p->last);
	}
	if (eip == back && gdb_register(p->m, GDB_EAX) != 0)
		give_up(FAILED, "%s failed with error %d", p->direction,
			(int)gdb_register(p->m, GDB_EAX));
}

struct machine *switches_start(const struct switches *s)
{
	static const char by_shell[] = "run=\"echo virtual > /proc/mode && "
				       "echo native > /proc/mode\"";
	places_add(kernel_file, kernel_stops);
	places_add(vmm_file, vmm_stops);
	cpu_install = vmm_symbol("cpu_install");
	translate = symbol_exists("translate") ? symbol("translate") : 0;
	struct machine *m = machine_start(&(struct machine_options){
		.mem = MEMORY, .paused = true,
		.cmdline = s->at_boot ? "mode=virtual" : by_shell,
	});
	gdb_connect(m);
	steps_without_timers(m);
	return m;
}

void switches_record(struct machine *m, struct recording *r, const struct switches *s)
{
	const struct way *way = s->at_boot ? &at_boot : &by_hand;
	double end = clock_seconds() + s->seconds;
	for (unsigned n = 0; n < (s->detach ? 2 : 1); n++) {
		struct call call = run_to_begin(m, way, end);
		bool attach = s->at_boot || call.attach & 1;
		struct progress p = {
			.m = m, .r = r, .way = way, .call = call, .phase = REQUEST,
			.direction = attach ? "attach" : "detach", .last = way->begin,
		};
		if (s->at_boot || (attach ? s->attach : s->detach))
			record_call(&p, s, end);
	}
}
