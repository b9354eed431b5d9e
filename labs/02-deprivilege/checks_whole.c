/* SPDX-License-Identifier: MIT */
/*
 * The lab as a whole: programs run in virtual mode from boot, good ones and an intruder, and the
 * machine is looked at from outside at many moments. Each check begins with a look at what its
 * machine rests on: a machine without bounces or events would only stand still.
 */
#include "checks.h"

enum { MOMENTS = 6, PROCESSES = 50, SYS_SHUTDOWN_STATUS = 0 /* argument */ };

static const char *run_words(const struct test *t, const char *before)
{
	return text_of("%srun=\"%s\"", before, t->text);
}

/* --- what the machine rests on --- */

/* Until this exercise is right only its consequences could be seen. */
static void needs(unsigned exercise, const char *check)
{
	judge_context = text_of("cannot be judged until exercise %u is right (check %s)", exercise,
				check);
}

/*
 * push $flags; popf; int $VEC_IRQ: from ring 1 or 3 that must lead to the kernel's handler of #GP,
 * without these flags.
 */
static void want_bounce(struct probe *p, unsigned ring, uint32_t flags)
{
	uint8_t code[] = { 0x68, 0, 0, 0, 0, 0x9D, 0xCD, VEC_IRQ };
	struct guest *g = &p->g;
	uint32_t esp = ring == 3 ? p->user_esp : p->entry.esp - 64;
	uint32_t due = ring == 3 ? p->stack - 4 * 6 : esp - 4 * 4;
	memcpy(code + 1, &flags, 4);
	uint32_t at = ring == 3 ? plant_user(p, code, sizeof(code)) : plant(g, code, sizeof(code));
	go_ring(p, ring, at, esp);
	uint32_t ds = g->c.ds.selector;
	set_shared(p, 0, 0);
	PROBE_RUN(p, text_of("a fault in ring %u", ring), p->handlers[VEC_GP]);
	CHECK(g->c.cpl == 1 && g->c.esp == due && g->c.ds.selector == ds &&
	      word_at(g, due + 4) == at + sizeof(code) - 2,
	      "the handler of a fault in ring %u begins in ring %u with ESP %#x, due is %#x; DS is "
	      "%#x, it was %#x; the frame has EIP %#x", ring, g->c.cpl, g->c.esp, due,
	      g->c.ds.selector, ds, word_at(g, due + 4));
	CHECK(!(g->c.eflags & flags & ~(uint32_t)EFLAGS_FIXED),
	      "the handler of a fault in ring %u runs with EFLAGS %#x", ring, g->c.eflags);
}

/* HC_EVENTS in ring 1 must lead to the timer's handler. */
static void want_delivery(struct probe *p)
{
	static const uint8_t code[] = { 0xB8, HC_EVENTS, 0, 0, 0, 0xCD, HYPERCALL_VECTOR };
	go_ring(p, 1, plant(&p->g, code, sizeof(code)), p->entry.esp - 64);
	set_shared(p, EFLAGS_IF, 1u << EVENT_TIMER);
	PROBE_RUN(p, "an event, with virtual IF 1", p->handlers[VEC_TIMER]);
	CHECK(!own_shared(p, VMM_SHARED_PENDING), "an event is pending after its delivery");
}

/* An operation of the VO, with virtual IF before. Result: its result. */
static uint32_t try_vo(struct probe *p, uint32_t offset, uint32_t argument, uint32_t vif)
{
	uint32_t esp = p->entry.esp - 64;
	set_words(&p->g, esp, WORDS(p->back, argument));
	set_shared(p, vif, 0);
	go(&p->g, symbol_file_word(symbol("virtual_vo") + offset), esp);
	PROBE_RUN(p, "an operation of the virtual VO", p->back);
	return p->g.c.eax;
}

/* The gate of a vector has this byte of access rights. */
static void want_gate(struct probe *p, unsigned vector, unsigned access)
{
	uint64_t gate;
	virtual_read(p->g.m, p->g.c.cr3, vmm_symbol("vmm_idt") + 8 * vector, &gate, 8);
	unsigned is = gate >> 40 & 0xFF;
	CHECK(is == access, "the gate of vector %#x has type %#x and DPL %u, not %#x and %u",
	      vector, is & 0xF, is >> 5 & 3, access & 0xF, access >> 5 & 3);
}

/* The tables of the submission, as far as no program could run without. */
static void want_base(struct probe *p)
{
	struct guest *g = &p->g;
	struct tss t;
	virtual_read(g->m, g->c.cr3, CPU_AT(0, TSS), &t, sizeof(t));
	needs(1, "tss");
	CHECK(t.ss1 == SEL_KDATA + 1, "the TSS has ss1 %#x", t.ss1);
	needs(2, "idt");
	want_gate(p, SYSCALL_VECTOR, 0xE0 | GATE_TRAP);
	want_gate(p, VEC_IRQ, 0x80 | GATE_INTERRUPT); /* want_bounce() raises it */
	needs(3, "install");
	want_tables(p);
	CHECK(t.esp1 == p->stack, "the TSS has esp1 %#x, not %#x", t.esp1, p->stack);
	needs(4, "descent");
	CHECK(g->c.cpl == 1 && g->c.cs.selector == (SEL_KCODE | 1) && g->c.eflags & EFLAGS_IF,
	      "the kernel arrives in ring %u with CS %#x and EFLAGS %#x", g->c.cpl,
	      g->c.cs.selector, g->c.eflags);
}

static void want_ring_1_works(struct probe *p, uint32_t flags)
{
	/* push $2; popf; mov $SEL_KDATA, %eax; to DS, ES, FS, GS: as the kernel had them */
	static const uint8_t normal[] = {
		0x6A, 0x02, 0x9D, 0xB8, SEL_KDATA, 0, 0, 0,
		0x8E, 0xD8, 0x8E, 0xC0, 0x8E, 0xE0, 0x8E, 0xE8,
	};
	struct cpu_state c = p->g.c;
	uint32_t top[TRAP_FRAME_BYTES / 4], at_top = p->stack - sizeof(top);
	virtual_read(p->g.m, c.cr3, at_top, top, sizeof(top)); /* the first process's registers */
	uint32_t pending = own_shared(p, VMM_SHARED_PENDING);
	want_base(p);
	needs(5, "save");
	uint32_t was = try_vo(p, VO_IRQ_SAVE, 0, EFLAGS_IF);
	CHECK(was & EFLAGS_IF && !own_shared(p, VMM_SHARED_VIF),
	      "with virtual IF %#x irq.save returns %#x and leaves virtual IF %#x", EFLAGS_IF,
	      was, own_shared(p, VMM_SHARED_VIF));
	needs(6, "restore");
	try_vo(p, VO_IRQ_RESTORE, EFLAGS_IF, 0);
	CHECK(own_shared(p, VMM_SHARED_VIF) == EFLAGS_IF,
	      "irq.restore(%#x) leaves virtual IF %#x", EFLAGS_IF, own_shared(p, VMM_SHARED_VIF));
	needs(7, "bounce-kernel");
	want_bounce(p, 1, flags);
	needs(7, "bounce-user");
	want_bounce(p, 3, flags);
	needs(8, "deliver");
	want_delivery(p);
	judge_context = NULL;
	set_shared(p, 0, pending);
	set_words(&p->g, at_top, top, LENGTH(top));
	run_here(&p->g, normal, sizeof(normal));
	set_registers(&p->g, &c);
	look(&p->g, 0);
}

/*
 * Boot, with the test's command to run, as far as ring 1, by what the submission has built. Events
 * and bounces are tried there once, from code with these flags. p2m: the order of machine frames;
 * NULL: as `make run` has it.
 */
static struct probe *begin(const struct test *t, const char *p2m, uint32_t flags)
{
	struct test with = *t;
	with.machine.cmdline = run_words(t, "");
	with.machine.p2m = p2m;
	struct probe *p = probe_own_way(&with, VMM_INSTALL);
	p->t = t;
	watch_ends(p, true);
	probe_arrive(p, p->back, "the descent to ring 1");
	want_ring_1_works(p, flags);
	watch_ends(p, false);
	allow_interrupts(p, true);
	return p;
}

/* The kernel has come to its own shutdown, with the commands' status. */
static void want_end(struct probe *p, unsigned processes)
{
	struct guest *g = &p->g;
	if (RUN(g, symbol("sys_shutdown")) != 0)
		give_up(FAILED, "the machine does not come to the end of the commands `%s`",
			g->m->o.cmdline);
	CHECK(g->c.cpl == 1, "the kernel runs in ring %u at the end", g->c.cpl);
	uint32_t status = argument(g, SYS_SHUTDOWN_STATUS), pid = variable(g, "next_pid", 0);
	CHECK(pid > processes,
	      "only %u processes were ever started; those commands start more than %u", pid,
	      processes);
	CHECK(!status, "the commands ended with status %u: their lines on the console say why",
	      status);
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
	struct probe *p = begin(t, judge_shuffle(t->number), EFLAGS_FIXED);
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

/*
 * Each interrupt is handled exactly once (V8): the ticks that the kernel has counted are those
 * that QEMU's virtual time says. What the VMM counts does not matter. The invariants hold at each
 * of these moments, and at places in the VMM and in the kernel.
 */
void check_count(const struct test *t)
{
	struct probe *p = begin(t, NULL, EFLAGS_FIXED);
	const uint32_t places[] = {
		vmm_symbol("exit_handle"), vmm_symbol("hypercall_handle"),
		vmm_symbol("irq_arrived"), symbol("syscall_entry"),
	};
	next_fork(p, 1);
	struct moment first = moment(p->g.m), last;
	for (unsigned i = 0; i < MOMENTS; i++) {
		next_fork(p, 4 + random_below(4));
		check_whole(p->g.m);
		last = moment(p->g.m);
		check_ticks(&first, &last);
	}
	CHECK(last.ticks - first.ticks >= 2 * MOMENTS, "only %u ticks were counted",
	      last.ticks - first.ticks);
	for (unsigned i = 0; i < LENGTH(places) && RUN(&p->g, places[i]) == 0; i++)
		check_whole(p->g.m);
	machine_quit(p->g.m);
}

/*
 * The programs' own verdict. It may hang on when a tick comes, and a stop moves the ticks that come
 * after it. So nothing stops this machine before its end.
 */
static void run_undisturbed(const struct test *t, unsigned order)
{
	struct machine_options o = t->machine;
	o.cmdline = run_words(t, "mode=virtual ");
	o.p2m = judge_shuffle(order);
	struct probe p = { .g = guest_start(&o, SECONDS) };
	want_end(&p, PROCESSES);
	machine_quit(p.g.m);
}

/* Programs set such flags: a handler that keeps them ends far from the cause. */
enum { PROGRAMS_FLAGS = EFLAGS_FIXED | EFLAGS_TF | EFLAGS_NT | EFLAGS_AC };

/* Under two orders of machine frames. */
void check_programs(const struct test *t)
{
	machine_quit(begin(t, NULL, PROGRAMS_FLAGS)->g.m);
	run_undisturbed(t, t->number);
	run_undisturbed(t, t->number + 100);
}
