/* SPDX-License-Identifier: MIT */
/*
 * What an exit and a domain switch cost: the debugger steps through the VMM, from the INT of a
 * hypercall to the next instruction outside, and counts instructions, and among them those that
 * are dear on a real processor. The delayed build is compared with EXIT=eager, which does the
 * same without owners. The table goes to domains.json in the build folder.
 */
#include "isolation_guests.h"
#include <unistd.h>

enum heavy { FPU_IMAGE, CONTROL_REGISTER, DESCRIPTORS, DEBUG_REGISTER, MSR, APIC_OR_LOCK, KINDS };
static const char *const kinds[KINDS] = { "fxsave", "cr", "tables", "dr", "msr", "locked" };

struct cost { unsigned all, heavy[KINDS]; };

static void classify(const uint8_t *code, struct cost *cost)
{
	static const struct { uint8_t opcode; enum heavy kind; } second[] = {
		{ 0xAE, FPU_IMAGE }, { 0x20, CONTROL_REGISTER }, { 0x22, CONTROL_REGISTER },
		{ 0x06, CONTROL_REGISTER }, { 0x01, DESCRIPTORS }, { 0x00, DESCRIPTORS },
		{ 0x21, DEBUG_REGISTER }, { 0x23, DEBUG_REGISTER }, { 0x30, MSR }, { 0x32, MSR },
	};
	if (code[0] == 0xF0 || code[0] == 0x87)
		cost->heavy[APIC_OR_LOCK]++;
	for (unsigned i = 0; code[0] == 0x0F && i < COUNT(second); i++)
		if (code[1] == second[i].opcode)
			cost->heavy[second[i].kind]++;
}

/* Execute one hypercall, up to the first instruction outside of the VMM, whoever's that is. */
static struct cost exit_cost(struct victim *v, uint32_t number, uint32_t ebx)
{
	struct cpu_state c[CPUS_MAX];
	struct cost cost = { 0 };
	debug_set_register(v->m, GDB_ESP, pool_address(v, STACK_PAGE) + PAGE_SIZE / 2);
	debug_set_register(v->m, GDB_EIP, place(v, "hypercall", false));
	debug_set_register(v->m, GDB_EAX, number);
	debug_set_register(v->m, GDB_EBX, ebx);
	for (;;) {
		uint8_t code[2];
		gdb_step(v->m);
		machine_state(v->m, c);
		if (c[0].cpl)
			return cost;
		virtual_read(v->m, c[0].cr3, c[0].eip, code, sizeof(code));
		classify(code, &cost);
		CHECK(++cost.all < 20000, "hypercall %u does not end", number);
	}
}

/* Let the kernel go on to the next stop of an attack. */
static void go_on(struct victim *v)
{
	struct cpu_state c[CPUS_MAX];
	CHECK(debug_run(v->m, 20), "the machine does not go on");
	machine_state(v->m, c);
	CHECK(c[0].eip == symbol("trap_handle"), "stopped at %#x", c[0].eip);
}

enum row { SAME, SWITCH, SWITCH_FPU, ROWS };
static const char *const rows[ROWS] = { "null hypercall", "switch", "switch with FPU" };

/* From domain 0 to a guest that has the FPU or not, after some rounds. */
static struct cost switch_cost(struct victim *v, bool fpu)
{
	struct guest_plan g = { .first = 16, .vcpus = 1, .label = "guest_registers" };
	guest_make(v, &g);
	guest_set_word(v, &g, GUEST_DATA, 4, 1000);
	guest_set_word(v, &g, GUEST_DATA, 8, 5);
	guest_set_word(v, &g, GUEST_DATA, 12, fpu);
	guest_run(v, &g, true);
	for (unsigned i = 0; i < 4; i++) {
		ALLOWED(v, HC_FPU_TRAP, !fpu, 0, 0, 0);
		ALLOWED(v, HC_YIELD, 0, 0, 0, 0);
	}
	struct cost cost = exit_cost(v, HC_YIELD, 0);
	go_on(v);
	guest_end(v, &g);
	return cost;
}

static void measure(struct machine_options *o, struct cost costs[ROWS])
{
	struct victim *v = victim_start(o);
	exit_cost(v, NR_HYPERCALLS, 0);
	go_on(v);
	costs[SAME] = exit_cost(v, NR_HYPERCALLS, 0);
	go_on(v);
	costs[SWITCH] = switch_cost(v, false);
	costs[SWITCH_FPU] = switch_cost(v, true);
	victim_end(v);
}

static void write_table(const char *path, struct cost costs[2][ROWS])
{
	FILE *f = fopen(path, "w");
	CHECK(f, "cannot write %s", path);
	fprintf(f, "{\n");
	for (unsigned way = 0; way < 2; way++)
		for (unsigned row = 0; row < ROWS; row++) {
			const struct cost *c = &costs[way][row];
			fprintf(f, "  \"%s, %s\": { \"instructions\": %u", rows[row],
				way ? "eager" : "delayed", c->all);
			for (unsigned k = 0; k < KINDS; k++)
				fprintf(f, ", \"%s\": %u", kinds[k], c->heavy[k]);
			fprintf(f, " }%s\n", way && row == ROWS - 1 ? "" : ",");
		}
	fprintf(f, "}\n");
	fclose(f);
}

void exit_costs(const struct test *t)
{
	struct cost costs[2][ROWS];
	char path[300];
	const char *delayed = vmm_file;
	struct machine_options o = t->machine;
	measure(&o, costs[0]);
	snprintf(path, sizeof(path), "%s/kernel-eager/vmm.elf", build_dir);
	if (access(path, R_OK) < 0)
		give_up(SKIPPED, "%s is not there; run make EXIT=eager kernel", path);
	vmm_file = path;
	measure(&o, costs[1]);
	vmm_file = delayed;
	char table[300];
	snprintf(table, sizeof(table), "%s/domains.json", build_dir);
	write_table(table, costs);
	const struct cost *same = &costs[0][SAME], *eager = &costs[1][SAME];
	CHECK(same->all * 2 <= eager->all && same->heavy[FPU_IMAGE] == 0,
	      "an exit to the same vCPU takes %u instructions, eager %u", same->all, eager->all);
	CHECK(costs[0][SWITCH].all <= 720 && costs[0][SWITCH].heavy[FPU_IMAGE] == 0,
	      "a domain switch takes %u instructions", costs[0][SWITCH].all);
}
