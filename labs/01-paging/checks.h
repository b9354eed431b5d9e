/* SPDX-License-Identifier: MIT */
/*
 * What the checks of this lab share. The kernel is not asked what it has done, it is used: the machine is stopped at a
 * function outside of the student's files, and the debugger calls the functions under test with inputs of its own,
 * watches where they pass, and judges memory afterwards by its own page walks.
 */
#ifndef LAB1_CHECKS_H
#define LAB1_CHECKS_H

#include "judge.h"

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100, NO_FRAME = -1, PAGE = 4096 };
enum { EPERM_ = 1, ENOMEM_ = 12, EBUSY_ = 16, EINVAL_ = 22 }; /* the kernel's error numbers */
enum { KERNEL_SLOT = KERNEL_BASE >> 22, VMM_SLOT = VMM_BASE >> 22 };

/* A machine stopped in the kernel, where it waits while the debugger has functions called. */
struct guest {
	struct machine *m;
	struct cpu_state at;       /* where it stands */
	uint32_t nr_pfns, nr_mfns, *p2m, *m2p; /* after lab1_read_p2m() */
	uint32_t stack, result;    /* of the latest call */
	uint32_t watched[8];
	unsigned nr_watched;
};

/* Boot modules (machine_options.modules) of a machine without VMM: exercises 3 to 5 do not wait for it. */
const char *lab1_without_vmm(void);
/* Start a machine and let it run to a function; it must come there. */
struct guest lab1_start(const struct machine_options *o, uint32_t address);
void lab1_run_to(struct guest *g, uint32_t address);
void lab1_read_p2m(struct guest *g);
void lab1_learn_p2m(struct guest *g); /* the same, and it must be what the check can build on */

/* Call a function of kernel (arguments on the stack) or VMM (the first three in registers). Result: its EAX. */
enum { ARGUMENTS_MAX = 8 };
uint32_t lab1_call(struct guest *g, uint32_t function, const uint32_t *arguments, unsigned n);
#define ARGUMENTS(...) (const uint32_t[]){ __VA_ARGS__ }, sizeof((const uint32_t[]){ __VA_ARGS__ }) / 4
#define CALL(g, name, ...) lab1_call(g, symbol(name), ARGUMENTS(__VA_ARGS__))
#define VMM_CALL(g, name, ...) lab1_call(g, vmm_symbol(name), ARGUMENTS(__VA_ARGS__))
/* A new frame of the kernel's. Result: its pfn. */
uint32_t lab1_alloc(struct guest *g);
/* The same in steps: begin, then next() until it says 0: the function has returned; else the breakpoint's address. */
void lab1_begin(struct guest *g, uint32_t function, const uint32_t *arguments, unsigned n);
uint32_t lab1_next(struct guest *g);
uint32_t lab1_end(struct guest *g); /* result: EAX */
void lab1_watch(struct guest *g, const char *const *names, unsigned n, bool set);
uint32_t lab1_argument(struct guest *g, unsigned i); /* of the kernel's function whose first instruction is next */
/* Return from that function at once. */
void lab1_return(struct guest *g, uint32_t value);
/* The kernel stores a word there. Result: whether the CPU let it, through whatever its TLB holds. */
bool lab1_can_write(struct guest *g, uint32_t address);

/* Kernel memory by address, through the page tables loaded now. */
uint32_t lab1_word(struct guest *g, uint32_t address);
void lab1_set_word(struct guest *g, uint32_t address, uint32_t value);
uint32_t lab1_vmm_word(struct guest *g, const char *name);
/* Entry for a page in the tables below a directory, and where it lies; 0 and 0 if there is no table. */
uint32_t lab1_entry(struct guest *g, uint32_t directory, uint32_t address, uint32_t *at);
/* Entry of pfn in the direct map: its home. */
uint32_t lab1_home(struct guest *g, uint32_t pfn);
bool lab1_in_text(uint32_t pfn); /* the kernel's text and constants, which are never writable */

uint32_t lab1_random(void); /* from judge_seed, the same each run */
uint32_t lab1_below(uint32_t n);

/* --- address spaces, as kernel/mm/area.h lays them out --- */
struct lab1_mm { uint32_t directory, areas, pages, slots[KERNEL_SLOT / 32]; };
struct lab1_mm lab1_mm(struct guest *g, uint32_t mm);
/* The kernel with its memory up but no VMM, in its first task, all machine frames shuffled. */
struct guest lab1_start_kernel(void);
/* Frames of the allocator and all caches: the same before and after, or something leaks. */
uint32_t lab1_free_frames(struct guest *g);
/* Neither the VO's use count nor the task's preemption count is left above zero. */
void lab1_check_released(struct guest *g, const char *what);
/* Every page of an address space, judged against p2m. when: for the message. */
void lab1_check_mm(struct guest *g, uint32_t mm, const char *when);

/* --- the VMM's frame table, as vmm/frames.c lays it out --- */
enum { WRITABLE, TABLE, DIRECTORY, SHARED };
struct lab1_frame { uint32_t home, generation, use, next; };
enum { OWNED = 1, HOME_W = 2, BASE_SHIFT = 4, BASE_MASK = 0xFF };
#define FOR_EVER 0xFFFFFFFFu
#define COUNT(f) ((f).use & 0xFFFFFFF)
#define TYPE(f) ((f).use >> 28)
uint32_t lab1_new_frame(struct guest *g); /* of zeros. Result: its mfn */
struct lab1_frame *lab1_frames(struct guest *g); /* nr_mfns of them, to be freed */
const char *lab1_type(unsigned type);
/*
 * Load a directory of the check's own, in a machine that warm-up has made ready and whose first program is not loaded yet: it does
 * not rest on exercises 3 to 5. Two page tables, each with a writable and a read-only page.
 */
void lab1_load_directory(struct guest *g);
struct guest lab1_start_account(void); /* such a machine, with that directory */
int lab1_account(struct guest *g); /* forget, and account the loaded directory */
/* Types and counts of all frames against an own recount. loads: how often g's directory is counted as loaded. */
void lab1_check_counts(struct guest *g, unsigned loads, const char *when);

void lab1_identity(const struct test *t), lab1_holes(const struct test *t), lab1_shuffle(const struct test *t);
void lab1_walk(const struct test *t), lab1_tables(const struct test *t), lab1_unmap(const struct test *t);
void lab1_stale(const struct test *t), lab1_program(const struct test *t);
void lab1_owners(const struct test *t), lab1_shared(const struct test *t);
void lab1_entries(const struct test *t), lab1_directories(const struct test *t), lab1_aliases(const struct test *t);
void lab1_live(const struct test *t), lab1_protect(const struct test *t), lab1_tlb(const struct test *t);

#endif
