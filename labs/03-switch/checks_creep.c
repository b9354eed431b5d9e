/* SPDX-License-Identifier: MIT */
/* One CPU, instruction by instruction (creep.h). */
#include "creep.h"

enum { MOST = 4000, LONG = 600, SEEN = 64, REGISTERS = 10 };
enum { SECONDS_TOLD = 3 };

/* What decides what the CPU does next: its registers, and a sum over its stack. */
struct pace { uint32_t words[REGISTERS + 1]; };

/* Of the CPU that creeps: its states since memory was last changed. */
static struct pace seen[SEEN];
static unsigned nr_seen, executed;
static uint8_t known[RENDEZVOUS_BYTES]; /* `rendezvous` as it was last seen */
static uint32_t stored_at;              /* the instruction that changed it last */
static uint64_t told;                   /* ns */
static bool ahead;                      /* of the CPU's registers are those in struct guest */

uint32_t pretend_cpus(struct guest *g)
{
	unsigned n = g->m->o.cpus + random_below(CPUS_MAX - g->m->o.cpus + 1);
	set_variable(g, "nr_cpus", 0, n);
	set_variable(g, "topology", 0, n); /* how many, then the number of each one's APIC */
	set_variable(g, "topology", 1, 0x03020100);
	set_variable(g, "topology", 2, 0x07060504);
	return (1u << n) - 1;
}

unsigned pretend_number(struct guest *g, unsigned n)
{
	static bool last;
	unsigned number = (last = !last) ? n - 1 : random_below(n);
	set_word(g, task_of(&g->c) + TASK_CPU, number);
	return number;
}

void give_number_back(struct guest *g)
{
	set_word(g, task_of(&g->c) + TASK_CPU, g->cpu);
}

/* --- registers --- */

void choose(struct guest *g, unsigned cpu)
{
	look(g, cpu);
	gdb_select(g->m, cpu);
}

void choose_leader(struct guest *g, unsigned cpu)
{
	choose(g, cpu);
	say(g, RENDEZVOUS_LEADER, cpu);
}

void read_registers(struct guest *g)
{
	gdb_registers(g->m, &g->c);
}

/* The CPU gets the registers with which instructions were executed here. */
static void catch_up(struct guest *g)
{
	if (ahead)
		set_registers(g, &g->c);
	ahead = false;
}

/* The CPU goes on alone; if it ends the machine, the diagnosis has the cause. */
static void let_go(struct guest *g)
{
	while (g->nr_breakpoints)
		break_off(g, g->breakpoints[0]);
	catch_up(g);
	gdb_run_cpus(g->m, 1u << g->cpu, false, g->seconds);
}

void give_up_lost(struct guest *g, const char *function)
{
	uint32_t eip = g->c.eip;
	let_go(g);
	give_up(FAILED, "%s does not return: after many instructions the CPU is at %s", function,
		symbol_place(eip));
}

void want_in_switch(struct guest *g, const char *function, unsigned exercise)
{
	char *where = symbol_where(g->c.eip);
	bool within = strstr(where, "switch.c:"); /* or inlined there */
	where[strcspn(where, "\n")] = '\0';
	CHECK(within,
	      "%s() calls other functions and has not returned; the CPU is at %s. In the window "
	      "nothing may use the VO, as printk() does (exercise %u; handout 2.3)", function,
	      where, exercise);
	free(where);
}

/* Where an empty exercise leads. */
static void want_no_panic(struct guest *g)
{
	static uint32_t kernel, vmm;
	if (!kernel)
		kernel = symbol("panic"), vmm = vmm_symbol("vmm_panic");
	if (g->c.eip != kernel && g->c.eip != vmm)
		return;
	let_go(g);
	give_up(FAILED, "panic() is called");
}

/* It has not come to a breakpoint. A machine that prints without end tells that itself. */
static void __attribute__((noreturn)) give_up_hanging(struct guest *g, const char *what)
{
	enum { MUCH = 16 << 10 };
	if (machine_ended(g->m) || g->m->log_bytes > MUCH)
		give_up(FAILED, "%s: it hangs, or ends the machine", what);
	read_registers(g);
	g->m->late = false; /* the place is told here */
	give_up(FAILED, "%s: it hangs, at %s", what, symbol_place(g->c.eip));
}

void run_on(struct guest *g, const char *what)
{
	unsigned cpu = g->cpu;
	break_at(g, symbol("panic")), break_at(g, vmm_symbol("vmm_panic"));
	step(g, cpu);
	read_registers(g);
	for (unsigned i = 0; i < g->nr_breakpoints; i++)
		if (g->breakpoints[i] == g->c.eip) {
			want_no_panic(g);
			return;
		}
	if (gdb_run_cpus(g->m, 1u << cpu, false, g->seconds) != (int)cpu)
		give_up_hanging(g, what);
	read_registers(g);
	want_no_panic(g);
	CHECK(!(g->c.eflags & EFLAGS_IF),
	      "%s: interrupts are on then, and a handler runs in the middle of the switch", what);
}

/* A sum over what the call has on the stack, where a compiler may put local variables. */
static uint32_t sum_of_stack(struct guest *g)
{
	enum { MOST_WORDS = 128 };
	uint32_t words[MOST_WORDS], sum = 0, n = (g->call_esp - g->c.esp) / 4;
	n = n < MOST_WORDS ? n : MOST_WORDS;
	virtual_read(g->m, g->c.cr3, g->c.esp, words, 4 * n);
	for (uint32_t i = 0; i < n; i++)
		sum = (sum ^ words[i]) * 16777619u; /* FNV-1a */
	return sum;
}

static struct pace pace_of(struct guest *g)
{
	const struct cpu_state *c = &g->c;
	bool called = c->esp % 4 == 0 && c->esp <= g->call_esp;
	return (struct pace){ { c->eax, c->ecx, c->edx, c->ebx, c->esp, c->ebp, c->esi, c->edi,
				c->eip, c->eflags, called ? sum_of_stack(g) : 0 } };
}

/* --- the rendezvous --- */

static uint32_t rendezvous_at(void)
{
	static uint32_t at;
	return at ? at : (at = symbol("rendezvous") - KERNEL_BASE);
}

static bool is_flag(uint32_t offset)
{
	return offset == RENDEZVOUS_ATTACH || offset == RENDEZVOUS_WANTED ||
	       offset == RENDEZVOUS_STEP_ATTACH;
}

uint32_t said(struct guest *g, uint32_t offset)
{
	uint32_t word;
	physical_read(g->m, rendezvous_at() + offset, &word, 4);
	return is_flag(offset) ? word & 0xFF : word;
}

uint32_t order_number(void)
{
	static unsigned calls;
	if (++calls % 3 == 0)
		return 0xFFFFFFFF;
	return random_below(2) ? random_below(60) : random_word();
}

void learn(struct guest *g)
{
	physical_read(g->m, rendezvous_at(), known, sizeof(known));
	nr_seen = 0;
}

void say(struct guest *g, uint32_t offset, uint32_t value)
{
	physical_write(g->m, rendezvous_at() + offset, &value, 4);
	learn(g);
}

static bool changed(struct guest *g)
{
	uint8_t now[RENDEZVOUS_BYTES];
	physical_read(g->m, rendezvous_at(), now, sizeof(now));
	return memcmp(now, known, sizeof(now)) != 0;
}

const char *store(void)
{
	return symbol_place(stored_at);
}

unsigned crept(void)
{
	return executed;
}

/* --- creeping --- */

/* Tell the time to the caller of native_time_now(), which does not run. */
static void tell_seconds(struct guest *g)
{
	told += SECONDS_TOLD * 1000000000ull;
	catch_up(g);
	skip(g, (uint32_t)told);
	gdb_set_register(g->m, GDB_EDX, (uint32_t)(told >> 32));
	read_registers(g);
}

/* What is special about where the CPU is. */
static void look_around(struct guest *g)
{
	static uint32_t clock;
	if (!clock)
		clock = symbol("native_time_now");
	want_no_panic(g);
	if (g->c.eip == clock)
		tell_seconds(g);
}

static bool seen_before(struct guest *g)
{
	struct pace now = pace_of(g);
	for (unsigned i = 0; i < nr_seen && i < SEEN; i++)
		if (memcmp(&seen[i], &now, sizeof(now)) == 0)
			return true;
	seen[nr_seen++ % SEEN] = now;
	return false;
}

static void forward(struct guest *g)
{
	uint32_t eip = g->c.eip, esp = g->c.esp;
	executed++;
	if (execute_here(g, &g->c)) {
		ahead = true;
		return;
	}
	catch_up(g);
	step(g, g->cpu);
	read_registers(g);
	CHECK(g->c.eip != 0, "%s calls a step that is NULL, at address 0. NULL may be ordered, by "
	      "resume(): then nobody does a step, and the followers leave", symbol_place(eip));
	want_no_exception(g, eip, esp);
	CHECK(!(g->c.eflags & EFLAGS_IF),
	      "interrupts are on after %s: a handler runs in the middle of the switch",
	      symbol_place(eip));
}

static int creep_here(struct guest *g, const uint32_t *stops, unsigned n)
{
	if (call_ended(g)) /* the last step was a tail call, from which do_step() has returned */
		return RETURNED;
	for (unsigned i = 0; i < LONG; i++) {
		uint32_t at = g->c.eip;
		forward(g);
		if (changed(g)) {
			stored_at = at;
			learn(g);
			return CHANGED;
		}
		for (unsigned k = 0; k < n; k++)
			if (g->c.eip == stops[k])
				return (int)k;
		if (call_ended(g))
			return RETURNED;
		look_around(g);
		if (seen_before(g))
			return WAITS;
	}
	return WAITS;
}

int creep(struct guest *g, const uint32_t *stops, unsigned n)
{
	int end = creep_here(g, stops, n);
	catch_up(g);
	return end;
}

int creep_on(struct guest *g, const uint32_t *stops, unsigned n)
{
	for (unsigned i = 0; i < MOST; i++) {
		int end = creep(g, stops, n);
		if (end != CHANGED)
			return end;
	}
	give_up(FAILED, "CPU %u changes `rendezvous` again and again, last at %s", g->cpu, store());
}

static int creep_some_here(struct guest *g, unsigned instructions)
{
	learn(g);
	for (unsigned i = 0; i < instructions; i++) {
		forward(g);
		if (call_ended(g))
			return RETURNED;
		look_around(g);
		if (seen_before(g))
			return WAITS;
	}
	learn(g);
	return CHANGED;
}

int creep_some(struct guest *g, unsigned instructions)
{
	int end = creep_some_here(g, instructions);
	catch_up(g);
	return end;
}

void begin(struct guest *g, const char *function, const uint32_t *arguments, unsigned n)
{
	begin_at(g, symbol(function), arguments, n);
}

void begin_at(struct guest *g, uint32_t function, const uint32_t *arguments, unsigned n)
{
	call_begin(g, function, arguments, n);
	executed = 0;
	learn(g);
	look_around(g);
}

void leave(struct guest *g)
{
	call_end(g);
}

static bool locked_at(struct guest *g, uint32_t eip)
{
	uint8_t code[8];
	unsigned i = 0;
	virtual_read(g->m, g->c.cr3, eip, code, sizeof(code));
	while (i < sizeof(code) && strchr("\x66\x67\x2E\x36\x3E\x26\x64\x65", code[i]) && code[i])
		i++;
	return code[i] == 0xF0 || code[i] == 0x86 || code[i] == 0x87;
}

bool is_locked(struct guest *g) { return locked_at(g, g->c.eip); }
bool store_is_locked(struct guest *g) { return locked_at(g, stored_at); }

void choose_steps(uint32_t steps[2])
{
	unsigned first = random_below(2);
	steps[first] = symbol("install_here");
	steps[!first] = symbol("translate_here");
}

void do_step(struct guest *g)
{
	skip(g, random_word());
	read_registers(g);
}

bool flag_argument(struct guest *g)
{
	return argument(g, 0) & 0xFF;
}
