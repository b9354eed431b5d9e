/* SPDX-License-Identifier: MIT */
/* Pipes: every byte once and in order; full and empty pipes; what happens when one end closes. */
#include "test.h"

static uint8_t out[64 * 1024], in[64 * 1024];
static int p[2];

static void open_pipe(void) { check_is(pipe(p), 0); }

static void close_pipe(void)
{
	close(p[0]);
	close(p[1]);
}

/* Read until all the bytes are there, or the end. Result: the number of bytes. */
static int read_all(int fd, uint8_t *buf, int bytes)
{
	int got = 0, n;
	while (got < bytes && (n = check_ok(read(fd, buf + got, (size_t)(bytes - got)))) > 0)
		got += n;
	return got;
}

/* Blocks of all sizes come out as they went in. */
TEST(pipe_sizes)
{
	static const int sizes[] = {
		1, 2, 3, 511, 512, 513, 4095, 4096, 4097, 5000, 8192, 10000, 65536,
	};
	open_pipe();
	for (int i = 0; i < COUNT(sizes); i++) {
		fill(out, (uint32_t)sizes[i], (uint32_t)i);
		int pid = check_ok(fork());
		if (pid == 0) {
			check_is(write(p[1], out, (size_t)sizes[i]), sizes[i]);
			exit(0);
		}
		check_is(read_all(p[0], in, sizes[i]), sizes[i]);
		check_is(differs(in, (uint32_t)sizes[i], (uint32_t)i), -1);
		check_is(wait_for(pid), 0);
	}
	close_pipe();
}

/* Small pieces in one process: the pipe's ring buffer wraps many times. */
TEST(pipe_wraps)
{
	uint32_t seed = 7, sum = 0;
	open_pipe();
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t n = next_random(&seed) % 1000 + 1;
		fill(out, n, i);
		check_is(write(p[1], out, n), n);
		check_is(read_all(p[0], in, (int)n), n);
		check_is(differs(in, n, i), -1);
		sum += n;
	}
	check(sum > 65536);
	close_pipe();
}

/* Reading or writing zero bytes does nothing. */
TEST(pipe_zero_bytes)
{
	open_pipe();
	check_is(write(p[1], out, 0), 0);
	check_is(write(p[1], out, 1), 1);
	check_is(read(p[0], in, 0), 0);
	check_is(read(p[0], in, 10), 1);
	close_pipe();
}

/* When the last writer has closed, a reader gets what is left, then the end. */
TEST(pipe_end)
{
	open_pipe();
	check_is(write(p[1], "abc", 3), 3);
	check_is(close(p[1]), 0);
	check_is(read(p[0], in, 10), 3);
	check_is(read(p[0], in, 10), 0);
	check_is(read(p[0], in, 10), 0);
	close(p[0]);
}

static void blocked_reader(void)
{
	close(p[1]);
	check_is(read(p[0], in, 1), 0);
}

/* A reader that waits is woken when the last writer closes. */
TEST(pipe_close_wakes_reader)
{
	open_pipe();
	int pid = start(blocked_reader);
	sleep(20);
	check_is(close(p[1]), 0);
	check_is(wait_for(pid), 0);
	close(p[0]);
}

/* Writing without a reader is EPIPE. */
TEST(pipe_broken)
{
	open_pipe();
	check_is(close(p[0]), 0);
	check_is(write(p[1], "a", 1), -EPIPE);
	close(p[1]);
}

static void blocked_writer(void)
{
	close(p[0]);
	int n = write(p[1], out, sizeof(out)), total = n;
	while (n > 0 && total < 1 << 20)
		total += n = write(p[1], out, sizeof(out));
	check_is(n, -EPIPE);
}

/* A writer that waits for room is woken when the last reader closes. */
TEST(pipe_close_wakes_writer)
{
	open_pipe();
	int pid = start(blocked_writer);
	sleep(20);
	check_is(waitpid(pid, NULL, WNOHANG), 0);
	check_is(close(p[0]), 0);
	check_is(wait_for(pid), 0);
	close(p[1]);
}

/* Processes blocked on a pipe can be killed. */
TEST(pipe_kill_blocked)
{
	open_pipe();
	int pid = check_ok(fork());
	if (pid == 0)
		exit(read(p[0], in, 1));
	sleep(20);
	check_is(kill(pid), 0);
	check_is(wait_for(pid), WSTATUS_KILLED);
	pid = check_ok(fork());
	if (pid == 0)
		for (;;)
			check_ok(write(p[1], out, sizeof(out)));
	sleep(20);
	check_is(kill(pid), 0);
	check_is(wait_for(pid), WSTATUS_KILLED);
	close_pipe();
}

enum { WRITERS = 8, RECORD = 100, RECORDS = 60 };

static void write_records(int me)
{
	for (int i = 0; i < RECORDS; i++) {
		memset(out, me, RECORD);
		check_is(write(p[1], out, RECORD), RECORD);
	}
	exit(0);
}

/* Many writers: no byte is lost, doubled or changed. */
TEST(pipe_many_writers)
{
	int counts[WRITERS] = {0}, n;
	open_pipe();
	for (int i = 0; i < WRITERS; i++)
		if (check_ok(fork()) == 0)
			write_records(i);
	check_is(close(p[1]), 0);
	while ((n = check_ok(read(p[0], in, 1000))) > 0)
		for (int i = 0; i < n; i++) {
			check(in[i] < WRITERS);
			counts[in[i]]++;
		}
	for (int i = 0; i < WRITERS; i++)
		check_is(counts[i], RECORD * RECORDS);
	while (waitpid(-1, &n, 0) > 0)
		check_is(n, 0);
	close(p[0]);
}

/* Many readers: together they get all the bytes. */
TEST(pipe_many_readers)
{
	int sum = 0, status;
	open_pipe();
	for (int i = 0; i < 4; i++)
		if (check_ok(fork()) == 0) {
			int total = 0, n;
			close(p[1]);
			while ((n = check_ok(read(p[0], in, 77))) > 0)
				total += n;
			exit(total / 128); /* the total does not fit into a status */
		}
	memset(out, 1, sizeof(out));
	check_is(write(p[1], out, 16384), 16384);
	close_pipe();
	while (waitpid(-1, &status, 0) > 0) {
		check(WIFEXITED(status));
		sum += WEXITSTATUS(status);
	}
	check(sum <= 16384 / 128 && sum >= 16384 / 128 - 4);
}

/* Each end works in one direction only; a pipe has no position and no size. */
TEST(pipe_wrong_use)
{
	struct stat st;
	open_pipe();
	check_is(write(p[0], "a", 1), -EBADF);
	check_is(read(p[1], in, 1), -EBADF);
	check_is(lseek(p[0], 0, SEEK_SET), -ESPIPE);
	check(ftruncate(p[1], 0) < 0);
	check(getdents(p[0], in, sizeof(in)) < 0);
	check_is(fstat(p[0], &st), 0);
	check_is(st.st_mode & S_IFMT, S_IFIFO);
	close_pipe();
}

/* Without two free descriptors pipe gives EMFILE, and takes none. */
TEST(pipe_no_descriptors)
{
	int fds[OPEN_MAX], n = 0;
	while ((fds[n] = dup(REASON_FD)) >= 0)
		n++;
	check_is(fds[n], -EMFILE);
	check_is(pipe(p), -EMFILE);
	check_is(close(fds[--n]), 0); /* one is not enough */
	check_is(pipe(p), -EMFILE);
	check_is(dup(REASON_FD), fds[n]);
	check_is(close(fds[n--]), 0);
	check_is(close(fds[n]), 0);
	open_pipe();
	close_pipe();
}

/* A chain of processes, each passing on what it reads: the data arrives unchanged. */
TEST(pipe_chain)
{
	enum { LENGTH = 8 };
	int from, first[2];
	check_is(pipe(first), 0);
	from = first[0];
	for (int i = 0; i < LENGTH; i++) {
		open_pipe();
		if (check_ok(fork()) == 0) {
			int n;
			close(first[1]);
			while ((n = check_ok(read(from, in, 300))) > 0)
				check_is(write(p[1], in, (size_t)n), n);
			exit(0);
		}
		close(from);
		close(p[1]);
		from = p[0];
	}
	fill(out, 3000, 1);
	check_is(write(first[1], out, 3000), 3000);
	check_is(close(first[1]), 0);
	check_is(read_all(from, in, sizeof(in)), 3000);
	check_is(differs(in, 3000, 1), -1);
}
