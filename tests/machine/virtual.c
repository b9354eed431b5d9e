/* SPDX-License-Identifier: MIT */
/*
 * Virtual mode and the switch on many machines: invariants at random moments, pairs of switches
 * under load, and the programs' test suites.
 */
#include "tests.h"
#include "offsets.h"
#include "vmm_abi.h"
#include "x86.h"
#include <errno.h>

/*
 * The invariants of virtual mode at the prompt and at random moments (number: their seed) while
 * programs start and end; and those of native mode after a detach.
 */
static void invariants(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	command(m, "echo virtual > /proc/mode", 20);
	machine_stop(m);
	check_whole(m);
	machine_continue(m);
	srand(t->number);
	for (int i = 0; i < (m->o.bochs ? 2 : 10); i++) {
		machine_send(m, "ls -l /bin | grep s | wc; cat /proc/tasks; "
				"echo done > /tmp/x; rm /tmp/x\n");
		usleep((useconds_t)(rand() % 60000));
		machine_stop(m);
		check_whole(m);
		machine_continue(m);
		machine_expect(m, PROMPT, 60);
	}
	machine_send(m, "echo all-done\n");
	machine_expect(m, "\nall-done\n", 60);
	machine_expect(m, PROMPT, 20);
	command(m, "echo native > /proc/mode", 20);
	machine_stop(m);
	check_native(m);
	machine_continue(m);
	end_at_prompt(m);
}

/* mode=virtual on the command line attaches before the first program; a detach works then, too. */
static void from_boot(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	CHECK(strstr(m->log, "unknown option `mood=native` ignored"),
	      "nobody complains about mood=native");
	machine_stop(m);
	check_whole(m);
	machine_continue(m);
	command(m, "ls -l /bin | wc; echo native > /proc/mode", 20);
	machine_stop(m);
	check_native(m);
	machine_continue(m);
	end_at_prompt(m);
}

/*
 * number: pairs of switches, under load with a pause after each, and as many without a pause. (With
 * both, the load would get the CPU at one tick in a hundred thousand switches.) Before and after
 * them the machine is the same (N2), and nothing touches the VMM while it is dormant (N3).
 */
static void pairs(const struct test *t)
{
	static char before[20000], after[20000];
	struct machine *m = start_to_prompt(&t->machine);
	char line[200];
	unsigned times = 0;
	machine_stop(m);
	fingerprint(m, before, sizeof(before));
	machine_continue(m);
	snprintf(line, sizeof(line), "switcher %u 1 stress %ur 3 && switcher %u 0 && echo all well",
		 t->number, t->number / 10, t->number);
	command(m, line, t->seconds - 20);
	const char *said = strstr(m->log, "\nswitched ");
	CHECK(said && sscanf(said, "\nswitched %u", &times) == 1 && times >= 2 * t->number &&
	      strstr(said, "\nall well"),
	      "the switcher or its load failed");
	machine_stop(m);
	check_native(m);
	fingerprint(m, after, sizeof(after));
	CHECK(strcmp(before, after) == 0, "after the switches (N2)\n%swas\n%s", after, before);
	uint32_t sum = dormant_sum(m);
	machine_continue(m);
	command(m, "ls /bin | wc; cat /proc/switch", 20);
	machine_stop(m);
	CHECK(dormant_sum(m) == sum, "the dormant VMM changed (N3)");
	machine_continue(m);
	end_at_prompt(m);
}

/*
 * An event is pending whenever one is handled: however many come in a row, the kernel's stack does
 * not grow.
 */
static void in_a_row(const struct test *t)
{
	enum { TIMES = 40 };
	struct machine *m = start_to_prompt(&t->machine);
	uint32_t pending = symbol("vmm_shared") - KERNEL_BASE + VMM_SHARED_PENDING, esp[TIMES];
	gdb_connect(m);
	for (int i = 0; i < TIMES; i++) {
		gdb_break(m, symbol("irq_count"), true);
		CHECK(gdb_run(m, 10), "no event comes");
		esp[i] = gdb_register(m, GDB_ESP);
		CHECK(esp[i] == esp[0], "the stack of event %d begins at %#x, of the first at %#x",
		      i, esp[i], esp[0]);
		physical_write(m, pending, &(uint32_t){ 1u << EVENT_RESCHED }, 4);
		gdb_break(m, symbol("irq_count"), false);
		gdb_step(m);
	}
	gdb_disconnect(m);
	command(m, "echo alive", 10);
	end_at_prompt(m);
}

/* --- a table that the VMM drops while a process forks --- */

struct registers { uint32_t r[GDB_EIP + 1]; };

static void load_registers(struct machine *m, const struct registers *s)
{
	for (unsigned i = 0; i <= GDB_EIP; i++)
		gdb_set_register(m, i, s->r[i]);
}

/* The CPU is at an INT, which is executed with these registers. Result: EAX after it. */
static uint32_t hypercall_here(struct machine *m, const struct registers *at, uint32_t number,
			       uint32_t ebx, uint32_t edx)
{
	struct registers s = *at;
	s.r[GDB_EAX] = number, s.r[GDB_EBX] = ebx, s.r[GDB_ECX] = 1;
	s.r[GDB_EDX] = edx, s.r[GDB_ESI] = 0;
	load_registers(m, &s);
	gdb_break(m, s.r[GDB_EIP] + 2, true);
	CHECK(gdb_run(m, 10), "hypercall %u does not return", number);
	gdb_break(m, s.r[GDB_EIP] + 2, false);
	uint32_t result = gdb_register(m, GDB_EAX);
	load_registers(m, at);
	return result;
}

/* Step from the entry of the VO's share_ptes to the INT of its HC_SHARE. Result: false: none. */
static bool step_to_share(struct machine *m, struct registers *at)
{
	for (unsigned steps = 0; steps < 100; steps++) {
		uint8_t code[2];
		uint32_t eip = gdb_register(m, GDB_EIP);
		gdb_read(m, eip, code, sizeof(code));
		if (code[0] == 0xCD && code[1] == HYPERCALL_VECTOR) {
			for (unsigned i = 0; i <= GDB_EIP; i++)
				at->r[i] = gdb_register(m, i);
			return at->r[GDB_EAX] == HC_SHARE && at->r[GDB_EDX];
		}
		gdb_step(m);
	}
	return false;
}

/*
 * The shell forks, and is about to have a table shared that the VMM holds. That is the moment in
 * which a detach on another CPU begins, and lets the VMM drop what no directory refers to: the
 * shell's table (which its directory hides, since the shell was away), or the child's.
 */
static void share_dropped(struct machine *m, bool child)
{
	struct registers at;
	struct cpu_state c[CPUS_MAX];
	uint32_t directory[KERNEL_SLOT];
	int dropped;
	machine_stop(m);
	gdb_connect(m);
	gdb_break(m, symbol("virtual_mmu_share_ptes"), true);
	machine_send(m, "echo child | cat\n");
	do
		CHECK(gdb_run(m, 20), "no fork shares a table that the VMM holds");
	while (!step_to_share(m, &at));
	gdb_break(m, symbol("virtual_mmu_share_ptes"), false);
	uint32_t table = at.r[child ? GDB_EDX : GDB_EBX] >> PAGE_SHIFT;
	machine_state(m, c);
	physical_read(m, c[0].cr3, directory, sizeof(directory));
	for (unsigned i = 0; i < KERNEL_SLOT; i++)
		if (directory[i] >> PAGE_SHIFT == table && directory[i] & PTE_P)
			CHECK(hypercall_here(m, &at, HC_UPDATE, c[0].cr3 + i * 4,
					     directory[i] & ~(uint32_t)PTE_P) == 0,
			      "the table cannot be hidden");
	do /* alone, or with all that nothing refers to */
		dropped = (int)hypercall_here(m, &at, child ? HC_TRIM : HC_RELEASE, table, 0);
	while (dropped == -EAGAIN);
	struct frame_state *f = frame_table_read(m, c[0].cr3, kernel_word(m, "nr_mfns"));
	CHECK(!dropped && f[table].type == FRAME_WRITABLE, "the VMM has not dropped the table");
	free(f);
	gdb_disconnect(m);
	machine_expect(m, "\nchild\n", 20);
	machine_expect(m, PROMPT, 20);
	machine_stop(m);
	check_whole(m);
	machine_continue(m);
}

static void shares(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	share_dropped(m, false);
	share_dropped(m, true);
	command(m, "usertests cow_many cow_kernel_writes && echo native > /proc/mode", 20);
	CHECK(strstr(m->log, "passed, 0 failed"), "pages are not private after a fork");
	end_at_prompt(m);
}

/* A detach returns to ring 0 with ring 1's registers. */
static void detach_registers(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	struct cpu_state c;
	uint32_t regs[REGS_BYTES / 4];
	machine_stop(m);
	gdb_connect(m);
	gdb_break(m, vmm_symbol("ring0_return"), true);
	machine_send(m, "echo native > /proc/mode\n");
	CHECK(gdb_run(m, 20), "no detach");
	gdb_registers(m, &c);
	virtual_read(m, machine_cpu(m, 0).cr3, c.eax, regs, sizeof(regs));
	gdb_break(m, vmm_symbol("ring0_return"), false);
	gdb_break(m, regs[REGS_EIP / 4], true);
	CHECK(gdb_run(m, 20), "the VMM does not return");
	gdb_registers(m, &c);
	CHECK(c.eax == regs[REGS_EAX / 4] && c.ecx == regs[REGS_ECX / 4] &&
	      c.edx == regs[REGS_EDX / 4] && c.ebx == regs[REGS_EBX / 4] &&
	      c.esi == regs[REGS_ESI / 4] && c.edi == regs[REGS_EDI / 4] &&
	      c.ebp == regs[REGS_EBP / 4] && c.esp == regs[REGS_ESP / 4],
	      "a detach changes a register");
	gdb_break(m, regs[REGS_EIP / 4], false);
	gdb_disconnect(m);
	machine_expect(m, PROMPT, 20);
	end_at_prompt(m);
}

/* Begin an attach. The machine stops before the instruction at this address. */
static void attach_to(struct machine *m, uint32_t address)
{
	machine_send(m, "echo virtual > /proc/mode\n");
	gdb_break(m, address, true);
	CHECK(gdb_run(m, 20), "no attach");
	gdb_break(m, address, false);
}

/* From the LIDT of an attach to its IRET, its last instruction in ring 0, an NMI is dropped. */
static void nmi_at_attach(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	unsigned tries = 0, ring = 0;
	machine_stop(m);
	gdb_connect(m);
	attach_to(m, vmm_symbol("cpu_install"));
	while (machine_cpu(m, 0).idt.base < VMM_BASE)
		gdb_step(m);
	for (uint32_t from = gdb_register(m, GDB_EIP); !ring; tries++) {
		gdb_disconnect(m);
		machine_expect(m, PROMPT, 20);
		command(m, "echo native > /proc/mode", 20);
		machine_stop(m);
		gdb_connect(m);
		attach_to(m, from);
		for (unsigned i = 0; i < tries; i++)
			gdb_step(m);
		ring = machine_cpu(m, 0).cpl;
		if (!ring)
			free(qmp(m, "inject-nmi", NULL));
	}
	gdb_disconnect(m);
	machine_expect(m, PROMPT, 20);
	CHECK(tries > 20, "only %u instructions", tries);
	end_at_prompt(m);
}

/* text: a command with a test suite, in virtual mode or while the mode changes all the time. */
static void suite(const struct test *t)
{
	struct machine *m = run_command(&t->machine, t->text, EXIT_OK, t->seconds - 5);
	CHECK(!strstr(t->text, "usertests") || strstr(m->log, "passed, 0 failed"),
	      "usertests did not finish");
}

#define ROW(n, f, s, k, command, ...) \
	{ .name = n, .run = f, .seconds = s, .number = k, .text = command, \
	  .machine = { __VA_ARGS__ } }
#define SUITE(n, command, ...) ROW(n, suite, 240, 0, command, __VA_ARGS__)
#define VIRTUAL(n, command, ...) \
	SUITE("virtual-" n, "echo virtual > /proc/mode && " command, __VA_ARGS__)
#define INVARIANTS(n, s, seed, ...) ROW("virtual-" n, invariants, s, seed, NULL, __VA_ARGS__)
#define FROM_BOOT(n, ...) \
	ROW("virtual-from-boot" n, from_boot, 60, 0, NULL, \
	    .cmdline = "mode=virtual mood=native", __VA_ARGS__)
#define PAIRS(n, s, times, ...) ROW(n, pairs, s, times, NULL, __VA_ARGS__)
const struct test switch_tests[] = {
	VIRTUAL("usertests", "usertests", 0),
	VIRTUAL("usertests-shuffle1-smp4", "usertests", .p2m = "shuffle:1", .cpus = 4),
	VIRTUAL("usertests-shuffle2-bochs", USERTESTS_PROCESSOR, .p2m = "shuffle:2", .bochs = true),
	VIRTUAL("usertests-bochs-smp2", USERTESTS_SHARING, .cpus = 2, .bochs = true),
	VIRTUAL("usertests-v86", USERTESTS_PROCESSOR_V86, .p2m = "shuffle:1", .v86 = true),
	VIRTUAL("fuzz", "fuzz 5000 7", .p2m = "shuffle:3"),
	SUITE("switch-usertests", "switcher 10 1 usertests", 0),
	/* Free running: the rendezvous and the VMM's locks, on CPUs that run in parallel. */
	SUITE("switch-usertests-shuffle1-smp4", "switcher 10 1 " USERTESTS_SHARING,
	      .p2m = "shuffle:1", .cpus = 4, .free_running = true),
	SUITE("switch-usertests-shuffle2-bochs", "switcher 10 50 " USERTESTS_PROCESSOR,
	      .p2m = "shuffle:2", .bochs = true),
	SUITE("switch-torn", "switcher 1000 0 torn 200", .p2m = "shuffle:1"),
	SUITE("switch-fuzz-smp4", "switcher 10 1 fuzz 700 8", .p2m = "shuffle:3", .cpus = 4,
	      .free_running = true),
	INVARIANTS("identity", 60, 1, 0),
	INVARIANTS("shuffle1", 60, 2, .p2m = "shuffle:1"),
	INVARIANTS("shuffle2-smp4", 60, 3, .p2m = "shuffle:2", .cpus = 4),
	INVARIANTS("shuffle3-smp8", 60, 4, .p2m = "shuffle:3", .cpus = 8),
	INVARIANTS("128m-iso", 60, 4, .mem = 128, .iso = true),
	FROM_BOOT("", .p2m = "shuffle:4"),
	FROM_BOOT("-smp4", .cpus = 4),
	INVARIANTS("bochs", 120, 5, .bochs = true, .p2m = "shuffle:3"),
	INVARIANTS("bochs-smp2", 120, 6, .bochs = true, .cpus = 2),
	INVARIANTS("v86", 120, 7, .v86 = true, .mem = 16, .p2m = "shuffle:3"),
	ROW("virtual-in-a-row", in_a_row, 60, 0, NULL, .cmdline = "mode=virtual"),
	ROW("switch-registers", detach_registers, 60, 0, NULL, .cmdline = "mode=virtual"),
	ROW("virtual-share-dropped", shares, 60, 0, NULL, .cmdline = "mode=virtual"),
	ROW("switch-nmi", nmi_at_attach, 120, 0, NULL, ),
	PAIRS("switch-pairs", 120, 200, .p2m = "shuffle:4"),
	PAIRS("switch-pairs-smp4", 120, 100, .p2m = "shuffle:5", .cpus = 4),
	PAIRS("switch-pairs-v86", 120, 20, .p2m = "shuffle:5", .v86 = true, .mem = 16),
	{ 0 },
};

const struct test switch_soak_tests[] = {
	SUITE("soak-virtual-usertests-bochs-smp2", "echo virtual > /proc/mode && usertests",
	      .cpus = 2, .bochs = true),
	SUITE("soak-virtual-usertests-bochs", "echo virtual > /proc/mode && usertests",
	      .p2m = "shuffle:2", .bochs = true),
	SUITE("soak-switch-usertests-bochs", "switcher 10 50 usertests", .p2m = "shuffle:2",
	      .bochs = true),
	SUITE("soak-virtual-usertests-v86", "echo virtual > /proc/mode && " USERTESTS_V86,
	      .p2m = "shuffle:1", .v86 = true),
	ROW("soak-switch-fuzz-smp4", suite, 3600, 0, "switcher 10 0 fuzz 50000 8",
	    .p2m = "shuffle:3", .cpus = 4, .free_running = true),
	SUITE("soak-switch-usertests-smp4", "switcher 10 0 usertests", .p2m = "shuffle:1",
	      .cpus = 4, .free_running = true),
	PAIRS("soak-switch-pairs", 3600, 10000, .p2m = "shuffle:6"),
	SUITE("soak-switch-usertests-v86", "switcher 10 50 " USERTESTS_V86, .p2m = "shuffle:1",
	      .v86 = true),
	PAIRS("soak-switch-pairs-v86", 1200, 1000, .p2m = "shuffle:5", .v86 = true, .mem = 16),
	PAIRS("soak-switch-pairs-smp4", 3600, 1000, .p2m = "shuffle:7", .cpus = 4,
	      .free_running = true),
	{ 0 },
};
