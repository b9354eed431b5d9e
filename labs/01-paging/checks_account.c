/* SPDX-License-Identifier: MIT */
/*
 * Exercises 9 to 11: the phase `account`, called again and again on page tables of the check's own, into which it has poked one
 * entry each time.
 */
#include "checks.h"

enum { LOADED = 32 }; /* struct vmm_loaded lies so far below the stack pointer */

uint32_t lab1_new_frame(struct guest *g)
{
	static const uint32_t zeros[1024];
	uint32_t mfn = g->p2m[lab1_alloc(g)];
	physical_write(g->m, mfn << 12, zeros, sizeof(zeros));
	return mfn;
}

void lab1_load_directory(struct guest *g)
{
	static const uint32_t slots[] = { 0x20, KERNEL_SLOT - 1 };
	lab1_learn_p2m(g);
	uint32_t directory = lab1_new_frame(g), upper[1024 - KERNEL_SLOT];
	physical_read(g->m, (g->at.cr3 & -PAGE) + 4 * KERNEL_SLOT, upper, sizeof(upper));
	physical_write(g->m, (directory << 12) + 4 * KERNEL_SLOT, upper, sizeof(upper));
	for (unsigned i = 0; i < 2; i++) {
		uint32_t table = lab1_new_frame(g);
		physical_write(g->m, (directory << 12) + 4 * slots[i], &(uint32_t){ table << 12 | P | W | U }, 4);
		physical_write(g->m, (table << 12) + 40, &(uint32_t){ lab1_new_frame(g) << 12 | P | W | U }, 4);
		physical_write(g->m, (table << 12) + 80, &(uint32_t){ lab1_new_frame(g) << 12 | P | U }, 4);
	}
	CALL(g, "native_mmu_load_directory", directory);
	g->at.cr3 = directory << 12;
}

struct guest lab1_start_account(void)
{
	struct guest g = lab1_start(
		&(struct machine_options){ .p2m = judge_shuffle(5), .mem = 32, .cmdline = "mode=virtual run=true" },
		symbol("files_init_console"));
	lab1_load_directory(&g);
	return g;
}

int lab1_account(struct guest *g)
{
	uint32_t loaded = g->at.esp - LOADED;
	lab1_set_word(g, loaded, 1);
	lab1_set_word(g, loaded + 4, g->at.cr3 >> 12);
	VMM_CALL(g, "frames_forget");
	return (int)VMM_CALL(g, "frames_account", vmm_symbol("vmm_cpus"), loaded);
}

static struct lab1_frame frame_of(struct guest *g, uint32_t mfn)
{
	struct lab1_frame f;
	virtual_read(g->m, g->at.cr3, lab1_vmm_word(g, "frames") + mfn * sizeof(f), &f, sizeof(f));
	return f;
}

/* The user tables of the directory, in the order of their slots. */
struct tables { uint32_t n, slot[KERNEL_SLOT], mfn[KERNEL_SLOT]; };

static struct tables find_tables(struct guest *g)
{
	struct tables t = { 0 };
	for (uint32_t slot = 0; slot < KERNEL_SLOT; slot++) {
		uint32_t pde = physical_word(g->m, (g->at.cr3 & -PAGE) + 4 * slot);
		if (pde & P)
			t.slot[t.n] = slot, t.mfn[t.n++] = pde >> 12;
	}
	return t;
}

static uint32_t free_entry(struct guest *g, uint32_t table, bool last)
{
	uint32_t i = last ? 1023 : 0;
	while (physical_word(g->m, (table << 12) + 4 * i))
		i += last ? -1u : 1;
	return (table << 12) + 4 * i;
}

/* Account with another word at a machine address; the result must be so, the counts right, and all well again afterwards. */
static void try(struct guest *g, uint32_t at, uint32_t entry, int want, const char *what)
{
	uint32_t old = physical_word(g->m, at);
	char when[200];
	physical_write(g->m, at, &entry, 4);
	int result = lab1_account(g);
	snprintf(when, sizeof(when), "%s (entry %#x at machine address %#x)", what, entry, at);
	CHECK(want == 0 ? result > 0 : result == want, "%s: account gives %d, expected %s%d", when, result,
	      want ? "" : "no error, above ", want);
	lab1_check_counts(g, want == 0, when);
	physical_write(g->m, at, &old, 4);
}

static void check_clean(struct guest *g)
{
	int result = lab1_account(g);
	CHECK(result > 0, "account of good tables gives %d", result);
	lab1_check_counts(g, 1, "account of good tables");
	struct lab1_frame f = frame_of(g, g->at.cr3 >> 12);
	CHECK(TYPE(f) == DIRECTORY && COUNT(f) == 1, "the loaded directory (frame %#x) is %s with count %u",
	      g->at.cr3 >> 12, lab1_type(TYPE(f)), COUNT(f));
	struct tables t = find_tables(g);
	for (unsigned i = 0; i < t.n; i++) {
		f = frame_of(g, t.mfn[i]);
		CHECK(TYPE(f) == TABLE && COUNT(f) == 1, "page table %#x (slot %#x) is %s with count %u", t.mfn[i],
		      t.slot[i], lab1_type(TYPE(f)), COUNT(f));
	}
	CHECK((unsigned)result == t.n + 1, "account counts %d frames: expected the directory and %u tables", result, t.n);
}

static uint32_t shared_table(struct guest *g)
{
	return physical_word(g->m, (g->at.cr3 & -PAGE) + 4 * (KERNEL_SLOT + 1)) >> 12;
}

static uint32_t hole(const struct guest *g) /* a frame below nr_mfns that nobody owns */
{
	uint32_t mfn = 0xA0;
	CHECK(g->m2p[mfn] == (uint32_t)NO_FRAME, "frame %#x, below 1 MiB, belongs to the kernel", mfn);
	return mfn;
}

void lab1_entries(const struct test *t)
{
	struct guest g = lab1_start_account();
	struct tables tables = find_tables(&g);
	uint32_t data = lab1_new_frame(&g), vmm = page_walk(g.m, g.at.cr3, VMM_BASE).machine >> 12;
	const struct { uint32_t mfn, flags; int want; const char *what; } tries[] = {
		{ data, P | W | U, 0, "a writable page" },
		{ data, P | U, 0, "a read-only page" },
		{ data, P | W, 0, "a page for the kernel alone" },
		{ data, P | W | U | 0x18 | A | D | G | 0xE00, 0, "all flags that are allowed" },
		{ vmm, 0xFFE, 0, "an entry that is not present, of a frame of the VMM's" },
		{ 0xFFFFF, 0xFFE, 0, "an entry that is not present, of all ones" },
		{ vmm, P | U, -EPERM_, "a read-only page of the VMM's" },
		{ vmm + 1, P | W | U, -EPERM_, "a writable page of the VMM's" },
		{ hole(&g), P | U, -EPERM_, "a frame in a hole of the memory map" },
		{ g.nr_mfns, P | W, -EPERM_, "the first frame behind memory" },
		{ 0xFEE00, P | W | 0x18, -EPERM_, "the local APIC" },
		{ 0xFFFFF, P, -EPERM_, "the last frame that there is" },
		{ data, P | U | 0x80, -EINVAL_, "a bit that no entry may have" },
		{ tables.mfn[0], P | U, 0, "a read-only mapping of the page table itself" },
		{ shared_table(&g), P, 0, "a read-only mapping of a table of the kernel's" },
		{ shared_table(&g), P | W | U, -EBUSY_, "a writable mapping of a table of the kernel's" },
		{ g.at.cr3 >> 12, P | W | U, -EBUSY_, "a writable mapping of the page directory" },
	};
	(void)t;
	check_clean(&g);
	for (unsigned i = 0; i < sizeof(tries) / sizeof(*tries); i++)
		try(&g, free_entry(&g, tables.mfn[i % 2 ? 0 : tables.n - 1], i % 3 == 0),
		    tries[i].mfn << 12 | tries[i].flags, tries[i].want, tries[i].what);
	check_clean(&g);
}

/* After an error nothing refers to the frames of this directory any more, but for tables that others could share. */
static void check_released(struct guest *g, const char *what)
{
	struct lab1_frame f = frame_of(g, g->at.cr3 >> 12);
	CHECK(TYPE(f) == WRITABLE, "%s: account failed, but the directory is still %s", what, lab1_type(TYPE(f)));
	struct tables t = find_tables(g);
	for (unsigned i = 0; i < t.n; i++) {
		f = frame_of(g, t.mfn[i]);
		CHECK(f.generation != lab1_vmm_word(g, "generation") || TYPE(f) == WRITABLE || COUNT(f) == 0,
		      "%s: account failed, but table %#x still counts %u directory entries", what, t.mfn[i], COUNT(f));
	}
}

void lab1_directories(const struct test *t)
{
	struct guest g = lab1_start_account();
	struct tables tables = find_tables(&g);
	uint32_t directory = g.at.cr3 & -PAGE, extra = lab1_new_frame(&g), data = lab1_new_frame(&g), last = tables.mfn[tables.n - 1];
	uint32_t free_slot = KERNEL_SLOT - 5, vmm = page_walk(g.m, g.at.cr3, VMM_BASE).machine >> 12, at;
	const struct { uint32_t slot, pde; int want; const char *what; } tries[] = {
		{ free_slot, extra << 12 | P | W | U, 0, "one more page table" },
		{ free_slot, tables.mfn[0] << 12 | P | W | U, 0, "a page table in two slots" },
		{ free_slot, vmm << 12 | P | W | U, -EPERM_, "a page table in a frame of the VMM's" },
		{ free_slot, extra << 12 | P | W | U | PS, -EINVAL_, "a 4 MiB page" },
		{ free_slot, directory | P | W | U, -EBUSY_, "the directory as its own page table" },
		{ free_slot, shared_table(&g) << 12 | P | W | U, -EBUSY_, "a table of the kernel's in the user part" },
		{ KERNEL_SLOT + 2, extra << 12 | P | W, -EPERM_, "another table in the kernel's part" },
		{ 1023, 0, -EPERM_, "the VMM's last table left out" },
	};
	(void)t;
	check_clean(&g);
	for (unsigned i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
		try(&g, directory + 4 * tries[i].slot, tries[i].pde, tries[i].want, tries[i].what);
		if (tries[i].want)
			check_released(&g, tries[i].what);
	}
	/* a new table, bad in its first or last place, behind good entries */
	for (unsigned entry = 0; entry < 1024; entry += 1023) {
		physical_write(g.m, (extra << 12) + 4 * (1023 - entry), &(uint32_t){ data << 12 | P | W | U }, 4);
		physical_write(g.m, directory + 4 * free_slot, &(uint32_t){ extra << 12 | P | W | U }, 4);
		try(&g, (extra << 12) + 4 * entry, vmm << 12 | P, -EPERM_, "a bad entry in the last table");
		check_released(&g, "a bad entry in the last table");
		physical_write(g.m, (extra << 12) + 4 * (1023 - entry), &(uint32_t){ 0 }, 4);
		physical_write(g.m, directory + 4 * free_slot, &(uint32_t){ 0 }, 4);
	}
	at = free_entry(&g, last, true);
	try(&g, at, vmm << 12 | P, -EPERM_, "a bad entry in the stack's table");
	check_clean(&g);
}

void lab1_aliases(const struct test *t)
{
	struct guest g = lab1_start_account();
	struct tables tables = find_tables(&g);
	uint32_t directory = g.at.cr3 & -PAGE, first = tables.mfn[0], last = tables.mfn[tables.n - 1];
	uint32_t shared_page = page_walk(g.m, g.at.cr3, symbol("vmm_shared")).machine >> 12;
	uint32_t text = page_walk(g.m, g.at.cr3, symbol("image_start")).machine >> 12;
	uint32_t slot = directory + 4 * (KERNEL_SLOT - 6);
	(void)t;
	check_clean(&g);
	try(&g, free_entry(&g, last, false), first << 12 | P | W | U, -EBUSY_,
	    "a writable mapping of a page table that was checked before");
	try(&g, free_entry(&g, first, false), last << 12 | P | W | U, -EBUSY_,
	    "a writable mapping of a page table that is checked later");
	try(&g, free_entry(&g, first, true), first << 12 | P | W | U, -EBUSY_, "a page table that maps itself writable");
	try(&g, free_entry(&g, first, true), last << 12 | P | U, 0, "a read-only mapping of another page table");
	try(&g, slot, shared_page << 12 | P | W | U, -EBUSY_, "a page to which the VMM writes as page table");
	uint32_t old = physical_word(g.m, slot);
	physical_write(g.m, slot, &(uint32_t){ text << 12 | P | U }, 4); /* mapped writable nowhere: its entries decide */
	int result = lab1_account(&g);
	CHECK(result == -EPERM_ || result == -EINVAL_,
	      "a page of the kernel's text as page table: account gives %d; no mapping of it is writable, "
	      "so its entries should be looked at, and they are bad",
	      result);
	lab1_check_counts(&g, 0, "a page of the kernel's text as page table");
	physical_write(g.m, slot, &old, 4);
	check_clean(&g);
}
