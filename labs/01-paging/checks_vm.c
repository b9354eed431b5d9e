/* SPDX-License-Identifier: MIT */
/*
 * Exercises 3 to 5: address spaces that the check makes, fills and empties by calls, on a machine
 * whose frames are shuffled and that has no VMM yet; and programs that run there.
 */
#include "checks.h"

enum { PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4 };
enum { LAST_PAGE = 0xBFFFF000, PAGES = 3, TRIES = 6 };

struct guest start_kernel(void)
{
	struct machine_options o = { .p2m = judge_shuffle(1), .mem = 32, .modules = without_vmm() };
	struct guest g = start_at(&o, symbol("files_init_console"));
	learn_p2m(&g);
	return g;
}

struct mm_copy read_mm(struct guest *g, uint32_t mm)
{
	struct mm_copy copy = { .directory = word_at(g, mm + MM_DIRECTORY),
				.pages = word_at(g, mm + MM_PAGES) };
	virtual_read(g->m, g->c.cr3, mm + MM_SLOTS, copy.slots, sizeof(copy.slots));
	return copy;
}

uint32_t free_frames(struct guest *g)
{
	return CALL(g, "frames_free") + CALL(g, "pools_idle") + CALL(g, "kmalloc_idle");
}

void want_released(struct guest *g, const char *what)
{
	uint32_t uses = kernel_word(g->m, "vo_uses");
	CHECK(uses == 0,
	      "%s: the VO's use count is left at %u: vo_hold() or vo_batch_begin() without its end",
	      what, uses);
	CHECK(word_at(g, task_of(&g->c) + TASK_PREEMPT) == 0, "%s: preemption is left off", what);
}

static uint32_t make_mm(struct guest *g)
{
	uint32_t mm = CALL(g, "mm_create");
	CHECK(mm >= KERNEL_BASE, "mm_create() found no memory");
	return mm;
}

static void map(struct guest *g, uint32_t mm, uint32_t address, uint32_t bytes)
{
	uint32_t at = CALL(g, "mm_map", mm, address, bytes, PROT_READ | PROT_WRITE, 0, 0, 0);
	CHECK(at == address, "mm_map(%#x) returns %#x", address, at);
}

static uint32_t machine_of(struct guest *g, uint32_t address)
{
	return page_walk(g->m, g->c.cr3, address).machine;
}

static bool owned(const struct guest *g, uint32_t mfn)
{
	return mfn < g->nr_mfns && g->m2p[mfn] != NO_FRAME;
}

/* The first and the last pages of user space for k = 0 and 1, else somewhere between. */
static uint32_t some_address(unsigned k)
{
	if (k == 0)
		return PAGE;
	if (k == 1)
		return LAST_PAGE - (PAGES - 1) * PAGE;
	return (uint32_t)(k << 28) + random_below(0x8000) * PAGE;
}

static void fault(struct guest *g, uint32_t mm, uint32_t address)
{
	int error = (int)CALL(g, "mm_fault", mm, address, PF_WRITE);
	CHECK(error == 0, "mm_fault(%#x) returns %d", address, error);
}

/* --- exercise 3: mm_protect() finds a table that is there --- */

static void walk_once(struct guest *g, uint32_t mm, uint32_t directory, uint32_t address)
{
	uint32_t slot = address >> 22, first = address >> 12 & 1023, words[1024] = { 0 };
	uint32_t table = alloc_frame(g), page = alloc_frame(g), at = g->p2m[table] << 12;
	map(g, mm, address, PAGES * PAGE);
	/* There is no table yet: nothing is to be done. */
	CALL(g, "mm_protect", mm, address, PAGES * PAGE, PROT_READ);
	words[first] = g->p2m[page] << 12 | P | W | U | A | D;
	uint32_t expected = words[first] & ~(uint32_t)(W | D);
	physical_write(g->m, at, words, sizeof(words));
	physical_write(g->m, directory + 4 * slot, &(uint32_t){ at | P | W | U }, 4);
	CALL(g, "mm_protect", mm, address, PAGES * PAGE, PROT_READ | PROT_EXEC);
	for (unsigned i = 0; i < 1024; i++) {
		uint32_t pte = physical_word(g->m, at + 4 * i);
		CHECK((pte & ~(uint32_t)D) == (i == first ? expected : 0),
		      "address %#x, page directory at %#x, slot %#x, table in frame %#x (pfn %#x): "
		      "mm_protect() should find entry %#x and make it read-only, %#x; but entry "
		      "%#x is now %#x",
		      address, directory, slot, g->p2m[table], table, first, expected, i, pte);
	}
	want_released(g, "mm_protect()");
}

void check_walk(const struct test *t)
{
	struct guest g = start_kernel();
	uint32_t mm = make_mm(&g), directory = machine_of(&g, read_mm(&g, mm).directory);
	(void)t;
	for (unsigned k = 0; k < TRIES; k++)
		walk_once(&g, mm, directory, some_address(k));
}

/* --- exercise 4: tables come on demand --- */

static void want_slots(struct guest *g, uint32_t mm, const char *when)
{
	struct mm_copy copy = read_mm(g, mm);
	uint32_t directory = machine_of(g, copy.directory);
	for (unsigned slot = 0; slot < KERNEL_SLOT; slot++) {
		uint32_t pde = physical_word(g->m, directory + 4 * slot);
		uint32_t bit = copy.slots[slot / 32] >> slot % 32 & 1;
		CHECK(!pde == !bit, "%s: directory slot %#x is %#x, but its bit in mm->slots is %u",
		      when, slot, pde, bit);
		CHECK(!pde || (pde & 0xFFF & ~(A | D)) == (P | W | U),
		      "%s: directory slot %#x is %#x: expected present, writable, user and nothing "
		      "else", when, slot, pde);
		CHECK(!pde || owned(g, pde >> 12),
		      "%s: directory slot %#x is %#x: frame %#x is not the kernel's (a pfn where "
		      "an mfn belongs?)", when, slot, pde, pde >> 12);
	}
}

void want_mm(struct guest *g, uint32_t mm, const char *when)
{
	struct mm_copy copy = read_mm(g, mm);
	uint32_t directory = machine_of(g, copy.directory), entries = 0, table[1024];
	want_slots(g, mm, when);
	for (unsigned slot = 0; slot < KERNEL_SLOT; slot++) {
		uint32_t pde = physical_word(g->m, directory + 4 * slot);
		if (!pde)
			continue;
		physical_read(g->m, pde & -PAGE, table, sizeof(table));
		for (unsigned i = 0; i < 1024; i++) {
			CHECK(!table[i] || (owned(g, table[i] >> 12) && table[i] & U),
			      "%s: page %#x, directory slot %#x is %#x, entry %#x of the table is "
			      "%#x: no frame of the kernel's for a program",
			      when, slot << 22 | i << 12, slot, pde, i, table[i]);
			entries += table[i] != 0;
		}
	}
	CHECK(entries == copy.pages, "%s: mm->pages is %u, but %u entries hold a frame", when,
	      copy.pages, entries);
}

/*
 * A fault on a page, watched: the directory is changed by the VO alone, while the VO's use count
 * is above zero.
 */
static void watched_fault(struct guest *g, uint32_t mm, uint32_t address)
{
	static const char *const names[] = { "native_mmu_set_pte", "native_mmu_set_ptes" };
	uint32_t at = read_mm(g, mm).directory + (address >> 22) * 4;
	bool seen = false;
	watch(g, names, LENGTH(names), true);
	call_begin(g, symbol("mm_fault"), WORDS(mm, address, PF_WRITE));
	while (call_next(g)) {
		CHECK(kernel_word(g->m, "vo_uses") > 0,
		      "the VO stores an entry while its use count is 0: the mode could change "
		      "between pfn_to_mfn() and the store");
		seen |= argument(g, 0) == at;
	}
	CHECK(call_end(g) == 0, "mm_fault(%#x) fails", address);
	watch(g, names, LENGTH(names), false);
	CHECK(seen,
	      "directory slot %#x was not stored by VO(mmu, set_pte): in virtual mode a store by "
	      "hand faults", address >> 22);
}

/* With no frame for a table: -ENOMEM, and nothing has changed. */
static void no_memory(struct guest *g, uint32_t mm, uint32_t address)
{
	static const char *const names[] = { "table_take" };
	watch(g, names, 1, true);
	call_begin(g, symbol("mm_fault"), WORDS(mm, address, PF_WRITE));
	CHECK(call_next(g), "mm_fault(%#x) did not ask table_take() for a table", address);
	skip(g, NO_FRAME);
	while (call_next(g))
		;
	int error = (int)call_end(g);
	watch(g, names, 1, false);
	CHECK(error == -ENOMEM,
	      "with table_take() out of memory mm_fault() returns %d instead of %d (-ENOMEM)",
	      error, -ENOMEM);
	want_slots(g, mm, "after table_take() had no memory");
	want_released(g, "after table_take() had no memory");
}

static void fault_once(struct guest *g, uint32_t mm, uint32_t directory, uint32_t address)
{
	char when[60];
	uint32_t slot = address >> 22, at;
	snprintf(when, sizeof(when), "after a fault at %#x", address);
	map(g, mm, address, PAGES * PAGE);
	no_memory(g, mm, address);
	watched_fault(g, mm, address);
	CHECK(table_entry(g, directory, address, &at) & P,
	      "%s: page directory at %#x, slot %#x is %#x: the page is not there", when, directory,
	      slot, physical_word(g->m, directory + 4 * slot));
	uint32_t table = at & -PAGE;
	if (slot == (address + PAGE) >> 22) {
		fault(g, mm, address + PAGE);
		table_entry(g, directory, address + PAGE, &at);
		CHECK((at & -PAGE) == table, "the second page of slot %#x got a table of its own",
		      slot);
	}
	want_mm(g, mm, when);
	want_released(g, when);
}

void check_tables(const struct test *t)
{
	struct guest g = start_kernel();
	uint32_t before = free_frames(&g), mm = make_mm(&g);
	uint32_t directory = machine_of(&g, read_mm(&g, mm).directory);
	(void)t;
	for (unsigned k = 0; k < TRIES; k++)
		fault_once(&g, mm, directory, some_address(k));
	CALL(&g, "mm_destroy", mm);
	uint32_t after = free_frames(&g);
	CHECK(after == before, "%d frames are lost when an address space ends",
	      (int)(before - after));
}

/* --- a program's tables, whenever an address space ends --- */

void check_program(const struct test *t)
{
	struct machine_options o = { .p2m = judge_shuffle(2), .mem = 32, .modules = without_vmm(),
				     .cmdline = "run=\"ls /bin | wc; echo a; cat /etc/motd\"" };
	struct guest g = start_at(&o, symbol("mm_destroy"));
	(void)t;
	learn_p2m(&g);
	for (unsigned k = 0; k < TRIES; k++) {
		char when[60];
		snprintf(when, sizeof(when), "address space %u at its end", k);
		want_mm(&g, argument(&g, 0), when);
		run_to(&g, symbol("mm_destroy"));
	}
}
