/* SPDX-License-Identifier: MIT */
/* Lab 2, exercises 3 and 4: what the CPU has loaded behind cpu_install(), and how it arrives in ring 1. */
#include "checks.h"

#define MSR_SYSENTER_CS 0x174
enum { MOST_STEPS = 500 }; /* of cpu_install() */

/* Stop behind cpu_install(). */
static void install(struct probe *p, uint32_t *kernel_stack)
{
	uint32_t back;
	probe_arrive(p, vmm_symbol("cpu_install"), "the VMM's side of the phase `install`");
	*kernel_stack = p->c.edx;
	back = read_word(p, p->c.esp);
	if (RUN(p, back) != 0)
		give_up(FAILED, "cpu_install() does not return: a fault among LGDT, LIDT, LTR and LLDT ends the "
				"machine (exercise 3). LTR faults if the TSS's descriptor is busy, or none");
}

static uint64_t tss_descriptor(struct probe *p)
{
	uint64_t d;
	virtual_read(p->m, p->c.cr3, CPU_AT(gdt) + SEL_TSS, &d, 8);
	return d;
}

static void check_loaded(struct probe *p, uint32_t kernel_stack)
{
	const struct cpu_state *c = &p->c;
	struct tss s;
	uint32_t gdt = CPU_AT(gdt), idt = vmm_symbol("vmm_idt"), tss = CPU_AT(tss);
	virtual_read(p->m, c->cr3, tss, &s, sizeof(s));
	CHECK(c->gdt.base == gdt && c->gdt.limit == 8 * GDT_ENTRIES_VIRTUAL - 1,
	      "GDTR is %#x, limit %#x, not %#x, limit %#x (V2)", c->gdt.base, c->gdt.limit, gdt,
	      8 * GDT_ENTRIES_VIRTUAL - 1);
	CHECK(c->idt.base == idt && c->idt.limit == 0x7FF, "IDTR is %#x, limit %#x, not %#x, limit 0x7ff (V2)",
	      c->idt.base, c->idt.limit, idt);
	CHECK(c->tr.selector == SEL_TSS && c->tr.base == tss,
	      "TR is %#x with base %#x, not %#x with base %#x: the CPU takes its stacks from the "
	      "TSS that LTR found in the GDT at that moment (V2)",
	      c->tr.selector, c->tr.base, SEL_TSS, tss);
	CHECK((tss_descriptor(p) >> 40 & 0x1F) == 11, "the loaded TSS's descriptor has type %#x, not 0xb (busy)",
	      (unsigned)(tss_descriptor(p) >> 40 & 0x1F));
	CHECK((c->ldt.selector & ~3u) == 0, "LDTR is %#x, not 0: the kernel's LDT could hold any segment (V2)", c->ldt.selector);
	CHECK(s.esp1 == kernel_stack, "TSS: esp1 is %#x, not %#x: system calls would enter ring 1 on a wrong stack",
	      s.esp1, kernel_stack);
	CHECK(c->cpl == 0 && !(c->eflags & EFLAGS_IF), "behind cpu_install() CPL is %u, EFLAGS %#x", c->cpl, c->eflags);
}

void check_install(const struct test *t)
{
	uint32_t stack;
	struct probe *p = probe_enter(t, VMM_INSTALL);
	install(p, &stack);
	check_loaded(p, stack);
}

/* A local descriptor table, in the kernel's GDT for a moment only: the CPU keeps what LLDT found there. */
static void load_ldt(struct probe *p)
{
	static const uint8_t lldt[] = { 0x0F, 0x00, 0xD0 }; /* lldt %ax */
	const uint32_t ldt[2] = { 0x00000FFF, 0x00008200 };
	uint32_t at = p->c.gdt.base + (SEL_UDATA & ~7u), old[2] = { read_word(p, at), read_word(p, at + 4) };
	write_words(p, at, ldt, 2);
	gdb_set_register(p->m, GDB_EAX, SEL_UDATA & ~7u);
	run_here(p, lldt, sizeof(lldt));
	write_words(p, at, old, 2);
	CHECK(p->c.ldt.selector == (SEL_UDATA & ~7u), "LLDT of the check's own led to LDTR %#x", p->c.ldt.selector);
}

/* As a second attach finds the machine, and as a kernel may leave its registers: TSS busy, an LDT loaded, a breakpoint
 * set, SYSENTER in use. */
void check_again(const struct test *t)
{
	static const uint8_t set_dr7[] = { 0x0F, 0x23, 0xFB, 0x0F, 0x23, 0xC0 }; /* mov %ebx, %dr7; mov %eax, %dr0 */
	static const uint8_t wrmsr[] = { 0x0F, 0x30 }, rdmsr[] = { 0x0F, 0x32 }, get_dr7[] = { 0x0F, 0x21, 0xFB };
	uint32_t stack;
	struct probe *p = probe_enter(t, VMM_INSTALL);
	struct cpu_state before = p->c;
	uint64_t busy = tss_descriptor(p) | (uint64_t)2 << 40;
	uint32_t words[2] = { (uint32_t)busy, (uint32_t)(busy >> 32) };
	write_words(p, CPU_AT(gdt) + SEL_TSS, words, 2);
	load_ldt(p);
	gdb_set_register(p->m, GDB_EBX, 0x402); /* DR0, executed */
	gdb_set_register(p->m, GDB_EAX, 0xFFFFFFF0);
	run_here(p, set_dr7, sizeof(set_dr7));
	gdb_set_register(p->m, GDB_ECX, MSR_SYSENTER_CS);
	gdb_set_register(p->m, GDB_EDX, 0);
	gdb_set_register(p->m, GDB_EAX, SEL_KCODE);
	run_here(p, wrmsr, sizeof(wrmsr));
	gdb_set_register(p->m, GDB_EBX, before.ebx);
	install(p, &stack);
	check_loaded(p, stack);
	run_here(p, get_dr7, sizeof(get_dr7));
	CHECK(p->c.ebx == NULL_DR7, "DR7 is %#x, not %#x: a breakpoint of the kernel's would stop the VMM", p->c.ebx,
	      NULL_DR7);
	gdb_set_register(p->m, GDB_ECX, MSR_SYSENTER_CS);
	run_here(p, rdmsr, sizeof(rdmsr));
	CHECK(p->c.eax == 0, "SYSENTER_CS is %#x, not 0: SYSENTER would lead any program to ring 0", p->c.eax);
}

/*
 * Step through cpu_install(). Result: whether CR4.PGE changes there, which is what drops global entries (SDM vol. 3,
 * 4.10.4.1). QEMU drops them too easily to show the difference.
 */
static bool drops_global_entries(struct probe *p)
{
	struct cpu_state cpus[CPUS_MAX];
	bool dropped = false;
	probe_arrive(p, vmm_symbol("cpu_install"), "the VMM's side of the phase `install`");
	uint32_t back = read_word(p, p->c.esp), cr4 = p->c.cr4;
	CHECK(cr4 & CR4_PGE, "CR4 is %#x: the kernel does not use global entries", cr4);
	for (unsigned i = 0; p->c.eip != back && i < MOST_STEPS; i++) {
		gdb_step(p->m);
		machine_state(p->m, cpus);
		p->c = cpus[0];
		dropped |= p->c.cr4 != cr4;
	}
	CHECK(p->c.eip == back, "cpu_install() has not returned after %u instructions; it is at %#x", MOST_STEPS,
	      p->c.eip);
	return dropped;
}

/*
 * Pages that hold page tables have become read-only in memory; until the TLB is flushed a writable entry may still be
 * there. One is, because the check lets ring 0 write to such a page before the phase `protect`.
 */
void check_flush(const struct test *t)
{
	static const uint8_t touch[] = { 0x83, 0x0B, 0x00 }; /* orl $0, (%ebx) */
	uint8_t code[] = { 0x83, 0x0B, 0x00, 0x90 };
	struct probe *p = probe_enter(t, VMM_ACCOUNT);
	uint32_t home = probe_directory(p);
	CHECK(page_walk(p->m, p->c.cr3, home).writable,
	      "the page directory's page %#x is not writable before `protect`", home);
	gdb_set_register(p->m, GDB_EBX, home);
	run_here(p, touch, sizeof(touch));
	probe_next_step(p, VMM_INSTALL);
	bool dropped = drops_global_entries(p);
	struct walk w = page_walk(p->m, p->c.cr3, home);
	CHECK(w.present && !w.writable, "after `protect` the page directory's page %#x is still writable: entry %#x",
	      home, w.pte);
	probe_descend(p);
	set_shared(p, 0, 0);
	uint32_t at = plant(p, code, sizeof(code));
	gdb_set_register(p->m, GDB_EBX, home);
	go(p, at, p->c.esp);
	int stop = RUN(p, vmm_symbol("trap_handle"), at + 3);
	CHECK(stop != 1,
	      "ring 1 stores to its page directory at %#x, although the entry there (%#x) is read-only: the TLB still "
	      "has the old one (exercise 3: flush_local)",
	      home, w.pte);
	if (stop != 0)
		probe_lost(p, "a store of ring 1 to a read-only page does not bring the CPU to the VMM");
	struct vmm_regs r;
	virtual_read(p->m, p->c.cr3, p->c.eax, &r, sizeof(r));
	CHECK(r.vector == VEC_PF && r.error == (PF_PRESENT | PF_WRITE), "that store gave vector %u, error %#x",
	      r.vector, r.error);
	CHECK(dropped, "CR4.PGE does not change in cpu_install(): on hardware, if not on QEMU, global entries survive a "
		       "load of CR3 (exercise 3: flush_local)");
}

/* --- exercise 4 --- */

static void check_segment(struct probe *p, const char *name, const struct segment *s, unsigned selector)
{
	uint64_t d;
	virtual_read(p->m, p->c.cr3, CPU_AT(gdt) + (selector & ~7u), &d, 8);
	struct segment_fields entry = segment_of(d);
	CHECK(s->selector == selector, "%s is %#x, not %#x%s", name, s->selector, selector,
	      s->selector ? "" : ": IRET to ring 1 made it null, because what it held has DPL 0");
	CHECK(s->base == 0 && s->limit == VMM_BASE - 1, "%s (%#x) has base %#x and limit %#x: %s", name, s->selector, s->base,
	      s->limit, entry.base == s->base && entry.last == s->limit
			? "so says its entry in the VMM's GDT (exercise 1)"
			: "what the CPU keeps is that of the kernel's old table; only a load behind LGDT changes it");
}

void check_descent(const struct test *t)
{
	struct probe *p = probe_start(t);
	const struct cpu_state *c = &p->c, *e = &p->entry;
	CHECK(c->cs.selector == (SEL_KCODE | 1) && c->ss.selector == (SEL_KDATA | 1), "ring 1 has CS %#x and SS %#x",
	      c->cs.selector, c->ss.selector);
	CHECK(c->eflags & EFLAGS_IF,
	      "EFLAGS is %#x: the real IF is 0 in ring 1, and nothing there can set it: no interrupt will ever come",
	      c->eflags);
	CHECK(!(c->eflags & EFLAGS_IOPL), "EFLAGS is %#x: with IOPL %u ring 1 has CLI, STI and all ports (V6)",
	      c->eflags, c->eflags >> 12 & 3);
	CHECK(!(c->eflags & (EFLAGS_NT | EFLAGS_TF | EFLAGS_DF | EFLAGS_AC)), "EFLAGS is %#x: NT, TF, DF or AC is set",
	      c->eflags);
	CHECK(c->esp == e->esp + 4, "ESP is %#x in ring 1; behind RET it would be %#x", c->esp, e->esp + 4);
	CHECK(c->ebx == e->ebx && c->esi == e->esi && c->edi == e->edi && c->ebp == e->ebp,
	      "EBX %#x, ESI %#x, EDI %#x, EBP %#x; before they were %#x, %#x, %#x, %#x: the caller relies on them",
	      c->ebx, c->esi, c->edi, c->ebp, e->ebx, e->esi, e->edi, e->ebp);
	CHECK(c->eax == 0, "vmm_call(VMM_INSTALL) returned %#x, not 0", c->eax);
	check_segment(p, "CS", &c->cs, SEL_KCODE | 1), check_segment(p, "SS", &c->ss, SEL_KDATA | 1);
	check_segment(p, "DS", &c->ds, SEL_KDATA), check_segment(p, "ES", &c->es, SEL_KDATA);
	check_segment(p, "FS", &c->fs, SEL_KDATA), check_segment(p, "GS", &c->gs, SEL_KDATA);
}
