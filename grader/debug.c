/* SPDX-License-Identifier: MIT */
/*
 * A person looks at a check. It runs as in a grading, with the same machine and seed, but the
 * machine starts stopped, nothing has a time limit, and GDB has the terminal. GDB goes on to
 * the function of the exercise. The check feeds the machine until the check itself would
 * connect as a debugger; from then on the machine is the person's. A check in Bochs becomes
 * Bochs's own debugger at once.
 */
#include "grader.h"
#include <signal.h>

static const struct test *find(const char *name)
{
	for (const struct lab *l = all_labs; l->name; l++)
		for (const struct test *t = l->checks; t->name; t++)
			if (strcmp(t->name, name) == 0)
				return t;
	return NULL;
}

/*
 * Start the check in a session of its own, where no Ctrl-C comes. (Bochs's debugger wants the
 * terminal.) Result: its process id.
 */
static pid_t start_check(const struct test *t, const char *dir)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (!t->machine.bochs)
			setsid();
		machine_debugged = true;
		judge_alone(t, dir);
	}
	return pid;
}

static volatile bool terminal_gone;

static void interrupt(int sig)
{
	interrupted = sig;
	terminal_gone |= sig != SIGINT; /* Ctrl-C is GDB's, once that runs */
}

int debug_check(const struct options *o)
{
	const struct test *t = find(o->only);
	char *dir, *target, *stop, *socket;
	int status = ENVIRONMENT;
	bool runs = true;
	if (!t) {
		fprintf(stderr, "grader: there is no check '%s'; 'build/grader list' names them\n",
			o->only);
		return USAGE;
	}
	judge_seed = o->seed;
	dir = judge_make_dir();
	if (asprintf(&socket, "%s/0.gdb", dir) < 0 ||
	    asprintf(&target, "target remote %s", socket) < 0 ||
	    asprintf(&stop, "hbreak %s", t->stop_at ? t->stop_at : "kmain") < 0)
		give_up(BROKEN, "no memory");
	printf("%s: %s\nread: %s\n", t->name, t->title, t->see ? t->see : "the handout");
	signal(SIGINT, interrupt), signal(SIGTERM, interrupt), signal(SIGHUP, interrupt);
	setenv("STOP_AT", t->stop_at ? t->stop_at : "kmain", 1); /* for Bochs */
	pid_t check = start_check(t, dir);
	while (access(socket, F_OK) < 0 && !interrupted && runs)
		runs = process_wait(check, 0.02) < 0;
	if (access(socket, F_OK) == 0 && !interrupted) {
		struct arguments a = { { "gdb", "-q", "-nx", "-x", "tools/gdb/cinnabar.py", "-ex",
					 target, "-ex", stop, "-ex", "continue" }, 11 };
		for (char *const *more = o->more; *more; more++)
			arg(&a, "%s", *more);
		pid_t gdb = process_start(a.v, -1, -1, -1);
		while ((status = process_wait(gdb, 0.1)) < 0 && !terminal_gone)
			;
		if (status < 0)
			process_kill(gdb);
	}
	if (runs)
		process_kill(check);
	judge_remove_dir(dir);
	return status;
}
