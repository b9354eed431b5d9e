/* SPDX-License-Identifier: MIT */
/*
 * Words of the kernel's memory: by virtual address through the CPU's own page tables, and by a
 * variable's name through its place in the image, where pfn and mfn are equal.
 */
#include "harness.h"

uint32_t word_at(struct guest *g, uint32_t address)
{
	uint32_t word;
	virtual_read(g->m, g->c.cr3, address, &word, 4);
	return word;
}

void set_word(struct guest *g, uint32_t address, uint32_t value)
{
	struct walk w = page_walk(g->m, g->c.cr3, address);
	CHECK(w.present, "nothing is mapped at %#x", address);
	physical_write(g->m, w.machine, &value, 4);
}

void set_words(struct guest *g, uint32_t address, const uint32_t *words, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		set_word(g, address + 4 * i, words[i]);
}

/* --- variables --- */

static uint32_t image_address(const char *name, uint32_t offset)
{
	return symbol(name) - KERNEL_BASE + offset;
}

uint32_t variable(struct guest *g, const char *name, unsigned index)
{
	return physical_word(g->m, image_address(name, 4 * index));
}

void set_variable(struct guest *g, const char *name, unsigned index, uint32_t value)
{
	physical_write(g->m, image_address(name, 4 * index), &value, 4);
}

uint32_t vmm_word(struct guest *g, const char *name)
{
	return word_at(g, vmm_symbol(name));
}

uint32_t vmm_member(struct guest *g, const char *name, uint32_t offset)
{
	return word_at(g, vmm_symbol(name) + offset);
}

uint32_t shared_word(struct guest *g, uint32_t offset)
{
	return physical_word(g->m, image_address("vmm_shared", offset));
}

void set_shared_word(struct guest *g, uint32_t offset, uint32_t value)
{
	physical_write(g->m, image_address("vmm_shared", offset), &value, 4);
}

/* --- frames --- */

/* As read_array(), but the array of the last time is used again: it had `old` words. */
static uint32_t *read_again(struct guest *g, uint32_t *array, uint32_t old, const char *name,
			    uint32_t n)
{
	if (!array)
		return read_array(g->m, g->c.cr3, name, n);
	virtual_read(g->m, g->c.cr3, kernel_word(g->m, name), array, n * sizeof(*array));
	if (n < old)
		memset(array + n, 0xFF, (old - n) * sizeof(*array));
	return array;
}

void read_p2m(struct guest *g)
{
	uint32_t old_pfns = g->nr_pfns, old_mfns = g->nr_mfns;
	g->nr_pfns = kernel_word(g->m, "nr_pfns"), g->nr_mfns = kernel_word(g->m, "nr_mfns");
	CHECK(g->nr_pfns && g->nr_pfns <= g->nr_mfns && g->nr_mfns <= g->m->o.mem << 8,
	      "nr_pfns is %u, nr_mfns %u: of %u MiB", g->nr_pfns, g->nr_mfns, g->m->o.mem);
	g->p2m = read_again(g, g->p2m, old_pfns, "p2m", g->nr_pfns);
	g->m2p = read_again(g, g->m2p, old_mfns, "m2p", g->nr_mfns);
}

uint32_t home_address(struct guest *g, uint32_t mfn)
{
	uint32_t pfn = word_at(g, kernel_word(g->m, "m2p") + 4 * mfn);
	return KERNEL_BASE + (pfn << PAGE_SHIFT);
}
