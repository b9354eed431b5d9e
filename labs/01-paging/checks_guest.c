/* SPDX-License-Identifier: MIT */
/*
 * The machine of this lab's checks: brought to a function, with its frames dealt by the check, and
 * asked for memory and page tables.
 */
#include "checks.h"

enum { SECONDS = 60 };

/* "function+0x12", for a message. */
static const char *name_of(uint32_t address)
{
	const char *name = symbol_offset(address);
	return name ? name : "a place in no function";
}

void run_to(struct guest *g, uint32_t address)
{
	break_at(g, address);
	if (run_cpus(g, ALL_CPUS) < 0)
		give_up(FAILED, "the machine ended or hung on the way to the place of this check");
	CHECK(g->c.eip == address, "the machine came to %s, and not to %s", name_of(g->c.eip),
	      name_of(address));
	break_off(g, address);
}

const char *without_vmm(void)
{
	char *modules;
	if (asprintf(&modules, "%s/rootfs.ext2 rootfs", build_dir) < 0)
		give_up(BROKEN, "no memory");
	return modules;
}

/* --- the order of frames, dealt by the check --- */

static void read_ranges(struct guest *g, uint32_t at, uint32_t n, uint32_t most, struct range *r)
{
	CHECK(n <= most, "p2m_build() is given %u ranges", n);
	virtual_read(g->m, g->c.cr3, at, r, n * sizeof(*r));
}

struct input read_input(struct guest *g)
{
	struct input in = { .nr_pfns = kernel_word(g->m, "nr_pfns"),
			    .nr_mfns = kernel_word(g->m, "nr_mfns") };
	for (unsigned i = 0; i < LENGTH(in.at); i++)
		in.at[i] = argument(g, i);
	read_ranges(g, in.at[0], in.at[1], RANGES_MAX, in.usable);
	read_ranges(g, in.at[2], in.at[3], RESERVED_MAX, in.reserved);
	read_ranges(g, in.at[4], in.at[5], FIXED, in.fixed);
	bool right = in.at[3] > 0 && in.at[5] == FIXED && in.nr_pfns <= in.nr_mfns &&
		     in.nr_mfns <= g->m->o.mem << 8 && in.fixed[1].end < in.nr_pfns;
	CHECK(right, "the machine's own input is odd: %u pfns, %u machine frames, fixed up to %#x",
	      in.nr_pfns, in.nr_mfns, in.fixed[1].end);
	return in;
}

bool within(const struct range *r, uint32_t n, uint32_t frame)
{
	for (uint32_t i = 0; i < n; i++)
		if (frame >= r[i].first && frame < r[i].end)
			return true;
	return false;
}

bool usable(const struct input *in, uint32_t mfn)
{
	return mfn < in->nr_mfns && within(in->usable, in->at[1], mfn) &&
	       !within(in->reserved, in->at[3], mfn);
}

/* At p2m_build(): do its work, in a random order, and return from it. */
static void deal_frames(struct guest *g)
{
	struct input in = read_input(g);
	uint32_t *p2m = malloc(in.nr_pfns * 4), *m2p = malloc(in.nr_mfns * 4);
	uint32_t *deck = malloc(in.nr_mfns * 4), n = 0;
	memset(m2p, 0xFF, in.nr_mfns * 4);
	for (uint32_t mfn = 0; mfn < in.nr_mfns; mfn++)
		if (usable(&in, mfn) && !within(in.fixed, FIXED, mfn))
			deck[n++] = mfn;
	for (uint32_t pfn = 0; pfn < in.nr_pfns; pfn++) {
		uint32_t card = n ? random_below(n) : 0, mfn = pfn;
		if (!within(in.fixed, FIXED, pfn))
			mfn = deck[card], deck[card] = deck[--n];
		p2m[pfn] = mfn;
		m2p[mfn] = pfn;
	}
	/* Both tables lie in the boot heap, where pfn == mfn. */
	physical_write(g->m, kernel_word(g->m, "p2m") - KERNEL_BASE, p2m, in.nr_pfns * 4);
	physical_write(g->m, kernel_word(g->m, "m2p") - KERNEL_BASE, m2p, in.nr_mfns * 4);
	free(p2m), free(m2p), free(deck);
	skip(g, 0);
}

unsigned some_memory(void)
{
	return random_below(2) ? 64 : 40 + random_below(24);
}

struct guest start_at(const struct machine_options *o, uint32_t address)
{
	struct guest g = guest_start(o, SECONDS);
	if (o->p2m && !o->bochs) {
		run_to(&g, symbol("p2m_build"));
		if (address == g.c.eip)
			return g;
		deal_frames(&g);
	}
	run_to(&g, address);
	return g;
}

void learn_p2m(struct guest *g)
{
	read_p2m(g);
	for (uint32_t pfn = 0; pfn < g->nr_pfns; pfn++)
		CHECK(g->p2m[pfn] < g->nr_mfns && g->m2p[g->p2m[pfn]] == pfn,
		      "cannot be judged until exercise 1 (check `holes`) is right: p2m[%#x] is %#x",
		      pfn, g->p2m[pfn]);
}

void judge_base(struct guest *g, const char *context, void (*judge)(struct guest *g))
{
	const char *before = judge_context;
	judge_context = context;
	judge(g);
	judge_context = before;
}

uint32_t alloc_frame(struct guest *g)
{
	uint32_t pfn = CALL(g, "frame_alloc", 0);
	CHECK(pfn < g->nr_pfns, "frame_alloc() gives %#x, but there are %#x pfns", pfn, g->nr_pfns);
	return pfn;
}

bool can_write(struct guest *g, uint32_t address)
{
	static const char *const traps[] = { "trap_panic" };
	/* A fault that is broken off leaves its frame in the task's list. */
	uint32_t frames = task_of(&g->c) + TASK_TRAP_FRAMES, before = word_at(g, frames);
	uint32_t old = word_at(g, address);
	call_begin(g, symbol("memset"), WORDS(address, 0x5A, 4));
	watch(g, traps, 1, true);
	bool wrote = call_next(g) == 0;
	call_end(g);
	watch(g, traps, 1, false);
	set_word(g, frames, before);
	set_word(g, address, old);
	return wrote;
}

uint32_t table_entry(struct guest *g, uint32_t directory, uint32_t address, uint32_t *at)
{
	uint32_t pde = physical_word(g->m, (directory & -PAGE) + (address >> 22) * 4);
	*at = pde & P ? (pde & -PAGE) + (address >> 12 & 1023) * 4 : 0;
	return *at ? physical_word(g->m, *at) : 0;
}

uint32_t home_entry(struct guest *g, uint32_t pfn)
{
	return page_walk(g->m, g->c.cr3, KERNEL_BASE + pfn * PAGE).pte;
}

void set_home_entry(struct guest *g, uint32_t pfn, uint32_t entry)
{
	uint32_t address = KERNEL_BASE + pfn * PAGE, at;
	table_entry(g, g->c.cr3, address, &at);
	set_physical(g, at, entry);
}

void set_physical(struct guest *g, uint32_t at, uint32_t word)
{
	physical_write(g->m, at, &word, 4);
}

uint32_t new_frame(struct guest *g)
{
	static const uint32_t zeros[1024];
	uint32_t mfn = g->p2m[alloc_frame(g)];
	physical_write(g->m, mfn << 12, zeros, sizeof(zeros));
	return mfn;
}

bool in_text(uint32_t pfn)
{
	uint32_t address = KERNEL_BASE + pfn * PAGE;
	return address >= symbol("image_start") && address < symbol("readonly_end");
}
