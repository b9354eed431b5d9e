/* SPDX-License-Identifier: MIT */
/*
 * The frame allocator and kmalloc on this host, and a model of what they have given out: who owns
 * every 16 bytes, and what is written there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "layout.h"
#include "random.h"
#undef KERNEL_BASE /* an address that the sanitizer does not use for its shadow memory */
#define KERNEL_BASE 0x40000000u
#include "kernel/mm/frame.c"
#include "kernel/mm/kmalloc.c"

#define FRAMES 4000u /* two blocks of the highest order fit, and a part of one at each end */
#define RESERVED 40u /* not the allocator's, like the frames of the kernel's image */
#define FREE (FRAMES - RESERVED)
#define LIVE 1500u
#define OPERATIONS 100000
#define GRANULES (PAGE_SIZE / 16)

/* the host's */
extern void *mmap(void *at, size_t bytes, int prot, int flags, int fd, long offset);
enum { HOST_PRIVATE = 2, HOST_ANONYMOUS = 0x20, HOST_FIXED_NOREPLACE = 0x100000 };

uint32_t nr_pfns = FRAMES;
static jmp_buf *panic_expected;

void spin_lock(struct spinlock *l) { assert_int_equal(l->held++, 0); }
void spin_unlock(struct spinlock *l) { assert_int_equal(--l->held, 0); }
void panic(const char *fmt, ...)
{
	if (panic_expected)
		longjmp(*panic_expected, 1);
	fail_msg("panic: %s", fmt);
	abort();
}

/* --- the model --- */

static struct thing {
	char *at;
	uint32_t bytes, mark, gets;
	unsigned order;
	bool object;
} live[LIVE];
static uint32_t nr_live, next_mark, frames_owned;
static uint32_t owner[FRAMES * GRANULES]; /* marks; 0: free */

static uint32_t granule(const void *p) { return ((uint32_t)(uintptr_t)p - KERNEL_BASE) / 16; }

/* A thing was given out: no part of it may belong to another; from now on it has its mark. */
static void took(void *at, uint32_t bytes, unsigned order, bool object)
{
	struct thing *t = &live[nr_live++];
	*t = (struct thing){ .at = at, .bytes = bytes, .mark = ++next_mark, .order = order,
			     .object = object };
	CHECK(virt_to_pfn(at) >= RESERVED && virt_to_pfn(t->at + bytes - 1) < FRAMES);
	CHECK((uintptr_t)at % 16 == 0);
	for (uint32_t i = granule(at); i < granule(at) + DIV_UP(bytes, 16); i++) {
		CHECK(owner[i] == 0);
		owner[i] = t->mark;
	}
	for (uint32_t i = 0; i + 4 <= bytes; i += object ? 4 : PAGE_SIZE / 2)
		*(uint32_t *)(t->at + i) = t->mark;
}

static void gone(struct thing *t)
{
	for (uint32_t i = 0; i + 4 <= t->bytes; i += t->object ? 4 : PAGE_SIZE / 2)
		CHECK(*(uint32_t *)(t->at + i) == t->mark);
	for (uint32_t i = granule(t->at); i < granule(t->at) + DIV_UP(t->bytes, 16); i++) {
		CHECK(owner[i] == t->mark);
		owner[i] = 0;
	}
	*t = live[--nr_live];
}

static bool take_block(unsigned order, bool user)
{
	pfn_t pfn = user ? frame_alloc_user() : frame_alloc(order);
	if (pfn == NO_FRAME)
		return false;
	CHECK(pfn % (1u << order) == 0 && frame_refs(pfn) == 1);
	took(pfn_to_virt(pfn), PAGE_SIZE << order, order, false);
	frames_owned += 1u << order;
	return true;
}

static bool take_object(uint32_t bytes, bool zero)
{
	char *p = zero ? kzalloc(bytes) : kmalloc(bytes);
	for (uint32_t i = 0; p && zero && i < bytes; i++)
		CHECK(p[i] == 0);
	if (p)
		took(p, MAX(bytes, 1u), 0, true);
	return p;
}

static void give_back(struct thing *t)
{
	char *at = t->at;
	pfn_t pfn = virt_to_pfn(at);
	unsigned order = t->order;
	bool object = t->object;
	if (!object && order == 0 && t->gets) { /* one of several references */
		t->gets--;
		frame_put(pfn);
		CHECK(frame_refs(pfn) == t->gets + 1);
		return;
	}
	gone(t);
	if (object) {
		kfree(at);
		return;
	}
	frames_owned -= 1u << order;
	if (order)
		frame_free(pfn, order);
	else
		frame_put(pfn);
}

static void give_back_all(void)
{
	while (nr_live)
		give_back(&live[below(nr_live)]);
}

static void check_counts(void)
{
	uint32_t slabs = 0;
	for (pfn_t pfn = 0; pfn < FRAMES; pfn++)
		slabs += frame_table[pfn].kind == FRAME_SLAB;
	CHECK(frames_free() + frames_owned + slabs == FREE);
	CHECK(kmalloc_idle() <= MIN(slabs, NR_CLASSES));
}

static void operation(void)
{
	uint32_t what = below(100);
	struct thing *t = nr_live ? &live[below(nr_live)] : NULL;
	if (what < 45 || nr_live == LIVE) {
		if (t)
			give_back(t);
	} else if (what < 50) {
		if (t && !t->object && t->order == 0)
			frame_get(virt_to_pfn(t->at)), t->gets++;
	} else if (what < 75) {
		CHECK(take_object(below(4) ? below(200) : below(PAGE_SIZE + 1), what & 1) ||
		      frames_free() == 0);
	} else if (what < 80) {
		uint32_t before = frames_free();
		CHECK(take_block(0, true) == (before > FRAME_LOW_WATER));
	} else if (what < 90) {
		CHECK(take_block(0, false) || frames_free() == 0);
	} else {
		take_block(below(4) ? below(4) : below(MAX_ORDER + 1), false);
	}
}
