/* SPDX-License-Identifier: MIT */
/* Traps and interrupts after the entry code has saved the registers. */
#ifndef TRAP_TRAP_H
#define TRAP_TRAP_H

#include "proc/task.h"

/* Everything but system calls comes here. Interrupts off; they are back on for what may sleep. */
void trap_handle(struct trap_frame *regs);
/* Print cause and registers and end. Any context. */
void trap_panic(const struct trap_frame *regs, uint32_t address) __attribute__((noreturn));

/* irq.c */
void irq_handle(unsigned line);   /* run an ISA line's handler */
void irq_count(unsigned vector);  /* for /proc/interrupts */


#endif
