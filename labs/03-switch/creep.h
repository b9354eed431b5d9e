/* SPDX-License-Identifier: MIT */
/*
 * One CPU, instruction by instruction, while the check plays all others. So a check sees every
 * store to the kernel's variable `rendezvous` at the moment in which it is made, and knows when a
 * CPU waits. A race is then no matter of luck: the check itself is the other side of it.
 */
#ifndef LAB3_CREEP_H
#define LAB3_CREEP_H

#include "checks.h"

/*
 * Boot, and ask for virtual mode. All CPUs then stand at the first instruction of
 * switch_interrupt(), interrupts off: nothing of the submission has been executed yet.
 */
struct guest enter(const struct test *t, unsigned k);
/* Tell the kernel that there are 3 to 8 CPUs, drawn anew each time. Result: all these, as bits. */
uint32_t pretend_cpus(struct guest *g);
/*
 * The kernel takes this CPU for another one of the first n, the last or any, until the number is
 * given back. Result: the number.
 */
unsigned pretend_number(struct guest *g, unsigned n);
void give_number_back(struct guest *g);
/* This CPU executes what follows: calls, creep(). */
void choose(struct guest *g, unsigned cpu);
/* The same. It is said to be the leader. */
void choose_leader(struct guest *g, unsigned cpu);
/* The CPU's general registers, EIP and EFLAGS become known: much faster than look(). */
void read_registers(struct guest *g);
/* Run the CPU to a breakpoint; read_registers(). It must come to one. what: it comes from there. */
void run_on(struct guest *g, const char *what);

/* A word of `rendezvous` (RENDEZVOUS_ORDER, say; booleans are 0 or 1), and to set it. */
uint32_t said(struct guest *g, uint32_t offset);
void say(struct guest *g, uint32_t offset, uint32_t value);
/* A value for `order`: as small as after some switches; the last, after which comes 0; or any. */
uint32_t order_number(void);
/* Take note of `rendezvous` as it is now: creep() tells what changes from here on. */
void learn(struct guest *g);

/*
 * Call a function of the kernel's with these arguments, and creep() through it. CREEP_RETURNED:
 * it has returned. WAITS: it reads the same words again and again, or executes very many
 * instructions. CHANGED: the last instruction has changed `rendezvous`. Else the index of the
 * address in `stops` to which the CPU has come, its instruction not executed. A CPU that waits
 * and asks for the time is told that seconds have passed.
 */
enum { RETURNED = -1, WAITS = -2, CHANGED = -3 };
void begin(struct guest *g, const char *function, const uint32_t *arguments, unsigned n);
void begin_at(struct guest *g, uint32_t function, const uint32_t *arguments, unsigned n);
int creep(struct guest *g, const uint32_t *stops, unsigned n);
/* The same until nothing changes any more: CHANGED is passed over. */
int creep_on(struct guest *g, const uint32_t *stops, unsigned n);
/* Execute at most so many instructions. Result: what creep() returned if it came to an end. */
int creep_some(struct guest *g, unsigned instructions);
/* End the call, wherever it is. */
void leave(struct guest *g);

/* The CPU has not come back from this function, and does not: give up FAILED. */
void give_up_lost(struct guest *g, const char *function) __attribute__((noreturn));

/*
 * The CPU comes to no end: if it is in no function of kernel/switch/switch.c, give up FAILED, and
 * say what may not be called in the window.
 */
void want_in_switch(struct guest *g, const char *function, unsigned exercise);

/*
 * The CPU's last instruction, at eip and with this ESP, must not have led to the handler of an
 * exception. (checks_faults.c)
 */
void want_no_exception(struct guest *g, uint32_t eip, uint32_t esp);
/* Where the store is that creep() saw last: "function (file:line)". */
const char *store(void);
/* How many instructions were executed since begin(). */
unsigned crept(void);
/*
 * Whether the instruction at EIP, which stores, cannot be cut in two by another CPU: it has a LOCK
 * prefix, or is XCHG (SDM vol. 3, 8.1.2).
 */
bool is_locked(struct guest *g);
/* The same for the store that creep() saw last. */
bool store_is_locked(struct guest *g);

/* How a CPU comes to set its bit in a word of `rendezvous`. */
struct setting {
	const char *function;
	uint32_t word;
	unsigned exercise;
	bool due;      /* it has to set it; else only others have to */
	uint32_t step; /* what the leader has ordered */
};
/*
 * The function runs on this CPU, and another one sets its bit between two instructions, whichever:
 * none of the bits may be lost. (checks_atomic.c)
 */
void want_atomic(struct guest *g, const struct setting *s);

/*
 * Two steps that can be ordered: install_here() and translate_here() in some order. They do not
 * run: the check returns from them at once (do_step).
 */
void choose_steps(uint32_t steps[2]);
void do_step(struct guest *g);
/* The first argument of the function at whose begin the CPU is, as a bool. */
bool flag_argument(struct guest *g);

#endif
