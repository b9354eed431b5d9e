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

/* Whether the superblock says that the image is clean must be `wanted`. */
static void check_state(const char *path, const char *wanted)
{
	char text[200];
	shell(text, sizeof(text), 30,
	      TOOLS "dumpe2fs -h %s 2>/dev/null | sed -n 's/^Filesystem state: *//p'", path);
	text[strcspn(text, "\n")] = '\0';
	CHECK(strcmp(text, wanted) == 0, "the image's state is \"%s\", not \"%s\"", text, wanted);
}

/* End the machine by `shutdown`; the image must be clean, and say so. */
static void shut_down(struct machine *m, const char *path)
{
	machine_send(m, "shutdown\n");
	int status = machine_wait(m, 30);
	CHECK(status == EXIT_OK, "shutdown ended the machine with status %d", status);
	root_check_file(path);
	check_state(path, "clean");
}

/* Files that another system made: each is listed, what cannot be used is named, all go away. */
#define FOREIGN \
	"mknod pipe p; mknod char c 1 3; symlink link etc/motd; symlink up etc; write %s/5g 5g; " \
	"write /dev/null fixed; sif fixed flags 0x10"

static void foreign(const struct test *t)
{
	static const char *const said[] = {
		"p   1", "c   1", "l   1", "cat: pipe: no such device", "cat: char: no such device",
		"cat: link: symbolic links are not followed", "cat: 5g: file too large",
		"ls: up/motd: symbolic links are not followed", "fixed: operation not permitted",
		"sh: up: symbolic links",
	};
	const char *path = root_copy("disk.ext2"), *folder = work_path("");
	shell_must(30, TOOLS "truncate -s 5G %s/5g && echo '" FOREIGN "' | tr ';' '\\n' | "
		       "debugfs -w %s && e2fsck -fy %s || [ $? = 1 ]", folder, folder, path, path);
	struct machine *m = start_disk(t, path);
	command(m, "ls -l; cat pipe char link 5g; ls up/motd; cd up; rm fixed; mv link moved", 20);
	for (unsigned i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		CHECK(strstr(m->log, said[i]), "nobody said \"%s\"", said[i]);
	check_state(path, "not clean");
	command(m, "rm -r pipe char moved 5g; ls", 20);
	shut_down(m, path);
}

/* An image whose directories do not say which names are directories. */
static void no_types(const struct test *t)
{
	const char *path = root_copy("disk.ext2");
	shell_must(30, TOOLS "debugfs -w -R 'feature -filetype' %s && e2fsck -fy %s || [ $? = 1 ]",
		   path, path);
	struct machine *m = start_disk(t, path);
	command(m, "echo /et*/ /*/motd; mkdir /tmp/d; ls -l /tmp; rm -r /tmp/d", 20);
	CHECK(strstr(m->log, "\n/etc/ /etc/motd\n"), "* does not find directories");
	shut_down(m, path);
}

/*
 * Until the machine ends, a directory that it has removed stays where the shell is in it, and also
 * a file that is open. Afterwards they are gone.
 */
static void removed_in_use(const struct test *t)
{
	const char *path = root_copy("disk.ext2");
	struct machine *m = start_disk(t, path);
	command(m, "mkdir /tmp/d; cd /tmp/d; cp /bin/ls f; sh -c 'rm f; sleep 1000' < f &", 20);
	command(m, "sleep 1; rmdir /tmp/d; ls; cd ..; ls /tmp", 20);
	shut_down(m, path);
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

/*
 * The root image follows the list and the contents of its files, also if their dates are old: a
 * program and a file that come, change and go.
 */
#define IMAGE(is) \
	"{ make -s && [ \"$(for d in bin etc; do debugfs -R \"ls -p /$d\" $i 2>&1; done | " \
	"grep -c /late/)\" = " #is " ] || { echo not " #is " in the image; exit 1; }; }; "
static void root_image(const struct test *t)
{
	char text[2000];
	int status = shell(text, sizeof(text), t->seconds, TOOLS
		"exec 2>&1; i=build/rootfs.ext2; mkdir %s && "
		"tar -c --exclude=.git --exclude=build/[h-jl-qt]* --exclude=build/unit . | "
		"tar -xp -C %s && cd %s || exit 1; unset MAKEFLAGS MFLAGS MAKELEVEL; "
		"cp user/programs/true.c user/programs/late.c; "
		"touch -d 2001-01-01 user/programs/late.c; "
		IMAGE(1) "echo text >user/root/etc/late; touch -d 2001-01-01 user/root/etc/late; "
		IMAGE(2) "rm user/programs/late.c; " IMAGE(1)
		"echo more >user/root/etc/late; touch -d 2001-01-01 user/root/etc/late; " IMAGE(1)
		"debugfs -R 'cat etc/late' $i 2>&1 | grep -q more || { echo old; exit 1; }; "
		"rm user/root/etc/late; " IMAGE(0),
		work_path("tree"), work_path("tree"), work_path("tree"));
	CHECK(status == 0, "status %d: %s", status, text);
}

#define KILLED(n) \
	{ .name = "disk-killed" #n, .run = killed, .seconds = 200, .number = n }
const struct test disk_tests[] = {
	{ .name = "disk", .run = disk, .seconds = 150 },
	{ .name = "disk-smp4", .run = disk, .seconds = 150,
	  .machine = { .cpus = 4, .p2m = "shuffle:4" } },
	{ .name = "disk-foreign", .run = foreign, .seconds = 150 },
	{ .name = "disk-no-types", .run = no_types, .seconds = 150 },
	{ .name = "disk-removed-in-use", .run = removed_in_use, .seconds = 150 },
	{ .name = "root-image", .run = root_image, .seconds = 150 },
	KILLED(1), KILLED(2), KILLED(3), KILLED(4), KILLED(5),
	{ 0 },
};
