/* SPDX-License-Identifier: MIT */
/*
 * Exercises 1 and 2: p2m_build() with the machine's own memory map, then with maps that no
 * machine has.
 */
#include "checks.h"

/* Lengths of the arrays in kernel/mm/init.c, and the number of made-up maps. */
enum { RANGES_MAX = 64, RESERVED_MAX = 3, MAPS = 24 };

struct range { uint32_t first, end; };

struct input { /* arguments of p2m_build() */
	uint32_t at[7]; /* as passed: usable, n, reserved, n, fixed, n, shuffle; the seed follows */
	struct range usable[RANGES_MAX], reserved[RESERVED_MAX], fixed[2];
	uint32_t nr_pfns, nr_mfns;
};

static void read_ranges(struct guest *g, uint32_t at, uint32_t n, uint32_t most, struct range *r)
{
	CHECK(n <= most, "p2m_build() is given %u ranges", n);
	virtual_read(g->m, g->c.cr3, at, r, n * sizeof(*r));
}

static struct guest start(const char *p2m, unsigned mem, struct input *in)
{
	struct machine_options o = { .p2m = p2m, .mem = mem };
	struct guest g = start_at(&o, symbol("p2m_build"));
	*in = (struct input){ .nr_pfns = kernel_word(g.m, "nr_pfns"),
			      .nr_mfns = kernel_word(g.m, "nr_mfns") };
	for (unsigned i = 0; i < 7; i++)
		in->at[i] = argument(&g, i);
	read_ranges(&g, in->at[0], in->at[1], RANGES_MAX, in->usable);
	read_ranges(&g, in->at[2], in->at[3], RESERVED_MAX, in->reserved);
	read_ranges(&g, in->at[4], in->at[5], 2, in->fixed);
	uint32_t low = in->fixed[0].first, high = in->fixed[1].end;
	bool right = in->at[3] > 0 && in->at[5] == 2 && low > 0 && low < high &&
		     high + 200 < in->nr_pfns && in->nr_pfns <= in->nr_mfns &&
		     in->nr_mfns <= mem << 8;
	CHECK(right, "the machine's own input is odd: %u pfns, %u machine frames, fixed up to %#x",
	      in->nr_pfns, in->nr_mfns, high);
	return g;
}

static void set_ranges(struct guest *g, uint32_t at, const struct range *r, uint32_t n)
{
	set_words(g, at, (const uint32_t *)r, n * 2);
}

static void build(struct guest *g, const struct input *in, bool shuffle, uint32_t seed)
{
	set_ranges(g, in->at[0], in->usable, in->at[1]);
	set_ranges(g, in->at[2], in->reserved, in->at[3]);
	set_variable(g, "nr_pfns", 0, in->nr_pfns);
	set_variable(g, "nr_mfns", 0, in->nr_mfns);
	uint32_t result = CALL(g, "p2m_build", in->at[0], in->at[1], in->at[2], in->at[3],
			       in->at[4], in->at[5], shuffle, seed);
	CHECK(result == 0, "p2m_build() returns %d", (int)result);
	read_p2m(g);
}

static bool within(const struct range *r, uint32_t n, uint32_t frame)
{
	for (uint32_t i = 0; i < n; i++)
		if (frame >= r[i].first && frame < r[i].end)
			return true;
	return false;
}

static bool usable(const struct input *in, uint32_t mfn)
{
	return mfn < in->nr_mfns && within(in->usable, in->at[1], mfn) &&
	       !within(in->reserved, in->at[3], mfn);
}

/* p2m and m2p are each other's inverse, on nr_pfns frames that the machine has for the kernel. */
static void judge(const struct guest *g, const struct input *in, const char *what)
{
	uint32_t owned = 0;
	for (uint32_t pfn = 0; pfn < in->nr_pfns; pfn++) {
		uint32_t mfn = g->p2m[pfn];
		CHECK(mfn != NO_FRAME,
		      "%s: pfn %#x has no machine frame (p2m[%#x] is NO_FRAME)", what, pfn, pfn);
		CHECK(usable(in, mfn), "%s: p2m[%#x] is %#x, a frame that is %s", what, pfn, mfn,
		      within(in->reserved, in->at[3], mfn) ? "reserved"
							   : "in a hole of the memory map");
		CHECK(g->m2p[mfn] == pfn,
		      "%s: p2m[%#x] is %#x, but m2p[%#x] is %#x: two pfns share a frame, or only "
		      "one table was changed", what, pfn, mfn, mfn, g->m2p[mfn]);
	}
	for (uint32_t mfn = 0; mfn < in->nr_mfns; mfn++) {
		uint32_t pfn = g->m2p[mfn];
		CHECK(pfn == NO_FRAME || pfn < in->nr_pfns,
		      "%s: m2p[%#x] is %#x, neither a pfn nor NO_FRAME: what nobody owns must not "
		      "keep a mark", what, mfn, pfn);
		owned += pfn != NO_FRAME;
	}
	CHECK(owned == in->nr_pfns, "%s: m2p names %u frames, but there are %u pfns", what, owned,
	      in->nr_pfns);
}

static void judge_identity(const struct guest *g, const struct input *in, const char *what)
{
	judge(g, in, what);
	for (uint32_t pfn = 0; pfn < in->nr_pfns; pfn++)
		CHECK(!usable(in, pfn) || g->p2m[pfn] == pfn,
		      "%s: p2m[%#x] is %#x, though machine frame %#x is usable", what, pfn,
		      g->p2m[pfn], pfn);
}

static uint32_t count(const struct input *in)
{
	uint32_t n = 0;
	for (uint32_t mfn = 0; mfn < in->nr_mfns; mfn++)
		n += usable(in, mfn);
	return n;
}

/* The machine's own map, with an odd amount of memory. */
void check_identity(const struct test *t)
{
	struct input in;
	unsigned mem = 48 + random_below(16);
	struct guest g = start(NULL, mem, &in);
	(void)t;
	CHECK(count(&in) == in.nr_pfns && in.nr_mfns <= mem << 8,
	      "nr_pfns is %u, but %u frames are usable", in.nr_pfns, count(&in));
	build(&g, &in, false, 0);
	judge_identity(&g, &in, "p2m=identity");
}

/*
 * Ranges in any order, overlapping, with holes; sometimes there is more memory than pfns. What is
 * fixed stays usable.
 */
static void make_map(struct input *in, const struct input *real)
{
	uint32_t n = 0, low = real->fixed[0].first, high = real->fixed[1].end;
	*in = *real;
	in->nr_mfns = high + 64 + random_below(real->nr_mfns - high - 64);
	in->usable[n++] = (struct range){ low, high };
	for (unsigned k = 3 + random_below(20); k--;) {
		uint32_t first = random_below(in->nr_mfns + 200);
		uint32_t end = first + 1 + random_below(300);
		in->usable[n++] = (struct range){ first, end };
	}
	in->at[1] = n;
	in->reserved[random_below(real->at[3])] = (struct range){ random_below(low), low };
	/* The arrays hold no more than the real number of pfns. */
	in->nr_pfns = count(in) < real->nr_pfns ? count(in) : real->nr_pfns;
	if (random_below(2) && in->nr_pfns > high + 100)
		in->nr_pfns -= random_below(in->nr_pfns - high - 50);
	if (in->nr_pfns < high + 50) /* fixed pfns must lie below nr_pfns: more memory is needed */
		make_map(in, real);
}

void check_holes(const struct test *t)
{
	struct input real, in;
	struct guest g = start(NULL, 32, &real);
	(void)t;
	for (unsigned k = 0; k < MAPS; k++) {
		char what[100];
		make_map(&in, &real);
		build(&g, &in, false, 0);
		snprintf(what, sizeof(what),
			 "map %u (%u ranges, %u machine frames, %u usable, %u pfns)", k, in.at[1],
			 in.nr_mfns, count(&in), in.nr_pfns);
		judge_identity(&g, &in, what);
	}
}

/* --- exercise 2 --- */

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

/*
 * Frames lie far from where they were, and neighbours apart: in a random permutation a frame moves
 * by a third of memory on average.
 */
static void judge_spread(const struct input *in, const uint32_t *before, const uint32_t *after,
			 uint32_t seed)
{
	uint32_t *place = calloc(in->nr_mfns, sizeof(*place)), together = 0, loose = 0;
	uint64_t way = 0;
	for (uint32_t pfn = 0; pfn < in->nr_pfns; pfn++)
		place[before[pfn]] = pfn;
	for (uint32_t pfn = 0; pfn < in->nr_pfns; pfn++) {
		bool fixed = within(in->fixed, in->at[5], pfn);
		uint32_t from = place[after[pfn]];
		CHECK(!fixed || from == pfn, "seed %#x: fixed pfn %#x was moved", seed, pfn);
		loose += !fixed;
		way += from > pfn ? from - pfn : pfn - from;
		together += !fixed && pfn + 1 < in->nr_pfns &&
			    !within(in->fixed, in->at[5], pfn + 1) &&
			    place[after[pfn + 1]] == from + 1;
	}
	CHECK(way > (uint64_t)loose * in->nr_pfns / 4,
	      "seed %#x: frames move by only %u places on average, of %u", seed,
	      (unsigned)(way / loose), in->nr_pfns);
	CHECK(together < loose / 100 + 10,
	      "seed %#x: %u neighbours are still neighbours: no random order", seed, together);
	free(place);
}

void check_shuffle(const struct test *t)
{
	/* The last seed: see the handout, 3.2. */
	const uint32_t seeds[] = { 0, 1, 2, 0xFFFFFFFF, judge_seed, random_word(), 0xF174D0AF };
	enum { SEEDS = LENGTH(seeds) };
	struct input in;
	struct guest g = start("shuffle:1", 32, &in);
	uint32_t *orders[SEEDS];
	(void)t;
	build(&g, &in, false, 0);
	judge_identity(&g, &in, "p2m=identity");
	uint32_t *before = copy_order(&g);
	for (unsigned k = 0; k < SEEDS; k++) {
		char what[40];
		snprintf(what, sizeof(what), "p2m=shuffle:%u", seeds[k]);
		build(&g, &in, true, seeds[k]);
		judge(&g, &in, what);
		orders[k] = copy_order(&g);
		judge_spread(&in, before, orders[k], seeds[k]);
		for (unsigned other = 0; other < k; other++)
			CHECK(seeds[k] == seeds[other] || k == SEEDS - 1 ||
				      same(orders[k], orders[other], in.nr_pfns) < in.nr_pfns / 2,
			      "seeds %#x and %#x give the same order", seeds[other], seeds[k]);
	}
	build(&g, &in, true, seeds[0]);
	CHECK(same(g.p2m, orders[0], in.nr_pfns) == in.nr_pfns,
	      "seed %#x gives another order the second time", seeds[0]);
}
