/* SPDX-License-Identifier: MIT */
/*
 * What starts debuggers: make gdb, replay, log and debug-bochs, driven by commands instead of a
 * person; and what VS Code's C/C++ extension does with .vscode/launch.json.
 */
#include "tests.h"
#include "vmm_abi.h"
#include "x86.h"
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SYSCALL_VECTOR 0x80 /* as in include/abi.h, whose names are those of the host's headers */

static char text[100000]; /* what was said last */

static void want(const char *wanted)
{
	CHECK(strstr(text, wanted), "\"%s\" was not said, but\n%.3000s", wanted, text);
}

/* Run a tool of the project with GDB commands; what it says on stdout and stderr goes to text. */
static void tool(const char *command, const char *commands, double seconds)
{
	FILE *f = fopen(work_path("script"), "w");
	fprintf(f, "%s\n", commands);
	fclose(f);
	int status = shell(text, sizeof(text), seconds, "%s -batch -x %s 2>&1", command,
			   work_path("script"));
	CHECK(status == 0, "`%s` with\n%s\nended with status %d and said:\n%.3000s", command,
	      commands, status, text);
}

/* The value that GDB printed for $n. */
static unsigned value(unsigned n)
{
	char label[16];
	unsigned v = 0;
	snprintf(label, sizeof(label), "$%u = 0x", n);
	const char *at = strstr(text, label);
	CHECK(at && sscanf(at + strlen(label), "%x", &v) == 1, "GDB printed no $%u:\n%.3000s", n,
	      text);
	return v;
}

/*
 * Forwards over two instructions and the descent to ring 1, and backwards again: EIP, ESP and ring
 * are those from before.
 */
static void replay(const struct test *t)
{
	tool("tools/replay",
	     "cb phase install attach\ncontinue\nstepi\np/x $eip\np/x $esp\n"
	     "stepi\nreverse-stepi\np/x $eip\np/x $esp\n"
	     "cb next-ring\np/x $cs\nreverse-continue\np/x $cs\np/x $eip",
	     t->seconds);
	CHECK(value(1) == value(3) && value(2) == value(4), "reverse-stepi came to %#x, not %#x",
	      value(3), value(1));
	CHECK(value(5) == 9 && value(6) == 8 && value(7) == symbol("install"),
	      "back over the descent: CS %#x, %#x, EIP %#x", value(5), value(6), value(7));
}

/* A run that ends with a panic is replayed, too: back from panic() to its caller. */
static void replay_panic(const struct test *t)
{
	tool("CMDLINE='panic=test run=true' tools/replay",
	     "break panic\ncontinue\nreverse-stepi\ncb where", t->seconds);
	want("stops at the panic");
	want(" boot_go_on+");
}

/* make gdb stops in the kernel's first C function, with two CPUs, and says where each CPU is. */
static void debug(const struct test *t)
{
	tool("SMP=2 tools/debug", "continue\ncb where", t->seconds);
	want("kmain (magic=");
	want("* native (no VO yet) mode, ring 0, CPU 0");
	want("  boot mode, ring 0, CPU 1, halted");
	want("serial line:");
}

/* What commands say at kmain, and after the machine's end. */
static void early_and_late(const struct test *t)
{
	shell(text, sizeof(text), t->seconds, "CMDLINE=run=true tools/debug -batch -ex continue "
	      "-ex 'cb next-ring' -ex 'cb ps' -ex 'cb step-phase' -ex 'cb ports' 2>&1");
	want("the kernel has no interrupt table yet");
	want("there is no task yet");
	want("the machine has ended");
	want("no machine is attached");
}

/*
 * The terminal is closed while the machine runs: GDB and QEMU end, and no temporary folder is left.
 */
static void hang_up(const struct test *t)
{
	char *const argv[] = { "tools/debug", "-ex", "continue", "-ex", "continue", NULL };
	char tmp[300];
	int terminal;
	snprintf(tmp, sizeof(tmp), "%s", work_path("tmp"));
	CHECK(mkdir(tmp, 0700) == 0, "%s: %m", tmp);
	pid_t pid = forkpty(&terminal, NULL, NULL,
			    &(struct winsize){ .ws_row = 40, .ws_col = 100 });
	if (pid == 0) {
		setenv("TMPDIR", tmp, 1);
		setenv("TERM", "xterm", 1);
		execv(argv[0], argv);
		_exit(127);
	}
	CHECK(pid > 0, "no terminal: %m");
	do { /* until the machine's shell waits for input: then GDB waits for the machine */
		struct pollfd p = { .fd = terminal, .events = POLLIN };
		CHECK(poll(&p, 1, 50) <= 0 || read(terminal, text, sizeof(text)) > 0,
		      "tools/debug ended");
	} while (shell(text, sizeof(text), 5, "grep -qs 'cinnabar:/' %s/*/serial", tmp) != 0);
	close(terminal);
	for (double end = clock_seconds() + t->seconds / 2; waitpid(pid, NULL, WNOHANG) == 0;
	     poll(NULL, 0, 10))
		CHECK(clock_seconds() < end, "tools/debug does not end with its terminal");
	CHECK(rmdir(tmp) == 0, "files are left in %s: %m", tmp);
}

/*
 * One line for each trap. There are as many hypercalls as the VMM counted, from ring 1 to 0. System
 * calls lead to ring 0 in native mode and to ring 1 in virtual mode.
 */
static void trap_log(const struct test *t)
{
	char line[400];
	unsigned hypercalls = 0, calls[2] = { 0 }, number = 0;
	shell_must(t->seconds, "tools/log %s", work_path("traps"));
	FILE *f = fopen(work_path("traps"), "r");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned n, vector, from;
		char name[32], error[16], to, where[200], handler[64];
		if (*line == '#')
			continue;
		CHECK(sscanf(line, "%u\t%x\t%31s\t%15s\t%u>%c\t%199[^\t]\t%63s", &n, &vector, name,
			     error, &from, &to, where, handler) == 8 && n == number++,
		      "trap-log: line %u is %s", number, line);
		CHECK(vector != HYPERCALL_VECTOR ||
		      (from == 1 && to == '0' && strcmp(handler, "vmm:hypercall_entry") == 0),
		      "trap-log: %s", line);
		CHECK(vector != VEC_PF ||
		      (strcmp(name, "#PF") == 0 && strstr(where, "CR2=") && *error != '-'),
		      "trap-log: %s", line);
		hypercalls += vector == HYPERCALL_VECTOR;
		if (vector == SYSCALL_VECTOR)
			CHECK(from == 3 && (to == '0' || to == '1') && ++calls[to - '0'] &&
			      strcmp(handler, "syscall_entry") == 0, "trap-log: %s", line);
	}
	fclose(f);
	/* the run of tools/log once more: it is the same, instruction by instruction */
	struct machine *m = run_command(&(struct machine_options){ 0 },
					"echo virtual > /proc/mode; cat /proc/mode; "
					"echo native > /proc/mode", EXIT_OK, 60);
	struct vmm_shared shared;
	physical_read(m, symbol("vmm_shared") - KERNEL_BASE, &shared, sizeof(shared));
	uint32_t counted = shared.exits[EXIT_HYPERCALL];
	CHECK(hypercalls == counted, "%u lines with hypercalls, but the VMM counted %u", hypercalls,
	      counted);
	CHECK(calls[0] > 0 && calls[1] > 0, "system calls: %u to ring 0, %u to ring 1", calls[0],
	      calls[1]);
}

/* QEMU's log of a triple fault: the traps that led to it are all decoded before it. */
static void triple_fault(const struct test *t)
{
	shell(text, sizeof(text), t->seconds,
	      "printf '%%s\n' "
	      "'     0: v=0e e=0007 i=0 cpl=3 IP=001b:08049416 pc=08049416 SP=0023:bffff388 "
	      "CR2=0805926c' "
	      "'     1: v=08 e=0000 i=0 cpl=3 IP=001b:08049416 pc=08049416 SP=0023:bffff388 "
	      "env->regs[R_EAX]=ffffff00' "
	      "'Triple fault' | tools/trap-log build 2>&1");
	CHECK(strcmp(text, "0\t0e\t#PF\t0007\t3>?\tuser:08049416 CR2=0805926c\t-\n"
			   "1\t08\t#DF\t0000\t3>?\tuser:08049416\t-\n# Triple fault\n") == 0,
	      "trap-log: %s", text);
}

/* Bochs's debugger knows the symbols of kernel and VMM. */
static void bochs(const struct test *t)
{
	char commands[200] = "lb \"kmain\"\nc\nlb \"vmm:hypercall_entry\"\nq\n";
	int status = shell(text, sizeof(text), t->seconds,
			   "printf '%s' | DEBUGGER=1 tools/bochs 2>&1", commands);
	char *symbols = strstr(text, "(kmain+0)");
	CHECK(symbols && strstr(text, "Breakpoint 1"), "Bochs's debugger: status %d, %.3000s",
	      status, text);
	CHECK(!strstr(symbols, "symbol"), "Bochs's debugger: %.2000s", symbols);
}

/* --- VS Code --- */

static int to_gdb, from_gdb;

/* Send a command, as the extension's adapter does, and read into text until this has come. */
static void adapter(const char *command, const char *until)
{
	size_t n = 0;
	dprintf(to_gdb, "%s\n", command);
	for (double end = clock_seconds() + 30; clock_seconds() < end && n + 1 < sizeof(text);) {
		struct pollfd p = { .fd = from_gdb, .events = POLLIN };
		ssize_t got = poll(&p, 1, 50) > 0 ? read(from_gdb, text + n, sizeof(text) - 1 - n)
						  : 0;
		n += got > 0 ? (size_t)got : 0;
		text[n] = '\0';
		const char *at = strstr(text, until);
		CHECK(!strstr(text, "^error"), "`%s` gave an error:\n%s", command, text);
		if (at && strstr(at, "(gdb)"))
			return;
	}
	give_up(FAILED, "`%s` did not give %s:\n%.3000s", command, until, text);
}

/* A setting of the launch configuration, with ${workspaceFolder} filled in. */
static char *setting(const json_t *in, const char *name)
{
	static const char variable[] = "${workspaceFolder}";
	const char *value = json_string_value(json_object_get(in, name));
	const char *at = value ? strstr(value, variable) : NULL;
	char *filled, dir[300];
	CHECK(value && getcwd(dir, sizeof(dir)), "launch.json has no %s", name);
	if (asprintf(&filled, "%.*s%s%s", at ? (int)(at - value) : 0, value, at ? dir : "",
		     at ? at + strlen(variable) : value) < 0)
		give_up(BROKEN, "no memory");
	return filled;
}

/* The adapter's commands in its order; only the address is our machine's, not localhost:1234. */
static void vscode(const struct test *t)
{
	json_error_t error;
	json_t *file = json_load_file(".vscode/launch.json", 0, &error),
	       *tasks = json_load_file(".vscode/tasks.json", 0, &error), *step;
	CHECK(file && tasks, ".vscode: %s", error.text);
	const json_t *launch = json_array_get(json_object_get(file, "configurations"), 0);
	struct machine_options o = t->machine;
	size_t i;
	char line[400];
	int in[2], out[2];
	CHECK(strcmp(setting(launch, "type"), "cppdbg") == 0 &&
	      strcmp(setting(launch, "miDebuggerServerAddress"), "localhost:1234") == 0,
	      "launch.json is not for the C/C++ extension and a server");
	snprintf(line, sizeof(line), "\"%s\"", setting(launch, "preLaunchTask"));
	CHECK(strstr(json_dumps(tasks, 0), line), "tasks.json has no task %s", line);
	o.paused = true;
	o.cmdline = "run=\"echo virtual > /proc/mode\"";
	machine_start(&o);
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		give_up(BROKEN, "no pipes");
	char *const gdb[] = { setting(launch, "miDebuggerPath"), "-q", "-nx", "--interpreter=mi",
			      NULL };
	process_start(gdb, in[0], out[1], out[1]);
	to_gdb = in[1], from_gdb = out[0];
	adapter("-gdb-set mi-async off", "^done");
	json_array_foreach(json_object_get(launch, "setupCommands"), i, step)
		adapter(setting(step, "text"), "^done");
	snprintf(line, sizeof(line), "-file-exec-and-symbols %s", setting(launch, "program"));
	adapter(line, "^done");
	snprintf(line, sizeof(line), "-target-select remote %s", work_path("0.gdb"));
	adapter(line, "^connected");
	adapter("-break-insert -f commit", "^done,bkpt={number=\"2\"");
	adapter("-exec-continue", "*stopped");
	want("func=\"kmain\"");
	adapter("-exec-continue", "*stopped");
	want("func=\"commit\"");
	want("[virtual (VO still native) mode, ring 1, CPU 0, pid");
	adapter("-stack-list-frames", "^done,stack=[frame={level=\"0\"");
	want("func=\"switch_interrupt\"");
	adapter("-data-evaluate-expression nr_cpus", "^done,value=\"1\"");
	adapter("-interpreter-exec console \"cb gdt\"", "^done");
	want("KCODE    DPL 1");
	adapter("-exec-next", "*stopped");
	want("func=\"commit\"");
}

#define ROW(n, f, s) \
	{ .name = "gdb-" n, .run = f, .seconds = s, .machine = { .stands_still = true } }
const struct test gdb_tool_tests[] = {
	ROW("replay", replay, 60),
	ROW("replay-panic", replay_panic, 60),
	ROW("debug", debug, 60),
	ROW("early-and-late", early_and_late, 60),
	ROW("hang-up", hang_up, 40),
	ROW("trap-log", trap_log, 60),
	ROW("triple-fault", triple_fault, 20),
	ROW("bochs", bochs, 120),
	ROW("vscode", vscode, 60),
	{ 0 },
};
