/* SPDX-License-Identifier: MIT */
/*
 * mmap, munmap, mprotect: areas appear, split and go. A page comes when it is first touched, with
 * zeros or with a file's content.
 */
#include "test.h"

static volatile uint32_t touch_at;

static void read_there(void) { (void)*(volatile uint8_t *)touch_at; }
static void write_there(void) { *(volatile uint8_t *)touch_at = 1; }
static void jump_there(void) { ((void (*)(void))touch_at)(); }

static void check_no_read(uint32_t address)
{
	touch_at = address;
	check_fault(read_there, VEC_PF);
}

static void check_no_write(uint32_t address)
{
	touch_at = address;
	check_fault(write_there, VEC_PF);
}

/* Fresh memory is zero, also in frames that held other data before. */
TEST(mmap_zeroed)
{
	for (int i = 0; i < 4; i++) {
		uint8_t *p = map(0, 32 * PAGE, PROT_READ | PROT_WRITE);
		check(all_zero(p, 32 * PAGE));
		memset(p, 0xAA, 32 * PAGE);
		check_is(munmap(p, 32 * PAGE), 0);
	}
}

/* Pages that nobody has touched take no memory. */
TEST(mmap_demand)
{
	uint32_t before = proc_number("/proc/meminfo", "free");
	uint8_t *p = map(0, 512u << 20, PROT_READ | PROT_WRITE);
	p[0] = p[300u << 20] = p[(512u << 20) - 1] = 1;
	check(before - proc_number("/proc/meminfo", "free") < 256);
	check_is(munmap(p, 512u << 20), 0);
}

/* Sizes are rounded up to whole pages; nothing is mapped after the last one. */
TEST(mmap_rounding)
{
	uint8_t *p = map(0x20000000, 1, PROT_READ | PROT_WRITE);
	p[PAGE - 1] = 1;
	check_no_read((uint32_t)p + PAGE);
	check_no_read((uint32_t)p - 1);
	check_is(munmap(p, 1), 0);
	check_no_read((uint32_t)p);
}

/* Wrong addresses, sizes and rights are errors; so are addresses that are already mapped. */
TEST(mmap_errors)
{
	static const struct { uint32_t at, bytes; int prot; } wrong[] = {
		{0, 0, 3}, {0x20000001, PAGE, 3}, {0x20000FFF, PAGE, 3}, {KERNEL_BASE, PAGE, 3},
		{USER_END - 0x1000, 2 * PAGE, 3}, {VMM_BASE, PAGE, 3}, {0xFFFFF000, PAGE, 3},
		{0xFFFFF000, 2 * PAGE, 3}, {0x20000000, 0xC0000000, 3},
		{0x20000000, 0xFFFFFFFF, 3}, {0, 0xFFFFFFFF, 3}, {0, 0xC0000000, 3},
		{0, 0xFFFFF001, 3}, {0x20000000, PAGE, 8}, {0x20000000, PAGE, -1},
		{0x1000, USER_END - 0x1000, 3},
	};
	for (int i = 0; i < COUNT(wrong); i++) {
		int error = raw_call(CALL_mmap, wrong[i].at, wrong[i].bytes,
				     (uint32_t)wrong[i].prot, (uint32_t)-1, 0);
		if (error >= 0 || error < -EUCLEAN)
			fail("mmap of 0x%x bytes at 0x%x: 0x%x", wrong[i].bytes, wrong[i].at,
			     (uint32_t)error);
	}
	uint32_t p = (uint32_t)map(0x20000000, 4 * PAGE, PROT_READ);
	check_is(raw_call(CALL_mmap, p, PAGE, 3, (uint32_t)-1, 0), -EEXIST);
	check_is(raw_call(CALL_mmap, p - PAGE, 2 * PAGE, 3, (uint32_t)-1, 0), -EEXIST);
	check_is(raw_call(CALL_mmap, p + 3 * PAGE, 2 * PAGE, 3, (uint32_t)-1, 0), -EEXIST);
	check_is(raw_call(CALL_mmap, p - PAGE, 8 * PAGE, 3, (uint32_t)-1, 0), -EEXIST);
	check_is(raw_call(CALL_mmap, 0, PAGE, 3, 99, 0), -EBADF);
	check(munmap((void *)(p + 1), PAGE) < 0);
	check(munmap((void *)p, 0) < 0);
	check(munmap((void *)p, 0xC0000000) < 0);
	check(munmap((void *)KERNEL_BASE, PAGE) < 0);
	check(munmap((void *)0xFFFFF000, PAGE) < 0);
	check(mprotect((void *)(p + 1), PAGE, PROT_READ) < 0);
	check(mprotect((void *)p, PAGE, 8) < 0);
	check(mprotect((void *)p, 5 * PAGE, PROT_READ) < 0);
	check(mprotect((void *)KERNEL_BASE, PAGE, PROT_READ) < 0);
	check(mprotect((void *)0xFFFFF000, 0xFFFFF000, PROT_READ) < 0);
}

/* The first page stays unmapped: a NULL pointer faults. */
TEST(mmap_null_page)
{
	int at = raw_call(CALL_mmap, 0, PAGE, 3, (uint32_t)-1, 0); /* 0 means anywhere */
	check(at != 0 && (uint32_t)at < KERNEL_BASE);
	check_no_read(0);
	check_no_write(0);
	check_no_write(PAGE - 1);
	touch_at = 0;
	check_fault(jump_there, VEC_PF);
}

/* munmap in the middle of an area, then at its ends: the other parts stay. */
TEST(munmap_splits)
{
	uint8_t *p = map(0x20000000, 8 * PAGE, PROT_READ | PROT_WRITE);
	for (uint32_t i = 0; i < 8; i++)
		p[i * PAGE] = (uint8_t)i;
	check_is(munmap(p + 3 * PAGE, 2 * PAGE), 0);
	check_no_read((uint32_t)p + 3 * PAGE);
	check_no_read((uint32_t)p + 4 * PAGE);
	check(p[2 * PAGE] == 2 && p[5 * PAGE] == 5);
	check_is(munmap(p, PAGE), 0);
	check_is(munmap(p + 7 * PAGE, PAGE), 0);
	check(p[PAGE] == 1 && p[6 * PAGE] == 6);
	check_no_read((uint32_t)p);
	check_no_read((uint32_t)p + 7 * PAGE);
	map((uint32_t)p + 3 * PAGE, 2 * PAGE, PROT_READ); /* the hole can be mapped again */
	check_is(p[3 * PAGE], 0);
	check_is(munmap(p, 8 * PAGE), 0); /* holes and several areas in one call */
	for (uint32_t i = 0; i < 8; i++)
		check_no_read((uint32_t)p + i * PAGE);
}

/* A page that may only be executed: the machine lets it be read, too, but not be written. */
TEST(mprotect_execute)
{
	uint8_t *p = map(0x20000000, PAGE, PROT_READ | PROT_WRITE);
	*p = 0xC3; /* ret */
	check_is(mprotect(p, PAGE, PROT_EXEC), 0);
	((void (*)(void))p)();
	check_no_write((uint32_t)p);
}

/* Rights change page by page, and the content stays. */
TEST(mprotect_splits)
{
	uint8_t *p = map(0x20000000, 6 * PAGE, PROT_READ | PROT_WRITE);
	for (uint32_t i = 0; i < 6; i++)
		p[i * PAGE] = (uint8_t)(i + 1);
	check_is(mprotect(p + 2 * PAGE, 2 * PAGE, PROT_READ), 0);
	check_no_write((uint32_t)p + 2 * PAGE);
	check_no_write((uint32_t)p + 4 * PAGE - 1);
	check_is(mprotect(p + 3 * PAGE, PAGE, PROT_NONE), 0);
	check_no_read((uint32_t)p + 3 * PAGE);
	p[PAGE] = p[4 * PAGE] = 9;
	check_is(p[2 * PAGE], 3);
	check_is(mprotect(p, 6 * PAGE, PROT_READ | PROT_WRITE), 0);
	check_is(p[3 * PAGE], 4);
	p[3 * PAGE] = 7;
	check_is(p[3 * PAGE], 7);
}

/* A page that is not there yet comes with the rights that it was given last. */
TEST(mprotect_before_touch)
{
	uint8_t *p = map(0, 2 * PAGE, PROT_NONE);
	check_no_read((uint32_t)p);
	check_is(mprotect(p, PAGE, PROT_READ), 0);
	check_is(p[0], 0);
	check_no_write((uint32_t)p);
	check_no_read((uint32_t)p + PAGE);
	check_is(mprotect(p, PAGE, PROT_READ | PROT_WRITE), 0);
	p[0] = 1;
}

/* A range with a hole is refused, and nothing has changed. */
TEST(mprotect_hole)
{
	uint8_t *p = map(0x20000000, 3 * PAGE, PROT_READ | PROT_WRITE);
	check_is(munmap(p + PAGE, PAGE), 0);
	check_is(mprotect(p, 3 * PAGE, PROT_READ), -ENOMEM);
	p[0] = p[2 * PAGE] = 1;
}

/* After fork each process has its own mappings and rights. */
TEST(mmap_after_fork)
{
	uint8_t *p = map(0, 2 * PAGE, PROT_READ | PROT_WRITE);
	p[0] = p[PAGE] = 1;
	int pid = check_ok(fork());
	if (pid == 0) {
		check_is(mprotect(p, PAGE, PROT_READ), 0);
		check_is(munmap(p + PAGE, PAGE), 0);
		exit(0);
	}
	check_is(wait_for(pid), 0);
	p[0] = p[PAGE] = 2;
	check_is(mprotect(p, PAGE, PROT_READ), 0);
	pid = check_ok(fork());
	if (pid == 0) {
		check_is(mprotect(p, PAGE, PROT_READ | PROT_WRITE), 0);
		p[0] = 3;
		exit(0);
	}
	check_is(wait_for(pid), 0);
	check_is(p[0], 2);
}

/* A mapping shows the file's content, then zeros; writes to it are private. */
TEST(mmap_file)
{
	make_file("f", 3 * PAGE + 100, 1);
	int fd = check_ok(open("f", O_RDONLY, 0));
	int at = raw_call(CALL_mmap, 0, 4 * PAGE, PROT_READ | PROT_WRITE, (uint32_t)fd, 0);
	check((uint32_t)at < KERNEL_BASE);
	uint8_t *p = (uint8_t *)at;
	check_is(close(fd), 0); /* the mapping keeps the file */
	check_is(differs(p, 3 * PAGE + 100, 1), -1);
	check(all_zero(p + 3 * PAGE + 100, PAGE - 100));
	memset(p, 0xEE, 4 * PAGE);
	check_file("f", 3 * PAGE + 100, 1);
	check_is(unlink("f"), 0);
	check_is(p[3 * PAGE], 0xEE);
}

/* A mapping may begin at an offset in the file; through a read-only mapping nothing is written. */
TEST(mmap_file_offset)
{
	static uint8_t whole[4 * PAGE];
	make_file("f", sizeof(whole), 1);
	fill(whole, sizeof(whole), 1);
	int fd = check_ok(open("f", O_RDONLY, 0));
	uint8_t *p = (uint8_t *)raw_call(CALL_mmap, 0, 2 * PAGE, PROT_READ, (uint32_t)fd, 2 * PAGE);
	check((uint32_t)p < KERNEL_BASE);
	check(!memcmp(p, whole + 2 * PAGE, 2 * PAGE));
	check_no_write((uint32_t)p);
	check_is(raw_call(CALL_mmap, 0, PAGE, PROT_READ, (uint32_t)fd, 100), -EINVAL);
	/* Past the file's end there are zeros. */
	p = (uint8_t *)raw_call(CALL_mmap, 0, 2 * PAGE, PROT_READ, (uint32_t)fd, 16 * PAGE);
	check((uint32_t)p < KERNEL_BASE);
	check(all_zero(p, 2 * PAGE));
}

static int map_descriptor(int fd)
{
	return raw_call(CALL_mmap, 0, PAGE, PROT_READ, (uint32_t)fd, 0);
}

/* Only regular files that are open for reading can be mapped. */
TEST(mmap_file_errors)
{
	int p[2];
	check_is(pipe(p), 0);
	check(map_descriptor(p[0]) < 0);
	check(map_descriptor(check_ok(open(".", O_RDONLY, 0))) < 0);
	check(map_descriptor(check_ok(open("/dev/console", O_RDONLY, 0))) < 0);
	check(map_descriptor(check_ok(open("w", O_WRONLY | O_CREAT, 0644))) < 0);
}

/* Many areas that are made and removed in random order do not disturb each other. */
TEST(mmap_many)
{
	enum { AREAS = 100 };
	static uint32_t at[AREAS], pages[AREAS];
	uint32_t seed = 11;
	for (int round = 0; round < 600; round++) {
		uint32_t i = next_random(&seed) % AREAS;
		if (at[i]) {
			check_is(*(uint32_t *)at[i], i);
			check_is(*(uint32_t *)(at[i] + (pages[i] - 1) * PAGE + 8), i);
			check_is(munmap((void *)at[i], pages[i] * PAGE), 0);
			at[i] = 0;
		} else {
			pages[i] = next_random(&seed) % 5 + 1;
			at[i] = (uint32_t)map(0, pages[i] * PAGE, PROT_READ | PROT_WRITE);
			*(uint32_t *)at[i] = i;
			*(uint32_t *)(at[i] + (pages[i] - 1) * PAGE + 8) = i;
		}
	}
}

/* The page just below KERNEL_BASE belongs to the stack; the byte at KERNEL_BASE does not. */
TEST(mmap_end_of_user)
{
	check_is((int)*(volatile uint8_t *)(KERNEL_BASE - 1) >= 0, 1);
	check_no_read(KERNEL_BASE);
	check_no_write(KERNEL_BASE);
}
