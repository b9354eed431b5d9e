/* SPDX-License-Identifier: MIT */
/* Homes of frames, and the list of those that have a type: what attach and detach walk. */
#include "vmm/mem/frames.h"

struct frame_entry *frames;

pte_t *home_of(struct cpu *c, const struct frame_entry *f)
{
	uint32_t pfn = f->home >> PAGE_SHIFT;
	mfn_t table = domains[f->owner]->direct_map_tables[pfn / 1024];
	return (pte_t *)map(c, table, WINDOW_HOME) + pfn % 1024;
}

/*
 * Make a frame's home read-only, or writable again.
 *
 * Exercise 1.6 (labs/01-paging/handout.md, 5.1): given a frame's entry. Result: its home
 * (home_of) is read-only if protect, else writable. A home that was read-only when warm-up took
 * stock (without HOME_W: the kernel's text) must stay as it is, and so must all other bits.
 */
KEPT void home_protect(struct cpu *c, const struct frame_entry *f, bool protect)
{
	/* LAB 1 TODO 6 BEGIN */
	if (!(f->home & HOME_W))
		return;
	pte_t *home = home_of(c, f);
	*home = protect ? *home & ~(pte_t)PTE_W : *home | PTE_W;
	/* LAB 1 TODO 6 END */
}

void enlist(struct domain *d, mfn_t mfn)
{
	struct frame_entry *f = &frames[mfn];
	if (f->next) /* it was released, and has a type again: it is still in the list */
		return;
	f->next = d->listed == END_OF_LIST ? END_OF_LIST : d->listed + 1;
	d->listed = mfn;
	d->nr_listed++;
}

void unlist(struct domain *d, mfn_t before, struct frame_entry *f)
{
	if (before != END_OF_LIST)
		frames[before].next = f->next;
	else
		d->listed = next_listed((mfn_t)(f - frames));
	f->next = 0;
	d->nr_listed--;
}

void forget_last_tables(struct domain *d)
{
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		d->vcpus[i].last_table = NO_TABLE, d->vcpus[i].fresh_for = 0;
}

/*
 * The numbers are used up: begin again at 1. No entry may keep a number that will come again, so
 * all get 0, which is no generation's.
 */
static void restart_generations(struct domain *d)
{
	for (mfn_t mfn = 0; mfn < machine.nr_mfns; mfn++)
		if (owned(d, mfn) && frames[mfn].generation != FOR_EVER)
			frames[mfn].generation = 0;
	d->generation = 1;
}

void frames_forget(struct domain *d)
{
	if (++d->generation == FOR_EVER)
		restart_generations(d);
	forget_last_tables(d);
	d->listed = d->trimmed = END_OF_LIST;
	d->trimmed_once = false;
	d->nr_listed = 0;
	frames[d->directory].use = (uint32_t)SHARED << TYPE_SHIFT; /* its count begins again */
}

/*
 * Make the homes of all tables read-only, or writable again; unmap the interrupt controllers, or
 * map them.
 *
 * Exercise 1.12 (labs/01-paging/handout.md, 6.4): given the domain's list (d->listed,
 * next_listed()). Result: whatever has a type on it has a read-only home if protect, else a home
 * as before. No other home must change: some of the list is WRITABLE again.
 */
void frames_protect(struct cpu *c, bool protect)
{
	struct domain *d = domain_of(c);
	/* LAB 1 TODO 12 BEGIN */
	for (mfn_t mfn = d->listed; mfn != END_OF_LIST; mfn = next_listed(mfn))
		if (frame_type(&frames[mfn]) != WRITABLE)
			home_protect(c, &frames[mfn], protect);
	/* LAB 1 TODO 12 END */
	for (unsigned i = 0; i < d->nr_masked_mappings; i++) {
		const struct masked_mapping *m = &d->masked_mappings[i];
		((pte_t *)map(c, m->table, WINDOW_HOME))[m->index] = protect ? 0 : m->pte;
	}
	if (protect && c->attached) /* a detach that failed; at attach cpu_install() flushes */
		flush_everywhere(c);
	if (protect)
		devices_quiet();
	d->served = protect;
}

bool frame_is_protected(struct cpu *c, uint32_t address)
{
	const struct domain *d = domain_of(c);
	if (!kernel_range(address, 1))
		return false;
	mfn_t table = d->direct_map_tables[(address >> 22) - KERNEL_SLOT];
	pte_t pte = ((pte_t *)map(c, table, WINDOW_HOME))[address >> PAGE_SHIFT & 1023];
	if (!(pte & PTE_P) || !owned(d, pte >> PAGE_SHIFT))
		return false;
	/* Not frame_current(), which writes and needs the lock. */
	const struct frame_entry *f = &frames[pte >> PAGE_SHIFT];
	bool current = f->generation == d->generation || f->generation == FOR_EVER;
	return current && frame_type(f) != WRITABLE;
}
