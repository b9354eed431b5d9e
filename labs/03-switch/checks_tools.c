/* SPDX-License-Identifier: MIT */
/* Tools of this lab's checks: see checks.h. */
#include "checks.h"

enum { MAX_STOPS = 12 };
static uint32_t stops[MAX_STOPS];
static unsigned nr_stops, at_stop; /* at_stop: CPUs, as bits, that were reported there and have not gone on */

struct machine *lab3_start(const struct test *t, unsigned k)
{
	struct machine_options o = t->machine;
	o.p2m = judge_shuffle(k);
	if (machine_debugged && o.bochs) /* its debugger has no shell */
		o.cmdline = "run=\"echo virtual > /proc/mode; echo native > /proc/mode\"";
	struct machine *m = start_to_prompt(&o);
	if (machine_debugged) /* what the check goes on with needs the debugger, which a person has now */
		machine_send(m, t->text ? t->text : "echo virtual > /proc/mode; echo native > /proc/mode\n");
	if (o.bochs)
		machine_stop(m);
	else
		gdb_connect(m);
	return m;
}

void lab3_ask(struct machine *m, bool to_virtual)
{
	machine_send(m, to_virtual ? "echo virtual > /proc/mode\n" : "echo native > /proc/mode\n");
}

/* --- breakpoints --- */

void lab3_stop_at(struct machine *m, uint32_t address)
{
	if (nr_stops == MAX_STOPS)
		give_up(BROKEN, "too many breakpoints");
	gdb_break(m, address, true);
	stops[nr_stops++] = address;
}

void lab3_pass(struct machine *m, uint32_t address)
{
	for (unsigned i = 0; i < nr_stops; i++)
		if (stops[i] == address) {
			gdb_break(m, address, false);
			stops[i] = stops[--nr_stops];
			return;
		}
}

struct cpu_state lab3_state(struct machine *m, unsigned cpu)
{
	struct cpu_state cpus[CPUS_MAX];
	machine_state(m, cpus);
	return cpus[cpu];
}

/* A breakpoint where a CPU stands would stop it again at once: it goes one instruction further without. */
static void step_off(struct machine *m, unsigned cpu)
{
	uint32_t eip = lab3_state(m, cpu).eip;
	at_stop &= ~(1u << cpu);
	for (unsigned i = 0; i < nr_stops; i++)
		if (stops[i] == eip) {
			gdb_break(m, eip, false);
			gdb_run_cpus(m, 1u << cpu, true, machine_limit(SECONDS));
			gdb_break(m, eip, true);
			return;
		}
}

static int run_until(struct machine *m, unsigned cpus, double limit)
{
	for (unsigned i = 0; i < m->o.cpus; i++)
		if (at_stop & cpus & 1u << i)
			step_off(m, i);
	int cpu = gdb_run_cpus(m, cpus, false, limit);
	CHECK(cpu >= 0 || !machine_ended(m), "the machine ended with status %d in the middle of a switch", m->exit_status);
	if (cpu >= 0)
		at_stop |= 1u << cpu;
	return cpu;
}

/* Where instructions are counted, they alone decide. */
int lab3_run_cpus(struct machine *m, unsigned cpus, double seconds)
{
	return run_until(m, cpus, machine_limit(m->o.budget ? 10 * seconds : seconds));
}

unsigned lab3_run_to(struct machine *m, const char *function, const char *what)
{
	uint32_t address = symbol(function);
	lab3_stop_at(m, address);
	int cpu = lab3_run_cpus(m, ALL_CPUS, SECONDS);
	CHECK(cpu >= 0, "%s() was not reached within %u s: %s", function, SECONDS, what);
	uint32_t eip = lab3_state(m, (unsigned)cpu).eip;
	CHECK(eip == address, "CPU %d came to %#x before any came to %s(): %s", cpu, eip, function, what);
	lab3_pass(m, address);
	return (unsigned)cpu;
}

void lab3_want_none(struct machine *m, unsigned cpus, const char *what)
{
	int cpu = run_until(m, cpus, clock_seconds() + 0.1); /* the longer, the surer; a right one is never caught */
	m->late = false;
	if (cpu >= 0)
		give_up(FAILED, "%s: CPU %d came to %#x", what, cpu, lab3_state(m, (unsigned)cpu).eip);
}

/* --- a CPU's state --- */

uint32_t lab3_word(struct machine *m, const struct cpu_state *c, uint32_t address)
{
	uint32_t word;
	virtual_read(m, c->cr3, address, &word, 4);
	return word;
}

void lab3_set_word(struct machine *m, const struct cpu_state *c, uint32_t address, uint32_t value)
{
	struct walk w = page_walk(m, c->cr3, address);
	CHECK(w.present, "nothing is mapped at %#x", address);
	physical_write(m, w.machine, &value, 4);
}

int lab3_result(struct machine *m, unsigned cpu)
{
	struct cpu_state c = lab3_state(m, cpu);
	uint32_t called = c.eip, back = lab3_word(m, &c, c.esp);
	lab3_stop_at(m, back);
	int at = lab3_run_cpus(m, ALL_CPUS, SECONDS);
	CHECK(at >= 0, "the function at %#x does not return: it hangs, or waits for something that does not come", called);
	c = lab3_state(m, (unsigned)at); /* a task may have moved to another CPU */
	CHECK(c.eip == back, "the function at %#x has not returned when CPU %d is at %#x", called, at, c.eip);
	lab3_pass(m, back);
	return (int)c.eax;
}

void lab3_skip(struct machine *m, unsigned cpu, int result)
{
	struct cpu_state c = lab3_state(m, cpu);
	gdb_select(m, cpu);
	gdb_set_register(m, GDB_EAX, (uint32_t)result);
	gdb_set_register(m, GDB_ESP, c.esp + 4);
	gdb_set_register(m, GDB_EIP, lab3_word(m, &c, c.esp));
}

int lab3_switch(struct machine *m, bool to_virtual)
{
	lab3_ask(m, to_virtual);
	unsigned cpu = lab3_run_to(m, "switch_mode", "the shell writes to /proc/mode");
	return lab3_result(m, cpu);
}

void lab3_rest(struct machine *m)
{
	machine_continue(m);
	machine_expect(m, PROMPT, m->o.budget ? 10 * SECONDS : SECONDS);
	at_stop = 0;
	stop_idle(m);
}

void lab3_switch_must(struct machine *m, bool to_virtual)
{
	int error = lab3_switch(m, to_virtual);
	CHECK(error == 0, "the switch to %s mode ends with %s", to_virtual ? "virtual" : "native", lab3_error(error));
	lab3_rest(m);
}

/* --- variables --- */

void lab3_set_variable(struct machine *m, const char *name, unsigned index, uint32_t value)
{
	physical_write(m, symbol(name) - KERNEL_BASE + 4 * index, &value, 4);
}

uint32_t lab3_variable(struct machine *m, const char *name, unsigned index)
{
	return physical_word(m, symbol(name) - KERNEL_BASE + 4 * index);
}

uint32_t lab3_vmm_word(struct machine *m, const char *name)
{
	struct cpu_state c = lab3_state(m, 0);
	return lab3_word(m, &c, vmm_symbol(name));
}

bool lab3_vo_is(struct machine *m, const char *name)
{
	uint8_t used[256], wanted[256];
	uint32_t bytes = symbol_bytes(name);
	CHECK(bytes > 0 && bytes <= sizeof(used), "%s has %u bytes", name, bytes);
	physical_read(m, symbol("vo") - KERNEL_BASE, used, bytes);
	physical_read(m, symbol(name) - KERNEL_BASE, wanted, bytes);
	return memcmp(used, wanted, bytes) == 0;
}

uint32_t lab3_count(struct machine *m, unsigned vector) { return lab3_variable(m, "counts", vector); }

const char *lab3_error(int error)
{
	static char text[2][40];
	static unsigned n;
	const char *name = error < 0 ? strerrorname_np(-error) : NULL;
	char *at = text[n++ % 2];
	snprintf(at, sizeof(text[0]), name ? "%d (-%s)" : "%d", error, name);
	return at;
}

void lab3_check_virtual(struct machine *m)
{
	check_whole(m);
	CHECK(lab3_vo_is(m, "virtual_vo"), "in virtual mode the table in use is not virtual_vo");
}

void lab3_check_native(struct machine *m)
{
	check_native(m);
	CHECK(lab3_vo_is(m, "native_vo"), "in native mode the table in use is not native_vo");
}
