/* SPDX-License-Identifier: MIT */
/* Exercises 3 and 4: what the CPU has loaded after cpu_install(), and how it arrives in ring 1. */
#include "checks.h"

#define MSR_SYSENTER_CS 0x174
enum { MOST_STEPS = 500 }; /* instructions of cpu_install() */
enum { TSS_BUSY = 11 };

/* Stop after cpu_install(). Result: its second argument, the kernel's stack. */
static uint32_t install(struct probe *p)
{
	probe_arrive(p, vmm_symbol("cpu_install"), "the VMM's side of the phase `install`");
	uint32_t kernel_stack = p->g.c.edx, back = return_address(&p->g);
	CHECK(RUN(&p->g, back) == 0,
	      "cpu_install() does not return: a fault among LGDT, LIDT, LTR and LLDT ends the "
	      "machine (exercise 3). LTR faults if the TSS's descriptor is busy, or none");
	return kernel_stack;
}

static void want_tables(const struct cpu_state *c)
{
	uint32_t gdt = CPU_AT(GDT), idt = vmm_symbol("vmm_idt"), tss = CPU_AT(TSS);
	uint32_t limit = 8 * VMM_GDT_ENTRIES - 1;
	CHECK(c->gdt.base == gdt && c->gdt.limit == limit,
	      "GDTR is %#x, limit %#x, not %#x, limit %#x (V2)", c->gdt.base, c->gdt.limit, gdt,
	      limit);
	CHECK(c->idt.base == idt && c->idt.limit == 0x7FF,
	      "IDTR is %#x, limit %#x, not %#x, limit 0x7ff (V2)", c->idt.base, c->idt.limit, idt);
	CHECK(c->tr.selector == SEL_TSS && c->tr.base == tss,
	      "TR is %#x with base %#x, not %#x with base %#x: the CPU takes its stacks from the "
	      "TSS that LTR found in the GDT at that moment (V2)",
	      c->tr.selector, c->tr.base, SEL_TSS, tss);
	CHECK((c->ldt.selector & ~3u) == 0,
	      "LDTR is %#x, not 0: the kernel's LDT could hold any segment (V2)", c->ldt.selector);
}

static void want_loaded(struct probe *p, uint32_t kernel_stack)
{
	const struct cpu_state *c = &p->g.c;
	struct tss s;
	virtual_read(p->g.m, c->cr3, CPU_AT(TSS), &s, sizeof(s));
	want_tables(c);
	unsigned type = segment_of(read_descriptor(p, SEL_TSS)).type;
	CHECK(type == TSS_BUSY, "the loaded TSS's descriptor has type %#x, not 0xb (busy)", type);
	CHECK(s.esp1 == kernel_stack,
	      "TSS: esp1 is %#x, not %#x: system calls would enter ring 1 on a wrong stack", s.esp1,
	      kernel_stack);
	CHECK(c->cpl == 0 && !(c->eflags & EFLAGS_IF), "after cpu_install() CPL is %u, EFLAGS %#x",
	      c->cpl, c->eflags);
}

void check_install(const struct test *t)
{
	struct probe *p = probe_enter(t, VMM_INSTALL);
	want_loaded(p, install(p));
}

/* --- registers that the kernel may have used --- */

/*
 * A local descriptor table, in the kernel's GDT for a moment only: the CPU keeps what LLDT found
 * there.
 */
static void load_ldt(struct probe *p)
{
	static const uint8_t lldt[] = { 0x0F, 0x00, 0xD0 }; /* lldt %ax */
	const uint32_t ldt[2] = { 0x00000FFF, 0x00008200 }, selector = SEL_UDATA & ~7u;
	struct guest *g = &p->g;
	uint32_t at = g->c.gdt.base + selector, old[2] = { word_at(g, at), word_at(g, at + 4) };
	set_words(g, at, ldt, 2);
	gdb_set_register(g->m, GDB_EAX, selector);
	run_here(g, lldt, sizeof(lldt));
	set_words(g, at, old, 2);
	CHECK(g->c.ldt.selector == selector, "LLDT of the check's own led to LDTR %#x",
	      g->c.ldt.selector);
}

static void set_busy(struct probe *p)
{
	uint64_t busy = read_descriptor(p, SEL_TSS) | (uint64_t)2 << 40;
	set_words(&p->g, CPU_AT(GDT) + SEL_TSS, WORDS((uint32_t)busy, (uint32_t)(busy >> 32)));
}

/* An enabled breakpoint in DR0, and SYSENTER. */
static void use_registers(struct probe *p)
{
	/* mov %ebx, %dr7; mov %eax, %dr0 */
	static const uint8_t set_debug[] = { 0x0F, 0x23, 0xFB, 0x0F, 0x23, 0xC0 };
	static const uint8_t wrmsr[] = { 0x0F, 0x30 };
	struct guest *g = &p->g;
	uint32_t ebx = g->c.ebx;
	gdb_set_register(g->m, GDB_EBX, 0x402); /* DR0, executed */
	gdb_set_register(g->m, GDB_EAX, 0xFFFFFFF0);
	run_here(g, set_debug, sizeof(set_debug));
	gdb_set_register(g->m, GDB_ECX, MSR_SYSENTER_CS);
	gdb_set_register(g->m, GDB_EDX, 0);
	gdb_set_register(g->m, GDB_EAX, SEL_KCODE);
	run_here(g, wrmsr, sizeof(wrmsr));
	gdb_set_register(g->m, GDB_EBX, ebx);
}

/*
 * As a second attach finds the machine, and as a kernel may leave its registers: the TSS is busy,
 * an LDT is loaded, a breakpoint is set, SYSENTER is in use.
 */
void check_again(const struct test *t)
{
	static const uint8_t get_dr7[] = { 0x0F, 0x21, 0xFB }, rdmsr[] = { 0x0F, 0x32 };
	struct probe *p = probe_enter(t, VMM_INSTALL);
	struct guest *g = &p->g;
	set_busy(p);
	load_ldt(p);
	use_registers(p);
	want_loaded(p, install(p));
	run_here(g, get_dr7, sizeof(get_dr7));
	CHECK(g->c.ebx == NULL_DR7,
	      "DR7 is %#x, not %#x: a breakpoint of the kernel's would stop the VMM", g->c.ebx,
	      NULL_DR7);
	gdb_set_register(g->m, GDB_ECX, MSR_SYSENTER_CS);
	run_here(g, rdmsr, sizeof(rdmsr));
	CHECK(g->c.eax == 0, "SYSENTER_CS is %#x, not 0: SYSENTER would lead any program to ring 0",
	      g->c.eax);
}

/* --- the TLB --- */

/*
 * Step through cpu_install(). Result: whether CR4.PGE changes there, which is what drops global
 * entries (SDM vol. 3, 4.10.4.1). QEMU drops them too easily to show the difference.
 */
static bool drops_global_entries(struct probe *p)
{
	struct guest *g = &p->g;
	bool dropped = false;
	probe_arrive(p, vmm_symbol("cpu_install"), "the VMM's side of the phase `install`");
	uint32_t back = return_address(g), cr4 = g->c.cr4;
	CHECK(cr4 & CR4_PGE, "CR4 is %#x: the kernel does not use global entries", cr4);
	for (unsigned i = 0; g->c.eip != back && i < MOST_STEPS; i++) {
		step(g, 0);
		look(g, 0);
		dropped |= g->c.cr4 != cr4;
	}
	CHECK(g->c.eip == back,
	      "cpu_install() has not returned after %u instructions; it is at %#x",
	      MOST_STEPS, g->c.eip);
	return dropped;
}

/* Ring 1 stores to a page that is read-only, to which ring 0 has stored before. It must fault. */
static void want_fault(struct probe *p, uint32_t address, uint32_t pte)
{
	static const uint8_t code[] = { 0x83, 0x0B, 0x00, 0x90 }; /* orl $0, (%ebx); nop */
	struct guest *g = &p->g;
	uint32_t at = plant(g, code, sizeof(code));
	gdb_set_register(g->m, GDB_EBX, address);
	go(g, at, g->c.esp);
	int stop = RUN(g, vmm_symbol("exit_handle"), at + 3);
	CHECK(stop != 1,
	      "ring 1 stores to its page directory at %#x, although the entry there (%#x) is "
	      "read-only: the TLB still has the old one (exercise 3: flush_local)", address, pte);
	if (stop != 0)
		probe_lost(p, "a store of ring 1 to a read-only page does not "
			      "bring the CPU to the VMM");
	struct saved s = read_saved(p);
	CHECK(SAVED(s, VECTOR) == VEC_PF && SAVED(s, ERROR) == (PF_PRESENT | PF_WRITE),
	      "that store gave vector %u, error %#x", SAVED(s, VECTOR), SAVED(s, ERROR));
}

/*
 * Pages that hold page tables have become read-only in memory. Until the TLB is flushed a writable
 * entry may still be there. One is, because the check lets ring 0 write to such a page before the
 * phase `protect`.
 */
void check_flush(const struct test *t)
{
	static const uint8_t touch[] = { 0x83, 0x0B, 0x00 }; /* orl $0, (%ebx) */
	struct probe *p = probe_enter(t, VMM_ACCOUNT);
	struct guest *g = &p->g;
	uint32_t home = probe_directory(p);
	CHECK(page_walk(g->m, g->c.cr3, home).writable,
	      "the page directory's page %#x is not writable before `protect`", home);
	gdb_set_register(g->m, GDB_EBX, home);
	run_here(g, touch, sizeof(touch));
	probe_next_step(p, VMM_INSTALL);
	bool dropped = drops_global_entries(p);
	struct walk w = page_walk(g->m, g->c.cr3, home);
	CHECK(w.present && !w.writable,
	      "after `protect` the page directory's page %#x is still writable: entry %#x", home,
	      w.pte);
	probe_descend(p);
	set_shared(p, 0, 0);
	want_fault(p, home, w.pte);
	CHECK(dropped,
	      "CR4.PGE does not change in cpu_install(): on hardware, if not on QEMU, global "
	      "entries survive a load of CR3 (exercise 3: flush_local)");
}

/* --- exercise 4 --- */

static void want_segment(struct probe *p, const char *name, const struct segment *s,
			 unsigned selector)
{
	struct segment_fields entry = segment_of(read_descriptor(p, selector));
	CHECK(s->selector == selector, "%s is %#x, not %#x%s", name, s->selector, selector,
	      s->selector ? "" : ": IRET to ring 1 made it null, because what it held has DPL 0");
	CHECK(s->base == 0 && s->limit == VMM_BASE - 1, "%s (%#x) has base %#x and limit %#x: %s",
	      name, s->selector, s->base, s->limit,
	      entry.base == s->base && entry.last == s->limit
		      ? "so says its entry in the VMM's GDT (exercise 1)"
		      : "what the CPU keeps is that of the kernel's old table; only a load after "
			"LGDT changes it");
}

static void want_flags(uint32_t eflags)
{
	CHECK(eflags & EFLAGS_IF,
	      "EFLAGS is %#x: the real IF is 0 in ring 1, and nothing there can set it: no "
	      "interrupt will ever come", eflags);
	CHECK(!(eflags & EFLAGS_IOPL),
	      "EFLAGS is %#x: with IOPL %u ring 1 has CLI, STI and all ports (V6)", eflags,
	      eflags >> 12 & 3);
	CHECK(!(eflags & (EFLAGS_NT | EFLAGS_TF | EFLAGS_DF | EFLAGS_AC)),
	      "EFLAGS is %#x: NT, TF, DF or AC is set", eflags);
}

void check_descent(const struct test *t)
{
	struct probe *p = probe_start(t);
	const struct cpu_state *c = &p->g.c, *e = &p->entry;
	CHECK(c->cs.selector == (SEL_KCODE | 1) && c->ss.selector == (SEL_KDATA | 1),
	      "ring 1 has CS %#x and SS %#x", c->cs.selector, c->ss.selector);
	want_flags(c->eflags);
	CHECK(c->esp == e->esp + 4, "ESP is %#x in ring 1; after RET it would be %#x", c->esp,
	      e->esp + 4);
	CHECK(c->ebx == e->ebx && c->esi == e->esi && c->edi == e->edi && c->ebp == e->ebp,
	      "EBX %#x, ESI %#x, EDI %#x, EBP %#x; before they were %#x, %#x, %#x, %#x: the caller "
	      "relies on them",
	      c->ebx, c->esi, c->edi, c->ebp, e->ebx, e->esi, e->edi, e->ebp);
	CHECK(c->eax == 0, "vmm_call(VMM_INSTALL) returned %#x, not 0", c->eax);
	want_segment(p, "CS", &c->cs, SEL_KCODE | 1);
	want_segment(p, "SS", &c->ss, SEL_KDATA | 1);
	want_segment(p, "DS", &c->ds, SEL_KDATA);
	want_segment(p, "ES", &c->es, SEL_KDATA);
	want_segment(p, "FS", &c->fs, SEL_KDATA);
	want_segment(p, "GS", &c->gs, SEL_KDATA);
}
