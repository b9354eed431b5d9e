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
enum shown_type { FOREIGN, OWN, UNTOUCHED, COUNTED, TABLE, DIRECTORY, SHARED, TYPE_STEP = 8 };

/* What the VMM knows of the machine. */
static struct vmm_machine read_vmm_machine(struct machine *m, uint32_t cr3)
{
	struct vmm_machine result;
	virtual_read(m, cr3, vmm_symbol("machine"), &result, sizeof(result));
	return result;
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
		.m = m, .block_bytes = read_vmm_machine(m, cr3).block_bytes,
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

/* --- the frame table --- */

/*
 * Type and count as one number. A type from an earlier attachment is no longer valid: the frame is
 * plain memory, and its count is the number of its mappings in the kernel's own tables.
 */
static uint32_t frame_value(const struct frame_state *f)
{
	static const enum shown_type types[] = {
		[FRAME_WRITABLE] = COUNTED, [FRAME_TABLE] = TABLE, [FRAME_DIRECTORY] = DIRECTORY,
		[FRAME_SHARED] = SHARED,
	};
	if (f->validity != FRAME_OLD)
		return types[f->type & 3] + TYPE_STEP * f->count;
	return f->owner ? UNTOUCHED + TYPE_STEP * f->shared_mappings : FOREIGN;
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
	struct vmm_machine v = read_vmm_machine(m, cr3);
	uint32_t first = v.block >> PAGE_SHIFT, own = v.block_bytes >> PAGE_SHIFT;
	uint32_t *values = malloc(v.nr_mfns * sizeof(*values));
	struct frame_state *frames = frame_table_read(m, cr3, v.nr_mfns);
	for (uint32_t mfn = 0; mfn < v.nr_mfns; mfn++)
		values[mfn] = mfn - first < own ? OWN : frame_value(&frames[mfn]);
	json_t *json = cached(cache, values, v.nr_mfns, rows_json);
	free(values), free(frames);
	return json;
}
