/* SPDX-License-Identifier: MIT */
/*
 * Interrupts become events of domain 0. The VMM acknowledges an interrupt at once and posts it as
 * an event; the kernel gets the event when virtual IF allows. A level-triggered line stays masked
 * until the kernel says that its device is served (HC_END).
 */
#include "vmm/event/event.h"

#define IOAPIC_TABLE 0x10
#define IOAPIC_LEVEL 0x8000
#define IOAPIC_MASKED 0x10000
#define IOAPIC ((volatile uint32_t *)(VMM_BASE + VMM_IOAPIC_PAGE * PAGE_SIZE))

_Static_assert(EVENT_VECTOR(EVENT_RESCHED) == VEC_RESCHED && EVENT_VECTOR(EVENT_HALT) == VEC_HALT &&
	       EVENT_VECTOR(EVENT_SWITCH) == VEC_SWITCH && EVENT_VECTOR(EVENT_PORT) == VEC_PORT,
	       "order of vectors");
_Static_assert(EVENT_PORT == NR_EVENTS - 1, "the last event");

unsigned vector_of(unsigned event)
{
	return EVENT_VECTOR(event);
}

/* The event that a vector means; NR_EVENTS if it means none. */
static unsigned event_of(unsigned vector)
{
	if (vector >= VEC_TIMER && vector <= VEC_PORT)
		return vector - VEC_TIMER + EVENT_TIMER;
	return vector >= VEC_IRQ && vector < VEC_IRQ + NR_IRQ ? vector - VEC_IRQ : NR_EVENTS;
}

/* Mask an ISA line, or not: two accesses to the IOAPIC that must stay together. (lock) */
static void ioapic_set(unsigned line, bool masked)
{
	VMM_ASSERT_LOCKED();
	IOAPIC[0] = IOAPIC_TABLE + 2 * machine.line[line].pin;
	IOAPIC[4] = machine.line[line].entry | (masked ? IOAPIC_MASKED : 0);
}

/* Whether an event comes from a level-triggered line. Any number may be asked for. */
static bool level(unsigned event)
{
	return event < NR_IRQ && machine.line[event].entry & IOAPIC_LEVEL;
}

void irq_arrived(struct cpu *c, unsigned vector)
{
	struct vmm_shared *s = c->resident->shared;
	s->exits[EXIT_INTERRUPT]++;
	if (vector == VEC_SPURIOUS)
		return;
	unsigned event = event_of(vector);
	if (level(event)) {
		vmm_lock(c);
		ioapic_set(event, true);
		vmm_unlock();
	}
	apic_end();
	if (vector == VEC_FLUSH) /* the hazard is set already */
		return;
	if (unlikely(c->hosts)) {
		if (vector == VEC_TIMER)
			timer_fired(c);
		else
			vcpu_post(c->resident, 1u << event);
		return;
	}
	s->pending |= 1u << event;
	hazard_raise(c, HAZARD_DELIVER);
}

int irq_send(struct cpu *c, unsigned cpu, unsigned vector)
{
	struct vcpu *v = c->current;
	struct domain *d = v->domain;
	unsigned event = event_of(vector);
	if (event < NR_IRQ || event >= EVENT_PORT || (cpu >= d->nr_vcpus && cpu != VMM_OTHERS))
		return -EINVAL;
	for (unsigned i = 0; i < d->nr_vcpus; i++)
		if (cpu == VMM_OTHERS ? i == v->index : i != cpu)
			continue;
		else if (d == &domain0)
			apic_send(i, vector);
		else
			vcpu_post(&d->vcpus[i], 1u << event);
	return 0;
}

int irq_mask(unsigned line, bool masked)
{
	if (line >= NR_IRQ)
		return -EINVAL;
	ioapic_set(line, masked);
	return 0;
}

int irq_end(unsigned line)
{
	if (!level(line))
		return -EINVAL;
	ioapic_set(line, false);
	return 0;
}

/*
 * Detach: pending events become interrupts again.
 *
 * Exercise 3.9 (labs/03-switch/handout.md, 5.1): given the events in the shared page
 * (EVENT_BITS of `pending`). Result: each has become an interrupt of this CPU, once, and none
 * is pending. An edge was acknowledged when it came, so the hardware has forgotten it: this
 * CPU's own local APIC gets its vector (apic_send). A level-triggered line was masked when it
 * came, and its device still asks: the line is let through again (ioapic_set, with the lock).
 */
void irq_reinject(struct cpu *c)
{
	struct vmm_shared *s = c->current->shared;
	/* LAB 3 TODO 9 BEGIN */
	vmm_lock(c);
	for (uint32_t pending = s->pending & EVENT_BITS; pending; pending &= pending - 1) {
		unsigned event = (unsigned)__builtin_ctz(pending);
		if (level(event))
			ioapic_set(event, false);
		else
			apic_send(c->index, vector_of(event));
	}
	vmm_unlock();
	s->pending = 0;
	/* LAB 3 TODO 9 END */
}
