/* SPDX-License-Identifier: MIT */
/* Attacks by single instructions: privilege, flags, ports, gates (rules 1 to 5, 12 and 28). */
#include "isolation.h"

/* EFLAGS bits that include/x86.h does not name (SDM vol. 1, 3.4.3). */
enum { EFLAGS_VIF = 0x80000, EFLAGS_VIP = 0x100000, EFLAGS_ID = 0x200000 };

/*
 * Run each instruction of a list (0 ends it) with harmless operands: each must be #GP(0). v86 does
 * not know some of them, and refuses those by #UD.
 */
static void each_faults(struct victim *v, const char *list, bool ring3)
{
	uint32_t at = attack_symbol(list), base = place(v, "launch", ring3), offset;
	for (unsigned i = 0; (offset = attack_word(at + 4 * i)); i++) {
		struct entry e = { .ebx = base, .edi = base, .esi = base,
				   .ecx = 1, .edx = 0x60, .ring3 = ring3 };
		char what[64];
		snprintf(what, sizeof(what), "entry %u of %s in ring %u", i, list, ring3 ? 3 : 1);
		do {
			CHECK(attack_at(v, base + offset, &e),
			      "%s ended the machine (status %d)", what, v->m->exit_status);
			event_eaten(v);
		} while (v->trap.vector >= VEC_EXCEPTIONS);
		want_trap(v, v->m->o.v86 && v->trap.vector == VEC_UD ? VEC_UD : VEC_GP, 0, what);
		CHECK(v->trap.eip == base + offset, "%s faulted at %#x", what, v->trap.eip);
	}
}

/*
 * 1, 7, 28: every privileged instruction in rings 1 and 3, among them those that would load
 * descriptor tables and debug registers; no hypercall does these things either. A few instructions
 * the VMM emulates for ring 1: CLI and STI must change the virtual IF, and none may do harm.
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
		/* else STI let an event be delivered, which clears the virtual IF again */
		if (v->trap.vector < VEC_EXCEPTIONS) {
			want_return(v, "an emulated instruction");
			CHECK(i > 1 || shared_word(v, SHARED_VIF) == (i ? EFLAGS_IF : 0),
			      "virtual IF after cli or sti (%u)", i);
		}
		set_shared_word(v, SHARED_VIF, 0);
	}
}

/* --- flags --- */

static void want_flags(uint32_t eflags, const char *what, uint32_t image, bool ring3)
{
	uint32_t fixed = EFLAGS_IF | EFLAGS_IOPL | EFLAGS_VM | EFLAGS_VIF | EFLAGS_VIP;
	CHECK((eflags & fixed) == EFLAGS_IF, "ring %u: %s of %#x gave EFLAGS %#x", ring3 ? 3 : 1,
	      what, image, eflags);
}

/*
 * 2, 3: whatever image of EFLAGS comes in by POPF or IRET, the real IF stays 1 and IOPL, VM, VIF
 * and VIP stay 0. QEMU 7.2 is not asked for VM: its IRET goes to virtual-8086 mode from any ring,
 * with the image's IF and IOPL.
 */
static void flag_images(struct victim *v)
{
	const uint32_t images[] = {
		0,
		EFLAGS_IF,
		EFLAGS_IOPL,
		EFLAGS_IOPL | EFLAGS_IF,
		EFLAGS_IOPL | EFLAGS_AC | EFLAGS_ID,
		EFLAGS_VIF | EFLAGS_VIP | (v->m->o.bochs ? EFLAGS_VM : 0),
	};
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
	CHECK((v->trap.eflags & EFLAGS_IOPL) == 0, "a bounced fault has EFLAGS %#x",
	      v->trap.eflags);
}

/*
 * 12: IRET with NT set is a return to the task in the TSS's link, which is null: #TS(0). With NT
 * set, SYSENTER faults as ever, and a hypercall works and leaves NT set.
 */
void flags(struct victim *v)
{
	flag_images(v);
	for (int ring3 = 0; ring3 < 2; ring3++) {
		if (v->m->o.v86 && ATTACK(v, "nested_iret", .ring3 = ring3) &&
		    v->trap.vector != VEC_INVALID_TSS)
			give_up(SKIPPED, "v86 ignores EFLAGS.NT at an IRET");
		EXPECT_TRAP(v, "nested_iret", VEC_INVALID_TSS, 0, .ring3 = ring3);
		CHECK(v->trap.eip == place(v, "nested_iret_at", ring3),
		      "nested IRET faulted at %#x", v->trap.eip);
		EXPECT_TRAP(v, "nested_sysenter", VEC_GP, 0, .ring3 = ring3);
	}
	EXPECT_RETURN(v, "flags_hypercall", .eax = NR_HYPERCALLS,
		      .ebx = EFLAGS_NT | EFLAGS_FIXED);
	CHECK(v->trap.eax == (uint32_t)-ENOSYS && v->trap.ecx & EFLAGS_NT,
	      "a hypercall with NT: %#x, flags %#x", v->trap.eax, v->trap.ecx);
}

/* --- ports --- */

/* By hypercall: only the ports of the kernel's devices, to the byte, and only whole transfers. */
static void ports_by_hypercall(struct victim *v)
{
	static const uint32_t edges[] = { /* just outside of a device's ports, and far from them */
		0x5F, 0x61, 0x63, 0x65, 0x1EF, 0x1F8, 0x2FF, 0x320, 0x3F5, 0x3F7, 0x3D3, 0x3D6,
		0x400, 0, 0x20, 0xA1, 0x40, 0x70, 0x92, 0xF4, 0x503, 0xCF8, 0xCFC, 0x8900, 0xFFFF,
		0x10060, 0x80000060, 0xFFFF03F8, 0xFFFFFFFF,
	};
	static const uint32_t no_words[] = { /* ports where no 16-bit transfer is allowed */
		0x60, 0x64, 0x1F7, 0x30F, 0x311, 0x3DF, 0x3F6, 0x3FF, 0xFFFF, 0xFFFFFFFF,
	};
	/* to the keyboard controller: they reset the machine, or switch address line 20 */
	static const uint32_t commands[] = { 0xFE, 0xF0, 0xD1, 0xDD, 0xDF, 0x1FE };
	uint32_t data = pool_address(v, DATA_PAGE);
	for (unsigned i = 0; i < COUNT(edges); i++) {
		REFUSED(v, -EPERM, HC_IO, edges[i], 0, VMM_IO_IN8, 0);
		REFUSED(v, -EPERM, HC_IO, edges[i], 0, VMM_IO_OUT8, 0);
	}
	for (unsigned i = 0; i < COUNT(no_words); i++) {
		REFUSED(v, -EPERM, HC_IO, no_words[i], data, VMM_IO_IN_BLOCK, 2);
		REFUSED(v, -EPERM, HC_IO, no_words[i], data, VMM_IO_OUT_BLOCK, 2);
	}
	for (unsigned i = 0; i < COUNT(commands); i++)
		REFUSED(v, -EPERM, HC_IO, 0x64, commands[i], VMM_IO_OUT8, 0);
	REFUSED(v, -EINVAL, HC_IO, 0x60, 0, VMM_IO_OUT_BLOCK + 1, 0);
	REFUSED(v, -EINVAL, HC_IO, 0x60, 0, 0xFFFFFFFF, 0);
	CHECK(hypercall(v, HC_IO, 0x3FD, 0, VMM_IO_IN8, 0) & 0x60,
	      "the line status of COM1 cannot be read");
}

/* 4: no port for anybody by an instruction. */
void ports(struct victim *v)
{
	static const uint16_t some[] = { 0, 0x20, 0x60, 0x64, 0x3F8, 0x340, 0x347, 0xCF8, 0xFFFF };
	static const char *const ways[] = { "in8", "in16", "in32", "out8", "out16", "out32" };
	for (unsigned i = 0; i < COUNT(some) * COUNT(ways) * 2; i++)
		EXPECT_TRAP(v, ways[i / 2 % COUNT(ways)], VEC_GP, 0,
			    .edx = some[i / 2 / COUNT(ways)], .ring3 = i & 1);
	ports_by_hypercall(v);
}

/* --- gates --- */

/*
 * 5: INT n reaches the gates that are meant for it: 3 and 4, system calls, and hypercalls from
 * ring 1. All others are #GP with the vector in the error code.
 */
static void interrupt(struct victim *v, unsigned n, bool ring3)
{
	struct entry e = { .eax = NR_HYPERCALLS, .ebx = n, .edi = place(v, "launch", ring3),
			   .ring3 = ring3 };
	CHECK(attack(v, "interrupt", &e), "INT %u ended the machine", n);
	if (n == VEC_BP || n == VEC_OF)
		want_trap(v, n, 0, "INT 3 or 4");
	else if (n == HYPERCALL_VECTOR && !ring3)
		CHECK(returned(v) && v->trap.eax == (uint32_t)-ENOSYS,
		      "a hypercall gave vector %u, %#x", v->trap.vector, v->trap.eax);
	else
		want_trap(v, VEC_GP, n * 8 + 2, "INT n");
}

/* All vectors but that of system calls, which programs use; in Bochs and v86, fewer of them. */
void interrupts(struct victim *v)
{
	for (unsigned n = 0; n < 256; n++) {
		bool special = n <= 20 || n == HYPERCALL_VECTOR || n >= VEC_TIMER;
		bool slow = v->m->o.bochs || v->m->o.v86;
		if (n == SYSCALL_VECTOR || (slow && !special && n % 16))
			continue;
		interrupt(v, n, false);
		interrupt(v, n, true);
	}
}
