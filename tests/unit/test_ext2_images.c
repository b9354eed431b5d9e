/* SPDX-License-Identifier: MIT */
/*
 * Images that mke2fs makes with other options than ours, and that other systems have filled. Each
 * is refused with a reason, or used: files of all kinds are made, renamed and removed, the disk
 * becomes full, the machine is killed after a sync; e2fsck must find nothing wrong.
 */
#include "ext2_host.h"
#include <string.h>

#define TOOLS "PATH=$PATH:/usr/sbin:/sbin; set -e; "

static const char *const used[] = { /* options of mke2fs -t ext2 */
	"-b 1024", "-b 2048", "-b 4096", "-I 128", "-b 1024 -I 512", "-b 1024 -I 1024",
	"-b 4096 -I 4096", "-r 0", "-r 0 -b 4096", "-o hurd", "-m 50", "-g 512 -b 1024",
	"-g 256 -b 4096 -I 1024", "-g 8192 -b 1024 -N 560", "-O none", "-O none,dir_index",
	"-O ^filetype", "-O ^large_file", "-O ^resize_inode", "-E resize=4000000",
	"-O ^sparse_super,^resize_inode -g 256", "-O sparse_super2",
	"-O sparse_super2 -E num_backup_sb=1 -g 512", "-O stable_inodes",
	"-E stride=4,stripe_width=16", "-O has_journal", "-O has_journal,fast_commit,orphan_file",
};
static const char *const refused[] = {
	"-b 8192", "-O meta_bg,^resize_inode", "-g 256 -b 1024" /* gets meta_bg */,
	"-O flex_bg", "-O extent", "-O extent,64bit",
	"-O extent,bigalloc", "-O mmp", "-O ea_inode", "-O large_dir", "-O inline_data",
	"-O encrypt", "-O casefold", "-O huge_file", "-O uninit_bg", "-O dir_nlink",
	"-O extra_isize", "-O quota", "-O quota,project", "-O metadata_csum", "-O verity",
};

/*
 * What other systems leave: symbolic links inside and outside of the inode, a pipe, devices, a
 * socket, attributes in a block that two files share, files and a directory with flags, files of 3
 * and of 5 GiB (not in revision 0), and a directory with an index.
 */
#define FOREIGN \
	"echo mkdir d; echo cd d; " \
	"for i in $(seq 300); do echo \"write $w/s entry-of-a-large-directory-$i\"; done; " \
	"echo cd /; " \
	"echo symlink fast target; echo symlink slow $(seq -s / 60); " \
	"echo mknod pipe p; echo mknod chr c 1 3; echo mknod block b 7 0; " \
	"echo mknod sock p; echo sif sock mode 0140755; " \
	"[ $1 = 0 ] || { echo write $w/3g 3g; echo write $w/5g 5g; }; " \
	"echo write $w/s constant; echo sif constant flags 0x10; " \
	"echo write $w/s append; echo sif append flags 0x20; " \
	"echo mkdir fixed; echo write $w/s fixed/f; echo sif fixed flags 0x10; " \
	"echo mkdir growing; echo write $w/s growing/f; echo sif growing flags 0x20; " \
	"echo write $w/s a; echo write $w/s b; " \
	"echo ea_set -f $w/ea a user.one; echo ea_set -f $w/s a user.two; "
static const char *const names[] = {
	"fast", "slow", "pipe", "chr", "block", "sock", "a", "b", "3g", "5g",
};

static void make_image(const char *options)
{
	char command[400];
	snprintf(command, sizeof(command),
		 TOOLS "mke2fs -q -F -t ext2 -N 600 %s %s 6M >%s.log 2>&1 </dev/null", options,
		 image_path, image_path);
	if (system(command))
		fail_msg("failed: %s", command);
}

static void fill_image(bool large_files)
{
	static char command[4000];
	snprintf(command, sizeof(command), TOOLS
		 "image=%s; set %d; exec >$image.log 2>&1; w=$(mktemp -d); trap 'rm -r $w' EXIT; "
		 "echo small >$w/s; head -c 300 /dev/zero >$w/ea; "
		 "for g in 3 5; do truncate -s ${g}G $w/${g}g; echo end >>$w/${g}g; done; "
		 "{ " FOREIGN " } | debugfs -w $image; "
		 "n=$(debugfs -R 'stat a' $image | sed -n 's/.*File ACL: //p'); "
		 "[ $n = 0 ] || debugfs -w -R \"sif b file_acl $n\" $image; "
		 "e2fsck -fyD $image || [ $? = 1 ]; e2fsck -fn $image", image_path, large_files);
	if (system(command))
		fail_msg("failed: %s", command);
}

#define NAME(text) text, (unsigned)strlen(text)

static struct vnode *look_up(struct vnode *dir, const char *name)
{
	struct vnode *vn = NULL;
	int error = dir->ops->lookup(dir, NAME(name), &vn);
	if (error)
		fail_msg("lookup of %s gives %d", name, error);
	return vn;
}

/* Fields of the superblock and of an inode on the disk, not in the cache. */
static bool clean_on_disk(void) { return *(uint16_t *)(disk + 1024 + 58) & EXT2_CLEAN; }
static const struct ext2_disk_inode *on_disk(struct vnode *vn)
{
	struct ext2 *fs = fs_of(vn);
	uint32_t group = (vn->ino - 1) / fs->super->inodes_per_group;
	uint32_t index = (vn->ino - 1) % fs->super->inodes_per_group;
	char *table = disk + ext2_desc(fs, group)->inode_table * fs->block_bytes;
	return (const struct ext2_disk_inode *)(table + index * fs->inode_bytes);
}

/* The machine could be killed after this. */
static void sync_and_check(void)
{
	CHECK(root->ops->sync(root) == 0 && !clean_on_disk());
	check_disk();
}

static void again(void)
{
	CHECK(unmount_disk() == 0 && clean_on_disk());
	check_disk();
	CHECK(mount_disk() == 0 && !clean_on_disk());
}

/* --- files of our own --- */

static void grow(struct vnode *vn, uint32_t bytes)
{
	static char data[5000];
	for (uint32_t at = vn->size; at < bytes; at += sizeof(data))
		CHECK(vn->ops->write(vn, at, data, sizeof(data), false) == sizeof(data));
}

static void use_own(void)
{
	struct vnode *vn, *dir;
	char name[40];
	CHECK(root->ops->mkdir(root, NAME("own")) == 0);
	dir = look_up(root, "own");
	for (int i = 0; i < 40; i++) { /* the directory grows, too */
		sprintf(name, "a file with a long name %d", i);
		CHECK(dir->ops->create(dir, NAME(name), &vn) == 0);
		grow(vn, (uint32_t)(i % 20) * 3000);
		CHECK(i % 3 || dir->ops->link(root, NAME(name), vn) == 0);
		vnode_put(vn);
	}
	CHECK(dir->ops->mkdir(dir, NAME("sub")) == 0);
	CHECK(root->ops->create(root, NAME("big"), &vn) == 0);
	grow(vn, 1000000); /* two levels of pointers, where blocks are small */
	sync_and_check();
	CHECK(vn->ops->truncate(vn, 70001) == 0);
	CHECK(dir->ops->rename(dir, NAME("sub"), root, NAME("moved")) == 0);
	CHECK(root->ops->rename(root, NAME("big"), dir, NAME("a file with a long name 7")) == 0);
	vnode_put(vn);
	for (int i = 0; i < 40; i++) {
		sprintf(name, "a file with a long name %d", i);
		CHECK(dir->ops->unlink(dir, NAME(name)) == 0);
		CHECK(i % 3 || root->ops->unlink(root, NAME(name)) == 0);
	}
	vnode_put(dir);
	CHECK(root->ops->rmdir(root, NAME("own")) == 0);
	CHECK(root->ops->rmdir(root, NAME("moved")) == 0);
	again();
}

static void fill_disk(void)
{
	static char data[40000];
	struct vnode *vn;
	int n = 0, made = 0;
	char name[12];
	CHECK(root->ops->create(root, NAME("full"), &vn) == 0);
	do
		n = vn->ops->write(vn, vn->size, data, sizeof(data), false);
	while (n > 0);
	vnode_put(vn);
	CHECK(n == -ENOSPC);
	for (n = 0; n == 0;) {
		n = root->ops->mkdir(root, name, (unsigned)sprintf(name, "no%d", made++));
		CHECK(n == 0 || n == -ENOSPC);
	}
	sync_and_check();
	CHECK(root->ops->unlink(root, NAME("full")) == 0);
	while (--made)
		CHECK(root->ops->rmdir(root, name, (unsigned)sprintf(name, "no%d", made - 1)) == 0);
	again();
}

/* --- files of others --- */

static void use_flags(void)
{
	struct vnode *vn = look_up(root, "constant"), *dir = look_up(root, "fixed");
	CHECK(vn->ops->write(vn, 6, "x", 1, false) == -EPERM);
	CHECK(vn->ops->truncate(vn, 0) == -EPERM && vn->ops->truncate(vn, 9) == -EPERM);
	CHECK(root->ops->unlink(root, NAME("constant")) == -EPERM);
	CHECK(root->ops->rename(root, NAME("constant"), root, NAME("c")) == -EPERM);
	CHECK(root->ops->link(root, NAME("c"), vn) == -EPERM);
	vnode_put(vn);
	vn = look_up(root, "append");
	CHECK(root->ops->rename(root, NAME("a"), root, NAME("append")) == -EPERM);
	CHECK(vn->ops->write(vn, 0, "x", 1, false) == -EPERM);
	CHECK(vn->ops->write(vn, 6, "x", 1, false) == 1 && vn->size == 7);
	CHECK(vn->ops->truncate(vn, 0) == -EPERM);
	vnode_put(vn);
	CHECK(dir->ops->create(dir, NAME("g"), &vn) == -EPERM);
	CHECK(dir->ops->mkdir(dir, NAME("g")) == -EPERM);
	CHECK(dir->ops->unlink(dir, NAME("f")) == -EPERM);
	CHECK(root->ops->rename(root, NAME("a"), dir, NAME("g")) == -EPERM);
	CHECK(root->ops->rename(root, NAME("a"), dir, NAME("f")) == -EPERM);
	CHECK(root->ops->rmdir(root, NAME("fixed")) == -ENOTEMPTY);
	vnode_put(look_up(dir, "f"));
	vnode_put(dir);
	dir = look_up(root, "growing");
	CHECK(dir->ops->mkdir(dir, NAME("g")) == 0);
	CHECK(dir->ops->rmdir(dir, NAME("g")) == -EPERM);
	CHECK(dir->ops->rename(dir, NAME("f"), root, NAME("g")) == -EPERM);
	vnode_put(look_up(dir, "g"));
	vnode_put(look_up(dir, "f"));
	vnode_put(dir);
	again();
}

static void use_large(struct vnode *vn)
{
	char byte;
	pfn_t pfn;
	struct stat st;
	bool fits = vn->ops->stat(vn, &st) == 0;
	CHECK(fits ? st.st_size == 3221225476u : vn->ops->stat(vn, &st) == -EFBIG);
	CHECK(vn->ops->read(vn, 0, &byte, 1, false) == -EFBIG);
	CHECK(vn->ops->write(vn, 0, &byte, 1, false) == -EFBIG);
	CHECK(vn->ops->page(vn, 0, &pfn) == -EFBIG && inode_of(vn)->disk.blocks);
	if (!fits)
		CHECK(vn->ops->truncate(vn, 3) == 0 && vn->ops->stat(vn, &st) == 0 &&
		      st.st_size == 3 && vn->ops->read(vn, 2, &byte, 1, false) == 1);
}

/* New files take the inodes of those that had attributes, but not the attributes. */
static void use_inodes_again(void)
{
	static const char zeros[4096];
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		struct vnode *vn;
		CHECK(root->ops->create(root, NAME(names[i]), &vn) == 0);
		CHECK(root->ops->sync(root) == 0);
		CHECK(memcmp(on_disk(vn) + 1, zeros, filesystem.inode_bytes - 128) == 0);
		vnode_put(vn);
	}
}

/* A directory tells the type of the file of each name, if the file system has types there. */
static bool check_type(struct dirent_sink *sink, const char *name, unsigned length, uint32_t ino,
		       unsigned type)
{
	struct vnode *vn;
	(void)sink, (void)ino;
	CHECK(root->ops->lookup(root, name, length, &vn) == 0);
	CHECK(type == (filesystem.has_types ? (unsigned)vn->mode >> 12 : 0));
	vnode_put(vn);
	return true;
}

/* Each is looked at, renamed, given a second name, and removed. */
static void use_foreign(bool large_files)
{
	struct stat st;
	struct dirent_sink sink = { .emit = check_type };
	for (unsigned i = 0; i < ARRAY_SIZE(names) - (large_files ? 0 : 2); i++) {
		uint32_t cookie = 0;
		struct vnode *vn = look_up(root, names[i]);
		bool regular = (vn->mode & S_IFMT) == S_IFREG;
		CHECK(!vn->ops->read == !regular && !vn->ops->page == !regular);
		if (vn->size > EXT2_SIZE_MAX)
			use_large(vn);
		else
			CHECK(vn->ops->stat(vn, &st) == 0 && st.st_size == vn->size);
		CHECK(root->ops->link(root, NAME("second"), vn) == 0);
		CHECK(root->ops->rename(root, names[i], (unsigned)strlen(names[i]), root,
					NAME("renamed")) == 0);
		vnode_put(vn);
		CHECK(root->ops->readdir(root, &cookie, &sink) == 0);
		CHECK(root->ops->unlink(root, NAME("second")) == 0);
		CHECK(root->ops->unlink(root, NAME("renamed")) == 0);
		if (i == 6) /* a, which shares attributes with b */
			sync_and_check();
	}
	use_inodes_again();
	again();
}

/* An indexed directory loses its index on the disk before anything else is written there. */
static void use_indexed(bool indexed)
{
	char name[60];
	struct vnode *dir = look_up(root, "d"), *vn;
	CHECK(!(on_disk(dir)->flags & EXT2_INDEX) == !indexed);
	for (int i = 1; i <= 300; i += 7) { /* the index stays good without these */
		sprintf(name, "entry-of-a-large-directory-%d", i);
		CHECK(dir->ops->unlink(dir, NAME(name)) == 0);
	}
	sync_and_check();
	CHECK(dir->ops->create(dir, NAME("new"), &vn) == 0);
	vnode_put(vn);
	CHECK(!(on_disk(dir)->flags & EXT2_INDEX));
	for (int i = 0; i < 90; i++) {
		sprintf(name, "one more entry of a large directory %d", i);
		CHECK(dir->ops->mkdir(dir, NAME(name)) == 0);
	}
	sync_and_check();
	vnode_put(dir);
	again();
}

/* A file without a name that is open, and a removed current directory, when the machine ends. */
static void end_in_use(void)
{
	struct vnode *vn, *dir, *up;
	CHECK(root->ops->create(root, NAME("open"), &vn) == 0);
	grow(vn, 100000);
	CHECK(root->ops->unlink(root, NAME("open")) == 0);
	CHECK(root->ops->mkdir(root, NAME("cwd")) == 0);
	dir = look_up(root, "cwd");
	CHECK(root->ops->rmdir(root, NAME("cwd")) == 0);
	CHECK(dir->ops->lookup(dir, NAME(".."), &up) == -ENOENT);
	CHECK(ext2_unmount() == 0);
	check_disk();
	CHECK(clean_on_disk());
	filesystem.cache.lock.owner = NULL, filesystem.cache.depth = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(filesystem.inodes); i++)
		for (struct ext2_inode *ip = filesystem.inodes[i]; ip; ip = ip->hash_next)
			ip->vn.refs = 0;
	root = NULL;
	unmount_disk();
}

static void test_used(void **state)
{
	(void)state;
	set_fault(FAULT_NONE, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(used); i++) {
		bool large_files = !strstr(used[i], "-r 0");
		bool none = strstr(used[i], "none") && !strstr(used[i], "index");
		seed = i; /* the row, if a check fails */
		make_image(used[i]);
		fill_image(large_files);
		load_disk();
		CHECK(mount_disk() == 0);
		use_own();
		fill_disk();
		use_flags();
		use_indexed(large_files && !none);
		use_foreign(large_files);
		end_in_use();
		CHECK(log_lines == 0);
	}
}

/* One line tells why. */
static void test_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(refused); i++) {
		seed = i;
		make_image(refused[i]);
		load_disk();
		set_fault(FAULT_NONE, 0);
		CHECK(mount_disk() == -EINVAL && log_lines == 1);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_used), cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests_name("ext2 images", tests, host_setup, host_teardown);
}
