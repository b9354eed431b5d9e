/* SPDX-License-Identifier: MIT */
/*
 * ext2 in rare cases: full disks, files of holes that use every level of pointers, directories that
 * change while they are read, and damage that could lead out of a block or into an endless loop.
 */
#include "ext2_host.h"

/* --- files --- */

static void take_all(struct vnode *vn, int want)
{
	static const char buf[10000] = "full";
	int done = (int)sizeof(buf);
	for (uint32_t at = 0; done == (int)sizeof(buf); at += sizeof(buf))
		done = vn->ops->write(vn, at, buf, sizeof(buf), false);
	CHECK(done >= 0 || done == want);
	uint32_t blocks = inode_of(vn)->disk.blocks;
	CHECK(vn->ops->write(vn, vn->size + 100000, buf, 1, false) == want &&
	      inode_of(vn)->disk.blocks == blocks);
}

/*
 * First no block is left, then no inode: each operation says so and changes nothing. Removing files
 * makes room again.
 */
static void test_full(void **state)
{
	(void)state;
	for (uint32_t block_bytes = 1024; block_bytes <= 4096; block_bytes *= 2) {
		struct vnode *vn, *big;
		int made = 0, error = 0;
		char name[12];
		make_disk(block_bytes, 2048);
		CHECK(mount_disk() == 0);
		CHECK(root->ops->create(root, "big", 3, &big) == 0 &&
		      root->ops->create(root, "late", 4, &vn) == 0);
		take_all(big, -ENOSPC);
		uint32_t all = filesystem.super->free_blocks;
		while (filesystem.super->free_blocks == all)
			CHECK(big->ops->truncate(big, big->size - 1) == 0);
		while (filesystem.super->free_blocks > 1)
			CHECK(vn->ops->write(vn, vn->size, "fill", 4, false) == 4 &&
			      vn->ops->truncate(vn, vn->size + block_bytes - 4) == 0);
		uint32_t far = (12 + block_bytes / 4) * block_bytes; /* needs three blocks */
		CHECK(vn->ops->write(vn, far, "more", 4, false) == -ENOSPC);
		CHECK(filesystem.super->free_blocks == 1 &&
		      inode_of(vn)->disk.blocks * 512 == vn->size);
		vnode_put(vn);
		/* fewer than one more pointer block would have needed */
		CHECK(filesystem.super->free_blocks < 4);
		while (filesystem.super->free_blocks)
			CHECK(root->ops->mkdir(root, name,
					       (unsigned)sprintf(name, "dir%d", made++)) == 0);
		CHECK(root->ops->mkdir(root, "dir", 3) == -ENOSPC);
		CHECK(root->ops->lookup(root, "dir", 3, &vn) == -ENOENT);
		CHECK(big->ops->truncate(big, big->size - 100 * block_bytes) == 0);
		while (!error) {
			error = root->ops->create(root, name, (unsigned)sprintf(name, "%d", made++),
						  &vn);
			if (!error)
				vnode_put(vn);
		}
		CHECK(error == -ENOSPC && filesystem.super->free_inodes == 0 &&
		      filesystem.super->free_blocks > 0);
		CHECK(root->ops->mkdir(root, "dir", 3) == -ENOSPC);
		vnode_put(big);
		CHECK(unmount_disk() == 0);
		check_disk();
		CHECK(mount_disk() == 0 && root->ops->unlink(root, "big", 3) == 0 &&
		      root->ops->mkdir(root, "dir", 3) == 0);
		CHECK(root->ops->rmdir(root, "dir", 3) == 0 && unmount_disk() == 0);
		check_disk();
	}
}

/*
 * A file of holes has a few bytes at each border between the levels of pointers; then it is cut
 * shorter and shorter.
 */
static void test_sparse(void **state)
{
	(void)state;
	for (uint32_t block_bytes = 1024; block_bytes <= 4096; block_bytes *= 2) {
		uint64_t n = block_bytes / 4,
			 borders[] = { 12, 12 + n, 12 + n + n * n, 12 + n + 2 * n * n + n + 1 };
		uint32_t places[ARRAY_SIZE(borders) + 1], count = 0;
		struct vnode *vn;
		char buf[4];
		make_disk(block_bytes, 2048);
		CHECK(mount_disk() == 0 && root->ops->create(root, "f", 1, &vn) == 0);
		for (unsigned i = 0; i < ARRAY_SIZE(borders); i++)
			if (borders[i] * block_bytes < EXT2_SIZE_MAX)
				places[count++] = (uint32_t)borders[i] * block_bytes - 2;
		places[count++] = EXT2_SIZE_MAX - 4;
		for (uint32_t i = count; i-- > 0;)
			CHECK(vn->ops->write(vn, places[i], "data", 4, false) == 4);
		CHECK(vn->ops->write(vn, EXT2_SIZE_MAX - 2, "data", 4, false) == 2);
		CHECK(vn->ops->write(vn, EXT2_SIZE_MAX, "data", 4, false) == -EFBIG);
		CHECK(vn->ops->truncate(vn, EXT2_SIZE_MAX + 1) == -EFBIG);
		vnode_put(vn);
		for (; count; count--) {
			uint32_t last = places[count - 1];
			CHECK(root->ops->lookup(root, "f", 1, &vn) == 0);
			for (uint32_t i = 0; i < count; i++) {
				/* a later write replaced its last bytes */
				bool over = places[i] == EXT2_SIZE_MAX - 4;
				CHECK(vn->ops->read(vn, places[i], buf, 4, false) == 4 &&
				      memcmp(buf, over ? "dada" : "data", 4) == 0);
				CHECK(vn->ops->read(vn, places[i] - 4, buf, 4, false) == 4 &&
				      memcmp(buf, "\0\0\0", 4) == 0);
			}
			CHECK(vn->ops->truncate(vn, last + 1) == 0 &&
			      vn->ops->truncate(vn, last + 4) == 0);
			CHECK(vn->ops->read(vn, last, buf, 4, false) == 4 &&
			      memcmp(buf, "d\0\0", 4) == 0);
			CHECK(vn->ops->truncate(vn, last) == 0);
			vnode_put(vn);
			CHECK(unmount_disk() == 0);
			check_disk();
			CHECK(mount_disk() == 0);
		}
		CHECK(unmount_disk() == 0);
	}
}

/* --- directories that change --- */

#define ENTRIES 60u
struct listing { struct dirent_sink sink; int left; unsigned seen[ENTRIES]; };

/* Long names, so that the directory has several blocks. */
static const char *name_of(unsigned i)
{
	static char text[100];
	snprintf(text, sizeof(text), "%u %*u", i, 40 + (int)i % 50, i);
	return text;
}

static bool emit(struct dirent_sink *sink, const char *name, unsigned length, uint32_t ino,
		 unsigned type)
{
	struct listing *l = container_of(sink, struct listing, sink);
	(void)ino, (void)type;
	if (l->left-- == 0)
		return false;
	for (unsigned i = 0; i < ENTRIES; i++)
		if (strlen(name_of(i)) == length && memcmp(name_of(i), name, length) == 0)
			l->seen[i]++;
	return true;
}

/*
 * Entries are removed while a directory is read in pieces. The reading must end, and must give each
 * remaining entry once.
 */
static void test_list_while_removing(void **state)
{
	(void)state;
	make_disk(1024, 1024);
	for (uint32_t s = 1; s <= 50; s++) {
		struct listing l = { .sink.emit = emit };
		bool removed[ENTRIES] = { false };
		struct vnode *vn;
		at_random(s);
		CHECK(mount_disk() == 0);
		for (unsigned i = 0; i < ENTRIES; i++) {
			CHECK(root->ops->create(root, name_of(i), (unsigned)strlen(name_of(i)),
						&vn) == 0);
			vnode_put(vn);
		}
		for (uint32_t cookie = 0, rounds = 0; cookie < root->size; rounds++) {
			CHECK(rounds < 200);
			l.left = 1 + (int)below(3);
			CHECK(root->ops->readdir(root, &cookie, &l.sink) == 0);
			for (unsigned i = 0; i < ENTRIES; i++) /* also the next to be read */
				if (!removed[i] && below(8) == 0) {
					CHECK(root->ops->unlink(root, name_of(i),
								(unsigned)strlen(name_of(i))) == 0);
					removed[i] = true;
				}
		}
		for (unsigned i = 0; i < ENTRIES; i++) {
			CHECK(l.seen[i] == 1 || (l.seen[i] == 0 && removed[i]));
			if (!removed[i])
				CHECK(root->ops->unlink(root, name_of(i),
							(unsigned)strlen(name_of(i))) == 0);
		}
		CHECK(unmount_disk() == 0);
	}
	check_disk();
}

/* --- damage --- */

/*
 * A pointer to the file system's own blocks, or beyond the disk: in the inode, and in a pointer
 * block.
 */
static void test_pointers(void **state)
{
	(void)state;
	for (uint32_t block_bytes = 1024; block_bytes <= 4096; block_bytes *= 2) {
		set_fault(FAULT_NONE, 0);
		make_disk(block_bytes, block_bytes);
		struct vnode *vn;
		struct block *b;
		CHECK(mount_disk() == 0 && root->ops->create(root, "f", 1, &vn) == 0);
		CHECK(vn->ops->write(vn, 12 * block_bytes, "data", 4, false) == 4);
		const struct ext2_group_desc *d = ext2_desc(&filesystem, 1);
		uint32_t first = filesystem.super->first_data_block,
			 table = DIV_UP(filesystem.super->inodes_per_group * 256, block_bytes);
		const uint32_t bad[] = {
			MAX(first, 1), first + 1, d->block_bitmap, d->inode_bitmap, d->inode_table,
			d->inode_table + table - 1, filesystem.super->blocks_count, 0xFFFFFFFF,
		};
		CHECK(bcache_get(&filesystem.cache, inode_of(vn)->disk.block[12], &b) == 0);
		for (unsigned i = 0; i < ARRAY_SIZE(bad) * 2; i++) {
			uint32_t *at = i % 2 ? (uint32_t *)b->data : &inode_of(vn)->disk.block[0],
				 was = *at, place = i % 2 ? 12 * block_bytes : 0;
			char buf[4];
			*at = bad[i / 2];
			CHECK(vn->ops->read(vn, place, buf, 4, false) == -EUCLEAN);
			CHECK(vn->ops->write(vn, place, "evil", 4, false) == -EUCLEAN);
			*at = was;
		}
		bcache_put(b);
		vnode_put(vn);
		CHECK(unmount_disk() == 0);
		check_disk();
	}
}

/* The last entry of a directory's block, with a name that would reach out of it. */
static void test_entry_beyond(void **state)
{
	char name[NAME_MAX];
	struct vnode *vn;
	struct block *b;
	struct listing l = { .sink.emit = emit, .left = 100 };
	uint32_t cookie = 0, at = 0;
	(void)state;
	make_disk(1024, 1024);
	memset(name, 'n', sizeof(name));
	CHECK(mount_disk() == 0 &&
	      bcache_get(&filesystem.cache, inode_of(root)->disk.block[0], &b) == 0);
	while (at + entry_at(b, at)->rec_len < 1024)
		at += entry_at(b, at)->rec_len;
	entry_at(b, at)->rec_len = (uint16_t)(1012 - at);
	*entry_at(b, 1012) = (struct ext2_dirent){ .ino = 11, .rec_len = 12, .name_len = NAME_MAX,
						   .file_type = 2 };
	CHECK(root->ops->lookup(root, name, NAME_MAX, &vn) == -EUCLEAN &&
	      root->ops->create(root, name, 200, &vn) == -EUCLEAN);
	CHECK(root->ops->readdir(root, &cookie, &l.sink) == -EUCLEAN);
	bcache_put(b);
	unmount_disk();
}

/*
 * Pointer blocks that point to themselves: the tree has as many paths as one of three levels, but
 * only a few blocks. Freeing it must end.
 */
static void test_tree_in_itself(void **state)
{
	(void)state;
	for (uint32_t block_bytes = 1024; block_bytes <= 4096; block_bytes *= 2) {
		set_fault(FAULT_NONE, 0);
		make_disk(block_bytes, block_bytes);
		struct vnode *vn;
		char buf[100];
		for (int way = 0; way < 3; way++) {
			log_lines = 0;
			CHECK(mount_disk() == 0);
			CHECK(root->ops->create(root, "f", 1, &vn) == 0);
			uint32_t n = block_bytes / 4,
				 index = MIN(12 + n + (way ? n * n : 0), 400000);
			CHECK(vn->ops->write(vn, (index + 200) * block_bytes, "data", 4, false) ==
			      4);
			uint32_t top = inode_of(vn)->disk.block[14] ? inode_of(vn)->disk.block[14]
								    : inode_of(vn)->disk.block[13];
			struct block *b;
			CHECK(bcache_get(&filesystem.cache, top, &b) == 0);
			for (uint32_t i = 0; i < block_bytes / 4; i++)
				((uint32_t *)b->data)[i] = top;
			bcache_change(&filesystem.cache, b, true);
			bcache_put(b);
			CHECK(vn->ops->read(vn, 100000, buf, 100, false) == 100);
			if (way == 2)
				CHECK(vn->ops->truncate(vn, (index + 5) * block_bytes) == 0);
			vnode_put(vn);
			CHECK(root->ops->unlink(root, "f", 1) == 0);
			CHECK(log_lines < 3 * n);
			unmount_disk();
		}
	}
}

/* A file and a directory have the most links that there can be: one more changes nothing. */
static void test_links(void **state)
{
	struct vnode *vn, *dir, *other;
	(void)state;
	make_disk(1024, 2048);
	CHECK(mount_disk() == 0 && root->ops->create(root, "f", 1, &vn) == 0 &&
	      root->ops->mkdir(root, "d", 1) == 0 && root->ops->mkdir(root, "m", 1) == 0 &&
	      root->ops->lookup(root, "d", 1, &dir) == 0);
	inode_of(vn)->disk.links = EXT2_LINKS_MAX - 1;
	inode_of(dir)->disk.links = EXT2_LINKS_MAX;
	CHECK(root->ops->link(root, "g", 1, vn) == 0);
	CHECK(root->ops->link(root, "h", 1, vn) == -EMLINK &&
	      root->ops->lookup(root, "h", 1, &other) == -ENOENT);
	CHECK(dir->ops->mkdir(dir, "e", 1) == -EMLINK &&
	      dir->ops->lookup(dir, "e", 1, &other) == -ENOENT);
	CHECK(root->ops->rename(root, "m", 1, dir, "m", 1) == -EMLINK &&
	      dir->ops->lookup(dir, "m", 1, &other) == -ENOENT);
	inode_of(vn)->disk.links = inode_of(dir)->disk.links = 2; /* as many as there are */
	CHECK(root->ops->unlink(root, "g", 1) == 0 &&
	      root->ops->rename(root, "m", 1, dir, "m", 1) == 0);
	vnode_put(vn), vnode_put(dir);
	CHECK(unmount_disk() == 0);
	check_disk();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full), cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_list_while_removing), cmocka_unit_test(test_pointers),
		cmocka_unit_test(test_entry_beyond), cmocka_unit_test(test_tree_in_itself),
		cmocka_unit_test(test_links),
	};
	return cmocka_run_group_tests_name("ext2 cases", tests, host_setup, host_teardown);
}
