/* SPDX-License-Identifier: MIT */
/*
 * Inside of the ext2 file system: the disk's structures (as Linux's documentation of ext2 and e2fsprogs define them) and
 * what the parts, ext2_*.c, offer each other. Everything runs with the block cache entered, which is the file system's
 * one lock. No number from the disk is used before it is checked: damage gives -EUCLEAN.
 */
#ifndef FS_EXT2_H
#define FS_EXT2_H

#include "fs/bcache.h"
#include "fs/vnode.h"

enum { EXT2_MAGIC = 0xEF53, EXT2_ROOT = 2, EXT2_DIRECT = 12, EXT2_POINTERS = 15, EXT2_LINKS_MAX = 32000, EXT2_GROUPS_MAX = 512 };
#define EXT2_INCOMPAT_FILETYPE 0x2u
#define EXT2_RO_COMPAT_KNOWN 0x3u /* sparse_super, large_file */
#define EXT2_SIZE_MAX 0x7FFFFFFFu

struct ext2_super {
	uint32_t inodes_count, blocks_count, reserved_blocks, free_blocks, free_inodes, first_data_block, log_block_size,
		log_frag_size, blocks_per_group, frags_per_group, inodes_per_group, mtime, wtime;
	uint16_t mounts, max_mounts, magic, state, errors, minor;
	uint32_t last_check, check_interval, creator, revision;
	uint16_t def_uid, def_gid;
	uint32_t first_inode;
	uint16_t inode_size, group_number;
	uint32_t compat, incompat, ro_compat;
};
_Static_assert(sizeof(struct ext2_super) == 104, "superblock layout");

struct ext2_group_desc {
	uint32_t block_bitmap, inode_bitmap, inode_table;
	uint16_t free_blocks, free_inodes, used_dirs, pad;
	uint32_t reserved[3];
};
_Static_assert(sizeof(struct ext2_group_desc) == 32, "group descriptor layout");

struct ext2_disk_inode {
	uint16_t mode, uid;
	uint32_t size, atime, ctime, mtime, dtime;
	uint16_t gid, links;
	uint32_t blocks /* of 512 bytes */, flags, osd1, block[EXT2_POINTERS], generation, file_acl, size_high, faddr, osd2[3];
};
_Static_assert(sizeof(struct ext2_disk_inode) == 128, "inode layout");

struct ext2_dirent {
	uint32_t ino;
	uint16_t rec_len;
	uint8_t name_len, file_type;
	char name[];
};

struct ext2 {
	struct bcache cache;
	struct block *super_block;         /* held while mounted */
	struct ext2_super *super;          /* in it */
	struct block *desc_blocks[16];     /* held: the group descriptors */
	uint32_t block_bytes, nr_groups, inode_bytes, first_inode, time_offset;
	uint32_t block_hint, inode_hint;   /* nothing free below */
	bool has_types;
	struct ext2_inode *inodes[64], *idle_newest, *idle_oldest; /* in memory; idle: not referred to */
	unsigned nr_idle;
};

struct ext2_inode {
	struct vnode vn; /* vn.size mirrors disk.size */
	struct ext2_disk_inode disk;
	struct ext2_inode *hash_next, *newer, *older;
};

static inline struct ext2 *fs_of(const struct vnode *vn) { return vn->fs; }
static inline struct ext2_inode *inode_of(struct vnode *vn) { return container_of(vn, struct ext2_inode, vn); }

/* --- ext2_super.c --- */
struct ext2_group_desc *ext2_desc(struct ext2 *fs, uint32_t group); /* changes need ext2_desc_changed */
void ext2_desc_changed(struct ext2 *fs, uint32_t group);
void ext2_super_changed(struct ext2 *fs);
uint32_t ext2_time(const struct ext2 *fs); /* seconds: the image's last change plus time since boot */

/* --- ext2_alloc.c --- */
/* A free block near goal, or a free inode, now taken. -ENOSPC, -EUCLEAN, -EIO, -ENOMEM. */
int ext2_block_alloc(struct ext2 *fs, uint32_t goal, uint32_t *out);
void ext2_block_free(struct ext2 *fs, uint32_t number); /* damage is reported in the log */
int ext2_inode_alloc(struct ext2 *fs, bool dir, uint32_t *out);
void ext2_inode_free(struct ext2 *fs, uint32_t ino, bool dir);
/* Whether a pointer may refer to this block: in range and none of the file system's own. */
bool ext2_block_ok(struct ext2 *fs, uint32_t number);

/* --- ext2_inode.c --- */
int ext2_inode_get(struct ext2 *fs, uint32_t ino, struct vnode **out); /* a reference */
int ext2_inode_new(struct ext2 *fs, uint16_t mode, struct vnode **out); /* fresh, with one link */
int ext2_inode_write(struct ext2_inode *ip);                            /* to its table block in the cache */
void ext2_release(struct vnode *vn);

/* --- ext2_map.c --- */
/* The block that holds page or block `index` of a file; 0 for a hole. create: allocate it, *fresh tells if. */
int ext2_map(struct ext2_inode *ip, uint32_t index, bool create, uint32_t *number, bool *fresh);
/* Free all blocks with an index of at least from. */
void ext2_cut(struct ext2_inode *ip, uint32_t from);

/* --- ext2_dir.c --- */
struct ext2_place { struct block *block; struct ext2_dirent *entry, *before; }; /* put the block when done */
int ext2_dir_find(struct ext2_inode *dir, const char *name, unsigned length, struct ext2_place *out); /* -ENOENT */
int ext2_dir_add(struct ext2_inode *dir, const char *name, unsigned length, uint32_t ino, uint16_t mode);
int ext2_dir_remove(struct ext2_inode *dir, struct ext2_place *at); /* puts the block */
int ext2_dir_set(struct ext2_inode *dir, struct ext2_place *at, uint32_t ino, uint16_t mode); /* puts the block */
int ext2_dir_init(struct ext2_inode *dir, uint32_t parent); /* "." and ".." of a new one */
int ext2_dir_empty(struct ext2_inode *dir); /* 0, -ENOTEMPTY, other errors */
int ext2_readdir(struct vnode *vn, uint32_t *cookie, struct dirent_sink *sink);

/* --- ext2_file.c --- */
int ext2_read(struct vnode *vn, uint32_t offset, void *buf, uint32_t bytes, bool user);
int ext2_write(struct vnode *vn, uint32_t offset, const void *buf, uint32_t bytes, bool user);
int ext2_truncate(struct vnode *vn, uint32_t size);
int ext2_page(struct vnode *vn, uint32_t index, pfn_t *out);

/* --- ext2_names.c --- */
extern const struct vnode_ops ext2_ops;

#endif
