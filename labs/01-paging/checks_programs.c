/* SPDX-License-Identifier: MIT */
/*
 * Exercises 3 to 5 together: programs run on a machine whose frames the check has dealt. If that
 * fails, each exercise is tried alone: what one of them has broken is not blamed on another.
 */
#include "checks.h"

enum { FAULT_STATUS = 0x40 | VEC_PF }; /* exit status of a program that ended by a page fault */
enum { SPACES = 6 };

/* What each exercise does alone, on a machine of its own. */
static void look_at_tables(void)
{
	static const struct { const char *context; void (*judge)(struct guest *g); } each[] = {
		{ "cannot be judged until exercise 3 (check `walk`) is right", judge_walk },
		{ "cannot be judged until exercise 4 (check `tables`) is right", judge_tables },
		{ "cannot be judged until exercise 5 (check `unmap`) is right", judge_unmap },
	};
	struct guest g = start_kernel();
	for (unsigned i = 0; i < LENGTH(each); i++)
		judge_base(&g, each[i].context, each[i].judge);
}

/* A machine without VMM runs a command, up to this function. order: which of the run's orders. */
static struct guest start_program(unsigned order, const char *command, const char *function)
{
	char *cmdline;
	if (asprintf(&cmdline, "run=\"%s\"", command) < 0)
		give_up(BROKEN, "no memory");
	struct machine_options o = { .p2m = judge_shuffle(order), .modules = without_vmm(),
				     .cmdline = cmdline };
	judge_cause = look_at_tables;
	struct guest g = start_at(&o, symbol(function));
	learn_p2m(&g);
	return g;
}

/*
 * The program programs/stale.c: each of its children must end by a page fault, where it touches
 * what it has unmapped.
 */
void check_stale(const struct test *t)
{
	struct guest g = start_program(3, "stale", "task_exit");
	for (unsigned child = 0; child < t->number; child++) {
		uint32_t status = argument(&g, 0);
		CHECK(status == FAULT_STATUS,
		      "program `stale`, child %u: it touched a page after munmap() and went on "
		      "(ended with status %#x instead of %#x, a page fault): "
		      "the TLB still had the page",
		      child, status, FAULT_STATUS);
		run_to(&g, symbol("task_exit"));
	}
	CHECK(argument(&g, 0) == 0, "program `stale` ended with status %#x", argument(&g, 0));
}

/* --- an address space at its end --- */

/* Whether the kernel owns the frame and has given it to somebody. */
static bool in_use(struct guest *g, uint32_t mfn)
{
	uint32_t pfn = mfn < g->nr_mfns ? g->m2p[mfn] : NO_FRAME;
	return pfn != NO_FRAME &&
	       word_at(g, kernel_word(g->m, "frame_table") + pfn * FRAME_BYTES + FRAME_REFS) > 0;
}

static void want_slots(struct guest *g, uint32_t mm, const char *when)
{
	struct mm_copy copy = read_mm(g, mm);
	uint32_t directory = page_walk(g->m, g->c.cr3, copy.directory).machine;
	for (unsigned slot = 0; slot < KERNEL_SLOT; slot++) {
		uint32_t pde = physical_word(g->m, directory + 4 * slot);
		uint32_t bit = copy.slots[slot / 32] >> slot % 32 & 1;
		CHECK(!pde == !bit, "%s: directory slot %#x is %#x, but its bit in mm->slots is %u",
		      when, slot, pde, bit);
		CHECK(!pde || (pde & 0xFFF & ~(A | D)) == (P | W | U),
		      "%s: directory slot %#x is %#x: expected present, writable, user and nothing "
		      "else", when, slot, pde);
		CHECK(!pde || in_use(g, pde >> 12),
		      "%s: directory slot %#x is %#x, but frame %#x is not in use: a pfn where an "
		      "mfn belongs?", when, slot, pde, pde >> 12);
	}
}

static void want_mm(struct guest *g, uint32_t mm, const char *when)
{
	struct mm_copy copy = read_mm(g, mm);
	uint32_t directory = page_walk(g->m, g->c.cr3, copy.directory).machine;
	uint32_t entries = 0, table[1024];
	want_slots(g, mm, when);
	for (unsigned slot = 0; slot < KERNEL_SLOT; slot++) {
		uint32_t pde = physical_word(g->m, directory + 4 * slot);
		if (!pde)
			continue;
		physical_read(g->m, pde & -PAGE, table, sizeof(table));
		for (unsigned i = 0; i < 1024; i++) {
			CHECK(!table[i] || (in_use(g, table[i] >> 12) && table[i] & U),
			      "%s: page %#x, directory slot %#x is %#x, entry %#x of the table is "
			      "%#x: no frame in use, for a program",
			      when, slot << 22 | i << 12, slot, pde, i, table[i]);
			entries += table[i] != 0;
		}
	}
	CHECK(entries == copy.pages, "%s: mm->pages is %u, but %u entries hold a frame", when,
	      copy.pages, entries);
}

/* Where a program ends: its page tables are as they must be, then, after drop_pages(), empty. */
void check_program(const struct test *t)
{
	struct guest g = start_program(2, "ls /bin | wc; echo a; cat /etc/motd", "mm_destroy");
	(void)t;
	for (unsigned k = 0; k < SPACES; k++) {
		char when[60];
		snprintf(when, sizeof(when), "address space %u at its end", k);
		want_mm(&g, argument(&g, 0), when);
		run_to(&g, symbol("mm_destroy"));
	}
}

/*
 * The kernel's own tests, by the names in t->text, with two orders of the frames. usertests counts
 * free frames before and after each. What it prints is not read: the machine must come to its end
 * with status 0, by the way of task_exit() of many processes.
 */
void check_usertests(const struct test *t)
{
	for (unsigned order = 6; order < 8; order++) {
		struct guest g = start_program(order, t->text, "native_cpu_shutdown");
		uint32_t status = argument(&g, 0);
		CHECK(status == OK_STATUS,
		      "`%s` ends with status %#x, expected %#x: see the machine's last lines",
		      t->text, status, OK_STATUS);
		machine_quit(g.m);
	}
}
