/* SPDX-License-Identifier: MIT */
/*
 * The lab as a whole: programs run in virtual mode from boot, good ones and an intruder, and the
 * machine is looked at from outside at many moments.
 */
#include "checks.h"

enum { MOMENTS = 6, PROCESSES = 50, SYS_SHUTDOWN_STATUS = 0 /* argument */ };

static char *run_words(const struct test *t, const char *before)
{
	char *words;
	if (asprintf(&words, "%srun=\"%s\"", before, t->text) < 0)
		give_up(BROKEN, "no memory");
	return words;
}

/* Boot, with the test's command to run, as far as ring 1. */
static struct probe *begin(const struct test *t)
{
	struct test with = *t;
	with.machine.cmdline = run_words(t, "");
	struct probe *p = probe_enter(&with, VMM_INSTALL);
	probe_descend(p);
	allow_interrupts(p, true);
	return p;
}

/* The kernel has come to its own shutdown, with the commands' status. */
static void want_end(struct probe *p, unsigned processes)
{
	struct guest *g = &p->g;
	probe_arrive(p, symbol("sys_shutdown"), "the end of the commands `%s`", g->m->o.cmdline);
	CHECK(g->c.cpl == 1, "the kernel runs in ring %u at the end", g->c.cpl);
	uint32_t status = argument(g, SYS_SHUTDOWN_STATUS), pid = variable(g, "next_pid", 0);
	CHECK(pid > processes,
	      "only %u processes were ever started; those commands start more than %u", pid,
	      processes);
	if (status)
		probe_lost(p, "the commands ended with status %u", status);
	check_whole(g->m);
	machine_continue(g->m);
	int end = machine_wait(g->m, SECONDS);
	CHECK(end == EXIT_OK, "the machine ended with status %d instead of %d", end, EXIT_OK);
}

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
	struct probe *p = begin(t);
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

/* --- events and invariants, while programs run --- */

/* Interrupts that the kernel counted (/proc/interrupts). */
static uint32_t handled(struct probe *p)
{
	uint32_t counts[256], sum = 0;
	physical_read(p->g.m, symbol("counts") - KERNEL_BASE, counts, sizeof(counts));
	for (unsigned v = VEC_EXCEPTIONS; v < 256; v++)
		sum += counts[v];
	return sum;
}

/*
 * Go to the next fork, or a later one. A stop makes QEMU's virtual time jump to the next tick, so
 * ticks may come in pairs, of which one is lost rightly if virtual IF is 0. When a system call
 * begins it is 1.
 */
static void next_fork(struct probe *p, unsigned times)
{
	while (times--)
		probe_arrive(p, symbol("sys_fork"), "programs do not start programs any more");
}

static uint32_t arrived(struct probe *p)
{
	return shared_word(&p->g, VMM_SHARED_EXITS + 4 * EXIT_INTERRUPT);
}

/*
 * Each interrupt is handled exactly once (V8): what arrived in the VMM was counted by the kernel,
 * or is pending.
 */
void check_count(const struct test *t)
{
	struct probe *p = begin(t);
	next_fork(p, 1);
	uint32_t handled_before = handled(p), arrived_before = arrived(p), came = 0;
	for (unsigned i = 0; i < MOMENTS; i++) {
		next_fork(p, 4 + random_below(4));
		uint32_t done = handled(p) - handled_before;
		uint32_t events = shared_word(&p->g, VMM_SHARED_PENDING);
		uint32_t pending = (uint32_t)__builtin_popcount(events);
		came = arrived(p) - arrived_before;
		CHECK(done + pending == came,
		      "%u interrupts came to the VMM, the kernel handled %u and "
		      "%u are pending: %s (V8)",
		      came, done, pending,
		      done + pending < came ? "events were lost" : "events were delivered twice");
	}
	CHECK(came >= 2 * MOMENTS, "only %u interrupts came", came);
	machine_quit(p->g.m);
}

/*
 * The programs' own verdict. It may hang on when a tick comes, and a stop moves the ticks that come
 * after it. So nothing stops this machine before its end.
 */
static void run_undisturbed(const struct test *t)
{
	struct machine_options o = t->machine;
	o.cmdline = run_words(t, "mode=virtual ");
	o.p2m = judge_shuffle(t->number);
	struct probe p = { .g = guest_start(&o, SECONDS) };
	want_end(&p, PROCESSES);
	machine_quit(p.g.m);
}

static bool goes_to(struct probe *p, uint32_t address, unsigned times)
{
	while (times--)
		if (RUN(&p->g, address) != 0)
			return false;
	return true;
}

/*
 * The invariants, at places in the VMM and in the kernel. A machine that does not come there has
 * been judged already.
 */
static void look_at_moments(const struct test *t)
{
	struct probe *p = begin(t);
	const uint32_t places[] = {
		vmm_symbol("exit_handle"), vmm_symbol("hypercall_handle"),
		vmm_symbol("irq_arrived"),
		symbol("trap_handle"), symbol("syscall_entry"), symbol("sys_waitpid"),
	};
	for (unsigned i = 0; i < MOMENTS; i++) {
		if (!goes_to(p, symbol("sys_fork"), 1 + random_below(2)) ||
		    !goes_to(p, places[i % LENGTH(places)], 1 + random_below(3)))
			break;
		check_whole(p->g.m);
	}
}

void check_programs(const struct test *t)
{
	run_undisturbed(t);
	look_at_moments(t);
}
