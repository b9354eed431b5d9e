/* SPDX-License-Identifier: MIT */
/*
 * Memory at one moment: the address space as runs of pages that are alike, and the VMM's frame
 * table as a type and a count for each machine frame.
 */
#include "viewer.h"
#include "vmm_abi.h"
#include "x86.h"
#include <stdlib.h>
#include <string.h>

enum { ENTRIES = 1024, RUN_WORDS = 4, ROW = 64 };

const char *const space_kinds[] = {
	"program", "kernel text", "kernel data", "page tables", "direct map", "devices", "VMM",
	"VMM's windows", NULL,
};
enum kind { PROGRAM, TEXT, DATA, TABLES, DIRECT, DEVICES, VMM, WINDOWS };

const char *const frame_types[] = {
	"not the kernel's", "VMM's", "memory", "memory, counted", "page table", "directory",
	"shared table", NULL,
};
enum type { FOREIGN, OWN, UNTOUCHED, COUNTED, TABLE, DIRECTORY, SHARED, TYPE_STEP = 8 };

static struct vmm_boot vmm_boot(struct machine *m, uint32_t cr3)
{
	struct vmm_boot boot;
	virtual_read(m, cr3, vmm_symbol("boot"), &boot, sizeof(boot));
	return boot;
}

/* --- the address space --- */

struct view { /* what one directory maps */
	struct machine *m;
	uint32_t directory[ENTRIES];
	uint32_t block_bytes;              /* of the VMM */
	uint32_t text, readonly, image_end; /* addresses of the kernel's image */
	bool *is_table;                    /* by mfn */
	uint32_t nr_mfns;
	uint32_t *runs; /* of RUN_WORDS: first page, pages, flags (PTE_W, PTE_U), kind */
	size_t n, room;
};

static enum kind kind_of(const struct view *v, uint32_t address, uint32_t mfn)
{
	if (address < KERNEL_BASE)
		return PROGRAM;
	if (address >= VMM_BASE)
		return address - VMM_BASE < v->block_bytes ? VMM : WINDOWS;
	if (address >= KERNEL_MAP_BASE)
		return DEVICES;
	if (mfn < v->nr_mfns && v->is_table[mfn])
		return TABLES;
	if (address < v->text || address >= v->image_end)
		return DIRECT;
	return address < v->readonly ? TEXT : DATA;
}

/* Add a page to the last run if it continues that, else to a new run. */
static void add_page(struct view *v, uint32_t page, uint32_t flags, enum kind kind)
{
	uint32_t *last = v->n ? v->runs + (v->n - 1) * RUN_WORDS : NULL;
	if (last && last[0] + last[1] == page && last[2] == flags && last[3] == kind) {
		last[1]++;
		return;
	}
	if (v->n == v->room) {
		v->room = v->room * 2 + 64;
		v->runs = realloc(v->runs, v->room * RUN_WORDS * sizeof(*v->runs));
	}
	uint32_t *run = v->runs + v->n++ * RUN_WORDS;
	run[0] = page, run[1] = 1, run[2] = flags, run[3] = kind;
}

static void add_slot(struct view *v, uint32_t slot)
{
	uint32_t pde = v->directory[slot], table[ENTRIES];
	if (!(pde & PTE_P))
		return;
	physical_read(v->m, pde & PAGE_MASK, table, sizeof(table));
	for (uint32_t i = 0; i < ENTRIES; i++) {
		uint32_t page = slot * ENTRIES + i, pte = table[i];
		if (pte & PTE_P)
			add_page(v, page, pde & pte & (PTE_W | PTE_U),
				 kind_of(v, page << PAGE_SHIFT, pte >> PAGE_SHIFT));
	}
}

static json_t *runs_json(const uint32_t *words, size_t n)
{
	json_t *array = json_array();
	for (size_t i = 0; i < n; i += RUN_WORDS)
		json_array_append_new(array, json_pack("[i,i,i,i]", words[i], words[i + 1],
						       words[i + 2], words[i + 3]));
	return array;
}

json_t *space_map(struct machine *m, struct cached *cache, uint32_t cr3)
{
	struct view v = {
		.m = m, .block_bytes = vmm_boot(m, cr3).block_bytes,
		.text = symbol("image_start"), .readonly = symbol("readonly_end"),
		.image_end = symbol("image_end"), .nr_mfns = kernel_word(m, "nr_mfns"),
	};
	v.is_table = calloc(v.nr_mfns, sizeof(bool));
	v.is_table[cr3 >> PAGE_SHIFT] = true;
	physical_read(m, cr3 & PAGE_MASK, v.directory, sizeof(v.directory));
	for (uint32_t slot = 0; slot < ENTRIES; slot++) {
		uint32_t pde = v.directory[slot];
		if (pde & PTE_P && pde >> PAGE_SHIFT < v.nr_mfns)
			v.is_table[pde >> PAGE_SHIFT] = true;
	}
	for (uint32_t slot = 0; slot < ENTRIES; slot++)
		add_slot(&v, slot);
	json_t *json = cached(cache, v.runs, v.n * RUN_WORDS, runs_json);
	free(v.runs), free(v.is_table);
	return json;
}

/* --- the frame table (vmm/frames.c) --- */

struct frame { uint32_t home, generation, use, next; };
_Static_assert(sizeof(struct frame) == VMM_FRAME_BYTES, "the VMM's struct frame");
enum { OWNED = 1, BASE_SHIFT = 4, BASE_MASK = 0xFF, TYPE_SHIFT = 28 };

static uint32_t vmm_word(struct machine *m, uint32_t cr3, const char *name)
{
	uint32_t word;
	virtual_read(m, cr3, vmm_symbol(name), &word, 4);
	return word;
}

/*
 * Type and count as one number. An entry of an older generation has no valid type: it is plain
 * memory, and its count is the number of its mappings in the shared tables.
 */
static uint32_t frame_value(const struct frame *f, uint32_t generation)
{
	static const enum type types[] = { COUNTED, TABLE, DIRECTORY, SHARED };
	uint32_t count = f->use & ~(0xFu << TYPE_SHIFT), shared = f->home >> BASE_SHIFT & BASE_MASK;
	if (f->generation == generation || f->generation == UINT32_MAX)
		return types[f->use >> TYPE_SHIFT & 3] + TYPE_STEP * count;
	return f->home & OWNED ? UNTOUCHED + TYPE_STEP * shared : FOREIGN;
}

static json_t *rows_json(const uint32_t *values, size_t n)
{
	json_t *object = json_object();
	char key[24];
	for (size_t i = 0; i < n; i += ROW) {
		json_t *row = json_array();
		for (size_t k = i; k < i + ROW && k < n; k++)
			json_array_append_new(row, json_integer(values[k]));
		snprintf(key, sizeof(key), "%zu", i / ROW);
		json_object_set_new(object, key, row);
	}
	return object;
}

json_t *space_frames(struct machine *m, struct cached *cache, uint32_t cr3)
{
	struct vmm_boot boot = vmm_boot(m, cr3);
	uint32_t first = boot.block >> PAGE_SHIFT, own = boot.block_bytes >> PAGE_SHIFT;
	uint32_t generation = vmm_word(m, cr3, "generation");
	uint32_t *values = malloc(boot.nr_mfns * sizeof(*values));
	struct frame *frames = malloc(boot.nr_mfns * sizeof(*frames));
	virtual_read(m, cr3, vmm_word(m, cr3, "frames"), frames, boot.nr_mfns * sizeof(*frames));
	for (uint32_t mfn = 0; mfn < boot.nr_mfns; mfn++)
		values[mfn] = mfn - first < own ? OWN : frame_value(&frames[mfn], generation);
	json_t *json = cached(cache, values, boot.nr_mfns, rows_json);
	free(values), free(frames);
	return json;
}
