/* SPDX-License-Identifier: MIT */
/*
 * Rule 55: no hypercall keeps interrupts off for more than LIMIT instructions, whatever it is asked
 * for. What takes longer is asked for again, by its caller or by the VMM itself (EIP stays at the
 * INT). QEMU's counter is read at each entry of a hypercall and at its end. Two hypercalls of
 * domain 0's have no bound, and are refused while a guest lives.
 */
#include "isolation_guests.h"
#include "offsets.h"

enum { LIMIT = 100000 };
static const char *const names[NR_HYPERCALLS] = {
	"HC_UPDATE", "HC_LOAD", "HC_RELEASE", "HC_FLUSH", "HC_EVENTS", "HC_IDLE", "HC_FPU_TRAP",
	"HC_SHUTDOWN", "HC_HALT", "HC_MASK", "HC_END", "HC_SEND", "HC_TICK", "HC_IO", "HC_DETACH",
	"HC_RECOUNT", "HC_SHARE", "HC_TRIM", "HC_DOMAIN", "HC_PORT_SEND", "HC_PORT_UNMASK",
	"HC_PORT_CLOSE", "HC_CONSOLE_OUT", "HC_CONSOLE_IN", "HC_TIMER", "HC_YIELD", "HC_VCPU_START",
};
static const char *const operations[] = {
	"OPEN", "GIVE", "LEND", "PAIR", "BIRTH", "RUN", "WEIGHT", "KILL", "TAKE", "CLOSE", "INFO",
	"OUTPUT", "INPUT",
};
enum { ROWS = NR_HYPERCALLS + COUNT(operations), NONE = ROWS };
static uint64_t longest[2][ROWS + 1]; /* of domain 0, of guests */

/* --- the meter --- */

static bool is_guest(struct victim *v)
{
	uint32_t current, cpu = vmm_symbol("vmm_cpus") + v->cpu * CPU_BYTES;
	virtual_read(v->m, v->start.cr3, cpu + CPU_CURRENT, &current, 4);
	return current != vmm_symbol("domain0") + DOMAIN_VCPUS + v->cpu * VCPU_BYTES;
}

/* As run_and_park(); each hypercall on the way is measured. */
static bool metered_run(struct victim *v, struct cpu_state cpus[CPUS_MAX])
{
	uint64_t since = 0;
	unsigned row = NONE;
	bool guest = false;
	while (run_and_park(v, cpus)) {
		uint64_t part = qmp_instructions(v->m) - since;
		if (row != NONE && part > longest[guest][row])
			longest[guest][row] = part;
		if (cpus[v->cpu].eip != vmm_symbol("hypercall_entry"))
			return true;
		uint32_t number = gdb_register(v->m, GDB_EAX);
		uint32_t operation = gdb_register(v->m, GDB_EBX);
		row = number >= NR_HYPERCALLS ? NONE : number;
		if (number == HC_DOMAIN && operation < COUNT(operations))
			row = NR_HYPERCALLS + operation;
		guest = is_guest(v);
		since = qmp_instructions(v->m);
		gdb_step(v->m);
	}
	return false;
}

static void meter(struct victim *v, bool on)
{
	debug_break(v->m, vmm_symbol("hypercall_entry"), on);
	v->run = on ? metered_run : run_and_park;
}

/* --- what takes long --- */

/* Pages of the pool. A guest's memory comes first. */
enum { FIRST = 16, MEMORY = 16, LOANS = FIRST + 32,
       MANY_TABLES = 512, ROOT = 600, FULL, PLAIN = FULL + 8, BATCH = 64 };

/* A page of the pool becomes an image of a page table: 1024 writable entries. */
static void fill_table(struct victim *v, unsigned page)
{
	uint32_t full[1024];
	for (unsigned i = 0; i < 1024; i++)
		full[i] = entry(pool_mfn(v, PLAIN + i % 400), PTE_W | PTE_U);
	pool_write(v, page, 0, full, sizeof(full));
}

/* An image of a directory: one table everywhere, then others, each once. */
static void fill_directory(struct victim *v, unsigned others, uint32_t last)
{
	uint32_t entries[1024];
	physical_read(v->m, v->directory << PAGE_SHIFT, entries, sizeof(entries));
	for (unsigned i = 0; i < KERNEL_SLOT; i++)
		entries[i] = entry(pool_mfn(v, FULL), PTE_W | PTE_U);
	for (unsigned i = 0; i < others; i++)
		entries[KERNEL_SLOT - 1 - others + i] =
			entry(pool_mfn(v, FULL + 1 + i), PTE_W | PTE_U);
	entries[KERNEL_SLOT - 1] = last;
	pool_write(v, ROOT, 0, entries, sizeof(entries));
}

/* Directories with new tables, of which the last one makes the load fail, or does not. */
static void load_long(struct victim *v)
{
	enum { OTHERS = 5 };
	for (unsigned i = 0; i <= OTHERS; i++)
		fill_table(v, FULL + i);
	fill_directory(v, OTHERS, entry(v->directory, PTE_W));
	REFUSED(v, -EBUSY, HC_LOAD, pool_mfn(v, ROOT), 0, 0, 0);
	fill_directory(v, OTHERS, entry(pool_mfn(v, FULL), PTE_W));
	ALLOWED(v, HC_LOAD, pool_mfn(v, ROOT), 0, 0, 0);
}

/* 64 entries of a directory at once; from `first` on they name `distinct` pages. */
static void update_slots(struct victim *v, unsigned slot, unsigned first, unsigned distinct)
{
	uint32_t batch[BATCH] = { 0 };
	for (unsigned i = 0; i < BATCH && distinct; i++)
		batch[i] = entry(pool_mfn(v, first + i % distinct), PTE_W | PTE_U);
	pool_write(v, DATA_PAGE, 0, batch, sizeof(batch));
	ALLOWED(v, HC_UPDATE, slot_machine(pool_mfn(v, ROOT), slot), BATCH,
		pool_address(v, DATA_PAGE), 0);
}

/* Pages that were tables once stay in the VMM's list: those of the guest-to-be come last in it. */
static void lengthen_list(struct victim *v)
{
	for (unsigned page = FIRST; page + BATCH <= MANY_TABLES; page += BATCH) {
		for (unsigned i = 0; i < BATCH; i++)
			pool_clear(v, page + i);
		update_slots(v, 0, page, BATCH);
		update_slots(v, 0, 0, 0);
		for (unsigned i = 0; i < BATCH; i++)
			ALLOWED(v, HC_RELEASE, pool_mfn(v, page + i), 0, 0, 0);
	}
}

static void tables(struct victim *v)
{
	uint32_t from = pool_mfn(v, FULL) << PAGE_SHIFT, to = pool_mfn(v, FULL + 1) << PAGE_SHIFT;
	load_long(v);
	fill_table(v, FULL + 6), fill_table(v, FULL + 7);
	update_slots(v, 0, FULL + 6, 2);
	ALLOWED(v, HC_SHARE, from, 1024, to, 0);
	lengthen_list(v);
	ALLOWED(v, HC_LOAD, v->directory, 0, 0, 0);
	ALLOWED(v, HC_FLUSH, VMM_FLUSH_ALL, 0, 0, 0);
}

/* The directory and its tables are nobody's any more: release some, trim the others. */
static void untables(struct victim *v)
{
	ALLOWED(v, HC_RELEASE, pool_mfn(v, ROOT), 0, 0, 0);
	ALLOWED(v, HC_RELEASE, pool_mfn(v, FULL + 6), 0, 0, 0);
	while (hypercall(v, HC_TRIM, 0, 0, 0, 0) == -EAGAIN)
		;
}

static void fill_guest(struct victim *v, const struct guest_plan *g)
{
	for (unsigned i = MEMORY; i < 1024; i++)
		guest_set_word(v, g, GUEST_TABLE, i * 4, entry(guest_mfn(g, i % MEMORY), 0));
	struct domain_op op = { .domain = g->number, .n = DOMAIN_OP_FRAMES };
	for (unsigned i = 0; i < GUEST_LOANS; i += op.n) {
		for (unsigned k = 0; k < op.n; k++)
			op.frames[k] = pool_mfn(v, LOANS + i + k);
		guest_refuse(v, 0, DOMAIN_LEND, &op);
	}
}

static void guest_of_all(struct victim *v)
{
	struct guest_plan g = { .first = FIRST, .vcpus = GUEST_MAX_VCPUS, .memory = MEMORY,
				.label = "guest_calls", .handler = "guest_returns" };
	struct call calls[CALLS_MOST];
	uint32_t ports[GUEST_PORTS];
	guest_prepare(v, &g);
	fill_guest(v, &g);
	CHECK(guest_bear(v, &g) == 0, "a birth: %s", guest_info(v, &g).reason);
	struct domain_op op = { .domain = g.number, .weight = 1,
				.address = pool_address(v, PLAIN) };
	for (op.port = 1; op.port < GUEST_PORTS; op.port++)
		if ((int)(ports[op.port] = (uint32_t)domain_call(v, DOMAIN_PAIR, &op)) <= 0)
			give_up(FAILED, "DOMAIN_PAIR: %d", (int)ports[op.port]);
	unsigned n = guest_every_call(&g, calls);
	guest_refuse(v, 0, DOMAIN_WEIGHT, &op);
	REFUSED(v, -EBUSY, HC_RECOUNT, 0, 0, 0, 0);
	REFUSED(v, -EBUSY, HC_DETACH, VMM_PROTECT, 0, 0, 0);
	guest_asks(v, &g, calls, n);
	op.n = CONSOLE_CALL;
	domain_call(v, DOMAIN_OUTPUT, &op);
	domain_call(v, DOMAIN_INPUT, &op);
	ALLOWED(v, HC_PORT_SEND, ports[2], 0, 0, 0);
	ALLOWED(v, HC_PORT_UNMASK, ports[2], 0, 0, 0);
	guest_end(v, &g);
	for (unsigned i = 1; i < GUEST_PORTS; i++)
		ALLOWED(v, HC_PORT_CLOSE, ports[i], 0, 0, 0);
}

static void others(struct victim *v)
{
	enum { LINE = 1, DISK_DATA = 0x1F0, WORDS = 256 };
	const uint32_t data = pool_address(v, DATA_PAGE);
	const struct call calls[] = {
		{ HC_EVENTS, 0, 0, 0, 0, 0 }, { HC_FPU_TRAP, 0, 0, 0, 0, 0 },
		{ HC_FPU_TRAP, 1, 0, 0, 0, 0 }, { HC_MASK, LINE, 1, 0, 0, 0 },
		{ HC_MASK, LINE, 0, 0, 0, 0 }, { HC_TICK, 100, 0, 0, 0, 0 },
		{ HC_TIMER, 1, 1, 0, 0, 0 }, { HC_TIMER, 0, 0, 0, 0, 0 },
		{ HC_IO, DISK_DATA, data, VMM_IO_IN_BLOCK, WORDS, 0 },
		{ HC_RECOUNT, 0, 0, 0, 0, 0 },
		{ HC_DETACH, VMM_UNPROTECT, 0, 0, 0, 0 },
		{ HC_DETACH, VMM_PROTECT, 0, 0, 0, 0 },
	};
	for (unsigned i = 0; i < COUNT(calls); i++)
		want_result(v, calls[i].result, &calls[i]);
	hypercall(v, HC_END, LINE, 0, 0, 0);
	hypercall(v, HC_SEND, VMM_OTHERS, VEC_RESCHED, 0, 0);
}

/* To bounds.json in the build folder. Result: how many rows are above LIMIT. */
static unsigned write_table(void)
{
	char path[300];
	unsigned bad = 0;
	snprintf(path, sizeof(path), "%s/bounds.json", build_dir);
	FILE *f = fopen(path, "w");
	CHECK(f, "cannot write %s", path);
	for (unsigned row = 0; row < ROWS; row++) {
		unsigned long long own = longest[0][row], guest = longest[1][row];
		fprintf(f, "%s\"%s\": { \"domain 0\": %llu, \"guest\": %llu }",
			row ? ",\n  " : "{\n  ",
			row < NR_HYPERCALLS ? names[row] : operations[row - NR_HYPERCALLS], own,
			guest);
		bool alone = row == HC_RECOUNT || row == HC_DETACH;
		bad += (own > LIMIT && !alone) || guest > LIMIT;
	}
	fprintf(f, "\n}\n");
	fclose(f);
	return bad;
}

void longest_calls(struct victim *v)
{
	meter(v, true);
	tables(v);
	guest_of_all(v);
	untables(v);
	others(v);
	meter(v, false);
	unsigned bad = write_table();
	CHECK(!bad, "%u hypercalls keep interrupts off for more than %u instructions", bad, LIMIT);
	for (unsigned page = FIRST; page < PLAIN; page++)
		pool_clear(v, page);
}
