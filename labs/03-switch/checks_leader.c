/* SPDX-License-Identifier: MIT */
/*
 * Exercises 2, 11 and 12, each alone: which functions lead() and undo() call, in which order and
 * direction. The functions called do not run: the check stops the CPU at each and returns for it.
 */
#include "creep.h"

enum { GATHER = 1, QUIESCE, ACCOUNT, PROTECT, INSTALL, TRANSLATE, COMMIT, NR_NAMES };
static const char *const names[NR_NAMES] = {
	"request", "gather", "quiesce", "account", "protect", "install", "translate", "commit",
};
enum { MOST = 40, UNKNOWN = 99 };

/* Stop at these functions. */
static const char *const called[] = {
	"gather", "quiesce", "account", "protect", "install", "translate", "commit", "resume",
	"record_phase", "undo", "dismiss", "vmm_call",
};

static uint32_t address_of(const char *name)
{
	static uint32_t addresses[LENGTH(called)];
	for (unsigned i = 0; i < LENGTH(called); i++)
		if (strcmp(called[i], name) == 0)
			return addresses[i] ? addresses[i] : (addresses[i] = symbol(name));
	give_up(BROKEN, "no stop at %s()", name);
}

static bool is_at(struct guest *g, const char *name)
{
	return g->c.eip == address_of(name);
}

static const char *here(struct guest *g)
{
	for (unsigned i = 0; i < LENGTH(called); i++)
		if (is_at(g, called[i]))
			return called[i];
	return call_ended(g) ? "the end of the function" : symbol_place(g->c.eip);
}

/* The function at which the CPU is returns at once. */
static void return_from(struct guest *g, int result)
{
	skip(g, (uint32_t)result);
}

/* Run to the next stop. after: where it comes from. */
static void next(struct guest *g, const char *after)
{
	char what[60];
	snprintf(what, sizeof(what), "the CPU goes on after %s", after);
	run_on(g, what);
}

/* The switch is in this direction: the record says so, too. */
static void say_direction(struct guest *g, bool attach)
{
	say(g, RENDEZVOUS_ATTACH, attach);
	set_variable(g, "record", SWITCH_RECORD_ATTACH / 4, attach);
}

/* --- exercise 2 --- */

/* One way through lead(): `failing` returns `error`; a failure of `rehearsed` is asked for. */
struct way { bool attach; unsigned failing; int error; unsigned rehearsed; };

static const char *describe(const struct way *w)
{
	static char text[160];
	unsigned n = (unsigned)snprintf(text, sizeof(text), "%s", w->attach ? "attach" : "detach");
	if (w->failing)
		n += (unsigned)snprintf(text + n, sizeof(text) - n, ", %s fails with %s",
					names[w->failing], error_text(w->error));
	if (w->rehearsed)
		snprintf(text + n, sizeof(text) - n, ", a failure of %s is rehearsed",
			 names[w->rehearsed]);
	return text;
}

static void want_recorded(struct guest *g, const struct way *w, unsigned phase)
{
	CHECK(is_at(g, "record_phase"),
	      "%s: when %s has ended, lead() comes to %s, not to record_phase() (exercise 2)",
	      describe(w), names[phase], here(g));
	CHECK(argument(g, 1) == phase,
	      "%s: after %s, which is phase %u, record_phase() is told %u (exercise 2)",
	      describe(w), names[phase], phase, argument(g, 1));
	return_from(g, 0);
	next(g, "record_phase()");
}

static void want_phase(struct guest *g, const struct way *w, unsigned phase)
{
	CHECK(is_at(g, names[phase]),
	      "%s: after %s the leader comes to %s, not to %s() (exercise 2)", describe(w),
	      names[phase - 1], here(g), names[phase]);
	CHECK(flag_argument(g) == w->attach, "%s: %s() is called with attach = %u (exercise 2)",
	      describe(w), names[phase], flag_argument(g));
	return_from(g, phase == w->failing ? w->error : 0);
	next(g, names[phase]);
}

/* All that comes after the loop, and is given: from `error` and p. */
static void want_end(struct guest *g, const struct way *w, unsigned last, int error)
{
	uint32_t failed = variable(g, "record", SWITCH_RECORD_FAILED / 4);
	int recorded = (int)variable(g, "record", SWITCH_RECORD_ERROR / 4);
	CHECK(failed != UNKNOWN,
	      "%s: after %s the loop itself comes to %s, which is none of its phases (exercise 2)",
	      describe(w), names[last], here(g));
	CHECK(recorded == error,
	      "%s: lead() ends with error = %s, not %s (exercise 2)", describe(w),
	      error_text(recorded), error_text(error));
	CHECK(failed == last,
	      "%s: lead() records that the last phase was %u (%s), not %u (%s): p must be one more "
	      "than the last phase that ran (exercise 2)", describe(w), failed,
	      failed < NR_NAMES ? names[failed] : "none", last, names[last]);
	if (error && last >= ACCOUNT) {
		CHECK(is_at(g, "undo") && argument(g, 0) == last,
		      "%s: undo(%u) is not called, but %s is reached (exercise 2)", describe(w),
		      last, here(g));
		return_from(g, 0);
		next(g, "undo()");
	}
	const char *end = error == -ETIMEDOUT ? "dismiss" : "resume";
	CHECK(is_at(g, end), "%s: at its end lead() comes to %s, not to %s() (exercise 2)",
	      describe(w), here(g), end);
}

static void lead_once(struct guest *g, const struct way *w)
{
	unsigned last = w->rehearsed && w->rehearsed < COMMIT ? w->rehearsed : COMMIT;
	int error = last < COMMIT ? -EIO : 0;
	if (w->failing && w->failing <= last)
		last = w->failing, error = w->error;
	pretend_cpus(g);
	say_direction(g, w->attach);
	set_variable(g, "record", SWITCH_RECORD_FAIL / 4, w->rehearsed);
	set_variable(g, "record", SWITCH_RECORD_FAILED / 4, UNKNOWN);
	call_begin(g, symbol("lead"), NULL, 0);
	next(g, "lead()");
	want_recorded(g, w, 0);
	for (unsigned phase = GATHER; phase <= last; phase++) {
		want_phase(g, w, phase);
		want_recorded(g, w, phase);
	}
	want_end(g, w, last, error);
	call_end(g);
	set_variable(g, "record", SWITCH_RECORD_FAIL / 4, 0);
}

void check_phases(const struct test *t)
{
	static const int errors[] = { -ENOMEM, -EPERM, -EBUSY, -EINVAL };
	struct guest g = enter(t, 2);
	choose(&g, 0);
	watch(&g, called, LENGTH(called), true);
	/* The plain ways first: the first that goes wrong is what a student reads. */
	lead_once(&g, &(struct way){ .attach = true });
	for (unsigned p = GATHER; p < COMMIT; p++)
		lead_once(&g, &(struct way){ !(p & 1), p, p == GATHER ? -ETIMEDOUT :
					     errors[random_below(LENGTH(errors))], 0 });
	for (unsigned p = GATHER; p < COMMIT; p++)
		lead_once(&g, &(struct way){ .attach = p & 1, .rehearsed = p });
	unsigned both = GATHER + random_below(COMMIT - GATHER);
	lead_once(&g, &(struct way){ both & 1, both, -ENOMEM, both });
	lead_once(&g, &(struct way){ .attach = false, .rehearsed = COMMIT });
}

/* --- exercise 11 --- */

/* The next phase that is called, or that VMM_FORGET is; GATHER at the end. */
static unsigned next_undone(struct guest *g, unsigned failed, bool attach)
{
	for (unsigned calls = 0; calls < MOST; calls++) {
		if (call_ended(g))
			return GATHER;
		if (is_at(g, "vmm_call")) {
			CHECK(argument(g, 0) == VMM_FORGET && argument(g, 1) == g->cpu,
			      "undo(%s) of %s: vmm_call() is told operation %u for CPU %u, not %u "
			      "(VMM_FORGET) for CPU %u, this one (exercise 11)", names[failed],
			      attach ? "attach" : "detach", argument(g, 0), argument(g, 1),
			      VMM_FORGET, g->cpu);
			return ACCOUNT;
		}
		CHECK(!is_at(g, "resume") && !is_at(g, "dismiss"),
		      "undo(%s) of %s calls %s(), which lead() does afterwards (exercise 11)",
		      names[failed], attach ? "attach" : "detach", here(g));
		for (unsigned p = GATHER; p <= COMMIT; p++) {
			if (!is_at(g, names[p]) || (p == ACCOUNT && !flag_argument(g)))
				continue;
			CHECK(flag_argument(g) != attach,
			      "undo(%s) of %s: %s() is called with attach = %u, its own direction "
			      "once more (exercise 11)", names[failed],
			      attach ? "attach" : "detach", names[p], flag_argument(g));
			return p;
		}
		return_from(g, 0); /* account(false), which does nothing */
		next(g, "account(false)");
	}
	give_up(FAILED, "undo() calls account(false) again and again");
}

static void undo_once(struct guest *g, unsigned failed, bool attach)
{
	const char *direction = attach ? "attach" : "detach";
	unsigned wanted = failed, lowest = attach ? ACCOUNT : PROTECT, before = COMMIT;
	pretend_cpus(g);
	say_direction(g, attach);
	call_begin(g, symbol("undo"), WORDS(failed));
	next(g, "undo()");
	for (;; wanted--) {
		unsigned is = next_undone(g, failed, attach);
		if (wanted < lowest && is == GATHER)
			break;
		CHECK(is != GATHER || !is_at(g, "gather"),
		      "undo(%s) of %s calls gather() (exercise 11)", names[failed], direction);
		CHECK(is != GATHER, "undo(%s) of %s: %s is not undone (exercise 11)", names[failed],
		      direction, names[wanted]);
		CHECK(wanted >= lowest, "undo(%s) of %s: %s is undone%s, and nothing is left to "
		      "undo (exercise 11)", names[failed], direction, names[is],
		      before == COMMIT ? "" : " at the end");
		CHECK(is == wanted, "undo(%s) of %s: %s is undone %s%s, and %s should be "
		      "(exercise 11)", names[failed], direction, names[is],
		      before == COMMIT ? "first" : "after ", before == COMMIT ? "" : names[before],
		      names[wanted]);
		before = is;
		return_from(g, 0);
		next(g, names[is]);
	}
	call_end(g);
}

void check_undo_phases(const struct test *t)
{
	struct guest g = enter(t, 11);
	watch(&g, called, LENGTH(called), true);
	for (unsigned failed = ACCOUNT; failed <= TRANSLATE; failed++)
		for (unsigned attach = 0; attach < 2; attach++) {
			choose_leader(&g, failed % g.m->o.cpus);
			undo_once(&g, failed, attach);
		}
}

/* --- exercise 12 --- */

static void want_dismissed(struct guest *g, uint32_t number, int end)
{
	CHECK(end != 0, "dismiss() asks for the time: it waits, if not for ever (exercise 12)");
	CHECK(end == RETURNED, "dismiss() waits for another CPU (exercise 12)");
	CHECK(said(g, RENDEZVOUS_ORDER) != number,
	      "dismiss() returns, and `order` is still %u: the followers wait for ever "
	      "(exercise 12)", number);
	CHECK(said(g, RENDEZVOUS_ORDER) == number + 1,
	      "dismiss() changes `order` from %u to %u, not to %u: it goes up by one with each "
	      "order (exercise 12)", number, said(g, RENDEZVOUS_ORDER), number + 1);
	CHECK(!said(g, RENDEZVOUS_WANTED),
	      "dismiss() returns, and `wanted` is still true: a CPU that arrives later takes part "
	      "in the switch that was given up (exercise 12)");
}

void check_dismiss(const struct test *t)
{
	struct guest g = enter(t, 12);
	const uint32_t clock = symbol("native_time_now");
	uint32_t number = order_number(), steps[2];
	int end;
	choose(&g, 0);
	choose_steps(steps);
	say(&g, RENDEZVOUS_ORDER, number);
	say(&g, RENDEZVOUS_FIRST_ORDER, number);
	say(&g, RENDEZVOUS_STEP, steps[0]);
	say(&g, RENDEZVOUS_DONE, 0);
	say(&g, RENDEZVOUS_WANTED, 1);
	say(&g, RENDEZVOUS_ARRIVED, 3); /* CPU 2 is silent, and CPU 1 on its way to follow() */
	begin(&g, "dismiss", NULL, 0);
	while ((end = creep(&g, &clock, 1)) == CHANGED) {
		CHECK(said(&g, RENDEZVOUS_FIRST_ORDER) == number,
		      "%s changes `first_order`: a follower on its way to follow() begins with it, "
		      "takes the order for an old one and waits for ever (exercise 12)", store());
		CHECK(said(&g, RENDEZVOUS_ORDER) == number || !said(&g, RENDEZVOUS_STEP),
		      "`order` is increased before `step` is NULL, at %s: a follower that looks now"
		      " does the step of an earlier switch (exercise 12)", store());
	}
	want_dismissed(&g, number, end);
	leave(&g);
}
