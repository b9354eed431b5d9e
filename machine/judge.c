/* SPDX-License-Identifier: MIT */
/*
 * Runs tests (judge.h): starts a process for each, several at a time, and collects their verdicts,
 * which come up a pipe (verdict.c).
 */
#include "judge.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { REASON_BYTES = 16384, MAX_JOBS = 64 };

static const struct judge *judge;

const char *work_dir, *build_dir = "build";
const char *kernel_file = "build/cinnabar", *vmm_file = "build/vmm";
const char *const outcome_words[4] = { "ok  ", "FAIL", "skip", "ERR " };
unsigned judge_seed = 2026;

const char *judge_shuffle(unsigned k)
{
	char *word;
	if (asprintf(&word, "shuffle:%u", (judge_seed * 2654435761u + k * 40503u) >> 8) < 0)
		give_up(BROKEN, "no memory");
	return word;
}

static void start(struct result *r, unsigned index)
{
	int fds[2];
	snprintf(r->dir, sizeof(r->dir), "%s/%u", judge->base_dir, index);
	if (mkdir(r->dir, 0700) < 0 || pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		give_up(BROKEN, "%s: %s", r->dir, strerror(errno));
	r->start = clock_seconds();
	r->outcome = BROKEN; /* unless a verdict comes: no guest can suppress that */
	fflush(stdout);
	r->pid = fork();
	if (r->pid == 0) {
		fcntl(fds[1], F_SETFL, 0);
		judge_child(r, fds[1], judge->again);
	}
	setpgid(r->pid, r->pid);
	close(fds[1]);
	r->pipe = fds[0];
}

static void collect(struct result *r)
{
	char buf[4096];
	for (ssize_t n; (n = read(r->pipe, buf, sizeof(buf))) > 0;) {
		if (r->reason_bytes + (size_t)n > REASON_BYTES)
			continue;
		r->reason = realloc(r->reason, r->reason_bytes + (size_t)n + 1);
		memcpy(r->reason + r->reason_bytes, buf, (size_t)n);
		r->reason[r->reason_bytes += (size_t)n] = '\0';
	}
}

char *judge_make_dir(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir;
	if (asprintf(&dir, "%s/cinnabar.XXXXXX", tmp && *tmp ? tmp : "/tmp") < 0 || !mkdtemp(dir))
		give_up(BROKEN, "no folder can be made where TMPDIR says: %s: %s", dir,
			strerror(errno));
	return dir;
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *at)
{
	(void)s, (void)kind, (void)at;
	return remove(path), 0;
}

void judge_remove_dir(const char *dir)
{
	enum { OPEN = 16 };
	nftw(dir, remove_one, OPEN, FTW_DEPTH | FTW_PHYS);
}

static char *reason_without_verdict(const struct result *r, int status)
{
	char *reason;
	int n = r->timed_out ?
		asprintf(&reason, "not done within %u s, nor the seconds after", r->test.seconds) :
		asprintf(&reason, "ended without a verdict, wait status %#x", status);
	return n < 0 ? "no memory" : reason;
}

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* A test's process has ended with this wait status; used: by it and what it has waited for. */
static void finish(struct result *r, int status, const struct rusage *used)
{
	collect(r);
	close(r->pipe);
	kill(-r->pid, SIGKILL); /* what remains of the test's process group */
	r->seconds = clock_seconds() - r->start;
	r->cpu_seconds = seconds_of(used->ru_utime) + seconds_of(used->ru_stime);
	r->done = true;
	r->pid = 0;
	if (r->reason_bytes > 0 && r->reason[0] >= '0' && r->reason[0] <= '3') {
		r->outcome = (enum outcome)(r->reason[0] - '0');
		memmove(r->reason, r->reason + 1, r->reason_bytes);
	} else {
		free(r->reason);
		r->reason = reason_without_verdict(r, status);
	}
	judge_remove_dir(r->dir);
}

static bool interrupted(void) { return judge->interrupted && *judge->interrupted; }

/* A test gets its time and 20 s more, in which it can give its verdict by itself. */
static bool overdue(const struct result *r)
{
	return time_is_over(r->start, r->test.seconds + 20);
}

/* Wait a little, until a test reports or ends: its pipe then closes. */
static void await_reports(const struct result *results, unsigned n)
{
	struct pollfd pipes[MAX_JOBS];
	unsigned running = 0;
	for (const struct result *r = results; r < results + n && running < MAX_JOBS; r++)
		if (r->pid)
			pipes[running++] = (struct pollfd){ .fd = r->pipe, .events = POLLIN };
	poll(pipes, running, 100);
	for (unsigned i = 0; i < running; i++)
		if (pipes[i].revents & POLLHUP)
			usleep(500);
}

/* Collect what running tests report. Result: how many of them have ended. */
static unsigned poll_running(struct result *results, unsigned n, unsigned done)
{
	unsigned ended = 0;
	for (struct result *r = results; r < results + n; r++) {
		int status;
		struct rusage used;
		if (r->pid == 0)
			continue;
		collect(r);
		if (wait4(r->pid, &status, WNOHANG, &used) == r->pid) {
			finish(r, status, &used);
			judge->report(r, done + ++ended, n);
		} else if (!r->timed_out && (interrupted() || overdue(r))) {
			r->timed_out = true;
			kill(r->pid, SIGKILL);
		}
	}
	if (ended == 0)
		await_reports(results, n);
	return ended;
}

unsigned judge_all(const struct judge *j, struct result *results, unsigned n)
{
	unsigned started = 0, done = 0;
	judge = j;
	while (done < started || (started < n && !interrupted()))
		if (started < n && started - done < j->jobs && !interrupted())
			start(&results[started], started), started++;
		else
			done += poll_running(results, n, done);
	return done;
}
