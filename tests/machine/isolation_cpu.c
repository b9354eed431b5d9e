/* SPDX-License-Identifier: MIT */
/* Attacks by instructions: privilege, flags, ports, gates, selectors, limits (rules 1 to 12 and 28). */
#include "isolation.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Run each instruction of a list (0 ends it) with harmless operands. */
static void each_faults(struct victim *v, const char *list, bool ring3)
{
	uint32_t at = attack_symbol(list), base = place(v, "launch", ring3), offset;
	for (unsigned i = 0; (offset = attack_word(at + 4 * i)); i++) {
		struct entry e = { .ebx = base, .edi = base, .esi = base, .ecx = 1, .edx = 0x60, .ring3 = ring3 };
		char what[64];
		snprintf(what, sizeof(what), "entry %u of %s in ring %u", i, list, ring3 ? 3 : 1);
		do {
			CHECK(attack_at(v, base + offset, &e), "%s ended the machine (status %d)", what,
			      v->m->exit_status);
			event_eaten(v);
		} while (v->trap.vector >= VEC_EXCEPTIONS);
		want_trap(v, VEC_GP, 0, what);
		CHECK(v->trap.eip == base + offset, "%s faulted at %#x", what, v->trap.eip);
	}
}

/*
 * 1, 7, 28: every privileged instruction in ring 1 and 3, with them what would set descriptor tables and debug
 * registers: there is no hypercall for those. A few the VMM emulates for ring 1; they have the effect in virtual
 * mode's terms only.
 */
void privileged(struct victim *v)
{
	uint32_t list = attack_symbol("attack_emulated"), base = place(v, "launch", false), offset;
	each_faults(v, "attack_privileged", false);
	each_faults(v, "attack_privileged", true);
	each_faults(v, "attack_emulated", true);
	for (unsigned i = 0; (offset = attack_word(list + 4 * i)); i++) {
		CHECK(attack_at(v, base + offset, &(struct entry){ .ebx = base }),
		      "emulated instruction %u ended the machine", i);
		event_eaten(v);
		if (v->trap.vector < VEC_EXCEPTIONS) { /* else STI delivered an event, which clears virtual IF again */
			want_return(v, "an emulated instruction");
			CHECK(i > 1 || shared_word(v, SHARED_VIF) == (i ? EFLAGS_IF : 0),
			      "virtual IF after cli or sti (%u)", i);
		}
		set_shared_word(v, SHARED_VIF, 0);
	}
}

static void want_flags(uint32_t eflags, const char *what, uint32_t image, bool ring3)
{
	CHECK((eflags & (EFLAGS_IF | EFLAGS_IOPL | 0x1A0000)) == EFLAGS_IF, "ring %u: %s of %#x gave EFLAGS %#x",
	      ring3 ? 3 : 1, what, image, eflags);
}

/*
 * 2, 3: whatever image of EFLAGS comes in by POPF or IRET: the real IF stays 1, IOPL 0, and VM, VIF, VIP 0. QEMU 7.2
 * is not asked for VM: it goes to virtual-8086 mode by an IRET in any ring, with the image's IF and IOPL.
 */
static void flag_images(struct victim *v)
{
	const uint32_t images[] = { 0,
				    EFLAGS_IF,
				    EFLAGS_IOPL,
				    EFLAGS_IOPL | EFLAGS_IF,
				    EFLAGS_IOPL | EFLAGS_AC | 0x200000,
				    v->m->o.bochs ? 0x1A0000 : 0x180000 };
	static const char *const ways[] = { "popf_read", "iret_flags" };
	for (unsigned i = 0; i < COUNT(images) * 4; i++) {
		bool ring3 = i & 1;
		uint32_t image = images[i / 4] | EFLAGS_FIXED;
		EXPECT_RETURN(v, ways[i / 2 % 2], .ebx = image, .ring3 = ring3);
		want_flags(v->trap.ecx, ways[i / 2 % 2], image, ring3);
		EXPECT_RETURN(v, "flags_hypercall", .eax = NR_HYPERCALLS, .ebx = image);
		want_flags(v->trap.ecx, "a hypercall", image, false);
	}
	EXPECT_RETURN(v, "done", .flags = EFLAGS_IOPL, .ring3 = true); /* IRET from ring 1 to 3 */
	want_flags(v->trap.eflags, "iret to ring 3", EFLAGS_IOPL, true);
	EXPECT_TRAP(v, "in8", VEC_GP, 0, .flags = EFLAGS_IOPL, .ring3 = true);
	EXPECT_TRAP(v, "in8", VEC_GP, 0, .flags = EFLAGS_IOPL);
	CHECK((v->trap.eflags & EFLAGS_IOPL) == 0, "a bounced fault has EFLAGS %#x", v->trap.eflags);
}

/* 12: NT with IRET is a return to the TSS's link, which is null; it hurts neither a hypercall nor SYSENTER. */
void flags(struct victim *v)
{
	flag_images(v);
	for (int ring3 = 0; ring3 < 2; ring3++) {
		EXPECT_TRAP(v, "nested_iret", 10, 0, .ring3 = ring3);
		CHECK(v->trap.eip == place(v, "nested_iret_at", ring3), "nested IRET faulted at %#x", v->trap.eip);
		EXPECT_TRAP(v, "nested_sysenter", VEC_GP, 0, .ring3 = ring3);
	}
	EXPECT_RETURN(v, "flags_hypercall", .eax = NR_HYPERCALLS, .ebx = EFLAGS_NT | EFLAGS_FIXED);
	CHECK(v->trap.eax == (uint32_t)-ENOSYS && v->trap.ecx & EFLAGS_NT, "a hypercall with NT: %#x, flags %#x",
	      v->trap.eax, v->trap.ecx);
}

/*
 * 4: no port for anybody by an instruction; by hypercall those of the kernel's devices, to the byte. Commands of the
 * keyboard controller that reset the machine or switch address line 20 are not the keyboard's.
 */
void ports(struct victim *v)
{
	static const uint16_t some[] = { 0, 0x20, 0x60, 0x64, 0x3F8, 0x340, 0x347, 0xCF8, 0xFFFF };
	static const char *const ways[] = { "in8", "in16", "in32", "out8", "out16", "out32" };
	static const uint32_t edges[] = { 0x5F,   0x61,   0x63,    0x65,       0x1EF,      0x1F8,     0x3F5,
					  0x3F7,  0x3BF,  0x3E0,   0x400,      0,          0x20,      0xA1,
					  0x40,   0x70,   0x92,    0xF4,       0x503,      0xCF8,     0xCFC,
					  0x8900, 0xFFFF, 0x10060, 0x80000060, 0xFFFF03F8, 0xFFFFFFFF };
	static const uint32_t words[] = { 0x60, 0x64, 0x1F7, 0x3DF, 0x3F6, 0x3FF, 0xFFFF, 0xFFFFFFFF };
	static const uint32_t commands[] = { 0xFE, 0xF0, 0xD1, 0xDD, 0xDF, 0x1FE };
	for (unsigned i = 0; i < COUNT(some) * COUNT(ways) * 2; i++)
		EXPECT_TRAP(v, ways[i / 2 % COUNT(ways)], VEC_GP, 0, .edx = some[i / 2 / COUNT(ways)], .ring3 = i & 1);
	for (unsigned i = 0; i < COUNT(edges); i++) {
		REFUSED(v, -EPERM, HC_IO, edges[i], 0, VMM_IO_IN8, 0);
		REFUSED(v, -EPERM, HC_IO, edges[i], 0, VMM_IO_OUT8, 0);
	}
	for (unsigned i = 0; i < COUNT(words); i++) {
		REFUSED(v, -EPERM, HC_IO, words[i], pool_address(v, DATA_PAGE), VMM_IO_IN_BLOCK, 2);
		REFUSED(v, -EPERM, HC_IO, words[i], pool_address(v, DATA_PAGE), VMM_IO_OUT_BLOCK, 2);
	}
	for (unsigned i = 0; i < COUNT(commands); i++)
		REFUSED(v, -EPERM, HC_IO, 0x64, commands[i], VMM_IO_OUT8, 0);
	REFUSED(v, -EINVAL, HC_IO, 0x60, 0, VMM_IO_OUT_BLOCK + 1, 0);
	REFUSED(v, -EINVAL, HC_IO, 0x60, 0, 0xFFFFFFFF, 0);
	CHECK(hypercall(v, HC_IO, 0x3FD, 0, VMM_IO_IN8, 0) & 0x60, "the line status of COM1 cannot be read");
}

/* 5: INT n reaches the gates that are for it: 3, 4, system calls, and hypercalls in ring 1; all others are #GP. */
static void interrupt(struct victim *v, unsigned n, bool ring3)
{
	struct entry e = { .eax = NR_HYPERCALLS, .ebx = n, .edi = place(v, "launch", ring3), .ring3 = ring3 };
	CHECK(attack(v, "interrupt", &e), "INT %u ended the machine", n);
	if (n == VEC_BP || n == VEC_OF)
		want_trap(v, n, 0, "INT 3 or 4");
	else if (n == HYPERCALL_VECTOR && !ring3)
		CHECK(returned(v) && v->trap.eax == (uint32_t)-ENOSYS, "a hypercall gave vector %u, %#x",
		      v->trap.vector, v->trap.eax);
	else
		want_trap(v, VEC_GP, n * 8 + 2, "INT n");
}

void interrupts(struct victim *v)
{
	for (unsigned n = 0; n < 256; n++) {
		bool special = n <= 20 || n == HYPERCALL_VECTOR || n >= VEC_TIMER;
		if (n == SYSCALL_VECTOR || (v->m->o.bochs && !special && n % 16))
			continue;
		interrupt(v, n, false);
		interrupt(v, n, true);
	}
}

/* Whether a data segment register may be loaded: by the table in docs/machine.md. */
static bool loadable(uint32_t selector, unsigned cpl)
{
	unsigned index = selector >> 3, rpl = selector & 3, need = rpl > cpl ? rpl : cpl;
	return index == 0 || ((index == 1 || index == 2) && need <= 1) || index == 3 || index == 4;
}

static void load_selectors(struct victim *v, bool ring3)
{
	static const char *const ways[] = { "load_ds", "load_es", "load_fs", "load_gs", "pop_ds" };
	for (uint32_t selector = 0; selector < 0x58; selector += v->m->o.bochs ? 3 : 1) {
		const char *way = ways[selector % COUNT(ways)];
		if (selector & 4 || !loadable(selector, ring3 ? 3 : 1))
			EXPECT_TRAP(v, way, VEC_GP, selector & ~3u, .ebx = selector, .ring3 = ring3);
		else
			EXPECT_RETURN(v, way, .ebx = selector, .ring3 = ring3);
		if (selector != (ring3 ? SEL_UDATA : SEL_KDATA | 1u))
			EXPECT_TRAP(v, "load_ss", VEC_GP, selector & ~3u, .ebx = selector, .ring3 = ring3);
	}
	EXPECT_TRAP(v, "load_ds", VEC_GP, 0xFFFC, .ebx = 0xFFFF, .ring3 = ring3);
}

/*
 * 6, 7: far transfers to the VMM's code and tasks, and loads of its segments. No gate, no LDT, nothing conforming is
 * there.
 */
void selectors(struct victim *v)
{
	static const char *const ways[] = { "far_jump", "far_call", "far_return", "iret_to", "iret_outer" };
	static const uint32_t targets[] = { 0x38, 0x39, 0x3B, 0x28, 0x2B, 0x30, 0x40, 0x48, 4, 0 };
	uint32_t entry = vmm_symbol("hypercall_entry");
	for (unsigned i = 0; i < COUNT(targets) * COUNT(ways) * 2; i++) {
		uint32_t to = targets[i / 2 % COUNT(targets)];
		EXPECT_TRAP(v, ways[i / 2 / COUNT(targets)], VEC_GP, to & ~3u, .ebx = to, .ecx = entry, .ring3 = i & 1);
	}
	load_selectors(v, false);
	load_selectors(v, true);
}

/* 11: SYSENTER would land in ring 0; SYSCALL is off. */
void sysenter(struct victim *v)
{
	for (int ring3 = 0; ring3 < 2; ring3++) {
		EXPECT_TRAP(v, "sysenter", VEC_GP, 0, .ring3 = ring3);
		EXPECT_TRAP(v, "syscall", VEC_UD, 0, .ring3 = ring3);
	}
}

/* 10: the VMM works with whatever segments it is entered with, and hands them and all registers but EAX back (34). */
void nulls(struct victim *v)
{
	static const uint32_t values[] = { 0, 3, SEL_UDATA, SEL_KDATA, SEL_KCODE };
	for (unsigned i = 0; i < COUNT(values); i++) {
		uint32_t s = values[i];
		EXPECT_RETURN(v, "null_hypercall", .eax = NR_HYPERCALLS, .edx = s, .edi = 77, .ebp = 78);
		const struct trap *t = &v->trap;
		CHECK(t->eax == (uint32_t)-ENOSYS && t->edi == 77 && t->ebp == 78,
		      "registers after a hypercall: %#x %u %u", t->eax, t->edi, t->ebp);
		bool null = s < 4; /* IRET may clear the RPL of a null selector */
		CHECK(null ? (t->ebx | t->ecx | t->edx | t->esi) < 4
			   : t->ebx == s && t->ecx == s && t->edx == s && t->esi == s,
		      "segments %#x came back as %#x %#x %#x %#x", s, t->ebx, t->ecx, t->edx, t->esi);
	}
	for (unsigned n = 0; n < 6; n++) {
		EXPECT_RETURN(v, "hypercall", .eax = NR_HYPERCALLS + n, .ebx = 1, .ecx = 2, .edx = 3, .esi = 4,
			      .edi = 5, .ebp = 6);
		const struct trap *t = &v->trap;
		CHECK(t->ebx == 1 && t->ecx == 2 && t->edx == 3 && t->esi == 4 && t->edi == 5 && t->ebp == 6,
		      "a hypercall changes registers");
	}
}

/* 10: a null selector is not a segment from 0 to 4 GiB. */
void null_accesses(struct victim *v)
{
	static const char *const ways[] = { "null_ds", "null_es", "null_fs", "null_gs" };
	for (unsigned i = 0; i < 2 * COUNT(ways); i++) {
		bool ring3 = i & 1;
		CHECK(ATTACK(v, ways[i / 2], .ebx = place(v, "launch", ring3), .edx = i / 2, .ring3 = ring3),
		      "the machine ended");
		if (returned(v) && !v->m->o.bochs)
			give_up(SKIPPED, "this emulator does not check for null selectors: a read by one passed");
		want_trap(v, VEC_GP, 0, ways[i / 2]);
	}
}

/* 8, 9: a read or write of four bytes at an address, by each segment register. */
static void each_segment(struct victim *v, uint32_t address, bool ring3)
{
	static const char *const segments[] = { "ds", "es", "fs", "gs", "cs", "ss" };
	char label[32];
	for (unsigned i = 0; i < COUNT(segments); i++) {
		unsigned vector = i == 5 ? 12 : VEC_GP;
		snprintf(label, sizeof(label), "read_%s", segments[i]);
		EXPECT_TRAP(v, label, vector, 0, .ebx = address, .ring3 = ring3);
		snprintf(label, sizeof(label), "write_%s", segments[i]);
		EXPECT_TRAP(v, label, vector, 0, .ebx = address, .ring3 = ring3);
	}
}

/*
 * 8, 9: segments end at the VMM's first byte: accesses at it, across it, at tables that lie there (13), and around the
 * end of the address space; jumps there; string instructions. The last four bytes below are the kernel's, here without
 * a page.
 */
void limits(struct victim *v)
{
	static const char *const stores[] = { "exchange_at", "or_at", "compare_at", "bits_at", "string_at" };
	static const char *const jumps[] = { "near_jump", "near_call", "near_return" };
	const uint32_t addresses[] = { VMM_BASE,        VMM_BASE - 3, VMM_BASE - 1,          0xFFFFFFFF,
				       0xFFFFFFFD,       0xFFFFFFFC,    vmm_symbol("vmm_cpus"), vmm_symbol("vmm_idt"),
				       v->start.gdt.base };
	skip_without_limits(v);
	for (int ring3 = 0; ring3 < 2; ring3++) {
		for (unsigned i = 0; i < COUNT(addresses); i++) {
			uint32_t at = addresses[i];
			each_segment(v, at, ring3);
			EXPECT_TRAP(v, stores[i % COUNT(stores)], VEC_GP, 0, .ebx = at, .ecx = 4, .ring3 = ring3);
			if (at >= VMM_BASE)
				EXPECT_TRAP(v, jumps[i % COUNT(jumps)], VEC_GP, 0, .ebx = at, .ring3 = ring3);
		}
		EXPECT_TRAP(v, "read_ds", VEC_PF, ring3 ? PF_USER : 0, .ebx = VMM_BASE - 4, .ring3 = ring3);
		CHECK(v->address == VMM_BASE - 4, "the page fault is said to be at %#x", v->address);
		EXPECT_TRAP(v, "byte_ds", VEC_GP, 0, .ebx = VMM_BASE, .ring3 = ring3);
	}
	EXPECT_TRAP(v, "push_at", 12, 0, .ebx = VMM_BASE + 4, .ring3 = true);
	EXPECT_TRAP(v, "pop_at", 12, 0, .ebx = VMM_BASE, .ring3 = true);
}

/* 8: for programs the VMM's pages are not there, if not by limits then by the pages' U bit. */
void user_limits(struct victim *v)
{
	const uint32_t addresses[] = { VMM_BASE, vmm_symbol("vmm_cpus"), vmm_symbol("vmm_idt"),
				       pool_address(v, CODE_PAGE), symbol("vmm_shared") };
	for (unsigned i = 0; i < COUNT(addresses) * 2; i++) {
		const char *label = i & 1 ? "write_at" : "read_at";
		CHECK(ATTACK(v, label, .ebx = addresses[i / 2], .ring3 = true), "a program ended the machine");
		if (v->m->o.bochs && addresses[i / 2] >= VMM_BASE)
			want_trap(v, VEC_GP, 0, label);
		else
			want_trap(v, VEC_PF, PF_PRESENT | PF_USER | (i & 1 ? PF_WRITE : 0), label);
	}
}
