/* SPDX-License-Identifier: MIT */
/*
 * init: the first process. With the kernel's option run=COMMAND it runs the command, then ends the
 * machine with the command's status. Otherwise it keeps a shell running.
 */
#include "user.h"

enum { STATUS_MAX = 111 }; /* a larger status is reported as this */

static int start(const char *text)
{
	char *interactive[] = { "sh", NULL }, *command[] = { "sh", "-c", (char *)text, NULL };
	int pid = fork();
	if (pid)
		return pid;
	setpgid(0, 0);
	tty_foreground(getpid());
	int error = exec("/bin/sh", text ? command : interactive);
	complain("/bin/sh", error);
	exit(127);
}

static void show(const char *path)
{
	char buf[512];
	int fd = open(path, O_RDONLY), n;
	while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		write_all(1, buf, (uint32_t)n);
	close(fd);
}

int main(int argc, char **argv)
{
	const char *text = argc > 1 ? argv[1] : NULL;
	if (!text)
		show("/etc/motd");
	int shell = start(text);
	for (;;) {
		int status, pid = waitpid(-1, &status, 0);
		if (pid != shell && pid > 0)
			continue; /* an orphan */
		if (text && pid > 0) {
			int code = WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_MAX;
			pid = shutdown(code < STATUS_MAX ? code : STATUS_MAX);
		}
		if (pid < 0) {
			complain("cannot go on", pid);
			sleep(1000);
		}
		printf("init: the shell has ended, here is another; `shutdown` ends the machine\n");
		flush();
		shell = start(NULL);
	}
}
