/* SPDX-License-Identifier: MIT */
/*
 * What the checks of the lab as a whole rest on: each begins here with a look at every exercise. A
 * machine without bounces or events would only stand still.
 */
#include "checks.h"

/* Until this exercise is right only its consequences could be seen. */
static void needs(unsigned exercise, const char *check)
{
	judge_context = text_of("cannot be judged until exercise %u is right (check %s)", exercise,
				check);
}

/*
 * push $flags; popf; int $VEC_IRQ: from ring 1 or 3 that must lead to the kernel's handler of #GP,
 * without these flags.
 */
static void want_bounce(struct probe *p, unsigned ring, uint32_t flags)
{
	uint8_t code[] = { 0x68, 0, 0, 0, 0, 0x9D, 0xCD, VEC_IRQ };
	struct guest *g = &p->g;
	uint32_t esp = ring == 3 ? p->user_esp : p->entry.esp - 64;
	uint32_t due = ring == 3 ? p->stack - 4 * 6 : esp - 4 * 4;
	memcpy(code + 1, &flags, 4);
	uint32_t at = ring == 3 ? plant_user(p, code, sizeof(code))
				: plant_in_text(g, code, sizeof(code));
	go_ring(p, ring, at, esp);
	uint32_t ds = g->c.ds.selector;
	set_shared(p, 0, 0);
	PROBE_RUN(p, text_of("a fault in ring %u", ring), p->handlers[VEC_GP]);
	uint32_t eip = word_at(g, due + 4), due_eip = at + sizeof(code) - 2;
	CHECK(g->c.cpl == 1 && g->c.esp == due,
	      "the handler of a fault in ring %u begins in ring %u with ESP %#x, due is %#x", ring,
	      g->c.cpl, g->c.esp, due);
	CHECK(g->c.ds.selector == ds, "in the handler of a fault in ring %u DS is %#x, it was %#x",
	      ring, g->c.ds.selector, ds);
	CHECK(eip == due_eip, "the frame of a fault in ring %u has EIP %#x, due is %#x", ring, eip,
	      due_eip);
	CHECK(!(g->c.eflags & flags & ~(uint32_t)EFLAGS_FIXED),
	      "the handler of a fault in ring %u runs with EFLAGS %#x", ring, g->c.eflags);
}

/* HC_EVENTS in ring 1 must lead to the timer's handler. */
static void want_delivery(struct probe *p)
{
	static const uint8_t code[] = { 0xB8, HC_EVENTS, 0, 0, 0, 0xCD, HYPERCALL_VECTOR };
	go_ring(p, 1, plant_in_text(&p->g, code, sizeof(code)), p->entry.esp - 64);
	set_shared(p, EFLAGS_IF, 1u << EVENT_TIMER);
	PROBE_RUN(p, "an event, with virtual IF 1", p->handlers[VEC_TIMER]);
	CHECK(!own_shared(p, VMM_SHARED_PENDING), "an event is pending after its delivery");
}

/* An operation of the VO, with virtual IF before. Result: its result. */
static uint32_t try_vo(struct probe *p, uint32_t offset, uint32_t argument, uint32_t vif)
{
	uint32_t esp = p->entry.esp - 64;
	set_words(&p->g, esp, WORDS(p->back, argument));
	set_shared(p, vif, 0);
	go(&p->g, symbol_file_word(symbol("virtual_vo") + offset), esp);
	PROBE_RUN(p, "an operation of the virtual VO", p->back);
	return p->g.c.eax;
}

/* The gate of a vector has this byte of access rights. */
static void want_gate(struct probe *p, unsigned vector, unsigned access)
{
	uint64_t gate;
	virtual_read(p->g.m, p->g.c.cr3, vmm_symbol("vmm_idt") + 8 * vector, &gate, 8);
	unsigned is = gate >> 40 & 0xFF;
	CHECK(is == access, "the gate of vector %#x has type %#x and DPL %u, not %#x and %u",
	      vector, is & 0xF, is >> 5 & 3, access & 0xF, access >> 5 & 3);
}

/* The tables of the submission, as far as no program could run without. */
static void want_base(struct probe *p)
{
	struct guest *g = &p->g;
	struct tss t;
	virtual_read(g->m, g->c.cr3, CPU_AT(0, TSS), &t, sizeof(t));
	needs(1, "tss");
	CHECK(t.ss1 == SEL_KDATA + 1, "the TSS has ss1 %#x", t.ss1);
	needs(2, "idt");
	want_gate(p, SYSCALL_VECTOR, 0xE0 | GATE_TRAP);
	want_gate(p, VEC_IRQ, 0x80 | GATE_INTERRUPT); /* want_bounce() raises it */
	needs(3, "install");
	want_tables(p);
	CHECK(t.esp1 == p->stack, "the TSS has esp1 %#x, not %#x", t.esp1, p->stack);
	needs(4, "descent");
	CHECK(g->c.cpl == 1 && g->c.cs.selector == (SEL_KCODE | 1) && g->c.eflags & EFLAGS_IF,
	      "the kernel arrives in ring %u with CS %#x and EFLAGS %#x", g->c.cpl,
	      g->c.cs.selector, g->c.eflags);
}

static void want_ring_1_works(struct probe *p, uint32_t flags)
{
	/* push $2; popf; mov $SEL_KDATA, %eax; to DS, ES, FS, GS: as the kernel had them */
	static const uint8_t normal[] = {
		0x6A, 0x02, 0x9D, 0xB8, SEL_KDATA, 0, 0, 0,
		0x8E, 0xD8, 0x8E, 0xC0, 0x8E, 0xE0, 0x8E, 0xE8,
	};
	struct cpu_state c = p->g.c;
	uint32_t top[TRAP_FRAME_BYTES / 4], at_top = p->stack - sizeof(top);
	virtual_read(p->g.m, c.cr3, at_top, top, sizeof(top)); /* the first process's registers */
	want_base(p);
	allow_interrupts(p, false); /* VMM_INSTALL has let them come */
	uint32_t pending = own_shared(p, VMM_SHARED_PENDING);
	needs(5, "save");
	uint32_t was = try_vo(p, VO_IRQ_SAVE, 0, EFLAGS_IF);
	CHECK(was & EFLAGS_IF && !own_shared(p, VMM_SHARED_VIF),
	      "with virtual IF %#x irq.save returns %#x and leaves virtual IF %#x", EFLAGS_IF,
	      was, own_shared(p, VMM_SHARED_VIF));
	needs(6, "restore");
	try_vo(p, VO_IRQ_RESTORE, EFLAGS_IF, 0);
	CHECK(own_shared(p, VMM_SHARED_VIF) == EFLAGS_IF,
	      "irq.restore(%#x) leaves virtual IF %#x", EFLAGS_IF, own_shared(p, VMM_SHARED_VIF));
	needs(7, "bounce-kernel");
	want_bounce(p, 1, flags);
	needs(7, "bounce-user");
	want_bounce(p, 3, flags);
	needs(8, "deliver");
	want_delivery(p);
	judge_context = NULL;
	set_shared(p, 0, pending);
	set_words(&p->g, at_top, top, LENGTH(top));
	show_user(p, false);
	run_here(&p->g, normal, sizeof(normal));
	set_registers(&p->g, &c);
	look(&p->g, 0);
}

struct probe *whole_start(const struct test *t, const char *p2m, uint32_t flags)
{
	struct test with = *t;
	with.machine.cmdline = text_of("run=\"%s\"", t->text);
	with.machine.p2m = p2m;
	struct probe *p = probe_own_way(&with, VMM_INSTALL);
	p->t = t;
	watch_ends(p, true);
	probe_arrive(p, p->back, "the descent to ring 1");
	want_ring_1_works(p, flags);
	watch_ends(p, false);
	allow_interrupts(p, true);
	return p;
}

