/* SPDX-License-Identifier: MIT */
/*
 * QEMU's machine protocol: one JSON object a line. Answers come in the order of the commands;
 * events that come between them are skipped.
 */
#include "emulators.h"
#include <jansson.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Of the host, and of the processor's time that one command may take QEMU. */
enum { ANSWER_SECONDS = 30, BUSY_SECONDS = 10 };

void stream_connect(struct stream *s, const char *path, const char *what)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	s->at = s->n = 0;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(s->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		give_up(BROKEN, "%s: %s", what, strerror(errno));
}

int stream_byte(struct stream *s, int ms)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	if (s->at == s->n) {
		if (poll(&p, 1, ms) <= 0)
			return STREAM_NONE;
		ssize_t got = read(s->fd, s->bytes, sizeof(s->bytes));
		if (got <= 0)
			return STREAM_END;
		s->at = 0, s->n = (size_t)got;
	}
	return (unsigned char)s->bytes[s->at++];
}

/* The next line; NULL if none comes in time, or QEMU closes the socket. */
static char *next_line(struct machine *m, double seconds)
{
	size_t n = 0, size = 1 << 12;
	char *line = malloc(size);
	double start = clock_seconds(), cpu = m->pid ? process_cpu(m->pid) : 0;
	for (int c; (c = stream_byte(&m->qmp, 20)) != STREAM_END;) {
		if (c == STREAM_NONE) {
			machine_pump(m); /* QEMU must not wait for us to read the serial line */
			if (time_is_over(start, seconds) ||
			    (m->pid && process_cpu(m->pid) - cpu > BUSY_SECONDS))
				break;
			continue;
		}
		if (n + 1 >= size)
			line = realloc(line, size *= 2);
		line[n++] = (char)c;
		line[n] = '\0';
		if (c == '\n')
			return line;
	}
	free(line);
	return NULL;
}

/* The event SHUTDOWN says what the guest did; -no-reboot makes a reset one. */
static void keep_end(struct machine *m, json_t *event)
{
	const char *name = "", *reason = "";
	json_unpack(event, "{s:s,s:{s:s}}", "event", &name, "data", "reason", &reason);
	if (strcmp(name, "SHUTDOWN") == 0)
		snprintf(m->end, sizeof(m->end), "%s", reason);
}

/* The next answer; NULL if there is none. */
static json_t *receive(struct machine *m, double seconds)
{
	for (char *line; (line = next_line(m, seconds));) {
		json_t *object = json_loads(line, 0, NULL);
		free(line);
		if (object && !json_object_get(object, "event"))
			return object;
		keep_end(m, object);
		json_decref(object);
	}
	return NULL;
}

void qmp_read_end(struct machine *m)
{
	enum { SECONDS = 5 };
	json_decref(receive(m, SECONDS));
}

/* Result: the whole answer; NULL if there is none. */
static json_t *ask(struct machine *m, const char *command, const char *arguments)
{
	char *text;
	gdb_flush(m);
	if (asprintf(&text, "{\"execute\":\"%s\"%s%s}\n", command,
		     arguments ? ",\"arguments\":" : "", arguments ? arguments : "") < 0)
		give_up(BROKEN, "no memory");
	bool sent = send(m->qmp.fd, text, strlen(text), MSG_NOSIGNAL) >= 0;
	free(text);
	return sent ? receive(m, ANSWER_SECONDS) : NULL;
}

char *qmp_if_there(struct machine *m, const char *command, const char *arguments)
{
	double before = m->pid ? process_cpu(m->pid) : 0;
	json_t *answer = ask(m, command, arguments), *value = json_object_get(answer, "return");
	if (!answer) {
		bool ended = machine_ends(m, 5);
		double used = ended ? 0 : process_cpu(m->pid) - before;
		if (used > BUSY_SECONDS / 2.0)
			give_up(FAILED, "one instruction of the machine keeps QEMU busy: it has "
				"worked %.0f s on it", used);
		if (!ended)
			give_up(BROKEN, "QMP %s: QEMU does not answer", command);
		return NULL;
	}
	if (!value)
		give_up(BROKEN, "QMP %s: %s", command, json_dumps(answer, 0));
	char *text = json_dumps(value, JSON_ENCODE_ANY);
	json_decref(answer);
	return text;
}

char *qmp(struct machine *m, const char *command, const char *arguments)
{
	char *text = qmp_if_there(m, command, arguments);
	if (!text)
		give_up(FAILED, "the machine %s", machine_end(m));
	return text;
}

void qmp_connect(struct machine *m, const char *path)
{
	stream_connect(&m->qmp, path, "QMP");
	json_t *greeting = receive(m, ANSWER_SECONDS);
	if (!greeting)
		give_up(BROKEN, "QMP: no greeting");
	json_decref(greeting);
	free(qmp(m, "qmp_capabilities", NULL));
}

char *qmp_human(struct machine *m, const char *command)
{
	char *arguments, *answer;
	if (asprintf(&arguments, "{\"command-line\":\"%s\"}", command) < 0)
		give_up(BROKEN, "no memory");
	answer = qmp(m, "human-monitor-command", arguments);
	json_t *value = json_loads(answer, JSON_DECODE_ANY, NULL);
	free(arguments), free(answer);
	answer = strdup(json_is_string(value) ? json_string_value(value) : "");
	json_decref(value);
	return answer;
}

uint64_t qmp_instructions(struct machine *m)
{
	char *text = qmp_if_there(m, "query-replay", NULL);
	json_t *value = text ? json_loads(text, 0, NULL) : NULL;
	if (value)
		m->instructions = (uint64_t)json_integer_value(json_object_get(value, "icount"));
	json_decref(value);
	free(text);
	return m->instructions;
}

uint64_t qmp_clock(struct machine *m)
{
	static const char what[] = "{\"path\":\"/machine\",\"property\":\"rtc-time\"}";
	struct tm t = { 0 };
	char *text = qmp_if_there(m, "qom-get", what);
	json_t *value = text ? json_loads(text, 0, NULL) : NULL;
	if (value)
		json_unpack(value, "{s:i,s:i,s:i,s:i,s:i,s:i}", "tm_year", &t.tm_year, "tm_mon",
			    &t.tm_mon, "tm_mday", &t.tm_mday, "tm_hour", &t.tm_hour, "tm_min",
			    &t.tm_min, "tm_sec", &t.tm_sec);
	json_decref(value);
	free(text);
	return (uint64_t)timegm(&t);
}

void qmp_keys(struct machine *m, const char *const *keys, unsigned n)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:s,s:s}", "type", "qcode",
						      "data", keys[i]));
	json_t *arguments = json_pack("{s:o}", "keys", list);
	char *text = json_dumps(arguments, 0);
	free(qmp(m, "send-key", text));
	free(text);
	json_decref(arguments);
}
