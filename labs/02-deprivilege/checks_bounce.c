/* SPDX-License-Identifier: MIT */
/* Lab 2, exercise 7: faults in ring 3 and ring 1, and what the kernel's handler finds at its first instruction. */
#include "checks.h"

#define NOWHERE 0xF7FFF000u /* kernel space without a page */
enum { PREFIX = 6, CARRY_DF_NT_AC = 0x1 | EFLAGS_DF | EFLAGS_NT | EFLAGS_AC };

struct fault {
	const char *name;
	uint8_t code[8];
	unsigned bytes, before; /* length, and how much of it is before the instruction that faults */
	unsigned vector;
	uint32_t error;
	bool has_error;
};
static const struct fault faults[] = {
	{ "a load from where nothing is mapped", { 0xA1, 0x00, 0xF0, 0xFF, 0xF7 }, 5, 0, VEC_PF, 0, true },
	{ "hlt", { 0xF4 }, 1, 0, VEC_GP, 0, true },
	{ "int $0x20", { 0xCD, 0x20 }, 2, 0, VEC_GP, 0x20 * 8 + 2, true },
	{ "a division by zero", { 0x31, 0xC9, 0xF7, 0xF1 }, 4, 2, VEC_DE, 0, false },
};

/* push $flags; popf; then the fault. Result: the address of the instruction that faults. */
static uint32_t begin(struct probe *p, const struct fault *f, unsigned ring, uint32_t flags, uint32_t esp)
{
	uint8_t code[PREFIX + sizeof(f->code)] = {
		0x68, (uint8_t)flags, (uint8_t)(flags >> 8), (uint8_t)(flags >> 16), (uint8_t)(flags >> 24), 0x9D
	};
	memcpy(code + PREFIX, f->code, f->bytes);
	uint32_t at = ring == 3 ? plant_user(p, code, sizeof(code)) : plant(p, code, sizeof(code));
	go_ring(p, ring, at, esp);
	return at + PREFIX + f->before;
}

/* The CPU's part: it enters the VMM. Result: what the stub saved. */
static struct vmm_regs enter(struct probe *p, const struct fault *f, unsigned ring, uint32_t eip)
{
	struct vmm_regs r;
	uint32_t error = f->error | (f->vector == VEC_PF && ring == 3 ? PF_USER : 0);
	if (RUN(p, vmm_symbol("trap_handle")) != 0)
		probe_lost(p, "%s in ring %u does not lead to the VMM's trap_handle() (exercises 1 to 3)", f->name,
			   ring);
	virtual_read(p->m, p->c.cr3, p->c.eax, &r, sizeof(r));
	CHECK(r.vector == f->vector && r.error == error && r.eip == eip && (r.cs & 3) == ring,
	      "%s in ring %u: vector %u, error %#x, CS %#x, EIP %#x came to the VMM", f->name, ring, r.vector, r.error,
	      r.cs, r.eip);
	return r;
}

/* The frame, as the SDM's figure 6-4 shows it, from the stack pointer up. */
static void check_frame(struct probe *p, const struct fault *f, const struct vmm_regs *r, uint32_t vif)
{
	static const char *const names[] = { "the error code", "EIP", "CS", "EFLAGS", "ESP", "SS" };
	bool outer = (r->cs & 3) == 3;
	uint32_t eflags = (r->eflags & ~(uint32_t)EFLAGS_IF) | (outer ? EFLAGS_IF : vif & EFLAGS_IF);
	const uint32_t wanted[] = { r->error, r->eip, r->cs, eflags, r->esp, r->ss };
	unsigned first = f->has_error ? 0 : 1, end = outer ? 6 : 4;
	uint32_t top = outer ? p->stack : r->esp, esp = top - 4 * (end - first);
	CHECK(p->c.esp == esp,
	      "%s in ring %u: the handler begins with ESP %#x; below %#x a frame of %u words%s begins at %#x", f->name,
	      r->cs & 3, p->c.esp, top, end - first, f->has_error ? ", one of them the error code," : "", esp);
	for (unsigned i = first; i < end; i++) {
		uint32_t word = read_word(p, esp + 4 * (i - first));
		CHECK(word == wanted[i], "%s in ring %u, virtual IF %#x: in the frame %s is %#x, not %#x%s", f->name,
		      r->cs & 3, vif, names[i], word, wanted[i],
		      i == 3 && (word ^ wanted[i]) == EFLAGS_IF ? ": there bit 9, IF, is virtual IF" : "");
	}
}

static void check_state(const struct probe *p, const struct fault *f, const struct vmm_regs *r)
{
	const struct cpu_state *c = &p->c;
	CHECK(c->cpl == 1 && c->cs.selector == (SEL_KCODE | 1) && c->ss.selector == (SEL_KDATA | 1),
	      "%s: the handler runs in ring %u with CS %#x, SS %#x", f->name, c->cpl, c->cs.selector, c->ss.selector);
	CHECK(c->eflags & EFLAGS_IF, "%s: the handler runs with the real IF 0", f->name);
	CHECK(!(c->eflags & (EFLAGS_TF | EFLAGS_NT | EFLAGS_AC | EFLAGS_IOPL)),
	      "%s: the handler runs with EFLAGS %#x: TF, NT, AC or IOPL is not 0", f->name, c->eflags);
	CHECK(c->eax == r->eax && c->ebx == r->ebx && c->ecx == r->ecx && c->edx == r->edx && c->esi == r->esi &&
		      c->edi == r->edi && c->ebp == r->ebp,
	      "%s: the bounce changed a general register", f->name);
}

static void bounce_once(struct probe *p, const struct fault *f, unsigned ring, uint32_t vif)
{
	uint32_t esp = ring == 3 ? p->user_esp : p->entry.esp - 64;
	uint32_t eip = begin(p, f, ring, EFLAGS_FIXED | CARRY_DF_NT_AC, esp);
	set_shared(p, vif, 0);
	struct vmm_regs r = enter(p, f, ring, eip);
	if (RUN(p, p->handlers[f->vector], vmm_symbol("end_run")) != 0)
		probe_lost(p, "%s in ring %u: the VMM does not return to the kernel's handler of vector %u at %#x",
			   f->name, ring, f->vector, p->handlers[f->vector]);
	check_state(p, f, &r);
	check_frame(p, f, &r, vif);
	CHECK(shared_word(p, SHARED_VIF) == 0,
	      "%s in ring %u: virtual IF is %#x when the handler begins; an interrupt gate would have cleared it",
	      f->name, ring, shared_word(p, SHARED_VIF));
}

void check_bounce_user(const struct test *t)
{
	struct probe *p = probe_start(t);
	for (unsigned i = 0; i < COUNT(faults); i++)
		bounce_once(p, &faults[i], 3, EFLAGS_IF);
	bounce_once(p, &faults[1], 3, 0); /* a kernel that forgot to set it: ring 3 has interrupts on all the same */
}

/* Virtual IF 1, 0, and as a hostile kernel leaves it. */
void check_bounce_kernel(const struct test *t)
{
	static const uint32_t vifs[] = { EFLAGS_IF, 0, 0xFFFFFFFF, ~(uint32_t)EFLAGS_IF };
	struct probe *p = probe_start(t);
	for (unsigned i = 0; i < COUNT(faults) * COUNT(vifs); i++)
		bounce_once(p, &faults[i % COUNT(faults)], 1, vifs[i / COUNT(faults)]);
}

/* Where a hostile kernel's stack may be: nowhere, in the VMM, in a program's memory, in a page table. */
void check_bounce_stack(const struct test *t)
{
	struct probe *p = probe_start(t);
	uint32_t before[8], after[8];
	const uint32_t stacks[] = { NOWHERE, vmm_symbol("vmm_idt") + 8 * 64, p->user_page + PAGE_SIZE / 2,
				    probe_directory(p) + PAGE_SIZE };
	static const uint8_t hlt = 0xF4;
	for (unsigned i = 0; i < COUNT(stacks); i++) {
		uint32_t at = plant(p, &hlt, 1);
		if (i)
			virtual_read(p->m, p->c.cr3, stacks[i] - sizeof(before), before, sizeof(before));
		go_ring(p, 1, at, p->entry.esp);
		go(p, at, stacks[i]);
		set_shared(p, EFLAGS_IF, 0);
		int stop = RUN(p, vmm_symbol("end_run"), p->handlers[VEC_GP]);
		CHECK(stop != 1, "a fault with the kernel's stack at %#x was bounced there", stacks[i]);
		if (stop != 0)
			probe_lost(p,
				   "a fault with the kernel's stack at %#x: the VMM neither bounces it nor stops the "
				   "kernel",
				   stacks[i]);
		CHECK(p->c.eax == VMM_STOPPED_STATUS,
		      "a fault with the kernel's stack at %#x ends the run with status %#x, not %#x (stop_kernel): "
		      "the VMM itself failed",
		      stacks[i], p->c.eax, VMM_STOPPED_STATUS);
		if (i) {
			virtual_read(p->m, p->c.cr3, stacks[i] - sizeof(after), after, sizeof(after));
			CHECK(memcmp(before, after, sizeof(before)) == 0,
			      "a bounce to the stack at %#x stored there: only copy_to_kernel() may, which looks whose "
			      "memory it is",
			      stacks[i]);
		}
	}
}
