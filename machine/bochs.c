/* SPDX-License-Identifier: MIT */
/*
 * Bochs, driven through the debugger that is built into Debian's: commands go to its standard input, answers come back
 * up to the next prompt. The serial line is a pseudo-terminal. A breakpoint on the kernel's shutdown operation holds the
 * machine at its end, with status and memory still there to be read.
 */
#include "machine.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define SHUTDOWN_INDEX 6 /* of cpu.shutdown in struct vo (kernel/vo/vo.h) */

static void write_configuration(struct machine *m, const char *path, const char *tty)
{
	FILE *f = fopen(path, "w");
	if (!f)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	fprintf(f, "plugin_ctrl: speaker=0\n");
	fprintf(f, "display_library: rfb, options=\"timeout=0\"\n"); /* needs no screen */
	fprintf(f, "romimage: file=/usr/share/bochs/BIOS-bochs-latest\nvgaromimage: file=/usr/share/vgabios/vgabios.bin\n");
	fprintf(f, "cpu: count=%u, ips=50000000, reset_on_triple_fault=0\nmegs: %u\nclock: sync=none\n", m->o.cpus, m->o.mem);
	fprintf(f, "ata0-master: type=cdrom, path=\"%s\", status=inserted\nboot: cdrom\n",
		m->o.iso_file ? m->o.iso_file : machine_make_iso(m));
	fprintf(f, "com1: enabled=1, mode=term, dev=%s\nlog: %s\npanic: action=fatal\n", tty, work_path("bochs.log"));
	fclose(f);
}

/* The kernel keeps frame pointers: its functions begin with this instruction of one byte. */
enum { PUSH_EBP = 1 };

/* The functions that end a run, with the status as their argument: either VO's (on the stack), and the VMM's (in EAX). */
enum { NR_ENDS = 3 };
static uint32_t end_address(unsigned i)
{
	return i == 2 ? vmm_symbol("end_run") : symbol_file_word(symbol(i ? "virtual_vo" : "native_vo") + 4 * SHUTDOWN_INDEX);
}

/* Read what the debugger has said. Result: whether it has come to its prompt, "<bochs:N> ", which is cut off. */
static bool prompted(struct machine *m)
{
	struct pollfd p = { .fd = m->monitor_out, .events = POLLIN };
	while (!m->answered && poll(&p, 1, 0) > 0) {
		m->said = realloc(m->said, m->said_bytes + 4097);
		ssize_t got = read(m->monitor_out, m->said + m->said_bytes, 4096);
		if (got <= 0) {
			for (double soon = machine_limit(1); !machine_ended(m) && now() < soon;) /* killed? then this gives up */
				usleep(2000);
			break;
		}
		m->said[m->said_bytes += (size_t)got] = '\0';
	}
	char *prompt = m->said_bytes ? strrchr(m->said, '<') : NULL;
	if (prompt && strncmp(prompt, "<bochs:", 7) == 0 && strcmp(m->said + m->said_bytes - 2, "> ") == 0) {
		*prompt = '\0';
		m->answered = true;
	}
	return m->answered;
}

/* The debugger's answer, up to its prompt. NULL if it ends or the time is over. */
static char *answer(struct machine *m, double seconds)
{
	for (double limit = now() + seconds; !prompted(m); machine_pump(m)) {
		if (now() > limit || !m->pid)
			return NULL;
		poll(&(struct pollfd){ .fd = m->monitor_out, .events = POLLIN }, 1, 20);
	}
	char *text = m->said;
	m->said = NULL, m->said_bytes = 0, m->answered = false;
	return text;
}

char *bochs_command(struct machine *m, const char *fmt, ...)
{
	char command[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	dprintf(m->monitor_in, "%s\n", command);
	char *text = answer(m, 60);
	if (!text)
		give_up(BROKEN, "Bochs: no answer to `%s`", command);
	return text;
}

/* Bochs's own takes this process's place: the same machine is a person's. */
static void debugger(const char *command)
{
	printf("%s\n", command);
	fflush(stdout);
	unsetenv("MAKEFLAGS"), unsetenv("MAKELEVEL"); /* of a make that runs us */
	execl("/bin/sh", "sh", "-c", command, NULL);
	give_up(BROKEN, "/bin/sh: %s", strerror(errno));
}

void bochs_start(struct machine *m)
{
	int in[2], out[2], slave;
	struct termios raw = { .c_cflag = CS8 };
	char tty[64];
	const char *configuration = work_path("bochsrc");
	if (asprintf(&m->by_hand, "make %s-bochs SMP=%u MEM=%u CMDLINE='%s'", machine_debugged ? "debug" : "run", m->o.cpus, m->o.mem,
		     machine_cmdline(m)) < 0)
		give_up(BROKEN, "no memory");
	if (machine_debugged)
		debugger(m->by_hand);
	if (openpty(&m->serial, &slave, tty, &raw, NULL) < 0 || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		give_up(BROKEN, "pseudo-terminal: %s", strerror(errno));
	write_configuration(m, configuration, tty);
	fcntl(m->serial, F_SETFD, FD_CLOEXEC);
	m->serial_in = m->serial;
	m->pid = process_start((char *[]){ "bochs", "-q", "-f", (char *)configuration, NULL }, in[0], out[1], out[1]);
	close(in[0]), close(out[1]); /* slave stays open: the line must not hang up before Bochs opens it */
	m->monitor_in = in[1], m->monitor_out = out[0];
	m->stopped = true;
	char *text = answer(m, 20);
	if (!text)
		give_up(BROKEN, "Bochs does not start (see bochs.log)");
	free(text);
	for (unsigned i = 0; i < NR_ENDS; i++) { /* with several CPUs Bochs overlooks one where a CPU's turn begins: so two */
		free(bochs_command(m, "lb 0x%x", end_address(i)));
		free(bochs_command(m, "lb 0x%x", end_address(i) + PUSH_EBP));
	}
	if (!m->o.paused)
		machine_continue(m);
}

void bochs_stop(struct machine *m)
{
	if (m->stopped)
		return;
	kill(m->pid, SIGINT);
	char *text = answer(m, 20);
	if (!text)
		give_up(FAILED, "Bochs does not stop; it may have ended by itself");
	free(text);
	m->stopped = true;
}

bool bochs_stopped(struct machine *m)
{
	return m->stopped || prompted(m);
}

bool bochs_run(struct machine *m, double seconds)
{
	dprintf(m->monitor_in, "c\n");
	char *text = answer(m, seconds);
	m->stopped = text != NULL;
	free(text);
	return m->stopped;
}

int bochs_wait(struct machine *m, double seconds)
{
	char *text = m->stopped ? strdup("") : answer(m, seconds);
	if (!text)
		give_up(FAILED, "the machine did not reach its shutdown within %.0f s", seconds);
	free(text);
	m->stopped = true;
	struct cpu_state cpus[CPUS_MAX];
	uint32_t status = 0;
	unsigned n = machine_state(m, cpus);
	for (unsigned k = 0; k < n * NR_ENDS * 2; k++) {
		const struct cpu_state *c = &cpus[k / NR_ENDS / 2];
		uint32_t pushed = k & 1;
		if (c->eip != end_address(k / 2 % NR_ENDS) + pushed)
			continue;
		if (k / 2 % NR_ENDS == 2)
			status = c->eax;
		else
			virtual_read(m, c->cr3, c->esp + 4 + 4 * pushed, &status, 4);
		return m->exit_status = (int)(2 * status + 1);
	}
	give_up(FAILED, "the machine stopped, but not in its shutdown: EIP %#x", cpus[0].eip);
}
