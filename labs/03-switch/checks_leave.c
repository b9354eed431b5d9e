/* SPDX-License-Identifier: MIT */
/*
 * Exercises 9 and 10, each alone: the VMM's functions of the way out, called while the kernel is
 * native. What they did is read from the local APIC, the IOAPIC and the CPU's registers.
 */
#include "creep.h"

enum { MOST_STEPS = 2000 };
enum { CASCADE = 2 }; /* of the old controllers: no line of its own */
enum { CPU = 1 };     /* that the functions run on: not the first one */

static uint32_t cpu_address(void)
{
	return vmm_symbol("vmm_cpus") + CPU * CPU_BYTES;
}

/* --- exercise 9: irq_reinject() --- */

#define EVENTS ((1u << NR_EVENTS) - 1)

/* What the interrupt controllers hold: vectors that wait in this CPU's local APIC, masked lines. */
struct controllers { bool waits[256], level[NR_IRQ], masked[NR_IRQ]; };

/* The line of the IOAPIC's pin, in QEMU's list. Pin 2 has line 0 (docs/machine.md). */
static void read_line(const char *text, unsigned line, struct controllers *c)
{
	char label[16], row[200];
	snprintf(label, sizeof(label), "pin %-2u ", line ? line : 2);
	const char *at = strstr(text, label);
	if (!at)
		give_up(BROKEN, "QEMU shows no %sof the IOAPIC: %s", label, text);
	snprintf(row, sizeof(row), "%.*s", (int)strcspn(at, "\n"), at);
	c->level[line] = strstr(row, "level") != NULL;
	c->masked[line] = strstr(row, "masked") != NULL;
}

static struct controllers read_controllers(struct guest *g)
{
	struct controllers c = { 0 };
	char ask[20];
	snprintf(ask, sizeof(ask), "info lapic %u", g->cpu);
	char *lapic = qmp_human(g->m, ask), *pic = qmp_human(g->m, "info pic");
	char *at = strstr(lapic, "IRR");
	if (!at)
		give_up(BROKEN, "QEMU shows no IRR: %s", lapic);
	at[strcspn(at, "\n")] = '\0';
	for (char *word = strtok(at + 3, " \t\r"); word; word = strtok(NULL, " \t\r"))
		if (strtoul(word, NULL, 10) < 256)
			c.waits[strtoul(word, NULL, 10)] |= *word >= '0' && *word <= '9';
	for (unsigned line = 0; line < NR_IRQ; line++)
		if (line != CASCADE)
			read_line(pic, line, &c);
	free(lapic), free(pic);
	return c;
}

static unsigned vector_of_event(unsigned event)
{
	return event < NR_IRQ ? VEC_IRQ + event : VEC_TIMER + event - EVENT_TIMER;
}

/* Where this CPU's shared page has `pending`. */
static uint32_t pending_at(struct guest *g)
{
	uint32_t vcpu = word_at(g, cpu_address());
	return word_at(g, vcpu + VCPU_SHARED) + VMM_SHARED_PENDING;
}

static void want_edge(const struct controllers *before, const struct controllers *after,
		      unsigned event, bool due)
{
	unsigned vector = vector_of_event(event);
	bool came = after->waits[vector] && (due || !before->waits[vector]);
	CHECK(came == due || (vector == VEC_TIMER && came), /* the tick comes by itself, too */
	      "event %u (vector %#x, an edge) was %spending, and its vector %s in the local APIC "
	      "of CPU %u after irq_reinject(): %s (exercise 9)", event, vector, due ? "" : "not ",
	      came ? "waits" : "does not wait", CPU,
	      due ? "the interrupt is lost" : "an interrupt that nobody sent");
}

static void want_level(const struct controllers *before, const struct controllers *after,
		       unsigned line, bool due)
{
	unsigned vector = vector_of_event(line);
	bool wanted = due ? false : before->masked[line];
	CHECK(after->masked[line] == wanted,
	      "line %u (level-triggered) was %spending, and the IOAPIC's entry %s masked after "
	      "irq_reinject(): %s (exercise 9)", line, due ? "" : "not ",
	      after->masked[line] ? "is" : "is not",
	      due ? "its device never interrupts again" : "the VMM lets a line through that the "
	      "kernel had masked");
	CHECK(!after->waits[vector] || before->waits[vector],
	      "line %u is level-triggered, and its vector %#x waits in the local APIC of CPU %u "
	      "after irq_reinject(): the IOAPIC would send it by itself if the device still asked, "
	      "so it comes twice, or for nothing (exercise 9)", line, vector, CPU);
}

static void want_reinjected(struct guest *g, const struct controllers *before, uint32_t events)
{
	struct controllers after = read_controllers(g);
	uint32_t left = word_at(g, pending_at(g)) & EVENTS;
	for (unsigned event = 0; event < NR_EVENTS; event++)
		if (event == CASCADE)
			continue;
		else if (event < NR_IRQ && before->level[event])
			want_level(before, &after, event, events >> event & 1);
		else
			want_edge(before, &after, event, events >> event & 1);
	CHECK(left == 0,
	      "`pending` is %#x, not 0, after irq_reinject(): these events come a second time when "
	      "the VMM attaches again (exercise 9)", left);
	CHECK(vmm_word(g, "vmm_lock_word") == 0,
	      "irq_reinject() returns with the VMM's lock: the next CPU waits for ever "
	      "(exercise 9)");
}

static void begin_reinject(struct guest *g, uint32_t events)
{
	set_word(g, pending_at(g), events);
	begin_at(g, vmm_symbol("irq_reinject"), WORDS(cpu_address()));
}

static void reinject(struct guest *g, uint32_t events)
{
	struct controllers before = read_controllers(g);
	begin_reinject(g, events);
	run_on(g, "irq_reinject() is called, and hangs (exercise 9)");
	CHECK(call_ended(g), "irq_reinject() comes to %s (exercise 9)",
	      symbol_where(g->c.eip));
	leave(g);
	want_reinjected(g, &before, events);
}

/* Another CPU is at the IOAPIC. When it has gone, this one changes the entry, with the lock. */
static void reinject_locked(struct guest *g, unsigned line)
{
	uint32_t lock = vmm_symbol("vmm_lock_word"), wait = vmm_symbol("vmm_lock_wait");
	struct controllers before = read_controllers(g), now;
	set_word(g, lock, 1);
	begin_reinject(g, 1u << line);
	int end = creep_on(g, &wait, 1);
	now = read_controllers(g);
	CHECK(end != RETURNED && now.masked[line] == before.masked[line],
	      "irq_reinject() does not wait for the VMM's lock, under which another CPU may be at "
	      "the IOAPIC: an entry takes two accesses (exercise 9)");
	set_word(g, lock, 0);
	bool held = false, outside = false;
	now = before;
	for (unsigned i = 0; end != RETURNED; i++) {
		CHECK(i < MOST_STEPS, "irq_reinject() has not returned after %u instructions with "
		      "one event, at %s (exercise 9)", i, symbol_where(g->c.eip));
		end = creep_some(g, 1);
		bool holds = vmm_word(g, "vmm_lock_word"), was = now.masked[line];
		if (held != holds)
			now = read_controllers(g);
		outside |= was != now.masked[line] && holds; /* changed before it was locked */
		held = holds;
	}
	leave(g);
	outside |= now.masked[line]; /* changed after it was unlocked */
	want_reinjected(g, &before, 1u << line);
	CHECK(!outside, "irq_reinject() lets line %u through when it does not hold the VMM's lock: "
			"another CPU may come between its two accesses to the IOAPIC (exercise 9)",
	      line);
}

/* Mask a line as irq_arrived() does, or let it through. */
static void mask_line(struct guest *g, unsigned line, bool masked)
{
	set_word(g, vmm_symbol("vmm_lock_word"), 1);
	begin_at(g, vmm_symbol("irq_mask"), WORDS(line, masked));
	run_on(g, "irq_mask() is called");
	leave(g);
	set_word(g, vmm_symbol("vmm_lock_word"), 0);
}

/* All level-triggered lines are masked, and some others. Result: the former, as bits. */
static uint32_t set_lines(struct guest *g)
{
	uint32_t levels = 0;
	for (unsigned line = 0; line < NR_IRQ; line++)
		if (line != CASCADE)
			mask_line(g, line, true);
	struct controllers c = read_controllers(g);
	for (unsigned line = 0; line < NR_IRQ; line++)
		if (c.level[line])
			levels |= 1u << line;
		else if (line != CASCADE && random_below(2))
			mask_line(g, line, false);
	CHECK(levels, "no line is level-triggered");
	return levels;
}

void check_reinject(const struct test *t)
{
	uint32_t parts[3] = { 0 };
	struct guest g = enter(t, 9);
	choose(&g, CPU);
	unsigned line = (unsigned)__builtin_ctz(set_lines(&g));
	for (unsigned event = 0; event < NR_EVENTS; event++)
		if (event != CASCADE)
			parts[random_below(3)] |= 1u << event;
	reinject_locked(&g, line);
	mask_line(&g, line, true);
	reinject(&g, 0);
	for (unsigned i = 0; i < 3; i++)
		reinject(&g, parts[i]);
}

/* --- exercise 10: cpu_restore() --- */

#define DR7_MARK 0x700u /* LE and GE, which enable nothing; 0x400 is the rest value */
#define MSR_SYSENTER_CS 0x174u
enum { MAX_RESTORE = 300 };

/* Execute these instructions, as many as there are, on this CPU alone. */
static void execute(struct guest *g, const uint8_t *code, size_t bytes, unsigned instructions)
{
	uint32_t eip = g->c.eip, esp = g->c.esp;
	go(g, plant(g, code, bytes), esp);
	for (unsigned i = 0; i < instructions; i++)
		step(g, g->cpu);
	choose(g, g->cpu);
	struct cpu_state after = g->c;
	go(g, eip, esp);
	g->c = after, g->c.eip = eip;
}

/* DR7 and SYSENTER_CS, which the kernel itself never changes. */
static void set_marks(struct guest *g)
{
	static const uint8_t code[] = { 0x0F, 0x23, 0xF8, 0x0F, 0x30, 0x90 }; /* mov, wrmsr */
	gdb_set_register(g->m, GDB_EAX, DR7_MARK);
	gdb_set_register(g->m, GDB_EDX, 0);
	gdb_set_register(g->m, GDB_ECX, MSR_SYSENTER_CS);
	execute(g, code, sizeof(code), 2);
}

static void want_marks(struct guest *g)
{
	static const uint8_t code[] = { 0x0F, 0x21, 0xFB, 0x0F, 0x32, 0x90 }; /* mov, rdmsr */
	gdb_set_register(g->m, GDB_ECX, MSR_SYSENTER_CS);
	execute(g, code, sizeof(code), 2);
	CHECK(g->c.ebx == DR7_MARK,
	      "DR7 was %#x before attach and is %#x after cpu_restore() (exercise 10)", DR7_MARK,
	      g->c.ebx);
	CHECK(g->c.eax == DR7_MARK,
	      "SYSENTER_CS was %#x before attach and is %#x after cpu_restore() (exercise 10)",
	      DR7_MARK, g->c.eax);
}

static void install_here(struct guest *g)
{
	begin_at(g, vmm_symbol("cpu_install"), WORDS(cpu_address(), g->c.esp));
	run_on(g, "cpu_install(), which is given, is called");
	leave(g);
	look(g, g->cpu);
	CHECK(g->c.gdt.base >= VMM_BASE, "cpu_install(), which is given, leaves GDTR %#x",
	      g->c.gdt.base);
}

/* Creep through cpu_restore(). Result: whether CR4.PGE was off meanwhile. */
static bool creep_through(struct guest *g)
{
	bool flushed = false;
	begin_at(g, vmm_symbol("cpu_restore"), WORDS(cpu_address()));
	for (unsigned i = 0; !call_ended(g); i++) {
		if (i == MAX_RESTORE)
			give_up_lost(g, "cpu_restore()");
		creep_some(g, 1);
		look(g, g->cpu);
		flushed |= !(g->c.cr4 & CR4_PGE);
	}
	leave(g);
	look(g, g->cpu);
	return flushed;
}

static void want_table(const char *name, const struct segment *was, const struct segment *is)
{
	CHECK(is->base == was->base && is->limit == was->limit,
	      "%s was %#x, limit %#x, before attach and is %#x, limit %#x, after cpu_restore() "
	      "(exercise 10)", name, was->base, was->limit, is->base, is->limit);
}

static void want_restored(struct guest *g, const struct cpu_state *was)
{
	const struct cpu_state *is = &g->c;
	want_table("GDTR", &was->gdt, &is->gdt);
	want_table("IDTR", &was->idt, &is->idt);
	want_table("the loaded TSS", &was->tr, &is->tr);
	CHECK(is->tr.selector == was->tr.selector, "TR was %#x before attach and is %#x after "
	      "cpu_restore() (exercise 10)", was->tr.selector, is->tr.selector);
	CHECK((is->ldt.selector & ~3u) == 0, "LDTR is %#x, not 0, after cpu_restore() "
					     "(exercise 10)", is->ldt.selector);
	CHECK(is->cr0 == was->cr0 && is->cr3 == was->cr3 && is->cr4 == was->cr4,
	      "CR0, CR3, CR4 were %#x, %#x, %#x and are %#x, %#x, %#x after cpu_restore() "
	      "(exercise 10)", was->cr0, was->cr3, was->cr4, is->cr0, is->cr3, is->cr4);
}

void check_cpu_restore(const struct test *t)
{
	enum { MAX_GDT = 64 };
	uint32_t before[MAX_GDT], after[MAX_GDT];
	struct guest g = enter(t, 10);
	choose(&g, CPU);
	struct cpu_state was = g.c;
	CHECK(was.gdt.limit < sizeof(before), "the kernel's GDT has %u bytes", was.gdt.limit + 1);
	virtual_read(g.m, was.cr3, was.gdt.base, before, was.gdt.limit + 1);
	set_marks(&g);
	install_here(&g);
	bool flushed = creep_through(&g);
	want_restored(&g, &was);
	virtual_read(g.m, was.cr3, was.gdt.base, after, was.gdt.limit + 1);
	for (unsigned i = 0; i < (was.gdt.limit + 1) / 4; i++)
		CHECK(before[i] == after[i],
		      "word %u of the kernel's GDT was %#x before attach and is %#x after "
		      "cpu_restore() (exercise 10)", i, before[i], after[i]);
	want_marks(&g);
	CHECK(flushed,
	      "cpu_restore() never turns CR4.PGE off: global TLB entries of virtual mode, which "
	      "are read-only, stay valid (exercise 10; SDM vol. 3, 4.10.4.1; QEMU flushes more "
	      "than it must, hardware does not)");
}
