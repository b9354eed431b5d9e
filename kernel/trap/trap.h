/* SPDX-License-Identifier: MIT */
/*
 * Traps and interrupts after the entry code (entry.S) has saved the registers; and
 * panics.
 */
#ifndef TRAP_TRAP_H
#define TRAP_TRAP_H

#include "proc/task.h"

/* --- trap.c --- */
/*
 * Handle exceptions and interrupts: all but system calls and double faults. Called by the entry
 * code with interrupts off. Interrupts are turned on again where a handler may sleep: for
 * page faults of code that ran with interrupts on, and for a program's other faults.
 */
void trap_handle(struct trap_frame *regs);
/*
 * Panic because of the exception in regs. address: what CR2 held for a page fault, else
 * 0. Context: any.
 */
void trap_panic(const struct trap_frame *regs, uint32_t address) __attribute__((noreturn));

/* --- panic.c: panic() in two steps, for callers that print other registers than their own --- */
/*
 * Turn interrupts off and stop the other CPUs; printing takes no lock from here on. If
 * another CPU has panicked before, this CPU stops for ever. If this CPU itself has, the run
 * ends at once. Context: any.
 */
void panic_begin(void);
/* Print the cause and the caller's back trace, and end the run. After panic_begin(). */
void panic_end(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
/*
 * Print the call chain that begins at frame pointer ebp, as far as it lies on the current
 * stack. Context: any.
 */
void backtrace(uint32_t ebp);

/* --- irq.c. Interrupts off --- */
/* Run the handler of an ISA line, if it has one. */
void irq_handle(unsigned line);
/* Count an interrupt of this CPU for /proc/interrupts. */
void irq_count(unsigned vector);

#endif
