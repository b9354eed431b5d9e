/* SPDX-License-Identifier: MIT */
/*
 * Exercises 6 to 8, what warm-up leaves: who owns each frame, how often it is mapped writable, and
 * which frames are tables for ever.
 */
#include "checks.h"

static struct guest start(void)
{
	struct machine_options o = { .p2m = judge_shuffle(4), .mem = 32 };
	struct guest g = start_at(&o, symbol("files_init_console"));
	learn_p2m(&g);
	return g;
}

static uint32_t kernel_directory(struct guest *g)
{
	return page_walk(g->m, g->c.cr3, kernel_word(g->m, "kernel_directory")).machine >> 12;
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

/*
 * How often the kernel's upper part maps each frame writable, as it was before warm-up made the
 * kernel's own tables read-only.
 */
static uint32_t *count_writable(struct guest *g, const bool *shared)
{
	uint32_t *count = calloc(ALL_FRAMES, sizeof(*count)), table[1024];
	uint32_t directory = kernel_directory(g);
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
		if (shared[mfn] && !(home_entry(g, g->m2p[mfn]) & W))
			count[mfn]++;
	/* The VMM maps the shared page, too. */
	count[page_walk(g->m, g->c.cr3, symbol("vmm_shared")).machine >> 12]++;
	return count;
}

/* The frame of a pfn, or of none, has the right owner and home. domain: the kernel's id. */
static void want_owner(uint32_t mfn, uint32_t pfn, const struct entry *f, uint32_t domain)
{
	uint32_t home = f->home;
	if (pfn == NO_FRAME) {
		CHECK(f->owner != domain,
		      "frame %#x is not the kernel's (m2p has NO_FRAME), "
		      "but its owner is domain %u", mfn,
		      f->owner);
		return;
	}
	CHECK(f->owner == domain,
	      "frame %#x is the kernel's (pfn %#x), but its owner is %u, not domain %u", mfn, pfn,
	      f->owner, domain);
	CHECK(home >> 12 == pfn, "frame %#x has pfn %#x, but its home names pfn %#x", mfn, pfn,
	      home >> 12);
	CHECK(!(home & HOME_W) == in_text(pfn), "frame %#x (pfn %#x, %s): HOME_W is %u", mfn, pfn,
	      in_text(pfn) ? "the kernel's text" : "data", !!(home & HOME_W));
}

void check_owners(const struct test *t)
{
	struct guest g = start();
	struct entry *frames = read_frames(&g);
	uint32_t *writable = count_writable(&g, find_shared(&g));
	uint32_t domain = vmm_member(&g, "domain0", DOMAIN_ID) & 0xFF;
	(void)t;
	for (uint32_t mfn = 0; mfn < g.nr_mfns; mfn++) {
		uint32_t home = frames[mfn].home, base = home >> BASE_SHIFT & BASE_MASK;
		want_owner(mfn, g.m2p[mfn], &frames[mfn], domain);
		CHECK(base == writable[mfn],
		      "frame %#x has %u writable mappings in the shared tables (the VMM's own of "
		      "vmm_shared among them), but home, %#x, counts %u",
		      mfn, writable[mfn], home, base);
	}
}

static void want_homes(struct guest *g, const bool *shared)
{
	for (uint32_t pfn = 0; pfn < g->nr_pfns; pfn++) {
		uint32_t mfn = g->p2m[pfn], pte = home_entry(g, pfn);
		bool want = !shared[mfn] && !in_text(pfn);
		const char *what = want ? "data" : "text";
		if (shared[mfn])
			what = "a table of the kernel's upper part or its directory";
		CHECK((pte & P) && pte >> 12 == mfn,
		      "the direct map's entry for pfn %#x is %#x, p2m has %#x", pfn, pte, mfn);
		CHECK(!(pte & W) == !want,
		      "frame %#x (pfn %#x) is %s, and its entry in the direct map is %#x: %s", mfn,
		      pfn, what, pte, pte & W ? "writable" : "read-only");
	}
}

static void want_shared_type(uint32_t mfn, const struct entry *f, bool shared)
{
	CHECK(!shared || (f->type == SHARED && f->count == 0 && f->generation == FOR_EVER),
	      "frame %#x is a table of the kernel's upper part or its directory: expected SHARED, "
	      "count 0, generation FOR_EVER; it is %s, count %u, generation %#x",
	      mfn, type_name(f->type), f->count, f->generation);
	CHECK(shared || f->generation != FOR_EVER,
	      "frame %#x, no table of the kernel's, has generation FOR_EVER", mfn);
}

void check_shared(const struct test *t)
{
	struct guest g = start();
	struct entry *frames = read_frames(&g);
	bool *shared = find_shared(&g);
	(void)t;
	for (uint32_t mfn = 0; mfn < g.nr_mfns; mfn++)
		want_shared_type(mfn, &frames[mfn], shared[mfn]);
	want_homes(&g, shared);
	/* The translations that the CPU has. */
	const uint32_t tables[] = { kernel_word(g.m, "direct_map"),
				    kernel_word(g.m, "kernel_directory") };
	for (unsigned i = 0; i < LENGTH(tables); i++)
		CHECK(!can_write(&g, tables[i]),
		      "the kernel can still write to %#x, a table of its "
		      "upper part, through the TLB",
		      tables[i]);
	CHECK(can_write(&g, symbol("vmm_shared")),
	      "the kernel cannot write to its own data any more");
}
