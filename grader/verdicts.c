/* SPDX-License-Identifier: MIT */
/*
 * The outer side of the judge (inner.c is the inner one): start it in the sandbox, and read the
 * results from a pipe that no code of the submission can reach.
 */
#include "grader.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

enum { JUDGE_CPU_SECONDS = 3600, JUDGE_MIB = 16384, JUDGE_FILE_MIB = 1024 };
/* A check has up to three machines of 64 MiB, whose files in /tmp count, too. */
enum { MIB_A_JOB = 1024, PROCESSES_A_JOB = 64 };

/* One result. Those that come early are printed when their turn comes. */
static void take_line(struct grading *g, const char *line)
{
	json_t *j = json_loads(line, 0, NULL);
	int i, outcome;
	double seconds;
	const char *reason;
	if (!j ||
	    json_unpack(j, "{s:i,s:i,s:s,s:F}", "check", &i, "outcome", &outcome, "reason", &reason,
			      "seconds", &seconds) < 0 ||
	    i < 0 || (unsigned)i >= g->n || outcome < PASSED || outcome > BROKEN)
		give_up(BROKEN, "the judge wrote a line that is no result: %s", line);
	struct result *r = &g->results[i];
	r->outcome = (enum outcome)outcome;
	r->reason = strdup(reason);
	r->seconds = seconds;
	r->done = true;
	json_decref(j);
	while (g->printed < g->n && g->results[g->printed].done)
		report_print(g, &g->results[g->printed++]);
}

/* Read the lines of the judge as they come, to the end. */
static void read_results(struct grading *g, int fd)
{
	char *text = NULL;
	size_t n = 0;
	for (ssize_t got = 1; got > 0 && !interrupted;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		if (poll(&p, 1, 200) <= 0)
			continue;
		text = realloc(text, n + 65537);
		got = read(fd, text + n, 65536);
		n += got > 0 ? (size_t)got : 0;
		for (char *end; n > 0 && (end = memchr(text, '\n', n));) {
			*end = '\0';
			take_line(g, text);
			n -= (size_t)(end + 1 - text);
			memmove(text, end + 1, n);
		}
	}
	free(text);
}

/* A check has no result. Only the submission's machines can use up what all may use together. */
static void end_early(struct result *r, int status, const char *said)
{
	if (status != SANDBOX_LIMIT)
		give_up(BROKEN, "the judge ended early, with status %d: %s", status, said);
	r->outcome = FAILED, r->done = true;
	if (asprintf(&r->reason, "this submission's machines use too much: %s", said) < 0)
		give_up(BROKEN, "no memory");
}

void judge(struct grading *g, struct sandbox s, const char *log)
{
	const struct options *o = g->o;
	unsigned all = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	char seed[16], jobs[16];
	int fds[2];
	snprintf(seed, sizeof(seed), "%u", o->seed);
	snprintf(jobs, sizeof(jobs), "%u", o->jobs ? o->jobs : all);
	s.cpu_seconds = JUDGE_CPU_SECONDS;
	s.megabytes = JUDGE_MIB, s.file_megabytes = JUDGE_FILE_MIB;
	s.memory = MIB_A_JOB * ((unsigned)atoi(jobs) + 1);
	s.processes = PROCESSES_A_JOB * ((unsigned)atoi(jobs) + 1);
	s.output = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	/* The copy of the pipe's end stays open in the judge. */
	if (s.output < 0 || pipe2(fds, O_CLOEXEC) < 0 || dup2(fds[1], RESULTS_FD) < 0)
		give_up(BROKEN, "%s: %s", log, strerror(errno));
	char *argv[] = { (char *)sandbox_self(&s), "judge", (char *)o->lab->name, seed, jobs,
			 s.none ? (char *)grade_path("judge") : "/tmp/judge",
			 (char *)(o->only ? o->only : ""), NULL };
	pid_t pid = sandbox_start(&s, argv);
	close(fds[1]), close(RESULTS_FD), close(s.output);
	read_results(g, fds[0]);
	int status = wait_for(pid, 30);
	close(fds[0]);
	for (unsigned i = 0; i < g->n; i++)
		if (!g->results[i].done)
			end_early(&g->results[i], status, build_messages(log));
	while (g->printed < g->n)
		report_print(g, &g->results[g->printed++]);
	note_disagreement(g);
}
