/* SPDX-License-Identifier: MIT */
/* What a switch carries over: the VO in use, and the selectors in trap frames of the kernel. */
#include "checks.h"

/* --- commit --- */

/* The table changes in commit(), wholly, and nowhere else. */
static void watch_commit(struct guest *g, bool attach)
{
	const char *from = attach ? "native_vo" : "virtual_vo";
	const char *to = attach ? "virtual_vo" : "native_vo";
	ask(g, attach);
	reach(g, "commit", "the phases before it are done");
	CHECK(vo_is(g, from), "before commit() the table in use is not %s any more", from);
	int error = result_of(g);
	CHECK(error == 0, "commit() returns %s", error_text(error));
	CHECK(vo_is(g, to), "after commit() the table in use is not %s", to);
}

void check_attach(const struct test *t)
{
	struct guest g = start(t, 5);
	watch_commit(&g, true);
	rest(&g);
	want_virtual(&g);
	machine_continue(g.m);
	command(g.m, "ls /bin | wc; cat /proc/tasks", 20);
	settle(&g);
	want_virtual(&g);
}

/* --- frames of interrupted kernel code --- */

enum { MAX_FAULTS = 3000, MAX_LIST = 1000, MAX_TRIES = 100, HAZARD_RESCHED = 1 };

/*
 * Let a task be preempted in the kernel, in the middle of a page fault of the kernel's: so it has
 * two frames. Result: the task.
 */
static uint32_t preempt_one(struct guest *g)
{
	for (unsigned i = 0; i < MAX_FAULTS; i++) {
		reach(g, "mm_fault", "programs fault");
		uint32_t task = task_of(&g->c);
		if (!word_at(g, task + TASK_TRAP_FRAMES) || word_at(g, task + TASK_PREEMPT))
			continue;
		/* The next interrupt ends its turn. */
		set_word(g, task + TASK_HAZARD, HAZARD_RESCHED);
		press_key(g);
		return task;
	}
	give_up(BROKEN, "no page fault of the kernel's in %u", MAX_FAULTS);
}

static void want_selector(struct guest *g, uint32_t task, uint32_t frame, unsigned n, bool attach)
{
	unsigned wanted = SEL_KCODE | (attach ? 1 : 0);
	uint32_t cs = word_at(g, frame + TRAP_FRAME_CS), eip = word_at(g, frame + TRAP_FRAME_EIP);
	CHECK(cs == wanted,
	      "frame %u of the task at %#x, interrupted at %#x, has CS %#x before commit(); to go "
	      "on in ring %u it needs %#x: %s", n, task, eip, cs, wanted & 1, wanted,
	      attach ? "an IRET from ring 1 to 0x08 faults"
		     : "ring 0 takes the frame for one with ESP and SS, and pops two words more");
}

/* Result: how many frames the task has. */
static unsigned want_selectors(struct guest *g, uint32_t task, bool attach)
{
	unsigned n = 0;
	uint32_t frame = word_at(g, task + TASK_TRAP_FRAMES);
	for (; frame && n < MAX_LIST; frame = word_at(g, frame + TRAP_FRAME_OUTER))
		want_selector(g, task, frame, ++n, attach);
	return n;
}

/* One try. seen: in which directions the preempted task was seen at the commit. */
static void frames_once(struct guest *g, bool seen[2])
{
	uint32_t task = preempt_one(g), n = 0;
	reach(g, "commit", "the switcher changes the mode all the time");
	bool attach = argument(g, 0) & 0xFF;
	CHECK(want_selectors(g, task_of(&g->c), attach) > 0,
	      "the leader has no frame of the kernel's");
	uint32_t at = kernel_word(g->m, "preempted");
	for (; at && n < MAX_LIST; at = word_at(g, at + TASK_PREEMPTED_NEXT), n++) {
		bool two = want_selectors(g, at, attach) >= 2;
		seen[attach] |= two && at == task; /* else it has gone on already */
	}
}

void check_frames(const struct test *t)
{
	struct guest g = start(t, 6);
	bool seen[2] = { false, false };
	machine_send(g.m, t->text);
	for (unsigned i = 0; !seen[0] || !seen[1]; i++) {
		if (i == MAX_TRIES)
			give_up(BROKEN, "no switch with a preempted task in %u", i);
		frames_once(&g, seen);
	}
	machine_continue(g.m);
	machine_expect(g.m, PROMPT, 10); /* with right frames all programs go on */
}
