/* SPDX-License-Identifier: MIT */
/* sync: write all changed blocks to the disk. */
#include "user.h"

int main(int argc, char **argv)
{
	if (argc > 1)
		usage("", help_wanted(argc, argv));
	int error = sync();
	if (error)
		complain("disk", error);
	return error != 0;
}
