/* SPDX-License-Identifier: MIT */
/*
 * Allocation of blocks and inodes: bitmaps are searched word by word, from a hint below
 * which nothing is free.
 */
#include "fs/ext2.h"

/* The first zero bit in [from, end), or end. */
static uint32_t find_zero(const uint32_t *bits, uint32_t from, uint32_t end)
{
	while (from < end) {
		uint32_t free = ~bits[from / 32] >> (from % 32);
		if (free)
			return MIN(from + (uint32_t)__builtin_ctz(free), end);
		from = (from / 32 + 1) * 32;
	}
	return end;
}

static uint32_t group_of(const struct ext2 *fs, uint32_t number)
{
	return (number - fs->super->first_data_block) / fs->super->blocks_per_group;
}

bool ext2_blocks_ok(struct ext2 *fs, uint32_t number, uint32_t n)
{
	const struct ext2_super *s = fs->super;
	if (number <= s->first_data_block || number >= s->blocks_count ||
	    n > s->blocks_count - number || group_of(fs, number) != group_of(fs, number + n - 1))
		return false;
	uint32_t per_block = fs->block_bytes / sizeof(struct ext2_group_desc);
	if (number <= s->first_data_block + DIV_UP(fs->nr_groups, per_block))
		return false;
	const struct ext2_group_desc *d = ext2_desc(fs, group_of(fs, number));
	uint32_t table_blocks = DIV_UP(s->inodes_per_group * fs->inode_bytes, fs->block_bytes);
	return d->block_bitmap - number >= n && d->inode_bitmap - number >= n &&
	       d->inode_table - number >= n && number - d->inode_table >= table_blocks;
}

/* Set the first zero bit in [from, end) of the bitmap in a block. -ENOSPC if there is none. */
static int take_bit(struct ext2 *fs, uint32_t bitmap, uint32_t from, uint32_t end, uint32_t *out)
{
	struct block *b;
	int error = bcache_get(&fs->cache, bitmap, &b);
	if (error)
		return error;
	*out = find_zero((uint32_t *)b->data, from, end);
	if (*out >= end)
		error = -ENOSPC;
	else if ((error = bcache_change(&fs->cache, b, true)) == 0)
		((uint32_t *)b->data)[*out / 32] |= 1u << (*out % 32);
	bcache_put(b);
	return error;
}

/* Clear a bit. Result: whether it was set; false also if the bitmap cannot be read. */
static bool clear_bit(struct ext2 *fs, uint32_t bitmap, uint32_t bit)
{
	struct block *b;
	if (bcache_get(&fs->cache, bitmap, &b))
		return false;
	uint32_t mask = 1u << (bit % 32);
	bool was = ((uint32_t *)b->data)[bit / 32] & mask &&
		   bcache_change(&fs->cache, b, true) == 0;
	if (was)
		((uint32_t *)b->data)[bit / 32] &= ~mask;
	bcache_put(b);
	return was;
}

/* Take the first free block at `from` or after it. */
static int block_search(struct ext2 *fs, uint32_t from, uint32_t *out)
{
	const struct ext2_super *s = fs->super;
	uint32_t bit = (from - s->first_data_block) % s->blocks_per_group;
	for (uint32_t g = group_of(fs, from); g < fs->nr_groups; g++, bit = 0) {
		struct ext2_group_desc *d = ext2_desc(fs, g);
		uint32_t first = s->first_data_block + g * s->blocks_per_group;
		if (d->free_blocks == 0)
			continue;
		uint32_t end = MIN(s->blocks_per_group, s->blocks_count - first);
		int error = take_bit(fs, d->block_bitmap, bit, end, out);
		if (error == -ENOSPC)
			continue;
		if (error)
			return error;
		d->free_blocks--;
		ext2_desc_changed(fs, g);
		*out += first;
		return 0;
	}
	return -ENOSPC;
}

int ext2_block_alloc(struct ext2 *fs, uint32_t goal, uint32_t *out)
{
	if (goal <= fs->super->first_data_block || goal >= fs->super->blocks_count)
		goal = fs->block_hint;
	int error = block_search(fs, goal, out);
	if (error == -ENOSPC && goal > fs->block_hint)
		error = block_search(fs, fs->block_hint, out);
	if (error)
		return error;
	if (goal == fs->block_hint)
		fs->block_hint = *out;
	fs->super->free_blocks -= fs->super->free_blocks > 0;
	ext2_super_changed(fs);
	if (ext2_block_ok(fs, *out))
		return 0;
	printk("ext2: the bitmap calls block %u free\n", *out);
	return -EUCLEAN; /* the block stays taken */
}

void ext2_block_free(struct ext2 *fs, uint32_t number)
{
	uint32_t g = group_of(fs, number);
	uint32_t bit = (number - fs->super->first_data_block) % fs->super->blocks_per_group;
	if (!ext2_block_ok(fs, number) ||
	    !clear_bit(fs, ext2_desc(fs, g)->block_bitmap, bit)) {
		printk("ext2: block %u was free already or never in use\n", number);
		return;
	}
	ext2_desc(fs, g)->free_blocks++;
	fs->super->free_blocks++;
	fs->block_hint = MIN(fs->block_hint, number);
	ext2_desc_changed(fs, g);
	ext2_super_changed(fs);
	bcache_forget(&fs->cache, number);
}

int ext2_inode_alloc(struct ext2 *fs, bool dir, uint32_t *out)
{
	uint32_t per_group = fs->super->inodes_per_group;
	uint32_t from = MAX(fs->inode_hint, fs->first_inode - 1), bit = from % per_group;
	for (uint32_t g = from / per_group; g < fs->nr_groups; g++, bit = 0) {
		struct ext2_group_desc *d = ext2_desc(fs, g);
		if (d->free_inodes == 0)
			continue;
		int error = take_bit(fs, d->inode_bitmap, bit, per_group, out);
		if (error == -ENOSPC)
			continue;
		if (error)
			return error;
		d->free_inodes--;
		d->used_dirs = (uint16_t)(d->used_dirs + dir);
		fs->inode_hint = g * per_group + *out;
		*out = fs->inode_hint + 1;
		fs->super->free_inodes -= fs->super->free_inodes > 0;
		ext2_desc_changed(fs, g);
		ext2_super_changed(fs);
		return 0;
	}
	return -ENOSPC;
}

void ext2_inode_free(struct ext2 *fs, uint32_t ino, bool dir)
{
	uint32_t per_group = fs->super->inodes_per_group;
	uint32_t g = (ino - 1) / per_group, bit = (ino - 1) % per_group;
	struct ext2_group_desc *d = ext2_desc(fs, g);
	if (!clear_bit(fs, d->inode_bitmap, bit)) {
		printk("ext2: inode %u was free already\n", ino);
		return;
	}
	d->free_inodes++;
	d->used_dirs = (uint16_t)(d->used_dirs - (dir && d->used_dirs));
	fs->super->free_inodes++;
	fs->inode_hint = MIN(fs->inode_hint, ino - 1);
	ext2_desc_changed(fs, g);
	ext2_super_changed(fs);
}
