/* SPDX-License-Identifier: MIT */
/*
 * Exercises 9 to 11 together: the phase `account`, called again and again on page tables of the
 * check's own, of which one entry is another each time.
 */
#include "checks.h"

enum { BELOW_STACK = 32 }; /* struct vmm_loaded lies as many bytes below the stack pointer */

void load_own_directory(struct guest *g)
{
	static const uint32_t slots[] = { 0x20, KERNEL_SLOT - 1 };
	static const uint8_t cli[] = { 0xFA };
	run_here(g, cli, sizeof(cli)); /* a tick would use the local APIC, which account unmaps */
	learn_p2m(g);
	uint32_t mfn = new_frame(g), directory = mfn << 12, upper[1024 - KERNEL_SLOT];
	physical_read(g->m, (g->c.cr3 & -PAGE) + 4 * KERNEL_SLOT, upper, sizeof(upper));
	physical_write(g->m, directory + 4 * KERNEL_SLOT, upper, sizeof(upper));
	for (unsigned i = 0; i < LENGTH(slots); i++) {
		uint32_t table = new_frame(g) << 12;
		set_physical(g, directory + 4 * slots[i], table | P | W | U);
		set_physical(g, table + 4 * 10, new_frame(g) << 12 | P | W | U);
		set_physical(g, table + 4 * 20, new_frame(g) << 12 | P | U);
	}
	CALL(g, "native_mmu_load_directory", mfn);
	g->c.cr3 = directory;
}

struct guest start_account(void)
{
	struct guest g = start_stock();
	judge_cause = look_at_each;
	load_own_directory(&g);
	return g;
}

int account(struct guest *g)
{
	uint32_t loaded = g->c.esp - BELOW_STACK; /* struct vmm_loaded: one directory, this one */
	set_words(g, loaded, WORDS(1, g->c.cr3 >> 12));
	VMM_CALL(g, "frames_forget", vmm_symbol("domain0"));
	return (int)VMM_CALL(g, "frames_account", vmm_symbol("vmm_cpus"), loaded);
}

/* The user tables of the loaded directory, in the order of their slots. */
struct tables { uint32_t n, slot[KERNEL_SLOT], mfn[KERNEL_SLOT]; };

static struct tables find_tables(struct guest *g)
{
	struct tables t = { 0 };
	for (uint32_t slot = 0; slot < KERNEL_SLOT; slot++) {
		uint32_t pde = physical_word(g->m, (g->c.cr3 & -PAGE) + 4 * slot);
		if (pde & P)
			t.slot[t.n] = slot, t.mfn[t.n++] = pde >> 12;
	}
	return t;
}

/* Machine address of the first or last entry that is 0. */
static uint32_t free_entry(struct guest *g, uint32_t table, bool last)
{
	uint32_t i = last ? 1023 : 0;
	while (physical_word(g->m, (table << 12) + 4 * i))
		i += last ? -1u : 1;
	return (table << 12) + 4 * i;
}

/*
 * Account with another word at a machine address. want: the result, where 0 stands for any that is
 * no error. The counts must be right; then the old word is there again.
 */
static void try(struct guest *g, uint32_t at, uint32_t entry, int want, const char *what)
{
	uint32_t old = physical_word(g->m, at);
	char when[200];
	set_physical(g, at, entry);
	int result = account(g);
	snprintf(when, sizeof(when), "%s (entry %#x at machine address %#x)", what, entry, at);
	CHECK(want == 0 ? result > 0 : result == want, "%s: account gives %s, expected %s", when,
	      error_text(result), want ? error_text(want) : "a number of frames");
	want_counts(g, want == 0, when);
	set_physical(g, at, old);
}

static void want_clean(struct guest *g)
{
	int result = account(g);
	CHECK(result > 0, "account of good tables gives %s, expected the number of frames, %u",
	      error_text(result), find_tables(g).n + 1);
	want_counts(g, 1, "account of good tables");
	struct entry f = read_frame(g, g->c.cr3 >> 12);
	CHECK(f.type == DIRECTORY && f.count == 1,
	      "the loaded directory (frame %#x) is %s with count %u", g->c.cr3 >> 12,
	      type_name(f.type), f.count);
	struct tables t = find_tables(g);
	for (unsigned i = 0; i < t.n; i++) {
		f = read_frame(g, t.mfn[i]);
		CHECK(f.type == TABLE && f.count == 1,
		      "page table %#x (slot %#x) is %s with count %u", t.mfn[i], t.slot[i],
		      type_name(f.type), f.count);
	}
	CHECK((unsigned)result == t.n + 1,
	      "account counts %d frames: expected the directory and %u tables", result, t.n);
}

/* The frame of a virtual address. */
static uint32_t frame_at(struct guest *g, uint32_t address)
{
	return page_walk(g->m, g->c.cr3, address).machine >> 12;
}

/* --- a whole directory, or nothing of it --- */

/*
 * After an error nothing refers to the frames of the directory any more. (Tables that another
 * directory could share may keep their type.)
 */
static void want_forgotten(struct guest *g, const char *what)
{
	struct entry f = read_frame(g, g->c.cr3 >> 12);
	CHECK(f.type == WRITABLE, "%s: account failed, but the directory is still %s", what,
	      type_name(f.type));
	struct tables t = find_tables(g);
	for (unsigned i = 0; i < t.n; i++) {
		f = read_frame(g, t.mfn[i]);
		CHECK(f.generation != vmm_generation(g) || f.type == WRITABLE || f.count == 0,
		      "%s: account failed, but table %#x still counts %u directory entries", what,
		      t.mfn[i], f.count);
	}
}

/* A new table, bad in its first or last entry, after or before a good one. */
static void try_new_table(struct guest *g, uint32_t pde_at, uint32_t table, unsigned bad,
			  uint32_t bad_entry, uint32_t good_entry)
{
	static const char what[] = "a bad entry in the last table";
	uint32_t good_at = (table << 12) + 4 * (1023 - bad);
	set_physical(g, good_at, good_entry);
	set_physical(g, pde_at, table << 12 | P | W | U);
	try(g, (table << 12) + 4 * bad, bad_entry, -EPERM, what);
	want_forgotten(g, what);
	set_physical(g, good_at, 0);
	set_physical(g, pde_at, 0);
}

static void try_directories(struct guest *g)
{
	struct tables tables = find_tables(g);
	uint32_t directory = g->c.cr3 & -PAGE, extra = new_frame(g), data = new_frame(g);
	uint32_t vmm = frame_at(g, VMM_BASE), last = tables.mfn[tables.n - 1];
	uint32_t shared = physical_word(g->m, directory + 4 * (KERNEL_SLOT + 1)) >> 12;
	const uint32_t flags = P | W | U, slot = KERNEL_SLOT - 5; /* a free one */
	const struct { uint32_t slot, pde; int want; const char *what; } tries[] = {
		{ slot, extra << 12 | flags, 0, "one more page table" },
		{ slot, tables.mfn[0] << 12 | flags, 0, "a page table in two slots" },
		{ slot, vmm << 12 | flags, -EPERM, "a page table in a frame of the VMM's" },
		{ slot, extra << 12 | flags | PS, -EINVAL, "a 4 MiB page" },
		{ slot, directory | flags, -EBUSY, "the directory as its own page table" },
		{ slot, shared << 12 | flags, -EBUSY, "a table of the kernel's in the user part" },
		{ KERNEL_SLOT + 2, extra << 12 | P | W, -EPERM,
		  "another table in the kernel's part" },
		{ 1023, 0, -EPERM, "the VMM's last table left out" },
	};
	for (unsigned i = 0; i < LENGTH(tries); i++) {
		try(g, directory + 4 * tries[i].slot, tries[i].pde, tries[i].want, tries[i].what);
		if (tries[i].want)
			want_forgotten(g, tries[i].what);
	}
	set_physical(g, directory + 4 * (slot - 1), extra << 12 | P | U);
	try(g, directory + 4 * slot, vmm << 12 | flags, -EPERM,
	    "a page table that is read-only, then one in a frame of the VMM's");
	want_forgotten(g, "a page table that is read-only, then one in a frame of the VMM's");
	set_physical(g, directory + 4 * (slot - 1), 0);
	for (unsigned bad = 0; bad < 1024; bad += 1023)
		try_new_table(g, directory + 4 * slot, extra, bad, vmm << 12 | P,
			      data << 12 | flags);
	try(g, free_entry(g, last, true), vmm << 12 | P, -EPERM,
	    "a bad entry in the stack's table");
}

/* --- aliases --- */

/* Text is mapped writable nowhere, so it could become a page table: its entries decide. */
static void try_text(struct guest *g, uint32_t at)
{
	uint32_t old = physical_word(g->m, at);
	set_physical(g, at, frame_at(g, symbol("image_start")) << 12 | P | U);
	int result = account(g);
	CHECK(result == -EPERM || result == -EINVAL,
	      "a page of the kernel's text as page table: account gives %s; no mapping of it is "
	      "writable, so its entries should be looked at, and they are bad", error_text(result));
	want_counts(g, 0, "a page of the kernel's text as page table");
	set_physical(g, at, old);
}

static void try_aliases(struct guest *g)
{
	struct tables tables = find_tables(g);
	uint32_t directory = g->c.cr3 & -PAGE, slot_at = directory + 4 * (KERNEL_SLOT - 6);
	uint32_t first = tables.mfn[0], last = tables.mfn[tables.n - 1];
	const uint32_t flags = P | W | U;
	try(g, free_entry(g, last, false), first << 12 | flags, -EBUSY,
	    "a writable mapping of a page table that was checked before");
	try(g, free_entry(g, first, false), last << 12 | flags, -EBUSY,
	    "a writable mapping of a page table that is checked later");
	try(g, free_entry(g, first, true), first << 12 | flags, -EBUSY,
	    "a page table that maps itself writable");
	try(g, free_entry(g, first, true), last << 12 | P | U, 0,
	    "a read-only mapping of another page table");
	try(g, slot_at, frame_at(g, symbol("vmm_shared")) << 12 | flags, -EBUSY,
	    "a page to which the VMM writes as page table");
	try_text(g, slot_at);
}

void check_aliases(const struct test *t)
{
	struct guest g = start_account();
	(void)t;
	want_clean(&g);
	try_directories(&g);
	try_aliases(&g);
	want_clean(&g);
}
