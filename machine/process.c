/* SPDX-License-Identifier: MIT */
/*
 * Child processes that cannot outlive this process: each asks the system to be killed when its
 * parent ends.
 */
#include "process.h"
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

/* --- time --- */

static double read_clock(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double clock_seconds(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

/*
 * How many seconds a process that wants to run gets for one second of processor time: by a trial
 * of 10 ms now, and by the load of the last minute.
 */
static double host_slowness(void)
{
	enum { TRIAL_MS = 10 };
	double load = 0, start = clock_seconds(), end = read_clock(CLOCK_THREAD_CPUTIME_ID);
	for (end += TRIAL_MS / 1e3; read_clock(CLOCK_THREAD_CPUTIME_ID) < end;)
		;
	double trial = (clock_seconds() - start) / (TRIAL_MS / 1e3);
	if (getloadavg(&load, 1) == 1)
		load /= get_nprocs();
	return trial > load ? trial : load;
}

bool time_is_over(double start, double seconds)
{
	static double slowness = 1, tried;
	double now = clock_seconds();
	if (now - start < seconds)
		return false;
	if (now - tried > 1)
		slowness = host_slowness(), tried = now;
	return now - start > seconds * slowness;
}

/* The longest time that a thread of the process has waited for a processor; 0 if nobody says. */
static double waited(pid_t pid)
{
	char path[300];
	double longest = 0;
	unsigned long long ran, waited_ns;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *threads = opendir(path);
	for (struct dirent *d; threads && (d = readdir(threads));) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)pid, d->d_name);
		FILE *f = fopen(path, "r");
		if (f && fscanf(f, "%llu %llu", &ran, &waited_ns) == 2 && waited_ns / 1e9 > longest)
			longest = waited_ns / 1e9;
		if (f)
			fclose(f);
	}
	if (threads)
		closedir(threads);
	return longest;
}

double process_clock(pid_t pid)
{
	return clock_seconds() - waited(pid);
}

bool process_sleeps(pid_t pid)
{
	char path[300], state = 'S';
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *threads = opendir(path);
	for (struct dirent *d; threads && state == 'S' && (d = readdir(threads));) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)pid, d->d_name);
		FILE *f = *d->d_name == '.' ? NULL : fopen(path, "r");
		if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 'S';
		if (f)
			fclose(f);
	}
	if (threads)
		closedir(threads);
	return state == 'S';
}

double process_cpu(pid_t pid)
{
	clockid_t id;
	struct timespec t;
	if (clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &t) < 0)
		return 0;
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* --- files and arguments --- */

const char *work_path(const char *name)
{
	char *path;
	if (asprintf(&path, "%s/%s", work_dir, name) < 0)
		give_up(BROKEN, "no memory");
	return path;
}

void arg(struct arguments *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	bool room = a->n + 1 < sizeof(a->v) / sizeof(a->v[0]);
	if (!room || vasprintf(&a->v[a->n++], fmt, ap) < 0)
		give_up(BROKEN, "no memory for arguments");
	va_end(ap);
}

/* --- processes --- */

pid_t process_start(char *const argv[], int in, int out, int err)
{
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		give_up(BROKEN, "fork: %s", strerror(errno));
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* the parent ended before prctl() */
		_exit(127);
	if (in >= 0)
		dup2(in, 0);
	if (out >= 0)
		dup2(out, 1);
	if (err >= 0)
		dup2(err, 2);
	execvp(argv[0], argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

void process_pause(pid_t pid, int fd, int ms)
{
	int end = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p[] = { { .fd = end, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
	poll(p, 2, end < 0 && ms > 2 ? 2 : ms);
	if (p[1].revents & POLLHUP && !(p[0].revents & POLLIN)) /* it is about to end */
		poll(p, 1, 1);
	if (end >= 0)
		close(end);
}

int process_wait(pid_t pid, double seconds)
{
	int status;
	for (double start = clock_seconds(); waitpid(pid, &status, WNOHANG) == 0;) {
		if (seconds == 0 || time_is_over(start, seconds))
			return -1;
		process_pause(pid, -1, 100);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : KILLED + WTERMSIG(status);
}

void process_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/*
 * shell(), of a command that is complete. Output that does not fit is read and dropped. `timeout`
 * makes a process group, and ends what the command started, too: at a SIGALRM, as if its own time
 * were over, which is only there in case that this process ends.
 */
static int run(char *output, size_t size, double seconds, char *command)
{
	enum { KILLED_AFTER = 3 };
	char discard[4096];
	int fds[2];
	size_t n = 0;
	bool over = false;
	double start = clock_seconds();
	if (pipe2(fds, O_CLOEXEC) < 0)
		give_up(BROKEN, "no descriptors: %s", strerror(errno));
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char *argv[] = { "timeout", "-k", "2", "86400", "sh", "-c", command, NULL };
	pid_t pid = process_start(argv, null, fds[1], fds[1]);
	close(fds[1]);
	close(null);
	for (ssize_t got = 1; got > 0;) {
		struct pollfd p = { .fd = fds[0], .events = POLLIN };
		if (poll(&p, 1, 200) <= 0)
			p.revents = 0;
		if (!over && time_is_over(start, seconds))
			over = kill(pid, SIGALRM) == 0;
		/* what left the process group may keep the pipe open for ever */
		if (over && !p.revents && time_is_over(start, seconds + KILLED_AFTER))
			break;
		if (!p.revents)
			continue;
		bool room = n + 1 < size;
		size_t bytes = room ? size - 1 - n : sizeof(discard);
		got = read(fds[0], room ? output + n : discard, bytes);
		if (room && got > 0)
			n += (size_t)got;
	}
	if (size)
		output[n] = '\0';
	close(fds[0]);
	return process_wait(pid, 5);
}

static char *format(const char *fmt, va_list ap)
{
	char *text;
	if (vasprintf(&text, fmt, ap) < 0)
		give_up(BROKEN, "no memory");
	return text;
}

int shell(char *output, size_t size, double seconds, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *command = format(fmt, ap);
	va_end(ap);
	int status = run(output, size, seconds, command);
	free(command);
	return status;
}

void shell_must(double seconds, const char *fmt, ...)
{
	char output[2000];
	va_list ap;
	va_start(ap, fmt);
	char *command = format(fmt, ap);
	va_end(ap);
	int status = run(output, sizeof(output), seconds, command);
	if (status != 0)
		give_up(BROKEN, "`%s` ended with status %d:\n%s", command, status, output);
	free(command);
}
