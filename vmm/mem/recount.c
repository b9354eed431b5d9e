/* SPDX-License-Identifier: MIT */
/*
 * Invariant V7: each entry of each table is one that the VMM lets pass; and types and counts
 * equal a recount over everything that refers to a frame, in all domains.
 */
#include "vmm/mem/frames.h"

/* Whether the tables of a domain mean anything: it was born, and no frame of it was taken. */
static bool lives(const struct domain *d)
{
	return d->state >= DOMAIN_PAUSED && d->state <= DOMAIN_DYING;
}

/*
 * Whether a frame was given to a guest that is not born: birth looks for read-only mappings that
 * the giver has kept. Or it is a dead guest's, which comes back, or holds the state of a guest.
 */
static bool is_between(mfn_t mfn)
{
	uint8_t owner = mfn < machine.nr_mfns ? frames[mfn].owner : 0;
	const struct domain *d = owner <= MAX_DOMAINS ? domains[owner] : NULL;
	return owner == VMM_OWNER || (d && !lives(d));
}

/* Whether a frame that d does not own is another domain's, and is not lent to d. */
static bool is_foreign(const struct domain *d, mfn_t mfn)
{
	if (mfn >= machine.nr_mfns || !frames[mfn].owner)
		return false;
	return frame_type(&frames[mfn]) != LENT || frames[mfn].next != d->id;
}

/*
 * Whether a table of this type must not have this entry. The kernel's own also map devices. In a
 * TABLE a writable entry was counted, so its frame's type is valid in this attachment.
 */
static bool entry_breaks(const struct domain *d, enum frame_type type, pte_t pte)
{
	mfn_t mfn = pte >> PAGE_SHIFT;
	if (!owned(d, mfn))
		return !is_between(mfn) &&
		       (type != SHARED || is_own_block(mfn) || is_foreign(d, mfn));
	const struct frame_entry *f = &frames[mfn];
	bool old = f->generation != d->generation && f->generation != FOR_EVER;
	if (type == DIRECTORY)
		return pte & ~(PTE_ALLOWED & ~PTE_G) || old || frame_type(f) != TABLE;
	return pte & ~PTE_ALLOWED ||
	       (pte & PTE_W && (old ? type == TABLE :
				      frame_type(f) != WRITABLE && frame_type(f) != LENT));
}

/*
 * Add to the count of each frame that a table refers to. Result: the number of entries that break
 * a rule; they are printed, and not counted, because they may name any frame. (lock)
 */
static uint32_t count_entries(struct cpu *c, const struct domain *d, mfn_t table,
			      enum frame_type type, uint32_t add)
{
	const pte_t *entries = map(c, table, WINDOW_TABLE);
	uint32_t broken = type == DIRECTORY && !same_upper(d, entries);
	unsigned n = type == DIRECTORY ? USER_ENTRIES : 1024;
	for (unsigned i = 0; (i = next_entry(entries, i, n)) < n; i++)
		if (!(entries[i] & PTE_P)) {
			continue;
		} else if (entry_breaks(d, type, entries[i])) {
			vmm_printk("vmm: entry %u of table %#x: %#x\n", i, table, entries[i]);
			broken++;
		} else if (type == DIRECTORY || (type == TABLE && entries[i] & PTE_W)) {
			frames[entries[i] >> PAGE_SHIFT].use += add;
		}
	return broken;
}

/*
 * For each reference from a typed table, or from a CPU, add to the count of its frame. Result: as
 * count_entries(). (lock)
 */
static uint32_t count_references(struct cpu *c, const struct domain *d, uint32_t add)
{
	uint32_t broken = 0;
	for (mfn_t mfn = d->listed; mfn != END_OF_LIST; mfn = next_listed(mfn))
		if (frame_type(&frames[mfn]) != WRITABLE)
			broken += count_entries(c, d, mfn, frame_type(&frames[mfn]), add);
	for (unsigned slot = 0; slot < VMM_SLOT - KERNEL_SLOT; slot++)
		if (d->direct_map_tables[slot] != d->directory)
			broken += count_entries(c, d, d->direct_map_tables[slot], SHARED, add);
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (cpu_of(d->vcpus[i].cpu)->attached && d->vcpus[i].directory)
			frames[d->vcpus[i].directory].use += add;
	return broken + count_entries(c, d, d->directory, DIRECTORY, add);
}

/*
 * With all references taken off, a WRITABLE frame must have the count of its shared mappings, a
 * table the count 0; and the home must be writable if the type allows it. (lock)
 */
static bool frame_differs(struct cpu *c, mfn_t mfn)
{
	const struct frame_entry *f = &frames[mfn];
	enum frame_type type = frame_type(f);
	uint32_t rest = f->use & COUNT_MASK;
	uint32_t wanted = type == WRITABLE ? f->home >> BASE_SHIFT & BASE_MASK : 0;
	bool writable = *home_of(c, f) & PTE_W, may = type == WRITABLE || type == LENT;
	if (rest == wanted && writable == (may && f->home & HOME_W))
		return false;
	vmm_printk("vmm: frame %#x, type %u: %d references too many, home %s\n", mfn, type,
		   (int)(rest - wanted), writable ? "writable" : "read-only");
	return true;
}

/* count_references() of all domains that live. */
static uint32_t count_all(struct cpu *c, uint32_t add)
{
	uint32_t broken = 0;
	for (unsigned id = 1; id < ARRAY_SIZE(domains); id++)
		if (domains[id] && lives(domains[id]))
			broken += count_references(c, domains[id], add);
	return broken;
}

uint32_t frames_recount(struct cpu *c)
{
	VMM_ASSERT_LOCKED();
	uint32_t differences = count_all(c, -1u);
	for (mfn_t mfn = 0; mfn < machine.nr_mfns; mfn++) {
		const struct frame_entry *f = &frames[mfn];
		const struct domain *d = f->owner < ARRAY_SIZE(domains) ? domains[f->owner] : NULL;
		if (d && lives(d) && (f->generation == d->generation || f->generation == FOR_EVER))
			differences += frame_differs(c, mfn);
	}
	count_all(c, 1);
	return differences;
}

int frames_protect_again(struct cpu *c)
{
	int error = 0;
	freeze_others(c, true);
	frames_protect(c, true);
	for (unsigned i = 0; i < machine.nr_cpus; i++)
		if (!cpu_of(i)->attached)
			error = -EBUSY;
	if (!error && frames_recount(c))
		error = -EPERM;
	if (error)
		frames_protect(c, false);
	freeze_others(c, false);
	return error;
}
