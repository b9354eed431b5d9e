/* SPDX-License-Identifier: MIT */
/*
 * What the debugger's commands (tools/gdb) say of a stopped machine, against what this library
 * reads from outside: each answer must have the numbers that we find in the machine.
 */
#include "gdb_ask.h"
#include "offsets.h"
#include "vmm_abi.h"
#include "x86.h"

/* --- descriptor tables --- */

static uint64_t descriptor(struct machine *m, const struct cpu_state *c, uint32_t base, unsigned i)
{
	uint64_t d;
	virtual_read(m, c->cr3, base + 8 * i, &d, 8);
	return d;
}

/* Fields of a descriptor or gate (SDM vol. 3, 3.4.5 and 6.11). */
static bool present(uint64_t d) { return d >> 47 & 1; }
static unsigned dpl_of(uint64_t d) { return d >> 45 & 3; }
static bool is_task_gate(uint64_t d) { return (d >> 40 & 0x1F) == GATE_TASK; }

/* The line of the last answer that begins with this number; NULL if there is none. */
static const char *line_of(const char *text, unsigned number)
{
	char start[32];
	snprintf(start, sizeof(start), "\n0x%02x  ", number);
	return strstr(text, start);
}

/* Each present entry has a line with its DPL; no other entry has one. */
static void check_gdt(struct machine *m, const struct cpu_state *c)
{
	const char *text = answer("cb gdt");
	for (unsigned i = 1; i < (c->gdt.limit + 1) / 8; i++) {
		uint64_t d = descriptor(m, c, c->gdt.base, i);
		const char *line = line_of(text, 8 * i), *dpl = line ? strstr(line, "DPL ") : NULL;
		CHECK(present(d) == !!line, "cb gdt and the GDT disagree on entry %u:\n%s", i,
		      text);
		CHECK(!line || (unsigned)atoi(dpl + 4) == dpl_of(d),
		      "cb gdt: entry %u has DPL %u\n%s", i, dpl_of(d), text);
	}
}

/* The same of gates, whose line also names the ring that they lead to. */
static void check_idt(struct machine *m, const struct cpu_state *c)
{
	const char *text = answer("cb idt");
	for (unsigned v = 0; v < 256; v++) {
		unsigned dpl, ring = 9;
		uint64_t d = descriptor(m, c, c->idt.base, v);
		const char *line = line_of(text, v);
		CHECK(present(d) == !!line, "cb idt and the IDT disagree on vector %#x:\n%s", v,
		      text);
		if (!line || is_task_gate(d))
			continue;
		uint64_t code = descriptor(m, c, c->gdt.base, (unsigned)(d >> 19 & 0x1FFF));
		CHECK(sscanf(strstr(line, "DPL "), "DPL %u", &dpl) == 1 &&
		      sscanf(strstr(line, "-> "), "-> ring %u", &ring) == 1 &&
		      dpl == dpl_of(d) && ring == dpl_of(code),
		      "cb idt: vector %#x has DPL %u and leads to ring %u:\n%s", v, dpl_of(d),
		      dpl_of(code), text);
	}
}

static void check_tss(struct machine *m, const struct cpu_state *c)
{
	struct tss tss;
	virtual_read(m, c->cr3, c->tr.base, &tss, sizeof(tss));
	answer("cb tss");
	want("ring 0 stack  %#06x:%#010x", tss.ss0, tss.esp0);
}

/* The VMM's tables can be shown in native mode, too; in virtual mode they are the loaded ones. */
static void check_vmm_tables(bool virtual_mode)
{
	static const char *const loaded[] = { "cb gdt", "cb idt", "cb tss" };
	static const char *const vmms[] = { "cb gdt vmm", "cb idt vmm", "cb tss vmm" };
	for (unsigned i = 0; i < 3; i++) {
		char *own = strdup(strchr(answer(vmms[i]), '\n'));
		CHECK(!strstr(gdb_part, ": the VMM's, not loaded on this CPU\n") == virtual_mode,
		      "%s does not say whether the table is loaded:\n%s", vmms[i], gdb_part);
		char *other = strchr(answer(loaded[i]), '\n');
		CHECK((strcmp(own, other) == 0) == virtual_mode, "%s says\n%s\nand %s says\n%s",
		      vmms[i], own, loaded[i], other);
		free(own);
	}
	answer("cb gdt vmm");
	want("\n0x08  KCODE    DPL 1  00000000-fbffffff  code, read\n");
	answer("cb idt vmm");
	want("IDT at %#010x, limit 0x7ff: the VMM's%s\n", vmm_symbol("vmm_idt"),
	     virtual_mode ? "" : ", not loaded on this CPU");
	want("\n0x80  system call  DPL 3  trap gate      -> ring 1  syscall_entry\n");
	answer("cb tss vmm");
	want("ring 0 stack  %#06x:", SEL_VMM_DATA);
}

/* --- memory --- */

/* Addresses of each kind, as typed to GDB; and what they are. */
static const char *const walks[] = {
	"cb pt vo", "cb pt &image_start", "cb pt 0xc0555123", "cb pt 0xc1234567",
	"cb pt 0x8048000", "cb pt 0x1000", "cb pt vmm_cpus",
};

static void check_walk(struct machine *m, const struct cpu_state *c, uint32_t address)
{
	struct walk w = page_walk(m, c->cr3, address);
	const char *inner = w.writable ? "rwx" : "r-x";
	if (!w.present) {
		want("nobody may access it");
		return;
	}
	want("PDE %08x", w.pde);
	want("PTE %08x", w.pte);
	want("machine address %#x; ring 3 %s, rings 0 to 2 %s", w.machine, w.user ? inner : "---",
	     inner);
	uint32_t nr = kernel_word(m, "nr_mfns"), mfn = w.machine >> PAGE_SHIFT;
	uint32_t *m2p = read_array(m, c->cr3, "m2p", nr);
	if (m2p[mfn] != NO_FRAME)
		want("mfn %#x, pfn %#x, ", mfn, m2p[mfn]);
	else
		want("mfn %#x, no pfn", mfn);
	free(m2p);
}

static void check_walks(struct machine *m, const struct cpu_state *c)
{
	const uint32_t addresses[] = {
		symbol("vo"), symbol("image_start"), 0xC0555123, 0xC1234567,
		0x8048000, 0x1000, vmm_symbol("vmm_cpus"),
	};
	for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		answer(walks[i]);
		check_walk(m, c, addresses[i]);
	}
}

/* As many frames of each type as the VMM's frame table has for the domain. */
static void check_frames(struct machine *m, const struct cpu_state *c)
{
	static const char *const names[] = {
		[FRAME_WRITABLE] = "writable", [FRAME_TABLE] = "table",
		[FRAME_DIRECTORY] = "directory", [FRAME_SHARED] = "shared",
	};
	uint32_t nr = kernel_word(m, "nr_mfns"), count[4] = { 0 };
	struct frame_state *frames = frame_table_read(m, c->cr3, nr);
	uint8_t id;
	virtual_read(m, c->cr3, vmm_symbol("domain0") + DOMAIN_ID, &id, sizeof(id));
	for (uint32_t mfn = 0; mfn < nr; mfn++) {
		bool old = frames[mfn].validity == FRAME_OLD;
		if (frames[mfn].owner == id)
			count[old ? FRAME_WRITABLE : frames[mfn].type]++;
	}
	free(frames);
	answer("cb frames");
	for (unsigned i = 0; i < 4; i++)
		want("\n%-10s %6u\n", names[i], count[i]);
}

/* --- the kernel: VO, events, tasks --- */

static void check_kernel(struct machine *m, const struct cpu_state *c, bool virtual_mode)
{
	const char *mode = virtual_mode ? "virtual" : "native";
	struct vmm_shared shared;
	uint32_t used;
	virtual_read(m, c->cr3, symbol("vo") + VO_CPU_SHUTDOWN, &used, sizeof(used));
	CHECK(used == symbol(virtual_mode ? "virtual_cpu_shutdown" : "native_cpu_shutdown"),
	      "the VO in use is not the %s one", mode);
	answer("cb vo");
	want("VO in use: %s\n", mode);
	want("cpu.shutdown         %s_cpu_shutdown\n", mode);
	virtual_read(m, c->cr3, symbol("vmm_shared"), &shared, sizeof(shared));
	answer("cb events");
	want("hypercall %u, page_fault %u,", shared.exits[EXIT_HYPERCALL],
	     shared.exits[EXIT_PAGE_FAULT]);
	if (virtual_mode)
		want("virtual IF %u, pending: ", shared.vif >> 9 & 1);
	answer("cb ps");
	want("\n    1     0 ");
	answer("cb bt 1"); /* init, which waits for its children */
	want("1 init, sleeping on CPU");
	want(" task_wait+");
	want(" syscall_entry+");
}

/* --- the tests --- */

static void ask_everything(void)
{
	const char *commands[40] = {
		"cb where", "cb gdt", "cb idt", "cb tss", "cb gdt vmm", "cb idt vmm", "cb tss vmm",
		"cb frames", "cb vo", "cb events", "cb ps", "cb bt 1", "cb monitor info lapic",
	};
	unsigned n = 0;
	while (commands[n])
		n++;
	memcpy(commands + n, walks, sizeof(walks));
	ask_all(commands);
}

/* number: 1 in virtual mode. What GDB says of a machine that is stopped while programs run. */
static void look(const struct test *t)
{
	bool is_virtual = t->number;
	struct cpu_state c[CPUS_MAX];
	struct machine *m = start_to_prompt(&t->machine);
	if (is_virtual)
		command(m, "echo virtual > /proc/mode", 20);
	machine_send(m, "work 20\n");
	machine_stop(m);
	unsigned n = machine_state(m, c);
	ask_everything();
	answer("cb where");
	for (unsigned i = 0; i < n; i++)
		want("%s mode, ring %u%s, CPU %u", is_virtual ? "virtual" : "native", c[i].cpl,
		     is_virtual && c[i].cpl == 0 ? " (VMM)" : "", i);
	check_gdt(m, &c[0]);
	check_idt(m, &c[0]);
	check_tss(m, &c[0]);
	check_vmm_tables(is_virtual);
	check_walks(m, &c[0]);
	check_frames(m, &c[0]);
	check_kernel(m, &c[0], is_virtual);
	CHECK(strstr(answer("cb monitor info lapic"), "LVTT") && !strchr(gdb_part, '\r'),
	      "cb monitor: %s", gdb_part);
	if (n > 1) {
		uint32_t esp0;
		virtual_read(m, c[1].cr3, c[1].tr.base + offsetof(struct tss, esp0), &esp0, 4);
		ask("thread 2\ncb tss");
		want("ring 0 stack  %#06x:%#010x", is_virtual ? SEL_VMM_DATA : SEL_KDATA, esp0);
	}
	machine_quit(m);
}

#define ROW(n, f, k, ...) \
	{ .name = "gdb-" n, .run = f, .seconds = 60, .number = k, \
	  .machine = { .stands_still = true, __VA_ARGS__ } }
const struct test gdb_look_tests[] = {
	ROW("look-native", look, 0, .p2m = "shuffle:1"),
	ROW("look-virtual", look, 1, .p2m = "shuffle:2"),
	ROW("look-virtual-smp2", look, 1, .p2m = "shuffle:3", .cpus = 2),
	{ 0 },
};
