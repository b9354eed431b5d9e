/* SPDX-License-Identifier: MIT */
/*
 * fork: the two processes share no memory that they can write; there can be as many processes as
 * the system allows, and all go again.
 */
#include "test.h"

/* fork returns 0 in the child and the child's pid in the parent. */
TEST(fork_returns_twice)
{
	int me = getpid(), pid = check_ok(fork());
	if (pid == 0) {
		check(getpid() != me);
		check_is(getppid(), me);
		exit(getpid() & 0x7F);
	}
	check(pid != me);
	check_is(wait_for(pid), WSTATUS_EXIT(pid & 0x7F));
	check_is(getpid(), me);
}

static uint8_t shared[16 * PAGE];
static int initialised = 4711;

static void write_everywhere(void)
{
	check_is(differs(shared, sizeof(shared), 1), -1);
	check_is(initialised, 4711);
	fill(shared, sizeof(shared), 2);
	initialised = 1;
	check_is(differs(shared, sizeof(shared), 2), -1);
}

/* A parent does not see what its child writes. */
TEST(cow_child_writes)
{
	fill(shared, sizeof(shared), 1);
	check_child(write_everywhere);
	check_is(differs(shared, sizeof(shared), 1), -1);
	check_is(initialised, 4711);
}

/* A child does not see what its parent writes after fork, nor the parent what the child writes. */
TEST(cow_parent_writes)
{
	int go[2];
	char c = 0;
	fill(shared, sizeof(shared), 1);
	check_is(pipe(go), 0);
	int pid = check_ok(fork());
	if (pid == 0) {
		check_is(read(go[0], &c, 1), 1);
		write_everywhere();
		exit(0);
	}
	fill(shared, sizeof(shared), 3);
	check_is(write(go[1], &c, 1), 1);
	check_is(wait_for(pid), 0);
	check_is(differs(shared, sizeof(shared), 3), -1);
}

/* Eight processes that share pages: each keeps what it writes itself. */
TEST(cow_many)
{
	int pids[8];
	fill(shared, sizeof(shared), 0);
	for (int i = 0; i < COUNT(pids); i++) {
		pids[i] = check_ok(fork());
		if (pids[i] == 0) {
			for (uint32_t at = 0; at < sizeof(shared); at += PAGE)
				shared[at] = (uint8_t)(i + 1);
			yield();
			for (uint32_t at = 0; at < sizeof(shared); at += PAGE)
				check_is(shared[at], i + 1);
			exit(0);
		}
	}
	for (int i = 0; i < COUNT(pids); i++)
		check_is(wait_for(pids[i]), 0);
	check_is(differs(shared, sizeof(shared), 0), -1);
}

/* When the kernel writes to a shared page, here for read, the page is copied first, too. */
TEST(cow_kernel_writes)
{
	make_file("f", sizeof(shared), 5);
	fill(shared, sizeof(shared), 1);
	int pid = check_ok(fork());
	if (pid == 0) {
		int fd = check_ok(open("f", O_RDONLY, 0));
		check_is(read(fd, shared, sizeof(shared)), sizeof(shared));
		exit(0);
	}
	check_is(wait_for(pid), 0);
	check_is(differs(shared, sizeof(shared), 1), -1);
}

static void chain(int depth)
{
	int local = depth;
	if (depth > 0) {
		int pid = check_ok(fork());
		if (pid == 0) {
			chain(depth - 1);
			exit(depth);
		}
		check_is(wait_for(pid), WSTATUS_EXIT(depth));
	}
	check_is(local, depth);
}

/* A child of a child of a child: every generation has its own copy. */
TEST(fork_chain) { chain(30); }

/* Many children at once, each with its own exit status. */
TEST(fork_wide)
{
	int pids[60], seen = 0, status;
	for (int i = 0; i < COUNT(pids); i++) {
		pids[i] = check_ok(fork());
		if (pids[i] == 0)
			exit(i);
	}
	for (int pid; (pid = waitpid(-1, &status, 0)) > 0; seen++) {
		int i = 0;
		while (i < COUNT(pids) && pids[i] != pid)
			i++;
		check(i < COUNT(pids));
		check_is(status, WSTATUS_EXIT(i));
	}
	check_is(seen, COUNT(pids));
}

/* fork fails when there are too many processes, and works again when the others are gone. */
TEST(fork_until_full)
{
	static int pids[1024];
	int hold[2], n = 0, pid;
	char c;
	check_is(pipe(hold), 0);
	while (n < COUNT(pids) && (pid = fork()) >= 0) {
		if (pid == 0) {
			close(hold[1]);
			read(hold[0], &c, 1);
			exit(n & 0x7F);
		}
		pids[n++] = pid;
	}
	check(n > 20);
	if (n < COUNT(pids))
		check(pid == -EAGAIN || pid == -ENOMEM);
	close(hold[1]);
	for (int i = 0; i < n; i++)
		check_is(wait_for(pids[i]), WSTATUS_EXIT(i & 0x7F));
	check_is(waitpid(-1, NULL, 0), -ECHILD);
	pid = check_ok(fork());
	if (pid == 0)
		exit(0);
	check_is(wait_for(pid), 0);
}

/* Parent and child share an open file's position. */
TEST(fork_shares_position)
{
	char c;
	make_file("f", 100, 0);
	int fd = check_ok(open("f", O_RDONLY, 0));
	int pid = check_ok(fork());
	if (pid == 0) {
		check_is(lseek(fd, 50, SEEK_SET), 50);
		check_is(read(fd, &c, 1), 1);
		exit(0);
	}
	check_is(wait_for(pid), 0);
	check_is(lseek(fd, 0, SEEK_CUR), 51);
	close(fd);
}

/* A child inherits the current directory; then each process has its own. */
TEST(fork_copies_directory)
{
	char before[PATH_MAX], after[PATH_MAX];
	check_ok(getcwd(before, sizeof(before)));
	int pid = check_ok(fork());
	if (pid == 0) {
		check_ok(getcwd(after, sizeof(after)));
		check(!strcmp(before, after));
		check_is(chdir("/"), 0);
		exit(0);
	}
	check_is(wait_for(pid), 0);
	check_ok(getcwd(after, sizeof(after)));
	check(!strcmp(before, after));
}
