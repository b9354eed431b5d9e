/* SPDX-License-Identifier: MIT */
/*
 * GDB's remote protocol, as much of it as a judge needs: registers, memory, breakpoints, run,
 * step. (GDB manual, appendix "GDB Remote Serial Protocol".)
 */
#include "emulators.h"
#include "x86.h"
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char packet[8192];

/* The value of two hexadecimal digits. */
static unsigned hex(const char *s)
{
	char digits[3] = { s[0], s[1], 0 };
	return (unsigned)strtoul(digits, NULL, 16);
}

/* Result: false if none comes before the end, or the stub has closed. */
static bool get_byte(struct machine *m, double end, char *c)
{
	while (clock_seconds() < end) {
		struct pollfd p = { .fd = m->gdb, .events = POLLIN };
		ssize_t n = recv(m->gdb, c, 1, MSG_DONTWAIT);
		if (n >= 0)
			return n == 1;
		machine_pump(m);
		poll(&p, 1, 20);
	}
	return false;
}

/*
 * Receive a packet, "$text#checksum", and acknowledge it with '+'.
 * Result: text, or NULL if none comes in time.
 */
static const char *receive(struct machine *m, double seconds)
{
	double end = clock_seconds() + seconds;
	size_t n = 0;
	char c, sum[2];
	do
		if (!get_byte(m, end, &c))
			return NULL;
	while (c != '$');
	while (get_byte(m, end, &c) && c != '#')
		if (n + 1 < sizeof(packet))
			packet[n++] = c;
	packet[n] = '\0';
	if (!get_byte(m, end, &sum[0]) || !get_byte(m, end, &sum[1]) ||
	    write(m->gdb, "+", 1) != 1)
		return NULL;
	return packet;
}

static void transmit(struct machine *m, const char *text)
{
	unsigned sum = 0;
	for (const char *s = text; *s; s++)
		sum += (unsigned char)*s;
	dprintf(m->gdb, "$%s#%02x", text, sum & 0xFF);
}

const char *gdb_command(struct machine *m, double seconds, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	transmit(m, text);
	const char *answer = receive(m, seconds * machine_patience);
	if (!answer)
		machine_ends(m, 5);
	if (!answer)
		give_up(FAILED, "GDB stub: no answer to %s within %.0f s", text, seconds);
	return answer;
}

void gdb_connect(struct machine *m)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	unsigned n = 0;
	while (machine_debugged) /* a person's GDB has the stub; this process ends with that GDB */
		pause();
	for (const struct machine *other = m->next; other; other = other->next)
		n++;
	snprintf(to.sun_path, sizeof(to.sun_path), "%.90s/%u.gdb", work_dir, n);
	/* A stop by the stub would cause a report, at an unknown time: so QMP stops the machine. */
	machine_stop(m);
	m->gdb = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(m->gdb, (struct sockaddr *)&to, sizeof(to)) < 0)
		give_up(BROKEN, "GDB stub: %s", strerror(errno));
	gdb_command(m, 10, "?");
	/* After this request the stub accepts p, which reads one register. */
	gdb_command(m, 10, "qXfer:features:read:target.xml:0,8");
}

void gdb_settle(struct machine *m)
{
	struct pollfd p = { .fd = m->gdb, .events = POLLIN };
	while (poll(&p, 1, 0) > 0 && receive(m, 1))
		;
}

void gdb_break(struct machine *m, uint32_t address, bool set)
{
	if (strcmp(gdb_command(m, 10, "%c1,%x,1", set ? 'Z' : 'z', address), "OK") != 0)
		give_up(BROKEN, "GDB stub: no breakpoint at %#x", address);
}

/* Wait for the report of a stop; NULL if none comes before the limit, or the machine ends. */
static const char *await_stop(struct machine *m, double limit)
{
	while (!machine_late(m, limit)) {
		struct pollfd p = { .fd = m->gdb, .events = POLLIN };
		char c = 0;
		machine_pump(m);
		if (poll(&p, 1, 20) <= 0)
			continue;
		bool byte = recv(m->gdb, &c, 1, MSG_PEEK) == 1;
		if (byte && c == '+' && read(m->gdb, &c, 1) == 1) /* acknowledges our packet */
			continue;
		const char *report = receive(m, 10);
		if (!report || *report == 'W') /* "W" says that the machine ends */
			machine_ends(m, 5);
		return machine_ended(m) ? NULL : report;
	}
	return NULL;
}

bool gdb_run(struct machine *m, double seconds)
{
	transmit(m, "c");
	return await_stop(m, machine_limit(seconds)) != NULL;
}

void gdb_select(struct machine *m, unsigned cpu)
{
	gdb_command(m, 10, "Hg%x", cpu + 1);
}

int gdb_run_cpus(struct machine *m, unsigned cpus, bool step, double limit)
{
	char text[100] = "vCont";
	for (unsigned i = 0; i < m->o.cpus; i++)
		if (cpus >> i & 1)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), ";%c:%x",
				 step ? 's' : 'c', i + 1);
	transmit(m, text);
	const char *report = await_stop(m, limit), *thread;
	if (!report) {
		if (!machine_ended(m))
			machine_stop(m);
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

void debug_break(struct machine *m, uint32_t address, bool set)
{
	static unsigned number, n;
	if (!m->o.bochs) {
		gdb_break(m, address, set);
		return;
	}
	if (!set) {
		free(bochs_command(m, "d %u", number));
		return;
	}
	free(bochs_command(m, "lb 0x%x", address));
	char *list = bochs_command(m, "blist");
	/* The latest breakpoint has the highest number. */
	for (const char *line = list; line; line = strchr(line + 1, '\n'))
		if (sscanf(line, " %u lbreakpoint", &n) == 1 && n > number)
			number = n;
	free(list);
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
