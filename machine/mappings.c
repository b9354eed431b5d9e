/* SPDX-License-Identifier: MIT */
/*
 * What the loaded page directories map (V3, V4): pages of frames that the kernel owns, no page
 * table writable where the VMM holds it, the kernel's text read-only, nothing of the kernel's for
 * programs. The frames are judged by p2m and m2p, which are checked first.
 */
#include "invariants.h"
#include "offsets.h"

enum { LAPIC = 0xFEE00, IOAPIC = 0xFEC00, VGA = 0xB8 }; /* frames, of the machines we start */

/* --- p2m and m2p --- */

uint32_t *read_array(struct machine *m, uint32_t cr3, const char *name, uint32_t n)
{
	uint32_t *array = calloc(ALL_FRAMES, sizeof(*array)), memory = m->o.mem << 8;
	CHECK(n <= ALL_FRAMES, "%s: %u entries", name, n);
	memset(array, 0xFF, (memory < ALL_FRAMES ? memory : ALL_FRAMES) * sizeof(*array));
	virtual_read(m, cr3, kernel_word(m, name), array, n * sizeof(*array));
	return array;
}

struct translation translation_read(struct machine *m, uint32_t cr3, bool virtual_mode)
{
	struct translation t = {
		.nr_pfns = kernel_word(m, "nr_pfns"), .nr_mfns = kernel_word(m, "nr_mfns"),
		.image = (symbol("image_start") - KERNEL_BASE) >> PAGE_SHIFT,
		.readonly_end = (symbol("readonly_end") - KERNEL_BASE) >> PAGE_SHIFT,
		.image_end = (symbol("image_end") - KERNEL_BASE) >> PAGE_SHIFT,
		.virtual_mode = virtual_mode,
	};
	CHECK(t.nr_pfns > 0 && t.nr_pfns <= t.nr_mfns && t.nr_mfns <= ALL_FRAMES,
	      "nr_pfns is %u, nr_mfns %u", t.nr_pfns, t.nr_mfns);
	t.p2m = read_array(m, cr3, "p2m", t.nr_pfns);
	t.m2p = read_array(m, cr3, "m2p", t.nr_mfns);
	t.table = calloc(ALL_FRAMES, sizeof(bool));
	return t;
}

void translation_free(struct translation *t)
{
	free(t->p2m), free(t->m2p), free(t->table);
}

static bool owned(const struct translation *t, uint32_t mfn)
{
	return mfn < t->nr_mfns && t->m2p[mfn] != NO_FRAME;
}

void check_translation(const struct machine *m, const struct translation *t)
{
	uint32_t n = 0, moved = 0;
	for (uint32_t pfn = 0; pfn < t->nr_pfns; pfn++) {
		uint32_t mfn = t->p2m[pfn];
		CHECK(mfn < t->nr_mfns && t->m2p[mfn] == pfn,
		      "p2m[%#x] is %#x, but m2p there is not %#x", pfn, mfn, pfn);
		CHECK(mfn < m->o.mem << 8, "p2m[%#x] is %#x: the machine has no such frame", pfn,
		      mfn);
		moved += mfn != pfn;
	}
	for (uint32_t mfn = 0; mfn < t->nr_mfns; mfn++)
		n += owned(t, mfn);
	CHECK(n == t->nr_pfns, "m2p names %u frames, nr_pfns is %u", n, t->nr_pfns);
	if (m->o.p2m && strncmp(m->o.p2m, "shuffle", 7) == 0)
		CHECK(moved > t->nr_pfns / 2, "p2m=%s moved only %u of %u frames", m->o.p2m,
		      moved, t->nr_pfns);
	else
		CHECK(moved < 1024, "p2m=identity moved %u of %u frames", moved, t->nr_pfns);
}

void mark_tables(struct translation *t, const uint32_t *directory, uint32_t first, uint32_t end)
{
	for (uint32_t slot = first; slot < end; slot++) {
		uint32_t pde = directory[slot];
		if (!(pde & PTE_P))
			continue;
		CHECK(pde >> PAGE_SHIFT < t->nr_mfns, "directory slot %#x is %#x", slot, pde);
		t->table[pde >> PAGE_SHIFT] = true;
	}
}

/* --- the kernel's half --- */

static bool in_text(const struct translation *t, uint32_t mfn)
{
	return mfn >= t->image && mfn < t->readonly_end;
}

/*
 * Check one table of the direct map, which begins with first_pfn.
 * Result: how many pages of data are read-only though no table is in them.
 */
static unsigned check_direct_map(const struct translation *t, uint32_t first_pfn,
				 const uint32_t *table)
{
	unsigned readonly = 0;
	for (uint32_t i = 0; i < 1024 && first_pfn + i < t->nr_pfns; i++) {
		uint32_t pfn = first_pfn + i, pte = table[i];
		uint32_t address = KERNEL_BASE + pfn * PAGE_SIZE;
		CHECK((pte & PTE_P) && pte >> PAGE_SHIFT == t->p2m[pfn],
		      "direct map at %#x: entry %#x, p2m[%#x] is %#x", address, pte, pfn,
		      t->p2m[pfn]);
		bool text = in_text(t, pfn), is_table = t->table[pte >> PAGE_SHIFT];
		CHECK(!text || !(pte & PTE_W),
		      "direct map at %#x: entry %#x, but this is the kernel's text", address, pte);
		CHECK(!is_table || !(pte & PTE_W),
		      "direct map at %#x: entry %#x, but this is a page table (V3)", address, pte);
		readonly += !text && !is_table && !(pte & PTE_W);
	}
	return readonly;
}

static void check_kernel_page(const struct translation *t, uint32_t address, uint32_t pte)
{
	uint32_t mfn = pte >> PAGE_SHIFT;
	bool of_vmm = address >= VMM_BASE, writable = pte & PTE_W;
	if (!(pte & PTE_P))
		return;
	CHECK(!(pte & PTE_U), "kernel page %#x is user accessible: %#x", address, pte);
	CHECK(!writable || !in_text(t, mfn), "kernel text (frame %#x) is writable at %#x", mfn,
	      address);
	CHECK(!t->virtual_mode || of_vmm || (mfn != LAPIC && mfn != IOAPIC),
	      "page %#x shows an interrupt controller, which is the VMM's", address);
	CHECK(!writable || of_vmm || owned(t, mfn) || mfn >= t->nr_mfns || mfn == VGA,
	      "page %#x writes frame %#x, which is not the kernel's (V4)", address, mfn);
}

void check_kernel_half(struct machine *m, const uint32_t *directory, const struct translation *t)
{
	unsigned readonly = 0;
	for (uint32_t slot = KERNEL_SLOT; slot < 1024; slot++) {
		uint32_t pde = directory[slot], table[1024] = { 0 };
		uint32_t first_pfn = (slot - KERNEL_SLOT) * 1024;
		CHECK(!(pde & PTE_P) || !(pde & PTE_U),
		      "directory slot %#x of the kernel is user accessible: %#x", slot, pde);
		CHECK(!(pde & PTE_P) || !(pde & PTE_PS), "directory slot %#x is a 4 MiB page: %#x",
		      slot, pde);
		if (pde & PTE_P)
			physical_read(m, pde & PAGE_MASK, table, sizeof(table));
		if (first_pfn < t->nr_pfns)
			readonly += check_direct_map(t, first_pfn, table);
		for (uint32_t i = 0; i < 1024; i++)
			check_kernel_page(t, slot << 22 | i << PAGE_SHIFT, table[i]);
	}
	CHECK(t->virtual_mode || readonly == 0, "%u pages of data are read-only in native mode",
	      readonly);
}

/* --- a program's half --- */

static void check_user_page(const struct translation *t, uint32_t address, uint32_t pte)
{
	uint32_t mfn = pte >> PAGE_SHIFT;
	if (!(pte & PTE_P))
		return;
	CHECK(owned(t, mfn), "user page %#x: frame %#x is not the kernel's to give", address, mfn);
	CHECK(mfn < t->image || mfn >= t->image_end, "user page %#x shows the kernel's image: %#x",
	      address, pte);
	CHECK(!t->table[mfn], "user page %#x shows a page table or directory", address);
}

void check_user_half(struct machine *m, const uint32_t *directory, const struct translation *t)
{
	for (uint32_t slot = 0; slot < KERNEL_SLOT; slot++) {
		uint32_t table[1024];
		if (!(directory[slot] & PTE_P))
			continue;
		CHECK(!(directory[slot] & PTE_PS), "user slot %#x is a 4 MiB page: %#x", slot,
		      directory[slot]);
		physical_read(m, directory[slot] & PAGE_MASK, table, sizeof(table));
		CHECK(slot > 0 || !(table[0] & PTE_P), "page 0 is mapped: %#x", table[0]);
		for (uint32_t i = 0; i < 1024; i++)
			check_user_page(t, slot << 22 | i << PAGE_SHIFT, table[i]);
	}
}
