/* SPDX-License-Identifier: MIT */
/* The steps between two stops of the shell at its prompt (checks.h). */
#include "creep.h"

/* What a person with a debugger gets: the shell makes the switches by itself. */
static void help_debugging(struct machine *m, const struct test *t)
{
	static const char both_ways[] = "echo virtual > /proc/mode; echo native > /proc/mode\n";
	machine_send(m, t->text ? t->text : both_ways);
}

struct guest start(const struct test *t, unsigned k)
{
	struct machine_options o = t->machine;
	o.p2m = judge_shuffle(k);
	/* Small machines boot sooner, and have fewer tables to look at. */
	o.mem = 16 + random_below(random_below(4) ? 12 : 49);
	if (machine_debugged && o.bochs) /* its debugger has no shell */
		o.cmdline = "run=\"echo virtual > /proc/mode; echo native > /proc/mode\"";
	struct machine *m = start_to_prompt(&o);
	if (machine_debugged)
		help_debugging(m, t);
	if (o.bochs)
		machine_stop(m);
	else
		gdb_connect(m);
	return (struct guest){ .m = m, .seconds = o.bochs ? SECONDS : SWITCH_SECONDS };
}

struct guest enter(const struct test *t, unsigned k)
{
	struct guest g = start(t, k);
	ask(&g, true);
	bring_all(&g);
	break_off(&g, symbol("sys_exit"));
	return g;
}

/* A stop at sys_exit() says that the writer has ended, before what was waited for. */
void ask(struct guest *g, bool to_virtual)
{
	break_at(g, symbol("sys_exit"));
	machine_send(g->m,
		     to_virtual ? "echo virtual > /proc/mode\n" : "echo native > /proc/mode\n");
}

void settle(struct guest *g)
{
	stop_idle(g->m);
	g->held = 0;
	look(g, 0);
}

void rest(struct guest *g)
{
	break_off(g, symbol("sys_exit"));
	machine_continue(g->m);
	to_prompt(g, SECONDS);
	settle(g);
}

/* --- from one breakpoint to the next --- */

static int go_on_for(struct guest *g, unsigned cpus, double seconds)
{
	int cpu = run_for(g, cpus, seconds);
	CHECK(cpu >= 0 || !machine_ended(g->m), "the machine ended in the middle of a switch");
	return cpu;
}

/*
 * A CPU that waits in a loop without PAUSE keeps QEMU from running the CPUs after it: a counted
 * machine has one thread, and each of its turns begins with the first CPU. So from time to time
 * each CPU gets a turn alone. The times are the guest's.
 */
int go_on(struct guest *g, unsigned cpus)
{
	const double together = 0.005, alone = 0.002;
	if (g->m->o.cpus == 1)
		return go_on_for(g, cpus, g->seconds);
	for (double passed = 0; passed < g->seconds; passed += together) {
		int cpu = go_on_for(g, cpus, together);
		for (unsigned i = 0; i < g->m->o.cpus && cpu < 0; i++, passed += alone)
			if (cpus >> i & 1)
				cpu = go_on_for(g, 1u << i, alone);
		if (cpu >= 0)
			return cpu;
	}
	return -1;
}

static bool all_halted(struct guest *g)
{
	struct cpu_state cpus[CPUS_MAX];
	unsigned n = machine_state(g->m, cpus), halted = 0;
	for (unsigned i = 0; i < n; i++)
		halted += cpus[i].halted;
	return halted == n;
}

/* As go_on(), for a machine that runs: if the prompt does not come soon, it needs such turns. */
void to_prompt(struct guest *g, double seconds)
{
	const double soon = 1, together = 0.1, alone = 0.002;
	bool here = g->m->o.cpus > 1 && machine_sees(g->m, PROMPT, soon);
	if (here)
		return;
	for (double passed = soon; g->m->o.cpus > 1 && passed < seconds; passed += together) {
		if (machine_ended(g->m))
			break;
		machine_stop(g->m);
		bool spins = !all_halted(g);
		for (unsigned i = 0; i < g->m->o.cpus && spins; i++)
			go_on_for(g, 1u << i, alone);
		machine_continue(g->m);
		if (machine_sees(g->m, PROMPT, together))
			return;
		if (!spins)
			break;
	}
	machine_expect(g->m, PROMPT, g->m->o.cpus > 1 ? together : seconds);
}

void type(struct guest *g, const char *line, double seconds)
{
	machine_send(g->m, line);
	machine_send(g->m, "\n");
	machine_expect(g->m, "\n", 10); /* the echo */
	to_prompt(g, seconds);
}

unsigned reach(struct guest *g, const char *function, const char *what)
{
	uint32_t address = symbol(function);
	break_at(g, address);
	int cpu = go_on(g, ALL_CPUS);
	CHECK(cpu >= 0, "%s() was not reached within %g s: %s", function, g->seconds, what);
	CHECK(g->c.eip != symbol("sys_exit") || g->c.eip == address,
	      "the writer of /proc/mode has ended, and no CPU came to %s(): %s", function, what);
	CHECK(g->c.eip == address, "CPU %d came to %#x before any came to %s(): %s", cpu, g->c.eip,
	      function, what);
	break_off(g, address);
	return (unsigned)cpu;
}

unsigned all_cpus(const struct guest *g)
{
	return (1u << g->m->o.cpus) - 1;
}

uint32_t bring_all(struct guest *g)
{
	uint32_t back = 0, handler = symbol("switch_interrupt");
	break_at(g, handler);
	for (unsigned here = 0, all = all_cpus(g); here != all; here |= 1u << g->cpu) {
		CHECK(go_on(g, all & ~here) >= 0, "CPUs %#x of %#x came to switch_interrupt()",
		      here, all);
		CHECK(g->c.eip == handler,
		      "the writer of /proc/mode has ended, and only CPUs %#x of %#x came to "
		      "switch_interrupt(): no switch was asked for", here, all);
		back = return_address(g);
	}
	break_off(g, handler);
	return back;
}

/*
 * One CPU: let it run until the return address is read and the CPU is there. A function may read it
 * before, too. Result: 0; -1 if it does not come.
 */
static int run_to_return(struct guest *g, uint32_t back)
{
	enum { MOST = 100 };
	uint32_t slot = g->c.esp;
	int at = -1;
	gdb_watch_reads(g->m, slot, true);
	for (unsigned i = 0; i < MOST; i++) {
		at = go_on(g, 1);
		if (at < 0 || g->c.eip == back || find_breakpoint(g, g->c.eip) >= 0)
			break;
	}
	gdb_watch_reads(g->m, slot, false);
	return at;
}

/*
 * The same with several CPUs, of which any may come there: a task may have moved. go_on() stops
 * them now and then. A stop that comes at that moment is lost, and only a breakpoint repeats it.
 */
static int run_all_to_return(struct guest *g, uint32_t back)
{
	break_at(g, back);
	int at = go_on(g, ALL_CPUS);
	break_off(g, back);
	return at;
}

int result_of(struct guest *g)
{
	uint32_t called = g->c.eip, back = return_address(g);
	int at = g->m->o.cpus > 1 ? run_all_to_return(g, back) : run_to_return(g, back);
	CHECK(at >= 0,
	      "the function at %#x does not return: it hangs, or waits for "
	      "something that does not come",
	      called);
	CHECK(g->c.eip == back, "the function at %#x has not returned when CPU %d is at %#x",
	      called, at, g->c.eip);
	return (int)g->c.eax;
}

/* --- whole switches --- */

void let_clock_overflow(struct guest *g)
{
	enum { NS_BEFORE = 500000000 };
	uint32_t now = CALL(g, "native_time_now", 0); /* its lower half */
	uint64_t more = (uint32_t)(0u - NS_BEFORE - now);
	uint64_t ticks = (more << 24) / variable(g, "ns_multiplier", 0);
	uint64_t start = variable(g, "tsc_start", 0) | (uint64_t)variable(g, "tsc_start", 1) << 32;
	start -= ticks;
	set_variable(g, "tsc_start", 0, (uint32_t)start);
	set_variable(g, "tsc_start", 1, (uint32_t)(start >> 32));
}

int switch_once(struct guest *g, bool to_virtual)
{
	ask(g, to_virtual);
	reach(g, "switch_mode", "the shell writes to /proc/mode");
	if (g->m->o.cpus > 1)
		let_clock_overflow(g);
	return result_of(g);
}

void must_switch(struct guest *g, bool to_virtual)
{
	int error = switch_once(g, to_virtual);
	CHECK(error == 0, "the switch to %s mode ends with %s", to_virtual ? "virtual" : "native",
	      error_text(error));
	rest(g);
}

static bool in_vmm(const struct segment *table)
{
	return table->base >= VMM_BASE;
}

void look_at_switch(struct guest *g)
{
	g->seconds = SECONDS; /* up to the switch programs run */
	reach(g, "switch_mode", "the mode is changed all the time");
	g->seconds = SWITCH_SECONDS;
	bool to_virtual = argument(g, 0) & 0xFF;
	uint32_t cr3 = g->c.cr3;
	int error = result_of(g);
	const struct cpu_state *c = &g->c;
	look(g, g->cpu);
	CHECK(error == 0, "a switch under load ends with %s", error_text(error));
	CHECK(c->cpl == to_virtual && in_vmm(&c->gdt) == to_virtual &&
	      in_vmm(&c->idt) == to_virtual && in_vmm(&c->tr) == to_virtual,
	      "switch_mode() says that the mode is %s now, and the CPU is in ring %u with GDTR %#x,"
	      " IDTR %#x, TSS %#x", to_virtual ? "virtual" : "native", c->cpl, c->gdt.base,
	      c->idt.base, c->tr.base);
	uint32_t kernel = page_walk(g->m, cr3, kernel_word(g->m, "kernel_directory")).machine;
	CHECK(c->cr3 == cr3 || c->cr3 == kernel,
	      "CR3 was %#x before the switch and is %#x after it", cr3, c->cr3);
	CHECK(vo_is(g, to_virtual ? "virtual_vo" : "native_vo"),
	      "switch_mode() says that the mode is %s now, and the VO in use is not that mode's",
	      to_virtual ? "virtual" : "native");
}

/* --- what is counted --- */

uint32_t count_of_vector(struct guest *g, unsigned vector)
{
	return variable(g, "counts", vector);
}

uint32_t nr_attachments(struct guest *g)
{
	return vmm_member(g, "domain0", DOMAIN_GENERATION);
}

uint32_t nr_counted(struct guest *g)
{
	uint32_t kernel = page_walk(g->m, g->c.cr3, kernel_word(g->m, "kernel_directory")).machine;
	struct frame_state *frames = frame_table_read(g->m, g->c.cr3, kernel_word(g->m, "nr_mfns"));
	uint32_t uses = frames[kernel >> PAGE_SHIFT].count;
	free(frames);
	return vmm_member(g, "domain0", DOMAIN_NR_LISTED) + uses;
}
