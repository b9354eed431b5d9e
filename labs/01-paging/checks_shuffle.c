/* SPDX-License-Identifier: MIT */
/*
 * Exercise 2: p2m_build() shuffles, again and again. The identity that it begins with is the
 * check's.
 */
#include "checks.h"

enum { DEALS = 60 };

static struct guest start(struct input *in)
{
	struct machine_options o = { .p2m = judge_shuffle(8), .mem = 32 };
	struct guest g = start_at(&o, symbol("p2m_build"));
	*in = read_input(&g);
	return g;
}

/* Result: for the caller to free. */
static uint32_t *copy_order(const struct guest *g)
{
	uint32_t *order = malloc(g->nr_pfns * sizeof(*order));
	return memcpy(order, g->p2m, g->nr_pfns * sizeof(*order));
}

static uint32_t same(const uint32_t *a, const uint32_t *b, uint32_t n)
{
	uint32_t equal = 0;
	for (uint32_t i = 0; i < n; i++)
		equal += a[i] == b[i];
	return equal;
}

/* The order before a shuffle: the check's, or that of exercise 1. Result: to be freed. */
static uint32_t *order_before(struct guest *g, const struct input *in)
{
	if (symbol_exists("assign_identity"))
		return make_identity(in);
	judge_context = "cannot be judged until exercise 1 (checks `identity`, `holes`) is right";
	build_p2m(g, in, false, false, 0);
	judge_identity(g, in, "p2m=identity");
	judge_context = NULL;
	return copy_order(g);
}

/*
 * Frames lie far from where they were, and neighbours apart: in a random permutation a frame moves
 * by a third of memory on average. From each quarter of memory some get into each quarter.
 */
static void judge_spread(const struct input *in, const uint32_t *before, const uint32_t *after,
			 uint32_t seed)
{
	uint32_t *place = calloc(in->nr_mfns, sizeof(*place)), together = 0, loose = 0;
	uint32_t moved[4][4] = { 0 };
	uint64_t way = 0;
	for (uint32_t pfn = 0; pfn < in->nr_pfns; pfn++)
		place[before[pfn]] = pfn + 1;
	for (uint32_t pfn = 0; pfn < in->nr_pfns; pfn++) {
		bool fixed = within(in->fixed, in->at[5], pfn);
		uint32_t from = place[after[pfn]] - 1;
		CHECK(from != NO_FRAME, "seed %#x: pfn %#x got frame %#x, which no pfn had before",
		      seed, pfn, after[pfn]);
		CHECK(!fixed || from == pfn, "seed %#x: fixed pfn %#x was moved", seed, pfn);
		loose += !fixed;
		way += from > pfn ? from - pfn : pfn - from;
		moved[from * 4 / in->nr_pfns][pfn * 4 / in->nr_pfns]++;
		together += !fixed && pfn + 1 < in->nr_pfns &&
			    !within(in->fixed, in->at[5], pfn + 1) &&
			    place[after[pfn + 1]] == from + 2;
	}
	CHECK(way > (uint64_t)loose * in->nr_pfns / 4,
	      "seed %#x: frames move by only %u places on average, of %u", seed,
	      (unsigned)(way / loose), in->nr_pfns);
	for (unsigned i = 0; i < 16; i++)
		CHECK(moved[i / 4][i % 4] > loose / 16 / 4,
		      "seed %#x: %u of %u frames get from quarter %u of memory into quarter %u, "
		      "expected about %u: some orders never come", seed, moved[i / 4][i % 4], loose,
		      i / 4 + 1, i % 4 + 1, loose / 16);
	CHECK(together < loose / 100 + 10,
	      "seed %#x: %u neighbours are still neighbours: no random order", seed, together);
	free(place);
}

/*
 * Tiny permutations, again and again: each pfn gets each of the loose frames about equally often,
 * its own among them. The first pfn is fixed in one map and loose in another.
 */
static void judge_fairness(struct guest *g, const struct input *real, const struct range fixed[2])
{
	enum { N = 7, LOOSE = 4, FEW = 1, MANY = 40 }; /* expected: DEALS / LOOSE, 15 */
	struct input in = *real;
	uint32_t times[N][N] = { 0 };
	in.nr_pfns = in.nr_mfns = N;
	in.usable[0] = (struct range){ 0, N }, in.at[1] = 1;
	in.fixed[0] = fixed[0], in.fixed[1] = fixed[1];
	memset(in.reserved, 0, sizeof(in.reserved));
	for (unsigned k = 0; k < DEALS; k++) {
		build_p2m(g, &in, true, true, random_word());
		judge_p2m(g, &in, "a shuffle of 7 frames");
		for (uint32_t pfn = 0; pfn < N; pfn++) {
			CHECK(!within(in.fixed, FIXED, pfn) || g->p2m[pfn] == pfn,
			      "a shuffle of 7 frames: fixed pfn %#x was moved", pfn);
			times[pfn][g->p2m[pfn]]++;
		}
	}
	for (uint32_t pfn = 0; pfn < N; pfn++)
		for (uint32_t mfn = 0; mfn < N; mfn++) {
			bool loose = !within(in.fixed, FIXED, pfn) && !within(in.fixed, FIXED, mfn);
			uint32_t n = times[pfn][mfn];
			CHECK(!loose || (n >= FEW && n <= MANY),
			      "%u shuffles of 7 frames by random seeds, where %u to %u and %u are "
			      "fixed: pfn %u gets frame %u %u times, expected about %u: some "
			      "orders never come, or too often", DEALS, fixed[0].first,
			      fixed[0].end - 1, fixed[1].first, pfn, mfn, n, DEALS / LOOSE);
		}
}

/* The same orders among those of the first k seeds; the last one stands in *twin. */
static unsigned coincidences(uint32_t *const *orders, unsigned k, uint32_t nr_pfns, unsigned *twin)
{
	unsigned n = 0;
	for (unsigned other = 0; other < k; other++)
		if (same(orders[k], orders[other], nr_pfns) > nr_pfns / 2)
			*twin = other, n++;
	return n;
}

enum { SPECIAL = 9, ANY = SPECIAL + 16, SEEDS = SPECIAL + 32 };

/* A random seed, one for each bit that differs from it there, special ones, and small ones. */
static void choose_seeds(uint32_t seeds[SEEDS])
{
	uint32_t some = random_word(), small = 4 + random_below(996);
	seeds[0] = some, seeds[1] = 0, seeds[2] = 0xFFFFFFFF;
	seeds[3] = 0xF174D0AF; /* see the handout, 3.2 */
	seeds[4] = 1, seeds[5] = 2, seeds[6] = 3, seeds[7] = small, seeds[8] = small + 1;
	for (unsigned bit = 0; bit < 32; bit++)
		seeds[SPECIAL + bit] = some ^ 1u << bit;
}

/*
 * Two seeds give one order. They may differ by bits that the order does not depend on: then another
 * seed, too, gives the same order without them.
 */
static void judge_twins(struct guest *g, const struct input *in, const uint32_t *any, uint32_t seed,
			uint32_t a, uint32_t b)
{
	build_p2m(g, in, false, true, seed ^ a ^ b);
	CHECK(same(g->p2m, any, in->nr_pfns) <= in->nr_pfns / 2,
	      "seeds %#x and %#x give one order, and so do %#x and %#x: the order must depend on "
	      "each bit of the seed", a, b, seed, seed ^ a ^ b);
}

void check_shuffle(const struct test *t)
{
	uint32_t seeds[SEEDS];
	struct input in;
	struct guest g = start(&in);
	uint32_t *orders[SEEDS];
	unsigned equal = 0, twin = 0, other = 0;
	(void)t;
	choose_seeds(seeds);
	uint32_t *before = order_before(&g, &in);
	judge_fairness(&g, &in, (const struct range[]){ { 2, 4 }, { 5, 6 } });
	judge_fairness(&g, &in, (const struct range[]){ { 0, 2 }, { 4, 5 } });
	for (unsigned k = 0; k < SEEDS; k++) {
		char what[40];
		snprintf(what, sizeof(what), "p2m=shuffle:%u", seeds[k]);
		build_p2m(&g, &in, false, true, seeds[k]);
		judge_p2m(&g, &in, what);
		orders[k] = copy_order(&g);
		judge_spread(&in, before, orders[k], seeds[k]);
		unsigned n = coincidences(orders, k, in.nr_pfns, &twin);
		other = n ? k : other;
		equal += n;
		/* There is a seed more than states that are not 0, so one pair may be equal. */
		CHECK(equal <= 1, "seed %#x gives the order of an earlier seed: the order must "
		      "depend on the seed", seeds[k]);
	}
	if (equal)
		judge_twins(&g, &in, orders[ANY], seeds[ANY], seeds[twin], seeds[other]);
	build_p2m(&g, &in, false, true, seeds[0]);
	CHECK(same(g.p2m, orders[0], in.nr_pfns) == in.nr_pfns,
	      "seed %#x gives another order the second time", seeds[0]);
}
