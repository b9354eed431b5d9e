/* SPDX-License-Identifier: MIT */
/* The built-in commands: the shell's own directory, variables, children, history, help and end. */
#include "sh.h"

static const char help[] =
	"commands      a b 'c d' \"$X\"   a | b   a < in > out   a >> out   a 2> errors\n"
	"              a 2>> errors   a > all 2>&1   a >&2   a &   a ; b   a && b   a || b\n"
	"variables     NAME=value   $NAME   $? status   $! last in background   $$ shell\n"
	"file names    * any text   ? one byte\n"
	"of the shell  cd [DIR]  pwd  exit [STATUS]  wait [PID]  history  true  false\n"
	"programs      in /bin, with --help each; `shutdown` ends the machine\n"
	"keys          arrows Home End: history, cursor   Tab completes   Ctrl-C stops\n"
	"              Ctrl-U Ctrl-K Ctrl-W erase   Ctrl-D ends the input\n"
	"not there     if for while   functions   (a)   $(a)   X=1 a   << text   [a-z]   ~   $1\n";

static int change_directory(int argc, char **argv)
{
	if (argc > 2) {
		dprintf(2, "sh: cd: one directory, not %d\n", argc - 1);
		return 1;
	}
	int error = chdir(argc > 1 ? argv[1] : "/");
	if (error)
		complain(argc > 1 ? argv[1] : "/", error);
	return error != 0;
}

static int print_directory(void)
{
	char path[PATH_MAX];
	int n = getcwd(path, sizeof(path));
	if (n < 0)
		complain("pwd", n);
	else
		n = printf("%s\n", path);
	return n < 0;
}

/*
 * As waitpid(pid, status, 0), but -EINTR after Ctrl-C. That kills a process which waits for nothing
 * else, and its end ends the wait.
 */
static int wait_or_stop(int pid, int *status)
{
	int shell = getpid(), got = waitpid(pid, status, interactive ? WNOHANG : 0);
	int stop = got ? got : fork();
	if (got || stop < 0)
		return stop;
	if (stop == 0) {
		setpgid(0, 0);
		tty_foreground(getpid());
		while (getppid() == shell)
			sleep(1000);
		exit(0);
	}
	setpgid(stop, stop);
	tty_foreground(stop);
	while ((got = waitpid(-1, status, 0)) != stop && pid > 0 && got != pid)
		ended(got, *status);
	tty_foreground(0);
	if (got == stop)
		return -EINTR;
	kill(stop);
	waitpid(stop, &shell, 0);
	return got;
}

static int wait_children(int argc, char **argv)
{
	int status = 0, pid = -1;
	const char *end;
	if (argc > 1) {
		pid = (int)strtou(argv[1], &end);
		if (*end || end == argv[1] || pid <= 0)
			pid = -EINVAL;
		else if ((status = ended(pid, -1)) < 0)
			pid = wait_or_stop(pid, &status);
	} else {
		while ((pid = wait_or_stop(-1, &status)) > 0)
			ended(pid, status);
		if (pid == -ECHILD)
			return 0;
	}
	if (pid == -EINTR)
		return KILLED;
	if (pid < 0)
		complain(argc > 1 ? argv[1] : "wait", pid);
	return pid < 0 ? 1 : WIFEXITED(status) ? WEXITSTATUS(status) : KILLED;
}

static void leave(int argc, char **argv) __attribute__((noreturn));
static void leave(int argc, char **argv)
{
	const char *end;
	uint32_t status = argc > 1 ? strtou(argv[1], &end) : (uint32_t)last_status;
	if (argc > 2 || (argc == 2 && (*end || end == argv[1] || status > 255))) {
		dprintf(2, "sh: exit: one status, from 0 to 255\n");
		status = 2;
	}
	exit((int)status);
}

bool builtin(int argc, char **argv, int *status)
{
	const char *name = argv[0];
	uint32_t length = name_length(name);
	if (strcmp(name, "cd") == 0)
		*status = change_directory(argc, argv);
	else if (strcmp(name, "pwd") == 0)
		*status = print_directory();
	else if (strcmp(name, "exit") == 0)
		leave(argc, argv);
	else if (strcmp(name, "wait") == 0)
		*status = wait_children(argc, argv);
	else if (strcmp(name, "help") == 0)
		*status = write_all(1, help, sizeof(help) - 1) != 0;
	else if (strcmp(name, "history") == 0)
		history_show(), *status = 0;
	else if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0)
		*status = *name == 'f';
	else if (length && name[length] == '=' && argc == 1)
		*status = !variable_set(name, length, name + length + 1);
	else
		return false;
	return true;
}
