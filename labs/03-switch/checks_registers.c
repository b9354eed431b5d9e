/* SPDX-License-Identifier: MIT */
/* Detach: registers and tables; and the whole way there and back (N1 to N3). */
#include "checks.h"

#define DR7_MARK 0x700u /* LE and GE, which enable nothing; 0x400 is the rest value */
enum { SYSENTER_MARK = SEL_KCODE, TEXT_BYTES = 20000 };

/* Registers that the kernel itself never changes. Ring 0; MSR 0x174 is SYSENTER_CS. */
static const uint8_t set_marks[] = {
	0x0F, 0x23, 0xFB,             /* movl %ebx, %dr7 */
	0xB9, 0x74, 0x01, 0x00, 0x00, /* movl $0x174, %ecx */
	0x89, 0xF0,                   /* movl %esi, %eax */
	0x31, 0xD2,                   /* xorl %edx, %edx */
	0x0F, 0x30,                   /* wrmsr */
};
static const uint8_t get_marks[] = {
	0x0F, 0x21, 0xFB,             /* movl %dr7, %ebx */
	0xB9, 0x74, 0x01, 0x00, 0x00, /* movl $0x174, %ecx */
	0x0F, 0x32,                   /* rdmsr */
};

/*
 * Run this code in ring 0 of the native kernel, in a system call of the shell's. Result: the CPU at
 * the code's end.
 */
static struct cpu_state run_code(struct guest *g, const uint8_t *code, size_t bytes)
{
	static const enum gdb_register names[] = { GDB_EAX, GDB_ECX, GDB_EDX, GDB_EBX, GDB_ESI };
	machine_send(g->m, "echo $$\n");
	reach(g, "sys_getpid", "the shell asks for its number");
	const uint32_t before[] = { g->c.eax, g->c.ecx, g->c.edx, g->c.ebx, g->c.esi };
	gdb_set_register(g->m, GDB_EBX, DR7_MARK);
	gdb_set_register(g->m, GDB_ESI, SYSENTER_MARK);
	run_here(g, code, bytes);
	struct cpu_state end = g->c;
	for (unsigned i = 0; i < LENGTH(names); i++)
		gdb_set_register(g->m, names[i], before[i]);
	rest(g);
	return end;
}

static void want_same(const char *before, const char *after)
{
	CHECK(strcmp(before, after) == 0, "after attach and detach (N2)\n%swas\n%s", after, before);
}

static void want_marks(struct guest *g)
{
	struct cpu_state end = run_code(g, get_marks, sizeof(get_marks));
	CHECK(end.ebx == DR7_MARK, "DR7 was %#x before attach and is %#x after detach", DR7_MARK,
	      end.ebx);
	CHECK(end.eax == SYSENTER_MARK, "SYSENTER_CS was %#x before attach and is %#x after detach",
	      SYSENTER_MARK, end.eax);
}

void check_detach(const struct test *t)
{
	static char before[TEXT_BYTES], after[TEXT_BYTES];
	struct guest g = start(t, 9);
	run_code(&g, set_marks, sizeof(set_marks));
	fingerprint(g.m, before, sizeof(before));
	must_switch(&g, true);
	uint32_t attachments = nr_attachments(&g);
	ask(&g, false);
	reach(&g, "commit", "the kernel is in ring 0 again");
	CHECK(nr_attachments(&g) == attachments,
	      "the VMM forgot its types before commit(): no roll-back is possible");
	rest(&g);
	CHECK(nr_attachments(&g) != attachments,
	      "after a detach the VMM still has the types of that "
	      "attachment: VMM_FORGET is missing");
	want_native(&g);
	fingerprint(g.m, after, sizeof(after));
	want_same(before, after);
	uint32_t sum = dormant_sum(g.m);
	want_marks(&g);
	machine_continue(g.m);
	command(g.m, "ls /bin | wc; cat /proc/switch", 20);
	settle(&g);
	CHECK(dormant_sum(g.m) == sum, "the dormant VMM changed (N3)");
}

/* --- the whole, there and back --- */

/* Change the mode and let some programs run. */
static void use_mode(struct guest *g, const char *request)
{
	machine_continue(g->m);
	type(g, request, SECONDS);
	type(g, "ls /bin | wc; cat /proc/tasks", 10);
	settle(g);
}

void there_and_back(struct guest *g)
{
	static char before[TEXT_BYTES], after[TEXT_BYTES];
	fingerprint(g->m, before, sizeof(before));
	use_mode(g, "echo virtual > /proc/mode");
	want_virtual(g);
	use_mode(g, "echo native > /proc/mode");
	want_native(g);
	fingerprint(g->m, after, sizeof(after));
	want_same(before, after);
}

void check_bochs(const struct test *t)
{
	struct guest g = start(t, 11);
	there_and_back(&g);
}
