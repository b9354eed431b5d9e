/* SPDX-License-Identifier: MIT */
/*
 * Running a machine from one breakpoint to the next, in QEMU or Bochs. With QEMU single CPUs can
 * run while others are held.
 */
#include "harness.h"

struct guest guest_start(const struct machine_options *o, double seconds)
{
	struct machine_options paused = *o;
	paused.paused = true;
	struct guest g = { .m = machine_start(&paused), .seconds = seconds };
	if (!o->bochs)
		gdb_connect(g.m);
	return g;
}

struct cpu_state state_of(const struct guest *g, unsigned cpu)
{
	return machine_cpu(g->m, cpu);
}

void look(struct guest *g, unsigned cpu)
{
	g->cpu = cpu;
	g->c = state_of(g, cpu);
}

/* --- breakpoints --- */

int find_breakpoint(const struct guest *g, uint32_t address)
{
	for (unsigned i = 0; i < g->nr_breakpoints; i++)
		if (g->breakpoints[i] == address)
			return (int)i;
	return -1;
}

bool break_at(struct guest *g, uint32_t address)
{
	if (find_breakpoint(g, address) >= 0)
		return false;
	if (g->nr_breakpoints == MAX_BREAKPOINTS)
		give_up(BROKEN, "too many breakpoints");
	debug_break(g->m, address, true);
	g->breakpoints[g->nr_breakpoints++] = address;
	return true;
}

void break_off(struct guest *g, uint32_t address)
{
	int i = find_breakpoint(g, address);
	if (i < 0)
		return;
	debug_break(g->m, address, false);
	g->breakpoints[i] = g->breakpoints[--g->nr_breakpoints];
}

void watch(struct guest *g, const char *const *functions, unsigned n, bool on)
{
	for (unsigned i = 0; i < n; i++) {
		const char *name = functions[i];
		uint32_t address = symbol_exists(name) ? symbol(name) : vmm_symbol(name);
		if (on)
			break_at(g, address);
		else
			break_off(g, address);
	}
}

/* --- going on --- */

void step(struct guest *g, unsigned cpu)
{
	if (gdb_run_cpus(g->m, 1u << cpu, true, g->seconds) < 0)
		give_up(FAILED, "CPU %u does not end a single instruction", cpu);
}

/*
 * The CPU would stop again at once where it stands, at a breakpoint. QEMU ignores breakpoints
 * while it executes a single instruction.
 */
static void step_off(struct guest *g, unsigned cpu)
{
	struct cpu_state c;
	g->held &= ~(1u << cpu);
	if (cpu == g->cpu && find_breakpoint(g, g->c.eip) < 0)
		return;
	gdb_select(g->m, cpu);
	gdb_registers(g->m, &c); /* the check may have set some of them since the stop */
	if (find_breakpoint(g, c.eip) < 0)
		return;
	if (execute_here(g, &c))
		set_registers(g, &c);
	else
		step(g, cpu);
}

static int stopped(struct guest *g, int cpu)
{
	if (cpu < 0)
		return -1;
	g->held |= 1u << cpu;
	g->cpu = (unsigned)cpu;
	if (g->m->o.bochs)
		look(g, g->cpu);
	else
		gdb_registers(g->m, &g->c);
	return cpu;
}

int run_for(struct guest *g, unsigned cpus, double seconds)
{
	for (unsigned i = 0; i < g->m->o.cpus; i++)
		if (g->held & cpus & 1u << i)
			step_off(g, i);
	return stopped(g, gdb_run_cpus(g->m, cpus, false, seconds));
}

int run_cpus(struct guest *g, unsigned cpus)
{
	if (g->m->o.bochs)
		return stopped(g, debug_run(g->m, g->seconds) ? 0 : -1);
	return run_for(g, cpus, g->seconds);
}

int run_to_first(struct guest *g, const uint32_t *addresses, unsigned n)
{
	int first = -1;
	for (unsigned i = 0; i < n; i++)
		break_at(g, addresses[i]);
	if (run_cpus(g, ALL_CPUS) < 0)
		return -1;
	for (unsigned i = n; i-- > 0;) {
		if (g->c.eip == addresses[i])
			first = (int)i;
		break_off(g, addresses[i]);
	}
	return first;
}
