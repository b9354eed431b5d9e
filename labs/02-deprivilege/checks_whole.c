/* SPDX-License-Identifier: MIT */
/*
 * The lab as a whole: programs run in virtual mode from boot, good ones and an intruder, and the
 * machine is looked at from outside at many moments.
 */
#include "checks.h"

/* --- exercises 2 to 4, from ring 3 --- */

enum { MAX_ATTEMPTS = 512, MIN_ATTEMPTS = 350 };
struct attempt { uint32_t vector, error; }; /* struct record of programs/intruder.c */

/* Result: the first attempt after the INTs. */
static uint32_t want_ints_refused(const struct attempt *attempts)
{
	uint32_t i = 0;
	for (unsigned n = 0; n < 256; n++) {
		if (n == VEC_BP || n == VEC_OF || n == SYSCALL_VECTOR)
			continue;
		const struct attempt *a = &attempts[i++];
		CHECK(a->vector == VEC_GP && a->error == n * 8 + 2,
		      "INT %#x in ring 3: exception %u (255: it did not fault), error %#x; due is "
		      "#GP with error %#x, because that gate is not for programs (exercise 2: DPL)",
		      n, a->vector, a->error, n * 8 + 2);
	}
	return i;
}

/*
 * The intruder keeps what each of its attempts led to, and at its end makes a system call that
 * shows where. Each INT but three must have been #GP with the vector's number, which is what a
 * gate's DPL does.
 */
void check_intruder(const struct test *t)
{
	struct probe *p = whole_start(t, judge_shuffle(t->number), EFLAGS_FIXED);
	struct guest *g = &p->g;
	struct attempt attempts[MAX_ATTEMPTS];
	probe_arrive(p, symbol("sys_getppid"),
		     "the intruder's end; it has tried what a program must not do");
	uint32_t at = argument(g, 0), n = argument(g, 1), successes = argument(g, 2);
	CHECK(n > MIN_ATTEMPTS && n <= MAX_ATTEMPTS, "the intruder made %u attempts", n);
	virtual_read(g->m, g->c.cr3, at, attempts, n * sizeof(attempts[0]));
	for (uint32_t i = want_ints_refused(attempts); i < n; i++)
		CHECK(attempts[i].vector == VEC_GP || attempts[i].vector == VEC_PF,
		      "the intruder's attempt %u was not refused: its line on the "
		      "console says what it was",
		      i);
	CHECK(successes == 0,
	      "the intruder counts %u successes: its lines on the console say which", successes);
}

/* --- counters of the check's own --- */

/*
 * Count the calls of the function to which this word points: the word leads to planted code
 * first. Nothing stops there, so no tick moves. Result: where the number is.
 */
static uint32_t count_calls(struct guest *g, uint32_t pointer)
{
	/* incl counter; push $function; ret */
	uint8_t code[] = { 0xFF, 0x05, 0, 0, 0, 0, 0x68, 0, 0, 0, 0, 0xC3 };
	uint32_t function = word_at(g, pointer), counter = plant(g, "", 1);
	memcpy(code + 2, &counter, 4);
	memcpy(code + 7, &function, 4);
	set_word(g, pointer, plant_in_text(g, code, sizeof(code)));
	return counter;
}

/* --- events and invariants, while programs run --- */

enum { MOMENTS = 6 };

/*
 * Go to the next fork, or a later one. A stop makes QEMU's virtual time jump to the next tick, so
 * ticks may come in pairs, of which one is lost rightly if virtual IF is 0. When a system call
 * begins it is 1.
 */
static void next_fork(struct probe *p, unsigned times)
{
	while (times--)
		CHECK(RUN(&p->g, symbol("sys_fork")) == 0,
		      "programs do not start programs any more: the machine ends, or hangs");
}

/* This moment, with the ticks by the check's counter. */
static struct moment moment_of(struct guest *g, uint32_t counter)
{
	struct moment now = moment(g->m);
	now.ticks = word_at(g, counter);
	return now;
}

/*
 * Each interrupt is handled exactly once (V8): the kernel's handler begins as often as QEMU's
 * virtual time says. What kernel and VMM count does not matter. The invariants hold at each of
 * these moments, and at places in the VMM and in the kernel.
 */
void check_count(const struct test *t)
{
	struct probe *p = whole_start(t, NULL, EFLAGS_FIXED);
	const uint32_t places[] = {
		vmm_symbol("exit_handle"), vmm_symbol("hypercall_handle"),
		vmm_symbol("irq_arrived"), symbol("syscall_entry"),
	};
	uint32_t handlers = vmm_symbol("domain0") + DOMAIN_HANDLERS;
	uint32_t counter = count_calls(&p->g, handlers + 4 * VEC_TIMER);
	next_fork(p, 1);
	struct moment first = moment_of(&p->g, counter), last;
	for (unsigned i = 0; i < MOMENTS; i++) {
		next_fork(p, 4 + random_below(4));
		check_whole(p->g.m);
		last = moment_of(&p->g, counter);
		check_ticks(&first, &last);
	}
	CHECK(last.ticks - first.ticks >= 2 * MOMENTS, "only %u ticks came to the kernel's handler",
	      last.ticks - first.ticks);
	for (unsigned i = 0; i < LENGTH(places) && RUN(&p->g, places[i]) == 0; i++)
		check_whole(p->g.m);
	machine_quit(p->g.m);
}

/* --- programs --- */

enum { PROCESSES = 50, SYS_SHUTDOWN_STATUS = 0 /* argument */ };

/* The number of this system call: its function's place in the kernel's table. */
static uint32_t number_of(struct guest *g, const char *function)
{
	uint32_t number = 0;
	while (variable(g, "syscall_table", number) != symbol(function))
		number++;
	return number;
}

/* Registers with which the current process has made its system call. */
static uint32_t called_with(struct guest *g, uint32_t offset)
{
	return word_at(g, task_of(&g->c) + TASK_STACK_BYTES - TRAP_FRAME_BYTES + offset);
}

/*
 * The first process has ended the machine, with the commands' status in its EBX; and so many
 * processes have ended themselves, by the check's counter.
 */
static void want_end(struct guest *g, uint32_t counter)
{
	if (RUN(g, symbol("sys_shutdown")) != 0)
		give_up(FAILED, "the machine does not come to the end of the commands `%s`",
			g->m->o.cmdline);
	uint32_t status = argument(g, SYS_SHUTDOWN_STATUS), ended = word_at(g, counter);
	CHECK(g->c.cpl == 1, "the kernel runs in ring %u at the end", g->c.cpl);
	CHECK(called_with(g, TRAP_FRAME_CS) == SEL_UCODE &&
	      called_with(g, TRAP_FRAME_EAX) == number_of(g, "sys_shutdown") &&
	      called_with(g, TRAP_FRAME_EBX) == status,
	      "the shutdown with status %u is no program's system call: its frame has CS %#x, "
	      "EAX %#x, EBX %#x", status, called_with(g, TRAP_FRAME_CS),
	      called_with(g, TRAP_FRAME_EAX), called_with(g, TRAP_FRAME_EBX));
	CHECK(ended > PROCESSES, "only %u processes have ended themselves by exit(); of those "
	      "commands more than %u do", ended, PROCESSES);
	CHECK(!status, "the commands ended with status %u: their lines on the console say why",
	      status);
	check_whole(g->m);
	machine_continue(g->m);
	int end = machine_wait(g->m, SECONDS);
	CHECK(end == EXIT_OK, "the machine ended with status %d instead of %d", end, EXIT_OK);
}

/*
 * The programs' own verdict. It may hang on when a tick comes, and a stop moves the ticks that come
 * after it. So after its attach nothing stops this machine before its end.
 */
static void run_undisturbed(const struct test *t, const char *one_more, unsigned order)
{
	struct machine_options o = t->machine;
	o.cmdline = text_of("mode=virtual run=\"%s %s\"", t->text, one_more);
	o.p2m = judge_shuffle(order);
	struct guest g = guest_start(&o, SECONDS);
	if (RUN(&g, symbol("switch_at_boot")) != 0)
		give_up(FAILED, "the machine does not come to its attach");
	uint32_t at = symbol("syscall_table") + 4 * number_of(&g, "sys_exit");
	want_end(&g, count_calls(&g, at));
	machine_quit(g.m);
}

/* Programs set such flags: a handler that keeps them ends far from the cause. */
enum { PROGRAMS_FLAGS = EFLAGS_FIXED | EFLAGS_TF | EFLAGS_NT | EFLAGS_AC };

/*
 * Under two orders of machine frames. What takes longest, many ticks in a loop, has nothing to do
 * with frames: one of it under each order.
 */
void check_programs(const struct test *t)
{
	machine_quit(whole_start(t, NULL, PROGRAMS_FLAGS)->g.m);
	run_undisturbed(t, "regs_preemption", t->number);
	run_undisturbed(t, "fpu_preemption", t->number + 100);
}
