/* SPDX-License-Identifier: MIT */
/*
 * Virtual mode judged from outside on a stopped machine: registers and descriptor tables (V1, V2, V5, V6), the VMM's
 * frame table against our own count (V7), and what must not have changed behind a pair of switches (N2, N3).
 */
#include "judge.h"
#include "vmm_abi.h"

#define LIMIT (VMM_BASE - 1)

static bool in_vmm(const struct segment *s) { return s->base >= VMM_BASE && s->base + s->limit >= s->base; }

static uint64_t read_gate(struct machine *m, uint32_t cr3, uint32_t base, unsigned i)
{
	uint64_t d;
	virtual_read(m, cr3, base + 8 * i, &d, 8);
	return d;
}

static uint32_t descriptor_limit(uint64_t d)
{
	uint32_t limit = (uint32_t)(d & 0xFFFF) | (uint32_t)(d >> 32 & 0xF0000);
	return d >> 55 & 1 ? limit << 12 | 0xFFF : limit;
}

/* V1 and V5 of a table: what ring 1 or 3 can load ends below the VMM; what has DPL 0 they cannot load. */
static void check_gdt(struct machine *m, unsigned cpu, const struct cpu_state *c)
{
	for (unsigned i = 1; i < (c->gdt.limit + 1) / 8; i++) {
		uint64_t d = read_gate(m, c->cr3, c->gdt.base, i);
		unsigned type = d >> 40 & 0x1F, dpl = d >> 45 & 3;
		uint32_t base = (uint32_t)(d >> 16 & 0xFFFFFF) | (uint32_t)(d >> 56) << 24;
		if (!(d >> 47 & 1))
			continue;
		CHECK((type & 0x10) || type == 9 || type == 11, "CPU %u: GDT entry %u is a gate or an LDT: %#llx", cpu, i,
		      (unsigned long long)d);
		CHECK((type & 0x1C) != 0x1C, "CPU %u: GDT entry %u is conforming code: %#llx", cpu, i, (unsigned long long)d);
		CHECK(!(type & 0x10) || type & 1, "CPU %u: GDT entry %u has accessed bit 0: %#llx", cpu, i, (unsigned long long)d);
		if (dpl > 0)
			CHECK(base == 0 && descriptor_limit(d) == LIMIT, "CPU %u: GDT entry %u, DPL %u, has base %#x and limit %#x (V5)",
			      cpu, i, dpl, base, descriptor_limit(d));
		else
			CHECK(i > 4, "CPU %u: GDT entry %u, the kernel's or a program's, has DPL 0 (V1)", cpu, i);
	}
}

/* Gates lead into the VMM, or by a trap gate to the kernel in ring 1. */
static void check_idt(struct machine *m, unsigned cpu, const struct cpu_state *c)
{
	CHECK(c->idt.limit == 0x7FF, "CPU %u: IDT limit %#x", cpu, c->idt.limit);
	for (unsigned v = 0; v < 256; v++) {
		uint64_t d = read_gate(m, c->cr3, c->idt.base, v);
		unsigned type = d >> 40 & 0x1F, dpl = d >> 45 & 3, selector = d >> 16 & 0xFFFF;
		uint32_t offset = (uint32_t)(d & 0xFFFF) | (uint32_t)(d >> 48) << 16;
		if (!(d >> 47 & 1))
			continue;
		if (selector == 9)
			CHECK(type == 0xF && offset >= symbol("image_start") && offset < symbol("readonly_end"),
			      "CPU %u: vector %u leads to ring 1 by gate type %#x at %#x: only trap gates may", cpu, v, type, offset);
		else
			CHECK((type == 0xE && selector == 0x38 && offset >= VMM_BASE) || (type == 5 && v == 8),
			      "CPU %u: vector %u has type %#x, selector %#x, offset %#x", cpu, v, type, selector, offset);
		CHECK(dpl != 3 || selector == 9, "CPU %u: programs can call the VMM by vector %u", cpu, v);
		CHECK(dpl != 1 || v == HYPERCALL_VECTOR, "CPU %u: vector %u has DPL 1", cpu, v);
	}
}

void check_cpu_virtual(struct machine *m, unsigned i, const struct cpu_state *c)
{
	const struct segment *const loaded[] = { &c->cs, &c->ss, &c->ds, &c->es, &c->fs, &c->gs };
	CHECK(c->cpl != 2, "CPU %u: CPL 2", i);
	CHECK(c->cpl != 0 || c->eip >= VMM_BASE, "CPU %u: ring 0 at %#x, outside of the VMM (V1)", i, c->eip);
	CHECK(c->cpl != 1 || (c->cs.selector == 9 && c->ss.selector == 0x11 && c->eip < VMM_BASE && c->eip >= KERNEL_BASE),
	      "CPU %u: ring 1 with CS %#x, SS %#x, EIP %#x", i, c->cs.selector, c->ss.selector, c->eip);
	CHECK(c->cpl == 0 || c->eflags & 0x200, "CPU %u: the real interrupt flag is 0 in ring %u", i, c->cpl);
	CHECK((c->eflags & 0x3000) == 0, "CPU %u: IOPL is not 0 (V6)", i);
	CHECK((c->cr0 & 0x80010001) == 0x80010001, "CPU %u: CR0 is %#x (V6)", i, c->cr0);
	CHECK(in_vmm(&c->gdt) && in_vmm(&c->idt) && in_vmm(&c->tr), "CPU %u: GDT %#x, IDT %#x, TSS %#x (V2)", i, c->gdt.base,
	      c->idt.base, c->tr.base);
	CHECK((c->ldt.selector & ~3u) == 0, "CPU %u: LDT %#x", i, c->ldt.selector);
	for (unsigned s = 0; c->cpl && s < 6; s++)
		CHECK((loaded[s]->selector & ~3u) == 0 || (loaded[s]->base == 0 && loaded[s]->limit == LIMIT),
		      "CPU %u: segment register %u (%#x) has limit %#x (V5)", i, s, loaded[s]->selector, loaded[s]->limit);
	check_gdt(m, i, c);
	check_idt(m, i, c);
}

/* --- V7: the frame table, counted again --- */

struct frame { uint32_t home, generation, use, next; };

static uint32_t vmm_word(struct machine *m, uint32_t cr3, const char *name)
{
	uint32_t word;
	virtual_read(m, cr3, vmm_symbol(name), &word, 4);
	return word;
}

void check_frame_table(struct machine *m)
{
	struct cpu_state cpus[CPUS_MAX];
	unsigned n = machine_state(m, cpus);
	uint32_t cr3 = cpus[0].cr3, nr = kernel_word(m, "nr_mfns"), generation = vmm_word(m, cr3, "generation"), table[1024];
	CHECK(nr <= ALL_FRAMES, "nr_mfns is %u", nr);
	struct frame *frames = malloc(nr * sizeof(*frames));
	uint32_t *count = calloc(ALL_FRAMES, sizeof(*count));
	virtual_read(m, cr3, vmm_word(m, cr3, "frames"), frames, nr * sizeof(*frames));
	for (unsigned i = 0; i < n; i++)
		count[cpus[i].cr3 >> 12]++;
	for (uint32_t mfn = 0; mfn < nr; mfn++) {
		unsigned type = frames[mfn].use >> 28;
		if (frames[mfn].generation != generation || type == 0)
			continue;
		physical_read(m, mfn << 12, table, sizeof(table));
		for (unsigned i = 0; i < (type == 1 ? 1024 : KERNEL_BASE >> 22); i++)
			if (table[i] & 1 && table[i] >> 12 < nr && (type == 2 || table[i] & 2))
				count[table[i] >> 12]++;
	}
	for (uint32_t mfn = 0; mfn < nr; mfn++) {
		unsigned type = frames[mfn].use >> 28;
		if (frames[mfn].generation != generation)
			continue;
		uint32_t wanted = count[mfn] + (type == 0 ? frames[mfn].home >> 4 & 0xFF : 0);
		CHECK((frames[mfn].use & 0xFFFFFFF) == wanted, "frame %#x: type %u, count %u, but there are %u (V7)", mfn, type,
		      frames[mfn].use & 0xFFFFFFF, wanted);
	}
	free(frames), free(count);
}

/* No CPU in the VMM: between exits, when the frame table is at rest. */
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

char *fingerprint(struct machine *m, char *text, size_t size)
{
	struct cpu_state cpus[CPUS_MAX];
	unsigned n = machine_state(m, cpus);
	size_t at = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct cpu_state *c = &cpus[i];
		uint64_t tables[7];
		virtual_read(m, c->cr3, c->gdt.base, tables, sizeof(tables));
		at += (size_t)snprintf(text + at, size - at, "cr0 %x cr4 %x gdt %x/%x idt %x/%x tr %x/%x ldt %x:", c->cr0 & ~8u,
				       c->cr4, c->gdt.base, c->gdt.limit, c->idt.base, c->idt.limit, c->tr.base, c->tr.limit,
				       c->ldt.selector);
		for (unsigned k = 0; k < 7; k++)
			at += (size_t)snprintf(text + at, size - at, " %llx", (unsigned long long)tables[k]);
		at += (size_t)snprintf(text + at, size - at, "\n");
	}
	uint32_t sum = 0, idt[512], words[1024];
	virtual_read(m, cpus[0].cr3, cpus[0].idt.base, idt, sizeof(idt));
	for (unsigned i = 0; i < 512; i++)
		sum = sum * 31 + idt[i];
	at += (size_t)snprintf(text + at, size - at, "idt sum %x\n", sum);
	sum = 0;
	for (uint32_t a = symbol("image_start"); a < symbol("readonly_end"); a += sizeof(words)) {
		virtual_read(m, cpus[0].cr3, a, words, sizeof(words));
		for (unsigned i = 0; i < 1024; i++)
			sum = sum * 31 + words[i];
	}
	at += (size_t)snprintf(text + at, size - at, "text sum %x\n", sum);
	if (!m->o.bochs) { /* masks and timers of the interrupt controllers */
		for (unsigned i = 0; i < n; i++) {
			char command[32];
			snprintf(command, sizeof(command), "info lapic %u", i);
			char *lapic = qmp_human(m, command), *line = strstr(lapic, "LVT0"), *end = strstr(lapic, " current_count");
			CHECK(line && end, "QEMU shows no local APIC %u", i);
			at += (size_t)snprintf(text + at, size - at, "%.*s\n", (int)(end - line), line);
			free(lapic);
		}
		char *pic = qmp_human(m, "info pic"), *pins = strstr(pic, "pin");
		at += (size_t)snprintf(text + at, size - at, "%.*s", pins ? (int)strcspn(pins, "I") : 0, pins ? pins : "");
		free(pic);
	}
	return text;
}

uint32_t dormant_sum(struct machine *m)
{
	struct cpu_state cpus[CPUS_MAX];
	uint32_t words[1024], sum = 0, end = vmm_symbol("vmm_image_end");
	machine_state(m, cpus);
	for (uint32_t a = VMM_BASE; a < end; a += sizeof(words)) {
		virtual_read(m, cpus[0].cr3, a, words, sizeof(words));
		for (unsigned i = 0; i < 1024; i++)
			sum = sum * 31 + words[i];
	}
	return sum;
}
