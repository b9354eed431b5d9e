/* SPDX-License-Identifier: MIT */
/*
 * The way into the kernel's handlers: the VMM does what the hardware does natively (SDM vol. 3,
 * 6.12).
 */
#include "vmm/event/event.h"

/*
 * Make r such that IRET leads to the kernel's handler of a vector, on a stack that looks as if
 * the CPU had taken the vector itself through an interrupt gate (SDM vol. 3, 6.12.1, 6.13,
 * figure 6-4).
 *
 * Exercise 2.7 (labs/02-deprivilege/handout.md, 6.1): given r, the registers of code in ring 1 or
 * 3; the kernel's handler; and whether the vector has an error code. Result: after the VMM's IRET
 * the handler runs in ring 1 as after an interrupt gate of the native kernel, and so that CS, SS,
 * ESP, EIP and EFLAGS alone have changed. Virtual IF does what IF does natively: bit 9 of the
 * frame's EFLAGS tells it, and it is 0 afterwards. The real IF stays 1; TF, NT, AC and IOPL are 0.
 * Only copy_to_kernel() may store to the kernel's stack. If that fails the kernel is stopped:
 * stop_kernel(r, "no kernel stack for a bounce", where the frame was to begin).
 */
void bounce(struct cpu *c, struct regs *r, unsigned vector)
{
	bool outer = (r->cs & 3) == 3, has_error = vector < 32 && (ERROR_CODES >> vector & 1);
	uint32_t handler = c->current->domain->handlers[vector];
	struct vmm_shared *s = c->current->shared;
	uint32_t frame[6], *at = frame;
	if (!handler)
		stop_kernel(r, "a vector without a handler", vector);
	/* LAB 2 TODO 7 BEGIN */
	if (has_error)
		*at++ = r->error;
	*at++ = r->eip;
	*at++ = r->cs;
	*at++ = (r->eflags & ~(uint32_t)EFLAGS_IF) | (outer ? EFLAGS_IF : s->vif & EFLAGS_IF);
	if (outer) {
		*at++ = r->esp;
		*at++ = r->ss;
		r->esp = c->tss.esp1;
	}
	uint32_t bytes = (uint32_t)(at - frame) * 4;
	r->esp -= bytes;
	if (copy_to_kernel(r->esp, frame, bytes))
		stop_kernel(r, "no kernel stack for a bounce", r->esp);
	r->eip = handler;
	r->cs = SEL_KCODE | 1;
	r->ss = SEL_KDATA | 1;
	r->eflags &= ~(uint32_t)(EFLAGS_TF | EFLAGS_NT | EFLAGS_AC | EFLAGS_IOPL);
	s->vif = 0;
	/* LAB 2 TODO 7 END */
	s->exits[EXIT_BOUNCED]++;
}

/*
 * Bounce the next event, if the interrupted code takes events. At most one event is bounced: at
 * its end the kernel's handler takes those that are left (irq.leave).
 *
 * Exercise 2.8 (labs/02-deprivilege/handout.md, 6.2): given r and this CPU's shared page. Ring 1
 * takes events if virtual IF is 1, ring 3 always does. Result, if an event is pending and the
 * interrupted code takes events: the one with the lowest number is bounced, pending no more, and
 * counted (EXIT_EVENT). Otherwise nothing has changed. Bits of `pending` that are not in
 * EVENT_BITS mean nothing, and stay.
 */
void event_deliver(struct cpu *c, struct regs *r)
{
	struct vmm_shared *s = c->current->shared;
	/* LAB 2 TODO 8 BEGIN */
	uint32_t pending = s->pending & EVENT_BITS;
	if (!pending || !((s->vif & EFLAGS_IF) || (r->cs & 3) == 3))
		return;
	unsigned event = (unsigned)__builtin_ctz(pending);
	s->pending &= ~(1u << event);
	s->exits[EXIT_EVENT]++;
	bounce(c, r, vector_of(event));
	/* LAB 2 TODO 8 END */
}
