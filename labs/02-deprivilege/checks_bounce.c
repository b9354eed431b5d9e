/* SPDX-License-Identifier: MIT */
/*
 * Exercise 7: faults in ring 3 and ring 1, and what the kernel's handler finds at its first
 * instruction. The CPU raises the fault and the VMM's stub saves the registers; then the check
 * may give the saved EFLAGS any value, as if the interrupted code had had it. For an event it calls
 * bounce() itself, so exercise 8 does not matter.
 */
#include <ctype.h>
#include "checks.h"

#define NOWHERE 0xF7FFF000u /* kernel space without a page */
/* All that POPF or a CPU can set, but IF and VM: with IOPL, and PF, AF, ZF, SF, OF, RF, ID. */
enum { PROGRAMS_FLAGS = EFLAGS_CF | EFLAGS_TF | EFLAGS_DF | EFLAGS_IOPL | EFLAGS_NT | EFLAGS_AC |
			0x2108D4 };

struct fault {
	const char *name;
	uint8_t code[8];
	unsigned bytes, before; /* of the code; of these, before the instruction that faults */
	unsigned vector;
	uint32_t error;
	bool has_error;
	unsigned event; /* bounce() is called with this vector instead; 0: as it is */
};

static const struct fault faults[] = {
	{ "a load from where nothing is mapped", { 0xA1, 0x00, 0xF0, 0xFF, 0xF7 }, 5, 0, VEC_PF, 0,
	  true, 0 },
	{ "hlt", { 0xF4 }, 1, 0, VEC_GP, 0, true, 0 },
	{ "int $0x20", { 0xCD, 0x20 }, 2, 0, VEC_GP, 0x20 * 8 + 2, true, 0 },
	{ "a division by zero", { 0x31, 0xC9, 0xF7, 0xF1 }, 4, 2, VEC_DE, 0, false, 0 },
	{ "an event, the timer's", { 0xF4 }, 1, 0, VEC_GP, 0, false, VEC_TIMER },
	{ "an event, the serial line's", { 0xF4 }, 1, 0, VEC_GP, 0, false, VEC_IRQ + 4 },
};
enum { HLT = 1, DIVISION = 3, EVENT = 4 };

/* A fault that is bounced: the probe's machine, and where the check's code for each fault is. */
struct bouncer {
	struct probe *p;
	const struct fault *f;
	unsigned ring;
	uint32_t vif, at[LENGTH(faults)];
	struct saved s;            /* what was interrupted */
	unsigned fs, gs;           /* which the VMM does not save */
	struct shared_page before;
};

static struct bouncer bouncer(struct probe *p, unsigned ring)
{
	struct bouncer b = { .p = p, .ring = ring };
	for (unsigned i = 0; i < LENGTH(faults); i++)
		b.at[i] = ring == 3 ? plant_user(p, faults[i].code, faults[i].bytes)
				    : plant_in_text(&p->g, faults[i].code, faults[i].bytes);
	return b;
}

static const char *name_of(const struct bouncer *b)
{
	return text_of("%s in ring %u, virtual IF %#x", b->f->name, b->ring, b->vif);
}

/* At exit_handle(r): bounce(c, r, vector) is called instead, as event_deliver() does. */
static void call_bounce(struct bouncer *b, unsigned vector)
{
	struct cpu_state *c = &b->p->g.c;
	c->edx = c->eax;
	c->eax = CPU_BLOCK(b->p->cpu);
	c->ecx = vector;
	c->eip = vmm_symbol("bounce");
	set_registers(&b->p->g, c);
}

/* Where the kernel's handler is. */
static uint32_t handler_of(const struct bouncer *b)
{
	return b->p->handlers[b->f->event ? b->f->event : b->f->vector];
}

/* The CPU's part: it enters the VMM. */
static void enter(struct bouncer *b, unsigned i, uint32_t esp)
{
	struct probe *p = b->p;
	b->f = &faults[i];
	uint32_t error = b->f->error | (b->f->vector == VEC_PF && b->ring == 3 ? PF_USER : 0);
	uint32_t eip = b->at[i] + b->f->before;
	go_ring(p, b->ring, b->at[i], esp);
	set_shared(p, b->vif, random_word());
	b->before = read_shared(p);
	PROBE_RUN(p, name_of(b), vmm_symbol("exit_handle"));
	b->s = read_saved(p);
	b->fs = p->g.c.fs.selector;
	b->gs = p->g.c.gs.selector;
	CHECK(SAVED(b->s, VECTOR) == b->f->vector && SAVED(b->s, ERROR) == error &&
		      SAVED(b->s, EIP) == eip && (SAVED(b->s, CS) & 3) == b->ring,
	      "%s: vector %u, error %#x, CS %#x, EIP %#x came to the VMM: the given stubs of "
	      "entry.S have changed", name_of(b), SAVED(b->s, VECTOR), SAVED(b->s, ERROR),
	      SAVED(b->s, CS), SAVED(b->s, EIP));
}

/* The interrupted code had these flags. */
static void had_flags(struct bouncer *b, uint32_t flags)
{
	SAVED(b->s, EFLAGS) = EFLAGS_FIXED | EFLAGS_IF | (flags & PROGRAMS_FLAGS);
	set_word(&b->p->g, b->p->g.c.eax + REGS_EFLAGS, SAVED(b->s, EFLAGS));
}

/* --- what the handler finds --- */

enum { EFLAGS_WORD = 3, WORDS_FROM_RING_1 = 4, WORDS_FROM_RING_3 = 6 };

/* Why EFLAGS in the frame are wrong, if bit 9 alone is. */
static const char *about_if(const struct bouncer *b, uint32_t difference)
{
	if (difference != EFLAGS_IF)
		return "";
	return b->ring == 3 ? ": bit 9, IF, is 1 in a program's frame, whatever virtual IF is"
			    : ": in the kernel's frame bit 9, IF, is virtual IF";
}

/* Where the frame begins. Result: that address. */
static uint32_t want_esp(const struct bouncer *b)
{
	unsigned words = (b->ring == 3 ? 5 : 3) + b->f->has_error;
	uint32_t top = b->ring == 3 ? b->p->stack : SAVED(b->s, ESP), esp = top - 4 * words;
	CHECK(b->p->g.c.esp == esp,
	      "%s: the handler begins with ESP %#x; below %#x a frame of %u words%s begins at %#x",
	      name_of(b), b->p->g.c.esp, top, words,
	      b->f->has_error ? ", one of them the error code," : "", esp);
	return esp;
}

/* The frame, as the SDM's figure 6-4 shows it, from the stack pointer up. */
static void want_frame(const struct bouncer *b, uint32_t esp)
{
	static const char *const names[] = { "the error code", "EIP", "CS", "EFLAGS", "ESP", "SS" };
	const struct saved *s = &b->s;
	struct guest *g = &b->p->g;
	uint32_t flag = b->ring == 3 ? EFLAGS_IF : b->vif & EFLAGS_IF;
	uint32_t eflags = (SAVED(*s, EFLAGS) & ~(uint32_t)EFLAGS_IF) | flag;
	const uint32_t wanted[] = { SAVED(*s, ERROR), SAVED(*s, EIP), SAVED(*s, CS),
				    eflags,	      SAVED(*s, ESP), SAVED(*s, SS) };
	unsigned first = b->f->has_error ? 0 : 1;
	unsigned end = b->ring == 3 ? WORDS_FROM_RING_3 : WORDS_FROM_RING_1;
	for (unsigned i = first; i < end; i++) {
		uint32_t word = word_at(g, esp + 4 * (i - first));
		CHECK(word == wanted[i], "%s: in the frame %s is %#x, not %#x%s", name_of(b),
		      names[i], word, wanted[i],
		      i == EFLAGS_WORD ? about_if(b, word ^ wanted[i]) :
		      i == 0 && word == wanted[1] ?
		      ": that is EIP; the error code is the lowest word" : "");
	}
}

static void want_flags(const struct bouncer *b, uint32_t eflags)
{
	static const struct { const char *name; uint32_t bits; } clear[] = {
		{ "TF", EFLAGS_TF }, { "NT", EFLAGS_NT }, { "AC", EFLAGS_AC },
		{ "IOPL", EFLAGS_IOPL },
	};
	const uint32_t kept = EFLAGS_CF | 0xC4 | EFLAGS_DF; /* and PF, ZF, SF */
	uint32_t was = SAVED(b->s, EFLAGS);
	CHECK(eflags & EFLAGS_IF, "%s: the handler runs with the real IF 0", name_of(b));
	CHECK((eflags & kept) == (was & kept),
	      "%s: the interrupted code had EFLAGS %#x, and the handler runs with %#x: no gate "
	      "changes bits %#x", name_of(b), was, eflags, (eflags ^ was) & kept);
	for (unsigned i = 0; i < LENGTH(clear); i++)
		CHECK(!(eflags & clear[i].bits),
		      "%s: the interrupted code had EFLAGS %#x, and the handler runs with %#x: %s "
		      "must be 0", name_of(b), SAVED(b->s, EFLAGS), eflags, clear[i].name);
}

static void want_state(const struct bouncer *b)
{
	const struct cpu_state *c = &b->p->g.c;
	const struct { const char *name; uint32_t is, was; } kept[] = {
		{ "EAX", c->eax, SAVED(b->s, EAX) }, { "EBX", c->ebx, SAVED(b->s, EBX) },
		{ "ECX", c->ecx, SAVED(b->s, ECX) }, { "EDX", c->edx, SAVED(b->s, EDX) },
		{ "ESI", c->esi, SAVED(b->s, ESI) }, { "EDI", c->edi, SAVED(b->s, EDI) },
		{ "EBP", c->ebp, SAVED(b->s, EBP) },
		{ "DS", c->ds.selector, SAVED(b->s, DS) & 0xFFFF },
		{ "ES", c->es.selector, SAVED(b->s, ES) & 0xFFFF },
		{ "FS", c->fs.selector, b->fs }, { "GS", c->gs.selector, b->gs },
	};
	CHECK(c->cpl == 1 && c->cs.selector == (SEL_KCODE | 1) && c->ss.selector == (SEL_KDATA | 1),
	      "%s: the handler runs in ring %u with CS %#x, SS %#x, not %#x, %#x", name_of(b),
	      c->cpl, c->cs.selector, c->ss.selector, SEL_KCODE | 1, SEL_KDATA | 1);
	want_flags(b, c->eflags);
	for (unsigned i = 0; i < LENGTH(kept); i++)
		CHECK(kept[i].is == kept[i].was,
		      "%s: %s is %#x in the handler; it was %#x, and only EIP, ESP, CS, SS and "
		      "EFLAGS change", name_of(b), kept[i].name, kept[i].is, kept[i].was);
}

/* In this CPU's page virtual IF is 0, and nothing but it and the counts has changed. */
static void want_page(const struct bouncer *b)
{
	struct probe *p = b->p;
	const uint32_t *before = b->before.words[p->cpu];
	uint32_t vif = own_shared(p, VMM_SHARED_VIF);
	uint32_t pending = own_shared(p, VMM_SHARED_PENDING), was = before[VMM_SHARED_PENDING / 4];
	uint32_t count = VMM_SHARED_EXITS + 4 * EXIT_BOUNCED;
	CHECK(vif == 0,
	      "%s: virtual IF is %#x when the handler begins; an interrupt gate would have cleared "
	      "it", name_of(b), vif);
	CHECK(pending == was,
	      "%s: pending was %#x and is %#x when the handler begins: events that wait are lost, "
	      "or come without an interrupt", name_of(b), was, pending);
	CHECK(own_shared(p, count) == before[count / 4] + 1,
	      "%s: exits[EXIT_BOUNCED] rose by %u, due is 1", name_of(b),
	      own_shared(p, count) - before[count / 4]);
	want_others_kept(p, &b->before, name_of(b));
}

enum { WORDS_ABOVE = 8 };

/* The words from where the frame ends upwards: the kernel's, or beyond its stack's end. */
static void read_above(const struct bouncer *b, uint32_t words[WORDS_ABOVE])
{
	uint32_t top = b->ring == 3 ? b->p->stack : SAVED(b->s, ESP);
	virtual_read(b->p->g.m, b->p->g.c.cr3, top, words, 4 * WORDS_ABOVE);
}

static void want_kept_above(const struct bouncer *b, const uint32_t before[WORDS_ABOVE])
{
	uint32_t after[WORDS_ABOVE];
	read_above(b, after);
	for (unsigned i = 0; i < WORDS_ABOVE; i++)
		CHECK(after[i] == before[i],
		      "%s: the word %u bytes above the frame's end has become %#x, it was %#x: %s",
		      name_of(b), 4 * i, after[i], before[i],
		      b->ring == 3 ? "it is beyond the stack" : "it is the interrupted code's");
}

/* Run to the first instruction of the handler. */
static void to_handler(struct bouncer *b)
{
	struct probe *p = b->p;
	if (PROBE_RUN(p, name_of(b), handler_of(b), symbol("trap_handle")) == 0)
		return;
	uint32_t regs = argument(&p->g, 0), vector = word_at(&p->g, regs + TRAP_FRAME_VECTOR);
	give_up(FAILED, "%s: the handler of %s runs, due is that of %s; it takes %#x for the error "
		"code and %s for EIP", name_of(b), vector_text(vector),
		vector_text(b->f->event ? b->f->event : b->f->vector),
		word_at(&p->g, regs + TRAP_FRAME_VECTOR + 4),
		place(word_at(&p->g, regs + TRAP_FRAME_EIP)));
}

static void bounce_once(struct bouncer *b, unsigned i, uint32_t vif, uint32_t flags)
{
	struct probe *p = b->p;
	uint32_t esp = b->ring == 3 ? p->user_esp : p->entry.esp - 64 - random_below(64);
	uint32_t above[WORDS_ABOVE];
	b->vif = vif;
	enter(b, i, esp);
	had_flags(b, flags);
	read_above(b, above);
	if (b->f->event)
		call_bounce(b, b->f->event);
	to_handler(b);
	want_state(b);
	uint32_t esp_due = want_esp(b);
	want_kept_above(b, above);
	want_frame(b, esp_due);
	want_page(b);
}

void check_bounce_user(const struct test *t)
{
	struct bouncer b = bouncer(probe_start(t), 3);
	for (unsigned i = 0; i < LENGTH(faults); i++)
		bounce_once(&b, i, EFLAGS_IF, random_word());
	/* A kernel that forgot to set virtual IF: ring 3 has interrupts on all the same. */
	bounce_once(&b, HLT, 0, 0);
	bounce_once(&b, DIVISION, 0, PROGRAMS_FLAGS);
}

/* With virtual IF 1, 0, and as a hostile kernel leaves it. */
void check_bounce_kernel(const struct test *t)
{
	const uint32_t vifs[] = { EFLAGS_IF, 0, 0xFFFFFFFF, ~(uint32_t)EFLAGS_IF, random_word() };
	struct bouncer b = bouncer(probe_start(t), 1);
	for (unsigned v = 0; v < LENGTH(vifs); v++)
		for (unsigned i = 0; i < LENGTH(faults); i++)
			bounce_once(&b, i, vifs[v], v == 0 ? PROGRAMS_FLAGS : random_word());
}

/* --- stacks --- */

enum { NEAR_WORDS = 16 };

/* The words around an address, where something is mapped. */
static void read_near(struct probe *p, uint32_t address, uint32_t words[NEAR_WORDS])
{
	for (unsigned i = 0; i < NEAR_WORDS; i++) {
		uint32_t at = (address & ~3u) - 4 * (NEAR_WORDS - 2) + 4 * i;
		words[i] = page_walk(p->g.m, p->g.c.cr3, at).present ? word_at(&p->g, at) : 0;
	}
}

/* Whether an address in the VMM holds text. */
static bool is_text(struct probe *p, uint32_t address)
{
	uint32_t word = address >= VMM_BASE ? word_at(&p->g, address) : 0;
	for (unsigned i = 0; i < 4; i++)
		if (!isprint((int)(word >> 8 * i & 0xFF)))
			return false;
	return true;
}

/* A fault with the kernel's stack at `stack`, where the VMM must not store. */
static void want_stopped(struct bouncer *b, unsigned i, uint32_t stack)
{
	uint32_t before[NEAR_WORDS], after[NEAR_WORDS];
	struct probe *p = b->p;
	unsigned words = (b->ring == 3 ? 5 : 3) + faults[i].has_error;
	uint32_t regs = CPU_BLOCK(p->cpu) + CPU_BYTES - REGS_BYTES;
	enter(b, i, b->ring == 3 ? p->user_esp : stack);
	if (b->ring == 3)
		set_word(&p->g, CPU_AT(p->cpu, TSS) + offsetof(struct tss, esp1), stack);
	read_near(p, stack, before);
	judge_context = text_of("the kernel's stack at %#x", stack);
	uint32_t back = handler_of(b);
	if (b->f->event) { /* a fault of copy_to_kernel() returns where this call does, too */
		call_bounce(b, b->f->event);
	} else {
		PROBE_RUN(p, name_of(b), vmm_symbol("bounce"));
		back = return_address(&p->g);
	}
	int stop = PROBE_RUN(p, name_of(b), vmm_symbol("stop_kernel"), handler_of(b), back);
	CHECK(stop != 1, "%s was bounced there: the kernel must be stopped", name_of(b));
	CHECK(stop != 2, "%s: bounce() returns, although copy_to_kernel() fails there: "
	      "stop_kernel() was not called", name_of(b));
	read_near(p, stack, after);
	CHECK(memcmp(before, after, sizeof(before)) == 0,
	      "%s stored there: only copy_to_kernel() may, which looks whose memory it is",
	      name_of(b));
	struct saved s = read_saved(p);
	CHECK(p->g.c.eax == regs,
	      "%s: stop_kernel() is given registers at %#x; the kernel's are at %#x",
	      name_of(b), p->g.c.eax, regs);
	CHECK(SAVED(s, EIP) == SAVED(b->s, EIP) && SAVED(s, CS) == SAVED(b->s, CS),
	      "%s: stop_kernel() would report %#x:%#x in r; interrupted was %#x:%#x: r changes "
	      "after the copy", name_of(b), SAVED(s, CS), SAVED(s, EIP), SAVED(b->s, CS),
	      SAVED(b->s, EIP));
	CHECK(is_text(p, p->g.c.edx), "%s: stop_kernel() is told no rule: %#x is no text",
	      name_of(b), p->g.c.edx);
	CHECK(p->g.c.ecx == stack - 4 * words,
	      "%s: stop_kernel() is told %#x, not %#x, where the frame of %u words was to begin",
	      name_of(b), p->g.c.ecx, stack - 4 * words, words);
	judge_context = NULL;
}

/*
 * A hostile kernel's stack may be nowhere, in the VMM, half in the VMM, in a program's memory, in a
 * page table, or at the end of the address space.
 */
static void want_all_stopped(struct probe *p, unsigned ring)
{
	struct bouncer b = bouncer(p, ring);
	const uint32_t directory = kernel_word(p->g.m, "kernel_directory");
	const uint32_t stacks[] = {
		NOWHERE + PAGE_SIZE / 2, vmm_symbol("vmm_idt") + 8 * 64, VMM_BASE + 8,
		p->user_page + PAGE_SIZE / 2, directory + PAGE_SIZE, 0, 8,
	};
	b.vif = EFLAGS_IF;
	for (unsigned i = 0; i < LENGTH(stacks); i++) {
		want_stopped(&b, random_below(2) ? HLT : DIVISION, stacks[i]);
		want_stopped(&b, EVENT, stacks[i]);
	}
}

void check_bounce_stack(const struct test *t)
{
	struct probe *p = probe_start(t);
	want_all_stopped(p, 1);
	want_all_stopped(p, 3);
}
