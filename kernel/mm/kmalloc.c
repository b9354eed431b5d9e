/* SPDX-License-Identifier: MIT */
/*
 * Small kernel memory. Each size class cuts whole frames, its slabs, into objects of one
 * size. The frame's record names the class and lists the slab's free objects, so that
 * kfree needs the address alone. An empty slab is freed, unless its class would be left
 * without a free object: that slab is kept, and counts as free memory (kmalloc_idle).
 */
#include "mm/frame.h"
#include "mm/frame_table.h"
#include "proc/lock.h"

#define MIN_SHIFT 4 /* 16 bytes */
#define NR_CLASSES (PAGE_SHIFT - MIN_SHIFT + 1)

static struct {
	struct spinlock lock;        /* of the list, and of the records of the class's slabs */
	struct frame_list with_room; /* slabs that have a free object */
} classes[NR_CLASSES];

static uint32_t nr_idle; /* slabs kept although empty; atomic */

uint32_t kmalloc_idle(void) { return nr_idle; }

static unsigned class_of(size_t bytes)
{
	if (bytes <= 1u << MIN_SHIFT)
		return 0;
	return 32 - MIN_SHIFT - (unsigned)__builtin_clz((uint32_t)bytes - 1);
}

/* Make the frame an empty slab. With the class's lock held. */
static void cut(pfn_t pfn, unsigned class)
{
	ASSERT_HELD(&classes[class].lock);
	struct frame *f = &frame_table[pfn];
	char *base = pfn_to_virt(pfn);
	f->kind = FRAME_SLAB;
	f->order = (uint8_t)class;
	f->in_use = 0;
	f->objects = NULL;
	for (uint32_t at = PAGE_SIZE; at > 0;) {
		at -= 1u << (class + MIN_SHIFT);
		*(void **)(base + at) = f->objects;
		f->objects = base + at;
	}
}

void *kmalloc(size_t bytes)
{
	unsigned class = class_of(bytes);
	ASSERT(bytes <= PAGE_SIZE);
	spin_lock(&classes[class].lock);
	if (classes[class].with_room.first_plus_1 == 0) {
		/*
		 * Without the lock: frame_alloc may call the block cache, which calls
		 * kfree.
		 */
		spin_unlock(&classes[class].lock);
		pfn_t pfn = frame_alloc(0);
		if (pfn == NO_FRAME)
			return NULL;
		spin_lock(&classes[class].lock);
		cut(pfn, class);
		__atomic_fetch_add(&nr_idle, 1, __ATOMIC_RELAXED);
		frame_list_add(&classes[class].with_room, pfn);
	}
	pfn_t pfn = classes[class].with_room.first_plus_1 - 1;
	struct frame *f = &frame_table[pfn];
	void **object = f->objects;
	f->objects = *object;
	if (f->in_use++ == 0)
		__atomic_fetch_sub(&nr_idle, 1, __ATOMIC_RELAXED);
	if (f->objects == NULL)
		frame_list_remove(&classes[class].with_room, pfn);
	spin_unlock(&classes[class].lock);
	return object;
}

void *kzalloc(size_t bytes)
{
	void *p = kmalloc(bytes);
	return p ? memset(p, 0, bytes) : NULL;
}

void kfree(void *p)
{
	if (!p)
		return;
	pfn_t pfn = virt_to_pfn(p);
	struct frame *f = &frame_table[pfn];
	if (unlikely(pfn >= nr_pfns || f->kind != FRAME_SLAB))
		panic("kfree(%p): not from kmalloc", p);
	unsigned class = f->order;
	spin_lock(&classes[class].lock);
	if (f->objects == NULL)
		frame_list_add(&classes[class].with_room, pfn);
	*(void **)p = f->objects;
	f->objects = p;
	bool empty = --f->in_use == 0;
	bool only = f->next == NO_FRAME && f->prev == NO_FRAME; /* in the list of its class */
	if (empty && only) {
		__atomic_fetch_add(&nr_idle, 1, __ATOMIC_RELAXED);
	} else if (empty) {
		frame_list_remove(&classes[class].with_room, pfn);
		f->kind = FRAME_USED;
	}
	spin_unlock(&classes[class].lock);
	if (empty && !only)
		frame_free(pfn, 0);
}
