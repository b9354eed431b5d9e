/* SPDX-License-Identifier: MIT */
/*
 * switcher: switch to the other mode and back a number of times, also while another program runs,
 * and count the switches. Each pair of switches ends in the mode in which it began.
 */
#include "user.h"

#define MODE "/proc/mode"

static int mode_fd; /* opened only once, for programs that count all open files meanwhile */

static bool is_virtual(void)
{
	char c = 0;
	int got;
	lseek(mode_fd, 0, SEEK_SET);
	while ((got = read(mode_fd, &c, 1)) == -ENOMEM)
		sleep(10); /* other processes may have all memory for a moment */
	if (got != 1)
		complain(MODE, got), exit(1);
	return c == 'v';
}

static int change(bool to_virtual)
{
	const char *word = to_virtual ? "virtual\n" : "native\n";
	int result = write(mode_fd, word, (uint32_t)strlen(word));
	return result < 0 ? result : 0;
}

/* Start a program in a child process. */
static int start(char **argv)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "/bin/%s", argv[0]);
	int pid = fork();
	if (pid == 0) {
		close(mode_fd); /* its position is shared */
		int error = exec(path, argv);
		complain(path, error);
		exit(127);
	}
	return pid;
}

int main(int argc, char **argv)
{
	static const char text[] =
		"PAIRS [MILLISECONDS [COMMAND...]]\n\n"
		"With a command: it runs meanwhile, and the switching lasts at least"
		" until it ends; its status is ours.";
	if (argc < 2 || help_wanted(argc, argv))
		usage(text, argc > 1);
	uint32_t pairs = number_of(argv[1], text), ms = argc > 2 ? number_of(argv[2], text) : 0;
	uint32_t done = 0, refused = 0;
	mode_fd = open(MODE, O_RDWR);
	if (mode_fd < 0) {
		complain(MODE, mode_fd);
		return 1;
	}
	bool first = is_virtual();
	int pid = argc > 3 ? start(argv + 3) : 0, status = 0, error = 0;
	while (pid > 0 || done < 2 * pairs || done % 2) {
		bool wanted = first == (done % 2 == 1);
		if (pid > 0 && waitpid(pid, &status, WNOHANG) == pid)
			pid = 0;
		error = change(wanted);
		/* The VO was in use at each try, or the host gave a CPU no time for a second. */
		if ((error == -EBUSY || error == -ETIMEDOUT) && refused++ < done + 10)
			continue;
		if (error || is_virtual() != wanted) {
			complain(wanted ? "virtual" : "native", error);
			return 1;
		}
		done++;
		if (ms)
			sleep(ms);
	}
	printf("switched %u times, %u tries refused\n", done, refused);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
