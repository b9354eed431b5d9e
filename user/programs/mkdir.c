/* SPDX-License-Identifier: MIT */
/* mkdir: make directories. */
#include "user.h"

int main(int argc, char **argv)
{
	int status = 0;
	for (int i = no_options(argc, argv, 1, "DIR..."); i < argc; i++) {
		int error = mkdir(argv[i], 0755);
		if (error)
			complain(argv[i], error), status = 1;
	}
	return status;
}
