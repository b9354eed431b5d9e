/* SPDX-License-Identifier: MIT */
/* Lab 2, exercise 8: which event is delivered when; and interrupts that come while virtual IF is 0. */
#include "checks.h"

static const uint8_t call_events[] = {
	0xB8, HC_EVENTS, 0, 0, 0, 0xCD, HYPERCALL_VECTOR, 0x90
}; /* mov $HC_EVENTS, %eax; int; nop */
enum { BEHIND_INT = 7, TIMER = 1u << EVENT_TIMER, COUNTED = SHARED_EXITS + 4 * EXIT_EVENT };

/* HC_EVENTS in ring 1. Result: the vector whose handler begins, or 0 if the hypercall just returns. */
static unsigned ask(struct probe *p, uint32_t vif, uint32_t pending)
{
	static const uint8_t candidates[] = { VEC_IRQ, VEC_IRQ + 1, VEC_IRQ + 4, VEC_IRQ + 15, VEC_TIMER, VEC_RESCHED };
	uint32_t at = plant(p, call_events, sizeof(call_events)), stops[COUNT(candidates) + 1] = { at + BEHIND_INT };
	uint32_t esp = p->entry.esp - 64;
	go_ring(p, 1, at, esp);
	set_shared(p, vif, pending);
	for (unsigned i = 0; i < COUNT(candidates); i++)
		stops[i + 1] = p->handlers[candidates[i]];
	int stop = probe_run(p, stops, COUNT(stops));
	if (stop < 0)
		probe_lost(p,
			   "HC_EVENTS with virtual IF %#x and pending events %#x leads neither back nor to a handler",
			   vif, pending);
	CHECK(stop == 0 || p->c.esp == esp - 12,
	      "an event's handler begins with ESP %#x instead of %#x: an event has no error code", p->c.esp, esp - 12);
	CHECK(stop == 0 || read_word(p, p->c.esp) == at + BEHIND_INT, "an event's frame has EIP %#x",
	      read_word(p, p->c.esp));
	return stop ? candidates[stop - 1] : 0;
}

void check_deliver(const struct test *t)
{
	static const struct {
		uint32_t vif, pending;
		unsigned vector;
		uint32_t left;
	} cases[] = {
		{ 0, TIMER, 0, TIMER },
		{ 0, 1u << 4 | TIMER, 0, 1u << 4 | TIMER },
		{ ~(uint32_t)EFLAGS_IF, TIMER, 0, TIMER },
		{ EFLAGS_IF, 0, 0, 0 },
		{ EFLAGS_IF, TIMER, VEC_TIMER, 0 },
		{ EFLAGS_IF, 1, VEC_IRQ, 0 },
		{ EFLAGS_IF, 1u << 4 | TIMER, VEC_IRQ + 4, TIMER },
		{ EFLAGS_IF, 1u << 1 | 1u << 4 | 1u << 15, VEC_IRQ + 1, 1u << 4 | 1u << 15 },
		{ EFLAGS_IF, 1u << EVENT_RESCHED | TIMER, VEC_TIMER, 1u << EVENT_RESCHED },
		{ EFLAGS_IF, 1u << NR_EVENTS, 0, 1u << NR_EVENTS }, /* means nothing */
		{ EFLAGS_IF, 0xFFF00000, 0, 0xFFF00000 },
		{ EFLAGS_IF, 0x80000000 | TIMER, VEC_TIMER, 0x80000000 },
	};
	struct probe *p = probe_start(t);
	for (unsigned i = 0; i < COUNT(cases); i++) {
		uint32_t vif = cases[i].vif, pending = cases[i].pending, left, counted = shared_word(p, COUNTED);
		unsigned vector = ask(p, vif, pending);
		CHECK(vector == cases[i].vector, "virtual IF %#x, pending events %#x: %s %#x, due is %s %#x", vif,
		      pending, vector ? "delivered vector" : "nothing delivered,", vector,
		      cases[i].vector ? "vector" : "nothing,", cases[i].vector);
		left = shared_word(p, SHARED_PENDING);
		CHECK(left == cases[i].left,
		      "virtual IF %#x, pending events %#x: behind the delivery of vector %#x pending is %#x, not %#x: "
		      "%s",
		      vif, pending, vector, left, cases[i].left,
		      left & ~cases[i].left ? "it will be delivered twice" : "the others are lost");
		CHECK(shared_word(p, SHARED_VIF) == (vector ? 0 : vif), "virtual IF is %#x behind that",
		      shared_word(p, SHARED_VIF));
		counted = shared_word(p, COUNTED) - counted;
		CHECK(counted == !!vector, "virtual IF %#x, pending events %#x: exits[EXIT_EVENT] rose by %u, due is %u", vif, pending,
		      counted, !!vector);
	}
}

/* An endless loop; or one that virtual IF 1 and HC_EVENTS follow. */
static const uint8_t loop[] = { 0xEB, 0xFE };

/* Run in the loop until an interrupt has come to the VMM, and once more around. Result: the interrupt's vector. */
static unsigned await_interrupt(struct probe *p, uint32_t at)
{
	uint32_t arrived = vmm_symbol("irq_arrived"), vector;
	if (RUN(p, arrived) != 0)
		probe_lost(p, "no interrupt comes to the VMM in ring 1: is the real IF 0 (EFLAGS %#x)?", p->c.eflags);
	vector = p->c.edx;
	if (RUN(p, at, p->handlers[vector & 0xFF]) != 0)
		give_up(FAILED,
			"interrupt %#x came while virtual IF was 0, and the VMM did not return to the interrupted code "
			"but to EIP %#x in ring %u",
			vector, p->c.eip, p->c.cpl);
	return vector;
}

/* What an event's handler must find, 0 if none is left. */
static void want_event(struct probe *p, uint32_t pending, unsigned due, const char *whose)
{
	unsigned vector = ask(p, EFLAGS_IF, pending);
	CHECK(vector == due, "virtual IF 1, pending events %#x: vector %#x is delivered (0: none), due is %#x, %s%s", pending, vector, due,
	      whose, vector && (vector < due || !due) ? "; this one has been delivered before" : "");
}

/*
 * A character comes on the serial line, and the timer ticks, at moments that the seed says, while virtual IF is 0: both
 * are noted, neither is delivered. Then virtual IF becomes 1: each is delivered once, the lower first. In ring 3 they
 * come at once.
 */
void check_pending(const struct test *t)
{
	struct probe *p = probe_start(t);
	uint32_t at = plant(p, loop, sizeof(loop)), seen = 0, wanted = 1u << 4 | TIMER, bit;
	uint32_t esp = p->entry.esp - 64, in_ring3 = plant_user(p, loop, sizeof(loop));
	allow_interrupts(p, true);
	go(p, at, esp);
	p->c.eip = at;
	machine_send(p->m, "x");
	for (unsigned i = 0; i < 6 + judge_seed % 3 || (seen & wanted) != wanted; i++) {
		unsigned vector = await_interrupt(p, at);
		bit = vector == VEC_TIMER ? TIMER : 1u << (vector - VEC_IRQ);
		CHECK((shared_word(p, SHARED_PENDING) & (seen | bit)) == (seen | bit),
		      "behind interrupt %#x pending is %#x, not %#x", vector, shared_word(p, SHARED_PENDING),
		      seen | bit);
		seen = shared_word(p, SHARED_PENDING);
		CHECK(i < 100, "the serial line's interrupt does not come");
	}
	allow_interrupts(p, false);
	want_event(p, seen, VEC_IRQ + 4, "the serial line's event");
	want_event(p, shared_word(p, SHARED_PENDING), VEC_TIMER, "the timer's event");
	want_event(p, shared_word(p, SHARED_PENDING), 0, "as each was delivered");
	set_shared(p, 0, 0);
	allow_interrupts(p, true);
	go_ring(p, 3, in_ring3, p->user_esp);
	if (RUN(p, p->handlers[VEC_TIMER]) != 0)
		probe_lost(p, "a timer interrupt in ring 3 is not delivered: programs have interrupts on, whatever "
			      "virtual IF says");
	CHECK(read_word(p, p->c.esp) == in_ring3 && read_word(p, p->c.esp + 4) == SEL_UCODE,
	      "the event's frame has EIP %#x, CS %#x", read_word(p, p->c.esp), read_word(p, p->c.esp + 4));
	CHECK(!(shared_word(p, SHARED_PENDING) & TIMER), "the timer's event is still pending when its handler begins: "
							 "it will come twice");
}
