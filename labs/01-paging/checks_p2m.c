/* SPDX-License-Identifier: MIT */
/*
 * Exercise 1: p2m_build() with the machine's own memory map, then with maps that no
 * machine has.
 */
#include "checks.h"

enum { MAPS = 16, TINY_MAPS = 30 };
#define USABLE (NO_FRAME - 1) /* in m2p, as in kernel/mm/p2m.c */

static struct guest start(const char *p2m, unsigned mem, struct input *in)
{
	struct machine_options o = { .p2m = p2m, .mem = mem };
	struct guest g = start_at(&o, symbol("p2m_build"));
	*in = read_input(&g);
	return g;
}

static void set_ranges(struct guest *g, uint32_t at, const struct range *r, uint32_t n)
{
	set_words(g, at, (const uint32_t *)r, n * 2);
}

/* Machine address of the word after a table. The tables lie in the boot heap, where pfn == mfn. */
static uint32_t after_table(struct guest *g, const char *name, uint32_t entries)
{
	return kernel_word(g->m, name) - KERNEL_BASE + 4 * entries;
}

uint32_t *make_identity(const struct input *in)
{
	uint32_t *p2m = malloc(in->nr_pfns * 4), next = in->nr_pfns;
	for (uint32_t pfn = 0; pfn < in->nr_pfns; pfn++) {
		p2m[pfn] = pfn;
		if (usable(in, pfn))
			continue;
		while (!usable(in, next))
			next++;
		p2m[pfn] = next++;
	}
	return p2m;
}

/* At assign_identity(): do its work, and return from it. */
static void assign_for(struct guest *g, const struct input *in)
{
	uint32_t *p2m = make_identity(in), *m2p = malloc(in->nr_mfns * 4);
	memset(m2p, 0xFF, in->nr_mfns * 4);
	for (uint32_t pfn = 0; pfn < in->nr_pfns; pfn++)
		m2p[p2m[pfn]] = pfn;
	physical_write(g->m, after_table(g, "p2m", 0), p2m, in->nr_pfns * 4);
	physical_write(g->m, after_table(g, "m2p", 0), m2p, in->nr_mfns * 4);
	free(p2m), free(m2p);
	skip(g, 0);
}

/*
 * Call p2m_build(). To judge a shuffle, the check does the work of exercise 1, which is called once
 * (given code). The breakpoint there goes then: on its page QEMU takes each instruction alone.
 */
static void call_build(struct guest *g, const struct input *in, bool shuffle, uint32_t seed)
{
	static const char *const names[] = { "assign_identity" };
	if (shuffle && symbol_exists(names[0]))
		watch(g, names, 1, true);
	call_begin(g, symbol("p2m_build"), WORDS(in->at[0], in->at[1], in->at[2], in->at[3],
						 in->at[4], in->at[5], shuffle, seed));
	while (call_next(g)) {
		assign_for(g, in);
		watch(g, names, 1, false);
	}
	int result = (int)call_end(g);
	CHECK(result == 0, "p2m_build() returns %s: expected 0", error_text(result));
}

/* "; frame 0x100 is usable, and no pfn has it": where a pfn without a frame could have one. */
static const char *left_over(const struct guest *g, const struct input *in)
{
	static char text[80];
	uint32_t mfn = in->nr_pfns;
	while (mfn < in->nr_mfns && (!usable(in, mfn) || g->m2p[mfn] < in->nr_pfns))
		mfn++;
	snprintf(text, sizeof(text), "; frame %#x is usable, and no pfn has it", mfn);
	return mfn < in->nr_mfns ? text : "";
}

void build_p2m(struct guest *g, const struct input *in, bool room, bool shuffle, uint32_t seed)
{
	/* The words after the tables look as if there were work to do. */
	const struct { const char *name; uint32_t n, guard; } tables[] = {
		{ "p2m", in->nr_pfns, NO_FRAME }, { "m2p", in->nr_mfns, USABLE },
	};
	set_ranges(g, in->at[0], in->usable, in->at[1]);
	set_ranges(g, in->at[2], in->reserved, in->at[3]);
	set_ranges(g, in->at[4], in->fixed, in->at[5]);
	set_variable(g, "nr_pfns", 0, in->nr_pfns);
	set_variable(g, "nr_mfns", 0, in->nr_mfns);
	for (unsigned i = 0; room && i < LENGTH(tables); i++)
		set_physical(g, after_table(g, tables[i].name, tables[i].n), tables[i].guard);
	call_build(g, in, shuffle, seed);
	read_p2m(g);
	for (unsigned i = 0; room && i < LENGTH(tables); i++) {
		const char *name = tables[i].name;
		uint32_t word = physical_word(g->m, after_table(g, name, tables[i].n));
		CHECK(word == tables[i].guard,
		      "%s has %#x entries, and %s[%#x] was overwritten with %#x%s", name,
		      tables[i].n, name, tables[i].n, word, shuffle ? "" : left_over(g, in));
	}
}

/* What is at a frame that is not usable. */
static const char *unusable(const struct input *in, uint32_t mfn)
{
	return mfn >= in->nr_mfns ? "above all memory" :
	       within(in->reserved, in->at[3], mfn) ? "reserved" : "in a hole of the memory map";
}

/* The frame of pfn leads back to it. */
static void judge_inverse(const struct guest *g, const struct input *in, uint32_t pfn,
			  const char *what)
{
	uint32_t mfn = g->p2m[pfn], back = g->m2p[mfn];
	bool shared = back < in->nr_pfns && g->p2m[back] == mfn;
	CHECK(back == pfn, "%s: p2m[%#x] is %#x, but m2p[%#x] is %#x%s, expected %#x: %s", what,
	      pfn, mfn, mfn, back, back == USABLE ? " (USABLE)" : back == NO_FRAME ?
	      " (NO_FRAME)" : "", pfn, shared ? "these two pfns share a frame"
					      : "only p2m was changed");
}

void judge_p2m(const struct guest *g, const struct input *in, const char *what)
{
	uint32_t owned = 0;
	for (uint32_t pfn = 0; pfn < in->nr_pfns; pfn++) {
		uint32_t mfn = g->p2m[pfn];
		CHECK(mfn != NO_FRAME,
		      "%s: pfn %#x has no machine frame (p2m[%#x] is NO_FRAME)%s", what, pfn, pfn,
		      left_over(g, in));
		CHECK(usable(in, mfn), "%s: p2m[%#x] is %#x, a frame that is %s%s", what, pfn, mfn,
		      unusable(in, mfn), left_over(g, in));
		judge_inverse(g, in, pfn, what);
	}
	for (uint32_t mfn = 0; mfn < in->nr_mfns; mfn++) {
		uint32_t pfn = g->m2p[mfn];
		CHECK(pfn == NO_FRAME || pfn < in->nr_pfns,
		      "%s: m2p[%#x] is %#x%s, neither a pfn nor NO_FRAME: what nobody owns must "
		      "not keep a mark", what, mfn, pfn, pfn == USABLE ? " (USABLE)" : "");
		owned += pfn != NO_FRAME;
	}
	CHECK(owned == in->nr_pfns,
	      "%s: m2p gives a pfn to %u frames, but there are %u pfns: for a frame without a pfn "
	      "it must be NO_FRAME", what, owned, in->nr_pfns);
}

void judge_identity(const struct guest *g, const struct input *in, const char *what)
{
	judge_p2m(g, in, what);
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
	build_p2m(&g, &in, false, false, 0);
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

/*
 * As few frames as numbers on a die: all borders are met. fixed: two runs that do not touch, both
 * below nr_pfns. Half of the maps have as many pfns as usable frames.
 */
static void make_tiny_map(struct input *in, const struct input *real)
{
	*in = *real;
	in->nr_mfns = 6 + random_below(30);
	uint32_t middle = 3 + random_below(in->nr_mfns - 5);
	in->fixed[0] = (struct range){ 1, 2 }, in->fixed[1] = (struct range){ middle, middle + 1 };
	in->usable[0] = in->fixed[0], in->usable[1] = in->fixed[1];
	for (in->at[1] = 2; in->at[1] < 6; in->at[1]++) {
		uint32_t first = random_below(in->nr_mfns + 3);
		in->usable[in->at[1]] = (struct range){ first, first + random_below(12) };
	}
	memset(in->reserved, 0, sizeof(in->reserved));
	in->nr_pfns = count(in);
	if (random_below(2) && in->nr_pfns > middle + 1)
		in->nr_pfns -= random_below(in->nr_pfns - middle);
	if (in->nr_pfns <= middle)
		make_tiny_map(in, real);
}

/* "0x1, 0x4-0x9": the frames of a few ranges, for a text. */
static void print_ranges(FILE *f, const char *name, const struct range *r, uint32_t n)
{
	const char *before = name;
	for (uint32_t i = 0; i < n; i++) {
		if (r[i].first >= r[i].end)
			continue;
		fprintf(f, r[i].end - r[i].first > 1 ? "%s %#x-%#x" : "%s %#x", before, r[i].first,
			r[i].end - 1);
		before = ",";
	}
}

static void judge_map(struct guest *g, const struct input *in, bool tiny)
{
	char *what;
	size_t size;
	FILE *f = open_memstream(&what, &size);
	fprintf(f, "a%s map (%u machine frames, %u usable, %u pfns", tiny ? " tiny" : "",
		in->nr_mfns, count(in), in->nr_pfns);
	if (tiny) {
		print_ranges(f, "; usable:", in->usable, in->at[1]);
		print_ranges(f, "; fixed:", in->fixed, in->at[5]);
	}
	fprintf(f, ")");
	fclose(f);
	build_p2m(g, in, tiny, false, 0);
	judge_identity(g, in, what);
	free(what);
}

void check_holes(const struct test *t)
{
	struct input real, in;
	struct guest g = start(NULL, 32, &real);
	(void)t;
	for (unsigned k = 0; k < TINY_MAPS; k++) {
		make_tiny_map(&in, &real);
		judge_map(&g, &in, true);
	}
	for (unsigned k = 0; k < MAPS; k++) {
		make_map(&in, &real);
		judge_map(&g, &in, false);
	}
}
