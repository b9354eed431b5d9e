/* SPDX-License-Identifier: MIT */
/*
 * Whole switches of several CPUs: one that is silent, and one that comes late. The debugger holds
 * some CPUs while others run. What must be waited for then cannot come, and a CPU that does not
 * wait is caught.
 */
#include "creep.h"

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
	uint64_t start = 500000000 + random_below(1000000000), told = 0;
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
 * The vector still waits in the late CPU's local APIC, and in that of a CPU which QEMU did not run
 * beside a leader that waits without PAUSE. Such a CPU takes part in nothing: no word of
 * `rendezvous` changes. Result: which one came.
 */
static unsigned come_late(struct guest *g)
{
	unsigned cpu = reach(g, "switch_interrupt", "the vector waits in a local APIC");
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
	return cpu;
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
	CHECK(at >= 0 && (g->c.eip == quiesce || g->c.eip == back),
	      "CPU 2 did not come within a second, and the switch is not given up");
	CHECK(g->c.eip == back,
	      "CPU 2 did not come within a second, and yet the switch goes on: CPU %d is at %s",
	      at, symbol_place(g->c.eip));
	CHECK(told > ANSWER_NS && told < 4ull * ANSWER_NS,
	      "gather() waits %llu ms for CPU 2, not 1000", (unsigned long long)told / 1000000);
	int error = (int)g->c.eax;
	CHECK(error == -ETIMEDOUT, "the writer of /proc/mode gets %s, not %s", error_text(error),
	      error_text(-ETIMEDOUT));
	break_off(g, quiesce), break_off(g, back), break_off(g, symbol("sys_exit"));
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
	for (unsigned came = 0, n = 0; came != silent; n++) {
		CHECK(n < g.m->o.cpus, "CPU %u does not come", silent);
		came = come_late(&g);
	}
	rest(&g); /* all CPUs become idle, the late one too */
	check_native(g.m);
	ask(&g, true);
	reach(&g, "gather", "the next try");
	int result = result_of(&g);
	CHECK(result == 0, "all CPUs answer now, but gather() returns %s", error_text(result));
}

/* --- everywhere() and follow() --- */

enum { MOST_TURNS = 60, LOOP = 40 };

/*
 * A follower that waits was stopped anywhere in its loop. It goes on to the first instruction of
 * that loop: so what it has read when the next order comes is no matter of luck.
 */
static void to_begin_of_loop(struct guest *g, unsigned cpu)
{
	static struct { uint32_t esp, first, last; } loops[CPUS_MAX], *l; /* as found before */
	choose(g, cpu);
	read_registers(g);
	const struct cpu_state stood = g->c;
	l = &loops[cpu];
	bool round = g->c.esp == l->esp && g->c.eip >= l->first && g->c.eip <= l->last;
	if (!round)
		l->esp = g->c.esp, l->first = l->last = g->c.eip;
	for (unsigned i = 0; i < 2 * LOOP && (!round || g->c.eip != l->first); i++) {
		step(g, cpu);
		read_registers(g);
		round |= i >= LOOP || memcmp(&g->c, &stood, sizeof(stood)) == 0;
		if (!round && g->c.eip < l->first)
			l->first = g->c.eip;
		if (!round && g->c.eip > l->last)
			l->last = g->c.eip;
	}
}

/*
 * Each of these CPUs gets turns alone, the leader first: one that waits would else be interrupted
 * at a place that depends on the host. Result: the CPU that came to a breakpoint; -1: none did.
 */
static int take_turns(struct guest *g, unsigned leader, unsigned cpus, unsigned turns)
{
	const double turn = 0.0003; /* 30,000 instructions: more than a step takes */
	for (unsigned i = 0, n = g->m->o.cpus; i < turns * n; i++) {
		unsigned cpu = (leader + i) % n;
		if (!(cpus >> cpu & 1))
			continue;
		int at = run_for(g, 1u << cpu, turn);
		CHECK(at >= 0 || !machine_ended(g->m),
		      "the machine ended in the middle of a switch");
		if (at >= 0)
			return at;
		if (cpu != leader)
			to_begin_of_loop(g, cpu);
	}
	g->m->late = false;
	return -1;
}

/* None of these CPUs may come to any breakpoint for a while. */
static void want_none(struct guest *g, unsigned leader, unsigned cpus, const char *what)
{
	enum { TURNS = 3 }; /* a right submission is never caught */
	int cpu = take_turns(g, leader, cpus, TURNS);
	CHECK(cpu < 0, "%s: CPU %d came to %s", what, cpu, symbol_place(g->c.eip));
}

/* One CPU goes on until it has said that it is here, and no instruction further. */
static void arrive(struct guest *g, unsigned cpu)
{
	choose(g, cpu);
	learn(g);
	while (!(said(g, RENDEZVOUS_ARRIVED) >> cpu & 1))
		CHECK(creep(g, NULL, 0) == CHANGED,
		      "CPU %u does not say that it has arrived: `arrived` is %#x", cpu,
		      said(g, RENDEZVOUS_ARRIVED));
	g->held &= ~(1u << cpu);
}

/* The switch is over: all CPUs leave the handler. here: those that have left it. */
static void want_all_back(struct guest *g, unsigned leader, unsigned here)
{
	for (; here != all_cpus(g); here |= 1u << g->cpu)
		CHECK(take_turns(g, leader, ALL_CPUS & ~here, MOST_TURNS) >= 0,
		      "the switch is over, but only CPUs %#x have left the handler", here);
}

/*
 * A CPU that holds the VO has said that it is here, and stops there. The leader must know by then
 * that it is busy: it sends all away, and the writer tries again later.
 */
static void hold_the_vo(struct guest *g, unsigned leader, unsigned busy, uint32_t back)
{
	uint32_t account = symbol("account");
	set_variable(g, "vo_uses", busy, 1);
	arrive(g, busy);
	break_at(g, account), break_at(g, back);
	int at = take_turns(g, leader, ALL_CPUS & ~(1u << busy), MOST_TURNS);
	CHECK(at < 0 || g->c.eip != account,
	      "CPU %u holds the VO (vo_uses is 1) and has said that it is here, and the leader "
	      "goes on to account (exercise 1 or 4)", busy);
	CHECK(at >= 0,
	      "CPU %u holds the VO (vo_uses is 1): the switch is to be given up, and no CPU leaves "
	      "the handler. The leader does not come to quiesce() or does not give up (exercise 2, "
	      "3 or 4), or its order to leave is not followed (exercise 5 or 6)", busy);
	CHECK(at != (int)leader,
	      "CPU %u holds the VO (vo_uses is 1): the switch is given up, and the leader does not "
	      "wait for that CPU to leave (exercise 5)", busy);
	want_all_back(g, leader, 1u << at);
	break_off(g, account), break_off(g, back);
	set_variable(g, "vo_uses", busy, 0);
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
	CHECK(take_turns(g, leader, held_off, MOST_TURNS) == (int)leader,
	      "install() was not reached");
	break_off(g, install);
	break_at(g, translate);
	want_none(g, leader, held_off,
		  "a CPU has not done its part of install yet, but the leader did not wait for it");
	CHECK(take_turns(g, leader, ALL_CPUS, MOST_TURNS) == (int)leader,
	      "the step of install is never done by all: CPU %u came late to follow(), when it was "
	      "ordered already", late);
	break_off(g, translate);
	want_installed(g);
}

void check_rendezvous(const struct test *t)
{
	struct guest g = start(t, 4);
	uint32_t commit = symbol("commit");
	settle(&g);
	ask(&g, true);
	unsigned leader = reach(&g, "request", "the shell asks");
	let_clock_overflow(&g);
	for (unsigned i = 1; i <= 2; i++) {
		hold_the_vo(&g, leader, (leader + i) % 3, bring_all(&g));
		leader = reach(&g, "request", "the VO is free again, the writer tries once more");
	}
	unsigned late = (leader + 1) % 3, other = (leader + 2) % 3;
	uint32_t back = bring_all(&g);
	late_to_follow(&g, leader, late, other);
	/* The other CPU is held in translate: the leader must wait a second time. */
	break_at(&g, commit), break_at(&g, back);
	want_none(&g, leader, 1u << leader | 1u << late,
		  "a CPU has not done its part of translate yet, but another "
		  "one did not wait for it");
	CHECK(take_turns(&g, leader, ALL_CPUS, MOST_TURNS) >= 0,
	      "the step of translate is never done by all: commit() is not reached");
	CHECK(g.c.eip == commit, "CPU %u left the rendezvous before the leader reached commit()",
	      g.cpu);
	want_none(&g, leader, 1u << late | 1u << other,
		  "a follower left the rendezvous before the commit");
	choose(&g, leader);
	skip(&g, 0);
	break_off(&g, commit);
	want_all_back(&g, leader, 0);
}
