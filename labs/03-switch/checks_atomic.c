/* SPDX-License-Identifier: MIT */
/* Bits that several CPUs set in one word: whether one can be lost. */
#include "creep.h"

/* How a CPU comes to set its bit in the word. */
struct setting { const char *function; uint32_t word; unsigned exercise; };

static void begin_setting(struct guest *g, const struct setting *s)
{
	uint32_t number = order_number();
	say(g, RENDEZVOUS_FIRST_ORDER, number);
	say(g, RENDEZVOUS_ORDER, number + 1);
	say(g, RENDEZVOUS_STEP, 0);
	say(g, RENDEZVOUS_WANTED, 1);
	say(g, RENDEZVOUS_LEADER, CPUS_MAX); /* neither of the two */
	begin(g, s->function, NULL, 0);
}

static bool is_set(struct guest *g, const struct setting *s)
{
	return said(g, s->word) >> g->cpu & 1;
}

/* Result: how many instructions it takes; the last one is the store. */
static unsigned instructions_to_store(struct guest *g, const struct setting *s)
{
	say(g, s->word, 0);
	begin_setting(g, s);
	while (!is_set(g, s)) {
		int at = creep(g, NULL, 0);
		CHECK(at == CHANGED, "%s() %s and has not set its bit in `%s` (exercise %u)",
		      s->function, at == RETURNED ? "returns" : "waits",
		      s->word == RENDEZVOUS_DONE ? "done" : "busy", s->exercise);
	}
	unsigned n = crept();
	leave(g);
	return n;
}

enum { STORES = 100 }; /* of the other CPU, at most: it may store again and again */

/*
 * A CPU stands before the store of its bit, and another one sets its own. If it can, and the store
 * is neither locked nor XCHG, then one of the bits can be lost.
 */
void want_atomic(struct guest *g, const char *function, uint32_t word, unsigned exercise)
{
	const struct setting s = { function, word, exercise };
	struct guest other = *g;
	unsigned n = instructions_to_store(g, &s);
	say(g, word, 0);
	begin_setting(g, &s);
	for (unsigned i = 1; i < n; i++)
		creep_some(g, 1);
	uint32_t at = g->c.eip;
	if (!is_locked(g)) {
		choose(&other, (g->cpu + 1) % g->m->o.cpus);
		begin_setting(&other, &s);
		for (unsigned i = 0; i < STORES && !is_set(&other, &s) &&
				     creep(&other, NULL, 0) == CHANGED; i++)
			;
		CHECK(!is_set(&other, &s),
		      "bits in `%s` can be lost: CPU %u stands at %s, about to store the word, "
		      "CPU %u has set its own bit meanwhile, and the store is not atomic "
		      "(exercise %u; SDM vol. 3, 8.1.2)",
		      word == RENDEZVOUS_DONE ? "done" : "busy", g->cpu, symbol_where(at),
		      other.cpu, exercise);
		leave(&other);
		choose(g, g->cpu);
	}
	leave(g);
}
