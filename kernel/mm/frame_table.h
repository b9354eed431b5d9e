/* SPDX-License-Identifier: MIT */
/*
 * The allocators' record of each page frame: for frame.c, kmalloc.c and init.c only. (The VMM's
 * frame table is another one.) The frame allocator's lock guards the record of a free frame; the
 * lock of a slab's class guards the slab's. References are counted by atomic operations.
 */
#ifndef MM_FRAME_TABLE_H
#define MM_FRAME_TABLE_H

#include "mm/frame.h"

enum frame_kind { FRAME_USED, FRAME_FREE, FRAME_SLAB };

struct frame {
	uint32_t refs;
	pfn_t next, prev; /* in the list of its order or slab class */
	void *objects;    /* slab: its free objects */
	uint16_t in_use;  /* slab: objects given out */
	uint8_t order;    /* of a free block; the class of a slab */
	uint8_t kind;     /* enum frame_kind */
};
extern struct frame *frame_table; /* nr_pfns entries */

struct frame_list { pfn_t first_plus_1; }; /* zero is empty */
/* Add a frame to a list, or remove it. With the lock of its record held. */
void frame_list_add(struct frame_list *l, pfn_t pfn);
void frame_list_remove(struct frame_list *l, pfn_t pfn);

#endif
