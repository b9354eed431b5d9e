/* SPDX-License-Identifier: MIT */
/*
 * File contents. While bytes are copied from or to a program, a page of the program may be
 * faulted in from this same file system. So the owner of the lock may enter again
 * (bcache_enter); and the block that is being copied is held, so that it stays.
 */
#include "fs/ext2.h"
#include "mm/vm.h"

static int copy_out(void *to, const void *from, uint32_t bytes, bool user)
{
	if (user)
		return copy_to_user(to, from, bytes);
	memcpy(to, from, bytes);
	return 0;
}

static int copy_in(void *to, const void *from, uint32_t bytes, bool user)
{
	if (user)
		return copy_from_user(to, from, bytes);
	memcpy(to, from, bytes);
	return 0;
}

int ext2_read(struct vnode *vn, uint32_t offset, void *buf, uint32_t bytes, bool user)
{
	static const char zeros[PAGE_SIZE];
	struct ext2 *fs = fs_of(vn);
	uint32_t done = 0;
	int error = 0;
	bcache_enter(&fs->cache);
	bytes = offset < vn->size ? MIN(bytes, vn->size - offset) : 0;
	while (done < bytes && !error) {
		uint32_t at = offset + done, into = at % fs->block_bytes, number;
		uint32_t some = MIN(bytes - done, fs->block_bytes - into);
		struct block *b = NULL;
		error = ext2_map(inode_of(vn), at / fs->block_bytes, false, &number, NULL);
		if (!error && number)
			error = bcache_get(&fs->cache, number, &b);
		if (error)
			break;
		error = copy_out((char *)buf + done, b ? b->data + into : zeros, some, user);
		if (b)
			bcache_put(b);
		done += error ? 0 : some;
	}
	bcache_leave(&fs->cache);
	return done ? (int)done : error;
}

/*
 * Write bytes of one block. The file's size grows with each block, so that an error leaves
 * no block after the file's end.
 */
static int write_part(struct vnode *vn, uint32_t at, const void *from, uint32_t bytes, bool user)
{
	struct ext2 *fs = fs_of(vn);
	struct ext2_inode *ip = inode_of(vn);
	uint32_t into = at % fs->block_bytes, number;
	struct block *b;
	bool fresh = false;
	int error = ext2_map(ip, at / fs->block_bytes, true, &number, &fresh);
	bool whole = fresh || bytes == fs->block_bytes; /* the old content does not matter */
	if (!error)
		error = whole ? bcache_new(&fs->cache, number, &b)
			      : bcache_get(&fs->cache, number, &b);
	if (!error) {
		error = bcache_change(&fs->cache, b, false);
		if (!error && fresh && bytes < fs->block_bytes) {
			memset(b->data, 0, into);
			memset(b->data + into + bytes, 0, fs->block_bytes - into - bytes);
		}
		if (!error && (error = copy_in(b->data + into, from, bytes, user)) && whole)
			memset(b->data + into, 0, bytes); /* else old memory would show */
		bcache_put(b);
	}
	if (!error && at + bytes > vn->size)
		ip->disk.size = vn->size = at + bytes;
	if (error)
		ext2_cut(ip, DIV_UP(vn->size, fs->block_bytes));
	return error;
}

/* Note the time of a change. Seconds do not change often: so the inode is mostly as it was. */
static int note_change(struct ext2_inode *ip, bool more)
{
	uint32_t now = ext2_time(fs_of(&ip->vn));
	if (ip->disk.mtime == now && !more)
		return 0;
	ip->disk.mtime = now;
	return ext2_inode_write(ip);
}

int ext2_write(struct vnode *vn, uint32_t offset, const void *buf, uint32_t bytes, bool user)
{
	struct ext2 *fs = fs_of(vn);
	uint32_t done = 0;
	int error = 0;
	if (fs->read_only)
		return -EROFS;
	if (offset >= EXT2_SIZE_MAX)
		return bytes ? -EFBIG : 0;
	bytes = MIN(bytes, EXT2_SIZE_MAX - offset);
	bcache_enter(&fs->cache);
	uint32_t size = vn->size;
	uint32_t flags = inode_of(vn)->disk.flags;
	if (flags & EXT2_CONSTANT || (flags & EXT2_APPEND && offset < vn->size))
		error = bytes ? -EPERM : 0, bytes = 0;
	while (done < bytes && !error) {
		uint32_t at = offset + done;
		uint32_t some = MIN(bytes - done, fs->block_bytes - at % fs->block_bytes);
		error = write_part(vn, at, (const char *)buf + done, some, user);
		done += error ? 0 : some;
	}
	if (bytes) {
		int failed = note_change(inode_of(vn), error || vn->size != size);
		error = error ? error : failed;
	}
	bcache_leave(&fs->cache);
	return done ? (int)done : error;
}

int ext2_direct(struct vnode *vn, bool write, uint32_t at, void *buf, uint32_t bytes)
{
	struct ext2 *fs = fs_of(vn);
	struct ext2_inode *ip = inode_of(vn);
	uint32_t number = 0;
	int error = -EBUSY;
	if (vn->size > EXT2_SIZE_MAX)
		return -EFBIG;
	bcache_enter(&fs->cache);
	if (bytes == fs->block_bytes && at % bytes == 0 && at + bytes <= vn->size &&
	    !(ip->disk.flags & (EXT2_CONSTANT | EXT2_APPEND)) &&
	    !ext2_map(ip, at / bytes, false, &number, NULL) && number)
		error = bcache_direct(&fs->cache, write, number, buf);
	if (!error && write)
		error = note_change(ip, false);
	if (error == -EBUSY) { /* a part of a block, a hole, or in the cache */
		int n = write ? ext2_write(vn, at, buf, bytes, false)
			      : ext2_read(vn, at, buf, bytes, false);
		error = n == (int)bytes ? 0 : n < 0 ? n : -EIO;
	}
	bcache_leave(&fs->cache);
	return error;
}

/*
 * Clear the last block after the new end, so that the file shows zeros there when it grows
 * again.
 */
static int clear_tail(struct vnode *vn, uint32_t size)
{
	struct ext2 *fs = fs_of(vn);
	uint32_t into = size % fs->block_bytes, number;
	struct block *b;
	int error = into ? ext2_map(inode_of(vn), size / fs->block_bytes, false, &number, NULL) : 0;
	if (error || !into || !number || (error = bcache_get(&fs->cache, number, &b)))
		return error;
	error = bcache_change(&fs->cache, b, false);
	if (!error)
		memset(b->data + into, 0, fs->block_bytes - into);
	bcache_put(b);
	return error;
}

int ext2_truncate(struct vnode *vn, uint32_t size)
{
	struct ext2 *fs = fs_of(vn);
	struct ext2_inode *ip = inode_of(vn);
	if (fs->read_only || size > EXT2_SIZE_MAX)
		return fs->read_only ? -EROFS : -EFBIG;
	bcache_enter(&fs->cache);
	int error = ip->disk.flags & (EXT2_CONSTANT | EXT2_APPEND) ? -EPERM
		    : size < vn->size ? clear_tail(vn, size) : 0;
	if (!error) {
		if (size < vn->size)
			ext2_cut(ip, DIV_UP(size, fs->block_bytes));
		ip->disk.size = vn->size = size;
		ip->disk.size_high = 0;
		ip->disk.mtime = ip->disk.ctime = ext2_time(fs);
		error = ext2_inode_write(ip);
	}
	bcache_leave(&fs->cache);
	return error;
}

/* Make a page from smaller blocks, or from none. */
static int assemble(struct vnode *vn, uint32_t index, pfn_t *out)
{
	pfn_t pfn = frame_alloc_user();
	if (pfn == NO_FRAME)
		return -ENOMEM;
	char *to = pfn_to_virt(pfn);
	int n = ext2_read(vn, index << PAGE_SHIFT, to, PAGE_SIZE, false);
	if (n < 0) {
		frame_put(pfn);
		return n;
	}
	memset(to + n, 0, PAGE_SIZE - (uint32_t)n);
	*out = pfn;
	return 0;
}

int ext2_page(struct vnode *vn, uint32_t index, pfn_t *out)
{
	struct ext2 *fs = fs_of(vn);
	uint32_t number = 0;
	struct block *b;
	bcache_enter(&fs->cache);
	bool whole = fs->block_bytes == PAGE_SIZE && index < DIV_UP(vn->size, PAGE_SIZE);
	int error = whole ? ext2_map(inode_of(vn), index, false, &number, NULL) : 0;
	if (!error && number && !(error = bcache_get(&fs->cache, number, &b))) {
		error = bcache_frame(&fs->cache, b, out);
		bcache_put(b);
	}
	if (error == -EBUSY || (!error && !number))
		error = assemble(vn, index, out);
	bcache_leave(&fs->cache);
	return error;
}
