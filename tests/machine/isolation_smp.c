/* SPDX-License-Identifier: MIT */
/*
 * Attacks with several CPUs: while CPU 0 makes hypercalls, "CPU 1" runs an attack of its own. It is
 * the last CPU; those between wait in ring 1. A TLB entry that CPU 1 keeps must not outlive what
 * the tables say (rule 16), and a detach concerns all CPUs (42).
 */
#include "isolation_guests.h"
#include "offsets.h"

/* Pages of the pool. */
enum { TABLE_PAGE = FREE_PAGE, PLAIN_PAGE, STACK_1 };
enum { SECONDS = 20 };
static unsigned other; /* the index of "CPU 1" */
#define USER_ADDRESS ((uint32_t)FREE_SLOT << 22)

/* Run only CPU 1 until the kernel gets a trap there. Result: false if none comes in time. */
static bool run_1(struct victim *v, double seconds)
{
	struct cpu_state cpus[CPUS_MAX];
	if (gdb_run_cpus(v->m, 1u << other, false, seconds) != (int)other)
		return false;
	machine_state(v->m, cpus);
	return cpus[other].eip == symbol("trap_handle");
}

/* CPU 1 goes to a label, in ring 1, with no event allowed. It stands at a trap to the kernel. */
static void send_1(struct victim *v, const char *label, const struct entry *e)
{
	static const uint32_t none;
	struct cpu_state cpus[CPUS_MAX];
	while (machine_state(v->m, cpus), cpus[other].cpl == 0) /* it serves the VMM */
		gdb_run_cpus(v->m, 1u << other, true, SECONDS);
	physical_write(v->m, v->shared + other * sizeof(struct vmm_shared) + SHARED_VIF, &none, 4);
	gdb_select(v->m, other);
	gdb_set_register(v->m, GDB_EAX, e->eax);
	gdb_set_register(v->m, GDB_EBX, e->ebx);
	gdb_set_register(v->m, GDB_ECX, e->ecx);
	gdb_set_register(v->m, GDB_EDX, e->edx);
	gdb_set_register(v->m, GDB_ESI, e->esi);
	gdb_set_register(v->m, GDB_ESP, pool_address(v, STACK_1) + PAGE_SIZE - 64);
	gdb_set_register(v->m, GDB_EIP, place(v, label, false));
	gdb_select(v->m, 0);
}

/* CPU 1 is at trap_handle(frame). Result: what tests need of the frame. */
static struct trap trap_1(struct victim *v)
{
	uint32_t at, frame[TRAP_FRAME_BYTES / 4];
	gdb_select(v->m, other);
	virtual_read(v->m, v->start.cr3, gdb_register(v->m, GDB_ESP) + 4, &at, 4);
	virtual_read(v->m, v->start.cr3, at, frame, sizeof(frame));
	gdb_select(v->m, 0);
	return (struct trap){ .eax = frame[TRAP_FRAME_EAX / 4],
			      .vector = frame[TRAP_FRAME_VECTOR / 4] };
}

/* A hypercall of CPU 1, while CPU 0 stands still. */
static int call_1(struct victim *v, const struct entry *e)
{
	send_1(v, "hypercall", e);
	CHECK(run_1(v, SECONDS), "CPU 1 does not come back from hypercall %u", e->eax);
	struct trap trap = trap_1(v);
	CHECK(trap.vector == VEC_BP, "hypercall %u of CPU 1: vector %u", e->eax, trap.vector);
	return (int)trap.eax;
}

static int hypercall_1(struct victim *v, uint32_t number, uint32_t ebx)
{
	return call_1(v, &(struct entry){ .eax = number, .ebx = ebx });
}

struct victim *two_victims(const struct test *t)
{
	struct victim *v = victim_start(&t->machine);
	for (other = 1; other < t->machine.cpus; other++) {
		CHECK(run_1(v, SECONDS), "CPU %u gets no tick", other);
		send_1(v, "waits", &(struct entry){ 0 });
	}
	other--;
	v->alone = false;
	return v;
}

/* In Bochs the other CPUs are parked already: there PAUSE is the first instruction, too. */
static struct victim *parked_yield(const struct test *t)
{
	struct victim *v = victim_start(&t->machine);
	uint32_t code[PAGE_SIZE / 4];
	virtual_read(v->m, v->start.cr3, place(v, "gives_way", false), code, 16);
	pool_write(v, PARK_PAGE, 0, code, 16);
	return v;
}

struct victim *victim_elsewhere(const struct test *t, struct guest_plan *there)
{
	struct victim *v = t->machine.bochs ? parked_yield(t) : two_victims(t);
	for (other = 1; other < t->machine.cpus && !t->machine.bochs; other++)
		send_1(v, "gives_way", &(struct entry){ 0 });
	*there = (struct guest_plan){ .first = v->pages / 2 - 16, .vcpus = 1,
				      .label = "guest_sleeps" };
	guest_make(v, there);
	return v;
}

/* CPU 1, at a trap or in `waits`, stores at an address. Result: how it ended (a vector), or -1. */
static int store_1(struct victim *v, uint32_t address)
{
	send_1(v, "hammer", &(struct entry){ .ebx = address, .ecx = 1 });
	return run_1(v, SECONDS) ? (int)trap_1(v).vector : -1;
}

/*
 * 16: CPU 1 has a TLB entry by which it may store into a page of the direct map. The page becomes
 * a table; then the store must fault, and the VMM stops the kernel.
 */
void promoted_elsewhere(const struct test *t)
{
	struct victim *v = two_victims(t);
	uint32_t at = pool_address(v, TABLE_PAGE), slot = free_slot(v);
	pool_clear(v, TABLE_PAGE);
	CHECK(store_1(v, at) == VEC_BP, "CPU 1 cannot store into plain memory");
	send_1(v, "waits", &(struct entry){ 0 });
	ALLOWED(v, HC_UPDATE, slot, 1, entry(pool_mfn(v, TABLE_PAGE), PTE_W), 0);
	CHECK(store_1(v, at) == -1, "CPU 1 stored into a page table");
	machine_wait(v->m, SECONDS);
	victim_stopped(v, "a store to a page table");
}

/*
 * 16: CPU 1 has a TLB entry that came through a page table. CPU 0 takes the table out of the
 * directory and releases it; then a store there must be a page fault.
 */
void released_elsewhere(const struct test *t)
{
	struct victim *v = two_victims(t);
	uint32_t slot = free_slot(v), table = pool_mfn(v, TABLE_PAGE);
	uint32_t page = entry(pool_mfn(v, PLAIN_PAGE), PTE_W | PTE_U);
	CHECK(hypercall_1(v, HC_LOAD, v->directory) == 0, "CPU 1 cannot load CPU 0's directory");
	send_1(v, "waits", &(struct entry){ 0 });
	pool_clear(v, TABLE_PAGE);
	pool_write(v, TABLE_PAGE, 0, &page, 4);
	ALLOWED(v, HC_UPDATE, slot, 1, entry(table, PTE_W | PTE_U), 0);
	CHECK(store_1(v, USER_ADDRESS) == VEC_BP, "CPU 1 cannot store through the new table");
	send_1(v, "waits", &(struct entry){ 0 });
	ALLOWED(v, HC_UPDATE, slot, 1, 0, 0);
	ALLOWED(v, HC_RELEASE, table, 0, 0, 0);
	int vector = store_1(v, USER_ADDRESS);
	CHECK(vector == VEC_PF, "CPU 1 stores through a page table that was released (vector %d)",
	      vector);
	machine_quit(v->m);
}

/* 42: after the first step of a detach on CPU 0, CPU 1's calls are not served either. */
void detach_elsewhere(const struct test *t)
{
	struct victim *v = two_victims(t);
	static const uint32_t calls[] = { HC_UPDATE, HC_LOAD, HC_RELEASE, HC_FLUSH, HC_RECOUNT };
	send_1(v, "waits", &(struct entry){ 0 });
	ALLOWED(v, HC_DETACH, VMM_UNPROTECT, 0, 0, 0);
	for (unsigned i = 0; i < COUNT(calls); i++)
		CHECK(hypercall_1(v, calls[i], 0) == -EPERM, "hypercall %u is served on CPU 1",
		      calls[i]);
	send_1(v, "waits", &(struct entry){ 0 });
	ALLOWED(v, HC_DETACH, VMM_PROTECT, 0, 0, 0);
	CHECK(hypercall_1(v, HC_RECOUNT, 0) == 0, "CPU 1's calls are not served again");
	check_victim(v);
	machine_quit(v->m);
}

/*
 * 48: CPU 1 has a TLB entry by which it may store into a frame of domain 0's. Domain 0 gives the
 * frame to a guest; then the store must fault. Afterwards the frame is domain 0's again.
 */
void given_elsewhere(const struct test *t)
{
	struct victim *v = two_victims(t);
	struct guest_plan g = { .first = 32, .vcpus = 1, .label = "guest_sleeps" };
	uint32_t at = pool_address(v, g.first + GUEST_DATA);
	CHECK(store_1(v, at) == VEC_BP, "CPU 1 cannot store into plain memory");
	send_1(v, "waits", &(struct entry){ 0 });
	guest_prepare(v, &g); /* a birth would flush, too */
	int vector = store_1(v, at);
	CHECK(vector == VEC_PF, "CPU 1 stores into a frame of a guest's (vector %d)", vector);
	send_1(v, "waits", &(struct entry){ 0 });
	guest_end(v, &g);
	CHECK(store_1(v, at) == VEC_BP, "CPU 1 cannot store into the frame that came back");
	send_1(v, "waits", &(struct entry){ 0 });
	check_victim(v);
	machine_quit(v->m);
}

/*
 * 48: CPU 1 maps, shares, releases and makes tables of the same frames that CPU 0 gives to a guest
 * and takes back. Each call may be refused, but nothing may be counted wrongly. number: the seed.
 */
void frames_race(const struct test *t)
{
	enum { SET = 32, FRAMES = 16, CALLS = 500, ROUNDS = 20, STATE = DOMAIN_FRAMES(1) };
	static struct call calls[CALLS];
	struct victim *v = two_victims(t);
	uint32_t mfns[FRAMES + STATE], slot = free_slot(v); /* the last are CPU 0's alone */
	struct cpu_state cpus[CPUS_MAX];
	uint32_t called = place(v, "called", false);
	unsigned given = 0, refused = 0;
	srand(t->number);
	for (unsigned i = 0; i < FRAMES + STATE; i++) {
		pool_clear(v, SET + i);
		mfns[i] = pool_mfn(v, SET + i);
	}
	for (unsigned i = 0; i < CALLS; i++) {
		uint32_t mfn = mfns[rand() % FRAMES], flags = rand() % 2 ? PTE_W | PTE_U : PTE_U;
		uint32_t at = pte_machine(v, 5 + (unsigned)rand() % 8);
		uint32_t pde = slot + 4 * ((unsigned)rand() % 4), none = rand() % 2;
		const struct call ways[] = {
			{ HC_UPDATE, at, 1, none ? 0 : entry(mfn, flags), 0, 0 },
			{ HC_UPDATE, pde, 1, none ? 0 : entry(mfn, PTE_W | PTE_U), 0, 0 },
			{ HC_RELEASE, mfn, 0, 0, 0, 0 },
			{ HC_UPDATE, mfn << PAGE_SHIFT, 1,
			  none ? 0 : entry(mfns[rand() % FRAMES], flags), 0, 0 },
			{ HC_SHARE, at, 1, mfn << PAGE_SHIFT, 0, 0 },
		};
		calls[i] = ways[rand() % 5];
	}
	write_calls(v, calls, CALLS);
	send_1(v, "calls_again", &(struct entry){ .ebx = call_list(v), .ecx = CALLS });
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct domain_op op = { .vcpus = 1, .n = 1 };
		uint32_t pfns[STATE];
		for (unsigned i = 0; i < STATE; i++) {
			unsigned k = round % 2 ? FRAMES + i :
				i * (FRAMES / STATE) + (unsigned)rand() % (FRAMES / STATE);
			op.frames[i] = mfns[k], pfns[i] = v->pfn + SET + k;
		}
		int number = domain_call(v, DOMAIN_OPEN, &op);
		if (number > 0) {
			op.domain = (uint32_t)number;
			for (unsigned k = 0; k < FRAMES; k++) {
				op.frames[0] = mfns[k];
				domain_call(v, rand() % 4 ? DOMAIN_GIVE : DOMAIN_LEND, &op);
			}
			domain_call(v, DOMAIN_BIRTH, &op);
			guest_refuse(v, 0, DOMAIN_KILL, &op);
			for (unsigned k = 0; k < FRAMES; k++) {
				op.frames[0] = mfns[k], op.pfns[0] = v->pfn + SET + k;
				given += domain_call(v, DOMAIN_TAKE, &op) == 0;
			}
			memcpy(op.pfns, pfns, sizeof(pfns));
			guest_refuse(v, 0, DOMAIN_CLOSE, &op);
		}
		refused += number <= 0;
		/* CPU 1 leaves the VMM, where it may wait for a flush by CPU 0. */
		debug_break(v->m, called, true);
		debug_set_register(v->m, GDB_EIP, place(v, "waits", false));
		CHECK(debug_run(v->m, SECONDS), "CPU 1 makes no hypercalls any more");
		while (machine_state(v->m, cpus), cpus[0].cpl == 0) /* it serves the flush */
			gdb_run_cpus(v->m, 1, true, SECONDS);
		debug_break(v->m, called, false);
		check_frame_table(v->m);
		check_domains(v->m);
	}
	CHECK(given > ROUNDS && refused < ROUNDS, "%u frames were given, %u guests refused: this "
	      "proves nothing", given, refused);
	machine_quit(v->m);
}

/*
 * 55: a load of CPU 0's is interrupted. CPU 1 takes one of its new tables into another directory,
 * releases one that is none of the load's, and releases another one and makes it a table again.
 * Then the load goes on, and fails. It takes back its tables, but neither of those two.
 */
void load_elsewhere(const struct test *t)
{
	enum { ROOT = FREE_PAGE + 4, TABLES = ROOT + 1, NR = 4, UNUSED = TABLES + NR };
	struct victim *v = two_victims(t);
	uint32_t entries[1024], at = place(v, "hypercall", false), slot = free_slot(v);
	const struct entry uses = { .eax = HC_UPDATE, .ebx = slot, .ecx = 1,
				    .edx = entry(pool_mfn(v, TABLES), PTE_U) };
	const struct entry calls[] = {
		{ .eax = HC_RELEASE, .ebx = pool_mfn(v, UNUSED) },
		{ .eax = HC_RELEASE, .ebx = pool_mfn(v, TABLES + 1) },
		{ .eax = HC_UPDATE, .ebx = slot + 4, .ecx = 1,
		  .edx = entry(pool_mfn(v, TABLES + 1), PTE_U) },
		{ .eax = HC_UPDATE, .ebx = slot + 4, .ecx = 1 },
	};
	physical_read(v->m, v->directory << PAGE_SHIFT, entries, sizeof(entries));
	memset(entries, 0, KERNEL_SLOT * 4);
	for (unsigned i = 0; i < NR; i++) {
		pool_clear(v, TABLES + i);
		entries[1 + i] = entry(pool_mfn(v, TABLES + i), PTE_U);
	}
	entries[1 + NR] = entry(v->directory, PTE_W);
	pool_write(v, ROOT, 0, entries, sizeof(entries));
	pool_clear(v, UNUSED);
	ALLOWED(v, HC_UPDATE, slot, 1, entry(pool_mfn(v, UNUSED), PTE_U), 0);
	ALLOWED(v, HC_UPDATE, slot, 1, 0, 0);
	debug_break(v->m, at, true);
	debug_select(v->m, v->cpu);
	debug_set_register(v->m, GDB_EAX, HC_LOAD);
	debug_set_register(v->m, GDB_EBX, pool_mfn(v, ROOT));
	debug_set_register(v->m, GDB_ECX, 0);
	debug_set_register(v->m, GDB_ESP, pool_address(v, STACK_PAGE) + PAGE_SIZE / 2);
	debug_set_register(v->m, GDB_EIP, at);
	for (unsigned i = 0; i < NR - 1; i++) { /* all tables but one are checked */
		gdb_run_cpus(v->m, 1, true, SECONDS);
		CHECK(debug_run(v->m, SECONDS), "the load does not come back to its INT");
	}
	debug_break(v->m, at, false);
	CHECK(call_1(v, &uses) == 0, "CPU 1 cannot use the table");
	debug_select(v->m, v->cpu); /* CPU 0 leaves its INT, and answers CPU 1's flush */
	debug_set_register(v->m, GDB_EIP, place(v, "waits", false));
	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		send_1(v, "hypercall", &calls[i]);
		CHECK(debug_run(v->m, SECONDS) && trap_1(v).eax == 0, "call %u of CPU 1 fails", i);
	}
	send_1(v, "waits", &(struct entry){ 0 });
	REFUSED(v, -EBUSY, HC_LOAD, pool_mfn(v, ROOT), 0, 0, 0);
	check_frame_table(v->m);
	for (unsigned i = 0; i < NR; i++) {
		struct walk w = page_walk(v->m, v->start.cr3, pool_address(v, TABLES + i));
		CHECK(w.writable == (i > 1), "table %u is%s plain memory after the load", i,
		      i > 1 ? " no" : "");
	}
	ALLOWED(v, HC_UPDATE, slot, 1, 0, 0);
	ALLOWED(v, HC_RELEASE, pool_mfn(v, TABLES), 0, 0, 0);
	ALLOWED(v, HC_RELEASE, pool_mfn(v, TABLES + 1), 0, 0, 0);
	check_victim(v);
	machine_quit(v->m);
}

/* The VMM stops the kernel on both CPUs at once: there is one report, and none in its middle. */
void stops_elsewhere(const struct test *t)
{
	static const char says[] = "the kernel broke a rule";
	struct victim *v = two_victims(t);
	uint32_t at = vmm_symbol("vmm_printk");
	send_1(v, "waits", &(struct entry){ 0 });
	debug_select(v->m, v->cpu);
	debug_set_register(v->m, GDB_EBX, 0); /* no stack for a bounce */
	debug_set_register(v->m, GDB_EIP, place(v, "stack_privileged", false));
	debug_break(v->m, at, true);
	CHECK(gdb_run_cpus(v->m, 1, false, SECONDS) == 0, "CPU 0 reports nothing");
	debug_break(v->m, at, false);
	send_1(v, "stack_privileged", &(struct entry){ .ebx = 0 });
	debug_break(v->m, vmm_symbol("vmm_lock_wait"), true);
	CHECK(gdb_run_cpus(v->m, 1u << other, false, SECONDS) == (int)other, "CPU 1 does not wait");
	debug_break(v->m, vmm_symbol("vmm_lock_wait"), false);
	machine_pump(v->m);
	CHECK(!machine_ended(v->m) && !strstr(v->m->log, says), "CPU 1 reports while CPU 0 does");
	machine_continue(v->m);
	machine_wait(v->m, SECONDS);
	machine_pump(v->m);
	const char *report = strstr(v->m->log, says);
	CHECK(report && strstr(report, "cpu 0") && !strstr(report + 1, says), "two reports");
	victim_stopped(v, "no kernel stack for a bounce");
}

/* 57: an event that CPU 0 sends to a guest which is about to block on CPU 1 wakes it. */
void posted_elsewhere(const struct test *t)
{
	struct victim *v = two_victims(t);
	struct guest_plan there = { .first = 16, .vcpus = 1, .label = "guest_sleeps" };
	struct guest_plan g = { .first = 32, .vcpus = 1, .label = "guest_sleeps",
				.handler = "guest_returns" };
	struct domain_op op = { .port = 2 };
	struct cpu_state cpus[CPUS_MAX];
	uint32_t at = vmm_symbol("vcpu_block");
	uint32_t handler = KERNEL_BASE + attack_symbol("attack_guest_returns");
	send_1(v, "waits", &(struct entry){ 0 });
	guest_make(v, &there); /* on CPU 0: the next one is for CPU 1 */
	guest_make(v, &g);
	op.domain = g.number;
	int own = domain_call(v, DOMAIN_PAIR, &op);
	CHECK(own > 0, "DOMAIN_PAIR: %d", own);
	guest_run(v, &g, true);
	debug_break(v->m, at, true);
	CHECK(gdb_run_cpus(v->m, 1u << other, false, SECONDS) == (int)other, "it does not block");
	debug_break(v->m, at, false);
	v->alone = true;
	ALLOWED(v, HC_PORT_SEND, (uint32_t)own, 0, 0, 0);
	v->alone = false;
	debug_break(v->m, handler, true);
	int cpu = gdb_run_cpus(v->m, 1u << other, false, SECONDS);
	machine_state(v->m, cpus);
	CHECK(cpu == (int)other && cpus[other].eip == handler,
	      "a guest sleeps over an event that came while it blocked");
	debug_break(v->m, handler, false);
	guest_end(v, &g);
	guest_end(v, &there);
	ALLOWED(v, HC_PORT_CLOSE, (uint32_t)own, 0, 0, 0);
	check_victim(v);
	machine_quit(v->m);
}

/*
 * 56: CPU 1 is about to set the timer of its guest, while CPU 0 kills the guest: then the timer
 * must not be set any more, for the guest's frames go back.
 */
void timer_elsewhere(const struct test *t)
{
	struct victim *v = two_victims(t);
	struct guest_plan there = { .first = 16, .vcpus = 1, .label = "guest_sleeps" };
	struct guest_plan g = { .first = 32, .vcpus = 1, .label = "guest_far_timer" };
	struct domain_op op = { 0 };
	struct cpu_state cpus[CPUS_MAX];
	uint32_t at = vmm_symbol("timer_once");
	send_1(v, "waits", &(struct entry){ 0 });
	guest_make(v, &there); /* on CPU 0: the next one is for CPU 1 */
	guest_make(v, &g);
	guest_run(v, &g, true);
	debug_break(v->m, at, true);
	CHECK(gdb_run_cpus(v->m, 1u << other, false, SECONDS) == (int)other, "no timer is set");
	machine_state(v->m, cpus);
	CHECK(cpus[other].eip == at, "CPU 1 is at %#x, not %#x", cpus[other].eip, at);
	debug_break(v->m, at, false);
	v->alone = true;
	op.domain = g.number;
	guest_refuse(v, -EAGAIN, DOMAIN_KILL, &op);
	v->alone = false;
	while (domain_call(v, DOMAIN_KILL, &op) == -EAGAIN)
		;
	check_domains(v->m);
	guest_end(v, &g);
	guest_end(v, &there);
	check_victim(v);
	machine_quit(v->m);
}
