/* SPDX-License-Identifier: MIT */
/*
 * The inside of an address space, shared by the files of this folder: its areas (area.c),
 * its page tables (vm.c), and the pools of empty page tables (pool.c). An address space
 * is used by one task only, so its areas and tables need no lock: unless a comment says
 * otherwise, a function here is called by that task, in process context, or for an
 * address space that no CPU has loaded.
 */
#ifndef MM_AREA_H
#define MM_AREA_H

#include "mm/vm.h"

/* The pages [start, end), which have the same access and the same source. */
struct area {
	struct area *next;
	uint32_t start, end;         /* page aligned */
	int prot;                    /* PROT_ */
	struct vnode *vn;            /* the file, or NULL: zeros */
	uint32_t offset, file_bytes; /* part of the file; zeros follow it */
};

#define SLOT_WORDS (USER_END >> 27) /* of 32 bits, one for each user directory entry */

struct mm {
	pte_t *directory;
	struct area *areas;         /* by address, without overlap */
	uint32_t pages;             /* entries that hold a frame */
	uint32_t slots[SLOT_WORDS]; /* a bit for each directory entry that has a table */
};

/* --- area.c --- */
/* A copy, with a reference of its own to the file. Result: NULL if memory is out. */
struct area *area_copy(const struct area *a);
void area_free(struct area *a);
/* The area that holds `address`, or NULL. */
struct area *area_find(const struct mm *mm, uint32_t address);

/* --- vm.c --- */
/* The pfn of the frame that an entry holds. */
static inline pfn_t pte_pfn(pte_t pte) { return mfn_to_pfn(pte >> PAGE_SHIFT); }
/*
 * The entry for a frame with an access, PROT_. It is writable only if the frame has one
 * reference. The entry holds an mfn, so the VO must be held until the entry is stored.
 */
static inline pte_t pte_make(pfn_t pfn, int prot)
{
	pte_t pte = pfn_to_mfn(pfn) << PAGE_SHIFT | PTE_U | PTE_A;
	if (prot & (PROT_READ | PROT_WRITE | PROT_EXEC))
		pte |= PTE_P;
	if ((prot & PROT_WRITE) && frame_refs(pfn) == 1)
		pte |= PTE_W | PTE_D;
	return pte;
}

/*
 * slot_of, slot_make - the entry for an address, at its place in the direct map. If there
 * is no page table for it, slot_of's result is NULL, and slot_make adds one. slot_make:
 * NULL if memory is out.
 */
pte_t *slot_of(const struct mm *mm, uint32_t address);
pte_t *slot_make(struct mm *mm, uint32_t address);
/*
 * Drop the frames of [start, end). loaded: whether a CPU has the directory loaded, so
 * that its TLB may hold these pages. The areas stay.
 */
void drop_pages(struct mm *mm, uint32_t start, uint32_t end, bool loaded);
/*
 * Give back the tables that map addresses of [start, end) and no others. They are empty; the
 * directory is loaded.
 */
void drop_tables(struct mm *mm, uint32_t start, uint32_t end);
/*
 * Give the frames of [start, end) a new access. A page that gets its frame later takes the
 * access of its area.
 */
void protect_pages(struct mm *mm, uint32_t start, uint32_t end, int prot);

/* --- pool.c. Each takes the pools' lock. Context: process, no spin lock held --- */
/*
 * table_take, table_give - take a page table that is all zeros, and give it back when it
 * is all zeros again and no directory refers to it.
 * Result: the table, or NO_FRAME if memory is out.
 */
pfn_t table_take(void);
void table_give(pfn_t pfn);
/*
 * directory_take - a page directory with the kernel's upper part. Its user entries are 0,
 * or refer to an empty table; for each of the latter a bit in `slots` is set, which was
 * all zeros before the call. Result: NO_FRAME if memory is out.
 */
pfn_t directory_take(uint32_t *slots);
/*
 * directory_keep - give a directory back together with its empty tables, which `slots`
 * names.
 * Result: false if the pool has no room. Then the caller gives back the tables, and after
 * them the directory with directory_give().
 */
bool directory_keep(pfn_t pfn, const uint32_t *slots);
void directory_give(pfn_t pfn);
/* Frames in the pools. Context: any; the number may be out of date. */
uint32_t pools_idle(void);

#endif
