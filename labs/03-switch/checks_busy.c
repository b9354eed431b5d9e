/* SPDX-License-Identifier: MIT */
/*
 * Exercise 1, alone: what a CPU says of itself in switch_interrupt() before it leads or follows.
 * The check decides where the CPU was interrupted, and what it holds.
 */
#include "creep.h"

enum way { FREE, HELD, HELD_TWICE, WITHIN, WITHIN_OLDER, OTHER_HELD, WITHIN_LATEST, NR_WAYS };
static const char *const ways[NR_WAYS] = {
	"it neither holds the VO nor was interrupted in it",
	"it holds the VO (vo_uses is 1)",
	"it holds the VO (vo_uses is 2)",
	"it was interrupted within the VO",
	"it was interrupted within the VO, and in the handler for that once more",
	"only another CPU holds the VO",
	"it was interrupted, and in the handler for that once more, there within the VO",
};

/* A word that was changed, and its value before. at: 0 if none was. */
struct change { uint32_t at, old; };

/*
 * The latest trap frame of the kernel on this CPU gets an EIP inside the VO. Or a frame with such
 * an EIP is made up and linked in: after the latest one, or as the latest.
 */
static struct change interrupt_within(struct guest *g, enum way way)
{
	uint32_t task = task_of(&g->c), begin = symbol("vo_text_start");
	uint32_t within = begin + random_below(symbol("vo_text_end") - begin);
	uint32_t frame = word_at(g, task + TASK_TRAP_FRAMES), made_up = task + TASK_STACK_BYTES / 4;
	struct change change = { .at = way == WITHIN ? frame + TRAP_FRAME_EIP :
				 way == WITHIN_OLDER ? frame + TRAP_FRAME_OUTER :
				 task + TASK_TRAP_FRAMES };
	if (!frame)
		give_up(BROKEN, "this CPU was not interrupted in the kernel");
	change.old = word_at(g, change.at);
	if (way != WITHIN) {
		set_word(g, made_up + TRAP_FRAME_OUTER, change.old);
		set_word(g, made_up + TRAP_FRAME_EIP, within);
	}
	set_word(g, change.at, way == WITHIN ? within : made_up);
	return change;
}

static struct change put_in_the_way(struct guest *g, enum way way, unsigned me, unsigned other)
{
	if (way == HELD || way == HELD_TWICE)
		set_variable(g, "vo_uses", me, way == HELD ? 1 : 2);
	if (way == OTHER_HELD)
		set_variable(g, "vo_uses", other, 1);
	if (way == WITHIN || way == WITHIN_OLDER || way == WITHIN_LATEST)
		return interrupt_within(g, way);
	return (struct change){ 0 };
}

static void take_away(struct guest *g, struct change change)
{
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		set_variable(g, "vo_uses", cpu, 0);
	if (change.at)
		set_word(g, change.at, change.old);
}

/* The CPU comes to switch_interrupt() in this way, when another one is busy already, or none is. */
static void arrive_once(struct guest *g, enum way way, bool leads, bool other_busy)
{
	const uint32_t stops[] = { symbol("lead"), symbol("follow") };
	unsigned n = (unsigned)__builtin_popcount(pretend_cpus(g));
	unsigned me = pretend_number(g, n), other = (me + 1 + random_below(n - 1)) % n;
	uint32_t own = 1u << me, busy = other_busy ? 1u << other : 0;
	uint32_t wanted = busy | (way != FREE && way != OTHER_HELD ? own : 0);
	struct change change = put_in_the_way(g, way, me, other);
	uint32_t uses = variable(g, "vo_uses", me);
	int at;
	say(g, RENDEZVOUS_WANTED, 1);
	say(g, RENDEZVOUS_LEADER, leads ? me : other);
	say(g, RENDEZVOUS_ARRIVED, busy);
	say(g, RENDEZVOUS_BUSY, busy);
	begin(g, "switch_interrupt", NULL, 0);
	while ((at = creep(g, stops, 2)) == CHANGED)
		CHECK(!(said(g, RENDEZVOUS_ARRIVED) & own) || said(g, RENDEZVOUS_BUSY) == wanted,
		      "CPU %u says that it arrived, and `busy` is %#x, not %#x: %s (exercise 1)",
		      me, said(g, RENDEZVOUS_BUSY), wanted, ways[way]);
	if (at == WAITS)
		want_in_switch(g, "switch_interrupt", 1);
	CHECK(at >= 0, "switch_interrupt() %s and comes neither to lead() nor to follow() "
		       "(exercise 1)", at == WAITS ? "waits" : "returns");
	CHECK(said(g, RENDEZVOUS_BUSY) == wanted,
	      "`busy` is %#x, not %#x, when CPU %u %s: %s (exercise 1)", said(g, RENDEZVOUS_BUSY),
	      wanted, me, leads ? "leads" : "follows", ways[way]);
	CHECK(variable(g, "vo_uses", me) == uses,
	      "switch_interrupt() changes vo_uses[%u] from %u to %u: the code that holds the VO "
	      "goes on later (exercise 1)", me, uses, variable(g, "vo_uses", me));
	leave(g);
	take_away(g, change);
	give_number_back(g);
}

/* The task belongs to this CPU. */
static void arrive_in_ways(struct guest *g, unsigned cpu, enum way first)
{
	choose(g, cpu);
	for (enum way way = first; way < NR_WAYS; way += 1 + first)
		arrive_once(g, way, (way ^ cpu) & 1, way / 2 & 1);
}

void check_vo_busy(const struct test *t)
{
	struct guest g = enter(t, 1);
	arrive_in_ways(&g, 0, FREE);
	arrive_in_ways(&g, 1, HELD);
	for (unsigned cpu = 0; cpu < g.m->o.cpus; cpu++)
		set_variable(&g, "vo_uses", cpu, 1);
	for (unsigned due = 0; due < 2; due++) {
		set_variable(&g, "vo_uses", g.cpu, due);
		want_atomic(&g, &(struct setting){ "switch_interrupt", RENDEZVOUS_BUSY, 1, due,
						   0 });
	}
}
