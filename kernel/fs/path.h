/* SPDX-License-Identifier: MIT */
/* Path resolution, for the files of this directory: a path is walked to its last component, which the caller then uses. */
#ifndef FS_PATH_H
#define FS_PATH_H

#include "fs/vnode.h"

#define FILE_BYTES_MAX 0x7FFFFFFFu /* positions fit a system call's result */

struct path_end {
	struct vnode *dir; /* a directory, with a reference that the caller puts */
	const char *name;  /* last component, in the path given */
	unsigned length;   /* of name; 0 if the path is only slashes */
	bool slash;        /* slashes follow: it must be a directory */
	bool plain;        /* a name that can be made or removed: not empty, "." or ".." */
};

/* Walk path up to its last component. Result: 0, -ENOENT (also for ""), -ENOTDIR, -ENAMETOOLONG, the file system's. */
int path_parent(const char *path, struct path_end *end);
/* The vnode that the last component names, with a reference. -ENOTDIR if a slash follows what is no directory. */
int path_last(const struct path_end *end, struct vnode **out);
/* Whether the last component is a mount point, which stays. */
bool path_is_mount(const struct path_end *end);
/* Whether two directories are on the same file system. */
bool path_same_fs(const struct vnode *a, const struct vnode *b);
/*
 * path_normalize - the absolute path that `path` is, seen from the normalized absolute path `from`, without ".",
 * ".." and double slashes. out has room for both and two bytes more. Result: its length.
 */
uint32_t path_normalize(char *out, const char *from, const char *path);

/* The stat of a vnode to a user address: 0, -EFAULT, the file system's. */
int vnode_stat_user(struct vnode *vn, uint32_t to);

static inline bool is_dir(const struct vnode *vn) { return (vn->mode & S_IFMT) == S_IFDIR; }

#endif
