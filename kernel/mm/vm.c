/* SPDX-License-Identifier: MIT */
/*
 * User address spaces: a page directory and a sorted list of areas, which say what may be where; the page tables say
 * what is there. An entry is 0, or holds a frame that this address space has a reference to; with PROT_NONE the frame
 * stays while PTE_P is clear. A page is writable only if this is the frame's only reference: all sharing (fork, the
 * block cache) is undone by copying on the first write.
 */
#include "fs/vnode.h"
#include "mm/area.h"
#include "proc/task.h"

#define CHUNK 64u /* entries changed in one batch */
#define MMAP_BASE 0x40000000
#define PTE_USER (PTE_P | PTE_U | PTE_A)

static pfn_t pte_pfn(pte_t pte) { return mfn_to_pfn(pte >> PAGE_SHIFT); }

/* The page table for an address, where the direct map shows it; NULL if its directory entry is 0. Handout, 4.1. */
static pte_t *table_of(const struct mm *mm, uint32_t address)
{
	/* LAB 1 TODO 3 BEGIN */
	pte_t pde = mm->directory[address >> 22];
	return pde ? pfn_to_virt(pte_pfn(pde)) : NULL;
	/* LAB 1 TODO 3 END */
}

static pte_t *slot_of(const struct mm *mm, uint32_t address)
{
	pte_t *table = table_of(mm, address);
	return table ? &table[address >> PAGE_SHIFT & 1023] : NULL;
}

/*
 * The entry for an address. Where there is no table yet, one comes from table_take(), cleared: its directory entry becomes
 * present, writable, for programs (PTE_USER), and its bit in mm->slots is set. Only the VO may store into a directory; and
 * as what a pfn is translated to must be stored in the same mode, both happen between vo_hold() and vo_release().
 * NULL if memory is out: then nothing has changed, and nothing is held. Handout, 4.2.
 */
static pte_t *slot_make(struct mm *mm, uint32_t address)
{
	/* LAB 1 TODO 4 BEGIN */
	unsigned i = address >> 22;
	if (!mm->directory[i]) {
		pfn_t pfn = table_take();
		if (pfn == NO_FRAME)
			return NULL;
		vo_hold();
		VO(mmu, set_pte)(&mm->directory[i], pfn_to_mfn(pfn) << PAGE_SHIFT | PTE_USER | PTE_W);
		vo_release();
		mm->slots[i / 32] |= 1u << (i % 32);
	}
	return slot_of(mm, address);
	/* LAB 1 TODO 4 END */
}

static pte_t pte_make(pfn_t pfn, int prot)
{
	pte_t pte = pfn_to_mfn(pfn) << PAGE_SHIFT | PTE_U | PTE_A;
	if (prot & (PROT_READ | PROT_WRITE | PROT_EXEC))
		pte |= PTE_P;
	if ((prot & PROT_WRITE) && frame_refs(pfn) == 1)
		pte |= PTE_W | PTE_D;
	return pte;
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

mfn_t mm_directory(const struct mm *mm) { return pfn_to_mfn(virt_to_pfn(mm->directory)); }

uint32_t mm_pages(const struct mm *mm) { return mm->pages; }

/* The entries of [address, end) that lie in one table, at most CHUNK: how many. */
static unsigned chunk(uint32_t address, uint32_t end)
{
	uint32_t in_table = 1024 - (address >> PAGE_SHIFT & 1023), left = (end - address) >> PAGE_SHIFT;
	return MIN(MIN(in_table, left), CHUNK);
}

/* Share one chunk of pages with a child: both get it read-only. */
static void fork_chunk(struct mm *child, pte_t *from, pte_t *to, unsigned n)
{
	pte_t ro[CHUNK];
	bool changed = false;
	while (n && !from[n - 1])
		n--;
	for (; n && !*from; n--)
		from++, to++;
	if (!n)
		return;
	vo_batch_begin();
	for (unsigned i = 0; i < n; i++) {
		pte_t pte = from[i];
		if (pte) {
			frame_get(pte_pfn(pte));
			child->pages++;
			changed |= pte & PTE_W;
			pte &= ~(pte_t)PTE_W;
		}
		ro[i] = pte;
	}
	VO(mmu, set_ptes)(to, ro, n);
	if (changed)
		VO(mmu, set_ptes)(from, ro, n);
	vo_batch_end();
}

/* The end of the areas from *a on that follow each other without a gap, as a program's do; *a becomes the next one. */
static uint32_t run_end(const struct area **a)
{
	uint32_t end = (*a)->end;
	while ((*a = (*a)->next) && (*a)->start == end)
		end = (*a)->end;
	return end;
}

static bool fork_pages(struct mm *child, const struct mm *from, uint32_t at, uint32_t end)
{
	for (uint32_t n; at < end; at += n << PAGE_SHIFT) {
		pte_t *source = slot_of(from, at), *to;
		n = chunk(at, end);
		if (!source) {
			n = MIN(1024 - (at >> PAGE_SHIFT & 1023), (end - at) >> PAGE_SHIFT);
			continue;
		}
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
	VO(mmu, flush_all)(); /* our own writable entries */
	if (mm && !ok) {
		mm_destroy(mm);
		mm = NULL;
	}
	return mm;
}

/* Drop the frames of [start, end): entries first, then the TLB, then the references. */
static void drop_pages(struct mm *mm, uint32_t start, uint32_t end, bool loaded)
{
	static const pte_t zeros[CHUNK];
	for (uint32_t at = start, n; at < end; at += n << PAGE_SHIFT) {
		pfn_t frames[CHUNK];
		unsigned nr = 0;
		pte_t *slot = slot_of(mm, at);
		if (!slot) {
			n = MIN(1024 - (at >> PAGE_SHIFT & 1023), (end - at) >> PAGE_SHIFT);
			continue;
		}
		n = chunk(at, end);
		unsigned first = 0, behind = n;
		while (behind && !slot[behind - 1])
			behind--;
		if (!behind)
			continue;
		while (!slot[first])
			first++;
		/*
		 * The entries slot[first] to slot[behind - 1], some of them 0, become 0. One that is not 0 holds a frame,
		 * present or not (PROT_NONE). The order matters: from frame_put() on a frame may be somebody else's, so by
		 * then no entry and, if the tables are loaded, no TLB entry may show it. Entries and flush are one batch
		 * (vo_batch_begin, vo_batch_end); references are dropped behind it, one for each entry; mm->pages stays
		 * right. Handout, 4.3.
		 */
		/* LAB 1 TODO 5 BEGIN */
		vo_batch_begin();
		for (unsigned i = first; i < behind; i++)
			if (slot[i])
				frames[nr++] = pte_pfn(slot[i]);
		VO(mmu, set_ptes)(slot + first, zeros, behind - first);
		if (loaded)
			VO(mmu, flush_all)();
		vo_batch_end();
		mm->pages -= nr;
		while (nr)
			frame_put(frames[--nr]);
		/* LAB 1 TODO 5 END */
	}
}

/* No CPU has the directory loaded: empty it and its tables, which makes them ready for the next process. */
static void destroy_tables(struct mm *mm)
{
	for (const struct area *a = mm->areas; a;) {
		uint32_t start = a->start;
		drop_pages(mm, start, run_end(&a), false);
	}
	if (directory_keep(virt_to_pfn(mm->directory), mm->slots))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(mm->slots); i++)
		for (uint32_t bits = mm->slots[i]; bits; bits &= bits - 1) {
			pte_t *pde = &mm->directory[i * 32 + (unsigned)__builtin_ctz(bits)];
			pfn_t table = pte_pfn(*pde);
			vo_hold();
			VO(mmu, set_pte)(pde, 0);
			vo_release();
			table_give(table);
		}
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

int32_t mm_map(struct mm *mm, uint32_t address, uint32_t bytes, int prot, struct vnode *vn, uint32_t offset,
	       uint32_t file_bytes)
{
	if (bytes == 0 || (address | offset) & ~PAGE_MASK || prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC))
		return -EINVAL;
	if (bytes > USER_END - USER_BASE)
		return -ENOMEM;
	bytes = ROUND_UP(bytes, PAGE_SIZE);
	if (address && (address < USER_BASE || address > USER_END - bytes))
		return -EINVAL;
	if (!address && (address = area_gap(mm, MMAP_BASE, bytes)) == 0)
		return -ENOMEM;
	struct area want = { .start = address, .end = address + bytes, .prot = prot, .vn = vn, .offset = offset,
			     .file_bytes = vn ? file_bytes : 0 };
	if (area_overlaps(mm, want.start, want.end))
		return -EEXIST;
	struct area *a = area_copy(&want);
	if (!a)
		return -ENOMEM;
	area_insert(mm, a);
	area_merge(mm);
	return (int32_t)address;
}

/* A range for unmap or protect: page aligned, within user space. */
static bool range_ok(uint32_t address, uint32_t *bytes)
{
	if (address & ~PAGE_MASK || *bytes == 0 || address < USER_BASE || address >= USER_END || *bytes > USER_END - address)
		return false;
	*bytes = ROUND_UP(*bytes, PAGE_SIZE);
	return true;
}

int mm_unmap(struct mm *mm, uint32_t address, uint32_t bytes)
{
	if (!range_ok(address, &bytes))
		return -EINVAL;
	int error = area_split(mm, address, address + bytes);
	if (error)
		return error;
	for (struct area **at = &mm->areas; *at;) {
		struct area *a = *at;
		if (a->start < address || a->start >= address + bytes) {
			at = &a->next;
			continue;
		}
		drop_pages(mm, a->start, a->end, true);
		*at = a->next;
		area_free(a);
	}
	return 0;
}

/* New access for the frames that are there; others get it when they come. */
static void protect_pages(struct mm *mm, uint32_t start, uint32_t end, int prot)
{
	for (uint32_t at = start, n; at < end; at += n << PAGE_SHIFT) {
		pte_t *slot = slot_of(mm, at), values[CHUNK];
		n = chunk(at, end);
		if (!slot)
			continue;
		vo_batch_begin();
		for (unsigned i = 0; i < n; i++)
			values[i] = slot[i] ? pte_make(pte_pfn(slot[i]), prot) : 0;
		VO(mmu, set_ptes)(slot, values, n);
		if (n == 1)
			VO(mmu, flush_page)(at);
		else
			VO(mmu, flush_all)();
		vo_batch_end();
	}
}

int mm_protect(struct mm *mm, uint32_t address, uint32_t bytes, int prot)
{
	if (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC) || !range_ok(address, &bytes))
		return -EINVAL;
	if (!area_covers(mm, address, address + bytes))
		return -ENOMEM;
	int error = area_split(mm, address, address + bytes);
	if (error)
		return error;
	for (struct area *a = mm->areas; a; a = a->next)
		if (a->start >= address && a->start < address + bytes && a->prot != prot) {
			a->prot = prot;
			protect_pages(mm, a->start, a->end, prot);
		}
	area_merge(mm);
	return 0;
}

/* A private frame with the content of `from`, of which only the first bytes count; or of zeros for NO_FRAME. */
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

/* The frame for a page's first touch: the file's own if it can be shared, else a private one. */
static int first_frame(const struct area *a, uint32_t page, bool write, pfn_t *out)
{
	uint32_t into = page - a->start, bytes = into < a->file_bytes ? MIN(a->file_bytes - into, (uint32_t)PAGE_SIZE) : 0;
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

static void set_page(pte_t *slot, uint32_t page, pfn_t pfn, int prot, bool flush)
{
	pte_t pte = pte_make(pfn, prot);
	vo_batch_begin();
	VO(mmu, set_pte)(slot, pte);
	if (flush)
		VO(mmu, flush_page)(page);
	vo_batch_end();
}

/* A write to a page that is present but not writable. */
static int fault_copy(pte_t *slot, uint32_t page, int prot)
{
	pfn_t old = pte_pfn(*slot), pfn = old;
	if (frame_refs(old) > 1) {
		pfn = frame_copy(old, PAGE_SIZE);
		if (pfn == NO_FRAME)
			return -ENOMEM;
	}
	set_page(slot, page, pfn, prot, true);
	if (pfn != old)
		frame_put(old);
	return 0;
}

int mm_fault(struct mm *mm, uint32_t address, uint32_t error)
{
	uint32_t page = address & PAGE_MASK;
	bool write = error & PF_WRITE;
	const struct area *a = area_find(mm, address);
	pfn_t pfn;
	if (!a || a->prot == PROT_NONE || (write && !(a->prot & PROT_WRITE)))
		return -EFAULT;
	pte_t *slot = slot_make(mm, page);
	if (!slot)
		return -ENOMEM;
	if (*slot) /* else the entry was made good meanwhile */
		return write && !(*slot & PTE_W) ? fault_copy(slot, page, a->prot) : 0;
	int failed = first_frame(a, page, write, &pfn);
	if (failed)
		return failed;
	mm->pages++;
	set_page(slot, page, pfn, a->prot, false);
	return 0;
}

void *mm_touch(struct mm *mm, uint32_t address)
{
	if (mm_fault(mm, address, PF_WRITE))
		return NULL;
	return (char *)pfn_to_virt(pte_pfn(*slot_of(mm, address))) + (address & ~PAGE_MASK);
}
