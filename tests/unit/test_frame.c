/* SPDX-License-Identifier: MIT */
/*
 * The frame allocator and kmalloc against a model that knows the owner of every 16 bytes: nothing
 * is given out twice, contents stay, counts agree, and at the end all memory is back, joined to
 * the largest blocks.
 */
#include "frame_model.h"

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
 * Take everything, largest blocks first. If all free memory is joined, the blocks are the binary
 * form of the free range.
 */
static void test_joined(void **state)
{
	/* the range is 40..1023, 1024..3071 and 3072..3999 */
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

/* Take frames one by one to the last; allocations for programs must fail before. */
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

/* Fill all memory with objects of one size: each frame is used to its last byte. */
static void test_objects(void **state)
{
	(void)state;
	for (uint32_t bytes = PAGE_SIZE; bytes >= 512; bytes /= 2) {
		void **list = NULL, **p;
		uint32_t n = 0, kept = kmalloc_idle(), mine = 0;
		while ((p = kmalloc(bytes)))
			*p = list, list = p, n++;
		assert_int_equal(frames_free(), 0);
		mine = kept - kmalloc_idle(); /* the idle frame that this class had */
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
	kfree(stash_object); /* as the block cache does: the allocators hold no lock */
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
	/* the shrinker gives one frame back, but that is kept for the kernel */
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
