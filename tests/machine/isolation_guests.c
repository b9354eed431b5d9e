/* SPDX-License-Identifier: MIT */
/* Guests for the isolation tests: the builder. */
#include "isolation_guests.h"
#include "offsets.h"

enum { OP_PAGE = DATA_PAGE, YIELDS = 200 };
#define TURN 0.03 /* seconds */

/* A guest's frames while its homes are gone: the pool's page_walk() does not find them. */
static uint32_t mfns[POOL_PAGES_MOST];

static unsigned memory_of(const struct guest_plan *g)
{
	return g->memory ? g->memory : GUEST_MEMORY;
}

int domain_call(struct victim *v, uint32_t operation, struct domain_op *op)
{
	pool_write(v, OP_PAGE, 0, op, sizeof(*op));
	int result = hypercall(v, HC_DOMAIN, operation, pool_address(v, OP_PAGE), 0, 0);
	virtual_read(v->m, v->start.cr3, pool_address(v, OP_PAGE), op, sizeof(*op));
	return result;
}

uint32_t domain_op_address(const struct victim *v) { return pool_address(v, OP_PAGE); }

void guest_refuse(struct victim *v, int want, uint32_t operation, struct domain_op *op)
{
	int result = domain_call(v, operation, op);
	CHECK(result == want, "HC_DOMAIN operation %u of domain %u: %d, not %d (%s)", operation,
	      op->domain, result, want, op->info.reason);
}

uint32_t guest_mfn(const struct guest_plan *g, unsigned page)
{
	return mfns[g->first + page];
}

uint32_t guest_word(struct victim *v, const struct guest_plan *g, unsigned page, unsigned offset)
{
	return physical_word(v->m, (guest_mfn(g, page) << PAGE_SHIFT) + offset);
}

void guest_set_word(struct victim *v, const struct guest_plan *g, unsigned page, unsigned offset,
		    uint32_t value)
{
	physical_write(v->m, (guest_mfn(g, page) << PAGE_SHIFT) + offset, &value, 4);
}

static void write_memory(struct victim *v, const struct guest_plan *g)
{
	uint32_t code[PAGE_SIZE / 4], end = attack_symbol("attack_end");
	for (unsigned page = 0; page < memory_of(g); page++)
		pool_clear(v, g->first + page);
	for (uint32_t at = 0; at < end; at += 4)
		code[at / 4] = attack_word(at);
	pool_write(v, g->first + GUEST_CODE, 0, code, (end + 3) & ~3u);
	guest_set_word(v, g, GUEST_DIRECTORY, KERNEL_SLOT * 4,
		       entry(guest_mfn(g, GUEST_TABLE), PTE_W | PTE_A));
	for (unsigned page = 0; page < memory_of(g); page++)
		guest_set_word(v, g, GUEST_TABLE, page * 4,
			       entry(guest_mfn(g, page), PTE_W | PTE_A | PTE_D | PTE_G));
}

void guest_prepare(struct victim *v, struct guest_plan *g)
{
	unsigned state = DOMAIN_FRAMES(g->vcpus), memory = memory_of(g);
	struct domain_op op = { .vcpus = g->vcpus, .weight = g->weight };
	CHECK(g->first + memory + state <= v->pages, "the pool has too few pages");
	for (unsigned page = 0; page < memory + state; page++)
		mfns[g->first + page] = pool_mfn(v, g->first + page);
	write_memory(v, g);
	memcpy(op.frames, &mfns[g->first + memory], state * 4);
	int number = domain_call(v, DOMAIN_OPEN, &op);
	CHECK(number > 0, "DOMAIN_OPEN: %d", number);
	g->number = op.domain = (uint32_t)number;
	op.n = memory;
	memcpy(op.frames, &mfns[g->first], memory * 4);
	guest_refuse(v, 0, DOMAIN_GIVE, &op);
}

/* Where a label of tests/isolation/guests.S is for a guest. */
static uint32_t label_at(const char *name)
{
	char label[64];
	snprintf(label, sizeof(label), "attack_%s", name);
	return KERNEL_BASE + attack_symbol(label);
}

static uint32_t handlers_at(struct victim *v, const char *handler)
{
	uint32_t handlers[256], at = label_at(handler);
	for (unsigned i = 0; i < COUNT(handlers); i++)
		handlers[i] = at;
	pool_write(v, OP_PAGE, PAGE_SIZE / 2, handlers, sizeof(handlers));
	return pool_address(v, OP_PAGE) + PAGE_SIZE / 2;
}

int guest_bear_part(struct victim *v, const struct guest_plan *g)
{
	struct domain_op op = {
		.domain = g->number,
		.directory = g->directory ? g->directory : guest_mfn(g, GUEST_DIRECTORY),
		.shared = g->shared ? g->shared : guest_mfn(g, GUEST_SHARED),
		.eip = label_at(g->label),
		.esi = KERNEL_BASE + GUEST_DATA * PAGE_SIZE,
		.handlers = g->handler ? handlers_at(v, g->handler) : 0,
	};
	return domain_call(v, DOMAIN_BIRTH, &op);
}

int guest_bear(struct victim *v, const struct guest_plan *g)
{
	int result;
	do
		result = guest_bear_part(v, g);
	while (result == -EAGAIN);
	return result;
}

void guest_make(struct victim *v, struct guest_plan *g)
{
	guest_prepare(v, g);
	int result = guest_bear(v, g);
	CHECK(result == 0, "DOMAIN_BIRTH: %d (%s)", result, guest_info(v, g).reason);
}

void guest_run(struct victim *v, const struct guest_plan *g, bool on)
{
	guest_refuse(v, 0, DOMAIN_RUN, &(struct domain_op){ .domain = g->number, .on = on });
}

struct domain_info guest_info(struct victim *v, const struct guest_plan *g)
{
	struct domain_op op = { .domain = g->number };
	guest_refuse(v, 0, DOMAIN_INFO, &op);
	return op.info;
}

void guests_wait(struct victim *v)
{
	v->eaten |= shared_word(v, SHARED_PENDING) & EVENT_BITS;
	set_shared_word(v, SHARED_PENDING, 0);
	CHECK(attack_at(v, place(v, "hypercall", false), &(struct entry){ .eax = HC_IDLE }),
	      "HC_IDLE ended the machine (status %d)", v->m->exit_status);
	CHECK(v->trap.vector >= VEC_EXCEPTIONS, "HC_IDLE: vector %u", v->trap.vector);
	event_eaten(v);
}

/* The same, but the events stay pending. */
static void wait_with_events(struct victim *v)
{
	uint32_t eaten = v->eaten;
	v->eaten = 0;
	guests_wait(v);
	set_shared_word(v, SHARED_PENDING, shared_word(v, SHARED_PENDING) | v->eaten);
	v->eaten = eaten;
}

void guests_turn(struct victim *v)
{
	ALLOWED(v, HC_YIELD, 0, 0, 0, 0);
	unsigned others = (1u << v->m->o.cpus) - 1 - (1u << v->cpu);
	if (others && v->m->o.bochs)
		wait_with_events(v);
	else if (others)
		gdb_run_cpus(v->m, others, false, TURN), v->m->late = false;
}

void guest_turn(struct victim *v, const struct guest_plan *g)
{
	uint32_t before = guest_word(v, g, GUEST_DATA, 0);
	for (unsigned i = 0; i < YIELDS && guest_word(v, g, GUEST_DATA, 0) == before; i++)
		guests_turn(v);
	struct domain_info info = guest_info(v, g);
	CHECK(guest_word(v, g, GUEST_DATA, 0) != before,
	      "%s does not go on from %u; it is in state %u, and ended with %u: %s", g->label,
	      before, info.state, info.status, info.reason);
}

void guest_await_end(struct victim *v, const struct guest_plan *g, uint32_t status)
{
	struct domain_info info;
	for (unsigned i = 0; i < YIELDS; i++) {
		guests_turn(v);
		info = guest_info(v, g);
		if (info.state < DOMAIN_DYING)
			continue;
		CHECK(info.status == status, "%s ended with status %u, not %u; %s; it counted %u",
		      g->label, info.status, status, info.reason,
		      guest_word(v, g, GUEST_DATA, 0));
		return;
	}
	give_up(FAILED, "%s does not end", g->label);
}

static void check_scrubbed(struct victim *v, unsigned page)
{
	uint32_t words[PAGE_SIZE / 4];
	physical_read(v->m, mfns[page] << PAGE_SHIFT, words, sizeof(words));
	for (unsigned i = 0; i < COUNT(words); i++)
		CHECK(words[i] == 0, "a frame came back with %#x in it", words[i]);
}

void guest_end(struct victim *v, const struct guest_plan *g)
{
	unsigned memory = memory_of(g), pages = memory + DOMAIN_FRAMES(g->vcpus);
	struct domain_op op = { .domain = g->number, .n = memory };
	int result;
	do
		result = domain_call(v, DOMAIN_KILL, &op);
	while (result == -EAGAIN);
	CHECK(result == 0, "DOMAIN_KILL: %d", result);
	for (unsigned i = 0; i < memory; i++) {
		op.frames[i] = mfns[g->first + i];
		op.pfns[i] = v->pfn + g->first + i;
	}
	guest_refuse(v, 0, DOMAIN_TAKE, &op);
	for (unsigned i = 0; i < pages - memory; i++)
		op.pfns[i] = v->pfn + g->first + memory + i;
	guest_refuse(v, 0, DOMAIN_CLOSE, &op);
	for (unsigned i = 0; i < pages; i++) {
		CHECK(pool_mfn(v, g->first + i) == mfns[g->first + i], "a home is another one");
		check_scrubbed(v, g->first + i);
	}
}

/* --- what it asks --- */

unsigned guest_every_call(const struct guest_plan *g, struct call calls[CALLS_MOST])
{
	uint32_t page = KERNEL_BASE + GUEST_DATA * PAGE_SIZE, free = guest_mfn(g, GUEST_FREE);
	const struct call all[] = {
		{ HC_UPDATE, free << PAGE_SHIFT, 1, 0, 0, 0 },
		{ HC_UPDATE, free << PAGE_SHIFT, 2, page, 0, 0 },
		{ HC_LOAD, guest_mfn(g, GUEST_DIRECTORY), page + PAGE_SIZE, 0, 0, 0 },
		{ HC_RELEASE, free, 0, 0, 0, 0 }, { HC_FLUSH, VMM_FLUSH_ALL, 0, 0, 0, 0 },
		{ HC_EVENTS, 0, 0, 0, 0, 0 }, { HC_IDLE, 1, 0, 0, 0, 0 },
		{ HC_FPU_TRAP, 0, 0, 0, 0, 0 }, { HC_SEND, 0, VEC_RESCHED, 0, 0, 0 },
		{ HC_TICK, 1000, 0, 0, 0, 0 }, { HC_SHARE, free << PAGE_SHIFT, 1, 0, 0, 0 },
		{ HC_TRIM, 0, 0, 0, 0, 0 }, { HC_DOMAIN, DOMAIN_KILL, page, 0, 0, 0 },
		{ HC_PORT_SEND, CONSOLE_PORT, 0, 0, 0, 0 },
		{ HC_PORT_UNMASK, CONSOLE_PORT, 0, 0, 0, 0 },
		{ HC_PORT_CLOSE, CONSOLE_PORT, 0, 0, 0, 0 },
		{ HC_CONSOLE_OUT, page, CONSOLE_CALL, 0, 0, 0 },
		{ HC_CONSOLE_IN, page + 2048, CONSOLE_CALL, 0, 0, 0 },
		{ HC_VCPU_START, 1, label_at("guest_halts"), 0, 0, 0 },
		{ HC_TIMER, 1, 0, 0, 0, 0 }, { HC_YIELD, 0, 0, 0, 0, 0 },
		{ HC_SHUTDOWN, GUEST_END, 0, 0, 0, 0 }, { HC_HALT, 0, 0, 0, 0, 0 },
	};
	memcpy(calls, all, sizeof(all));
	return COUNT(all);
}

void guest_asks(struct victim *v, const struct guest_plan *g, const struct call *calls, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const uint32_t words[] = { calls[i].number, calls[i].ebx, calls[i].ecx,
					   calls[i].edx, calls[i].esi };
		for (unsigned k = 0; k < COUNT(words); k++)
			guest_set_word(v, g, GUEST_DATA, 16 + i * 24 + k * 4, words[k]);
	}
	guest_set_word(v, g, GUEST_DATA, 4, n);
	guest_run(v, g, true);
	guest_await_end(v, g, GUEST_END);
}

void guest_answers(struct victim *v, const struct guest_plan *g, const struct call *calls,
		   unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int got = (int)guest_word(v, g, GUEST_DATA, 16 + i * 24 + 20);
		CHECK(got == calls[i].result,
		      "a guest's hypercall %u (%#x, %#x, %#x, %#x): %d, not %d", calls[i].number,
		      calls[i].ebx, calls[i].ecx, calls[i].edx, calls[i].esi, got,
		      calls[i].result);
	}
}
