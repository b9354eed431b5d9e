/* SPDX-License-Identifier: MIT */
/*
 * Rows about pipes. A context switch is measured as in lmbench: a token goes round a ring of
 * processes, and each process that gets it reads its working set once. The cost for one process
 * that does all the reading and pipe work alone is subtracted. The figure is the cost of one hop.
 */
#include "bench.h"

enum { STREAM = 256 * 1024, WRITE = 512, READ = 4096 };
enum { RING_MAX = 16, WORDS_MAX = 64 * 1024 / 4 };

static int in[2], out[2], other; /* pipes to and from the other process */
static int ring_start[2], ring_end[2], alone[2], pids[RING_MAX], processes;
static uint32_t words[WORDS_MAX], nr_words;
static volatile uint32_t sum;
static bool uses_fpu;
static volatile double product = 1.5;

/* Read the working set, and use the FPU: by the same instructions, wherever it is called. */
static void __attribute__((noinline)) work(void)
{
	uint32_t s = 0;
	for (uint32_t i = 0; i < nr_words; i++)
		s += words[i];
	sum = s;
	if (uses_fpu)
		product = product * 1.0001;
}

/* The other processes of the ring: each passes the token on until its pipe ends. */
static void ring_process(int from, int to)
{
	char token;
	for (uint32_t i = 0; i < nr_words; i++)
		words[i] = i; /* the process gets pages of its own */
	touch_resident();
	while (read(from, &token, 1) == 1) {
		work();
		need(write(to, &token, 1));
	}
	exit(0);
}

/*
 * Add process i, which reads from `from`. The last process writes to the ring's end.
 * Result: the descriptor that the next process reads from.
 */
static int add_process(int i, int from)
{
	int next[2] = {-1, ring_end[1]};
	if (i < processes - 1)
		need(pipe(next));
	pids[i] = fork();
	need(pids[i]);
	if (pids[i] == 0) {
		close(alone[0]);
		close(alone[1]);
		close(ring_start[1]);
		close(ring_end[0]);
		if (i < processes - 1) {
			close(ring_end[1]);
			close(next[0]);
		}
		ring_process(from, next[1]);
	}
	close(from);
	close(next[1]);
	return next[0];
}

static void make_ring(int n, uint32_t bytes)
{
	if (processes)
		return;
	processes = n;
	nr_words = bytes / 4;
	for (uint32_t i = 0; i < nr_words; i++)
		words[i] = i;
	need(pipe(alone));
	need(pipe(ring_start));
	need(pipe(ring_end));
	for (int i = 1, from = ring_start[0]; i < n; i++)
		from = add_process(i, from);
	touch_resident();
}

/* Close the first pipe: each process ends when its pipe ends, and so ends the next one's. */
static void end_ring(void)
{
	close(alone[0]);
	close(alone[1]);
	close(ring_start[1]);
	for (int i = 1; i < processes; i++)
		need(waitpid(pids[i], NULL, 0));
	close(ring_end[0]);
	processes = 0;
}

/* n hops: the token starts here and comes back n / processes times. */
static void hops(uint32_t n)
{
	char token = 't';
	for (uint32_t i = 0; i < n / (uint32_t)processes; i++) {
		work();
		need(write(ring_start[1], &token, 1));
		need(read(ring_end[0], &token, 1));
	}
}

/* The work of n hops without the context switches. */
static void hops_alone(uint32_t n)
{
	char token = 't';
	for (uint32_t i = 0; i < n; i++) {
		work();
		need(write(alone[1], &token, 1));
		need(read(alone[0], &token, 1));
	}
}

static void make_2p_0k(uint32_t n) { (void)n, make_ring(2, 0); }

static void make_2p_fpu(uint32_t n)
{
	uses_fpu = true;
	make_2p_0k(n);
}

static void end_fpu_ring(void)
{
	end_ring();
	uses_fpu = false;
}

static void make_2p_16k(uint32_t n) { (void)n, make_ring(2, 16 * 1024); }
static void make_8p_16k(uint32_t n) { (void)n, make_ring(8, 16 * 1024); }
static void make_16p_64k(uint32_t n) { (void)n, make_ring(16, 64 * 1024); }

static void make_pair(void (*run)(void))
{
	if (other)
		return;
	need(pipe(in));
	need(pipe(out));
	other = fork();
	need(other);
	if (other == 0) {
		close(out[1]);
		close(in[0]);
		run();
		exit(0);
	}
	close(out[0]);
	close(in[1]);
}

static void end_pair(void)
{
	close(out[1]);
	close(in[0]);
	need(waitpid(other, NULL, 0));
	other = 0;
}

static void echo(void)
{
	char c;
	while (read(out[0], &c, 1) == 1)
		need(write(in[1], &c, 1));
}

static void make_echo(uint32_t n) { (void)n, make_pair(echo); }

static void round_trip(uint32_t n)
{
	char c = 'c';
	while (n--) {
		need(write(out[1], &c, 1));
		need(read(in[0], &c, 1));
	}
}

static char buf[READ];

static int read_bytes; /* in one call */

/* Read from one pipe, and answer each 256 KiB with one byte. */
static void drain(void)
{
	int n, total = 0;
	while ((n = read(out[0], buf, (uint32_t)read_bytes)) > 0)
		if ((total += n) == STREAM) {
			need(write(in[1], buf, 1));
			total = 0;
		}
}

static void make_drain(int bytes)
{
	read_bytes = bytes;
	make_pair(drain);
}

static void drain_pages(uint32_t n) { (void)n, make_drain(READ); }
static void drain_writes(uint32_t n) { (void)n, make_drain(WRITE); }

static void stream(uint32_t n)
{
	while (n--) {
		for (int i = 0; i < STREAM / WRITE; i++)
			need(write(out[1], buf, WRITE));
		need(read(in[0], buf, 1));
	}
}

const struct row plain_ring = {
	"context_switch_2p", 400, hops, hops_alone, make_2p_0k, end_ring,
};

const struct row pipe_rows[8] = {
	{"context_switch_2p", 400, hops, hops_alone, make_2p_0k, end_ring},
	{"context_switch_2p_fpu", 400, hops, hops_alone, make_2p_fpu, end_fpu_ring},
	{"context_switch_2p_16k", 400, hops, hops_alone, make_2p_16k, end_ring},
	{"context_switch_8p", 160, hops, hops_alone, make_8p_16k, end_ring},
	{"context_switch_16p", 64, hops, hops_alone, make_16p_64k, end_ring},
	{"pipe_round_trip", 200, round_trip, NULL, make_echo, end_pair},
	{"pipe_256k", 1, stream, NULL, drain_pages, end_pair},
	{"pipe_256k_read_512", 1, stream, NULL, drain_writes, end_pair},
};
