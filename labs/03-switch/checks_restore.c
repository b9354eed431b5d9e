/* SPDX-License-Identifier: MIT */
/*
 * Exercise 10, alone: cpu_restore(), called while the kernel is native. What it did is read from
 * the CPU's registers.
 */
#include "creep.h"

enum { CPU = 1 }; /* that the function runs on: not the first one */

static uint32_t cpu_address(void)
{
	return vmm_symbol("vmm_cpus") + CPU * CPU_BYTES;
}

#define DR7_MARK 0x10755u /* breakpoints at address 0, where nothing is; 0x400 is the rest value */
#define SYSENTER_MARK 0x1230u
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
	static const uint8_t code[] = { 0x0F, 0x23, 0xFB, 0x0F, 0x30, 0x90 }; /* mov, wrmsr */
	gdb_set_register(g->m, GDB_EBX, DR7_MARK);
	gdb_set_register(g->m, GDB_EAX, SYSENTER_MARK);
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
	CHECK(g->c.eax == SYSENTER_MARK,
	      "SYSENTER_CS was %#x before attach and is %#x after cpu_restore() (exercise 10)",
	      SYSENTER_MARK, g->c.eax);
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

/*
 * LDTR is null in virtual mode, but cpu_restore() does not rely on that: it is loaded with an LDT
 * that stands in the VMM's GDT for a moment.
 */
static void load_ldt(struct guest *g)
{
	static const uint8_t lldt[] = { 0x0F, 0x00, 0xD0, 0x90 }; /* lldt %ax; nop */
	const uint32_t ldt[2] = { 0x00000FFF, 0x00008200 }, selector = SEL_UDATA & ~7u;
	uint32_t at = g->c.gdt.base + selector, old[2] = { word_at(g, at), word_at(g, at + 4) };
	set_words(g, at, ldt, 2);
	gdb_set_register(g->m, GDB_EAX, selector);
	execute(g, lldt, sizeof(lldt), 1);
	set_words(g, at, old, 2);
	CHECK(g->c.ldt.selector == selector, "LDTR is %#x, not the check's %#x",
	      g->c.ldt.selector, selector);
}

/* Creep through cpu_restore(). Result: whether CR4.PGE was off meanwhile. */
static bool creep_through(struct guest *g)
{
	bool flushed = false;
	uint32_t attached = vmm_symbol("vmm_cpus") + CPU_ATTACHED; /* CPU 0 stands still */
	uint32_t was = word_at(g, attached);
	set_word(g, attached, was | 1);
	begin_at(g, vmm_symbol("cpu_restore"), WORDS(cpu_address()));
	for (unsigned i = 0; !call_ended(g); i++) {
		if (i == MAX_RESTORE)
			give_up_lost(g, "cpu_restore()");
		creep_some(g, 1);
		look(g, g->cpu);
		flushed |= !(g->c.cr4 & CR4_PGE);
	}
	leave(g);
	set_word(g, attached, was);
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
	load_ldt(&g);
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
