/* SPDX-License-Identifier: MIT */
/*
 * The ext2 file system on this host, for its tests: everything that it stands on is replaced. The
 * disk is memory; frames come from an arena in which each has poisoned neighbours; the device and
 * the allocators can be told to fail at their n-th use.
 */
#ifndef EXT2_HOST_H
#define EXT2_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sanitizer/asan_interface.h>
#include <cmocka.h>
#undef SEEK_SET
#undef SEEK_CUR
#undef SEEK_END
#define rename ext2_rename /* the host has a rename(), too */
#include "layout.h"
#include "random.h"
#undef KERNEL_BASE /* an address that the sanitizer does not use for its shadow memory */
#define KERNEL_BASE 0x40000000u
#pragma GCC diagnostic ignored "-Wint-to-pointer-cast" /* the header's current(), not called */
#define current header_current
#include "proc/task.h"
#undef current
static struct task self;
static struct task *current(void) { return &self; }

/* All in one compilation: static functions of the same name get different names. */
#define bucket cache_bucket
#define find cache_find
#define insert cache_insert
#include "kernel/fs/bcache.c"
#undef bucket
#undef find
#undef insert
#include "kernel/fs/ext2_super.c"
#include "kernel/fs/ext2_alloc.c"
#include "kernel/fs/ext2_map.c"
#include "kernel/fs/ext2_dir.c"
#include "kernel/fs/ext2_file.c"
#include "kernel/fs/ext2_inode.c"
#include "kernel/fs/ext2_names.c"

/* the host's */
extern void *mmap(void *at, size_t bytes, int prot, int flags, int fd, long offset);
enum { HOST_PRIVATE = 2, HOST_ANONYMOUS = 0x20, HOST_FIXED_NOREPLACE = 0x100000 };
extern int setrlimit(int resource, const unsigned long limits[2]);
enum { HOST_CPU_SECONDS = 0 };

/* --- faults: the n-th use of the device, or of the allocators, fails --- */

enum fault { FAULT_NONE, FAULT_DEVICE, FAULT_DEVICE_BROKEN /* and all after it */, FAULT_MEMORY };
static enum fault fault;
static uint32_t fault_at, device_uses, memory_uses, faults_hit, log_lines;

static bool fails(bool device)
{
	uint32_t n = device ? device_uses++ : memory_uses++;
	bool hit = fault != FAULT_NONE && device == (fault != FAULT_MEMORY) &&
		   (fault == FAULT_DEVICE_BROKEN ? n >= fault_at : n == fault_at);
	faults_hit += hit;
	return hit;
}

static void set_fault(enum fault f, uint32_t at)
{
	fault = f;
	fault_at = at;
	device_uses = memory_uses = faults_hit = log_lines = 0;
}

/* --- stand-ins --- */

static uint64_t stand_still(void) { return 5000000000ull; }
struct vo vo = { .time.now = stand_still };
uint32_t nr_pfns = 128; /* so few that the cache has its least size, and evicts blocks */
uint32_t (*frame_shrinker)(uint32_t wanted);

void printk(const char *fmt, ...) { (void)fmt, log_lines++; }
void panic(const char *fmt, ...)
{
	fail_msg("seed %u: panic: %s", seed, fmt);
	abort();
}
bool mutex_try(struct mutex *m) { return !m->owner && (m->owner = current()); }
void mutex_lock(struct mutex *m) { CHECK(mutex_try(m)); }
void mutex_unlock(struct mutex *m) { m->owner = NULL; }
int copy_from_user(void *to, const void *from, size_t n) { return memcpy(to, from, n), 0; }
int copy_to_user(void *to, const void *from, size_t n) { return memcpy(to, from, n), 0; }
void vnode_put(struct vnode *vn)
{
	if (vn && vn->refs > 1)
		vn->refs--;
	else if (vn)
		vn->ops->release(vn);
}

#define ARENA_FRAMES 512u /* every second one is poisoned */
static uint32_t refs[ARENA_FRAMES], objects;

pfn_t frame_alloc(unsigned order)
{
	CHECK(order == 0);
	if (fails(false))
		return NO_FRAME;
	for (pfn_t pfn = 1; pfn < ARENA_FRAMES; pfn += 2)
		if (refs[pfn] == 0) {
			refs[pfn] = 1;
			ASAN_UNPOISON_MEMORY_REGION(pfn_to_virt(pfn), PAGE_SIZE);
			memset(pfn_to_virt(pfn), 0xA5, PAGE_SIZE); /* old content, to be noticed */
			return pfn;
		}
	return NO_FRAME;
}
pfn_t frame_alloc_user(void) { return frame_alloc(0); }
uint32_t frame_refs(pfn_t pfn) { return refs[pfn]; }
void frame_get(pfn_t pfn) { refs[pfn]++; }
void frame_put(pfn_t pfn)
{
	CHECK(refs[pfn] > 0);
	if (--refs[pfn] == 0)
		ASAN_POISON_MEMORY_REGION(pfn_to_virt(pfn), PAGE_SIZE);
}

/*
 * Now and then memory is short at first, so that the cache gives back clean blocks in the middle of
 * an operation.
 */
void *kmalloc(size_t bytes)
{
	static unsigned turn;
	if (frame_shrinker && ++turn % 64 == 0)
		frame_shrinker(1);
	if (fails(false))
		return NULL;
	char *p = malloc(bytes);
	memset(p, 0xA5, bytes);
	objects++;
	return p;
}
void kfree(void *p) { objects -= p != NULL, free(p); }

/* --- the disk --- */

static char *disk;
static uint32_t disk_bytes;

static int disk_io(uint32_t sector, uint32_t n, void *to, const void *from)
{
	CHECK((uint64_t)(sector + n) * SECTOR <= disk_bytes);
	if (fails(true))
		return -EIO;
	memcpy(to ? to : disk + sector * SECTOR, to ? disk + sector * SECTOR : from, n * SECTOR);
	return 0;
}
static int disk_read(struct blockdev *d, uint32_t sector, uint32_t n, void *buf)
{
	return (void)d, disk_io(sector, n, buf, NULL);
}
static int disk_write(struct blockdev *d, uint32_t sector, uint32_t n, const void *buf)
{
	return (void)d, disk_io(sector, n, NULL, buf);
}
static int disk_flush(struct blockdev *d) { return (void)d, fails(true) ? -EIO : 0; }
static struct blockdev device = {
	.name = "test", .read = disk_read, .write = disk_write, .flush = disk_flush
};
static char pages[BLOCK_LENT * PAGE_SIZE]; /* the device's own, which the cache may borrow */

static char image_path[] = "/tmp/cinnabar-ext2-XXXXXX";

static void run(const char *format, uint32_t block_bytes, uint32_t kib)
{
	char command[600];
	snprintf(command, sizeof(command), format, image_path, block_bytes, kib);
	if (system(command))
		fail_msg("seed %u: failed: %s", seed, command);
}

/* Read the image file into the disk. */
static void load_disk(void)
{
	FILE *f = fopen(image_path, "r");
	CHECK(f && fseek(f, 0, 2 /* from its end */) == 0);
	disk_bytes = (uint32_t)ftell(f);
	device.sectors = disk_bytes / SECTOR;
	disk = realloc(disk, disk_bytes);
	rewind(f);
	CHECK(fread(disk, 1, disk_bytes, f) == disk_bytes);
	fclose(f);
}

/* Make a new file system of this size, with several groups. */
__attribute__((unused)) static void make_disk(uint32_t block_bytes, uint32_t kib)
{
	run("PATH=$PATH:/usr/sbin:/sbin mke2fs -q -F -t ext2 -b %2$u -g 512 -N 192 -m 0 %1$s %3$uk",
	    block_bytes, kib);
	load_disk();
}

/* e2fsck must find nothing wrong. */
static void check_disk(void)
{
	FILE *f = fopen(image_path, "w");
	CHECK(f && fwrite(disk, 1, disk_bytes, f) == disk_bytes && fclose(f) == 0);
	run("PATH=$PATH:/usr/sbin:/sbin e2fsck -fn %1$s >%1$s.log 2>&1 || "
	    "{ cat %1$s.log; exit 1; }", 0, 0);
}

static struct vnode *root;

static int mount_disk(void)
{
	device.pages = pages;
	device.nr_pages = below(2) * below(BLOCK_LENT + 1);
	device.depth = below(2) * 16;
	int error = ext2_mount(&device, &root);
	if (error)
		root = NULL;
	return error;
}

/*
 * Unmount and forget everything. Whatever happened before, nobody may hold a block or an
 * inode, and all memory must come back.
 */
static int unmount_disk(void)
{
	struct ext2 *fs = &filesystem;
	bool mounted = root;
	vnode_put(root);
	int error = mounted ? ext2_unmount() : 0;
	if (mounted)
		bcache_leave(&fs->cache);
	for (unsigned i = 0; i < ARRAY_SIZE(fs->inodes); i++)
		for (struct ext2_inode *ip; (ip = fs->inodes[i]); kfree(ip)) {
			CHECK(ip->vn.refs == 0 || !mounted);
			fs->inodes[i] = ip->hash_next;
		}
	for (struct block *b = fs->cache.oldest; b; b = b->newer)
		CHECK(b->uses == (b == fs->super_block ||
				  b->number - fs->super->first_data_block - 1 <
					  DIV_UP(fs->nr_groups * sizeof(struct ext2_group_desc),
						 fs->block_bytes)));
	bcache_drop(&fs->cache);
	frame_shrinker = NULL;
	CHECK(!fs->cache.lock.owner && fs->cache.count == 0 && fs->cache.dirty == 0 &&
	      fs->cache.nr_borrowed == 0 && objects == 0);
	for (pfn_t pfn = 0; pfn < ARENA_FRAMES; pfn++)
		CHECK(refs[pfn] == 0);
	root = NULL;
	return error;
}

static int host_setup(void **state)
{
	int fd = mkstemp(image_path);
	(void)state;
	if (fd < 0 || mmap((void *)(uintptr_t)KERNEL_BASE, ARENA_FRAMES * PAGE_SIZE, 3,
			   HOST_PRIVATE | HOST_ANONYMOUS | HOST_FIXED_NOREPLACE, -1,
			   0) != (void *)(uintptr_t)KERNEL_BASE)
		return -1;
	ASAN_POISON_MEMORY_REGION((void *)(uintptr_t)KERNEL_BASE, ARENA_FRAMES * PAGE_SIZE);
	setrlimit(HOST_CPU_SECONDS, (const unsigned long[]){ 60, 60 }); /* ends one that hangs */
	return 0;
}

static int host_teardown(void **state)
{
	char log[sizeof(image_path) + 4];
	(void)state;
	snprintf(log, sizeof(log), "%s.log", image_path);
	remove(image_path), remove(log);
	free(disk);
	return 0;
}

#endif
