/* SPDX-License-Identifier: MIT */
/*
 * The frame allocator and kmalloc against a model that knows the owner of each 16 bytes: nothing
 * is given out twice, contents stay, counts agree, and at the end all memory is back and joined
 * to the largest blocks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "layout.h"
#undef KERNEL_BASE /* an address that the sanitizer does not use for its shadow memory */
#define KERNEL_BASE 0x40000000u
#include "kernel/mm/frame.c"
#include "kernel/mm/kmalloc.c"

#define FRAMES 4000u /* two blocks of the highest order fit, and a part of one at each end */
#define RESERVED 40u /* never given to the allocator, as the kernel's image */
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

static uint32_t random_state, seed;
static uint32_t below(uint32_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % limit;
}

static void at_random(uint32_t from)
{
	seed = from;
	random_state = from * 2654435761u + 1;
}

#define CHECK(x) \
	do { \
		if (!(x)) \
			fail_msg("seed %u: %s does not hold (line %d)", seed, #x, __LINE__); \
	} while (0)

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

/* A thing was given out: it is nobody's else, and from now on it bears its mark. */
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
	if (!object && order == 0 && t->gets) { /* shared: one reference less */
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

/* --- tests --- */

static int machine(void **state)
{
	(void)state;
	if (mmap((void *)(uintptr_t)KERNEL_BASE, (size_t)FRAMES * PAGE_SIZE, 3,
		 HOST_PRIVATE | HOST_ANONYMOUS | HOST_FIXED_NOREPLACE, -1,
		 0) != (void *)(uintptr_t)KERNEL_BASE)
		return -1;
	frame_table = calloc(FRAMES, sizeof(*frame_table));
	for (pfn_t pfn = RESERVED; pfn < FRAMES; pfn++)
		frame_free(pfn, 0);
	return 0;
}

static int unmake(void **state)
{
	(void)state;
	free(frame_table);
	return 0;
}

/*
 * Everything taken, largest blocks first: with all memory joined, that is the binary form of the
 * free range.
 */
static void test_joined(void **state)
{
	/* 40..1023 | 1024..3071 | 3072..3999 */
	static const uint32_t want[MAX_ORDER + 1] = { 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2 };
	(void)state;
	for (int order = MAX_ORDER; order >= 0; order--) {
		uint32_t n = 0;
		while (take_block((unsigned)order, false))
			n++;
		CHECK(n == want[order]);
	}
	CHECK(frames_free() == 0 && frames_owned == FREE);
	CHECK(!take_object(16, false) && !take_block(0, true));
	give_back_all();
	check_counts();
}

static void test_random(void **state)
{
	(void)state;
	for (uint32_t s = 1; s <= 3; s++) {
		at_random(s);
		for (int i = 0; i < OPERATIONS; i++) {
			operation();
			if (i % 500 == 0)
				check_counts();
		}
		give_back_all();
		check_counts();
		CHECK(frames_free() + kmalloc_idle() == FREE);
	}
}

/* Frames one by one to the last; user memory ends before. */
static void test_full(void **state)
{
	static pfn_t all[FREE];
	uint32_t n = 0, kept = kmalloc_idle();
	(void)state;
	for (; (all[n] = frame_alloc_user()) != NO_FRAME; n++)
		;
	assert_int_equal(frames_free(), FRAME_LOW_WATER);
	for (; (all[n] = frame_alloc(0)) != NO_FRAME; n++)
		;
	assert_int_equal(n, FREE - kept);
	assert_int_equal(frames_free(), 0);
	while (n)
		frame_free(all[--n], 0);
	assert_int_equal(frames_free(), FREE - kept);
}

/* All memory as objects of one size: each frame is used to its last byte. */
static void test_objects(void **state)
{
	(void)state;
	for (uint32_t bytes = PAGE_SIZE; bytes >= 512; bytes /= 2) {
		void **list = NULL, **p;
		uint32_t n = 0, kept = kmalloc_idle(), mine = 0;
		while ((p = kmalloc(bytes)))
			*p = list, list = p, n++;
		assert_int_equal(frames_free(), 0);
		mine = kept - kmalloc_idle(); /* this class had an idle frame */
		assert_int_equal(n, (FREE - kept + mine) * (PAGE_SIZE / bytes));
		for (; (p = list); kfree(p))
			list = *p;
		kfree(NULL);
		assert_int_equal(frames_free() + kmalloc_idle(), FREE);
	}
}

/* --- the shrinker --- */

static pfn_t stash[FREE];
static void *stash_object;
static uint32_t nr_stash, gives, calls, last_wanted;

static uint32_t shrinker(uint32_t wanted)
{
	uint32_t n = 0;
	calls++;
	last_wanted = wanted;
	kfree(stash_object); /* the block cache's: no lock of the allocators may be held */
	stash_object = NULL;
	for (; n < gives && nr_stash; n++)
		frame_free(stash[--nr_stash], 0);
	return n;
}

static void test_shrinker(void **state)
{
	(void)state;
	stash_object = kmalloc(64);
	while ((stash[nr_stash] = frame_alloc(0)) != NO_FRAME)
		nr_stash++;
	frame_shrinker = shrinker;
	gives = 0;
	assert_int_equal(frame_alloc(2), NO_FRAME);
	assert_int_equal(calls, 1);
	assert_int_equal(last_wanted, 4);
	gives = 1;
	pfn_t pfn = frame_alloc(0);
	assert_int_not_equal(pfn, NO_FRAME);
	assert_int_equal(calls, 2);
	stash[nr_stash++] = pfn;
	/* one frame is given, but that belongs to the kernel */
	assert_int_equal(frame_alloc_user(), NO_FRAME);
	assert_int_equal(calls, 3);
	assert_int_equal(last_wanted, FRAME_LOW_WATER);
	gives = FRAME_LOW_WATER;
	pfn = frame_alloc_user();
	assert_int_not_equal(pfn, NO_FRAME);
	frame_put(pfn);
	stash[nr_stash] = frame_alloc(0), nr_stash++;
	while (frames_free())
		stash[nr_stash++] = frame_alloc(0);
	gives = 1;
	void *large = kmalloc(PAGE_SIZE), *other = kmalloc(PAGE_SIZE);
	assert_true(large && other);
	kfree(large), kfree(other);
	gives = FREE;
	shrinker(FREE);
	frame_shrinker = NULL;
	assert_int_equal(frames_free() + kmalloc_idle(), FREE);
}

/* --- misuse ends in a panic --- */

static bool panics(void (*f)(void *), void *p)
{
	jmp_buf here;
	volatile bool yes = true;
	panic_expected = &here;
	if (setjmp(here) == 0)
		f(p), yes = false;
	panic_expected = NULL;
	return yes;
}

static void put(void *p) { frame_put(virt_to_pfn(p)); }

static void test_misuse(void **state)
{
	(void)state;
	pfn_t pfn = frame_alloc(0);
	frame_get(pfn);
	assert_false(panics(put, pfn_to_virt(pfn)));
	assert_true(panics(kfree, pfn_to_virt(pfn))); /* a frame, but no object */
	assert_false(panics(put, pfn_to_virt(pfn)));
	assert_true(panics(put, pfn_to_virt(pfn)));
	assert_true(panics(kfree, pfn_to_virt(pfn)));
	assert_true(panics(kfree, pfn_to_virt(RESERVED - 1)));
	assert_true(panics(kfree, pfn_to_virt(FRAMES))); /* beyond the table */
	void *one = kmalloc(PAGE_SIZE), *two = kmalloc(PAGE_SIZE), *three = kmalloc(PAGE_SIZE);
	kfree(one), kfree(two), kfree(three);
	assert_true(panics(kfree, two)); /* twice: its frame has gone back */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_joined), cmocka_unit_test(test_random),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_objects), cmocka_unit_test(test_shrinker),
		cmocka_unit_test(test_misuse),
	};
	at_random(1);
	return cmocka_run_group_tests_name("frame", tests, machine, unmake);
}
