/* SPDX-License-Identifier: MIT */
/*
 * The file-system interface: a vnode is a file, directory or device in memory, with the
 * operations of its file system. Two file systems implement it, ext2_*.c and pseudofs.c
 * (/proc and /dev); vfs.c resolves paths over them.
 */
#ifndef FS_VNODE_H
#define FS_VNODE_H

#include "proc/lock.h"
#include "vo/vo.h"

struct vnode;
struct blockdev;

/* Where readdir() puts each entry. emit() returns false when the reader has enough. */
struct dirent_sink {
	bool (*emit)(struct dirent_sink *s, const char *name, unsigned length, uint32_t ino,
		     unsigned d_type);
};

/*
 * Operations on a vnode, of which the caller has a reference. Result: 0 or a negative errno
 * value, where nothing else is said. A name is one component of 1..NAME_MAX bytes, not "."
 * or "..", given by its length without NUL. An operation that a file system lacks is NULL.
 * Context: process, may sleep, no spin lock held.
 */
struct vnode_ops {
	/* Find name, here also "..", in a directory: *out gets a reference. -ENOENT. */
	int (*lookup)(struct vnode *dir, const char *name, unsigned length, struct vnode **out);
	/* Make a regular file: *out gets a reference. -EEXIST. */
	int (*create)(struct vnode *dir, const char *name, unsigned length, struct vnode **out);
	/* Make a directory. -EEXIST, -EMLINK. */
	int (*mkdir)(struct vnode *dir, const char *name, unsigned length);
	/* Add a name for target, which is no directory. -EEXIST, -EPERM, -EMLINK. */
	int (*link)(struct vnode *dir, const char *name, unsigned length, struct vnode *target);
	/* Remove a name, or an empty directory. -ENOENT, -EISDIR (unlink), -ENOTDIR, -ENOTEMPTY. */
	int (*unlink)(struct vnode *dir, const char *name, unsigned length);
	int (*rmdir)(struct vnode *dir, const char *name, unsigned length);
	/*
	 * Move the file or directory `name` in `from` to `new_name` in `to`. A file or an
	 * empty directory with the new name is replaced.
	 */
	int (*rename)(struct vnode *from, const char *name, unsigned length, struct vnode *to,
		      const char *new_name, unsigned new_length);
	/*
	 * Emit entries, also "." and "..", from position *cookie on, 0 at first. *cookie
	 * becomes the position after the last one that the sink took.
	 */
	int (*readdir)(struct vnode *dir, uint32_t *cookie, struct dirent_sink *sink);
	/*
	 * Move bytes from or to a file, beginning at offset. buf is a kernel address or,
	 * with user set, a user address. Result: bytes done; 0 at the end of the file
	 * (read).
	 */
	int (*read)(struct vnode *vn, uint32_t offset, void *buf, uint32_t bytes, bool user);
	int (*write)(struct vnode *vn, uint32_t offset, const void *buf, uint32_t bytes, bool user);
	/*
	 * Move bytes between a regular file, in which they lie, and a kernel address. A whole
	 * block that the block cache does not have goes past it.
	 */
	int (*direct)(struct vnode *vn, bool write, uint32_t offset, void *buf, uint32_t bytes);
	int (*truncate)(struct vnode *vn, uint32_t size);
	/*
	 * The file's page `index` for a private mapping: *out is a frame with a reference
	 * for the caller. The frame has zeros after the file's end. It may belong to the
	 * block cache, too, so it must not be written.
	 */
	int (*page)(struct vnode *vn, uint32_t index, pfn_t *out);
	int (*stat)(struct vnode *vn, struct stat *st);
	/* Write all changes of the file system that vn is on to its disk. */
	int (*sync)(struct vnode *vn);
	/*
	 * Drop a reference that may be the last one, under the lock that lookup holds when
	 * it gives out new ones. After the last reference vn may be freed; a file without
	 * a name is then erased.
	 */
	void (*release)(struct vnode *vn);
};

struct vnode {
	const struct vnode_ops *ops;
	uint32_t refs; /* atomic; vnode_get, vnode_put */
	uint32_t ino;
	uint16_t mode; /* S_IFMT bits and permissions */
	uint32_t size; /* bytes; of a pseudo directory: entries */
	void *fs;      /* the file system's own */
};

/* Take a reference. The caller has one, or holds the file system's lock. Context: any. */
static inline struct vnode *vnode_get(struct vnode *vn)
{
	__atomic_fetch_add(&vn->refs, 1, __ATOMIC_RELAXED);
	return vn;
}
/*
 * Drop a reference; the last one calls release(). NULL is allowed. Context: process, no
 * spin lock.
 */
void vnode_put(struct vnode *vn);

/* --- vfs.c. Context: process, may sleep, no spin lock held --- */
/*
 * Mount ext2 from `root`, and the pseudo file systems over its directories /proc and /dev.
 * Result: 0, -ENOENT or -ENOTDIR if one is missing, or what ext2_mount() says. Once, at
 * boot.
 */
int vfs_init(struct blockdev *root);
/* Resolve a path, absolute or from the current directory: *out gets a reference. 0, -errno. */
int vfs_lookup(const char *path, struct vnode **out);
/* Read [offset, offset + bytes) to kernel memory; less at the file's end. Bytes done, -errno. */
int vnode_read(struct vnode *vn, uint32_t offset, void *buf, uint32_t bytes);
/* Write all changes to the disk. 0, -errno. */
int vfs_sync(void);
/* The same, as the last use of all files: who uses one afterwards waits for ever. 0, -errno. */
int vfs_unmount(void);

/* --- ext2_super.c --- */
/*
 * Mount the file system on dev: *root gets a reference to its root directory. Result: 0;
 * -EINVAL: no ext2, or features that are not supported; -EUCLEAN: damaged; -EIO, -ENOMEM.
 * Context: as vfs_init.
 */
int ext2_mount(struct blockdev *dev, struct vnode **root);
/*
 * Write all changes, and then the mark that the file system is clean, unless it was not
 * clean when it was mounted. The file system stays locked for ever. 0, -errno.
 */
int ext2_unmount(void);

/* --- pseudofs.c --- */
/* Make the tree "proc" or "dev". Result: a reference to its root directory. Once each, at boot. */
struct vnode *pseudofs_root(const char *name);

#endif
