/* SPDX-License-Identifier: MIT */
/* Booting in every way and its cost, the two consoles, panics. */
#include "emulators.h"
#include "tests.h"
#include "x86.h"

enum { BOOT_SECONDS = 60, BOOT_INSTRUCTIONS_MAX = 100000000, PASTED = 400,
       PASTED_BOCHS = 150 };

static void boot(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	command(m, "echo first > /tmp/f; cat /tmp/f; echo second", 20);
	CHECK(strstr(m->log, "\nfirst\nsecond\n"),
	      "the shell does not run two commands of one line");
	end_at_prompt(m);
}

/* The ISO that `make iso` made. An old one has other addresses of variables than this build. */
static void boot_built_iso(const struct test *t)
{
	struct machine_options o = t->machine;
	char path[300], newer[600];
	snprintf(path, sizeof(path), "%s/cinnabar.iso", build_dir);
	if (access(path, R_OK) < 0)
		give_up(BROKEN, "%s is not there; run make iso", path);
	shell(newer, sizeof(newer), 10, "find %s %s %s/rootfs.ext2 -newer %s", kernel_file,
	      vmm_file, build_dir, path);
	if (*newer)
		give_up(BROKEN, "%s is older than %.*s; run make iso", path,
			(int)strcspn(newer, "\n"), newer);
	o.iso_file = path;
	end_at_prompt(start_to_prompt(&o));
}

/*
 * Instructions until the shell reads its first line: exact, by a breakpoint and QEMU's instruction
 * counter.
 */
static void boot_cost(const struct test *t)
{
	struct machine *m = machine_start(&t->machine);
	gdb_connect(m);
	gdb_break(m, symbol("tty_read"), true);
	CHECK(gdb_run(m, BOOT_SECONDS), "no program read the console within %d s", BOOT_SECONDS);
	machine_expect(m, PROMPT, 10);
	uint64_t n = qmp_instructions(m);
	CHECK(n > 1000 && n < BOOT_INSTRUCTIONS_MAX, "boot took %llu instructions, more than %d",
	      (unsigned long long)n, BOOT_INSTRUCTIONS_MAX);
	printf("prompt after %llu instructions\n", (unsigned long long)n);
	fflush(stdout);
}

/* Ticks of the host's time-stamp counter in a second. */
static double host_tsc_hz(void)
{
#ifdef __x86_64__
	double start = clock_seconds();
	uint64_t ticks = __builtin_ia32_rdtsc();
	usleep(200000);
	ticks = __builtin_ia32_rdtsc() - ticks;
	return (double)ticks / (clock_seconds() - start);
#else
	give_up(SKIPPED, "QEMU's time-stamp counter is the host's, and this host has none");
#endif
}

/*
 * The kernel's measure of its clocks. number: Hz of the time-stamp counter; 0: it is the host's.
 * In QEMU the local APIC's timer has 1 GHz always.
 */
static void clock_rate(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	double hz = t->number ? t->number : host_tsc_hz(), part = m->o.free_running ? 0.01 : 0.001;
	machine_stop(m);
	double multiplier = kernel_word(m, "ns_multiplier"), apic = kernel_word(m, "lapic_hz");
	machine_continue(m);
	double measured = 1e9 * (1 << 24) / multiplier;
	CHECK(measured > hz * (1 - part) && measured < hz * (1 + part),
	      "the time-stamp counter has %.0f kHz, the kernel measured %.0f", hz / 1e3,
	      measured / 1e3);
	CHECK(m->o.bochs || (apic > 1e9 * (1 - part) && apic < 1e9 * (1 + part)),
	      "the local APIC's timer has 1 GHz, the kernel measured %.0f kHz", apic / 1e3);
	end_at_prompt(m);
}

/* number: seconds at most. The best of three counts: other work on the host only adds time. */
static void boot_time(const struct test *t)
{
	double best = 1e9;
	for (int i = 0; i < 3; i++) {
		double start = clock_seconds();
		struct machine *m = start_to_prompt(&t->machine);
		best = clock_seconds() - start < best ? clock_seconds() - start : best;
		machine_quit(m);
	}
	CHECK(best < t->number, "boot took %.1f s of wall time, more than %u", best, t->number);
}

/* The command line has panic=test: the report must name the cause, the ring and its caller. */
static void panic_ends(const struct test *t)
{
	struct machine *m = machine_start(&t->machine);
	int status = machine_wait(m, BOOT_SECONDS);
	CHECK(status == EXIT_PANIC, "a panic ended with status %d instead of %d", status,
	      EXIT_PANIC);
	CHECK(strstr(m->log, "kernel panic: "), "the panic does not name its cause");
	CHECK(strstr(m->log, "ring 0"), "the panic does not tell the ring");
	CHECK(strstr(m->log, "kmain"),
	      "the panic's back trace does not name kmain, through which every boot goes");
}

static void press(struct machine *m, const char *key)
{
	qmp_keys(m, &key, 1);
	usleep(150000); /* QEMU holds a key for 100 ms */
}

static void keyboard(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	static const char *const shifted_a[] = { "shift", "a" };
	for (const char *k = "echo "; *k; k++)
		press(m, *k == ' ' ? "spc" : (char[]){ *k, 0 });
	qmp_keys(m, shifted_a, 2);
	usleep(150000);
	press(m, "b"), press(m, "backspace"), press(m, "c"), press(m, "ret");
	machine_expect(m, "\nAc\n", 10);
	CHECK(strstr(m->log, "$ echo A"), "the shell does not show what is typed");
	machine_expect(m, PROMPT, 10);
	end_at_prompt(m);
}

/* Run a line that waits, and press Ctrl-C. */
static void stop_line(struct machine *m, const char *line)
{
	machine_send(m, line);
	machine_send(m, "\n");
	machine_expect(m, "\n", 10);
	usleep(300000);
	machine_send(m, "\003");
	machine_expect(m, PROMPT, 10);
	size_t from = m->log_bytes;
	command(m, "echo $?", 10);
	CHECK(strstr(m->log + from, "\n137\n"), "%s does not end with status 137", line);
}

static void control_c(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	static const char *const keys[] = { "ctrl", "c" };
	machine_send(m, "cat\n"); /* waits for input */
	machine_expect(m, "\n", 10);
	usleep(300000);
	qmp_keys(m, keys, 2);
	machine_expect(m, PROMPT, 10);
	machine_send(m, "sleep 1000\n");
	machine_expect(m, "\n", 10);
	usleep(300000);
	machine_send(m, "\003"); /* Ctrl-C, on the serial line */
	machine_expect(m, PROMPT, 10);
	/* A shell that waits for the background goes on. The rest of its line does not run. */
	command(m, "sleep 1000 &", 10);
	for (int nested = 0; nested < 2; nested++) {
		stop_line(m, "cat | cat; echo l'a'te");
		stop_line(m, "wait; echo l'a'te");
		command(m, "sh", 10);
		stop_line(m, "sleep 1000 & true && wait $! || echo l'a'te");
	}
	command(m, "sleep 1 & true; wait $!; echo status $?", 10);
	CHECK(strstr(m->log, "\nstatus 0\n"), "the end of a program does not end the wait");
	CHECK(!strstr(m->log, "late"), "the rest of a line runs after Ctrl-C");
	CHECK(!strstr(m->log, "the shell has ended"), "Ctrl-C ends the shell");
	command(m, "echo alive", 10);
	CHECK(strstr(m->log, "\nalive\n"), "the shell does not go on after Ctrl-C");
	end_at_prompt(m);
}

/*
 * More is pasted than the kernel has room for, while a program runs that does not read it: nothing
 * is lost, and each line runs once, in order. Bochs's line does not wait, so there the kernel keeps
 * the whole text, which comes while it prints.
 */
static void paste(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	static char want[PASTED * 40];
	char line[64];
	size_t n = 0;
	machine_send(m, "sleep 1\n");
	for (int i = 0; i < (m->o.bochs ? PASTED_BOCHS : PASTED); i++) {
		snprintf(line, sizeof(line), "echo pasted line %d of many >>f\n", i);
		n += (size_t)sprintf(want + n, "pasted line %d of many\n", i);
		machine_send(m, line);
	}
	machine_send(m, "echo e'n'd\n"); /* until here the echo of the input is in the log, too */
	machine_expect(m, "end\n", t->seconds);
	machine_expect(m, PROMPT, 10);
	command(m, "cat f", 20);
	CHECK(strstr(m->log, want), "what was pasted did not run line by line");
	end_at_prompt(m);
}

/* A line that is too long for the kernel or for the shell is not read or run in part. */
static void long_lines(const struct test *t)
{
	static char text[6001];
	struct machine *m = start_to_prompt(&t->machine);
	memset(text, 'x', sizeof(text) - 1);
	machine_send(m, "cat >f\n");
	machine_expect(m, "\n", 10);
	machine_send(m, text);
	machine_send(m, "\n\ta\tb\n\004");
	machine_expect(m, PROMPT, 20);
	CHECK(strstr(m->log, "tty: the line was too long"), "a line was cut without a word");
	command(m, "wc f", 10);
	CHECK(strstr(m->log, "      1       2       5 f\n"),
	      "the lines that fit were not read whole");
	machine_send(m, "touch g; ");
	command(m, text, 20);
	CHECK(strstr(m->log, "line too long"), "the shell cuts a line without a word");
	command(m, "ls", 10);
	CHECK(!strstr(m->log, "\ng\n"), "the shell ran a part of a line");
	end_at_prompt(m);
}

/*
 * What comes before the kernel begins is read later. Letters of UTF-8 are erased whole, by kernel
 * and shell; keys of both cursor modes work.
 */
static void edit_keys(const struct test *t)
{
	struct machine *m = machine_start(&t->machine);
	machine_send(m, "echo e'arl'y\n");
	machine_continue(m);
	machine_expect(m, "\nearly\n", BOOT_SECONDS);
	machine_expect(m, PROMPT, 10);
	machine_send(m, "cat >f\n");
	machine_expect(m, "\n", 10);
	machine_send(m, "k\303\244\177\342\202\254\177\033OA\033[Aern\n");
	machine_send(m, "k\033[[Ae\033]11;rgb:1/\303\244\ay\033P>|xterm\033\\s\033\303\244\n");
	machine_send(m, "e\033[1\nn\033]0;\nd\033\n\004");
	machine_expect(m, PROMPT, 10);
	command(m, "cat f", 10);
	CHECK(strstr(m->log, "\nkern\n"), "the kernel does not erase a whole letter");
	CHECK(strstr(m->log, "\nkeys\303\244\n"),
	      "the kernel takes a part of a key, or of a terminal's answer, for text");
	CHECK(strstr(m->log, "\ne\nn\nd\n"), "an escape sequence swallows the end of a line");
	command(m, "echo s\303\244\342\202\254\033OD\033[D\033[3~\177h\033OCel\177\177l",
		10);
	CHECK(strstr(m->log, "\nh\342\202\254l\n"), "the shell does not edit whole letters");
	command(m, "echo \033[200~pasted\tas it is\033[201~ | cat", 10);
	CHECK(strstr(m->log, "\npasted as it is\n"),
	      "the marks of a bracketed paste are not skipped");
	command(m, "\033OA\033OA\033[B", 10);
	CHECK(strstr(strstr(m->log, "\npasted as it is\n") + 1, "\npasted as it is\n"),
	      "the cursor keys do not show older lines");
	end_at_prompt(m);
}

/*
 * Bochs is stopped hundreds of times while it boots and logs what the guest does wrong. A stop is a
 * signal, whose handler must not wait for the log.
 */
static void bochs_stops(const struct test *t)
{
	struct machine_options o = t->machine;
	o.cmdline = "run=\"usertests\"";
	struct machine *m = machine_start(&o);
	for (unsigned stops = 0; stops < 400; stops++) {
		machine_stop(m);
		machine_continue(m);
		usleep(3000);
	}
	machine_quit(m);
}

/* What is read in Bochs's memory must be what its debugger shows. */
static void bochs_memory(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	uint8_t page[PAGE_SIZE];
	enum { FORGED = 100 }; /* the block of which the guest has a mark, too */
	uint32_t word = BOCHS_MARK + FORGED, blocks = m->o.mem << 20 >> 17;
	uint32_t unused = (blocks - 2) << 17;
	machine_stop(m);
	physical_write(m, unused, &word, 4);
	physical_read(m, symbol("image_start") - KERNEL_BASE, page, sizeof(page));
	for (uint32_t i = 0; i < blocks; i++) {
		uint32_t address = (i << 17) + 20 * i;
		if (address - 0xA0000 < 0x60000)
			continue; /* the screen and ROMs */
		char *shown = bochs_command(m, "xp /1wx %#x", address);
		CHECK(bochs_memory_read(m, address, &word, 4) == (i != FORGED),
		      "%#x is %s", address, i == FORGED ? "taken from the guest" : "not in Bochs");
		word = physical_word(m, address);
		char *tab = strstr(shown, "\t0x");
		CHECK(tab && strtoul(tab + 1, NULL, 16) == word, "%#x: read is %#x, shown is %s",
		      address, word, shown);
		free(shown);
	}
	machine_continue(m);
	command(m, "echo still here", 20);
	CHECK(strstr(m->log, "\nstill here\n"), "the machine does not go on");
	end_at_prompt(m);
}

/*
 * A board without the device that takes a status. `shutdown` turns it off by ACPI, so QEMU ends. A
 * panic stays on the screen: the CPU halts for ever.
 */
static void power_off(const struct test *t)
{
	static const char *const words[] = {
		"run=true", "run=\"echo virtual > /proc/mode; cat /proc/mode\"", "panic=test",
	};
	static const char *const says[] = { "status 0", "virtual\n", "kernel panic" };
	enum { PANIC = 2 };
	for (unsigned i = 0; i <= PANIC; i++) {
		struct machine_options o = t->machine;
		struct cpu_state cpus[CPUS_MAX];
		o.cmdline = words[i];
		struct machine *m = machine_start(&o);
		machine_expect(m, says[i], BOOT_SECONDS);
		if (i < PANIC) {
			int status = machine_wait(m, 10);
			CHECK(status == 0, "%s: QEMU ended with status %d", words[i], status);
			continue;
		}
		CHECK(!machine_sees(m, PROMPT, 10) && !machine_ended(m), "a panic is not the end");
		machine_stop(m);
		machine_state(m, cpus);
		CHECK(cpus[0].halted && !(cpus[0].eflags & EFLAGS_IF),
		      "after a panic the CPU does not halt for ever");
	}
}

/* text: commands. Two runs with counted instructions print the same. */
static void deterministic(const struct test *t)
{
	struct machine *first = run_command(&t->machine, t->text, EXIT_OK, 60);
	struct machine *second = run_command(&t->machine, t->text, EXIT_OK, 60);
	CHECK(strcmp(first->log, second->log) == 0,
	      "two runs with -icount printed different things");
}

/* tests/layout/shuffled: the project with other layouts of its structures works, too. */
static void shuffled_layout(const struct test *t)
{
	char text[8000];
	int status = shell(text, sizeof(text), t->seconds, ALONE "tests/layout/shuffled %s 2>&1",
			   work_path("tree"));
	CHECK(status == 0, "tests/layout/shuffled ended with status %d:\n%s", status, text);
}

#define ROW(n, f, s, ...) { .name = n, .run = f, .seconds = s, .machine = { __VA_ARGS__ } }
const struct test boot_tests[] = {
	ROW("boot-kernel", boot, 90, 0),
	ROW("boot-kernel-smp4", boot, 90, .cpus = 4),
	ROW("boot-kernel-smp8", boot, 90, .cpus = 8, .mem = 128),
	ROW("boot-iso", boot, 120, .iso = true),
	ROW("boot-iso-as-built", boot_built_iso, 120, 0),
	ROW("boot-bochs", boot, 180, .bochs = true),
	{ .name = "boot-bochs-stops", .run = bochs_stops, .seconds = 180,
	  .machine = { .bochs = true } },
	{ .name = "boot-bochs-memory", .run = bochs_memory, .seconds = 180,
	  .machine = { .bochs = true } },
	ROW("boot-iso-bochs", boot, 180, .bochs = true, .iso = true),
	ROW("boot-bochs-pentium", boot, 180, .bochs = true, .processor = "pentium"),
	ROW("boot-bochs-smp2", boot, 180, .bochs = true, .cpus = 2),
	ROW("boot-v86", boot, 180, .v86 = true, .mem = 16),
	ROW("boot-instructions", boot_cost, 90, .paused = true),
	{ .name = "boot-clock", .run = clock_rate, .seconds = 90, .number = 1000000000 },
	{ .name = "boot-clock-bochs", .run = clock_rate, .seconds = 180, .number = BOCHS_HZ,
	  .machine = { .bochs = true } },
	/* Runs in the host's time: the host may stop the kernel while it measures. */
	{ .name = "boot-clock-free", .run = clock_rate, .seconds = 90,
	  .machine = { .free_running = true } },
	ROW("panic", panic_ends, 60, .cmdline = "panic=test"),
	ROW("panic-smp4", panic_ends, 60, .cmdline = "panic=test", .cpus = 4),
	ROW("panic-bochs", panic_ends, 120, .bochs = true, .cmdline = "panic=test",
	    .p2m = "shuffle:6"),
	ROW("panic-bochs-smp2", panic_ends, 120, .bochs = true, .cmdline = "panic=test", .cpus = 2),
	ROW("panic-v86", panic_ends, 120, .v86 = true, .cmdline = "panic=test", .p2m = "shuffle:7"),
	ROW("keyboard", keyboard, 90, 0),
	ROW("control-c", control_c, 90, 0),
	ROW("paste", paste, 120, 0),
	ROW("paste-smp4", paste, 120, .cpus = 4),
	ROW("paste-virtual", paste, 120, .cmdline = "mode=virtual"),
	ROW("paste-bochs", paste, 240, .bochs = true),
	ROW("long-lines", long_lines, 90, 0),
	ROW("edit-keys", edit_keys, 90, .paused = true),
	ROW("power-off-pc", power_off, 90, .board = "pc"),
	ROW("power-off-q35", power_off, 90, .board = "q35"),
	{ .name = "deterministic", .run = deterministic, .seconds = 120,
	  .text = "ls -l /bin | wc; cat /etc/motd; cat /proc/uptime; ps; cat /proc/interrupts" },
	{ 0 },
};

/* Wall time depends on the host, so it is not among the tests that decide. */
const struct test boot_soak_tests[] = {
	{ .name = "soak-boot-shuffled-layout", .run = shuffled_layout, .seconds = 300 },
	ROW("soak-boot-iso-smp2", boot, 120, .iso = true, .cpus = 2, .p2m = "shuffle:3"),
	{ .name = "soak-boot-time", .run = boot_time, .seconds = 90, .number = 1,
	  .machine = { .free_running = true } },
	{ 0 },
};
