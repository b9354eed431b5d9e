/* SPDX-License-Identifier: MIT */
/*
 * work: four jobs whose results are known: a pipeline with a checksum, a clock that must not go
 * back, a tree of processes, and files that are written and read again. All run at once. Each
 * prints one line, which is the same every time.
 */
#include "user.h"

#define PAGE 4096
#define DIR "/tmp/work"

static void need(int result, const char *what)
{
	if (result < 0) {
		complain(what, result);
		exit(1);
	}
}

static uint32_t sum_of(uint32_t sum, const uint8_t *p, uint32_t bytes) /* FNV-1a, 32 bits */
{
	for (uint32_t i = 0; i < bytes; i++)
		sum = (sum ^ p[i]) * 16777619u;
	return sum;
}

static int start(void (*fn)(uint32_t, int, int), uint32_t n, int in, int out)
{
	flush();
	int pid = fork();
	need(pid, "fork");
	if (pid == 0) {
		fn(n, in, out);
		exit(0);
	}
	return pid;
}

static void finish(int pid)
{
	int status = -1;
	need(waitpid(pid, &status, 0), "wait");
	if (status != 0) {
		dprintf(2, "work: process %d ended with status %#x\n", pid, status);
		exit(1);
	}
}

/* --- pipeline: source | all bits of every byte inverted | checksum --- */

static void source(uint32_t n, int in, int out)
{
	uint8_t page[PAGE];
	close(in);
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < PAGE; k++)
			page[k] = (uint8_t)(i * 7 + k * (k >> 5));
		need(write_all(out, page, PAGE), "pipe");
	}
}

static void filter(uint32_t n, int in, int out)
{
	uint8_t page[1000];
	(void)n;
	for (int got; (got = read(in, page, sizeof(page))) != 0;) {
		need(got, "pipe");
		for (int k = 0; k < got; k++)
			page[k] = (uint8_t)~page[k];
		need(write_all(out, page, (uint32_t)got), "pipe");
	}
}

static void pipeline(uint32_t n, int in, int out)
{
	int a[2], b[2];
	uint32_t sum = 2166136261u, bytes = 0;
	uint8_t page[777];
	(void)in, (void)out;
	need(pipe(a), "pipe"), need(pipe(b), "pipe");
	int first = start(source, n, a[0], a[1]);
	close(a[1]);
	int second = start(filter, n, a[0], b[1]);
	close(a[0]), close(b[1]);
	for (int got; (got = read(b[0], page, sizeof(page))) != 0; bytes += (uint32_t)got) {
		need(got, "pipe");
		sum = sum_of(sum, page, (uint32_t)got);
	}
	finish(first), finish(second);
	printf("work pipeline: %u bytes, sum %08x\n", bytes, sum);
}

/* --- clock: it never goes back, and a sleep lasts at least as long as asked --- */

static void watch_clock(uint32_t n, int in, int out)
{
	uint64_t last = now_ns(), tsc = rdtsc();
	(void)in, (void)out;
	for (uint32_t i = 0; i < 40 * n; i++) {
		uint64_t ns = now_ns(), t = rdtsc();
		if (ns < last || t < tsc) {
			printf("work clock: went back\n");
			exit(1);
		}
		last = ns, tsc = t;
		if (i % 100 == 0) {
			need(sleep(10), "sleep");
			if (now_ns() - last < 10000000) {
				printf("work clock: slept too short\n");
				exit(1);
			}
		}
	}
	printf("work clock: %u readings, never back\n", 40 * n);
}

/* --- processes: each starts two, down to a depth; the parents count all that end --- */

static uint32_t tree(uint32_t depth)
{
	uint32_t ends = 1;
	for (int i = 0; depth && i < 2; i++) {
		int pid = fork(), status = 0;
		need(pid, "fork");
		if (pid == 0)
			exit((int)tree(depth - 1));
		need(waitpid(pid, &status, 0), "wait");
		ends += (uint32_t)WEXITSTATUS(status);
	}
	return ends;
}

static void processes(uint32_t n, int in, int out)
{
	uint32_t ends = 0;
	(void)in, (void)out;
	for (uint32_t i = 0; i < n / 4; i++)
		ends += tree(4);
	printf("work processes: %u ended well\n", ends);
}

/* --- files --- */

static void files(uint32_t n, int in, int out)
{
	uint8_t page[PAGE];
	uint32_t sum = 2166136261u;
	char path[64];
	(void)in, (void)out;
	mkdir(DIR, 0777);
	for (uint32_t i = 0; i < n / 2; i++) {
		snprintf(path, sizeof(path), DIR "/%u", i % 8);
		int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);
		need(fd, path);
		for (uint32_t k = 0; k < PAGE; k++)
			page[k] = (uint8_t)(i + k * 3);
		for (int k = 0; k < 4; k++)
			need(write_all(fd, page, PAGE), path);
		need(lseek(fd, PAGE, SEEK_SET), path);
		need(read(fd, page, PAGE), path);
		sum = sum_of(sum, page, PAGE);
		close(fd);
	}
	for (uint32_t i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), DIR "/%u", i);
		unlink(path);
	}
	need(rmdir(DIR), DIR);
	printf("work files: %u written and read, sum %08x\n", n / 2, sum);
}

int main(int argc, char **argv)
{
	static void (*const all[])(uint32_t, int, int) = {
		pipeline, watch_clock, processes, files,
	};
	int pids[sizeof(all) / sizeof(all[0])];
	if (argc > 2 || help_wanted(argc, argv))
		usage("[AMOUNT]", argc == 2);
	uint32_t n = argc == 2 ? number_of(argv[1], "[AMOUNT]") : 100;
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		pids[i] = start(all[i], n, -1, -1);
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		finish(pids[i]);
	return 0;
}
