/* SPDX-License-Identifier: MIT */
/*
 * Exercises 7 and 8, each alone: saved selectors in frames that the check has made up, and the VO,
 * which the check has filled with garbage.
 */
#include "creep.h"

/* --- exercise 7: translate_trap_frames() --- */

enum { MAX_FRAMES = 5, FRAME_WORDS = TRAP_FRAME_BYTES / 4, CS_WORD = TRAP_FRAME_CS / 4 };

struct frames {
	unsigned n;
	uint32_t task, at[MAX_FRAMES], words[MAX_FRAMES][FRAME_WORDS];
};

/* An address of the kernel's text. */
static uint32_t interrupted_at(void)
{
	return symbol("image_start") + random_below(symbol("fixups_start") - symbol("image_start"));
}

/* Frames of random words in the free part of the task's stack, in any order. */
static void make_frames(struct guest *g, struct frames *f)
{
	uint32_t low = f->task + TASK_STACK_BYTES / 4, skew = random_below(MAX_FRAMES);
	for (unsigned i = 0; i < f->n; i++)
		f->at[i] = low + (i + skew) % MAX_FRAMES * 2 * TRAP_FRAME_BYTES;
	for (unsigned i = 0; i < f->n; i++) {
		for (unsigned w = 0; w < FRAME_WORDS; w++)
			f->words[i][w] = random_word();
		f->words[i][TRAP_FRAME_OUTER / 4] = i + 1 < f->n ? f->at[i + 1] : 0;
		f->words[i][CS_WORD] = SEL_KCODE | random_below(2);
		f->words[i][TRAP_FRAME_EIP / 4] = interrupted_at();
		set_words(g, f->at[i], f->words[i], FRAME_WORDS);
	}
	set_word(g, f->task + TASK_TRAP_FRAMES, f->n ? f->at[0] : 0);
}

static void want_translated(struct guest *g, const struct frames *f, bool attach)
{
	for (unsigned i = 0; i < f->n; i++)
		for (unsigned w = 0; w < FRAME_WORDS; w++) {
			uint32_t is = word_at(g, f->at[i] + 4 * w), was = f->words[i][w];
			if (w == CS_WORD)
				CHECK(is == (SEL_KCODE | attach),
				      "frame %u of %u: CS was %#x and is %#x, not %#x; the kernel "
				      "goes on there in ring %u, and IRET to another RPL is "
				      "#GP(8) (exercise 7; SDM vol. 2, IRET)", i + 1, f->n, was, is,
				      SEL_KCODE | attach, attach);
			else
				CHECK(is == was, "frame %u of %u: the word at offset %u was %#x and"
				      " is %#x: only CS may change (exercise 7)", i + 1, f->n,
				      4 * w, was, is);
		}
	CHECK(word_at(g, f->task + TASK_TRAP_FRAMES) == (f->n ? f->at[0] : 0),
	      "the task's list of frames is changed (exercise 7)");
}

static void translate_once(struct guest *g, uint32_t task, unsigned n, bool attach)
{
	struct frames f = { .n = n, .task = task };
	uint32_t top = task + TASK_STACK_BYTES - TRAP_FRAME_BYTES + TRAP_FRAME_CS;
	uint32_t programs = word_at(g, top);
	make_frames(g, &f);
	say(g, RENDEZVOUS_ATTACH, random_below(2)); /* a roll-back goes the other way */
	begin(g, "translate_trap_frames", WORDS(task, attach));
	run_on(g, "translate_trap_frames() is called (exercise 7)");
	want_translated(g, &f, attach);
	CHECK(word_at(g, top) == programs,
	      "CS at the top of the task's stack was %#x and is %#x: a program's frame is there, "
	      "which is not on the list (exercise 7)", programs, word_at(g, top));
	leave(g);
}

void check_selectors(const struct test *t)
{
	struct guest g = enter(t, 6);
	uint32_t task = task_of(&(struct cpu_state){ .esp = state_of(&g, 1).esp });
	uint32_t own = word_at(&g, task + TASK_TRAP_FRAMES);
	choose(&g, 0); /* not that task's CPU */
	for (unsigned n = 0; n <= MAX_FRAMES; n++) {
		translate_once(&g, task, n, true);
		translate_once(&g, task, n, false);
	}
	set_word(&g, task + TASK_TRAP_FRAMES, own);
}

/* --- exercise 8: commit() --- */

enum { VO_WORDS = VO_BYTES / 4 };

/* Garbage, or what is there before a genuine commit: the other table. */
static void fill_vo(struct guest *g, const char *other)
{
	bool genuine = random_below(2);
	for (unsigned i = 0; i < VO_WORDS; i++)
		set_variable(g, "vo", i, genuine ? variable(g, other, i) : random_word());
}

/* Where this CPU has its virtual interrupt flag. */
static uint32_t vif_at(struct guest *g)
{
	uint32_t vcpu = word_at(g, vmm_symbol("vmm_cpus") + g->cpu * CPU_BYTES);
	return word_at(g, vcpu + VCPU_SHARED) + VMM_SHARED_VIF;
}

/* Run commit() to its end; nothing else runs. Result: what it returns. */
static int commit(struct guest *g, bool attach)
{
	uint32_t vmm = symbol("vmm_call");
	call_begin(g, symbol("commit"), WORDS(attach));
	break_at(g, vmm);
	run_on(g, "commit() is called (exercise 8)");
	if (g->c.eip == vmm) {
		CHECK(argument(g, 1) == g->cpu,
		      "commit() calls vmm_call() on CPU %u for CPU %u, whose stack the VMM would "
		      "use (exercise 8)", g->cpu, argument(g, 1));
		run_on(g, "vmm_call() is called by commit() (exercise 8)");
	}
	break_off(g, vmm);
	CHECK(call_ended(g), "commit() comes to %s (exercise 8)",
	      symbol_place(g->c.eip));
	int result = (int)g->c.eax;
	call_end(g);
	return result;
}

static void commit_once(struct guest *g, bool attach)
{
	const char *name = attach ? "virtual_vo" : "native_vo";
	const char *other = attach ? "native_vo" : "virtual_vo";
	const char *direction = attach ? "attach" : "detach";
	uint32_t attachment = nr_attachments(g);
	pretend_cpus(g);
	say(g, RENDEZVOUS_ATTACH, attach);
	fill_vo(g, other);
	set_word(g, vif_at(g), 0);
	int result = commit(g, attach);
	CHECK(result == 0, "commit() of %s returns %s, not 0 (exercise 8)", direction,
	      error_text(result));
	CHECK(!word_at(g, vif_at(g)),
	      "commit() of %s turns virtual interrupts on: a handler runs in the middle of the "
	      "switch (exercise 8)", direction);
	CHECK(!vo_is(g, other), "after commit() of %s `vo` is %s, not %s (exercise 8)", direction,
	      other, name);
	for (unsigned i = 0; i < VO_WORDS; i++) {
		uint32_t is = variable(g, "vo", i), wanted = variable(g, name, i);
		CHECK(is == wanted,
		      "after commit() of %s word %u of `vo` is %#x, not %#x, which is %s's: not "
		      "all of the table is exchanged (exercise 8)", direction, i, is, wanted, name);
	}
	if (attach)
		CHECK(nr_attachments(g) == attachment,
		      "commit() of attach makes the VMM forget its types: they are needed now "
		      "(exercise 8)");
	else
		CHECK(nr_attachments(g) != attachment,
		      "after commit() of detach the VMM still has the types of that attachment: "
		      "VMM_FORGET is missing (exercise 8)");
}

void check_commit(const struct test *t)
{
	struct guest g = enter(t, 8);
	for (unsigned i = 0; i < 8; i++) {
		choose_leader(&g, i % g.m->o.cpus);
		commit_once(&g, i & 1);
	}
}
