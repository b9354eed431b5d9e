/* SPDX-License-Identifier: MIT */
/*
 * What the kernel leaves in the machine before an attach (rule 41), and its own tables before
 * warm-up (44). The table of inherited state stands in docs/vmm.md; this one says what each of its
 * rows must look like from outside.
 */
#include "isolation.h"

#define PAGE "docs/vmm.md"
enum { SECONDS = 20 };

/* --- 41: state that was set to its worst in native mode --- */

/*
 * A text that QEMU's monitor shows, in virtual mode and in native mode after the detach; several
 * lines may be about one row. unseen: why QEMU cannot show the row, or which other test does.
 */
static const struct row { const char *name, *command, *virtual, *native, *unseen; } rows[] = {
	{ "CR0", "info registers", "CR0=8005003", "CR0=8004003", NULL },
	{ "CR4", NULL, NULL, NULL, "qemu32 has no VME, PVI or CET; PAE ends the kernel" },
	{ "EFER, STAR", NULL, NULL, NULL, "QEMU's qemu32 and Bochs's CPU have no SYSCALL" },
	{ "SYSENTER_CS", NULL, NULL, NULL, NULL }, /* by SYSENTER, and by RDMSR after the detach */
	{ "PAT, MTRRs", NULL, NULL, NULL, NULL },  /* PAT by RDMSR */
	{ "debug control, DS area", NULL, NULL, NULL, "neither emulator has branch traces" },
	{ "DR0 to DR7", "info registers", "DR7=00000400", "DR7=00000402", NULL },
	{ "DR0 to DR7", "info registers", "DR0=fc000000", "DR0=fc000000", NULL },
	{ "GDTR, IDTR, TR, LDTR", "info registers", "GDT=     fc", "GDT=     c", NULL },
	{ "GDTR, IDTR, TR, LDTR", "info registers", "IDT=     fc", "IDT=     c", NULL },
	{ "GDTR, IDTR, TR, LDTR", "info registers", "TR =0028 fc", "TR =0028 c", NULL },
	{ "GDTR, IDTR, TR, LDTR", "info registers", "LDT=0000 ", "LDT=0000 ", NULL },
	{ "segment registers", NULL, NULL, NULL, "isolation-10-nulls, V1" },
	{ "EFLAGS", NULL, NULL, NULL, "isolation-02-03-12-flags, lab 2's descent" },
	{ "FPU, MXCSR", NULL, NULL, NULL, "isolation-26-fpu" },
	{ "TLB", NULL, NULL, NULL, "isolation-14-22-memory-bochs" },
	{ "local APIC: TPR", "info lapic", " TPR 0x10 ", " TPR 0x08 ", NULL },
	{ "local APIC: its place", NULL, NULL, NULL, "isolation-41-apic-moved-bochs" },
	{ "local APIC: LINT0", "info lapic", "LVT0\t 0x00010000", "LVT0\t 0x00010000", NULL },
	{ "local APIC: other LVTs", "info lapic", "LVTT\t 0x000200ef", "LVTT\t 0x000200ef", NULL },
	{ "IOAPIC", "info pic", "pin 10 0x0000000000000013", "pin 10 0x0000000000000013", NULL },
	{ "PIC", "info pic", "imr=ff isr=00 hprio=0 irq_base=08",
	  "imr=ff isr=00 hprio=0 irq_base=08", NULL },
	{ "PIT, RTC", NULL, NULL, NULL, "isolation-04-ports: no port of theirs is granted" },
	{ "ports", NULL, NULL, NULL, "isolation-04-ports" },
	{ "PCI bus masters", "i /wx 0xcfc", "= 0x0280000", "= 0x0280000", NULL },
	{ "ISA DMA", NULL, NULL, NULL, "isolation-04-ports: no device that asks for it" },
	{ "A20", "info registers", "A20=1", "A20=1", NULL },
};

static void look(struct machine *m, bool is_virtual)
{
	struct cpu_state cpus[CPUS_MAX];
	machine_stop(m);
	machine_state(m, cpus);
	CHECK(!(cpus[0].cr0 & CR0_EM) == is_virtual, "CR0 is %#x in %s mode", cpus[0].cr0,
	      is_virtual ? "virtual" : "native");
	for (unsigned i = 0; i < COUNT(rows); i++) {
		const struct row *r = &rows[i];
		const char *want = is_virtual ? r->virtual : r->native;
		if (!want)
			continue;
		free(qmp_human(m, "o /w 0xcf8 0x80000904"));
		char *text = qmp_human(m, r->command);
		CHECK(strstr(text, want), "%s: %s mode has not \"%s\":\n%s", r->name,
		      is_virtual ? "virtual" : "native", want, text);
		CHECK(r->command[0] != 'i' || r->command[1] != ' ' ||
		      !(strtoul(strstr(text, "= 0x") + 2, NULL, 16) & 4), "a bus master is on");
		free(text);
	}
	machine_continue(m);
}

/* Whether line i of rows[] is the first one of its row. */
static bool is_first(unsigned i)
{
	return i == 0 || strcmp(rows[i].name, rows[i - 1].name) != 0;
}

/* Each row has a line in the documentation, and each line there a row. */
static void check_page(void)
{
	char *text = file_text(PAGE), line[200];
	unsigned lines = 0, names = 0;
	CHECK(text, "no %s", PAGE);
	const char *at = strstr(text, "| state |");
	CHECK(at, "%s has no table of inherited state", PAGE);
	for (unsigned i = 0; i < COUNT(rows); i++) {
		snprintf(line, sizeof(line), "\n| %s |", rows[i].name);
		CHECK(strstr(at, line), "the table in %s has no row %s", PAGE, rows[i].name);
		names += is_first(i);
	}
	for (at = strchr(strchr(at, '\n') + 1, '\n') + 1; *at == '|'; at = strchr(at, '\n') + 1)
		lines++;
	CHECK(lines == names, "the table in %s has %u rows, not %u", PAGE, lines, names);
	free(text);
}

/*
 * The kernel's GDT once more, with an LDT at its end, and a GDTR for it: in the last part of a
 * variable that no test fills. Result: the table's address; the GDTR is 8 bytes below it.
 */
static uint32_t other_gdt(struct victim *v)
{
	enum { N = GDT_ENTRIES + 1 };
	uint32_t base = symbol("history") + symbol_bytes("history") - N * 8;
	uint32_t gdtr[2] = { (N * 8 - 1) | base << 16, base >> 16 };
	uint64_t table[N];
	virtual_read(v->m, v->start.cr3, v->start.gdt.base, table, sizeof(table));
	table[GDT_ENTRIES] = 0xC0ull << 56 | 0x82ull << 40 | 7; /* at KERNEL_BASE, of one entry */
	physical_write(v->m, base - KERNEL_BASE, table, sizeof(table));
	physical_write(v->m, base - 8 - KERNEL_BASE, gdtr, sizeof(gdtr));
	return base;
}

void run_native(struct victim *v, const char *label, uint32_t ebx)
{
	struct machine *m = v->m;
	gdb_set_register(m, GDB_EBX, ebx);
	gdb_set_register(m, GDB_ESI, kernel_word(m, "lapic"));
	gdb_set_register(m, GDB_EBP, kernel_word(m, "ioapic"));
	gdb_set_register(m, GDB_EDI, symbol("sys_getpid"));
	gdb_set_register(m, GDB_EIP, place(v, label, false));
	gdb_disconnect(m);
	machine_expect(m, PROMPT, SECONDS);
}

/* After the detach: what QEMU's monitor does not show. */
static void look_native(struct machine *m, uint32_t gdt)
{
	struct victim *v = native_at_prompt(m);
	uint32_t at = gdt - 16, words[2];
	CHECK(v->start.gdt.base == gdt, "detach gave the kernel the GDT at %#x, not at %#x",
	      v->start.gdt.base, gdt);
	run_native(v, "read_msrs", at);
	machine_stop(m);
	physical_read(m, at - KERNEL_BASE, words, sizeof(words));
	machine_continue(m);
	CHECK(words[0] == SEL_KCODE, "detach left %#x in SYSENTER_CS, not %#x", words[0],
	      SEL_KCODE);
	CHECK((words[1] & 0xFF) == 0, "PAT was not left as it was: its low word is %#x", words[1]);
}

void inherited(const struct test *t)
{
	struct victim *v = native_start(&t->machine);
	struct machine *m = v->m;
	uint32_t gdt = other_gdt(v);
	check_page();
	run_native(v, "set_worst", gdt - 8);
	command(m, "echo virtual > /proc/mode; ls /bin | wc", SECONDS);
	look(m, true);
	command(m, "echo native > /proc/mode; ls /bin | wc", SECONDS);
	look(m, false);
	look_native(m, gdt);
	command(m, "echo virtual > /proc/mode", SECONDS);
	v = victim_at_prompt(m);
	sysenter(v);
	victim_end(v);
}

/*
 * 41: right before the VMM takes the processor, the local APIC's registers are moved. Ring 1 could
 * map them there, and start other processors in ring 0. QEMU does not move them.
 */
void apic_moved(const struct test *t)
{
	static const uint8_t move[] = {
		0x60,                         /* pushal */
		0xB9, 0x1B, 0, 0, 0,          /* movl $0x1B, %ecx: APIC_BASE */
		0x0F, 0x32,                   /* rdmsr */
		0x25, 0xFF, 0x0F, 0, 0,       /* andl $0xFFF, %eax */
		0x0D, 0, 0, 0xD8, 0xFE,       /* orl $0xFED80000, %eax: no memory is there */
		0x0F, 0x30,                   /* wrmsr */
		0x61, 0xC3, 0, 0,             /* popal; ret */
	};
	struct machine *m = machine_start(&t->machine);
	struct cpu_state cpus[CPUS_MAX];
	uint32_t take = vmm_symbol("cpu_take"), code = symbol("history");
	debug_break(m, take, true);
	CHECK(debug_run(m, SECONDS), "cpu_take() is not called");
	debug_break(m, take, false);
	machine_state(m, cpus);
	uint32_t esp = cpus[0].esp - 4;
	physical_write(m, page_walk(m, cpus[0].cr3, esp).machine, &take, sizeof(take));
	physical_write(m, code - KERNEL_BASE, move, sizeof(move));
	debug_set_register(m, GDB_ESP, esp);
	debug_set_register(m, GDB_EIP, code);
	machine_continue(m);
	int status = machine_wait(m, SECONDS);
	CHECK(status == STOPPED_STATUS && strstr(m->log, "the local APIC was moved"),
	      "a kernel that moved its local APIC got status %d", status);
}

/* The rows that no machine of this test can show. */
void inherited_unseen(const struct test *t)
{
	char text[2000] = "", *end = text;
	(void)t;
	for (unsigned i = 0; i < COUNT(rows); i++)
		if (rows[i].unseen)
			end += snprintf(end, (size_t)(text + sizeof(text) - end), "\n%s: %s",
					rows[i].name, rows[i].unseen);
	give_up(SKIPPED, "rows of the table of inherited state that QEMU's monitor does not show, "
		"and why or which test does:%s", text);
}

/* --- 44: tables that warm-up refuses --- */

/* Store an entry in the kernel's directory, or in its table of a slot of the upper part. */
static void plant(struct machine *m, uint32_t cr3, unsigned slot, int index, uint32_t value)
{
	uint32_t at = (cr3 & PAGE_MASK) + slot * 4;
	if (index >= 0)
		at = (physical_word(m, at) & PAGE_MASK) + (unsigned)index * 4;
	physical_write(m, at, &value, 4);
}

/* number: which rule is broken, right before warm-up; text: what the VMM says of it. */
void warm_up_refuses(const struct test *t)
{
	enum { MAP_SLOT = KERNEL_MAP_BASE >> 22, FREE_ENTRY = 1000 };
	struct machine_options o = t->machine;
	struct cpu_state cpus[CPUS_MAX];
	o.paused = true;
	struct machine *m = machine_start(&o);
	gdb_connect(m);
	gdb_break(m, symbol("vmm_warm_up"), true);
	CHECK(gdb_run(m, SECONDS), "the kernel does not warm the VMM up");
	machine_state(m, cpus);
	uint32_t cr3 = cpus[0].cr3;
	uint32_t vmm = page_walk(m, cr3, VMM_BASE).machine >> PAGE_SHIFT;
	uint32_t table = physical_word(m, (cr3 & PAGE_MASK) + KERNEL_SLOT * 4) >> PAGE_SHIFT;
	uint32_t home = page_walk(m, cr3, KERNEL_BASE + 0x200000).pte;
	switch (t->number) {
	case 0: plant(m, cr3, 5, -1, entry(table, PTE_W)); break;
	case 1: plant(m, cr3, MAP_SLOT, FREE_ENTRY, entry(table, PTE_W)); break;
	case 2: plant(m, cr3, MAP_SLOT, FREE_ENTRY, entry(vmm, 0)); break;
	case 3: plant(m, cr3, KERNEL_SLOT, 0x201, home); break;
	default: plant(m, cr3, VMM_SLOT - 1, -1, entry(table, PTE_W | PTE_PS));
	}
	gdb_break(m, symbol("vmm_warm_up"), false);
	gdb_disconnect(m);
	machine_expect(m, t->text, SECONDS);
	machine_expect(m, PROMPT, SECONDS);
	command(m, "echo virtual > /proc/mode || echo no VMM", SECONDS);
	CHECK(strstr(m->log, "\nno VMM\n"), "a VMM that was refused can be attached");
	machine_quit(m);
}
