/* SPDX-License-Identifier: MIT */
/* Between the files that check invariants: p2m and m2p, and what mappings must hold. */
#ifndef INVARIANTS_H
#define INVARIANTS_H

#include "judge.h"
#include "layout.h"
#include "x86.h"

/* p2m and m2p as the machine has them; arrays of ALL_FRAMES. */
struct translation {
	uint32_t nr_pfns, nr_mfns, *p2m, *m2p;
	bool *table; /* by mfn: a loaded directory, or a page table in one (mark_tables()) */
	/* Frames of the kernel's image, which has pfn == mfn; the read-only ones come first. */
	uint32_t image, readonly_end, image_end;
	bool virtual_mode;
};

/* Read p2m and m2p, to be freed by translation_free(). No table is marked yet. */
struct translation translation_read(struct machine *m, uint32_t cr3, bool virtual_mode);
void translation_free(struct translation *t);
/* p2m and m2p are inverse to each other, on nr_pfns frames, in the order that was asked for. */
void check_translation(const struct machine *m, const struct translation *t);
/* Mark the page tables in slots first .. end - 1 of a directory. */
void mark_tables(struct translation *t, const uint32_t *directory, uint32_t first, uint32_t end);
/* Check the kernel's half of its own directory, table by table. All tables are marked. */
void check_kernel_half(struct machine *m, const uint32_t *directory, const struct translation *t);
/* Check a program's half. The tables of this directory are marked. */
void check_user_half(struct machine *m, const uint32_t *directory, const struct translation *t);

#endif
