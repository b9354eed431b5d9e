/* SPDX-License-Identifier: MIT */
/*
 * Exercises 3 and 4, each alone: an address space and page tables that the check makes, and calls
 * of slot_of() and slot_make(). What these call in turn the check answers: slot_make() gets its
 * table and, where the compiler left a call of slot_of(), the right entry from the check.
 */
#include "checks.h"

enum { TRIES = 6 };

struct guest start_kernel(void)
{
	struct machine_options o = { .p2m = judge_shuffle(1), .modules = without_vmm(),
				     .mem = some_memory(), .cmdline = "run=stale" };
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

void want_released(struct guest *g, const char *what)
{
	uint32_t uses = kernel_word(g->m, "vo_uses");
	CHECK(uses == 0,
	      "%s: the VO's use count is left at %u: a vo_hold() without its vo_release(), or the "
	      "other way round",
	      what, uses);
	CHECK(word_at(g, task_of(&g->c) + TASK_PREEMPT) == 0, "%s: preemption is left off", what);
}

struct space make_space(struct guest *g)
{
	struct space s = { .mm = CALL(g, "mm_create") };
	CHECK(s.mm >= KERNEL_BASE, "mm_create() found no memory");
	s.directory = page_walk(g->m, g->c.cr3, read_mm(g, s.mm).directory).machine;
	return s;
}

uint32_t add_table(struct guest *g, const struct space *s, uint32_t slot)
{
	uint32_t table = new_frame(g) << 12, bits = s->mm + MM_SLOTS + slot / 32 * 4;
	set_physical(g, s->directory + 4 * slot, table | P | W | U | A);
	set_word(g, bits, word_at(g, bits) | 1u << slot % 32);
	return table;
}

/* Where the kernel sees the entry for an address, in a table at this machine address. */
static uint32_t entry_address(struct guest *g, uint32_t table, uint32_t address)
{
	return home_address(g, table >> 12) + (address >> 12 & 1023) * 4;
}

uint32_t right_slot(struct guest *g, uint32_t directory, uint32_t address)
{
	uint32_t at;
	table_entry(g, directory, address, &at);
	return at ? entry_address(g, at, address) : 0;
}

/* Slots at the borders of words and of user space, else any. */
static uint32_t some_slot(unsigned k)
{
	static const uint32_t borders[] = { 0, 31, 32, KERNEL_SLOT - 1, 30 };
	return k < LENGTH(borders) ? borders[k] : 40 + random_below(KERNEL_SLOT - 50);
}

static uint32_t some_address(uint32_t slot)
{
	return slot << 22 | random_below(1024) << 12 | (slot ? random_below(PAGE) : 0);
}

/* A directory and all tables that it refers to, to be compared afterwards. */
struct picture { uint32_t directory[1024], tables[1024]; };

static struct picture take_picture(struct guest *g, uint32_t directory)
{
	struct picture p = { 0 };
	uint32_t table[1024];
	physical_read(g->m, directory, p.directory, sizeof(p.directory));
	for (unsigned slot = 0; slot < KERNEL_SLOT; slot++) {
		if (!(p.directory[slot] & P))
			continue;
		physical_read(g->m, p.directory[slot] & -PAGE, table, sizeof(table));
		for (unsigned i = 0; i < 1024; i++)
			p.tables[slot] = p.tables[slot] * 31 + table[i];
	}
	return p;
}

/* --- exercise 3 --- */

static void walk_once(struct guest *g, const struct space *s, uint32_t address)
{
	uint32_t want = right_slot(g, s->directory, address);
	uint32_t got = CALL(g, "slot_of", s->mm, address), pde;
	pde = physical_word(g->m, s->directory + 4 * (address >> 22));
	CHECK(got == want,
	      "slot_of(%#x) gives %#x, expected %#x: directory slot %#x is %#x, frame %#x has pfn "
	      "%#x", address, got, want, address >> 22, pde, pde >> 12,
	      pde && pde >> 12 < g->nr_mfns ? g->m2p[pde >> 12] : NO_FRAME);
}

void judge_walk(struct guest *g)
{
	struct space s = make_space(g);
	for (unsigned k = 0; k < TRIES; k++)
		add_table(g, &s, some_slot(k));
	struct picture before = take_picture(g, s.directory);
	for (unsigned k = 0; k < TRIES; k++)
		walk_once(g, &s, some_address(some_slot(k)));
	for (unsigned k = 0; k < TRIES; k++) /* most of these have no table */
		walk_once(g, &s, some_address(random_below(KERNEL_SLOT)));
	struct picture after = take_picture(g, s.directory);
	CHECK(memcmp(&before, &after, sizeof(before)) == 0,
	      "slot_of() changes the directory or a table: it must only look");
	want_released(g, "slot_of()");
}

void check_walk(const struct test *t)
{
	struct guest g = start_kernel();
	(void)t;
	judge_walk(&g);
}

/* --- exercise 4 --- */

enum { TAKE, HOLD, SLOT_OF, NR_WATCHED };
static const char *const watched[NR_WATCHED] = { "table_take", "vo_hold", "slot_of" };

enum { OTHERS = 4 };

/* One call of slot_make(). The check gives it the frame with pfn `table`. */
struct making {
	const struct space *s;
	uint32_t address, table, other[OTHERS]; /* other: each changes its mfn with the table */
	unsigned holds;
	bool taken, stored;
};

static void set_pair(struct guest *g, uint32_t pfn, uint32_t mfn)
{
	set_word(g, kernel_word(g->m, "p2m") + 4 * pfn, mfn);
	set_word(g, kernel_word(g->m, "m2p") + 4 * mfn, pfn);
	g->p2m[pfn] = mfn, g->m2p[mfn] = pfn;
}

/*
 * Two frames change their mfns, as if the mode changed just before the VO is held: whoever has
 * translated before, in an earlier hold perhaps, stores the wrong one. The direct map follows.
 */
static void exchange(struct guest *g, uint32_t a, uint32_t b)
{
	uint32_t mfn_a = g->p2m[a], mfn_b = g->p2m[b];
	uint32_t home_a = home_entry(g, a), home_b = home_entry(g, b);
	set_pair(g, a, mfn_b), set_pair(g, b, mfn_a);
	set_home_entry(g, a, home_b), set_home_entry(g, b, home_a);
}

static void see_store(struct guest *g, struct making *m, bool many)
{
	uint32_t slot = m->address >> 22, at = argument(g, 0);
	uint32_t at_slot = read_mm(g, m->s->mm).directory + 4 * slot;
	uint32_t pde = many ? word_at(g, argument(g, 1)) : argument(g, 1);
	CHECK(m->table != NO_FRAME,
	      "table_take() gives NO_FRAME, and slot_make(%#x) stores %#x for it in the directory: "
	      "it must return NULL", m->address, pde);
	uint32_t mfn = g->p2m[m->table];
	CHECK(at == at_slot, "the VO stores an entry at %#x, expected directory slot %#x at %#x",
	      at, slot, at_slot);
	CHECK(kernel_word(g->m, "vo_uses") > 0,
	      "directory slot %#x is stored while the VO's use count is 0 (vo_hold): the mode "
	      "could change between pfn_to_mfn() and the store", slot);
	for (unsigned i = 0; i < OTHERS; i++)
		CHECK(pde >> 12 == mfn || pde >> 12 != g->p2m[m->other[i]],
		      "directory slot %#x gets %#x, frame %#x: that was the mfn of the table (pfn "
		      "%#x) before this vo_hold(); translate while the VO is held, in the hold "
		      "that stores", slot, pde, pde >> 12, m->table);
	CHECK(pde >> 12 == mfn,
	      "directory slot %#x gets %#x, frame %#x, expected %#x: table_take() gave pfn %#x, "
	      "and p2m[%#x] is %#x%s", slot, pde, pde >> 12, mfn, m->table, m->table, mfn,
	      pde >> 12 == m->table ? " (a pfn stands where an mfn belongs)" : "");
	CHECK((pde & 0xFFF & ~(A | D)) == (P | W | U),
	      "directory slot %#x gets flags %#x, expected %#x: present, writable, user (%#x, "
	      "accessed and dirty, may be there or not)", slot, pde & 0xFFF, P | W | U, A | D);
	m->stored = true;
}

/* A call that is watched. Result: slot_make()'s. */
static uint32_t make_slot(struct guest *g, struct making *m)
{
	watch(g, watched, NR_WATCHED, true), watch_ops(g, true);
	vary_begin(g, m->s->mm);
	call_begin(g, symbol("slot_make"), WORDS(m->s->mm, m->address));
	for (uint32_t eip; (eip = call_next(g));) {
		unsigned k = 0, op = op_here(g);
		while (k < NR_WATCHED && symbol(watched[k]) != eip)
			k++;
		if (k == TAKE) {
			CHECK(!m->taken, "slot_make(%#x) calls table_take() twice", m->address);
			m->taken = true;
			skip(g, m->table);
		} else if (k == HOLD && !m->stored && m->table != NO_FRAME &&
			   kernel_word(g->m, "vo_uses") == 0) {
			exchange(g, m->table, m->other[m->holds++ % OTHERS]);
		} else if (k == SLOT_OF) {
			skip(g, right_slot(g, m->s->directory, argument(g, 1)));
		} else if (op < NR_OPS) {
			if (op == SET_PTE || op == SET_PTES || op == CHANGE_PTES)
				see_store(g, m, op != SET_PTE);
			do_op(g, op);
		}
	}
	uint32_t result = call_end(g);
	vary_end(g);
	watch(g, watched, NR_WATCHED, false), watch_ops(g, false);
	want_released(g, "slot_make()");
	return result;
}

/* Nothing but slot `slot` of the directory, and its bit, has changed. -1: nothing at all. */
static void want_rest(struct guest *g, const struct space *s, const struct picture *before,
		      const struct mm_copy *mm, uint32_t slot, const char *when)
{
	struct picture now = take_picture(g, s->directory);
	struct mm_copy after = read_mm(g, s->mm);
	for (unsigned i = 0; i < 1024; i++)
		CHECK(i == slot || (now.directory[i] == before->directory[i] &&
				    now.tables[i] == before->tables[i]),
		      "%s: directory slot %#x changes, from %#x to %#x", when, i,
		      before->directory[i], now.directory[i]);
	for (unsigned i = 0; i < KERNEL_SLOT; i++) {
		bool bit = after.slots[i / 32] >> i % 32 & 1, old = mm->slots[i / 32] >> i % 32 & 1;
		CHECK(bit == (i == slot || old),
		      "%s: bit %#x of mm->slots is %u, expected %u", when, i, bit, !bit);
	}
	CHECK(after.pages == mm->pages, "%s: mm->pages is %u, expected %u", when, after.pages,
	      mm->pages);
}

static void want_result(struct guest *g, const struct space *s, uint32_t address, uint32_t got)
{
	uint32_t want = right_slot(g, s->directory, address);
	CHECK(got == want, "slot_make(%#x) gives %#x, expected %#x, where the kernel sees the "
	      "entry (if slot_of() is used, look at exercise 3, check `walk`, first)", address, got,
	      want);
}

/* A mark in the table that slot_make() gets, and in the frames that change places with it. */
static uint32_t mark_at(const struct guest *g, const struct making *m, unsigned i)
{
	return g->p2m[i < OTHERS ? m->other[i] : m->table] << 12 | (m->address >> 12 & 1023) << 2;
}

static void make_new(struct guest *g, const struct space *s, uint32_t slot)
{
	enum { MARK = 0x800 };
	struct making none = { .s = s, .address = some_address(slot), .table = NO_FRAME };
	struct making m = { .s = s, .address = none.address,
			    .table = g->m2p[new_frame(g)] };
	for (unsigned i = 0; i < OTHERS; i++)
		m.other[i] = g->m2p[new_frame(g)];
	for (unsigned i = 0; i <= OTHERS; i++)
		set_physical(g, mark_at(g, &m, i), MARK);
	struct picture before = take_picture(g, s->directory);
	struct mm_copy mm = read_mm(g, s->mm);
	uint32_t result = make_slot(g, &none);
	CHECK(none.taken, "slot_make(%#x): directory slot %#x is 0, but table_take() is not asked",
	      m.address, slot);
	CHECK(result == 0, "table_take() has no memory: slot_make() gives %#x, expected NULL",
	      result);
	want_rest(g, s, &before, &mm, NO_FRAME, "table_take() has no memory");
	result = make_slot(g, &m);
	CHECK(m.stored, "directory slot %#x is not stored by VO(mmu, set_pte), it is now %#x: in "
	      "virtual mode a store by hand faults", slot,
	      physical_word(g->m, s->directory + 4 * slot));
	want_rest(g, s, &before, &mm, slot, "slot_make()");
	want_result(g, s, m.address, result);
	for (unsigned i = 0; i <= OTHERS; i++)
		CHECK(physical_word(g->m, mark_at(g, &m, i)) == MARK,
		      "slot_make(%#x) writes to the table that table_take() gave: it is all zeros, "
		      "and in virtual mode the kernel's store to a table faults", m.address);
}

/* There is a table: it is used. */
static void make_again(struct guest *g, const struct space *s, uint32_t slot)
{
	struct making m = { .s = s, .address = some_address(slot), .table = NO_FRAME };
	struct picture before = take_picture(g, s->directory);
	struct mm_copy mm = read_mm(g, s->mm);
	uint32_t result = make_slot(g, &m);
	CHECK(!m.taken, "directory slot %#x is %#x, yet slot_make(%#x) asks for one more table",
	      slot, before.directory[slot], m.address);
	want_rest(g, s, &before, &mm, NO_FRAME, "slot_make() where there is a table");
	want_result(g, s, m.address, result);
}

void judge_tables(struct guest *g)
{
	struct space s = make_space(g);
	uint32_t slots[TRIES];
	for (unsigned k = 0; k < TRIES; k++)
		make_new(g, &s, slots[k] = some_slot(k));
	for (unsigned k = 0; k < TRIES; k++)
		make_again(g, &s, slots[k]);
}

void check_tables(const struct test *t)
{
	struct guest g = start_kernel();
	(void)t;
	judge_tables(&g);
}
