/* SPDX-License-Identifier: MIT */
/*
 * Exercises 5 and 6, each alone. everywhere() runs on one CPU, and the check plays the followers;
 * follow() runs on one CPU, and the check plays the leader. Each store to `rendezvous` is judged at
 * the moment in which it is made.
 */
#include "creep.h"

/* --- exercise 5: everywhere() --- */

/* An order that the check lets everywhere() give. */
struct order {
	uint32_t step;   /* 0: leave */
	uint32_t stale;  /* what was ordered before */
	bool attach;
	bool quick;      /* the followers report at once; else one by one, when the leader waits */
	uint32_t others; /* the followers, as bits */
};

/* What everywhere() has done until now. */
struct given {
	bool ordered;
	unsigned own;
	uint32_t number, first, reported, done;
	char lost[120]; /* the store that took reports away: harmless if nobody waits for them */
};

/* The moment in which `order` changes: a follower that looks now must find all of it. */
static void want_published(struct guest *g, const struct order *o, uint32_t number)
{
	uint32_t step = said(g, RENDEZVOUS_STEP), attach = said(g, RENDEZVOUS_STEP_ATTACH);
	uint32_t done = said(g, RENDEZVOUS_DONE);
	CHECK(said(g, RENDEZVOUS_ORDER) == number + 1,
	      "`order` was %u and becomes %u, not %u, at %s (exercise 5)", number,
	      said(g, RENDEZVOUS_ORDER), number + 1, store());
	CHECK(step == o->step,
	      "at %s `order` becomes %u, and `step` is %#x, not %#x, which comes later or not at "
	      "all: a follower that looks now does the step before once more (exercise 5)",
	      store(), number + 1, step, o->step);
	CHECK(!o->step || attach == o->attach,
	      "at %s `order` becomes %u, and `step_attach` is %u, not %u, which comes later or not "
	      "at all: a follower that looks now does the step in the other direction (exercise 5)",
	      store(), number + 1, attach, o->attach);
	CHECK((done & o->others) == 0,
	      "at %s `order` becomes %u, and `done` still has the bits %#x of a step before, not "
	      "0: the leader takes them for this step. To clear `done` after the wait is too "
	      "early: a follower that dismiss() has sent away may report when request() has "
	      "cleared `done` already (exercise 5)", store(), number + 1, done & o->others);
}

static void changed_once(struct guest *g, const struct order *o, struct given *s)
{
	uint32_t order = said(g, RENDEZVOUS_ORDER), done = said(g, RENDEZVOUS_DONE);
	uint32_t before = s->done;
	s->done = done;
	CHECK(said(g, RENDEZVOUS_FIRST_ORDER) == s->first,
	      "%s changes `first_order`: a follower on its way to follow() begins with it, takes "
	      "the order for an old one and waits for ever (exercise 5)", store());
	if (!s->ordered && order != s->number) {
		want_published(g, o, s->number);
		s->ordered = true;
		if (o->quick)
			say(g, RENDEZVOUS_DONE, s->done |= s->reported = o->others);
		return;
	}
	if (!s->ordered)
		return;
	CHECK(order == s->number + 1,
	      "`order` becomes %u at %s, after %u for the same step: the followers do it twice "
	      "(exercise 5)", order, store(), s->number + 1);
	if ((done & s->reported) != s->reported)
		snprintf(s->lost, sizeof(s->lost), "%s", store());
	if (s->reported == o->others)
		return; /* no follower reads or writes any more */
	CHECK(said(g, RENDEZVOUS_STEP) == o->step &&
	      (!o->step || said(g, RENDEZVOUS_STEP_ATTACH) == o->attach),
	      "%s changes the step or its direction when it is ordered already: a quick follower "
	      "has read it (exercise 5)", store());
	CHECK(done == before || store_is_locked(g),
	      "the store to `done` at %s is not atomic: a follower that reports at the same time "
	      "is lost, and the leader waits for ever (exercise 5; SDM vol. 3, 8.1.2)", store());
}

/* The leader waits. Result: whether another follower's report is still to come, and comes now. */
static bool report_next(struct guest *g, const struct order *o, struct given *s)
{
	uint32_t missing = o->others & ~s->reported;
	CHECK(s->ordered, "everywhere() waits and has not given its order: `order` is still %u "
			  "(exercise 5)", s->number);
	CHECK(!*s->lost,
	      "bits that followers have set in `done` are taken away at %s, and then the leader "
	      "waits for them, for ever (exercise 5)", s->lost);
	if (!missing)
		return false;
	s->reported |= missing & -missing;
	say(g, RENDEZVOUS_DONE, s->done = said(g, RENDEZVOUS_DONE) | s->reported);
	return true;
}

static void want_step(struct guest *g, const struct order *o, struct given *s, bool stale)
{
	CHECK(!stale, "the leader does the step of the order before (exercise 5)");
	CHECK(flag_argument(g) == o->attach,
	      "the leader does the step with attach = %u, not %u (exercise 5)", flag_argument(g),
	      o->attach);
	s->own++;
	do_step(g);
}

/* It does not return, although nothing is missing: its loop is wrong, or what it calls. */
static void __attribute__((noreturn)) give_up_in_everywhere(struct guest *g)
{
	want_in_switch(g, "everywhere", 5);
	give_up(FAILED, "all others have reported (`done` is %#x), and everywhere() does not "
		"return: it waits, or runs in a circle (exercise 5)", said(g, RENDEZVOUS_DONE));
}

static void give_order(struct guest *g, const struct order *o)
{
	const uint32_t arguments[] = { o->step, o->attach };
	const uint32_t stops[] = { o->stale, o->step };
	struct given s = { .number = order_number() };
	s.first = s.number - random_below(3);
	say(g, RENDEZVOUS_ARRIVED, o->others | 1u << g->cpu);
	say(g, RENDEZVOUS_WANTED, o->step != 0); /* resume() has cleared it */
	say(g, RENDEZVOUS_ORDER, s.number);
	say(g, RENDEZVOUS_FIRST_ORDER, s.first);
	say(g, RENDEZVOUS_STEP, o->stale);
	say(g, RENDEZVOUS_STEP_ATTACH, !o->attach);
	say(g, RENDEZVOUS_DONE, o->others | (random_below(2) ? 1u << g->cpu : 0));
	s.done = said(g, RENDEZVOUS_DONE);
	begin(g, "everywhere", arguments, 2);
	for (int at; (at = creep(g, stops, o->step ? 2 : 1)) != RETURNED;) {
		if (at == CHANGED)
			changed_once(g, o, &s);
		else if (at >= 0)
			want_step(g, o, &s, at == 0);
		else if (!report_next(g, o, &s))
			give_up_in_everywhere(g);
	}
	CHECK(s.ordered, "everywhere() returns and has not ordered the step: `order` is still %u "
			 "(exercise 5)", s.number);
	CHECK(s.reported == o->others,
	      "everywhere() returns when the CPUs with the bits %#x have reported in `done`, and "
	      "%#x are due: %s (exercise 5)", s.reported, o->others, o->step ?
	      "the leader goes on before every CPU has done the step. There is no time-out here" :
	      "the order was NULL, and before the leader goes on, every follower must have said "
	      "that it leaves");
	CHECK(s.own == (o->step != 0), "the leader itself does the step %u times, not %u "
	      "(exercise 5)", s.own, o->step != 0);
	leave(g);
}

void check_orders(const struct test *t)
{
	struct guest g = enter(t, 4);
	unsigned cpu = random_below(g.m->o.cpus);
	choose_leader(&g, cpu);
	uint32_t steps[2];
	choose_steps(steps);
	enum { STEPS = 4, ALL = 6 }; /* the last two orders are to leave */
	for (unsigned i = 0; i < ALL; i++)
		give_order(&g, &(struct order){
			.step = i < STEPS ? steps[i & 1] : 0, .stale = steps[!(i & 1)],
			.attach = i & 1, .quick = i < STEPS ? i >> 1 : i & 1,
			.others = pretend_cpus(&g) & ~(1u << cpu),
		});
}

/* --- exercise 6: follow() --- */

struct following {
	struct guest *g;
	uint32_t step, stale, first, number, own; /* own: the CPU's bit */
	bool attach;
};

/* follow() begins, and nothing is ordered yet. Another CPU's bit is in `done`. */
static void begin_following(struct following *f)
{
	struct guest *g = f->g;
	unsigned n = (unsigned)__builtin_popcount(pretend_cpus(g)), me = pretend_number(g, n);
	f->own = 1u << me;
	say(g, RENDEZVOUS_ARRIVED, (1u << n) - 1);
	say(g, RENDEZVOUS_LEADER, (me + 1) % n);
	say(g, RENDEZVOUS_WANTED, 1);
	f->number = f->first = order_number();
	f->attach = random_below(2);
	say(g, RENDEZVOUS_FIRST_ORDER, f->number);
	say(g, RENDEZVOUS_ORDER, f->number);
	say(g, RENDEZVOUS_STEP, f->stale);
	say(g, RENDEZVOUS_STEP_ATTACH, !f->attach);
	say(g, RENDEZVOUS_DONE, 1u << (me + 1) % n);
	begin(g, "follow", NULL, 0);
}

/* The leader gives an order: as everywhere() does, but wholly between two instructions. */
static void order_now(struct following *f, uint32_t step)
{
	f->number++;
	say(f->g, RENDEZVOUS_STEP, step);
	say(f->g, RENDEZVOUS_STEP_ATTACH, f->attach);
	say(f->g, RENDEZVOUS_ORDER, f->number);
}

/* What the leader says is the leader's to store. */
static void want_unchanged(struct following *f, uint32_t step, const char *when)
{
	CHECK(said(f->g, RENDEZVOUS_STEP) == step &&
	      said(f->g, RENDEZVOUS_STEP_ATTACH) == f->attach &&
	      said(f->g, RENDEZVOUS_ORDER) == f->number,
	      "%s, follow() changes `step`, `step_attach` or `order`: another follower may not "
	      "have read it yet, or it is the next order already (exercise 6)", when);
	CHECK(said(f->g, RENDEZVOUS_FIRST_ORDER) == f->first,
	      "%s, follow() changes `first_order`: another follower on its way to follow() begins "
	      "with it, and misses the order (exercise 6)", when);
}

static bool reported(const struct following *f)
{
	return said(f->g, RENDEZVOUS_DONE) & f->own;
}

/* The follower may do nothing: it waits for an order. when: until then it did well. */
static void want_waiting(struct following *f, const char *when)
{
	const uint32_t stops[] = { f->step, f->stale };
	int at = creep(f->g, stops, 2);
	CHECK(at != RETURNED, "%s, follow() returns (exercise 6)", when);
	CHECK(at < 0, "%s, follow() does a step, at %#x (exercise 6)", when, stops[at]);
	CHECK(at != CHANGED, "%s, follow() changes `rendezvous` at %s (exercise 6)", when, store());
}

/* A step has been ordered. It must be done once, in its direction, and then be reported. */
static void want_done(struct following *f, const char *when)
{
	const uint32_t stops[] = { f->step, f->stale };
	struct guest *g = f->g;
	int at = creep_on(g, stops, 2);
	if (at == WAITS)
		want_in_switch(g, "follow", 6);
	CHECK(!reported(f),
	      "%s, `done` gets this CPU's bit at %s before the step is done: the leader goes on "
	      "while this CPU is still in the step (exercise 6)", when, store());
	CHECK(at != 1, "%s, follow() does the step of the order before: it has read `step` before "
		       "it saw `order` change (exercise 6)", when);
	CHECK(at == 0, "%s, the step is not done: follow() %s. `order` was %#x and is %#x "
	      "(exercise 6)", when, at == RETURNED ? "returns" : "waits, and misses the order",
	      f->number - 1, f->number);
	CHECK(flag_argument(g) == f->attach,
	      "%s, the step is done with attach = %u, not %u: `step_attach` was read before `order`"
	      " was seen to change, or not at all (exercise 6)", when, flag_argument(g), f->attach);
}

static void want_reported(struct following *f, uint32_t done, const char *when)
{
	const uint32_t stops[] = { f->step, f->stale };
	do_step(f->g);
	int at = creep_on(f->g, stops, 2);
	if (at == WAITS && !reported(f))
		want_in_switch(f->g, "follow", 6);
	CHECK(at < 0, "%s, follow() does the step a second time (exercise 6)", when);
	CHECK(at != RETURNED,
	      "%s, follow() returns after a step that is not NULL: it must wait for the next order "
	      "(exercise 6)", when);
	uint32_t now = said(f->g, RENDEZVOUS_DONE), wanted = done | f->own;
	CHECK(now == wanted,
	      "%s, `done` is %#x, not %#x: the step is not reported by this CPU's bit alone "
	      "(exercise 6)", when, now, wanted);
}

/* One order at this moment; then the last one, NULL. */
static void follow_once(struct following *f, const char *when)
{
	struct guest *g = f->g;
	uint32_t done = said(g, RENDEZVOUS_DONE);
	order_now(f, f->step);
	want_done(f, when);
	want_reported(f, done, when);
	want_unchanged(f, f->step, when);
	say(g, RENDEZVOUS_WANTED, 0); /* resume() does so first */
	want_waiting(f, "when a step is done, `wanted` is false, and NULL is not ordered yet");
	say(g, RENDEZVOUS_DONE, 0);
	order_now(f, 0);
	int at = creep_on(g, NULL, 0);
	CHECK(at == RETURNED, "after the order NULL follow() does not return (exercise 6)");
	CHECK(said(g, RENDEZVOUS_DONE) == f->own,
	      "follow() returns after the order NULL and does not report it: `done` is %#x, not "
	      "%#x; the leader's resume() waits for this (exercise 6)", said(g, RENDEZVOUS_DONE),
	      f->own);
	want_unchanged(f, 0, "after the order NULL");
	leave(g);
}

/* The order comes after each single instruction of follow(), until that goes in a circle. */
static void at_each_instruction(struct following *f)
{
	enum { MOST = 100 };
	for (unsigned i = 0; i < MOST; i++) {
		char when[120];
		begin_following(f);
		int at = creep_some(f->g, i);
		CHECK(at != RETURNED, "follow() returns before any order (exercise 6)");
		snprintf(when, sizeof(when), i ? "ordered after %u instructions of follow()" :
			 "ordered before this CPU came to follow()", i);
		follow_once(f, when);
		if (at == WAITS)
			return;
	}
}

/* `step` is stored, and some time later `order`: between the two nothing may happen. */
static void stored_first(struct following *f)
{
	begin_following(f);
	want_waiting(f, "before the first order");
	say(f->g, RENDEZVOUS_STEP, f->step);
	say(f->g, RENDEZVOUS_STEP_ATTACH, f->attach);
	want_waiting(f, "when `step` is stored, but `order` not yet");
	follow_once(f, "ordered while it waits");
}

/* The leader is quick: its order NULL comes some instructions after the report of a step. */
static void at_each_after_report(struct following *f)
{
	enum { MOST = 100 };
	const uint32_t stops[] = { f->step, f->stale };
	struct guest *g = f->g;
	for (unsigned i = 0; i < MOST; i++) {
		begin_following(f);
		say(g, RENDEZVOUS_DONE, 0);
		order_now(f, f->step);
		want_done(f, "ordered before this CPU came to follow()");
		do_step(g);
		while (!reported(f) && creep(g, stops, 2) == CHANGED)
			;
		int end = creep_some(g, i);
		say(g, RENDEZVOUS_DONE, 0);
		order_now(f, 0);
		CHECK(creep_on(g, stops, 2) == RETURNED && said(g, RENDEZVOUS_DONE) == f->own,
		      "the order NULL comes %u instructions after the step before was reported, "
		      "and follow() does not report it and return: `done` is %#x, not %#x. When "
		      "the report is stored, `step` may be the next one (exercise 6)", i,
		      said(g, RENDEZVOUS_DONE), f->own);
		leave(g);
		if (end == WAITS)
			return;
	}
}

void check_follow(const struct test *t)
{
	struct guest g = enter(t, 5);
	choose(&g, 1 + random_below(g.m->o.cpus - 1));
	uint32_t steps[2];
	choose_steps(steps);
	struct following f = { .g = &g, .step = steps[0], .stale = steps[1] };
	stored_first(&f);
	at_each_instruction(&f);
	at_each_after_report(&f);
	give_number_back(&g);
	for (unsigned i = 0; i < 2; i++)
		want_atomic(&g, &(struct setting){ "follow", RENDEZVOUS_DONE, 6, true,
						   i ? steps[0] : 0 });
}
