/* SPDX-License-Identifier: MIT */
/* Lab 2 as a whole: programs run in virtual mode from boot, good ones and an intruder; looked at from outside at many
 * moments. */
#include "checks.h"

enum { MOMENTS = 6, PROCESSES = 50, SYS_SHUTDOWN_STATUS = 4 };

/* Boot, with the test's command to run, as far as ring 1. */
static struct probe *begin(const struct test *t)
{
	char words[600];
	struct test with = *t;
	snprintf(words, sizeof(words), "run=\"%s\"", t->text);
	with.machine.cmdline = words;
	struct probe *p = probe_enter(&with, VMM_INSTALL);
	probe_descend(p);
	allow_interrupts(p, true);
	return p;
}

/* The kernel has come to its own shutdown, with the commands' status. */
static void want_end(struct probe *p, unsigned processes)
{
	uint32_t status;
	probe_arrive(p, symbol("sys_shutdown"), "the end of the commands `%s`", p->m->o.cmdline);
	CHECK(p->c.cpl == 1, "the kernel runs in ring %u at the end", p->c.cpl);
	virtual_read(p->m, p->c.cr3, p->c.esp + SYS_SHUTDOWN_STATUS, &status, 4);
	uint32_t pid = physical_word(p->m, symbol("next_pid") - KERNEL_BASE);
	CHECK(pid > processes, "only %u processes were ever started; those commands start more than %u", pid,
	      processes);
	if (status)
		probe_lost(p, "the commands ended with status %u", status);
	check_whole(p->m);
	machine_continue(p->m);
	int end = machine_wait(p->m, SECONDS);
	CHECK(end == EXIT_OK, "the machine ended with status %d instead of %d", end, EXIT_OK);
}

/* --- exercises 2 to 4, from ring 3 --- */

/*
 * The intruder keeps what each of its attempts led to, and at its end makes a system call that shows where. Each INT but
 * three must have been #GP with the vector's number, which is what a gate's DPL does.
 */
void check_intruder(const struct test *t)
{
	struct probe *p = begin(t);
	struct { uint32_t vector, error; } record[512];
	uint32_t arguments[3], i = 0; /* address of the records, attempts, successes */
	probe_arrive(p, symbol("sys_getppid"), "the intruder's end; it has tried what a program must not do");
	virtual_read(p->m, p->c.cr3, p->c.esp + 4, arguments, sizeof(arguments));
	CHECK(arguments[1] > 350 && arguments[1] <= COUNT(record), "the intruder made %u attempts", arguments[1]);
	virtual_read(p->m, p->c.cr3, arguments[0], record, arguments[1] * sizeof(record[0]));
	for (unsigned n = 0; n < 256; n++) {
		if (n == VEC_BP || n == VEC_OF || n == SYSCALL_VECTOR)
			continue;
		CHECK(record[i].vector == VEC_GP && record[i].error == n * 8 + 2,
		      "INT %#x in ring 3: exception %u (255: it did not fault), error %#x; due is #GP with error %#x, because that "
		      "gate is not for programs (exercise 2: DPL)",
		      n, record[i].vector, record[i].error, n * 8 + 2);
		i++;
	}
	for (; i < arguments[1]; i++)
		CHECK(record[i].vector == VEC_GP || record[i].vector == VEC_PF,
		      "the intruder's attempt %u was not refused: its line on the console says what it was", i);
	CHECK(arguments[2] == 0, "the intruder counts %u successes: its lines on the console say which", arguments[2]);
}

/* --- events and invariants, while programs run --- */

static uint32_t handled(struct probe *p) /* interrupts that the kernel counted (/proc/interrupts) */
{
	uint32_t counts[256], sum = 0;
	physical_read(p->m, symbol("counts") - KERNEL_BASE, counts, sizeof(counts));
	for (unsigned v = VEC_EXCEPTIONS; v < 256; v++)
		sum += counts[v];
	return sum;
}

/*
 * The next fork, or a later one. A stop makes QEMU's virtual time jump to the next tick, so that ticks may come in
 * pairs, of which one is lost rightly if virtual IF is 0. At the begin of a system call it is 1.
 */
static void next_fork(struct probe *p, unsigned times)
{
	while (times--)
		probe_arrive(p, symbol("sys_fork"), "programs do not start programs any more");
}

/* Each interrupt is handled exactly once (V8): what arrived in the VMM was counted by the kernel, or is pending. */
void check_count(const struct test *t)
{
	enum { ARRIVED = SHARED_EXITS + 4 * EXIT_INTERRUPT };
	struct probe *p = begin(t);
	srand(judge_seed);
	next_fork(p, 1);
	uint32_t before = handled(p), arrived_before = shared_word(p, ARRIVED), arrived = 0;
	for (unsigned i = 0; i < MOMENTS; i++) {
		next_fork(p, 4 + (unsigned)rand() % 4);
		uint32_t done = handled(p) - before,
			 pending = (uint32_t)__builtin_popcount(shared_word(p, SHARED_PENDING));
		arrived = shared_word(p, ARRIVED) - arrived_before;
		CHECK(done + pending == arrived,
		      "%u interrupts came to the VMM, the kernel handled %u and %u are pending: %s (V8)", arrived, done,
		      pending, done + pending < arrived ? "events were lost" : "events were delivered twice");
	}
	CHECK(arrived >= 2 * MOMENTS, "only %u interrupts came", arrived);
	machine_quit(p->m);
}

/*
 * The programs' own verdict. It may hang on when a tick comes, and a stop moves the ticks that come after it, now more, now less: so
 * nothing stops this machine before its end.
 */
static void run_undisturbed(const struct test *t)
{
	struct probe p = { .user_page = 0 };
	struct machine_options o = t->machine;
	char words[600];
	snprintf(words, sizeof(words), "mode=virtual run=\"%s\"", t->text);
	o.cmdline = words, o.paused = true, o.p2m = judge_shuffle(t->number);
	p.m = machine_start(&o);
	gdb_connect(p.m);
	want_end(&p, PROCESSES);
	machine_quit(p.m);
}

/* The invariants, now in the VMM, now in the kernel. A machine that does not come there has been judged already. */
static void look_at_moments(const struct test *t)
{
	struct probe *p = begin(t);
	const uint32_t places[] = { vmm_symbol("trap_handle"), vmm_symbol("hypercall_handle"),
				    vmm_symbol("irq_arrived"), symbol("trap_handle"),
				    symbol("syscall_entry"),   symbol("sys_waitpid") };
	srand(judge_seed);
	for (unsigned i = 0; i < MOMENTS; i++) {
		bool there = true;
		for (unsigned k = 1 + (unsigned)rand() % 2; k-- && there;)
			there = RUN(p, symbol("sys_fork")) == 0;
		for (unsigned k = 1 + (unsigned)rand() % 3; k-- && there;)
			there = RUN(p, places[i % COUNT(places)]) == 0;
		if (!there)
			break;
		check_whole(p->m);
	}
}

void check_programs(const struct test *t)
{
	run_undisturbed(t);
	look_at_moments(t);
}
