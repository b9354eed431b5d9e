/* SPDX-License-Identifier: MIT */
/* head: print the first lines (10, or -N) of files or of standard input. */
#include "user.h"

static int show(int fd, uint32_t lines)
{
	static char line[4096];
	static struct reader reader;
	int got = 1;
	reader = (struct reader){ .fd = fd };
	while (lines-- && (got = read_line(&reader, line, sizeof(line))) > 0)
		if (printf("%s\n", line))
			return 1;
	return got < 0;
}

int main(int argc, char **argv)
{
	uint32_t lines = 10;
	int i = 1, status = 0;
	if (help_wanted(argc, argv))
		usage("[-LINES] [FILE...]", true);
	if (argc > 1 && argv[1][0] == '-') {
		const char *end;
		lines = strtou(argv[1] + 1, &end);
		if (*end || end == argv[1] + 1)
			usage("[-LINES] [FILE...]", false);
		i++;
	}
	if (i == argc)
		return show(0, lines);
	for (; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY);
		if (fd < 0)
			complain(argv[i], fd), status = 1;
		else
			status |= show(fd, lines), close(fd);
	}
	return status;
}
