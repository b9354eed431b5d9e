/* SPDX-License-Identifier: MIT */
/* The VMM's frame table (vmm/mem/frames.h), read from outside. */
#include "machine.h"
#include "offsets.h"
#include "x86.h"
#include <stdlib.h>
#include <string.h>

static uint32_t word_at(const uint8_t *entry, unsigned offset)
{
	uint32_t word;
	memcpy(&word, entry + offset, sizeof(word));
	return word;
}

static struct frame_state read_entry(const uint8_t *entry, uint32_t generation)
{
	uint32_t use = word_at(entry, FRAME_ENTRY_USE);
	uint32_t of_entry = word_at(entry, FRAME_ENTRY_GENERATION);
	return (struct frame_state){
		.owner = entry[FRAME_ENTRY_OWNER],
		.shared_mappings = word_at(entry, FRAME_ENTRY_HOME) >> BASE_SHIFT & BASE_MASK,
		.validity = of_entry == generation ? FRAME_CURRENT :
			    of_entry == FOR_EVER ? FRAME_FIXED : FRAME_OLD,
		.type = (enum frame_type)(use >> TYPE_SHIFT),
		.count = use & COUNT_MASK,
	};
}

uint32_t frame_table_entries(struct machine *m, uint32_t cr3)
{
	uint32_t n;
	virtual_read(m, cr3, vmm_symbol("machine") + VMM_MACHINE_NR_MFNS, &n, 4);
	return n;
}

struct frame_state *frame_table_read(struct machine *m, uint32_t cr3, uint32_t n)
{
	uint32_t generation, table, domain = vmm_symbol("domain0");
	_Static_assert(FRAME_WRITABLE == WRITABLE && FRAME_TABLE == TABLE &&
		       FRAME_DIRECTORY == DIRECTORY && FRAME_SHARED == SHARED, "the VMM's types");
	virtual_read(m, cr3, domain + DOMAIN_GENERATION, &generation, 4);
	virtual_read(m, cr3, vmm_symbol("frames"), &table, 4);
	uint8_t *entries = malloc((size_t)n * FRAME_ENTRY_BYTES);
	struct frame_state *frames = malloc(n * sizeof(*frames));
	virtual_read(m, cr3, table, entries, (size_t)n * FRAME_ENTRY_BYTES);
	for (uint32_t mfn = 0; mfn < n; mfn++)
		frames[mfn] = read_entry(entries + mfn * FRAME_ENTRY_BYTES, generation);
	free(entries);
	return frames;
}
