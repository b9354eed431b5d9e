/* SPDX-License-Identifier: MIT */
/* Checks of detach: registers, tables and the TLB, and of the whole way there and back (N1 to N3). */
#include "checks.h"

#define DR7_MARK 0x700u /* LE and GE, which enable nothing; 0x400 is the rest value */
enum { SYSENTER_MARK = SEL_KCODE, CODE_AT = 2048, MAX_RESTORE = 600 };

/* Registers that the kernel itself never changes. Ring 0; MSR 0x174 is SYSENTER_CS. */
static const uint8_t set_marks[] = {
	0x0F, 0x23, 0xFB,             /* movl %ebx, %dr7 */
	0xB9, 0x74, 0x01, 0x00, 0x00, /* movl $0x174, %ecx */
	0x89, 0xF0,                   /* movl %esi, %eax */
	0x31, 0xD2,                   /* xorl %edx, %edx */
	0x0F, 0x30,                   /* wrmsr */
	0xEB, 0xFE,                   /* jmp . */
};
static const uint8_t get_marks[] = {
	0x0F, 0x21, 0xFB,             /* movl %dr7, %ebx */
	0xB9, 0x74, 0x01, 0x00, 0x00, /* movl $0x174, %ecx */
	0x0F, 0x32,                   /* rdmsr */
	0xEB, 0xFE,                   /* jmp . */
};

/* At a system call of the shell's, in the native kernel: run this code, down on the task's stack. Result: registers at its end. */
static struct cpu_state run_code(struct machine *m, const uint8_t *code, uint32_t bytes)
{
	static const enum gdb_register names[] = { GDB_EAX, GDB_ECX, GDB_EDX, GDB_EBX, GDB_ESI, GDB_EIP };
	static uint32_t at = CODE_AT;
	machine_send(m, "echo $$\n");
	lab3_run_to(m, "sys_getpid", "the shell asks for its number");
	struct cpu_state c = lab3_state(m, 0), end;
	uint32_t base = task_of(&c) + at, last = base + bytes - 2;
	at += 64; /* QEMU keeps what it has translated: never twice at the same place */
	for (uint32_t i = 0; i < bytes; i += 4) {
		uint32_t word = 0;
		memcpy(&word, code + i, bytes - i < 4 ? bytes - i : 4);
		lab3_set_word(m, &c, base + i, word);
	}
	gdb_set_register(m, GDB_EBX, DR7_MARK);
	gdb_set_register(m, GDB_ESI, SYSENTER_MARK);
	gdb_set_register(m, GDB_EIP, base);
	lab3_stop_at(m, last);
	CHECK(lab3_run_cpus(m, 1, SECONDS) == 0, "code in ring 0 at %#x does not end", base);
	lab3_pass(m, last);
	end = lab3_state(m, 0);
	const uint32_t values[] = { c.eax, c.ecx, c.edx, c.ebx, c.esi, c.eip };
	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		gdb_set_register(m, names[i], values[i]);
	lab3_rest(m);
	return end;
}

/* cpu_restore(), instruction by instruction, to the kernel's first: CR4.PGE must be off in between (or all entries stay). */
static void watch_restore(struct machine *m)
{
	bool flushed = false;
	lab3_stop_at(m, vmm_symbol("cpu_restore"));
	CHECK(lab3_run_cpus(m, 1, SECONDS) == 0, "the VMM's cpu_restore() was not reached by a detach");
	lab3_pass(m, vmm_symbol("cpu_restore"));
	for (unsigned i = 0; i < MAX_RESTORE; i++) {
		gdb_run_cpus(m, 1, true, machine_limit(SECONDS));
		struct cpu_state c = lab3_state(m, 0);
		flushed |= !(c.cr4 & CR4_PGE);
		if (c.eip >= VMM_BASE)
			continue;
		CHECK(c.cpl == 0 && c.cs.selector == SEL_KCODE, "behind cpu_restore() the kernel is in ring %u, CS %#x", c.cpl, c.cs.selector);
		CHECK(flushed, "cpu_restore() leaves the TLB as it is: entries of virtual mode, global ones too, stay valid. QEMU forgives that");
		return;
	}
	give_up(FAILED, "cpu_restore() does not end within %u instructions", MAX_RESTORE);
}

void lab3_detach(const struct test *t)
{
	static char before[20000], after[20000];
	struct machine *m = lab3_start(t, 9);
	run_code(m, set_marks, sizeof(set_marks));
	fingerprint(m, before, sizeof(before));
	lab3_switch_must(m, true);
	uint32_t types = lab3_vmm_word(m, "generation");
	lab3_ask(m, false);
	watch_restore(m);
	lab3_run_to(m, "commit", "the kernel is in ring 0 again");
	CHECK(lab3_vmm_word(m, "generation") == types, "the VMM forgot its types before commit(): no way back");
	lab3_rest(m);
	CHECK(lab3_vmm_word(m, "generation") != types, "behind a detach the VMM still has the types of that attachment: VMM_FORGET is missing");
	lab3_check_native(m);
	fingerprint(m, after, sizeof(after));
	CHECK(strcmp(before, after) == 0, "after attach and detach (N2)\n%swas\n%s", after, before);
	uint32_t sum = dormant_sum(m);
	struct cpu_state end = run_code(m, get_marks, sizeof(get_marks));
	CHECK(end.ebx == DR7_MARK, "DR7 was %#x before attach and is %#x after detach", DR7_MARK, end.ebx);
	CHECK(end.eax == SYSENTER_MARK, "SYSENTER_CS was %#x before attach and is %#x after detach", SYSENTER_MARK, end.eax);
	machine_continue(m);
	command(m, "ls /bin | wc; cat /proc/switch", 20);
	stop_idle(m);
	CHECK(dormant_sum(m) == sum, "the dormant VMM changed (N3)");
}

/* --- the whole, there and back --- */

static void there_and_back(struct machine *m)
{
	static char before[20000], after[20000];
	fingerprint(m, before, sizeof(before));
	machine_continue(m);
	command(m, "echo virtual > /proc/mode", SECONDS);
	command(m, "ls /bin | wc; cat /proc/tasks", 10);
	stop_idle(m);
	lab3_check_virtual(m);
	machine_continue(m);
	command(m, "echo native > /proc/mode", SECONDS);
	command(m, "ls /bin | wc; cat /proc/tasks", 10);
	stop_idle(m);
	lab3_check_native(m);
	fingerprint(m, after, sizeof(after));
	CHECK(strcmp(before, after) == 0, "after attach and detach (N2)\n%swas\n%s", after, before);
}

void lab3_both_ways(const struct test *t) { there_and_back(lab3_start(t, 10)); }
void lab3_bochs(const struct test *t) { there_and_back(lab3_start(t, 11)); }
