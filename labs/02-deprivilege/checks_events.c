/* SPDX-License-Identifier: MIT */
/*
 * Exercise 8: which event is delivered when. The check stops at bounce() and returns from it at
 * once, so exercise 7 does not matter here.
 */
#include "checks.h"

enum { TIMER = 1u << EVENT_TIMER };

/* The vector of an event, as vmm_abi.h says. */
static unsigned vector_due(unsigned event)
{
	return event < NR_IRQ ? VEC_IRQ + event : VEC_TIMER + event - EVENT_TIMER;
}

/* --- event_deliver() --- */

/* event_deliver() was stopped once at its first instruction, with these arguments. */
struct deliverer {
	struct probe *p;
	struct cpu_state at;
	uint32_t c, r; /* its arguments */
};

/* By HC_EVENTS in ring 1. */
static struct deliverer deliverer_start(const struct test *t)
{
	/* mov $HC_EVENTS, %eax; int $HYPERCALL_VECTOR */
	static const uint8_t code[] = { 0xB8, HC_EVENTS, 0, 0, 0, 0xCD, HYPERCALL_VECTOR };
	struct deliverer d = { .p = probe_start(t) };
	struct guest *g = &d.p->g;
	go(g, plant_in_text(g, code, sizeof(code)), d.p->entry.esp - 64);
	set_shared(d.p, EFLAGS_IF, TIMER);
	PROBE_RUN(d.p, "the hypercall HC_EVENTS", vmm_symbol("event_deliver"));
	d.at = g->c;
	d.c = g->c.eax;
	d.r = g->c.edx;
	return d;
}

struct delivery {
	unsigned ring;         /* of the interrupted code */
	uint32_t vif, pending;
	bool due;              /* the lowest event that means something */
};

static const char *name_of(const struct delivery *d)
{
	return text_of("ring %u, virtual IF %#x, pending events %#x", d->ring, d->vif, d->pending);
}

/* Run it. Result: the vector that it bounces; 0 if it bounces none. */
static unsigned run_to_end(struct deliverer *d, const struct delivery *s)
{
	struct probe *p = d->p;
	uint32_t end = word_at(&p->g, d->at.esp), bounce = vmm_symbol("bounce");
	set_word(&p->g, d->r + REGS_CS, s->ring == 3 ? SEL_UCODE : SEL_KCODE | 1);
	set_shared(p, s->vif, s->pending);
	set_registers(&p->g, &d->at);
	look(&p->g, 0);
	if (PROBE_RUN(p, name_of(s), end, bounce) == 0)
		return 0;
	unsigned vector = p->g.c.ecx;
	CHECK(p->g.c.eax == d->c && p->g.c.edx == d->r && vector < 256,
	      "%s: bounce(%#x, %#x, %#x) is called; c and r are %#x and %#x", name_of(s),
	      p->g.c.eax, p->g.c.edx, vector, d->c, d->r);
	CHECK(vector, "%s: vector 0 is bounced: vector_of() gives an event's vector", name_of(s));
	skip(&p->g, 0); /* which may be the end, as after a jump to bounce() */
	CHECK(p->g.c.eip == end || PROBE_RUN(p, name_of(s), end, bounce) == 0,
	      "%s: a second event is bounced, %s after %s", name_of(s), vector_text(p->g.c.ecx),
	      vector_text(vector));
	set_word(&p->g, d->at.esp, end);
	return vector;
}

/* The same, while something else waits for the way out of the VMM. */
static unsigned run_delivery(struct deliverer *d, const struct delivery *s)
{
	struct probe *p = d->p;
	uint32_t at = CPU_AT(p->cpu, HAZARD), was = word_at(&p->g, at), other = random_word() | 1;
	set_word(&p->g, at, other);
	unsigned vector = run_to_end(d, s);
	uint32_t is = word_at(&p->g, at);
	CHECK(is == other,
	      "%s: the CPU's word of hazards has become %#x, it was %#x: what else is to be done "
	      "on the way out of the VMM is no matter of event_deliver()", name_of(s), is, other);
	set_word(&p->g, at, was);
	return vector;
}

static const char *vector_or_nothing(unsigned vector)
{
	return vector ? vector_text(vector) : "nothing";
}

/* Why another vector than the due one is wrong. */
static const char *why_due(const struct delivery *s, unsigned vector, unsigned due)
{
	for (unsigned i = 0; vector && due && i < NR_EVENTS; i++)
		if (s->pending & 1u << i && vector == vector_due(i))
			return ": of several events the one with the lowest number is due";
	if (vector && due)
		return ": vector_of() gives an event's vector, and none that is pending has this "
		       "one";
	if (!(s->pending & EVENT_BITS))
		return text_of(": only EVENT_BITS, %#x, are events", EVENT_BITS);
	return s->ring == 3 ? ": programs always take events" :
	       due ? ": virtual IF, bit 9, is 1, and all of EVENT_BITS are events" :
		     ": virtual IF, bit 9, is 0";
}

/* Nothing but pending and the count changes in this CPU's page; and nothing in r. */
static void want_page(struct deliverer *d, const struct delivery *s, unsigned vector,
		      const struct shared_page *before)
{
	struct probe *p = d->p;
	struct shared_page after = read_shared(p);
	uint32_t bit = s->due ? s->pending & EVENT_BITS & -(s->pending & EVENT_BITS) : 0;
	uint32_t left = s->pending & ~bit;
	for (unsigned w = 0; w < SHARED_WORDS; w++) {
		uint32_t is = after.words[p->cpu][w], was = before->words[p->cpu][w];
		if (w == VMM_SHARED_PENDING / 4)
			CHECK(is == left,
			      "%s: afterwards pending is %#x, not %#x: %s", name_of(s), is, left,
			      is & bit ? "it will be delivered twice" :
			      is & ~left & EVENT_BITS ? "others are pending that did not come" :
			      left & ~is & EVENT_BITS ?
			      bit ? "others are lost" : "it is lost" :
			      text_of("bits that are not in EVENT_BITS, %#x, stay", EVENT_BITS));
		else if (w == VMM_SHARED_EXITS / 4 + EXIT_EVENT)
			CHECK(is == was + !!vector,
			      "%s: exits[EXIT_EVENT] rose by %u, due is %u", name_of(s), is - was,
			      !!vector);
		else
			CHECK(is == (w ? was : s->vif),
			      "%s: %s in the shared page has become %#x, not %#x",
			      name_of(s), shared_name(w), is, w ? was : s->vif);
	}
	want_others_kept(p, before, "event_deliver()");
}

static void deliver_once(struct deliverer *d, unsigned ring, uint32_t vif, uint32_t pending)
{
	struct probe *p = d->p;
	uint32_t events = pending & EVENT_BITS;
	struct delivery s = { .ring = ring, .vif = vif, .pending = pending,
			      .due = events && (ring == 3 || vif & EFLAGS_IF) };
	unsigned due = s.due ? vector_due((unsigned)__builtin_ctz(events)) : 0;
	struct saved r_before, r_after;
	struct shared_page before = read_shared(p);
	set_word(&p->g, d->r + REGS_CS, ring == 3 ? SEL_UCODE : SEL_KCODE | 1);
	virtual_read(p->g.m, p->g.c.cr3, d->r, &r_before, sizeof(r_before));
	unsigned vector = run_delivery(d, &s);
	CHECK(vector == due, "%s: %s is bounced, due is %s%s", name_of(&s),
	      vector_or_nothing(vector), vector_or_nothing(due), why_due(&s, vector, due));
	want_page(d, &s, vector, &before);
	virtual_read(p->g.m, p->g.c.cr3, d->r, &r_after, sizeof(r_after));
	CHECK(memcmp(&r_before, &r_after, sizeof(r_before)) == 0,
	      "%s: the interrupted registers have changed, and only bounce() may do that",
	      name_of(&s));
}

enum { AT_RANDOM = 4 * 32, MOST_STEPS = 500 };

/* At the first instruction, called for code in ring 3 while this event is pending. */
static void begin_delivery(struct deliverer *d, unsigned event)
{
	struct guest *g = &d->p->g;
	set_word(g, d->r + REGS_CS, SEL_UCODE);
	set_shared(d->p, 0, 1u << event);
	set_registers(g, &d->at);
	look(g, 0);
}

/*
 * The kernel, on another CPU, clears the one event before each instruction in turn: nothing but it
 * may be bounced.
 */
static void deliver_creep(struct deliverer *d, unsigned event)
{
	static uint32_t trace[MOST_STEPS];
	struct probe *p = d->p;
	struct guest *g = &p->g;
	uint32_t end = word_at(g, d->at.esp), bounce = vmm_symbol("bounce");
	unsigned n = 0, due = vector_due(event);
	begin_delivery(d, event);
	for (; g->c.eip != end && g->c.eip != bounce && n < MOST_STEPS; n++) {
		trace[n] = g->c.eip;
		step(g, 0);
		look(g, 0);
	}
	for (unsigned k = 1; k < n; k += 1 + n / 64) {
		set_word(g, d->at.esp, end);
		begin_delivery(d, event);
		if (PROBE_RUN(p, "event_deliver()", trace[k], end, bounce) == 0) {
			set_shared(p, 0, 0);
			if (PROBE_RUN(p, "event_deliver()", end, bounce) == 0)
				continue;
		}
		CHECK(g->c.ecx == due,
		      "pending has event %u alone, and the kernel clears it before %s: %s is "
		      "bounced, which never was due: read the word once", event, place(trace[k]),
		      vector_text(g->c.ecx));
	}
	set_word(g, d->at.esp, end);
}

/*
 * Each bit alone and with others, in both rings, with virtual IF 0, 1, and hostile; then each as
 * the lowest of any. Each event is due five times at least: one in four may not get lost.
 */
void check_deliver(const struct test *t)
{
	struct deliverer d = deliverer_start(t);
	const uint32_t no_if = ~(uint32_t)EFLAGS_IF;
	for (unsigned i = 0; i < 32; i++) {
		uint32_t above = i < 31 ? random_word() << (i + 1) : 0;
		deliver_once(&d, 1, EFLAGS_IF, 1u << i);
		deliver_once(&d, 3, 0, 1u << i | above);
		deliver_once(&d, 1, 0xFFFFFFFF, 1u << i | above);
		deliver_once(&d, 1, i & 1 ? 0 : no_if, 1u << i);
	}
	for (unsigned ring = 1; ring <= 3; ring += 2) {
		deliver_once(&d, ring, EFLAGS_IF, 0);
		deliver_once(&d, ring, 0, 0);
		deliver_once(&d, ring, EFLAGS_IF, ~EVENT_BITS);
		deliver_once(&d, ring, EFLAGS_IF, 0xFFFFFFFF);
	}
	deliver_creep(&d, 1 + random_below(NR_EVENTS - 1));
	for (unsigned i = 0; i < AT_RANDOM; i++)
		deliver_once(&d, i / 32 % 2 ? 3 : 1, random_word(),
			     (1 | (random_word() & random_word())) << i % 32);
}

/* --- interrupts --- */

static const uint8_t loop[] = { 0xEB, 0xFE }; /* jmp . */
enum { SERIAL_LINE = 4, SERIAL = 1u << SERIAL_LINE, MOST_INTERRUPTS = 100 };

/*
 * Run in the loop until an interrupt has come to the VMM and the loop goes on, in ring 1 with
 * virtual IF 0. Result: the interrupt's event.
 */
static uint32_t await_interrupt(struct probe *p, uint32_t at)
{
	struct guest *g = &p->g;
	PROBE_RUN(p, "no interrupt comes to the VMM from a loop in ring 1",
		  vmm_symbol("irq_arrived"));
	uint32_t vector = g->c.edx, event = vector == VEC_TIMER ? TIMER : 1u << (vector - VEC_IRQ);
	int stop = PROBE_RUN(p, "after an interrupt in ring 1", at, vmm_symbol("bounce"));
	CHECK(stop == 0, "an interrupt, %s, comes while virtual IF is 0, and %s is bounced",
	      vector_text(vector), vector_text(g->c.ecx));
	return event;
}

/* Both interrupts come, several times, while virtual IF is 0. Result: the pending events. */
static uint32_t collect_events(struct probe *p, uint32_t at)
{
	const uint32_t wanted = SERIAL | TIMER;
	uint32_t seen = 0;
	for (unsigned i = 0; i < 3 + judge_seed % 3 || (seen & wanted) != wanted; i++) {
		uint32_t event = await_interrupt(p, at), all = seen | event;
		seen = own_shared(p, VMM_SHARED_PENDING);
		CHECK((seen & all) == all, "after the interrupt of event %#x pending is %#x, not "
		      "%#x", event, seen, all);
		CHECK(i < MOST_INTERRUPTS, "the serial line's interrupt does not come");
	}
	return seen;
}

/* HC_EVENTS in ring 1, with virtual IF 1. Result: the vector that is bounced; 0 if none is. */
static unsigned ask(struct probe *p)
{
	/* mov $HC_EVENTS, %eax; int $HYPERCALL_VECTOR; nop */
	static const uint8_t code[] = { 0xB8, HC_EVENTS, 0, 0, 0, 0xCD, HYPERCALL_VECTOR, 0x90 };
	struct guest *g = &p->g;
	uint32_t at = plant_in_text(g, code, sizeof(code)), after = at + sizeof(code) - 1;
	go_ring(p, 1, at, p->entry.esp - 64);
	set_shared(p, EFLAGS_IF, own_shared(p, VMM_SHARED_PENDING));
	if (PROBE_RUN(p, "HC_EVENTS", after, vmm_symbol("bounce")) == 0)
		return 0;
	unsigned vector = g->c.ecx;
	skip(g, 0);
	CHECK(PROBE_RUN(p, "HC_EVENTS, after the bounce", after, vmm_symbol("bounce")) == 0,
	      "one HC_EVENTS bounces a second event, %s after %s", vector_text(g->c.ecx),
	      vector_text(vector));
	return vector;
}

static void want_event(struct probe *p, unsigned due)
{
	uint32_t pending = own_shared(p, VMM_SHARED_PENDING);
	unsigned vector = ask(p);
	CHECK(vector == due, "virtual IF 1, pending events %#x: %s is bounced, due is %s%s",
	      pending, vector_or_nothing(vector), vector_or_nothing(due),
	      due ? "" : ", as each was delivered once");
}

/* In ring 3 an interrupt's event comes at once. */
static void want_at_once(struct probe *p, uint32_t loop_at)
{
	struct guest *g = &p->g;
	set_shared(p, 0, 0);
	allow_interrupts(p, true);
	go_ring(p, 3, loop_at, p->user_esp);
	PROBE_RUN(p, "no interrupt comes to the VMM from a loop in ring 3",
		  vmm_symbol("irq_arrived"));
	int stop = PROBE_RUN(p, "after an interrupt in ring 3", loop_at, vmm_symbol("bounce"));
	CHECK(stop == 1 && g->c.ecx == VEC_TIMER,
	      "a timer interrupt in ring 3 is not delivered: programs have interrupts on, whatever "
	      "virtual IF says");
	skip(g, 0);
	/* The next tick may come at once: the stop takes time. */
	stop = PROBE_RUN(p, "after the bounce of a timer interrupt in ring 3", loop_at,
			 vmm_symbol("irq_arrived"), vmm_symbol("bounce"));
	CHECK(stop != 2 && !(own_shared(p, VMM_SHARED_PENDING) & TIMER),
	      "the timer's event is still pending after its bounce: it comes twice");
}

/*
 * A character comes on the serial line, and the timer ticks, at moments that the seed says, while
 * virtual IF is 0: both are noted, neither is delivered. Then virtual IF becomes 1: each is
 * delivered once, the lower one first.
 */
void check_pending(const struct test *t)
{
	struct probe *p = probe_start(t);
	uint32_t at = plant_in_text(&p->g, loop, sizeof(loop));
	uint32_t in_ring3 = plant_user(p, loop, sizeof(loop));
	uint32_t esp = p->entry.esp - 64;
	set_shared(p, 0, 0);
	allow_interrupts(p, true);
	go(&p->g, at, esp);
	machine_send(p->g.m, "x");
	collect_events(p, at);
	allow_interrupts(p, false);
	want_event(p, VEC_IRQ + SERIAL_LINE);
	want_event(p, VEC_TIMER);
	want_event(p, 0);
	want_at_once(p, in_ring3);
}
