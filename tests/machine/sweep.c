/* SPDX-License-Identifier: MIT */
/*
 * Switches that are interrupted: the timer's tick falls at one instruction of a switch after the
 * other, and no tick may be lost or come twice (V8). The guest's program `ticks` aims the ticks;
 * the kernel's records tell in which phase one fell.
 */
#include "rollback.h"
#include "offsets.h"

static const char *const phases[NR_PHASES] = {
	"request", "gather", "quiesce", "account", "protect", "install", "translate", "commit",
	"resume",
};

/* --- the sweep --- */

static struct moment moment_at_rest(struct machine *m)
{
	stop_idle(m);
	struct moment now = moment(m);
	machine_continue(m);
	return now;
}

/* What the program `ticks` says at its end. */
struct swept { unsigned period, switches, ticks, longest_attach, longest_detach, retried; };

static struct swept run_sweep(struct machine *m, const char *from_to_step, double seconds)
{
	struct swept s;
	char text[100];
	snprintf(text, sizeof(text), "ticks %s", from_to_step);
	const char *out = output_of(m, text, seconds), *said = strstr(out, "ticks: period");
	CHECK(said && sscanf(said, "ticks: period %u, switches %u, ticks %u, longest %u %u, "
			     "retried %u", &s.period, &s.switches, &s.ticks, &s.longest_attach,
			     &s.longest_detach, &s.retried) == 6,
	      "ticks were lost or doubled:%s", out);
	return s;
}

/*
 * text: the first and the last instruction, and the step. The last instruction must lie after the
 * end of the longest switch.
 */
static void sweep(const struct test *t)
{
	unsigned first, last, step;
	sscanf(t->text, "%u %u %u", &first, &last, &step);
	struct machine *m = start_to_prompt(&t->machine);
	struct moment before = moment_at_rest(m);
	struct swept s = run_sweep(m, t->text, t->seconds - 10);
	struct moment after = moment_at_rest(m);
	CHECK(s.period == before.period, "a tick is every %u ns, the program saw one every %u",
	      before.period, s.period);
	CHECK(s.switches == 6 * ((last - first) / step + 1), "only %u switches", s.switches);
	CHECK(s.longest_attach < last && s.longest_detach < last,
	      "the sweep ends within the switch: attach takes up to %u, detach %u",
	      s.longest_attach, s.longest_detach);
	check_ticks(&before, &after);
	check_now(m, false);
	end_at_prompt(m);
}

/* --- where a tick falls --- */

struct record { /* what this test reads of the kernel's struct switch_record */
	bool attach;
	int32_t error;
	uint64_t start; /* by the time-stamp counter, as the ticks of each phase */
	uint32_t ticks[NR_PHASES];
};

static struct record read_record(struct machine *m, uint32_t number)
{
	uint8_t bytes[SWITCH_RECORD_BYTES];
	struct record r;
	uint32_t kept = symbol_bytes("history") / SWITCH_RECORD_BYTES;
	uint32_t at = symbol("history") + number % kept * SWITCH_RECORD_BYTES;
	physical_read(m, at - KERNEL_BASE, bytes, sizeof(bytes));
	r.attach = bytes[SWITCH_RECORD_ATTACH];
	memcpy(&r.error, bytes + SWITCH_RECORD_ERROR, sizeof(r.error));
	memcpy(&r.start, bytes + SWITCH_RECORD_START, sizeof(r.start));
	memcpy(r.ticks, bytes + SWITCH_RECORD_ENDS, sizeof(r.ticks));
	for (unsigned p = NR_PHASES; p-- > 0;)
		r.ticks[p] -= p ? r.ticks[p - 1] : (uint32_t)r.start;
	return r;
}

/*
 * One attach and one detach with the tick k instructions after the write to /proc/mode. Of the six
 * switches that user/programs/ticks.c does, these are the first and the fourth. Result: the time of
 * one tick, by the guest's time-stamp counter.
 */
static uint64_t pair_at(struct machine *m, uint32_t k, uint32_t *period, struct record records[2])
{
	char text[100];
	unsigned long long first;
	snprintf(text, sizeof(text), "ticks %u %u 1", k, k);
	const char *out = output_of(m, text, 30), *at = strstr(out, "first ");
	CHECK(at && sscanf(at, "first %llx", &first) == 1, "ticks were lost or doubled:%s", out);
	*period = number_in(out, "period ", 10);
	stop_idle(m);
	uint32_t n = kernel_word(m, "nr_switches");
	for (unsigned i = 0; i < 2; i++) {
		records[i] = read_record(m, n - 6 + 3 * i);
		CHECK(records[i].attach == !i && !records[i].error,
		      "a switch is not recorded, or failed");
	}
	machine_continue(m);
	return first;
}

static uint32_t total(const struct record *r)
{
	uint32_t sum = 0;
	for (unsigned p = 0; p < NR_PHASES; p++)
		sum += r->ticks[p];
	return sum;
}

/* The phase in which a tick came; NR_PHASES: none came. first: the time of one tick. */
static unsigned phase_at(const struct record *r, uint64_t first, uint32_t period)
{
	uint64_t begin = r->start;
	for (unsigned p = 0; p < NR_PHASES; begin += r->ticks[p++])
		if ((begin + r->ticks[p] - first) / period != (begin - first) / period)
			return p;
	return NR_PHASES;
}

/*
 * A tick at instruction k must fall into this phase. If it is the VMM that takes the tick (in
 * attach from gather to commit, in detach from gather to protect), its exit must make the switch
 * longer than `quiet`, a switch without a tick.
 */
static void tick_within(struct machine *m, unsigned phase, uint32_t k, const struct record *quiet)
{
	struct record now[2];
	uint32_t period;
	bool attach = quiet->attach;
	const char *direction = attach ? "attach" : "detach";
	uint64_t first = pair_at(m, k, &period, now);
	unsigned found = phase_at(&now[!attach], first, period);
	uint32_t longer = total(&now[!attach]) - total(quiet);
	CHECK(found == phase, "a tick meant for %s of %s fell into %s", phases[phase], direction,
	      found < NR_PHASES ? phases[found] : "none");
	if (phase > REQUEST && phase < (attach ? RESUME : INSTALL))
		CHECK(longer > 30 && longer < 1000,
		      "a tick in %s of %s made it longer by %u instructions: no exit",
		      phases[phase], direction, longer);
}

/*
 * The sweep does what it says: a tick can be put into each phase of both directions, and is taken
 * there. number: an instruction after the end of any switch.
 */
static void sweep_phases(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	struct record quiet[2];
	uint32_t period, after = t->number;
	uint64_t first = pair_at(m, after, &period, quiet);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(phase_at(&quiet[i], first, period) == NR_PHASES,
		      "a switch takes over %u instructions", after);
		uint64_t start = quiet[i].start;
		uint64_t tick = first + ((start - first) / period + 1) * period;
		/* instructions from the write to the record's start */
		uint32_t k = after - (uint32_t)(tick - start);
		for (unsigned p = 0; p < NR_PHASES; k += quiet[i].ticks[p++])
			tick_within(m, p, k + quiet[i].ticks[p] / 2, &quiet[i]);
	}
	end_at_prompt(m);
}

#define SWEEP(n, s, from_to_step) \
	{ .name = n, .run = sweep, .seconds = s, .text = from_to_step, \
	  .machine = { .p2m = "shuffle:5" } }
const struct test sweep_tests[] = {
	SWEEP("sweep-ticks", 120, "3 14000 263"),
	{ .name = "sweep-phases", .run = sweep_phases, .seconds = 60, .number = 12000 },
	{ 0 },
};

const struct test sweep_soak_tests[] = {
	SWEEP("soak-sweep-ticks", 1800, "0 14000 1"),
	{ 0 },
};
