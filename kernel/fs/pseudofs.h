/* SPDX-License-Identifier: MIT */
/*
 * Pseudo file systems: each is one flat directory, whose files are made by functions. There
 * are two, /proc and /dev.
 */
#ifndef FS_PSEUDOFS_H
#define FS_PSEUDOFS_H

#include "fs/vnode.h"

/*
 * A file. If it has `show` it is a text: at each read, show() makes the whole text as
 * snprintf() would. Else it is a device, and its read() serves the caller. If `write` is NULL
 * the file cannot be written. Context: process, no spin lock held; buf is a user address if
 * `user` is set.
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
