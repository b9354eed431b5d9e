/* SPDX-License-Identifier: MIT */
/*
 * Inodes in memory: each has one vnode, which is found by the inode's number. Up to
 * IDLE_MAX vnodes without a reference are kept for later.
 */
#include "fs/ext2.h"

#define IDLE_MAX 64

static struct ext2_inode **bucket(struct ext2 *fs, uint32_t ino)
{
	return &fs->inodes[ino % ARRAY_SIZE(fs->inodes)];
}

/* Hold the block of the inode table with ino in it; *at is the inode there. */
static int locate(struct ext2 *fs, uint32_t ino, struct block **b, struct ext2_disk_inode **at)
{
	uint32_t per_group = fs->super->inodes_per_group, index = (ino - 1) % per_group;
	uint32_t byte = index * fs->inode_bytes;
	uint32_t table = ext2_desc(fs, (ino - 1) / per_group)->inode_table;
	int error = bcache_get(&fs->cache, table + byte / fs->block_bytes, b);
	if (!error)
		*at = (struct ext2_disk_inode *)((*b)->data + byte % fs->block_bytes);
	return error;
}

/* fresh: bytes of a larger inode that may be left from an earlier file become 0. */
static int write_inode(struct ext2_inode *ip, bool fresh)
{
	struct ext2 *fs = ip->vn.fs;
	struct ext2_disk_inode *at;
	struct block *b;
	int error = locate(fs, ip->vn.ino, &b, &at);
	if (error)
		return error;
	error = bcache_change(&fs->cache, b, true);
	if (!error) {
		locate(fs, ip->vn.ino, &b, &at); /* bcache_change() may have moved the data */
		bcache_put(b);
		if (fresh)
			memset(at, 0, fs->inode_bytes);
		*at = ip->disk;
	}
	bcache_put(b);
	return error;
}

int ext2_inode_write(struct ext2_inode *ip) { return write_inode(ip, false); }

static void idle_remove(struct ext2 *fs, struct ext2_inode *ip)
{
	*(ip->newer ? &ip->newer->older : &fs->idle_newest) = ip->older;
	*(ip->older ? &ip->older->newer : &fs->idle_oldest) = ip->newer;
	fs->nr_idle--;
}

static void forget(struct ext2 *fs, struct ext2_inode *ip)
{
	struct ext2_inode **at = bucket(fs, ip->vn.ino);
	while (*at != ip)
		at = &(*at)->hash_next;
	*at = ip->hash_next;
	kfree(ip);
}

static struct ext2_inode *insert(struct ext2 *fs, uint32_t ino, const struct ext2_disk_inode *disk)
{
	struct ext2_inode *ip = kmalloc(sizeof(*ip));
	unsigned type = disk->mode & S_IFMT;
	bool large = disk->size > EXT2_SIZE_MAX || (type == S_IFREG && disk->size_high);
	if (!ip)
		return NULL;
	*ip = (struct ext2_inode){
		.vn = { .ops = type == S_IFREG || type == S_IFDIR ? &ext2_ops : &ext2_special_ops,
			.refs = 1, .ino = ino, .mode = disk->mode,
			.size = large ? EXT2_SIZE_MAX + 1 : disk->size, .fs = fs },
		.disk = *disk,
		.hash_next = *bucket(fs, ino),
	};
	*bucket(fs, ino) = ip;
	return ip;
}

static bool inode_ok(const struct ext2 *fs, const struct ext2_disk_inode *d)
{
	unsigned type = d->mode & S_IFMT;
	if (d->links == 0 ||
	    (type != S_IFREG && type != S_IFDIR && type != S_IFLNK && type != S_IFCHR &&
	     type != S_IFIFO && type != S_IFBLK && type != S_IFSOCK))
		return false;
	if (type == S_IFDIR &&
	    (d->size == 0 || d->size % fs->block_bytes || d->size > EXT2_SIZE_MAX))
		return false;
	return !(d->flags & EXT2_FLAGS_UNKNOWN);
}

int ext2_inode_get(struct ext2 *fs, uint32_t ino, struct vnode **out)
{
	ASSERT_MUTEX(&fs->cache.lock);
	struct ext2_disk_inode *disk;
	struct block *b;
	if (ino == 0 || ino > fs->super->inodes_count ||
	    (ino != EXT2_ROOT && ino < fs->first_inode))
		return -EUCLEAN;
	for (struct ext2_inode *ip = *bucket(fs, ino); ip; ip = ip->hash_next)
		if (ip->vn.ino == ino) {
			if (ip->vn.refs == 0)
				idle_remove(fs, ip);
			*out = vnode_get(&ip->vn);
			return 0;
		}
	int error = locate(fs, ino, &b, &disk);
	if (error)
		return error;
	struct ext2_inode *ip = inode_ok(fs, disk) ? insert(fs, ino, disk) : NULL;
	error = ip ? 0 : inode_ok(fs, disk) ? -ENOMEM : -EUCLEAN;
	bcache_put(b);
	if (ip)
		*out = &ip->vn;
	return error;
}

int ext2_inode_new(struct ext2 *fs, uint16_t mode, struct vnode **out)
{
	bool dir = (mode & S_IFMT) == S_IFDIR;
	uint32_t ino, now = ext2_time(fs);
	int error = ext2_inode_alloc(fs, dir, &ino);
	if (error)
		return error;
	struct ext2_disk_inode disk = { .mode = mode, .links = 1, .atime = now, .ctime = now,
					.mtime = now };
	struct ext2_inode *ip = insert(fs, ino, &disk);
	error = ip ? write_inode(ip, true) : -ENOMEM;
	if (error) {
		if (ip)
			forget(fs, ip);
		ext2_inode_free(fs, ino, dir);
		return error;
	}
	*out = &ip->vn;
	return 0;
}

/* Files can share a block of extended attributes: its second word counts them. */
static void drop_attributes(struct ext2 *fs, uint32_t number)
{
	struct block *b;
	if (!number || !ext2_block_ok(fs, number) || bcache_get(&fs->cache, number, &b))
		return;
	uint32_t magic = ((uint32_t *)b->data)[0], files = ((uint32_t *)b->data)[1];
	if (magic == EXT2_ATTRIBUTES && files > 1 && bcache_change(&fs->cache, b, true) == 0)
		((uint32_t *)b->data)[1]--;
	bcache_put(b);
	if (magic == EXT2_ATTRIBUTES && files <= 1)
		ext2_block_free(fs, number);
}

/* Free the inode and the blocks of a file that has no link, and is not used any more. */
static void erase(struct ext2 *fs, struct ext2_inode *ip)
{
	bool dir = (ip->disk.mode & S_IFMT) == S_IFDIR;
	ext2_cut(ip, 0);
	drop_attributes(fs, ip->disk.file_acl);
	uint32_t now = ext2_time(fs);
	ip->disk = (struct ext2_disk_inode){ .dtime = now, .generation = ip->disk.generation + 1 };
	if (ext2_inode_write(ip) == 0)
		ext2_inode_free(fs, ip->vn.ino, dir);
}

void ext2_erase_unlinked(struct ext2 *fs)
{
	for (unsigned i = 0; i < ARRAY_SIZE(fs->inodes); i++)
		for (struct ext2_inode *ip = fs->inodes[i]; ip; ip = ip->hash_next)
			if (ip->disk.links == 0)
				erase(fs, ip);
}

static void make_idle(struct ext2 *fs, struct ext2_inode *ip)
{
	ip->older = fs->idle_newest;
	ip->newer = NULL;
	*(fs->idle_newest ? &fs->idle_newest->newer : &fs->idle_oldest) = ip;
	fs->idle_newest = ip;
	if (++fs->nr_idle > IDLE_MAX) {
		struct ext2_inode *oldest = fs->idle_oldest;
		idle_remove(fs, oldest);
		forget(fs, oldest);
	}
}

void ext2_release(struct vnode *vn)
{
	struct ext2 *fs = fs_of(vn);
	bcache_enter(&fs->cache);
	if (__atomic_sub_fetch(&vn->refs, 1, __ATOMIC_ACQ_REL) == 0) {
		if (inode_of(vn)->disk.links) {
			make_idle(fs, inode_of(vn));
		} else {
			erase(fs, inode_of(vn));
			forget(fs, inode_of(vn));
		}
	}
	bcache_leave(&fs->cache);
}
