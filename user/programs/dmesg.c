/* SPDX-License-Identifier: MIT */
/* dmesg: print the kernel log, of which the kernel keeps the last part. */
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
