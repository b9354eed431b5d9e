/* SPDX-License-Identifier: MIT */
/* What tests share: children, patterned data, files of such data, numbers from /proc. */
#include "test.h"

int start(void (*fn)(void))
{
	int pid = check_ok(fork());
	if (pid == 0) {
		fn();
		exit(0);
	}
	return pid;
}

int wait_for(int pid)
{
	int status = -1;
	check_is(waitpid(pid, &status, 0), pid);
	return status;
}

int status_of(void (*fn)(void)) { return wait_for(start(fn)); }

void end(int pid)
{
	kill(pid);
	wait_for(pid);
}

uint32_t next_random(uint32_t *seed)
{
	uint32_t x = *seed ? *seed : 1; /* xorshift: 0 would stay 0 */
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *seed = x;
}

/* Byte i of the sequence for a seed: cheap, and it changes with each 256 bytes, page and seed. */
static uint8_t byte_at(uint32_t i, uint32_t seed)
{
	return (uint8_t)(i + (i >> 8) * 7 + (i >> 12) * 13 + seed * 31);
}

void fill(void *buf, uint32_t bytes, uint32_t seed)
{
	uint8_t *p = buf;
	for (uint32_t i = 0; i < bytes; i++)
		p[i] = byte_at(i, seed);
}

int differs(const void *buf, uint32_t bytes, uint32_t seed)
{
	const uint8_t *p = buf;
	for (uint32_t i = 0; i < bytes; i++)
		if (p[i] != byte_at(i, seed))
			return (int)i;
	return -1;
}

int all_zero(const void *buf, uint32_t bytes)
{
	const uint8_t *p = buf;
	for (uint32_t i = 0; i < bytes; i++)
		if (p[i])
			return 0;
	return 1;
}

static uint8_t block[8 * PAGE];

void make_file(const char *path, uint32_t bytes, uint32_t seed)
{
	int fd = check_ok(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
	for (uint32_t at = 0; at < bytes;) {
		uint32_t n = bytes - at < sizeof(block) ? bytes - at : sizeof(block);
		fill(block, n, seed + at / sizeof(block));
		check_is(write(fd, block, n), n);
		at += n;
	}
	check_is(close(fd), 0);
}

void check_file(const char *path, uint32_t bytes, uint32_t seed)
{
	int fd = check_ok(open(path, O_RDONLY, 0));
	check_is(size_of(path), bytes);
	for (uint32_t at = 0; at < bytes;) {
		uint32_t n = bytes - at < sizeof(block) ? bytes - at : sizeof(block);
		check_is(read(fd, block, n), n);
		int wrong = differs(block, n, seed + at / sizeof(block));
		if (wrong >= 0)
			fail("%s: byte %u is wrong", path, at + (uint32_t)wrong);
		at += n;
	}
	check_is(read(fd, block, 1), 0);
	check_is(close(fd), 0);
}

int exists(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0;
}

uint32_t size_of(const char *path)
{
	struct stat st;
	check_ok(stat(path, &st));
	return st.st_size;
}

void *map(uint32_t address, uint32_t bytes, int prot)
{
	uint32_t result = (uint32_t)mmap((void *)address, bytes, prot, -1, 0);
	if (result >= KERNEL_BASE)
		fail("mmap of %u bytes at 0x%x: %d", bytes, address, (int)result);
	return (void *)result;
}

uint64_t now_ms(void) { return div_u64(now_ns(), 1000000); }

static char text[32768];

/* Read a whole file into `text`. Result: 0, or the error. */
static int try_read_text(const char *path)
{
	int fd = open(path, O_RDONLY, 0), length = 0, n = fd;
	while (n >= 0 && (n = read(fd, text + length, sizeof(text) - 1 - (size_t)length)) > 0)
		length += n;
	text[length] = 0;
	close(fd);
	return n;
}

static void read_text(const char *path)
{
	int error;
	for (int i = 0; (error = try_read_text(path)) < 0 && i < 50; i++)
		sleep(20); /* a test that took all memory may not have given it back yet */
	if (error < 0)
		fail("%s: %s", path, strerror(error));
}

uint32_t proc_number(const char *path, const char *word)
{
	read_text(path);
	const char *p = text;
	for (size_t n = strlen(word); *p && strncmp(p, word, n); p++)
		;
	while (*p && (*p < '0' || *p > '9'))
		p++;
	if (!*p)
		fail("%s has no number after \"%s\"", path, word);
	uint32_t value = 0;
	for (; *p >= '0' && *p <= '9'; p++)
		value = value * 10 + (uint32_t)(*p - '0');
	return value;
}

int proc_tasks(void)
{
	int lines = 0;
	read_text("/proc/tasks");
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	return lines;
}
