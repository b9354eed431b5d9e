/* SPDX-License-Identifier: MIT */
/* mv: rename a file or directory, or move several into a directory. */
#include "user.h"

static int move(const char *from, const char *to)
{
	int error = rename(from, to);
	if (error)
		complain(from, error);
	return error != 0;
}

int main(int argc, char **argv) { return for_each_from(argc, argv, move); }
