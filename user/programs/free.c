/* SPDX-License-Identifier: MIT */
/*
 * free: print memory in KiB, from /proc/meminfo. The kernel takes "cached" memory back when it
 * needs it.
 */
#include "user.h"

int main(int argc, char **argv)
{
	static struct reader reader;
	char line[64];
	int got;
	if (argc > 1)
		usage("", help_wanted(argc, argv));
	reader.fd = open("/proc/meminfo", O_RDONLY);
	got = reader.fd;
	while (got >= 0 && (got = read_line(&reader, line, sizeof(line))) > 0) {
		char *space = strchr(line, ' ');
		if (space) {
			*space = '\0';
			printf("%-8s %8s KiB\n", line, space + 1);
		}
	}
	if (got < 0)
		complain("/proc/meminfo", got);
	return got < 0;
}
