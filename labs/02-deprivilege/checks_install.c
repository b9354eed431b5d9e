/* SPDX-License-Identifier: MIT */
/*
 * Exercise 3: what the CPU has loaded after cpu_install(), which is done several times on one
 * machine, each time from another state of the registers that a kernel may have used.
 */
#include "checks.h"

#define MSR_SYSENTER_CS 0x174
enum { MOST_STEPS = 2000, NULL_DR7 = 0x400 };

/* What the kernel may have left. */
enum { BUSY = 1, LDT = 2, DEBUG = 4, SYSENTER = 8, EVERYTHING = 15 };

/*
 * What must not change: segment registers; the shared page, but virtual IF and pending of this CPU;
 * the tables of the other CPUs. Check flush judges CR0 and CR4.
 */
struct kept {
	struct segment segments[6];
	struct shared_page shared;
	uint8_t others[VMM_MAX_CPUS][CPU_BYTES / 8];
};

static void keep(struct probe *p, struct kept *k)
{
	const struct cpu_state now = state_of(&p->g, 0), *c = &now;
	const struct segment s[] = { c->es, c->cs, c->ss, c->ds, c->fs, c->gs };
	uint32_t bytes = CPU_GDT + 8 * VMM_GDT_ENTRIES - CPU_TSS;
	memcpy(k->segments, s, sizeof(s));
	k->shared = read_shared(p);
	for (unsigned i = 0; i < p->nr_cpus; i++)
		virtual_read(p->g.m, c->cr3, CPU_AT(i, TSS), k->others[i], bytes);
}

static void want_kept(struct probe *p, const struct kept *before)
{
	static const char *const names[] = { "ES", "CS", "SS", "DS", "FS", "GS" };
	struct kept after = *before;
	keep(p, &after);
	for (unsigned i = 0; i < LENGTH(names); i++)
		CHECK(after.segments[i].selector == before->segments[i].selector &&
		      after.segments[i].limit == before->segments[i].limit,
		      "cpu_install() has loaded %s: it is %#x, limit %#x; it was %#x, limit %#x",
		      names[i], after.segments[i].selector, after.segments[i].limit,
		      before->segments[i].selector, before->segments[i].limit);
	for (unsigned w = VMM_SHARED_EXITS / 4; w < SHARED_WORDS; w++)
		CHECK(after.shared.words[p->cpu][w] == before->shared.words[p->cpu][w],
		      "cpu_install() changes %s in the shared page: it is this CPU's affair "
		      "alone (exercise 3: flush_local)", shared_name(w));
	want_others_kept(p, &before->shared, "cpu_install()");
	for (unsigned i = 0; i < p->nr_cpus; i++)
		CHECK(i == p->cpu || memcmp(after.others[i], before->others[i],
					    sizeof(after.others[i])) == 0,
		      "cpu_install() of CPU %u has changed the TSS or GDT of CPU %u", p->cpu, i);
}

void want_tables(const struct probe *p)
{
	const struct cpu_state loaded = state_of(&p->g, 0), *c = &loaded;
	uint32_t gdt = CPU_AT(p->cpu, GDT), idt = vmm_symbol("vmm_idt"), tss = CPU_AT(p->cpu, TSS);
	uint32_t limit = 8 * VMM_GDT_ENTRIES - 1;
	CHECK(c->gdt.base == gdt && c->gdt.limit == limit,
	      "CPU %u's GDTR is %#x, limit %#x, not %#x, limit %#x (V2)", p->cpu, c->gdt.base,
	      c->gdt.limit, gdt, limit);
	CHECK(c->idt.base == idt && c->idt.limit == 0x7FF,
	      "IDTR is %#x, limit %#x, not %#x, limit 0x7ff (V2)", c->idt.base, c->idt.limit, idt);
	CHECK(c->tr.selector == SEL_TSS && c->tr.base == tss,
	      "TR is %#x with base %#x, not %#x with base %#x: the CPU takes its stacks from the "
	      "TSS that LTR found in the GDT at that moment (V2)",
	      c->tr.selector, c->tr.base, SEL_TSS, tss);
	CHECK((c->ldt.selector & ~3u) == 0,
	      "LDTR is %#x, not 0: the kernel's LDT could hold any segment (V2)", c->ldt.selector);
}

static void want_registers(struct probe *p)
{
	static const uint8_t get_dr7[] = { 0x0F, 0x21, 0xFB }, rdmsr[] = { 0x0F, 0x32 };
	struct guest *g = &p->g;
	run_here(g, get_dr7, sizeof(get_dr7));
	CHECK(g->c.ebx == NULL_DR7,
	      "DR7 is %#x, not %#x: a breakpoint of the kernel's would stop the VMM", g->c.ebx,
	      NULL_DR7);
	gdb_set_register(g->m, GDB_ECX, MSR_SYSENTER_CS);
	run_here(g, rdmsr, sizeof(rdmsr));
	CHECK(g->c.eax == 0, "SYSENTER_CS is %#x, not 0: SYSENTER would lead any program to ring 0",
	      g->c.eax);
}

static void want_loaded(struct probe *p, uint32_t kernel_stack)
{
	const struct cpu_state *c = &p->g.c;
	struct tss s;
	virtual_read(p->g.m, c->cr3, CPU_AT(p->cpu, TSS), &s, sizeof(s));
	want_tables(p);
	want_gdt(p, p->cpu, true);
	CHECK(s.ss0 == SEL_VMM_DATA && s.esp0 == CPU_BLOCK(p->cpu + 1),
	      "CPU %u's TSS: cpu_install() has made ss0:esp0 %#x:%#x; it was %#x:%#x", p->cpu,
	      s.ss0, s.esp0, SEL_VMM_DATA, CPU_BLOCK(p->cpu + 1));
	CHECK(s.ss1 == (SEL_KDATA | 1), "CPU %u's TSS: cpu_install() has made ss1 %#x; it was %#x",
	      p->cpu, s.ss1, SEL_KDATA | 1);
	CHECK(s.iomap >= sizeof(s) - 1,
	      "CPU %u's TSS: cpu_install() has made the I/O bitmap's base %#x, within the segment",
	      p->cpu, s.iomap);
	CHECK(s.esp1 == kernel_stack,
	      "CPU %u's TSS: esp1 is %#x, not %#x: system calls enter ring 1 on a wrong stack",
	      p->cpu, s.esp1, kernel_stack);
	CHECK(c->cpl == 0, "after cpu_install() CPL is %u", c->cpl);
	CHECK(!(c->eflags & EFLAGS_IF), "after cpu_install() EFLAGS is %#x: IF is 1, and "
	      "interrupts are off until the descent", c->eflags);
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
	look(g, 0);
	uint32_t at = g->c.gdt.base + selector, old[2] = { word_at(g, at), word_at(g, at + 4) };
	set_words(g, at, ldt, 2);
	gdb_set_register(g->m, GDB_EAX, selector);
	run_here(g, lldt, sizeof(lldt));
	set_words(g, at, old, 2);
}

static void set_busy(struct probe *p, bool busy)
{
	uint64_t bit = (uint64_t)2 << 40, d = read_descriptor(p, p->cpu, SEL_TSS) & ~bit;
	d |= busy ? bit : 0;
	set_words(&p->g, CPU_AT(p->cpu, GDT) + SEL_TSS, WORDS((uint32_t)d, (uint32_t)(d >> 32)));
}

static void set_debug(struct probe *p, uint32_t dr7)
{
	/* mov %eax, %dr7 */
	static const uint8_t code[] = { 0x0F, 0x23, 0xF8 };
	gdb_set_register(p->g.m, GDB_EAX, dr7);
	run_here(&p->g, code, sizeof(code));
}

static void set_sysenter(struct probe *p, uint32_t selector)
{
	static const uint8_t wrmsr[] = { 0x0F, 0x30 };
	gdb_set_register(p->g.m, GDB_ECX, MSR_SYSENTER_CS);
	gdb_set_register(p->g.m, GDB_EDX, 0);
	gdb_set_register(p->g.m, GDB_EAX, selector);
	run_here(&p->g, wrmsr, sizeof(wrmsr));
}

/* What the kernel has in registers that cpu_install() notes, for the way back. */
struct noted { uint32_t dr7, sysenter; };

/* DR7 enables breakpoints in DR0 to DR3, at random, or none. */
static struct noted leave_state(struct probe *p, unsigned state)
{
	struct noted n = { NULL_DR7, 0 };
	set_busy(p, state & BUSY);
	if (state & LDT)
		load_ldt(p);
	if (state & DEBUG)
		n.dr7 |= 1 + random_below(0xFF);
	if (state & SYSENTER)
		n.sysenter = SEL_KCODE + 8 * random_below(4);
	set_debug(p, n.dr7);
	set_sysenter(p, n.sysenter);
	return n;
}

static void want_noted(struct probe *p, struct noted due)
{
	uint32_t dr7 = word_at(&p->g, CPU_AT(p->cpu, NATIVE_DR7));
	uint32_t sysenter = word_at(&p->g, CPU_AT(p->cpu, NATIVE_SYSENTER_CS));
	CHECK(dr7 == due.dr7 && sysenter == due.sysenter,
	      "c->native has DR7 %#x and SYSENTER_CS %#x; the kernel's, which a detach loads "
	      "again, are %#x and %#x", dr7, sysenter, due.dr7, due.sysenter);
}

/* At the first instruction of cpu_install() for this CPU. */
static struct cpu_state enter_install(struct probe *p)
{
	probe_to_install(p);
	return p->g.c;
}

static void install_once(struct probe *p, const struct cpu_state *at, unsigned state)
{
	static struct kept before;
	static unsigned times;
	uint32_t stack = random_word() & ~3u;
	struct noted noted = leave_state(p, state);
	keep(p, &before);
	const char *time = times++ ? text_of("time %u, ", times) : "";
	judge_context = text_of("%sfrom a state with%s%s%s%s", time,
				state & BUSY ? " a busy TSS" : "", state & LDT ? " an LDT" : "",
				state & DEBUG ? " a breakpoint" : "",
				state & SYSENTER ? " SYSENTER in use" : "");
	if (!state)
		judge_context = "from a fresh state";
	probe_again(p, "cpu_install()", at, CPU_BLOCK(p->cpu), stack);
	want_loaded(p, stack);
	want_kept(p, &before);
	want_registers(p);
	want_noted(p, noted);
	judge_context = NULL;
}

/* The first time, at a fresh boot. */
void check_install(const struct test *t)
{
	struct probe *p = probe_enter(t, VMM_INSTALL);
	struct cpu_state at = enter_install(p);
	install_once(p, &at, 0);
}

/*
 * As a second attach finds the machine, and as a kernel may leave its registers: one thing after
 * the other, in random order, and all together.
 */
void check_again(const struct test *t)
{
	struct probe *p = probe_enter(t, VMM_INSTALL);
	struct cpu_state at = enter_install(p);
	unsigned first = random_below(4);
	for (unsigned i = 0; i < 4; i++)
		install_once(p, &at, 1u << (first + i) % 4);
	install_once(p, &at, EVERYTHING);
	install_once(p, &at, EVERYTHING & ~(1u << first));
}

/* --- the TLB --- */

/*
 * Step through cpu_install(). Result: whether CR4.PGE changes there, which is what drops global
 * entries (SDM vol. 3, 4.10.4.1). QEMU drops them too easily to show the difference.
 */
static bool drops_global_entries(struct probe *p)
{
	struct guest *g = &p->g;
	const uint32_t fault = vmm_symbol("exit_entry");
	bool dropped = false;
	uint32_t back = return_address(g), cr0 = g->c.cr0, cr4 = g->c.cr4;
	CHECK(cr4 & CR4_PGE, "CR4 is %#x: the kernel does not use global entries", cr4);
	for (unsigned i = 0; g->c.eip != back && i < MOST_STEPS; i++) {
		step(g, 0);
		look(g, 0);
		CHECK(g->c.eip != fault, "cpu_install(): %s, error %#x, at %s",
		      vector_text(word_at(g, g->c.esp)), word_at(g, g->c.esp + 4),
		      place(word_at(g, g->c.esp + 8))); /* as the stub has pushed them */
		dropped |= g->c.cr4 != cr4;
		CHECK(g->c.eip >= VMM_BASE || g->c.eip == back,
		      "cpu_install() leaves the VMM: it is at %s", place(g->c.eip));
	}
	CHECK(g->c.eip == back,
	      "cpu_install() has not returned after %u instructions; it is at %s", MOST_STEPS,
	      place(g->c.eip));
	CHECK(g->c.cr0 == cr0, "cpu_install() leaves CR0 %#x; before it was %#x", g->c.cr0, cr0);
	CHECK(g->c.cr4 == cr4, "cpu_install() leaves CR4 %#x; before it was %#x", g->c.cr4, cr4);
	return dropped;
}

/* Ring 1 stores to a page that is read-only, to which ring 0 has stored before. It must fault. */
static void want_fault(struct probe *p, uint32_t address, uint32_t pte)
{
	static const uint8_t code[] = { 0x83, 0x0B, 0x00, 0x90 }; /* orl $0, (%ebx); nop */
	struct guest *g = &p->g;
	uint32_t at = plant_in_text(g, code, sizeof(code));
	gdb_set_register(g->m, GDB_EBX, address);
	go(g, at, g->c.esp);
	int stop = PROBE_RUN(p, "a store of ring 1 to a read-only page",
			     vmm_symbol("exit_handle"), at + 3);
	CHECK(stop != 1,
	      "ring 1 stores to its page directory at %#x, although the entry there (%#x) is "
	      "read-only: the TLB still has the old one (exercise 3: flush_local)", address, pte);
	struct saved s = read_saved(p);
	CHECK(SAVED(s, VECTOR) == VEC_PF && SAVED(s, ERROR) == (PF_PRESENT | PF_WRITE),
	      "a store of ring 1 to its page directory at %#x, whose entry %#x is read-only, gives "
	      "vector %u, error %#x, not a page fault with error %#x", address, pte,
	      SAVED(s, VECTOR), SAVED(s, ERROR), PF_PRESENT | PF_WRITE);
}

/*
 * Pages that hold page tables have become read-only in memory. Until the TLB is flushed a writable
 * entry may still be there. One is, because the check lets ring 0 write to such a page before the
 * phase `protect`. What else cpu_install() loads is loaded again by the check.
 */
void check_flush(const struct test *t)
{
	static const uint8_t touch[] = { 0x83, 0x0B, 0x00 }; /* orl $0, (%ebx) */
	struct probe *p = probe_enter(t, VMM_ACCOUNT);
	struct guest *g = &p->g;
	uint32_t home = home_address(g, g->c.cr3 >> PAGE_SHIFT);
	CHECK(page_walk(g->m, g->c.cr3, home).writable,
	      "the page directory's page %#x is not writable before `protect`", home);
	/* struct vmm_loaded: this task's directory, not the kernel's, is accounted and protected */
	set_word(g, word_at(g, g->c.esp + 12) + 4, g->c.cr3 >> PAGE_SHIFT);
	struct cpu_state c = g->c;
	gdb_set_register(g->m, GDB_EBX, home);
	run_here(g, touch, sizeof(touch));
	set_registers(g, &c);
	look(g, 0);
	watch_ends(p, false);
	probe_next_step(p, VMM_INSTALL);
	watch_ends(p, true);
	set_word(g, g->c.esp + 8, p->cpu);
	enter_install(p);
	bool dropped = drops_global_entries(p);
	struct walk w = page_walk(g->m, g->c.cr3, home);
	CHECK(w.present && !w.writable,
	      "after `protect` the page directory's page %#x is still writable: entry %#x", home,
	      w.pte);
	go(g, p->entry.eip, p->entry.esp);
	look(g, 0);
	probe_load(p);
	allow_interrupts(p, false); /* cpu_take() has let them come */
	probe_descend(p);
	want_fault(p, home, w.pte);
	CHECK(dropped,
	      "CR4.PGE does not change in cpu_install(): on hardware, if not on QEMU, global "
	      "entries survive a load of CR3 (exercise 3: flush_local)");
}
