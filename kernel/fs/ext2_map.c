/* SPDX-License-Identifier: MIT */
/*
 * From a block's index in a file to its number on the disk: 12 direct pointers, then trees of one, two and three levels of
 * pointer blocks. A new pointer block is written into its parent only when it is ready.
 */
#include "fs/ext2.h"

static uint32_t per_block(const struct ext2 *fs) { return fs->block_bytes / sizeof(uint32_t); }

/* Which tree (0: direct) an index is in, the pointer's place in the inode, and the index within the tree. -EFBIG beyond. */
static int find_tree(const struct ext2 *fs, uint32_t index, unsigned *slot, uint32_t *within)
{
	if (index < EXT2_DIRECT) {
		*slot = index;
		return 0;
	}
	uint64_t span = per_block(fs), left = index - EXT2_DIRECT;
	for (int levels = 1; levels <= 3; levels++, span *= per_block(fs)) {
		if (left < span) {
			*slot = EXT2_DIRECT + (unsigned)levels - 1;
			*within = (uint32_t)left;
			return levels;
		}
		left -= span;
	}
	return -EFBIG;
}

/* Indices covered by one pointer of a tree block at `levels` above the data; a tree of three levels may exceed 32 bits. */
static uint32_t span_of(const struct ext2 *fs, int levels)
{
	uint32_t span = 1;
	while (--levels > 0)
		span *= per_block(fs);
	return span;
}

static int allocate(struct ext2_inode *ip, uint32_t goal, bool pointers, uint32_t *out)
{
	struct ext2 *fs = ip->vn.fs;
	struct block *b;
	int error = ext2_block_alloc(fs, goal, out);
	if (!error && pointers) {
		error = bcache_new(&fs->cache, *out, &b);
		if (!error) {
			error = bcache_change(&fs->cache, b, true);
			if (!error)
				memset(b->data, 0, fs->block_bytes);
			bcache_put(b);
		}
		if (error)
			ext2_block_free(fs, *out);
	}
	if (!error)
		ip->disk.blocks += fs->block_bytes / SECTOR;
	return error;
}

/* Follow, or make, the pointer at *at. b: the block that it lies in, NULL for the inode. */
static int follow(struct ext2_inode *ip, struct block *b, uint32_t place, uint32_t goal, bool create, bool pointers, uint32_t *out)
{
	struct ext2 *fs = ip->vn.fs;
	uint32_t number = b ? ((uint32_t *)b->data)[place] : ip->disk.block[place];
	*out = number;
	if (number)
		return ext2_block_ok(fs, number) ? 0 : -EUCLEAN;
	if (!create)
		return 0;
	int error = b ? bcache_change(&fs->cache, b, true) : 0;
	error = error ? error : allocate(ip, goal, pointers, out);
	if (!error && b)
		((uint32_t *)b->data)[place] = *out;
	else if (!error)
		ip->disk.block[place] = *out;
	return error;
}

int ext2_map(struct ext2_inode *ip, uint32_t index, bool create, uint32_t *number, bool *fresh)
{
	struct ext2 *fs = ip->vn.fs;
	unsigned slot;
	uint32_t within = 0, before = ip->disk.blocks;
	int levels = find_tree(fs, index, &slot, &within);
	if (levels < 0)
		return levels;
	uint32_t goal = slot > 0 && ip->disk.block[slot - 1] ? ip->disk.block[slot - 1] + 1 : 0;
	int error = follow(ip, NULL, slot, goal, create, levels > 0, number);
	for (; !error && *number && levels > 0; levels--) {
		struct block *b;
		uint32_t span = span_of(fs, levels), place = within / span, parent = *number;
		error = bcache_get(&fs->cache, parent, &b);
		if (error)
			break;
		within %= span;
		goal = place > 0 && ((uint32_t *)b->data)[place - 1] ? ((uint32_t *)b->data)[place - 1] + 1 : parent + 1;
		error = follow(ip, b, place, goal, create, levels > 1, number);
		bcache_put(b);
	}
	if (fresh)
		*fresh = !error && ip->disk.blocks != before;
	if (ip->disk.blocks != before) {
		int failed = ext2_inode_write(ip);
		error = error ? error : failed;
	}
	return error;
}

static void free_block(struct ext2_inode *ip, uint32_t number)
{
	struct ext2 *fs = ip->vn.fs;
	ext2_block_free(fs, number);
	ip->disk.blocks -= MIN(ip->disk.blocks, fs->block_bytes / SECTOR);
}

/* Free what lies at index `from` and above below this pointer. Result: whether nothing is left there. */
static bool cut_tree(struct ext2_inode *ip, uint32_t number, int levels, uint32_t from)
{
	struct ext2 *fs = ip->vn.fs;
	struct block *b;
	bool empty = true;
	if (levels > 0) {
		if (!ext2_block_ok(fs, number) || bcache_get(&fs->cache, number, &b))
			return true; /* damaged: what it refers to is lost */
		uint32_t span = span_of(fs, levels);
		for (uint32_t i = 0; i < per_block(fs); i++) {
			uint32_t below = i < from / span ? span : i == from / span ? from % span : 0, child = ((uint32_t *)b->data)[i];
			if (!child)
				continue;
			((uint32_t *)b->data)[i] = 0; /* first: a damaged tree may lead here again */
			if (below < span && cut_tree(ip, child, levels - 1, below)) {
				if (from)
					bcache_change(&fs->cache, b, true);
			} else {
				((uint32_t *)b->data)[i] = child;
				empty = false;
			}
		}
		bcache_put(b);
		if (!empty)
			return false;
	}
	free_block(ip, number);
	return true;
}

void ext2_cut(struct ext2_inode *ip, uint32_t from)
{
	struct ext2 *fs = ip->vn.fs;
	uint32_t first = EXT2_DIRECT, type = ip->disk.mode & S_IFMT;
	if (type != S_IFREG && type != S_IFDIR && !(type == S_IFLNK && ip->disk.size >= sizeof(ip->disk.block)))
		return; /* devices and short symbolic links have other things there */
	for (uint32_t i = from; i < EXT2_DIRECT; i++)
		if (ip->disk.block[i]) {
			free_block(ip, ip->disk.block[i]);
			ip->disk.block[i] = 0;
		}
	for (int levels = 1; levels <= 3; levels++) {
		uint32_t *slot = &ip->disk.block[EXT2_DIRECT + levels - 1];
		uint32_t within = from > first ? from - first : 0;
		uint64_t span = (uint64_t)span_of(fs, levels) * per_block(fs);
		if (*slot && within < span && cut_tree(ip, *slot, levels, within))
			*slot = 0;
		first += (uint32_t)MIN(span, 0xFFFFFFFFull - first);
	}
}
