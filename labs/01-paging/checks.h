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
/*
 * Start a machine, let it run to a function, and stop there. If o->p2m is there, the check deals
 * the frames: p2m_build() is left at once, with tables in a random order that the run's seed
 * determines. So exercises 1 and 2 are no base of the checks of later ones. (Not in Bochs.)
 */
struct guest start_at(const struct machine_options *o, uint32_t address);
/* Memory of a machine, in MiB: as much as `make run` gives, or less. */
unsigned some_memory(void);
/* Let it run on to this address. It must come there. */
void run_to(struct guest *g, uint32_t address);

/* What the machine gives p2m_build(), and a check, too, with values of its own. */
enum { RANGES_MAX = 64, RESERVED_MAX = 3, FIXED = 2 }; /* lengths of the arrays in mm/init.c */
struct range { uint32_t first, end; };
struct input {
	uint32_t at[7]; /* as passed: usable, n, reserved, n, fixed, n, shuffle; the seed follows */
	struct range usable[RANGES_MAX], reserved[RESERVED_MAX], fixed[FIXED];
	uint32_t nr_pfns, nr_mfns;
};
/* At the first instruction of p2m_build(): its input. */
struct input read_input(struct guest *g);
bool within(const struct range *r, uint32_t n, uint32_t frame);
/* Whether the kernel may have this frame. */
bool usable(const struct input *in, uint32_t mfn);

/* --- p2m_build() with inputs of the check's (checks_p2m.c) --- */

/* p2m as exercise 1 may make it: a pfn without a frame of its own gets the next from nr_pfns on. */
uint32_t *make_identity(const struct input *in);
/*
 * Call p2m_build(); for a shuffle the check does the work of exercise 1. room: the tables have room
 * for more entries, so that the next one can be watched.
 */
void build_p2m(struct guest *g, const struct input *in, bool room, bool shuffle, uint32_t seed);
/*
 * FAILED unless p2m and m2p are each other's inverse, on nr_pfns frames that the machine has for
 * the kernel; or, all that, and each pfn has the frame of its own number if that is usable.
 */
void judge_p2m(const struct guest *g, const struct input *in, const char *what);
void judge_identity(const struct guest *g, const struct input *in, const char *what);

/* read_p2m(); p2m and m2p must be each other's inverse, or no other check can be made. */
void learn_p2m(struct guest *g);
/* Judge what a check rests on; if that fails, context stands before the reason. */
void judge_base(struct guest *g, const char *context, void (*judge)(struct guest *g));
/* A new frame of the kernel's. Result: its pfn. */
uint32_t alloc_frame(struct guest *g);
/* The same, all zeros. Result: its mfn. */
uint32_t new_frame(struct guest *g);
void set_physical(struct guest *g, uint32_t at, uint32_t word);
/* Whether the CPU lets the kernel store a word here, with the TLB as it is. */
bool can_write(struct guest *g, uint32_t address);
/*
 * The entry for a page in the tables below a directory (machine address), and the entry's own
 * machine address; both are 0 if there is no table.
 */
uint32_t table_entry(struct guest *g, uint32_t directory, uint32_t address, uint32_t *at);
/* The entry for pfn in the direct map. */
uint32_t home_entry(struct guest *g, uint32_t pfn);
void set_home_entry(struct guest *g, uint32_t pfn, uint32_t entry);
/* Whether pfn belongs to the kernel's text and constants, which are never writable. */
bool in_text(uint32_t pfn);

/* --- address spaces (checks_vm.c) --- */

/* struct mm of kernel/mm/area.h. directory: its virtual address. */
struct mm_copy { uint32_t directory, pages, slots[KERNEL_SLOT / 32]; };
struct mm_copy read_mm(struct guest *g, uint32_t mm);
/* A kernel without VMM, in its first task, with its memory up and all frames shuffled. */
struct guest start_kernel(void);
/* Neither the VO's use count nor the task's preemption count is above zero. */
void want_released(struct guest *g, const char *what);
/* An address space without pages and areas. directory: its machine address. */
struct space { uint32_t mm, directory; };
struct space make_space(struct guest *g);
/* Put an empty table into a slot that is 0, and note it. Result: its machine address. */
uint32_t add_table(struct guest *g, const struct space *s, uint32_t slot);
/* What slot_of() must give: where the kernel sees the entry for an address; 0 without a table. */
uint32_t right_slot(struct guest *g, uint32_t directory, uint32_t address);
/* FAILED unless slot_of(), or slot_make(), does what its exercise says. */
void judge_walk(struct guest *g);
void judge_tables(struct guest *g);
void judge_unmap(struct guest *g); /* drop_pages(); checks_unmap.c */

/* --- other callers, other machines (checks_vary.c) --- */

enum { SET_PTE, SET_PTES, CHANGE_PTES, FLUSH_PAGE, FLUSH_ALL, NR_OPS };
/* Stops at these operations of the native and of the virtual VO are there, or not. */
void watch_ops(struct guest *g, bool on);
/* Which operation the CPU begins; NR_OPS: none. */
unsigned op_here(const struct guest *g);
/* Store what it stores, and return from it. It must have been called by the VO. */
void do_op(struct guest *g, unsigned op);
/* From here to vary_end() words on which no exercise depends have other values. mm: the call's. */
void vary_begin(struct guest *g, uint32_t mm);
void vary_end(struct guest *g);

/* --- the VMM's frame table (checks_recount.c) --- */

/* struct frame_entry of vmm/mem/frames.h. */
struct entry { uint32_t home, generation, type, count, owner, next; };
/* The whole frame table: nr_mfns entries. Result: for the caller to free. */
struct entry *read_frames(struct guest *g);
struct entry read_frame(struct guest *g, uint32_t mfn);
void write_frame(struct guest *g, uint32_t mfn, const struct entry *e);
/* Where the VMM has the entry of a frame. */
uint32_t frame_address(struct guest *g, uint32_t mfn);
const char *type_name(unsigned type);
/* The number of the VMM's attachment. */
uint32_t vmm_generation(struct guest *g);

/* --- the VMM's stock (checks_stock.c) --- */

uint32_t cpu0(void); /* struct cpu of CPU 0 */
/*
 * So many CPUs are attached, for the VMM: this one, and others, which answer to no flush; 0: none.
 * From the first time on the VMM's variables are as after an attach.
 */
void set_attached(struct guest *g, unsigned cpus);
unsigned many_cpus(void); /* 2 to 8 */
/* Take or give back the VMM's lock, for a function that is called with the lock held. */
void lock(struct guest *g, bool on);
uint32_t kernel_directory(struct guest *g); /* its mfn */
/* By mfn: whether it is a table of the kernel's upper part, or the kernel's directory. */
bool *find_shared(struct guest *g);
/* What exercise 7 must note of the kernel's tables as they are now, by mfn. */
struct entry *count_stock(struct guest *g);
/*
 * Do the work of frames_warm_up(). fix: that of exercise 8, too. The interrupt controllers are not
 * noted: they stay mapped at `protect`.
 */
void take_stock(struct guest *g, bool fix);
/* Begin a new generation, as frames_forget() does. */
void forget_types(struct guest *g);
/*
 * A machine whose frames the check has dealt and whose stock the check has taken. Warm-up is done,
 * and the first program is not loaded yet.
 */
struct guest start_stock(void);
/* The frame table is as expected; an entry of an older generation may have been brought up. */
void want_frames(struct guest *g, const struct entry *expected, const char *what);
/* An entry as frame_current() brings it up to a generation. */
struct entry current(struct entry e, uint32_t generation);
/* FAILED unless the exercise's function does what its comment says. g: of start_stock(). */
void judge_home(struct guest *g);      /* 6, checks_frames.c */
void judge_entries(struct guest *g);   /* 9, checks_entries.c */
void judge_directories(struct guest *g); /* 10 */
void judge_undo(struct guest *g);      /* 10 */
void judge_promote(struct guest *g);   /* 11, checks_promote.c */
void judge_protect(struct guest *g);   /* 12 */
/* For judge_cause, of a check that needs all these: the first that is wrong goes before. */
void look_at_each(void);

/* --- a whole directory (checks_account.c) --- */

/*
 * Load a directory of the check's own. It has two page tables, each with a writable and a
 * read-only page, so these checks do not rest on exercises 3 to 5.
 */
void load_own_directory(struct guest *g);
struct guest start_account(void); /* start_stock(), with such a directory, and look_at_each() */
/* Forget all types, then account the loaded directory. Result: that of frames_account(). */
int account(struct guest *g);
/*
 * Types and counts of all frames equal a recount. loads: how often the loaded directory is
 * counted as loaded.
 */
void want_counts(struct guest *g, unsigned loads, const char *when);

typedef void check(const struct test *t);
check check_identity, check_holes;                   /* checks_p2m.c */
check check_shuffle;                                 /* checks_shuffle.c */
check check_walk, check_tables;                      /* checks_vm.c */
check check_unmap;                                   /* checks_unmap.c */
check check_stale, check_program, check_usertests;   /* checks_programs.c */
check check_home, check_owners, check_shared;        /* checks_frames.c */
check check_entries, check_directories, check_undo;  /* checks_entries.c */
check check_promote, check_protect;                  /* checks_promote.c */
check check_aliases;                                 /* checks_account.c */
check check_live, check_tlb;                         /* checks_live.c */

#endif
