/* SPDX-License-Identifier: MIT */
/*
 * Page faults of programs: a page gets its frame at the first access, and a frame of its
 * own at the first write.
 */
#include "fs/vnode.h"
#include "mm/area.h"
#include "proc/lock.h"

/*
 * A private frame for a program. It begins with the first `bytes` bytes of the frame
 * `from`, if that is not NO_FRAME; zeros follow. Result: NO_FRAME if memory is out.
 */
static pfn_t frame_copy(pfn_t from, uint32_t bytes)
{
	pfn_t pfn = frame_alloc_user();
	if (pfn == NO_FRAME)
		return pfn;
	char *to = pfn_to_virt(pfn);
	if (from != NO_FRAME)
		memcpy(to, pfn_to_virt(from), bytes);
	else
		bytes = 0;
	if (bytes < PAGE_SIZE)
		memset(to + bytes, 0, PAGE_SIZE - bytes);
	return pfn;
}

/*
 * The frame for the first access to a page: the block cache's frame of the file if the
 * program may share it, else a private one. *out: the frame, with a reference for the
 * caller. Result: 0, -ENOMEM, or the file's error.
 */
static int first_frame(const struct area *a, uint32_t page, bool write, pfn_t *out)
{
	uint32_t into = page - a->start, bytes = 0; /* of the file, in this page */
	if (into < a->file_bytes)
		bytes = MIN(a->file_bytes - into, (uint32_t)PAGE_SIZE);
	pfn_t cached = NO_FRAME;
	if (bytes) {
		int error = a->vn->ops->page(a->vn, (a->offset + into) >> PAGE_SHIFT, &cached);
		if (error)
			return error;
		if (!write && bytes == PAGE_SIZE) {
			*out = cached;
			return 0;
		}
	}
	*out = frame_copy(cached, bytes);
	if (bytes)
		frame_put(cached);
	return *out == NO_FRAME ? -ENOMEM : 0;
}

/* Store an entry for the page; flush: whether there was an entry before. */
static inline void set_page(pte_t *slot, uint32_t page, pfn_t pfn, int prot, bool flush)
{
	vo_hold();
	pte_t pte = pte_make(pfn, prot);
	if (flush)
		VO(mmu, change_ptes)(slot, &pte, 1, page);
	else
		VO(mmu, set_pte)(slot, pte);
	vo_release();
}

#define AROUND 16u /* pages that one fault makes writable, at most */

/*
 * A write to a page whose entry is not writable: copy its frame if it is shared. Else it is
 * this address space's alone, and so are most pages around it: make all such entries writable.
 */
static int fault_copy(struct mm *mm, const struct area *a, pte_t *slot, uint32_t page)
{
	pfn_t old = pte_pfn(*slot), pfn;
	if (frame_refs(old) == 1) {
		uint32_t first = page & ~(AROUND * PAGE_SIZE - 1);
		protect_pages(mm, MAX(first, a->start), MIN(first + AROUND * PAGE_SIZE, a->end),
			      a->prot);
		return 0;
	}
	pfn = frame_copy(old, PAGE_SIZE);
	if (pfn == NO_FRAME)
		return -ENOMEM;
	set_page(slot, page, pfn, a->prot, true);
	frame_put(old);
	return 0;
}

/*
 * The tables allow this access, but the CPU does not see it: after an attach it runs on the
 * kernel's own directory, and a table is in use only when the VMM has checked it.
 */
static void show_table(struct mm *mm, uint32_t page)
{
	pte_t *pde = &mm->directory[page >> 22];
	vo_hold();
	mfn_t directory = mm_directory(mm);
	if (*pde & PTE_P)
		VO(mmu, load_directory)(directory);
	if (!(*pde & PTE_P))
		VO(mmu, set_pte)(pde, *pde | PTE_P);
	vo_release();
}

int mm_fault(struct mm *mm, uint32_t address, uint32_t error)
{
	uint32_t page = address & PAGE_MASK;
	bool write = error & PF_WRITE;
	const struct area *a = area_find(mm, address);
	pfn_t pfn;
	ASSERT_MAY_SLEEP();
	if (!a || a->prot == PROT_NONE || (write && !(a->prot & PROT_WRITE)))
		return -EFAULT;
	pte_t *slot = slot_make(mm, page);
	if (!slot)
		return -ENOMEM;
	if (*slot && write && !(*slot & PTE_W))
		return fault_copy(mm, a, slot, page);
	if (*slot) {
		show_table(mm, page);
		return 0;
	}
	int failed = first_frame(a, page, write, &pfn);
	if (failed)
		return failed;
	mm->pages++;
	set_page(slot, page, pfn, a->prot, false);
	return 0;
}

void *mm_touch(struct mm *mm, uint32_t address)
{
	const pte_t *slot = slot_of(mm, address);
	if (!(slot && *slot & PTE_W) && mm_fault(mm, address, PF_WRITE))
		return NULL;
	return (char *)pfn_to_virt(pte_pfn(*slot_of(mm, address))) + (address & ~PAGE_MASK);
}
