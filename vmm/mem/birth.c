/* SPDX-License-Identifier: MIT */
/*
 * The birth of a guest: what warm_up.c does for domain 0, for one whose builder may be hostile.
 *
 * The guest's frames have neither home nor type yet (frames_give()). `use` is SHARED of a table and
 * of the directory from the first part on; `generation` tells whether the direct map has shown a
 * frame. No CPU has one of these tables loaded.
 */
#include "vmm/guest.h"
#include "vmm/mem/give.h"

enum { SLOTS = VMM_SLOT - KERNEL_SLOT };

/* Mark a frame of the guest's as a table. Result: whether it could be one. */
static bool mark_table(const struct domain *d, mfn_t mfn)
{
	if (!owned(d, mfn) || frame_type(&frames[mfn]) == SHARED)
		return false;
	frames[mfn].use = (uint32_t)SHARED << TYPE_SHIFT;
	return true;
}

/* The first part: the directory. The VMM's entries are written; tables are marked. */
static const char *birth_directory(struct cpu *c, struct domain *d)
{
	if (!mark_table(d, d->directory))
		return "the directory is not its own";
	pte_t *directory = map(c, d->directory, WINDOW_DIRECTORY);
	if (next_entry(directory, 0, USER_ENTRIES) < USER_ENTRIES)
		return "its directory maps user addresses";
	memcpy(directory + VMM_SLOT, domain0.kernel_pdes + VMM_SLOT - KERNEL_SLOT,
	       (1024 - VMM_SLOT) * sizeof(pte_t));
	memcpy(d->kernel_pdes, directory + KERNEL_SLOT, sizeof(d->kernel_pdes));
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		pte_t pde = d->kernel_pdes[slot];
		d->direct_map_tables[slot] = d->directory;
		if (!pde && slot * 1024 >= d->nr_pfns)
			continue;
		if (pde & ~(PTE_ALLOWED & ~PTE_G) || (pde & (PTE_P | PTE_A)) != (PTE_P | PTE_A) ||
		    !mark_table(d, pde >> PAGE_SHIFT))
			return "a slot has no page table of its own";
		d->direct_map_tables[slot] = pde >> PAGE_SHIFT;
	}
	return NULL;
}

/* Check and note one entry of its kernel tables; page as in frames_note(). */
static const char *birth_entry(const struct domain *d, uint32_t page, pte_t pte)
{
	mfn_t mfn = pte >> PAGE_SHIFT;
	struct frame_entry *f = &frames[mfn];
	bool direct = page < d->nr_pfns;
	if (!(pte & PTE_P))
		return direct ? "its direct map has a hole" : NULL;
	if (pte & ~PTE_ALLOWED)
		return "an entry has a bit that it must not have";
	if (!direct && mfn < machine.nr_mfns && frame_type(f) == LENT && f->next == d->id)
		return NULL;
	if (!owned(d, mfn))
		return "it maps a frame that is not its own";
	if (direct ? f->generation == d->generation : pte & PTE_W && frame_type(f) == SHARED)
		return "a frame of the direct map, or a table, is mapped twice";
	if ((f->home >> BASE_SHIFT & BASE_MASK) >= BASE_MASK - 1)
		return "a frame is mapped too often";
	frames_note(d, page, pte);
	if (pte & PTE_W)
		f->use++;
	if (direct)
		f->generation = d->generation;
	return NULL;
}

static const char *birth_table(struct cpu *c, const struct domain *d, unsigned slot)
{
	const pte_t *table = map(c, d->direct_map_tables[slot], WINDOW_TABLE);
	const char *rule = NULL;
	for (unsigned i = 0; i < 1024 && !rule; i++)
		rule = birth_entry(d, slot * 1024 + i, table[i]);
	return rule;
}

/* Whether a table of the giver's maps a frame of the guest's, or of the VMM's state of guests. */
static bool still_mapped(struct cpu *c, const struct domain *d, mfn_t mfn)
{
	const pte_t *table = map(c, mfn, WINDOW_TABLE);
	for (unsigned i = 0; (i = next_entry(table, i, 1024)) < 1024; i++) {
		mfn_t mapped = table[i] >> PAGE_SHIFT;
		if (table[i] & PTE_P && mapped < machine.nr_mfns &&
		    (owned(d, mapped) || frames[mapped].owner == VMM_OWNER))
			return true;
	}
	return false;
}

/*
 * Look in the giver's tables, some at a time: in the frames with that type, then in its fixed
 * tables beyond its direct map. Those that it makes meanwhile are checked then. Its direct map has
 * one entry for a frame, which giving has taken away. Result: 0, -EAGAIN, -EBUSY.
 */
static int birth_giver(struct cpu *c, struct domain *d)
{
	enum { TABLES = 2, FRAMES = 2048 };
	const struct domain *giver = domain_of(c);
	unsigned tables = 0;
	for (unsigned looked = 0; looked < FRAMES && tables < TABLES; looked++) {
		mfn_t mfn = d->guest->birth_mfn++;
		if (mfn >= machine.nr_mfns) {
			unsigned slot = giver->nr_pfns / 1024 + mfn - machine.nr_mfns;
			if (slot >= SLOTS)
				return 0;
			mfn = giver->direct_map_tables[slot];
			if (mfn == giver->directory)
				continue;
		} else if (!owned(giver, mfn) || frame_type(&frames[mfn]) != TABLE ||
			   frames[mfn].generation != giver->generation) {
			continue;
		}
		tables++;
		if (still_mapped(c, d, mfn))
			return -EBUSY;
	}
	return -EAGAIN;
}

/* The last part: fix the tables. */
static void birth_end(struct cpu *c, struct domain *d)
{
	frames[d->shared].home += 1u << BASE_SHIFT; /* as in account_shared() */
	frames[d->shared].use++;
	for (unsigned slot = 0; slot < VMM_SLOT - KERNEL_SLOT; slot++)
		if (d->direct_map_tables[slot] != d->directory)
			frames_fix(c, d->direct_map_tables[slot]);
	frames_fix(c, d->directory);
	flush_everywhere(c);
}

int frames_birth(struct cpu *c, struct domain *d, const char **rule)
{
	struct guest *g = d->guest;
	int error = -EAGAIN;
	*rule = NULL;
	while (g->birth_slot && g->birth_slot <= SLOTS &&
	       d->direct_map_tables[g->birth_slot - 1] == d->directory)
		g->birth_slot++; /* it has no table */
	if (g->birth_slot == 0) {
		d->generation = 1;
		d->listed = d->trimmed = END_OF_LIST;
		d->nr_pfns = g->owned;
		*rule = birth_directory(c, d);
		g->birth_slot++;
	} else if (g->birth_slot <= SLOTS) {
		*rule = birth_table(c, d, g->birth_slot - 1);
		g->birth_slot++;
	} else if (!owned(d, d->shared) || frame_type(&frames[d->shared]) == SHARED) {
		*rule = "the shared page is not its own";
	} else {
		error = birth_giver(c, d);
		if (error == -EBUSY)
			*rule = "a table of the giver maps a frame of it";
		else if (!error)
			birth_end(c, d);
	}
	return *rule ? -EPERM : error;
}
