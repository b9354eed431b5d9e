/* SPDX-License-Identifier: MIT */
/* Exercises 1 and 2: the tables that warm-up leaves in memory, entry by entry. */
#include "checks.h"

enum { TSS_AVAILABLE = 9, TSS_BUSY = 11 };

struct segment_fields segment_of(uint64_t d)
{
	uint32_t base = (uint32_t)(d >> 16 & 0xFFFFFF) | (uint32_t)(d >> 56) << 24;
	uint32_t limit = (uint32_t)(d & 0xFFFF) | (uint32_t)(d >> 32 & 0xF0000);
	bool pages = d >> 55 & 1;
	if (pages)
		limit = limit << 12 | 0xFFF;
	return (struct segment_fields){ .present = d >> 47 & 1, .type = d >> 40 & 0x1F,
					.dpl = d >> 45 & 3, .big = d >> 54 & 1, .base = base,
					.last = base + limit };
}

uint64_t read_descriptor(struct probe *p, unsigned selector)
{
	uint64_t d;
	virtual_read(p->g.m, p->g.c.cr3, CPU_AT(GDT) + (selector & ~7u), &d, 8);
	return d;
}

/* In words. The text lives until the next but one. */
static const char *described(struct segment_fields s)
{
	static const char *const kinds[] = { "data", "data", "code", "conforming code" };
	static char texts[2][160];
	static unsigned n;
	char *text = texts[n++ % 2];
	const char *kind = s.type & 0x10		? kinds[s.type >> 2 & 3]
			   : s.type == TSS_AVAILABLE	? "available TSS"
			   : s.type == TSS_BUSY		? "busy TSS"
							: "system segment or gate";
	snprintf(text, sizeof(texts[0]),
		 "%s, type %#x (accessed bit %u), DPL %u, first byte %#x, last byte %#x%s", kind,
		 s.type, s.type & 1, s.dpl, s.base, s.last, s.big ? ", 32-bit" : "");
	return s.present ? text : "not present";
}

/* Stop where an exercise's part of warm-up is done, whatever comes after it. */
static struct probe *warm(const struct test *t, uint32_t address, const char *why)
{
	struct probe *p = probe_enter(t, VMM_WARM_UP);
	probe_arrive(p, address, "%s", why);
	return p;
}

/* --- exercise 1 --- */

static bool same_segment(struct segment_fields a, struct segment_fields b)
{
	if (a.present != b.present || !a.present)
		return a.present == b.present;
	return a.type == b.type && a.dpl == b.dpl && a.big == b.big && a.base == b.base &&
	       a.last == b.last;
}

static struct probe *warm_cpus(const struct test *t)
{
	struct probe *p = warm(t, vmm_symbol("cpus_warm_up"), "warm-up fills the CPUs' tables");
	probe_arrive(p, return_address(&p->g),
		     "warm-up is done with the CPUs' tables (exercise 1)");
	return p;
}

void check_gdt(const struct test *t)
{
	const uint32_t below = VMM_BASE - 1, all = 0xFFFFFFFF;
	const uint32_t tss = CPU_AT(TSS), df_tss = CPU_AT(DF_TSS);
	const uint32_t tss_last = sizeof(struct tss) - 1;
	const struct { const char *name; struct segment_fields s; } wanted[VMM_GDT_ENTRIES] = {
		{ "null", { 0 } },
		{ "SEL_KCODE", { true, SEG_CODE, 1, 1, 0, below } },
		{ "SEL_KDATA", { true, SEG_DATA, 1, 1, 0, below } },
		{ "SEL_UCODE", { true, SEG_CODE, 3, 1, 0, below } },
		{ "SEL_UDATA", { true, SEG_DATA, 3, 1, 0, below } },
		{ "SEL_TSS", { true, TSS_AVAILABLE, 0, 0, tss, tss + tss_last } },
		{ "SEL_DF_TSS", { true, TSS_AVAILABLE, 0, 0, df_tss, df_tss + tss_last } },
		{ "SEL_VMM_CODE", { true, SEG_CODE, 0, 1, 0, all } },
		{ "SEL_VMM_DATA", { true, SEG_DATA, 0, 1, 0, all } },
	};
	struct probe *p = warm_cpus(t);
	for (unsigned i = 0; i < VMM_GDT_ENTRIES; i++) {
		uint64_t d = read_descriptor(p, 8 * i);
		struct segment_fields s = segment_of(d), w = wanted[i].s;
		CHECK(same_segment(s, w),
		      "GDT entry %u (%s), at %#x, is %#llx,\n  that is %s,\n  not     %s", i,
		      wanted[i].name, CPU_AT(GDT) + 8 * i, (unsigned long long)d, described(s),
		      described(w));
	}
}

void check_tss(const struct test *t)
{
	struct tss s;
	struct probe *p = warm_cpus(t);
	virtual_read(p->g.m, p->g.c.cr3, CPU_AT(TSS), &s, sizeof(s));
	uint32_t end = vmm_symbol("vmm_cpus") + CPU_BYTES;
	CHECK(s.ss0 == SEL_VMM_DATA && s.esp0 == end,
	      "TSS: entries to ring 0 begin at %#x:%#x, not at %#x:%#x, the "
	      "end of this CPU's stack",
	      s.ss0, s.esp0, SEL_VMM_DATA, end);
	CHECK(s.ss1 == (SEL_KDATA | 1),
	      "TSS: ss1 is %#x, not %#x: the CPU wants RPL and DPL of a ring's stack segment to be "
	      "that ring", s.ss1, SEL_KDATA | 1);
	CHECK(s.iomap >= sizeof(s),
	      "TSS: the I/O bitmap's base is %#x, within the segment (its last byte is %#zx): what "
	      "follows grants ports", s.iomap, sizeof(s) - 1);
	CHECK(s.link == 0, "TSS: the back link is %#x, not 0: an IRET with NT set would go there",
	      s.link);
}

/* --- exercise 2 --- */

/* Whether the vector's gate leads past the VMM, to the kernel. */
static bool is_direct(unsigned v)
{
	static const uint8_t direct[] = {
		VEC_BP, VEC_OF, VEC_UD, VEC_NM, VEC_MF, VEC_XM, SYSCALL_VECTOR,
	};
	return memchr(direct, (int)v, sizeof(direct)) != NULL;
}

static unsigned direct_dpl(unsigned v)
{
	return v == VEC_BP || v == VEC_OF || v == SYSCALL_VECTOR ? 3 : 0;
}

struct gate_fields { bool present; unsigned selector, type, dpl; uint32_t offset; };

static struct gate_fields gate_of(uint64_t d)
{
	return (struct gate_fields){ .present = d >> 47 & 1,
				     .selector = d >> 16 & 0xFFFC, /* the CPU ignores the RPL */
				     .type = d >> 40 & 0x1F,
				     .dpl = d >> 45 & 3,
				     .offset = (uint32_t)(d & 0xFFFF) | (uint32_t)(d >> 48) << 16 };
}

static void want_gate(unsigned v, struct gate_fields g, struct gate_fields w)
{
	CHECK(g.present == w.present, "vector %#x: its gate is %s", v,
	      g.present ? "present, but it has no handler" : "missing");
	if (!g.present)
		return;
	CHECK(g.type == w.type || w.type != GATE_TRAP,
	      "vector %#x leads to ring 1 by a gate of type %#x: through an interrupt gate the "
	      "real IF becomes 0, and ring 1 cannot set it", v, g.type);
	CHECK(g.type == w.type,
	      "vector %#x has a gate of type %#x, not %#x: the VMM runs with interrupts off", v,
	      g.type, w.type);
	CHECK(g.dpl == w.dpl,
	      "vector %#x: its gate has DPL %u, not %u: the DPL says from "
	      "which rings INT may raise it",
	      v, g.dpl, w.dpl);
	CHECK(g.selector == w.selector && (v == VEC_DF || g.offset == w.offset),
	      "vector %#x: its gate leads to %#x:%#x, not %#x:%#x (RPL aside)", v, g.selector,
	      g.offset, w.selector, w.offset);
}

static struct gate_fields wanted_gate(unsigned selector, unsigned type, unsigned dpl,
				      uint32_t offset)
{
	return (struct gate_fields){ true, selector, type, dpl, offset };
}

void check_idt(const struct test *t)
{
	uint64_t idt[256];
	struct gate_fields wanted[256] = { 0 };
	uint32_t stub[2]; /* vector, address */
	struct probe *p = warm(t, symbol("files_init_console"),
			       "the kernel goes on after warm-up (exercise 2)");
	struct guest *g = &p->g;
	virtual_read(g->m, g->c.cr3, vmm_symbol("vmm_idt"), idt, sizeof(idt));
	for (unsigned i = 0, n = vmm_word(g, "vmm_stubs_count"); i < n && i < 256; i++) {
		virtual_read(g->m, g->c.cr3, vmm_symbol("vmm_stubs") + 8 * i, stub, sizeof(stub));
		wanted[stub[0] & 0xFF] = wanted_gate(SEL_VMM_CODE, GATE_INTERRUPT, 0, stub[1]);
	}
	wanted[VEC_DF] = wanted_gate(SEL_DF_TSS, GATE_TASK, 0, 0);
	wanted[HYPERCALL_VECTOR] =
		wanted_gate(SEL_VMM_CODE, GATE_INTERRUPT, 1, vmm_symbol("hypercall_entry"));
	for (unsigned v = 0; v < 256; v++) {
		if (is_direct(v))
			wanted[v] = wanted_gate(SEL_KCODE, GATE_TRAP, direct_dpl(v),
						p->handlers[v]);
		want_gate(v, gate_of(idt[v]), wanted[v]);
	}
}
