/* SPDX-License-Identifier: MIT */
/*
 * The file-system interface: a vnode is a file, directory or device in memory, with the operations of its file
 * system. vfs.c resolves paths over it; ext2.c, synth.c (proc and dev) implement it.
 */
#ifndef FS_VNODE_H
#define FS_VNODE_H

#include "proc/lock.h"
#include "vo/vo.h"

struct vnode;
struct blockdev;

struct dirent_sink { /* readdir calls emit for each entry; emit returns false when the reader has enough */
	bool (*emit)(struct dirent_sink *s, const char *name, unsigned length, uint32_t ino, unsigned d_type);
};

/*
 * All in process context, may sleep, no spin lock held; results 0 or negative errno unless said otherwise. Names are single
 * components, not "." or "..", of 1..NAME_MAX bytes (length given, not terminated). An operation that a file system lacks is
 * NULL (-EPERM, for read and write -EINVAL).
 */
struct vnode_ops {
	/* Find name in a directory: *out gets a reference. -ENOENT. ".." is asked here too. */
	int (*lookup)(struct vnode *dir, const char *name, unsigned length, struct vnode **out);
	int (*create)(struct vnode *dir, const char *name, unsigned length, struct vnode **out); /* regular file; -EEXIST */
	int (*mkdir)(struct vnode *dir, const char *name, unsigned length);
	int (*link)(struct vnode *dir, const char *name, unsigned length, struct vnode *target);
	int (*unlink)(struct vnode *dir, const char *name, unsigned length); /* -EISDIR for a directory */
	int (*rmdir)(struct vnode *dir, const char *name, unsigned length);  /* -ENOTDIR, -ENOTEMPTY */
	int (*rename)(struct vnode *from, const char *name, unsigned length, struct vnode *to, const char *new_name, unsigned new_length);
	/* Directory entries from *cookie (0 at first) on, "." and ".." included; *cookie moves on past those emitted. */
	int (*readdir)(struct vnode *dir, uint32_t *cookie, struct dirent_sink *sink);
	/* buf is a kernel address or, with user set, a user address. Result: bytes done, 0 at the end of the file. */
	int (*read)(struct vnode *vn, uint32_t offset, void *buf, uint32_t bytes, bool user);
	int (*write)(struct vnode *vn, uint32_t offset, const void *buf, uint32_t bytes, bool user);
	int (*truncate)(struct vnode *vn, uint32_t size);
	/* The frame with page index of the file, zeros past its end, for private mapping: a reference that the caller puts.
	   It may be the cache's own frame: never written by the caller. */
	int (*page)(struct vnode *vn, uint32_t index, pfn_t *out);
	int (*stat)(struct vnode *vn, struct stat *st);
	int (*sync)(struct vnode *vn); /* the whole file system that vn is on */
	/* Drop a reference that seems to be the last one, under the lock that lookup takes new ones under. Frees vn if it was; and
	   the file, if it has no name any more. */
	void (*release)(struct vnode *vn);
};

struct vnode {
	const struct vnode_ops *ops;
	uint32_t refs;  /* atomic; vnode_get, vnode_put */
	uint32_t ino;
	uint16_t mode;  /* S_IFMT bits and permissions */
	uint32_t size;  /* bytes */
	void *fs;       /* of the file system */
};

static inline struct vnode *vnode_get(struct vnode *vn)
{
	__atomic_fetch_add(&vn->refs, 1, __ATOMIC_RELAXED);
	return vn;
}
/* Drops a reference; the last one calls release. NULL is allowed. Context: process, no spin lock. */
void vnode_put(struct vnode *vn);

/* --- vfs.c --- */
/* Mount: root, then synthetic file systems over /proc and /dev (directories that must exist in the root). 0, -errno. */
int vfs_init(struct blockdev *root);
/* Resolve a path (absolute, or from the current process's directory): *out gets a reference. */
int vfs_lookup(const char *path, struct vnode **out);
/* Read or write the whole range [offset, offset+bytes) of kernel memory. Result: bytes done, -errno. */
int vnode_read(struct vnode *vn, uint32_t offset, void *buf, uint32_t bytes);
int vfs_sync(void);

/* --- ext2.c --- */
struct blockdev;
/* Mount an ext2 file system: *root gets its root directory. -EINVAL: no ext2, or features not supported; -EUCLEAN: damaged. */
int ext2_mount(struct blockdev *dev, struct vnode **root);

/* --- synth.c: files made of functions --- */
struct vnode *synth_root(const char *which); /* "proc" or "dev": a reference to its root directory */

#endif
