/* SPDX-License-Identifier: MIT */
/* The checks of lab 1, in the order of its exercises: what each looks at, and what it is worth. */
#include "checks.h"

#define SDM "SDM vol. 3, "

/*
 * At boot only the kernel's own directory is loaded, and has its type from warm-up. With the first
 * process's in its place there are tables to check, which the checks of exercises 9 to 12 make.
 */
#define LOADED "frames_account;set var loaded->directory[0] = $cr3 >> 12"

/*
 * One of the maps of `holes`: 9 frames, of which the last ones are left over, and a hole among the
 * 5 pfns' numbers.
 */
#define TINY_MAP "p2m_build;set var nr_pfns = 5;set var nr_mfns = 9;" \
	"set var *(long[4] *)usable = {0, 3, 4, 9};set var n = 2;set var nr_reserved = 0;" \
	"set var *(long[2] *)fixed = {1, 2};set var nr_fixed = 1"

#define ROW(k, check, worth) \
	.exercise = k, .name = #check, .points = worth, .run = check_##check, .seconds = 90

const struct test lab_01_checks[] = {
	{ ROW(1, identity, 4), .title = "p2m=identity owns exactly the usable frames",
	  .see = "handout 3.1", .stop_at = "assign_identity",
	  .look = "print/x nr_pfns;print/x nr_mfns;print/x m2p[0x9e]@4" },
	{ ROW(1, holes, 5), .title = "memory maps with holes, overlaps, and more memory than pfns",
	  .first = TINY_MAP,
	  .see = "handout 3.1", .stop_at = "assign_identity",
	  .look = "print/x *p2m@5;print/x *m2p@9" },
	{ ROW(2, shuffle, 8), .title = "p2m=shuffle is a random permutation, by its seed alone",
	  .see = "handout 3.2", .stop_at = "p2m_build",
	  .look = "print order;print/x fixed[0];print/x fixed[1]" },

	{ ROW(3, walk, 5), .title = "a page table is found from the directory",
	  .see = "handout 4.1; " SDM "4.3", .stop_at = "slot_of",
	  .stop_if = "mm->directory[address >> 22] != 0",
	  .look = "print/x address;print/x mm->directory[address >> 22]" },
	{ ROW(4, tables, 8), .title = "tables on demand: the right frame and flags, by the VO",
	  .see = "handout 4.2; " SDM "4.3, 4.6", .stop_at = "slot_make",
	  .stop_if = "mm->directory[address >> 22] == 0", .look = "print/x address;print/x *mm" },
	{ ROW(5, unmap, 8), .title = "entries, then TLB, then frames; nothing lost",
	  .see = "handout 4.3; " SDM "4.10.4", .stop_at = "drop_pages", .stop_if = "loaded",
	  .look = "print/x start;print/x end;print *mm" },
	{ ROW(5, stale, 3), .needs = EXERCISES(3, 5),
	  .title = "a program that touches what it has unmapped faults",
	  .see = "handout 4.3; " SDM "4.10.4", .stop_at = "drop_pages", .stop_if = "loaded",
	  .look = "print/x start;print/x end;cb pt start", .number = 7 },
	{ ROW(5, program, 3), .needs = EXERCISES(3, 5),
	  .title = "programs' page tables agree with p2m",
	  .see = "handout 4", .stop_at = "drop_pages",
	  .look = "print/x *mm;print/x mm->directory[start >> 22]" },
	{ ROW(5, usertests, 3), .needs = EXERCISES(3, 5),
	  .title = "the kernel's own tests, with two orders of frames",
	  .see = "handout 4", .stop_at = "drop_pages",
	  .look = "print/x *mm;print/x mm->directory[start >> 22]",
	  .text = "usertests fork_returns_twice cow_many mmap_demand munmap_splits" },

	{ ROW(6, home, 5), .title = "a home becomes read-only, or writable again",
	  .see = "handout 5.1", .stop_at = "home_protect", .look = "print/x *f;print protect" },
	{ ROW(7, owners, 6), .title = "warm-up: who owns each frame, and its writable mappings",
	  .see = "handout 5.2", .stop_at = "frames_warm_up",
	  .look = "print/x d->nr_pfns;print/x d->shared;print/x machine.nr_mfns" },
	{ ROW(8, shared, 6), .title = "warm-up: the kernel's own tables are read-only for ever",
	  .see = "handout 5.3; " SDM "4.6, 4.10.4", .stop_at = "forget_last_tables",
	  .look = "print/x d->directory;print/x d->direct_map_tables" },

	{ ROW(9, entries, 7), .title = "which entries a page table may hold",
	  .first = LOADED,
	  .see = "handout 6.1", .stop_at = "get_entries", .stop_if = "type == TABLE",
	  .look = "print/x entries[0]@8" },
	{ ROW(10, directories, 5), .title = "a directory's entries are all counted, or none",
	  .first = LOADED,
	  .see = "handout 6.2", .stop_at = "get_entries", .stop_if = "type == DIRECTORY",
	  .look = "print/x entries[0]@8;cb frames" },
	{ ROW(10, undo, 4), .title = "a page table's entries are all counted, or none",
	  .first = LOADED,
	  .see = "handout 6.2", .stop_at = "get_entries", .stop_if = "type == TABLE",
	  .look = "print/x entries[0]@8;cb frames" },
	{ ROW(11, promote, 6), .title = "no frame becomes a table while it is mapped writable",
	  .first = LOADED,
	  .see = "handout 6.3; " SDM "4.10.4", .stop_at = "promote",
	  .look = "print/x mfn;print type;print/x frames[mfn]" },
	{ ROW(12, protect, 5), .title = "after protect no table has a writable home",
	  .first = LOADED,
	  .see = "handout 6.4", .stop_at = "frames_protect", .stop_if = "protect",
	  .look = "cb frames" },
	{ ROW(11, aliases, 3), .needs = EXERCISES(9, 11),
	  .title = "whole directories: aliases, bad tables, all undone",
	  .first = LOADED,
	  .see = "handout 6", .stop_at = "promote", .stop_if = "type == TABLE",
	  .look = "print/x mfn;print/x frames[mfn]" },
	{ ROW(12, live, 3), .needs = EXERCISES(6, 6) | EXERCISES(9, 12),
	  .title = "tables that come to be while the VMM runs",
	  .first = LOADED,
	  .see = "handout 6; " SDM "4.10.4", .stop_at = "promote",
	  .look = "print/x mfn;print type;print/x frames[mfn]" },
	{ ROW(11, tlb, 3), .needs = EXERCISES(1, 1) | EXERCISES(6, 12),
	  .title = "no stale TLB entry lets the kernel write to a table (Bochs)",
	  .see = "handout 5.3, 6.3; " SDM "4.10.2.4", .stop_at = "frames_warm_up",
	  .look = "creg;page 0xc0100000", .machine = { .bochs = true } },
	{ 0 },
};
