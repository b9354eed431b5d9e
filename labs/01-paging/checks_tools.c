/* SPDX-License-Identifier: MIT */
/*
 * Having the stopped guest call its own functions. A call starts with registers and stack set by the debugger and
 * returns to kmain, which ran once, long ago: a breakpoint there is its end.
 */
#include "checks.h"

enum { SECONDS = 60, RED_ZONE = 64 };

static uint32_t return_address(void) { return symbol("kmain"); }

uint32_t lab1_random(void)
{
	static uint32_t state;
	if (!state)
		state = judge_seed * 2654435761u | 1;
	state ^= state << 13, state ^= state >> 17, state ^= state << 5;
	return state;
}

uint32_t lab1_below(uint32_t n) { return lab1_random() % n; }

static void look(struct guest *g, struct cpu_state *c)
{
	struct cpu_state cpus[CPUS_MAX];
	machine_state(g->m, cpus);
	*c = cpus[0];
}

/* Let it run until a breakpoint; give up if the machine ends instead, or hangs. */
static void run(struct guest *g, const char *towards)
{
	if (debug_run(g->m, SECONDS))
		return;
	give_up(FAILED, "the machine ended or hung on the way to %s", towards);
}

void lab1_run_to(struct guest *g, uint32_t address)
{
	if (g->at.eip == address && !g->m->o.bochs)
		gdb_step(g->m);
	debug_break(g->m, address, true);
	run(g, "the place of this check");
	look(g, &g->at);
	CHECK(g->at.eip == address, "the machine stopped at %#x instead of %#x", g->at.eip, address);
	debug_break(g->m, address, false);
}

const char *lab1_without_vmm(void)
{
	char *modules;
	if (asprintf(&modules, "%s/rootfs.ext2 rootfs", build_dir) < 0)
		give_up(BROKEN, "no memory");
	return modules;
}

struct guest lab1_start(const struct machine_options *o, uint32_t address)
{
	struct machine_options paused = *o;
	paused.paused = true;
	struct guest g = { .m = machine_start(&paused) };
	if (!o->bochs)
		gdb_connect(g.m);
	lab1_run_to(&g, address);
	debug_break(g.m, return_address(), true);
	return g;
}

void lab1_read_p2m(struct guest *g)
{
	g->nr_pfns = kernel_word(g->m, "nr_pfns"), g->nr_mfns = kernel_word(g->m, "nr_mfns");
	CHECK(g->nr_pfns && g->nr_pfns <= g->nr_mfns && g->nr_mfns <= g->m->o.mem << 8,
	      "nr_pfns is %u, nr_mfns %u: of %u MiB", g->nr_pfns, g->nr_mfns, g->m->o.mem);
	g->p2m = read_array(g->m, g->at.cr3, "p2m", g->nr_pfns);
	g->m2p = read_array(g->m, g->at.cr3, "m2p", g->nr_mfns);
}

void lab1_learn_p2m(struct guest *g)
{
	lab1_read_p2m(g);
	for (uint32_t pfn = 0; pfn < g->nr_pfns; pfn++)
		CHECK(g->p2m[pfn] < g->nr_mfns && g->m2p[g->p2m[pfn]] == pfn,
		      "p2m[%#x] is %#x: no base for this check (exercises 1 and 2, checks `holes` and `shuffle`)", pfn,
		      g->p2m[pfn]);
}

uint32_t lab1_word(struct guest *g, uint32_t address)
{
	uint32_t word;
	virtual_read(g->m, g->at.cr3, address, &word, 4);
	return word;
}

void lab1_set_word(struct guest *g, uint32_t address, uint32_t value)
{
	struct walk w = page_walk(g->m, g->at.cr3, address);
	CHECK(w.present, "nothing is mapped at %#x", address);
	physical_write(g->m, w.machine, &value, 4);
}

uint32_t lab1_vmm_word(struct guest *g, const char *name) { return lab1_word(g, vmm_symbol(name)); }

/* The registers of gdb.c's numbers, all at once. */
static void set_registers(struct guest *g, const uint32_t values[GDB_EIP + 1])
{
	char all[(GDB_EIP + 1) * 8 + 1];
	for (unsigned r = GDB_EAX; r <= GDB_EIP; r++)
		if (g->m->o.bochs)
			debug_set_register(g->m, r, values[r]);
		else
			snprintf(all + 8 * r, 9, "%08x", __builtin_bswap32(values[r]));
	if (!g->m->o.bochs && strcmp(gdb_command(g->m, 10, "G%s", all), "OK") != 0)
		give_up(BROKEN, "GDB stub: registers are not set");
}

static void get_registers(const struct cpu_state *c, uint32_t values[GDB_EIP + 1])
{
	const uint32_t all[] = { c->eax, c->ecx, c->edx, c->ebx, c->esp, c->ebp, c->esi, c->edi, c->eip };
	memcpy(values, all, sizeof(all));
}

void lab1_begin(struct guest *g, uint32_t function, const uint32_t *arguments, unsigned n)
{
	static const enum gdb_register order[] = { GDB_EAX, GDB_EDX, GDB_ECX };
	uint32_t values[GDB_EIP + 1], esp = ((g->at.esp - RED_ZONE) & ~15u) - 4 * ARGUMENTS_MAX;
	unsigned in_registers = function >= VMM_BASE ? 3 : 0;
	get_registers(&g->at, values);
	for (unsigned i = 0; i < n; i++)
		if (i < in_registers)
			values[order[i]] = arguments[i];
		else
			lab1_set_word(g, esp + 4 * (i - in_registers), arguments[i]);
	lab1_set_word(g, g->stack = esp - 4, return_address());
	values[GDB_ESP] = g->stack;
	values[GDB_EIP] = function;
	set_registers(g, values);
}

/*
 * QEMU would stop again where it stands on a breakpoint; taking that away and setting it again makes QEMU translate all code
 * anew. Most functions of the kernel, which keeps frame pointers, begin with PUSH EBP: that is done from here.
 */
static void step_off(struct guest *g, struct cpu_state *c)
{
	enum { PUSH_EBP = 0x55 };
	uint32_t values[GDB_EIP + 1];
	if ((lab1_word(g, c->eip) & 0xFF) == PUSH_EBP) {
		lab1_set_word(g, c->esp - 4, c->ebp);
		c->esp -= 4, c->eip++;
		get_registers(c, values);
		set_registers(g, values);
	} else {
		gdb_break(g->m, c->eip, false);
		gdb_step(g->m);
		gdb_break(g->m, c->eip, true);
	}
}

static bool watched(const struct guest *g, uint32_t eip)
{
	for (unsigned i = 0; i < g->nr_watched; i++)
		if (g->watched[i] == eip)
			return true;
	return false;
}

uint32_t lab1_next(struct guest *g)
{
	struct cpu_state c;
	if (g->nr_watched && !g->m->o.bochs) {
		look(g, &c);
		if (watched(g, c.eip))
			step_off(g, &c);
	}
	run(g, "the end of a call");
	look(g, &c);
	CHECK(c.eip == return_address() || watched(g, c.eip), "the machine stopped at %#x during a call", c.eip);
	if (c.eip != return_address())
		return c.eip;
	CHECK(c.esp == g->stack + 4, "a function came back with ESP %#x instead of %#x", c.esp, g->stack + 4);
	g->result = c.eax;
	return 0;
}

uint32_t lab1_end(struct guest *g)
{
	uint32_t values[GDB_EIP + 1];
	get_registers(&g->at, values);
	set_registers(g, values);
	return g->result;
}

uint32_t lab1_call(struct guest *g, uint32_t function, const uint32_t *arguments, unsigned n)
{
	lab1_begin(g, function, arguments, n);
	while (lab1_next(g))
		;
	return lab1_end(g);
}

uint32_t lab1_alloc(struct guest *g)
{
	uint32_t pfn = CALL(g, "frame_alloc", 0);
	CHECK(pfn < g->nr_pfns, "frame_alloc() gives %#x, but there are %#x pfns", pfn, g->nr_pfns);
	return pfn;
}

void lab1_watch(struct guest *g, const char *const *names, unsigned n, bool set)
{
	bool known = g->m->o.bochs && g->watched[0]; /* there breakpoints stay */
	for (unsigned i = 0; i < n && !known; i++) {
		g->watched[i] = symbol_exists(names[i]) ? symbol(names[i]) : vmm_symbol(names[i]);
		debug_break(g->m, g->watched[i], set);
	}
	g->nr_watched = set ? n : 0;
}

uint32_t lab1_argument(struct guest *g, unsigned i)
{
	return lab1_word(g, gdb_register(g->m, GDB_ESP) + 4 + 4 * i);
}

void lab1_return(struct guest *g, uint32_t value)
{
	uint32_t esp = gdb_register(g->m, GDB_ESP);
	gdb_set_register(g->m, GDB_EIP, lab1_word(g, esp));
	gdb_set_register(g->m, GDB_ESP, esp + 4);
	gdb_set_register(g->m, GDB_EAX, value);
}

bool lab1_can_write(struct guest *g, uint32_t address)
{
	enum {
		KERNEL_FRAMES = 2,
		STACK_BYTES = 8192
	}; /* third word of struct task: a fault that is abandoned leaves its frame there */
	static const char *const traps[] = { "trap_panic" };
	uint32_t frames = (g->at.esp & -STACK_BYTES) + 4 * KERNEL_FRAMES, before = lab1_word(g, frames);
	uint32_t old = lab1_word(g, address);
	lab1_watch(g, traps, 1, true);
	lab1_begin(g, symbol("memset"), ARGUMENTS(address, 0x5A, 4));
	bool wrote = lab1_next(g) == 0;
	lab1_end(g);
	if (!g->m->o.bochs) /* Bochs: it stays, and disturbs nobody */
		lab1_watch(g, traps, 1, false);
	lab1_set_word(g, frames, before);
	lab1_set_word(g, address, old);
	return wrote;
}

uint32_t lab1_entry(struct guest *g, uint32_t directory, uint32_t address, uint32_t *at)
{
	uint32_t pde = physical_word(g->m, (directory & -PAGE) + (address >> 22) * 4);
	*at = pde & P ? (pde & -PAGE) + (address >> 12 & 1023) * 4 : 0;
	return *at ? physical_word(g->m, *at) : 0;
}

uint32_t lab1_home(struct guest *g, uint32_t pfn) { return page_walk(g->m, g->at.cr3, KERNEL_BASE + pfn * PAGE).pte; }

bool lab1_in_text(uint32_t pfn)
{
	uint32_t address = KERNEL_BASE + pfn * PAGE;
	return address >= symbol("image_start") && address < symbol("readonly_end");
}
