/* SPDX-License-Identifier: MIT */
/*
 * Bochs, driven by the debugger that is built into Debian's Bochs. The debugger executes a file of
 * commands that never ends, a named pipe: on its standard input it would spend a system call on
 * each letter. It prompts for nothing there, so each command is followed by one whose answer is
 * known. The serial line is a pseudo-terminal. Breakpoints on the functions that end a run stop
 * the machine there, with its status and memory still readable.
 */
#include "emulators.h"
#include "offsets.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static void write_configuration(struct machine *m, const char *path, const char *tty)
{
	const char *rom = machine_path(m, "loader.rom"), *disk = machine_path(m, "loader.disk");
	const char *iso = m->o.iso_file ? m->o.iso_file : m->o.iso ? machine_make_iso(m) : NULL;
	FILE *f = fopen(path, "w");
	if (!f)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	fprintf(f, "plugin_ctrl: speaker=0\n");
	fprintf(f, "display_library: rfb, options=\"timeout=0\"\n"); /* needs no screen */
	fprintf(f, "romimage: file=/usr/share/bochs/BIOS-bochs-latest\n");
	fprintf(f, "vgaromimage: file=/usr/share/vgabios/vgabios.bin\n");
	fprintf(f, "cpu: model=%s, count=%u, ips=%u, reset_on_triple_fault=0\n",
		m->o.processor ? m->o.processor : "bx_generic", m->o.cpus, BOCHS_HZ);
	fprintf(f, "megs: %u\nclock: sync=none\n", m->o.mem);
	if (iso) {
		fprintf(f, "ata0-master: type=cdrom, path=\"%s\", status=inserted\n", iso);
		fprintf(f, "boot: cdrom\n");
	} else {
		bochs_make_image(m, rom, disk);
		fprintf(f, "optromimage1: file=\"%s\", address=0xd0000\n", rom);
		fprintf(f, "ata0-master: type=disk, path=\"%s\", mode=flat\n", disk);
	}
	fprintf(f, "com1: enabled=1, mode=term, dev=%s\n", tty);
	if (m->o.net_files || m->o.net_port) {
		fprintf(f, "ne2k: type=isa, ioaddr=0x300, irq=3, mac=b0:c4:20:00:00:01, ");
		if (m->o.net_files)
			fprintf(f, "ethmod=vnet, ethdev=\"%s\"\n", m->o.net_files);
		else
			fprintf(f, "ethmod=socket, ethdev=%u\n", m->o.net_port);
	}
	/* Its handler of SIGINT logs an info, and locks the log: which its main thread may hold. */
	fprintf(f, "log: %s\npanic: action=fatal\ninfo: action=ignore\n",
		work_path("bochs.log"));
	fclose(f);
}

/* --- where a run ends --- */

/*
 * The functions that end a run with the status as their argument: cpu.shutdown of each VO, with
 * the status on the stack, and the VMM's end_run(), with the status in EAX.
 */
enum { END_NATIVE, END_VIRTUAL, END_VMM, NR_ENDS };
static uint32_t end_address(unsigned end)
{
	if (end == END_VMM)
		return vmm_symbol("end_run");
	uint32_t vo = symbol(end == END_VIRTUAL ? "virtual_vo" : "native_vo");
	return symbol_file_word(vo + VO_CPU_SHUTDOWN);
}

/*
 * Each of them has breakpoints on its first two instructions: with several CPUs Bochs overlooks
 * a breakpoint on the first instruction of a CPU's turn. The first one is push %ebp, of one byte,
 * because kernel and VMM keep frame pointers.
 */
enum { PUSH_EBP = 1 };

static void break_at_ends(struct machine *m)
{
	for (unsigned end = 0; end < NR_ENDS; end++) {
		if (end == END_VIRTUAL && m->o.guests)
			continue; /* domain 0's comes to the VMM's */
		free(bochs_command(m, "lb 0x%x", end_address(end)));
		free(bochs_command(m, "lb 0x%x", end_address(end) + PUSH_EBP));
	}
}

/* If a CPU is at a breakpoint of that end, read the run's status. Result: whether it is. */
static bool read_status(struct machine *m, const struct cpu_state *c, unsigned end,
			uint32_t *status)
{
	uint32_t pushed = c->eip - end_address(end);
	if (pushed > PUSH_EBP)
		return false;
	if (end == END_VMM)
		*status = c->eax;
	else
		virtual_read(m, c->cr3, c->esp + 4 + 4 * pushed, status, 4);
	return true;
}

/* --- the debugger --- */

/* The command after each command, "calculate this number", and its answer. */
#define MARK "? 305419896\n"
#define MARK_ANSWER "0x12345678 305419896\n"
enum { ANSWER_BYTES = 1 << 18 }; /* room in its pipe */

void bochs_send(struct machine *m, const char *command)
{
	dprintf(m->monitor_in, "%s\n" MARK, command);
}

/* Read what the debugger has said. Result: whether its answer is complete; the mark is cut off. */
static bool answered(struct machine *m)
{
	struct pollfd p = { .fd = m->monitor_out, .events = POLLIN };
	while (!m->answered && poll(&p, 1, 0) > 0) {
		m->said = realloc(m->said, m->said_bytes + 4098);
		if (m->said_bytes == 0) /* each line of an answer follows a newline */
			m->said[m->said_bytes++] = '\n';
		ssize_t got = read(m->monitor_out, m->said + m->said_bytes, 4096);
		if (got <= 0) {
			machine_ends(m, 1);
			break;
		}
		m->said[m->said_bytes += (size_t)got] = '\0';
	}
	size_t mark = strlen(MARK_ANSWER);
	if (m->said_bytes >= mark && strcmp(m->said + m->said_bytes - mark, MARK_ANSWER) == 0) {
		m->said[m->said_bytes -= mark] = '\0';
		m->answered = true;
	}
	return m->answered;
}

static void wait_a_little(struct machine *m)
{
	machine_pump(m);
	process_pause(m->pid, m->monitor_out, 20);
}

static char *take_answer(struct machine *m)
{
	char *text = m->said;
	m->said = NULL, m->said_bytes = 0, m->answered = false;
	return text;
}

/*
 * Wait for the debugger's answer. Bochs writes each word of memory by itself: who waited for the
 * next bytes would be woken for each. So the pauses grow. After a second only the time counts that
 * Bochs does not wait for a processor. Result: whether it came; not if Bochs ends.
 */
static bool await_answer(struct machine *m)
{
	enum { SECONDS = 60, LEAST_US = 20, MOST_US = 2000 };
	useconds_t pause = LEAST_US;
	double start = clock_seconds(), from = 0;
	for (; !answered(m); usleep(pause)) {
		bool late = m->pid && time_is_over(start, 1);
		from = late && from == 0 ? process_clock(m->pid) : from;
		if (!m->pid || (late && process_clock(m->pid) - from > SECONDS))
			return false;
		machine_pump(m);
		pause = pause < MOST_US ? 2 * pause : MOST_US;
	}
	return true;
}

/* As await_answer(). Result: its text, or NULL. */
static char *answer(struct machine *m)
{
	return await_answer(m) ? take_answer(m) : NULL;
}

/*
 * Whether the running machine has stopped at a breakpoint. An interrupt() that Bochs saw too late
 * is no reason to stop: it goes on.
 */
static bool at_breakpoint(struct machine *m)
{
	if (!answered(m))
		return false;
	if (strstr(m->said, "Breakpoint"))
		return true;
	free(take_answer(m));
	bochs_send(m, "c");
	return false;
}

/* Wait until the running machine stops. Result: what Bochs says; NULL if it ends or is late. */
static char *await_stop(struct machine *m, double seconds)
{
	for (machine_wait_begins(m, seconds); !at_breakpoint(m); wait_a_little(m))
		if (!m->pid || machine_late(m))
			return NULL;
	m->stopped = true;
	return take_answer(m);
}

/* Bochs has ended by itself: the guest shut it down, or did what Bochs cannot emulate. */
static void give_up_ended(const struct machine *m) __attribute__((noreturn));
static void give_up_ended(const struct machine *m)
{
	char text[300] = "";
	shell(text, sizeof(text), 5, "grep -h PANIC '%s' | head -n 1", work_path("bochs.log"));
	give_up(FAILED, "the machine ended by itself, with Bochs's status %d %s", m->exit_status,
		text);
}

char *bochs_command(struct machine *m, const char *fmt, ...)
{
	char command[4096];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	bochs_send(m, command);
	char *text = answer(m);
	if (!text && !m->pid)
		give_up_ended(m);
	if (!text)
		give_up(BROKEN, "Bochs: no answer to `%s`", command);
	return text;
}

/* --- start --- */

/* Become the command that gives a person this machine in Bochs's debugger. */
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
	int out[2], slave;
	struct termios raw = { .c_cflag = CS8 };
	char tty[64];
	const char *configuration = machine_path(m, "bochsrc");
	const char *commands = machine_path(m, "commands");
	if (asprintf(&m->by_hand, "make %s-bochs SMP=%u MEM=%u CMDLINE='%s'",
		     machine_debugged ? "debug" : "run", m->o.cpus, m->o.mem,
		     machine_cmdline(m)) < 0)
		give_up(BROKEN, "no memory");
	if (machine_debugged)
		debugger(m->by_hand);
	if (openpty(&m->serial, &slave, tty, &raw, NULL) < 0 || mkfifo(commands, 0600) < 0 ||
	    pipe2(out, O_CLOEXEC) < 0)
		give_up(BROKEN, "pseudo-terminal or pipe: %s", strerror(errno));
	m->monitor_in = open(commands, O_RDWR | O_CLOEXEC);
	fcntl(out[0], F_SETPIPE_SZ, ANSWER_BYTES); /* if it is refused, Bochs waits now and then */
	write_configuration(m, configuration, tty);
	fcntl(m->serial, F_SETFD, FD_CLOEXEC);
	m->serial_in = m->serial;
	char *argv[] = { "bochs", "-q", "-f", (char *)configuration, "-rc", (char *)commands,
			 NULL };
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	m->pid = process_start(argv, nothing, out[1], out[1]);
	/* slave stays open: without it the line would hang up before Bochs opens it. */
	close(nothing), close(out[1]);
	m->monitor_out = out[0];
	m->stopped = true;
	dprintf(m->monitor_in, MARK);
	char *text = answer(m);
	if (!text)
		give_up(BROKEN, "Bochs does not start (see bochs.log)");
	free(text);
	break_at_ends(m);
	if (!m->o.paused)
		machine_continue(m);
}

/* --- stop and run --- */

/*
 * Interrupt the running machine, again and again: Bochs forgets an interrupt that comes before it
 * has begun to run.
 */
static void interrupt(struct machine *m)
{
	enum { SECONDS = 60 };
	for (double start = clock_seconds(); !answered(m); wait_a_little(m)) {
		if (!m->pid)
			give_up_ended(m);
		if (time_is_over(start, SECONDS))
			give_up(BROKEN, "Bochs does not stop");
		kill(m->pid, SIGINT);
	}
}

void bochs_stop(struct machine *m)
{
	if (m->stopped)
		return;
	interrupt(m);
	free(take_answer(m));
	m->stopped = true;
}

/* Each stop says when it is: "Next at t=5000". */
uint64_t bochs_ticks(struct machine *m)
{
	static const char when[] = "Next at t=";
	if (m->stopped || at_breakpoint(m) || !m->pid)
		return m->instructions;
	interrupt(m);
	const char *at = strstr(m->said, when);
	if (at)
		m->instructions = strtoull(at + strlen(when), NULL, 10);
	if (!strstr(m->said, "Breakpoint")) {
		free(take_answer(m));
		bochs_send(m, "c");
	}
	return m->instructions;
}

bool bochs_stopped(struct machine *m)
{
	return m->stopped || at_breakpoint(m);
}

bool bochs_run(struct machine *m, double seconds)
{
	bochs_send(m, "c");
	m->stopped = false;
	free(await_stop(m, seconds));
	return m->stopped;
}

/* Where the machine has stopped, a CPU may be at the end of its run. Result: whether one is. */
static bool at_end(struct machine *m, struct cpu_state cpus[CPUS_MAX])
{
	uint32_t status = 0;
	unsigned n = machine_state(m, cpus);
	for (unsigned i = 0; i < n; i++)
		for (unsigned end = 0; end < NR_ENDS; end++)
			if (read_status(m, &cpus[i], end, &status)) {
				m->exit_status = (int)(2 * status + 1);
				return true;
			}
	return false;
}

/* It may have stopped at a breakpoint of one CPU, while another one ends the run: it goes on. */
int bochs_wait(struct machine *m, double seconds)
{
	enum { STOPS = 4 };
	struct cpu_state cpus[CPUS_MAX];
	for (unsigned stops = 0; stops < STOPS; stops++) {
		if (!m->stopped)
			free(await_stop(m, seconds));
		if (!m->pid)
			give_up_ended(m);
		if (!m->stopped)
			give_up(FAILED, "the machine did not reach its shutdown in time");
		if (at_end(m, cpus))
			return m->exit_status;
		machine_continue(m);
	}
	give_up(FAILED, "the machine stopped, but not in its shutdown: EIP %#x", cpus[0].eip);
}
