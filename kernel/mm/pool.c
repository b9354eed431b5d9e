/* SPDX-License-Identifier: MIT */
/*
 * Pools of frames that are ready to be page tables or directories. Whoever gives one back has just emptied it entry by
 * entry, so clearing 4 KiB again for the next process would be waste.
 */
#include "mm/area.h"
#include "proc/lock.h"

#define POOL_FRAMES 32

struct pool {
	struct spinlock lock;
	unsigned n;
	pfn_t frames[POOL_FRAMES];
};
static struct pool tables, directories;

static pfn_t take(struct pool *p)
{
	spin_lock(&p->lock);
	pfn_t pfn = p->n ? p->frames[--p->n] : NO_FRAME;
	spin_unlock(&p->lock);
	return pfn;
}

static void give(struct pool *p, pfn_t pfn)
{
	spin_lock(&p->lock);
	bool kept = p->n < POOL_FRAMES;
	if (kept)
		p->frames[p->n++] = pfn;
	spin_unlock(&p->lock);
	if (!kept) {
		vo_hold();
		VO(mmu, release_table)(pfn_to_mfn(pfn));
		vo_release();
		frame_free(pfn, 0);
	}
}

pfn_t table_take(void)
{
	pfn_t pfn = take(&tables);
	if (pfn == NO_FRAME && (pfn = frame_alloc(0)) != NO_FRAME)
		memset(pfn_to_virt(pfn), 0, PAGE_SIZE);
	return pfn;
}

pfn_t directory_take(void)
{
	const unsigned user = KERNEL_BASE >> 22;
	pfn_t pfn = take(&directories);
	if (pfn == NO_FRAME && (pfn = frame_alloc(0)) != NO_FRAME) {
		pte_t *directory = pfn_to_virt(pfn);
		memset(directory, 0, user * sizeof(pte_t));
		memcpy(directory + user, kernel_directory + user, PAGE_SIZE - user * sizeof(pte_t));
	}
	return pfn;
}

void table_give(pfn_t pfn) { give(&tables, pfn); }

void directory_give(pfn_t pfn) { give(&directories, pfn); }

uint32_t pools_idle(void) { return tables.n + directories.n; }
