/* SPDX-License-Identifier: MIT */
/*
 * stress: in each round several processes at a time do random pieces of all kinds of work, and
 * verify every byte. What a round does follows from the seed.
 *
 *	stress SECONDS|ROUNDSr [SEED]     for a number of seconds, or of rounds (with an r after it)
 */
#include "user.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define HOME "/tmp/stress"
enum { WORKERS = 6, PAGE = 4096, BUF = 5 * PAGE };

static uint8_t buf[BUF];
static uint32_t seed;

static uint32_t random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	return seed ^= seed << 5;
}

static void __attribute__((noreturn)) wrong(const char *what, int value)
{
	dprintf(2, "stress: process %d: %s: %d\n", getpid(), what, value);
	exit(1);
}

static int good(int result, const char *what)
{
	if (result < 0)
		wrong(what, result);
	return result;
}

static uint8_t byte_at(uint32_t i, uint32_t key) { return (uint8_t)(i * 5 + (i >> 8) + key); }

static void fill(uint8_t *p, uint32_t bytes, uint32_t key)
{
	for (uint32_t i = 0; i < bytes; i++)
		p[i] = byte_at(i, key);
}

static void verify(const uint8_t *p, uint32_t bytes, uint32_t key, const char *what)
{
	for (uint32_t i = 0; i < bytes; i++)
		if (p[i] != byte_at(i, key))
			wrong(what, (int)i);
}

static void reap(int pid, const char *what)
{
	int status = -1;
	good(waitpid(pid, &status, 0), what);
	if (status != 0)
		wrong(what, status);
}

/* A child changes its copy of the memory; the parent's stays. */
static void work_fork(uint32_t key)
{
	fill(buf, BUF, key);
	int pid = good(fork(), "fork");
	if (pid == 0) {
		verify(buf, BUF, key, "inherited memory");
		fill(buf, BUF, key + 1);
		verify(buf, BUF, key + 1, "own memory");
		exit(0);
	}
	verify(buf, BUF, key, "memory while the child writes");
	reap(pid, "child of fork");
	verify(buf, BUF, key, "memory after the child");
}

static void work_exec(uint32_t key)
{
	static char *argv[] = {"/bin/true", NULL};
	(void)key;
	int pid = good(fork(), "fork for exec");
	if (pid == 0)
		wrong("exec", exec(argv[0], argv));
	reap(pid, "program");
}

static void work_pipe(uint32_t key)
{
	int fds[2], got = 0, n;
	uint32_t bytes = random() % BUF + 1, piece = random() % 3000 + 1;
	good(pipe(fds), "pipe");
	int pid = good(fork(), "fork for pipe");
	if (pid == 0) {
		fill(buf, bytes, key);
		for (uint32_t at = 0, some; at < bytes; at += some) {
			some = bytes - at < piece ? bytes - at : piece;
			if ((uint32_t)write(fds[1], buf + at, some) != some)
				wrong("pipe write", (int)at);
		}
		exit(0);
	}
	good(close(fds[1]), "close");
	while ((n = good(read(fds[0], buf + got, BUF - (uint32_t)got), "pipe read")) > 0)
		got += n;
	if (got != (int)bytes)
		wrong("bytes through the pipe", got);
	verify(buf, bytes, key, "pipe data");
	reap(pid, "pipe writer");
	good(close(fds[0]), "close");
}

/* Write, read back by name, rename, sometimes sync, delete. */
static void work_file(uint32_t key)
{
	char name[32], other[32];
	uint32_t bytes = random() % BUF, at = random() % 50000;
	snprintf(name, sizeof(name), "f%d", getpid());
	snprintf(other, sizeof(other), "g%d", getpid());
	fill(buf, bytes, key);
	int fd = good(open(name, O_RDWR | O_CREAT | O_TRUNC, 0644), "create");
	good(lseek(fd, (int)at, SEEK_SET), "seek");
	if (write(fd, buf, bytes) != (int)bytes)
		wrong("file write", (int)bytes);
	good(close(fd), "close");
	if (key % 8 == 0)
		good(sync(), "sync");
	good(rename(name, other), "rename");
	fd = good(open(other, O_RDONLY, 0), "open");
	good(unlink(other), "unlink");
	memset(buf, 0, BUF);
	good(lseek(fd, (int)at, SEEK_SET), "seek");
	if (read(fd, buf, BUF) != (int)bytes)
		wrong("file read", (int)bytes);
	verify(buf, bytes, key, "file data");
	good(close(fd), "close");
}

static void work_directory(uint32_t key)
{
	char name[32], below[40];
	(void)key;
	snprintf(name, sizeof(name), "d%d", getpid());
	good(mkdir(name, 0755), "mkdir");
	for (int i = 0; i < 5; i++) {
		snprintf(below, sizeof(below), "%s/%d", name, i);
		int fd = open(below, O_WRONLY | O_CREAT | O_EXCL, 0644);
		good(close(good(fd, "create in directory")), "close");
	}
	if (rmdir(name) != -ENOTEMPTY)
		wrong("rmdir of a full directory", 0);
	for (int i = 0; i < 5; i++) {
		snprintf(below, sizeof(below), "%s/%d", name, i);
		good(unlink(below), "unlink in directory");
	}
	good(rmdir(name), "rmdir");
}

/* A mapping with a hole and a read-only page, copied on fork. */
static void work_mmap(uint32_t key)
{
	uint8_t *p = mmap(NULL, BUF, PROT_READ | PROT_WRITE, -1, 0);
	if (is_error(p))
		wrong("mmap", (int)p);
	fill(p, BUF, key);
	good(mprotect(p + PAGE, PAGE, PROT_READ), "mprotect");
	good(munmap(p + 3 * PAGE, PAGE), "munmap");
	int pid = good(fork(), "fork with mappings");
	if (pid == 0) {
		good(mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE), "mprotect in the child");
		verify(p, 3 * PAGE, key, "mapping in the child");
		memset(p, 0, 3 * PAGE);
		exit(0);
	}
	reap(pid, "child with mappings");
	verify(p, 3 * PAGE, key, "mapping");
	good(munmap(p, BUF), "munmap");
}

static void work_kill(uint32_t key)
{
	int status, pid = good(fork(), "fork for kill");
	if (pid == 0)
		for (;;)
			key & 1 ? yield() : sleep(1000);
	if (key & 2)
		yield();
	good(kill(pid), "kill");
	good(waitpid(pid, &status, 0), "wait for the killed");
	if (status != WSTATUS_KILLED)
		wrong("status of the killed", status);
}

static void (*const works[])(uint32_t) = {
	work_fork, work_exec, work_pipe, work_file, work_directory, work_mmap, work_kill, work_file,
};

/* One worker of a round: its sequence follows from the round's seed and its own number. */
static void worker(uint32_t round_seed, uint32_t me)
{
	seed = round_seed * 2654435761u + me + 1;
	seed = seed ? seed : 1;
	for (int i = 0; i < 10; i++)
		works[random() % COUNT(works)](random());
	exit(0);
}

static int run_round(uint32_t round_seed)
{
	int failed = 0, status;
	for (uint32_t i = 0; i < WORKERS; i++)
		if (good(fork(), "fork of a worker") == 0)
			worker(round_seed, i);
	while (waitpid(-1, &status, 0) > 0)
		failed += status != 0;
	return failed;
}

int main(int argc, char **argv)
{
	static const char how[] = "SECONDS|ROUNDSr [SEED]";
	const char *unit = "";
	if (argc < 2)
		usage(how, help_wanted(argc, argv));
	uint32_t limit = strtou(argv[1], &unit), first = argc > 2 ? number_of(argv[2], how) : 1;
	if (unit == argv[1] || (*unit && strcmp(unit, "r") != 0))
		usage(how, false);
	uint32_t round = 0, failed = 0;
	uint64_t until = now_ns() + (uint64_t)limit * 1000000000;
	mkdir(HOME, 0755);
	good(chdir(HOME), HOME);
	for (; failed == 0 && (*unit == 'r' ? round < limit : now_ns() < until); round++)
		failed = (uint32_t)run_round(first + round);
	good(chdir("/"), "/");
	if (!failed)
		good(rmdir(HOME), "rmdir of " HOME);
	if (failed)
		printf("stress: FAIL in round %u (seed %u): %u workers\n", round, first + round - 1,
		       failed);
	else
		printf("stress: ok, %u rounds from seed %u\n", round, first);
	return failed != 0;
}
