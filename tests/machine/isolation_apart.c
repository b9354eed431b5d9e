/* SPDX-License-Identifier: MIT */
/*
 * Guests are apart: rule 46, translations; 47 and 60, what a guest may ask; 51, registers; 52,
 * events; 53, one that wants everything; 56, death at any moment.
 */
#include "isolation_guests.h"
#include "offsets.h"

enum { FIRST = 16, ROOM = 16, ROUNDS = 20 }; /* the first two: pages of the pool */
enum { ENDLESS = 0x7FFFFFFF }; /* rounds */

static struct guest_plan plan(unsigned i, const char *label)
{
	return (struct guest_plan){ .first = FIRST + i * ROOM, .vcpus = 1, .label = label };
}

/* 46: two guests have other frames at the same address, by global entries. */
void guest_translations(struct victim *v)
{
	struct guest_plan g[2];
	for (unsigned i = 0; i < 2; i++) {
		g[i] = plan(i, "guest_looks");
		guest_make(v, &g[i]);
		guest_set_word(v, &g[i], GUEST_DATA, 4, ROUNDS);
		guest_set_word(v, &g[i], GUEST_DATA, 8, 0xA0 + i);
		guest_set_word(v, &g[i], GUEST_FREE, 0, 0xA0 + i);
	}
	for (unsigned i = 0; i < 2; i++)
		guest_run(v, &g[i], true);
	check_domains(v->m);
	for (unsigned i = 0; i < 2; i++)
		guest_await_end(v, &g[i], GUEST_END);
	for (unsigned i = 0; i < 2; i++) { /* a guest on the other's translations counts there */
		uint32_t n = guest_word(v, &g[i], GUEST_DATA, 0);
		CHECK(n == ROUNDS, "guest %u counted to %u in its own memory, not %u", i, n,
		      ROUNDS);
		guest_end(v, &g[i]);
	}
}

/* --- 51: registers --- */

/* Guests that use the FPU, one that does not, and what one born after them finds. */
void guest_registers(struct victim *v)
{
	struct guest_plan g[3], n;
	for (unsigned i = 0; i < 3; i++) {
		g[i] = plan(i, "guest_registers");
		guest_make(v, &g[i]);
		guest_set_word(v, &g[i], GUEST_DATA, 4, 20);
		guest_set_word(v, &g[i], GUEST_DATA, 8, 0x11111111 * (i + 1));
		guest_set_word(v, &g[i], GUEST_DATA, 12, i != 1);
	}
	for (unsigned i = 0; i < 3; i++)
		guest_run(v, &g[i], true);
	for (unsigned i = 0; i < 3; i++)
		guest_await_end(v, &g[i], GUEST_END);
	n = plan(3, "guest_newborn");
	guest_make(v, &n);
	guest_run(v, &n, true);
	guest_await_end(v, &n, GUEST_END);
	static const uint32_t want[] = {
		0, 0, 0, 0, 0, 0, 0, EFLAGS_FIXED | EFLAGS_IF, SEL_KDATA, SEL_KDATA, SEL_KDATA,
		SEL_KDATA, SEL_KDATA | 1, 0,
	};
	for (unsigned i = 0; i < COUNT(want); i++) {
		uint32_t word = guest_word(v, &n, GUEST_DATA, 64 + i * 4);
		CHECK(word == want[i], "a newborn finds %#x in register %u", word, i);
	}
	for (unsigned i = 0; i < 512; i += 4) {
		uint32_t word = guest_word(v, &n, GUEST_DATA, 512 + i);
		uint32_t clean = i == 0 ? 0x37F : i == 24 ? 0x1F80 : i == 28 ? word : 0;
		CHECK(word == clean, "a newborn finds %#x in its FPU, at %u", word, i);
	}
	for (unsigned i = 0; i < 3; i++)
		guest_end(v, &g[i]);
	guest_end(v, &n);
}

/* --- 47, 60: what a guest asks --- */

void guest_rights(struct victim *v)
{
	struct guest_plan g = plan(0, "guest_calls"), other = plan(1, "guest_sleeps");
	uint32_t op = KERNEL_BASE + GUEST_FREE * PAGE_SIZE, own = pool_mfn(v, FREE_PAGE);
	guest_make(v, &g);
	guest_make(v, &other);
	uint32_t table = guest_mfn(&g, GUEST_TABLE), directory = guest_mfn(&g, GUEST_DIRECTORY);
	uint32_t theirs = guest_mfn(&other, GUEST_FREE);
	const struct call calls[] = {
		{ HC_DOMAIN, DOMAIN_OPEN, op, 0, 0, -EPERM },
		{ HC_DOMAIN, DOMAIN_KILL, op, 0, 0, -EPERM },
		{ HC_DETACH, VMM_UNPROTECT, 0, 0, 0, -EPERM },
		{ HC_DETACH, VMM_INSTALL, 0, 0, 0, -EPERM },
		{ HC_RECOUNT, 0, 0, 0, 0, -EPERM },
		{ HC_MASK, 1, 1, 0, 0, -EPERM },
		{ HC_END, 9, 0, 0, 0, -EPERM },
		{ HC_IO, 0x3F8, 0, VMM_IO_IN8, 0, -EPERM },
		{ HC_IO, 0x1F0, op, VMM_IO_IN_BLOCK, 256, -EPERM },
		{ HC_LOAD, own, 0, 0, 0, -EPERM },
		{ HC_LOAD, v->directory, 0, 0, 0, -EPERM },
		{ HC_LOAD, guest_mfn(&other, GUEST_DIRECTORY), 0, 0, 0, -EPERM },
		{ HC_LOAD, 0xFFFFF, 0, 0, 0, -EPERM },
		{ HC_RELEASE, own, 0, 0, 0, -EPERM },
		{ HC_RELEASE, v->table, 0, 0, 0, -EPERM },
		{ HC_RELEASE, directory, 0, 0, 0, -EINVAL },
		{ HC_UPDATE, v->table << PAGE_SHIFT, 1, 0, 0, -EINVAL },
		{ HC_UPDATE, theirs << PAGE_SHIFT, 1, 0, 0, -EINVAL },
		{ HC_UPDATE, table << PAGE_SHIFT, 1, 0, 0, -EPERM },
		{ HC_SHARE, v->table << PAGE_SHIFT, 1, 0, 0, -EINVAL },
		{ HC_SEND, 1, VEC_TIMER, 0, 0, -EINVAL },
		{ HC_SEND, 0, VEC_PORT, 0, 0, -EINVAL },
		{ HC_PORT_SEND, 1, 0, 0, 0, -EINVAL },
		{ HC_PORT_SEND, 0x80000000, 0, 0, 0, -EINVAL },
		{ HC_PORT_CLOSE, GUEST_PORTS, 0, 0, 0, -EINVAL },
		{ HC_PORT_UNMASK, GUEST_PORTS, 0, 0, 0, -EINVAL },
		{ HC_CONSOLE_OUT, 0, 4, 0, 0, -EFAULT },
		{ HC_CONSOLE_OUT, VMM_BASE, 4, 0, 0, -EFAULT },
		{ HC_CONSOLE_OUT, KERNEL_BASE + GUEST_MEMORY * PAGE_SIZE, 4, 0, 0, -EFAULT },
		{ HC_VCPU_START, 0, op, op, 0, -EINVAL },
		{ HC_VCPU_START, 1, op, op, 0, -EINVAL },
		{ HC_TICK, 1001, 0, 0, 0, -EINVAL },
		{ HC_SHUTDOWN, VMM_STOPPED_STATUS, 0, 0, 0, -EINVAL },
		/* a table of its own with another's frame in it: FREE is still plain memory */
		{ HC_UPDATE, guest_mfn(&g, GUEST_FREE) << PAGE_SHIFT, 1, 0, 0, -EPERM },
		{ HC_LOAD, guest_mfn(&g, GUEST_FREE), 0, 0, 0, -EPERM },
		{ HC_LOAD, directory, 0, 0, 0, 0 },
	};
	guest_set_word(v, &g, GUEST_FREE, 0, entry(theirs, PTE_W));
	guest_asks(v, &g, calls, COUNT(calls));
	guest_answers(v, &g, calls, COUNT(calls));
	check_domains(v->m);
	/* and domain 0 asks for what is the guest's */
	REFUSED(v, -EPERM, HC_LOAD, directory, 0, 0, 0);
	REFUSED(v, -EPERM, HC_RELEASE, theirs, 0, 0, 0);
	REFUSED(v, -EINVAL, HC_UPDATE, table << PAGE_SHIFT, 1, 0, 0);
	REFUSED(v, -EPERM, HC_UPDATE, pte_machine(v, FREE_PAGE), 1, entry(theirs, 0), 0);
	REFUSED(v, -EPERM, HC_CONSOLE_OUT, pool_address(v, FREE_PAGE), 4, 0, 0);
	REFUSED(v, -EPERM, HC_VCPU_START, 1, pool_address(v, FREE_PAGE), 0, 0);
	guest_end(v, &g);
	guest_end(v, &other);
}

/* --- 52, 53: events, and who gets the processor --- */

/*
 * A guest that takes all events and asks for none gets none, though domain 0's timer and
 * keyboard interrupt it; with virtual IF 0 or 1 it loses the processor all the same.
 */
void guest_events(struct victim *v)
{
	for (uint32_t takes = 0; takes < 2; takes++) {
		struct guest_plan g = plan(takes, "guest_spins");
		g.handler = "guest_handler";
		guest_make(v, &g);
		guest_set_word(v, &g, GUEST_DATA, 4, takes);
		guest_run(v, &g, true);
		for (unsigned i = 0; i < 5; i++)
			guest_turn(v, &g);
		struct domain_info info = guest_info(v, &g);
		CHECK(info.state == DOMAIN_RUNS, "it ended with %u at %#x: %s", info.status,
		      guest_word(v, &g, GUEST_DATA, 8), info.reason);
		CHECK(shared_word(v, SHARED_PENDING) >> EVENT_TIMER & 1,
		      "domain 0 has not got its timer's event");
		guest_run(v, &g, false);
		uint32_t before = guest_word(v, &g, GUEST_DATA, 0);
		guests_turn(v);
		CHECK(guest_word(v, &g, GUEST_DATA, 0) == before, "it runs while it is paused");
		guest_end(v, &g);
	}
}

/* --- 56: lives and deaths --- */

/* Guests of all kinds are killed after some time; all frames must come back each time. */
static void short_lives(struct victim *v, unsigned lives)
{
	static const char *const labels[] = { "guest_spins", "guest_storms", "guest_sleeps",
					      "guest_registers", "guest_looks" };
	for (unsigned i = 0; i < lives; i++) {
		struct guest_plan a = plan(0, labels[i % 5]), b = plan(1, labels[i / 5 % 5]);
		guest_make(v, &a);
		guest_set_word(v, &a, GUEST_DATA, 4, ENDLESS);
		guest_set_word(v, &a, GUEST_DATA, 12, 1);
		guest_run(v, &a, true);
		guest_make(v, &b);
		guest_set_word(v, &b, GUEST_DATA, 4, ENDLESS);
		guest_run(v, &b, true);
		for (unsigned yields = i * 7 % 4; yields--;)
			guests_turn(v);
		check_frame_table(v->m);
		check_domains(v->m);
		if (i % 3 == 0)
			guest_run(v, &b, false);
		guest_end(v, i % 2 ? &a : &b);
		guest_end(v, i % 2 ? &b : &a);
	}
}

void guest_deaths(struct victim *v) { short_lives(v, 6); }
void guest_deaths_soak(struct victim *v) { short_lives(v, 5000); } /* all pairs of labels */
