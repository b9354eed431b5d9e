/* SPDX-License-Identifier: MIT */
/*
 * Exercise 5: pages are given back in the one order that is safe: entries, then the TLB, then the
 * frames.
 */
#include "checks.h"

enum { PROT_NONE = 0, PROT_READ_WRITE = 3 };
enum { FAULT_STATUS = 0x40 | VEC_PF }; /* exit status of a program that ended by a page fault */

/*
 * The area, in pages: it needs more than two tables. MAPPED of its pages are there. Five of these,
 * from number IN_A_ROW on, are neighbours. One frame in SHARED_EVERY has a second user.
 */
enum { AREA_PAGES = 2100, MAPPED = 24, IN_A_ROW = 8, SHARED_EVERY = 4, EDGE = 2 };

struct page {
	uint32_t address, at, mfn, refs; /* at: machine address of its entry */
	bool inside;                     /* of the range that is unmapped */
	bool cleared, flushed, put;      /* what was seen so far */
};

struct scene {
	struct guest g;
	uint32_t mm, start;
	struct page page[MAPPED];
};

static struct page *by_mfn(struct scene *s, uint32_t mfn)
{
	for (struct page *p = s->page; p < s->page + MAPPED; p++)
		if (p->mfn == mfn && p->inside)
			return p;
	return NULL;
}

/* Page number k of those that are there, as an offset in pages. */
static uint32_t offset_of(unsigned k)
{
	enum { STEP = AREA_PAGES / MAPPED, ROW = 5 };
	if (k >= IN_A_ROW && k < IN_A_ROW + ROW)
		return IN_A_ROW * STEP + k - IN_A_ROW;
	return k * STEP + random_below(STEP - ROW);
}

/* Fill the area. One page may not be touched (PROT_NONE). */
static void fill(struct scene *s)
{
	struct guest *g = &s->g;
	s->mm = CALL(g, "mm_create");
	s->start = 0x40000000 + random_below(1024) * PAGE;
	uint32_t directory = page_walk(g->m, g->c.cr3, read_mm(g, s->mm).directory).machine;
	uint32_t at = CALL(g, "mm_map", s->mm, s->start, AREA_PAGES * PAGE, PROT_READ_WRITE, 0, 0,
			   0);
	CHECK(at == s->start, "mm_map() fails");
	for (unsigned k = 0; k < MAPPED; k++) {
		struct page *p = &s->page[k];
		p->address = s->start + offset_of(k) * PAGE;
		p->inside = k >= EDGE && k < MAPPED - EDGE;
		CHECK(CALL(g, "mm_fault", s->mm, p->address, PF_WRITE) == 0, "mm_fault(%#x) fails",
		      p->address);
		p->mfn = table_entry(g, directory, p->address, &p->at) >> 12;
		p->refs = 1 + (k % SHARED_EVERY == 0);
		if (p->refs > 1)
			CALL(g, "frame_get", g->m2p[p->mfn]);
	}
	CALL(g, "mm_protect", s->mm, s->page[MAPPED - 5].address, PAGE, PROT_NONE);
}

static void see_entries(struct scene *s)
{
	for (struct page *p = s->page; p < s->page + MAPPED; p++)
		p->cleared = physical_word(s->g.m, p->at) == 0;
}

static void see_flush(struct scene *s, bool all, uint32_t address)
{
	see_entries(s);
	for (struct page *p = s->page; p < s->page + MAPPED; p++)
		p->flushed |= p->cleared && (all || (p->address ^ address) < PAGE);
}

static void see_put(struct scene *s, uint32_t pfn)
{
	CHECK(pfn < s->g.nr_pfns, "frame_put(%#x): there is no such pfn", pfn);
	struct page *p = by_mfn(s, s->g.p2m[pfn]);
	see_entries(s);
	CHECK(p,
	      "frame_put(%#x): no page of the range has this frame (an mfn where a pfn belongs?)",
	      pfn);
	CHECK(p->cleared, "page %#x: frame %#x is given back while its entry is still %#x",
	      p->address, p->mfn, physical_word(s->g.m, p->at));
	CHECK(p->flushed,
	      "page %#x: frame %#x is given back before the TLB was flushed: another task may own "
	      "it while a stale entry still shows it here", p->address, p->mfn);
	CHECK(!p->put, "page %#x: frame %#x is given back twice", p->address, p->mfn);
	p->put = true;
}

enum { SET_PTE, SET_PTES, FLUSH_ALL, FLUSH_PAGE, PUT, NR_WATCHED };
static const char *const watched[NR_WATCHED] = {
	"native_mmu_set_pte", "native_mmu_set_ptes", "native_mmu_flush_all",
	"native_mmu_flush_page", "frame_put",
};

static unsigned which(uint32_t eip)
{
	unsigned k = 0;
	while (symbol(watched[k]) != eip)
		k++;
	return k;
}

static void watched_unmap(struct scene *s, uint32_t address, uint32_t bytes)
{
	struct guest *g = &s->g;
	watch(g, watched, NR_WATCHED, true);
	call_begin(g, symbol("mm_unmap"), WORDS(s->mm, address, bytes));
	for (uint32_t eip; (eip = call_next(g));) {
		unsigned k = which(eip);
		CHECK((k != SET_PTE && k != SET_PTES) || kernel_word(g->m, "vo_uses") > 0,
		      "entries are changed outside of vo_batch_begin() and vo_batch_end()");
		if (k == FLUSH_ALL)
			see_flush(s, true, 0);
		else if (k == FLUSH_PAGE)
			see_flush(s, false, argument(g, 0));
		else if (k == PUT)
			see_put(s, argument(g, 0));
	}
	CHECK(call_end(g) == 0, "mm_unmap(%#x, %#x) fails", address, bytes);
	watch(g, watched, NR_WATCHED, false);
}

/* A page and its frame after mm_unmap(). The frame's other user lets go, too. */
static void judge_page(struct guest *g, const struct page *p)
{
	uint32_t pte = physical_word(g->m, p->at), pfn = g->m2p[p->mfn];
	CHECK(!pte == p->inside, "page %#x lies %s what was unmapped, and its entry is %#x",
	      p->address, p->inside ? "in" : "outside of", pte);
	CHECK(p->put == p->inside, "page %#x: its frame %#x was%s given back", p->address, p->mfn,
	      p->put ? "" : " not");
	uint32_t refs = CALL(g, "frame_refs", pfn);
	CHECK(p->refs == 1 || refs == p->refs - p->inside, "page %#x: frame %#x has %u references",
	      p->address, p->mfn, refs);
	if (p->refs > 1)
		CALL(g, "frame_put", pfn);
}

void check_unmap(const struct test *t)
{
	struct scene s = { .g = start_kernel() };
	struct guest *g = &s.g;
	uint32_t before = free_frames(g), inside = 0;
	(void)t;
	fill(&s);
	uint32_t first = s.page[EDGE].address, end = s.page[MAPPED - EDGE - 1].address + PAGE;
	watched_unmap(&s, first, end - first);
	for (struct page *p = s.page; p < s.page + MAPPED; p++) {
		judge_page(g, p);
		inside += p->inside;
	}
	uint32_t pages = read_mm(g, s.mm).pages;
	CHECK(pages == MAPPED - inside, "mm->pages is %u after %u of %u pages were unmapped", pages,
	      inside, MAPPED);
	want_mm(g, s.mm, "after mm_unmap()");
	want_released(g, "after mm_unmap()");
	CALL(g, "mm_destroy", s.mm);
	uint32_t after = free_frames(g);
	CHECK(after == before,
	      "%d frames are lost by an address space that was filled, unmapped and ended",
	      (int)(before - after));
}

/*
 * The program programs/stale.c: each of its children must end by a page fault, where it touches
 * what it has unmapped.
 */
void check_stale(const struct test *t)
{
	struct machine_options o = { .p2m = judge_shuffle(3), .mem = 32, .modules = without_vmm(),
				     .cmdline = "run=stale" };
	struct guest g = start_at(&o, symbol("task_exit"));
	learn_p2m(&g);
	for (unsigned child = 0; child < t->number; child++) {
		uint32_t status = argument(&g, 0);
		CHECK(status == FAULT_STATUS,
		      "program `stale`, child %u: it touched a page after munmap() and went on "
		      "(ended with status %#x instead of %#x, a page fault): "
		      "the TLB still had the page",
		      child, status, FAULT_STATUS);
		run_to(&g, symbol("task_exit"));
	}
	CHECK(argument(&g, 0) == 0, "program `stale` ended with status %#x", argument(&g, 0));
}
