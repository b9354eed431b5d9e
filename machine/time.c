/* SPDX-License-Identifier: MIT */
/*
 * Time: when a machine takes too long. Where QEMU counts instructions, they alone decide. A guest
 * that executes nothing any more is told from its state, and an emulator that stands still from
 * the process's own time, so that neither a slow nor a busy host changes a verdict.
 */
#include "emulators.h"
#include <stdlib.h>
#include <string.h>

unsigned machine_budget;

static bool counted(const struct machine *m)
{
	return !m->o.free_running;
}

/* Seconds of the machine's time, from some origin. */
static double now(struct machine *m)
{
	if (!counted(m))
		return process_clock(m->pid);
	return m->o.bochs ? (double)bochs_ticks(m) / BOCHS_HZ
			  : (double)qmp_instructions(m) / (MIPS * 1e6);
}

/* A short wait is one for a number of instructions. */
static bool is_short(const struct machine *m)
{
	return m->wait.limit < 0.1;
}

/* Seconds between two looks: rare enough to cost little. Bochs is stopped for each. */
static double pause_of(const struct machine *m)
{
	double limit = m->wait.limit;
	double of_short = limit < 0.001 ? 0.0002 : 0.002;
	return m->o.bochs ? 1 : limit < 0.01 ? of_short : limit < 1 ? 0.02 : 0.1;
}

/* Seconds of the machine's clock in which it may sleep: so many, and so many times the limit. */
enum { IDLE_LEAST = 60, IDLE_FACTOR = 10 };

void machine_wait_begins(struct machine *m, double seconds)
{
	unsigned budget = m->o.budget ? m->o.budget : machine_budget;
	m->late = false;
	m->wait.limit = seconds;
	double most = m->o.bochs ? budget * 1e6 / BOCHS_HZ : (double)budget * m->o.cpus / MIPS;
	if (budget && !m->o.free_running && seconds > most)
		m->wait.limit = most;
	/* Long waits begin with the first look, of which most have none. */
	m->wait.from = m->pid && is_short(m) && !m->o.bochs ? now(m) : -1;
	m->wait.moved = 0, m->wait.clock = 0;
	bool sleeps_count = counted(m) && !m->o.bochs && !is_short(m);
	m->wait.idle = sleeps_count ? IDLE_LEAST + IDLE_FACTOR * m->wait.limit : 0;
	m->wait.cpu = m->pid ? process_cpu(m->pid) : 0;
	m->wait.ask = clock_seconds() + pause_of(m);
}

/* Whether the machine, which executes nothing, can go on by itself: a CPU that may run does. */
static bool can_go_on(struct machine *m)
{
	char *status = qmp_if_there(m, "query-status", NULL), *registers, *at;
	bool runs = status && strstr(status, "\"running\": true"), executes = false;
	free(status);
	if (!m->pid || !runs)
		return false;
	registers = qmp_if_there(m, "human-monitor-command",
				 "{\"command-line\":\"info registers -a\"}");
	at = registers;
	for (unsigned cpu = 0; at && (at = strstr(at, "HLT=")); cpu++, at++)
		executes |= at[4] == '0' && !(m->held >> cpu & 1);
	free(registers);
	return executes;
}

/*
 * The count of instructions stands still. A guest that sleeps does not do so: QEMU skips the time
 * up to its next interrupt. So if all CPUs are halted, no interrupt will ever come. If only these
 * may run now, QEMU skips the ticks of the others, and that is work. What comes from outside (a
 * byte on the serial line, or room for one) wakes a thread of QEMU's, which may wait for a
 * processor for long.
 */
#define DEAD_CPU_SECONDS 0.1
static bool stands_still(struct machine *m, double process_now)
{
	enum { DEAD_SECONDS = 1, EMULATOR_SECONDS = 30 };
	bool worked = process_cpu(m->pid) - m->wait.moved_cpu > DEAD_CPU_SECONDS;
	if (!(worked && is_short(m)) && process_now - m->wait.moved < DEAD_SECONDS)
		return false;
	if (!m->o.bochs && !can_go_on(m) && (worked || !m->pid || process_sleeps(m->pid)))
		return true;
	if (process_now - m->wait.moved > EMULATOR_SECONDS)
		give_up(BROKEN, "%s executes nothing, although a CPU is not halted",
			m->o.bochs ? "Bochs" : "QEMU");
	return false;
}

static bool used_up(const struct machine *m)
{
	unsigned budget = m->o.budget ? m->o.budget : machine_budget;
	uint64_t all = budget * 1000000ull * (m->o.bochs ? 1 : m->o.cpus) * BUDGET_WAITS;
	return budget && counted(m) && m->instructions > all;
}

/*
 * Few instructions, but each so dear that QEMU works on them much longer than on others: the guest
 * has chosen them.
 */
static bool dear(const struct machine *m)
{
	enum { LEAST = 1, FACTOR = 2 };
	return machine_budget && m->pid && counted(m) &&
	       process_cpu(m->pid) - m->wait.cpu > LEAST + FACTOR * m->wait.limit;
}

/*
 * A guest that only takes its ticks executes little. To QEMU each of its sleeps is long: so the
 * machine's clock ends the wait.
 */
static bool idle_too_long(struct machine *m)
{
	if (m->wait.idle == 0)
		return false;
	uint64_t now = qmp_clock(m);
	if (m->wait.clock == 0)
		m->wait.clock = now;
	return (double)(int64_t)(now - m->wait.clock) > m->wait.idle;
}

bool machine_late(struct machine *m)
{
	uint64_t before = m->instructions;
	if (machine_debugged || machine_ended(m) || clock_seconds() < m->wait.ask)
		return false;
	m->wait.ask = clock_seconds() + pause_of(m);
	double time = now(m), process_now = m->pid ? process_clock(m->pid) : 0;
	if (!m->pid || (m->o.bochs && bochs_stopped(m)))
		return false;
	if (m->wait.from < 0)
		m->wait.from = time;
	if (m->instructions != before || m->wait.moved == 0)
		m->wait.moved = process_now, m->wait.moved_cpu = process_cpu(m->pid);
	return m->late = time - m->wait.from > m->wait.limit || used_up(m) || dear(m) ||
			 idle_too_long(m) || (counted(m) && stands_still(m, process_now));
}
