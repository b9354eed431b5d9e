/* SPDX-License-Identifier: MIT */
/* Events and bounces: how the kernel in ring 1 hears of interrupts and exceptions. */
#ifndef VMM_EVENT_H
#define VMM_EVENT_H

#include "vmm/cpu/cpu.h"

/* irq.c: the interrupt controllers belong to the VMM while a kernel is attached */

/*
 * irq_arrived - an interrupt with this vector came: acknowledge it, and post it as an event of the
 * domain that runs here.
 */
void irq_arrived(struct cpu *c, unsigned vector);
/* Let an ISA line interrupt, or not. Result: 0, -EINVAL. (lock) */
int irq_mask(unsigned line, bool masked);
/*
 * The device of a level-triggered line is served. Result: 0; -EINVAL if the line is no such
 * one. (lock)
 */
int irq_end(unsigned line);
/* Send an event by its vector to a CPU, or to VMM_OTHERS. Result: 0, -EINVAL. */
int irq_send(struct cpu *c, unsigned cpu, unsigned vector);
/*
 * irq_reinject - detach: each pending event becomes an interrupt of the hardware again. Takes
 * the lock.
 */
void irq_reinject(struct cpu *c);
/* The vector of an event. */
unsigned vector_of(unsigned event);

/* deliver.c */

/*
 * bounce - let the kernel handle a vector as if the hardware had delivered it: a frame on the
 * kernel's ring-1 stack, and the kernel's handler next. Stops a kernel that has no stack or no
 * handler for it. Context: the way out of the VMM (hazard_handle).
 */
void bounce(struct cpu *c, struct regs *r, unsigned vector);
/* event_deliver - bounce one pending event, if the kernel may take one. Context: as bounce(). */
void event_deliver(struct cpu *c, struct regs *r);

#endif
