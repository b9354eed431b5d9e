/* SPDX-License-Identifier: MIT */
/*
 * Path resolution, for the files of this folder. A path is walked up to its last component;
 * the caller then looks this component up, makes it or removes it. Context: process, may
 * sleep.
 */
#ifndef FS_PATH_H
#define FS_PATH_H

#include "fs/vnode.h"

#define FILE_BYTES_MAX 0x7FFFFFFFu /* positions fit a system call's result */

struct path_end {
	struct vnode *dir; /* a directory, with a reference that the caller puts */
	const char *name;  /* last component, in the path given */
	unsigned length;   /* of name; 0 if the path is only slashes */
	bool slash;        /* slashes follow: name must be a directory's */
	bool plain;        /* name can be made or removed: not empty, not "." or ".." */
};

/*
 * Walk path up to its last component, and fill *end. Result: 0; -ENOENT (also for ""),
 * -ENOTDIR, -ELOOP, -ENAMETOOLONG, or the file system's error. After an error there is
 * nothing to put.
 */
int path_parent(const char *path, struct path_end *end);
/*
 * Look the last component up: *out gets a reference. Result: 0; -ENOTDIR or -ELOOP if a slash
 * follows and it is no directory; the file system's error.
 */
int path_last(const struct path_end *end, struct vnode **out);
/* Whether the last component is a mount point, which no call may remove or replace. */
bool path_is_mount(const struct path_end *end);
/* Whether two directories are on the same file system. */
bool path_same_fs(const struct vnode *a, const struct vnode *b);
/*
 * path_normalize - make `path`, seen from the normalized absolute path `from`, absolute and
 * free of ".", ".." and double slashes. out: room for both and two bytes more. Result: the
 * new path's length.
 */
uint32_t path_normalize(char *out, const char *from, const char *path);

/* Copy the stat of vn to a user address. 0, -EFAULT, the file system's error (calls.c). */
int vnode_stat_user(struct vnode *vn, uint32_t to);

static inline bool is_dir(const struct vnode *vn) { return (vn->mode & S_IFMT) == S_IFDIR; }
static inline bool is_link(const struct vnode *vn) { return (vn->mode & S_IFMT) == S_IFLNK; }
/* The error if a path needs a directory here. Symbolic links are not followed. */
static inline int not_dir(const struct vnode *vn) { return is_link(vn) ? -ELOOP : -ENOTDIR; }

#endif
