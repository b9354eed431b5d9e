/* SPDX-License-Identifier: MIT */
/*
 * Building the translation between pseudo-physical and machine frames: mark the usable
 * machine frames, give each pfn the frame of its own number where that is possible, then
 * shuffle.
 */
#include "mm/p2m.h"

#define USABLE (NO_FRAME - 1) /* in m2p, while building: a usable frame without a pfn */

mfn_t *p2m;
pfn_t *m2p;
uint32_t nr_pfns, nr_mfns;

static bool in_ranges(const struct frame_range *r, unsigned n, uint32_t frame)
{
	for (unsigned i = 0; i < n; i++)
		if (frame >= r[i].first && frame < r[i].end)
			return true;
	return false;
}

uint32_t p2m_count(const struct frame_range *usable, unsigned n, const struct frame_range *reserved,
		   unsigned nr_reserved, uint32_t max_mfn)
{
	uint32_t count = 0;
	for (uint32_t mfn = 0; mfn < max_mfn; mfn++)
		count += in_ranges(usable, n, mfn) && !in_ranges(reserved, nr_reserved, mfn);
	return count;
}

static void mark(const struct frame_range *r, unsigned n, pfn_t value)
{
	for (unsigned i = 0; i < n; i++)
		for (mfn_t mfn = r[i].first; mfn < MIN(r[i].end, nr_mfns); mfn++)
			m2p[mfn] = value;
}

static void assign(pfn_t pfn, mfn_t mfn)
{
	p2m[pfn] = mfn;
	m2p[mfn] = pfn;
}

/*
 * Give the fixed frames the pfns of their own numbers. Result: 0, or -EINVAL if a frame is
 * not usable or its number is no pfn.
 */
static int assign_fixed(const struct frame_range *fixed, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (mfn_t mfn = fixed[i].first; mfn < fixed[i].end; mfn++) {
			if (mfn >= MIN(nr_pfns, nr_mfns) || m2p[mfn] != USABLE)
				return -EINVAL;
			assign(mfn, mfn);
		}
	return 0;
}

/*
 * Give a frame to every pfn that is not fixed: the frame of its own number if that is
 * usable, else a usable frame from nr_pfns on.
 *
 * Exercise 1.1 (labs/01-paging/handout.md, 3.1): given p2m, with the mfns of the fixed pfns
 * and NO_FRAME elsewhere, and m2p, with the pfns of the fixed frames, USABLE and NO_FRAME.
 * Result: each pfn has a frame. A pfn without one got the frame of its own number if m2p said
 * USABLE there, else one of the USABLE frames from nr_pfns on. m2p is the inverse of p2m and no
 * longer holds USABLE: a frame that no pfn got belongs to nobody, NO_FRAME. No frame may be
 * given twice.
 */
static KEPT void assign_identity(void)
{
	/* LAB 1 TODO 1 BEGIN */
	for (pfn_t pfn = 0; pfn < MIN(nr_pfns, nr_mfns); pfn++)
		if (m2p[pfn] == USABLE)
			assign(pfn, pfn);
	mfn_t mfn = nr_pfns;
	for (pfn_t pfn = 0; pfn < nr_pfns; pfn++) {
		if (p2m[pfn] != NO_FRAME)
			continue;
		while (m2p[mfn] != USABLE)
			mfn++;
		assign(pfn, mfn);
	}
	for (; mfn < nr_mfns; mfn++) /* more memory than pfns: the kernel does not own it */
		if (m2p[mfn] == USABLE)
			m2p[mfn] = NO_FRAME;
	/* LAB 1 TODO 1 END */
}

/*
 * The next number of xorshift32 (G. Marsaglia, 2003). A state of 0 stays 0; another state
 * never becomes 0.
 */
static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/*
 * Permute the frames of all pfns that are not in the n fixed ranges, in an order that the
 * seed determines.
 *
 * Exercise 1.2 (labs/01-paging/handout.md, 3.2): given p2m and m2p, inverse to each other.
 * Result: both arrays again, where the pfns that are not fixed have exchanged their frames as
 * good as at random: each order can come. The order depends on the seed alone, and two seeds give
 * two orders (one pair of seeds may share one). Fixed pfns must keep their frames.
 */
static void shuffle(const struct frame_range *fixed, unsigned n, uint32_t seed)
{
	/* LAB 1 TODO 2 BEGIN */
	uint32_t state = seed * 2654435761u + 1;
	if (state == 0)
		state = 1;
	for (pfn_t i = nr_pfns; i-- > 1;) {
		pfn_t j;
		if (in_ranges(fixed, n, i))
			continue;
		do
			j = next_random(&state) % (i + 1);
		while (in_ranges(fixed, n, j));
		mfn_t at_i = p2m[i];
		assign(i, p2m[j]);
		assign(j, at_i);
	}
	/* LAB 1 TODO 2 END */
}

int p2m_build(const struct frame_range *usable, unsigned n, const struct frame_range *reserved,
	      unsigned nr_reserved, const struct frame_range *fixed, unsigned nr_fixed,
	      struct p2m_order order)
{
	for (mfn_t mfn = 0; mfn < nr_mfns; mfn++)
		m2p[mfn] = NO_FRAME;
	for (pfn_t pfn = 0; pfn < nr_pfns; pfn++)
		p2m[pfn] = NO_FRAME;
	mark(usable, n, USABLE);
	mark(reserved, nr_reserved, NO_FRAME);
	if (assign_fixed(fixed, nr_fixed))
		return -EINVAL;
	assign_identity();
	if (order.shuffle)
		shuffle(fixed, nr_fixed, order.seed);
	return 0;
}

int p2m_parse(const char *text, struct p2m_order *order)
{
	const char *end;
	if (strcmp(text, "identity") == 0) {
		*order = (struct p2m_order){ 0 };
		return 0;
	}
	if (strncmp(text, "shuffle:", 8) != 0 || text[8] < '0' || text[8] > '9')
		return -EINVAL;
	uint32_t seed = strtou(text + 8, &end);
	if (*end)
		return -EINVAL;
	*order = (struct p2m_order){ .shuffle = true, .seed = seed };
	return 0;
}
