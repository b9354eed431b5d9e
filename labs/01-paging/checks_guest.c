/* SPDX-License-Identifier: MIT */
/* The machine of this lab's checks: brought to a function, and asked for memory and page tables. */
#include "checks.h"

enum { SECONDS = 60 };

void run_to(struct guest *g, uint32_t address)
{
	break_at(g, address);
	if (run_cpus(g, ALL_CPUS) < 0)
		give_up(FAILED, "the machine ended or hung on the way to the place of this check");
	CHECK(g->c.eip == address, "the machine stopped at %#x instead of %#x", g->c.eip, address);
	break_off(g, address);
}

const char *without_vmm(void)
{
	char *modules;
	if (asprintf(&modules, "%s/rootfs.ext2 rootfs", build_dir) < 0)
		give_up(BROKEN, "no memory");
	return modules;
}

struct guest start_at(const struct machine_options *o, uint32_t address)
{
	struct guest g = guest_start(o, SECONDS);
	run_to(&g, address);
	return g;
}

void learn_p2m(struct guest *g)
{
	read_p2m(g);
	for (uint32_t pfn = 0; pfn < g->nr_pfns; pfn++)
		CHECK(g->p2m[pfn] < g->nr_mfns && g->m2p[g->p2m[pfn]] == pfn,
		      "p2m[%#x] is %#x: no base for this check (exercises 1 and 2, checks `holes` "
		      "and `shuffle`)", pfn, g->p2m[pfn]);
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

bool in_text(uint32_t pfn)
{
	uint32_t address = KERNEL_BASE + pfn * PAGE;
	return address >= symbol("image_start") && address < symbol("readonly_end");
}
