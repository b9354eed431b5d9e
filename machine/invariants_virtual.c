/* SPDX-License-Identifier: MIT */
/*
 * Virtual mode judged from outside on a stopped machine: registers and descriptor tables (V1, V2,
 * V5, V6), and the VMM's frame table against a recount of our own (V7).
 */
#include "invariants.h"
#include "offsets.h"
#include "vmm_abi.h"

#define LIMIT (VMM_BASE - 1)
#define CR0_NEEDED (CR0_PG | CR0_WP | CR0_PE)
enum { IDT_LIMIT = 8 * 256 - 1 };
/* In ring 1 the kernel has the selectors of native mode with RPL 1. */
enum { SEL_RING1_CODE = SEL_KCODE | 1, SEL_RING1_DATA = SEL_KDATA | 1 };

/* --- descriptors and gates (SDM vol. 3, 3.4.5, 6.11) --- */

enum { TYPE_SYSTEM_MAX = 0xF, TYPE_TSS = 9, TYPE_TSS_BUSY = 11, TYPE_CONFORMING = 0x1C };

struct descriptor { bool present; unsigned type, dpl; uint32_t base, limit; };

static uint64_t read_entry(struct machine *m, uint32_t cr3, uint32_t table, unsigned i)
{
	uint64_t d;
	virtual_read(m, cr3, table + 8 * i, &d, 8);
	return d;
}

/* type has the S bit in bit 4. */
static struct descriptor descriptor(uint64_t d)
{
	struct descriptor r = {
		.present = d >> 47 & 1, .type = d >> 40 & 0x1F, .dpl = d >> 45 & 3,
		.base = (uint32_t)(d >> 16 & 0xFFFFFF) | (uint32_t)(d >> 56) << 24,
		.limit = (uint32_t)(d & 0xFFFF) | (uint32_t)(d >> 32 & 0xF0000),
	};
	if (d >> 55 & 1)
		r.limit = r.limit << PAGE_SHIFT | 0xFFF;
	return r;
}

/* V1 and V5: what ring 1 or 3 can load ends below the VMM; all else has DPL 0. */
static void check_gdt(struct machine *m, unsigned cpu, const struct cpu_state *c)
{
	for (unsigned i = 1; i < (c->gdt.limit + 1) / 8; i++) {
		uint64_t entry = read_entry(m, c->cr3, c->gdt.base, i);
		unsigned long long shown = entry;
		struct descriptor d = descriptor(entry);
		if (!d.present)
			continue;
		CHECK(d.type > TYPE_SYSTEM_MAX || d.type == TYPE_TSS || d.type == TYPE_TSS_BUSY,
		      "CPU %u: GDT entry %u is a gate or an LDT: %#llx", cpu, i, shown);
		CHECK((d.type & TYPE_CONFORMING) != TYPE_CONFORMING,
		      "CPU %u: GDT entry %u is conforming code: %#llx", cpu, i, shown);
		CHECK(d.type <= TYPE_SYSTEM_MAX || d.type & 1,
		      "CPU %u: GDT entry %u has accessed bit 0: %#llx", cpu, i, shown);
		if (d.dpl > 0)
			CHECK(d.base == 0 && d.limit == LIMIT,
			      "CPU %u: GDT entry %u, DPL %u, has base %#x and limit %#x (V5)",
			      cpu, i, d.dpl, d.base, d.limit);
		else
			CHECK(i > SEL_UDATA >> 3,
			      "CPU %u: GDT entry %u, the kernel's or a program's, has DPL 0 (V1)",
			      cpu, i);
	}
}

/* A gate leads into the VMM; or, if it is a trap gate, to the kernel in ring 1. */
static void check_gate(unsigned cpu, unsigned v, uint64_t gate)
{
	unsigned type = gate >> 40 & 0x1F, dpl = gate >> 45 & 3, selector = gate >> 16 & 0xFFFF;
	uint32_t offset = (uint32_t)(gate & 0xFFFF) | (uint32_t)(gate >> 48) << 16;
	bool to_kernel = (selector & ~3u) == SEL_KCODE; /* the CPU ignores the RPL */
	bool to_vmm = type == GATE_INTERRUPT && (selector & ~3u) == SEL_VMM_CODE &&
		      offset >= VMM_BASE;
	bool double_fault = type == GATE_TASK && v == VEC_DF;
	if (!(gate >> 47 & 1))
		return;
	if (to_kernel)
		CHECK(type == GATE_TRAP && offset >= symbol("image_start") &&
		      offset < symbol("readonly_end"),
		      "CPU %u: vector %u leads to ring 1 by gate type %#x at %#x: "
		      "only trap gates may", cpu, v, type, offset);
	else
		CHECK(to_vmm || double_fault,
		      "CPU %u: vector %u has type %#x, selector %#x, offset %#x", cpu, v, type,
		      selector, offset);
	CHECK(dpl != 3 || to_kernel, "CPU %u: programs can call the VMM by vector %u", cpu, v);
	CHECK(dpl != 1 || v == HYPERCALL_VECTOR, "CPU %u: vector %u has DPL 1", cpu, v);
}

static void check_idt(struct machine *m, unsigned cpu, const struct cpu_state *c)
{
	CHECK(c->idt.limit == IDT_LIMIT, "CPU %u: IDT limit %#x", cpu, c->idt.limit);
	for (unsigned v = 0; v < 256; v++)
		check_gate(cpu, v, read_entry(m, c->cr3, c->idt.base, v));
}

/* --- a CPU --- */

static bool in_vmm(const struct segment *s)
{
	return s->base >= VMM_BASE && s->base + s->limit >= s->base;
}

/* Where a CPU may be: the VMM in ring 0, the kernel in ring 1, a program in ring 3. */
static void check_place(unsigned i, const struct cpu_state *c)
{
	bool ring1 = c->cs.selector == SEL_RING1_CODE && c->ss.selector == SEL_RING1_DATA &&
		     c->eip < VMM_BASE && c->eip >= KERNEL_BASE;
	CHECK(c->cpl != 2, "CPU %u: CPL 2", i);
	CHECK(c->cpl != 0 || c->eip >= VMM_BASE, "CPU %u: ring 0 at %#x, outside of the VMM (V1)",
	      i, c->eip);
	CHECK(c->cpl != 1 || ring1, "CPU %u: ring 1 with CS %#x, SS %#x, EIP %#x", i,
	      c->cs.selector, c->ss.selector, c->eip);
	CHECK(c->cpl == 0 || c->eflags & EFLAGS_IF,
	      "CPU %u: the real interrupt flag is 0 in ring %u", i, c->cpl);
}

void check_cpu_virtual(struct machine *m, unsigned i, const struct cpu_state *c)
{
	const struct segment *const loaded[] = { &c->cs, &c->ss, &c->ds, &c->es, &c->fs, &c->gs };
	static const char names[][3] = { "CS", "SS", "DS", "ES", "FS", "GS" };
	check_place(i, c);
	CHECK((c->eflags & EFLAGS_IOPL) == 0, "CPU %u: IOPL is not 0 (V6)", i);
	CHECK((c->cr0 & CR0_NEEDED) == CR0_NEEDED, "CPU %u: CR0 is %#x (V6)", i, c->cr0);
	CHECK(in_vmm(&c->gdt) && in_vmm(&c->idt) && in_vmm(&c->tr),
	      "CPU %u: GDT %#x, IDT %#x, TSS %#x (V2)", i, c->gdt.base, c->idt.base, c->tr.base);
	CHECK((c->ldt.selector & ~3u) == 0, "CPU %u: LDT %#x", i, c->ldt.selector);
	for (unsigned s = 0; c->cpl && s < 6; s++)
		CHECK((loaded[s]->selector & ~3u) == 0 ||
		      (loaded[s]->base == 0 && loaded[s]->limit == LIMIT),
		      "CPU %u: %s, %#x, has base %#x and limit %#x, not 0 and %#x (V5)", i,
		      names[s], loaded[s]->selector, loaded[s]->base, loaded[s]->limit, LIMIT);
	check_gdt(m, i, c);
	check_idt(m, i, c);
}

/* --- V7: the frame table, counted again --- */

/* Add to each frame's count what one page table or directory refers to. */
static void count_entries(struct machine *m, uint32_t mfn, enum frame_type type, uint32_t nr_mfns,
			  uint32_t *count)
{
	uint32_t entries[1024], needed = type == FRAME_TABLE ? PTE_P | PTE_W : PTE_P;
	physical_read(m, mfn << PAGE_SHIFT, entries, sizeof(entries));
	for (unsigned i = 0; i < (type == FRAME_TABLE ? 1024 : KERNEL_SLOT); i++)
		if ((entries[i] & needed) == needed && entries[i] >> PAGE_SHIFT < nr_mfns)
			count[entries[i] >> PAGE_SHIFT]++;
}

void check_frame_table(struct machine *m)
{
	struct cpu_state cpus[CPUS_MAX];
	unsigned n = machine_state(m, cpus);
	uint32_t nr = frame_table_entries(m, cpus[0].cr3);
	CHECK(nr <= ALL_FRAMES, "the VMM has %u frames", nr);
	struct frame_state *frames = frame_table_read(m, cpus[0].cr3, nr);
	uint32_t *count = calloc(ALL_FRAMES, sizeof(*count));
	for (unsigned i = 0; i < n; i++)
		count[cpus[i].cr3 >> PAGE_SHIFT]++;
	for (uint32_t mfn = 0; mfn < nr; mfn++)
		if (frames[mfn].validity == FRAME_CURRENT && frames[mfn].type != FRAME_WRITABLE)
			count_entries(m, mfn, frames[mfn].type, nr, count);
	for (uint32_t mfn = 0; mfn < nr; mfn++) {
		const struct frame_state *f = &frames[mfn];
		uint32_t base = f->type == FRAME_WRITABLE ? f->shared_mappings : 0;
		CHECK(f->validity != FRAME_CURRENT || f->count == count[mfn] + base,
		      "frame %#x: type %u, count %u, but there are %u (V7)", mfn, f->type, f->count,
		      count[mfn] + base);
	}
	free(frames), free(count);
}

/* Whether no CPU is in the VMM: then the frame table is complete. */
static bool at_rest(struct machine *m)
{
	struct cpu_state cpus[CPUS_MAX];
	unsigned n = machine_state(m, cpus);
	for (unsigned i = 0; i < n; i++)
		if (cpus[i].cpl == 0 && !cpus[i].halted)
			return false;
	return true;
}

void check_whole(struct machine *m)
{
	check_mode(m, true);
	if (at_rest(m))
		check_frame_table(m);
}
