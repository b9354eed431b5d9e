/* SPDX-License-Identifier: MIT */
/*
 * A pseudo file system: one flat directory of files that functions make. /proc and /dev are
 * such.
 */
#ifndef FS_PSEUDOFS_H
#define FS_PSEUDOFS_H

#include "fs/vnode.h"

/*
 * A file. With `show` it is a text: show() makes all of it, as snprintf() would, at each
 * read(). Without, it is a device, and read() serves the caller itself. NULL: cannot be
 * done. All in process context, no spin lock held; buf is a user address if `user` is set.
 */
struct pseudofs_entry {
	const char *name;
	int (*show)(char *buf, size_t size);
	int (*read)(void *buf, uint32_t bytes, bool user);
	int (*write)(const void *buf, uint32_t bytes, bool user);
};

/* The directories' files; an entry without a name ends each. */
#define PSEUDOFS_FILES_MAX 16
extern const struct pseudofs_entry procfs_entries[], devfs_entries[];

#endif
