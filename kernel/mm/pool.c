/* SPDX-License-Identifier: MIT */
/*
 * Page tables and directories kept ready for the next process. Tables come back clean:
 * drop_pages() has emptied them entry by entry, so there is no need to clear 4 KiB again. A
 * directory keeps its empty tables, because the next program has its text and its stack
 * where the last program had them.
 */
#include "mm/area.h"
#include "proc/lock.h"

#define TABLES 32
#define DIRECTORIES 8
#define DIRECTORY_TABLES 32 /* at most, in all directories that are kept */

static struct spinlock lock; /* of all that follows */
static pfn_t tables[TABLES];
static struct {
	pfn_t pfn;
	unsigned tables; /* bits that are set in slots */
	uint32_t slots[SLOT_WORDS];
} directories[DIRECTORIES];
static unsigned nr_tables, nr_directories;
static unsigned nr_in_directories; /* sum of their `tables` */

/* Tell the VO that a table or directory becomes plain memory, and free it. */
static void release(pfn_t pfn)
{
	vo_hold();
	VO(mmu, release_table)(pfn_to_mfn(pfn));
	vo_release();
	frame_free(pfn, 0);
}

pfn_t table_take(void)
{
	spin_lock(&lock);
	pfn_t pfn = nr_tables ? tables[--nr_tables] : NO_FRAME;
	spin_unlock(&lock);
	if (pfn == NO_FRAME && (pfn = frame_alloc(0)) != NO_FRAME)
		memset(pfn_to_virt(pfn), 0, PAGE_SIZE);
	return pfn;
}

void table_give(pfn_t pfn)
{
	spin_lock(&lock);
	bool kept = nr_tables < TABLES;
	if (kept)
		tables[nr_tables++] = pfn;
	spin_unlock(&lock);
	if (!kept)
		release(pfn);
}

/* How many tables `slots` names. */
static unsigned count(const uint32_t *slots)
{
	unsigned n = 0;
	for (unsigned i = 0; i < SLOT_WORDS; i++)
		for (uint32_t bits = slots[i]; bits; bits &= bits - 1)
			n++;
	return n;
}

pfn_t directory_take(uint32_t *slots)
{
	pfn_t pfn = NO_FRAME;
	spin_lock(&lock);
	if (nr_directories) {
		pfn = directories[--nr_directories].pfn;
		memcpy(slots, directories[nr_directories].slots, SLOT_WORDS * sizeof(*slots));
		nr_in_directories -= directories[nr_directories].tables;
	}
	spin_unlock(&lock);
	if (pfn == NO_FRAME && (pfn = frame_alloc(0)) != NO_FRAME) {
		pte_t *directory = pfn_to_virt(pfn);
		memset(directory, 0, KERNEL_SLOT * sizeof(pte_t));
		memcpy(directory + KERNEL_SLOT, kernel_directory + KERNEL_SLOT,
		       PAGE_SIZE - KERNEL_SLOT * sizeof(pte_t));
	}
	return pfn;
}

bool directory_keep(pfn_t pfn, const uint32_t *slots)
{
	unsigned n = count(slots);
	spin_lock(&lock);
	bool kept = nr_directories < DIRECTORIES && nr_in_directories + n <= DIRECTORY_TABLES;
	if (kept) {
		directories[nr_directories].pfn = pfn;
		directories[nr_directories].tables = n;
		memcpy(directories[nr_directories++].slots, slots, SLOT_WORDS * sizeof(*slots));
		nr_in_directories += n;
	}
	spin_unlock(&lock);
	return kept;
}

void directory_give(pfn_t pfn) { release(pfn); }

uint32_t pools_idle(void) { return nr_tables + nr_directories + nr_in_directories; }
