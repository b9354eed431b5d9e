/* SPDX-License-Identifier: MIT */
/*
 * Directories: each block is full of entries, and each entry has the number of bytes to the
 * next one. No entry crosses a block's end.
 */
#include "fs/ext2.h"

enum { ENTRY_HEAD = 8 };

static uint32_t needed(unsigned length) { return (ENTRY_HEAD + length + 3) & ~3u; }

/* The file type that an entry stores, by mode >> 12. */
static uint8_t type_of(const struct ext2 *fs, uint16_t mode)
{
	static const uint8_t types[16] = {
		[1] = 5, [2] = 3, [4] = 2, [6] = 4, [8] = 1, [10] = 7, [12] = 6,
	};
	return fs->has_types ? types[mode >> 12] : 0;
}

static struct ext2_dirent *entry_at(const struct block *b, uint32_t offset)
{
	return (struct ext2_dirent *)(b->data + offset);
}

static bool entry_ok(const struct ext2 *fs, const struct ext2_dirent *e, uint32_t offset)
{
	return fs->block_bytes - offset >= ENTRY_HEAD && e->rec_len >= ENTRY_HEAD &&
	       e->rec_len % 4 == 0 && e->rec_len <= fs->block_bytes - offset &&
	       (!e->ino || needed(e->name_len) <= e->rec_len);
}

/* Hold the directory's block with this index; a hole is damage. */
static int dir_block(struct ext2_inode *dir, uint32_t index, struct block **b)
{
	uint32_t number;
	int error = ext2_map(dir, index, false, &number, NULL);
	if (error)
		return error;
	return number ? bcache_get(&fs_of(&dir->vn)->cache, number, b) : -EUCLEAN;
}

static bool same(const struct ext2_dirent *e, const char *name, unsigned length)
{
	return e->name_len == length && e->ino && memcmp(e->name, name, length) == 0;
}

int ext2_dir_find(struct ext2_inode *dir, const char *name, unsigned length,
		  struct ext2_place *out)
{
	const struct ext2 *fs = dir->vn.fs;
	for (uint32_t i = 0; i < dir->vn.size / fs->block_bytes; i++) {
		struct ext2_dirent *e, *before = NULL;
		struct block *b;
		int error = dir_block(dir, i, &b);
		if (error)
			return error;
		for (uint32_t at = 0; at < fs->block_bytes; at += e->rec_len, before = e) {
			e = entry_at(b, at);
			if (unlikely(!entry_ok(fs, e, at))) {
				bcache_put(b);
				return -EUCLEAN;
			}
			if (same(e, name, length)) {
				*out = (struct ext2_place){ b, e, before };
				return 0;
			}
		}
		bcache_put(b);
	}
	return -ENOENT;
}

static void fill(const struct ext2 *fs, struct ext2_dirent *e, const char *name, unsigned length,
		 uint32_t ino, uint16_t mode)
{
	e->ino = ino;
	e->name_len = (uint8_t)length;
	e->file_type = type_of(fs, mode);
	memcpy(e->name, name, length);
}

static int touch(struct ext2_inode *dir)
{
	dir->disk.mtime = dir->disk.ctime = ext2_time(dir->vn.fs);
	return ext2_inode_write(dir);
}

/*
 * Put a new entry into the unused bytes after an entry of this block, or into a free entry.
 * -ENOSPC.
 */
static int add_in_block(struct ext2 *fs, struct block *b, const char *name, unsigned length,
			uint32_t ino, uint16_t mode)
{
	struct ext2_dirent *e;
	for (uint32_t at = 0; at < fs->block_bytes; at += e->rec_len) {
		e = entry_at(b, at);
		if (!entry_ok(fs, e, at))
			return -EUCLEAN;
		uint32_t used = e->ino ? needed(e->name_len) : 0;
		if (e->rec_len - used < needed(length))
			continue;
		int error = bcache_change(&fs->cache, b, true);
		if (error)
			return error;
		e = entry_at(b, at);
		if (used) {
			struct ext2_dirent *next = entry_at(b, at + used);
			next->rec_len = (uint16_t)(e->rec_len - used);
			e->rec_len = (uint16_t)used;
			e = next;
		}
		fill(fs, e, name, length, ino, mode);
		return 0;
	}
	return -ENOSPC;
}

/* Add a block, which is one free entry, at the directory's end; *out is held. */
static int extend(struct ext2_inode *dir, struct block **out)
{
	struct ext2 *fs = dir->vn.fs;
	uint32_t number, index = dir->vn.size / fs->block_bytes;
	int error = ext2_map(dir, index, true, &number, NULL);
	error = error ? error : bcache_new(&fs->cache, number, out);
	if (!error && (error = bcache_change(&fs->cache, *out, true)))
		bcache_put(*out);
	if (error) {
		ext2_cut(dir, index);
		ext2_inode_write(dir);
		return error;
	}
	memset((*out)->data, 0, fs->block_bytes);
	entry_at(*out, 0)->rec_len = (uint16_t)fs->block_bytes;
	dir->vn.size += fs->block_bytes;
	dir->disk.size = dir->vn.size;
	return 0;
}

/*
 * A new entry may lie where the index of an indexed directory (htree) is, and the index does not
 * know it. So the directory loses its index, on the disk, before its first new entry.
 */
static int drop_index(struct ext2_inode *dir)
{
	if (!(dir->disk.flags & EXT2_INDEX))
		return 0;
	dir->disk.flags &= ~(uint32_t)EXT2_INDEX;
	int error = ext2_inode_write(dir);
	return error ? error : bcache_sync(&fs_of(&dir->vn)->cache);
}

int ext2_dir_add(struct ext2_inode *dir, const char *name, unsigned length, uint32_t ino,
		 uint16_t mode)
{
	struct ext2 *fs = dir->vn.fs;
	struct block *b;
	int error = drop_index(dir);
	if (error)
		return error;
	error = -ENOSPC;
	for (uint32_t i = 0; error == -ENOSPC && i < dir->vn.size / fs->block_bytes; i++) {
		error = dir_block(dir, i, &b);
		if (error)
			return error;
		error = add_in_block(fs, b, name, length, ino, mode);
		bcache_put(b);
	}
	if (error == -ENOSPC && !(error = extend(dir, &b))) {
		error = add_in_block(fs, b, name, length, ino, mode);
		bcache_put(b);
	}
	return error ? error : touch(dir);
}

int ext2_dir_remove(struct ext2_inode *dir, struct ext2_place *at)
{
	struct ext2 *fs = dir->vn.fs;
	uint32_t offset = (uint32_t)((char *)at->entry - at->block->data);
	uint32_t before = at->before ? (uint32_t)((char *)at->before - at->block->data) : offset;
	int error = bcache_change(&fs->cache, at->block, true);
	if (!error) {
		struct ext2_dirent *e = entry_at(at->block, offset);
		struct ext2_dirent *joined = entry_at(at->block, before);
		if (at->before)
			joined->rec_len = (uint16_t)(joined->rec_len + e->rec_len);
		else
			e->ino = 0;
	}
	bcache_put(at->block);
	return error ? error : touch(dir);
}

int ext2_dir_set(struct ext2_inode *dir, struct ext2_place *at, uint32_t ino, uint16_t mode)
{
	struct ext2 *fs = dir->vn.fs;
	uint32_t offset = (uint32_t)((char *)at->entry - at->block->data);
	int error = bcache_change(&fs->cache, at->block, true);
	if (!error) {
		entry_at(at->block, offset)->ino = ino;
		entry_at(at->block, offset)->file_type = type_of(fs, mode);
	}
	bcache_put(at->block);
	return error ? error : touch(dir);
}

int ext2_dir_init(struct ext2_inode *dir, uint32_t parent)
{
	struct block *b;
	int error = extend(dir, &b);
	if (error)
		return error;
	struct ext2 *fs = dir->vn.fs;
	error = add_in_block(fs, b, ".", 1, dir->vn.ino, S_IFDIR);
	error = error ? error : add_in_block(fs, b, "..", 2, parent, S_IFDIR);
	bcache_put(b);
	return error ? error : touch(dir);
}

/*
 * Emit a block's entries from *cookie on. first: the block's offset in the directory.
 * Result: 1; 0 if the reader has enough; -EUCLEAN.
 */
static int emit_block(const struct ext2 *fs, const struct block *b, uint32_t first,
		      uint32_t *cookie, struct dirent_sink *sink)
{
	/* d_type, by file_type. */
	static const uint8_t types[8] = { 0, 8, 4, 2, 6, 1, 12, 10 };
	struct ext2_dirent *e;
	/* From the block's start: the entry at *cookie may have been joined with the one before. */
	for (uint32_t at = 0; at < fs->block_bytes; at += e->rec_len) {
		e = entry_at(b, at);
		if (!entry_ok(fs, e, at))
			return -EUCLEAN;
		if (first + at < *cookie)
			continue;
		unsigned type = fs->has_types ? types[e->file_type & 7] : 0;
		if (e->ino && !sink->emit(sink, e->name, e->name_len, e->ino, type))
			return 0;
		*cookie = first + at + e->rec_len;
	}
	*cookie = first + fs->block_bytes; /* also if no entry begins at *cookie any more */
	return 1;
}

int ext2_readdir(struct vnode *vn, uint32_t *cookie, struct dirent_sink *sink)
{
	const struct ext2 *fs = fs_of(vn);
	int more = 1;
	while (more > 0 && *cookie < vn->size) {
		struct block *b;
		uint32_t index = *cookie / fs->block_bytes;
		int error = dir_block(inode_of(vn), index, &b);
		if (error)
			return error;
		more = emit_block(fs, b, index * fs->block_bytes, cookie, sink);
		bcache_put(b);
	}
	return MIN(more, 0);
}

int ext2_dir_empty(struct ext2_inode *dir)
{
	const struct ext2 *fs = dir->vn.fs;
	int result = 0;
	for (uint32_t i = 0; !result && i < dir->vn.size / fs->block_bytes; i++) {
		struct ext2_dirent *e;
		struct block *b;
		int error = dir_block(dir, i, &b);
		if (error)
			return error;
		for (uint32_t at = 0; !result && at < fs->block_bytes; at += e->rec_len) {
			e = entry_at(b, at);
			if (!entry_ok(fs, e, at))
				result = -EUCLEAN;
			else if (e->ino && !same(e, ".", 1) && !same(e, "..", 2))
				result = -ENOTEMPTY;
			if (result)
				break;
		}
		bcache_put(b);
	}
	return result;
}
