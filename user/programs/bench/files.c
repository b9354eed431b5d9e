/* SPDX-License-Identifier: MIT */
/*
 * Rows about files: creating and deleting a file, empty or with 10 KiB of content, in a directory
 * that holds nothing else.
 */
#include "bench.h"

enum { FILES = 32, BYTES = 10240 };

static char names[FILES][20], content[BYTES];

static void create(uint32_t n, uint32_t bytes)
{
	for (uint32_t i = 0; i < n; i++) {
		int fd = open(names[i], O_WRONLY | O_CREAT | O_TRUNC, 0644);
		need(fd);
		if (bytes)
			need(write(fd, content, bytes));
		need(close(fd));
	}
}

static void create_0k(uint32_t n) { create(n, 0); }
static void create_10k(uint32_t n) { create(n, BYTES); }

static void delete(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		need(unlink(names[i]));
}

static void no_files(uint32_t n)
{
	mkdir("/tmp/bench", 0755); /* may exist */
	for (uint32_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "/tmp/bench/%u", i);
		unlink(names[i]);
	}
}

static void files_0k(uint32_t n)
{
	no_files(n);
	create(n, 0);
}

static void files_10k(uint32_t n)
{
	no_files(n);
	create(n, BYTES);
}

static void tidy(void)
{
	no_files(FILES);
	need(rmdir("/tmp/bench"));
}

const struct row file_rows[4] = {
	{"file_create_0k", FILES, create_0k, NULL, no_files, tidy},
	{"file_delete_0k", FILES, delete, NULL, files_0k, tidy},
	{"file_create_10k", FILES, create_10k, NULL, no_files, tidy},
	{"file_delete_10k", FILES, delete, NULL, files_10k, tidy},
};
