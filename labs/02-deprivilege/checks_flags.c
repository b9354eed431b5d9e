/* SPDX-License-Identifier: MIT */
/* Lab 2, exercises 5 and 6: virtual IF. The two operations are called one at a time, with every state of the shared
 * page. */
#include "checks.h"

enum { IRQ_SAVE = 17, IRQ_RESTORE = 18 }; /* operations in struct vo (kernel/vo/vo.h) */
enum { OTHER_FLAGS = 0x46, MOST_STEPS = 60 };

struct op {
	struct probe *p;
	uint32_t at, nop, esp;
};

static struct op op_start(const struct test *t, unsigned index)
{
	static const uint8_t nop = 0x90;
	struct op o = { .p = probe_start(t) };
	o.at = symbol_file_word(symbol("virtual_vo") + 4 * index);
	o.nop = plant(o.p, &nop, 1);
	o.esp = o.p->c.esp - 64;
	return o;
}

/* Be at its first instruction. */
static void op_begin(struct op *o, uint32_t argument)
{
	write_words(o->p, o->esp, (uint32_t[]){ o->nop, argument }, 2);
	go(o->p, o->at, o->esp);
}

/* Run it to its return. Result: false if it asks for events instead. */
static bool op_end(struct op *o, const char *what)
{
	int stop = RUN(o->p, o->nop, vmm_symbol("hypercall_handle"), vmm_symbol("trap_handle"));
	if (stop == 0)
		return true;
	struct vmm_regs r = { 0 };
	if (stop > 0)
		virtual_read(o->p->m, o->p->c.cr3, o->p->c.eax, &r, sizeof(r));
	if (stop == 1 && r.eax == HC_EVENTS)
		return false;
	if (stop == 2)
		probe_lost(o->p,
			   "%s: the instruction at %#x traps into the VMM (vector %u, error %#x): an exit each time, and "
			   "the real IF is not the kernel's",
			   what, r.eip, r.vector, r.error);
	probe_lost(o->p, stop == 1 ? "%s makes hypercall %u" : "%s does not return", what, r.eax);
}

void check_save(const struct test *t)
{
	struct op o = op_start(t, IRQ_SAVE);
	for (unsigned i = 0; i < 4; i++) {
		uint32_t vif = i & 1 ? EFLAGS_IF : 0, pending = i & 2 ? 1u << EVENT_TIMER : 0;
		set_shared(o.p, vif, pending);
		op_begin(&o, 0);
		CHECK(op_end(&o, "irq.save"), "irq.save asks for events, although it turns them off");
		CHECK((o.p->c.eax & EFLAGS_IF) == vif,
		      "virtual IF was %#x, irq.save returns %#x: bit 9 must be what it was", vif, o.p->c.eax);
		CHECK(shared_word(o.p, SHARED_VIF) == 0, "virtual IF is %#x behind irq.save",
		      shared_word(o.p, SHARED_VIF));
		CHECK(shared_word(o.p, SHARED_PENDING) == pending,
		      "irq.save changed the pending events from %#x to %#x", pending, shared_word(o.p, SHARED_PENDING));
		CHECK(o.p->c.eflags & EFLAGS_IF, "irq.save turned the real IF off");
	}
}

/* Flags and what is pending before: whether it asks, and with what in the shared page. */
static void restore_once(struct op *o, uint32_t flags, uint32_t pending)
{
	bool due = flags & EFLAGS_IF && pending;
	for (unsigned before = 0; before < 2; before++) {
		set_shared(o->p, before ? EFLAGS_IF : 0, pending);
		op_begin(o, flags);
		bool returned = op_end(o, "irq.restore");
		CHECK(returned || due,
		      "irq.restore(%#x) with pending events %#x makes a hypercall, although nothing is to be delivered",
		      flags, pending);
		CHECK(!returned || !due,
		      "irq.restore(%#x) with pending events %#x returns without asking for them: they wait for the "
		      "next interrupt",
		      flags, pending);
		CHECK(shared_word(o->p, SHARED_VIF) == (flags & EFLAGS_IF),
		      "irq.restore(%#x): virtual IF's word is %#x, of which only bit 9 may be set%s", flags,
		      shared_word(o->p, SHARED_VIF), returned ? "" : ", when events are asked for: the VMM will not deliver");
		CHECK(shared_word(o->p, SHARED_PENDING) == pending,
		      "irq.restore changed the pending events from %#x to %#x", pending,
		      shared_word(o->p, SHARED_PENDING));
		if (!returned)
			go_ring(o->p, 1, o->nop, o->esp);
	}
}

/* An event becomes pending behind the k-th instruction. Result: false if there is none. */
static bool restore_late(struct op *o, unsigned k)
{
	struct cpu_state cpus[CPUS_MAX];
	set_shared(o->p, 0, 0);
	op_begin(o, EFLAGS_IF);
	for (unsigned i = 0; i < k; i++)
		gdb_step(o->p->m);
	machine_state(o->p->m, cpus);
	o->p->c = cpus[0];
	if (o->p->c.eip == o->nop)
		return false;
	if (shared_word(o->p, SHARED_VIF) & EFLAGS_IF)
		return true; /* the VMM would deliver it there and then */
	set_shared(o->p, 0, 1u << EVENT_TIMER);
	if (op_end(o, "irq.restore"))
		give_up(FAILED,
			"an event that becomes pending behind instruction %u of irq.restore, while virtual IF still is "
			"0, is missed: look at what is pending behind the store, not before",
			k);
	go_ring(o->p, 1, o->nop, o->esp);
	return true;
}

void check_restore(const struct test *t)
{
	static const uint32_t events[] = { 0, 1, 1u << EVENT_TIMER, 1u << 4 | 1u << EVENT_TIMER };
	struct op o = op_start(t, IRQ_RESTORE);
	for (unsigned i = 0; i < COUNT(events); i++) {
		restore_once(&o, 0, events[i]);
		restore_once(&o, EFLAGS_IF, events[i]);
		restore_once(&o, EFLAGS_IF | OTHER_FLAGS, events[i]);
		restore_once(&o, OTHER_FLAGS, events[i]);
	}
	for (unsigned k = 0; k < MOST_STEPS && restore_late(&o, k); k++)
		;
}
