/* SPDX-License-Identifier: MIT */
/*
 * From a block's index in a file to its number on the disk. The inode has 12 direct pointers,
 * and three pointers to trees of pointer blocks, with one, two and three levels. A new
 * pointer block is cleared before its parent refers to it.
 */
#include "fs/ext2.h"

#define RUN_MAX 32u /* blocks that are found at once */

static uint32_t per_block(const struct ext2 *fs) { return fs->block_bytes / sizeof(uint32_t); }

/*
 * Find the pointer in the inode under which an index lies: *slot is its place, *within the
 * index in its tree. Result: the tree's levels, 0 for a direct pointer; -EFBIG.
 */
static int find_tree(const struct ext2 *fs, uint32_t index, unsigned *slot, uint32_t *within)
{
	if (index < EXT2_DIRECT) {
		*slot = index;
		return 0;
	}
	uint32_t span = per_block(fs), left = index - EXT2_DIRECT; /* three levels: at most 2^30 */
	for (int levels = 1; levels <= 3; levels++, span *= per_block(fs)) {
		if (left < span) {
			*slot = EXT2_DIRECT + (unsigned)levels - 1;
			*within = left;
			return levels;
		}
		left -= span;
	}
	return -EFBIG;
}

/* How many indices lie under one pointer of a pointer block `levels` levels above the data. */
static uint32_t span_of(const struct ext2 *fs, int levels)
{
	uint32_t span = 1;
	while (--levels > 0)
		span *= per_block(fs);
	return span;
}

/* Allocate a block of a file; pointers: a pointer block, which is cleared. */
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

/*
 * Read pointer number `place` of block b, or of the inode if b is NULL. create: if it is 0,
 * allocate a block for it, near goal; pointers: a pointer block. Else the next pointers may name
 * the neighbours of the block that was found: ip->run tells how many do.
 */
static int follow_slot(struct ext2_inode *ip, struct block *b, uint32_t place, uint32_t goal,
		  bool create, bool pointers, uint32_t *out)
{
	struct ext2 *fs = ip->vn.fs;
	const uint32_t *at = (b ? (uint32_t *)b->data : ip->disk.block) + place;
	uint32_t number = *at, end = b ? per_block(fs) : EXT2_DIRECT, n = 1, before = 0;
	*out = number;
	if (number && !pointers) {
		while (n < MIN(end - place, RUN_MAX) && at[n] == number + n)
			n++;
		while (before < MIN(place, RUN_MAX) && *(at - before - 1) == number - before - 1)
			before++;
		if (ext2_blocks_ok(fs, number - before, before + n)) {
			ip->run.first -= before;
			ip->run.number = number - before;
			ip->run.n = before + n;
			return 0;
		}
	}
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
	uint32_t within = 0, before = ip->disk.blocks, into = index - ip->run.first;
	if (into < ip->run.n) {
		*number = ip->run.number + into;
		if (fresh)
			*fresh = false;
		return 0;
	}
	ip->run.first = index;
	ip->run.n = 0;
	int levels = find_tree(fs, index, &slot, &within);
	if (levels < 0)
		return levels;
	uint32_t goal = slot > 0 && ip->disk.block[slot - 1] ? ip->disk.block[slot - 1] + 1 : 0;
	int error = follow_slot(ip, NULL, slot, goal, create, levels > 0, number);
	for (; !error && *number && levels > 0; levels--) {
		struct block *b;
		uint32_t span = span_of(fs, levels), place = within / span, parent = *number;
		error = bcache_get(&fs->cache, parent, &b);
		if (error)
			break;
		within %= span;
		uint32_t neighbour = place > 0 ? ((uint32_t *)b->data)[place - 1] : 0;
		goal = (neighbour ? neighbour : parent) + 1;
		error = follow_slot(ip, b, place, goal, create, levels > 1, number);
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

/*
 * Free the blocks under the pointer `number` whose index in this tree is at least `from`,
 * and the pointer blocks that are empty then. Result: whether nothing is left under the
 * pointer.
 */
static bool cut_tree(struct ext2_inode *ip, uint32_t number, int levels, uint32_t from)
{
	struct ext2 *fs = ip->vn.fs;
	struct block *b;
	bool empty = true;
	if (levels > 0) {
		if (!ext2_block_ok(fs, number) || bcache_get(&fs->cache, number, &b))
			return true; /* damage: the blocks under it are lost */
		uint32_t span = span_of(fs, levels);
		for (uint32_t i = 0; i < per_block(fs); i++) {
			uint32_t child = ((uint32_t *)b->data)[i];
			uint32_t below = i < from / span    ? span
					 : i == from / span ? from % span : 0;
			if (!child)
				continue;
			/* Cleared first: in a damaged tree the child may lead back here. */
			((uint32_t *)b->data)[i] = 0;
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
	bool has_blocks = type == S_IFREG || type == S_IFDIR ||
			  (type == S_IFLNK && ip->disk.size >= sizeof(ip->disk.block));
	ip->run.n = 0;
	if (!has_blocks) /* devices and short symbolic links keep other data in block[] */
		return;
	for (uint32_t i = from; i < EXT2_DIRECT; i++)
		if (ip->disk.block[i]) {
			free_block(ip, ip->disk.block[i]);
			ip->disk.block[i] = 0;
		}
	for (int levels = 1; levels <= 3; levels++) {
		uint32_t *slot = &ip->disk.block[EXT2_DIRECT + levels - 1];
		uint32_t within = from > first ? from - first : 0;
		uint32_t span = span_of(fs, levels + 1);
		if (*slot && within < span && cut_tree(ip, *slot, levels, within))
			*slot = 0;
		first += span;
	}
}
