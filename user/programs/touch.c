/* SPDX-License-Identifier: MIT */
/* touch: make files that do not exist yet. */
#include "user.h"

int main(int argc, char **argv)
{
	int status = 0;
	for (int i = no_options(argc, argv, 1, "FILE..."); i < argc; i++) {
		int fd = open(argv[i], O_WRONLY | O_CREAT, 0644);
		if (fd < 0)
			complain(argv[i], fd), status = 1;
		else
			close(fd);
	}
	return status;
}
