/* SPDX-License-Identifier: MIT */
/* Regular files: what was written is what is read, at any position and in any size. */
#include "test.h"

static uint8_t buf[4 * PAGE];

/* Files with sizes around every limit come back as they were written. */
TEST(file_sizes)
{
	static const uint32_t sizes[] = {
		0, 1, 511, 512, 1023, 1024, 4095, 4096, 4097, 8192, 49152, 49153, 100000,
	};
	for (int i = 0; i < COUNT(sizes); i++) {
		make_file("f", sizes[i], (uint32_t)i);
		check_file("f", sizes[i], (uint32_t)i);
		check_is(unlink("f"), 0);
	}
}

/* A file that is written and read in pieces of odd sizes is the same. */
TEST(file_odd_pieces)
{
	uint32_t seed = 3, at = 0;
	int fd = check_ok(open("f", O_RDWR | O_CREAT, 0644)), n;
	fill(buf, sizeof(buf), 9);
	while (at < sizeof(buf)) {
		uint32_t piece = next_random(&seed) % 700 + 1;
		piece = at + piece > sizeof(buf) ? sizeof(buf) - at : piece;
		check_is(write(fd, buf + at, piece), piece);
		at += piece;
	}
	memset(buf, 0, sizeof(buf));
	check_is(lseek(fd, 0, SEEK_SET), 0);
	at = 0;
	while ((n = check_ok(read(fd, buf + at, next_random(&seed) % 700 + 1))) > 0)
		at += (uint32_t)n;
	check_is(at, sizeof(buf));
	check_is(differs(buf, sizeof(buf), 9), -1);
}

/* open: missing files, O_CREAT, O_EXCL, O_TRUNC, O_DIRECTORY, and directories. */
TEST(file_open_flags)
{
	check_is(open("f", O_RDWR, 0), -ENOENT);
	check_is(open("", O_RDWR, 0), -ENOENT);
	check_is(close(check_ok(open("f", O_RDWR | O_CREAT | O_EXCL, 0644))), 0);
	check_is(open("f", O_RDWR | O_CREAT | O_EXCL, 0644), -EEXIST);
	make_file("f", 100, 1);
	check_is(close(check_ok(open("f", O_RDWR | O_CREAT, 0644))), 0);
	check_file("f", 100, 1);
	check_is(close(check_ok(open("f", O_WRONLY | O_TRUNC, 0))), 0);
	check_is(size_of("f"), 0);
	check_is(open("f", O_RDONLY | O_DIRECTORY, 0), -ENOTDIR);
	check_is(mkdir("d", 0755), 0);
	check_is(open("d", O_WRONLY, 0), -EISDIR);
	check_is(open("d", O_RDWR | O_CREAT, 0), -EISDIR);
	int fd = check_ok(open("d", O_RDONLY | O_DIRECTORY, 0));
	check(read(fd, buf, 10) < 0);
	check(write(fd, buf, 10) < 0);
	check_is(close(fd), 0);
	check_is(open("missing/f", O_RDWR | O_CREAT, 0644), -ENOENT);
	check_is(open("f/g", O_RDWR | O_CREAT, 0644), -ENOTDIR);
}

/* O_APPEND writes at the end, wherever the position is, and from several processes without loss. */
TEST(file_append)
{
	int pids[4];
	make_file("f", 10, 0);
	int fd = check_ok(open("f", O_RDWR | O_APPEND, 0));
	check_is(write(fd, "end", 3), 3);
	check_is(lseek(fd, 10, SEEK_SET), 10);
	check_is(read(fd, buf, 10), 3);
	check(!memcmp(buf, "end", 3));
	for (int i = 0; i < COUNT(pids); i++)
		if ((pids[i] = check_ok(fork())) == 0) {
			fd = check_ok(open("f", O_WRONLY | O_APPEND, 0));
			for (int n = 0; n < 25; n++)
				check_is(write(fd, "abcdefg", 7), 7);
			exit(0);
		}
	for (int i = 0; i < COUNT(pids); i++)
		check_is(wait_for(pids[i]), 0);
	check_is(size_of("f"), 13 + 4 * 25 * 7);
}

/*
 * lseek has three ways to count, may go past the end, and refuses a position before the start or
 * at 2 GiB.
 */
TEST(file_seek)
{
	make_file("f", 100, 0);
	int fd = check_ok(open("f", O_RDWR, 0));
	check_is(lseek(fd, 30, SEEK_SET), 30);
	check_is(lseek(fd, 5, SEEK_CUR), 35);
	check_is(lseek(fd, -10, SEEK_CUR), 25);
	check_is(lseek(fd, -1, SEEK_END), 99);
	check_is(lseek(fd, 1000, SEEK_END), 1100);
	check_is(read(fd, buf, 1), 0);
	check_is(lseek(fd, -1, SEEK_SET), -EINVAL);
	check_is(lseek(fd, -101, SEEK_END), -EINVAL);
	check_is(lseek(fd, 0, 3), -EINVAL);
	check_is(lseek(fd, 0, -1), -EINVAL);
	check_is(lseek(fd, 0, SEEK_CUR), 1100);
	check_is(lseek(fd, 0x7FFFFFFF, SEEK_SET), 0x7FFFFFFF);
	check_is(lseek(fd, 1, SEEK_CUR), -EINVAL);
	check_is(size_of("f"), 100);
}

/* A hole reads as zeros and takes no blocks. */
TEST(file_sparse)
{
	struct stat st;
	int fd = check_ok(open("f", O_RDWR | O_CREAT, 0644));
	check_is(lseek(fd, 200000, SEEK_SET), 200000);
	check_is(write(fd, "x", 1), 1);
	check_is(fstat(fd, &st), 0);
	check_is(st.st_size, 200001);
	check(st.st_blocks <= 32);
	check_is(lseek(fd, 100000, SEEK_SET), 100000);
	check_is(read(fd, buf, sizeof(buf)), sizeof(buf));
	check(all_zero(buf, sizeof(buf)));
	check_is(lseek(fd, 199000, SEEK_SET), 199000);
	check_is(read(fd, buf, sizeof(buf)), 1001);
	check(all_zero(buf, 1000) && buf[1000] == 'x');
}

/* Data in direct, indirect and doubly indirect blocks, written in any order, stays separate. */
TEST(file_indirect)
{
	static const uint32_t at[] = {
		5u << 20, 0, 44 << 10, 48 << 10, 4145152, 4243456, 4247552, 1 << 20, 9u << 20,
	};
	int fd = check_ok(open("f", O_RDWR | O_CREAT, 0644));
	for (int i = 0; i < COUNT(at); i++) {
		fill(buf, 3000, at[i]);
		check_is(lseek(fd, (int)at[i], SEEK_SET), at[i]);
		check_is(write(fd, buf, 3000), 3000);
	}
	for (int i = 0; i < COUNT(at); i++) {
		check_is(lseek(fd, (int)at[i], SEEK_SET), at[i]);
		check_is(read(fd, buf, 3000), 3000);
		check_is(differs(buf, 3000, at[i]), -1);
	}
	check_is(size_of("f"), (9 << 20) + 3000);
	check_is(ftruncate(fd, 0), 0);
	struct stat st;
	check_is(fstat(fd, &st), 0);
	check_is(st.st_blocks, 0);
}

/* A file large enough to fill its indirect blocks. */
TEST(file_large)
{
	uint32_t bytes = big ? 6 << 20 : 1 << 20;
	make_file("f", bytes, 1);
	check_file("f", bytes, 1);
}

/* Writes and ftruncate beyond a file's largest size leave the file as it is. */
TEST(file_too_large)
{
	static const uint32_t at[] = {0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFF000, 0xFFFFFFFF};
	make_file("f", 10, 1);
	int fd = check_ok(open("f", O_RDWR, 0));
	for (int i = 0; i < COUNT(at); i++) {
		if (lseek(fd, (int)at[i], SEEK_SET) == (int)at[i])
			write(fd, buf, sizeof(buf));
		check_is(ftruncate(fd, 10), 0);
		ftruncate(fd, at[i]);
		check_is(ftruncate(fd, 10), 0);
	}
	check_file("f", 10, 1);
}

/* ftruncate shortens a file; what it adds is zero, also where data was before. */
TEST(file_truncate)
{
	make_file("f", 10000, 1);
	int fd = check_ok(open("f", O_RDWR, 0));
	check_is(ftruncate(fd, 5000), 0);
	check_is(size_of("f"), 5000);
	check_is(ftruncate(fd, 12000), 0);
	check_is(read(fd, buf, sizeof(buf)), 12000);
	check_is(differs(buf, 5000, 1), -1);
	check(all_zero(buf + 5000, 7000));
	check_is(ftruncate(fd, 0), 0);
	check_is(lseek(fd, 0, SEEK_SET), 0);
	check_is(read(fd, buf, 1), 0);
	check_is(ftruncate(fd, 1), 0);
	check_is(read(fd, buf, 10), 1);
	check_is(buf[0], 0);
}

/* An open file without a name exists until it is closed. */
TEST(file_unlinked_open)
{
	struct stat st;
	make_file("f", 5000, 1);
	int fd = check_ok(open("f", O_RDWR, 0));
	check_is(unlink("f"), 0);
	check_is(open("f", O_RDONLY, 0), -ENOENT);
	check_is(fstat(fd, &st), 0);
	check_is(st.st_nlink, 0);
	make_file("f", 100, 2); /* another file with that name */
	check_is(read(fd, buf, sizeof(buf)), 5000);
	check_is(differs(buf, 5000, 1), -1);
	check_is(write(fd, buf, 5000), 5000);
	check_is(close(fd), 0);
	check_file("f", 100, 2);
}
