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
	int status = 0;
	if (help_wanted(argc, argv))
		usage("[FILE...]", true);
	if (argc == 1)
		return copy(0, "standard input");
	for (int i = 1; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY);
		if (fd < 0)
			complain(argv[i], fd), status = 1;
		else
			status |= copy(fd, argv[i]), close(fd);
	}
	return status;
}
