/* SPDX-License-Identifier: MIT */
/* Rows about memory: mapping, first touch, and faults that the program handles itself. */
#include "bench.h"

volatile uint8_t *resident;
uint32_t resident_pages;
static volatile uint8_t *page;
static int file = -1;

void touch_resident(void)
{
	for (uint32_t i = 0; i < resident_pages; i++)
		resident[i * PAGE] = 1;
}

static void *map(uint32_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, -1, 0);
	need((int)p);
	return p;
}

static void mmap16_touch_unmap(uint32_t n)
{
	while (n--) {
		volatile uint8_t *p = map(16 * PAGE);
		for (uint32_t i = 0; i < 16; i++)
			p[i * PAGE] = 1;
		need(munmap((void *)p, 16 * PAGE));
	}
}

static void map_untouched(uint32_t n)
{
	if (page)
		need(munmap((void *)page, n * PAGE));
	page = map(n * PAGE);
}

enum { FAULT_PAGES = 256 };

static void page_fault(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		page[i * PAGE] = 1;
}

static void unmap_touched(void)
{
	need(munmap((void *)page, FAULT_PAGES * PAGE));
	page = NULL;
}

static void skip_write(struct fault_context *c) { c->eip += 3; }

static void map_read_only(uint32_t n)
{
	(void)n;
	if (page)
		return;
	page = map(PAGE);
	page[0] = 1;
	need(mprotect((void *)page, PAGE, PROT_READ));
	need(on_fault(skip_write));
}

static void protection_fault(uint32_t n)
{
	while (n--)
		/* movb $2, (%eax): three bytes */
		__asm__ volatile(".byte 0xC6, 0x00, 0x02" : : "a"(page) : "memory");
}

static void unmap_page(void)
{
	if (page[0] != 1)
		need(-EFAULT);
	need(munmap((void *)page, PAGE));
	need(on_fault(NULL));
	page = NULL;
}

/*
 * As lmbench's lat_pagefault: a file is mapped, and each page is read for the first time. Its
 * content is in memory already.
 */
static void map_file(uint32_t n)
{
	static uint8_t bytes[PAGE];
	if (file < 0) {
		file = open("/tmp/bench.map", O_RDWR | O_CREAT | O_TRUNC, 0600);
		need(file);
		for (uint32_t i = 0; i < n; i++)
			need(write(file, bytes, PAGE));
	}
	if (page)
		need(munmap((void *)page, n * PAGE));
	page = mmap(NULL, n * PAGE, PROT_READ, file, 0);
	need((int)page);
}

static void file_fault(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		(void)page[i * PAGE];
}

static void unmap_file(void)
{
	unmap_touched();
	need(close(file));
	need(unlink("/tmp/bench.map"));
	file = -1;
}

/* Protect one page in the middle of a mapping, read it; allow writing again, write. */
static void mprotect_in(uint32_t pages, uint32_t n)
{
	volatile uint8_t *all = map(pages * PAGE), *p = all + pages / 2 * PAGE;
	for (uint32_t i = 0; i < pages; i++)
		all[i * PAGE] = 1;
	while (n--) {
		need(mprotect((void *)p, PAGE, PROT_READ));
		(void)p[0];
		need(mprotect((void *)p, PAGE, PROT_READ | PROT_WRITE));
		p[0] = 1;
	}
	need(munmap((void *)all, pages * PAGE));
}

static void mprotect_pair(uint32_t n) { mprotect_in(1, n); }
static void mprotect_1_of_256(uint32_t n) { mprotect_in(256, n); }

const struct row memory_rows[6] = {
	{"page_fault", FAULT_PAGES, page_fault, NULL, map_untouched, unmap_touched},
	{"file_fault", FAULT_PAGES, file_fault, NULL, map_file, unmap_file},
	{"mmap16_touch_unmap", 50, mmap16_touch_unmap, NULL, NULL, NULL},
	{"mprotect_pair", 500, mprotect_pair, NULL, NULL, NULL},
	{"mprotect_1_of_256", 500, mprotect_1_of_256, NULL, NULL, NULL},
	{"protection_fault", 200, protection_fault, NULL, map_read_only, unmap_page},
};
