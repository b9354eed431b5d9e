/* SPDX-License-Identifier: MIT */
/*
 * Rows about processes: the empty system call; then fork with exit and wait, with an exec, and
 * with a shell.
 */
#include "bench.h"

static void null_call(uint32_t n)
{
	while (n--)
		getppid();
}

void wait_good(int pid)
{
	int status = -1;
	need(pid);
	need(waitpid(pid, &status, 0));
	if (status != 0)
		need(-ECHILD);
}

void fork_exit_wait(uint32_t n)
{
	while (n--) {
		int pid = fork();
		if (pid == 0)
			exit(0);
		wait_good(pid);
	}
}

static void execute(char *const argv[])
{
	int pid = fork();
	if (pid == 0) {
		exec(argv[0], argv);
		exit(1);
	}
	wait_good(pid);
}

void fork_exec_wait(uint32_t n)
{
	static char *argv[] = {"/bin/true", NULL};
	while (n--)
		execute(argv);
}

static void shell(uint32_t n)
{
	static char *argv[] = {"/bin/sh", "-c", "/bin/true", NULL};
	while (n--)
		execute(argv);
}

const struct row process_rows[4] = {
	{"null_call", 1000, null_call, NULL, NULL, NULL},
	{"fork_exit_wait", 500, fork_exit_wait, NULL, NULL, NULL},
	{"fork_exec_wait", 200, fork_exec_wait, NULL, NULL, NULL},
	{"shell", 5, shell, NULL, NULL, NULL},
};
