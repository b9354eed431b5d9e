/* SPDX-License-Identifier: MIT */
/* Exercise 5: giving pages back in the one order that is safe: entries, then the TLB, then the frames. */
#include "checks.h"

enum { PF_WRITE = 2, PROT_NONE = 0, RW = 3, MAPPED = 24, MIDDLE = 8, SHARED_EVERY = 4, FAULT_STATUS = 0x40 | 14 };
enum { AREA_PAGES = 2100 }; /* over three tables */

struct page { uint32_t address, at, mfn, refs; bool inside, cleared, flushed, put; };
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

/* An area with pages here and there, some frames of which others use, too; one page may not be touched (PROT_NONE). */
static void fill(struct scene *s)
{
	struct guest *g = &s->g;
	uint32_t directory, step = AREA_PAGES / MAPPED;
	s->mm = CALL(g, "mm_create");
	s->start = 0x40000000 + lab1_below(1024) * PAGE;
	directory = page_walk(g->m, g->at.cr3, lab1_mm(g, s->mm).directory).machine;
	CHECK(CALL(g, "mm_map", s->mm, s->start, AREA_PAGES * PAGE, RW, 0, 0, 0) == s->start, "mm_map() fails");
	for (unsigned k = 0; k < MAPPED; k++) {
		struct page *p = &s->page[k];
		uint32_t offset = k >= MIDDLE && k < MIDDLE + 5 ? MIDDLE * step + k - MIDDLE
								: k * step + lab1_below(step - 5); /* five in a row */
		p->address = s->start + offset * PAGE;
		p->inside = k >= 2 && k < MAPPED - 2;
		CHECK(CALL(g, "mm_fault", s->mm, p->address, PF_WRITE) == 0, "mm_fault(%#x) fails", p->address);
		p->mfn = lab1_entry(g, directory, p->address, &p->at) >> 12;
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
	CHECK(p, "frame_put(%#x): no page of the range has this frame (an mfn where a pfn belongs?)", pfn);
	CHECK(p->cleared, "page %#x: frame %#x is given back while its entry is still %#x", p->address, p->mfn,
	      physical_word(s->g.m, p->at));
	CHECK(p->flushed,
	      "page %#x: frame %#x is given back before the TLB was flushed: another task may own it while a stale "
	      "entry still "
	      "shows it here",
	      p->address, p->mfn);
	CHECK(!p->put, "page %#x: frame %#x is given back twice", p->address, p->mfn);
	p->put = true;
}

static void watched_unmap(struct scene *s, uint32_t address, uint32_t bytes)
{
	static const char *const names[] = { "native_mmu_set_pte", "native_mmu_set_ptes", "native_mmu_flush_all",
					     "native_mmu_flush_page", "frame_put" };
	struct guest *g = &s->g;
	lab1_watch(g, names, 5, true);
	lab1_begin(g, symbol("mm_unmap"), ARGUMENTS(s->mm, address, bytes));
	for (uint32_t eip; (eip = lab1_next(g));) {
		unsigned k = 0;
		while (symbol(names[k]) != eip)
			k++;
		CHECK(k > 1 || kernel_word(g->m, "vo_uses") > 0, "entries are changed outside of vo_batch_begin() and "
								 "vo_batch_end()");
		if (k == 2 || k == 3)
			see_flush(s, k == 2, k == 3 ? lab1_argument(g, 0) : 0);
		else if (k == 4)
			see_put(s, lab1_argument(g, 0));
	}
	CHECK(lab1_end(g) == 0, "mm_unmap(%#x, %#x) fails", address, bytes);
	lab1_watch(g, names, 5, false);
}

void lab1_unmap(const struct test *t)
{
	struct scene s = { .g = lab1_start_kernel() };
	struct guest *g = &s.g;
	uint32_t before = lab1_free_frames(g), inside = 0;
	(void)t;
	fill(&s);
	uint32_t first = s.page[2].address, end = s.page[MAPPED - 3].address + PAGE;
	watched_unmap(&s, first, end - first);
	for (struct page *p = s.page; p < s.page + MAPPED; p++) {
		uint32_t pte = physical_word(g->m, p->at);
		inside += p->inside;
		CHECK(!pte == p->inside, "page %#x lies %s what was unmapped, and its entry is %#x", p->address,
		      p->inside ? "in" : "outside of", pte);
		CHECK(p->put == p->inside, "page %#x: its frame %#x was%s given back", p->address, p->mfn,
		      p->put ? "" : " not");
		uint32_t refs = CALL(g, "frame_refs", g->m2p[p->mfn]);
		CHECK(p->refs == 1 || refs == p->refs - p->inside, "page %#x: frame %#x has %u references", p->address,
		      p->mfn, refs);
		if (p->refs > 1)
			CALL(g, "frame_put", g->m2p[p->mfn]);
	}
	CHECK(lab1_mm(g, s.mm).pages == MAPPED - inside, "mm->pages is %u after %u of %u pages were unmapped",
	      lab1_mm(g, s.mm).pages, inside, MAPPED);
	lab1_check_mm(g, s.mm, "after mm_unmap()");
	lab1_check_released(g, "after mm_unmap()");
	CALL(g, "mm_destroy", s.mm);
	CHECK(lab1_free_frames(g) == before, "%d frames are lost by an address space that was filled, unmapped and ended",
	      (int)(before - lab1_free_frames(g)));
}

/* The program programs/stale.c: all its children must end by a page fault, where they touch what they have unmapped. */
void lab1_stale(const struct test *t)
{
	struct guest g = lab1_start(&(struct machine_options){ .p2m = judge_shuffle(3), .mem = 32, .modules = lab1_without_vmm(),
				    .cmdline = "run=stale" }, symbol("task_exit"));
	lab1_learn_p2m(&g);
	for (unsigned child = 0; child < t->number; child++) {
		uint32_t status = lab1_argument(&g, 0);
		CHECK(status == FAULT_STATUS,
		      "program `stale`, child %u: it touched a page behind munmap() and went on (ended with status %#x "
		      "instead "
		      "of %#x, a page fault): the TLB still had the page",
		      child, status, FAULT_STATUS);
		lab1_run_to(&g, symbol("task_exit"));
	}
	CHECK(lab1_argument(&g, 0) == 0, "program `stale` ended with status %#x", lab1_argument(&g, 0));
}
