/* SPDX-License-Identifier: MIT */
/*
 * shutdown: write all changed blocks to the disk and end the machine, with a status for the
 * emulator.
 */
#include "user.h"

/* Guests' disks are not clean afterwards: say whose. */
static void name_guests(void)
{
	static struct reader reader;
	char line[256];
	reader = (struct reader){ .fd = open("/proc/domains", O_RDONLY) };
	while (reader.fd >= 0 && read_line(&reader, line, sizeof(line)) > 0) {
		char *name = strchr(line, ' '), *state = name ? strchr(name + 1, ' ') : NULL;
		if (line[0] == '!' || !state || strncmp(state, " ended", 6) == 0 ||
		    strncmp(state, " killed", 7) == 0)
			continue;
		*state = '\0';
		dprintf(2, "shutdown: guest%s still runs; what it has not written is lost\n", name);
	}
}

int main(int argc, char **argv)
{
	const char *end = "";
	uint32_t status = argc > 1 ? strtou(argv[1], &end) : 0;
	if (argc > 2 || *end)
		usage("[STATUS]", help_wanted(argc, argv));
	name_guests();
	complain("shutdown", shutdown((int)status));
	return 1;
}
