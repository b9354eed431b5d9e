/* SPDX-License-Identifier: MIT */
/* Files and their names: links, long names, paths, races for a name, names of devices. */
#include "test.h"

static uint8_t buf[100];

/* A file with two names is gone when its last name is. */
TEST(file_links)
{
	struct stat a, b;
	make_file("a", 100, 1);
	check_is(link("a", "b"), 0);
	check_is(stat("a", &a), 0);
	check_is(stat("b", &b), 0);
	check_is(a.st_ino, b.st_ino);
	check_is(a.st_nlink, 2);
	check_is(link("a", "b"), -EEXIST);
	check_is(link("missing", "c"), -ENOENT);
	check_is(link("a", "missing/c"), -ENOENT);
	check(link(".", "c") < 0);
	check_is(unlink("a"), 0);
	check_file("b", 100, 1);
	check_is(stat("b", &b), 0);
	check_is(b.st_nlink, 1);
	check_is(unlink("b"), 0);
	check_is(unlink("b"), -ENOENT);
}

/* A name of NAME_MAX bytes works; a longer one gives ENAMETOOLONG. The longest path works. */
TEST(file_name_lengths)
{
	static char name[PATH_MAX + 10];
	memset(name, 'n', sizeof(name) - 1);
	name[NAME_MAX] = 0;
	make_file(name, 10, 1);
	check_file(name, 10, 1);
	check_is(unlink(name), 0);
	name[NAME_MAX] = 'n';
	name[NAME_MAX + 1] = 0;
	check_is(open(name, O_RDWR | O_CREAT, 0644), -ENAMETOOLONG);
	check_is(mkdir(name, 0755), -ENAMETOOLONG);
	name[NAME_MAX + 1] = 'n';
	check_is(open(name, O_RDWR | O_CREAT, 0644), -ENAMETOOLONG);
	memset(name, '/', PATH_MAX - 2); /* many slashes count as one */
	name[PATH_MAX - 2] = '.';
	name[PATH_MAX - 1] = 0;
	check(exists(name));
}

/* All spellings of a path lead to the same file. */
TEST(file_paths)
{
	struct stat a, b;
	static const char *const ways[] = {
		"./f", ".//f", "d/../f", "d/.././/f", "/tmp/usertests/f", "//tmp///usertests/f",
		"/../tmp/usertests/f", "/tmp/usertests/d/.././f", "/./tmp/./usertests/./f",
	};
	make_file("f", 10, 1);
	check_is(mkdir("d", 0755), 0);
	check_is(stat("f", &a), 0);
	for (int i = 0; i < COUNT(ways); i++) {
		if (stat(ways[i], &b) != 0 || a.st_ino != b.st_ino)
			fail("%s is another file", ways[i]);
	}
	check_is(stat("f/.", &b), -ENOTDIR);
	check_is(stat("missing/../f", &b), -ENOENT);
	check_is(stat("f/../f", &b), -ENOTDIR);
}

/* The empty path names nothing. */
TEST(file_no_name)
{
	struct stat st;
	make_file("f", 10, 1);
	check_is(link("f", ""), -ENOENT);
	check_is(link("", "g"), -ENOENT);
	check_is(unlink(""), -ENOENT);
	check_is(stat("", &st), -ENOENT);
	check_is(open("", O_RDWR | O_CREAT, 0644), -ENOENT);
	check_is(exec("", (char *[]){ NULL }), -ENOENT);
	check_file("f", 10, 1);
}

/* A file may have hundreds of names, and is there until the last one goes. */
TEST(file_many_links)
{
	enum { LINKS = 500 };
	struct stat st;
	char name[16];
	make_file("0", 5000, 1);
	for (int i = 1; i < LINKS; i++) {
		snprintf(name, sizeof(name), "%d", i);
		check_is(link("0", name), 0);
	}
	check_is(stat("7", &st), 0);
	check_is(st.st_nlink, LINKS);
	for (int i = 0; i < LINKS; i++) {
		snprintf(name, sizeof(name), "%d", i);
		if (i % 100 == 99)
			check_file(name, 5000, 1);
		check_is(unlink(name), 0);
	}
	check(!exists("0"));
}

/* Processes that create, write and delete a file of one name at the same time do no harm. */
TEST(file_races)
{
	int pids[4];
	for (int i = 0; i < COUNT(pids); i++)
		if ((pids[i] = check_ok(fork())) == 0) {
			for (int n = 0; n < 25; n++) {
				int fd = open("f", O_RDWR | (n & 1 ? O_CREAT : 0), 0644);
				check(fd >= 0 || fd == -ENOENT);
				if (fd >= 0) {
					check_is(write(fd, buf, 100), 100);
					check_is(close(fd), 0);
				}
				fd = unlink("f");
				check(fd == 0 || fd == -ENOENT);
			}
			exit(0);
		}
	for (int i = 0; i < COUNT(pids); i++)
		check_is(wait_for(pids[i]), 0);
}

/*
 * The console is a character device, and devices cannot be created, deleted, renamed or linked.
 * /dev/null, if it exists, is empty, and takes all that is written: at once so much that the result
 * is no error.
 */
TEST(file_devices)
{
	struct stat st;
	check_is(stat("/dev/console", &st), 0);
	check_is(st.st_mode & S_IFMT, S_IFCHR);
	int fd = open("/dev/null", O_RDWR, 0);
	if (fd >= 0) {
		check_is(write(fd, buf, 100), 100);
		check_is(write(fd, buf, 0xFFFFFFFF), 0x7FFFF000);
		check_is(read(fd, buf, 100), 0);
		close(fd);
	}
	check(open("/dev/missing", O_RDWR | O_CREAT, 0) < 0);
	check(unlink("/dev/console") < 0);
	check(rename("/dev/console", "c") < 0);
	check(link("/dev/console", "c") < 0);
}
