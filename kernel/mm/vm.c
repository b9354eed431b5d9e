/* SPDX-License-Identifier: MIT */
/*
 * The page tables of programs. Areas say what may be where; the page tables say what is
 * there. An entry is 0, or it holds a frame to which this address space has a reference;
 * under PROT_NONE it holds the frame with PTE_P clear. An entry is writable only if its
 * reference is the frame's only one: sharing (after fork, or with the block cache) ends
 * with a copy at the first write.
 */
#include "mm/area.h"
#include "proc/task.h"

#define TABLE_BYTES (1024 * PAGE_SIZE) /* what one table maps */
#define CHUNK 64u /* the most entries that one call changes */
#define PTE_USER (PTE_P | PTE_U | PTE_A)

/*
 * The page table for an address, at its place in the direct map. Result: NULL if the
 * directory entry is 0.
 *
 * Exercise 1.3 (labs/01-paging/handout.md, 4.1): given mm and an address of a program.
 * Result: the address of the first entry of the table that the directory entry refers to,
 * or NULL. Nothing must change.
 */
static pte_t *table_of(const struct mm *mm, uint32_t address)
{
	/* LAB 1 TODO 3 BEGIN */
	pte_t pde = mm->directory[address >> 22];
	return pde ? pfn_to_virt(pte_pfn(pde)) : NULL;
	/* LAB 1 TODO 3 END */
}

KEPT pte_t *slot_of(const struct mm *mm, uint32_t address)
{
	pte_t *table = table_of(mm, address);
	return table ? &table[address >> PAGE_SHIFT & 1023] : NULL;
}

/*
 * The entry for an address. If there is no table for it yet, the pool gives one
 * (table_take(), all zeros).
 *
 * Exercise 1.4 (labs/01-paging/handout.md, 4.2): given mm and an address of a program.
 * Result: the address of its entry, in a table that is in the directory and in mm->slots and
 * through which a program may do all that an entry allows. NULL if memory is out; then
 * nothing has changed. Only the VO may store into a directory, and the mode must not change
 * between a translation and the store of its result.
 */
pte_t *slot_make(struct mm *mm, uint32_t address)
{
	/* LAB 1 TODO 4 BEGIN */
	unsigned i = address >> 22;
	if (!mm->directory[i]) {
		pfn_t pfn = table_take();
		if (pfn == NO_FRAME)
			return NULL;
		vo_hold();
		VO(mmu, set_pte)(&mm->directory[i],
				 pfn_to_mfn(pfn) << PAGE_SHIFT | PTE_USER | PTE_W);
		vo_release();
		mm->slots[i / 32] |= 1u << (i % 32);
	}
	return slot_of(mm, address);
	/* LAB 1 TODO 4 END */
}

struct mm *mm_create(void)
{
	struct mm *mm = kzalloc(sizeof(*mm));
	pfn_t pfn = mm ? directory_take(mm->slots) : NO_FRAME;
	if (pfn == NO_FRAME) {
		kfree(mm);
		return NULL;
	}
	mm->directory = pfn_to_virt(pfn);
	return mm;
}

pte_t *mm_entries(const struct mm *mm) { return mm ? mm->directory : kernel_directory; }

mfn_t mm_directory(const struct mm *mm) { return pfn_to_mfn(virt_to_pfn(mm_entries(mm))); }

uint32_t mm_pages(const struct mm *mm) { return mm->pages; }

/* How many entries of [address, end) lie in the first entry's table. */
static unsigned in_table(uint32_t address, uint32_t end)
{
	uint32_t to_border = 1024 - (address >> PAGE_SHIFT & 1023);
	return MIN(to_border, (end - address) >> PAGE_SHIFT);
}

/* As in_table(), but at most CHUNK. */
static unsigned chunk(uint32_t address, uint32_t end) { return MIN(in_table(address, end), CHUNK); }

/* Share n pages of one table with a child: both have them read-only afterwards. */
static void fork_chunk(struct mm *child, pte_t *from, pte_t *to, unsigned n)
{
	while (n && !from[n - 1])
		n--;
	for (; n && !*from; n--)
		from++, to++;
	if (!n)
		return;
	vo_hold();
	for (unsigned i = 0; i < n; i++)
		if (from[i]) {
			frame_get(pte_pfn(from[i]));
			child->pages++;
		}
	VO(mmu, share_ptes)(from, to, n);
	vo_release();
}

/*
 * The end of the areas that follow *a without a gap, as those of a program's file do. *a
 * becomes the area after the gap.
 */
static uint32_t run_end(const struct area **a)
{
	uint32_t end = (*a)->end;
	while ((*a = (*a)->next) && (*a)->start == end)
		end = (*a)->end;
	return end;
}

/* Share the pages [at, end) with a child. Result: false if memory is out. */
static bool fork_pages(struct mm *child, const struct mm *from, uint32_t at, uint32_t end)
{
	for (uint32_t n; at < end; at += n << PAGE_SHIFT) {
		pte_t *source = slot_of(from, at), *to;
		n = in_table(at, end);
		if (!source)
			continue;
		to = slot_make(child, at);
		if (!to)
			return false;
		fork_chunk(child, source, to, n);
	}
	return true;
}

struct mm *mm_fork(struct mm *from)
{
	struct mm *mm = mm_create();
	struct area **end = mm ? &mm->areas : NULL;
	bool ok = mm;
	for (const struct area *a = from->areas; ok && a; a = a->next) {
		struct area *copy = area_copy(a);
		ok = copy;
		if (!ok)
			break;
		copy->next = NULL;
		*end = copy;
		end = &copy->next;
	}
	for (const struct area *a = from->areas; ok && a;) {
		uint32_t start = a->start;
		ok = fork_pages(mm, from, start, run_end(&a));
	}
	VO(mmu, flush_all)(); /* writable TLB entries of what is shared now */
	if (mm && !ok) {
		mm_destroy(mm);
		mm = NULL;
	}
	return mm;
}

/*
 * Unmap all pages of [start, end), a chunk of one table at a time. References are dropped last:
 * after that a frame may belong to another user.
 */
void drop_pages(struct mm *mm, uint32_t start, uint32_t end, bool loaded)
{
	static const pte_t zeros[CHUNK];
	for (uint32_t at = start, n; at < end; at += n << PAGE_SHIFT) {
		pfn_t frames[CHUNK];
		unsigned nr = 0;
		pte_t *slot = slot_of(mm, at);
		n = slot ? chunk(at, end) : in_table(at, end);
		if (!slot)
			continue;
		unsigned first = 0, stop = n;
		while (stop && !slot[stop - 1])
			stop--;
		if (!stop)
			continue;
		while (!slot[first])
			first++;
		/*
		 * Exercise 1.5 (labs/01-paging/handout.md, 4.3): given the entries from
		 * slot[first] to slot[stop - 1]. Some of them are 0; each other entry holds a
		 * frame, present or not (PROT_NONE). Result: all these entries are 0, mm has
		 * given back its reference to each of the frames (frame_put), and mm->pages is
		 * right. At frame_put() a frame may get another user at once: by then no entry and,
		 * if loaded, no TLB entry must lead to it. Only the VO stores. Stores and flush
		 * happen on one CPU and in one mode: in one hold (vo_hold, vo_release).
		 */
		/* LAB 1 TODO 5 BEGIN */
		vo_hold();
		for (unsigned i = first; i < stop; i++)
			if (slot[i])
				frames[nr++] = pte_pfn(slot[i]);
		VO(mmu, set_ptes)(slot + first, zeros, stop - first);
		if (loaded)
			VO(mmu, flush_all)();
		vo_release();
		mm->pages -= nr;
		while (nr)
			frame_put(frames[--nr]);
		/* LAB 1 TODO 5 END */
	}
}

/* Take an empty table out of the directory, and give it to the pool. loaded: as drop_pages(). */
static void drop_table(struct mm *mm, unsigned i, bool loaded)
{
	pfn_t table = pte_pfn(mm->directory[i]);
	vo_hold();
	VO(mmu, set_pte)(&mm->directory[i], 0);
	if (loaded)
		VO(mmu, flush_all)();
	vo_release();
	mm->slots[i / 32] &= ~(1u << (i % 32));
	table_give(table);
}

void drop_tables(struct mm *mm, uint32_t start, uint32_t end)
{
	for (unsigned i = DIV_UP(start, TABLE_BYTES); i < end / TABLE_BYTES; i++)
		if (mm->directory[i])
			drop_table(mm, i, true);
}

/*
 * Empty the directory and its tables, which no CPU has loaded, and give them to the pools.
 * The areas must still be there: they say where pages may be.
 */
static void destroy_tables(struct mm *mm)
{
	for (const struct area *a = mm->areas; a;) {
		uint32_t start = a->start;
		drop_pages(mm, start, run_end(&a), false);
	}
	if (directory_keep(virt_to_pfn(mm->directory), mm->slots))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(mm->slots); i++)
		while (mm->slots[i])
			drop_table(mm, i * 32 + (unsigned)__builtin_ctz(mm->slots[i]), false);
	directory_give(virt_to_pfn(mm->directory));
}

void mm_destroy(struct mm *mm)
{
	destroy_tables(mm);
	for (struct area *a = mm->areas, *next; a; a = next) {
		next = a->next;
		area_free(a);
	}
	kfree(mm);
}

void protect_pages(struct mm *mm, uint32_t start, uint32_t end, int prot)
{
	for (uint32_t at = start, n; at < end; at += n << PAGE_SHIFT) {
		pte_t *slot = slot_of(mm, at), values[CHUNK];
		n = chunk(at, end);
		uint32_t flush = n == 1 ? at : FLUSH_ALL;
		if (!slot)
			continue;
		vo_hold();
		for (unsigned i = 0; i < n; i++)
			values[i] = slot[i] ? pte_make(pte_pfn(slot[i]), prot) : 0;
		VO(mmu, change_ptes)(slot, values, n, flush);
		vo_release();
	}
}
