/* SPDX-License-Identifier: MIT */
/* /dev: the devices that programs read and write. */
#include "dev/console.h"
#include "fs/pseudofs.h"
#include "mm/vm.h"
#include "proc/task.h"

static int null_read(void *buf, uint32_t bytes, bool user)
{
	(void)buf, (void)bytes, (void)user;
	return 0;
}

static int null_write(const void *buf, uint32_t bytes, bool user)
{
	(void)buf, (void)user;
	return (int)bytes;
}

static int zero_read(void *buf, uint32_t bytes, bool user)
{
	static const char zeros[512];
	for (uint32_t done = 0, some; done < bytes; done += some) {
		some = MIN(bytes - done, (uint32_t)sizeof(zeros));
		if (!user)
			memset((char *)buf + done, 0, some);
		else if (copy_to_user((char *)buf + done, zeros, some))
			return done ? (int)done : -EFAULT;
		if (current()->hazard & HAZARD_KILLED)
			return -EINTR;
	}
	return (int)bytes;
}

const struct pseudofs_entry devfs_entries[] = {
	{ .name = "console", .read = tty_read, .write = tty_write },
	{ .name = "null", .read = null_read, .write = null_write },
	{ .name = "zero", .read = zero_read, .write = null_write },
	{ 0 },
};
