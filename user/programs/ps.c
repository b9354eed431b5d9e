/* SPDX-License-Identifier: MIT */
/* ps: print the tasks, from /proc/tasks. Times are in hundredths of a second. */
#include "user.h"

int main(int argc, char **argv)
{
	static struct reader reader;
	char line[256];
	int got;
	if (argc > 1)
		usage("", help_wanted(argc, argv));
	reader.fd = open("/proc/tasks", O_RDONLY);
	if (reader.fd < 0) {
		complain("/proc/tasks", reader.fd);
		return 1;
	}
	printf("  PID  PPID GROUP STATE    CPU  TIME PAGES NAME\n");
	while ((got = read_line(&reader, line, sizeof(line))) > 0) {
		char *field[8], *s = line;
		int n = 0;
		for (; n < 8; n++) {
			field[n] = s;
			s = n < 7 ? strchr(s, ' ') : NULL;
			if (!s)
				break;
			*s++ = '\0';
		}
		if (n == 7)
			printf("%5s %5s %5s %-8s %3s %5s %5s %s\n", field[0], field[1], field[2],
			       field[3], field[4], field[5], field[6], field[7]);
	}
	if (got < 0)
		complain("/proc/tasks", got);
	return got < 0;
}
