/* SPDX-License-Identifier: MIT */
/*
 * Page frames: the allocator of pseudo-physical memory (a buddy system), and the
 * reference counts that sharing needs. Also small memory (kmalloc) and mappings of
 * machine memory.
 *
 * Context of all functions here: boot or process, not interrupt handlers. Each takes its
 * own lock. Allocation may sleep, because frame_shrinker may write blocks to the disk;
 * with preemption off it does not sleep, but finds less memory.
 */
#ifndef MM_FRAME_H
#define MM_FRAME_H

#include "layout.h"
#include "mm/p2m.h"

#define MAX_ORDER 10
#define FRAME_LOW_WATER 32 /* frames that only the kernel may still take */

/* A frame's place in the direct map, and back. */
static inline void *pfn_to_virt(pfn_t pfn)
{
	return (void *)(uintptr_t)(KERNEL_BASE + (pfn << PAGE_SHIFT));
}

static inline pfn_t virt_to_pfn(const void *p)
{
	return ((uint32_t)(uintptr_t)p - KERNEL_BASE) >> PAGE_SHIFT;
}

/*
 * frame_alloc - 2^order frames with consecutive pfns, not cleared. The first one's
 * reference count is 1. Result: the first pfn, or NO_FRAME if memory is out.
 * frame_alloc_user - one frame for a program: the last FRAME_LOW_WATER frames stay the
 * kernel's.
 */
pfn_t frame_alloc(unsigned order);
pfn_t frame_alloc_user(void);
/* Free what frame_alloc(order) gave, whatever its reference count is. */
void frame_free(pfn_t pfn, unsigned order);
/* Take one more reference to a single frame (order 0). Context: any. */
void frame_get(pfn_t pfn);
/* Drop a reference to a single frame. The last one frees the frame. */
void frame_put(pfn_t pfn);
/* References to a frame. Context: any. */
uint32_t frame_refs(pfn_t pfn);
/* Frames that are free. Context: any; the number may be out of date. */
uint32_t frames_free(void);

/*
 * The direct map's page-table entries, by pfn. The VMM makes those of page tables
 * read-only.
 */
extern pte_t *direct_map;

/*
 * Called when memory is short, with no lock of the allocators held: tries to free at least
 * `wanted` cached blocks. Result: how many were freed; blocks below 4 KiB share a frame. Only
 * the block cache sets it.
 */
extern uint32_t (*frame_shrinker)(uint32_t wanted);

/*
 * kmalloc - at least `bytes` bytes of memory, 16-byte aligned, not cleared; at most one
 * page.
 * kzalloc - as kmalloc, but cleared.
 * Result: NULL if memory is out.
 */
void *kmalloc(size_t bytes);
void *kzalloc(size_t bytes);
/* Free what kmalloc or kzalloc gave; NULL is allowed. */
void kfree(void *p);
/*
 * Empty frames that kmalloc keeps for itself. Context: any; the number may be out of
 * date.
 */
uint32_t kmalloc_idle(void);

/*
 * map_machine - map machine memory [machine, machine + bytes) into the kernel's part of
 * every address space. machine, bytes: any alignment; flags: PTE_W, PTE_PCD.
 * Result: its address. Panics when the 64 MiB for such mappings are used up. Context:
 * boot.
 */
void *map_machine(uint32_t machine, uint32_t bytes, uint32_t flags);

/* Undo map_machine() for all that was mapped from `first` on. Context: boot, one CPU. */
void unmap_machine(const void *first);

/*
 * memmap_show - /proc/memmap: the firmware's ranges, the order of p2m, frames in all and
 * free, and the pfns of the image and of the tables made at boot, where pfn == mfn.
 * meminfo_show - /proc/meminfo: "total N", "free N", "cached N", in KiB.
 * Result: length, as snprintf.
 */
int memmap_show(char *buf, size_t size);
int meminfo_show(char *buf, size_t size);

#endif
