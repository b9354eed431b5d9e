/* SPDX-License-Identifier: MIT */
/*
 * The first part: who may be in the way, the leader's order, and the rendezvous. The debugger holds
 * some CPUs while others run. What must be waited for then cannot come, and a CPU that does not
 * wait is caught.
 */
#include "checks.h"

/* --- the leader: each phase is called once, in this order; none of them is executed --- */

/* The next stop must be the record of this phase's end. */
static void want_recorded(struct guest *g, unsigned phase, const char *name)
{
	CHECK(go_on(g, 1) == 0, "after %s() nothing comes within %u s", name, SECONDS);
	CHECK(g->c.eip == symbol("record_phase"),
	      "the end of %s is not recorded by record_phase(): the next stop is at %#x", name,
	      g->c.eip);
	uint32_t recorded = argument(g, 1);
	CHECK(recorded == phase, "after %s, which is phase %u, record_phase() is told %u", name,
	      phase, recorded);
}

/* The next stop must be this phase's function. It returns at once. */
static void want_phase(struct guest *g, unsigned phase, const char *name)
{
	CHECK(go_on(g, 1) == 0, "%s() was not called within %u s of the request", name, SECONDS);
	uint32_t attach = argument(g, 0) & 0xFF, address = symbol(name);
	CHECK(g->c.eip == address, "phase %u of the switch is at %#x, %s() is at %#x", phase,
	      g->c.eip, name, address);
	CHECK(attach == 1, "%s() is called with attach = %u in a switch to virtual mode", name,
	      attach);
	skip(g, 0);
}

void check_phases(const struct test *t)
{
	static const char *const phases[] = { "gather",  "quiesce",   "account", "protect",
					      "install", "translate", "commit",	 "record_phase" };
	enum { NR_PHASES = LENGTH(phases) - 1 }; /* the last is none */
	struct guest g = start(t, 1);
	watch(&g, phases, LENGTH(phases), true);
	ask(&g, true);
	want_recorded(&g, 0, "request");
	for (unsigned i = 0; i < NR_PHASES; i++) {
		want_phase(&g, i + 1, phases[i]);
		want_recorded(&g, i + 1, phases[i]);
	}
}

/* --- quiesce: every way in which a CPU can be in the way --- */

enum way { HELD_HERE, HELD_THERE, WITHIN_HERE, WITHIN_THERE, FREE };
static const char *const ways[] = {
	"the leader's CPU holds the VO (vo_uses)",
	"another CPU holds the VO (vo_uses)",
	"the leader's CPU was interrupted within the VO",
	"another CPU was interrupted within the VO, and in the handler for that once more",
	"nobody is in the way",
};

/* A word that was changed, and its value before. at: 0 if none was. */
struct change { uint32_t at, old; };

/*
 * The latest trap frame of the kernel on this CPU gets an EIP inside the VO. Or, if older: a frame
 * with such an EIP is made up and linked in after the latest one.
 */
static struct change interrupt_within(struct guest *g, bool older)
{
	uint32_t task = task_of(&g->c), within = symbol("vo_text_start") + 4;
	uint32_t frame = word_at(g, task + TASK_TRAP_FRAMES), made_up = task + TASK_STACK_BYTES / 4;
	struct change change = { .at = frame + (older ? TRAP_FRAME_OUTER : TRAP_FRAME_EIP) };
	if (!frame)
		give_up(BROKEN, "this CPU was not interrupted in the kernel");
	change.old = word_at(g, change.at);
	if (older) {
		set_word(g, made_up + TRAP_FRAME_OUTER, change.old);
		set_word(g, made_up + TRAP_FRAME_EIP, within);
	}
	set_word(g, change.at, older ? made_up : within);
	return change;
}

/* All CPUs come into the handler; one of them is put within the VO. */
static struct change put_within(struct guest *g, unsigned cpu, bool older)
{
	struct change change = { 0 };
	uint32_t handler = symbol("switch_interrupt");
	break_at(g, handler);
	for (unsigned i = 0; i < g->m->o.cpus; i++) {
		int at = go_on(g, ALL_CPUS);
		CHECK(at >= 0, "only %u CPUs came to switch_interrupt()", i);
		if (at == (int)cpu)
			change = interrupt_within(g, older);
	}
	break_off(g, handler);
	return change;
}

static void quiesce_once(struct guest *g, enum way way)
{
	struct change change = { 0 };
	uint32_t account = symbol("account");
	break_at(g, account); /* too early, if it comes before the request */
	unsigned leader = reach(g, "request",
				way ? "a refused switch is tried again at the next tick"
						  : "the shell asks");
	unsigned cpu = leader ^ (way & 1);
	break_off(g, account);
	if (way <= HELD_THERE)
		set_variable(g, "vo_uses", cpu, 1);
	else if (way <= WITHIN_THERE)
		change = put_within(g, cpu, way == WITHIN_THERE);
	CHECK(reach(g, "quiesce", "all CPUs come") == leader,
	      "quiesce() runs on a CPU that does not lead");
	int result = result_of(g), wanted = way == FREE ? 0 : -EBUSY;
	CHECK(result == wanted, "quiesce() returns %s, not %s, although %s", error_text(result),
	      error_text(wanted), ways[way]);
	if (way <= HELD_THERE)
		set_variable(g, "vo_uses", cpu, 0);
	else if (change.at)
		set_word(g, change.at, change.old);
}

void check_vo_busy(const struct test *t)
{
	struct guest g = start(t, 2);
	ask(&g, true);
	for (enum way way = HELD_HERE; way <= FREE; way++)
		quiesce_once(&g, way);
	reach(&g, "account", "the VO is free now");
}

/* --- gather: a CPU that is stopped for good --- */

#define ANSWER_NS 1000000000u /* a CPU has one second to come */
enum { TOLD_NS = 300000000, MAX_TOLD = 60, MAX_TICKS = 200 };

/*
 * Run all CPUs until the leader reads the clock or a CPU comes to another breakpoint. Ticks of
 * other CPUs, which read the clock as well, are passed over. Result: the CPU, or -1.
 */
static int run_to_clock(struct guest *g, unsigned leader, uint32_t clock)
{
	for (unsigned ticks = 0; ticks <= MAX_TICKS; ticks++) {
		int at = go_on(g, ALL_CPUS);
		if (at < 0 || at == (int)leader || g->c.eip != clock)
			return at;
	}
	return -1;
}

/*
 * A CPU that waits reads the clock. Each time it is told that TOLD_NS more have passed. Result: how
 * many nanoseconds it was told when it stopped reading and a CPU, *at, came to another stop.
 */
static uint64_t tell_time(struct guest *g, unsigned leader, int *at)
{
	uint32_t clock = symbol("native_time_now");
	uint64_t start = 100000000000, told = 0;
	break_at(g, clock);
	for (unsigned i = 0; i < MAX_TOLD; i++, told += TOLD_NS) {
		*at = run_to_clock(g, leader, clock);
		if (*at != (int)leader || g->c.eip != clock)
			break;
		skip(g, (uint32_t)(start + told));
		gdb_set_register(g->m, GDB_EDX, (uint32_t)((start + told) >> 32));
	}
	break_off(g, clock);
	return told ? told - TOLD_NS : 0;
}

/* The kernel's variable `rendezvous`, all of it. */
struct rendezvous { uint8_t bytes[256]; uint32_t n; };

static struct rendezvous read_rendezvous(struct guest *g)
{
	struct rendezvous r = { .n = symbol_bytes("rendezvous") };
	CHECK(r.n > 0 && r.n <= sizeof(r.bytes), "rendezvous has %u bytes", r.n);
	physical_read(g->m, symbol("rendezvous") - KERNEL_BASE, r.bytes, r.n);
	return r;
}

static bool same_rendezvous(const struct rendezvous *a, const struct rendezvous *b)
{
	return memcmp(a->bytes, b->bytes, a->n) == 0;
}

/*
 * The vector still waits in the late CPU's local APIC. This CPU takes part in nothing: no word of
 * `rendezvous` changes.
 */
static void come_late(struct guest *g, unsigned cpu)
{
	CHECK(reach(g, "switch_interrupt", "the vector waits in the late CPU's local APIC") == cpu,
	      "another CPU than the late one came");
	uint32_t back = return_address(g);
	struct rendezvous before = read_rendezvous(g);
	break_at(g, back);
	CHECK(go_on(g, 1u << cpu) == (int)cpu,
	      "CPU %u, which came late, does not leave switch_interrupt()", cpu);
	break_off(g, back);
	struct rendezvous after = read_rendezvous(g);
	CHECK(same_rendezvous(&before, &after),
	      "CPU %u, which came late, takes part in a switch that was given up: it changes "
	      "`rendezvous`", cpu);
}

/* The leader waits for the silent CPU, and gives the switch up in time. */
static void want_timeout(struct guest *g)
{
	uint32_t quiesce = symbol("quiesce");
	int at;
	reach(g, "switch_mode", "the shell writes to /proc/mode");
	uint32_t back = return_address(g);
	unsigned leader = g->cpu;
	CHECK(reach(g, "gather", "the vector came to the writer's CPU") == leader,
	      "gather() runs on a CPU that does not lead");
	break_at(g, quiesce), break_at(g, back);
	uint64_t told = tell_time(g, leader, &at);
	CHECK(at >= 0, "CPU 2 did not come within a second, and the switch is not given up");
	CHECK(g->c.eip == back,
	      "CPU 2 did not come within a second, and yet the switch goes on: CPU %d is at %#x",
	      at, g->c.eip);
	CHECK(told > ANSWER_NS && told < 4ull * ANSWER_NS,
	      "gather() waits %llu ms for CPU 2, not 1000", (unsigned long long)told / 1000000);
	int error = (int)g->c.eax;
	CHECK(error == -ETIMEDOUT, "the writer of /proc/mode gets %s, not %s", error_text(error),
	      error_text(-ETIMEDOUT));
	break_off(g, quiesce), break_off(g, back);
}

void check_silent_cpu(const struct test *t)
{
	struct guest g = start(t, 3);
	unsigned silent = g.m->o.cpus - 1;
	settle(&g);
	uint32_t stood = gdb_silence(g.m, silent, symbol("native_cpu_halt"));
	ask(&g, true);
	want_timeout(&g);
	gdb_put_idle(g.m, silent, true, stood);
	come_late(&g, silent);
	rest(&g); /* all CPUs become idle, the late one too */
	check_native(g.m);
	ask(&g, true);
	reach(&g, "gather", "the next try");
	int result = result_of(&g);
	CHECK(result == 0, "all CPUs answer now, but gather() returns %s", error_text(result));
}

/* --- everywhere() and follow() --- */

enum { MAX_STEPS = 3000 };

static unsigned all_cpus(const struct guest *g)
{
	return (1u << g->m->o.cpus) - 1;
}

/* All CPUs go to the handler's begin. Result: its return address. */
static uint32_t bring_all(struct guest *g)
{
	uint32_t back = 0, handler = symbol("switch_interrupt");
	break_at(g, handler);
	for (unsigned here = 0, all = all_cpus(g); here != all; here |= 1u << g->cpu) {
		CHECK(go_on(g, all & ~here) >= 0, "CPUs %#x of %#x came to switch_interrupt()",
		      here, all);
		back = return_address(g);
	}
	break_off(g, handler);
	return back;
}

/* One CPU goes on until it has said that it is here, and no instruction further. */
static void arrive(struct guest *g, unsigned cpu)
{
	uint32_t first = symbol("task_in_vo");
	break_at(g, first);
	int came = go_on(g, 1u << cpu);
	break_off(g, first);
	CHECK(came == (int)cpu, "CPU %u does not look whether it was interrupted within the VO",
	      cpu);
	struct rendezvous before = read_rendezvous(g);
	for (unsigned i = 0; i < MAX_STEPS; i++) {
		step(g, cpu);
		struct rendezvous after = read_rendezvous(g);
		if (!same_rendezvous(&before, &after))
			return;
	}
	run_for(g, ALL_CPUS, 0.5); /* a panic, say, comes first */
	give_up(FAILED, "CPU %u does not say that it has arrived", cpu);
}

static void want_installed(struct guest *g)
{
	struct cpu_state cpus[CPUS_MAX];
	for (unsigned i = 0, n = machine_state(g->m, cpus); i < n; i++) {
		const struct cpu_state *c = &cpus[i];
		bool tables = c->gdt.base >= VMM_BASE && c->idt.base >= VMM_BASE &&
		c->tr.base >= VMM_BASE;
		bool in_vmm = c->eip >= VMM_BASE; /* it takes an interrupt there */
		CHECK(tables && (c->cpl == 1 || in_vmm),
		      "the leader goes on to translate, but CPU %u is not installed: GDT %#x, IDT "
		      "%#x, TSS %#x, ring %u",
		      i, c->gdt.base, c->idt.base, c->tr.base, c->cpl);
	}
}

/*
 * install: one CPU has said that it is here and is on its way to follow(). The leader must wait for
 * it, although the step is ordered already when it comes there.
 */
static void late_to_follow(struct guest *g, unsigned leader, unsigned late, unsigned other)
{
	uint32_t install = symbol("install"), translate = symbol("translate");
	unsigned held_off = 1u << leader | 1u << other;
	arrive(g, late);
	break_at(g, install);
	CHECK(go_on(g, held_off) == (int)leader, "install() was not reached");
	break_off(g, install);
	break_at(g, translate);
	want_none(g, held_off,
		  "a CPU has not done its part of install yet, but the leader did not wait for it");
	CHECK(go_on(g, ALL_CPUS) == (int)leader,
	      "the step of install is never done by all: CPU %u came late to follow(), when it was "
	      "ordered already", late);
	break_off(g, translate);
	want_installed(g);
}

/* The switch is over: all CPUs leave the handler. */
static void want_all_back(struct guest *g)
{
	for (unsigned here = 0; here != all_cpus(g); here |= 1u << g->cpu)
		CHECK(go_on(g, ALL_CPUS & ~here) >= 0,
		      "the switch is over, but only CPUs %#x have left the handler", here);
}

void check_rendezvous(const struct test *t)
{
	struct guest g = start(t, 4);
	uint32_t commit = symbol("commit");
	settle(&g);
	ask(&g, true);
	unsigned leader = reach(&g, "request", "the shell asks");
	unsigned late = (leader + 1) % 3, other = (leader + 2) % 3;
	uint32_t back = bring_all(&g);
	late_to_follow(&g, leader, late, other);
	/* The other CPU is held in translate: the leader must wait a second time. */
	break_at(&g, commit), break_at(&g, back);
	want_none(&g, 1u << leader | 1u << late,
		  "a CPU has not done its part of translate yet, but another "
		  "one did not wait for it");
	CHECK(go_on(&g, ALL_CPUS) >= 0 && g.c.eip == commit,
	      "commit() was not reached by the leader first");
	want_none(&g, 1u << late | 1u << other, "a follower left the rendezvous before the commit");
	skip(&g, 0);
	break_off(&g, commit);
	want_all_back(&g);
}
