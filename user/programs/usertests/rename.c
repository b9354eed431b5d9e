/* SPDX-License-Identifier: MIT */
/* rename: the file has a name at every moment, and directories stay a tree. */
#include "test.h"

/* To a free name: the file is the same, its name is new. */
TEST(rename_file)
{
	struct stat a, b;
	make_file("a", 100, 1);
	check_is(stat("a", &a), 0);
	check_is(rename("a", "b"), 0);
	check_is(stat("b", &b), 0);
	check_is(a.st_ino, b.st_ino);
	check_is(b.st_nlink, 1);
	check(!exists("a"));
	check_file("b", 100, 1);
}

/* Over a file: that file loses its name, but can still be read where it is open. */
TEST(rename_replaces)
{
	char c;
	make_file("a", 100, 1);
	make_file("b", 200, 2);
	int fd = check_ok(open("b", O_RDONLY, 0));
	check_is(rename("a", "b"), 0);
	check(!exists("a"));
	check_file("b", 100, 1);
	check_is(lseek(fd, 199, SEEK_SET), 199);
	check_is(read(fd, &c, 1), 1);
}

/* Into another directory, and back. */
TEST(rename_between_directories)
{
	check_is(mkdir("d", 0755), 0);
	make_file("a", 100, 1);
	check_is(rename("a", "d/b"), 0);
	check_file("d/b", 100, 1);
	check_is(rename("d/b", "./a"), 0);
	check_file("a", 100, 1);
	check_is(rmdir("d"), 0);
}

/* To its own name, or to another name of the same file: the file stays as it is. */
TEST(rename_same_file)
{
	make_file("a", 100, 1);
	check_is(rename("a", "a"), 0);
	check_file("a", 100, 1);
	check_is(link("a", "b"), 0);
	check_ok(rename("a", "b"));
	check_file("b", 100, 1);
}

/* A directory moves with all that it holds; its ".." is the new parent, and link counts follow. */
TEST(rename_directory)
{
	struct stat st, up;
	check_is(mkdir("p", 0755), 0);
	check_is(mkdir("q", 0755), 0);
	check_is(mkdir("p/d", 0755), 0);
	make_file("p/d/f", 100, 1);
	check_is(rename("p/d", "q/e"), 0);
	check_file("q/e/f", 100, 1);
	check_is(stat("q", &st), 0);
	check_is(stat("q/e/..", &up), 0);
	check_is(st.st_ino, up.st_ino);
	check_is(st.st_nlink, 3);
	check_is(stat("p", &st), 0);
	check_is(st.st_nlink, 2);
	check_is(rmdir("p"), 0);
}

/* A directory cannot move into itself or into a directory below it. */
TEST(rename_into_itself)
{
	check_is(mkdir("d", 0755), 0);
	check_is(mkdir("d/e", 0755), 0);
	check_is(rename("d", "d/x"), -EINVAL);
	check_is(rename("d", "d/e/x"), -EINVAL);
	check(rename("d", "d/e") < 0);
	check(rename(".", "x") < 0);
	check(rename("d/..", "x") < 0);
	check(exists("d/e"));
}

/* Files do not replace directories, directories do not replace files or full directories. */
TEST(rename_wrong_kinds)
{
	make_file("f", 10, 1);
	check_is(mkdir("d", 0755), 0);
	check_is(mkdir("e", 0755), 0);
	make_file("e/g", 10, 2);
	check(rename("f", "d") < 0);
	check(rename("d", "f") < 0);
	check(rename("d", "e") < 0);
	check_file("f", 10, 1);
	check_file("e/g", 10, 2);
	check(exists("d"));
}

/* A missing file or directory is an error, and nothing changes. */
TEST(rename_missing)
{
	make_file("f", 10, 1);
	check_is(rename("x", "y"), -ENOENT);
	check_is(rename("x", "f"), -ENOENT);
	check_is(rename("f", "x/y"), -ENOENT);
	check_is(rename("f", "f/y"), -ENOTDIR);
	check_is(rename("", "y"), -ENOENT);
	check(rename("f", "") < 0);
	check_is(rename("/proc/uptime", "y") < 0, 1);
	check_is(rename("f", "/proc/f") < 0, 1);
	check_file("f", 10, 1);
}

/* While one process renames over a file again and again, another always finds the name. */
TEST(rename_is_atomic)
{
	make_file("f", 10, 1);
	int pid = check_ok(fork());
	if (pid == 0) {
		for (int i = 0; i < 60; i++) {
			make_file("new", 10, 1);
			check_is(rename("new", "f"), 0);
		}
		exit(0);
	}
	int status, n = 0;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		check(exists("f"));
		if (++n % 4 == 0)
			yield();
	}
	check_is(status, 0);
}

/* Two processes that move directories into each other cannot make a loop. */
TEST(rename_no_loop)
{
	check_is(mkdir("a", 0755), 0);
	check_is(mkdir("b", 0755), 0);
	int pid = check_ok(fork());
	for (int i = 0; i < 30; i++) {
		rename(pid ? "a" : "b", pid ? "b/a" : "a/b");
		rename(pid ? "b/a" : "a/b", pid ? "a" : "b");
	}
	if (pid == 0)
		exit(0);
	check_is(wait_for(pid), 0);
	check(exists("a") && exists("b"));
}
