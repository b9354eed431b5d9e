/* SPDX-License-Identifier: MIT */
/*
 * Lab 2 on a CPU that checks what QEMU does not: segment limits and null selectors. All in one run of Bochs, which has
 * one breakpoint at a time. Of the TLB it tells nothing here: a submission that does not flush it passes as well as one that does.
 */
#include "checks.h"

enum { VEC_SS = 12 };

/* Return from the VMM's trap_handle() at once, and from there to this place in ring 1, with the segments that were
 * interrupted. */
static void leave(struct probe *p, uint32_t eip)
{
	write_words(p, p->c.eax + (uint32_t)offsetof(struct vmm_regs, eip), &eip, 1);
	go(p, read_word(p, p->c.esp), p->c.esp + 4);
	probe_arrive(p, eip, "the VMM does not return to ring 1");
}

/* An instruction of ring 1 must end in the VMM's trap_handle() with this vector. */
static void must_fault(struct probe *p, const uint8_t *code, size_t bytes, unsigned vector, uint32_t error,
		       const char *what)
{
	struct vmm_regs r;
	uint32_t at = plant(p, code, bytes);
	go(p, at, p->c.esp);
	probe_arrive(p, vmm_symbol("trap_handle"), "%s in ring 1 must fault", what);
	virtual_read(p->m, p->c.cr3, p->c.eax, &r, sizeof(r));
	CHECK(r.eip == at, "%s in ring 1 went through: vector %u came only at %#x, error %#x", what, r.vector, r.eip,
	      r.error);
	CHECK(r.vector == vector && r.error == error, "%s in ring 1: vector %u, error %#x instead of %u, %#x", what,
	      r.vector, r.error, vector, error);
	leave(p, p->back);
}

void check_hardware(const struct test *t)
{
	static const struct {
		const char *name;
		uint8_t prefix;
		unsigned vector;
	} by[] = {
		{ "ds", 0x3E, VEC_GP }, { "es", 0x26, VEC_GP }, { "fs", 0x64, VEC_GP },
		{ "gs", 0x65, VEC_GP }, { "cs", 0x2E, VEC_GP }, { "ss", 0x36, VEC_SS },
	};
	struct probe *p = probe_start(t);
	struct cpu_state arrival = p->c;
	for (unsigned i = 0; i < COUNT(by); i++) {
		char what[120];
		uint8_t code[] = { by[i].prefix, 0xA1, 0, 0, 0, VMM_BASE >> 24, 0x0F, 0x0B };
		snprintf(what, sizeof(what), "a load from the VMM's first byte by %s (exercises 1 and 4: limit)",
			 by[i].name);
		must_fault(p, code, sizeof(code), by[i].vector, 0, what);
	}
	for (unsigned i = 0; i < COUNT(by); i++) { /* below it all is well */
		uint8_t code[] = { by[i].prefix, 0xA1, 0, 0, 0, 0, 0x90 };
		memcpy(code + 2, &arrival.esp, 4);
		uint32_t at = plant(p, code, sizeof(code));
		go(p, at, p->c.esp);
		probe_arrive(p, at + 6,
			     "a load of ring 1 from its own stack by %s must work (exercise 4: is the segment register "
			     "loaded?)",
			     by[i].name);
	}
	go(p, p->back, arrival.esp);
	probe_arrive(p, symbol("syscall_entry"), "the first program's first system call");
	CHECK(p->c.cpl == 1, "the first system call arrives in ring %u", p->c.cpl);
}
