/* SPDX-License-Identifier: MIT */
/*
 * torn: processes that are most of the time in the kernel, and there in the middle of a page fault,
 * when an interrupt comes. Each reads a file into pages that it does not have yet, and compares
 * every byte. A trap frame that a mode switch forgets, or a register that it loses, shows as a
 * wrong byte or a dead process.
 */
#include "user.h"

enum { WORKERS = 3, PAGE = 4096, BYTES = 16 * PAGE };
#define FILE "/tmp/torn"

static uint8_t byte_at(uint32_t i) { return (uint8_t)(i * 7 + (i >> 8)); }

static int fail(const char *what, int error)
{
	complain(what, error);
	return 1;
}

static int write_file(void)
{
	uint8_t page[PAGE];
	int fd = open(FILE, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	for (uint32_t at = 0; at < BYTES && fd >= 0; at += PAGE) {
		for (uint32_t i = 0; i < PAGE; i++)
			page[i] = byte_at(at + i);
		if (write(fd, page, PAGE) != PAGE)
			return fail(FILE, -EIO);
	}
	return fd < 0 ? fail(FILE, fd) : close(fd);
}

static int worker(uint32_t rounds)
{
	int fd = open(FILE, O_RDONLY, 0);
	for (; rounds && fd >= 0; rounds--) {
		uint8_t *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, -1, 0);
		lseek(fd, 0, SEEK_SET);
		if (is_error(p) || read(fd, p, BYTES) != BYTES)
			return fail("read into new pages", -EIO);
		for (uint32_t i = 0; i < BYTES; i++)
			if (p[i] != byte_at(i))
				return fail("a byte is wrong", -EIO);
		munmap(p, BYTES);
	}
	return fd < 0 ? fail(FILE, fd) : 0;
}

int main(int argc, char **argv)
{
	int failed = 0, status;
	if (argc != 2 || help_wanted(argc, argv))
		usage("ROUNDS", argc == 2);
	if (write_file())
		return 1;
	for (int i = 0; i < WORKERS; i++)
		if (fork() == 0)
			exit(worker(strtou(argv[1], NULL)));
	while (waitpid(-1, &status, 0) > 0)
		failed |= status;
	unlink(FILE);
	return failed != 0;
}
