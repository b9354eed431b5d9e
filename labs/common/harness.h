/* SPDX-License-Identifier: MIT */
/*
 * The harness of the labs' checks. A check does not ask the kernel what it has done. It stops
 * the machine, decides what a CPU executes next (a function of the kernel or the VMM with
 * arguments of its own, or planted code), lets it run to chosen addresses, and judges registers
 * and memory from outside.
 *
 * Every function wants the machine stopped by its debugger and leaves it stopped, unless its
 * comment says otherwise. As in machine.h, a function that cannot do its work calls give_up().
 * "The CPU" below is the CPU that stopped last, guest.cpu.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include "judge.h"
#include "offsets.h"
#include "vmm_abi.h"
#include "x86.h"

#define ALL_CPUS 0xFFu
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { MAX_BREAKPOINTS = 16 };

/* A machine that a check works with. A check that starts it by other means fills m and seconds. */
struct guest {
	struct machine *m;
	double seconds;         /* limit of each run */
	unsigned cpu;           /* the CPU that stopped last */
	struct cpu_state c;     /* its state; all functions below but step() keep it up to date */
	unsigned held;          /* CPUs (bits) that stand at a breakpoint that was reported */
	unsigned nr_breakpoints;
	uint32_t breakpoints[MAX_BREAKPOINTS];
	struct cpu_state caller; /* during a call: the state that call_end() restores */
	uint32_t call_esp, result;
	uint32_t call_back;     /* where the call returns to */
	bool call_breaks;       /* the breakpoint there is the call's own */
	uint32_t free_code;     /* where plant() puts code next; 0: nothing was planted yet */
	uint32_t nr_pfns, nr_mfns, *p2m, *m2p; /* after read_p2m() */
};

/* --- running (harness_run.c) --- */

/* Start a machine and stop it at its first instruction. seconds: limit of each run. */
struct guest guest_start(const struct machine_options *o, double seconds);

/* The present state of a CPU. */
struct cpu_state state_of(const struct guest *g, unsigned cpu);
/*
 * Look at a CPU: it becomes g->cpu, and g->c becomes its present state. After a run g->c has the
 * registers only, with the selectors: look() again for what is in tables and hidden parts.
 */
void look(struct guest *g, unsigned cpu);

/*
 * Set a breakpoint, or take it away. To set it twice, or to take it away twice, is harmless.
 * Result: whether there was none before.
 */
bool break_at(struct guest *g, uint32_t address);
void break_off(struct guest *g, uint32_t address);
/* Result: the index of the breakpoint at this address in g->breakpoints; -1 if there is none. */
int find_breakpoint(const struct guest *g, uint32_t address);
/* The same at the first instruction of each function; a name means the kernel's, else the VMM's. */
void watch(struct guest *g, const char *const *functions, unsigned n, bool on);

/*
 * Let these CPUs (bits) run until one comes to a breakpoint. A CPU that was reported at a
 * breakpoint first executes the instruction there. Result: the CPU, which becomes guest.cpu; -1
 * if none came within the time or the machine ended. In Bochs all CPUs run.
 */
int run_cpus(struct guest *g, unsigned cpus);
/* The same with another limit. QEMU only. */
int run_for(struct guest *g, unsigned cpus, double seconds);
/* One instruction of this CPU. Its new state is not read; look() does. QEMU only. */
void step(struct guest *g, unsigned cpu);

/*
 * If the instruction at c's EIP is a simple one, execute it here: in c, and in memory. It is much
 * faster than a step. The CPU gets c by set_registers(). Result: whether that was done.
 * (harness_simple.c)
 */
bool execute_here(struct guest *g, struct cpu_state *c);

/* Let all CPUs run to the first of these addresses. Result: its index; -1 if they come to none. */
int run_to_first(struct guest *g, const uint32_t *addresses, unsigned n);
#define WORDS(...) (const uint32_t[]){ __VA_ARGS__ }, LENGTH(((const uint32_t[]){ __VA_ARGS__ }))
#define RUN(g, ...) run_to_first(g, WORDS(__VA_ARGS__))

/* --- what a CPU executes (harness_call.c) --- */

/* Argument i of the kernel function, or the return address, at its first instruction. */
uint32_t argument(struct guest *g, unsigned i);
uint32_t return_address(struct guest *g);
/* At a function's first instruction: return from it at once, with this result. */
void skip(struct guest *g, uint32_t result);
/* Load the general registers, ESP and EIP: all at once where the debugger can. */
void set_registers(struct guest *g, const struct cpu_state *c);
/* The CPU goes on here. */
void go(struct guest *g, uint32_t eip, uint32_t esp);

/*
 * Call a function of the kernel (arguments on the stack) or the VMM (the first three in
 * registers), run it to its end, and restore the CPU's registers. Result: the function's EAX.
 */
enum { ARGUMENTS_MAX = 8 };
uint32_t call(struct guest *g, uint32_t function, const uint32_t *arguments, unsigned n);
#define CALL(g, name, ...) call(g, symbol(name), WORDS(__VA_ARGS__))
#define VMM_CALL(g, name, ...) call(g, vmm_symbol(name), WORDS(__VA_ARGS__))
/*
 * The same in steps: call_begin(); call_next() until its result is 0, which means that the
 * function has returned (else it is the address of the breakpoint that the CPU came to);
 * call_end(), whose result is the function's EAX. A call that is broken off ends with
 * call_end() as well.
 */
void call_begin(struct guest *g, uint32_t function, const uint32_t *arguments, unsigned n);
uint32_t call_next(struct guest *g);
uint32_t call_end(struct guest *g);
/* Whether the CPU has just come back from the call. Not after call_next(), which says so itself. */
bool call_ended(const struct guest *g);
/*
 * An address to which the kernel's or the VMM's own calls of this function return; each time
 * another one. If there is none: one to which other calls return. (harness_sites.c)
 */
uint32_t call_site(uint32_t function);
/* The function that this address of the text belongs to: its first instruction. */
uint32_t function_of(uint32_t address);

/*
 * Put at most PLANT_BYTES bytes of code into the free part of the current task's kernel stack, each
 * time at another place. Result: its address.
 */
enum { PLANT_BYTES = 64 };
uint32_t plant(struct guest *g, const void *code, size_t bytes);
/*
 * The same in the kernel's text, for code whose address the judged code sees: interrupted code, a
 * place to return to, a function that is called by a pointer.
 */
uint32_t plant_in_text(struct guest *g, const void *code, size_t bytes);
/*
 * Plant less than PLANT_BYTES bytes of code and run it to its end. Then EIP and ESP are as before;
 * the other registers are those that the code left.
 */
void run_here(struct guest *g, const void *code, size_t bytes);

/* --- memory (harness_memory.c) --- */

/* Words of the kernel's or VMM's memory, by virtual address, as the CPU's page tables have it. */
uint32_t word_at(struct guest *g, uint32_t address);
void set_word(struct guest *g, uint32_t address, uint32_t value);
void set_words(struct guest *g, uint32_t address, const uint32_t *words, unsigned n);
/* Word number `index` of a variable of the kernel's, in its image. */
uint32_t variable(struct guest *g, const char *name, unsigned index);
void set_variable(struct guest *g, const char *name, unsigned index, uint32_t value);
/* A word variable of the VMM's. */
uint32_t vmm_word(struct guest *g, const char *name);
/* The same in a structure of the VMM's, by the offset of the member (offsets.h). */
uint32_t vmm_member(struct guest *g, const char *name, uint32_t offset);
/* A word of CPU 0's struct vmm_shared, by its offset: VMM_SHARED_PENDING, say. */
uint32_t shared_word(struct guest *g, uint32_t offset);
void set_shared_word(struct guest *g, uint32_t offset, uint32_t value);

/* Read nr_pfns, nr_mfns, p2m and m2p, which must be plausible in size. */
void read_p2m(struct guest *g);
/* Where the direct map shows this machine frame. The kernel must own it. */
uint32_t home_address(struct guest *g, uint32_t mfn);

/* --- what the checks know of the kernel (harness_kernel.c) --- */

/* The task whose kernel stack a CPU is on. */
static inline uint32_t task_of(const struct cpu_state *c)
{
	return c->esp & -(uint32_t)TASK_STACK_BYTES;
}
/* Whether this VO (virtual_vo, native_vo) is in use: all its words are compared. */
bool vo_is(struct guest *g, const char *name);
/* The invariants of a mode hold, and its VO is in use; or give up FAILED. */
void want_virtual(struct guest *g);
void want_native(struct guest *g);
/* A result of the kernel's in words: "-16 (-EBUSY)". The text lives until the next but one. */
const char *error_text(int error);

/* A random number, or one below n. The sequence depends on the run's seed alone. */
uint32_t random_word(void);
uint32_t random_below(uint32_t n);

#endif
