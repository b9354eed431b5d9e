/* SPDX-License-Identifier: MIT */
/* ln: give a file another name. */
#include "user.h"

int main(int argc, char **argv)
{
	if (argc != 3)
		usage("FILE NEW-NAME", help_wanted(argc, argv));
	int error = link(argv[1], argv[2]);
	if (error)
		complain(argv[2], error);
	return error != 0;
}
