/* SPDX-License-Identifier: MIT */
/*
 * crowd: run a command while a number of other processes sleep, and kill these when the command
 * ends. The exit status is the command's.
 */
#include "user.h"

#define CROWD 400

static int run(char **argv)
{
	char path[PATH_MAX];
	int status = 1, pid = fork();
	if (pid == 0) {
		snprintf(path, sizeof(path), "/bin/%s", argv[0]);
		int error = exec(path, argv);
		complain(path, error);
		exit(127);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	static int pids[CROWD];
	const char *end = "x";
	uint32_t n = argc > 2 ? strtou(argv[1], &end) : 0, started = 0;
	if (argc < 3 || *end || n > CROWD || help_wanted(argc, argv))
		usage("PROCESSES COMMAND...", argc == 2 && help_wanted(argc, argv));
	for (; started < n; started++) {
		int pid = pids[started] = fork();
		if (pid == 0)
			for (;;)
				sleep(1000000);
		if (pid < 0) {
			complain("fork", pid);
			break;
		}
	}
	sleep(50); /* until all of them sleep */
	int status = started == n ? run(argv + 2) : 1;
	while (started) {
		kill(pids[--started]);
		waitpid(pids[started], NULL, 0);
	}
	return status;
}
