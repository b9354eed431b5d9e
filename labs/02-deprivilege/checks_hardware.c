/* SPDX-License-Identifier: MIT */
/*
 * The lab on a CPU that checks what QEMU does not: segment limits and null selectors. One run of
 * Bochs does it all, with one breakpoint at a time. This check tells nothing of the TLB: a
 * submission that does not flush it passes as well as one that does.
 */
#include "checks.h"

enum { VEC_SS = 12 };

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
	      "%s in ring 1 went through: vector %u came only at %#x, error %#x", what,
	      SAVED(s, VECTOR), SAVED(s, EIP), SAVED(s, ERROR));
	CHECK(SAVED(s, VECTOR) == vector && SAVED(s, ERROR) == 0,
	      "%s in ring 1: vector %u, error %#x instead of %u, %#x", what, SAVED(s, VECTOR),
	      SAVED(s, ERROR), vector, 0);
	leave(p, p->back);
}

static const struct { const char *name; uint8_t prefix; unsigned vector; } segments[] = {
	{ "ds", 0x3E, VEC_GP }, { "es", 0x26, VEC_GP }, { "fs", 0x64, VEC_GP },
	{ "gs", 0x65, VEC_GP }, { "cs", 0x2E, VEC_GP }, { "ss", 0x36, VEC_SS },
};
enum { LOAD = 0xA1, LOAD_BYTES = 6 }; /* movl segment:address, %eax, with its prefix */

static void want_limit(struct probe *p, unsigned i)
{
	char what[120];
	enum { HIGH_BYTE = VMM_BASE >> 24 };
	uint8_t code[] = { segments[i].prefix, LOAD, 0, 0, 0, HIGH_BYTE, 0x0F, 0x0B }; /* ud2 */
	snprintf(what, sizeof(what),
		 "a load from the VMM's first byte by %s (exercises 1 and 4: limit)",
		 segments[i].name);
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
	struct probe *p = probe_start(t);
	uint32_t esp = p->g.c.esp;
	for (unsigned i = 0; i < LENGTH(segments); i++)
		want_limit(p, i);
	for (unsigned i = 0; i < LENGTH(segments); i++)
		want_load(p, i, esp);
	go(&p->g, p->back, esp);
	probe_arrive(p, symbol("syscall_entry"), "the first program's first system call");
	CHECK(p->g.c.cpl == 1, "the first system call arrives in ring %u", p->g.c.cpl);
}
