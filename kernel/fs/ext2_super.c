/* SPDX-License-Identifier: MIT */
/*
 * Mounting. The superblock and the group descriptors are checked once, and then held in the
 * cache, so that the other files use them without reading or checking them again.
 */
#include "fs/ext2.h"

#define SUPER_OFFSET 1024u

static struct ext2 filesystem; /* only one can be mounted */

struct ext2_group_desc *ext2_desc(struct ext2 *fs, uint32_t group)
{
	uint32_t per_block = fs->block_bytes / sizeof(struct ext2_group_desc);
	struct block *b = fs->desc_blocks[group / per_block];
	return (struct ext2_group_desc *)b->data + group % per_block;
}

void ext2_desc_changed(struct ext2 *fs, uint32_t group)
{
	uint32_t per_block = fs->block_bytes / sizeof(struct ext2_group_desc);
	bcache_change(&fs->cache, fs->desc_blocks[group / per_block], true);
}

void ext2_super_changed(struct ext2 *fs) { bcache_change(&fs->cache, fs->super_block, true); }

uint32_t ext2_time(const struct ext2 *fs)
{
	uint64_t seconds = VO(time, now)();
	div64(&seconds, 1000000000);
	return fs->time_offset + (uint32_t)seconds;
}

/* What is wrong with a superblock, for the log; NULL if nothing is. */
static const char *bad_super(const struct ext2_super *s, const struct blockdev *dev)
{
	if (s->magic != EXT2_MAGIC)
		return "no ext2 file system";
	if (s->revision > 1)
		return "a revision that is not known";
	if (s->revision == 1 && (s->incompat & ~EXT2_INCOMPAT_FILETYPE ||
				 s->ro_compat & ~EXT2_RO_COMPAT_KNOWN))
		return "features that are not supported (dumpe2fs -h lists them)";
	if (s->log_block_size > 2)
		return "a block size above 4096";
	uint32_t bytes = 1024u << s->log_block_size;
	if (s->revision == 1 && (s->inode_size < 128 || s->inode_size > bytes ||
				 s->inode_size & (s->inode_size - 1)))
		return "a wrong inode size";
	if (s->blocks_per_group == 0 || s->blocks_per_group > bytes * 8 ||
	    s->inodes_per_group == 0 || s->inodes_per_group > bytes * 8 ||
	    s->first_data_block != (bytes == 1024 ? 1 : 0))
		return "a wrong geometry";
	if (s->blocks_count <= s->first_data_block + 4 ||
	    s->blocks_count > dev->sectors / (bytes / SECTOR))
		return "more blocks than the disk";
	uint32_t groups = DIV_UP(s->blocks_count - s->first_data_block, s->blocks_per_group);
	if (groups > EXT2_GROUPS_MAX)
		return "more than 512 groups of blocks";
	if (s->inodes_count != groups * s->inodes_per_group ||
	    s->inodes_count < EXT2_ROOT)
		return "a wrong number of inodes";
	return NULL;
}

/* Whether blocks number .. number + n - 1 are on the disk, after the superblock. */
static bool in_range(const struct ext2 *fs, uint32_t number, uint32_t n)
{
	const struct ext2_super *s = fs->super;
	return number > s->first_data_block && number < s->blocks_count &&
	       n <= s->blocks_count - number;
}

static int hold_descriptors(struct ext2 *fs)
{
	uint32_t table_bytes = fs->super->inodes_per_group * fs->inode_bytes;
	uint32_t table_blocks = DIV_UP(table_bytes, fs->block_bytes);
	uint32_t desc_bytes = fs->nr_groups * (uint32_t)sizeof(struct ext2_group_desc);
	uint32_t n = DIV_UP(desc_bytes, fs->block_bytes);
	for (uint32_t i = 0; i < n; i++) {
		int error = bcache_get(&fs->cache, fs->super->first_data_block + 1 + i,
				       &fs->desc_blocks[i]);
		if (error)
			return error;
	}
	for (uint32_t g = 0; g < fs->nr_groups; g++) {
		const struct ext2_group_desc *d = ext2_desc(fs, g);
		if (!in_range(fs, d->block_bitmap, 1) || !in_range(fs, d->inode_bitmap, 1) ||
		    !in_range(fs, d->inode_table, table_blocks))
			return -EUCLEAN;
	}
	return 0;
}

/* Read the superblock and check it; what is wrong with it is printed. */
static int read_super(struct blockdev *dev, struct ext2_super *s)
{
	char *sectors = kmalloc(2 * SECTOR);
	struct block_part both = { SUPER_OFFSET / SECTOR, 2, sectors };
	int error = sectors ? block_move(dev, false, &both, 1) : -ENOMEM;
	if (!error)
		memcpy(s, sectors, sizeof(*s));
	kfree(sectors);
	if (error) {
		printk("ext2: %s: the superblock cannot be read (error %d)\n", dev->name, error);
		return error;
	}
	const char *bad = bad_super(s, dev);
	if (bad)
		printk("ext2: %s: %s\n", dev->name, bad);
	return bad ? -EINVAL : 0;
}

/* Hold the superblock and the group descriptors, and get the root directory. */
static int hold_all(struct ext2 *fs, struct vnode **root)
{
	int error = bcache_get(&fs->cache, SUPER_OFFSET / fs->block_bytes, &fs->super_block);
	if (error)
		return error;
	char *super = fs->super_block->data + SUPER_OFFSET % fs->block_bytes;
	fs->super = (struct ext2_super *)super;
	fs->block_hint = fs->super->first_data_block;
	error = hold_descriptors(fs);
	error = error ? error : ext2_inode_get(fs, EXT2_ROOT, root);
	if (!error && ((*root)->mode & S_IFMT) != S_IFDIR)
		error = -EUCLEAN;
	return error;
}

/* Write a new state, unless nothing is to be written; all other changes must be there before. */
static int set_state(struct ext2 *fs, bool clean)
{
	if (fs->read_only)
		return 0;
	int error = bcache_sync(&fs->cache);
	if (error)
		return error;
	uint16_t *state = &fs->super->state;
	*state = (uint16_t)(clean ? *state | EXT2_CLEAN : *state & ~EXT2_CLEAN);
	ext2_super_changed(fs);
	return bcache_sync(&fs->cache);
}

int ext2_mount(struct blockdev *dev, struct vnode **root)
{
	struct ext2 *fs = &filesystem;
	struct ext2_super s;
	int error = read_super(dev, &s);
	if (error)
		return error;
	memset(fs, 0, sizeof(*fs)); /* too large for the stack, where a literal may be built */
	fs->block_bytes = 1024u << s.log_block_size;
	fs->nr_groups = DIV_UP(s.blocks_count - s.first_data_block, s.blocks_per_group);
	fs->inode_bytes = s.revision ? s.inode_size : 128;
	fs->first_inode = s.revision ? MAX(s.first_inode, 11u) : 11;
	fs->has_types = s.revision && s.incompat & EXT2_INCOMPAT_FILETYPE;
	fs->time_offset = MAX(s.wtime, 1u);
	fs->read_only = dev->read_only;
	bcache_init(&fs->cache, dev, fs->block_bytes);
	bcache_enter(&fs->cache);
	error = hold_all(fs, root);
	if (error) {
		printk("ext2: %s: damaged (error %d); check it with e2fsck\n", dev->name, error);
	} else {
		fs->was_clean = fs->super->state & EXT2_CLEAN;
		if (!fs->was_clean)
			printk("ext2: %s: was not unmounted, or has errors; check it with e2fsck\n",
			       dev->name);
		error = set_state(fs, false);
	}
	bcache_leave(&fs->cache);
	if (error)
		bcache_drop(&fs->cache);
	return error;
}

int ext2_unmount(void)
{
	struct ext2 *fs = &filesystem;
	bcache_enter(&fs->cache);
	ext2_erase_unlinked(fs);
	return set_state(fs, fs->was_clean);
}
