/* SPDX-License-Identifier: MIT */
/* The allocator's record of each frame; shared by frame.c, kmalloc.c and mm/init.c only. */
#ifndef MM_FRAME_TABLE_H
#define MM_FRAME_TABLE_H

#include "mm/frame.h"

enum frame_kind { FRAME_USED, FRAME_FREE, FRAME_SLAB };

struct frame {
	uint32_t refs;
	pfn_t next, prev; /* free list of its order, or the slab pages of its class with room */
	void *objects;    /* slab: free objects */
	uint16_t in_use;  /* slab: objects given out */
	uint8_t order;    /* free block, or slab class */
	uint8_t kind;
};
extern struct frame *frame_table; /* nr_pfns entries */

struct frame_list { pfn_t first_plus_1; }; /* zero is empty */
void frame_list_add(struct frame_list *l, pfn_t pfn);
void frame_list_remove(struct frame_list *l, pfn_t pfn);

#endif
