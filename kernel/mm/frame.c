/* SPDX-License-Identifier: MIT */
/*
 * The frame allocator: a buddy system over pfns. Most calls want a single frame, or a pair
 * for a task's stack. Such blocks are kept in two small stacks in front of the buddy system,
 * so that most calls neither split nor join blocks.
 */
#include "mm/frame.h"
#include "mm/frame_table.h"
#include "proc/lock.h"

#define HOT_ORDERS 2   /* orders that have a small stack */
#define HOT_BLOCKS 64u /* frames in each, at most */

struct frame *frame_table;
uint32_t (*frame_shrinker)(uint32_t wanted);

static struct spinlock lock; /* of all that follows, and of free frames' records */
static struct frame_list free_blocks[MAX_ORDER + 1];
static uint32_t nr_free;
static struct { pfn_t blocks[HOT_BLOCKS]; unsigned n; } hot[HOT_ORDERS];

void frame_list_add(struct frame_list *l, pfn_t pfn)
{
	struct frame *f = &frame_table[pfn];
	f->prev = NO_FRAME;
	f->next = l->first_plus_1 - 1; /* NO_FRAME if empty */
	if (f->next != NO_FRAME)
		frame_table[f->next].prev = pfn;
	l->first_plus_1 = pfn + 1;
}

void frame_list_remove(struct frame_list *l, pfn_t pfn)
{
	struct frame *f = &frame_table[pfn];
	if (f->next != NO_FRAME)
		frame_table[f->next].prev = f->prev;
	if (f->prev != NO_FRAME)
		frame_table[f->prev].next = f->next;
	else
		l->first_plus_1 = f->next + 1;
}

static void block_add(pfn_t pfn, unsigned order)
{
	ASSERT_HELD(&lock);
	frame_table[pfn].kind = FRAME_FREE;
	frame_table[pfn].order = (uint8_t)order;
	frame_list_add(&free_blocks[order], pfn);
}

static void block_remove(pfn_t pfn)
{
	ASSERT_HELD(&lock);
	frame_list_remove(&free_blocks[frame_table[pfn].order], pfn);
	frame_table[pfn].kind = FRAME_USED;
}

/* Free a block. As long as its buddy is free, too, join them. With the lock held. */
static void block_free(pfn_t pfn, unsigned order)
{
	for (; order < MAX_ORDER; order++) {
		pfn_t buddy = pfn ^ (1u << order);
		if (buddy >= nr_pfns || frame_table[buddy].kind != FRAME_FREE ||
		    frame_table[buddy].order != order)
			break;
		block_remove(buddy);
		pfn &= ~(1u << order);
	}
	block_add(pfn, order);
}

/* Take the first block of the smallest order that has one. With the lock held. */
static pfn_t block_alloc(unsigned order)
{
	for (unsigned o = order; o <= MAX_ORDER; o++) {
		if (free_blocks[o].first_plus_1 == 0)
			continue;
		pfn_t pfn = free_blocks[o].first_plus_1 - 1;
		block_remove(pfn);
		while (o-- > order) /* free the upper halves */
			block_add(pfn + (1u << o), o);
		return pfn;
	}
	return NO_FRAME;
}

/* Give all blocks of the small stacks back to the buddy system. With the lock held. */
static void hot_drain(void)
{
	for (unsigned order = 0; order < HOT_ORDERS; order++)
		while (hot[order].n)
			block_free(hot[order].blocks[--hot[order].n], order);
}

static pfn_t take(unsigned order)
{
	pfn_t pfn;
	spin_lock(&lock);
	if (order < HOT_ORDERS && hot[order].n) {
		pfn = hot[order].blocks[--hot[order].n];
	} else {
		pfn = block_alloc(order);
		if (unlikely(pfn == NO_FRAME && hot[0].n + hot[1].n)) {
			hot_drain();
			pfn = block_alloc(order);
		}
	}
	if (likely(pfn != NO_FRAME)) {
		nr_free -= 1u << order;
		frame_table[pfn].refs = 1;
	}
	spin_unlock(&lock);
	return pfn;
}

pfn_t frame_alloc(unsigned order)
{
	pfn_t pfn = take(order);
	if (unlikely(pfn == NO_FRAME) && frame_shrinker && frame_shrinker(1u << order))
		pfn = take(order);
	return pfn;
}

pfn_t frame_alloc_user(void)
{
	bool low = nr_free <= FRAME_LOW_WATER;
	if (unlikely(low) && frame_shrinker && frame_shrinker(FRAME_LOW_WATER))
		low = nr_free <= FRAME_LOW_WATER;
	if (unlikely(low))
		return NO_FRAME;
	return take(0);
}

void frame_free(pfn_t pfn, unsigned order)
{
	spin_lock(&lock);
	frame_table[pfn].refs = 0;
	nr_free += 1u << order;
	if (order < HOT_ORDERS && hot[order].n < HOT_BLOCKS >> order)
		hot[order].blocks[hot[order].n++] = pfn;
	else
		block_free(pfn, order);
	spin_unlock(&lock);
}

void frame_put(pfn_t pfn)
{
	uint32_t refs = __atomic_sub_fetch(&frame_table[pfn].refs, 1, __ATOMIC_ACQ_REL);
	if (refs == 0)
		frame_free(pfn, 0);
	else if (unlikely(refs == 0xFFFFFFFF))
		panic("frame %#x was freed twice", pfn);
}

void frame_get(pfn_t pfn)
{
	__atomic_fetch_add(&frame_table[pfn].refs, 1, __ATOMIC_RELAXED);
}

uint32_t frame_refs(pfn_t pfn)
{
	return __atomic_load_n(&frame_table[pfn].refs, __ATOMIC_ACQUIRE);
}

uint32_t frames_free(void) { return nr_free; }
