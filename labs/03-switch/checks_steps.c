/* SPDX-License-Identifier: MIT */
/* The steps between two stops of the shell at its prompt (checks.h). */
#include "checks.h"

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
	if (machine_debugged && o.bochs) /* its debugger has no shell */
		o.cmdline = "run=\"echo virtual > /proc/mode; echo native > /proc/mode\"";
	struct machine *m = start_to_prompt(&o);
	if (machine_debugged)
		help_debugging(m, t);
	if (o.bochs)
		machine_stop(m);
	else
		gdb_connect(m);
	return (struct guest){ .m = m, .seconds = SECONDS };
}

void ask(struct guest *g, bool to_virtual)
{
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
	machine_continue(g->m);
	machine_expect(g->m, PROMPT, g->seconds);
	settle(g);
}

/* --- from one breakpoint to the next --- */

static int go_on_for(struct guest *g, unsigned cpus, double seconds)
{
	int cpu = run_for(g, cpus, seconds);
	CHECK(cpu >= 0 || !machine_ended(g->m),
	      "the machine ended with status %d in the middle of a switch", g->m->exit_status);
	return cpu;
}

int go_on(struct guest *g, unsigned cpus)
{
	return go_on_for(g, cpus, g->seconds);
}

unsigned reach(struct guest *g, const char *function, const char *what)
{
	uint32_t address = symbol(function);
	break_at(g, address);
	int cpu = go_on(g, ALL_CPUS);
	CHECK(cpu >= 0, "%s() was not reached within %u s: %s", function, SECONDS, what);
	CHECK(g->c.eip == address, "CPU %d came to %#x before any came to %s(): %s", cpu, g->c.eip,
	      function, what);
	break_off(g, address);
	return (unsigned)cpu;
}

void want_none(struct guest *g, unsigned cpus, const char *what)
{
	/* The longer, the surer; a right submission is never caught. */
	int cpu = go_on_for(g, cpus, 0.05);
	g->m->late = false;
	CHECK(cpu < 0, "%s: CPU %d came to %#x", what, cpu, g->c.eip);
}

int result_of(struct guest *g)
{
	uint32_t called = g->c.eip, back = return_address(g);
	break_at(g, back);
	int at = go_on(g, ALL_CPUS); /* perhaps another CPU: a task may have moved */
	CHECK(at >= 0,
	      "the function at %#x does not return: it hangs, or waits for "
	      "something that does not come",
	      called);
	CHECK(g->c.eip == back, "the function at %#x has not returned when CPU %d is at %#x",
	      called, at, g->c.eip);
	break_off(g, back);
	return (int)g->c.eax;
}

/* --- whole switches --- */

int switch_once(struct guest *g, bool to_virtual)
{
	ask(g, to_virtual);
	reach(g, "switch_mode", "the shell writes to /proc/mode");
	return result_of(g);
}

void must_switch(struct guest *g, bool to_virtual)
{
	int error = switch_once(g, to_virtual);
	CHECK(error == 0, "the switch to %s mode ends with %s", to_virtual ? "virtual" : "native",
	      error_text(error));
	rest(g);
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

uint32_t nr_typed(struct guest *g)
{
	return vmm_member(g, "domain0", DOMAIN_NR_LISTED);
}
