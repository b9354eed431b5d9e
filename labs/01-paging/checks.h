/* SPDX-License-Identifier: MIT */
/*
 * What the checks of lab 1 share, beside the harness. The machine is stopped at a function outside
 * of the student's files. The checks call the functions under test with inputs of their own, watch
 * which functions these call in turn, and judge memory afterwards by page walks of their own.
 */
#ifndef LAB1_CHECKS_H
#define LAB1_CHECKS_H

#include "harness.h"
#include <errno.h> /* the kernel's error numbers are the same */

enum { P = PTE_P, W = PTE_W, U = PTE_U, A = PTE_A, D = PTE_D, PS = PTE_PS, G = PTE_G };
enum { PAGE = PAGE_SIZE };

/* --- the machine (checks_guest.c) --- */

/*
 * For machine_options.modules: the root file system alone. Exercises 3 to 5 do not wait for the
 * VMM's warm-up, which is built in exercises 6 to 8.
 */
const char *without_vmm(void);
/* Start a machine, let it run to a function, and stop there. */
struct guest start_at(const struct machine_options *o, uint32_t address);
/* Let it run on to this address. It must come there. */
void run_to(struct guest *g, uint32_t address);
/* read_p2m(); p2m and m2p must be each other's inverse, or no other check can be made. */
void learn_p2m(struct guest *g);
/* A new frame of the kernel's. Result: its pfn. */
uint32_t alloc_frame(struct guest *g);
/* Whether the CPU lets the kernel store a word here, with the TLB as it is. */
bool can_write(struct guest *g, uint32_t address);
/*
 * The entry for a page in the tables below a directory (machine address), and the entry's own
 * machine address; both are 0 if there is no table.
 */
uint32_t table_entry(struct guest *g, uint32_t directory, uint32_t address, uint32_t *at);
/* The entry for pfn in the direct map. */
uint32_t home_entry(struct guest *g, uint32_t pfn);
/* Whether pfn belongs to the kernel's text and constants, which are never writable. */
bool in_text(uint32_t pfn);

/* --- address spaces (checks_vm.c) --- */

/* struct mm of kernel/mm/area.h. directory: its virtual address. */
struct mm_copy { uint32_t directory, pages, slots[KERNEL_SLOT / 32]; };
struct mm_copy read_mm(struct guest *g, uint32_t mm);
/* A kernel without VMM, in its first task, with its memory up and all frames shuffled. */
struct guest start_kernel(void);
/* Frames of the allocator and of all caches. If fewer are free afterwards, something leaks. */
uint32_t free_frames(struct guest *g);
/* Neither the VO's use count nor the task's preemption count is above zero. */
void want_released(struct guest *g, const char *what);
/* Every page of an address space agrees with p2m. when: for the message. */
void want_mm(struct guest *g, uint32_t mm, const char *when);

/* --- the VMM's frame table (checks_recount.c, checks_account.c) --- */

/* struct frame_entry of vmm/mem/frames.h. */
struct entry { uint32_t home, generation, type, count, owner, next; };
/* The whole frame table: nr_mfns entries. Result: for the caller to free. */
struct entry *read_frames(struct guest *g);
struct entry read_frame(struct guest *g, uint32_t mfn);
const char *type_name(unsigned type);
/* The number of the VMM's attachment. */
uint32_t vmm_generation(struct guest *g);
/* A new frame of the kernel's, all zeros. Result: its mfn. */
uint32_t new_frame(struct guest *g);
/*
 * Load a directory of the check's own. It has two page tables, each with a writable and a
 * read-only page, so these checks do not rest on exercises 3 to 5. Warm-up is done, and the first
 * program is not loaded yet.
 */
void load_own_directory(struct guest *g);
struct guest start_account(void); /* a machine with such a directory */
/* Forget all types, then account the loaded directory. Result: that of frames_account(). */
int account(struct guest *g);
/*
 * Types and counts of all frames equal a recount. loads: how often the loaded directory is
 * counted as loaded.
 */
void want_counts(struct guest *g, unsigned loads, const char *when);

typedef void check(const struct test *t);
check check_identity, check_holes, check_shuffle;    /* checks_p2m.c */
check check_walk, check_tables, check_program;       /* checks_vm.c */
check check_unmap, check_stale;                      /* checks_unmap.c */
check check_owners, check_shared;                    /* checks_frames.c */
check check_entries, check_directories, check_aliases; /* checks_account.c */
check check_live, check_protect, check_tlb;          /* checks_live.c */

#endif
