/* SPDX-License-Identifier: MIT */
/*
 * A test's own process (judge.h): it runs the test, and sends its verdict up a pipe, the outcome as
 * a digit and then the reason. A reason begins with the cause, which the machine's state tells.
 */
#include "judge.h"
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>

static const struct test *current;
static const char *again;      /* command that repeats a test, or NULL */
static int report_fd = -1;     /* the pipe; -1: not in a test */
static double started;
static bool diagnosing;
static char undiagnosed[1000]; /* the verdict, in case time runs out during the diagnosis */
static jmp_buf diagnosis_failed;

const char *judge_context;
struct planted judge_planted, judge_planted_on_stack;
void (*judge_cause)(void);
void (*judge_outside)(enum outcome outcome, const char *why);

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
	if (again)
		fprintf(f, "again: %s %s\n", again, current->name);
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

void judge_child(struct result *r, int fd, const char *repeat)
{
	enum { INHERITED = 64, KEPT = 64 << 20, LARGE = 1 << 20 };
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
	/*
	 * Freed memory is used again: new pages from the system cost more than the checks. Large
	 * arrays are mostly empty: they come from the system, without pages.
	 */
	mallopt(M_TRIM_THRESHOLD, KEPT), mallopt(M_MMAP_THRESHOLD, LARGE);
	report_fd = fd;
	again = repeat;
	current = &r->test;
	work_dir = r->dir;
	r->test.run(&r->test);
	judge_context = NULL;
	outside_check();
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
