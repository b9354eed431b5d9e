/* SPDX-License-Identifier: MIT */
/*
 * Time, turns and the terminal: clocks go forward, sleepers wake in order, and no process keeps a
 * CPU to itself.
 */
#include "test.h"

/*
 * Whether time follows the executed instructions, as in an emulator with one CPU. With several
 * CPUs it is the host's time, and the host may be busy with other work.
 */
static bool time_is_exact(void) { return proc_number("/proc/cpuinfo", "cpus") == 1; }

/* The clock never goes back, also when the process has left its CPU in between. */
TEST(clock_monotonic)
{
	uint64_t last = 0, now;
	for (int i = 0; i < 2000; i++) {
		check_is(clock(&now), 0);
		check(now >= last);
		last = now;
		if (i % 100 == 0)
			yield();
	}
}

/* A sleep lasts at least as long as asked, and not much longer. */
TEST(sleep_length)
{
	static const uint32_t lengths[] = {0, 1, 10, 35, 100};
	for (int i = 0; i < COUNT(lengths); i++) {
		uint64_t before, after;
		clock(&before);
		check_is(sleep(lengths[i]), 0);
		clock(&after);
		uint32_t us = (uint32_t)div_u64(after - before, 1000);
		if (us < lengths[i] * 1000 || (time_is_exact() && us > lengths[i] * 1000 + 100000))
			fail("sleep(%u) took %u us", lengths[i], us);
	}
}

/* Shorter sleeps end first; if time is the host's, the order is not checked. */
TEST(sleep_order)
{
	int p[2];
	char order[4];
	check_is(pipe(p), 0);
	for (int i = 0; i < 4; i++)
		if (check_ok(fork()) == 0) {
			char c = (char)('0' + i);
			sleep((uint32_t)(200 - i * 50));
			write(p[1], &c, 1);
			exit(0);
		}
	for (int i = 0; i < 4; i++)
		check_is(read(p[0], order + i, 1), 1);
	check_is(order[0] + order[1] + order[2] + order[3], '0' + '1' + '2' + '3');
	check(!time_is_exact() || !memcmp(order, "3210", 4));
}

static void spin(void)
{
	for (;;)
		__asm__ volatile(".rept 200; nop; .endr"); /* emulators run long blocks faster */
}

static void take_turns(void)
{
	for (int i = 0; i < 2; i++)
		yield();
}

/* Programs that never give up a CPU do not stop others. */
TEST(preemption)
{
	int pids[3];
	for (int i = 0; i < COUNT(pids); i++)
		pids[i] = start(spin);
	uint64_t before = now_ms();
	sleep(20);
	check_child(take_turns);
	check(!time_is_exact() || now_ms() - before < 2000);
	for (int i = 0; i < COUNT(pids); i++)
		end(pids[i]);
}

/* Spinning processes get about equal shares; if time is the host's, the shares are not compared. */
TEST(fair_shares)
{
	int p[2];
	uint32_t least = 0xFFFFFFFF, most = 0, counts[4];
	check_is(pipe(p), 0);
	uint64_t until = now_ms() + 80;
	for (int i = 0; i < COUNT(counts); i++)
		if (check_ok(fork()) == 0) {
			uint32_t n = 0;
			while (now_ms() < until)
				n++;
			check_is(write(p[1], &n, sizeof(n)), sizeof(n));
			exit(0);
		}
	for (int i = 0; i < COUNT(counts); i++) {
		check_is(read(p[0], &counts[i], sizeof(counts[i])), sizeof(counts[i]));
		least = counts[i] < least ? counts[i] : least;
		most = counts[i] > most ? counts[i] : most;
	}
	if (time_is_exact() && most / 5 >= least)
		fail("one got %u turns, another %u", most, least);
}

/* setpgid moves the caller or a child, but no other process; then the group can be killed. */
TEST(groups)
{
	check_is(setpgid(0, 0), 0);
	check_is(kill(-getpid() - 100000), -ESRCH);
	check(setpgid(0x7FFFFFFF, 0) < 0);
	check(setpgid(-5, 0) < 0);
	check(setpgid(0, -5) < 0);
	int pid = start(spin);
	check_is(setpgid(pid, pid), 0);
	check_is(kill(-pid), 0);
	check_is(wait_for(pid), WSTATUS_KILLED);
}

/* The terminal refuses groups and modes that make no sense. */
TEST(tty_errors)
{
	check(tty_foreground(-1) < 0);
	check(tty_raw(2) < 0);
	check(tty_raw(-1) < 0);
	check(shutdown(-1) < 0);
	check(shutdown(1000) < 0);
}

/* With more busy processes than CPUs, all come to their end. */
TEST(many_workers)
{
	int pids[12], status;
	for (int i = 0; i < COUNT(pids); i++)
		if ((pids[i] = check_ok(fork())) == 0) {
			uint32_t seed = (uint32_t)i + 1, sum = 0;
			for (int n = 0; n < 100000; n++)
				sum += next_random(&seed);
			exit((int)(sum & 0x7F));
		}
	for (int i = 0; i < COUNT(pids); i++) {
		uint32_t seed = (uint32_t)i + 1, sum = 0;
		for (int n = 0; n < 100000; n++)
			sum += next_random(&seed);
		status = wait_for(pids[i]);
		check_is(status, WSTATUS_EXIT(sum & 0x7F));
	}
}
