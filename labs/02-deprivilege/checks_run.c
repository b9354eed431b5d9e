/* SPDX-License-Identifier: MIT */
/*
 * Running a probe: to an address, or to what happens instead. The machine stops before anything
 * can be printed, so that no report shows a panic that the check itself has caused.
 */
#include "checks.h"
#include <stdarg.h>

const char *text_of(const char *fmt, ...)
{
	va_list ap;
	char *text;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	return n < 0 ? "no memory" : text;
}

const char *place(uint32_t address)
{
	bool known = address >= VMM_BASE || (address >= symbol("image_start") &&
					     address < symbol("readonly_end"));
	return text_of(known ? "%#x, %s" : "%#x%s", address, known ? symbol_place(address) : "");
}

const char *vector_text(unsigned v)
{
	bool ipi = (v >= VEC_RESCHED && v <= VEC_SWITCH) || v == VEC_FLUSH;
	if (v < VEC_EXCEPTIONS)
		return text_of("vector %u (%s)", v, trap_name(v));
	if (v < VEC_IRQ + NR_IRQ)
		return text_of("vector %#x (ISA line %u)", v, v - VEC_IRQ);
	return text_of("vector %#x%s", v, v == VEC_TIMER ? " (the timer)" : ipi ? " (an IPI)" :
		       v == SYSCALL_VECTOR ? " (a system call)" : "");
}

/* --- what happened instead --- */

/* Where a run ends that does not come to its aim. */
enum { KERNEL_PANIC, KERNEL_TRAP, VMM_PANIC, VMM_FAULT, VMM_STOP, NR_ENDS };

static uint32_t end_address(unsigned i)
{
	switch (i) {
	case KERNEL_PANIC: return symbol("panic");
	case KERNEL_TRAP: return symbol("trap_handle");
	case VMM_PANIC: return vmm_symbol("vmm_panic");
	case VMM_FAULT: return vmm_symbol("vmm_fault");
	default: return vmm_symbol("stop_kernel");
	}
}

void watch_ends(struct probe *p, bool on)
{
	p->watching = on;
	for (unsigned i = 0; i < NR_ENDS; i++)
		if (on)
			break_at(&p->g, end_address(i));
		else
			break_off(&p->g, end_address(i));
}

static const char *read_text(struct probe *p, uint32_t address)
{
	char text[120] = "";
	for (unsigned i = 0; i + 4 < sizeof(text) && !memchr(text, '\0', i); i += 4) {
		uint32_t word = word_at(&p->g, address + i);
		memcpy(text + i, &word, 4);
	}
	return text_of("%s", text);
}

/* An empty exercise says so by a panic. */
static const char *panic_text(struct probe *p, const char *whose, uint32_t text)
{
	unsigned lab, exercise;
	const char *message = read_text(p, text);
	if (sscanf(message, "lab %u, exercise %u is empty", &lab, &exercise) != 2)
		return text_of("%s panics: %s, at %s", whose, message,
			       place(return_address(&p->g) - 1));
	judge_context = NULL; /* this is the whole of it */
	if (lab != 2 || exercise != p->t->exercise)
		give_up(FAILED, "cannot be judged until exercise %u is done: %s", exercise,
			message);
	return text_of("empty exercise: %s", message);
}

uint8_t opcode_at(struct guest *g, uint32_t eip)
{
	uint8_t code = 0;
	if (page_walk(g->m, g->c.cr3, eip).present)
		virtual_read(g->m, g->c.cr3, eip, &code, sizeof(code));
	return code;
}

/*
 * What an IRET of ring 0 did wrong, if it was one that faulted. at: what the fault has pushed, EIP
 * first. What IRET would have popped lies above it: no ESP was pushed.
 */
static const char *iret_text(struct guest *g, uint32_t vector, uint32_t error, uint32_t at)
{
	enum { IRET = 0xCF, FLAGS = 8, FRAME_CS = 16, FRAME_SS = 28 };
	if (opcode_at(g, word_at(g, at)) != IRET)
		return "";
	if (vector == VEC_TS && word_at(g, at + FLAGS) & EFLAGS_NT)
		return ": with NT set IRET in ring 0 is the return from a task (4.2)";
	if (vector != VEC_GP || !error)
		return "";
	uint32_t cs = word_at(g, at + FRAME_CS);
	const char *ss = cs & 3 ? text_of(" and SS %#x", word_at(g, at + FRAME_SS)) : "";
	return text_of(": IRET refuses this selector of its frame, which has CS %#x%s: RPL and DPL "
		       "must fit the new ring (2.2)", cs, ss);
}

/* The registers that kernel or VMM saved at a fault, by the offsets of their members. */
static const char *fault_text(struct probe *p, const char *whose, uint32_t regs, uint32_t vector,
			      uint32_t eip)
{
	struct guest *g = &p->g;
	uint32_t at = word_at(g, regs + eip), ring = word_at(g, regs + eip + 4) & 3;
	uint32_t number = word_at(g, regs + vector), error = word_at(g, regs + vector + 4);
	const char *hint = ring == 0 ? iret_text(g, number, error, regs + eip) : "";
	return text_of("%s %s, error %#x, of ring %u at %s%s", whose, vector_text(number), error,
		       ring, place(at), hint);
}

/* The CPU is at the first instruction of an end: what happened. */
static const char *end_text(struct probe *p, unsigned end)
{
	const struct cpu_state *c = &p->g.c;
	switch (end) {
	case KERNEL_PANIC: return panic_text(p, "the kernel", argument(&p->g, 0));
	case KERNEL_TRAP:
		return fault_text(p, "the kernel's handler gets", argument(&p->g, 0),
				  TRAP_FRAME_VECTOR, TRAP_FRAME_EIP);
	case VMM_PANIC: return panic_text(p, "the VMM", argument(&p->g, 0));
	case VMM_FAULT:
		return fault_text(p, "the VMM itself fails:", c->eax, REGS_VECTOR, REGS_EIP);
	default:
		return text_of("the VMM stops the kernel: %s (%#x)", read_text(p, c->edx), c->ecx);
	}
}

/* Result: what happened, if the CPU is at an end; else NULL. */
static const char *ended(struct probe *p)
{
	for (unsigned i = 0; i < NR_ENDS; i++)
		if (p->g.c.eip == end_address(i))
			return end_text(p, i);
	return NULL;
}

/* --- running --- */

int probe_run(struct probe *p, const char *what, const uint32_t *addresses, unsigned n)
{
	int first = -1;
	for (unsigned i = 0; i < n; i++)
		break_at(&p->g, addresses[i]);
	if (run_cpus(&p->g, ALL_CPUS) < 0)
		give_up(FAILED, "%s: the machine ends, or hangs", what);
	for (unsigned i = n; i-- > 0;) {
		if (p->g.c.eip == addresses[i])
			first = (int)i;
		break_off(&p->g, addresses[i]);
	}
	watch_ends(p, p->watching); /* one of the addresses may have been an end */
	if (first >= 0)
		return first;
	const char *instead = ended(p);
	give_up(FAILED, "%s: %s", what, instead ? instead : place(p->g.c.eip));
}

const char *probe_pass(struct probe *p)
{
	struct guest *g = &p->g;
	struct cpu_state back = g->c;
	uint32_t end = return_address(g);
	break_at(g, end);
	if (run_cpus(g, ALL_CPUS) < 0)
		give_up(FAILED, "cannot be judged until exercise 1 (check gdt) lets warm-up go "
			"on: %s does not return: the machine ends, or hangs", place(back.eip));
	break_off(g, end);
	if (g->c.eip == end)
		return NULL;
	const char *instead = ended(p);
	back.eip = end;
	back.esp += 4;
	back.eax = 0;
	set_registers(g, &back);
	look(g, 0);
	return instead ? instead : "a breakpoint";
}

void probe_again(struct probe *p, const char *what, const struct cpu_state *at, uint32_t eax,
		 uint32_t edx)
{
	struct guest *g = &p->g;
	uint32_t end = word_at(g, at->esp);
	struct cpu_state c = *at;
	c.eax = eax;
	c.edx = edx;
	g->c = c;
	set_registers(g, &c);
	PROBE_RUN(p, what, end);
	set_word(g, at->esp, end); /* the callee owns its arguments' place, not this; be sure */
}

void probe_arrive(struct probe *p, uint32_t address, const char *why, ...)
{
	va_list ap;
	char *text;
	va_start(ap, why);
	if (vasprintf(&text, why, ap) < 0)
		text = "no memory";
	va_end(ap);
	if (!p->g.m->o.bochs)
		PROBE_RUN(p, text, address);
	else if (RUN(&p->g, address) != 0)
		give_up(FAILED, "the machine does not come to %#x: %s", address, text);
	free(text);
}

/* --- planted code --- */

uint32_t plant_user(struct probe *p, const void *code, size_t bytes)
{
	uint32_t words[PLANT_BYTES / 4] = { 0 }, at = p->free_user;
	if (bytes > PLANT_BYTES || (at & ~PAGE_MASK) + 2 * PLANT_BYTES > (p->user_esp & ~PAGE_MASK))
		give_up(BROKEN, "too much planted code");
	memcpy(words, code, bytes);
	set_words(&p->g, at, words, LENGTH(words));
	p->free_user += PLANT_BYTES;
	return at;
}

/* The IRET is planted once: how often this is called is not the check's choice alone. */
void go_ring(struct probe *p, unsigned ring, uint32_t eip, uint32_t esp)
{
	static const uint8_t iret = 0xCF;
	uint32_t cs = ring == 3 ? SEL_UCODE : SEL_KCODE | 1;
	uint32_t ss = ring == 3 ? SEL_UDATA : SEL_KDATA | 1;
	if (p->g.c.cpl == ring) {
		go(&p->g, eip, esp);
		return;
	}
	const uint32_t words[] = { eip, cs, EFLAGS_FIXED | EFLAGS_IF, esp, ss };
	if (!p->iret) {
		p->iret = plant(&p->g, &iret, 1);
		p->frame = plant(&p->g, words, sizeof(words));
	}
	set_words(&p->g, p->frame, words, LENGTH(words));
	go(&p->g, p->iret, p->frame);
	PROBE_RUN(p, "the check's own IRET to an outer ring", eip);
}

void allow_interrupts(struct probe *p, bool on)
{
	/* movl $priority and $id, to these registers in the VMM's mapping of the local APIC */
	const uint8_t code[] = {
		0xC7, 0x05, 0x80, 0xF0, 0xFF, 0xFD, on ? 0x10 : 0xFF, 0, 0, 0,
		0xC7, 0x05, 0x20, 0xF0, 0xFF, 0xFD, 0, 0, 0, on ? 0 : (uint8_t)p->cpu,
		0x90, /* nop */
	};
	uint32_t at = plant(&p->g, code, sizeof(code)), eip = p->g.c.eip, esp = p->g.c.esp;
	go(&p->g, at, esp);
	probe_arrive(p, at + sizeof(code) - 1, "interrupts come while virtual IF is 0");
	go(&p->g, eip, esp);
}

/* --- what kernel and VMM share --- */

static uint32_t shared_offset(const struct probe *p)
{
	return p->cpu * SHARED_WORDS * 4;
}

uint32_t own_shared(struct probe *p, uint32_t offset)
{
	return shared_word(&p->g, shared_offset(p) + offset);
}

void set_shared(struct probe *p, uint32_t vif, uint32_t pending)
{
	set_shared_word(&p->g, shared_offset(p) + VMM_SHARED_VIF, vif);
	set_shared_word(&p->g, shared_offset(p) + VMM_SHARED_PENDING, pending);
}

struct shared_page read_shared(struct probe *p)
{
	struct shared_page s;
	physical_read(p->g.m, symbol("vmm_shared") - KERNEL_BASE, &s, sizeof(s));
	return s;
}

const char *shared_name(unsigned word)
{
	static const char *const exits[] = VMM_EXIT_NAMES;
	unsigned exit = word - VMM_SHARED_EXITS / 4;
	if (word < VMM_SHARED_EXITS / 4)
		return word == VMM_SHARED_VIF / 4 ? "virtual IF" :
		       word == VMM_SHARED_PENDING / 4 ? "pending" : "the fault's address";
	return exit < NR_EXITS ? text_of("exits[%u] (%s)", exit, exits[exit]) : "an unused word";
}

void want_others_kept(struct probe *p, const struct shared_page *before, const char *what)
{
	struct shared_page after = read_shared(p);
	for (unsigned i = 0; i < VMM_MAX_CPUS; i++)
		for (unsigned w = 0; i != p->cpu && w < SHARED_WORDS; w++)
			CHECK(after.words[i][w] == before->words[i][w],
			      "%s on CPU %u: %s of CPU %u's shared page has become %#x, not "
			      "%#x: each CPU has a page of its own", what, p->cpu,
			      shared_name(w), i, after.words[i][w], before->words[i][w]);
}

struct saved read_saved(struct probe *p)
{
	struct saved s;
	virtual_read(p->g.m, p->g.c.cr3, p->g.c.eax, &s, sizeof(s));
	return s;
}
