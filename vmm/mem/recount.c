/* SPDX-License-Identifier: MIT */
/* Invariant V7: types and counts equal a recount over everything that refers to a frame. */
#include "vmm/mem/frames.h"

/* For each reference from a typed table, or from a CPU, add to the count of its frame. (lock) */
static void count_references(struct cpu *c, uint32_t add)
{
	const struct domain *d = domain_of(c);
	for (mfn_t mfn = d->listed; mfn != END_OF_LIST; mfn = next_listed(mfn)) {
		enum frame_type type = frame_type(&frames[mfn]);
		if (type == WRITABLE)
			continue;
		unsigned n = type == TABLE ? 1024 : USER_ENTRIES;
		pte_t needed = type == TABLE ? PTE_P | PTE_W : PTE_P;
		const pte_t *entries = map(c, mfn, type == TABLE ? WINDOW_TABLE : WINDOW_DIRECTORY);
		for (unsigned i = 0; (i = next_entry(entries, i, n)) < n; i++)
			if ((entries[i] & needed) == needed)
				frames[entries[i] >> PAGE_SHIFT].use += add;
	}
	for (unsigned i = 0; i < machine.nr_cpus; i++)
		if (cpu_of(i)->attached)
			frames[d->vcpus[i].directory].use += add;
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
	bool writable = *home_of(c, f) & PTE_W;
	if (rest == wanted && writable == (type == WRITABLE && f->home & HOME_W))
		return false;
	vmm_printk("vmm: frame %#x, type %u: %d references too many, home %s\n", mfn, type,
		   (int)(rest - wanted), writable ? "writable" : "read-only");
	return true;
}

uint32_t frames_recount(struct cpu *c)
{
	const struct domain *d = domain_of(c);
	uint32_t differences = 0;
	VMM_ASSERT_LOCKED();
	count_references(c, -1u);
	for (mfn_t mfn = 0; mfn < machine.nr_mfns; mfn++)
		if (owned(d, mfn) && frames[mfn].generation == d->generation)
			differences += frame_differs(c, mfn);
	count_references(c, 1);
	return differences;
}
