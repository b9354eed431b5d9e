/* SPDX-License-Identifier: MIT */
/*
 * Exercises 9 and 10, each alone, on a stock that the check has taken. An entry goes to pte_get()
 * by the given frames_update(), in a table to which the check has given its type. A whole table or
 * directory goes to get_entries().
 */
#include "checks.h"

enum { ALL = P | W | U };

static uint32_t frame_of(struct guest *g, const char *kernel_symbol)
{
	return page_walk(g->m, g->c.cr3, symbol(kernel_symbol)).machine >> 12;
}

/* Give a frame a type, or a count, as the VMM would have. */
static void make(struct guest *g, uint32_t mfn, uint32_t generation, unsigned type, uint32_t count)
{
	struct entry e = read_frame(g, mfn);
	e.generation = generation, e.type = type, e.count = count;
	write_frame(g, mfn, &e);
}

static uint32_t typed(struct guest *g, unsigned type, uint32_t count)
{
	uint32_t mfn = new_frame(g);
	make(g, mfn, vmm_generation(g), type, count);
	return mfn;
}

static uint32_t plain(struct guest *g)
{
	return typed(g, WRITABLE, 1);
}

/* A frame that another domain owns. */
static uint32_t foreign(struct guest *g)
{
	uint32_t mfn = new_frame(g);
	struct entry e = read_frame(g, mfn);
	e.owner = 2;
	write_frame(g, mfn, &e);
	return mfn;
}

/* Expected: the entry of a frame, brought up, with this added to its count. */
static void add_count(struct guest *g, struct entry *frames, uint32_t mfn, uint32_t n)
{
	frames[mfn] = current(frames[mfn], vmm_generation(g));
	frames[mfn].count += n;
}

/* --- exercise 9 --- */

/* Store an entry in a table of type TABLE, as HC_UPDATE does, and take it out again by hand. */
static void try_entry(struct guest *g, uint32_t table, uint32_t entry, int want, const char *what)
{
	uint32_t at = (table << 12) + 4 * random_below(1024), values = g->c.esp - 16;
	struct entry *before = read_frames(g), *expected = read_frames(g);
	uint32_t vcpu = word_at(g, cpu0() + CPU_CURRENT), mfn = entry >> 12;
	char when[160];
	if (want == 0 && (entry & (P | W)) == (P | W))
		add_count(g, expected, mfn, 1);
	set_word(g, values, entry);
	set_word(g, vcpu + VCPU_LAST_TABLE, table);
	int got = (int)VMM_CALL(g, "frames_update", cpu0(), at, values, 1);
	snprintf(when, sizeof(when), "pte_get(%#x), %s", entry, what);
	CHECK(got == want, "%s: gives %s, expected %s", when, error_text(got), error_text(want));
	want_frames(g, expected, when);
	set_physical(g, at, 0);
	for (uint32_t i = 0; i < g->nr_mfns; i++)
		if (memcmp(&before[i], &expected[i], sizeof(*before)) != 0)
			write_frame(g, i, &before[i]);
	free(before), free(expected);
}

/* Each flag alone, on a read-only page. */
static void try_flags(struct guest *g, uint32_t table, uint32_t data)
{
	for (uint32_t bit = 1; bit < PAGE; bit <<= 1)
		try_entry(g, table, data << 12 | P | bit, PTE_ALLOWED & bit ? 0 : -EINVAL,
			  "one more flag");
}

/*
 * Memory ends one frame earlier for the VMM. The kernel owns the frames on both sides of its end,
 * as far as their entries say.
 */
static void try_end(struct guest *g, uint32_t table)
{
	uint32_t end = g->nr_mfns - 1, nr_mfns = vmm_symbol("machine");
	nr_mfns += offsetof(struct vmm_machine, nr_mfns);
	const struct entry before[] = { read_frame(g, end - 1), read_frame(g, end) };
	for (uint32_t mfn = end - 1; mfn <= end; mfn++) {
		struct entry e = read_frame(g, mfn);
		e.owner = vmm_member(g, "domain0", DOMAIN_ID) & 0xFF;
		write_frame(g, mfn, &e);
		make(g, mfn, vmm_generation(g), WRITABLE, 1);
	}
	if (table >= end - 1)
		table = typed(g, TABLE, 1);
	set_word(g, nr_mfns, end);
	try_entry(g, table, (end - 1) << 12 | P | W, 0, "the last frame of memory");
	try_entry(g, table, end << 12 | P | W, -EPERM, "the first frame above memory, whose number "
		  "is machine.nr_mfns");
	set_word(g, nr_mfns, g->nr_mfns);
	write_frame(g, end - 1, &before[0]), write_frame(g, end, &before[1]);
}

void judge_entries(struct guest *g)
{
	uint32_t now = vmm_generation(g), table = typed(g, TABLE, 1), data = plain(g);
	uint32_t vmm = page_walk(g->m, g->c.cr3, VMM_BASE).machine >> 12, old = new_frame(g);
	uint32_t many = typed(g, WRITABLE, 999), aged = new_frame(g), foreigner = foreign(g);
	uint32_t idle = typed(g, TABLE, 0), directory = typed(g, DIRECTORY, 1);
	uint32_t text = frame_of(g, "image_start");
	uint32_t shared = physical_word(g->m, (g->c.cr3 & -PAGE) + 4 * (KERNEL_SLOT + 1)) >> 12;
	uint32_t lent = typed(g, LENT, 1);
	make(g, old, now - 1, TABLE, 3);       /* types of earlier attachments */
	make(g, aged, now - 1, WRITABLE, 7);
	const uint32_t allowed = ALL | PTE_PWT | PTE_PCD | A | D | G | PTE_AVL;
	const uint32_t absent = 0xFFF & ~(uint32_t)P;
	const struct { uint32_t mfn, flags; int want; const char *what; } tries[] = {
		{ data, ALL, 0, "a writable page" },
		{ data, P | U, 0, "a read-only page" },
		{ data, P | W, 0, "a page for the kernel alone" },
		{ many, ALL, 0, "a frame that is mapped writable 999 times" },
		{ aged, ALL, 0, "a frame whose count is of an earlier attachment" },
		{ old, ALL, 0, "a frame that was a page table in an earlier attachment" },
		{ text, ALL, 0, "a frame without a writable home" },
		{ data, allowed, 0, "all flags that are allowed" },
		{ data, absent, 0, "not present" },
		{ table, absent, 0, "not present, of a page table" },
		{ vmm, absent, 0, "not present, of a frame of the VMM's" },
		{ 0xFFFFF, absent, 0, "not present, of all ones" },
		{ vmm, P | U, -EPERM, "a read-only page of the VMM's" },
		{ vmm + 1, ALL, -EPERM, "a writable page of the VMM's" },
		{ foreigner, P, -EPERM, "a frame of another domain's" },
		{ 0xA0, P | U, -EPERM, "a frame in a hole of the memory map" },
		{ 0xFEE00, P | W | PTE_PWT | PTE_PCD, -EPERM, "the local APIC" },
		{ 0xFFFFF, P, -EPERM, "the last frame that there is" },
		{ vmm, P | PS, -EPERM, "a frame of the VMM's, with a bit that is not allowed" },
		{ data, ALL | PS, -EINVAL, "writable, with a bit that is not allowed" },
		{ table, ALL | PS, -EINVAL, "a page table, with a bit that is not allowed" },
		{ table, P | U, 0, "a read-only mapping of the table itself" },
		{ shared, P, 0, "a read-only mapping of a table of the kernel's" },
		{ directory, P | U, 0, "a read-only mapping of a directory" },
		{ table, ALL, -EBUSY, "a writable mapping of the table itself" },
		{ idle, ALL, -EBUSY, "a writable mapping of a table that nothing refers to" },
		{ shared, ALL, -EBUSY, "a writable mapping of a table of the kernel's" },
		{ directory, P | W, -EBUSY, "a writable mapping of a directory" },
		{ lent, P | U, 0, "a read-only mapping of a lent frame" },
		{ lent, ALL, -EBUSY, "a writable mapping of a lent frame" },
	};
	for (unsigned i = 0; i < LENGTH(tries); i++)
		try_entry(g, table, tries[i].mfn << 12 | tries[i].flags, tries[i].want,
			  tries[i].what);
	try_flags(g, table, data);
	try_end(g, table);
}

void check_entries(const struct test *t)
{
	struct guest g = start_stock();
	(void)t;
	judge_entries(&g);
}

/* --- exercise 10 --- */

/* Where promote() would have CPU 0 read this frame: in a window. The machine is native. */
static uint32_t window(struct guest *g, uint32_t mfn, unsigned type)
{
	enum { A_KIND = 256 }; /* windows of one kind */
	uint32_t slot = (type == TABLE ? 0 : A_KIND) + mfn % A_KIND, at;
	uint32_t address = word_at(g, cpu0() + CPU_WINDOW_BASE) + slot * PAGE;
	uint32_t pte = mfn << 12 | P | W | A | D;
	if (table_entry(g, g->c.cr3, address, &at) != pte) {
		set_physical(g, at, pte);
		CALL(g, "native_mmu_flush_all");
	}
	return address;
}

/*
 * Check and count a frame's entries: by get_entries(), or, if the compiler left no such function,
 * by promote(), which needs exercise 11 and ends by itself what get_entries() refuses.
 */
static int get(struct guest *g, uint32_t mfn, unsigned type)
{
	int result;
	lock(g, true);
	if (vmm_symbol_exists("get_entries"))
		result = (int)VMM_CALL(g, "get_entries", cpu0(), window(g, mfn, type), type);
	else {
		set_attached(g, 0);
		struct entry before = read_frame(g, mfn);
		make(g, mfn, vmm_generation(g), WRITABLE, 1);
		result = (int)VMM_CALL(g, "promote", cpu0(), mfn, type);
		write_frame(g, mfn, &before);
		set_word(g, vmm_symbol("domain0") + DOMAIN_LISTED, END_OF_LIST);
	}
	return lock(g, false), result;
}

enum { MOST = 6 };
/* Entries that are put into an empty table or directory, and what get_entries() must say. */
struct entries { unsigned n; struct { uint32_t index, entry; } at[MOST]; int want; };

static void try_entries(struct guest *g, uint32_t mfn, unsigned type, const struct entries *e,
			const char *what)
{
	struct entry *expected = read_frames(g), *before = read_frames(g);
	uint32_t needed = type == TABLE ? P | W : P;
	char when[200];
	for (unsigned i = 0; i < e->n; i++) {
		uint32_t entry = e->at[i].entry;
		set_physical(g, (mfn << 12) + 4 * e->at[i].index, entry);
		if (e->want == 0 && (entry & needed) == needed)
			add_count(g, expected, entry >> 12, 1);
	}
	int got = get(g, mfn, type);
	snprintf(when, sizeof(when), "get_entries(%s), %s: %s", type_name(type), what,
		 e->want ? "it is refused, and every count must be as before (put_entries)"
			 : "every reference must be counted");
	CHECK(got == e->want, "get_entries(%s), %s%s: gives %s, expected %s", type_name(type), what,
	      type == DIRECTORY && !e->n && !e->want ? " below slot 0x300 (those from there on are "
	      "the kernel's, and are compared, not counted)" : "", error_text(got),
	      error_text(e->want));
	want_frames(g, expected, when);
	for (unsigned i = 0; i < e->n; i++)
		set_physical(g, (mfn << 12) + 4 * e->at[i].index, 0);
	for (uint32_t i = 0; i < g->nr_mfns; i++)
		if (memcmp(&before[i], &expected[i], sizeof(*before)) != 0)
			write_frame(g, i, &before[i]);
	free(before), free(expected);
}

/* The last entry of what is good, and a bad one, in every place that matters. */
static void try_places(struct guest *g, uint32_t mfn, unsigned type, const uint32_t good[3],
		       uint32_t bad, int error, unsigned last)
{
	const uint32_t a = 1 + random_below(200), b = 300 + random_below(200);
	const uint32_t c = 500 + random_below(200);
	const struct { struct entries e; const char *what; } tries[] = {
		{ { 0, { { 0, 0 } }, 0 }, "no entries" },
		{ { 1, { { 0, good[0] } }, 0 }, "the first entry alone" },
		{ { 1, { { last, good[0] } }, 0 }, "the last entry alone" },
		{ { 4, { { 0, good[0] }, { a, good[1] }, { b, good[0] }, { last, good[2] } }, 0 },
		  "four good entries, two of one frame" },
		{ { 3, { { 0, good[0] }, { b, 0xDEAD0000 }, { last, good[1] } }, 0 },
		  "one that is not present among good ones" },
		{ { 1, { { 0, bad } }, error }, "a bad entry alone, the first" },
		{ { 1, { { last, bad } }, error }, "a bad entry alone, the last" },
		{ { 3, { { 0, bad }, { a, good[0] }, { last, good[1] } }, error },
		  "a bad first entry" },
		{ { 5, { { 0, good[0] }, { a, good[1] }, { b - 1, good[0] }, { b, bad },
			 { c, good[2] } }, error },
		  "a bad entry among good ones, one of them directly below it" },
		{ { 5, { { 0, good[0] }, { a, good[0] }, { b, good[1] }, { last - 1, good[2] },
			 { last, bad } }, error },
		  "a bad last entry, with a good one directly below it" },
		{ { 3, { { a, good[0] }, { b, good[1] | PS }, { c, bad } }, -EINVAL },
		  "two bad entries: the first error counts" },
	};
	for (unsigned i = 0; i < LENGTH(tries); i++)
		for (unsigned k = 0; k < 3; k++) {
			set_attached(g, k < 2 ? k : many_cpus());
			try_entries(g, mfn, type, &tries[i].e, tries[i].what);
		}
	set_attached(g, 0);
}

/* A directory whose upper part differs from the kernel's in one slot. n: of two user entries. */
static void try_upper(struct guest *g, uint32_t directory, const uint32_t good[3], unsigned n,
		      uint32_t slot)
{
	uint32_t at = (directory << 12) + 4 * slot, pde = physical_word(g->m, at);
	const struct entries e = { n, { { 3, good[0] }, { KERNEL_SLOT - 1, good[1] } }, -EPERM };
	char what[80];
	snprintf(what, sizeof(what), "%s, but slot %#x is not the kernel's",
		 n ? "good entries" : "no user entries", slot);
	set_physical(g, at, pde ^ (random_below(2) ? D : PAGE));
	try_entries(g, directory, DIRECTORY, &e, what);
	set_physical(g, at, pde);
}

/* No more tables may be promoted in this call: pde_get() gives -EAGAIN for one. */
static void try_again(struct guest *g, uint32_t directory, const uint32_t good[3])
{
	uint32_t vcpu = word_at(g, cpu0() + CPU_CURRENT), limit = vcpu + VCPU_FRESH_LIMIT;
	const struct entries e = { 3, { { 3, good[0] }, { 200, plain(g) << 12 | ALL },
					{ KERNEL_SLOT - 1, good[1] } }, -EAGAIN };
	uint32_t before = word_at(g, limit);
	set_word(g, limit, word_at(g, vcpu + VCPU_NR_FRESH));
	try_entries(g, directory, DIRECTORY, &e, "a new table, which is left to the next call");
	set_word(g, limit, before);
}

/*
 * The tables have their type already: so pde_get(), which is given, only counts them. One entry is
 * read-only: pde_put() takes it back, pte_put() would not.
 */
void judge_directories(struct guest *g)
{
	uint32_t good[3], upper[1024 - KERNEL_SLOT], directory = typed(g, DIRECTORY, 0);
	for (unsigned i = 0; i < LENGTH(good); i++)
		good[i] = typed(g, TABLE, i) << 12 | (i == 1 ? P | U : ALL);
	physical_read(g->m, (kernel_directory(g) << 12) + 4 * KERNEL_SLOT, upper, sizeof(upper));
	physical_write(g->m, (directory << 12) + 4 * KERNEL_SLOT, upper, sizeof(upper));
	try_places(g, directory, DIRECTORY, good, foreign(g) << 12 | P, -EPERM, KERNEL_SLOT - 1);
	try_upper(g, directory, good, 2, KERNEL_SLOT);
	try_upper(g, directory, good, 2, KERNEL_SLOT + random_below(1024 - KERNEL_SLOT));
	try_upper(g, directory, good, 0, KERNEL_SLOT);
	try_upper(g, directory, good, 0, 1023);
	try_again(g, directory, good);
}

/* The read-only entry counts nowhere: pte_put() leaves it alone, pde_put() would not. */
void judge_undo(struct guest *g)
{
	uint32_t good[3], table = typed(g, TABLE, 0), idle = typed(g, TABLE, 0);
	for (unsigned i = 0; i < LENGTH(good); i++)
		good[i] = plain(g) << 12 | (i == 1 ? P | U : ALL);
	try_places(g, table, TABLE, good, idle << 12 | ALL, -EBUSY, 1023);
}

void check_directories(const struct test *t)
{
	struct guest g = start_stock();
	(void)t;
	judge_directories(&g);
}

/* Exercise 9 says which entries of a page table are good. */
static void look_at_entries(void)
{
	struct guest g = start_stock();
	judge_base(&g, "cannot be judged until exercise 9 (check `entries`) is right",
		   judge_entries);
}

void check_undo(const struct test *t)
{
	struct guest g = start_stock();
	(void)t;
	judge_cause = look_at_entries;
	judge_undo(&g);
}
