/* SPDX-License-Identifier: MIT */
/* The checks of lab 1, in the order of its exercises: what each looks at, and what it is worth. */
#include "checks.h"

#define SDM "SDM vol. 3, "
#define CHECK_OF(k, n, worth, function, what, where, symbol, ...) { .exercise = k, .name = n, .points = worth, \
	.run = function, .title = what, .see = where, .stop_at = symbol, .seconds = 90, __VA_ARGS__ }

const struct test lab_01_checks[] = {
	CHECK_OF(1, "identity", 6, lab1_identity, "p2m=identity owns exactly the usable frames", "handout 3.1", "p2m_build"),
	CHECK_OF(1, "holes", 6, lab1_holes, "memory maps with holes, overlaps, and more memory than pfns", "handout 3.1",
		 "p2m_build"),
	CHECK_OF(2, "shuffle", 8, lab1_shuffle, "p2m=shuffle is a random permutation, by its seed alone", "handout 3.2",
		 "p2m_build"),
	CHECK_OF(3, "walk", 6, lab1_walk, "a page table is found from the directory", "handout 4.1; " SDM "4.3", "mm_fault"),
	CHECK_OF(4, "tables", 8, lab1_tables, "tables are made on demand, with the right flags, by the VO",
		 "handout 4.2; " SDM "4.3, 4.6", "mm_fault"),
	CHECK_OF(5, "unmap", 10, lab1_unmap, "entries, then TLB, then frames; nothing lost", "handout 4.3; " SDM "4.10.4",
		 "mm_destroy"),
	CHECK_OF(5, "stale", 4, lab1_stale, "a program that touches what it has unmapped faults",
		 "handout 4.3; " SDM "4.10.4", "mm_unmap", .number = 7),
	CHECK_OF(5, "program", 4, lab1_program, "programs' page tables agree with p2m", "handout 4", "mm_destroy"),
	CHECK_OF(7, "owners", 8, lab1_owners, "warm-up: who owns each frame, and its writable mappings", "handout 5.2",
		 "vmm_warm_up"),
	CHECK_OF(8, "shared", 6, lab1_shared, "warm-up: the kernel's own tables are read-only for ever",
		 "handout 5.1, 5.3; " SDM "4.6", "vmm_warm_up"),
	CHECK_OF(9, "entries", 8, lab1_entries, "which entries a page table may hold", "handout 6.1", "switch_at_boot"),
	CHECK_OF(10, "directories", 6, lab1_directories, "a whole table or directory is checked, or undone", "handout 6.2",
		 "switch_at_boot"),
	CHECK_OF(11, "aliases", 6, lab1_aliases, "no frame becomes a table while it is mapped writable", "handout 6.3",
		 "switch_at_boot"),
	CHECK_OF(11, "live", 5, lab1_live, "tables that come to be while the VMM runs", "handout 6.3; " SDM "4.10.4",
		 "switch_at_boot"),
	CHECK_OF(12, "protect", 5, lab1_protect, "after protect no table is mapped writable anywhere", "handout 6.4",
		 "switch_at_boot"),
	CHECK_OF(11, "tlb", 4, lab1_tlb, "no stale TLB entry lets the kernel write to a table (Bochs)",
		 "handout 5.3, 6.3; " SDM "4.10.2.4", "switch_at_boot", .machine = { .bochs = true }),
	{ 0 },
};
