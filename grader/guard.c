/* SPDX-License-Identifier: MIT */
/*
 * The first process of a sandbox. It starts the program as a user that has no other processes, so
 * that the system can limit their number (root's are never limited), and then looks every few
 * milliseconds at all processes that are there: together they may use so much memory and CPU time.
 * When this process ends, the system ends all others of the sandbox.
 */
#include "grader.h"
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>

enum { LOOK_MS = 50, ARGUMENTS = 5 };
struct use { unsigned processes; uint64_t bytes, ticks; bool runs; };

/* Add what a process uses, with the time of its children that have ended. See proc(5), stat. */
static void add_process(const char *pid, struct use *u)
{
	char path[300], text[1024], state;
	unsigned long long own[2];
	long children[2], threads, pages;
	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = '\0';
	const char *rest = strrchr(text, ')'); /* the name before it may hold anything */
	if (!rest || sscanf(rest, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %ld %ld "
			    "%*d %*d %ld %*d %*u %*u %ld", &state, &own[0], &own[1], &children[0],
			    &children[1], &threads, &pages) != 7)
		return;
	u->processes += (unsigned)threads;
	u->bytes += (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
	u->ticks += own[0] + own[1] + (uint64_t)children[0] + (uint64_t)children[1];
	u->runs |= state == 'R' || state == 'D';
}

/* What all use together; /tmp is in memory, too. This process does not count. */
static struct use look(void)
{
	struct use u = { 0 };
	struct statvfs tmp;
	struct rusage ended;
	DIR *d = opendir("/proc");
	for (struct dirent *e; d && (e = readdir(d));)
		if (*e->d_name >= '1' && *e->d_name <= '9' && strcmp(e->d_name, "1") != 0)
			add_process(e->d_name, &u);
	if (d)
		closedir(d);
	if (statvfs("/tmp", &tmp) == 0)
		u.bytes += (uint64_t)(tmp.f_blocks - tmp.f_bfree) * tmp.f_frsize;
	getrusage(RUSAGE_CHILDREN, &ended);
	u.ticks += (uint64_t)(ended.ru_utime.tv_sec + ended.ru_stime.tv_sec) *
		   (uint64_t)sysconf(_SC_CLK_TCK);
	return u;
}

/* End the sandbox. The reason is said last, when nobody else is left who could write. */
static void over(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void over(const char *fmt, ...)
{
	va_list ap;
	if (getpid() == 1 && kill(-1, SIGKILL) == 0)
		while (waitpid(-1, NULL, 0) > 0)
			continue;
	va_start(ap, fmt);
	vdprintf(2, fmt, ap);
	va_end(ap);
	_exit(SANDBOX_LIMIT);
}

/* End the sandbox if more is used than the limits allow; a limit of 0 is none. */
static void check(const unsigned limits[ARGUMENTS])
{
	static uint64_t ticks;
	static double moved;
	struct use u = look();
	if (limits[0] && u.processes + 1 >= limits[0]) /* this one counts for the system */
		over("the limit is %u processes and threads\n", limits[0]);
	if (limits[1] && u.bytes >> 20 > limits[1])
		over("the limit is %u MiB of memory, with files in /tmp\n", limits[1]);
	if (limits[2] && u.ticks / (uint64_t)sysconf(_SC_CLK_TCK) >= limits[2])
		over("the limit is %u s of CPU time\n", limits[2]);
	if (u.runs || u.ticks != ticks || moved == 0)
		ticks = u.ticks, moved = clock_seconds();
	if (limits[3] && clock_seconds() - moved > limits[3])
		over("nothing has run for %u s: it waits for something that does not come\n",
		     limits[3]);
}

/* Collect all processes that have ended. When the program has, end with its status. */
static void collect(pid_t program)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		if (pid == program)
			_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/*
 * Become the program. As root: as the user `uid`, to whom /tmp belongs, too. The system's limit is
 * twice that of check(): processes whose forks fail come and go, and would seldom be seen at it.
 */
static void become(char **argv, unsigned processes, unsigned uid)
{
	struct rlimit most = { 2 * processes, 2 * processes };
	if (geteuid() == 0 && uid &&
	    (chmod("/tmp", 01777) < 0 || setgroups(0, NULL) < 0 || setgid(uid) < 0 ||
	     setuid(uid) < 0))
		dprintf(2, "user %u: %s\n", uid, strerror(errno));
	else if (processes && setrlimit(RLIMIT_NPROC, &most) < 0)
		dprintf(2, "limit of processes: %s\n", strerror(errno));
	else if (execvp(*argv, argv) < 0)
		dprintf(2, "%s: %s\n", *argv, strerror(errno));
	_exit(127);
}

int guard(int argc, char **argv)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000 };
	unsigned limits[ARGUMENTS];
	sigset_t child, old;
	if (argc <= ARGUMENTS)
		give_up(FAILED, "`guard` is for the grader itself");
	for (unsigned i = 0; i < ARGUMENTS; i++)
		limits[i] = (unsigned)strtoul(argv[i], NULL, 10);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &old);
	pid_t program = fork();
	if (program == 0) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		become(argv + ARGUMENTS, limits[0], limits[4]);
	}
	if (program < 0)
		over("no process can be started\n");
	close(RESULTS_FD); /* the program's alone */
	for (;;) {
		collect(program);
		check(limits);
		sigtimedwait(&child, NULL, &pause);
	}
}
