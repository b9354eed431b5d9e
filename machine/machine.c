/* SPDX-License-Identifier: MIT */
/*
 * A machine's life: start, the limits of waiting for it, stop and continue, end. One set of
 * functions for both emulators.
 */
#include "emulators.h"
#include "offsets.h"
#include "x86.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(EXIT_PANIC == 2 * PANIC_STATUS + 1 && EXIT_OK == 2 * OK_STATUS + 1,
	       "isa-debug-exit makes exit status 2 * n + 1 of the kernel's status n");

struct machine *machines;
unsigned machine_budget;
double machine_patience = 1;
bool machine_debugged, machine_traced;

struct machine *machine_start(const struct machine_options *o)
{
	struct machine *m = calloc(1, sizeof(*m));
	m->o = *o;
	m->o.cpus = o->cpus ? o->cpus : 1;
	m->o.mem = o->mem ? o->mem : 64;
	m->log = calloc(1, 1);
	m->exit_status = -1;
	m->next = machines;
	machines = m;
	if (o->bochs)
		bochs_start(m);
	else
		qemu_start(m);
	return m;
}

/* --- waiting --- */

double machine_limit(double seconds)
{
	return clock_seconds() + seconds * machine_patience;
}

/*
 * Whether the only CPU is halted with interrupts off: it will never execute anything. Asked only
 * when the count of instructions has stood still for a second.
 */
static bool dead(struct machine *m)
{
	enum { SECONDS = 1 };
	if (clock_seconds() - m->moved < SECONDS)
		return false;
	char *text = qmp_if_there(m, "human-monitor-command",
				  "{\"command-line\":\"info registers\"}");
	const char *flags = text ? strstr(text, "EFL=") : NULL;
	bool halted = flags && strstr(text, "HLT=1") && !(strtoul(flags + 4, NULL, 16) & EFLAGS_IF);
	free(text);
	return halted;
}

/* machine_late() for a machine with a budget, in million instructions. */
static bool budget_used_up(struct machine *m, double limit, unsigned budget)
{
	uint64_t before = m->instructions;
	m->asked = clock_seconds();
	if (qmp_instructions(m) != before)
		m->moved = m->asked;
	if (!m->pid)
		return false;
	m->late = m->instructions > budget * 1000000ull || dead(m);
	/* Nearly used up when the time is over: its instructions are slow, not this host. */
	if (m->asked > limit && m->instructions > budget * 900000ull)
		m->late = true;
	if (!m->late && m->asked > limit)
		give_up(BROKEN, "this host is too slow: %llu of %u million instructions "
			"when the time was over",
			(unsigned long long)m->instructions / 1000000, budget);
	return m->late;
}

bool machine_late(struct machine *m, double limit)
{
	enum { ASK_MS = 100 }; /* seldom enough to cost nothing */
	unsigned budget = m->o.budget ? m->o.budget : machine_budget;
	if (machine_debugged)
		return false;
	if (budget == 0 || m->o.cpus > 1 || m->o.bochs || m->o.free_running)
		return m->late = clock_seconds() > limit;
	if (machine_ended(m) || clock_seconds() - m->asked < ASK_MS / 1e3)
		return false;
	return budget_used_up(m, limit, budget);
}

/* --- stop and continue --- */

void machine_stop(struct machine *m)
{
	if (m->o.bochs) {
		bochs_stop(m);
	} else {
		free(qmp(m, "stop", NULL));
		if (m->gdb >= 0)
			gdb_settle(m);
	}
	machine_pump(m);
}

void machine_continue(struct machine *m)
{
	if (m->o.bochs) {
		m->stopped = false;
		dprintf(m->monitor_in, "c\n");
	} else {
		/* The machine may end before it answers. */
		free(qmp_if_there(m, "cont", NULL));
	}
}

/* --- the end --- */

bool machine_ended(struct machine *m)
{
	if (!m->pid)
		return true;
	m->exit_status = process_wait(m->pid, 0);
	if (m->exit_status < 0)
		return false;
	m->pid = 0;
	if (m->exit_status >= KILLED)
		give_up(BROKEN, "%s was ended by signal %d (%s)", m->o.bochs ? "Bochs" : "QEMU",
			m->exit_status - KILLED, strsignal(m->exit_status - KILLED));
	return true;
}

bool machine_ends(struct machine *m, double seconds)
{
	for (double end = clock_seconds() + seconds; !machine_ended(m); usleep(2000))
		if (clock_seconds() > end)
			return false;
	return true;
}

int machine_wait(struct machine *m, double seconds)
{
	if (m->o.bochs)
		return bochs_wait(m, seconds);
	for (double limit = machine_limit(seconds); !machine_ended(m); usleep(2000)) {
		machine_pump(m);
		if (machine_late(m, limit))
			give_up(FAILED, "the machine did not end in time");
	}
	machine_pump(m);
	return m->exit_status;
}

void machine_quit(struct machine *m)
{
	if (m->pid)
		process_kill(m->pid);
	m->pid = 0;
	machine_pump(m);
}

void machine_describe(const struct machine *m, FILE *to)
{
	const char *tail = m->log + m->log_bytes;
	for (int lines = 0; tail > m->log && lines <= 24; tail--)
		lines += tail[-1] == '\n';
	fprintf(to, "by hand: %s\nend of the serial log:\n", m->by_hand);
	for (bool first = true; *tail; tail++) {
		bool printable = *tail == '\n' || *tail == '\t' || (*tail >= ' ' && *tail < 127);
		if (first)
			fputs("    | ", to);
		first = *tail == '\n';
		fputc(printable ? *tail : '?', to);
	}
	fputc('\n', to);
}
