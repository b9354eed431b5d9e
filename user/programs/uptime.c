/* SPDX-License-Identifier: MIT */
/* uptime: print how long the machine has been running, and its mode. */
#include "user.h"

static void get(const char *path, char *text, uint32_t size)
{
	static struct reader reader;
	reader = (struct reader){ .fd = open(path, O_RDONLY) };
	int got = reader.fd < 0 ? reader.fd : read_line(&reader, text, size);
	if (got < 0) {
		complain(path, got);
		exit(1);
	}
	close(reader.fd);
}

int main(int argc, char **argv)
{
	char seconds[32], mode[32];
	if (argc > 1)
		usage("", help_wanted(argc, argv));
	get("/proc/uptime", seconds, sizeof(seconds));
	get("/proc/mode", mode, sizeof(mode));
	return printf("up %s s, mode %s\n", seconds, mode) != 0;
}
