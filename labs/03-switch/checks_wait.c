/* SPDX-License-Identifier: MIT */
/*
 * Exercises 3 and 4, each alone: what await() and quiesce() say about words that the check has
 * set. await() reads the clock by native_time_now(), which does not run: the check tells the time.
 */
#include "creep.h"

#define ANSWER_NS 1000000000ull /* a CPU has one second to come */

/* --- exercise 3 --- */

/* What await() is told. */
struct clock { uint32_t at; uint64_t start, now; unsigned readings; };

/* The next reading of the clock. Result: false if await() has returned. */
static bool asks(struct guest *g, const struct clock *c)
{
	if (g->c.eip == c->at)
		return true;
	run_on(g, "await() neither returns nor reads the clock (exercise 3)");
	return g->c.eip == c->at;
}

static void tell(struct guest *g, struct clock *c, uint64_t passed)
{
	c->now = c->start + passed;
	c->readings++;
	skip(g, (uint32_t)c->now);
	gdb_set_register(g->m, GDB_EDX, (uint32_t)(c->now >> 32));
	read_registers(g);
}

/* Read the result of await(), which has returned. */
static void want_result(struct guest *g, int wanted, const char *when)
{
	int result = (int)g->c.eax;
	CHECK(result == wanted, "await() returns %s, not %s, %s (exercise 3)", error_text(result),
	      error_text(wanted), when);
	call_end(g);
}

static struct clock begin_waiting(struct guest *g, uint32_t word, uint32_t bits)
{
	static bool long_ago;
	struct clock c = { symbol("native_time_now"), 0, 0, 0 };
	/* Soon after boot, as in most tests; or the lower half overflows while await() waits. */
	c.start = 100000000 + random_below(900000000);
	if ((long_ago = !long_ago))
		c.start = ((uint64_t)(1 + random_below(100)) << 32) - c.start;
	set_word(g, word, bits);
	call_begin(g, symbol("await"), &word, 1);
	break_at(g, c.at);
	return c;
}

/* Let it wait for so many nanoseconds. Half of them later the word has bits. It must not return. */
static void wait_on(struct guest *g, struct clock *c, uint64_t until, uint32_t word, uint32_t bits)
{
	enum { STEPS = 4 };
	for (unsigned i = 0; i <= STEPS; i++) {
		bool waits = asks(g, c);
		CHECK(waits || c->readings,
		      "await() returns %s at once, and a bit is missing (exercise 3)",
		      error_text((int)g->c.eax));
		CHECK(waits,
		      "await() returns %s when %llu ms have passed and a bit is missing, not after "
		      "1000 ms (exercise 3)", error_text((int)g->c.eax),
		      (unsigned long long)((c->now - c->start) / 1000000));
		tell(g, c, until * i / STEPS);
		if (i == STEPS / 2)
			set_word(g, word, bits);
	}
}

/* No bit is there; later all are but CPU `missing`'s. It comes after `after` ns, or never (0). */
static void wait_for_one(struct guest *g, uint32_t word, unsigned missing, uint64_t after)
{
	enum { LATE = 6 };
	uint32_t others = pretend_cpus(g) & ~(1u << g->cpu);
	struct clock c = begin_waiting(g, word, 0);
	wait_on(g, &c, after ? after : ANSWER_NS - 1, word, others & ~(1u << missing));
	if (after) { /* in time; then the CPU is held up until long after the time */
		set_word(g, word, others);
		for (unsigned i = 0; i < LATE && asks(g, &c); i++)
			tell(g, &c, 2 * ANSWER_NS + i);
		CHECK(call_ended(g),
		      "await() does not return when the last bit has come (exercise 3)");
		want_result(g, 0, "when the last bit came in time");
		return;
	}
	for (unsigned i = 0; i < LATE && asks(g, &c); i++)
		tell(g, &c, ANSWER_NS + 1 + i * 1000);
	CHECK(call_ended(g),
	      "await() still waits when more than 1000 ms have passed and CPU %u is missing "
	      "(exercise 3)", missing);
	want_result(g, -ETIMEDOUT, "when a CPU is missing and the time is over");
}

/* Nobody is missing, however late it is when the CPU comes to look. */
static void wait_for_none(struct guest *g, uint32_t word, bool own)
{
	uint32_t bits = pretend_cpus(g) & ~(own ? 0 : 1u << g->cpu);
	struct clock c = begin_waiting(g, word, bits);
	while (asks(g, &c)) {
		CHECK(c.readings < 3, "await(%#x) does not return on CPU %u, and all other CPUs' "
				      "bits are there (exercise 3)", bits, g->cpu);
		tell(g, &c, c.readings * 2 * ANSWER_NS);
	}
	want_result(g, 0, "when all other CPUs' bits are there");
}

void check_await(const struct test *t)
{
	struct guest g = enter(t, 3);
	unsigned cpus = g.m->o.cpus, cpu = random_below(cpus);
	choose(&g, cpu);
	uint32_t other = symbol("rendezvous") + RENDEZVOUS_DONE;
	uint32_t word = symbol("rendezvous") + RENDEZVOUS_ARRIVED;
	say(&g, RENDEZVOUS_ARRIVED, 1u << cpu);
	wait_for_none(&g, other, false);
	wait_for_none(&g, word, true);
	wait_for_one(&g, word, (cpu + 1) % cpus, 0);
	wait_for_one(&g, word, (cpu + 2) % cpus, ANSWER_NS * 9 / 10);
	wait_for_one(&g, word, (cpu + 1) % cpus, ANSWER_NS / 10);
	wait_for_one(&g, word, (cpu + 2) % cpus, 0);
}

/* --- exercise 4 --- */

static void quiesce_once(struct guest *g, uint32_t busy, bool attach)
{
	int wanted = busy ? -EBUSY : 0;
	say(g, RENDEZVOUS_BUSY, busy);
	begin(g, "quiesce", WORDS(attach));
	int end = creep_on(g, NULL, 0);
	CHECK(end == RETURNED, "quiesce() waits and `busy` is %#x: the CPU that it waits for has "
			       "its interrupts off (exercise 4)", busy);
	int result = (int)g->c.eax;
	CHECK(result == wanted, "quiesce() returns %s, not %s, when `busy` is %#x (exercise 4)",
	      error_text(result), error_text(wanted), busy);
	leave(g);
}

void check_quiesce(const struct test *t)
{
	struct guest g = enter(t, 1);
	choose(&g, 0);
	for (unsigned i = 0; i < CPUS_MAX; i++) {
		uint32_t cpus = pretend_cpus(&g);
		quiesce_once(&g, cpus, i & 2);
		while (!(cpus >> i & 1))
			cpus = pretend_cpus(&g);
		quiesce_once(&g, 1u << i, i & 1);
	}
	quiesce_once(&g, 0, false);
	quiesce_once(&g, 0, true);
}
