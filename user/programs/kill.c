/* SPDX-License-Identifier: MIT */
/*
 * kill: end processes. A number is a process's; with a minus before it, a process group's. A
 * signal before the numbers, as in kill -9, is ignored: there is only one.
 */
#include "user.h"

int main(int argc, char **argv)
{
	int status = 0;
	if (argc < 2 || help_wanted(argc, argv))
		usage("[-SIGNAL] PID|-GROUP...", argc > 1);
	for (int i = argc > 2 && argv[1][0] == '-' ? 2 : 1; i < argc; i++) {
		bool group = argv[i][0] == '-';
		const char *end, *number = argv[i] + group;
		int n = (int)strtou(number, &end);
		int error = *end || end == number || n < 0 ? -EINVAL : kill(group ? -n : n);
		if (error)
			complain(argv[i], error), status = 1;
	}
	return status;
}
