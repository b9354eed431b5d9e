/* SPDX-License-Identifier: MIT */
/* cat: print files, or standard input, one after the other. */
#include "user.h"

static int copy(int fd, const char *name)
{
	static char buf[4096];
	int n;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if ((n = write_all(1, buf, (uint32_t)n)) < 0) {
			complain("standard output", n);
			exit(1);
		}
	if (n < 0)
		complain(name, n);
	return n < 0;
}

int main(int argc, char **argv)
{
	int status = 0, i = no_options(argc, argv, 0, "[FILE...]");
	if (i == argc)
		return copy(0, "standard input");
	for (; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY);
		if (fd < 0)
			complain(argv[i], fd), status = 1;
		else
			status |= copy(fd, argv[i]), close(fd);
	}
	return status;
}
