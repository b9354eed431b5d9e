/* SPDX-License-Identifier: MIT */
/*
 * Runs tests (judge.h): starts a process for each, several at a time, and collects their verdicts.
 * A verdict goes up a pipe: the outcome as a digit, then the reason.
 */
#include "judge.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { REASON_BYTES = 16384, MAX_JOBS = 64 };

static const struct judge *judge;

/* In a test's process: */
static const struct test *current;
static int report_fd = -1;     /* the pipe; -1: not in a test */
static double started;
static bool diagnosing;
static char undiagnosed[1000]; /* the verdict, in case time runs out during the diagnosis */
static jmp_buf diagnosis_failed;

const char *work_dir, *build_dir = "build";
const char *kernel_file = "build/cinnabar", *vmm_file = "build/vmm";
const char *judge_context;
struct planted judge_planted, judge_planted_on_stack;
void (*judge_cause)(void);
const char *const outcome_words[4] = { "ok  ", "FAIL", "skip", "ERR " };
unsigned judge_seed = 2026;
void (*judge_outside)(enum outcome outcome, const char *why);

const char *judge_shuffle(unsigned k)
{
	char *word;
	if (asprintf(&word, "shuffle:%u", (judge_seed * 2654435761u + k * 40503u) >> 8) < 0)
		give_up(BROKEN, "no memory");
	return word;
}

static void write_all(int fd, const char *text, size_t size)
{
	for (ssize_t n; size > 0 && (n = write(fd, text, size)) > 0;)
		text += n, size -= (size_t)n;
}

/*
 * Print the cause, then what the test saw of it. If the diagnosis gives up, it ends, and what it
 * has written counts. What a suite of the guest's found is a cause itself.
 */
static void print_reason(FILE *f, enum outcome outcome, const char *why)
{
	char *volatile cause = NULL;
	snprintf(undiagnosed, sizeof(undiagnosed), "%d%s\n", outcome, why);
	diagnosing = true;
	if (outcome == FAILED && strncmp(why, GUEST_FAILURE, strlen(GUEST_FAILURE)) != 0)
		cause = setjmp(diagnosis_failed) == 0 ? diagnose(current) : diagnosis_so_far();
	diagnosing = false;
	if (cause)
		fprintf(f, "%s\nseen as: %s\n", cause, why);
	else
		fprintf(f, "%s\n", why);
	if (outcome == SKIPPED)
		return;
	if (judge->again)
		fprintf(f, "again: %s %s\n", judge->again, current->name);
	for (const struct machine *m = machines; m; m = m->next)
		machine_describe(m, f);
}

/* Look for a cause that goes before. The machine that failed stays the one to diagnose. */
static void look_for_cause(void)
{
	void (*cause)(void) = judge_cause;
	struct machine *failed = machines;
	const char *context = judge_context;
	judge_cause = NULL;
	cause();
	for (; machines != failed; machines = machines->next)
		machine_quit(machines);
	judge_context = context;
}

void give_up(enum outcome outcome, const char *why, ...)
{
	char *text, *report;
	size_t size;
	va_list ap;
	if (diagnosing)
		longjmp(diagnosis_failed, 1);
	va_start(ap, why);
	if (vasprintf(&text, why, ap) < 0 ||
	    (judge_context && asprintf(&text, "%s: %s", judge_context, text) < 0))
		text = "no memory";
	va_end(ap);
	if (outcome == FAILED && judge_cause && report_fd >= 0)
		look_for_cause();
	if (report_fd < 0) {
		if (judge_outside)
			judge_outside(outcome, text);
		fprintf(stderr, "%s\n", text);
		_exit(1);
	}
	FILE *f = open_memstream(&report, &size);
	fputc('0' + (int)outcome, f);
	print_reason(f, outcome, text);
	fclose(f);
	write_all(report_fd, report, size);
	for (struct machine *m = machines; m; m = m->next)
		machine_quit(m);
	_exit(1);
}

/*
 * SIGALRM: the test has perhaps used up its time. It still gives its verdict, with the end of the
 * serial log; a test that is stuck in this, too, is killed by the judge a little later.
 */
static void time_over(int sig)
{
	(void)sig;
	if (!time_is_over(started, current->seconds)) {
		alarm(2);
		return;
	}
	if (diagnosing) {
		write_all(report_fd, undiagnosed, strlen(undiagnosed));
		_exit(1);
	}
	give_up(FAILED, "not done within its time limit");
}

/* Run the test, in its process, and end. fd: the pipe. */
static void child(struct result *r, int fd)
{
	enum { INHERITED = 64, KEPT = 64 << 20 };
	/* A test has only its own pipe: other descriptors are, for example, other tests' pipes. */
	for (int other = 3; other < INHERITED; other++)
		if (other != fd)
			close(other);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	signal(SIGINT, SIG_DFL), signal(SIGTERM, SIG_DFL), signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, time_over);
	started = r->start;
	alarm(r->test.seconds);
	/* Freed memory is used again: new pages from the system cost more than the checks. */
	mallopt(M_TRIM_THRESHOLD, KEPT), mallopt(M_MMAP_THRESHOLD, KEPT);
	report_fd = fd;
	current = &r->test;
	work_dir = r->dir;
	r->test.run(&r->test);
	for (struct machine *m = machines; m; m = m->next)
		machine_quit(m);
	if (write(fd, "0", 1) != 1)
		_exit(1);
	_exit(0);
}

void judge_alone(const struct test *t, const char *dir)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, SIG_DFL);
	alarm(machine_debugged ? 0 : t->seconds);
	report_fd = -1;
	diagnosing = false;
	judge_outside = NULL;
	machines = NULL;
	work_dir = dir;
	t->run(t);
	_exit(0);
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
		child(r, fds[1]);
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

void judge_remove_dir(const char *dir)
{
	pid_t pid = process_start((char *[]){ "rm", "-rf", (char *)dir, NULL }, -1, -1, -1);
	process_wait(pid, 30);
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
