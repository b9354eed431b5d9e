/* SPDX-License-Identifier: MIT */
/*
 * Exercise 7: faults in ring 3 and ring 1, and what the kernel's handler finds at its first
 * instruction.
 */
#include "checks.h"

#define NOWHERE 0xF7FFF000u /* kernel space without a page */
enum { PREFIX = 6, CARRY_DF_NT_AC = EFLAGS_CF | EFLAGS_DF | EFLAGS_NT | EFLAGS_AC };

struct fault {
	const char *name;
	uint8_t code[8];
	unsigned bytes, before; /* of the code; of these, before the instruction that faults */
	unsigned vector;
	uint32_t error;
	bool has_error;
};

static const struct fault faults[] = {
	{ "a load from where nothing is mapped", { 0xA1, 0x00, 0xF0, 0xFF, 0xF7 }, 5, 0, VEC_PF, 0,
	  true },
	{ "hlt", { 0xF4 }, 1, 0, VEC_GP, 0, true },
	{ "int $0x20", { 0xCD, 0x20 }, 2, 0, VEC_GP, 0x20 * 8 + 2, true },
	{ "a division by zero", { 0x31, 0xC9, 0xF7, 0xF1 }, 4, 2, VEC_DE, 0, false },
};

/* push $flags; popf; then the fault. Result: the address of the instruction that faults. */
static uint32_t begin(struct probe *p, const struct fault *f, unsigned ring, uint32_t flags,
		      uint32_t esp)
{
	enum { PUSH = 0x68, POPF = 0x9D };
	uint8_t code[PREFIX + sizeof(f->code)] = { PUSH };
	memcpy(code + 1, &flags, 4);
	code[PREFIX - 1] = POPF;
	memcpy(code + PREFIX, f->code, f->bytes);
	uint32_t at = ring == 3 ? plant_user(p, code, sizeof(code))
				: plant(&p->g, code, sizeof(code));
	go_ring(p, ring, at, esp);
	return at + PREFIX + f->before;
}

/* The CPU's part: it enters the VMM. Result: what the stub saved. */
static struct saved enter(struct probe *p, const struct fault *f, unsigned ring, uint32_t eip)
{
	uint32_t error = f->error | (f->vector == VEC_PF && ring == 3 ? PF_USER : 0);
	if (RUN(&p->g, vmm_symbol("exit_handle")) != 0)
		probe_lost(p,
			   "%s in ring %u does not lead to the VMM's "
			   "exit_handle() (exercises 1 to 3)",
			   f->name, ring);
	struct saved s = read_saved(p);
	CHECK(SAVED(s, VECTOR) == f->vector && SAVED(s, ERROR) == error && SAVED(s, EIP) == eip &&
		      (SAVED(s, CS) & 3) == ring,
	      "%s in ring %u: vector %u, error %#x, CS %#x, EIP %#x came to the VMM", f->name, ring,
	      SAVED(s, VECTOR), SAVED(s, ERROR), SAVED(s, CS), SAVED(s, EIP));
	return s;
}

/* The frame, as the SDM's figure 6-4 shows it, from the stack pointer up. */
static void want_frame(struct probe *p, const struct fault *f, const struct saved *s, uint32_t vif)
{
	enum { EFLAGS_WORD = 3, WORDS_FROM_RING_1 = 4, WORDS_FROM_RING_3 = 6 };
	static const char *const names[] = { "the error code", "EIP", "CS", "EFLAGS", "ESP", "SS" };
	unsigned ring = SAVED(*s, CS) & 3;
	bool outer = ring == 3;
	uint32_t flag = outer ? EFLAGS_IF : vif & EFLAGS_IF;
	uint32_t eflags = (SAVED(*s, EFLAGS) & ~(uint32_t)EFLAGS_IF) | flag;
	const uint32_t wanted[] = { SAVED(*s, ERROR), SAVED(*s, EIP), SAVED(*s, CS),
				    eflags,	      SAVED(*s, ESP), SAVED(*s, SS) };
	unsigned first = f->has_error ? 0 : 1, end = outer ? WORDS_FROM_RING_3 : WORDS_FROM_RING_1;
	uint32_t top = outer ? p->stack : SAVED(*s, ESP), esp = top - 4 * (end - first);
	CHECK(p->g.c.esp == esp,
	      "%s in ring %u: the handler begins with ESP %#x; below %#x a frame of %u words%s "
	      "begins at %#x", f->name, ring, p->g.c.esp, top, end - first,
	      f->has_error ? ", one of them the error code," : "", esp);
	for (unsigned i = first; i < end; i++) {
		uint32_t word = word_at(&p->g, esp + 4 * (i - first));
		bool only_if = i == EFLAGS_WORD && (word ^ wanted[i]) == EFLAGS_IF;
		CHECK(word == wanted[i],
		      "%s in ring %u, virtual IF %#x: in the frame %s is %#x, not %#x%s", f->name,
		      ring, vif, names[i], word, wanted[i],
		      only_if ? ": there bit 9, IF, is virtual IF" : "");
	}
}

static void want_state(const struct probe *p, const struct fault *f, const struct saved *s)
{
	const struct cpu_state *c = &p->g.c;
	CHECK(c->cpl == 1 && c->cs.selector == (SEL_KCODE | 1) && c->ss.selector == (SEL_KDATA | 1),
	      "%s: the handler runs in ring %u with CS %#x, SS %#x", f->name, c->cpl,
	      c->cs.selector, c->ss.selector);
	CHECK(c->eflags & EFLAGS_IF, "%s: the handler runs with the real IF 0", f->name);
	CHECK(!(c->eflags & (EFLAGS_TF | EFLAGS_NT | EFLAGS_AC | EFLAGS_IOPL)),
	      "%s: the handler runs with EFLAGS %#x: TF, NT, AC or IOPL is not 0", f->name,
	      c->eflags);
	CHECK(c->eax == SAVED(*s, EAX) && c->ebx == SAVED(*s, EBX) && c->ecx == SAVED(*s, ECX) &&
		      c->edx == SAVED(*s, EDX) && c->esi == SAVED(*s, ESI) &&
		      c->edi == SAVED(*s, EDI) && c->ebp == SAVED(*s, EBP),
	      "%s: the bounce changed a general register", f->name);
}

static void bounce_once(struct probe *p, const struct fault *f, unsigned ring, uint32_t vif)
{
	uint32_t esp = ring == 3 ? p->user_esp : p->entry.esp - 64;
	uint32_t handler = p->handlers[f->vector];
	uint32_t eip = begin(p, f, ring, EFLAGS_FIXED | CARRY_DF_NT_AC, esp);
	set_shared(p, vif, 0);
	struct saved s = enter(p, f, ring, eip);
	if (RUN(&p->g, handler, vmm_symbol("end_run")) != 0)
		probe_lost(p,
			   "%s in ring %u: the VMM does not return to the kernel's handler of "
			   "vector %u at %#x", f->name, ring, f->vector, handler);
	want_state(p, f, &s);
	want_frame(p, f, &s, vif);
	uint32_t vif_after = shared_word(&p->g, VMM_SHARED_VIF);
	CHECK(vif_after == 0,
	      "%s in ring %u: virtual IF is %#x when the handler begins; an interrupt gate would "
	      "have cleared it", f->name, ring, vif_after);
}

void check_bounce_user(const struct test *t)
{
	struct probe *p = probe_start(t);
	for (unsigned i = 0; i < LENGTH(faults); i++)
		bounce_once(p, &faults[i], 3, EFLAGS_IF);
	/* A kernel that forgot to set virtual IF: ring 3 has interrupts on all the same. */
	bounce_once(p, &faults[1], 3, 0);
}

/* With virtual IF 1, 0, and as a hostile kernel leaves it. */
void check_bounce_kernel(const struct test *t)
{
	static const uint32_t vifs[] = { EFLAGS_IF, 0, 0xFFFFFFFF, ~(uint32_t)EFLAGS_IF };
	struct probe *p = probe_start(t);
	for (unsigned v = 0; v < LENGTH(vifs); v++)
		for (unsigned i = 0; i < LENGTH(faults); i++)
			bounce_once(p, &faults[i], 1, vifs[v]);
}

/* A fault with the kernel's stack at `stack`, where the VMM must not store. */
static void want_stopped(struct probe *p, uint32_t stack)
{
	static const uint8_t hlt = 0xF4;
	uint32_t at = plant(&p->g, &hlt, 1);
	go_ring(p, 1, at, p->entry.esp);
	go(&p->g, at, stack);
	set_shared(p, EFLAGS_IF, 0);
	int stop = RUN(&p->g, vmm_symbol("end_run"), p->handlers[VEC_GP]);
	CHECK(stop != 1, "a fault with the kernel's stack at %#x was bounced there", stack);
	if (stop != 0)
		probe_lost(p,
			   "a fault with the kernel's stack at %#x: the VMM neither bounces it nor "
			   "stops the kernel", stack);
	CHECK(p->g.c.eax == VMM_STOPPED_STATUS,
	      "a fault with the kernel's stack at %#x ends the run with status %#x, not %#x "
	      "(stop_kernel): the VMM itself failed", stack, p->g.c.eax, VMM_STOPPED_STATUS);
}

/* A hostile kernel's stack may be nowhere, in the VMM, in a program's memory, in a page table. */
void check_bounce_stack(const struct test *t)
{
	struct probe *p = probe_start(t);
	uint32_t before[8], after[8];
	want_stopped(p, NOWHERE);
	const uint32_t stacks[] = { vmm_symbol("vmm_idt") + 8 * 64, p->user_page + PAGE_SIZE / 2,
				    probe_directory(p) + PAGE_SIZE };
	for (unsigned i = 0; i < LENGTH(stacks); i++) {
		uint32_t below = stacks[i] - sizeof(before);
		virtual_read(p->g.m, p->g.c.cr3, below, before, sizeof(before));
		want_stopped(p, stacks[i]);
		virtual_read(p->g.m, p->g.c.cr3, below, after, sizeof(after));
		CHECK(memcmp(before, after, sizeof(before)) == 0,
		      "a bounce to the stack at %#x stored there: only copy_to_kernel() may, which "
		      "looks whose memory it is", stacks[i]);
	}
}
