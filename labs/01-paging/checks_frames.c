/* SPDX-License-Identifier: MIT */
/*
 * Exercises 6 to 8, what warm-up leaves: who owns each frame, how often it is mapped writable, and which are fixed. And the
 * recount on which the checks of the frame table rest.
 */
#include "checks.h"

struct lab1_frame *lab1_frames(struct guest *g)
{
	struct lab1_frame *frames = malloc(g->nr_mfns * sizeof(*frames));
	virtual_read(g->m, g->at.cr3, lab1_vmm_word(g, "frames"), frames, g->nr_mfns * sizeof(*frames));
	return frames;
}

const char *lab1_type(unsigned type)
{
	static const char *const names[] = { "WRITABLE", "TABLE", "DIRECTORY", "SHARED" };
	return type < 4 ? names[type] : "no type";
}

static struct guest start(void)
{
	struct guest g = lab1_start(&(struct machine_options){ .p2m = judge_shuffle(4), .mem = 32 },
				    symbol("files_init_console"));
	lab1_learn_p2m(&g);
	return g;
}

static uint32_t kernel_directory(struct guest *g)
{
	return page_walk(g->m, g->at.cr3, kernel_word(g->m, "kernel_directory")).machine >> 12;
}

/* By mfn: whether it is a table of the kernel's upper part, or the kernel's directory. */
static bool *find_shared(struct guest *g)
{
	bool *shared = calloc(ALL_FRAMES, sizeof(*shared));
	uint32_t directory = kernel_directory(g);
	shared[directory] = true;
	for (unsigned slot = KERNEL_SLOT; slot < VMM_SLOT; slot++) {
		uint32_t pde = physical_word(g->m, (directory << 12) + 4 * slot);
		if (pde & P)
			shared[pde >> 12] = true;
	}
	return shared;
}

/* How often the kernel's upper part maps each frame writable; before warm-up made its own tables read-only. */
static uint32_t *count_writable(struct guest *g, const bool *shared)
{
	uint32_t *count = calloc(ALL_FRAMES, sizeof(*count)), directory = kernel_directory(g), table[1024];
	for (unsigned slot = KERNEL_SLOT; slot < VMM_SLOT; slot++) {
		uint32_t pde = physical_word(g->m, (directory << 12) + 4 * slot);
		if (!(pde & P))
			continue;
		physical_read(g->m, pde & -PAGE, table, sizeof(table));
		for (unsigned i = 0; i < 1024; i++)
			if ((table[i] & (P | W)) == (P | W) && table[i] >> 12 < g->nr_mfns)
				count[table[i] >> 12]++;
	}
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++)
		if (shared[mfn] && !(lab1_home(g, g->m2p[mfn]) & W))
			count[mfn]++;
	count[page_walk(g->m, g->at.cr3, symbol("vmm_shared")).machine >> 12]++; /* the VMM's own mapping of it */
	return count;
}

void lab1_owners(const struct test *t)
{
	struct guest g = start();
	struct lab1_frame *frames = lab1_frames(&g);
	uint32_t *writable = count_writable(&g, find_shared(&g));
	(void)t;
	for (uint32_t mfn = 0; mfn < g.nr_mfns; mfn++) {
		uint32_t home = frames[mfn].home, pfn = g.m2p[mfn];
		if (pfn == (uint32_t)NO_FRAME) {
			CHECK(!(home & OWNED),
			      "frame %#x is not the kernel's (m2p has NO_FRAME), but its home is %#x: OWNED", mfn,
			      home);
		} else {
			CHECK(home & OWNED, "frame %#x is the kernel's (pfn %#x), but its home is %#x: not OWNED", mfn,
			      pfn, home);
			CHECK(home >> 12 == pfn, "frame %#x has pfn %#x, but its home names pfn %#x", mfn, pfn, home >> 12);
			CHECK(!(home & HOME_W) == lab1_in_text(pfn), "frame %#x (pfn %#x, %s): HOME_W is %u", mfn, pfn,
			      lab1_in_text(pfn) ? "the kernel's text" : "data", !!(home & HOME_W));
		}
		CHECK((home >> BASE_SHIFT & BASE_MASK) == writable[mfn],
		      "frame %#x has %u writable mappings in the shared tables (the VMM's own of vmm_shared among "
		      "them), but home, %#x, counts %u",
		      mfn, writable[mfn], home, home >> BASE_SHIFT & BASE_MASK);
	}
}

static void check_homes(struct guest *g, const bool *shared)
{
	for (uint32_t pfn = 0; pfn < g->nr_pfns; pfn++) {
		uint32_t mfn = g->p2m[pfn], pte = lab1_home(g, pfn);
		bool want = !shared[mfn] && !lab1_in_text(pfn);
		const char *what = shared[mfn] ? "a table of the kernel's upper part or its directory" : want ? "data" : "text";
		CHECK((pte & P) && pte >> 12 == mfn, "the direct map's entry for pfn %#x is %#x, p2m has %#x", pfn, pte,
		      mfn);
		CHECK(!(pte & W) == !want, "frame %#x (pfn %#x) is %s, and its entry in the direct map is %#x: %s", mfn,
		      pfn, what, pte, pte & W ? "writable" : "read-only");
	}
}

void lab1_shared(const struct test *t)
{
	struct guest g = start();
	struct lab1_frame *frames = lab1_frames(&g);
	bool *shared = find_shared(&g);
	(void)t;
	for (uint32_t mfn = 0; mfn < g.nr_mfns; mfn++) {
		const struct lab1_frame *f = &frames[mfn];
		if (shared[mfn])
			CHECK(TYPE(*f) == SHARED && COUNT(*f) == 0 && f->generation == FOR_EVER,
			      "frame %#x is a table of the kernel's upper part or its directory: expected SHARED, "
			      "count 0, generation FOR_EVER; it is %s, "
			      "count %u, generation %#x",
			      mfn, lab1_type(TYPE(*f)), COUNT(*f), f->generation);
		else
			CHECK(f->generation != FOR_EVER, "frame %#x, no table of the kernel's, has generation FOR_EVER",
			      mfn);
	}
	check_homes(&g, shared);
	for (unsigned i = 0; i < 2; i++) { /* the translations that the CPU has */
		uint32_t address = i ? kernel_word(g.m, "kernel_directory") : kernel_word(g.m, "direct_map");
		CHECK(!lab1_can_write(&g, address),
		      "the kernel can still write to %#x, a table of its upper part, through the TLB", address);
	}
	CHECK(lab1_can_write(&g, symbol("vmm_shared")), "the kernel cannot write to its own data any more");
}

/* --- the recount --- */

/* What the typed tables refer to. */
static uint32_t *recount(struct guest *g, const struct lab1_frame *frames, uint32_t generation)
{
	uint32_t *count = calloc(ALL_FRAMES, sizeof(*count)), entries[1024];
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++) {
		unsigned type = TYPE(frames[mfn]);
		if (frames[mfn].generation != generation || (type != TABLE && type != DIRECTORY))
			continue;
		physical_read(g->m, mfn << 12, entries, sizeof(entries));
		for (unsigned i = 0; i < (type == TABLE ? 1024 : KERNEL_SLOT); i++) {
			uint32_t needed = type == TABLE ? P | W : P, to = entries[i] >> 12;
			if ((entries[i] & needed) != needed)
				continue;
			CHECK(to < g->nr_mfns, "frame %#x is a %s, and its entry %#x is %#x", mfn, lab1_type(type), i,
			      entries[i]);
			count[to]++;
			CHECK(type == TABLE || TYPE(frames[to]) == TABLE,
			      "directory %#x, entry %#x refers to frame %#x, which is %s", mfn, i, to,
			      lab1_type(TYPE(frames[to])));
			CHECK(type == DIRECTORY || TYPE(frames[to]) == WRITABLE ||
				      (frames[to].generation != generation && frames[to].generation != FOR_EVER),
			      "table %#x, entry %#x maps frame %#x writable, which is a %s (V3)", mfn, i, to,
			      lab1_type(TYPE(frames[to])));
		}
	}
	return count;
}

static void check_list(struct guest *g, const struct lab1_frame *frames, uint32_t generation, const char *when)
{
	enum { END = -1 };
	uint32_t n = 0, typed = 0;
	bool *on = calloc(ALL_FRAMES, sizeof(*on));
	for (uint32_t mfn = lab1_vmm_word(g, "listed"); mfn != (uint32_t)END; n++) {
		CHECK(mfn < g->nr_mfns && !on[mfn], "%s: the list of typed frames is broken at frame %#x", when, mfn);
		on[mfn] = true;
		mfn = frames[mfn].next == (uint32_t)END ? (uint32_t)END : frames[mfn].next - 1;
	}
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++)
		if (frames[mfn].generation == generation && TYPE(frames[mfn]) != WRITABLE) {
			typed++;
			CHECK(on[mfn], "%s: frame %#x is a %s, but not on the list: protect will overlook it", when, mfn,
			      lab1_type(TYPE(frames[mfn])));
		}
	CHECK(typed <= n, "%s: %u frames have a type, the list has %u", when, typed, n);
	free(on);
}

void lab1_check_counts(struct guest *g, unsigned loads, const char *when)
{
	struct lab1_frame *frames = lab1_frames(g);
	uint32_t generation = lab1_vmm_word(g, "generation"), *count = recount(g, frames, generation);
	count[g->at.cr3 >> 12] += loads;
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++) {
		const struct lab1_frame *f = &frames[mfn];
		uint32_t base = TYPE(*f) == WRITABLE ? f->home >> BASE_SHIFT & BASE_MASK : 0;
		if (f->generation != generation)
			CHECK(count[mfn] == 0 || f->generation == FOR_EVER,
			      "%s: %u references to frame %#x were not counted", when, count[mfn], mfn);
		else
			CHECK(COUNT(*f) == count[mfn] + base,
			      "%s: frame %#x is %s with count %u, but there are %u references (V7): %s", when, mfn,
			      lab1_type(TYPE(*f)), COUNT(*f), count[mfn] + base,
			      COUNT(*f) > count[mfn] + base ? "what was counted for something refused was not taken back"
							    : "not all were counted");
	}
	check_list(g, frames, generation, when);
	free(frames), free(count);
}
