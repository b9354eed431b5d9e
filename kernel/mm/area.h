/* SPDX-License-Identifier: MIT */
/* Inside of an address space, for vm.c, area.c and pool.c: areas, and pools of cleared page tables. */
#ifndef MM_AREA_H
#define MM_AREA_H

#include "mm/vm.h"

struct area { /* pages [start, end) with the same access and source */
	struct area *next;
	uint32_t start, end;
	int prot;
	struct vnode *vn; /* NULL: zeros */
	uint32_t offset, file_bytes;
};

#define SLOT_WORDS (USER_END >> 27)

struct mm {
	pte_t *directory;
	struct area *areas;              /* by address, not overlapping */
	uint32_t pages;                  /* entries that hold a frame */
	uint32_t slots[SLOT_WORDS];      /* bit per directory entry that has a table */
};

/* A copy with its own reference to the file; NULL if memory is out. */
struct area *area_copy(const struct area *a);
void area_free(struct area *a);
void area_insert(struct mm *mm, struct area *a);
struct area *area_find(const struct mm *mm, uint32_t address);
bool area_overlaps(const struct mm *mm, uint32_t start, uint32_t end);
bool area_covers(const struct mm *mm, uint32_t start, uint32_t end);
/* First free range of so many bytes at or above base; 0 if there is none. */
uint32_t area_gap(const struct mm *mm, uint32_t base, uint32_t bytes);
/* Cut areas so that start and end fall on borders. 0, or -ENOMEM with nothing changed that matters. */
int area_split(struct mm *mm, uint32_t start, uint32_t end);
/* Join neighbours that say the same. */
void area_merge(struct mm *mm);

/* Page tables all zero, and directories with the kernel's upper part, kept ready. take: NO_FRAME if memory is out. */
pfn_t table_take(void);
void table_give(pfn_t pfn);
/* slots: which entries of the directory have a table, an empty one; others are 0. It was all zeros before the call. */
pfn_t directory_take(uint32_t *slots);
/* Keep a directory with its empty tables. Result: whether there was room; else give back tables, then the directory. */
bool directory_keep(pfn_t pfn, const uint32_t *slots);
void directory_give(pfn_t pfn);
uint32_t pools_idle(void); /* frames kept */

#endif
