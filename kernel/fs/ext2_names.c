/* SPDX-License-Identifier: MIT */
/*
 * The vnode operations on names. Each first takes what it needs, and changes the directory
 * last, so that a failure leaves no trace.
 */
#include "fs/ext2.h"

static bool is_dir(const struct vnode *vn) { return (vn->mode & S_IFMT) == S_IFDIR; }

static int set_links(struct ext2_inode *ip, int change)
{
	ip->disk.links = (uint16_t)(ip->disk.links + change);
	ip->disk.ctime = ext2_time(ip->vn.fs);
	return ext2_inode_write(ip);
}

/*
 * Find the vnode that a name refers to; place, if not NULL, is where the entry is, its
 * block held.
 */
static int find(struct vnode *dir, const char *name, unsigned length, struct vnode **out,
		struct ext2_place *place)
{
	struct ext2_place at;
	int error = is_dir(dir) ? ext2_dir_find(inode_of(dir), name, length, &at) : -ENOTDIR;
	if (!error && inode_of(dir)->disk.links == 0) {
		bcache_put(at.block);
		error = -ENOENT; /* the parent of a removed directory may be another by now */
	}
	if (error)
		return error;
	error = ext2_inode_get(fs_of(dir), at.entry->ino, out);
	if (error || !place)
		bcache_put(at.block);
	else
		*place = at;
	return error;
}

static int lookup(struct vnode *dir, const char *name, unsigned length, struct vnode **out)
{
	bcache_enter(&fs_of(dir)->cache);
	int error = find(dir, name, length, out, NULL);
	bcache_leave(&fs_of(dir)->cache);
	return error;
}

/* Result: 0 if the name is free, and the directory has not been removed. */
static int must_be_free(struct vnode *dir, const char *name, unsigned length)
{
	struct ext2_place at;
	if (!is_dir(dir))
		return -ENOTDIR;
	if (inode_of(dir)->disk.links == 0)
		return -ENOENT;
	if (inode_of(dir)->disk.flags & EXT2_CONSTANT)
		return -EPERM;
	int error = ext2_dir_find(inode_of(dir), name, length, &at);
	if (error == -ENOENT && fs_of(dir)->read_only)
		return -EROFS;
	if (error == 0) {
		bcache_put(at.block);
		return -EEXIST;
	}
	return error == -ENOENT ? 0 : error;
}

/* Whether the file system, and the flags of a file and its directory, let it lose this name. */
static int may_lose_name(struct vnode *dir, struct vnode *vn)
{
	if (fs_of(vn)->read_only)
		return -EROFS;
	uint32_t flags = inode_of(dir)->disk.flags | inode_of(vn)->disk.flags;
	return flags & (EXT2_CONSTANT | EXT2_APPEND) ? -EPERM : 0;
}

/* Undo ext2_inode_new. */
static void drop_new(struct vnode *vn)
{
	inode_of(vn)->disk.links = 0;
	vnode_put(vn);
}

static int create(struct vnode *dir, const char *name, unsigned length, struct vnode **out)
{
	struct ext2 *fs = fs_of(dir);
	bcache_enter(&fs->cache);
	int error = must_be_free(dir, name, length);
	if (!error && !(error = ext2_inode_new(fs, S_IFREG | 0644, out))) {
		error = ext2_dir_add(inode_of(dir), name, length, (*out)->ino, (*out)->mode);
		if (error)
			drop_new(*out);
	}
	bcache_leave(&fs->cache);
	return error;
}

static int mkdir(struct vnode *dir, const char *name, unsigned length)
{
	struct ext2 *fs = fs_of(dir);
	struct vnode *vn;
	bcache_enter(&fs->cache);
	int error = must_be_free(dir, name, length);
	if (!error && inode_of(dir)->disk.links >= EXT2_LINKS_MAX)
		error = -EMLINK;
	if (!error && !(error = ext2_inode_new(fs, S_IFDIR | 0755, &vn))) {
		error = ext2_dir_init(inode_of(vn), dir->ino);
		if (!error)
			error = ext2_dir_add(inode_of(dir), name, length, vn->ino, vn->mode);
		if (error) {
			drop_new(vn);
		} else {
			set_links(inode_of(vn), 1);
			set_links(inode_of(dir), 1);
			vnode_put(vn);
		}
	}
	bcache_leave(&fs->cache);
	return error;
}

static int link(struct vnode *dir, const char *name, unsigned length, struct vnode *target)
{
	struct ext2 *fs = fs_of(dir);
	bcache_enter(&fs->cache);
	int error = must_be_free(dir, name, length);
	if (is_dir(target) || inode_of(target)->disk.flags & (EXT2_CONSTANT | EXT2_APPEND))
		error = -EPERM;
	else if (!error && inode_of(target)->disk.links == 0)
		error = -ENOENT;
	else if (!error && inode_of(target)->disk.links >= EXT2_LINKS_MAX)
		error = -EMLINK;
	if (!error)
		error = ext2_dir_add(inode_of(dir), name, length, target->ino, target->mode);
	if (!error)
		error = set_links(inode_of(target), 1);
	bcache_leave(&fs->cache);
	return error;
}

static int unlink(struct vnode *dir, const char *name, unsigned length)
{
	struct ext2_place at;
	struct vnode *vn;
	bcache_enter(&fs_of(dir)->cache);
	int error = find(dir, name, length, &vn, &at);
	if (!error) {
		error = is_dir(vn) ? -EISDIR : may_lose_name(dir, vn);
		if (error) {
			bcache_put(at.block);
		} else if (!(error = ext2_dir_remove(inode_of(dir), &at))) {
			error = set_links(inode_of(vn), -1);
		}
		vnode_put(vn);
	}
	bcache_leave(&fs_of(dir)->cache);
	return error;
}

static int rmdir(struct vnode *dir, const char *name, unsigned length)
{
	struct ext2_place at;
	struct vnode *vn;
	bcache_enter(&fs_of(dir)->cache);
	int error = find(dir, name, length, &vn, &at);
	if (!error) {
		error = !is_dir(vn)		 ? -ENOTDIR
			: vn->ino == EXT2_ROOT ? -EBUSY : ext2_dir_empty(inode_of(vn));
		error = error ? error : may_lose_name(dir, vn);
		if (error)
			bcache_put(at.block);
		else if (!(error = ext2_dir_remove(inode_of(dir), &at))) {
			inode_of(vn)->disk.links = 0;
			set_links(inode_of(vn), 0);
			error = set_links(inode_of(dir), -1);
		}
		vnode_put(vn);
	}
	bcache_leave(&fs_of(dir)->cache);
	return error;
}

/* --- rename --- */

/*
 * Whether `dir` is `top` or lies below it: go up by "..", at most as often as there are
 * inodes. Result: 1, 0, or an error.
 */
static int lies_below(struct vnode *dir, const struct vnode *top)
{
	struct ext2 *fs = fs_of(dir);
	struct vnode *at = vnode_get(dir);
	int result = 0;
	for (uint32_t steps = 0; !result && at != top && at->ino != EXT2_ROOT; steps++) {
		struct vnode *up;
		result = steps > fs->super->inodes_count ? -EUCLEAN : find(at, "..", 2, &up, NULL);
		if (!result) {
			vnode_put(at);
			at = up;
		}
	}
	result = result ? result : at == top;
	vnode_put(at);
	return result;
}

/* Whether `vn` may take the place of `old` in `to`. */
static int may_replace(struct vnode *to, struct vnode *vn, struct vnode *old)
{
	if (is_dir(vn) != is_dir(old))
		return is_dir(vn) ? -ENOTDIR : -EISDIR;
	int error = may_lose_name(to, old);
	return error || !is_dir(old) ? error : ext2_dir_empty(inode_of(old));
}

/* Let ".." of a moved directory point to its new parent. */
static int set_parent(struct vnode *vn, struct vnode *from, struct vnode *to)
{
	struct ext2_place up;
	int error = ext2_dir_find(inode_of(vn), "..", 2, &up);
	error = error ? error : ext2_dir_set(inode_of(vn), &up, to->ino, S_IFDIR);
	if (!error) {
		set_links(inode_of(from), -1);
		set_links(inode_of(to), 1);
	}
	return error;
}

/* Make the new name, then remove the old one: the file has a name at every moment. */
static int move(struct vnode *from, const char *name, unsigned length, struct vnode *to,
		const char *new_name, unsigned new_length, struct vnode *vn, struct vnode *old)
{
	struct ext2_place at;
	int error;
	if (old) {
		error = ext2_dir_find(inode_of(to), new_name, new_length, &at);
		error = error ? error : ext2_dir_set(inode_of(to), &at, vn->ino, vn->mode);
	} else {
		error = ext2_dir_add(inode_of(to), new_name, new_length, vn->ino, vn->mode);
	}
	error = error ? error : ext2_dir_find(inode_of(from), name, length, &at);
	error = error ? error : ext2_dir_remove(inode_of(from), &at);
	if (!error && is_dir(vn) && from != to)
		error = set_parent(vn, from, to);
	if (!error && old) {
		if (is_dir(old)) {
			inode_of(old)->disk.links = 1;
			set_links(inode_of(to), -1);
		}
		error = set_links(inode_of(old), -1);
	}
	return error;
}

static int rename(struct vnode *from, const char *name, unsigned length, struct vnode *to,
		  const char *new_name, unsigned new_length)
{
	struct vnode *vn, *old = NULL;
	bcache_enter(&fs_of(from)->cache);
	int error = find(from, name, length, &vn, NULL);
	if (!error) {
		error = !is_dir(to)			? -ENOTDIR
			: inode_of(to)->disk.links == 0 ? -ENOENT
			: find(to, new_name, new_length, &old, NULL);
		error = error == -ENOENT && inode_of(to)->disk.links ? 0 : error;
		if (!error && old != vn) {
			error = is_dir(vn) ? lies_below(to, vn) : 0;
			error = error > 0 ? -EINVAL : error;
			error = error ? error : may_lose_name(from, vn);
			if (!error && old)
				error = may_replace(to, vn, old);
			else if (!error && inode_of(to)->disk.flags & EXT2_CONSTANT)
				error = -EPERM;
			else if (!error && is_dir(vn) && inode_of(to)->disk.links >= EXT2_LINKS_MAX)
				error = -EMLINK;
			if (!error)
				error = move(from, name, length, to, new_name, new_length, vn, old);
		}
		vnode_put(old);
		vnode_put(vn);
	}
	bcache_leave(&fs_of(from)->cache);
	return error;
}

/* --- the rest of the table --- */

static int readdir(struct vnode *dir, uint32_t *cookie, struct dirent_sink *sink)
{
	bcache_enter(&fs_of(dir)->cache);
	int error = is_dir(dir) ? ext2_readdir(dir, cookie, sink) : -ENOTDIR;
	bcache_leave(&fs_of(dir)->cache);
	return error;
}

static int stat(struct vnode *vn, struct stat *st)
{
	const struct ext2_disk_inode *d = &inode_of(vn)->disk;
	if (vn->size > EXT2_SIZE_MAX && d->size_high)
		return -EFBIG; /* st_size has 32 bits */
	*st = (struct stat){ .st_dev = 1, .st_ino = vn->ino, .st_mode = d->mode,
			     .st_nlink = d->links, .st_size = d->size, .st_blocks = d->blocks,
			     .st_mtime = d->mtime };
	return 0;
}

static int sync(struct vnode *vn)
{
	struct ext2 *fs = fs_of(vn);
	bcache_enter(&fs->cache);
	int error = bcache_sync(&fs->cache);
	bcache_leave(&fs->cache);
	return error;
}

/* Result: 0 if this is a regular file, and not too large. */
static int must_be_file(const struct vnode *vn)
{
	return is_dir(vn) ? -EISDIR : vn->size > EXT2_SIZE_MAX ? -EFBIG : 0;
}

static int read(struct vnode *vn, uint32_t offset, void *buf, uint32_t bytes, bool user)
{
	int error = must_be_file(vn);
	return error ? error : ext2_read(vn, offset, buf, bytes, user);
}

static int write(struct vnode *vn, uint32_t offset, const void *buf, uint32_t bytes, bool user)
{
	int error = must_be_file(vn);
	return error ? error : ext2_write(vn, offset, buf, bytes, user);
}

static int truncate(struct vnode *vn, uint32_t size)
{
	return is_dir(vn) ? -EISDIR : ext2_truncate(vn, size);
}

static int page(struct vnode *vn, uint32_t index, pfn_t *out)
{
	int error = must_be_file(vn);
	return error ? error : ext2_page(vn, index, out);
}

const struct vnode_ops ext2_ops = {
	.lookup = lookup, .create = create, .mkdir = mkdir, .link = link, .unlink = unlink,
	.rmdir = rmdir, .rename = rename, .readdir = readdir, .read = read, .write = write,
	.direct = ext2_direct, .truncate = truncate, .page = page, .stat = stat, .sync = sync,
	.release = ext2_release,
};

const struct vnode_ops ext2_special_ops = {
	.stat = stat, .sync = sync, .release = ext2_release,
};
