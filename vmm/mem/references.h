/* SPDX-License-Identifier: MIT */
/*
 * The reference that an entry of a page table makes to a frame. The functions are inline,
 * because every update of an entry passes here.
 */
#ifndef VMM_REFERENCES_H
#define VMM_REFERENCES_H

#include "vmm/mem/frames.h"

/*
 * Check whether a page table of this domain may hold an entry, and count its reference. (lock)
 *
 * Exercise 1.9 (labs/01-paging/handout.md, 6.1): given an entry. Result: 0 for an entry that is
 * not present, whatever else it holds. Otherwise, in this order: -EPERM if the domain does not
 * own the frame; -EINVAL if a bit is set that is not in PTE_ALLOWED; -EBUSY if the entry is
 * writable and the frame's type is not WRITABLE; else 0. A writable entry that passes adds one
 * to the count of its frame, whose entry must be brought up first (frame_current). An error
 * must not change anything.
 */
static inline int pte_get(const struct domain *d, pte_t pte)
{
	/* LAB 1 TODO 9 BEGIN */
	if (!(pte & PTE_P))
		return 0;
	if (!owned(d, pte >> PAGE_SHIFT))
		return -EPERM;
	if (pte & ~PTE_ALLOWED)
		return -EINVAL;
	if (pte & PTE_W) {
		struct frame_entry *f = frame_current(d, pte >> PAGE_SHIFT);
		if (frame_type(f) != WRITABLE)
			return -EBUSY;
		f->use++;
	}
	return 0;
	/* LAB 1 TODO 9 END */
}

/* Take back the reference of an entry that pte_get() let pass. (lock) */
static inline void pte_put(pte_t pte)
{
	if ((pte & (PTE_P | PTE_W)) == (PTE_P | PTE_W))
		frames[pte >> PAGE_SHIFT].use--;
}

#endif
