/* SPDX-License-Identifier: MIT */
/* rmdir: remove empty directories. */
#include "user.h"

int main(int argc, char **argv)
{
	int status = 0;
	if (argc < 2 || help_wanted(argc, argv))
		usage("DIR...", argc > 1);
	for (int i = 1; i < argc; i++) {
		int error = rmdir(argv[i]);
		if (error)
			complain(argv[i], error), status = 1;
	}
	return status;
}
