/* SPDX-License-Identifier: MIT */
/*
 * What a CPU executes next. A call starts with registers and stack that the debugger has set and
 * returns to kmain(), which has run once, long ago: a breakpoint there is the call's end.
 * Planted code ends at a breakpoint after its last instruction.
 */
#include "harness.h"

enum { RED_ZONE = 64 }; /* bytes below the stack pointer that a call leaves alone */

/* The free part of a task's stack, from its low end: the kernel is never so deep. */
enum { FREE_FROM = TASK_STACK_BYTES / 2, FREE_END = TASK_STACK_BYTES - 1024 };

uint32_t argument(struct guest *g, unsigned i)
{
	return word_at(g, g->c.esp + 4 + 4 * i);
}

uint32_t return_address(struct guest *g)
{
	return word_at(g, g->c.esp);
}

void go(struct guest *g, uint32_t eip, uint32_t esp)
{
	debug_set_register(g->m, GDB_ESP, esp);
	debug_set_register(g->m, GDB_EIP, eip);
	g->c.eip = eip, g->c.esp = esp;
	g->held &= ~(1u << g->cpu); /* a breakpoint at the new place was not reported yet */
}

void skip(struct guest *g, uint32_t result)
{
	if (!g->m->o.bochs)
		gdb_select(g->m, g->cpu);
	debug_set_register(g->m, GDB_EAX, result);
	g->c.eax = result;
	go(g, return_address(g), g->c.esp + 4);
}

/* --- calls --- */

void set_registers(struct guest *g, const struct cpu_state *c)
{
	const uint32_t values[] = { /* in the order of enum gdb_register */
		c->eax, c->ecx, c->edx, c->ebx, c->esp, c->ebp, c->esi, c->edi, c->eip,
	};
	char all[LENGTH(values) * 8 + 1];
	for (unsigned r = GDB_EAX; r <= GDB_EIP; r++)
		if (g->m->o.bochs)
			debug_set_register(g->m, r, values[r]);
		else
			snprintf(all + 8 * r, 9, "%08x", __builtin_bswap32(values[r]));
	if (!g->m->o.bochs && strcmp(gdb_command(g->m, 10, "G%s", all), "OK") != 0)
		give_up(BROKEN, "GDB stub: registers are not set");
}

uint32_t end_of_call(void)
{
	return symbol("kmain");
}

void call_begin(struct guest *g, uint32_t function, const uint32_t *arguments, unsigned n)
{
	uint32_t *const in_registers[] = { &g->c.eax, &g->c.edx, &g->c.ecx };
	uint32_t on_stack = ((g->c.esp - RED_ZONE) & ~15u) - 4 * ARGUMENTS_MAX;
	unsigned nr_registers = function >= VMM_BASE ? LENGTH(in_registers) : 0;
	break_at(g, end_of_call());
	g->caller = g->c;
	for (unsigned i = 0; i < n; i++)
		if (i < nr_registers)
			*in_registers[i] = arguments[i];
		else
			set_word(g, on_stack + 4 * (i - nr_registers), arguments[i]);
	set_word(g, on_stack - 4, end_of_call());
	g->call_esp = on_stack - 4;
	g->c.esp = g->call_esp;
	g->c.eip = function;
	set_registers(g, &g->c);
}

static bool at_breakpoint(const struct guest *g)
{
	for (unsigned i = 0; i < g->nr_breakpoints; i++)
		if (g->breakpoints[i] == g->c.eip)
			return true;
	return false;
}

uint32_t call_next(struct guest *g)
{
	if (run_cpus(g, ALL_CPUS) < 0)
		give_up(FAILED, "the machine ended or hung on the way to the end of a call");
	CHECK(at_breakpoint(g), "the machine stopped at %#x during a call", g->c.eip);
	if (g->c.eip != end_of_call())
		return g->c.eip;
	CHECK(g->c.esp == g->call_esp + 4, "a function came back with ESP %#x instead of %#x",
	      g->c.esp, g->call_esp + 4);
	g->result = g->c.eax;
	return 0;
}

uint32_t call_end(struct guest *g)
{
	g->c = g->caller;
	set_registers(g, &g->c);
	return g->result;
}

uint32_t call(struct guest *g, uint32_t function, const uint32_t *arguments, unsigned n)
{
	call_begin(g, function, arguments, n);
	while (call_next(g))
		;
	return call_end(g);
}

/* --- planted code --- */

uint32_t plant(struct guest *g, const void *code, size_t bytes)
{
	uint32_t words[PLANT_BYTES / 4] = { 0 };
	if (!g->free_code) {
		uint32_t task = task_of(&g->c);
		CHECK(g->c.esp > task + FREE_END, "the kernel's stack is used down to %#x",
		      g->c.esp);
		g->free_code = task + FREE_FROM;
	}
	uint32_t at = g->free_code;
	if (bytes > PLANT_BYTES || at % TASK_STACK_BYTES + PLANT_BYTES > FREE_END)
		give_up(BROKEN, "too much planted code");
	memcpy(words, code, bytes);
	set_words(g, at, words, LENGTH(words));
	judge_planted[0] = at / TASK_STACK_BYTES * TASK_STACK_BYTES;
	judge_planted[1] = at + PLANT_BYTES;
	g->free_code += PLANT_BYTES; /* QEMU keeps what it has translated: no place is used twice */
	return at;
}

void run_here(struct guest *g, const void *code, size_t bytes)
{
	enum { NOP = 0x90 };
	uint8_t all[PLANT_BYTES] = { 0 };
	uint32_t esp = g->c.esp, eip = g->c.eip;
	if (bytes >= PLANT_BYTES)
		give_up(BROKEN, "too much planted code");
	memcpy(all, code, bytes);
	all[bytes] = NOP;
	uint32_t at = plant(g, all, bytes + 1), end = at + (uint32_t)bytes;
	go(g, at, esp);
	CHECK(RUN(g, end) == 0,
	      "the machine does not come to %#x: code that the check has planted does "
	      "not come to its end", end);
	go(g, eip, esp);
}
