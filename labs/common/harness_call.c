/* SPDX-License-Identifier: MIT */
/*
 * What a CPU executes next. A call starts with registers and stack that the debugger has set, and
 * looks like one of the kernel's or the VMM's own to the code that is called: it returns to a place
 * where such calls return (harness_sites.c), and a breakpoint there is the call's end. A function
 * of the VMM's runs on the CPU's stack of the VMM. Planted code ends at a breakpoint after its
 * last instruction.
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

/* DF and the arithmetic flags: QEMU keeps them elsewhere, and adds them by itself. */
enum { KEPT_ELSEWHERE = 0xCD5 };

/* Load the registers up to this one. Bochs cannot load EFLAGS. */
static void load_registers(struct guest *g, const struct cpu_state *c, enum gdb_register last)
{
	const uint32_t values[] = { /* in the order of enum gdb_register */
		c->eax, c->ecx, c->edx, c->ebx, c->esp, c->ebp, c->esi, c->edi, c->eip,
		c->eflags & ~(uint32_t)KEPT_ELSEWHERE,
	};
	char all[LENGTH(values) * 8 + 1];
	for (unsigned r = GDB_EAX; r <= last; r++)
		if (!g->m->o.bochs)
			snprintf(all + 8 * r, 9, "%08x", __builtin_bswap32(values[r]));
		else if (r <= GDB_EIP)
			debug_set_register(g->m, r, values[r]);
	if (!g->m->o.bochs)
		gdb_post(g->m, "G%s", all);
}

void set_registers(struct guest *g, const struct cpu_state *c)
{
	load_registers(g, c, GDB_EIP);
}

/* The low end of the stack that the CPU is on. */
static uint32_t stack_of(uint32_t esp)
{
	return esp & -(esp >= VMM_BASE ? (uint32_t)CPU_BYTES : (uint32_t)TASK_STACK_BYTES);
}

bool call_ended(const struct guest *g)
{
	if (g->c.eip != g->call_back || stack_of(g->c.esp) != stack_of(g->call_esp) ||
	    g->c.esp <= g->call_esp) /* a call within the call, from the same place */
		return false;
	CHECK(g->c.esp == g->call_esp + 4, "a function came back with ESP %#x instead of %#x",
	      g->c.esp, g->call_esp + 4);
	return true;
}

/* What callers have in registers: whatever their work has left there. */
static uint32_t any_value(uint32_t old)
{
	const uint32_t values[] = { old, 0, random_below(64), KERNEL_BASE + random_below(1 << 24),
				    random_word() };
	return values[random_below(LENGTH(values))];
}

/* Where the caller's frame is: as deep in the stack as a caller may be. */
static uint32_t place_frame(const struct guest *g, bool vmm)
{
	enum { SPREAD = 32, VMM_SAVES = 256 };
	uint32_t esp = g->c.esp - RED_ZONE;
	if (vmm)
		esp = vmm_symbol("vmm_cpus") + (g->cpu + 1) * CPU_BYTES - VMM_SAVES;
	return ((esp - 16 * random_below(SPREAD)) & ~15u) - 8;
}

/* The kernel's callers have a frame of their own in EBP; theirs was called, too. */
static void push_frame(struct guest *g, uint32_t frame)
{
	set_words(g, frame, WORDS(g->c.ebp, call_site(function_of(g->call_back))));
	g->c.ebp = frame;
}

void call_begin(struct guest *g, uint32_t function, const uint32_t *arguments, unsigned n)
{
	uint32_t *const in_registers[] = { &g->c.eax, &g->c.edx, &g->c.ecx };
	uint32_t *const others[] = { &g->c.ebx, &g->c.esi, &g->c.edi, &g->c.ebp };
	bool vmm = function >= VMM_BASE;
	bool own_stack = !g->m->o.bochs || !(g->c.eflags & EFLAGS_IF);
	uint32_t frame = place_frame(g, vmm && own_stack);
	uint32_t on_stack = frame - 4 * ARGUMENTS_MAX;
	unsigned nr_registers = vmm ? LENGTH(in_registers) : 0;
	g->caller = g->c;
	g->call_back = call_site(function);
	g->call_breaks = break_at(g, g->call_back);
	if (!vmm)
		push_frame(g, frame);
	for (unsigned i = 0; i < LENGTH(in_registers); i++)
		*in_registers[i] = any_value(*in_registers[i]);
	for (unsigned i = 0; i < (vmm ? 4 : 3); i++)
		*others[i] = any_value(*others[i]);
	for (unsigned i = 0; i < n; i++)
		if (i < nr_registers)
			*in_registers[i] = arguments[i];
		else
			set_word(g, on_stack + 4 * (i - nr_registers), arguments[i]);
	set_word(g, on_stack - 4, g->call_back);
	g->call_esp = on_stack - 4;
	g->c.esp = g->call_esp;
	g->c.eip = function;
	if (vmm)
		g->c.eflags &= ~(uint32_t)EFLAGS_IF;
	g->c.eflags &= ~(uint32_t)KEPT_ELSEWHERE; /* load_registers() clears them */
	load_registers(g, &g->c, GDB_EFLAGS);
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
	do {
		if (run_cpus(g, ALL_CPUS) < 0)
			give_up(FAILED,
				"the machine ended or hung on the way to the end of a call");
		CHECK(at_breakpoint(g), "the machine stopped at %#x during a call", g->c.eip);
	} while (g->c.eip == g->call_back && !call_ended(g));
	if (g->c.eip != g->call_back)
		return g->c.eip;
	g->result = g->c.eax;
	return 0;
}

uint32_t call_end(struct guest *g)
{
	if (g->call_breaks)
		break_off(g, g->call_back);
	g->c = g->caller;
	load_registers(g, &g->c, GDB_EFLAGS);
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

static void store_code(struct guest *g, uint32_t at, const void *code, size_t bytes)
{
	uint32_t words[PLANT_BYTES / 4] = { 0 };
	if (bytes > PLANT_BYTES)
		give_up(BROKEN, "too much planted code");
	memcpy(words, code, bytes);
	set_words(g, at, words, LENGTH(words));
}

uint32_t plant(struct guest *g, const void *code, size_t bytes)
{
	if (!g->free_code) {
		uint32_t task = task_of(&g->c);
		CHECK(g->c.esp > task + FREE_END, "the kernel's stack is used down to %#x",
		      g->c.esp);
		g->free_code = task + FREE_FROM;
	}
	uint32_t at = g->free_code;
	if (at % TASK_STACK_BYTES + PLANT_BYTES > FREE_END)
		give_up(BROKEN, "too much planted code");
	store_code(g, at, code, bytes);
	judge_planted_on_stack.begin = at / TASK_STACK_BYTES * TASK_STACK_BYTES;
	judge_planted_on_stack.end = at + PLANT_BYTES;
	outside_allow(at, at + PLANT_BYTES);
	g->free_code += PLANT_BYTES; /* QEMU keeps what it has translated: no place is used twice */
	return at;
}

uint32_t plant_in_text(struct guest *g, const void *code, size_t bytes)
{
	/* Functions that no check executes after boot: code could look at one alone. */
	static const char *const unused[] = { "rename", "guest_build", "ext2_mount", "mm_init" };
	static unsigned first, used;
	static uint32_t end;
	if (!used)
		first = random_below(LENGTH(unused));
	uint32_t at = judge_planted.end + 4 * random_below(4);
	while (at + PLANT_BYTES > end) { /* built with -O0 they are short */
		if (used == LENGTH(unused))
			give_up(BROKEN, "too much planted code");
		const char *name = unused[(first + used++) % LENGTH(unused)];
		at = judge_planted.begin = (symbol(name) + 3) & ~3u;
		end = symbol(name) + symbol_bytes(name);
	}
	store_code(g, at, code, bytes);
	judge_planted.end = at + (((uint32_t)bytes + 3) & ~3u);
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
