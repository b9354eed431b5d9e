/* SPDX-License-Identifier: MIT */
/*
 * Rule 57: ports reach their peer, once, and nobody else; closing tells the peer and leaves no
 * ghost. Rule 54: what a guest may take is limited. Rule 50: a loan ends with the guest.
 */
#include "isolation_guests.h"

enum { PORT = 2, FIRST = 16 };

static unsigned rest_offset(unsigned field) { return SHARED_REST + field; }

/* Whether a bit of a port is set in the guest's shared page, or in domain 0's. */
static bool guest_bit(struct victim *v, const struct guest_plan *g, unsigned field, unsigned port)
{
	return guest_word(v, g, GUEST_SHARED, rest_offset(field) + port / 32 * 4) >> port % 32 & 1;
}

static bool own_bit(struct victim *v, unsigned port)
{
	unsigned at = rest_offset(offsetof(struct shared_rest, port_pending)) + port / 32 * 4;
	return shared_word(v, at) >> port % 32 & 1;
}

static void clear_own(struct victim *v, unsigned port)
{
	unsigned at = rest_offset(offsetof(struct shared_rest, port_pending)) + port / 32 * 4;
	set_shared_word(v, at, shared_word(v, at) & ~(1u << port % 32));
	set_shared_word(v, SHARED_PENDING, shared_word(v, SHARED_PENDING) & ~(1u << EVENT_PORT));
}

static int pair(struct victim *v, const struct guest_plan *g, uint32_t port)
{
	struct domain_op op = { .domain = g->number, .port = port };
	return domain_call(v, DOMAIN_PAIR, &op);
}

static void to_guest(struct victim *v, const struct guest_plan *g, uint32_t own)
{
	const unsigned pending = offsetof(struct shared_rest, port_pending);
	const unsigned masked = offsetof(struct shared_rest, port_masked);
	ALLOWED(v, HC_PORT_SEND, own, 0, 0, 0);
	guest_turn(v, g);
	CHECK(guest_bit(v, g, pending, PORT), "the guest's port is not pending");
	CHECK(guest_word(v, g, GUEST_SHARED, SHARED_PENDING) == 1u << EVENT_PORT,
	      "the guest has the events %#x", guest_word(v, g, GUEST_SHARED, SHARED_PENDING));
	CHECK(!own_bit(v, own) && !own_bit(v, PORT), "domain 0 got the event, too");
	/* pending already; then masked: no second event */
	guest_set_word(v, g, GUEST_SHARED, SHARED_PENDING, 0);
	ALLOWED(v, HC_PORT_SEND, own, 0, 0, 0);
	guest_set_word(v, g, GUEST_SHARED, rest_offset(pending), 0);
	guest_set_word(v, g, GUEST_SHARED, rest_offset(masked), 1u << PORT);
	ALLOWED(v, HC_PORT_SEND, own, 0, 0, 0);
	guest_turn(v, g);
	CHECK(guest_bit(v, g, pending, PORT) &&
	      guest_word(v, g, GUEST_SHARED, SHARED_PENDING) == 0,
	      "a masked port raised the events %#x",
	      guest_word(v, g, GUEST_SHARED, SHARED_PENDING));
}

/* A guest that sends, closes, and sends again. */
static void from_guest(struct victim *v)
{
	struct guest_plan g = { .first = FIRST + 16, .vcpus = 1, .label = "guest_calls" };
	static const uint32_t calls[][2] = { { HC_PORT_SEND, PORT }, { HC_PORT_CLOSE, PORT },
					     { HC_PORT_SEND, PORT } };
	guest_make(v, &g);
	int own = pair(v, &g, PORT);
	CHECK(own > 0, "DOMAIN_PAIR: %d", own);
	for (unsigned i = 0; i < COUNT(calls); i++)
		for (unsigned k = 0; k < 2; k++)
			guest_set_word(v, &g, GUEST_DATA, 16 + i * 24 + k * 4, calls[i][k]);
	guest_set_word(v, &g, GUEST_DATA, 4, COUNT(calls));
	guest_run(v, &g, true);
	guest_await_end(v, &g, GUEST_END);
	static const int results[] = { 0, 0, -EINVAL };
	for (unsigned i = 0; i < COUNT(calls); i++)
		CHECK((int)guest_word(v, &g, GUEST_DATA, 16 + i * 24 + 20) == results[i],
		      "the guest's call %u: %d", i,
		      (int)guest_word(v, &g, GUEST_DATA, 16 + i * 24 + 20));
	CHECK(own_bit(v, (unsigned)own) && shared_word(v, SHARED_PENDING) >> EVENT_PORT & 1,
	      "domain 0 has no event of its port %d", own);
	clear_own(v, (unsigned)own);
	ALLOWED(v, HC_PORT_SEND, (uint32_t)own, 0, 0, 0); /* to nobody */
	guest_end(v, &g);
	ALLOWED(v, HC_PORT_CLOSE, (uint32_t)own, 0, 0, 0);
	REFUSED(v, -EINVAL, HC_PORT_CLOSE, (uint32_t)own, 0, 0, 0);
	REFUSED(v, -EINVAL, HC_PORT_SEND, (uint32_t)own, 0, 0, 0);
}

void guest_ports(struct victim *v)
{
	struct guest_plan g = { .first = FIRST, .vcpus = 1, .label = "guest_spins" };
	guest_make(v, &g);
	CHECK(pair(v, &g, 0) == -EINVAL && pair(v, &g, GUEST_PORTS) == -EINVAL,
	      "a port that is none was paired");
	int own = pair(v, &g, PORT);
	CHECK(own > 0 && pair(v, &g, PORT) == -EBUSY, "DOMAIN_PAIR: %d, or twice", own);
	guest_run(v, &g, true);
	to_guest(v, &g, (uint32_t)own);
	guest_end(v, &g);
	CHECK(own_bit(v, (unsigned)own), "domain 0 is not told that the peer has gone");
	clear_own(v, (unsigned)own);
	ALLOWED(v, HC_PORT_CLOSE, (uint32_t)own, 0, 0, 0);
	from_guest(v);
}

/* Domain 0's ports run out: an error, which leaves none behind. All come back. */
void guest_all_ports(struct victim *v)
{
	enum { GUESTS = CONTROL_PORTS / (GUEST_PORTS - 1) + 1, STATE = DOMAIN_FRAMES(1) };
	uint32_t numbers[GUESTS], own[CONTROL_PORTS], n = 0;
	struct domain_op op = { 0 };
	int result = 0;
	for (unsigned i = 0; i < GUESTS; i++) {
		op = (struct domain_op){ .vcpus = 1 };
		for (unsigned k = 0; k < STATE; k++)
			op.frames[k] = pool_mfn(v, FIRST + i * STATE + k);
		result = domain_call(v, DOMAIN_OPEN, &op);
		CHECK(result > 0, "DOMAIN_OPEN: %d", result);
		numbers[i] = op.domain = (uint32_t)result;
		for (op.port = 1; op.port < GUEST_PORTS; op.port++) {
			result = domain_call(v, DOMAIN_PAIR, &op);
			if (result <= 0)
				break;
			own[n++] = (uint32_t)result;
		}
	}
	CHECK(n == CONTROL_PORTS - 1 && result == -ENOSPC, "%u ports, then %d", n, result);
	ALLOWED(v, HC_PORT_CLOSE, own[n / 2], 0, 0, 0);
	result = domain_call(v, DOMAIN_PAIR, &op);
	CHECK(result == (int)own[n / 2], "the one free port is %u, not %d", own[n / 2], result);
	for (unsigned i = 0; i < GUESTS; i++) {
		op = (struct domain_op){ .domain = numbers[i] };
		guest_refuse(v, 0, DOMAIN_KILL, &op);
		for (unsigned k = 0; k < STATE; k++)
			op.pfns[k] = v->pfn + FIRST + i * STATE + k;
		guest_refuse(v, 0, DOMAIN_CLOSE, &op);
	}
	for (unsigned i = 0; i < n; i++)
		ALLOWED(v, HC_PORT_CLOSE, own[i], 0, 0, 0);
}

/* --- 59: loans --- */

/*
 * What is lent to a guest it reaches by its kernel tables of birth, and by nothing else; nor does
 * another guest; and neither side can make a table of it, or give it away.
 */
void guest_loans(struct victim *v)
{
	enum { ENTRY = 900, LENT_PAGE = 64 };
	struct guest_plan g = { .first = FIRST, .vcpus = 1, .label = "guest_calls" };
	struct guest_plan thief = { .first = FIRST + 16, .vcpus = 1, .label = "guest_hello" };
	uint32_t lent = pool_mfn(v, LENT_PAGE), other = pool_mfn(v, LENT_PAGE + 1);
	uint32_t slot = free_slot(v);
	pool_clear(v, LENT_PAGE);
	guest_prepare(v, &g);
	struct domain_op op = { .domain = g.number, .n = 1, .frames = { lent } };
	guest_refuse(v, 0, DOMAIN_LEND, &op);
	guest_set_word(v, &g, GUEST_TABLE, ENTRY * 4, entry(lent, PTE_W));
	CHECK(guest_bear(v, &g) == 0, "a guest with a loan: %s", guest_info(v, &g).reason);
	guest_prepare(v, &thief);
	guest_set_word(v, &thief, GUEST_TABLE, ENTRY * 4, entry(lent, 0));
	op.domain = thief.number;
	guest_refuse(v, -EBUSY, DOMAIN_GIVE, &op);
	guest_refuse(v, -EBUSY, DOMAIN_LEND, &op);
	CHECK(guest_bear(v, &thief) == -EPERM, "a guest maps what is lent to another one");
	guest_end(v, &thief);
	const uint32_t table = guest_mfn(&g, GUEST_TABLE) << PAGE_SHIFT;
	const uint32_t free = guest_mfn(&g, GUEST_FREE) << PAGE_SHIFT;
	const struct call calls[] = {
		{ HC_UPDATE, table + ENTRY * 4, 1, entry(lent, 0), 0, -EPERM },
		{ HC_SHARE, table + ENTRY * 4, 1, free, 0, -EPERM },
		{ HC_RELEASE, lent, 0, 0, 0, -EPERM },
		{ HC_LOAD, lent, 0, 0, 0, -EPERM },
		/* by the mapping of birth: the words go through the page that is lent */
		{ HC_CONSOLE_OUT, KERNEL_BASE + ENTRY * PAGE_SIZE, 4, 0, 0, 4 },
		{ HC_CONSOLE_OUT, KERNEL_BASE + (ENTRY + 1) * PAGE_SIZE, 4, 0, 0, -EFAULT },
		{ HC_CONSOLE_OUT, KERNEL_BASE + (ENTRY + 1) * PAGE_SIZE - 2, 4, 0, 0, 2 },
	};
	op.domain = g.number, op.frames[0] = other;
	guest_refuse(v, -EBUSY, DOMAIN_LEND, &op); /* too late */
	REFUSED(v, -EINVAL, HC_RELEASE, lent, 0, 0, 0);
	REFUSED(v, -EBUSY, HC_LOAD, lent, 0, 0, 0);
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 1, entry(lent, PTE_W | PTE_U), 0);
	REFUSED(v, -EBUSY, HC_UPDATE, pte_machine(v, FREE_PAGE), 1, entry(lent, PTE_W | PTE_U), 0);
	guest_asks(v, &g, calls, COUNT(calls));
	guest_answers(v, &g, calls, COUNT(calls));
	check_domains(v->m);
	check_frame_table(v->m);
	guest_end(v, &g);
	ALLOWED(v, HC_UPDATE, slot, 1, entry(lent, PTE_W | PTE_U), 0);
	ALLOWED(v, HC_UPDATE, slot, 1, 0, 0);
	ALLOWED(v, HC_RELEASE, lent, 0, 0, 0);
}

/* --- limits --- */

void guest_limits(struct victim *v)
{
	struct guest_plan g = { .first = FIRST, .vcpus = 1, .label = "guest_hello" };
	struct domain_op op = { .vcpus = 0 };
	guest_refuse(v, -EINVAL, DOMAIN_OPEN, &op);
	op.vcpus = GUEST_MAX_VCPUS + 1;
	guest_refuse(v, -EINVAL, DOMAIN_OPEN, &op);
	op.vcpus = 1, op.weight = 0x10000;
	guest_refuse(v, -EINVAL, DOMAIN_OPEN, &op);
	op.weight = 0; /* of frames 0: not domain 0's plain memory, or four times the same */
	CHECK(domain_call(v, DOMAIN_OPEN, &op) < 0, "a domain in frame 0");
	guest_prepare(v, &g);
	op = (struct domain_op){ .domain = g.number, .weight = 0x10000 };
	guest_refuse(v, -EINVAL, DOMAIN_WEIGHT, &op);
	op = (struct domain_op){ .domain = g.number, .n = 16 };
	for (unsigned i = 0; i < GUEST_LOANS / 16; i++) {
		for (unsigned k = 0; k < 16; k++)
			op.frames[k] = pool_mfn(v, 64 + i * 16 + k);
		guest_refuse(v, 0, DOMAIN_LEND, &op);
	}
	guest_refuse(v, -EBUSY, DOMAIN_LEND, &op); /* they are lent already */
	guest_refuse(v, -EBUSY, DOMAIN_GIVE, &op);
	uint32_t lent = pool_mfn(v, 64);
	REFUSED(v, -EBUSY, HC_UPDATE, pte_machine(v, FREE_PAGE), 1, entry(lent, PTE_W | PTE_U), 0);
	op.n = 1, op.frames[0] = pool_mfn(v, 140);
	guest_refuse(v, -ENOSPC, DOMAIN_LEND, &op);
	check_domains(v->m);
	check_frame_table(v->m);
	guest_end(v, &g);
	ALLOWED(v, HC_UPDATE, pte_machine(v, FREE_PAGE), 1, entry(lent, PTE_W | PTE_U), 0);
	ALLOWED(v, HC_UPDATE, pte_machine(v, FREE_PAGE), 1, 0, 0);
}
