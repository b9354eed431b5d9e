/* SPDX-License-Identifier: MIT */
/*
 * Exercises 3 to 5: address spaces that the debugger has made, filled and emptied, on a machine whose frames are shuffled
 * and that has no VMM yet; and programs that run there.
 */
#include "checks.h"

enum { PF_WRITE = 2, PROT_READ = 1, PROT_WRITE = 2, PROT_NONE = 0, LAST_PAGE = 0xBFFFF000, PAGES = 3 };
#define RW (PROT_READ | PROT_WRITE)

struct guest lab1_start_kernel(void)
{
	struct guest g = lab1_start(&(struct machine_options){ .p2m = judge_shuffle(1), .mem = 32, .modules = lab1_without_vmm() },
				    symbol("files_init_console"));
	lab1_learn_p2m(&g);
	return g;
}

struct lab1_mm lab1_mm(struct guest *g, uint32_t mm)
{
	struct lab1_mm copy;
	virtual_read(g->m, g->at.cr3, mm, &copy, sizeof(copy));
	return copy;
}

uint32_t lab1_free_frames(struct guest *g)
{
	return CALL(g, "frames_free") + CALL(g, "pools_idle") + CALL(g, "kmalloc_idle");
}

void lab1_check_released(struct guest *g, const char *what)
{
	enum { PREEMPT = 3, STACK_BYTES = 8192 }; /* fourth word of struct task */
	CHECK(kernel_word(g->m, "vo_uses") == 0,
	      "%s: the VO's use count is left at %u: vo_hold() or vo_batch_begin() without its end", what,
	      kernel_word(g->m, "vo_uses"));
	CHECK(lab1_word(g, (g->at.esp & -STACK_BYTES) + 4 * PREEMPT) == 0, "%s: preemption is left off", what);
}

static uint32_t make_mm(struct guest *g)
{
	uint32_t mm = CALL(g, "mm_create");
	CHECK(mm >= KERNEL_BASE, "mm_create() found no memory");
	return mm;
}

static void map(struct guest *g, uint32_t mm, uint32_t address, uint32_t bytes)
{
	uint32_t at = CALL(g, "mm_map", mm, address, bytes, RW, 0, 0, 0);
	CHECK(at == address, "mm_map(%#x) returns %#x", address, at);
}

static uint32_t machine_of(struct guest *g, uint32_t address) { return page_walk(g->m, g->at.cr3, address).machine; }

static bool owned(const struct guest *g, uint32_t mfn) { return mfn < g->nr_mfns && g->m2p[mfn] != (uint32_t)NO_FRAME; }

/* First and last pages, and some between. */
static uint32_t some_address(unsigned k)
{
	return k == 0 ? PAGE : k == 1 ? LAST_PAGE - (PAGES - 1) * PAGE : (uint32_t)(k << 28) + lab1_below(0x8000) * PAGE;
}

static void fault(struct guest *g, uint32_t mm, uint32_t address)
{
	int error = (int)CALL(g, "mm_fault", mm, address, PF_WRITE);
	CHECK(error == 0, "mm_fault(%#x) returns %d", address, error);
}

/* --- exercise 3: a table that is there is found; mm_protect() looks for it --- */

void lab1_walk(const struct test *t)
{
	struct guest g = lab1_start_kernel();
	uint32_t mm = make_mm(&g), directory = machine_of(&g, lab1_mm(&g, mm).directory);
	(void)t;
	for (unsigned k = 0; k < 6; k++) {
		uint32_t address = some_address(k), slot = address >> 22, first = address >> 12 & 1023;
		uint32_t table = lab1_alloc(&g), page = lab1_alloc(&g), words[1024] = { 0 },
			 expected;
		map(&g, mm, address, PAGES * PAGE);
		CALL(&g, "mm_protect", mm, address, PAGES * PAGE, PROT_READ); /* no table yet: nothing to do */
		words[first] = g.p2m[page] << 12 | P | W | U | A | D;
		expected = words[first] & ~(uint32_t)W & ~(uint32_t)D;
		physical_write(g.m, g.p2m[table] << 12, words, sizeof(words));
		physical_write(g.m, directory + 4 * slot, &(uint32_t){ g.p2m[table] << 12 | P | W | U }, 4);
		CALL(&g, "mm_protect", mm, address, PAGES * PAGE, PROT_READ | 4);
		for (unsigned i = 0; i < 1024; i++) {
			uint32_t pte = physical_word(g.m, (g.p2m[table] << 12) + 4 * i);
			CHECK((pte & ~(uint32_t)D) == (i == first ? expected : 0),
			      "address %#x, page directory at %#x, slot %#x, table in frame %#x (pfn %#x): "
			      "mm_protect() should find entry %#x and "
			      "make it read-only, %#x; but entry %#x is now %#x",
			      address, directory, slot, g.p2m[table], table, first, expected, i, pte);
		}
		lab1_check_released(&g, "mm_protect()");
	}
}

/* --- exercise 4: tables come on demand --- */

static void check_slots(struct guest *g, uint32_t mm, const char *when)
{
	struct lab1_mm copy = lab1_mm(g, mm);
	uint32_t directory = machine_of(g, copy.directory);
	for (unsigned slot = 0; slot < KERNEL_SLOT; slot++) {
		uint32_t pde = physical_word(g->m, directory + 4 * slot), bit = copy.slots[slot / 32] >> slot % 32 & 1;
		CHECK(!pde == !bit, "%s: directory slot %#x is %#x, but its bit in mm->slots is %u", when, slot, pde, bit);
		CHECK(!pde || (pde & 0xFFF & ~(A | D)) == (P | W | U),
		      "%s: directory slot %#x is %#x: expected present, writable, user and nothing else", when, slot, pde);
		CHECK(!pde || owned(g, pde >> 12),
		      "%s: directory slot %#x is %#x: frame %#x is not the kernel's (a pfn where an mfn belongs?)",
		      when, slot, pde, pde >> 12);
	}
}

void lab1_check_mm(struct guest *g, uint32_t mm, const char *when)
{
	struct lab1_mm copy = lab1_mm(g, mm);
	uint32_t directory = machine_of(g, copy.directory), entries = 0, table[1024];
	check_slots(g, mm, when);
	for (unsigned slot = 0; slot < KERNEL_SLOT; slot++) {
		uint32_t pde = physical_word(g->m, directory + 4 * slot);
		if (!pde)
			continue;
		physical_read(g->m, pde & -PAGE, table, sizeof(table));
		for (unsigned i = 0; i < 1024; i++) {
			CHECK(!table[i] || (owned(g, table[i] >> 12) && table[i] & U),
			      "%s: page %#x, directory slot %#x is %#x, entry %#x of the table is %#x: no frame of the "
			      "kernel's for a program",
			      when, slot << 22 | i << 12, slot, pde, i, table[i]);
			entries += table[i] != 0;
		}
	}
	CHECK(entries == copy.pages, "%s: mm->pages is %u, but %u entries hold a frame", when, copy.pages, entries);
}

/* A fault on a page, watched: the directory is changed by the VO alone, in one piece with its use count. */
static void watched_fault(struct guest *g, uint32_t mm, uint32_t address)
{
	static const char *const names[] = { "native_mmu_set_pte", "native_mmu_set_ptes" };
	uint32_t at = lab1_mm(g, mm).directory + (address >> 22) * 4;
	bool seen = false;
	lab1_watch(g, names, 2, true);
	lab1_begin(g, symbol("mm_fault"), ARGUMENTS(mm, address, PF_WRITE));
	while (lab1_next(g)) {
		CHECK(kernel_word(g->m, "vo_uses") > 0, "the VO stores an entry while its use count is 0: the mode "
							"could change between pfn_to_mfn() and the store");
		seen |= lab1_argument(g, 0) == at;
	}
	CHECK(lab1_end(g) == 0, "mm_fault(%#x) fails", address);
	lab1_watch(g, names, 2, false);
	CHECK(seen, "directory slot %#x was not stored by VO(mmu, set_pte): in virtual mode a store by hand faults",
	      address >> 22);
}

/* With no frame for a table: -ENOMEM, and nothing has changed. */
static void no_memory(struct guest *g, uint32_t mm, uint32_t address)
{
	static const char *const names[] = { "table_take" };
	lab1_watch(g, names, 1, true);
	lab1_begin(g, symbol("mm_fault"), ARGUMENTS(mm, address, PF_WRITE));
	CHECK(lab1_next(g), "mm_fault(%#x) did not ask table_take() for a table", address);
	lab1_return(g, NO_FRAME);
	while (lab1_next(g))
		;
	int error = (int)lab1_end(g);
	lab1_watch(g, names, 1, false);
	CHECK(error == -ENOMEM_, "with table_take() out of memory mm_fault() returns %d instead of %d (-ENOMEM)", error,
	      -ENOMEM_);
	check_slots(g, mm, "after table_take() had no memory");
	lab1_check_released(g, "after table_take() had no memory");
}

void lab1_tables(const struct test *t)
{
	struct guest g = lab1_start_kernel();
	uint32_t before = lab1_free_frames(&g), mm = make_mm(&g), directory = machine_of(&g, lab1_mm(&g, mm).directory), at;
	(void)t;
	for (unsigned k = 0; k < 6; k++) {
		uint32_t address = some_address(k), slot = address >> 22;
		char when[60];
		snprintf(when, sizeof(when), "after a fault at %#x", address);
		map(&g, mm, address, PAGES * PAGE);
		no_memory(&g, mm, address);
		watched_fault(&g, mm, address);
		CHECK(lab1_entry(&g, directory, address, &at) & P,
		      "%s: page directory at %#x, slot %#x is %#x: the page is not there", when, directory, slot,
		      physical_word(g.m, directory + 4 * slot));
		uint32_t table = at & -PAGE;
		if (address >> 22 == (address + PAGE) >> 22) {
			fault(&g, mm, address + PAGE);
			lab1_entry(&g, directory, address + PAGE, &at);
			CHECK((at & -PAGE) == table, "the second page of slot %#x got a table of its own", slot);
		}
		lab1_check_mm(&g, mm, when);
		lab1_check_released(&g, when);
	}
	CALL(&g, "mm_destroy", mm);
	CHECK(lab1_free_frames(&g) == before, "%d frames are lost when an address space ends",
	      (int)(before - lab1_free_frames(&g)));
}

/* --- a program's tables, whenever an address space ends --- */

void lab1_program(const struct test *t)
{
	(void)t;
	struct guest g = lab1_start(&(struct machine_options){ .p2m = judge_shuffle(2), .mem = 32, .modules = lab1_without_vmm(),
				    .cmdline = "run=\"ls /bin | wc; echo a; cat /etc/motd\"" }, symbol("mm_destroy"));
	lab1_learn_p2m(&g);
	for (unsigned k = 0; k < 6; k++) {
		char when[60];
		snprintf(when, sizeof(when), "address space %u at its end", k);
		lab1_check_mm(&g, lab1_argument(&g, 0), when);
		lab1_run_to(&g, symbol("mm_destroy"));
	}
}
