/* SPDX-License-Identifier: MIT */
/* Frames: the allocator of pseudo-physical memory (a buddy system) and the reference counts that sharing needs. */
#ifndef MM_FRAME_H
#define MM_FRAME_H

#include "layout.h"
#include "mm/p2m.h"

#define MAX_ORDER 10
#define FRAME_LOW_WATER 32 /* user memory stops here: what the kernel needs to go on */

static inline void *pfn_to_virt(pfn_t pfn) { return (void *)(uintptr_t)(KERNEL_BASE + (pfn << PAGE_SHIFT)); }
static inline pfn_t virt_to_pfn(const void *p) { return ((uint32_t)(uintptr_t)p - KERNEL_BASE) >> PAGE_SHIFT; }

/*
 * frame_alloc - 2^order frames with consecutive pfns, not cleared, reference count 1 (kept on the first).
 * Result: the first pfn, or NO_FRAME. frame_alloc_user leaves FRAME_LOW_WATER frames to the kernel.
 * Context: boot or process, not interrupt handlers (so for all of this header).
 */
pfn_t frame_alloc(unsigned order);
pfn_t frame_alloc_user(void);
/* Drop a reference to an order-0 frame; the last one frees it. */
void frame_put(pfn_t pfn);
/* Free what frame_alloc(order) gave. */
void frame_free(pfn_t pfn, unsigned order);
/* One more reference to an order-0 frame. */
void frame_get(pfn_t pfn);
uint32_t frame_refs(pfn_t pfn);
uint32_t frames_free(void);

/* The page-table entries of the direct map, by pfn. The VMM makes those of page tables read-only. */
extern pte_t *direct_map;

/* Called when memory is short: must try to free cached frames, result: how many. One may be set (the block cache). */
extern uint32_t (*frame_shrinker)(uint32_t wanted);

/*
 * kmalloc - memory of at least the given size, 16-byte aligned, not cleared; at most one page. kzalloc clears.
 * Result: NULL if memory is out.
 */
void *kmalloc(size_t bytes);
void *kzalloc(size_t bytes);
void kfree(void *p); /* NULL is allowed */
uint32_t kmalloc_idle(void); /* frames that kmalloc holds without need, out of reach of frame_alloc */

/* Map machine memory [machine, machine + bytes) (any alignment) into the kernel's mappings, for ever; flags: PTE_W, PTE_PCD.
   Result: its address; panics when the 64 MiB are used up. Context: boot. */
void *map_machine(uint32_t machine, uint32_t bytes, uint32_t flags);

int memmap_show(char *buf, size_t size);  /* /proc/memmap: E820 ranges, p2m order, frames total/free, pfn and mfn of the image */
int meminfo_show(char *buf, size_t size); /* /proc/meminfo: "total N", "free N", "cached N" in KiB */

#endif
