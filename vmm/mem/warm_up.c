/* SPDX-License-Identifier: MIT */
/*
 * Taking stock, once at boot: which frames the kernel owns, where each is at home, and how
 * often its own tables map each writable. Its own tables then stay read-only for ever, in both
 * modes.
 */
#include "vmm/mem/give.h"

/* Note a mapping of an interrupt controller: it is taken away while the kernel is attached. */
static void note_controller(struct domain *d, mfn_t table, uint32_t index, pte_t pte)
{
	mfn_t mfn = pte >> PAGE_SHIFT;
	if (mfn != machine.lapic >> PAGE_SHIFT && mfn != machine.ioapic >> PAGE_SHIFT)
		return;
	if (d->nr_masked_mappings < ARRAY_SIZE(d->masked_mappings))
		d->masked_mappings[d->nr_masked_mappings++] =
			(struct masked_mapping){ table, index, pte };
}

/*
 * Note what one present entry of the kernel's upper part says of a frame. page: its number in
 * kernel space, counted from KERNEL_BASE.
 *
 * Exercise 1.7 (labs/01-paging/handout.md, 5.2): given a present entry. Result: if its frame is
 * memory (below machine.nr_mfns), the frame table knows what the entry says: a page of the direct
 * map (below d->nr_pfns) is the frame's home, and makes the frame d's; any writable entry is one
 * writable mapping more. What is noted of the frame already must stay.
 */
static void account_entry(const struct domain *d, uint32_t page, pte_t pte)
{
	mfn_t mfn = pte >> PAGE_SHIFT;
	/* LAB 1 TODO 7 BEGIN */
	if (mfn >= machine.nr_mfns)
		return;
	if (page < d->nr_pfns) {
		frames[mfn].owner = d->id;
		frames[mfn].home |= page << PAGE_SHIFT | (pte & PTE_W ? HOME_W : 0);
	}
	if (pte & PTE_W)
		frames[mfn].home += 1u << BASE_SHIFT;
	/* LAB 1 TODO 7 END */
}

/* Take stock of the kernel's upper part: each present entry of each of its tables. */
static void account_shared(struct cpu *c, struct domain *d)
{
	const pte_t *directory = map(c, d->directory, WINDOW_DIRECTORY);
	memcpy(d->kernel_pdes, directory + KERNEL_SLOT, sizeof(d->kernel_pdes));
	/* The VMM writes to the shared page: it can never become a table. */
	frames[d->shared].home += 1u << BASE_SHIFT;
	for (unsigned slot = 0; slot < VMM_SLOT - KERNEL_SLOT; slot++) {
		bool present = d->kernel_pdes[slot] & PTE_P;
		mfn_t mfn = present ? d->kernel_pdes[slot] >> PAGE_SHIFT : d->directory;
		d->direct_map_tables[slot] = mfn; /* the directory stands for no table */
		const pte_t *table = map(c, mfn, WINDOW_TABLE);
		for (unsigned i = 0; present && i < 1024; i++) {
			if (!(table[i] & PTE_P))
				continue;
			note_controller(d, mfn, i, table[i]);
			account_entry(d, slot * 1024 + i, table[i]);
		}
	}
}

/*
 * Fix a table of the kernel's own: it stays read-only from now on, because the kernel has no
 * more to write there.
 *
 * Exercise 1.8 (labs/01-paging/handout.md, 5.3), with the end of frames_warm_up(): given a frame.
 * Result: it is SHARED with count 0, in every generation (FOR_EVER), and its home is read-only.
 * When frames_warm_up() returns, that holds for each present table of the kernel's slots
 * (KERNEL_SLOT to VMM_SLOT - 1; kernel_pdes goes on with the VMM's own) and for the kernel's
 * directory, and no TLB entry from before is left (one CPU runs; the direct map is global).
 */
static void fix_shared(struct cpu *c, mfn_t mfn)
{
	struct frame_entry *f = &frames[mfn];
	/* LAB 1 TODO 8 BEGIN */
	home_protect(c, f, true);
	f->generation = FOR_EVER;
	f->use = (uint32_t)SHARED << TYPE_SHIFT;
	/* LAB 1 TODO 8 END */
}

/*
 * Which rule an entry of the kernel's upper part breaks, or NULL; page as in account_entry(). The
 * frame table is still empty, and takes notes: `owner` is 1 of a table, `next` of a frame that the
 * direct map has shown.
 */
static const char *entry_breaks(const struct domain *d, uint32_t page, pte_t pte)
{
	mfn_t mfn = pte >> PAGE_SHIFT;
	bool direct = page < d->nr_pfns;
	if (!(pte & PTE_P))
		return NULL;
	if (is_own_block(mfn))
		return "it maps the VMM's memory";
	if (mfn >= machine.nr_mfns)
		return NULL;
	if (direct ? frames[mfn].next++ : frames[mfn].owner && pte & PTE_W)
		return "a frame of the direct map, or a table, is mapped twice";
	return NULL;
}

const char *frames_check_kernel(struct cpu *c, const struct domain *d)
{
	const pte_t *directory = map(c, d->directory, WINDOW_DIRECTORY);
	const char *rule = NULL;
	if (next_entry(directory, 0, USER_ENTRIES) < USER_ENTRIES)
		return "its directory maps user addresses";
	frames[d->directory].owner = 1;
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned slot = KERNEL_SLOT; slot < VMM_SLOT && !rule; slot++) {
			pte_t pde = directory[slot];
			mfn_t mfn = pde >> PAGE_SHIFT;
			if (!(pde & PTE_P))
				continue;
			if (mfn >= machine.nr_mfns || is_own_block(mfn) || pde & PTE_PS)
				return "a slot has no page table of its own";
			frames[mfn].owner = 1;
			const pte_t *table = map(c, mfn, WINDOW_TABLE);
			for (unsigned i = 0; pass && i < 1024 && !rule; i++)
				rule = entry_breaks(d, (slot - KERNEL_SLOT) * 1024 + i, table[i]);
		}
	return rule;
}

void frames_warm_up(struct cpu *c, struct domain *d)
{
	memset(frames, 0, machine.nr_mfns * sizeof(struct frame_entry));
	d->generation = 1;
	d->listed = d->trimmed = END_OF_LIST;
	account_shared(c, d);
	forget_last_tables(d);
	/* LAB 1 TODO 8 BEGIN */
	for (unsigned slot = 0; slot < VMM_SLOT - KERNEL_SLOT; slot++)
		if (d->kernel_pdes[slot] & PTE_P)
			fix_shared(c, d->direct_map_tables[slot]);
	fix_shared(c, d->directory);
	flush_local();
	/* LAB 1 TODO 8 END */
}

void frames_note(const struct domain *d, uint32_t page, pte_t pte) { account_entry(d, page, pte); }

void frames_fix(struct cpu *c, mfn_t mfn) { fix_shared(c, mfn); }
