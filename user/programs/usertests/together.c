/* SPDX-License-Identifier: MIT */
/* Several processes at once: on one open file that they inherited, and in one directory. */
#include "test.h"

/* Records are large, so that a tick falls into a read or write. */
enum { PROCESSES = 4, RECORDS = 15, RECORD = 20000, NAMES = 40 };

static uint8_t buf[RECORD], seen[PROCESSES * RECORDS];
static char path[64];

/* Run fn(0) to fn(PROCESSES - 1) at the same time. */
static void together(void (*fn)(int))
{
	int pids[PROCESSES];
	for (int i = 0; i < PROCESSES; i++)
		if ((pids[i] = check_ok(fork())) == 0) {
			fn(i);
			exit(0);
		}
	for (int i = 0; i < PROCESSES; i++)
		check_is(wait_for(pids[i]), 0);
}

/* --- one open file --- */

static int shared, ready[2], go[PROCESSES][2]; /* pipes, for starter() */

static void write_records(int process)
{
	for (int i = 0; i < RECORDS; i++) {
		memset(buf, process * RECORDS + i, RECORD);
		check_is(write(shared, buf, RECORD), RECORD);
	}
}

static void read_records(int process)
{
	int own = check_ok(open(path, O_RDWR | O_CREAT | O_APPEND, 0644)), n;
	(void)process;
	while ((n = check_ok(read(shared, buf, RECORD))) > 0) {
		check_is(n, RECORD);
		for (int i = 0; i < RECORD; i++)
			check_is(buf[i], buf[0]);
		check_is(write(own, buf, 1), 1);
	}
}

/*
 * Writers with one position write one after the other: no record is lost or mixed. Readers get each
 * record once.
 */
TEST(together_one_position)
{
	shared = check_ok(open("f", O_RDWR | O_CREAT, 0644));
	together(write_records);
	check_is(size_of("f"), PROCESSES * RECORDS * RECORD);
	check_is(lseek(shared, 0, SEEK_SET), 0);
	snprintf(path, sizeof(path), "read");
	together(read_records);
	int fd = check_ok(open("read", O_RDONLY, 0));
	check_is(read(fd, buf, RECORD), PROCESSES * RECORDS);
	for (int i = 0; i < PROCESSES * RECORDS; i++)
		check_is(seen[buf[i]]++, 0);
}

static void list_some(int process)
{
	static char entries[100];
	int n;
	(void)process;
	int own = check_ok(open(path, O_RDWR | O_CREAT | O_APPEND, 0644));
	while ((n = check_ok(getdents(shared, entries, sizeof(entries)))) > 0)
		for (int at = 0; at < n;) {
			struct dirent *d = (struct dirent *)(entries + at);
			at += d->d_reclen;
			if (d->d_name[0] == 'e')
				check_is(write(own, d->d_name + 1, 2), 2);
		}
}

/* Readers of a directory with one position get each entry once. */
TEST(together_one_listing)
{
	check_is(mkdir("d", 0755), 0);
	for (int i = 0; i < NAMES; i++) {
		snprintf(path, sizeof(path), "d/e%d", i + 10);
		make_file(path, 0, 0);
	}
	shared = check_ok(open("d", O_RDONLY | O_DIRECTORY, 0));
	snprintf(path, sizeof(path), "read");
	together(list_some);
	int fd = check_ok(open("read", O_RDONLY, 0));
	check_is(read(fd, buf, RECORD), NAMES * 2);
	for (int i = 0; i < NAMES; i++)
		check_is(seen[(buf[2 * i] - '0') * 10 + buf[2 * i + 1] - '0']++, 0);
}

/* --- one directory --- */

/*
 * Of each number, every process makes a file, and all at once want to give theirs one more name;
 * one of them succeeds. They also race for making a directory and a file, and for removing one.
 * `shared` takes a byte for each success.
 */
static void race(int process)
{
	for (int i = 0; i < NAMES; i++) {
		char own[32], one[32], c;
		snprintf(own, sizeof(own), "d/own-%d-%d", process, i);
		make_file(own, 1, 0);
		snprintf(one, sizeof(one), "d/link-%d", i);
		check_is(write(ready[1], "r", 1), 1);
		check_is(read(go[process][0], &c, 1), 1);
		int results[4] = { link(own, one) };
		snprintf(one, sizeof(one), "d/dir-%d", i);
		results[1] = mkdir(one, 0755);
		snprintf(one, sizeof(one), "d/file-%d", i);
		results[2] = open(one, O_RDWR | O_CREAT | O_EXCL, 0644);
		if (results[2] >= 0)
			results[2] = close(results[2]);
		snprintf(one, sizeof(one), "d/gone-%d", i);
		results[3] = unlink(one);
		for (int k = 0; k < 4; k++) {
			check_is(results[k], results[k] ? k < 3 ? -EEXIST : -ENOENT : 0);
			check_is(write(shared, &"abcd"[k], results[k] == 0), results[k] == 0);
		}
		if (i % 2)
			check_is(unlink(own), 0);
	}
}

/* Let the processes begin each number together. */
static void starter(void)
{
	char c;
	for (int i = 0; i < NAMES; i++) {
		for (int k = 0; k < PROCESSES; k++)
			check_is(read(ready[0], &c, 1), 1);
		for (int k = 0; k < PROCESSES; k++)
			check_is(write(go[k][1], "g", 1), 1);
	}
}

/* Look for the names that race() must leave; each is there once, and none besides. */
static void check_names(void)
{
	int names = 0, n;
	static char entries[1024];
	struct stat st;
	for (int i = 0; i < NAMES; i++) {
		snprintf(path, sizeof(path), "d/link-%d", i);
		check_is(stat(path, &st), 0);
		check_is(st.st_nlink, i % 2 ? 1 : 2);
		snprintf(path, sizeof(path), "d/dir-%d", i);
		check(exists(path));
		snprintf(path, sizeof(path), "d/file-%d", i);
		check(exists(path));
		for (int process = 0; process < PROCESSES; process++) {
			snprintf(path, sizeof(path), "d/own-%d-%d", process, i);
			check_is(exists(path), i % 2 == 0);
		}
	}
	int fd = check_ok(open("d", O_RDONLY | O_DIRECTORY, 0));
	while ((n = check_ok(getdents(fd, entries, sizeof(entries)))) > 0)
		for (int at = 0; at < n; names++)
			at += ((struct dirent *)(entries + at))->d_reclen;
	check_is(names, 2 + NAMES * 3 + NAMES / 2 * PROCESSES);
}

/* Each name is made by one process and removed by one, and the directory has what they left. */
TEST(together_one_directory)
{
	static uint8_t bytes[NAMES * 4 + 1];
	int count[4] = { 0 };
	check_is(mkdir("d", 0755), 0);
	for (int i = 0; i < NAMES; i++) {
		snprintf(path, sizeof(path), "d/gone-%d", i);
		make_file(path, 0, 0);
	}
	shared = check_ok(open("won", O_RDWR | O_CREAT | O_APPEND, 0644));
	check_is(pipe(ready), 0);
	for (int i = 0; i < PROCESSES; i++)
		check_is(pipe(go[i]), 0);
	int pid = start(starter);
	together(race);
	check_is(wait_for(pid), 0);
	check_names();
	check_is(lseek(shared, 0, SEEK_SET), 0);
	check_is(read(shared, bytes, sizeof(bytes)), NAMES * 4);
	for (int i = 0; i < NAMES * 4; i++)
		count[bytes[i] - 'a']++;
	for (int k = 0; k < 4; k++)
		check_is(count[k], NAMES);
}
