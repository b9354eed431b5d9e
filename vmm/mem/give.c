/* SPDX-License-Identifier: MIT */
/*
 * Frames change their owner. A frame is given only while its home is its one writable mapping;
 * read-only ones have no count, so birth looks for them in all tables of the giver
 * (frames_birth()). No frame comes back before it is filled with 0.
 */
#include "vmm/guest.h"
#include "vmm/mem/give.h"

#define HOME_FLAGS (PTE_P | PTE_W | PTE_A | PTE_D | PTE_G)

/* Whether n frames are the domain's, all different, and mapped writable at their homes only. */
static int check_plain(const struct domain *d, const mfn_t *mfns, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!owned(d, mfns[i]))
			return -EPERM;
		const struct frame_entry *f = frame_current(d, mfns[i]);
		if (f->use != ((uint32_t)WRITABLE << TYPE_SHIFT | 1) || !(f->home & HOME_W))
			return -EBUSY;
		for (unsigned other = 0; other < i; other++)
			if (mfns[other] == mfns[i])
				return -EINVAL;
	}
	return 0;
}

/*
 * Frames that were tables once are still in the list: take them off. The search goes on where the
 * last one has ended. Result: 0; -EAGAIN: not all of them are found yet.
 */
static int leave_list(struct domain *d, const mfn_t *mfns, unsigned n)
{
	for (unsigned looked = 0; n && looked < 4000; looked++) {
		mfn_t before = d->trimmed;
		mfn_t at = before == END_OF_LIST ? d->listed : next_listed(before);
		if (!frames[mfns[n - 1]].next)
			n--;
		else if (at == mfns[n - 1])
			unlist(d, before, &frames[at]);
		else
			d->trimmed = at; /* after the last one: the first */
	}
	if (n)
		return -EAGAIN;
	d->trimmed = END_OF_LIST; /* HC_TRIM begins again */
	return 0;
}

int frames_give(struct cpu *c, uint8_t owner, const mfn_t *mfns, unsigned n)
{
	struct domain *d = domain_of(c);
	int error = check_plain(d, mfns, n);
	if (error || (error = leave_list(d, mfns, n)))
		return error;
	for (unsigned i = 0; i < n; i++) {
		struct frame_entry *f = &frames[mfns[i]];
		*home_of(c, f) = 0;
		*f = (struct frame_entry){ .owner = owner };
	}
	flush_everywhere(c);
	return 0;
}

int frames_lend(struct cpu *c, struct domain *d, const mfn_t *mfns, unsigned n)
{
	struct guest *g = d->guest;
	int error = check_plain(domain_of(c), mfns, n);
	if (!error && g->nr_loans + n > GUEST_LOANS)
		error = -ENOSPC;
	if (!error)
		error = leave_list(domain_of(c), mfns, n);
	for (unsigned i = 0; i < n && !error; i++) {
		struct frame_entry *f = &frames[mfns[i]];
		f->use = (uint32_t)LENT << TYPE_SHIFT;
		f->generation = FOR_EVER;
		f->next = d->id;
		g->loans[g->nr_loans++] = mfns[i];
	}
	return error;
}

void frames_end_loans(struct domain *d)
{
	struct guest *g = d->guest;
	while (g->nr_loans) {
		struct frame_entry *f = &frames[g->loans[--g->nr_loans]];
		f->use = (uint32_t)WRITABLE << TYPE_SHIFT | 1;
		f->generation = domains[f->owner]->generation;
		f->next = 0;
	}
}

/* The entry of the direct map for a page of this CPU's domain. */
static pte_t *direct_entry(struct cpu *c, uint32_t pfn)
{
	mfn_t table = domain_of(c)->direct_map_tables[pfn / 1024];
	return (pte_t *)map(c, table, WINDOW_HOME) + pfn % 1024;
}

int frames_take(struct cpu *c, uint8_t owner, const mfn_t *mfns, const uint32_t *pfns, unsigned n)
{
	const struct domain *d = domain_of(c);
	for (unsigned i = 0; i < n; i++) {
		if (mfns[i] >= machine.nr_mfns || frames[mfns[i]].owner != owner)
			return -EPERM;
		if (pfns[i] >= d->nr_pfns || *direct_entry(c, pfns[i]))
			return -EINVAL;
		for (unsigned other = 0; other < i; other++)
			if (mfns[other] == mfns[i] || pfns[other] == pfns[i])
				return -EINVAL;
	}
	for (unsigned i = 0; i < n; i++) {
		memset(map(c, mfns[i], WINDOW_TABLE), 0, PAGE_SIZE);
		*direct_entry(c, pfns[i]) = mfns[i] << PAGE_SHIFT | HOME_FLAGS;
		frames[mfns[i]] = (struct frame_entry){
			.home = pfns[i] << PAGE_SHIFT | 1u << BASE_SHIFT | HOME_W,
			.generation = d->generation,
			.use = (uint32_t)WRITABLE << TYPE_SHIFT | 1,
			.owner = d->id,
		};
	}
	return 0;
}
