/* SPDX-License-Identifier: MIT */
/*
 * Limits (machine/time.c): the guest's instructions decide, and a guest that executes nothing is
 * told at once. No test here looks at the host's clock, so each means the same on a busy host.
 */
#include "tests.h"
#include <signal.h>

enum { FOR_EVER = 3600, MILLION = 1000000 };

static void want_late(struct machine *m, double seconds, const char *what)
{
	CHECK(!machine_sees(m, "never", seconds) && m->late && m->pid, "%s: it is not late", what);
}

/* The only CPU halts for ever, with interrupts off. */
static void halted(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	stop_idle(m);
	gdb_connect(m);
	gdb_silence(m, 0, symbol("native_cpu_halt"));
	gdb_disconnect(m);
	uint64_t before = qmp_instructions(m);
	want_late(m, FOR_EVER, "a machine whose CPU has halted with interrupts off");
	CHECK(m->instructions - before < MILLION, "it executed %llu instructions meanwhile",
	      (unsigned long long)(m->instructions - before));
}

/* A wait ends when the budget is used up, long before its seconds, and soon after. */
static void budget(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	machine_send(m, "fuzz 100000000 3\n");
	uint64_t before = qmp_instructions(m);
	want_late(m, FOR_EVER, "a machine that has executed its budget");
	uint64_t after = (m->instructions - before) / MILLION;
	unsigned all = t->machine.budget * m->o.cpus;
	/* It is asked ten times a second, and QEMU executes at most a billion in one. */
	CHECK(after >= all && after < all + 300, "late after %u of %u million instructions",
	      (unsigned)after, all);
}

/* A machine that only sleeps is late by its clock, long before its instructions. */
static void idle(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	uint64_t before = qmp_instructions(m);
	want_late(m, 10, "a machine at its prompt");
	CHECK(m->instructions - before < 100ull * MILLION, "late after %llu instructions",
	      (unsigned long long)(m->instructions - before));
}

/*
 * Few instructions that keep QEMU busy: each DMA of the firmware's configuration device fills 4 MiB
 * where no memory is (QEMU, docs/specs/fw_cfg.txt). The program's own time ends the wait.
 */
static void dear(const struct test *t)
{
	enum { DMA_AT = 0x60000 };
	static const uint8_t code[] = {
		0xBB, 0, 0, 6, 0xC0,             /*    mov $KERNEL_BASE + DMA_AT, %ebx */
		0xC7, 0x03, 0xFF, 0xFF, 0, 0x0A, /* 1: control: select no item, read; big-endian */
		0xC7, 0x43, 0x04, 0, 0x40, 0, 0, /*    its length */
		0xC7, 0x43, 0x08, 0, 0, 0, 0,    /*    and address, 0x10000000 */
		0xC7, 0x43, 0x0C, 0x10, 0, 0, 0,
		0xBA, 0x18, 0x05, 0, 0,          /*    out to port 0x518: DMA_AT */
		0xB8, 0x00, 0x06, 0, 0, 0xEF,
		0xEB, -(6 + 3 * 7 + 5 + 6 + 2),  /*    jmp 1b */
	};
	struct machine *m = start_to_prompt(&t->machine);
	machine_budget = 20;
	stop_idle(m);
	physical_write(m, symbol("panic") - KERNEL_BASE, code, sizeof(code));
	gdb_connect(m);
	gdb_put_idle(m, 0, true, symbol("panic"));
	gdb_disconnect(m);
	uint64_t before = qmp_instructions(m);
	want_late(m, FOR_EVER, "a machine of dear instructions");
	CHECK(m->instructions - before < MILLION && process_cpu(m->pid) > 0.9,
	      "QEMU worked %.1f s, on %llu instructions", process_cpu(m->pid),
	      (unsigned long long)(m->instructions - before));
}

/* A machine that ends without a status: which of the four ways it was. */
static void ends(const struct test *t)
{
	static const struct { const char *out, *end; } ways[] = {
		{ "o /b 0x64 0xfe", "was reset by the kernel" }, /* the keyboard's controller */
		{ "o /b 0xcf9 6", "was reset by the kernel" },
		{ "o /w 0x604 0x2000", "was turned off by the kernel" },
		{ NULL, "was reset by a triple fault" },
	};
	static const uint8_t no_idt[2048];
	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct machine *m = start_to_prompt(&t->machine);
		struct cpu_state cpus[CPUS_MAX];
		char arguments[100];
		snprintf(arguments, sizeof(arguments), "{\"command-line\":\"%s\"}", ways[i].out);
		machine_stop(m);
		machine_state(m, cpus);
		if (!ways[i].out)
			physical_write(m, cpus[0].idt.base - KERNEL_BASE, no_idt, sizeof(no_idt));
		machine_continue(m);
		if (ways[i].out)
			free(qmp_if_there(m, "human-monitor-command", arguments));
		CHECK(machine_wait(m, 10) == 0 && strstr(machine_end(m), ways[i].end),
		      "\"%s\": the machine %s", ways[i].out, machine_end(m));
	}
}

/* shell() comes back, although a process that has left its group keeps the pipe open. */
static void pipe_kept(const struct test *t)
{
	char text[100];
	(void)t;
	int status = shell(text, sizeof(text), 1, "setsid sleep 1000 & echo $!");
	CHECK(atoi(text) > 1 && kill(atoi(text), SIGKILL) == 0, "no process was left: %s", text);
	CHECK(status == 0, "the command ended with status %d", status);
}

/* While other CPUs are held, one runs for a number of instructions, and comes to nothing. */
static void held(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	gdb_connect(m);
	gdb_break(m, symbol("panic"), true);
	for (unsigned cpu = 0; cpu < m->o.cpus; cpu++) {
		uint64_t before = qmp_instructions(m);
		int came = gdb_run_cpus(m, 1u << cpu, false, 0.01);
		CHECK(came == -1 && m->late, "CPU %d came to panic()", came);
		CHECK(qmp_instructions(m) - before >= 0.01 * MIPS * MILLION,
		      "CPU %u executed too little", cpu);
	}
	gdb_break(m, symbol("panic"), false);
	gdb_disconnect(m);
	end_at_prompt(m);
}

/* A CPU that halts for good runs alone, and another one is held that could go on: late at once. */
static void alone(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	gdb_connect(m);
	gdb_break(m, symbol("native_time_now"), true);
	CHECK(gdb_run_cpus(m, 1, false, 1) == 0, "CPU 0 takes no tick");
	gdb_break(m, symbol("native_time_now"), false);
	gdb_silence(m, 1, symbol("native_cpu_halt"));
	double before = process_cpu(m->pid);
	CHECK(gdb_run_cpus(m, 2, false, 0.005) == -1 && m->late, "CPU 1 goes on");
	CHECK(process_cpu(m->pid) - before < 0.5, "QEMU worked %.1f s on it",
	      process_cpu(m->pid) - before);
}

/* Bochs that does nothing for a while is not late; at its prompt it is, by its instructions. */
static void bochs(const struct test *t)
{
	enum { STOPPED_SECONDS = 5 };
	struct machine *m = machine_start(&t->machine);
	kill(m->pid, SIGSTOP);
	pid_t wakes = fork();
	if (wakes == 0) {
		sleep(STOPPED_SECONDS);
		kill(m->pid, SIGCONT);
		_exit(0);
	}
	machine_expect(m, PROMPT, FOR_EVER);
	process_wait(wakes, STOPPED_SECONDS);
	uint64_t before = m->instructions;
	want_late(m, FOR_EVER, "Bochs at its prompt");
	unsigned after = (unsigned)((m->instructions - before) / MILLION);
	CHECK(after >= t->machine.budget, "late after %u of %u million instructions", after,
	      t->machine.budget);
}

const struct test limit_tests[] = {
	{ .name = "limits-halted", .run = halted, .seconds = 60 },
	{ .name = "limits-idle", .run = idle, .seconds = 60 },
	{ .name = "limits-budget", .run = budget, .seconds = 60, .machine = { .budget = 40 } },
	{ .name = "limits-budget-smp2", .run = budget, .seconds = 60,
	  .machine = { .budget = 40, .cpus = 2 } },
	{ .name = "limits-bochs", .run = bochs, .seconds = 60,
	  .machine = { .bochs = true, .budget = 40 } },
	{ .name = "limits-dear", .run = dear, .seconds = 60 },
	{ .name = "limits-ends", .run = ends, .seconds = 60 },
	{ .name = "limits-shell", .run = pipe_kept, .seconds = 60 },
	{ .name = "limits-alone-smp2", .run = alone, .seconds = 20, .machine = { .cpus = 2 } },
	{ .name = "limits-held-smp3", .run = held, .seconds = 60, .machine = { .cpus = 3 } },
	{ 0 },
};
