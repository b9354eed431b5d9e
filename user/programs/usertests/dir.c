/* SPDX-License-Identifier: MIT */
/* Directories: deep ones, wide ones, their entries, and a process's current directory. */
#include "test.h"

static char buf[PATH_MAX + 1], path[PATH_MAX + 1];

/* What mkdir and rmdir do, and what they refuse. */
TEST(dir_make_remove)
{
	struct stat st;
	check_is(mkdir("d", 0755), 0);
	check_is(mkdir("d", 0755), -EEXIST);
	check_is(mkdir("x/d", 0755), -ENOENT);
	check_is(stat("d", &st), 0);
	check_is(st.st_mode & S_IFMT, S_IFDIR);
	check_is(st.st_nlink, 2);
	check_is(unlink("d"), -EISDIR);
	make_file("d/f", 10, 1);
	check_is(rmdir("d"), -ENOTEMPTY);
	check_is(rmdir("d/f"), -ENOTDIR);
	check_is(mkdir("d/f/g", 0755), -ENOTDIR);
	check_is(unlink("d/f"), 0);
	check_is(rmdir("d"), 0);
	check_is(rmdir("d"), -ENOENT);
	check(rmdir("/") < 0);
	check_is(mkdir("d", 0755), 0);
	check_is(rmdir("d/."), -EINVAL);
	check_is(rmdir("d/.."), -EINVAL);
	check_is(rmdir("d/"), 0);
	check_is(rmdir(""), -ENOENT);
	check_is(mkdir("", 0755), -ENOENT);
	check_is(chdir(""), -ENOENT);
	check(rmdir(".") < 0);
	check(rmdir("..") < 0);
	check(mkdir("/", 0755) < 0);
	check(mkdir(".", 0755) < 0);
	check(mkdir("/proc/x", 0755) < 0);
	check(rmdir("/proc") < 0);
}

/* Each subdirectory counts as a link to its parent. */
TEST(dir_link_counts)
{
	struct stat st;
	check_is(mkdir("d", 0755), 0);
	for (int i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "d/%d", i);
		check_is(mkdir(path, 0755), 0);
	}
	check_is(stat("d", &st), 0);
	check_is(st.st_nlink, 7);
	check_is(rmdir("d/2"), 0);
	check_is(stat("d", &st), 0);
	check_is(st.st_nlink, 6);
}

enum { DEPTH = 50 };

/* Fifty levels down and up again; getcwd gives the whole path. */
TEST(dir_deep)
{
	struct stat top, st;
	check_is(stat(".", &top), 0);
	for (int i = 0; i < DEPTH; i++) {
		check_is(mkdir("deep", 0755), 0);
		check_is(chdir("deep"), 0);
	}
	make_file("f", 10, 1);
	check_is(getcwd(buf, sizeof(buf)), strlen("/tmp/usertests") + DEPTH * strlen("/deep"));
	check_is(stat(buf, &st), 0);
	snprintf(path, sizeof(path), "%s/f", buf);
	check_file(path, 10, 1);
	check_is(unlink(path), 0);
	for (int i = 0; i < DEPTH; i++) {
		check_is(chdir(".."), 0);
		check_is(rmdir("deep"), 0);
	}
	check_is(stat(".", &st), 0);
	check_is(st.st_ino, top.st_ino);
}

/* When the current directory's path would not fit, mkdir or chdir fails; getcwd still works. */
TEST(dir_too_deep)
{
	int levels = 0;
	memset(path, 'd', 200);
	path[200] = 0;
	while (levels < 10 && mkdir(path, 0755) == 0 && chdir(path) == 0)
		levels++;
	check(levels >= 3);
	check_ok(getcwd(buf, sizeof(buf)));
	struct stat st;
	check_is(stat(buf, &st), 0);
}

/*
 * List a directory that may hold files f0, f1, ... f(n-1). Each may come once only, and is marked
 * in `seen`. Result: number of entries.
 */
static int list(const char *dir, size_t bytes, uint8_t *seen, int n)
{
	int fd = check_ok(open(dir, O_RDONLY | O_DIRECTORY, 0)), got, entries = 0;
	while ((got = check_ok(getdents(fd, buf, bytes))) > 0)
		for (int at = 0; at < got; entries++) {
			struct dirent *d = (struct dirent *)(buf + at);
			check(d->d_reclen >= sizeof(*d) + 2 && d->d_reclen % 4 == 0);
			check(at + d->d_reclen <= got);
			check(d->d_ino != 0);
			check(strlen(d->d_name) + sizeof(*d) < d->d_reclen);
			at += d->d_reclen;
			if (d->d_name[0] != 'f' || d->d_name[1] < '0' || d->d_name[1] > '9')
				continue;
			int i = 0;
			for (const char *c = d->d_name + 1; *c; c++)
				i = i * 10 + *c - '0';
			check(i < n && !seen[i]);
			check_is(d->d_type, S_IFREG >> 12);
			seen[i] = 1;
		}
	check_is(close(fd), 0);
	return entries;
}

/* All of many entries are listed once, with any size of the buffer; none is left after unlink. */
TEST(dir_many_entries)
{
	static uint8_t seen[600];
	int n = big ? COUNT(seen) : 200;
	check_is(mkdir("d", 0755), 0);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "d/f%d", i);
		check_is(close(check_ok(open(path, O_WRONLY | O_CREAT | O_EXCL, 0644))), 0);
	}
	check_is(list("d", sizeof(buf), seen, n), n + 2);
	memset(seen, 0, sizeof(seen));
	check_is(list("d", 40, seen, n), n + 2);
	for (int i = 0; i < n; i++) {
		check(seen[i]);
		snprintf(path, sizeof(path), "d/f%d", (i * 7) % n); /* n is no multiple of 7 */
		check_is(unlink(path), 0);
	}
	check_is(list("d", sizeof(buf), seen, 0), 2);
	check_is(rmdir("d"), 0);
}

/* A buffer too small for one entry is an error, not the end; getdents refuses files. */
TEST(dir_getdents_errors)
{
	int fd = check_ok(open(".", O_RDONLY, 0));
	check_is(getdents(fd, buf, 1), -EINVAL);
	check_is(getdents(fd, buf, 0), -EINVAL);
	check(check_ok(getdents(fd, buf, sizeof(buf))) > 0);
	check_is(getdents(fd, buf, sizeof(buf)), 0);
	check_is(close(fd), 0);
	make_file("f", 10, 1);
	fd = check_ok(open("f", O_RDONLY, 0));
	check_is(getdents(fd, buf, sizeof(buf)), -ENOTDIR);
}

/* chdir to something that is no directory fails and changes nothing. */
TEST(dir_chdir_errors)
{
	make_file("f", 10, 1);
	check_is(chdir("f"), -ENOTDIR);
	check_is(chdir("missing"), -ENOENT);
	check_is(chdir(""), -ENOENT);
	check_ok(getcwd(buf, sizeof(buf)));
	check(!strcmp(buf, "/tmp/usertests"));
}

/* getcwd gives the normalized path, or ERANGE if it does not fit. */
TEST(dir_getcwd)
{
	static const struct { const char *to, *is; } steps[] = {
		{"/", "/"}, {"..", "/"}, {"tmp", "/tmp"}, {".", "/tmp"},
		{"usertests//", "/tmp/usertests"}, {"../../bin/./..//proc", "/proc"}, {"..", "/"},
		{"/dev/../bin", "/bin"},
	};
	for (int i = 0; i < COUNT(steps); i++) {
		check_is(chdir(steps[i].to), 0);
		int length = check_ok(getcwd(buf, sizeof(buf)));
		if (strcmp(buf, steps[i].is) || length != (int)strlen(steps[i].is))
			fail("after chdir %s: %s (%d)", steps[i].to, buf, length);
	}
	check_is(getcwd(buf, 4), -ERANGE);
	check_is(getcwd(buf, 0), -ERANGE);
	check_is(getcwd(buf, 5), 4);
}

/* The current directory may be removed: nothing can be made in it then, but chdir leaves it. */
TEST(dir_remove_current)
{
	check_is(mkdir("d", 0755), 0);
	check_is(chdir("d"), 0);
	check_is(rmdir("../d"), 0);
	check(open("f", O_RDWR | O_CREAT, 0644) < 0);
	check(mkdir("e", 0755) < 0);
	check_is(chdir("/tmp/usertests"), 0);
	check(!exists("d"));
}

static void exit_in_removed(void)
{
	struct stat st;
	check_is(mkdir("a", 0755), 0);
	check_is(mkdir("a/b", 0755), 0);
	check_is(chdir("a/b"), 0);
	check_is(rmdir("/tmp/usertests/a/b"), 0);
	check_is(rmdir("/tmp/usertests/a"), 0);
	make_file("/tmp/usertests/f", 10, 1); /* may get the parent's inode */
	check_is(stat("..", &st), -ENOENT);
	check_is(stat("../f", &st), -ENOENT);
	check_is(chdir(".."), -ENOENT);
	check_is(stat(".", &st), 0);
	check_is(st.st_nlink, 0);
	check_is(rename("/tmp/usertests/f", "f"), -ENOENT);
	check_is(link("/tmp/usertests/f", "f"), -ENOENT);
}

/* A process may end in a removed directory, whose parent is gone, too. */
TEST(dir_exit_in_removed)
{
	for (int i = 0; i < 20; i++) {
		check_child(exit_in_removed);
		check_is(unlink("f"), 0);
	}
}

/* A directory that needs a block of pointers: all its names are found, and it becomes empty. */
TEST(dir_large)
{
	enum { LARGE = 230 }; /* 15 such names fill a block, and 12 blocks need no pointers */
	struct stat st;
	check_is(mkdir("d", 0755), 0);
	for (int i = 0; i < LARGE; i++) {
		snprintf(path, sizeof(path), "d/%0250d", i);
		check_is(i ? link("f", path) : close(open("f", O_RDWR | O_CREAT, 0644)), 0);
	}
	check_is(stat("d", &st), 0);
	check(st.st_size > 12 * 4096 && st.st_blocks * 512 > st.st_size);
	for (int i = LARGE - 1; i > 0; i--) {
		snprintf(path, sizeof(path), "d/%0250d", i);
		check(exists(path));
		check_is(rmdir("d"), -ENOTEMPTY);
		check_is(unlink(path), 0);
	}
	check_is(rmdir("d"), 0);
}

/* The kernel's own directories, /proc and /dev, can be listed, and their files read. */
TEST(dir_synthetic)
{
	static uint8_t none[1];
	check(list("/proc", sizeof(buf), none, 0) > 2);
	check(list("/dev", sizeof(buf), none, 0) > 2);
	check(exists("/proc/mode"));
	check(exists("/proc/../proc/uptime"));
	int fd = check_ok(open("/proc/mode", O_RDONLY, 0));
	check(check_ok(read(fd, buf, 16)) > 0);
	check(!strncmp(buf, "native", 6) || !strncmp(buf, "virtual", 7) ||
	      !strncmp(buf, "full", 4));
}
