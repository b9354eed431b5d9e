/* SPDX-License-Identifier: MIT */
/* echo: print the arguments with spaces between them; -n leaves out the newline. */
#include "user.h"

int main(int argc, char **argv)
{
	bool newline = argc < 2 || strcmp(argv[1], "-n") != 0;
	int error = 0;
	for (int i = newline ? 1 : 2; i < argc && !error; i++)
		error = print(argv[i], strlen(argv[i])) || (i + 1 < argc && print(" ", 1));
	return (newline && !error ? printf("\n") : error) != 0;
}
