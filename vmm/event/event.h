/* SPDX-License-Identifier: MIT */
/* Events and bounces: how the kernel in ring 1 learns of interrupts and exceptions. */
#ifndef VMM_EVENT_H
#define VMM_EVENT_H

#include "vmm/sched/sched.h"

/* irq.c: the interrupt controllers belong to the VMM while the kernel is attached */

/*
 * irq_arrived - an interrupt with this vector came: acknowledge it, and post it as an event of
 * domain 0's vCPU here, unless it is VEC_FLUSH or VEC_SPURIOUS, or VEC_TIMER is the scheduler's.
 * Takes the lock to mask a level-triggered line. Context: entry from any ring.
 */
void irq_arrived(struct cpu *c, unsigned vector);
/* Mask an ISA line, or let it interrupt. Result: 0, -EINVAL. (lock) */
int irq_mask(unsigned line, bool masked);
/*
 * Let a level-triggered line interrupt again: its device is served. Result: 0; -EINVAL if the
 * line is not level-triggered. (lock)
 */
int irq_end(unsigned line);
/* Send the event that has this vector to a CPU, or to VMM_OTHERS. Result: 0, -EINVAL. */
int irq_send(struct cpu *c, unsigned cpu, unsigned vector);
/*
 * irq_reinject - detach: each pending event becomes an interrupt of the hardware again. Takes
 * the lock. Context: the way out of the VMM, before cpu_restore().
 */
void irq_reinject(struct cpu *c);
/* The vector of an event. */
unsigned vector_of(unsigned event);

/* deliver.c */

/*
 * bounce - let the kernel handle a vector as if the hardware had delivered it: a frame on the
 * kernel's ring-1 stack, and the kernel's handler next. Stops a kernel that has no stack or no
 * handler for it. Context: the way out of the VMM (hazard_handle). Never inlined, so that a
 * debugger can stop at each bounce.
 */
void bounce(struct cpu *c, struct regs *r, unsigned vector) __attribute__((noinline));
/* event_deliver - bounce one pending event, if the kernel may take one. Context: as bounce(). */
void event_deliver(struct cpu *c, struct regs *r);

/* stop.c */

/*
 * domain_end - a guest ends: its vCPUs leave their processors, and domain 0 is told by the peer of
 * CONSOLE_PORT. reason: text that stays valid. Only the first end counts. (lock)
 */
void domain_end(struct cpu *c, struct domain *d, uint32_t status, const char *reason);
/*
 * stop_kernel - the kernel that runs here broke a rule: report it. If it is a guest's, the guest
 * ends, and this CPU goes on with another vCPU; else the run ends with VMM_STOPPED_STATUS. CPUs
 * that need the lock wait for the report's end. Context: without the lock.
 */
void stop_kernel(struct regs *r, const char *rule, uint32_t detail) __attribute__((noreturn));


#endif
