/* SPDX-License-Identifier: MIT */
/* exit, waitpid, kill: how processes end, and who hears of it. */
#include "test.h"

/* The low eight bits of exit's argument reach the parent. */
TEST(exit_status)
{
	static const int codes[] = {0, 1, 2, 127, 128, 255, 256, 0x1234, -1};
	for (int i = 0; i < COUNT(codes); i++) {
		int pid = check_ok(fork());
		if (pid == 0)
			exit(codes[i]);
		int status = wait_for(pid);
		check_is(status, WSTATUS_EXIT(codes[i]));
		check(WIFEXITED(status));
		check_is(WEXITSTATUS(status), codes[i] & 0xFF);
	}
}

static void nothing(void) {}

static void spin(void)
{
	for (;;)
		__asm__ volatile(".rept 200; nop; .endr"); /* emulators run long blocks faster */
}

static void sleep_long(void) { sleep(100000); }

/* waitpid is an error without children, and for a process that is no child of the caller. */
TEST(wait_no_child)
{
	int status;
	check_is(waitpid(-1, &status, 0), -ECHILD);
	check_is(waitpid(-1, &status, WNOHANG), -ECHILD);
	check_is(waitpid(1, &status, 0), -ECHILD);
	check_is(waitpid(getpid(), &status, 0), -ECHILD);
	check_is(waitpid(getppid(), &status, 0), -ECHILD);
	check_is(waitpid(0x7FFFFFFF, &status, 0), -ECHILD);
	int pid = start(nothing);
	check_is(wait_for(pid), 0);
	check_is(waitpid(pid, &status, 0), -ECHILD);
}

/* WNOHANG gives 0 while the child runs; a status pointer may be NULL. Other options are refused. */
TEST(wait_nohang)
{
	int pid = start(sleep_long);
	check_is(waitpid(pid, NULL, WNOHANG), 0);
	check_is(waitpid(pid, NULL, WNOHANG | 2), -EINVAL);
	check_is(waitpid(-1, NULL, WNOHANG), 0);
	check_is(kill(pid), 0);
	check_is(waitpid(pid, NULL, 0), pid);
}

/* Waiting for one child leaves the others' statuses alone. */
TEST(wait_for_one)
{
	int first = start(nothing), second = start(nothing), third = start(nothing);
	check_is(wait_for(second), 0);
	check_is(wait_for(third), 0);
	check_is(wait_for(first), 0);
	check_is(waitpid(-1, NULL, 0), -ECHILD);
}

/* kill ends a process that computes, sleeps, or waits, and its status says so. */
TEST(kill_any_state)
{
	int pid = start(spin);
	yield();
	check_is(kill(pid), 0);
	check_is(wait_for(pid), WSTATUS_KILLED);
	pid = start(sleep_long);
	sleep(10);
	check_is(kill(pid), 0);
	check_is(wait_for(pid), WSTATUS_KILLED);
	pid = start(sleep_long); /* probably killed before it runs at all */
	check_is(kill(pid), 0);
	check_is(wait_for(pid), WSTATUS_KILLED);
}

static void wait_for_sleeper(void)
{
	int pid = start(sleep_long);
	waitpid(pid, NULL, 0);
}

/* A process that waits for a child can be killed; the child goes to init. */
TEST(kill_in_wait)
{
	int pid = start(wait_for_sleeper);
	sleep(20);
	check_is(kill(pid), 0);
	check_is(wait_for(pid), WSTATUS_KILLED);
}

static void suicide(void)
{
	kill(getpid());
	exit(1);
}

/* A process may kill itself; it does not run any further. */
TEST(kill_self) { check_is(status_of(suicide), WSTATUS_KILLED); }

/* Only living processes can be killed, and init cannot. */
TEST(kill_errors)
{
	check_is(kill(1), -EPERM);
	check_is(kill(0x7FFFFFFF), -ESRCH);
	check_is(kill(-0x7FFFFFFF), -ESRCH);
	check_is(kill((int)0x80000000), -ESRCH);
	int pid = start(nothing);
	check_is(wait_for(pid), 0);
	check_is(kill(pid), -ESRCH);
}

/* A zombie keeps its exit status whatever is done to it. */
TEST(kill_zombie)
{
	int pid = start(nothing);
	sleep(20);
	kill(pid);
	check_is(wait_for(pid), WSTATUS_EXIT(0));
}

/* kill of a negative number ends all processes of a group, and no others. */
TEST(kill_group)
{
	int outside = start(sleep_long), leader = start(sleep_long), member = start(sleep_long);
	check_is(setpgid(leader, leader), 0);
	check_is(setpgid(member, leader), 0);
	check_is(kill(-leader), 0);
	check_is(wait_for(leader), WSTATUS_KILLED);
	check_is(wait_for(member), WSTATUS_KILLED);
	check_is(waitpid(outside, NULL, WNOHANG), 0);
	check_is(kill(-leader), -ESRCH);
	end(outside);
}

static int answer[2];

static void orphan(void)
{
	char c = 'o';
	for (int i = 0; i < 100 && getppid() != 1; i++)
		sleep(10);
	if (getppid() != 1)
		c = 'x';
	write(answer[1], &c, 1);
}

static void abandon(void) { start(orphan); }

/* A process whose parent ends becomes a child of init. */
TEST(orphan_goes_to_init)
{
	char c;
	check_is(pipe(answer), 0);
	check_child(abandon);
	check_is(close(answer[1]), 0);
	check_is(read(answer[0], &c, 1), 1);
	check_is(c, 'o');
	check_is(waitpid(-1, NULL, 0), -ECHILD);
}

static void leave_zombies(void)
{
	for (int i = 0; i < 10; i++)
		start(nothing);
	sleep(20);
}

/*
 * Zombies whose parent never waited disappear when the parent ends. The count of processes after
 * the test proves it.
 */
TEST(zombies_of_the_dead)
{
	for (int i = 0; i < 4; i++)
		check_child(leave_zombies);
}

/* Parents and children that end at the same time confuse nobody. */
TEST(exit_races)
{
	for (int i = 0; i < 40; i++) {
		int pid = check_ok(fork());
		if (pid == 0) {
			check_ok(fork());
			check_ok(fork());
			exit(0);
		}
		if (i & 1)
			check_is(wait_for(pid), 0);
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
}
