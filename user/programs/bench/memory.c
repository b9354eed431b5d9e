/* SPDX-License-Identifier: MIT */
/* Rows about memory: mapping, first touch, and faults that the program handles itself. */
#include "bench.h"

static volatile uint8_t *page;

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

static void mprotect_pair(uint32_t n)
{
	volatile uint8_t *p = map(PAGE);
	p[0] = 1;
	while (n--) {
		need(mprotect((void *)p, PAGE, PROT_READ));
		(void)p[0];
		need(mprotect((void *)p, PAGE, PROT_READ | PROT_WRITE));
		p[0] = 1;
	}
	need(munmap((void *)p, PAGE));
}

const struct row memory_rows[4] = {
	{"page_fault", FAULT_PAGES, page_fault, NULL, map_untouched, unmap_touched},
	{"mmap16_touch_unmap", 50, mmap16_touch_unmap, NULL, NULL, NULL},
	{"mprotect_pair", 500, mprotect_pair, NULL, NULL, NULL},
	{"protection_fault", 200, protection_fault, NULL, map_read_only, unmap_page},
};
