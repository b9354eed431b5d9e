/* SPDX-License-Identifier: MIT */
/*
 * ext2 in trouble: the device or an allocator fails at each of its uses in turn, and metadata is
 * damaged at random. Then operations may be refused with an error that fits; but nothing crashes,
 * no loop is endless, and no block, inode or memory stays held.
 */
#include "ext2_host.h"

#define NAMES 8

static uint32_t troubles; /* operations refused for damage, the device or memory */

static int result(int r)
{
	static const int good[] = {
		ENOENT, EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, ENOSPC, EINVAL, EMLINK, EPERM,
		EFBIG, EBUSY,
	};
	static const int bad[] = { EIO, EUCLEAN, ENOMEM };
	if (r >= 0)
		return r;
	for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
		if (r == -good[i])
			return r;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		if (r == -bad[i])
			return troubles++, r;
	fail_msg("seed %u: unexpected error %d", seed, r);
	return r;
}

static const char *some_name(void)
{
	static char names[2][NAME_MAX + 1];
	static unsigned turn;
	char *text = names[turn ^= 1];
	int length = sprintf(text, "%u", below(NAMES));
	/* some names are long, so that directories get several blocks */
	for (; text[0] >= '5' && length < 230; length++)
		text[length] = 'x';
	text[length] = '\0';
	return text;
}

#define NAME(text) text, (unsigned)strlen(text)

static bool count_entry(struct dirent_sink *sink, const char *name, unsigned length, uint32_t ino,
			unsigned type)
{
	(void)sink, (void)ino, (void)type;
	for (unsigned i = 0; i < length; i++)
		(void)*(const volatile char *)&name[i]; /* for the sanitizer */
	return true;
}

static struct vnode *some_vnode(void)
{
	struct vnode *at = vnode_get(root), *next;
	while (below(3) && (at->mode & S_IFMT) == S_IFDIR) {
		const char *name = below(15) ? some_name() : "..";
		if (result(at->ops->lookup(at, NAME(name), &next)))
			break;
		vnode_put(at);
		at = next;
	}
	return at;
}

static void use_file(struct vnode *vn, uint32_t what)
{
	static char buf[20000];
	uint32_t at = below(3) ? below(20000) : below(8) ? below(400000) : below(EXT2_SIZE_MAX);
	struct stat st;
	pfn_t pfn;
	if (what < 70 && !buf[0])
		for (uint32_t i = 0; i < sizeof(buf); i++)
			buf[i] = (char)(i * 37 + 1);
	if (what < 70)
		result(vn->ops->write(vn, at, buf, below(what < 60 ? 5000 : sizeof(buf)), false));
	else if (what < 80)
		result(vn->ops->truncate(vn, at));
	else if (what < 88)
		result(vn->ops->read(vn, at, buf, sizeof(buf), false));
	else if (what < 92)
		result(vn->ops->sync(vn));
	else if (what < 96)
		result(vn->ops->stat(vn, &st));
	else if (result(vn->ops->page(vn, at / PAGE_SIZE, &pfn)) == 0)
		frame_put(pfn);
}

/* A random operation; nobody knows whether it can succeed. */
static void blind(void)
{
	struct vnode *dir = some_vnode(), *other = some_vnode(), *vn;
	struct dirent_sink sink = { .emit = count_entry };
	const char *name = some_name(), *new_name = some_name();
	uint32_t what = below(100), cookie = below(4) ? 0 : below(3000) & ~3u;
	if (what >= 50)
		use_file(dir, what);
	else if ((dir->mode & S_IFMT) != S_IFDIR)
		; /* only directories have names */
	else if (what < 12 && result(dir->ops->create(dir, NAME(name), &vn)) == 0)
		vnode_put(vn);
	else if (what < 18)
		result(dir->ops->mkdir(dir, NAME(name)));
	else if (what < 22)
		result(dir->ops->link(dir, NAME(name), other));
	else if (what < 30)
		result(dir->ops->unlink(dir, NAME(name)));
	else if (what < 35)
		result(dir->ops->rmdir(dir, NAME(name)));
	else if (what < 42)
		result(dir->ops->rename(dir, NAME(name), other, NAME(new_name)));
	else
		result(dir->ops->readdir(dir, &cookie, &sink));
	vnode_put(dir), vnode_put(other);
}

static void live(int operations)
{
	for (int i = 0; i < operations; i++)
		blind();
}

static char *base; /* a disk after many operations, not damaged */

static void make_base(uint32_t block_bytes)
{
	set_fault(FAULT_NONE, 0);
	at_random(block_bytes);
	make_disk(block_bytes, block_bytes);
	CHECK(mount_disk() == 0);
	live(400);
	CHECK(unmount_disk() == 0);
	check_disk();
	base = realloc(base, disk_bytes);
	memcpy(base, disk, disk_bytes);
}

/* --- faults --- */

/*
 * The same operations again and again. Each time the fault comes one use later, until it comes
 * after the last.
 */
static void sweep(enum fault f)
{
	for (uint32_t block_bytes = 1024; block_bytes <= 4096; block_bytes *= 2) {
		make_base(block_bytes);
		for (uint32_t at = 0;; at++) {
			memcpy(disk, base, disk_bytes);
			at_random(block_bytes);
			troubles = 0;
			set_fault(f, at);
			int error = mount_disk();
			if (!error)
				live(250);
			error = unmount_disk() | error;
			uint32_t told = troubles + log_lines + (error != 0), hit = faults_hit;
			if (hit == 0) {
				CHECK(told == 0 && at > 20);
				break;
			}
			CHECK(told > 0 || f != FAULT_DEVICE_BROKEN);
		}
		check_disk(); /* in the last round, which had no fault */
	}
}

static void test_device_error(void **state) { (void)state, sweep(FAULT_DEVICE); }
static void test_device_broken(void **state) { (void)state, sweep(FAULT_DEVICE_BROKEN); }
static void test_memory_error(void **state) { (void)state, sweep(FAULT_MEMORY); }

/* --- damage --- */

static struct ext2_super *super_of(char *image) { return (struct ext2_super *)(image + 1024); }

static char *block_of(char *image, uint32_t number)
{
	uint32_t bytes = 1024u << super_of(base)->log_block_size;
	return image + (uint64_t)(number < disk_bytes / bytes ? number : 0) * bytes;
}

static struct ext2_disk_inode *inode_in(char *image, uint32_t ino)
{
	const struct ext2_super *s = super_of(base);
	uint32_t bytes = 1024u << s->log_block_size,
		 within = (ino - 1) % s->inodes_per_group * s->inode_size;
	const struct ext2_group_desc *d = (void *)block_of(base, s->first_data_block + 1);
	return (void *)(block_of(image,
				 d[(ino - 1) / s->inodes_per_group].inode_table + within / bytes) +
			within % bytes);
}

/* A place in a directory of the undamaged disk: an entry's inode number, or its lengths. */
static uint32_t *place_in_directory(const struct ext2_disk_inode *was, uint32_t bytes)
{
	uint32_t at = 0;
	if ((was->mode & S_IFMT) != S_IFDIR)
		was = inode_in(base, EXT2_ROOT);
	while (below(5)) {
		const char *entry = (const char *)block_of(base, was->block[0]) + at;
		uint32_t next = at + *(const uint16_t *)(entry + 4);
		if (next >= bytes)
			break;
		at = next;
	}
	return (uint32_t *)((char *)block_of(disk, was->block[0]) + at) + (below(3) ? 1 : 0);
}

/* A random word of the metadata. First its kind is chosen, so that all kinds get their share. */
static uint32_t *some_place(void)
{
	uint32_t bytes = 1024u << super_of(base)->log_block_size;
	uint32_t first = super_of(base)->first_data_block, ino = EXT2_ROOT;
	while (below(6) && !inode_in(base, ino = 1 + below(super_of(base)->inodes_count))->links)
		;
	const struct ext2_disk_inode *was = inode_in(base, ino);
	const struct ext2_group_desc *group = (void *)block_of(base, first + 1);
	switch (below(6)) {
	case 0:
		return (uint32_t *)super_of(disk) + below(26);
	case 1:
		return (uint32_t *)block_of(disk, first + 1) + below(4 * 8);
	case 2: {
		uint32_t bitmap = below(2) ? group->block_bitmap : group->inode_bitmap;
		return (uint32_t *)block_of(disk, bitmap) + below(20);
	}
	case 3:
		return place_in_directory(was, bytes);
	case 4: /* a block of pointers */
		return (uint32_t *)block_of(disk, was->block[12 + below(3)]) + below(20);
	default:
		return (uint32_t *)inode_in(disk, ino) + below(32);
	}
}

static uint32_t some_value(uint32_t was)
{
	static const uint32_t values[] = {
		0, 1, 2, 3, 11, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF0000, 0x10000, 0xFFFF,
	};
	switch (below(4)) {
	case 0: return values[below(ARRAY_SIZE(values))];
	case 1: return was ^ 1u << below(32);
	case 2: return below(super_of(base)->blocks_count + 2);
	default: return random32();
	}
}

static void test_damage(void **state)
{
	uint32_t refused = 0, noticed = 0;
	(void)state;
	for (uint32_t block_bytes = 1024; block_bytes <= 4096; block_bytes *= 2) {
		make_base(block_bytes);
		for (uint32_t s = 0; s < 1200; s++) {
			at_random(block_bytes + s);
			memcpy(disk, base, disk_bytes);
			for (uint32_t n = 1 + below(5); n > 0; n--) {
				uint32_t *place = some_place();
				*place = some_value(*place);
			}
			troubles = 0;
			if (mount_disk() == 0)
				live(40);
			else
				refused++;
			noticed += troubles > 0;
			unmount_disk();
		}
	}
	CHECK(refused > 100 && noticed > 100); /* else the damage did nothing */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_device_error), cmocka_unit_test(test_device_broken),
		cmocka_unit_test(test_memory_error),
		cmocka_unit_test(test_damage),
	};
	int failed = cmocka_run_group_tests_name("ext2 damage", tests, host_setup, host_teardown);
	free(base);
	return failed;
}
