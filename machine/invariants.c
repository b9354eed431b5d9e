/* SPDX-License-Identifier: MIT */
/*
 * The invariants of both modes, judged on a stopped machine: the CPUs' registers and tables (N1; of virtual mode in
 * invariants_virtual.c), p2m and m2p, and every mapping that the loaded page directories hold (V3, V4). Nothing here
 * believes what the guest prints.
 */
#include "judge.h"

enum { P = 1, W = 2, U = 4, PS = 0x80, AD = 0x60, NO_FRAME = -1 };
#define KERNEL_SLOT (KERNEL_BASE >> 22)
#define CR0_BITS 0x80010001u /* PG, WP, PE */
enum { LAPIC = 0xFEE00, IOAPIC = 0xFEC00, VGA = 0xB8 }; /* frames of the machines that we start */

struct translation { /* p2m and m2p as read from the machine */
	uint32_t nr_pfns, nr_mfns, *p2m, *m2p;
	bool *table; /* by mfn: a page table that hangs in a loaded directory, or the directory */
	bool virtual_mode;
};

uint32_t *read_array(struct machine *m, uint32_t cr3, const char *name, uint32_t n)
{
	uint32_t *array = malloc(ALL_FRAMES * sizeof(*array));
	CHECK(n <= ALL_FRAMES, "%s: %u entries", name, n);
	memset(array, 0xFF, ALL_FRAMES * sizeof(*array));
	virtual_read(m, cr3, kernel_word(m, name), array, n * sizeof(*array));
	return array;
}

static struct translation read_translation(struct machine *m, uint32_t cr3)
{
	struct translation t = { .nr_pfns = kernel_word(m, "nr_pfns"), .nr_mfns = kernel_word(m, "nr_mfns") };
	CHECK(t.nr_pfns > 0 && t.nr_pfns <= t.nr_mfns && t.nr_mfns <= ALL_FRAMES, "nr_pfns is %u, nr_mfns %u", t.nr_pfns, t.nr_mfns);
	t.p2m = read_array(m, cr3, "p2m", t.nr_pfns);
	t.m2p = read_array(m, cr3, "m2p", t.nr_mfns);
	t.table = calloc(ALL_FRAMES, sizeof(bool));
	return t;
}

/* p2m and m2p are each other's inverse, on exactly nr_pfns frames, in the order asked for. */
static void check_translation(const struct machine *m, const struct translation *t)
{
	uint32_t owned = 0, moved = 0;
	for (uint32_t pfn = 0; pfn < t->nr_pfns; pfn++) {
		uint32_t mfn = t->p2m[pfn];
		CHECK(mfn < t->nr_mfns && t->m2p[mfn] == pfn, "p2m[%#x] is %#x, but m2p there is not %#x", pfn, mfn, pfn);
		CHECK(mfn < m->o.mem << 8, "p2m[%#x] is %#x: the machine has no such frame", pfn, mfn);
		moved += mfn != pfn;
	}
	for (uint32_t mfn = 0; mfn < t->nr_mfns; mfn++)
		owned += t->m2p[mfn] != (uint32_t)NO_FRAME;
	CHECK(owned == t->nr_pfns, "m2p names %u frames, nr_pfns is %u", owned, t->nr_pfns);
	if (m->o.p2m && strncmp(m->o.p2m, "shuffle", 7) == 0)
		CHECK(moved > t->nr_pfns / 2, "p2m=%s moved only %u of %u frames", m->o.p2m, moved, t->nr_pfns);
	else
		CHECK(moved < 1024, "p2m=identity moved %u of %u frames", moved, t->nr_pfns);
}

static bool in_image(uint32_t base, uint32_t limit)
{
	return base >= symbol("image_start") && base + limit >= base && base + limit < symbol("image_end");
}

static void check_cpu_native(unsigned i, const struct cpu_state *c)
{
	CHECK(c->cpl == 0 || c->cpl == 3, "CPU %u: CPL %u in native mode", i, c->cpl);
	CHECK(c->cs.selector == (c->cpl ? 0x1B : 0x08), "CPU %u: CS is %#x at CPL %u", i, c->cs.selector, c->cpl);
	CHECK((c->ss.selector & 3) == c->cpl, "CPU %u: SS is %#x at CPL %u", i, c->ss.selector, c->cpl);
	CHECK(c->cpl == 3 || (c->eip >= symbol("image_start") && c->eip < symbol("readonly_end")),
	      "CPU %u runs at ring 0 outside the kernel's text: EIP %#x", i, c->eip);
	CHECK(c->cpl == 0 || c->eip < KERNEL_BASE, "CPU %u: a program runs at %#x", i, c->eip);
	CHECK(c->cpl == 0 || (c->eflags & 0x200), "CPU %u: a program runs with interrupts off", i);
	CHECK((c->eflags & 0x3000) == 0, "CPU %u: IOPL is not 0: EFLAGS %#x", i, c->eflags);
	CHECK((c->cr0 & CR0_BITS) == CR0_BITS, "CPU %u: CR0 %#x lacks PG, WP or PE", i, c->cr0);
	CHECK((c->cr4 & 0x20) == 0, "CPU %u: CR4 %#x has PAE", i, c->cr4);
	CHECK(in_image(c->gdt.base, c->gdt.limit), "CPU %u: GDT at %#x is outside the kernel", i, c->gdt.base);
	CHECK(in_image(c->idt.base, c->idt.limit), "CPU %u: IDT at %#x is outside the kernel", i, c->idt.base);
	CHECK(c->idt.limit == 0x7FF, "CPU %u: IDT limit %#x", i, c->idt.limit);
	CHECK(c->tr.selector == 0x28 && in_image(c->tr.base, 103), "CPU %u: TR %#x at %#x", i, c->tr.selector, c->tr.base);
	CHECK(c->ldt.selector == 0, "CPU %u: an LDT is loaded: %#x", i, c->ldt.selector);
}

/* Each CPU has descriptor tables of its own where the hardware writes to them: TSS, and the GDT's busy bit. */
static void check_apart(const struct cpu_state *cpus, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < i; k++)
			CHECK(cpus[i].tr.base != cpus[k].tr.base, "CPUs %u and %u share a TSS at %#x", k, i, cpus[i].tr.base);
}

/* Result: how many pages of data are read-only for no reason seen here. */
static unsigned check_direct_map(const struct translation *t, uint32_t first_pfn, const uint32_t *table)
{
	uint32_t text_start = symbol("image_start"), text_end = symbol("readonly_end");
	unsigned readonly = 0;
	for (uint32_t i = 0; i < 1024 && first_pfn + i < t->nr_pfns; i++) {
		uint32_t pfn = first_pfn + i, address = KERNEL_BASE + pfn * 4096, pte = table[i];
		CHECK((pte & P) && pte >> 12 == t->p2m[pfn], "direct map at %#x: entry %#x, p2m[%#x] is %#x", address, pte, pfn,
		      t->p2m[pfn]);
		bool text = address >= text_start && address < text_end, table = t->table[pte >> 12];
		CHECK(!text || !(pte & W), "direct map at %#x: entry %#x, but this is the kernel's text", address, pte);
		CHECK(!table || !(pte & W), "direct map at %#x: entry %#x, but this is a page table (V3)", address, pte);
		readonly += !text && !table && !(pte & W);
	}
	return readonly;
}

/* Mark the tables of one half of a directory, which must be whole frames of the kernel's. */
static void mark_tables(struct translation *t, const uint32_t *directory, uint32_t first, uint32_t end)
{
	for (uint32_t slot = first; slot < end; slot++)
		if (directory[slot] & P) {
			CHECK(directory[slot] >> 12 < t->nr_mfns, "directory slot %#x is %#x", slot, directory[slot]);
			t->table[directory[slot] >> 12] = true;
		}
}

/* The kernel's half of the kernel's own directory, table by table. */
static void check_kernel_half(struct machine *m, const uint32_t *directory, const struct translation *t)
{
	uint32_t text = (symbol("image_start") - KERNEL_BASE) >> 12, text_end = (symbol("readonly_end") - KERNEL_BASE) >> 12;
	unsigned readonly = 0;
	for (uint32_t slot = KERNEL_SLOT; slot < 1024; slot++) {
		uint32_t pde = directory[slot], table[1024] = { 0 };
		CHECK(!(pde & P) || !(pde & U), "directory slot %#x of the kernel is user accessible: %#x", slot, pde);
		CHECK(!(pde & P) || !(pde & PS), "directory slot %#x is a 4 MiB page: %#x", slot, pde);
		if (pde & P)
			physical_read(m, pde & ~0xFFFu, table, sizeof(table));
		if ((slot - KERNEL_SLOT) * 1024 < t->nr_pfns)
			readonly += check_direct_map(t, (slot - KERNEL_SLOT) * 1024, table);
		for (uint32_t i = 0; i < 1024; i++) {
			uint32_t address = slot << 22 | i << 12, mfn = table[i] >> 12;
			CHECK(!(table[i] & P) || !(table[i] & U), "kernel page %#x is user accessible: %#x", address, table[i]);
			CHECK(!(table[i] & P) || !(table[i] & W) || mfn < text || mfn >= text_end,
			      "kernel text (frame %#x) is writable at %#x", mfn, address);
			CHECK(!t->virtual_mode || slot >= VMM_BASE >> 22 || !(table[i] & P) || (mfn != LAPIC && mfn != IOAPIC),
			      "page %#x shows an interrupt controller, which is the VMM's", address);
			CHECK(slot >= VMM_BASE >> 22 || !(table[i] & P) || mfn >= t->nr_mfns || t->m2p[mfn] != (uint32_t)NO_FRAME ||
			      !(table[i] & W) || mfn == VGA, "page %#x writes frame %#x, which is not the kernel's (V4)", address, mfn);
		}
	}
	CHECK(t->virtual_mode || readonly == 0, "%u pages of data are read-only in native mode", readonly);
}

/* A program's half: pages come from frames that the kernel owns, never from its image or from this tree's tables. */
static void check_user_half(struct machine *m, const uint32_t *directory, const struct translation *t)
{
	uint32_t image = (symbol("image_start") - KERNEL_BASE) >> 12, image_end = (symbol("image_end") - KERNEL_BASE) >> 12;
	for (uint32_t slot = 0; slot < KERNEL_SLOT; slot++) {
		uint32_t table[1024];
		if (!(directory[slot] & P))
			continue;
		CHECK(!(directory[slot] & PS), "user slot %#x is a 4 MiB page: %#x", slot, directory[slot]);
		physical_read(m, directory[slot] & ~0xFFFu, table, sizeof(table));
		CHECK(slot > 0 || !(table[0] & P), "page 0 is mapped: %#x", table[0]);
		for (uint32_t i = 0; i < 1024; i++) {
			uint32_t mfn = table[i] >> 12, address = slot << 22 | i << 12;
			if (!(table[i] & P))
				continue;
			CHECK(mfn < t->nr_mfns && t->m2p[mfn] != (uint32_t)NO_FRAME, "user page %#x: frame %#x is not the kernel's to give",
			      address, mfn);
			CHECK(mfn < image || mfn >= image_end, "user page %#x shows the kernel's image: %#x", address, table[i]);
			CHECK(!t->table[mfn], "user page %#x shows a page table or directory", address);
		}
	}
}

void check_mode(struct machine *m, bool virtual_mode)
{
	struct cpu_state cpus[CPUS_MAX];
	unsigned n = machine_state(m, cpus);
	uint32_t kernel[1024], directory[CPUS_MAX][1024];
	CHECK(n == m->o.cpus && kernel_word(m, "nr_cpus") == n, "%u CPUs, the kernel has %u, asked for %u", n,
	      kernel_word(m, "nr_cpus"), m->o.cpus);
	struct translation t = read_translation(m, cpus[0].cr3);
	t.virtual_mode = virtual_mode;
	check_translation(m, &t);
	virtual_read(m, cpus[0].cr3, kernel_word(m, "kernel_directory"), kernel, sizeof(kernel));
	mark_tables(&t, kernel, KERNEL_SLOT, VMM_BASE >> 22);
	t.table[page_walk(m, cpus[0].cr3, kernel_word(m, "kernel_directory")).machine >> 12] = true;
	for (unsigned i = 0; i < n && virtual_mode; i++) { /* a loaded directory is read-only now, with all its tables */
		physical_read(m, cpus[i].cr3 & ~0xFFFu, directory[i], sizeof(directory[i]));
		t.table[cpus[i].cr3 >> 12] = true;
		mark_tables(&t, directory[i], 0, KERNEL_SLOT);
	}
	check_kernel_half(m, kernel, &t);
	check_apart(cpus, n);
	for (unsigned i = 0; i < n; i++) {
		virtual_mode ? check_cpu_virtual(m, i, &cpus[i]) : check_cpu_native(i, &cpus[i]);
		physical_read(m, cpus[i].cr3 & ~0xFFFu, directory[i], sizeof(directory[i]));
		for (uint32_t slot = KERNEL_SLOT; slot < 1024; slot++)
			CHECK(((directory[i][slot] ^ kernel[slot]) & ~AD) == 0, "CPU %u: directory slot %#x is %#x, the kernel's %#x", i,
			      slot, directory[i][slot], kernel[slot]);
		t.table[cpus[i].cr3 >> 12] = true;
		mark_tables(&t, directory[i], 0, KERNEL_SLOT);
		check_user_half(m, directory[i], &t);
	}
	free(t.p2m), free(t.m2p), free(t.table);
}

void check_native(struct machine *m) { check_mode(m, false); }
