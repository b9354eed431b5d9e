/* SPDX-License-Identifier: MIT */
/*
 * The debugger's commands that let a machine run (cb phase, step-phase, next-ring), the one that
 * compares (cb diff), the symbols that GDB loads by itself, and all commands' help.
 */
#include "domain_abi.h"
#include "gdb_ask.h"

/* A machine that will attach and detach, stopped at its first instruction. */
static struct machine *start_switch(const struct test *t)
{
	struct machine_options o = t->machine;
	o.paused = true;
	o.cmdline = "run=\"echo virtual > /proc/mode; ls; echo native > /proc/mode\"";
	return machine_start(&o);
}

/* The same machine, stopped at a kernel function. */
static struct machine *start_to(const struct test *t, const char *function)
{
	struct machine *m = start_switch(t);
	uint32_t at = symbol(function);
	gdb_connect(m);
	gdb_break(m, at, true);
	CHECK(gdb_run(m, 60) && gdb_register(m, GDB_EIP) == at, "the machine did not come to %s",
	      function);
	gdb_break(m, at, false);
	gdb_close(m);
	return m;
}

/* --- phases and rings --- */

/*
 * cb phase stops in that phase's function, in the direction asked for; cb step-phase stops in each
 * later phase, and after the last one at the end of the switch.
 */
static void phases(const struct test *t)
{
	static const char *const order[] = { "protect", "install", "translate", "commit",
					     "resume" };
	struct machine *m = start_switch(t);
	struct cpu_state c[CPUS_MAX];
	uint32_t account = symbol("account");
	ask("cb phase account detach\ncontinue\ncb where\ndelete");
	machine_state(m, c);
	CHECK(c[0].eip >= account && c[0].eip < account + 16, "cb phase account stopped at %#x",
	      c[0].eip);
	want("* virtual mode, ring 1, CPU 0, pid");
	want("phase account (detach)");
	ask("cb step-phase\ncb step-phase\ncb step-phase\n"
	    "cb step-phase\ncb step-phase\ncb step-phase\ncb vo");
	for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		char *next = strstr(gdb_part, "[");
		CHECK(next, "cb step-phase stopped %u times only:\n%s", i, gdb_text);
		gdb_part = next + 1;
		want("phase %s (detach)]\n#0  %s", order[i], order[i]);
	}
	want("the switch is done: detach, error 0");
	want("VO in use: native");
	machine_quit(m);
}

/*
 * Outside of the phases' own functions, a switch that failed is in the phase that failed: in
 * undo(), and in dismiss(), to which a leader comes that is told that its time is over.
 */
static void rolling_back(const struct test *t)
{
	struct machine_options o = t->machine;
	o.paused = true;
	o.cmdline = "run=\"echo fail protect > /proc/switch; echo virtual > /proc/mode; "
		    "echo virtual > /proc/mode\"";
	struct machine *m = machine_start(&o);
	ask("hbreak undo\ncontinue\ncb where\ndelete\nhbreak await\ncontinue\ncb where\n"
	    "set confirm off\nreturn -110\nhbreak dismiss\ncontinue\ncb where");
	want("phase protect, rolling back (attach)]");
	want("phase gather (attach)]");
	want("phase gather, rolling back (attach)]");
	machine_quit(m);
}

/*
 * From the switch on, cb next-ring stops at each change of ring: it says which, and CS has the new
 * ring. The tick is slow: a busy host, for which the clock waits at each step, would bring ticks
 * and nothing else.
 */
static void rings(const struct test *t)
{
	enum { TIMES = 60 };
	static const char *const step = "cb next-ring\np/x $cs\n";
	char commands[TIMES * 40] = "call (void)native_time_start_tick(1)\n";
	struct machine *m = start_to(t, "protect");
	unsigned seen[4][4] = { { 0 } }, ring = 0, from, to, cs;
	for (unsigned i = 0; i < TIMES; i++)
		strcat(commands, step);
	ask(commands);
	const char *at = gdb_text;
	for (unsigned i = 0; i < TIMES; i++) {
		at = strstr(at + 1, "\nring ");
		const char *printed = at ? strstr(at, "\n$") : NULL;
		CHECK(printed && sscanf(at, "\nring %u -> ring %u", &from, &to) == 2 &&
		      sscanf(printed, "\n$%*u = 0x%x", &cs) == 1,
		      "cb next-ring, time %u of %u:\n%.3000s", i, TIMES, at ? at : gdb_text);
		CHECK(from == ring && to != from && to == (cs & 3),
		      "ring %u, then cb next-ring says %u -> %u, and CS is %#x", ring, from, to,
		      cs);
		seen[from][to]++;
		ring = to;
	}
	CHECK(seen[0][1] && seen[1][0] && seen[1][3] && seen[3][1],
	      "%u changes of ring have none between 1 and 3, or 0 and 1", TIMES);
	machine_quit(m);
}

/*
 * cb next-ring also works at the very instruction that changes the ring, here the IRET of the way
 * into ring 1. The IRET must give IF 0, so that no interrupt leads to this IRET a second time.
 */
static void at_iret(const struct test *t)
{
	enum { IRET = 0xCF, CODE_BYTES = 200 };
	struct machine *m = start_to(t, "install");
	struct cpu_state c[CPUS_MAX];
	uint8_t code[CODE_BYTES], *at;
	char command[60];
	machine_state(m, c);
	virtual_read(m, c->cr3, vmm_symbol("vmm_call_entry"), code, sizeof(code));
	CHECK(at = memchr(code, IRET, sizeof(code)), "vmm_call_entry has no IRET");
	ask_all((const char *const[]){ "cb next-ring", NULL });
	char *arrival = strdup(strstr(answer("cb next-ring"), "\n#0"));
	machine_quit(m);
	m = start_switch(t);
	snprintf(command, sizeof(command), "hbreak *%#x",
		 vmm_symbol("vmm_call_entry") + (unsigned)(at - code));
	ask_all((const char *const[]){ command, "continue",
				       "set *(int *)($esp + 8) = 2", /* EFLAGS of IRET's frame */
				       "cb next-ring", NULL });
	answer("cb next-ring");
	want("ring 0 -> ring 1");
	want("%s", arrival);
	free(arrival);
	machine_quit(m);
}

/* --- differences --- */

/* What attach changes: tables and ring by the last step of install, mappings by protect. */
static void difference(const struct test *t)
{
	struct machine *m = start_to(t, "install");
	ask("cb next-ring\ncb diff\nstepi\ncb diff");
	want("CPL  00000000 -> 00000001");
	want("GDT 0x08: KCODE    DPL 0  00000000-ffffffff  code, read\n"
	     "      => KCODE    DPL 1  00000000-fbffffff  code, read");
	want("IDT 0x82: absent\n"
	     "      => DPL 1  interrupt gate -> ring 0  hypercall_entry (VMM)");
	machine_quit(m);
	m = start_switch(t);
	ask("hbreak kmain\ncontinue\ncb phase protect attach\ncontinue\ncb diff\n"
	    "delete\ncb step-phase\ncb diff");
	CHECK(!strstr(gdb_text, "[cb: "), "a stop gave an error:\n%s", gdb_text);
	want("IDT 0x80: absent\n" /* at kmain: the BIOS's table is loaded */
	     "      => DPL 3  trap gate      -> ring 0  syscall_entry");
	want("inner rwx -> not mapped"); /* the interrupt controllers */
	machine_quit(m);
}

/* --- symbols --- */

/* GDB loads the symbols of each program in turn, and of kernel and VMM, without a command. */
static void symbols(const struct test *t)
{
	static const char *const programs[] = { "init", "sh" };
	struct machine *m = start_switch(t);
	ask("hbreak kmain\ncontinue\nbreak main\ndelete");
	want("[main is in neither kernel nor VMM. A program's symbols come at the first stop");
	for (unsigned i = 0; i < 2; i++) {
		ask("hbreak task_exec\ncontinue\nfinish\ndelete\ncb next-ring\n"
		    "info symbol $eip\ninfo line *$eip");
		want("ring 0 -> ring 3");
		want("[native mode, ring 3, CPU 0, pid %u %s]\n#0  _start () at user/lib/start.S",
		     1 + 2 * i, programs[i]);
		want("symbols/%s", programs[i]);
	}
	ask("cb phase install attach\ncontinue\ndelete\nhbreak hypercall_entry\ncontinue\n"
	    "info symbol $eip\nbacktrace 1\nlist");
	want("[virtual mode, ring 0 (VMM), CPU 0, pid");
	want("hypercall_entry in section .text of");
	want("hypercall_entry () at vmm/entry/entry.S");
	ask("delete\ncb main ls\ncontinue\ninfo symbol $eip\ncb ports");
	want(": file user/programs/ls.c, line ");
	want("[virtual mode, ring 3, CPU 0, pid 5 ls, in main]");
	want("\nno port is in use\n");
	want("symbols/ls");
	machine_quit(m);
}

/* --- domains --- */

/* What `cb frames 1` said, beside our own count. */
static void guest_frames(struct machine *m)
{
	enum { GUEST = 2, PAGES = 1024, TABLES = 3 }; /* its owner's id; its memory */
	struct cpu_state c[CPUS_MAX];
	unsigned n = m->o.mem ? m->o.mem * 256 : 64 * 256, of[8] = { 0 };
	machine_state(m, c);
	struct frame_state *f = frame_table_read(m, c[0].cr3, n);
	for (unsigned i = 0; i < n; i++)
		if (f[i].owner == GUEST)
			of[f[i].type & 7]++;
	free(f);
	want(" machine frames, %u domain 1's; attachment 1\n", PAGES);
	want("\nwritable   %6u\n", of[FRAME_WRITABLE]);
	want("\nshared     %6u\n", of[FRAME_SHARED]);
	CHECK(of[FRAME_SHARED] >= TABLES, "a guest of %u tables", of[FRAME_SHARED]);
}

/* A guest that was born, and is to run for the first time. */
static void guests(const struct test *t)
{
	struct machine_options o = t->machine;
	o.paused = true;
	o.cmdline = "run=\"echo virtual > /proc/mode; dom create a mem=4M vcpus=2; sleep 1\"";
	struct machine *m = machine_start(&o);
	uint32_t at = vmm_symbol("guest_run");
	gdb_connect(m);
	gdb_break(m, at, true);
	CHECK(gdb_run(m, 60) && gdb_register(m, GDB_EIP) == at, "no guest is born");
	gdb_break(m, at, false);
	gdb_close(m);
	ask("list domain_create\n" /* the kernel has a struct guest, too */
	    "cb domains\ncb vcpu\ncb ports\ncb frames 1");
	want("domain 0: runs, 1 vCPU, ");
	want("domain 1: paused, 2 vCPUs, 1024 frames\n");
	want("state of guests: %u\n", DOMAIN_FRAMES(2));
	want("* domain 0 vCPU 0 on CPU 0: ready, queued, ran ");
	want("  domain 1 vCPU 0 on CPU 0: ready, ran 0 ms, stolen 0 ms, at %#010x\n",
	     symbol("guest_entry"));
	want("  domain 1 vCPU 1 on CPU 0: offline, ran 0 ms");
	const char *at_port = strstr(gdb_text, "domain 1 port 1: to port ");
	unsigned own = 0;
	CHECK(at_port && sscanf(at_port, "domain 1 port 1: to port %u of domain 0", &own) == 1,
	      "cb ports does not show the console's port");
	want("domain 0 port %u: to port 1 of domain 1\n", own);
	guest_frames(m);
	/* After a wake-up by the timer: no time is stolen from whom it woke, nor given back. */
	ask("hbreak virtual_cpu_shutdown\ncontinue\np (long long)domain0.vcpus[0].stolen >= 0");
	want("\n$1 = 1\n");
	machine_quit(m);
}

/* --- help --- */

static const char *const names[] = {
	"where", "phase", "step-phase", "next-ring", "gdt", "idt", "tss", "pt", "frames", "diff",
	"vo", "events", "domains", "vcpu", "ports", "monitor", "ps", "bt", "main",
};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

/* What GDB says to options on its command line, without a machine, becomes gdb_text. */
static void without_machine(const struct test *t, const char *options)
{
	shell(gdb_text, sizeof(gdb_text), t->seconds, GDB "%s 2>&1", options);
	gdb_part = gdb_text;
}

/*
 * Each command has help that names its usage after the first sentence, and is completed from its
 * first two letters; with a bad argument it says what is wrong.
 */
static void check_help(const struct test *t)
{
	char *options, wanted[60];
	size_t size;
	FILE *f = open_memstream(&options, &size);
	for (unsigned i = 0; i < NAMES; i++)
		fprintf(f, " -ex 'echo \\n== %s\\n' -ex 'help cb %s' -ex 'complete cb %.2s'"
			   " -ex 'cb %s 1 2 3'", names[i], names[i], names[i], names[i]);
	fclose(f);
	without_machine(t, options);
	free(options);
	for (unsigned i = 0; i < NAMES; i++) {
		answer(names[i]);
		snprintf(wanted, sizeof(wanted), ": cb %s", names[i]);
		char *usage = strstr(gdb_part, wanted);
		char *completion = usage ? strstr(usage, "\ncb ") : NULL;
		CHECK(usage && completion && strstr(completion, names[i]),
		      "help and completion of cb %s: %s", names[i], gdb_part);
		CHECK(strstr(gdb_part, "takes") || strstr(gdb_part, "no machine is attached"),
		      "cb %s with a bad argument: %s", names[i], gdb_part);
	}
}

/* What needs no machine: help, completion, and errors that say what to do. */
static void help(const struct test *t)
{
	check_help(t);
	without_machine(t, " -ex 'complete cb phase co' -ex 'complete cb phase commit a'"
			   " -ex 'complete cb pt nr_pf'");
	CHECK(strcmp(gdb_text, "cb phase commit\ncb phase commit attach\ncb pt nr_pfns\n") == 0,
	      "completion of arguments: %s", gdb_text);
	without_machine(t, " -ex 'cb where'");
	want("no machine is attached; start one with 'make gdb'");
	without_machine(t, " -ex 'cb vcpu'"); /* GDB itself would show the zeros of the file */
	want("no machine is attached; start one with 'make gdb'");
	without_machine(t, " -ex 'cb monitor'");
	want("cb monitor takes a command");
	without_machine(t, " -ex 'cb phase nonsense'");
	want("cb phase takes one of: request gather");
}

#define ROW(n, f) \
	{ .name = "gdb-" n, .run = f, .seconds = 60, .machine = { .stands_still = true } }
const struct test gdb_tests[] = {
	ROW("help", help),
	ROW("phases", phases),
	ROW("rolling-back", rolling_back),
	ROW("rings", rings),
	ROW("at-iret", at_iret),
	ROW("diff", difference),
	ROW("symbols", symbols),
	ROW("domains", guests),
	{ 0 },
};
