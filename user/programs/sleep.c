/* SPDX-License-Identifier: MIT */
/* sleep: wait for a number of seconds, with or without a decimal fraction. */
#include "user.h"

int main(int argc, char **argv)
{
	const char *end = "x";
	if (argc != 2 || help_wanted(argc, argv))
		usage("SECONDS[.FRACTION]", argc == 2);
	uint32_t seconds = strtou(argv[1], &end), ms = seconds * 1000;
	if (*end == '.')
		for (uint32_t unit = 100; *++end >= '0' && *end <= '9'; unit /= 10)
			ms += (uint32_t)(*end - '0') * unit;
	if (*end || end == argv[1] || seconds >= UINT32_MAX / 1000)
		usage("SECONDS[.FRACTION]", false);
	int error = sleep(ms);
	if (error)
		complain("sleep", error);
	return error != 0;
}
