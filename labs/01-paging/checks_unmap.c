/* SPDX-License-Identifier: MIT */
/*
 * Exercise 5: pages are given back in the one order that is safe: entries, then the TLB, then the
 * frames. drop_pages() works on tables that the check has filled, and where the compiler left a
 * call of slot_of(), the check answers it. In the middle of the second call another task unmaps
 * pages, too.
 */
#include "checks.h"

/*
 * The pages, over three tables: DENSE neighbours, more than one call changes, which the end of the
 * first table cuts in two; then some with gaps; then neighbours again. One frame in SHARED_EVERY
 * has a second user. EDGE pages at either end stay. Page TWIN has the frame of the page before it,
 * as two mappings of a file may have it; a third user keeps the frame.
 */
enum { DENSE = 72, SPARSE = 10, LAST = 5, PAGES = DENSE + SPARSE + LAST };
enum { SHARED_EVERY = 5, EDGE = 2, TWIN = DENSE + SPARSE + 2 };
enum { TABLES = 3, FIRST_SLOT = 0x140 };

struct page {
	uint32_t address, at, mfn, refs; /* at: machine address of its entry */
	bool inside;                     /* of the range that is unmapped */
	bool twin;                       /* another page of the range has its frame, too */
	bool present;                    /* else PROT_NONE: the entry holds its frame without P */
	bool cleared, flushed, put;      /* what was seen so far */
	bool early;   /* since the last frame_put() a flush came while its entry was there */
	unsigned hold;                   /* in which it was cleared */
};

struct scene {
	struct guest g;
	struct space s;
	struct page page[PAGES];
	uint32_t first, end; /* the range */
	bool loaded;         /* as the argument of drop_pages() */
	unsigned from;       /* pages before this one are left out */
	uint32_t pages;      /* mm->pages before */
	unsigned holds;      /* how often the VO came to be held */
	const struct page *late; /* the first whose frame was given back without a flush */
	bool moved_on;       /* more entries were stored after that */
	bool inner;          /* it is in the middle of another one */
	struct scene *other; /* that shall come in the middle of it */
	uint32_t taken;      /* frames that the other one has taken */
};

/* How far a page is on its way: a frame goes for that page of two which is farther. */
static unsigned progress(const struct page *p)
{
	return p->put ? 0 : 1 + p->cleared + p->flushed;
}

static struct page *by_mfn(struct scene *s, uint32_t mfn)
{
	struct page *found = NULL;
	for (struct page *p = s->page + s->from; p < s->page + PAGES; p++)
		if (p->mfn == mfn && (!found || progress(p) > progress(found)))
			found = p;
	return found;
}

static uint32_t address_of(unsigned k)
{
	uint32_t dense = ((FIRST_SLOT + 1) << 22) - 37 * PAGE, sparse = dense + (DENSE + 3) * PAGE;
	if (k < DENSE)
		return dense + k * PAGE;
	if (k < DENSE + SPARSE) /* at most one call's entries apart, and sometimes more */
		return sparse + ((k - DENSE) * 50 + random_below(45)) * PAGE;
	return sparse + (SPARSE * 50 + k - DENSE - SPARSE) * PAGE;
}

static uint32_t refs_at(struct guest *g, uint32_t pfn)
{
	return kernel_word(g->m, "frame_table") + pfn * FRAME_BYTES + FRAME_REFS;
}

/* Map a page. One in ten may not be touched (PROT_NONE). */
static void fill_page(struct scene *s, struct page *p, unsigned k)
{
	struct guest *g = &s->g;
	*p = (struct page){ .address = address_of(k),
			    .inside = k >= s->from + EDGE && k < PAGES - EDGE,
			    .present = k % 10 != 7, .twin = k == TWIN - 1 || k == TWIN };
	p->refs = p->twin ? 3 : k % SHARED_EVERY ? 1 : 2;
	uint32_t pfn = k == TWIN ? g->m2p[p[-1].mfn] : alloc_frame(g);
	uint32_t flags = p->present ? P | U | A : U | A;
	p->mfn = g->p2m[pfn];
	set_word(g, refs_at(g, pfn), p->refs);
	table_entry(g, s->s.directory, p->address, &p->at);
	set_physical(g, p->at, p->mfn << 12 | flags | (p->refs == 1 && p->present ? W | D : 0));
}

static void fill(struct scene *s)
{
	struct guest *g = &s->g;
	s->s = make_space(g);
	for (unsigned i = 0; i < TABLES; i++)
		add_table(g, &s->s, FIRST_SLOT + i);
	for (unsigned k = s->from; k < PAGES; k++)
		fill_page(s, &s->page[k], k);
	s->pages = PAGES - s->from + random_below(100); /* some lie elsewhere */
	set_word(g, s->s.mm + MM_PAGES, s->pages);
	s->first = s->page[s->from + EDGE].address;
	s->end = s->page[PAGES - EDGE - 1].address + PAGE;
}

/* Look which entries are 0 now. by_vo: an operation of the VO has just ended. */
static void see_entries(struct scene *s, bool by_vo)
{
	for (struct page *p = s->page + s->from; p < s->page + PAGES; p++) {
		bool clear = physical_word(s->g.m, p->at) == 0;
		CHECK(!clear || p->cleared || by_vo,
		      "page %#x: its entry is not cleared by the VO: in virtual mode a store by "
		      "hand faults", p->address);
		if (clear && !p->cleared)
			p->hold = s->holds, p->flushed |= !p->present; /* no TLB had it */
		p->cleared = clear;
	}
}

static void want_flushed(const struct page *p, const char *how)
{
	CHECK(!p, "page %#x: frame %#x is given back before the TLB was flushed: another task may "
	      "own it while a stale entry still shows it here; %s", p->address, p->mfn, how);
}

static void see_flush(struct scene *s, bool all, uint32_t address)
{
	if (s->late && (all || (s->late->address ^ address) < PAGE))
		want_flushed(s->late, s->moved_on ? "the next flush comes after more entries are "
			     "cleared" : "the flush comes after frame_put()");
	CHECK(kernel_word(s->g.m, "vo_uses") > 0,
	      "the TLB is flushed outside of vo_hold() and vo_release(): the process may be on "
	      "another CPU by then");
	for (struct page *p = s->page + s->from; p < s->page + PAGES; p++) {
		if (p->flushed || (!all && (p->address ^ address) >= PAGE))
			continue;
		p->early |= !p->cleared;
		if (!p->cleared)
			continue;
		CHECK(p->hold == s->holds || !s->loaded,
		      "page %#x: its entry is cleared in one hold, and the TLB is flushed in a "
		      "later one: the process may be on another CPU by then", p->address);
		p->flushed = true;
	}
}

static void judge_scene(struct scene *s);

/* The kernel gives this CPU to another task, which unmaps pages of its own. */
static void part(struct scene *s)
{
	struct scene *other = s->other;
	other->g = s->g;
	uint32_t free = CALL(&other->g, "frames_free");
	judge_context = "another task unmaps pages while this one gives its frames back";
	judge_scene(other);
	s->taken = free - CALL(&other->g, "frames_free");
	s->other = NULL;
}

static void see_put(struct scene *s, uint32_t pfn)
{
	CHECK(pfn < s->g.nr_pfns, "frame_put(%#x): there is no such pfn", pfn);
	see_entries(s, false);
	struct page *p = by_mfn(s, s->g.p2m[pfn]);
	CHECK(p && p->inside,
	      "frame_put(%#x): no page of the range has this frame%s", pfn,
	      by_mfn(s, pfn) ? " (its number is the mfn of one: frame_put() wants a pfn)" : "");
	CHECK(!p->put, "page %#x: frame %#x (pfn %#x) is given back twice", p->address, p->mfn,
	      pfn);
	CHECK(p->cleared, "page %#x: frame %#x is given back while its entry is still %#x",
	      p->address, p->mfn, physical_word(s->g.m, p->at));
	if (s->loaded && !p->flushed && p->early)
		want_flushed(p, "a flush came before its entry was 0, and the CPU may have read "
			     "the entry again");
	if (s->loaded && !p->flushed && !s->late) /* what follows tells why */
		s->late = p;
	p->put = true;
	for (struct page *other = s->page; other < s->page + PAGES; other++)
		other->early = false;
	/* What goes wrong without the other task has shown by then. */
	bool last = p - s->page >= DENSE + SPARSE;
	if (last && s->other && !s->late && kernel_word(s->g.m, "vo_uses") == 0)
		part(s);
}

enum { PUT, SLOT_OF, HOLD, NR_WATCHED };
static const char *const watched[NR_WATCHED] = { "frame_put", "slot_of", "vo_hold" };

static void see_op(struct scene *s, unsigned op)
{
	struct guest *g = &s->g;
	bool stores = op == SET_PTE || op == SET_PTES || op == CHANGE_PTES;
	uint32_t flush = op == FLUSH_PAGE ? argument(g, 0) : argument(g, 3);
	CHECK(!stores || kernel_word(g->m, "vo_uses") > 0,
	      "entries are changed outside of vo_hold() and vo_release()");
	see_entries(s, false);
	do_op(g, op);
	see_entries(s, true);
	s->moved_on |= stores && s->late;
	if (op == FLUSH_ALL || op == FLUSH_PAGE || op == CHANGE_PTES)
		see_flush(s, op == FLUSH_ALL || flush == 0xFFFFFFFF, flush);
}

static void watched_drop(struct scene *s)
{
	struct guest *g = &s->g;
	watch(g, watched, NR_WATCHED, true), watch_ops(g, true);
	if (!s->inner)
		vary_begin(g, s->s.mm);
	call_begin(g, symbol("drop_pages"), WORDS(s->s.mm, s->first, s->end, s->loaded));
	for (uint32_t eip; (eip = call_next(g));) {
		unsigned op = op_here(g);
		if (op < NR_OPS)
			see_op(s, op);
		else if (eip == symbol(watched[PUT]))
			see_put(s, argument(g, 0));
		else if (eip == symbol(watched[SLOT_OF]))
			skip(g, right_slot(g, s->s.directory, argument(g, 1)));
		else if (eip == symbol(watched[HOLD]))
			s->holds += kernel_word(g->m, "vo_uses") == 0;
	}
	call_end(g);
	want_flushed(s->late, "no flush comes at all for this page");
	if (s->inner)
		return;
	judge_context = NULL;
	vary_end(g);
	watch(g, watched, NR_WATCHED, false), watch_ops(g, false);
}

/* A page and its frame afterwards. */
static void judge_page(struct guest *g, const struct page *p)
{
	uint32_t pte = physical_word(g->m, p->at), refs = word_at(g, refs_at(g, g->m2p[p->mfn]));
	uint32_t want = p->refs - (p->twin ? 2 : p->inside);
	CHECK(!pte == p->inside, "page %#x lies %s what was unmapped, and its entry is %#x",
	      p->address, p->inside ? "in" : "outside of", pte);
	CHECK(p->put == p->inside, "page %#x: its frame %#x was%s given back%s", p->address, p->mfn,
	      p->put ? "" : " not", p->put || p->present ? "" : " (its entry has no P: it is a "
	      "PROT_NONE page, and holds a frame, too)");
	CHECK(refs == want, "page %#x: frame %#x has %u references, expected %u%s", p->address,
	      p->mfn, refs, want, p->twin ? ": two pages of the range have it, and each of them "
	      "held a reference" : "");
}

/* If the compiler left no call of slot_of() in drop_pages(), exercise 3 must be right. */
static void need_slot_of(struct scene *s)
{
	struct guest *g = &s->g;
	uint32_t nowhere = 0x10 << 22; /* no table there: nothing is to be done */
	watch(g, &watched[SLOT_OF], 1, true);
	call_begin(g, symbol("drop_pages"), WORDS(s->s.mm, nowhere, nowhere + PAGE, false));
	bool called = call_next(g) != 0;
	call_end(g);
	watch(g, &watched[SLOT_OF], 1, false);
	if (!called)
		judge_base(g, "cannot be judged until exercise 3 (check `walk`) is right",
			   judge_walk);
}

static void judge_scene(struct scene *s)
{
	struct guest *g = &s->g;
	uint32_t gone = 0, single = 0, free = CALL(g, "frames_free");
	watched_drop(s);
	for (struct page *p = s->page + s->from; p < s->page + PAGES; p++)
		gone += p->inside, single += p->inside && p->refs == 1;
	uint32_t more = CALL(g, "frames_free") + s->taken - free, pages = read_mm(g, s->s.mm).pages;
	for (struct page *p = s->page + s->from; p < s->page + PAGES; p++)
		judge_page(g, p);
	CHECK(more == single, "%u frames had no other user; but %u more are free than before",
	      single, more);
	CHECK(pages == s->pages - gone, "mm->pages is %u after %u of %u pages were unmapped, "
	      "expected %u", pages, gone, s->pages, s->pages - gone);
	want_released(g, "after drop_pages()");
}

void judge_unmap(struct guest *g)
{
	for (unsigned loaded = 0; loaded < 2; loaded++) {
		struct scene other = { .g = *g, .from = DENSE, .inner = true };
		if (loaded) /* the first one is alone */
			fill(&other);
		struct scene s = { .g = other.g, .loaded = loaded, .from = loaded ? 0 : DENSE,
				   .other = loaded ? &other : NULL };
		fill(&s);
		if (!loaded)
			need_slot_of(&s);
		judge_scene(&s);
		*g = s.g;
	}
}

void check_unmap(const struct test *t)
{
	struct guest g = start_kernel();
	(void)t;
	judge_unmap(&g);
}
