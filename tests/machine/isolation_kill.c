/* SPDX-License-Identifier: MIT */
/*
 * Rule 56: a guest is killed at each instruction of each hypercall. Rules 31 and 54: a guest that
 * asks for anything at all hurts nobody but itself. D1 to D5 and V7 are judged after each life.
 */
#include "isolation_guests.h"
#include "offsets.h"

enum { FIRST = 16, ROOM = 16, SECONDS = 20, OTHER = 1 };

static struct guest_plan plan(unsigned i, const char *label)
{
	return (struct guest_plan){ .first = FIRST + i * ROOM, .vcpus = 1, .label = label };
}

/* --- 56 --- */

enum { MOST = 600 }; /* instructions of a hypercall */

static bool in_vmm(struct victim *v)
{
	struct cpu_state cpus[CPUS_MAX];
	machine_state(v->m, cpus);
	return cpus[OTHER].cpl == 0;
}

static uint32_t vmm_word(struct victim *v, uint32_t address)
{
	uint32_t word;
	virtual_read(v->m, v->start.cr3, address, &word, 4);
	return word;
}

/* Whether CPU 1 holds a lock for which CPU 0 would wait. */
static bool holds_lock(struct victim *v)
{
	uint32_t cpu = vmm_symbol("vmm_cpus") + OTHER * CPU_BYTES;
	return vmm_word(v, cpu + CPU_QUEUE_LOCK) || vmm_word(v, vmm_symbol("vmm_lock_word"));
}

/* Whether CPU 1 has the guest's state. */
static bool has_state(struct victim *v, const struct guest_plan *g)
{
	uint32_t cpu = vmm_symbol("vmm_cpus") + OTHER * CPU_BYTES;
	uint32_t domain = vmm_word(v, vmm_symbol("domains") + (g->number + 1) * 4);
	return vmm_word(v, cpu + CPU_CURRENT) == domain + DOMAIN_VCPUS;
}

/*
 * A guest on CPU 1 is stopped k instructions behind the INT of its hypercall, and CPU 0 kills it.
 * While CPU 1 holds a lock a kill waits, and finds what it finds at the first instruction after
 * that: so the guest goes on to there. Result: at which instruction it was killed; MOST: it was not
 * in the VMM any more.
 */
static unsigned life(struct victim *v, unsigned which, unsigned k)
{
	struct guest_plan g = plan(1, "guest_repeats");
	struct domain_op op = { 0 };
	struct call calls[CALLS_MOST];
	uint32_t door = vmm_symbol("hypercall_entry");
	g.vcpus = 2; /* the first on CPU 1, as that of the guest before */
	guest_make(v, &g);
	guest_every_call(&g, calls);
	const uint32_t words[] = { calls[which].number, calls[which].ebx, calls[which].ecx,
				   calls[which].edx, calls[which].esi };
	for (unsigned i = 0; i < COUNT(words); i++)
		guest_set_word(v, &g, GUEST_DATA, 16 + i * 4, words[i]);
	op.domain = g.number, op.port = CONSOLE_PORT;
	int own = domain_call(v, DOMAIN_PAIR, &op);
	CHECK(own > 0, "DOMAIN_PAIR: %d", own);
	guest_run(v, &g, true);
	debug_break(v->m, door, true);
	CHECK(gdb_run_cpus(v->m, 1u << OTHER, false, SECONDS) == OTHER, "no hypercall comes");
	debug_break(v->m, door, false);
	bool inside = true;
	unsigned at = 0;
	for (; inside && (at < k || (at < MOST && holds_lock(v))); at++) {
		gdb_run_cpus(v->m, 1u << OTHER, true, SECONDS);
		inside = in_vmm(v);
	}
	v->alone = true;
	if (has_state(v, &g) && !holds_lock(v))
		guest_refuse(v, -EAGAIN, DOMAIN_KILL, &op);
	v->alone = false;
	while (domain_call(v, DOMAIN_KILL, &op) == -EAGAIN)
		;
	check_domains(v->m);
	guest_end(v, &g);
	ALLOWED(v, HC_PORT_CLOSE, (uint32_t)own, 0, 0, 0);
	return inside ? at : MOST;
}

/* text: how many instructions apart the deaths are; number: of how many calls one is tried. */
void kills(const struct test *t)
{
	unsigned stride = (unsigned)atoi(t->text), lives = 0;
	struct victim *v = two_victims(t);
	struct guest_plan there = plan(0, "guest_hello"), g = plan(1, "");
	struct call calls[CALLS_MOST];
	unsigned n = guest_every_call(&g, calls);
	guest_make(v, &there); /* on CPU 0: the next one is for CPU 1 */
	for (unsigned which = 0; which < n; which += t->number)
		for (unsigned k = which * 7 % stride; k < MOST; k += stride, lives++)
			k = life(v, which, k);
	printf("%u guests were killed in hypercalls\n", lives);
	guest_end(v, &there);
	ALLOWED(v, HC_RECOUNT, 0, 0, 0, 0);
	check_victim(v);
	machine_quit(v->m);
}

/* --- 31 --- */

static void write_values(struct victim *v, const struct guest_plan *g)
{
	uint32_t values[56], n = 0, base = KERNEL_BASE;
	for (unsigned page = 0; page < GUEST_MEMORY; page++) {
		values[n++] = guest_mfn(g, page);
		values[n++] = guest_mfn(g, page) << PAGE_SHIFT | page * 8;
		values[n++] = base + page * PAGE_SIZE + 2048;
	}
	const uint32_t more[] = {
		0, 1, 2, 3, 16, 64, 256, 512, 1000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFF000,
		VMM_BASE, VMM_BASE - 4, base - 4, base + GUEST_MEMORY * PAGE_SIZE - 4, VEC_RESCHED,
		VMM_OTHERS, v->table, v->directory, v->table << PAGE_SHIFT,
		v->directory << PAGE_SHIFT, pool_mfn(v, FREE_PAGE),
		pool_mfn(v, FREE_PAGE) << PAGE_SHIFT | PTE_P | PTE_W,
		entry(guest_mfn(g, GUEST_FREE), PTE_W), entry(guest_mfn(g, GUEST_TABLE), PTE_W),
		entry(guest_mfn(g, GUEST_DIRECTORY), 0), 0x3F8, 0x1F0, 0xFC000, 0xFEE00,
	};
	_Static_assert(GUEST_MEMORY * 3 + COUNT(more) == COUNT(values), "all words are named");
	memcpy(values + n, more, sizeof(more));
	for (unsigned i = 0; i < COUNT(values); i++)
		guest_set_word(v, g, GUEST_DATA, 128 + i * 4, values[i]);
}

/* Not those that end or block it. Those that no guest may call are among them. */
#define FUZZED (~(1u << HC_SHUTDOWN | 1u << HC_HALT | 1u << HC_IDLE))

static void fuzz(struct victim *v, uint32_t count)
{
	uint32_t done = 0, lives = 0, seed = 1;
	while (done < count) {
		struct guest_plan g = plan(0, "guest_fuzz");
		g.handler = "guest_handler";
		guest_make(v, &g);
		guest_set_word(v, &g, GUEST_DATA, 16,
			       KERNEL_BASE + attack_symbol("attack_guest_fuzz"));
		guest_set_word(v, &g, GUEST_DATA, 20, seed++);
		guest_set_word(v, &g, GUEST_DATA, 24, FUZZED);
		write_values(v, &g);
		guest_run(v, &g, true);
		uint32_t calls;
		do {
			guests_turn(v);
			calls = guest_word(v, &g, GUEST_DATA, 0);
		} while (done + calls < count && guest_info(v, &g).state == DOMAIN_RUNS);
		CHECK(calls > 10, "the guest asked %u times only: %s", calls,
		      guest_info(v, &g).reason);
		guest_run(v, &g, false);
		check_domains(v->m);
		check_frame_table(v->m);
		guest_end(v, &g);
		done += calls, lives++;
	}
	printf("%u hypercalls of %u guests\n", done, lives);
}

void guest_fuzz(struct victim *v) { fuzz(v, 6000); }
void guest_fuzz_soak(struct victim *v) { fuzz(v, 1000000); }
