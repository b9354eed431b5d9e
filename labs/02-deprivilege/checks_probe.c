/* SPDX-License-Identifier: MIT */
/* The checks' tool: a machine stopped during its attach at boot, and code planted in it (checks.h). */
#include "checks.h"
#include <stdarg.h>

enum {
	STACK_BYTES = 8192,
	FREE_FROM = 4096,
	FREE_END = 7168,
	STEP = 64
}; /* of a task's stack: free, as the kernel is not deep in it */
enum {
	FRAME_ESP = 8
}; /* from the end of the kernel's stack of a process: where the frame of its first return to ring 3 has ESP */

uint32_t read_word(struct probe *p, uint32_t address)
{
	uint32_t word;
	virtual_read(p->m, p->c.cr3, address, &word, 4);
	return word;
}

void write_words(struct probe *p, uint32_t address, const uint32_t *words, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct walk w = page_walk(p->m, p->c.cr3, address + 4 * i);
		CHECK(w.present, "nothing is mapped at %#x", address + 4 * i);
		physical_write(p->m, w.machine, &words[i], 4);
	}
}

static uint32_t shared_at(unsigned offset) { return symbol("vmm_shared") - KERNEL_BASE + offset; }

uint32_t shared_word(struct probe *p, unsigned offset) { return physical_word(p->m, shared_at(offset)); }

void set_shared(struct probe *p, uint32_t vif, uint32_t pending)
{
	physical_write(p->m, shared_at(SHARED_VIF), &vif, 4);
	physical_write(p->m, shared_at(SHARED_PENDING), &pending, 4);
}

/* --- running --- */

static void look(struct probe *p)
{
	struct cpu_state cpus[CPUS_MAX];
	machine_state(p->m, cpus);
	p->c = cpus[0];
}

void probe_watch(struct probe *p, const uint32_t *stops, unsigned n, bool on)
{
	for (unsigned i = 0; i < n; i++)
		debug_break(p->m, stops[i], on);
}

int probe_next(struct probe *p, const uint32_t *stops, unsigned n)
{
	for (unsigned i = 0; i < n && !p->m->o.bochs; i++) /* a breakpoint under the CPU would stop it at once */
		if (stops[i] == p->c.eip) {
			gdb_step(p->m);
			break;
		}
	if (!debug_run(p->m, p->m->o.bochs ? BOCHS_SECONDS * machine_patience : SECONDS))
		return -1;
	look(p);
	for (unsigned i = 0; i < n; i++)
		if (p->c.eip == stops[i])
			return (int)i;
	return -1;
}

int probe_run(struct probe *p, const uint32_t *stops, unsigned n)
{
	probe_watch(p, stops, n, true);
	int stop = probe_next(p, stops, n);
	if (stop >= 0)
		probe_watch(p, stops, n, false);
	return stop;
}

void probe_lost(struct probe *p, const char *why, ...)
{
	char *text;
	va_list ap;
	va_start(ap, why);
	if (vasprintf(&text, why, ap) < 0)
		text = "no memory";
	va_end(ap);
	machine_continue(p->m);
	machine_sees(p->m, "\1", 1); /* no such text: until the end, or for a second */
	give_up(FAILED, "%s", text);
}

void probe_arrive(struct probe *p, uint32_t address, const char *why, ...)
{
	char *text;
	va_list ap;
	if (RUN(p, address) == 0)
		return;
	va_start(ap, why);
	if (vasprintf(&text, why, ap) < 0)
		text = "no memory";
	va_end(ap);
	give_up(FAILED, "the machine does not come to %#x: %s", address, text);
}

uint32_t plant(struct probe *p, const void *code, size_t bytes)
{
	uint32_t words[STEP / 4] = { 0 }, at = p->free;
	memcpy(words, code, bytes);
	if (bytes > STEP || at % STACK_BYTES + STEP > FREE_END)
		give_up(BROKEN, "too much planted code");
	write_words(p, at, words, STEP / 4);
	p->free += STEP;
	return at;
}

uint32_t plant_user(struct probe *p, const void *code, size_t bytes)
{
	uint32_t words[STEP / 4] = { 0 }, at = p->free_user;
	memcpy(words, code, bytes);
	if (bytes > STEP || at + 2 * STEP > p->user_esp)
		give_up(BROKEN, "too much planted code");
	write_words(p, at, words, STEP / 4);
	p->free_user += STEP;
	return at;
}

void go(struct probe *p, uint32_t eip, uint32_t esp)
{
	debug_set_register(p->m, GDB_ESP, esp);
	debug_set_register(p->m, GDB_EIP, eip);
	p->c.eip = eip;
}

void go_ring(struct probe *p, unsigned ring, uint32_t eip, uint32_t esp)
{
	static const uint8_t iret = 0xCF;
	uint32_t cs = ring == 3 ? SEL_UCODE : SEL_KCODE | 1, ss = ring == 3 ? SEL_UDATA : SEL_KDATA | 1;
	if (p->c.cpl == ring) {
		go(p, eip, esp);
		return;
	}
	uint32_t frame = plant(p, (uint32_t[]){ eip, cs, EFLAGS_FIXED | EFLAGS_IF, esp, ss }, 20);
	go(p, plant(p, &iret, 1), frame);
	probe_arrive(p, eip,
		     "an IRET to ring %u with CS %#x and SS %#x: are those segments in the GDT as they should be "
		     "(exercise 1)?",
		     ring, cs, ss);
}

void run_here(struct probe *p, const void *code, size_t bytes)
{
	uint8_t all[STEP] = { 0 };
	uint32_t esp = p->c.esp, eip = p->c.eip;
	memcpy(all, code, bytes);
	all[bytes] = 0x90; /* nop */
	uint32_t at = plant(p, all, bytes + 1);
	go(p, at, esp);
	probe_arrive(p, at + (uint32_t)bytes, "code that the check has planted does not come to its end");
	go(p, eip, esp);
}

void allow_interrupts(struct probe *p, bool on)
{
	uint8_t code[] = { 0xC7, 0x05, 0x80, 0xF0, 0xFF, 0xFD, on ? 0 : 0xFF, 0, 0, 0 }; /* movl $priority, (TPR) */
	run_here(p, code, sizeof(code));
}

/* --- the way down --- */

uint32_t probe_directory(struct probe *p)
{
	uint32_t pfn;
	virtual_read(p->m, p->c.cr3, kernel_word(p->m, "m2p") + 4 * (p->c.cr3 >> PAGE_SHIFT), &pfn, 4);
	return KERNEL_BASE + (pfn << PAGE_SHIFT);
}

void probe_next_step(struct probe *p, uint32_t op)
{
	uint32_t words[4], enter = vmm_symbol("vmm_call_entry"); /* return address, operation, CPU, argument */
	do {
		probe_arrive(p, enter, "there the kernel calls the VMM for the next step of its attach");
		virtual_read(p->m, p->c.cr3, p->c.esp, words, sizeof(words));
	} while (words[1] != op);
	p->back = words[0];
	p->stack = words[3];
	p->entry = p->c;
}

struct probe *probe_enter(const struct test *t, uint32_t op)
{
	struct probe *p = calloc(1, sizeof(*p));
	struct machine_options o = t->machine;
	char *words_of_boot;
	uint32_t idt[512];
	o.paused = true;
	if (asprintf(&words_of_boot, "mode=virtual%s%s", o.cmdline ? " " : "", o.cmdline ? o.cmdline : "") < 0)
		give_up(BROKEN, "no memory");
	o.cmdline = words_of_boot;
	o.p2m = judge_shuffle(t->number);
	p->m = machine_start(&o);
	if (!o.bochs)
		gdb_connect(p->m);
	probe_next_step(p, op);
	virtual_read(p->m, p->c.cr3, p->c.idt.base, idt, sizeof(idt));
	for (unsigned v = 0; v < 256; v++)
		p->handlers[v] = (idt[2 * v] & 0xFFFF) | (idt[2 * v + 1] & 0xFFFF0000);
	uint32_t low = p->c.esp & -STACK_BYTES;
	p->free = low + FREE_FROM;
	CHECK(p->c.esp > low + FREE_END, "the kernel's stack is used down to %#x", p->c.esp);
	p->user_esp = read_word(p, low + STACK_BYTES - FRAME_ESP);
	p->user_page = p->user_esp & PAGE_MASK;
	p->free_user = p->user_page;
	if (op != VMM_WARM_UP)
		allow_interrupts(p, false);
	return p;
}

void probe_descend(struct probe *p)
{
	probe_arrive(p, p->back, "where vmm_call(VMM_INSTALL) returns to in ring 1 (exercises 3 and 4)");
	CHECK(p->c.cpl == 1,
	      "vmm_call(VMM_INSTALL) returned in ring %u, not in ring 1: only IRET with a CS of RPL 1 leads down "
	      "(exercise 4)",
	      p->c.cpl);
}

struct probe *probe_start(const struct test *t)
{
	struct probe *p = probe_enter(t, VMM_INSTALL);
	probe_descend(p);
	set_shared(p, 0, 0);
	return p;
}
