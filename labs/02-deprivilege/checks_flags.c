/* SPDX-License-Identifier: MIT */
/*
 * Exercises 5 and 6: virtual IF. The two operations of the VO are called alone, with every state of
 * the shared page, on a CPU that is not CPU 0.
 */
#include "checks.h"

enum { MOST_STEPS = 1500 };

/* An operation that is called. */
struct op {
	struct probe *p;
	const char *name;
	uint32_t at;
	struct shared_page before; /* of the last op_begin() */
};

/* offset: the operation's, in struct vo. */
static struct op op_start(const struct test *t, uint32_t offset, const char *name)
{
	struct op o = { .p = probe_start(t), .name = name };
	o.at = symbol_file_word(symbol("virtual_vo") + offset);
	return o;
}

/* The task goes on, on this CPU. */
static void change_cpu(struct op *o, unsigned cpu)
{
	o->p->cpu = cpu;
	set_word(&o->p->g, task_of(&o->p->entry) + TASK_CPU, cpu);
}

static void change_to_next(struct op *o)
{
	change_cpu(o, (o->p->cpu + 1) % o->p->nr_cpus);
}

/* Be at its first instruction, with this state of the shared page. */
static void op_begin(struct op *o, uint32_t argument, uint32_t vif, uint32_t pending)
{
	struct guest *g = &o->p->g;
	if (g->call_back)
		call_end(g);
	go_ring(o->p, 1, o->at, o->p->entry.esp);
	call_begin(g, o->at, &argument, 1);
	set_shared(o->p, vif, pending);
	o->before = read_shared(o->p);
}

/* The instructions that trap in ring 1, by their first byte. */
static const char *instruction(uint8_t byte)
{
	switch (byte) {
	case 0xFA: return "CLI";
	case 0xFB: return "STI";
	case 0xF4: return "HLT";
	default: return "the instruction";
	}
}

/* Run it to its return. Result: false if it asks for events instead. */
static bool op_end(struct op *o)
{
	struct probe *p = o->p;
	int stop = PROBE_RUN(p, o->name, p->g.call_back, vmm_symbol("hypercall_handle"),
			     vmm_symbol("exit_handle"));
	want_others_kept(p, &o->before, o->name);
	if (stop == 0)
		return true;
	struct saved s = read_saved(p);
	if (stop == 1 && SAVED(s, EAX) == HC_EVENTS)
		return false;
	CHECK(stop != 1, "%s makes hypercall %u, called at %s", o->name, SAVED(s, EAX),
	      place(SAVED(s, EIP) - 2));
	give_up(FAILED,
		"%s: %s at %s traps into the VMM (vector %u, error %#x): an exit each time, and "
		"the real IF is not the kernel's", o->name,
		instruction((uint8_t)word_at(&p->g, SAVED(s, EIP))), place(SAVED(s, EIP)),
		SAVED(s, VECTOR), SAVED(s, ERROR));
}

static void want_real_if(const struct op *o)
{
	CHECK(o->p->g.c.eflags & EFLAGS_IF, "%s turned the real IF off", o->name);
}

/*
 * Step through it, from virtual IF 0, to a state with virtual IF 0: it may not be 1 in between, or
 * an event would come there.
 */
static void want_off(struct op *o, uint32_t argument)
{
	struct guest *g = &o->p->g;
	unsigned n = 0;
	op_begin(o, argument, 0, 0);
	for (; g->c.eip != g->call_back && n < MOST_STEPS; n++) {
		uint32_t at = g->c.eip;
		step(g, 0);
		look(g, 0);
		CHECK(!(own_shared(o->p, VMM_SHARED_VIF) & EFLAGS_IF),
		      "%s with argument %#x, which leaves virtual IF 0, makes it 1 for a while, "
		      "at %s: an event would be delivered there", o->name, argument, place(at));
		CHECK(g->c.cpl == 1, "%s traps into the VMM at %s", o->name, place(at));
	}
	CHECK(g->c.eip == g->call_back, "%s does not return: after %u instructions it is at %s",
	      o->name, n, place(g->c.eip));
}

/* --- exercise 5 --- */

static void save_once(struct op *o, uint32_t vif, uint32_t pending)
{
	struct probe *p = o->p;
	op_begin(o, random_word(), vif, pending);
	CHECK(op_end(o), "irq.save asks for events, although it turns them off");
	uint32_t vif_after = own_shared(p, VMM_SHARED_VIF);
	uint32_t pending_after = own_shared(p, VMM_SHARED_PENDING);
	CHECK((p->g.c.eax & EFLAGS_IF) == vif,
	      "virtual IF was %#x, irq.save returns %#x: bit 9 must be what it was", vif,
	      p->g.c.eax);
	CHECK(vif_after == 0, "virtual IF is %#x after irq.save, not 0", vif_after);
	CHECK(pending_after == pending, "irq.save changed the pending events from %#x to %#x",
	      pending, pending_after);
	want_real_if(o);
}

void check_save(const struct test *t)
{
	struct op o = op_start(t, VO_IRQ_SAVE, "irq.save");
	for (unsigned i = 0; i < 8; i++) {
		save_once(&o, i & 1 ? EFLAGS_IF : 0, i & 2 ? random_word() & EVENT_BITS : 0);
		change_to_next(&o);
	}
	want_off(&o, random_word());
}

/* --- exercise 6 --- */

/*
 * It has asked for events, as its last act: when the task goes on, perhaps on another CPU, it
 * changes nothing any more. The hypercall is skipped.
 */
static void want_nothing_left(struct op *o)
{
	struct probe *p = o->p;
	unsigned other = (p->cpu + 1) % p->nr_cpus;
	skip(&p->g, 0);
	set_word(&p->g, task_of(&p->entry) + TASK_CPU, other);
	set_shared(p, random_word(), random_word());
	struct shared_page before = read_shared(p), after;
	int stop = PROBE_RUN(p, "irq.restore, after it has asked for events", p->g.call_back,
			     vmm_symbol("hypercall_handle"));
	CHECK(stop == 0,
	      "irq.restore looks at the shared page again after it has asked for events, and "
	      "asks once more: its task may have been switched meanwhile, and be on another "
	      "CPU; to ask is the last act");
	after = read_shared(p);
	CHECK(memcmp(&before, &after, sizeof(before)) == 0,
	      "irq.restore changes the shared page after it has asked for events: its task may "
	      "have been switched meanwhile, and be on another CPU; to ask is the last act");
	set_word(&p->g, task_of(&p->entry) + TASK_CPU, p->cpu);
}

/* Whether it asks for events, and what the shared page then has. */
static void restore_from(struct op *o, uint32_t flags, uint32_t pending, uint32_t vif_before)
{
	bool due = flags & EFLAGS_IF && pending;
	op_begin(o, flags, vif_before, pending);
	bool returned = op_end(o);
	uint32_t vif = own_shared(o->p, VMM_SHARED_VIF);
	uint32_t pending_after = own_shared(o->p, VMM_SHARED_PENDING);
	CHECK(returned || due,
	      "irq.restore(%#x) with pending events %#x makes a hypercall, although nothing is to "
	      "be delivered", flags, pending);
	CHECK(!returned || !due,
	      "irq.restore(%#x) with pending events %#x returns without asking for them: they wait "
	      "for the next interrupt", flags, pending);
	CHECK(vif == (flags & EFLAGS_IF),
	      "irq.restore(%#x), virtual IF %#x before: its word is %#x, not %#x%s", flags,
	      vif_before, vif, flags & EFLAGS_IF,
	      returned ? "" : ", when events are asked for: the VMM delivers as that word says");
	CHECK(pending_after == pending, "irq.restore changed the pending events from %#x to %#x",
	      pending, pending_after);
	if (returned)
		want_real_if(o);
	else
		want_nothing_left(o);
}

/* Both values of bit 9, with any other bits, before and after; on each CPU in turn. */
static void restore_all(struct op *o, uint32_t pending)
{
	for (unsigned i = 0; i < 8; i++) {
		uint32_t others = i & 4 ? ~(uint32_t)EFLAGS_IF : 0;
		restore_from(o, (random_word() & others) | (i & 1 ? EFLAGS_IF : 0), pending,
			     (random_word() & others) | (i & 2 ? EFLAGS_IF : 0));
		change_to_next(o);
	}
}

/* The instructions of irq.restore(IF) without events, in order. Result: how many. */
static unsigned trace(struct op *o, uint32_t *trace)
{
	struct guest *g = &o->p->g;
	unsigned n = 0;
	op_begin(o, EFLAGS_IF, 0, 0);
	for (; g->c.eip != g->call_back && g->c.cpl == 1 && n < MOST_STEPS; n++) {
		trace[n] = g->c.eip;
		step(g, 0);
		g->c.eip = gdb_register(g->m, GDB_EIP);
	}
	look(g, 0);
	CHECK(g->c.eip == g->call_back, "irq.restore without events does not return: after %u "
	      "instructions it is at %s", n, place(g->c.eip));
	return n;
}

/*
 * Stop before instruction k and make an event pending, as an interrupt there does. If virtual IF
 * is 1 by then, the VMM delivers it there and then.
 */
static void restore_late(struct op *o, const uint32_t *trace, unsigned k)
{
	uint32_t event = 1u << random_below(NR_EVENTS);
	op_begin(o, EFLAGS_IF, 0, 0);
	for (unsigned i = 0; i < k; i++) /* a loop comes to the address several times */
		if (trace[i + 1] == trace[k])
			PROBE_RUN(o->p, "irq.restore", trace[k]);
	if (own_shared(o->p, VMM_SHARED_VIF) & EFLAGS_IF)
		return;
	set_shared(o->p, own_shared(o->p, VMM_SHARED_VIF), event);
	o->before = read_shared(o->p);
	CHECK(!op_end(o),
	      "an event that becomes pending before %s (instruction %u of irq.restore), while "
	      "virtual IF still is 0, is missed: look at what is pending after the store, not "
	      "before", place(trace[k]), k + 1);
}

void check_restore(const struct test *t)
{
	static uint32_t instructions[MOST_STEPS + 1];
	struct op o = op_start(t, VO_IRQ_RESTORE, "irq.restore");
	restore_all(&o, 0);
	restore_all(&o, 1u << random_below(NR_EVENTS));
	restore_all(&o, random_word() & EVENT_BITS);
	for (unsigned event = 0; event < NR_EVENTS; event++)
		restore_from(&o, EFLAGS_IF, 1u << event, 0);
	for (unsigned bit = 0; bit < 32; bit++)
		restore_from(&o, 1u << bit, EVENT_BITS, 0);
	want_off(&o, 0);
	unsigned n = trace(&o, instructions);
	for (unsigned k = 0; k < n; k++)
		restore_late(&o, instructions, k);
}
