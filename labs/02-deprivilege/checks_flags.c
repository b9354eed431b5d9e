/* SPDX-License-Identifier: MIT */
/*
 * Exercises 5 and 6: virtual IF. The two operations of the VO are called alone, with every state of
 * the shared page.
 */
#include "checks.h"

enum { OTHER_FLAGS = 0x46, MOST_STEPS = 60 };

/* An operation that is called from a planted NOP. */
struct op {
	struct probe *p;
	uint32_t at, nop, esp;
};

/* offset: the operation's, in struct vo. */
static struct op op_start(const struct test *t, uint32_t offset)
{
	static const uint8_t nop = 0x90;
	struct op o = { .p = probe_start(t) };
	o.at = symbol_file_word(symbol("virtual_vo") + offset);
	o.nop = plant(&o.p->g, &nop, 1);
	o.esp = o.p->g.c.esp - 64;
	return o;
}

/* Be at its first instruction. */
static void op_begin(struct op *o, uint32_t argument)
{
	set_words(&o->p->g, o->esp, WORDS(o->nop, argument));
	go(&o->p->g, o->at, o->esp);
}

/* Run it to its return. Result: false if it asks for events instead. */
static bool op_end(struct op *o, const char *what)
{
	struct saved s = { 0 };
	int stop = RUN(&o->p->g, o->nop, vmm_symbol("hypercall_handle"), vmm_symbol("exit_handle"));
	if (stop == 0)
		return true;
	if (stop < 0)
		probe_lost(o->p, "%s does not return", what);
	s = read_saved(o->p);
	if (stop == 1 && SAVED(s, EAX) == HC_EVENTS)
		return false;
	if (stop == 1)
		probe_lost(o->p, "%s makes hypercall %u", what, SAVED(s, EAX));
	probe_lost(o->p,
		   "%s: the instruction at %#x traps into the VMM (vector %u, error %#x): an exit "
		   "each time, and the real IF is not the kernel's",
		   what, SAVED(s, EIP), SAVED(s, VECTOR), SAVED(s, ERROR));
}

/* --- exercise 5 --- */

void check_save(const struct test *t)
{
	struct op o = op_start(t, VO_IRQ_SAVE);
	for (unsigned i = 0; i < 4; i++) {
		uint32_t vif = i & 1 ? EFLAGS_IF : 0, pending = i & 2 ? 1u << EVENT_TIMER : 0;
		set_shared(o.p, vif, pending);
		op_begin(&o, 0);
		CHECK(op_end(&o, "irq.save"),
		      "irq.save asks for events, although it turns them off");
		const struct cpu_state *c = &o.p->g.c;
		uint32_t vif_after = shared_word(&o.p->g, VMM_SHARED_VIF);
		uint32_t pending_after = shared_word(&o.p->g, VMM_SHARED_PENDING);
		CHECK((c->eax & EFLAGS_IF) == vif,
		      "virtual IF was %#x, irq.save returns %#x: bit 9 must be what it was", vif,
		      c->eax);
		CHECK(vif_after == 0, "virtual IF is %#x after irq.save", vif_after);
		CHECK(pending_after == pending,
		      "irq.save changed the pending events from %#x to %#x",
		      pending, pending_after);
		CHECK(c->eflags & EFLAGS_IF, "irq.save turned the real IF off");
	}
}

/* --- exercise 6 --- */

/* With virtual IF 0 or 1 before: whether it asks for events, and what the shared page then has. */
static void restore_from(struct op *o, uint32_t flags, uint32_t pending, uint32_t vif_before)
{
	bool due = flags & EFLAGS_IF && pending;
	set_shared(o->p, vif_before, pending);
	op_begin(o, flags);
	bool returned = op_end(o, "irq.restore");
	uint32_t vif = shared_word(&o->p->g, VMM_SHARED_VIF);
	uint32_t pending_after = shared_word(&o->p->g, VMM_SHARED_PENDING);
	CHECK(returned || due,
	      "irq.restore(%#x) with pending events %#x makes a hypercall, although nothing is to "
	      "be delivered", flags, pending);
	CHECK(!returned || !due,
	      "irq.restore(%#x) with pending events %#x returns without asking for them: they wait "
	      "for the next interrupt", flags, pending);
	CHECK(vif == (flags & EFLAGS_IF),
	      "irq.restore(%#x): virtual IF's word is %#x, of which only bit 9 may be set%s", flags,
	      vif, returned ? "" : ", when events are asked for: the VMM will not deliver");
	CHECK(pending_after == pending, "irq.restore changed the pending events from %#x to %#x",
	      pending, pending_after);
	if (!returned)
		go_ring(o->p, 1, o->nop, o->esp);
}

static void restore_once(struct op *o, uint32_t flags, uint32_t pending)
{
	restore_from(o, flags, pending, 0);
	restore_from(o, flags, pending, EFLAGS_IF);
}

/* An event becomes pending after k instructions. Result: false if there are not as many. */
static bool restore_late(struct op *o, unsigned k)
{
	struct guest *g = &o->p->g;
	set_shared(o->p, 0, 0);
	op_begin(o, EFLAGS_IF);
	for (unsigned i = 0; i < k; i++)
		step(g, 0);
	look(g, 0);
	if (g->c.eip == o->nop)
		return false;
	if (shared_word(g, VMM_SHARED_VIF) & EFLAGS_IF)
		return true; /* the VMM would deliver it there and then */
	set_shared(o->p, 0, 1u << EVENT_TIMER);
	CHECK(!op_end(o, "irq.restore"),
	      "an event that becomes pending after instruction %u of irq.restore, while virtual IF "
	      "still is 0, is missed: look at what is pending after the store, not before", k);
	go_ring(o->p, 1, o->nop, o->esp);
	return true;
}

void check_restore(const struct test *t)
{
	static const uint32_t events[] = { 0, 1, 1u << EVENT_TIMER, 1u << 4 | 1u << EVENT_TIMER };
	struct op o = op_start(t, VO_IRQ_RESTORE);
	for (unsigned i = 0; i < LENGTH(events); i++) {
		restore_once(&o, 0, events[i]);
		restore_once(&o, EFLAGS_IF, events[i]);
		restore_once(&o, EFLAGS_IF | OTHER_FLAGS, events[i]);
		restore_once(&o, OTHER_FLAGS, events[i]);
	}
	for (unsigned k = 0; k < MOST_STEPS && restore_late(&o, k); k++)
		;
}
