/* SPDX-License-Identifier: MIT */
/* Root file systems from outside: e2fsck judges every image that a machine wrote to. */
#include "machine.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *root_copy(const char *name)
{
	const char *path = work_path(name);
	shell_must(30, "cp '%s/rootfs.ext2' '%s'", build_dir, path);
	return path;
}

void root_check_file(const char *path)
{
	char text[1500];
	int status = shell(text, sizeof(text), 60,
			   "PATH=$PATH:/usr/sbin:/sbin e2fsck -fn '%s' 2>&1", path);
	/* 127: e2fsck is missing; 124, 137: its time was over, or it was killed. */
	if (status < 0 || status >= 124)
		give_up(BROKEN, "e2fsck ended with status %d: %s", status, text);
	if (status != 0)
		give_up(FAILED, "e2fsck -fn finds errors (status %d) in the root file system:\n%s",
			status, text);
}

/* Write the RAM disk into a file. Kernel variables tell where it is in the machine's memory. */
static void save_ram_disk(struct machine *m, const char *path)
{
	uint32_t at = kernel_word(m, "rootfs_machine"), bytes = kernel_word(m, "rootfs_bytes");
	if (at == 0 || bytes == 0 || bytes > 256u << 20)
		give_up(FAILED, "rootfs_machine %#x, rootfs_bytes %#x: that is no RAM disk", at,
			bytes);
	void *copy = malloc(bytes);
	FILE *f = fopen(path, "w");
	if (!copy || !f)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	physical_read(m, at, copy, bytes);
	if (fwrite(copy, 1, bytes, f) != bytes || fclose(f) != 0)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	free(copy);
}

void root_check(struct machine *m)
{
	const char *path = m->o.disk;
	if (!path)
		save_ram_disk(m, path = work_path("ramdisk.ext2"));
	root_check_file(path);
}
