/* SPDX-License-Identifier: MIT */
/* A boot that hangs: the tests' machine and tools/run say soon where it stands. */
#include "tests.h"

static void to_prompt(const struct test *t) { start_to_prompt(&t->machine); }
static void say_nothing(const struct result *r, unsigned done, unsigned all)
{
	(void)r, (void)done, (void)all;
}

/* Write a kernel whose vfs_init() begins with this code, as build/cinnabar of a folder. */
static void write_hanging_kernel(const char *dir, const void *code, size_t bytes)
{
	char path[400];
	size_t n = 0;
	shell_must(10, "mkdir %s && cp %s %s/cinnabar && cp %s %s/rootfs.ext2 %s && "
		       "nm %s | sed -n 's/ [tT] vfs_init$//p' > %s/at && "
		       "readelf -lW %s | awk '$1 == \"LOAD\" { print $2, $3, $5 }' >> %s/at",
		   dir, kernel_file, dir, vmm_file, build_dir, dir, kernel_file, dir, kernel_file,
		   dir);
	snprintf(path, sizeof(path), "%s/at", dir);
	char *text = file_text(path), *rest = text;
	uint32_t at = (uint32_t)strtoul(strsep(&rest, "\n"), NULL, 16), offset, address, size;
	snprintf(path, sizeof(path), "%s/cinnabar", dir);
	FILE *f = fopen(path, "r+");
	for (; rest && sscanf(rest, "%x %x %x", &offset, &address, &size) == 3; strsep(&rest, "\n"))
		if (at - address < size && fseek(f, offset + at - address, SEEK_SET) == 0)
			n = fwrite(code, 1, bytes, f);
	CHECK(fclose(f) == 0 && n == bytes, "vfs_init is not found in the file");
	free(text);
}

/*
 * A kernel that spins for ever in its boot, or halts (number): after a bounded number of
 * instructions the tests' machine says where it stands, and so does tools/run, which ends it.
 */
static void hangs(const struct test *t)
{
	static const uint8_t spin[] = { 0xEB, 0xFE }, halt[] = { 0xFA, 0xF4, 0xEB, 0xFD };
	static const char place[] = "vfs_init (kernel/fs/vfs.c:";
	char dir[300], text[2000];
	snprintf(dir, sizeof(dir), "%s", work_path("build"));
	write_hanging_kernel(dir, t->number ? halt : spin, t->number ? sizeof(halt) : 2);
	int status = shell(text, sizeof(text), 200, "BUILD=%s CMDLINE=run=true tools/run "
			   "</dev/null 2>&1", dir);
	CHECK(status == 1 && strstr(text, "vfs_init kernel/fs/vfs.c:"),
	      "tools/run ended with status %d:\n%s", status, text);
	CHECK(!strstr(text, "triple fault"), "tools/run names a wrong cause:\n%s", text);
	struct result r = { .test = { .name = "hangs", .run = to_prompt, .seconds = t->seconds } };
	struct judge judge = { .jobs = 1, .base_dir = work_dir, .report = say_nothing };
	asprintf((char **)&kernel_file, "%s/cinnabar", dir);
	judge_all(&judge, &r, 1);
	CHECK(r.outcome == FAILED && strstr(r.reason, place), "it does not say %s:\n%s", place,
	      r.reason);
}

/* What looks after the boot ends with tools/run, also when QEMU lacks memory and does not start. */
static void no_start(const struct test *t)
{
	char text[2000];
	(void)t;
	int status = shell(text, sizeof(text), 20, "(ulimit -v 60000; BUILD=%s CMDLINE=run=true "
			   "tools/run </dev/null) 2>&1 | cat", build_dir);
	CHECK(status == 0 && strstr(text, "run: QEMU ended with status"),
	      "it ended with %d (-1: after 20 s it had not ended) and said:\n%s", status, text);
}

const struct test hang_tests[] = {
	{ .name = "boot-no-start", .run = no_start, .seconds = 40 },
	{ .name = "boot-halts", .run = hangs, .seconds = 90, .number = 1 },
	{ 0 },
};
const struct test hang_soak_tests[] = {
	{ .name = "soak-boot-hangs", .run = hangs, .seconds = 200 },
	{ 0 },
};
