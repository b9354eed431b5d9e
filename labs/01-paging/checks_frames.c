/* SPDX-License-Identifier: MIT */
/*
 * Exercises 6 to 8, each alone. Exercise 6 is called. Exercise 7 runs in warm-up, on tables to
 * which the check has added entries, and is judged before exercise 8 begins. Exercise 8 runs on a
 * stock that the check has taken, and the check makes homes read-only where home_protect() is
 * called.
 */
#include "checks.h"

/* --- exercise 6 --- */

/* The direct map's entries, by pfn. Result: for the caller to free. */
static uint32_t *home_entries(struct guest *g)
{
	uint32_t *entries = malloc(g->nr_pfns * sizeof(*entries));
	for (uint32_t pfn = 0; pfn < g->nr_pfns; pfn++)
		entries[pfn] = home_entry(g, pfn);
	return entries;
}

/* The home of pfn is protected, or not; then only its W has changed, and only as it must. */
static void protect_once(struct guest *g, uint32_t pfn, bool protect)
{
	uint32_t mfn = g->p2m[pfn], *before = home_entries(g);
	struct entry f = read_frame(g, mfn), after;
	uint32_t want = f.home & HOME_W ? (before[pfn] & ~(uint32_t)W) | (protect ? 0 : W)
					: before[pfn];
	VMM_CALL(g, "home_protect", cpu0(), frame_address(g, mfn), protect);
	uint32_t got = home_entry(g, pfn);
	CHECK(got == want,
	      "home_protect(frame %#x, pfn %#x, %s, %s): its entry in the direct map was %#x and "
	      "is %#x, expected %#x", mfn, pfn, f.home & HOME_W ? "HOME_W" : "home without HOME_W",
	      protect ? "true" : "false", before[pfn], got, want);
	for (uint32_t other = 0; other < g->nr_pfns; other++)
		CHECK(other == pfn || home_entry(g, other) == before[other],
		      "home_protect(frame %#x, pfn %#x): the entry for pfn %#x has changed from "
		      "%#x to %#x", mfn, pfn, other, before[other], home_entry(g, other));
	after = read_frame(g, mfn);
	CHECK(memcmp(&f, &after, sizeof(f)) == 0,
	      "home_protect(frame %#x, pfn %#x) changes the frame's entry in the frame table", mfn,
	      pfn);
	free(before);
}

/* The first data page of a table of the direct map, the last one of all, text, and others. */
static uint32_t some_pfn(struct guest *g, unsigned k)
{
	uint32_t text = (symbol("image_start") - KERNEL_BASE) / PAGE;
	switch (k) {
	case 0: return text + random_below((symbol("readonly_end") - symbol("image_start")) / PAGE);
	case 1: return g->nr_pfns - 1;
	case 2: return 1024 * (1 + random_below(g->nr_pfns / 1024 - 1));
	default: return 2048 + random_below(g->nr_pfns - 2048);
	}
}

void judge_home(struct guest *g)
{
	for (unsigned k = 0; k < 6; k++) {
		uint32_t pfn = some_pfn(g, k), old = home_entry(g, pfn);
		struct entry e = read_frame(g, g->p2m[pfn]), real = e;
		if (e.generation == FOR_EVER)
			continue;
		e.home |= 1u << BASE_SHIFT; /* text, too, may have a writable alias */
		e.type = k % LENT;
		write_frame(g, g->p2m[pfn], &e);
		set_home_entry(g, pfn, old ^ (random_below(8) << 9 | (random_below(2) ? D : 0)));
		for (unsigned i = 0; i < 4; i++)
			protect_once(g, pfn, i < 2 ? true : !(i & 2));
		protect_once(g, pfn, random_below(2));
		set_home_entry(g, pfn, old);
		write_frame(g, g->p2m[pfn], &real);
	}
}

void check_home(const struct test *t)
{
	struct guest g = start_stock();
	(void)t;
	judge_home(&g);
}

/* --- exercise 7 --- */

static struct guest start_warm_up(unsigned order)
{
	struct machine_options o = { .p2m = judge_shuffle(order) };
	struct guest g = start_at(&o, vmm_symbol("frames_warm_up"));
	learn_p2m(&g);
	return g;
}

/* Machine address of the kernel's last mappings, which are free. */
static uint32_t free_mapping(struct guest *g, unsigned n)
{
	uint32_t at, address = VMM_BASE - (n + 1) * PAGE;
	CHECK(table_entry(g, g->c.cr3, address, &at) == 0 && at, "%#x is not free", address);
	return at;
}

/*
 * What no machine has at boot: frames with aliases, writable or not; a home that is read-only or
 * not there; mappings of frames that are not the kernel's, of memory's last frame, of the first one
 * above memory (in the direct map, too), and after the direct map's last page.
 */
static void add_mappings(struct guest *g)
{
	uint32_t pfn = 3000 + random_below(4000), mfn = g->p2m[pfn], hole = 0xA0, at;
	const uint32_t entries[] = {
		mfn << 12 | P | W | A | D, mfn << 12 | P | W, mfn << 12 | P,
		g->p2m[pfn + 1] << 12 | P, g->p2m[pfn + 2] << 12 | P | W | G, hole << 12 | P | W,
		g->nr_mfns << 12 | P | W, mfn << 12 | W, (g->nr_mfns - 1) << 12 | P | W,
	};
	for (unsigned i = 0; i < LENGTH(entries); i++)
		set_physical(g, free_mapping(g, i), entries[i]);
	set_home_entry(g, pfn + 2, home_entry(g, pfn + 2) & ~(uint32_t)W);
	set_home_entry(g, pfn + 3, 0);
	set_home_entry(g, pfn + 4, g->nr_mfns << 12 | P);
	table_entry(g, g->c.cr3, KERNEL_BASE + g->nr_pfns * PAGE, &at);
	if (at)
		set_physical(g, at, hole << 12 | P);
}

/* "frame 0x1 (pfn 0x157a)"; the text lives until the next call. */
static const char *frame_name(const struct guest *g, uint32_t mfn)
{
	static char name[80];
	if (g->m2p[mfn] == NO_FRAME)
		snprintf(name, sizeof(name), "frame %#x (of no pfn)", mfn);
	else
		snprintf(name, sizeof(name), "frame %#x (pfn %#x)", mfn, g->m2p[mfn]);
	return name;
}

static void want_stock(struct guest *g, uint32_t mfn, const struct entry *is,
		       const struct entry *want)
{
	const char *name = frame_name(g, mfn);
	uint32_t base = is->home >> BASE_SHIFT & BASE_MASK;
	uint32_t want_base = want->home >> BASE_SHIFT & BASE_MASK;
	CHECK(is->owner == want->owner,
	      "%s: its owner is %u, expected %u: the direct map's pages 0 to %#x %s it", name,
	      is->owner, want->owner, g->nr_pfns - 1, want->owner ? "show" : "do not show");
	CHECK(base == want_base,
	      "%s: the base count in its home, %#x, is %u, expected %u: the number of entries that "
	      "map it writable, in the direct map and after it, whoever owns it%s", name, is->home,
	      base, want_base, page_walk(g->m, g->c.cr3, symbol("vmm_shared")).machine >> 12 == mfn
	      ? "; and one for the VMM's mapping of vmm_shared, which was counted before" : "");
	CHECK((is->home ^ want->home) >> 12 == 0, "%s: its home, %#x, names pfn %#x, expected %#x",
	      name, is->home, is->home >> 12, want->home >> 12);
	CHECK(is->home == want->home,
	      "%s: its home is %#x, expected %#x: HOME_W must say whether the entry in the direct "
	      "map is writable", name, is->home, want->home);
	CHECK(is->type == want->type && is->count == want->count && is->next == want->next &&
		      is->generation == want->generation,
	      "%s: more than owner and home of its entry is changed", name);
}

/* The frames of a domain that is born have its id, counts and a generation already. */
static void note_one(struct guest *g, bool owned, bool direct)
{
	uint32_t owner = vmm_member(g, "domain0", DOMAIN_ID) & 0xFF, base = 1 + random_below(3);
	uint32_t pfn = 3000 + random_below(4000), mfn = g->p2m[pfn];
	struct entry f = { .owner = owned ? owner : 0, .home = base << BASE_SHIFT, .count = base,
			   .generation = 2 + random_below(9), .next = 1 + random_below(99) };
	write_frame(g, mfn, &f);
	VMM_CALL(g, "frames_note", vmm_symbol("domain0"), direct ? pfn : g->nr_pfns,
		 mfn << 12 | P | W | A | D);
	struct entry is = read_frame(g, mfn);
	f.home += 1u << BASE_SHIFT;
	if (direct)
		f.home |= pfn << 12 | HOME_W, f.owner = owner;
	want_stock(g, mfn, &is, &f);
}

void check_owners(const struct test *t)
{
	struct guest g = start_warm_up(4);
	(void)t;
	add_mappings(&g);
	uint32_t id = vmm_symbol("domain0") + DOMAIN_ID; /* not always 1 */
	set_word(&g, id, (word_at(&g, id) & ~0xFFu) + 2 + random_below(6));
	struct entry *want = count_stock(&g);
	uint32_t end = VMM_BASE + g.nr_mfns * FRAME_ENTRY_BYTES +
		       vmm_member(&g, "machine", offsetof(struct vmm_machine, image_bytes));
	uint8_t before[FRAME_ENTRY_BYTES], after[FRAME_ENTRY_BYTES];
	virtual_read(g.m, g.c.cr3, end, before, sizeof(before));
	run_to(&g, vmm_symbol("forget_last_tables")); /* between exercises 7 and 8 */
	struct entry *frames = read_frames(&g);
	virtual_read(g.m, g.c.cr3, end, after, sizeof(after));
	CHECK(memcmp(before, after, sizeof(before)) == 0,
	      "frame %#x is the first above memory, but a mapping of it was noted, after the "
	      "end of the frame table", g.nr_mfns);
	for (uint32_t mfn = 0; mfn < g.nr_mfns; mfn++)
		want_stock(&g, mfn, &frames[mfn], &want[mfn]);
	judge_context = "an entry for a frame that has an owner, counts and a generation already";
	for (unsigned k = 0; k < 4; k++)
		note_one(&g, k & 1, k & 2);
}

/* --- exercise 8 --- */

/* The direct map's last slot: no table of the kernel's lies there. */
static void last_slot_read_only(struct guest *g)
{
	uint32_t slot = KERNEL_SLOT + (g->nr_pfns - 1) / 1024;
	uint32_t at = (kernel_directory(g) << 12) + 4 * slot;
	set_physical(g, at, physical_word(g->m, at) & ~W);
}

/* The tables of the kernel have been other things before, as those of a new domain have. */
static void count_shared(struct guest *g)
{
	bool *shared = find_shared(g);
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++) {
		struct entry f = read_frame(g, mfn);
		f.count = 1 + random_below(9);
		if (shared[mfn])
			write_frame(g, mfn, &f);
	}
	free(shared);
}

/*
 * Let warm-up run to the beginning of exercise 8, on an empty directory, so that it has no entry to
 * account; then give it a stock. Result: where frames_warm_up() returns to.
 */
static uint32_t begin_fix(struct guest *g)
{
	uint32_t end = return_address(g), directory = vmm_symbol("domain0") + DOMAIN_DIRECTORY;
	set_word(g, directory, new_frame(g));
	run_to(g, vmm_symbol("forget_last_tables"));
	set_word(g, directory, kernel_directory(g));
	last_slot_read_only(g);
	take_stock(g, false);
	count_shared(g);
	return end;
}

/* "frame 0x60f, the table of slot 0x300"; the text lives until the next call. */
static const char *role(struct guest *g, uint32_t mfn)
{
	static char text[100];
	uint32_t directory = kernel_directory(g), slot = KERNEL_SLOT;
	while (slot < 1024 && (physical_word(g->m, (directory << 12) + 4 * slot) & (P | -PAGE)) !=
			      (mfn << 12 | P))
		slot++;
	if (mfn == directory)
		snprintf(text, sizeof(text), "frame %#x, the kernel's directory", mfn);
	else if (slot < 1024)
		snprintf(text, sizeof(text), "frame %#x, the table of slot %#x, kernel_pdes[%u]%s",
			 mfn, slot, slot - KERNEL_SLOT, slot < VMM_SLOT ? "" :
			 ", which is the VMM's");
	else
		snprintf(text, sizeof(text), "frame %#x, which is no table of the kernel's%s", mfn,
			 g->m2p[mfn] == NO_FRAME ? " (and of no pfn)" : "");
	return text;
}

static void want_homes(struct guest *g, const bool *shared, const uint32_t *before)
{
	for (uint32_t pfn = 0; pfn < g->nr_pfns; pfn++) {
		uint32_t mfn = g->p2m[pfn], pte = home_entry(g, pfn);
		uint32_t want = shared[mfn] ? before[pfn] & ~(uint32_t)W : before[pfn];
		CHECK(pte == want, "%s (pfn %#x): its entry in the direct map was %#x and is %#x, "
		      "expected %#x", role(g, mfn), pfn, before[pfn], pte, want);
	}
}

static void want_fixed(struct guest *g, const bool *shared)
{
	struct entry *frames = read_frames(g);
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++) {
		const struct entry *f = &frames[mfn];
		CHECK(!shared[mfn] || (f->type == SHARED && f->count == 0 &&
				       f->generation == FOR_EVER),
		      "after frames_warm_up() %s, is %s with count %u in generation %#x, expected "
		      "SHARED, count 0, FOR_EVER", role(g, mfn), type_name(f->type), f->count,
		      f->generation);
	}
	free(frames);
}

/* home_protect() was called: the check does its work. The TLB first learns the old entry. */
static void protect_for(struct guest *g)
{
	uint32_t mfn = (g->c.edx - frame_address(g, 0)) / FRAME_ENTRY_BYTES, pfn;
	CHECK(mfn < g->nr_mfns && frame_address(g, mfn) == g->c.edx,
	      "home_protect() is called with %#x, which is no entry of the frame table: is what "
	      "fix_shared() is given a frame's number?", g->c.edx);
	CHECK(g->m2p[mfn] != NO_FRAME, "home_protect() is called for %s: expected only tables of "
	      "the kernel's slots and its directory", role(g, mfn));
	CHECK(g->c.ecx & 0xFF, "home_protect(frame %#x, pfn %#x, false): a table of the kernel's "
	      "must become read-only", mfn, g->m2p[mfn]);
	pfn = g->m2p[mfn];
	can_write(g, KERNEL_BASE + pfn * PAGE);
	if (read_frame(g, mfn).home & HOME_W)
		set_home_entry(g, pfn, home_entry(g, pfn) & ~(uint32_t)W);
	skip(g, 0);
}

static void want_no_stale(struct guest *g, const bool *shared)
{
	for (uint32_t pfn = 0; pfn < g->nr_pfns; pfn++)
		CHECK(!shared[g->p2m[pfn]] || !can_write(g, KERNEL_BASE + pfn * PAGE),
		      "frame %#x (pfn %#x), a table of the kernel's or its directory, is read-only "
		      "in memory (%#x), but the kernel can still write to it: a stale TLB entry; "
		      "flush after the last table", g->p2m[pfn], pfn, home_entry(g, pfn));
	CHECK(can_write(g, symbol("vmm_shared")),
	      "the kernel cannot write to its own data any more");
}

void check_shared(const struct test *t)
{
	struct guest g = start_warm_up(4);
	uint32_t end = begin_fix(&g), *before = home_entries(&g);
	struct entry *want = read_frames(&g);
	bool *shared = find_shared(&g);
	(void)t;
	for (uint32_t mfn = 0; mfn < g.nr_mfns; mfn++)
		if (shared[mfn])
			want[mfn].type = SHARED, want[mfn].count = 0,
			want[mfn].generation = FOR_EVER;
	break_at(&g, vmm_symbol("home_protect"));
	break_at(&g, end);
	for (;;) {
		CHECK(run_cpus(&g, ALL_CPUS) >= 0, "the machine ended or hung in frames_warm_up()");
		if (g.c.eip == end)
			break;
		protect_for(&g);
	}
	break_off(&g, vmm_symbol("home_protect"));
	break_off(&g, end);
	want_fixed(&g, shared);
	want_frames(&g, want, "frames_warm_up() must change nothing but type, count and generation "
		    "of the kernel's tables");
	want_homes(&g, shared, before);
	want_no_stale(&g, shared);
}
