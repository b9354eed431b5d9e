/* SPDX-License-Identifier: MIT */
/*
 * p2m: whatever the firmware's map looks like, p2m and m2p are inverse to each other, and cover
 * exactly the usable frames.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "kernel/mm/p2m.c"

uint32_t strtou(const char *s, const char **end)
{
	unsigned long n = strtoul(s, (char **)end, s[0] == '0' && s[1] == 'x' ? 16 : 10);
	*end = n > UINT32_MAX ? s : *end;
	return (uint32_t)n;
}

static uint32_t random_state = 12345;
static uint32_t below(uint32_t limit) { return next_random(&random_state) % limit; }

/*
 * A small PC: memory below 640 KiB, then twice a hole and memory. The ranges overlap and are not in
 * order.
 */
static const struct frame_range usable[] = {
	{ 256, 1000 }, { 0, 160 }, { 900, 1500 }, { 1800, 2048 }, { 1900, 1950 },
};
static const struct frame_range reserved[] = { { 0, 1 }, { 8, 9 } };
static const struct frame_range fixed[] = { { 256, 320 }, { 400, 431 } };
#define N(array) (sizeof(array) / sizeof((array)[0]))
#define HIGHEST 2048

static void allocate(uint32_t pfns, uint32_t mfns)
{
	free(p2m), free(m2p);
	nr_pfns = pfns, nr_mfns = mfns;
	p2m = calloc(nr_pfns, sizeof(*p2m)), m2p = calloc(nr_mfns, sizeof(*m2p));
}

static void release(void)
{
	free(p2m), free(m2p);
	p2m = NULL, m2p = NULL;
}

/*
 * Whether a frame is usable, by its definition; the code under test works on ranges instead.
 */
static bool is_usable(mfn_t mfn)
{
	bool yes = false;
	for (unsigned i = 0; i < N(usable); i++)
		yes |= mfn >= usable[i].first && mfn < usable[i].end;
	for (unsigned i = 0; i < N(reserved); i++)
		yes &= mfn < reserved[i].first || mfn >= reserved[i].end;
	return yes;
}

static void check_bijection(void)
{
	uint32_t owned = 0;
	for (pfn_t pfn = 0; pfn < nr_pfns; pfn++) {
		assert_true(p2m[pfn] < nr_mfns);
		assert_true(is_usable(p2m[pfn]));
		assert_int_equal(mfn_to_pfn(pfn_to_mfn(pfn)), pfn);
	}
	for (mfn_t mfn = 0; mfn < nr_mfns; mfn++)
		owned += m2p[mfn] != NO_FRAME;
	assert_int_equal(owned, nr_pfns);
	assert_int_equal(mfn_to_pfn(nr_mfns), NO_FRAME);
}

static int build(struct p2m_order order)
{
	allocate(p2m_count(usable, N(usable), reserved, N(reserved), HIGHEST), HIGHEST);
	return p2m_build(usable, N(usable), reserved, N(reserved), fixed, N(fixed), order);
}

static void check_fixed(void)
{
	for (unsigned i = 0; i < N(fixed); i++)
		for (mfn_t mfn = fixed[i].first; mfn < fixed[i].end; mfn++) {
			assert_int_equal(p2m[mfn], mfn);
			assert_int_equal(m2p[mfn], mfn);
		}
}

static void counts(void **state)
{
	(void)state;
	uint32_t want = 0;
	for (mfn_t mfn = 0; mfn < HIGHEST; mfn++)
		want += is_usable(mfn);
	assert_int_equal(p2m_count(usable, N(usable), reserved, N(reserved), HIGHEST), want);
	assert_int_equal(p2m_count(usable, N(usable), NULL, 0, 100), 100);
	assert_int_equal(p2m_count(usable, N(usable), reserved, N(reserved), 200), 160 - 2);
	assert_int_equal(p2m_count(NULL, 0, NULL, 0, HIGHEST), 0);
}

static void identity(void **state)
{
	(void)state;
	assert_int_equal(build((struct p2m_order){ 0 }), 0);
	check_bijection();
	check_fixed();
	for (mfn_t mfn = 0; mfn < nr_mfns; mfn++) {
		if (mfn < nr_pfns && is_usable(mfn))
			assert_int_equal(p2m[mfn], mfn);
		else if (mfn < nr_pfns) /* a hole: this pfn has a frame from above nr_pfns */
			assert_true(p2m[mfn] >= nr_pfns);
		if (!is_usable(mfn))
			assert_int_equal(m2p[mfn], NO_FRAME);
	}
}

static void shuffled(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 50; seed++) {
		uint32_t moved = 0;
		assert_int_equal(build((struct p2m_order){ true, seed }), 0);
		check_bijection();
		check_fixed();
		for (pfn_t pfn = 0; pfn < nr_pfns; pfn++)
			moved += p2m[pfn] != pfn;
		assert_true(moved > nr_pfns * 8 / 10);
	}
}

static uint32_t agreement(uint32_t seed, uint32_t other)
{
	static mfn_t first[HIGHEST];
	uint32_t same = 0;
	assert_int_equal(build((struct p2m_order){ true, seed }), 0);
	memcpy(first, p2m, nr_pfns * sizeof(*p2m));
	assert_int_equal(build((struct p2m_order){ true, other }), 0);
	for (pfn_t pfn = 0; pfn < nr_pfns; pfn++)
		same += p2m[pfn] == first[pfn];
	return same;
}

/*
 * The same seed gives the same order on every run; the orders of two seeds agree on little more
 * than the fixed frames.
 */
static void seeds(void **state)
{
	(void)state;
	uint32_t fixed_frames = 64 + 31;
	for (uint32_t seed = 0; seed < 20; seed++) {
		assert_int_equal(agreement(seed, seed), nr_pfns);
		assert_true(agreement(seed, seed + 1) < fixed_frames + 40);
	}
	assert_true(agreement(0, 0xFFFFFFFF) < fixed_frames + 40);
	assert_true(agreement(1, 0x10001) < fixed_frames + 40);
}

/* More memory than pfns: the kernel owns nr_pfns frames and no more. */
static void more_memory_than_pfns(void **state)
{
	(void)state;
	for (uint32_t seed = 0; seed < 3; seed++) {
		allocate(1000, HIGHEST);
		assert_int_equal(p2m_build(usable, N(usable), reserved, N(reserved), fixed,
					   N(fixed), (struct p2m_order){ seed > 0, seed }),
				 0);
		check_bijection();
		check_fixed();
	}
}

static void bad_fixed(void **state)
{
	static const struct frame_range in_hole = { 170, 180 }, in_reserved = { 8, 9 },
					too_high = { 1900, 1901 }, twice = { 1499, 1501 };
	const struct frame_range *const bad[] = { &in_hole, &in_reserved, &too_high, &twice };
	(void)state;
	for (unsigned i = 0; i < N(bad); i++) {
		allocate(p2m_count(usable, N(usable), reserved, N(reserved), HIGHEST), HIGHEST);
		assert_int_equal(p2m_build(usable, N(usable), reserved, N(reserved), bad[i], 1,
					   (struct p2m_order){ 0 }),
				 -EINVAL);
	}
}

/* Random ranges, some of which reach beyond nr_mfns. */
static void random_maps(void **state)
{
	(void)state;
	for (int round = 0; round < 300; round++) {
		struct frame_range r[6], hole[3];
		for (unsigned i = 0; i < N(r); i++)
			r[i].first = below(600), r[i].end = r[i].first + below(200);
		for (unsigned i = 0; i < N(hole); i++)
			hole[i].first = below(600), hole[i].end = hole[i].first + below(30);
		uint32_t mfns = 500 + below(200), frames = p2m_count(r, N(r), hole, N(hole), mfns);
		if (frames == 0)
			continue;
		allocate(frames, mfns);
		assert_int_equal(p2m_build(r, N(r), hole, N(hole), NULL, 0,
					   (struct p2m_order){ round % 2, (uint32_t)round }),
				 0);
		for (pfn_t pfn = 0; pfn < nr_pfns; pfn++) {
			assert_true(p2m[pfn] < nr_mfns);
			assert_int_equal(m2p[p2m[pfn]], pfn);
			assert_true(in_ranges(r, N(r), p2m[pfn]));
			assert_false(in_ranges(hole, N(hole), p2m[pfn]));
		}
	}
}

static void parse(void **state)
{
	static const struct { const char *text; bool shuffle; uint32_t seed; } good[] = {
		{ "identity", false, 0 }, { "shuffle:0", true, 0 }, { "shuffle:1", true, 1 },
		{ "shuffle:4294967295", true, 0xFFFFFFFF },
		{ "shuffle:0x1f", true, 0x1F },
	};
	static const char *const bad[] = {
		"", "identity ", "Identity", "shuffle", "shuffle:", "shuffle:x", "shuffle:-1",
		"shuffle: 1", "shuffle:+1", "shuffle:1x", "shuffle:12 ", "random:1",
		"shuffle:4294967296", "shuffle:99999999999", "shuffle:0x100000000", "shuffle:0x",
	};
	(void)state;
	for (unsigned i = 0; i < N(good); i++) {
		struct p2m_order order = { true, 99 };
		assert_int_equal(p2m_parse(good[i].text, &order), 0);
		assert_int_equal(order.shuffle, good[i].shuffle);
		assert_int_equal(order.seed, good[i].seed);
	}
	for (unsigned i = 0; i < N(bad); i++) {
		struct p2m_order order = { true, 99 };
		assert_int_equal(p2m_parse(bad[i], &order), -EINVAL);
		assert_true(order.shuffle && order.seed == 99);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts), cmocka_unit_test(identity),
		cmocka_unit_test(shuffled), cmocka_unit_test(seeds),
		cmocka_unit_test(more_memory_than_pfns), cmocka_unit_test(bad_fixed),
		cmocka_unit_test(random_maps), cmocka_unit_test(parse),
	};
	int failed = cmocka_run_group_tests_name("p2m", tests, NULL, NULL);
	release();
	return failed;
}
