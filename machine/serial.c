/* SPDX-License-Identifier: MIT */
/* The serial line: all that a machine says is kept in its log, where callers wait for texts. */
#include "emulators.h"
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void give_up_flooded(struct machine *m) __attribute__((noreturn));
static void give_up_flooded(struct machine *m)
{
	close(m->serial);
	m->serial = -1;
	m->late = true;
	give_up(FAILED, "the machine prints without end: %zu MiB on the serial line",
		m->log_bytes >> 20);
}

/* What no check and no test prints. */
enum { LOG_MAX = 4 << 20 };

void machine_pump(struct machine *m)
{
	char buf[4096];
	ssize_t got;
	struct pollfd p = { .fd = m->serial, .events = POLLIN };
	while (m->serial >= 0 && poll(&p, 1, 0) > 0 &&
	       (got = read(m->serial, buf, sizeof(buf))) > 0) {
		if (m->log_bytes > LOG_MAX)
			give_up_flooded(m);
		char *log = realloc(m->log, m->log_bytes + (size_t)got + 1);
		if (!log)
			give_up(BROKEN, "no memory for the serial log");
		m->log = log;
		/* Lines end as on the host; a NUL would end the log. */
		for (ssize_t i = 0; i < got; i++)
			if (buf[i] != '\r' && buf[i] != '\0')
				m->log[m->log_bytes++] = buf[i];
		m->log[m->log_bytes] = '\0';
	}
}

bool machine_sees(struct machine *m, const char *text, double seconds)
{
	for (machine_wait_begins(m, seconds);;) {
		bool over = machine_ended(m) || (m->o.bochs && bochs_stopped(m)) ||
			    machine_late(m);
		machine_pump(m);
		const char *at = strstr(m->log + m->seen, text);
		if (at) {
			m->seen = (size_t)(at - m->log) + strlen(text);
			m->late = false;
			return true;
		}
		if (over)
			return false;
		struct pollfd p = { .fd = m->serial, .events = POLLIN };
		poll(&p, 1, 20);
	}
}

void machine_expect(struct machine *m, const char *text, double seconds)
{
	if (machine_sees(m, text, seconds))
		return;
	if (!m->pid)
		give_up(FAILED, "the machine %s before \"%s\" came", machine_end(m), text);
	give_up(FAILED, "\"%s\" did not come on the serial line in time", text);
}

void machine_send(struct machine *m, const char *text)
{
	for (size_t n = strlen(text); n > 0;) {
		ssize_t done = write(m->serial_in, text, n);
		if (done < 0) {
			machine_ends(m, 5);
			give_up(FAILED, "the machine's serial line is gone");
		}
		text += done, n -= (size_t)done;
		machine_pump(m);
	}
}
