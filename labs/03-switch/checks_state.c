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
	uint32_t attachments = nr_attachments(g);
	int error = result_of(g);
	CHECK(error == 0, "commit() returns %s", error_text(error));
	CHECK(!attach || nr_attachments(g) == attachments,
	      "after commit() of attach the VMM has forgotten its types, which V7 is about: they "
	      "are needed now (exercise 8)");
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

enum { MAX_STOPS = 3000, MAX_LIST = 1000, HAZARD_RESCHED = 1 };

/* The next interrupt ends this task's turn. */
static void end_turn(struct guest *g, uint32_t task)
{
	set_word(g, task + TASK_HAZARD, HAZARD_RESCHED);
}

/*
 * A page fault. In the kernel's own code, which then has two frames, the task is preempted at once.
 * Result: the task; 0 if it goes on.
 */
static uint32_t preempt_here(struct guest *g)
{
	uint32_t task = task_of(&g->c);
	if (!word_at(g, task + TASK_TRAP_FRAMES) || word_at(g, task + TASK_PREEMPT))
		return 0;
	end_turn(g, task);
	press_key(g);
	return task;
}

static void want_selector(struct guest *g, uint32_t task, uint32_t frame, unsigned n, bool attach)
{
	unsigned wanted = SEL_KCODE | (attach ? 1 : 0);
	uint32_t cs = word_at(g, frame + TRAP_FRAME_CS), eip = word_at(g, frame + TRAP_FRAME_EIP);
	CHECK(cs == wanted,
	      "frame %u of the task at %#x, interrupted at %#x, has CS %#x before commit(); to go "
	      "on in ring %u it needs %#x: IRET from there to another RPL is #GP(8) (exercise 7; "
	      "SDM vol. 2, IRET)", n, task, eip, cs, wanted & 1, wanted);
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

/*
 * At the commit all preempted tasks are translated. The writer's turn ends after each switch.
 * Result: in which direction this task was among them; -1: it is not, and has gone on already.
 */
static int look_at_commit(struct guest *g, uint32_t task)
{
	bool attach = argument(g, 0) & 0xFF;
	unsigned n = 0;
	int seen = -1;
	CHECK(want_selectors(g, task_of(&g->c), attach) > 0,
	      "the leader has no frame of the kernel's");
	uint32_t at = kernel_word(g->m, "preempted");
	for (; at && n < MAX_LIST; at = word_at(g, at + TASK_PREEMPTED_NEXT), n++)
		if (want_selectors(g, at, attach) >= 2 && at == task)
			seen = attach;
	end_turn(g, task_of(&g->c));
	return seen;
}

/* With right frames all programs go on, and end: torn, and its workers. */
static void end_programs(struct guest *g, uint32_t commit)
{
	enum { PROCESSES = 4 };
	for (unsigned ended = 0; ended < PROCESSES;) {
		CHECK(go_on(g, 1) == 0, "only %u of %u processes end that were switched while they "
		      "faulted", ended, PROCESSES);
		if (g->c.eip == commit)
			look_at_commit(g, 0);
		else
			ended++;
	}
	break_off(g, commit), break_off(g, symbol("sys_exit"));
}

/* Programs fault, and one of them changes the mode, until a preempted task was seen both ways. */
void check_frames(const struct test *t)
{
	struct guest g = start(t, 6);
	uint32_t commit = symbol("commit"), fault = symbol("mm_fault"), task = 0;
	unsigned seen = 0;
	break_at(&g, commit), break_at(&g, fault), break_at(&g, symbol("sys_exit"));
	machine_send(g.m, t->text);
	for (unsigned i = 0; seen != 3; i++) {
		CHECK(i < MAX_STOPS && go_on(&g, 1) == 0 && g.c.eip != symbol("sys_exit"),
		      "programs fault, a program changes the mode, and after %u stops no commit "
		      "with a task that was preempted in the kernel was seen in %s", i,
		      seen & 1 ? "attach" : seen ? "detach" : "either direction");
		if (g.c.eip == fault) {
			uint32_t preempted = preempt_here(&g);
			task = preempted ? preempted : task;
			continue;
		}
		int direction = look_at_commit(&g, task);
		seen |= direction < 0 ? 0 : 1u << direction;
	}
	break_off(&g, fault);
	end_programs(&g, commit);
	machine_continue(g.m);
	machine_expect(g.m, PROMPT, 10);
}
