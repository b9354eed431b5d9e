/* SPDX-License-Identifier: MIT */
/*
 * The invariants of a mode, judged from outside on a stopped machine: the CPUs' registers and
 * tables (native mode here, N1; virtual mode in invariants_virtual.c), p2m and m2p, and every
 * mapping that the loaded page directories hold (mappings.c). Nothing here believes what the guest
 * prints.
 */
#include "invariants.h"

enum { IDT_LIMIT = 8 * 256 - 1 };
#define CR0_NEEDED (CR0_PG | CR0_WP | CR0_PE)
#define CR4_ALLOWED ((uint32_t)(CR4_PSE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT))

static bool in_image(uint32_t base, uint32_t limit)
{
	return base >= symbol("image_start") && base + limit >= base &&
	       base + limit < symbol("image_end");
}

/* Where a CPU in native mode may be: the kernel's text in ring 0, programs in ring 3. */
static void check_place_native(unsigned i, const struct cpu_state *c)
{
	CHECK(c->cpl == 0 || c->cpl == 3, "CPU %u: CPL %u in native mode", i, c->cpl);
	CHECK(c->cs.selector == (c->cpl ? SEL_UCODE : SEL_KCODE), "CPU %u: CS is %#x at CPL %u", i,
	      c->cs.selector, c->cpl);
	CHECK((c->ss.selector & 3) == c->cpl, "CPU %u: SS is %#x at CPL %u", i, c->ss.selector,
	      c->cpl);
	CHECK(c->cpl == 3 || (c->eip >= symbol("image_start") && c->eip < symbol("readonly_end")),
	      "CPU %u runs at ring 0 outside the kernel's text: EIP %#x", i, c->eip);
	CHECK(c->cpl == 0 || c->eip < KERNEL_BASE, "CPU %u: a program runs at %#x", i, c->eip);
	CHECK(c->cpl == 0 || (c->eflags & EFLAGS_IF),
	      "CPU %u: a program runs with interrupts off", i);
}

static void check_cpu_native(unsigned i, const struct cpu_state *c)
{
	check_place_native(i, c);
	CHECK((c->eflags & EFLAGS_IOPL) == 0, "CPU %u: IOPL is not 0: EFLAGS %#x", i, c->eflags);
	CHECK((c->cr0 & CR0_NEEDED) == CR0_NEEDED, "CPU %u: CR0 %#x lacks PG, WP or PE", i, c->cr0);
	CHECK((c->cr4 & ~CR4_ALLOWED) == 0, "CPU %u: CR4 %#x has what the kernel does not set", i,
	      c->cr4);
	CHECK(in_image(c->gdt.base, c->gdt.limit), "CPU %u: GDT at %#x is outside the kernel", i,
	      c->gdt.base);
	CHECK(in_image(c->idt.base, c->idt.limit), "CPU %u: IDT at %#x is outside the kernel", i,
	      c->idt.base);
	CHECK(c->idt.limit == IDT_LIMIT, "CPU %u: IDT limit %#x", i, c->idt.limit);
	CHECK(c->tr.selector == SEL_TSS && in_image(c->tr.base, sizeof(struct tss) - 1),
	      "CPU %u: TR %#x at %#x", i, c->tr.selector, c->tr.base);
	CHECK(c->ldt.selector == 0, "CPU %u: an LDT is loaded: %#x", i, c->ldt.selector);
}

/* Each CPU has its own TSS: the hardware writes there. */
static void check_apart(const struct cpu_state *cpus, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < i; k++)
			CHECK(cpus[i].tr.base != cpus[k].tr.base,
			      "CPUs %u and %u share a TSS at %#x", k, i, cpus[i].tr.base);
}

/* Mark a loaded directory and the tables of its lower half. */
static void mark_loaded(struct translation *t, uint32_t cr3, const uint32_t directory[1024])
{
	t->table[cr3 >> PAGE_SHIFT] = true;
	mark_tables(t, directory, 0, KERNEL_SLOT);
}

/* The directory that a CPU has loaded: its upper half is the kernel's, its lower a program's. */
static void check_loaded(struct machine *m, struct translation *t, unsigned i,
			 const struct cpu_state *c, const uint32_t kernel[1024])
{
	uint32_t directory[1024];
	physical_read(m, c->cr3 & PAGE_MASK, directory, sizeof(directory));
	for (uint32_t slot = KERNEL_SLOT; slot < 1024; slot++)
		CHECK(((directory[slot] ^ kernel[slot]) & ~(uint32_t)(PTE_A | PTE_D)) == 0,
		      "CPU %u: directory slot %#x is %#x, the kernel's %#x", i, slot,
		      directory[slot], kernel[slot]);
	mark_loaded(t, c->cr3, directory);
	check_user_half(m, directory, t);
}

void check_mode(struct machine *m, bool virtual_mode)
{
	struct cpu_state cpus[CPUS_MAX];
	unsigned n = machine_state(m, cpus);
	uint32_t kernel[1024], directory[1024], cr3 = cpus[0].cr3;
	uint32_t kernel_directory = kernel_word(m, "kernel_directory");
	CHECK(n == m->o.cpus && kernel_word(m, "nr_cpus") == n,
	      "%u CPUs, the kernel has %u, asked for %u", n, kernel_word(m, "nr_cpus"), m->o.cpus);
	struct translation t = translation_read(m, cr3, virtual_mode);
	check_translation(m, &t);
	for (unsigned i = 0; i < n; i++) /* first: a CPU in the wrong mode explains the rest */
		if (virtual_mode)
			check_cpu_virtual(m, i, &cpus[i]);
		else
			check_cpu_native(i, &cpus[i]);
	virtual_read(m, cr3, kernel_directory, kernel, sizeof(kernel));
	mark_tables(&t, kernel, KERNEL_SLOT, VMM_SLOT);
	t.table[page_walk(m, cr3, kernel_directory).machine >> PAGE_SHIFT] = true;
	/* In virtual mode a loaded directory is read-only, with all its tables. */
	for (unsigned i = 0; i < n && virtual_mode; i++) {
		physical_read(m, cpus[i].cr3 & PAGE_MASK, directory, sizeof(directory));
		mark_loaded(&t, cpus[i].cr3, directory);
	}
	check_kernel_half(m, kernel, &t);
	check_apart(cpus, n);
	for (unsigned i = 0; i < n; i++)
		check_loaded(m, &t, i, &cpus[i], kernel);
	translation_free(&t);
}

void check_native(struct machine *m)
{
	check_mode(m, false);
}
