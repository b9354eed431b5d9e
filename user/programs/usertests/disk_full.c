/* SPDX-License-Identifier: MIT */
/* A full disk: the writer gets ENOSPC, nothing is lost, and deleting gives all the room back. */
#include "test.h"

static uint8_t block[16 * PAGE];

static int fill_disk(const char *path)
{
	int fd = check_ok(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644)), n, total = 0;
	while ((n = write(fd, block, sizeof(block))) > 0) {
		total += n;
		if (total > 64 << 20)
			skip("the disk is too large to be filled here");
	}
	check_is(n, -ENOSPC);
	check_is(write(fd, block, PAGE), -ENOSPC); /* the second time, too */
	check_is(close(fd), 0);
	check_is(size_of(path), total);
	return total;
}

/*
 * The disk is filled to its last block: writes fail, and old data is intact. When the large file
 * is deleted there is room again; with -big: exactly as much as before.
 */
TEST(disk_full)
{
	make_file("old", 50000, 1);
	int first = fill_disk("large");
	check(first > 1 << 20);
	int made = mkdir("d", 0755);
	check(made == -ENOSPC || made == 0);
	int fd = open("small", O_WRONLY | O_CREAT, 0644);
	if (fd >= 0) {
		check_is(write(fd, block, PAGE), -ENOSPC);
		check_is(close(fd), 0);
	}
	check_file("old", 50000, 1);
	check_is(unlink("large"), 0);
	make_file("new", 50000, 2);
	check_file("new", 50000, 2);
	check_is(unlink("new"), 0);
	unlink("small");
	rmdir("d");
	if (big)
		check_is(fill_disk("large"), first);
}

/* Empty files: when the inodes are used up open gives ENOSPC; all files can be deleted. */
TEST(disk_no_inodes)
{
	char name[20];
	int n = 0, fd = 0;
	if (!big)
		skip("only with -big");
	for (; n < 100000; n++) {
		snprintf(name, sizeof(name), "%d", n);
		if ((fd = open(name, O_WRONLY | O_CREAT, 0644)) < 0)
			break;
		check_is(close(fd), 0);
	}
	check_is(fd, -ENOSPC);
	while (n-- > 0) {
		snprintf(name, sizeof(name), "%d", n);
		check_is(unlink(name), 0);
	}
	make_file("f", 10, 1);
	check_file("f", 10, 1);
}

/* sync does no harm at any time, also from several processes. */
TEST(sync_any_time)
{
	int pids[3];
	for (int i = 0; i < COUNT(pids); i++)
		if ((pids[i] = check_ok(fork())) == 0) {
			char name[2] = {(char)('a' + i), 0};
			for (int n = 0; n < 5; n++) {
				make_file(name, 10000, (uint32_t)n);
				check_is(sync(), 0);
				check_file(name, 10000, (uint32_t)n);
			}
			exit(0);
		}
	for (int i = 0; i < COUNT(pids); i++)
		check_is(wait_for(pids[i]), 0);
}
