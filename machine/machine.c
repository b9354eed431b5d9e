/* SPDX-License-Identifier: MIT */
/*
 * A machine's life: start, the limits of waiting for it, stop and continue, end. One set of
 * functions for both emulators.
 */
#include "emulators.h"
#include "offsets.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(EXIT_PANIC == 2 * PANIC_STATUS + 1 && EXIT_OK == 2 * OK_STATUS + 1,
	       "isa-debug-exit makes exit status 2 * n + 1 of the kernel's status n");

struct machine *machines;
bool machine_debugged, machine_traced;

/* An emulator says only that it cannot load such a kernel, or nothing. */
static void check_size(const struct machine *m)
{
	uint32_t begin, end, entry;
	free(symbol_file_image(&begin, &end, &entry));
	if (end > (uint64_t)m->o.mem << 20)
		give_up(FAILED, "the kernel is too large for the machine: it needs memory up to %u "
			"MiB, the machine has %u", (end >> 20) + 1, m->o.mem);
}

struct machine *machine_start(const struct machine_options *o)
{
	struct machine *m = calloc(1, sizeof(*m));
	m->o = *o;
	m->o.cpus = o->cpus ? o->cpus : 1;
	m->o.mem = o->mem ? o->mem : 64;
	m->log = calloc(1, 1);
	m->exit_status = -1;
	check_size(m);
	m->next = machines;
	machines = m;
	if (o->bochs)
		bochs_start(m);
	else
		qemu_start(m);
	return m;
}

const char *machine_path(const struct machine *m, const char *name)
{
	unsigned n = 0;
	char text[64];
	for (const struct machine *other = m->next; other; other = other->next)
		n++;
	snprintf(text, sizeof(text), "%u.%s", n, name);
	return work_path(text);
}

/* --- stop and continue --- */

void machine_stop(struct machine *m)
{
	if (m->o.bochs) {
		bochs_stop(m);
	} else {
		free(qmp(m, "stop", NULL));
		if (m->gdb.fd >= 0)
			gdb_settle(m);
	}
	machine_pump(m);
}

void machine_continue(struct machine *m)
{
	if (m->o.bochs) {
		m->stopped = false;
		bochs_send(m, "c");
	} else {
		/* The machine may end before it answers. */
		free(qmp_if_there(m, "cont", NULL));
	}
}

/* --- the end --- */

/*
 * A signal ended the emulator. It is the guest that makes an emulator abort, fault, or pass the
 * limits of its process. Any other signal is from outside.
 */
static void give_up_killed(const struct machine *m, int signal) __attribute__((noreturn));
static void give_up_killed(const struct machine *m, int signal)
{
	static const int by_guest[] = {
		SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGXCPU, SIGXFSZ,
	};
	const char *emulator = m->o.bochs ? "Bochs" : m->o.v86 ? "v86" : "QEMU";
	char text[300] = "";
	/* QEMU's cause, without the registers after it */
	shell(text, sizeof(text), 5, "grep -m 1 -E 'fatal|[Aa]ssert|ERROR' %s || head -n 1 %s",
	      work_path("qemu.err"), work_path("qemu.err"));
	text[strcspn(text, "\n")] = '\0';
	for (unsigned i = 0; i < sizeof(by_guest) / sizeof(by_guest[0]); i++)
		if (signal == by_guest[i])
			give_up(FAILED, "the kernel does what ends %s itself, by signal %d "
				"(%s)%s%s", emulator, signal, strsignal(signal),
				*text ? ": " : "", text);
	give_up(BROKEN, "%s was ended by signal %d (%s)", emulator, signal, strsignal(signal));
}

bool machine_ended(struct machine *m)
{
	if (!m->pid)
		return true;
	m->exit_status = process_wait(m->pid, 0);
	if (m->exit_status < 0)
		return false;
	m->pid = 0;
	if (m->exit_status >= KILLED)
		give_up_killed(m, m->exit_status - KILLED);
	if (!m->o.bochs && m->exit_status == 0 && m->qmp.fd > 0)
		qmp_read_end(m);
	return true;
}

bool machine_triple_fault(const struct machine *m)
{
	return strcmp(m->end, "guest-reset") == 0 &&
	       shell(NULL, 0, 5, "grep -q '^Triple fault' %s",
		     machine_traced ? work_path("traps") : machine_path(m, "resets")) == 0;
}

const char *machine_end(const struct machine *m)
{
	static char text[100];
	snprintf(text, sizeof(text), "ended with status %d", m->exit_status);
	if (strcmp(m->end, "guest-shutdown") == 0)
		return "was turned off by the kernel (ACPI, sleep state 5)";
	if (machine_triple_fault(m))
		return "was reset by a triple fault";
	return strcmp(m->end, "guest-reset") == 0 ?
		"was reset by the kernel (keyboard controller, port 0xcf9, or ACPI); that is no "
		"triple fault" : text;
}

bool machine_ends(struct machine *m, double seconds)
{
	for (double start = clock_seconds(); !machine_ended(m); process_pause(m->pid, -1, 100))
		if (time_is_over(start, seconds))
			return false;
	return true;
}

int machine_wait(struct machine *m, double seconds)
{
	if (m->o.bochs)
		return bochs_wait(m, seconds);
	machine_wait_begins(m, seconds);
	for (; !machine_ended(m); process_pause(m->pid, m->serial, 20)) {
		machine_pump(m);
		if (machine_late(m))
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
