/* SPDX-License-Identifier: MIT */
/* Bits that several CPUs set in one word: whether one can be lost. */
#include "creep.h"

enum { OTHERS = 31, MOST = 300, STEPS = 4 };

static bool is_set(struct guest *g, const struct setting *s)
{
	return said(g, s->word) >> g->cpu & 1;
}

static const char *name_of(const struct setting *s)
{
	return s->word == RENDEZVOUS_DONE ? "done" : "busy";
}

/* Nobody has come. A bit that is not due is there: a store that takes it away changes the word. */
static void begin_setting(struct guest *g, const struct setting *s)
{
	uint32_t number = order_number();
	say(g, RENDEZVOUS_FIRST_ORDER, number);
	say(g, RENDEZVOUS_ORDER, number + 1);
	say(g, RENDEZVOUS_STEP, s->step);
	say(g, RENDEZVOUS_WANTED, 1);
	say(g, RENDEZVOUS_LEADER, CPUS_MAX); /* neither of the two */
	say(g, s->word, s->due ? 0 : 1u << g->cpu);
	begin(g, s->function, NULL, 0);
}

/* Whether the CPU has done what is judged: `busy` belongs to what comes before lead(), follow(). */
static bool is_over(struct guest *g, const struct setting *s)
{
	return call_ended(g) || (s->word == RENDEZVOUS_BUSY && (g->c.eip == symbol("lead") ||
								g->c.eip == symbol("follow")));
}

/* One instruction, or the step that was ordered. Result: false if there is none. */
static bool one(struct guest *g, const struct setting *s)
{
	if (is_over(g, s))
		return false;
	if (s->step && g->c.eip == s->step)
		do_step(g);
	else
		creep_some(g, 1);
	return true;
}

/* To the end, or until the CPU waits. */
static int go_to_end(struct guest *g, const struct setting *s)
{
	const uint32_t stops[] = { symbol("lead"), symbol("follow") };
	bool arrives = s->word == RENDEZVOUS_BUSY;
	for (unsigned i = 0; i < STEPS && !is_over(g, s); i++) {
		if (s->step && g->c.eip == s->step)
			do_step(g);
		int at = creep_on(g, arrives ? stops : &s->step, arrives ? 2 : s->step ? 1 : 0);
		if (at < 0)
			return at;
	}
	return RETURNED;
}

/* Result: how many instructions it takes. */
static unsigned instructions(struct guest *g, const struct setting *s)
{
	begin_setting(g, s);
	int end = go_to_end(g, s);
	CHECK(!s->due || is_set(g, s), "%s() %s and has not set its bit in `%s` (exercise %u)",
	      s->function, end == RETURNED ? "returns" : "waits", name_of(s), s->exercise);
	unsigned n = crept();
	leave(g);
	return n < MOST ? n : MOST;
}

/*
 * After each instruction from this one on another bit is set in the word, as long as there are
 * bits. Result: whether one is lost at the end, or a store was neither locked nor XCHG. That may
 * be right, if the CPU keeps the others away meanwhile.
 */
static bool is_suspect(struct guest *g, const struct setting *s, unsigned from)
{
	uint32_t own = 1u << g->cpu, wanted = s->due ? own : 0, bit = 1;
	bool plain = false;
	begin_setting(g, s);
	for (unsigned i = 0; i < from + OTHERS && !is_over(g, s); i++) {
		uint32_t before = said(g, s->word);
		bool locked = is_locked(g);
		one(g, s);
		plain |= !locked && said(g, s->word) != before;
		if (i < from)
			continue;
		bit <<= bit == own;
		say(g, s->word, said(g, s->word) | bit);
		wanted |= bit;
		bit <<= 1;
	}
	go_to_end(g, s);
	bool lost = (said(g, s->word) & wanted) != wanted;
	leave(g);
	return plain || lost;
}

/*
 * The CPU stands before an instruction, and another one sets its own bit, if it can: it may wait.
 * Then the first one goes on to its end, and then the other. Both bits must be there.
 */
static void meet(struct guest *g, const struct setting *s, unsigned instruction)
{
	struct guest other = *g;
	unsigned next = (g->cpu + 1) % g->m->o.cpus;
	uint32_t wanted = 1u << next | (s->due ? 1u << g->cpu : 0);
	begin_setting(g, s);
	for (unsigned i = 0; i < instruction; i++)
		one(g, s);
	uint32_t at = g->c.eip;
	bool locked = is_locked(g);
	choose(&other, next);
	begin(&other, s->function, NULL, 0);
	go_to_end(&other, s);
	uint32_t before = said(g, s->word);
	choose(g, g->cpu);
	one(g, s);
	bool plain = !locked && before >> next & 1 && said(g, s->word) != before;
	go_to_end(g, s);
	choose(&other, next);
	go_to_end(&other, s);
	uint32_t end = said(g, s->word);
	CHECK(!plain && (end & wanted) == wanted,
	      "bits in `%s` can be lost: CPU %u stands at %s, CPU %u has set its own bit "
	      "meanwhile, and %s (exercise %u; SDM vol. 3, 8.1.2)", name_of(s), g->cpu,
	      symbol_place(at), next,
	      plain ? "the store is not atomic" : end >> next & 1 ?
	      "the first one goes on without setting its own" :
	      "the first one stores a word that it has read before", s->exercise);
	leave(&other);
	choose(g, g->cpu);
	leave(g);
}

void want_atomic(struct guest *g, const struct setting *s)
{
	unsigned n = instructions(g, s);
	for (unsigned from = 0; from < n; from += OTHERS)
		if (is_suspect(g, s, from))
			for (unsigned i = from; i <= from + OTHERS && i < n; i++)
				meet(g, s, i);
}
