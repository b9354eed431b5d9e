/* SPDX-License-Identifier: MIT */
/*
 * The inside of the ext2 file system: the disk's structures, as Linux's documentation of
 * ext2 and e2fsprogs define them, and what the files ext2_*.c offer each other. All
 * functions here but the vnode operations are called with the block cache entered: its
 * mutex is the file system's only lock. No number from the disk is used before it is
 * checked; damage gives -EUCLEAN. Results are 0 or a negative errno value where nothing
 * else is said. Context: process, may sleep.
 */
#ifndef FS_EXT2_H
#define FS_EXT2_H

#include "fs/bcache.h"
#include "fs/vnode.h"

enum {
	EXT2_MAGIC = 0xEF53, EXT2_ROOT = 2, EXT2_DIRECT = 12, EXT2_POINTERS = 15,
	EXT2_LINKS_MAX = 32000, EXT2_GROUPS_MAX = 512,
};
#define EXT2_CLEAN 1 /* bit of the superblock's state */
#define EXT2_INCOMPAT_FILETYPE 0x2u
#define EXT2_RO_COMPAT_KNOWN 0x3u /* sparse_super, large_file */
#define EXT2_SIZE_MAX 0x7FFFFFFFu
/* Flags of an inode. CONSTANT: nothing may change. INDEX: of a directory, whose blocks hash. */
enum { EXT2_CONSTANT = 0x10, EXT2_APPEND = 0x20, EXT2_INDEX = 0x1000 };
/* Compressed, encrypted or huge; with extents, attributes or data in other places. */
#define EXT2_FLAGS_UNKNOWN 0x102C0A00u
#define EXT2_ATTRIBUTES 0xEA020000u /* first word of a block of attributes */

struct ext2_super {
	uint32_t inodes_count, blocks_count, reserved_blocks, free_blocks, free_inodes,
		first_data_block, log_block_size, log_frag_size, blocks_per_group,
		frags_per_group, inodes_per_group, mtime, wtime;
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
	uint32_t blocks /* of 512 bytes */, flags, osd1, block[EXT2_POINTERS], generation, file_acl,
		size_high, faddr, osd2[3];
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
	struct block *super_block;       /* held while mounted */
	struct ext2_super *super;        /* in super_block */
	struct block *desc_blocks[16];   /* the group descriptors, held while mounted */
	uint32_t block_bytes, nr_groups, inode_bytes, first_inode;
	uint32_t time_offset;            /* seconds to add to the time since boot */
	uint32_t block_hint, inode_hint; /* below this number (index) none is free */
	bool has_types;                  /* directory entries tell file types */
	bool was_clean;                  /* when it was mounted */
	bool read_only;                  /* each change is refused with -EROFS */
	struct ext2_inode *inodes[64];   /* in memory, hashed by number */
	struct ext2_inode *idle_newest, *idle_oldest; /* those without a reference */
	unsigned nr_idle;
};

struct ext2_inode {
	struct vnode vn; /* vn.size mirrors disk.size; above EXT2_SIZE_MAX: a file too large */
	struct ext2_disk_inode disk;
	struct { uint32_t first, number, n; } run; /* blocks found last: neighbours on the disk */
	struct ext2_inode *hash_next, *newer, *older;
};

static inline struct ext2 *fs_of(const struct vnode *vn) { return vn->fs; }
static inline struct ext2_inode *inode_of(struct vnode *vn)
{
	return container_of(vn, struct ext2_inode, vn);
}

/* --- ext2_super.c --- */
/* A group's descriptor. After a change the caller calls ext2_desc_changed(). */
struct ext2_group_desc *ext2_desc(struct ext2 *fs, uint32_t group);
void ext2_desc_changed(struct ext2 *fs, uint32_t group);
/* Call after a change of *fs->super. */
void ext2_super_changed(struct ext2 *fs);
/* The time now, in seconds: the image's last change plus the time since boot. */
uint32_t ext2_time(const struct ext2 *fs);

/* --- ext2_alloc.c --- */
/*
 * Take a free block, at goal or soon after it if possible; or a free inode. *out is its
 * number. Result: 0, -ENOSPC, -EUCLEAN, -EIO, -ENOMEM.
 */
int ext2_block_alloc(struct ext2 *fs, uint32_t goal, uint32_t *out);
int ext2_inode_alloc(struct ext2 *fs, bool dir, uint32_t *out);
/*
 * Mark a block or inode free. If it is free already the file system is damaged: that is
 * printed, and nothing changes.
 */
void ext2_block_free(struct ext2 *fs, uint32_t number);
void ext2_inode_free(struct ext2 *fs, uint32_t ino, bool dir);
/* Whether files may use these blocks: all in one group, and none is the file system's own. */
bool ext2_blocks_ok(struct ext2 *fs, uint32_t number, uint32_t n);
static inline bool ext2_block_ok(struct ext2 *fs, uint32_t number)
{
	return ext2_blocks_ok(fs, number, 1);
}

/* --- ext2_inode.c --- */
/* The vnode of an inode that has links: *out gets a reference. */
int ext2_inode_get(struct ext2 *fs, uint32_t ino, struct vnode **out);
/* Allocate an inode with one link, and no blocks: *out gets a reference. */
int ext2_inode_new(struct ext2 *fs, uint16_t mode, struct vnode **out);
/* Copy ip->disk to the inode's table block in the cache. */
int ext2_inode_write(struct ext2_inode *ip);
void ext2_release(struct vnode *vn); /* vnode operation */
/* Erase the files that have a reference, but no link. For ext2_unmount(). */
void ext2_erase_unlinked(struct ext2 *fs);

/* --- ext2_map.c --- */
/*
 * Find block `index` of a file: *number is its number on the disk, 0 for a hole. create: a
 * hole is filled, and *fresh (if not NULL) says whether it was. Result: 0, -EFBIG,
 * -EUCLEAN; what ext2_block_alloc() says.
 */
int ext2_map(struct ext2_inode *ip, uint32_t index, bool create, uint32_t *number, bool *fresh);
/* Free all blocks of a file whose index is at least `from`. The caller writes the inode. */
void ext2_cut(struct ext2_inode *ip, uint32_t from);

/* --- ext2_dir.c --- */
/* Where an entry is. `before` is the entry before it in the block, or NULL. The block is held. */
struct ext2_place { struct block *block; struct ext2_dirent *entry, *before; };
/* Find a name. After 0 the caller puts out->block. -ENOENT. */
int ext2_dir_find(struct ext2_inode *dir, const char *name, unsigned length,
		  struct ext2_place *out);
/* Add an entry; the caller has checked that the name is not there. */
int ext2_dir_add(struct ext2_inode *dir, const char *name, unsigned length, uint32_t ino,
		 uint16_t mode);
/* Remove an entry, or let it refer to another inode. Both put at->block. */
int ext2_dir_remove(struct ext2_inode *dir, struct ext2_place *at);
int ext2_dir_set(struct ext2_inode *dir, struct ext2_place *at, uint32_t ino, uint16_t mode);
/* Give a new directory its entries "." and "..". */
int ext2_dir_init(struct ext2_inode *dir, uint32_t parent);
/* Result: 0 if there are no entries but "." and "..", -ENOTEMPTY, other errors. */
int ext2_dir_empty(struct ext2_inode *dir);
/* As the vnode operation, with the cache entered. */
int ext2_readdir(struct vnode *vn, uint32_t *cookie, struct dirent_sink *sink);

/* --- ext2_file.c: vnode operations --- */
int ext2_read(struct vnode *vn, uint32_t offset, void *buf, uint32_t bytes, bool user);
int ext2_write(struct vnode *vn, uint32_t offset, const void *buf, uint32_t bytes, bool user);
int ext2_direct(struct vnode *vn, bool write, uint32_t at, void *buf, uint32_t bytes);
int ext2_truncate(struct vnode *vn, uint32_t size);
int ext2_page(struct vnode *vn, uint32_t index, pfn_t *out);

/* --- ext2_names.c --- */
/* ext2_ops: of files and directories; ext2_special_ops: of links, devices, pipes, sockets. */
extern const struct vnode_ops ext2_ops, ext2_special_ops;

#endif
