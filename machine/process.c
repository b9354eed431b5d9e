/* SPDX-License-Identifier: MIT */
/*
 * Child processes that cannot outlive this process: each asks the system to be killed when its
 * parent ends.
 */
#include "process.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

double clock_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

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

int process_wait(pid_t pid, double seconds)
{
	double end = clock_seconds() + seconds;
	int status;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (clock_seconds() > end)
			return -1;
		usleep(2000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : KILLED + WTERMSIG(status);
}

void process_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* shell(), of a command that is complete. Output that does not fit is read and dropped. */
static int run(char *output, size_t size, double seconds, char *command)
{
	char discard[4096];
	int fds[2];
	size_t n = 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		give_up(BROKEN, "no descriptors: %s", strerror(errno));
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	/* `timeout` makes a process group, and ends what the command started, too. */
	char limit[32];
	snprintf(limit, sizeof(limit), "%.0f", seconds);
	char *argv[] = { "timeout", "-k", "2", limit, "sh", "-c", command, NULL };
	pid_t pid = process_start(argv, null, fds[1], fds[1]);
	close(fds[1]);
	close(null);
	for (ssize_t got = 1; got > 0;) {
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
