/* SPDX-License-Identifier: MIT */
/*
 * Exercises 6, 11 and 12: page tables that must be writable nowhere, in memory and in the TLB. QEMU drops the whole TLB
 * with each load of CR3; Bochs, like a real processor, keeps global entries, so what a flush has left shows there.
 */
#include "checks.h"

enum { ATTACHED = 16, SLOT = 0x100, OTHER_SLOT = 0x101 }; /* of `attached` in struct cpu (vmm/vmm.h); free user slots */

static uint32_t cpu0(void) { return vmm_symbol("vmm_cpus"); }

static uint32_t home_address(const struct guest *g, uint32_t mfn) { return KERNEL_BASE + g->m2p[mfn] * PAGE; }

static bool *find_typed(struct guest *g)
{
	struct lab1_frame *frames = lab1_frames(g);
	uint32_t generation = lab1_vmm_word(g, "generation");
	bool *typed = calloc(ALL_FRAMES, sizeof(*typed));
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++)
		typed[mfn] = TYPE(frames[mfn]) == SHARED ||
			     (TYPE(frames[mfn]) != WRITABLE && frames[mfn].generation == generation);
	free(frames);
	return typed;
}

/* Own search: the tables that the CPU can reach are typed, and no entry of any table maps one writable. */
static void scan(struct guest *g, const bool *typed)
{
	uint32_t directory[1024], table[1024];
	physical_read(g->m, g->at.cr3 & -PAGE, directory, sizeof(directory));
	CHECK(typed[g->at.cr3 >> 12], "the loaded directory, frame %#x, has no type", g->at.cr3 >> 12);
	for (unsigned slot = 0; slot < VMM_SLOT; slot++) {
		if (!(directory[slot] & P))
			continue;
		CHECK(typed[directory[slot] >> 12], "slot %#x: page table %#x has no type", slot, directory[slot] >> 12);
		physical_read(g->m, directory[slot] & -PAGE, table, sizeof(table));
		for (unsigned i = 0; i < 1024; i++)
			CHECK((table[i] & (P | W)) != (P | W) || table[i] >> 12 >= g->nr_mfns || !typed[table[i] >> 12],
			      "address %#x: directory slot %#x is %#x, entry %#x is %#x: maps frame %#x, a page table "
			      "or directory, writable (V3)",
			      slot << 22 | i << 12, slot, directory[slot], i, table[i], table[i] >> 12);
	}
}

static void check_data(struct guest *g, const bool *typed, const char *when)
{
	for (uint32_t pfn = 0; pfn < g->nr_pfns; pfn++)
		CHECK(typed[g->p2m[pfn]] || lab1_in_text(pfn) || lab1_home(g, pfn) & W,
		      "%s: frame %#x (pfn %#x) is data, but read-only in the direct map", when, g->p2m[pfn], pfn);
}

void lab1_protect(const struct test *t)
{
	struct guest g = lab1_start_account();
	(void)t;
	CHECK(lab1_account(&g) > 0, "account of good tables fails");
	VMM_CALL(&g, "frames_protect", cpu0(), 1);
	bool *typed = find_typed(&g);
	scan(&g, typed);
	check_data(&g, typed, "after protect");
	lab1_check_counts(&g, 1, "after protect");
	VMM_CALL(&g, "frames_protect", cpu0(), 0);
	struct lab1_frame *frames = lab1_frames(&g);
	for (uint32_t mfn = 0; mfn < g.nr_mfns; mfn++)
		typed[mfn] = TYPE(frames[mfn]) == SHARED;
	check_data(&g, typed, "after protect was taken back");
}

/* A new table or directory, with the kernel's upper part, and a TLB that knows its home as writable. */
static uint32_t new_table(struct guest *g, bool upper)
{
	uint32_t mfn = lab1_new_frame(g), words[1024 - KERNEL_SLOT], at = KERNEL_SLOT * 4;
	if (upper) {
		physical_read(g->m, (g->at.cr3 & -PAGE) + at, words, sizeof(words));
		physical_write(g->m, (mfn << 12) + at, words, sizeof(words));
	}
	CHECK(lab1_can_write(g, home_address(g, mfn)), "the kernel cannot write to a free frame (%#x)", mfn);
	return mfn;
}

static void want_home(struct guest *g, uint32_t mfn, bool writable, const char *what)
{
	uint32_t home = lab1_home(g, g->m2p[mfn]);
	CHECK(!(home & W) == !writable, "%s: its entry in the direct map is %#x: expected %s", what, home,
	      writable ? "writable" : "read-only");
	bool can = lab1_can_write(g, home_address(g, mfn));
	CHECK(can == writable, "%s: its entry in the direct map is %#x, yet the kernel %s write to it at %#x: %s", what,
	      home, can ? "can still" : "cannot", home_address(g, mfn),
	      can ? "a stale TLB entry (exercise 11: which flush drops global entries?)" : "no flush");
}

static int update(struct guest *g, uint32_t directory, uint32_t slot, uint32_t pde)
{
	uint32_t values = g->at.esp - 16;
	lab1_set_word(g, values, pde);
	return (int)VMM_CALL(g, "frames_update", cpu0(), (directory << 12) + 4 * slot, values, 1);
}

/* Load a directory for the first time; whenever the TLB is flushed, what has become a table must be read-only already. */
static int load(struct guest *g, uint32_t directory)
{
	static const char *const names[] = { "flush_everywhere" };
	if (g->m->o.bochs)
		return (int)VMM_CALL(g, "frames_load", cpu0(), directory);
	lab1_watch(g, names, 1, true);
	lab1_begin(g, vmm_symbol("frames_load"), ARGUMENTS(cpu0(), directory));
	while (lab1_next(g)) {
		bool *typed = find_typed(g);
		for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++)
			CHECK(!typed[mfn] || !(lab1_home(g, g->m2p[mfn]) & W),
			      "frame %#x has become a page table or directory; now the TLBs are flushed, "
			      "but its entry in the direct map is still %#x, so it can come back at once",
			      mfn, lab1_home(g, g->m2p[mfn]));
		free(typed);
	}
	lab1_watch(g, names, 1, false);
	return (int)lab1_end(g);
}

/* As in virtual mode: tables and directories come to be while the machine runs. */
static void live(struct guest *g)
{
	CHECK(lab1_account(g) > 0, "account of good tables fails");
	VMM_CALL(g, "frames_protect", cpu0(), 1);
	uint32_t directory = new_table(g, true), table = new_table(g, false), bad = new_table(g, false),
		 data = new_table(g, false);
	uint32_t text = page_walk(g->m, g->at.cr3, symbol("image_start")).machine >> 12;
	uint32_t late = new_table(g, false), vmm = page_walk(g->m, g->at.cr3, VMM_BASE).machine >> 12;
	physical_write(g->m, (directory << 12) + 4 * SLOT, &(uint32_t){ table << 12 | P | W | U }, 4);
	physical_write(g->m, table << 12, &(uint32_t){ data << 12 | P | W | U }, 4);
	physical_write(g->m, bad << 12, &(uint32_t){ vmm << 12 | P | U }, 4);
	lab1_set_word(g, cpu0() + ATTACHED, 1);
	int result = load(g, directory);
	CHECK(result == 0, "loading a good directory gives %d", result);
	g->at.cr3 = directory << 12;
	want_home(g, directory, false, "a directory that was loaded");
	want_home(g, table, false, "the page table of a directory that was loaded");
	want_home(g, data, true, "a page of data in a directory that was loaded");
	CHECK((result = update(g, directory, OTHER_SLOT, late << 12 | P | W | U)) == 0,
	      "a new page table in a loaded directory: %d", result);
	want_home(g, late, false, "a new page table in a loaded directory");
	CHECK((result = update(g, directory, OTHER_SLOT + 1, bad << 12 | P | W | U)) == -EPERM_,
	      "a page table with a bad entry: %d", result);
	want_home(g, bad, true, "a page table that was refused");
	CHECK((result = update(g, directory, OTHER_SLOT + 1, data << 12 | P | W | U)) == -EBUSY_,
	      "a page that is mapped writable, as page table: %d", result);
	want_home(g, data, true, "a page that was refused as page table");
	CHECK((result = update(g, directory, OTHER_SLOT + 1, text << 12 | P | U)) < 0,
	      "a page of the kernel's text as page table: %d", result);
	want_home(g, text, false, "a page of the kernel's text that was refused as page table");
	CHECK((result = update(g, directory, OTHER_SLOT, 0)) == 0, "taking a page table out of its directory: %d", result);
	CHECK((result = (int)VMM_CALL(g, "frames_release", cpu0(), late)) == 0, "releasing a page table: %d", result);
	want_home(g, late, true, "a page table that was released");
	VMM_CALL(g, "frames_protect", cpu0(), 1); /* as when a detach is rolled back */
	want_home(g, late, true, "a page table that was released, after protect");
	want_home(g, table, false, "a page table, after protect");
}

void lab1_live(const struct test *t)
{
	struct guest g = lab1_start_account();
	(void)t;
	live(&g);
	lab1_check_counts(&g, 1, "after all that");
}

/* In Bochs: the tables that warm-up has made read-only, then those of a machine that runs. */
void lab1_tlb(const struct test *t)
{
	struct guest g = lab1_start(
		&(struct machine_options){ .bochs = true, .mem = 32, .cmdline = "mode=virtual run=true" }, symbol("vmm_warm_up"));
	uint32_t tables[] = { kernel_word(g.m, "direct_map"), kernel_word(g.m, "kernel_directory"),
			      kernel_word(g.m, "kernel_map_tables") };
	(void)t;
	for (unsigned i = 0; i < 3; i++)
		CHECK(lab1_can_write(&g, tables[i]), "the kernel cannot write to %#x before warm-up", tables[i]);
	lab1_run_to(&g, symbol("files_init_console"));
	for (unsigned i = 0; i < 3; i++)
		CHECK(!lab1_can_write(&g, tables[i]),
		      "after warm-up the kernel can still write to its %s at %#x, whose home %#x is read-only: a stale "
		      "global TLB entry (exercise 8)",
		      i == 1 ? "directory" : "page table", tables[i], page_walk(g.m, g.at.cr3, tables[i]).pte);
	lab1_load_directory(&g);
	live(&g);
}
