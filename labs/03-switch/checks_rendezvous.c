/* SPDX-License-Identifier: MIT */
/*
 * Checks of the first part: who may be in the way, the leader's order, and the rendezvous. CPUs are held by the debugger
 * while others run: what must be waited for then cannot come, and whoever does not wait is caught.
 */
#include "checks.h"

/* --- the leader: each phase is called once, in this order; none of them is executed --- */

/* The next stop must be the record of this phase's end. */
static void want_recorded(struct machine *m, unsigned phase, const char *name)
{
	CHECK(lab3_run_cpus(m, 1, SECONDS) == 0, "behind %s() nothing comes within %u s", name, SECONDS);
	struct cpu_state c = lab3_state(m, 0);
	CHECK(c.eip == symbol("record_phase"), "the end of %s is not recorded by record_phase(): the next stop is at %#x", name, c.eip);
	uint32_t recorded = lab3_word(m, &c, c.esp + 8);
	CHECK(recorded == phase, "behind %s, which is phase %u, record_phase() is told %u", name, phase, recorded);
}

void lab3_phases(const struct test *t)
{
	static const char *const phases[] = { "gather", "quiesce", "account", "protect", "install", "translate", "commit" };
	enum { N = sizeof(phases) / sizeof(phases[0]) };
	struct machine *m = lab3_start(t, 1);
	for (unsigned i = 0; i < N; i++)
		lab3_stop_at(m, symbol(phases[i]));
	lab3_stop_at(m, symbol("record_phase"));
	lab3_ask(m, true);
	want_recorded(m, 0, "request");
	for (unsigned i = 0; i < N; i++) {
		CHECK(lab3_run_cpus(m, 1, SECONDS) == 0, "%s() was not called within %u s of the request", phases[i], SECONDS);
		struct cpu_state c = lab3_state(m, 0);
		uint32_t attach = lab3_word(m, &c, c.esp + 4) & 0xFF;
		CHECK(c.eip == symbol(phases[i]), "phase %u of the switch is at %#x, %s() is at %#x", i + 1, c.eip, phases[i], symbol(phases[i]));
		CHECK(attach == 1, "%s() is called with attach = %u in a switch to virtual mode", phases[i], attach);
		lab3_skip(m, 0, 0);
		want_recorded(m, i + 1, phases[i]);
	}
}

/* --- quiesce: every way in which a CPU can be in the way --- */

enum { HELD_HERE, HELD_THERE, WITHIN_HERE, WITHIN_THERE, FREE };
static const char *const ways[] = {
	"the leader's CPU holds the VO (vo_uses)", "another CPU holds the VO (vo_uses)", "the leader's CPU was interrupted within the VO",
	"another CPU was interrupted within the VO, and in the handler for that once more", "nobody is in the way",
};

/* A word of a frame that was changed, and how it was. */
struct change { uint32_t at, old; };

/* Of the latest frame of the kernel's on this CPU, EIP becomes one of the VO's; or of an older one, which is put behind it. */
static struct change interrupt_within(struct machine *m, const struct cpu_state *c, bool older)
{
	uint32_t frame = lab3_word(m, c, task_of(c) + TASK_FRAMES), behind = task_of(c) + TASK_STACK / 4, within = symbol("vo_text_start") + 4;
	struct change change = { .at = frame + (older ? FRAME_OUTER : FRAME_EIP) };
	if (!frame)
		give_up(BROKEN, "this CPU was not interrupted in the kernel");
	change.old = lab3_word(m, c, change.at);
	if (older) {
		lab3_set_word(m, c, behind + FRAME_OUTER, change.old);
		lab3_set_word(m, c, behind + FRAME_EIP, within);
	}
	lab3_set_word(m, c, change.at, older ? behind : within);
	return change;
}

/* Both CPUs come into the handler; one of them is put within the VO. */
static struct change put_within(struct machine *m, unsigned cpu, bool older)
{
	struct change change = { 0 };
	lab3_stop_at(m, symbol("switch_interrupt"));
	for (unsigned i = 0; i < m->o.cpus; i++) {
		int at = lab3_run_cpus(m, ALL_CPUS, SECONDS);
		CHECK(at >= 0, "only %u CPUs came to switch_interrupt()", i);
		struct cpu_state c = lab3_state(m, (unsigned)at);
		if (at == (int)cpu)
			change = interrupt_within(m, &c, older);
	}
	lab3_pass(m, symbol("switch_interrupt"));
	return change;
}

void lab3_vo_busy(const struct test *t)
{
	struct machine *m = lab3_start(t, 2);
	lab3_ask(m, true);
	for (unsigned way = HELD_HERE; way <= FREE; way++) {
		struct change change = { 0 };
		lab3_stop_at(m, symbol("account"));
		unsigned leader = lab3_run_to(m, "request", way ? "a refused switch is tried again at the next tick" : "the shell asks");
		unsigned cpu = leader ^ (way & 1);
		lab3_pass(m, symbol("account"));
		if (way <= HELD_THERE)
			lab3_set_variable(m, "vo_uses", cpu, 1);
		else if (way <= WITHIN_THERE)
			change = put_within(m, cpu, way == WITHIN_THERE);
		CHECK(lab3_run_to(m, "quiesce", "all CPUs come") == leader, "quiesce() runs on a CPU that does not lead");
		int result = lab3_result(m, leader), wanted = way == FREE ? 0 : -EBUSY;
		CHECK(result == wanted, "quiesce() returns %s, not %s, although %s", lab3_error(result), lab3_error(wanted), ways[way]);
		struct cpu_state c = lab3_state(m, cpu);
		if (way <= HELD_THERE)
			lab3_set_variable(m, "vo_uses", cpu, 0);
		else if (change.at)
			lab3_set_word(m, &c, change.at, change.old);
	}
	lab3_run_to(m, "account", "the VO is free now");
}

/* --- gather: a CPU that is stopped for good --- */

#define ANSWER_NS 1000000000u

/*
 * Whoever waits reads the clock; it is told that TOLD_NS more have passed each time. Result: how many it was told when it stopped
 * reading and came to another stop, on any CPU.
 */
enum { TOLD_NS = 300000000, MAX_TOLD = 60, MAX_TICKS = 200 };

static uint64_t tell_time(struct machine *m, unsigned leader, int *at)
{
	uint32_t clock = symbol("native_time_now");
	uint64_t start = 100000000000, told = 0;
	lab3_stop_at(m, clock);
	for (unsigned i = 0; i < MAX_TOLD; i++, told += TOLD_NS) {
		unsigned ticks = 0; /* of another CPU, while the leader does not read the clock */
		do
			*at = lab3_run_cpus(m, ALL_CPUS, SECONDS);
		while (*at >= 0 && *at != (int)leader && lab3_state(m, (unsigned)*at).eip == clock && ticks++ < MAX_TICKS);
		if (ticks > MAX_TICKS)
			*at = -1;
		if (*at != (int)leader || lab3_state(m, leader).eip != clock)
			break;
		lab3_skip(m, leader, (int)(uint32_t)(start + told));
		gdb_set_register(m, GDB_EDX, (uint32_t)((start + told) >> 32));
	}
	lab3_pass(m, clock);
	return told ? told - TOLD_NS : 0;
}

/* The vector still waits in the CPU's local APIC. It takes part in nothing: no word of `now` changes. */
static void come_late(struct machine *m, unsigned cpu)
{
	uint8_t before[256], after[256];
	uint32_t at = symbol("rendezvous") - KERNEL_BASE, bytes = symbol_bytes("rendezvous");
	CHECK(bytes > 0 && bytes <= sizeof(before), "now has %u bytes", bytes);
	CHECK(lab3_run_to(m, "switch_interrupt", "the vector waits in the late CPU's local APIC") == cpu, "another CPU than the late one came");
	struct cpu_state c = lab3_state(m, cpu);
	uint32_t back = lab3_word(m, &c, c.esp);
	physical_read(m, at, before, bytes);
	lab3_stop_at(m, back);
	CHECK(lab3_run_cpus(m, 1u << cpu, SECONDS) == (int)cpu, "CPU %u, which came late, does not leave switch_interrupt()", cpu);
	lab3_pass(m, back);
	physical_read(m, at, after, bytes);
	CHECK(memcmp(before, after, bytes) == 0, "CPU %u, which came late, takes part in a switch that was given up: it changes `now`", cpu);
}

void lab3_silent_cpu(const struct test *t)
{
	struct machine *m = lab3_start(t, 3);
	unsigned silent = m->o.cpus - 1;
	stop_idle(m);
	uint32_t stood = gdb_silence(m, silent, symbol("native_cpu_halt"));
	lab3_ask(m, true);
	unsigned leader = lab3_run_to(m, "switch_mode", "the shell writes to /proc/mode");
	struct cpu_state c = lab3_state(m, leader);
	uint32_t back = lab3_word(m, &c, c.esp);
	CHECK(lab3_run_to(m, "gather", "the vector came to the writer's CPU") == leader, "gather() runs on a CPU that does not lead");
	lab3_stop_at(m, symbol("quiesce")), lab3_stop_at(m, back);
	int at;
	uint64_t told = tell_time(m, leader, &at);
	CHECK(at >= 0, "CPU 2 did not come within a second, and the switch is not given up");
	c = lab3_state(m, (unsigned)at); /* the writer may have moved to another CPU */
	CHECK(c.eip == back, "CPU 2 did not come within a second, and yet the switch goes on: CPU %d is at %#x", at, c.eip);
	CHECK(told > ANSWER_NS && told < 4ull * ANSWER_NS, "gather() waits %llu ms for CPU 2, not 1000", (unsigned long long)told / 1000000);
	CHECK((int)c.eax == -ETIMEDOUT, "the writer of /proc/mode gets %s, not %s", lab3_error((int)c.eax), lab3_error(-ETIMEDOUT));
	lab3_pass(m, symbol("quiesce")), lab3_pass(m, back);
	gdb_put_idle(m, silent, true, stood);
	come_late(m, silent);
	lab3_rest(m); /* all CPUs become idle: the one that came, and the late one */
	check_native(m);
	lab3_ask(m, true);
	leader = lab3_run_to(m, "gather", "the next try");
	int result = lab3_result(m, leader);
	CHECK(result == 0, "all CPUs answer now, but gather() returns %s", lab3_error(result));
}

/* --- everywhere and follow --- */

enum { MAX_STEPS = 3000 };

/* All CPUs to the handler's begin. Result: where it returns to. */
static uint32_t bring_all(struct machine *m)
{
	uint32_t back = 0;
	lab3_stop_at(m, symbol("switch_interrupt"));
	for (unsigned here = 0, all = (1u << m->o.cpus) - 1; here != all;) {
		int cpu = lab3_run_cpus(m, all & ~here, SECONDS);
		CHECK(cpu >= 0, "CPUs %#x of %#x came to switch_interrupt()", here, all);
		struct cpu_state c = lab3_state(m, (unsigned)cpu);
		back = lab3_word(m, &c, c.esp);
		here |= 1u << cpu;
	}
	lab3_pass(m, symbol("switch_interrupt"));
	return back;
}

/* One CPU goes on until it has said that it is here, and no instruction further. */
static void arrive(struct machine *m, unsigned cpu)
{
	uint8_t before[256], after[256];
	uint32_t at = symbol("rendezvous") - KERNEL_BASE, bytes = symbol_bytes("rendezvous");
	CHECK(bytes > 0 && bytes <= sizeof(before), "now has %u bytes", bytes);
	lab3_stop_at(m, symbol("task_in_vo"));
	int came = lab3_run_cpus(m, 1u << cpu, SECONDS);
	lab3_pass(m, symbol("task_in_vo"));
	CHECK(came == (int)cpu, "CPU %u does not look whether it was interrupted within the VO", cpu);
	physical_read(m, at, before, bytes);
	for (unsigned i = 0; i < MAX_STEPS; i++) {
		gdb_run_cpus(m, 1u << cpu, true, machine_limit(SECONDS));
		physical_read(m, at, after, bytes);
		if (memcmp(before, after, bytes) != 0)
			return;
	}
	lab3_run_cpus(m, ALL_CPUS, 0.5); /* a panic, say */
	give_up(FAILED, "CPU %u does not say that it has arrived", cpu);
}

static void check_installed(struct machine *m)
{
	struct cpu_state cpus[CPUS_MAX];
	for (unsigned i = 0, n = machine_state(m, cpus); i < n; i++)
		CHECK(cpus[i].gdt.base >= VMM_BASE && cpus[i].idt.base >= VMM_BASE && cpus[i].tr.base >= VMM_BASE &&
		      (cpus[i].cpl == 1 || cpus[i].eip >= VMM_BASE), /* there it takes an interrupt */
		      "the leader goes on to translate, but CPU %u is not installed: GDT %#x, IDT %#x, TSS %#x, ring %u", i, cpus[i].gdt.base,
		      cpus[i].idt.base, cpus[i].tr.base, cpus[i].cpl);
}

void lab3_rendezvous(const struct test *t)
{
	struct machine *m = lab3_start(t, 4);
	stop_idle(m);
	lab3_ask(m, true);
	unsigned leader = lab3_run_to(m, "request", "the shell asks"), late = (leader + 1) % 3, other = (leader + 2) % 3;
	uint32_t back = bring_all(m);
	/* late is in the middle of its way to follow() when the first step is ordered */
	arrive(m, late);
	lab3_stop_at(m, symbol("install"));
	int at = lab3_run_cpus(m, 1u << leader | 1u << other, SECONDS);
	CHECK(at == (int)leader, "install() was not reached");
	lab3_pass(m, symbol("install"));
	lab3_stop_at(m, symbol("translate"));
	lab3_want_none(m, 1u << leader | 1u << other, "a CPU has not done its part of install yet, but the leader did not wait for it");
	at = lab3_run_cpus(m, ALL_CPUS, SECONDS);
	CHECK(at == (int)leader, "the step of install is never done by all: CPU %u came late to follow(), when it was ordered already", late);
	lab3_pass(m, symbol("translate"));
	check_installed(m);
	/* the other one is held: the leader must wait a second time */
	lab3_stop_at(m, symbol("commit")), lab3_stop_at(m, back);
	lab3_want_none(m, 1u << leader | 1u << late, "a CPU has not done its part of translate yet, but another one did not wait for it");
	at = lab3_run_cpus(m, ALL_CPUS, SECONDS);
	CHECK(at >= 0 && lab3_state(m, (unsigned)at).eip == symbol("commit"), "commit() was not reached by the leader first");
	lab3_want_none(m, 1u << late | 1u << other, "a follower left the rendezvous before the commit");
	lab3_skip(m, leader, 0);
	lab3_pass(m, symbol("commit"));
	for (unsigned here = 0; here != (1u << m->o.cpus) - 1; here |= 1u << at) {
		at = lab3_run_cpus(m, ALL_CPUS & ~here, SECONDS);
		CHECK(at >= 0, "the switch is over, but only CPUs %#x have left the handler", here);
	}
}
