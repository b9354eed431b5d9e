/* SPDX-License-Identifier: MIT */
/* What the grader runs itself, outside of the sandbox. It waits until it is interrupted. */
#include "grader.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>

/* End a process group. A make of ours can put its things in order first. */
static void end_group(pid_t pid)
{
	enum { SECONDS = 3 };
	kill(-pid, SIGTERM);
	bool ended = process_wait(pid, SECONDS) >= 0;
	kill(-pid, SIGKILL);
	if (!ended)
		process_kill(pid);
}

int wait_for(pid_t pid, double seconds)
{
	int status;
	double start = clock_seconds();
	while ((status = process_wait(pid, 0)) < 0 && !interrupted && !time_is_over(start, seconds))
		process_pause(pid, -1, 100);
	if (status < 0)
		end_group(pid);
	stop_if_interrupted();
	return status;
}

void run_tool(char *output, size_t size, double seconds, const char *fmt, ...)
{
	char *command, text[4000];
	va_list ap;
	va_start(ap, fmt);
	int bytes = vasprintf(&command, fmt, ap);
	va_end(ap);
	FILE *f = tmpfile();
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (bytes < 0 || !f || nothing < 0)
		give_up(BROKEN, "no temporary file: %s", strerror(errno));
	char *argv[] = { "setsid", "sh", "-c", command, NULL };
	int status = wait_for(process_start(argv, nothing, fileno(f), fileno(f)), seconds);
	rewind(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f), close(nothing);
	if (status != 0)
		give_up(BROKEN, "`%s` ended with status %d:\n%s", command, status, text);
	if (output)
		snprintf(output, size, "%s", text);
	free(command);
}
