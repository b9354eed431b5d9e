/* SPDX-License-Identifier: MIT */
/* Exercises 1 and 2: the tables that warm-up leaves in memory, entry by entry. */
#include "checks.h"

enum { TSS_AVAILABLE = 9, TSS_BUSY = 11, RING_1_DATA = SEL_KDATA + 1 };

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

uint64_t read_descriptor(struct probe *p, unsigned cpu, unsigned selector)
{
	uint64_t d;
	virtual_read(p->g.m, p->g.c.cr3, CPU_AT(cpu, GDT) + (selector & ~7u), &d, 8);
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
	const char *bit_0 = s.type & 1 ? " (accessed)" : " (not accessed)";
	const char *accessed = s.type & 0x10 ? bit_0 : "";
	snprintf(text, sizeof(texts[0]),
		 "%s, type %#x%s, DPL %u, first byte %#x, last byte %#x%s", kind, s.type, accessed,
		 s.dpl, s.base, s.last, s.big ? ", 32-bit" : "");
	return s.present ? text : "not present";
}

/* --- exercise 1 --- */

static bool same_segment(struct segment_fields a, struct segment_fields b)
{
	if (a.present != b.present || !a.present)
		return a.present == b.present;
	return a.type == b.type && a.dpl == b.dpl && a.big == b.big && a.base == b.base &&
	       a.last == b.last;
}

static const char *const entry_names[VMM_GDT_ENTRIES] = {
	"null", "SEL_KCODE", "SEL_KDATA", "SEL_UCODE", "SEL_UDATA", "SEL_TSS", "SEL_DF_TSS",
	"SEL_VMM_CODE", "SEL_VMM_DATA",
};

/* The descriptor with these fields: the opposite of segment_of(). */
static uint64_t descriptor_of(struct segment_fields s)
{
	uint32_t length = s.last - s.base, limit = s.big ? length >> PAGE_SHIFT : length;
	uint64_t d = DESCRIPTOR(s.base, limit, s.type, s.dpl);
	return !s.present ? 0 : s.big ? d : d & ~((uint64_t)0xC << 52);
}

/* The table of the handout. */
void right_gdt(unsigned cpu, uint64_t gdt[VMM_GDT_ENTRIES])
{
	const uint32_t below = VMM_BASE - 1, all = 0xFFFFFFFF, tss_last = sizeof(struct tss) - 1;
	const uint32_t tss = CPU_AT(cpu, TSS), df_tss = CPU_AT(cpu, DF_TSS);
	const struct segment_fields right[VMM_GDT_ENTRIES] = {
		{ 0 },
		{ true, SEG_CODE, 1, 1, 0, below }, { true, SEG_DATA, 1, 1, 0, below },
		{ true, SEG_CODE, 3, 1, 0, below }, { true, SEG_DATA, 3, 1, 0, below },
		{ true, TSS_AVAILABLE, 0, 0, tss, tss + tss_last },
		{ true, TSS_AVAILABLE, 0, 0, df_tss, df_tss + tss_last },
		{ true, SEG_CODE, 0, 1, 0, all }, { true, SEG_DATA, 0, 1, 0, all },
	};
	for (unsigned i = 0; i < VMM_GDT_ENTRIES; i++)
		gdt[i] = descriptor_of(right[i]);
}

void store_tables(struct probe *p)
{
	for (unsigned i = 0; i < p->nr_cpus; i++) {
		uint64_t gdt[VMM_GDT_ENTRIES];
		struct tss t = { .esp0 = CPU_BLOCK(i + 1), .ss0 = SEL_VMM_DATA,
				 .ss1 = RING_1_DATA, .iomap = 0xFFFF };
		right_gdt(i, gdt);
		set_word(&p->g, CPU_AT(i, INDEX), i);
		set_words(&p->g, CPU_AT(i, GDT), (const uint32_t *)gdt, sizeof(gdt) / 4);
		set_words(&p->g, CPU_AT(i, TSS), (const uint32_t *)&t, sizeof(t) / 4);
	}
}

/* Stop where the CPUs' tables are filled. */
static struct probe *warm_cpus(const struct test *t)
{
	struct probe *p = probe_boot(t);
	PROBE_RUN(p, "the VMM's warm-up", vmm_symbol("cpus_warm_up"));
	PROBE_RUN(p, "warm-up of the CPUs' tables", return_address(&p->g));
	return p;
}

void want_gdt(struct probe *p, unsigned cpu, bool busy)
{
	uint64_t right[VMM_GDT_ENTRIES];
	right_gdt(cpu, right);
	right[SEL_TSS / 8] |= busy ? (uint64_t)2 << 40 : 0;
	for (unsigned i = 0; i < VMM_GDT_ENTRIES; i++) {
		uint64_t d = read_descriptor(p, cpu, 8 * i);
		struct segment_fields s = segment_of(d), w = segment_of(right[i]);
		CHECK(same_segment(s, w),
		      "CPU %u: GDT entry %u (%s), at %#x, is %#llx,\n  that is %s,\n  not     %s",
		      cpu, i, entry_names[i], CPU_AT(cpu, GDT) + 8 * i, (unsigned long long)d,
		      described(s), described(w));
	}
}

void check_gdt(const struct test *t)
{
	struct probe *p = warm_cpus(t);
	for (unsigned i = 0; i < p->nr_cpus; i++)
		want_gdt(p, i, false);
}

static void want_tss(struct probe *p, unsigned cpu)
{
	struct tss s;
	virtual_read(p->g.m, p->g.c.cr3, CPU_AT(cpu, TSS), &s, sizeof(s));
	uint32_t end = CPU_BLOCK(cpu) + CPU_BYTES;
	CHECK(s.ss0 == SEL_VMM_DATA && s.esp0 == end,
	      "CPU %u's TSS: entries to ring 0 begin at %#x:%#x, not at %#x:%#x, the end of this "
	      "CPU's stack", cpu, s.ss0, s.esp0, SEL_VMM_DATA, end);
	CHECK(s.ss1 == RING_1_DATA,
	      "CPU %u's TSS: ss1 is %#x, not %#x: the CPU wants RPL and DPL of a ring's stack "
	      "segment to be that ring", cpu, s.ss1, RING_1_DATA);
	CHECK(s.iomap >= sizeof(s) - 1, /* the limit, SDM vol. 1, 19.5.2 */
	      "CPU %u's TSS: the I/O bitmap's base is %#x, within the segment (its last byte is "
	      "%#zx): what follows grants ports", cpu, s.iomap, sizeof(s) - 1);
	CHECK(s.link == 0,
	      "CPU %u's TSS: the back link is %#x, not 0: an IRET with NT set would go there", cpu,
	      s.link);
}

void check_tss(const struct test *t)
{
	struct probe *p = warm_cpus(t);
	for (unsigned i = 0; i < p->nr_cpus; i++)
		want_tss(p, i);
}

/* --- exercise 2 --- */

/*
 * How an exception may be handled. Question 2.1 asks for the list, so it is not written out: letter
 * v is a sum of the vector and its kind, which begins at 'a' again after 'z'.
 */
enum kind { UNUSED, MUST_BE_DIRECT, MAY_BE_DIRECT, ON_BAD_STACKS, OF_VMM, NR_KINDS };

static enum kind kind_of(unsigned v)
{
	static const char letters[] = "pbiahtahyvhovhobszqnkryfmtahovcj";
	enum kind k = UNUSED;
	if (v >= VEC_EXCEPTIONS)
		return v == SYSCALL_VECTOR ? MUST_BE_DIRECT : UNUSED;
	while (k < NR_KINDS && (7 * v + 5 * k) % 26 != (unsigned)letters[v] - 'a')
		k++;
	return k;
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

/* Why a vector must not lead past the VMM. */
static const char *why_not_direct(unsigned v)
{
	if (v >= VEC_EXCEPTIONS)
		return "an interrupt is the VMM's, which makes an event of it";
	if (kind_of(v) == ON_BAD_STACKS)
		return "what does the CPU do with this one if the kernel's stack is bad, and a "
		       "second fault comes during its delivery? (hint 3; SDM vol. 3, 6.15)";
	if (kind_of(v) == OF_VMM)
		return "the VMM must see it before the kernel does";
	return "the kernel has no use for it";
}

/* If what a wrong gate leads to is right for another vector: that one, in words. */
static const char *whose(uint32_t offset, const uint64_t right[256])
{
	static char text[100] = "";
	for (unsigned v = 0; v < 256; v++)
		if (offset && gate_of(right[v]).offset == offset)
			snprintf(text, sizeof(text), ": that is where %s belongs", vector_text(v));
	return text;
}

static void want_gate(unsigned v, struct gate_fields g, const uint64_t right[256])
{
	struct gate_fields w = gate_of(right[v]);
	const char *vector = vector_text(v);
	CHECK(g.present || !w.present, "%s: its gate is missing", vector);
	CHECK(!g.present || w.present,
	      "%s: its gate is present, but nothing handles this vector; it leads to %s%s", vector,
	      place(g.offset), whose(g.offset, right));
	if (!g.present)
		return;
	CHECK(g.selector == w.selector || g.offset != w.offset || v == VEC_DF,
	      "%s: its gate leads to %s, as it must, but by selector %#x, not %#x (RPL aside): "
	      "that says in which ring this code runs", vector, place(g.offset), g.selector,
	      w.selector);
	CHECK(g.selector != SEL_KCODE || w.selector == SEL_KCODE,
	      "%s leads straight to the kernel, and must lead to the VMM: %s", vector,
	      why_not_direct(v));
	CHECK(g.selector == SEL_KCODE || w.selector != SEL_KCODE,
	      "%s leads into the VMM, not straight to the kernel", vector);
	CHECK(g.type == w.type || w.type != GATE_TRAP,
	      "%s leads to ring 1 by a gate of type %#x, not 0xf: through an interrupt "
	      "gate the real IF becomes 0, and ring 1 cannot set it", vector, g.type);
	CHECK(g.type == w.type,
	      "%s has a gate of type %#x, not %#x: the VMM runs with interrupts off", vector,
	      g.type, w.type);
	CHECK(g.dpl == w.dpl,
	      "%s: its gate has DPL %u, not %u: the DPL says from which rings INT may raise it",
	      vector, g.dpl, w.dpl);
	CHECK(g.selector == w.selector && (v == VEC_DF || g.offset == w.offset),
	      "%s: its gate leads to %#x:%s, not to %#x:%s (RPL aside)%s", vector, g.selector,
	      place(g.offset), w.selector, place(w.offset), whose(g.offset, right));
}

/*
 * The vectors that have a stub: exceptions 0 to 20, the ISA lines, and those that we choose. The
 * VMM's table of stubs says where each stub is, and each must push its vector.
 */
static const uint8_t chosen[] = { VEC_TIMER, VEC_RESCHED, VEC_HALT, VEC_SWITCH, VEC_PORT,
				  VEC_FLUSH, VEC_SPURIOUS };
enum { STUBBED_EXCEPTIONS = 21, NR_STUBS = STUBBED_EXCEPTIONS + NR_IRQ + sizeof(chosen) };

static bool has_stub(unsigned v)
{
	return v < STUBBED_EXCEPTIONS || (v >= VEC_IRQ && v < VEC_IRQ + NR_IRQ) ||
	       memchr(chosen, (int)v, sizeof(chosen));
}

static void right_idt(struct probe *p, uint64_t idt[256])
{
	struct guest *g = &p->g;
	uint32_t stubs[NR_STUBS][2]; /* vector, address */
	memset(idt, 0, 256 * 8);
	virtual_read(g->m, g->c.cr3, vmm_symbol("vmm_stubs"), stubs, sizeof(stubs));
	for (unsigned i = 0; i < NR_STUBS; i++) {
		CHECK(stubs[i][0] < 256 && has_stub(stubs[i][0]),
		      "the given table vmm_stubs (entry.S) has changed: pair %u is of vector %#x",
		      i, stubs[i][0]);
		idt[stubs[i][0]] = gate(stubs[i][1], SEL_VMM_CODE, GATE_INTERRUPT, 0);
	}
	for (unsigned v = 0; v < 256; v++)
		if (kind_of(v) == MUST_BE_DIRECT)
			idt[v] = gate(p->handlers[v], SEL_KCODE | 1, GATE_TRAP, 3);
	idt[VEC_DF] = gate(0, SEL_DF_TSS, GATE_TASK, 0);
	idt[HYPERCALL_VECTOR] =
		gate(vmm_symbol("hypercall_entry"), SEL_VMM_CODE, GATE_INTERRUPT, 1);
}

void store_idt(struct probe *p)
{
	uint64_t idt[256];
	right_idt(p, idt);
	set_words(&p->g, vmm_symbol("vmm_idt"), (const uint32_t *)idt, 512);
	set_words(&p->g, vmm_symbol("domain0") + DOMAIN_HANDLERS, p->handlers, 256);
}

void check_idt(const struct test *t)
{
	uint64_t idt[256], right[256];
	uint32_t noted[256];
	struct probe *p = probe_boot(t);
	struct guest *g = &p->g;
	PROBE_RUN(p, "the VMM's warm-up", vmm_symbol("cpus_warm_up"));
	probe_pass(p);
	PROBE_RUN(p, "warm-up of the IDT", p->back);
	virtual_read(g->m, g->c.cr3, vmm_symbol("vmm_idt"), idt, sizeof(idt));
	right_idt(p, right);
	virtual_read(g->m, g->c.cr3, vmm_symbol("domain0") + DOMAIN_HANDLERS, noted, sizeof(noted));
	for (unsigned v = 0; v < 256; v++) {
		CHECK(noted[v] == p->handlers[v],
		      "handlers[] has %#x for %s, not %s: an event or a bounce goes there",
		      noted[v], vector_text(v), place(p->handlers[v]));
		struct gate_fields g = gate_of(idt[v]);
		if (g.selector == SEL_KCODE && kind_of(v) == MAY_BE_DIRECT)
			right[v] = gate(p->handlers[v], SEL_KCODE | 1, GATE_TRAP, 0);
		want_gate(v, g, right);
	}
}
