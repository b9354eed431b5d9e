/* SPDX-License-Identifier: MIT */
/*
 * The debugger's commands (tools/gdb) against what this library reads from outside: a machine is brought to a stop, GDB is asked
 * about it, and each answer must have the numbers that we find there.
 */
#include "tests.h"
#include "vmm_abi.h"
#include <stdarg.h>

#define GDB "gdb -q -nx -batch -x tools/gdb/cinnabar.py"

static char text[200000]; /* what GDB said last */
static char *part = text; /* what want() looks at */

/* Let GDB do these commands, one a line, on the latest machine, and leave that stopped. */
static void ask(const char *commands)
{
	char socket[16];
	unsigned n = 0;
	for (const struct machine *other = machines->next; other; other = other->next)
		n++;
	snprintf(socket, sizeof(socket), "%u.gdb", n);
	FILE *f = fopen(work_path("script"), "w");
	fprintf(f, "%s\ndisconnect\n", commands);
	fclose(f);
	int status = shell(text, sizeof(text), 60, GDB " -ex 'target remote %s' -x %s 2>&1", work_path(socket), work_path("script"));
	CHECK(status == 0, "GDB ended with status %d at one of these commands:\n%s\nand said:\n%.3000s", status, commands, text);
	part = text;
}

/* Of what GDB said last, the answer to one command; each is announced by ask_all(). Result: it, NUL ended. */
static const char *answer(const char *command)
{
	static char copy[sizeof(text)];
	char label[100];
	snprintf(label, sizeof(label), "== %s\n", command);
	const char *at = strstr(text, label);
	CHECK(at, "GDB did not come to %s:\n%.3000s", command, text);
	snprintf(copy, sizeof(copy), "%s", at + strlen(label) - 1);
	char *end = strstr(copy, "\n== ");
	if (end)
		end[1] = '\0';
	return part = copy;
}

/* Ask these commands, an array that ends with NULL, for answer(). */
static void ask_all(const char *const *commands)
{
	char *script;
	size_t size;
	FILE *f = open_memstream(&script, &size);
	for (; *commands; commands++)
		fprintf(f, "echo \\n== %s\\n\n%s\n", *commands, *commands);
	fclose(f);
	ask(script);
	free(script);
}

/* GDB's last answer must have this. */
static void want(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void want(const char *fmt, ...)
{
	char wanted[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(wanted, sizeof(wanted), fmt, ap);
	va_end(ap);
	CHECK(strstr(part, wanted), "GDB did not say \"%s\", but\n%.3000s", wanted, part);
}

/* --- what a stopped machine has --- */

static uint64_t descriptor(struct machine *m, const struct cpu_state *c, uint32_t base, unsigned i)
{
	uint64_t d;
	virtual_read(m, c->cr3, base + 8 * i, &d, 8);
	return d;
}

/* Each present entry of GDT and IDT has its line, with DPL and, of a gate, the ring that it leads to; no other has. */
static void check_descriptors(struct machine *m, const struct cpu_state *c)
{
	for (unsigned i = 1; i < (c->gdt.limit + 1) / 8; i++) {
		char start[32];
		uint64_t d = descriptor(m, c, c->gdt.base, i);
		snprintf(start, sizeof(start), "\n0x%02x  ", 8 * i);
		const char *line = strstr(answer("cb gdt"), start), *dpl = line ? strstr(line, "DPL ") : NULL;
		CHECK(!(d >> 47 & 1) == !line, "cb gdt and the GDT disagree on entry %u:\n%s", i, text);
		CHECK(!line || (unsigned)atoi(dpl + 4) == (d >> 45 & 3), "cb gdt: entry %u has DPL %u\n%s", i, (unsigned)(d >> 45 & 3), text);
	}
	for (unsigned v = 0; v < 256; v++) {
		char start[32];
		unsigned dpl, ring = 9;
		uint64_t d = descriptor(m, c, c->idt.base, v);
		snprintf(start, sizeof(start), "\n0x%02x  ", v);
		const char *line = strstr(answer("cb idt"), start);
		CHECK(!(d >> 47 & 1) == !line, "cb idt and the IDT disagree on vector %#x:\n%s", v, text);
		if (!line || (d >> 40 & 0x1F) == 5)
			continue;
		uint64_t code = descriptor(m, c, c->gdt.base, (unsigned)(d >> 19 & 0x1FFF));
		CHECK(sscanf(strstr(line, "DPL "), "DPL %u", &dpl) == 1 && sscanf(strstr(line, "-> "), "-> ring %u", &ring) == 1 &&
		      dpl == (d >> 45 & 3) && ring == (code >> 45 & 3), "cb idt: vector %#x has DPL %u and leads to ring %u:\n%s", v,
		      (unsigned)(d >> 45 & 3), (unsigned)(code >> 45 & 3), text);
	}
	uint32_t tss[3];
	virtual_read(m, c->cr3, c->tr.base, tss, sizeof(tss));
	answer("cb tss");
	want("ring 0 stack  %#06x:%#010x", tss[2] & 0xFFFF, tss[1]);
}

/* Addresses of each kind: kernel's text and data, direct map, a program's, an unmapped one, the VMM's. */
static void check_walks(struct machine *m, const struct cpu_state *c)
{
	static const char *const commands[] = { "cb pt vo", "cb pt &image_start", "cb pt 0xc0555123", "cb pt 0xc1234567", "cb pt 0x8048000",
						"cb pt 0x1000", "cb pt vmm_cpus" };
	const uint32_t addresses[] = { symbol("vo"), symbol("image_start"), 0xC0555123, 0xC1234567, 0x8048000, 0x1000, vmm_symbol("vmm_cpus") };
	for (unsigned i = 0; i < 7; i++) {
		struct walk w = page_walk(m, c->cr3, addresses[i]);
		answer(commands[i]);
		if (!w.present) {
			want("nobody may access it");
			continue;
		}
		want("PDE %08x", w.pde);
		want("PTE %08x", w.pte);
		want("machine address %#x; ring 3 %s, rings 0 to 2 %s", w.machine, !w.user ? "---" : w.writable ? "rwx" : "r-x",
		     w.writable ? "rwx" : "r-x");
		uint32_t nr = kernel_word(m, "nr_mfns"), mfn = w.machine >> 12, *m2p = read_array(m, c->cr3, "m2p", nr);
		if (m2p[mfn] != 0xFFFFFFFF)
			want("mfn %#x, pfn %#x, ", mfn, m2p[mfn]);
		else
			want("mfn %#x, no pfn", mfn);
		free(m2p);
	}
}

static void check_frames(struct machine *m, const struct cpu_state *c)
{
	struct { uint32_t home, generation, use, next; } f;
	uint32_t at, generation, count[4] = { 0 };
	static const char *const names[] = { "writable", "table", "directory", "shared" };
	virtual_read(m, c->cr3, vmm_symbol("frames"), &at, 4);
	virtual_read(m, c->cr3, vmm_symbol("generation"), &generation, 4);
	for (uint32_t mfn = 0; mfn < kernel_word(m, "nr_mfns"); mfn++) {
		virtual_read(m, c->cr3, at + mfn * sizeof(f), &f, sizeof(f));
		if (f.home & 1)
			count[f.generation == generation || f.generation == 0xFFFFFFFF ? f.use >> 28 : 0]++;
	}
	answer("cb frames");
	for (unsigned i = 0; i < 4; i++)
		want("\n%-10s %6u\n", names[i], count[i]);
}

/* The VO, events and tasks. */
static void check_kernel(struct machine *m, const struct cpu_state *c, bool virtual_mode)
{
	uint32_t shared[3 + NR_EXITS], shutdown = symbol(virtual_mode ? "virtual_cpu_shutdown" : "native_cpu_shutdown"), used[7];
	virtual_read(m, c->cr3, symbol("vo"), used, sizeof(used));
	CHECK(used[6] == shutdown, "cpu.shutdown is not where it is thought to be");
	virtual_read(m, c->cr3, symbol("vmm_shared"), shared, sizeof(shared));
	answer("cb vo");
	want("VO in use: %s\n", virtual_mode ? "virtual" : "native");
	want("cpu.shutdown         %s_cpu_shutdown\n", virtual_mode ? "virtual" : "native");
	answer("cb events");
	want("hypercall %u, page_fault %u,", shared[3 + EXIT_HYPERCALL], shared[3 + EXIT_PAGE_FAULT]);
	if (virtual_mode)
		want("virtual IF %u, pending: ", shared[0] >> 9 & 1);
	answer("cb ps");
	want("\n    1     0 "); /* init waits for its children */
	answer("cb bt 1");
	want("1 init, sleeping on CPU");
	want(" task_wait+");
	want(" syscall_entry+");
}

/* The VMM's tables are there in native mode, too; in virtual mode they are those that are loaded. */
static void check_vmm_tables(bool virtual_mode)
{
	static const char *const loaded[] = { "cb gdt", "cb idt", "cb tss" }, *const commands[] = { "cb gdt vmm", "cb idt vmm", "cb tss vmm" };
	for (unsigned i = 0; i < 3; i++) {
		char *own = strdup(strchr(answer(commands[i]), '\n')), *other = strchr(answer(loaded[i]), '\n');
		CHECK((strcmp(own, other) == 0) == virtual_mode, "%s says\n%s\nand %s says\n%s", commands[i], own, loaded[i], other);
		free(own);
	}
	answer("cb gdt vmm");
	want("\n0x08  KCODE    DPL 1  00000000-fbffffff  code, read\n");
	answer("cb idt vmm");
	want("IDT at %#010x, limit 0x7ff: the VMM's\n", vmm_symbol("vmm_idt"));
	want("\n0x80  system call  DPL 3  trap gate      -> ring 1  syscall_entry\n");
	answer("cb tss vmm");
	want("ring 0 stack  0x0040:");
}

/* All that GDB says of a machine that is stopped while programs run, in the mode that t->number tells. */
static void look(const struct test *t)
{
	struct cpu_state c[CPUS_MAX];
	struct machine *m = start_to_prompt(&t->machine);
	if (t->number)
		command(m, "echo virtual > /proc/mode", 20);
	machine_send(m, "work 20\n");
	machine_stop(m);
	unsigned n = machine_state(m, c);
	ask_all((const char *const[]){ "cb where", "cb gdt", "cb idt", "cb tss", "cb gdt vmm", "cb idt vmm", "cb tss vmm",
		"cb pt vo", "cb pt &image_start", "cb pt 0xc0555123",
		"cb pt 0xc1234567", "cb pt 0x8048000", "cb pt 0x1000", "cb pt vmm_cpus", "cb frames", "cb vo", "cb events", "cb ps",
		"cb bt 1", "cb monitor info lapic", NULL });
	answer("cb where");
	for (unsigned i = 0; i < n; i++)
		want("%s mode, ring %u%s, CPU %u", t->number ? "virtual" : "native", c[i].cpl, t->number && c[i].cpl == 0 ? " (VMM)" : "", i);
	check_descriptors(m, &c[0]);
	check_vmm_tables(t->number);
	check_walks(m, &c[0]);
	check_frames(m, &c[0]);
	check_kernel(m, &c[0], t->number);
	CHECK(strstr(answer("cb monitor info lapic"), "LVTT") && !strchr(part, '\r'), "cb monitor: %s", part);
	if (n > 1) {
		uint32_t esp0;
		virtual_read(m, c[1].cr3, c[1].tr.base + 4, &esp0, 4);
		ask("thread 2\ncb tss");
		want("ring 0 stack  %#06x:%#010x", t->number ? 0x40 : 0x10, esp0);
	}
	machine_quit(m);
}

/* --- running --- */

/* A machine that will attach and detach, stopped at its first instruction. */
static struct machine *start_switch(const struct test *t)
{
	struct machine_options o = t->machine;
	o.paused = true;
	o.cmdline = "run=\"echo virtual > /proc/mode; ls; echo native > /proc/mode\"";
	return machine_start(&o);
}

/* The same, at a kernel function. */
static struct machine *start_to(const struct test *t, const char *function)
{
	struct machine *m = start_switch(t);
	gdb_connect(m);
	gdb_break(m, symbol(function), true);
	CHECK(gdb_run(m, 60) && gdb_register(m, GDB_EIP) == symbol(function), "the machine did not come to %s", function);
	gdb_break(m, symbol(function), false);
	close(m->gdb);
	m->gdb = -1;
	return m;
}

/* cb phase stops in that phase's function, in the direction asked for; cb step-phase in each of the following, to the end. */
static void phases(const struct test *t)
{
	struct machine *m = start_switch(t);
	struct cpu_state c[CPUS_MAX];
	static const char *const order[] = { "protect", "install", "translate", "commit", "resume" };
	ask("cb phase account detach\ncontinue\ncb where\ndelete");
	machine_state(m, c);
	CHECK(c[0].eip >= symbol("account") && c[0].eip < symbol("account") + 16, "cb phase account stopped at %#x", c[0].eip);
	want("* virtual mode, ring 1, CPU 0, pid");
	want("phase account (detach)");
	ask("cb step-phase\ncb step-phase\ncb step-phase\ncb step-phase\ncb step-phase\ncb step-phase\ncb vo");
	for (unsigned i = 0; i < 5; i++) {
		char *next = strstr(part, "[");
		CHECK(next, "cb step-phase stopped %u times only:\n%s", i, text);
		part = next + 1;
		want("phase %s (detach)]\n#0  %s", order[i], i < 4 ? order[i] : "lead"); /* resume is put into its caller */
	}
	want("the switch is done: detach, error 0");
	want("VO in use: native");
	machine_quit(m);
}

/* From the switch on, each change of ring: GDB says it, and the CPU's registers show it. */
static void rings(const struct test *t)
{
	enum { TIMES = 60 };
	static const char *const step = "cb next-ring\np/x $cs\n";
	char commands[TIMES * 40] = "";
	struct machine *m = start_to(t, "install");
	unsigned seen[4][4] = { { 0 } }, ring = 0, from, to, cs;
	for (unsigned i = 0; i < TIMES; i++)
		strcat(commands, step);
	ask(commands);
	const char *at = text;
	for (unsigned i = 0; i < TIMES; i++) {
		at = strstr(at + 1, "\nring ");
		const char *printed = at ? strstr(at, "\n$") : NULL;
		CHECK(printed && sscanf(at, "\nring %u -> ring %u", &from, &to) == 2 && sscanf(printed, "\n$%*u = 0x%x", &cs) == 1,
		      "cb next-ring, time %u of %u:\n%.3000s", i, TIMES, at ? at : text);
		CHECK(from == ring && to != from && to == (cs & 3), "ring %u, then cb next-ring says %u -> %u, and CS is %#x", ring, from, to, cs);
		seen[from][to]++;
		ring = to;
	}
	CHECK(seen[0][1] && seen[1][0] && seen[1][3] && seen[3][1], "%u changes of ring have none between 1 and 3, or 0 and 1", TIMES);
	machine_quit(m);
}

/* Also from the instruction that changes it; with IF 0 behind it, so that no interrupt leads to the same place once more. */
static void at_iret(const struct test *t)
{
	enum { IRET = 0xCF, CODE_BYTES = 200 };
	struct machine *m = start_to(t, "install");
	struct cpu_state c[CPUS_MAX];
	uint8_t code[CODE_BYTES], *at;
	machine_state(m, c);
	virtual_read(m, c->cr3, vmm_symbol("vmm_call_entry"), code, sizeof(code));
	CHECK(at = memchr(code, IRET, sizeof(code)), "vmm_call_entry has no IRET");
	ask_all((const char *const[]){ "cb next-ring", NULL });
	char *arrival = strdup(strstr(answer("cb next-ring"), "\n#0"));
	machine_quit(m);
	m = start_switch(t);
	char command[60];
	snprintf(command, sizeof(command), "hbreak *%#x", vmm_symbol("vmm_call_entry") + (unsigned)(at - code));
	ask_all((const char *const[]){ command, "continue", "set *(int *)($esp + 8) = 2", "cb next-ring", NULL });
	answer("cb next-ring");
	want("ring 0 -> ring 1");
	want("%s", arrival);
	free(arrival);
	machine_quit(m);
}

/* What the last step of the descent changes. */
static void difference(const struct test *t)
{
	struct machine *m = start_to(t, "install");
	ask("cb next-ring\ncb diff\nstepi\ncb diff");
	want("CPL  00000000 -> 00000001");
	want("GDT 0x08: KCODE    DPL 0  00000000-ffffffff  code, read\n      => KCODE    DPL 1  00000000-fbffffff  code, read");
	want("IDT 0x82: absent\n      => DPL 1  interrupt gate -> ring 0  hypercall_entry (VMM)");
	machine_quit(m);
	m = start_to(t, "protect");
	ask("cb step-phase\ncb diff");
	want("inner rwx -> not mapped");               /* the interrupt controllers */
	want("inner rwx -> ring 3 ---, inner r-x"); /* page tables */
	machine_quit(m);
}

/* Symbols of each program in turn, of kernel and VMM, with nothing typed. */
static void symbols(const struct test *t)
{
	static const char *const programs[] = { "init", "sh" };
	struct machine *m = start_switch(t);
	for (unsigned i = 0; i < 2; i++) {
		ask("hbreak task_exec\ncontinue\nfinish\ndelete\ncb next-ring\ninfo symbol $eip\ninfo line *$eip");
		want("ring 0 -> ring 3");
		want("[native mode, ring 3, CPU 0, pid %u %s]\n#0  _start () at user/lib/start.S", 1 + 2 * i, programs[i]);
		want("symbols/%s", programs[i]);
	}
	ask("cb phase install attach\ncontinue\ndelete\nhbreak hypercall_entry\ncontinue\ninfo symbol $eip\nbacktrace 1\nlist");
	want("[virtual mode, ring 0 (VMM), CPU 0, pid");
	want("hypercall_entry in section .text of");
	want("hypercall_entry () at vmm/entry.S");
	machine_quit(m);
}

/* Without a machine: every command has help that begins with a sentence and names its usage; names complete; errors say what to do. */
static void help(const struct test *t)
{
	static const char *const names[] = { "where", "phase", "step-phase", "next-ring", "gdt", "idt", "tss", "pt", "frames", "diff", "vo",
					     "events", "monitor", "ps", "bt" };
	char *line, wanted[60];
	size_t size;
	FILE *f = open_memstream(&line, &size);
	fprintf(f, GDB);
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		fprintf(f, " -ex 'echo \\n== %s\\n' -ex 'help cb %s' -ex 'complete cb %.2s' -ex 'cb %s 1 2 3'", names[i], names[i],
			names[i], names[i]);
	fclose(f);
	shell(text, sizeof(text), t->seconds, "%s 2>&1", line);
	free(line);
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		answer(names[i]);
		snprintf(wanted, sizeof(wanted), ": cb %s", names[i]); /* the usage, behind the first sentence */
		char *usage = strstr(part, wanted), *completion = usage ? strstr(usage, "\ncb ") : NULL;
		CHECK(usage && completion && strstr(completion, names[i]), "help and completion of cb %s: %s", names[i], part);
		CHECK(strstr(part, "takes") || strstr(part, "no machine is attached"), "cb %s with a bad argument: %s", names[i], part);
	}
	shell(text, sizeof(text), t->seconds, GDB " -ex 'complete cb phase co' -ex 'complete cb phase commit a' -ex 'complete cb pt nr_pf' 2>&1");
	CHECK(strcmp(text, "cb phase commit\ncb phase commit attach\ncb pt nr_pfns\n") == 0, "completion of arguments: %s", text);
	part = text;
	shell(text, sizeof(text), t->seconds, GDB " -ex 'cb where' 2>&1");
	want("no machine is attached; start one with 'make gdb'");
	shell(text, sizeof(text), t->seconds, GDB " -ex 'cb phase nonsense' 2>&1");
	want("cb phase takes one of: request gather");
}

/* Free running: with -icount sleep=off, QEMU jumps to the next timer at each "continue". */
#define ROW(n, f, k, ...) { .name = "gdb-" n, .run = f, .seconds = 60, .number = k, .machine = { .free_running = true, __VA_ARGS__ } }
const struct test gdb_tests[] = {
	ROW("help", help, 0), ROW("phases", phases, 0), ROW("rings", rings, 0), ROW("at-iret", at_iret, 0),
	ROW("diff", difference, 0), ROW("symbols", symbols, 0),
	ROW("look-native", look, 0, .p2m = "shuffle:1"), ROW("look-virtual", look, 1, .p2m = "shuffle:2"),
	ROW("look-virtual-smp2", look, 1, .p2m = "shuffle:3", .cpus = 2),
	{ 0 },
};
