/* SPDX-License-Identifier: MIT */
/* The probe: a machine that is stopped during its attach at boot, and brought to ring 1. */
#include "checks.h"
#include <stdarg.h>

/*
 * Bytes from the end of a process's kernel stack to the ESP in the frame of its first return to
 * ring 3.
 */
enum { FRAME_ESP = 8 };

void set_shared(struct probe *p, uint32_t vif, uint32_t pending)
{
	set_shared_word(&p->g, VMM_SHARED_VIF, vif);
	set_shared_word(&p->g, VMM_SHARED_PENDING, pending);
}

struct saved read_saved(struct probe *p)
{
	struct saved s;
	virtual_read(p->g.m, p->g.c.cr3, p->g.c.eax, &s, sizeof(s));
	return s;
}

/* --- running --- */

static char *text_of(const char *fmt, va_list ap)
{
	char *text;
	return vasprintf(&text, fmt, ap) < 0 ? "no memory" : text;
}

void probe_lost(struct probe *p, const char *why, ...)
{
	va_list ap;
	va_start(ap, why);
	char *text = text_of(why, ap);
	va_end(ap);
	machine_continue(p->g.m);
	machine_sees(p->g.m, "\1", 1); /* no such text: until the end, or for a second */
	give_up(FAILED, "%s", text);
}

void probe_arrive(struct probe *p, uint32_t address, const char *why, ...)
{
	va_list ap;
	if (RUN(&p->g, address) == 0)
		return;
	va_start(ap, why);
	give_up(FAILED, "the machine does not come to %#x: %s", address, text_of(why, ap));
}

/* --- planted code --- */

uint32_t plant_user(struct probe *p, const void *code, size_t bytes)
{
	uint32_t words[PLANT_BYTES / 4] = { 0 }, at = p->free_user;
	if (bytes > PLANT_BYTES || at + 2 * PLANT_BYTES > p->user_esp)
		give_up(BROKEN, "too much planted code");
	memcpy(words, code, bytes);
	set_words(&p->g, at, words, LENGTH(words));
	p->free_user += PLANT_BYTES;
	return at;
}

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
	uint32_t frame = plant(&p->g, words, sizeof(words));
	go(&p->g, plant(&p->g, &iret, 1), frame);
	probe_arrive(p, eip,
		     "an IRET to ring %u with CS %#x and SS %#x: are those segments in the GDT as "
		     "they should be (exercise 1)?", ring, cs, ss);
}

void allow_interrupts(struct probe *p, bool on)
{
	/* movl $priority, (task priority register, in the VMM's mapping of the local APIC) */
	uint8_t code[] = { 0xC7, 0x05, 0x80, 0xF0, 0xFF, 0xFD, on ? 0 : 0xFF, 0, 0, 0 };
	run_here(&p->g, code, sizeof(code));
}

/* --- the way down --- */

uint32_t probe_directory(struct probe *p)
{
	return home_address(&p->g, p->g.c.cr3 >> PAGE_SHIFT);
}

void probe_next_step(struct probe *p, uint32_t op)
{
	struct guest *g = &p->g;
	do
		probe_arrive(p, vmm_symbol("vmm_call_entry"),
			     "there the kernel calls the VMM for the next step of its attach");
	while (argument(g, 0) != op);
	p->back = return_address(g);
	p->stack = argument(g, 2); /* the second one is the CPU */
	p->entry = g->c;
}

/* The first process, of which only the kernel stack is known. */
static void find_user_stack(struct probe *p)
{
	uint32_t end = task_of(&p->g.c) + TASK_STACK_BYTES;
	p->user_esp = word_at(&p->g, end - FRAME_ESP);
	p->user_page = p->user_esp & PAGE_MASK;
	p->free_user = p->user_page;
}

static void read_handlers(struct probe *p)
{
	uint32_t idt[512];
	virtual_read(p->g.m, p->g.c.cr3, p->g.c.idt.base, idt, sizeof(idt));
	for (unsigned v = 0; v < 256; v++)
		p->handlers[v] = (idt[2 * v] & 0xFFFF) | (idt[2 * v + 1] & 0xFFFF0000);
}

struct probe *probe_enter(const struct test *t, uint32_t op)
{
	struct probe *p = calloc(1, sizeof(*p));
	struct machine_options o = t->machine;
	const char *more = o.cmdline ? o.cmdline : "";
	char *cmdline;
	if (asprintf(&cmdline, "mode=virtual%s%s", *more ? " " : "", more) < 0)
		give_up(BROKEN, "no memory");
	o.cmdline = cmdline;
	o.p2m = judge_shuffle(t->number);
	p->g = guest_start(&o, o.bochs ? BOCHS_SECONDS : SECONDS);
	probe_next_step(p, op);
	read_handlers(p);
	find_user_stack(p);
	if (op != VMM_WARM_UP)
		allow_interrupts(p, false);
	return p;
}

void probe_descend(struct probe *p)
{
	probe_arrive(p, p->back,
		     "where vmm_call(VMM_INSTALL) returns to in ring 1 (exercises 3 and 4)");
	CHECK(p->g.c.cpl == 1,
	      "vmm_call(VMM_INSTALL) returned in ring %u, not in ring 1: only IRET with a CS of "
	      "RPL 1 leads down (exercise 4)", p->g.c.cpl);
}

struct probe *probe_start(const struct test *t)
{
	struct probe *p = probe_enter(t, VMM_INSTALL);
	probe_descend(p);
	set_shared(p, 0, 0);
	return p;
}
