/* SPDX-License-Identifier: MIT */
/*
 * The interrupt controllers belong to the VMM in virtual mode. An interrupt is acknowledged at once and posted as an event of
 * its CPU; the kernel takes it when virtual IF allows. A level-triggered line stays masked until the kernel says that its
 * device is served.
 */
#include "vmm.h"

enum { LAPIC_EOI = 0xB0, LAPIC_ICR = 0x300, LAPIC_ICR_HIGH = 0x310, LAPIC_INITIAL = 0x380 };
#define ICR_PENDING 0x1000
#define ICR_ASSERT 0x4000
#define IOAPIC_TABLE 0x10
#define IOAPIC_LEVEL 0x8000
#define IOAPIC_MASKED 0x10000
#define LAPIC ((volatile uint32_t *)(VMM_BASE + 0x1FFF000))
#define IOAPIC ((volatile uint32_t *)(VMM_BASE + 0x1FFE000))

static const uint8_t vectors[NR_EVENTS] = {
	[EVENT_TIMER] = VEC_TIMER, [EVENT_RESCHED] = VEC_RESCHED, [EVENT_HALT] = VEC_HALT, [EVENT_SWITCH] = VEC_SWITCH,
};
static unsigned vector_of(unsigned event) { return event < NR_IRQ ? VEC_IRQ + event : vectors[event]; }

static unsigned event_of(unsigned vector)
{
	if (vector >= VEC_IRQ && vector < VEC_IRQ + NR_IRQ)
		return vector - VEC_IRQ;
	for (unsigned e = NR_IRQ; e < NR_EVENTS; e++)
		if (vectors[e] == vector)
			return e;
	return NR_EVENTS;
}

static void ioapic_set(unsigned line, bool masked) /* (lock): two accesses */
{
	IOAPIC[0] = IOAPIC_TABLE + 2 * boot.line[line].pin;
	IOAPIC[4] = boot.line[line].entry | (masked ? IOAPIC_MASKED : 0);
}

static bool level(unsigned event) { return event < NR_IRQ && boot.line[event].entry & IOAPIC_LEVEL; }

void irq_arrived(struct cpu *c, unsigned vector)
{
	c->shared->exits[EXIT_INTERRUPT]++;
	if (vector == VEC_SPURIOUS)
		return;
	if (vector == VEC_FLUSH) {
		LAPIC[LAPIC_EOI / 4] = 0;
		flush_served(c);
		return;
	}
	unsigned event = event_of(vector);
	if (level(event)) {
		vmm_lock(c);
		ioapic_set(event, true);
		vmm_unlock();
	}
	LAPIC[LAPIC_EOI / 4] = 0;
	c->shared->pending |= 1u << event;
}

static void send(unsigned apic_id, unsigned vector)
{
	while (LAPIC[LAPIC_ICR / 4] & ICR_PENDING)
		;
	LAPIC[LAPIC_ICR_HIGH / 4] = apic_id << 24;
	LAPIC[LAPIC_ICR / 4] = ICR_ASSERT | vector;
}

void irq_send_raw(unsigned cpu, unsigned vector) { send(boot.apic_id[cpu], vector); }

int irq_send(unsigned cpu, unsigned vector)
{
	unsigned event = event_of(vector);
	if (event < NR_IRQ || event >= NR_EVENTS || (cpu >= boot.nr_cpus && cpu != VMM_OTHERS))
		return -EINVAL;
	for (unsigned i = 0; i < boot.nr_cpus; i++)
		if (cpu == VMM_OTHERS ? i != this_cpu()->index : i == cpu)
			irq_send_raw(i, vector);
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

int irq_tick(unsigned hz)
{
	if (hz == 0 || hz > 1000)
		return -EINVAL;
	LAPIC[LAPIC_INITIAL / 4] = MAX(boot.lapic_hz / hz, 1u);
	return 0;
}

/*
 * Lab 2, exercise 8: if an event is pending and the interrupted code takes events, bounce the one with the lowest number: its bit
 * in `pending` becomes 0, EXIT_EVENT is counted, vector_of() has its vector. Ring 1 takes events if virtual IF is 1; ring 3 always.
 * Otherwise nothing changes. The kernel writes `pending`, too: bits from NR_EVENTS on mean nothing.
 * At most one event is delivered: the kernel's handler ends by setting virtual IF, which asks for the next.
 */
void deliver(struct cpu *c, struct regs *r)
{
	/* LAB 2 TODO 8 BEGIN */
	struct vmm_shared *s = c->shared;
	uint32_t pending = s->pending & ((1u << NR_EVENTS) - 1);
	if (!pending || !((s->vif & EFLAGS_IF) || (r->cs & 3) == 3))
		return;
	unsigned event = (unsigned)__builtin_ctz(pending);
	s->pending &= ~(1u << event);
	s->exits[EXIT_EVENT]++;
	bounce(c, r, vector_of(event));
	/* LAB 2 TODO 8 END */
}

/*
 * Detach: each event in c->shared->pending becomes an interrupt again, once, and none is pending then. An edge was acknowledged
 * when it came, so it would be lost: this CPU's own local APIC gets its vector. A level-triggered line was masked when it
 * came, and its device still asks: it is let through again. ioapic_set() wants the lock.
 */
void irq_reinject(struct cpu *c)
{
	/* LAB 3 TODO 9 BEGIN */
	vmm_lock(c);
	for (uint32_t pending = c->shared->pending & ((1u << NR_EVENTS) - 1); pending; pending &= pending - 1) {
		unsigned event = (unsigned)__builtin_ctz(pending);
		if (level(event)) /* masked when it came; its device still asks */
			ioapic_set(event, false);
		else
			irq_send_raw(c->index, vector_of(event));
	}
	vmm_unlock();
	c->shared->pending = 0;
	/* LAB 3 TODO 9 END */
}
