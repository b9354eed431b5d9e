/* SPDX-License-Identifier: MIT */
/*
 * GDB's remote protocol, as much of it as a judge needs: registers, memory, breakpoints, run,
 * step. (GDB manual, appendix "GDB Remote Serial Protocol".)
 */
#include "emulators.h"
#include "x86.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SECONDS = 10 }; /* for an answer */
enum { TURN_US = 200 };
static char packet[8192];

/* The value of two hexadecimal digits. */
static unsigned hex(const char *s)
{
	char digits[3] = { s[0], s[1], 0 };
	return (unsigned)strtoul(digits, NULL, 16);
}

/* The value of eight: a word, little-endian. */
static uint32_t word(const char *s)
{
	return hex(s) | hex(s + 2) << 8 | hex(s + 4) << 16 | hex(s + 6) << 24;
}

/*
 * Receive the rest of a packet, "text#checksum" after the '$'. To acknowledge it is not needed: the
 * next command does. Result: text, or NULL if the stub has closed.
 */
static const char *rest_of_packet(struct machine *m)
{
	size_t n = 0;
	int c;
	while ((c = stream_byte(&m->gdb, -1)) >= 0 && c != '#')
		if (n + 1 < sizeof(packet))
			packet[n++] = (char)c;
	packet[n] = '\0';
	for (int digits = 0; digits < 2 && c >= 0; digits++)
		c = stream_byte(&m->gdb, -1);
	return c >= 0 ? packet : NULL;
}

/* Receive a packet. Result: its text, or NULL if none comes in time, or the stub has closed. */
static const char *receive(struct machine *m, double seconds)
{
	double start = clock_seconds();
	for (int c; (c = stream_byte(&m->gdb, 20)) != STREAM_END;) {
		if (c == '$')
			return rest_of_packet(m);
		if (c != STREAM_NONE)
			continue;
		machine_pump(m);
		if (time_is_over(start, seconds))
			break;
	}
	return NULL;
}

/* Append a packet to those that transmit() sends. */
static void put_packet(struct machine *m, const char *fmt, va_list ap)
{
	enum { MARKS = sizeof("$#00") };
	char text[256];
	unsigned sum = 0;
	vsnprintf(text, sizeof(text), fmt, ap);
	for (const char *s = text; *s; s++)
		sum += (unsigned char)*s;
	m->posted_bytes += (size_t)snprintf(m->posted + m->posted_bytes, sizeof(text) + MARKS,
					    "$%s#%02x", text, sum & 0xFF);
}

/* Send the packets, and take the answers to all that were posted. */
static void transmit(struct machine *m)
{
	bool sent = send(m->gdb.fd, m->posted, m->posted_bytes, MSG_NOSIGNAL) >= 0;
	unsigned answers = m->posted_packets;
	for (m->posted_bytes = 0, m->posted_packets = 0; answers > 0; answers--) {
		const char *answer = sent ? receive(m, SECONDS) : NULL;
		if (!answer)
			machine_ends(m, 5);
		if (!answer)
			give_up(FAILED, "GDB stub: no answer within %d s", SECONDS);
		if (strcmp(answer, "OK") != 0)
			give_up(BROKEN, "GDB stub: a breakpoint, register or CPU is refused: %s",
				answer);
	}
}

const char *gdb_command(struct machine *m, double seconds, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	put_packet(m, fmt, ap);
	va_end(ap);
	transmit(m);
	const char *answer = receive(m, seconds);
	if (!answer)
		machine_ends(m, 5);
	if (!answer)
		give_up(FAILED, "GDB stub: no answer to %s within %.0f s", fmt, seconds);
	return answer;
}

void gdb_post(struct machine *m, const char *fmt, ...)
{
	va_list ap;
	if (m->posted_bytes > sizeof(m->posted) / 2)
		gdb_flush(m);
	va_start(ap, fmt);
	put_packet(m, fmt, ap);
	va_end(ap);
	m->posted_packets++;
}

void gdb_flush(struct machine *m)
{
	if (m->posted_packets > 0)
		transmit(m);
}

/*
 * QEMU reads a command for its monitor from here in one piece, but from QMP byte by byte, with a
 * dozen system calls each. The answer is many packets: "O" and a line's bytes, and last "OK".
 */
char *gdb_monitor(struct machine *m, const char *command)
{
	char bytes[200] = "", *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	for (const char *s = command; *s && strlen(bytes) + 3 < sizeof(bytes); s++)
		sprintf(bytes + strlen(bytes), "%02x", (unsigned char)*s);
	const char *answer = gdb_command(m, 10, "qRcmd,%s", bytes);
	for (; answer && strcmp(answer, "OK") != 0; answer = receive(m, 10))
		for (const char *s = answer + 1; *answer == 'O' && s[0] && s[1]; s += 2)
			fputc((int)hex(s), f);
	fclose(f);
	if (!answer)
		give_up(BROKEN, "GDB stub: no answer to %s", command);
	return text;
}

void gdb_connect(struct machine *m)
{
	char path[200];
	unsigned n = 0;
	while (machine_debugged) /* a person's GDB has the stub; this process ends with that GDB */
		pause();
	for (const struct machine *other = m->next; other; other = other->next)
		n++;
	snprintf(path, sizeof(path), "%.90s/%u.gdb", work_dir, n);
	/* A stop by the stub would cause a report, at an unknown time: so QMP stops the machine. */
	machine_stop(m);
	stream_connect(&m->gdb, path, "GDB stub");
	gdb_command(m, 10, "?");
	/* After this request the stub accepts p and P, which read and write one register. */
	gdb_command(m, 10, "qXfer:features:read:target.xml:0,800");
}

void gdb_disconnect(struct machine *m)
{
	gdb_command(m, 10, "D");
	gdb_close(m);
}

void gdb_close(struct machine *m)
{
	gdb_flush(m);
	close(m->gdb.fd);
	m->gdb.fd = -1;
}

void gdb_settle(struct machine *m)
{
	for (int c; (c = stream_byte(&m->gdb, 0)) >= 0;)
		if (c == '$')
			rest_of_packet(m);
}

void gdb_break(struct machine *m, uint32_t address, bool set)
{
	gdb_post(m, "%c1,%x,1", set ? 'Z' : 'z', address);
}

void gdb_watch(struct machine *m, uint32_t address, bool set)
{
	gdb_post(m, "%c2,%x,4", set ? 'Z' : 'z', address);
}

void gdb_watch_reads(struct machine *m, uint32_t address, bool set)
{
	gdb_post(m, "%c3,%x,4", set ? 'Z' : 'z', address);
}

/*
 * Let it run as a packet says. Result: the report of its stop; NULL if none comes in time. A
 * machine that stands still may have stopped just now: so the last look for a report is after that.
 */
static const char *run_to_stop(struct machine *m, double seconds, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	put_packet(m, fmt, ap);
	va_end(ap);
	transmit(m);
	bool late = false;
	for (machine_wait_begins(m, seconds); !late; machine_pump(m)) {
		late = machine_late(m);
		bool turn = m->wait.limit < 0.001; /* shorter than what poll() can wait */
		if (turn)
			usleep(TURN_US);
		int c = stream_byte(&m->gdb, turn ? 0 : m->wait.limit < 0.01 ? 2 : 20);
		if (c != '$' && c != STREAM_END)
			continue;
		const char *report = c == '$' ? rest_of_packet(m) : NULL;
		if (!report || *report == 'W') /* "W" says that the machine ends */
			machine_ends(m, 5);
		m->late = false; /* its report came with the last look */
		return machine_ended(m) ? NULL : report;
	}
	return NULL;
}

bool gdb_run(struct machine *m, double seconds)
{
	return run_to_stop(m, seconds, "c") != NULL;
}

void gdb_select(struct machine *m, unsigned cpu)
{
	gdb_post(m, "Hg%x", cpu + 1);
}

int gdb_run_cpus(struct machine *m, unsigned cpus, bool step, double seconds)
{
	char text[100] = "vCont";
	for (unsigned i = 0; i < m->o.cpus; i++)
		if (cpus >> i & 1)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), ";%c:%x",
				 step ? 's' : 'c', i + 1);
	m->held = ~cpus;
	const char *report = run_to_stop(m, seconds, "%s", text), *thread;
	m->held = 0;
	if (!report) {
		char *stopped = machine_ended(m) ? NULL : qmp_if_there(m, "stop", NULL);
		if (stopped) /* else it has ended before it could be stopped */
			gdb_settle(m);
		free(stopped);
		machine_pump(m);
		return -1;
	}
	thread = strstr(report, "thread:");
	return thread ? (int)strtoul(thread + 7, NULL, 16) - 1 : 0;
}

void gdb_step(struct machine *m)
{
	gdb_command(m, 10, "s");
}

uint32_t gdb_register(struct machine *m, enum gdb_register r)
{
	const char *s = gdb_command(m, 10, "p%x", r);
	if (strlen(s) != 8)
		give_up(BROKEN, "GDB stub: register %u is %s", r, s);
	return word(s);
}

/* QEMU's order in the answer to "g": the control registers come after all segments. */
void gdb_registers(struct machine *m, struct cpu_state *c)
{
	uint32_t fs_base, gs_base, kernel_gs_base;
	uint32_t *const to[] = { /* first those of enum gdb_register */
		&c->eax, &c->ecx, &c->edx, &c->ebx, &c->esp, &c->ebp, &c->esi, &c->edi, &c->eip,
		&c->eflags, &c->cs.selector, &c->ss.selector, &c->ds.selector, &c->es.selector,
		&c->fs.selector, &c->gs.selector, &fs_base, &gs_base, &kernel_gs_base,
		&c->cr0, &c->cr2, &c->cr3, &c->cr4,
	};
	enum { N = sizeof(to) / sizeof(to[0]) };
	const char *text = gdb_command(m, SECONDS, "g");
	if (strlen(text) < 8 * N)
		give_up(BROKEN, "GDB stub: the registers are %s", text);
	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < N; i++)
		*to[i] = word(text + 8 * i);
	c->cpl = c->cs.selector & 3;
}

void gdb_read(struct machine *m, uint32_t address, void *buf, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		size_t part = bytes - done < 1024 ? bytes - done : 1024;
		const char *text = gdb_command(m, 10, "m%x,%zx", (unsigned)(address + done), part);
		if (strlen(text) != part * 2)
			give_up(FAILED, "GDB stub: nothing is mapped at %#x (%s)",
				(unsigned)(address + done), text);
		for (size_t i = 0; i < part; i++)
			((uint8_t *)buf)[done + i] = (uint8_t)hex(text + 2 * i);
		done += part;
	}
}

void gdb_set_register(struct machine *m, enum gdb_register r, uint32_t value)
{
	gdb_post(m, "P%x=%08x", r, __builtin_bswap32(value));
}

/* --- a CPU that does not answer --- */

uint32_t gdb_put_idle(struct machine *m, unsigned cpu, bool interrupts, uint32_t eip)
{
	/* DF and the arithmetic flags: QEMU keeps them elsewhere, and adds them by itself. */
	enum { KEPT_ELSEWHERE = 0xCD5 };
	gdb_select(m, cpu);
	uint32_t flags = gdb_register(m, GDB_EFLAGS), old = gdb_register(m, GDB_EIP);
	flags &= ~(uint32_t)(EFLAGS_IF | KEPT_ELSEWHERE);
	gdb_set_register(m, GDB_EFLAGS, flags | (interrupts ? EFLAGS_IF : 0));
	gdb_set_register(m, GDB_EIP, eip);
	return old;
}

uint32_t gdb_silence(struct machine *m, unsigned cpu, uint32_t function)
{
	static const uint8_t loop[] = { 0xFA, 0xF4, 0xEB, 0xFC }; /* cli; hlt; jmp to the cli */
	uint8_t code[32], *at;
	gdb_select(m, cpu);
	gdb_read(m, function, code, sizeof(code));
	at = memmem(code, sizeof(code), loop, sizeof(loop));
	if (!at)
		give_up(FAILED, "the function at %#x does not stop a CPU for ever", function);
	return gdb_put_idle(m, cpu, false, function + (uint32_t)(at - code) + 2);
}
