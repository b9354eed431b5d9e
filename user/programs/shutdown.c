/* SPDX-License-Identifier: MIT */
/*
 * shutdown: write all changed blocks to the disk and end the machine, with a status for the
 * emulator.
 */
#include "user.h"

int main(int argc, char **argv)
{
	const char *end = "";
	uint32_t status = argc > 1 ? strtou(argv[1], &end) : 0;
	if (argc > 2 || *end)
		usage("[STATUS]", help_wanted(argc, argv));
	complain("shutdown", shutdown((int)status));
	return 1;
}
