/* SPDX-License-Identifier: MIT */
/*
 * The root file system on an ATA disk: what was synced is on the image, also if the machine is
 * killed in the middle of writing.
 */
#include "tests.h"

#define TOOLS "PATH=$PATH:/usr/sbin:/sbin; "

static struct machine *start_disk(const struct test *t, const char *path)
{
	struct machine_options o = t->machine;
	o.modules = "";
	o.disk = path;
	return start_to_prompt(&o);
}

/* Two files of an image must be the same and not empty; read by debugfs, not by our kernel. */
static void compare(const char *path, const char *a, const char *b)
{
	char text[800];
	const char *from = work_path("a"), *with = work_path("b");
	int status = shell(text, sizeof(text), 30,
			   TOOLS "debugfs -R 'dump %s %s' %s 2>&1; "
			   "debugfs -R 'dump %s %s' %s 2>&1; "
			   "test -s %s && cmp %s %s",
			   a, from, path, b, with, path, from, from, with);
	CHECK(status == 0, "%s and %s differ in the image: %s", a, b, text);
}

/* Files that one boot wrote are there for the next, and for the host's tools. */
static void disk(const struct test *t)
{
	const char *path = root_copy("disk.ext2");
	struct machine *m = start_disk(t, path);
	command(m, "cp /bin/usertests /tmp/copy; mkdir /tmp/dir; mv /tmp/copy /tmp/dir/moved", 60);
	end_at_prompt(m);
	compare(path, "/bin/usertests", "/tmp/dir/moved");
	m = start_disk(t, path);
	command(m, "ls /tmp/dir", 20);
	CHECK(strstr(m->log, "moved"), "the next boot does not find the file");
	end_at_prompt(m);
}

/*
 * The machine is killed at a random moment (number: the seed) after a sync. e2fsck repairs the
 * image, and what was synced is there.
 */
static void killed(const struct test *t)
{
	const char *path = root_copy("disk.ext2");
	char text[1500];
	struct machine *m = start_disk(t, path);
	command(m, "cp /bin/usertests /tmp/kept; echo names > /tmp/second; sync", 60);
	srand(t->number);
	machine_send(m, "cp /bin/usertests /tmp/a; sync; rm /tmp/a; cp /bin/sh /tmp/b; sync; "
			"cp /bin/usertests /tmp/c; mv /tmp/b /tmp/e; sync; rm /tmp/c /tmp/e; "
			"mkdir /tmp/dir; sync; cp /bin/usertests /tmp/dir/f; sync; "
			"rm /tmp/dir/f; sync\n");
	usleep((useconds_t)(rand() % 800000));
	machine_quit(m); /* SIGKILL */
	int status = shell(text, sizeof(text), 60, TOOLS "e2fsck -fy %s 2>&1", path);
	CHECK(status <= 2, "e2fsck cannot repair the image (status %d):\n%s", status, text);
	compare(path, "/bin/usertests", "/tmp/kept");
	m = start_disk(t, path);
	command(m, "cat /tmp/second; ls /tmp", 20);
	CHECK(strstr(m->log, "\nnames\n"), "a synced file is lost");
	end_at_prompt(m);
	compare(path, "/bin/usertests", "/tmp/kept");
}

#define KILLED(n) \
	{ .name = "disk-killed" #n, .run = killed, .seconds = 200, .number = n }
const struct test disk_tests[] = {
	{ .name = "disk", .run = disk, .seconds = 150 },
	{ .name = "disk-smp4", .run = disk, .seconds = 150,
	  .machine = { .cpus = 4, .p2m = "shuffle:4" } },
	KILLED(1), KILLED(2), KILLED(3), KILLED(4), KILLED(5),
	{ 0 },
};
