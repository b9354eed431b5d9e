/* SPDX-License-Identifier: MIT */
/*
 * Exercise 4: how the CPU arrives in ring 1; and exercises 1, 3 and 4 on a CPU that checks what
 * QEMU does not: segment limits and null selectors. For that one run of Bochs does it all, with
 * one breakpoint at a time. It tells nothing of the TLB: a submission that does not flush it
 * passes as well as one that does.
 */
#include "checks.h"

enum { MOST_STEPS = 100 };

/* --- in QEMU --- */

static void want_segment(const char *name, const struct segment *s,
			 unsigned selector)
{
	CHECK(s->selector == selector, "%s is %#x, not %#x%s", name, s->selector, selector,
	      s->selector ? "" : ": IRET to ring 1 made it null, because what it held has DPL 0");
	CHECK(s->base == 0 && s->limit == VMM_BASE - 1,
	      "%s (%#x) has base %#x and limit %#x: what the CPU keeps is that of the kernel's old "
	      "table; only a load after LGDT changes it", name, s->selector, s->base, s->limit);
}

static void want_flags(uint32_t eflags)
{
	CHECK(eflags & EFLAGS_IF,
	      "EFLAGS is %#x: the real IF is 0 in ring 1, and nothing there can set it: no "
	      "interrupt will ever come", eflags);
	CHECK(!(eflags & EFLAGS_IOPL),
	      "EFLAGS is %#x: with IOPL %u ring 1 has CLI, STI and all ports (V6)", eflags,
	      eflags >> 12 & 3);
	CHECK(!(eflags & (EFLAGS_NT | EFLAGS_TF | EFLAGS_DF | EFLAGS_AC)),
	      "EFLAGS is %#x: NT, TF, DF or AC is set", eflags);
}

/*
 * The kernel calls from another place in the code and on the stack, with other values in its
 * registers, than at any real attach: all of them random.
 */
static void call_at_random(struct probe *p)
{
	static const uint8_t nop = 0x90;
	struct guest *g = &p->g;
	struct cpu_state c = g->c;
	c.esp -= 4 * (16 + random_below(32));
	p->back = plant_in_text(g, &nop, 1);
	set_words(g, c.esp, WORDS(p->back, VMM_INSTALL, p->cpu, p->stack));
	c.ebx = random_word(), c.esi = random_word(), c.edi = random_word();
	c.ebp = random_word();
	set_registers(g, &c);
	look(g, 0);
	p->entry = g->c;
}

/*
 * At the exercise's first instruction: the caller had IOPL 3, DF and AC. AC may be a program's, for
 * an interrupt gate leaves it alone (SDM vol. 3, 6.12.1.3). NT and TF stay 0: with NT an IRET in
 * ring 0 is a task's return.
 */
static void set_flags(struct guest *g)
{
	/* pushf; orl $AC | IOPL | DF, (%esp); popf */
	static const uint8_t code[] = { 0x9C, 0x81, 0x0C, 0x24, 0, 0x34, 4, 0, 0x9D };
	struct cpu_state c = g->c;
	run_here(g, code, sizeof(code));
	set_registers(g, &c);
	look(g, 0);
}

/*
 * Step down to ring 1, or back to the caller, or to a fault. The VMM's code runs with interrupts
 * off to its last instruction.
 */
static void step_down(struct probe *p)
{
	enum { STI = 0xFB }; /* which counts from the instruction after the next on */
	const uint32_t fault = vmm_symbol("exit_entry");
	struct guest *g = &p->g;
	for (unsigned i = 0; i < MOST_STEPS && g->c.cpl == 0; i++) {
		uint32_t at = g->c.eip;
		if (at == p->back || at == fault)
			return;
		bool sti = opcode_at(g, at) == STI;
		step(g, 0);
		look(g, 0);
		CHECK(g->c.cpl || sti || !(g->c.eflags & EFLAGS_IF),
		      "after %s the real IF is 1, and the CPU still is in ring 0: an interrupt "
		      "there finds neither the VMM nor the kernel", place(at));
	}
}

void check_descent(const struct test *t)
{
	struct probe *p = probe_enter(t, VMM_INSTALL);
	struct guest *g = &p->g;
	const struct cpu_state *c = &g->c, *e = &p->entry;
	call_at_random(p);
	probe_to_install(p);
	struct cpu_state at = *c; /* exercise 3, by the check's own hands */
	probe_load(p);
	set_registers(g, &at);
	look(g, 0);
	skip(g, 0);
	PROBE_RUN(p, "vmm_call(VMM_INSTALL), after cpu_install(), does not come to descend",
		  vmm_symbol("descend"));
	set_flags(g);
	step_down(p);
	if (c->cpl == 0 && c->eip != p->back)
		PROBE_RUN(p, "vmm_call(VMM_INSTALL), after cpu_install(), does not return to its "
			  "caller", p->back);
	look(g, 0);
	CHECK(c->cpl == 1, "vmm_call(VMM_INSTALL) returns in ring %u, not in ring 1: only IRET "
	      "with a CS of RPL 1 leads down", c->cpl);
	CHECK(c->eip == p->back, "ring 1 begins at %s, with ESP %#x; the caller's return address, "
	      "at %#x, is %#x", place(c->eip), c->esp, e->esp, p->back);
	CHECK(c->cs.selector == (SEL_KCODE | 1) && c->ss.selector == (SEL_KDATA | 1),
	      "ring 1 has CS %#x and SS %#x, not %#x and %#x", c->cs.selector, c->ss.selector,
	      SEL_KCODE | 1, SEL_KDATA | 1);
	want_flags(c->eflags);
	CHECK(c->esp == e->esp + 4, "ESP is %#x in ring 1; after RET it would be %#x", c->esp,
	      e->esp + 4);
	CHECK(c->ebx == e->ebx && c->esi == e->esi && c->edi == e->edi && c->ebp == e->ebp,
	      "EBX %#x, ESI %#x, EDI %#x, EBP %#x; before they were %#x, %#x, %#x, %#x: the caller "
	      "relies on them",
	      c->ebx, c->esi, c->edi, c->ebp, e->ebx, e->esi, e->edi, e->ebp);
	CHECK(c->eax == 0, "vmm_call(VMM_INSTALL) returned %#x, not 0", c->eax);
	want_segment("CS", &c->cs, SEL_KCODE | 1);
	want_segment("SS", &c->ss, SEL_KDATA | 1);
	want_segment("DS", &c->ds, SEL_KDATA);
	want_segment("ES", &c->es, SEL_KDATA);
	want_segment("FS", &c->fs, SEL_KDATA);
	want_segment("GS", &c->gs, SEL_KDATA);
}

/* --- in Bochs --- */

/*
 * Return from the VMM's exit_handle() at once, and from there to this place in ring 1, with the
 * segments that were interrupted.
 */
static void leave(struct probe *p, uint32_t eip)
{
	struct guest *g = &p->g;
	set_word(g, g->c.eax + REGS_EIP, eip);
	go(g, return_address(g), g->c.esp + 4);
	probe_arrive(p, eip, "the VMM does not return to ring 1");
}

/* An instruction of ring 1 must end in the VMM's exit_handle() with this vector. */
static void must_fault(struct probe *p, const uint8_t *code, size_t bytes, unsigned vector,
		       const char *what)
{
	uint32_t at = plant(&p->g, code, bytes);
	go(&p->g, at, p->g.c.esp);
	probe_arrive(p, vmm_symbol("exit_handle"), "%s in ring 1 must fault", what);
	struct saved s = read_saved(p);
	CHECK(SAVED(s, EIP) == at,
	      "%s in ring 1 did not come to the VMM as %s: it went through, or this vector leads "
	      "straight to ring 1. What came next was %s, error %#x, at %#x", what,
	      vector_text(vector), vector_text(SAVED(s, VECTOR)), SAVED(s, ERROR),
	      SAVED(s, EIP));
	CHECK(SAVED(s, VECTOR) == vector && SAVED(s, ERROR) == 0,
	      "%s in ring 1: %s, error %#x instead of %s, 0", what, vector_text(SAVED(s, VECTOR)),
	      SAVED(s, ERROR), vector_text(vector));
	leave(p, p->back);
}

static const struct { const char *name; uint8_t prefix; unsigned vector; } segments[] = {
	{ "ds", 0x3E, VEC_GP }, { "es", 0x26, VEC_GP }, { "fs", 0x64, VEC_GP },
	{ "gs", 0x65, VEC_GP }, { "cs", 0x2E, VEC_GP }, { "ss", 0x36, VEC_SS },
};
enum { LOAD = 0xA1, LOAD_BYTES = 6 }; /* movl segment:address, %eax, with its prefix */

static void want_limit(struct probe *p, unsigned i)
{
	char what[160];
	const struct cpu_state *c = &p->g.c;
	const struct segment *loaded[] = { &c->ds, &c->es, &c->fs, &c->gs, &c->cs, &c->ss };
	enum { HIGH_BYTE = VMM_BASE >> 24 };
	uint8_t code[] = { segments[i].prefix, LOAD, 0, 0, 0, HIGH_BYTE, 0x0F, 0x0B }; /* ud2 */
	snprintf(what, sizeof(what),
		 "a load from the VMM's first byte, %#x, by %s, whose limit is loaded as %#x "
		 "(exercises 1 and 4)", VMM_BASE, segments[i].name, loaded[i]->limit);
	must_fault(p, code, sizeof(code), segments[i].vector, what);
}

/* A load from ring 1's own stack, which is below the limit. */
static void want_load(struct probe *p, unsigned i, uint32_t address)
{
	uint8_t code[LOAD_BYTES + 1] = { segments[i].prefix, LOAD, 0, 0, 0, 0, /* nop */ 0x90 };
	memcpy(code + 2, &address, 4);
	uint32_t at = plant(&p->g, code, sizeof(code));
	go(&p->g, at, p->g.c.esp);
	probe_arrive(p, at + LOAD_BYTES,
		     "a load of ring 1 from its own stack by %s must work (exercise 4: is the "
		     "segment register loaded?)", segments[i].name);
}

void check_hardware(const struct test *t)
{
	struct probe *p = probe_own_way(t, VMM_INSTALL);
	probe_arrive(p, p->back, "the descent to ring 1 (exercises 1 to 4)");
	uint32_t esp = p->g.c.esp;
	CHECK(p->g.c.cpl == 1, "vmm_call(VMM_INSTALL) returns in ring %u", p->g.c.cpl);
	for (unsigned i = 0; i < LENGTH(segments); i++)
		want_limit(p, i);
	for (unsigned i = 0; i < LENGTH(segments); i++)
		want_load(p, i, esp);
}
