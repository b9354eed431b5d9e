/* SPDX-License-Identifier: MIT */
/* dmesg: the last part of the kernel log. */
#include "user.h"

int main(int argc, char **argv)
{
	static char buf[4096];
	if (argc > 1)
		usage("", help_wanted(argc, argv));
	int fd = open("/proc/kmsg", O_RDONLY), n = fd;
	while (n >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		n = write_all(1, buf, (uint32_t)n);
	if (n < 0)
		complain("/proc/kmsg", n);
	return n < 0;
}
