/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: a call gives the lowest free one, there are OPEN_MAX of them, and a wrong one gives
 * EBADF everywhere.
 */
#include "test.h"

static char buf[64];

/* All calls that take a descriptor refuse fd, which is not open. */
static void check_bad(int fd)
{
	struct stat st;
	check_is(read(fd, buf, 1), -EBADF);
	check_is(write(fd, buf, 1), -EBADF);
	check_is(close(fd), -EBADF);
	check_is(dup(fd), -EBADF);
	check_is(dup2(fd, 5), -EBADF);
	check_is(fstat(fd, &st), -EBADF);
	check_is(lseek(fd, 0, SEEK_SET), -EBADF);
	check_is(getdents(fd, buf, sizeof(buf)), -EBADF);
	check_is(ftruncate(fd, 0), -EBADF);
}

/* Closed, negative and too large descriptors all give EBADF. */
TEST(fd_bad)
{
	static const int bad[] = {
		OPEN_MAX, OPEN_MAX + 1, 1000, -1, -2, 0x7FFFFFFF, (int)0x80000000,
		(int)0xC0000000,
	};
	for (int i = 0; i < COUNT(bad); i++)
		check_bad(bad[i]);
	int fd = check_ok(dup(0));
	check_is(close(fd), 0);
	check_bad(fd);
}

/* open and dup give the lowest free descriptor. */
TEST(fd_lowest)
{
	int a = check_ok(dup(0)), b = check_ok(dup(0)), c = check_ok(dup(0));
	check(a < b && b < c);
	close(a);
	close(c);
	check_is(open("/", O_RDONLY, 0), a);
	check_is(dup(0), c);
	close(b);
	check_is(dup(c), b);
}

/* A dup shares the position; when one descriptor is closed the other stays open. */
TEST(fd_dup_shares)
{
	make_file("f", 10, 0);
	int fd = check_ok(open("f", O_RDWR, 0)), copy = check_ok(dup(fd));
	check_is(lseek(fd, 4, SEEK_SET), 4);
	check_is(lseek(copy, 0, SEEK_CUR), 4);
	check_is(close(fd), 0);
	check_is(read(copy, buf, 10), 6);
	check_is(close(copy), 0);
}

/* dup2 takes the wanted descriptor and closes what was there; onto itself it changes nothing. */
TEST(fd_dup2)
{
	int p[2];
	make_file("f", 10, 0);
	int fd = check_ok(open("f", O_RDONLY, 0));
	check_is(pipe(p), 0);
	check_is(dup2(fd, fd), fd);
	check_is(read(fd, buf, 1), 1);
	check_is(dup2(fd, p[1]), p[1]);
	check_is(read(p[0], buf, 1), 0); /* no writer is left */
	check_is(read(p[1], buf, 10), 9);
	check_is(dup2(fd, OPEN_MAX), -EBADF);
	check_is(dup2(fd, -1), -EBADF);
	check_is(dup2(fd, OPEN_MAX - 2), OPEN_MAX - 2);
}

/* When all descriptors are in use open and dup give EMFILE; after a close one is free again. */
TEST(fd_exhausted)
{
	int fd, last = -1, n = 0;
	while ((fd = open("/", O_RDONLY, 0)) >= 0)
		last = fd, n++;
	check_is(fd, -EMFILE);
	check(n > 20 && last < OPEN_MAX);
	check_is(dup(0), -EMFILE);
	check_is(open("new", O_RDWR | O_CREAT, 0644), -EMFILE);
	check_is(close(last), 0);
	check_is(open("/", O_RDONLY, 0), last);
}

/* A file can be opened many times, each with its own position. */
TEST(fd_independent_positions)
{
	make_file("f", 100, 0);
	int a = check_ok(open("f", O_RDONLY, 0)), b = check_ok(open("f", O_RDONLY, 0));
	check_is(read(a, buf, 60), 60);
	check_is(read(b, buf, 60), 60);
	check_is(differs(buf, 60, 0), -1);
	check_is(read(a, buf, 60), 40);
}

/* A descriptor only allows what open's access mode says. */
TEST(fd_access_mode)
{
	make_file("f", 10, 0);
	int fd = check_ok(open("f", O_RDONLY, 0));
	check_is(write(fd, buf, 1), -EBADF);
	check(ftruncate(fd, 0) < 0);
	check_is(close(fd), 0);
	fd = check_ok(open("f", O_WRONLY, 0));
	check_is(read(fd, buf, 1), -EBADF);
	check_is(close(fd), 0);
	check_file("f", 10, 0);
}
