/* SPDX-License-Identifier: MIT */
/*
 * What an exit and a domain switch cost, when 1, 2 or 100 domains share a CPU, with and without the
 * FPU; in the delayed build, and in EXIT=eager, which does the same without owners.
 *
 * Counted twice. `instructions`: guests yield to each other, and read the time-stamp counter before
 * and after; it counts instructions here. All else: the debugger steps through the VMM, from the
 * INT of a hypercall to the next instruction outside, and classifies what is dear on a real
 * processor. A timer is due then, because the clock jumps to the next one at each stop: `stepped`
 * has the instructions of that. `make bench-domains` prints the table.
 */
#include "domains_bench.h"
#include "isolation_guests.h"
#include <unistd.h>

enum heavy { FPU_IMAGE, CONTROL_REGISTER, DESCRIPTORS, SEGMENT, DEBUG_REGISTER, MSR, ATOMIC, DEVICE,
	     KINDS };
static const char *const kinds[KINDS] = { "fxsave", "cr", "tables", "segments", "dr", "msr",
					  "locked", "apic" };

struct cost {
	unsigned all, stepped, heavy[KINDS];
	unsigned bytes;         /* moved by string instructions and FPU images */
	unsigned loads, flushes; /* of CR3; of the whole TLB */
};

enum { CR_3 = 3, CR_4 = 4, MOV_CR = 0x22, TO_SEGMENT = 0x8E, MOVS = 0xA5, XCHG = 0x87, LOCK = 0xF0,
       REP = 0xF3, FX = 0xAE, STORE_EAX = 0xA3 };

static void classify(const uint8_t *code, uint32_t ecx, struct cost *cost)
{
	static const struct { uint8_t opcode; enum heavy kind; } second[] = {
		{ FX, FPU_IMAGE }, { 0x20, CONTROL_REGISTER }, { MOV_CR, CONTROL_REGISTER },
		{ 0x06, CONTROL_REGISTER }, { 0x01, DESCRIPTORS }, { 0x00, DESCRIPTORS },
		{ 0x21, DEBUG_REGISTER }, { 0x23, DEBUG_REGISTER }, { 0x30, MSR }, { 0x32, MSR },
	};
	uint32_t address;
	memcpy(&address, code + 1, 4);
	if (code[0] == LOCK || code[0] == XCHG)
		cost->heavy[ATOMIC]++;
	if (code[0] == TO_SEGMENT)
		cost->heavy[SEGMENT]++;
	if (code[0] == STORE_EAX && address >> PAGE_SHIFT == VMM_BASE / PAGE_SIZE + VMM_LAPIC_PAGE)
		cost->heavy[DEVICE]++;
	if (code[0] == REP && code[1] == MOVS && ecx)
		cost->bytes += 4;
	if (code[0] != 0x0F)
		return;
	for (unsigned i = 0; i < COUNT(second); i++)
		if (code[1] == second[i].opcode)
			cost->heavy[second[i].kind]++;
	if (code[1] == FX)
		cost->bytes += 512;
	if (code[1] == MOV_CR && (code[2] >> 3 & 7) == CR_3)
		cost->loads++;
	if (code[1] == MOV_CR && (code[2] >> 3 & 7) == CR_4)
		cost->flushes++; /* PGE off and on: two for one flush */
}

/* Execute one hypercall, up to the first instruction outside of the VMM, whoever's that is. */
static struct cost exit_cost(struct victim *v, uint32_t number)
{
	struct cpu_state c[CPUS_MAX];
	struct cost cost = { 0 };
	debug_set_register(v->m, GDB_ESP, pool_address(v, STACK_PAGE) + PAGE_SIZE / 2);
	debug_set_register(v->m, GDB_EIP, place(v, "hypercall", false));
	debug_set_register(v->m, GDB_EAX, number);
	for (;;) {
		uint8_t code[5];
		gdb_step(v->m);
		machine_state(v->m, c);
		if (c[0].cpl)
			break;
		virtual_read(v->m, c[0].cr3, c[0].eip, code, sizeof(code));
		classify(code, gdb_register(v->m, GDB_ECX), &cost);
		CHECK(++cost.stepped < 20000, "hypercall %u does not end", number);
	}
	cost.flushes /= 2;
	return cost;
}

/* Let the kernel go on to the next stop of an attack. */
static void go_on(struct victim *v)
{
	struct cpu_state c[CPUS_MAX];
	CHECK(debug_run(v->m, 20), "the machine does not go on");
	machine_state(v->m, c);
	CHECK(c[0].eip == symbol("trap_handle"), "stopped at %#x", c[0].eip);
}

/* --- guests that yield to each other --- */

/* The pool's upper half begins with the list of hypercalls and their arguments. */
enum { MANY = 99, ROOM = 10, LISTS = 10, PAIRS = 256, TRIES = 20 };

static unsigned guest_page(const struct victim *v, unsigned i)
{
	unsigned below = (v->pages / 2 - 16) / ROOM;
	return i < below ? 16 + i * ROOM : v->pages / 2 + LISTS + (i - below) * ROOM;
}

/* All at once: those that run already would delay domain 0. */
static void run_guests(struct victim *v, const struct guest_plan g[], unsigned n)
{
	static struct domain_op ops[MANY];
	static struct call calls[MANY];
	for (unsigned i = 0; i < n; i++) {
		ops[i] = (struct domain_op){ .domain = g[i].number, .on = 1 };
		calls[i] = (struct call){ .number = HC_DOMAIN, .ebx = DOMAIN_RUN,
					  .ecx = pool_address(v, v->pages / 2 + 1) +
						 i * (unsigned)sizeof(ops[0]) };
	}
	pool_write(v, v->pages / 2 + 1, 0, ops, n * sizeof(ops[0]));
	hypercalls(v, calls, n);
	for (unsigned i = 0; i < n; i++)
		CHECK(calls[i].result == 0, "DOMAIN_RUN: %d", calls[i].result);
}

/*
 * The clock jumps at each stop of the debugger, and domain 0 is charged for these milliseconds.
 * Then each guest runs as long before it, in proportion to their weights: so theirs are small.
 */
static void make_guests(struct victim *v, struct guest_plan g[], unsigned n, bool fpu)
{
	for (unsigned i = 0; i < n; i++) {
		g[i] = (struct guest_plan){ .first = guest_page(v, i), .vcpus = 1, .memory = 6,
					    .weight = 1, .label = "guest_clocks" };
		guest_make(v, &g[i]);
		guest_set_word(v, &g[i], GUEST_DATA, 12, fpu);
	}
	run_guests(v, g, n);
}

/* Domain 0 waits until each guest has filled its ring of pairs. */
static void await_rings(struct victim *v, const struct guest_plan g[], unsigned n)
{
	for (unsigned tries = 0; tries < TRIES; tries++) {
		unsigned full = 0;
		for (unsigned i = 0; i < n; i++)
			full += guest_word(v, &g[i], GUEST_DATA, 0) > PAIRS;
		if (full == n)
			return;
		guests_wait(v);
	}
	give_up(FAILED, "%u guests do not yield", n);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* From each guest's moment before a yield to the first moment after one, of any other guest's. */
static unsigned median_switch(struct victim *v, const struct guest_plan g[], unsigned n)
{
	uint32_t(*pairs)[PAIRS][2] = malloc(n * sizeof(*pairs));
	uint32_t costs[PAIRS], between = 5; /* MOV, MOV, INT; RDTSC counts itself */
	for (unsigned i = 0; i < n; i++)
		physical_read(v->m, guest_mfn(&g[i], GUEST_FREE) << PAGE_SHIFT, pairs[i],
			      sizeof(pairs[i]));
	for (unsigned k = 0; k < PAIRS; k++) {
		costs[k] = UINT32_MAX;
		for (unsigned i = n > 1; i < n; i++)
			for (unsigned p = 0; p < PAIRS; p++) {
				uint32_t ticks = pairs[i][p][1] - pairs[0][k][0];
				costs[k] = ticks < costs[k] ? ticks : costs[k];
			}
	}
	free(pairs);
	qsort(costs, PAIRS, sizeof(costs[0]), by_size);
	return costs[PAIRS / 2] - between;
}

/* A switch when n guests share the CPU with domain 0; n = 1: the yield of one that is alone. */
static struct cost switch_cost(struct victim *v, unsigned n, bool fpu)
{
	static struct guest_plan g[MANY];
	make_guests(v, g, n, fpu);
	await_rings(v, g, n);
	unsigned all = median_switch(v, g, n);
	for (unsigned i = 0; i < 4; i++) {
		ALLOWED(v, HC_FPU_TRAP, !fpu, 0, 0, 0);
		ALLOWED(v, HC_YIELD, 0, 0, 0, 0);
	}
	struct cost cost = exit_cost(v, HC_YIELD);
	cost.all = all;
	go_on(v);
	for (unsigned i = 0; i < n; i++)
		guest_end(v, &g[i]);
	return cost;
}

/* --- the table --- */

static const struct { const char *name; unsigned guests; bool fpu; } rows[] = {
	{ "null hypercall", 0, false },
	{ "yield, alone", 1, false },
	{ "switch, 2 domains", 2, false }, { "switch, 2 domains with FPU", 2, true },
	{ "switch, 100 domains", MANY, false }, { "switch, 100 domains with FPU", MANY, true },
};
enum { NULL_CALL, FIRST_SWITCH = 2, FIRST_MANY = 4, ROWS = COUNT(rows), MOST = 315 };

static void check_delayed(const struct cost costs[], unsigned n)
{
	for (unsigned i = FIRST_SWITCH; i < n; i++)
		CHECK(costs[i].all <= MOST && costs[i].flushes == 1 &&
		      costs[i].heavy[FPU_IMAGE] == (rows[i].fpu ? 2 : 0),
		      "%s: %u instructions, %u flushes, %u FPU images", rows[i].name, costs[i].all,
		      costs[i].flushes, costs[i].heavy[FPU_IMAGE]);
}

/* delayed: the costs of the other way, or NULL. */
static void measure(const struct machine_options *o, struct cost costs[], unsigned n,
		    const struct cost *delayed)
{
	struct victim *v = victim_start(o);
	exit_cost(v, NR_HYPERCALLS);
	go_on(v);
	costs[NULL_CALL] = exit_cost(v, NR_HYPERCALLS);
	costs[NULL_CALL].all = costs[NULL_CALL].stepped;
	go_on(v);
	for (unsigned i = 1; i < n; i++)
		costs[i] = switch_cost(v, rows[i].guests, rows[i].fpu);
	if (!delayed)
		check_delayed(costs, n);
	else
		CHECK(delayed->all * 4 <= costs->all && delayed->heavy[FPU_IMAGE] == 0,
		      "an exit to the same vCPU takes %u instructions, eager %u", delayed->all,
		      costs->all);
	victim_end(v);
}

static json_t *cost_json(const struct cost *c)
{
	json_t *j = json_pack("{s:i,s:i,s:i,s:i,s:i}", "instructions", c->all, "stepped",
			      c->stepped, "bytes", c->bytes, "cr3", c->loads, "flushes",
			      c->flushes);
	for (unsigned k = 0; k < KINDS; k++)
		json_object_set_new(j, kinds[k], json_integer(c->heavy[k]));
	return j;
}

json_t *exit_cost_table(const struct machine_options *o, bool many)
{
	struct cost costs[2][ROWS];
	const char *delayed = vmm_file;
	unsigned n = many ? ROWS : FIRST_MANY;
	measure(o, costs[0], n, NULL);
	use_eager_build();
	measure(o, costs[1], n, costs[0]);
	vmm_file = delayed;
	json_t *table = json_object();
	for (unsigned i = 0; i < n; i++)
		json_object_set_new(table, rows[i].name, json_pack(
			"{s:o,s:o}", "delayed", cost_json(&costs[0][i]),
			"eager", cost_json(&costs[1][i])));
	return table;
}

/* number: 1 for the rows with 100 domains, too. */
void exit_costs(const struct test *t)
{
	json_decref(exit_cost_table(&t->machine, t->number));
}
