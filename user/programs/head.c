/* SPDX-License-Identifier: MIT */
/* head: print the first lines (10, or -n N, or -N) of files or of standard input. */
#include "user.h"

static const char how[] = "[-n LINES] [FILE...]";

static int show(int fd, uint32_t lines)
{
	static char buf[4096];
	int n = 0;
	while (lines && (n = read(fd, buf, sizeof(buf))) > 0) {
		uint32_t i = 0;
		for (; i < (uint32_t)n && lines; i++)
			lines -= buf[i] == '\n';
		if (write_all(1, buf, i))
			return 1;
	}
	if (n < 0)
		complain("input", n);
	return n < 0;
}

int main(int argc, char **argv)
{
	int i, status = 0;
	uint32_t lines = lines_option(argc, argv, how, &i);
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
