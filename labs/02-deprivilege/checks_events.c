/* SPDX-License-Identifier: MIT */
/* Exercise 8: which event is delivered when; and interrupts that come while virtual IF is 0. */
#include "checks.h"

enum { TIMER = 1u << EVENT_TIMER };

/* --- HC_EVENTS --- */

/* mov $HC_EVENTS, %eax; int $HYPERCALL_VECTOR; nop */
static const uint8_t call_events[] = { 0xB8, HC_EVENTS, 0, 0, 0, 0xCD, HYPERCALL_VECTOR, 0x90 };
enum { AFTER_INT = 7 };

/* HC_EVENTS in ring 1. Result: the vector whose handler begins; 0 if the hypercall just returns. */
static unsigned ask(struct probe *p, uint32_t vif, uint32_t pending)
{
	static const uint8_t candidates[] = {
		VEC_IRQ, VEC_IRQ + 1, VEC_IRQ + 4, VEC_IRQ + 15, VEC_TIMER, VEC_RESCHED,
	};
	struct guest *g = &p->g;
	uint32_t at = plant(g, call_events, sizeof(call_events)), esp = p->entry.esp - 64;
	uint32_t stops[LENGTH(candidates) + 1] = { at + AFTER_INT };
	go_ring(p, 1, at, esp);
	set_shared(p, vif, pending);
	for (unsigned i = 0; i < LENGTH(candidates); i++)
		stops[i + 1] = p->handlers[candidates[i]];
	int stop = run_to_first(g, stops, LENGTH(stops));
	if (stop < 0)
		probe_lost(p,
			   "HC_EVENTS with virtual IF %#x and pending events %#x leads neither "
			   "back nor to a handler", vif, pending);
	if (stop == 0)
		return 0;
	CHECK(g->c.esp == esp - 12,
	      "an event's handler begins with ESP %#x instead of %#x: an event has no error code",
	      g->c.esp, esp - 12);
	CHECK(word_at(g, g->c.esp) == at + AFTER_INT, "an event's frame has EIP %#x",
	      word_at(g, g->c.esp));
	return candidates[stop - 1];
}

struct delivery {
	uint32_t vif, pending;
	unsigned vector; /* that is due, or 0 */
	uint32_t left;   /* pending events afterwards */
};

static uint32_t count_of(struct probe *p, enum vmm_exit reason)
{
	return shared_word(&p->g, VMM_SHARED_EXITS + 4 * reason);
}

static void deliver_once(struct probe *p, const struct delivery *d)
{
	uint32_t before = count_of(p, EXIT_EVENT);
	unsigned vector = ask(p, d->vif, d->pending);
	CHECK(vector == d->vector, "virtual IF %#x, pending events %#x: %s %#x, due is %s %#x",
	      d->vif, d->pending, vector ? "delivered vector" : "nothing delivered,", vector,
	      d->vector ? "vector" : "nothing,", d->vector);
	uint32_t left = shared_word(&p->g, VMM_SHARED_PENDING);
	uint32_t vif = shared_word(&p->g, VMM_SHARED_VIF);
	CHECK(left == d->left,
	      "virtual IF %#x, pending events %#x: after the delivery of vector %#x pending is "
	      "%#x, not %#x: %s", d->vif, d->pending, vector, left, d->left,
	      left & ~d->left ? "it will be delivered twice" : "the others are lost");
	CHECK(vif == (vector ? 0 : d->vif), "virtual IF is %#x after that", vif);
	uint32_t counted = count_of(p, EXIT_EVENT) - before;
	CHECK(counted == !!vector,
	      "virtual IF %#x, pending events %#x: exits[EXIT_EVENT] rose by %u, due is %u", d->vif,
	      d->pending, counted, !!vector);
}

void check_deliver(const struct test *t)
{
	static const struct delivery cases[] = {
		{ 0, TIMER, 0, TIMER },
		{ 0, 1u << 4 | TIMER, 0, 1u << 4 | TIMER },
		{ ~(uint32_t)EFLAGS_IF, TIMER, 0, TIMER },
		{ EFLAGS_IF, 0, 0, 0 },
		{ EFLAGS_IF, TIMER, VEC_TIMER, 0 },
		{ EFLAGS_IF, 1, VEC_IRQ, 0 },
		{ EFLAGS_IF, 1u << 4 | TIMER, VEC_IRQ + 4, TIMER },
		{ EFLAGS_IF, 1u << 1 | 1u << 4 | 1u << 15, VEC_IRQ + 1, 1u << 4 | 1u << 15 },
		{ EFLAGS_IF, 1u << EVENT_RESCHED | TIMER, VEC_TIMER, 1u << EVENT_RESCHED },
		/* Bits that mean nothing. */
		{ EFLAGS_IF, 1u << NR_EVENTS, 0, 1u << NR_EVENTS },
		{ EFLAGS_IF, 0xFFF00000, 0, 0xFFF00000 },
		{ EFLAGS_IF, 0x80000000 | TIMER, VEC_TIMER, 0x80000000 },
	};
	struct probe *p = probe_start(t);
	for (unsigned i = 0; i < LENGTH(cases); i++)
		deliver_once(p, &cases[i]);
}

/* --- interrupts --- */

static const uint8_t loop[] = { 0xEB, 0xFE }; /* jmp . */
enum { SERIAL_LINE = 4, SERIAL = 1u << SERIAL_LINE, MOST_INTERRUPTS = 100 };

/*
 * Run in the loop until an interrupt has come to the VMM and the loop goes on. Result: the
 * interrupt's vector.
 */
static unsigned await_interrupt(struct probe *p, uint32_t at)
{
	struct guest *g = &p->g;
	if (RUN(g, vmm_symbol("irq_arrived")) != 0)
		probe_lost(p, "no interrupt comes to the VMM in ring 1: is the "
			      "real IF 0 (EFLAGS %#x)?",
			   g->c.eflags);
	uint32_t vector = g->c.edx;
	CHECK(RUN(g, at, p->handlers[vector & 0xFF]) == 0,
	      "interrupt %#x came while virtual IF was 0, and the VMM did not return to the "
	      "interrupted code but to EIP %#x in ring %u", vector, g->c.eip, g->c.cpl);
	return vector;
}

/* Both interrupts come, several times, while virtual IF is 0. Result: the pending events. */
static uint32_t collect_events(struct probe *p, uint32_t at)
{
	const uint32_t wanted = SERIAL | TIMER;
	uint32_t seen = 0;
	for (unsigned i = 0; i < 6 + judge_seed % 3 || (seen & wanted) != wanted; i++) {
		unsigned vector = await_interrupt(p, at);
		uint32_t all = seen | (vector == VEC_TIMER ? TIMER : 1u << (vector - VEC_IRQ));
		seen = shared_word(&p->g, VMM_SHARED_PENDING);
		CHECK((seen & all) == all, "after interrupt %#x pending is %#x, not %#x", vector,
		      seen, all);
		CHECK(i < MOST_INTERRUPTS, "the serial line's interrupt does not come");
	}
	return seen;
}

/* With virtual IF 1 this vector's handler begins; 0: none does. */
static void want_event(struct probe *p, uint32_t pending, unsigned due, const char *whose)
{
	unsigned vector = ask(p, EFLAGS_IF, pending);
	bool again = vector && (vector < due || !due);
	CHECK(vector == due,
	      "virtual IF 1, pending events %#x: vector %#x is delivered (0: "
	      "none), due is %#x, %s%s",
	      pending, vector, due, whose, again ? "; this one has been delivered before" : "");
}

/* In ring 3 an interrupt's event comes at once. */
static void want_at_once(struct probe *p, uint32_t loop_at)
{
	struct guest *g = &p->g;
	set_shared(p, 0, 0);
	allow_interrupts(p, true);
	go_ring(p, 3, loop_at, p->user_esp);
	if (RUN(g, p->handlers[VEC_TIMER]) != 0)
		probe_lost(p, "a timer interrupt in ring 3 is not delivered: programs have "
			      "interrupts on, whatever virtual IF says");
	uint32_t eip = word_at(g, g->c.esp), cs = word_at(g, g->c.esp + 4);
	CHECK(eip == loop_at && cs == SEL_UCODE, "the event's frame has EIP %#x, CS %#x", eip, cs);
	CHECK(!(shared_word(g, VMM_SHARED_PENDING) & TIMER),
	      "the timer's event is still pending when its handler begins: it will come twice");
}

/*
 * A character comes on the serial line, and the timer ticks, at moments that the seed says, while
 * virtual IF is 0: both are noted, neither is delivered. Then virtual IF becomes 1: each is
 * delivered once, the lower one first.
 */
void check_pending(const struct test *t)
{
	struct probe *p = probe_start(t);
	uint32_t at = plant(&p->g, loop, sizeof(loop));
	uint32_t in_ring3 = plant_user(p, loop, sizeof(loop));
	uint32_t esp = p->entry.esp - 64;
	allow_interrupts(p, true);
	go(&p->g, at, esp);
	machine_send(p->g.m, "x");
	uint32_t pending = collect_events(p, at);
	allow_interrupts(p, false);
	want_event(p, pending, VEC_IRQ + SERIAL_LINE, "the serial line's event");
	want_event(p, shared_word(&p->g, VMM_SHARED_PENDING), VEC_TIMER, "the timer's event");
	want_event(p, shared_word(&p->g, VMM_SHARED_PENDING), 0, "as each was delivered");
	want_at_once(p, in_ring3);
}
