/* SPDX-License-Identifier: MIT */
/*
 * Why the kernel needs a VO: each sensitive instruction that is not privileged is executed in ring
 * 0 of the native kernel, and in rings 1 and 3 on the VMM, in QEMU and in Bochs. The results are a
 * table, which must stand in docs/machine.md.
 */
#include "isolation.h"

#define PAGE "docs/machine.md"
enum { CELL = 48, RINGS = 3 };

/* How the value in ECX is to be read. */
enum kind { TABLE, SELECTOR, BITS, IF_BIT, RIGHTS, LIMIT, YES_NO, HANDLER };
static const struct instruction { const char *label, *text; enum kind kind; } instructions[] = {
	{ "sgdt", "`sgdt`", TABLE },         { "sidt", "`sidt`", TABLE },
	{ "sldt", "`sldt`", SELECTOR },      { "smsw", "`smsw`", BITS },
	{ "pushf", "`pushf`", IF_BIT },      { "popf", "`popf`, IF = 0", IF_BIT },
	{ "lar", "`lar` 0x10", RIGHTS },     { "lsl", "`lsl` 0x10", LIMIT },
	{ "verr", "`verr` 0x10", YES_NO },   { "verw", "`verw` 0x10", YES_NO },
	{ "pop", "`pop %ss`, 0x10", SELECTOR }, { "push", "`push %cs`", SELECTOR },
	{ "call", "`lcall` 0x08", SELECTOR }, { "jmp", "`ljmp` 0x08", SELECTOR },
	{ "int", "`int` 0xf0", HANDLER },    { "ret", "`lret` 0x08", SELECTOR },
	{ "str", "`str`", SELECTOR },        { "mov", "`mov %cs, %ecx`", SELECTOR },
	{ "iret", "`iret`, IF = 0", IF_BIT },
};
typedef char table[COUNT(instructions)][RINGS][CELL];

static const char *const exceptions[] = {
	[VEC_INVALID_TSS] = "#TS", [VEC_STACK] = "#SS", [VEC_GP] = "#GP", [VEC_UD] = "#UD"
};

/* Put into cell what an instruction did, in words. */
static void describe(const struct victim *v, enum kind kind, char cell[CELL])
{
	const struct trap *t = &v->trap;
	uint32_t value = t->ecx;
	if (t->vector == VEC_RESCHED && kind == HANDLER) {
		snprintf(cell, CELL, "the kernel's handler");
		return;
	}
	if (!returned(v)) {
		CHECK(t->vector < COUNT(exceptions) && exceptions[t->vector], "vector %u at %#x",
		      t->vector, t->eip);
		snprintf(cell, CELL, "**%s(%#x)**", exceptions[t->vector], t->error);
		return;
	}
	switch (kind) {
	case TABLE:
		snprintf(cell, CELL, "the %s's table", value >= VMM_BASE ? "VMM" : "kernel");
		break;
	case BITS: snprintf(cell, CELL, "PE %u, TS %u", value & CR0_PE, value / CR0_TS % 2); break;
	case IF_BIT: snprintf(cell, CELL, "IF %u", value & EFLAGS_IF ? 1 : 0); break;
	case RIGHTS: snprintf(cell, CELL, t->edx ? "DPL %u" : "refused", value >> 13 & 3); break;
	case LIMIT: snprintf(cell, CELL, t->edx ? "%#x" : "refused", value); break;
	case YES_NO: snprintf(cell, CELL, t->edx ? "allowed" : "refused"); break;
	default: snprintf(cell, CELL, "%#x", value & 0xFFFF);
	}
}

/* Run each instruction in this ring. If an event comes first, run the instruction again. */
static void run_all(struct victim *v, unsigned ring, table cells)
{
	bool ring3 = ring == 3;
	for (unsigned i = 0; i < COUNT(instructions); i++) {
		char label[32];
		snprintf(label, sizeof(label), "sensitive_%s", instructions[i].label);
		struct entry e = { .edi = place(v, "launch", ring3) -
					  attack_symbol("attack_launch"),
				   .ring3 = ring3 };
		unsigned tries = 0;
		do
			CHECK(tries++ < 8 && attack_at(v, place(v, label, ring3), &e),
			      "%s in ring %u", label, ring);
		while (v->trap.vector == VEC_TIMER);
		describe(v, instructions[i].kind, cells[i][ring == 3 ? 2 : ring]);
	}
}

static void experiment(const struct machine_options *o, table cells)
{
	struct victim *v = native_start(o);
	debug_break(v->m, symbol("trap_handle"), true);
	run_all(v, 0, cells);
	machine_quit(v->m);
	v = victim_start(o);
	run_all(v, 1, cells);
	run_all(v, 3, cells);
	machine_quit(v->m);
}

/* What comes of an instruction in ring 1, compared with ring 0. */
static const char *verdict_of(const char *native, const char *ring1)
{
	if (ring1[0] == '*')
		return "traps";
	return strcmp(native, ring1) ? "differs, silently" : "same";
}

static void write_table(char *text, size_t size, table cells)
{
	size_t n = (size_t)snprintf(text, size, "| instruction | ring 0, native "
				    "| ring 1, on the VMM | ring 3, on the VMM | in ring 1 |\n"
				    "|---|---|---|---|---|\n");
	for (unsigned i = 0; i < COUNT(instructions); i++) {
		const char *verdict = verdict_of(cells[i][0], cells[i][1]);
		n += (size_t)snprintf(text + n, size - n, "| %s | %s | %s | %s | %s |\n",
				      instructions[i].text, cells[i][0], cells[i][1], cells[i][2],
				      verdict);
	}
}

static void sensitive(const struct test *t)
{
	static table qemu, bochs;
	static char text[8000], page[60000];
	struct machine_options o = t->machine;
	experiment(&o, qemu);
	o.bochs = true;
	experiment(&o, bochs);
	for (unsigned i = 0; i < COUNT(instructions) * RINGS; i++)
		CHECK(strcmp(qemu[i / RINGS][i % RINGS], bochs[i / RINGS][i % RINGS]) == 0,
		      "%s: %s in QEMU, %s in Bochs", instructions[i / RINGS].text,
		      qemu[i / RINGS][i % RINGS], bochs[i / RINGS][i % RINGS]);
	write_table(text, sizeof(text), qemu);
	FILE *f = fopen(PAGE, "r");
	page[f ? fread(page, 1, sizeof(page) - 1, f) : 0] = '\0';
	CHECK(strstr(page, text), PAGE " has another table than what the instructions did:\n%s",
	      text);
	fclose(f);
}

const struct test sensitive_tests[] = {
	{ .name = "sensitive-instructions", .run = sensitive, .seconds = 300 },
	{ 0 },
};
