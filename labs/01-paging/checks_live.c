/* SPDX-License-Identifier: MIT */
/*
 * Exercises 6 and 9 to 12 together: page tables must be writable nowhere, neither in memory nor
 * through the TLB. QEMU drops the whole TLB with each load of CR3. Bochs, like a real processor,
 * keeps global entries, so only there it shows what a flush has left.
 */
#include "checks.h"

enum { SLOT = 0x100, OTHER_SLOT = 0x101, THIRD_SLOT = 0x102 }; /* free user slots */

static void protect(struct guest *g, bool on)
{
	VMM_CALL(g, "frames_protect", cpu0(), on);
}

/* By mfn: whether it is a page table or directory now. */
static bool *find_typed(struct guest *g)
{
	struct entry *frames = read_frames(g);
	uint32_t generation = vmm_generation(g);
	bool *typed = calloc(ALL_FRAMES, sizeof(*typed));
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++) {
		const struct entry *f = &frames[mfn];
		bool now = f->type != WRITABLE && f->generation == generation;
		typed[mfn] = f->type == SHARED || now;
	}
	free(frames);
	return typed;
}

/* --- tables that come to be while the VMM runs --- */

/* An empty frame that the TLB knows as writable at its home. */
static uint32_t new_writable(struct guest *g)
{
	uint32_t mfn = new_frame(g);
	CHECK(can_write(g, home_address(g, mfn)), "the kernel cannot write to a free frame (%#x)",
	      mfn);
	return mfn;
}

/* The same as a directory: it has the kernel's upper part. */
static uint32_t new_directory(struct guest *g)
{
	uint32_t mfn = new_frame(g), upper[1024 - KERNEL_SLOT], at = KERNEL_SLOT * 4;
	physical_read(g->m, (g->c.cr3 & -PAGE) + at, upper, sizeof(upper));
	physical_write(g->m, (mfn << 12) + at, upper, sizeof(upper));
	CHECK(can_write(g, home_address(g, mfn)), "the kernel cannot write to a free frame (%#x)",
	      mfn);
	return mfn;
}

static void want_home(struct guest *g, uint32_t mfn, bool writable, const char *what)
{
	uint32_t entry = home_entry(g, g->m2p[mfn]), address = home_address(g, mfn);
	CHECK(!(entry & W) == !writable, "%s: its entry in the direct map is %#x: expected %s",
	      what, entry, writable ? "writable" : "read-only");
	bool can = can_write(g, address);
	CHECK(can == writable,
	      "%s: its entry in the direct map is %#x, yet the kernel %s write to it at %#x: %s",
	      what, entry, can ? "can still" : "cannot", address,
	      can ? "a stale TLB entry (exercise 11: which flush drops global entries?)"
		  : "no flush");
}

/* Store a directory entry as the hypercall HC_UPDATE does. */
static int update(struct guest *g, uint32_t directory, uint32_t slot, uint32_t pde)
{
	uint32_t values = g->c.esp - 16;
	set_word(g, values, pde);
	return (int)VMM_CALL(g, "frames_update", cpu0(), (directory << 12) + 4 * slot, values, 1);
}

/* No page table or directory is writable at its home: the TLBs are being flushed. */
static void want_no_way_back(struct guest *g)
{
	bool *typed = find_typed(g);
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++) {
		uint32_t entry = typed[mfn] ? home_entry(g, g->m2p[mfn]) : 0;
		CHECK(!(entry & W),
		      "frame %#x has become a page table or directory; now the TLBs are flushed, "
		      "but its entry in the direct map is still %#x, so it can come back at once",
		      mfn, entry);
	}
	free(typed);
}

/*
 * Load a directory for the first time. Whenever the TLBs are flushed, what has become a table must
 * be read-only already.
 */
static int load(struct guest *g, uint32_t directory)
{
	static const char *const names[] = { "flush_everywhere" };
	if (g->m->o.bochs)
		return (int)VMM_CALL(g, "frames_load", cpu0(), directory);
	watch(g, names, 1, true);
	call_begin(g, vmm_symbol("frames_load"), WORDS(cpu0(), directory));
	while (call_next(g))
		want_no_way_back(g);
	watch(g, names, 1, false);
	return (int)call_end(g);
}

/* Frames of this check. late: a page table that is entered later; bad: one with a bad entry. */
struct cast { uint32_t directory, table, bad, data, late; };

static struct cast choose_cast(struct guest *g)
{
	struct cast c = { .directory = new_directory(g), .table = new_writable(g),
			  .bad = new_writable(g), .data = new_writable(g),
			  .late = new_writable(g) };
	uint32_t vmm = page_walk(g->m, g->c.cr3, VMM_BASE).machine >> 12;
	physical_write(g->m, (c.directory << 12) + 4 * SLOT,
		       &(uint32_t){ c.table << 12 | P | W | U }, 4);
	physical_write(g->m, c.table << 12, &(uint32_t){ c.data << 12 | P | W | U }, 4);
	physical_write(g->m, c.bad << 12, &(uint32_t){ vmm << 12 | P | U }, 4);
	return c;
}

static void want_result(int got, int want, const char *what)
{
	CHECK(got == want, "%s: gives %s, expected %s", what, error_text(got), error_text(want));
}

/* New tables in the loaded directory, good and bad, and one that goes again. */
static void change_tables(struct guest *g, const struct cast *c)
{
	uint32_t text = page_walk(g->m, g->c.cr3, symbol("image_start")).machine >> 12;
	uint32_t directory = c->directory, flags = P | W | U;

	int result = update(g, directory, OTHER_SLOT, c->late << 12 | flags);
	want_result(result, 0, "a new page table in a loaded directory");
	want_home(g, c->late, false, "a new page table in a loaded directory");
	result = update(g, directory, THIRD_SLOT, c->bad << 12 | flags);
	want_result(result, -EPERM, "a page table with a bad entry");
	want_home(g, c->bad, true, "a page table that was refused");
	result = update(g, directory, THIRD_SLOT, c->data << 12 | flags);
	want_result(result, -EBUSY, "a page that is mapped writable, as page table");
	want_home(g, c->data, true, "a page that was refused as page table");
	result = update(g, directory, THIRD_SLOT, text << 12 | P | U);
	CHECK(result < 0, "a page of the kernel's text as page table: gives %s, expected "
	      "an error of its entries", error_text(result));
	want_home(g, text, false, "a page of the kernel's text that was refused as page table");

	result = update(g, directory, OTHER_SLOT, 0);
	want_result(result, 0, "taking a page table out of its directory");
	result = (int)VMM_CALL(g, "frames_release", cpu0(), c->late);
	want_result(result, 0, "releasing a page table");
	want_home(g, c->late, true, "a page table that was released");
	protect(g, true); /* as when a detach is rolled back */
	want_home(g, c->late, true, "a page table that was released, after protect");
}

/* As in virtual mode: tables and directories come to be while the machine runs. */
static void live(struct guest *g)
{
	int frames = account(g);
	CHECK(frames > 0, "account of good tables gives %s, expected the number of frames",
	      error_text(frames));
	protect(g, true);
	struct cast c = choose_cast(g);
	set_word(g, cpu0() + CPU_ATTACHED, 1);
	int result = load(g, c.directory);
	want_result(result, 0, "loading a good directory");
	g->c.cr3 = c.directory << 12;
	want_home(g, c.directory, false, "a directory that was loaded");
	want_home(g, c.table, false, "the page table of a directory that was loaded");
	want_home(g, c.data, true, "a page of data in a directory that was loaded");
	change_tables(g, &c);
	want_home(g, c.table, false, "a page table, after protect");
}

void check_live(const struct test *t)
{
	struct guest g = start_account();
	(void)t;
	live(&g);
	want_counts(&g, 1, "after all that");
}

/*
 * In Bochs: first the tables that warm-up has made read-only, then those that come to be while the
 * machine runs.
 */
void check_tlb(const struct test *t)
{
	struct machine_options o = { .bochs = true, .mem = 32, .cmdline = "mode=virtual run=true" };
	struct guest g = start_at(&o, symbol("vmm_warm_up"));
	const struct { const char *what; uint32_t at; } tables[] = {
		{ "page table", kernel_word(g.m, "direct_map") },
		{ "directory", kernel_word(g.m, "kernel_directory") },
		{ "page table", kernel_word(g.m, "kernel_map_tables") },
	};
	(void)t;
	for (unsigned i = 0; i < LENGTH(tables); i++)
		CHECK(can_write(&g, tables[i].at), "the kernel cannot write to %#x before warm-up",
		      tables[i].at);
	run_to(&g, symbol("files_init_console"));
	for (unsigned i = 0; i < LENGTH(tables); i++) {
		uint32_t home = page_walk(g.m, g.c.cr3, tables[i].at).pte;
		CHECK(!can_write(&g, tables[i].at),
		      "exercise 8 leaves a %s: after warm-up the kernel can still write to its %s "
		      "at %#x, whose home is %#x, %s",
		      home & W ? "writable home" : "stale global TLB entry", tables[i].what,
		      tables[i].at, home, home & W ? "writable" : "read-only");
	}
	load_own_directory(&g);
	live(&g);
}
