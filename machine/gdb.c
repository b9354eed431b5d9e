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
#include <unistd.h>

static char packet[8192];

/* The value of two hexadecimal digits. */
static unsigned hex(const char *s)
{
	char digits[3] = { s[0], s[1], 0 };
	return (unsigned)strtoul(digits, NULL, 16);
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

static void transmit(struct machine *m, const char *text)
{
	unsigned sum = 0;
	for (const char *s = text; *s; s++)
		sum += (unsigned char)*s;
	dprintf(m->gdb.fd, "$%s#%02x", text, sum & 0xFF);
}

const char *gdb_command(struct machine *m, double seconds, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	transmit(m, text);
	const char *answer = receive(m, seconds);
	if (!answer)
		machine_ends(m, 5);
	if (!answer)
		give_up(FAILED, "GDB stub: no answer to %s within %.0f s", text, seconds);
	return answer;
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
	/* After this request the stub accepts p, which reads one register. */
	gdb_command(m, 10, "qXfer:features:read:target.xml:0,8");
}

void gdb_disconnect(struct machine *m)
{
	gdb_command(m, 10, "D");
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
	if (strcmp(gdb_command(m, 10, "%c1,%x,1", set ? 'Z' : 'z', address), "OK") != 0)
		give_up(BROKEN, "GDB stub: no breakpoint at %#x", address);
}

/*
 * Let it run as transmit() says. Result: the report of its stop; NULL if none comes in time. A
 * machine that stands still may have stopped just now: so the last look for a report is after that.
 */
static const char *run_to_stop(struct machine *m, const char *text, double seconds)
{
	transmit(m, text);
	bool late = false;
	for (machine_wait_begins(m, seconds); !late; machine_pump(m)) {
		late = machine_late(m);
		int c = stream_byte(&m->gdb, m->wait.limit < 0.01 ? 2 : 20);
		if (c != '$' && c != STREAM_END)
			continue;
		const char *report = c == '$' ? rest_of_packet(m) : NULL;
		if (!report || *report == 'W') /* "W" says that the machine ends */
			machine_ends(m, 5);
		return machine_ended(m) ? NULL : report;
	}
	return NULL;
}

bool gdb_run(struct machine *m, double seconds)
{
	return run_to_stop(m, "c", seconds) != NULL;
}

void gdb_select(struct machine *m, unsigned cpu)
{
	gdb_command(m, 10, "Hg%x", cpu + 1);
}

int gdb_run_cpus(struct machine *m, unsigned cpus, bool step, double seconds)
{
	char text[100] = "vCont";
	for (unsigned i = 0; i < m->o.cpus; i++)
		if (cpus >> i & 1)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), ";%c:%x",
				 step ? 's' : 'c', i + 1);
	const char *report = run_to_stop(m, text, seconds), *thread;
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
	const char *s = gdb_command(m, 10, "p%x", r); /* little-endian */
	if (strlen(s) != 8)
		give_up(BROKEN, "GDB stub: register %u is %s", r, s);
	return hex(s) | hex(s + 2) << 8 | hex(s + 4) << 16 | hex(s + 6) << 24;
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

/*
 * Read all registers, and write the first nine back with one changed. The packet that writes one
 * register would need more of the protocol.
 */
void gdb_set_register(struct machine *m, enum gdb_register r, uint32_t value)
{
	char all[(GDB_EIP + 1) * 8 + 1], one[9];
	snprintf(all, sizeof(all), "%s", gdb_command(m, 10, "g"));
	snprintf(one, sizeof(one), "%08x", __builtin_bswap32(value));
	memcpy(all + r * 8, one, 8);
	if (r > GDB_EIP || strcmp(gdb_command(m, 10, "G%s", all), "OK") != 0)
		give_up(BROKEN, "GDB stub: register %u is not set", r);
}

/* --- a CPU that does not answer --- */

/* Write any one register. QEMU allows that after it has sent its whole target description. */
static void write_register(struct machine *m, enum gdb_register r, uint32_t value)
{
	if (strcmp(gdb_command(m, 10, "P%x=%08x", r, __builtin_bswap32(value)), "OK") != 0)
		give_up(BROKEN, "GDB stub: register %u is not set", r);
}

uint32_t gdb_put_idle(struct machine *m, unsigned cpu, bool interrupts, uint32_t eip)
{
	/* DF and the arithmetic flags: QEMU keeps them elsewhere, and adds them by itself. */
	enum { KEPT_ELSEWHERE = 0xCD5 };
	gdb_command(m, 10, "qXfer:features:read:target.xml:0,800");
	gdb_select(m, cpu);
	uint32_t flags = gdb_register(m, GDB_EFLAGS), old = gdb_register(m, GDB_EIP);
	flags &= ~(uint32_t)(EFLAGS_IF | KEPT_ELSEWHERE);
	write_register(m, GDB_EFLAGS, flags | (interrupts ? EFLAGS_IF : 0));
	write_register(m, GDB_EIP, eip);
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

/* --- either emulator's debugger --- */

/* Bochs's number of the breakpoint at an address; 0: there is none. */
static unsigned bochs_breakpoint(struct machine *m, uint32_t address)
{
	char *list = bochs_command(m, "blist");
	unsigned number = 0, n;
	unsigned long long at;
	for (const char *line = list; line; line = strchr(line + 1, '\n'))
		if (sscanf(line, " %u lbreakpoint keep y %llx", &n, &at) == 2 && at == address)
			number = n;
	free(list);
	return number;
}

void debug_break(struct machine *m, uint32_t address, bool set)
{
	unsigned number;
	if (!m->o.bochs)
		gdb_break(m, address, set);
	else if (set)
		free(bochs_command(m, "lb 0x%x", address));
	else if ((number = bochs_breakpoint(m, address)))
		free(bochs_command(m, "d %u", number));
}

void debug_select(struct machine *m, unsigned cpu)
{
	if (m->o.cpus < 2)
		return;
	if (m->o.bochs)
		free(bochs_command(m, "set $cpu = %u", cpu));
	else
		gdb_select(m, cpu);
}

void debug_set_register(struct machine *m, enum gdb_register r, uint32_t value)
{
	static const char *const names[] = {
		"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip",
	};
	if (m->o.bochs)
		free(bochs_command(m, "set %s = 0x%x", names[r], value));
	else
		gdb_set_register(m, r, value);
}

bool debug_run(struct machine *m, double seconds)
{
	return m->o.bochs ? bochs_run(m, seconds) : gdb_run(m, seconds);
}
