/* SPDX-License-Identifier: MIT */
/* Attacks by segments: selectors, SYSENTER, null selectors, limits (rules 6 to 11). */
#include "isolation.h"

/* --- selectors --- */

/*
 * Whether a data segment register may be loaded with this selector, by the table of segments in
 * docs/machine.md: null always; the kernel's two segments (DPL 1) up to privilege 1; the programs'.
 */
static bool loadable(uint32_t selector, unsigned cpl)
{
	unsigned index = selector >> 3, rpl = selector & 3, need = rpl > cpl ? rpl : cpl;
	bool kernels = index == 1 || index == 2, programs = index == 3 || index == 4;
	return index == 0 || (kernels && need <= 1) || programs;
}

/* A null LDTR has no entries; v86 reads the first one at address 0 (docs/isolation.md). */
static bool read_anyway(const struct victim *v, uint32_t selector)
{
	return v->m->o.v86 && selector >> 2 == 1;
}

static void load_selectors(struct victim *v, bool ring3)
{
	static const char *const ways[] = { "load_ds", "load_es", "load_fs", "load_gs", "pop_ds" };
	for (uint32_t selector = 0; selector < 0x58; selector += v->m->o.bochs ? 3 : 1) {
		const char *way = ways[selector % COUNT(ways)];
		if (read_anyway(v, selector))
			continue;
		if (selector & 4 || !loadable(selector, ring3 ? 3 : 1))
			EXPECT_TRAP(v, way, VEC_GP, selector & ~3u, .ebx = selector,
				    .ring3 = ring3);
		else
			EXPECT_RETURN(v, way, .ebx = selector, .ring3 = ring3);
		if (selector != (ring3 ? SEL_UDATA : SEL_KDATA | 1u))
			EXPECT_TRAP(v, "load_ss", VEC_GP, selector & ~3u, .ebx = selector,
				    .ring3 = ring3);
	}
	EXPECT_TRAP(v, "load_ds", VEC_GP, 0xFFFC, .ebx = 0xFFFF, .ring3 = ring3);
}

/*
 * 6, 7: far transfers to the VMM's segments, to the TSSs, to what lies beyond the GDT's end and to
 * null; loads of all selectors. There is no call gate, no LDT, no conforming segment.
 */
void selectors(struct victim *v)
{
	static const char *const ways[] = {
		"far_jump", "far_call", "far_return", "iret_to", "iret_outer",
	};
	static const uint32_t targets[] = { 0x38, 0x39, 0x3B, 0x28, 0x2B, 0x30, 0x40, 0x48, 4, 0 };
	uint32_t entry = vmm_symbol("hypercall_entry");
	for (unsigned i = 0; i < COUNT(targets) * COUNT(ways) * 2; i++) {
		uint32_t to = targets[i / 2 % COUNT(targets)];
		if (read_anyway(v, to))
			continue;
		EXPECT_TRAP(v, ways[i / 2 / COUNT(targets)], VEC_GP, to & ~3u, .ebx = to,
			    .ecx = entry, .ring3 = i & 1);
	}
	load_selectors(v, false);
	load_selectors(v, true);
}

/* 6: with a null LDTR there is no selector of an LDT; what selectors() leaves out in v86. */
void ldt_selectors(struct victim *v)
{
	for (uint32_t selector = 4; selector < 8; selector++) {
		CHECK(ATTACK(v, "load_ds", .ebx = selector), "a selector ended the machine");
		if (v->m->o.v86 && v->trap.vector != VEC_GP)
			give_up(SKIPPED, "v86 looks for a null LDT's entries at address 0");
		want_trap(v, VEC_GP, 4, "load_ds");
	}
}

/* 11: SYSENTER would lead to ring 0, so its MSR is null; SYSCALL is off. */
void sysenter(struct victim *v)
{
	for (int ring3 = 0; ring3 < 2; ring3++) {
		EXPECT_TRAP(v, "sysenter", VEC_GP, 0, .ring3 = ring3);
		EXPECT_TRAP(v, "syscall", VEC_UD, 0, .ring3 = ring3);
	}
}

/* --- null selectors --- */

/* Load s into DS, ES, FS and GS, do a hypercall, and read them back. */
static void hypercall_with_segments(struct victim *v, uint32_t s)
{
	EXPECT_RETURN(v, "null_hypercall", .eax = NR_HYPERCALLS, .edx = s, .edi = 77, .ebp = 78);
	const struct trap *t = &v->trap;
	CHECK(t->eax == (uint32_t)-ENOSYS && t->edi == 77 && t->ebp == 78,
	      "registers after a hypercall: %#x %u %u", t->eax, t->edi, t->ebp);
	bool null = s < 4; /* IRET may clear the RPL of a null selector */
	CHECK(null ? (t->ebx | t->ecx | t->edx | t->esi) < 4
		   : t->ebx == s && t->ecx == s && t->edx == s && t->esi == s,
	      "segments %#x came back as %#x %#x %#x %#x", s, t->ebx, t->ecx, t->edx, t->esi);
}

/* The kernel's trap frame has each of the interrupted code's segments in the right field. */
static void segments_in_frame(struct victim *v)
{
	const struct trap *t = &v->trap;
	EXPECT_RETURN(v, "load_all", .ebx = SEL_UDATA, .ecx = SEL_UCODE, .edx = 0, .esi = 3,
		      .ring3 = true);
	CHECK((t->ds & 0xFFFF) == SEL_UDATA && (t->es & 0xFFFF) == SEL_UCODE &&
	      (t->fs & 0xFFFF) == 0 && (t->gs & 0xFFFF) == 3,
	      "a trap frame has DS %#x, ES %#x, FS %#x, GS %#x", t->ds, t->es, t->fs, t->gs);
}

/*
 * 10, 34: the VMM works with whatever segments it is entered with, and gives back these and all
 * registers but EAX.
 */
void nulls(struct victim *v)
{
	static const uint32_t values[] = { 0, 3, SEL_UDATA, SEL_KDATA, SEL_KCODE };
	for (unsigned i = 0; i < COUNT(values); i++)
		hypercall_with_segments(v, values[i]);
	segments_in_frame(v);
	for (unsigned n = 0; n < 6; n++) {
		EXPECT_RETURN(v, "hypercall", .eax = NR_HYPERCALLS + n, .ebx = 1, .ecx = 2,
			      .edx = 3, .esi = 4, .edi = 5, .ebp = 6);
		const struct trap *t = &v->trap;
		CHECK(t->ebx == 1 && t->ecx == 2 && t->edx == 3 && t->esi == 4 && t->edi == 5 &&
		      t->ebp == 6, "a hypercall changes registers");
	}
}

/* 10: a null selector is not a segment from 0 to 4 GiB. */
void null_accesses(struct victim *v)
{
	static const char *const ways[] = { "null_ds", "null_es", "null_fs", "null_gs" };
	for (unsigned i = 0; i < 2 * COUNT(ways); i++) {
		bool ring3 = i & 1;
		CHECK(ATTACK(v, ways[i / 2], .ebx = place(v, "launch", ring3), .edx = i / 2,
			     .ring3 = ring3), "the machine ended");
		if (returned(v) && !v->m->o.bochs)
			give_up(SKIPPED, "this emulator does not check for null selectors: a read "
					 "by one passed");
		want_trap(v, VEC_GP, 0, ways[i / 2]);
	}
}

/* --- limits --- */

/* 8, 9: a read and a write of four bytes at an address, by each segment register. */
static void each_segment(struct victim *v, uint32_t address, bool ring3)
{
	static const char *const segments[] = { "ds", "es", "fs", "gs", "cs", "ss" };
	char label[32];
	for (unsigned i = 0; i < COUNT(segments); i++) {
		unsigned vector = i == 5 ? VEC_STACK : VEC_GP;
		snprintf(label, sizeof(label), "read_%s", segments[i]);
		EXPECT_TRAP(v, label, vector, 0, .ebx = address, .ring3 = ring3);
		snprintf(label, sizeof(label), "write_%s", segments[i]);
		EXPECT_TRAP(v, label, vector, 0, .ebx = address, .ring3 = ring3);
	}
}

/*
 * 8, 9: segments end at the VMM's first byte. Accesses at it, across it, to the tables that lie
 * there (13) and around the end of the address space; jumps there; string instructions. The last
 * four bytes below belong to the kernel: no page is mapped there, so they give a page fault.
 */
void limits(struct victim *v)
{
	static const char *const stores[] = {
		"exchange_at", "or_at", "compare_at", "bits_at", "string_at",
	};
	static const char *const jumps[] = { "near_jump", "near_call", "near_return" };
	const uint32_t addresses[] = {
		VMM_BASE, VMM_BASE - 3, VMM_BASE - 1, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFC,
		vmm_symbol("vmm_cpus"), vmm_symbol("vmm_idt"), v->start.gdt.base,
	};
	skip_without_limits(v);
	for (int ring3 = 0; ring3 < 2; ring3++) {
		for (unsigned i = 0; i < COUNT(addresses); i++) {
			uint32_t at = addresses[i];
			each_segment(v, at, ring3);
			EXPECT_TRAP(v, stores[i % COUNT(stores)], VEC_GP, 0, .ebx = at, .ecx = 4,
				    .ring3 = ring3);
			if (at >= VMM_BASE)
				EXPECT_TRAP(v, jumps[i % COUNT(jumps)], VEC_GP, 0, .ebx = at,
					    .ring3 = ring3);
		}
		EXPECT_TRAP(v, "read_ds", VEC_PF, ring3 ? PF_USER : 0, .ebx = VMM_BASE - 4,
			    .ring3 = ring3);
		CHECK(v->address == VMM_BASE - 4, "the page fault is said to be at %#x",
		      v->address);
		EXPECT_TRAP(v, "byte_ds", VEC_GP, 0, .ebx = VMM_BASE, .ring3 = ring3);
	}
	EXPECT_TRAP(v, "push_at", VEC_STACK, 0, .ebx = VMM_BASE + 4, .ring3 = true);
	EXPECT_TRAP(v, "pop_at", VEC_STACK, 0, .ebx = VMM_BASE, .ring3 = true);
}

/*
 * 8: programs cannot reach the VMM's and the kernel's pages: by the limit (of the VMM, in Bochs),
 * or by the pages' U bit.
 */
void user_limits(struct victim *v)
{
	const uint32_t addresses[] = {
		VMM_BASE, vmm_symbol("vmm_cpus"), vmm_symbol("vmm_idt"),
		pool_address(v, CODE_PAGE), symbol("vmm_shared"),
	};
	for (unsigned i = 0; i < COUNT(addresses) * 2; i++) {
		const char *label = i & 1 ? "write_at" : "read_at";
		CHECK(ATTACK(v, label, .ebx = addresses[i / 2], .ring3 = true),
		      "a program ended the machine");
		if (v->m->o.bochs && addresses[i / 2] >= VMM_BASE)
			want_trap(v, VEC_GP, 0, label);
		else
			want_trap(v, VEC_PF, PF_PRESENT | PF_USER | (i & 1 ? PF_WRITE : 0), label);
	}
}
