/* SPDX-License-Identifier: MIT */
/* ln: give a file another name. */
#include "user.h"

int main(int argc, char **argv)
{
	static const char how[] = "FILE NEW-NAME";
	int i = no_options(argc, argv, 2, how);
	if (argc - i > 2)
		usage(how, false);
	int error = link(argv[i], argv[i + 1]);
	if (error)
		complain(argv[i + 1], error);
	return error != 0;
}
