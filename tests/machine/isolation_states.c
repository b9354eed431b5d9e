/* SPDX-License-Identifier: MIT */
/*
 * Random states (rule 43): an attack starts with random registers, segments, flags, stack and
 * address, in ring 1 or 3, most of them at the edges of what is mapped. It may end by any trap, or
 * the kernel may be stopped with a report: then the next machine is started. The VMM itself must
 * not fail. Hundreds run without a stop; then the VMM's tables are looked at from outside.
 */
#include "isolation.h"

static uint32_t seed;

/* 0 .. n-1 */
static uint32_t any(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)seed * n >> 32);
}

/* What an attack does with its registers: EBX is its address or value. */
static const char *const labels[] = {
	"string_at", "push_at", "pop_at", "stack_privileged", "stack_emulated", "stack_fault",
	"stack_divide", "stack_undefined",
	"hypercall", "read_ds", "write_ds", "read_ss", "write_es", "load_ds", "load_ss", "pop_ds",
	"far_jump", "far_call", "far_return", "iret_to", "iret_outer", "near_jump", "near_return",
	"exchange_at", "null_hypercall", "load_all", "iret_flags",
	"popf_read", "flags_hypercall", "nested_iret", "step_hypercall", "interrupt", "iret_vm",
	"sysenter", "fpu",
};
enum { DEADLY = 8 }; /* the first of them: in ring 1 most end the kernel */

/* An address at an edge, a selector, flags, or anything. */
static uint32_t any_value(struct victim *v)
{
	const uint32_t edges[] = {
		0, v->user, KERNEL_BASE, KERNEL_MAP_BASE - PAGE_SIZE, VMM_BASE, 0xFFFFFFFF,
		pool_address(v, DATA_PAGE), pool_address(v, CODE_PAGE), pool_address(v, STACK_PAGE),
		vmm_symbol("vmm_cpus"), vmm_symbol("hypercall_entry"), symbol("vmm_shared"),
	};
	switch (any(4)) {
	case 0: return edges[any(COUNT(edges))] + any(16) - 8;
	case 1: return edges[any(COUNT(edges))] + any(PAGE_SIZE);
	case 2: return any(0x80);
	default: return any(0xFFFFFFFF);
	}
}

/* TCG checks no limits: there ring 1 does reach the VMM, and what it does there proves nothing. */
static uint32_t value(struct victim *v)
{
	uint32_t x = any_value(v);
	return x < VMM_BASE - 64 || v->m->o.bochs ? x : x - (VMM_BASE - KERNEL_MAP_BASE);
}

/*
 * A state and where it runs. Calls that end the run, wait, stop the CPU or detach are the kernel's
 * right; the machine could not go on.
 */
static struct entry random_entry(struct victim *v)
{
	static const uint32_t calls[] = {
		HC_UPDATE, HC_LOAD, HC_RELEASE, HC_FLUSH, HC_EVENTS, HC_FPU_TRAP, HC_MASK, HC_END,
		HC_SEND, HC_TICK, HC_SHARE, HC_TRIM, NR_HYPERCALLS,
	};
	static const uint32_t flags[] = {
		0, EFLAGS_TF, EFLAGS_DF, EFLAGS_AC, EFLAGS_NT, EFLAGS_IOPL,
	};
	return (struct entry){ .eax = calls[any(COUNT(calls))], .ebx = value(v), .ecx = value(v),
			       .edx = value(v), .esi = value(v), .edi = place(v, "launch", false),
			       .ebp = value(v), .flags = flags[any(COUNT(flags))],
			       .ring3 = any(2) };
}

/* --- many without a stop (tests/isolation/batch.S) --- */

/* Short lists: of those that end a machine, nothing is looked at from outside. */
enum { BATCH = 250, WORDS = LAUNCH_WORDS + 1, BEFORE = 2 };

/* Page of the pool: the second copy of the code; the list lies in the pages after it. */
static unsigned copy_page(const struct victim *v) { return v->pages / 2; }

static uint32_t list_address(const struct victim *v) { return pool_address(v, copy_page(v) + 1); }

static void write_parameter(struct victim *v, const char *name, uint32_t value)
{
	pool_write(v, copy_page(v), attack_symbol(name), &value, 4);
}

/* The address of the next attack in the list. */
static uint32_t next_attack(struct victim *v) { return physical_word(v->m, v->list); }

/* How often this CPU has entered the VMM. */
static uint32_t count_exits(struct victim *v)
{
	struct vmm_shared s;
	uint32_t n = 0;
	physical_read(v->m, v->shared, &s, sizeof(s));
	for (unsigned i = 0; i < COUNT(s.exits); i++)
		n += s.exits[i];
	return n;
}

/* Afterwards it is stopped. Result: whether by itself. QEMU lets only CPU 0 run. */
static bool run_slice(struct victim *v, double seconds)
{
	if (!v->m->o.bochs)
		return gdb_run_cpus(v->m, 1, false, seconds) == 0;
	bool stopped = debug_run(v->m, seconds);
	if (!stopped)
		machine_stop(v->m);
	return stopped;
}

/* The kernel has stopped this CPU by HC_HALT, which is its right. */
static bool is_stopped(const struct cpu_state *c)
{
	return c->cpl == 0 && strncmp(symbol_where(c->eip), "hc_halt ", strlen("hc_halt ")) == 0;
}

/*
 * DONE: it came to the end of the list. ENDED: the machine has ended, or ends. LOOPS: the kernel
 * has destroyed itself.
 */
enum run_end { DONE, ENDED, LOOPS };

/*
 * Run up to the end of the list. A kernel that loops is seen in ring 1 or 3, or enters the VMM
 * anew, or stops the CPU. The others, which are parked, run for a moment in QEMU, one by one, when
 * the VMM may wait for them.
 */
static enum run_end run(struct victim *v)
{
	enum { SLICES = 150 };
	struct cpu_state cpus[CPUS_MAX], *c = &cpus[v->cpu];
	uint32_t done = pool_address(v, copy_page(v)) + attack_symbol("batch_done");
	bool others = v->alone, stopped, in_kernel = false;
	uint32_t last = 0, exits;
	for (unsigned i = 0; i < SLICES; i++) {
		if (next_attack(v) != last)
			i = 0, in_kernel = false, last = next_attack(v);
		exits = count_exits(v);
		stopped = run_slice(v, others ? 0.002 : i ? 0.0001 * (1 + any(10)) : 0.3);
		if (machine_ended(v->m))
			return ENDED;
		machine_state(v->m, cpus);
		if (c->eip - done < 2 && c->cpl == 1)
			return DONE;
		if (stopped && v->m->o.bochs && !c->cpl && !is_stopped(c))
			return ENDED; /* Bochs stops where a machine ends */
		if (stopped || (c->cpl && !others) || is_stopped(c))
			return LOOPS;
		in_kernel |= c->cpl != 0 || count_exits(v) != exits;
		for (unsigned k = 1; k < v->m->o.cpus && others && c->cpl == 0; k++)
			gdb_run_cpus(v->m, 1u << k, false, 0.0002);
	}
	if (in_kernel)
		return LOOPS;
	give_up(FAILED, "the VMM does not end at %s", symbol_where(c->eip));
}

static void launch(struct victim *v, const char *label, const struct entry *e)
{
	uint32_t block[LAUNCH_WORDS];
	launch_block(v, place(v, label, false), e, block);
	pool_write(v, STACK_PAGE, STACK_TOP, block, sizeof(block));
	debug_select(v->m, v->cpu);
	debug_set_register(v->m, GDB_ESP, pool_address(v, STACK_PAGE) + STACK_TOP);
	debug_set_register(v->m, GDB_EIP, place(v, "launch", false));
}

static void break_done(struct victim *v, bool set)
{
	uint32_t done = pool_address(v, copy_page(v)) + attack_symbol("batch_done");
	for (unsigned i = 0; i <= two_breaks(v->m); i++)
		debug_break(v->m, done + i, set);
}

/*
 * Each trap of the kernel goes on with the list from now on. The CPU itself stores into the
 * kernel's code: emulators would miss a change that comes from outside.
 */
static void take_traps(struct victim *v)
{
	uint32_t from = symbol("trap_handle"), to_copy = pool_address(v, copy_page(v));
	uint32_t jump = to_copy + attack_symbol("batch_trap") - (from + 5);
	uint32_t stores = v->user + FREE_PAGE * PAGE_SIZE + from % PAGE_SIZE;
	uint32_t frame = page_walk(v->m, v->start.cr3, from).machine >> PAGE_SHIFT;
	CHECK(from % PAGE_SIZE <= PAGE_SIZE - 8, "%#x is at the end of a page", from);
	ALLOWED(v, HC_UPDATE, pte_machine(v, FREE_PAGE), 1, entry(frame, PTE_W | PTE_U), stores);
	EXPECT_RETURN(v, "exchange_at", .eax = jump >> 24, .ebx = stores + 4);
	break_function(v->m, "trap_handle", false);
	break_done(v, true);
	launch(v, "exchange_at", &(struct entry){ .eax = 0xE9 | jump << 8, .ebx = stores });
	CHECK(run(v) == DONE, "the list is not entered");
}

/* The second copy of the code, with an empty list. */
static void prepare_list(struct victim *v)
{
	uint32_t code[PAGE_SIZE / 4], end = attack_symbol("attack_end");
	uint32_t empty[BEFORE + 1] = { list_address(v) + 4 * BEFORE };
	CHECK(end <= sizeof(code) && attack_symbol("batch_words") == WORDS &&
	      4 * (BEFORE + BATCH * WORDS + 1) <= (v->pages / 2 - 1) * PAGE_SIZE,
	      "the pool is too small");
	for (uint32_t at = 0; at < end; at += 4)
		code[at / 4] = attack_word(at);
	pool_write(v, copy_page(v), 0, code, end);
	pool_write(v, copy_page(v) + 1, 0, empty, sizeof(empty));
	write_parameter(v, "batch_list", list_address(v));
	write_parameter(v, "batch_code", pool_address(v, CODE_PAGE));
	write_parameter(v, "batch_stack", pool_address(v, STACK_PAGE) + STACK_TOP);
	write_parameter(v, "batch_entry", pool_address(v, ENTRY_PAGE) + PAGE_SIZE);
	write_parameter(v, "batch_shared", symbol("vmm_shared") +
			v->cpu * (uint32_t)sizeof(struct vmm_shared));
	v->list = pool_mfn(v, copy_page(v) + 1) << PAGE_SHIFT;
}

/* What is deadly in ring 1 is drawn seldom: a machine must be started again after each. */
static void random_state(struct victim *v, uint32_t block[LAUNCH_WORDS])
{
	struct entry e = random_entry(v);
	unsigned first = e.ring3 || !any(64) ? 0 : DEADLY;
	const char *label = labels[first + any(COUNT(labels) - first)];
	if (e.ring3)
		e.edi = place(v, "launch", true);
	launch_block(v, any(16) ? place(v, label, e.ring3) : value(v), &e, block);
}

static void write_list(struct victim *v)
{
	uint32_t list[BEFORE + BATCH * WORDS + 1] = { 0 };
	list[0] = list_address(v) + 4 * BEFORE;
	for (unsigned i = 0; i < BATCH; i++)
		random_state(v, &list[BEFORE + i * WORDS]);
	pool_write(v, copy_page(v) + 1, 0, list, 4 * (BEFORE + BATCH * WORDS + 1));
}

/* A report names the states of the list, and the seed from which any() draws them. */
static void name_states(unsigned n)
{
	static char text[80];
	sprintf(text, "states %u to %u, drawn from %#x", n, n + BATCH - 1, seed);
	judge_context = text;
}

/* Count how the first n of the list ended; its frames follow each other. */
static void count_ends(struct victim *v, unsigned n, unsigned ends[VEC_EXCEPTIONS + 1])
{
	static uint32_t list[BATCH * WORDS];
	physical_read(v->m, v->list + 4 * BEFORE, list, n * WORDS * 4);
	for (unsigned i = 0; i < n; i++) {
		uint32_t vector = list[i * WORDS + LAUNCH_WORDS];
		ends[vector < VEC_EXCEPTIONS ? vector : VEC_EXCEPTIONS]++;
	}
}

/* The kernel's own data may be destroyed by now. What the VMM keeps from it must not be. */
static void check_vmm(struct victim *v)
{
	struct cpu_state cpus[CPUS_MAX];
	unsigned n = machine_state(v->m, cpus);
	for (unsigned i = 0; i < n; i++)
		check_cpu_virtual(v->m, i, &cpus[i]);
	check_frame_table(v->m);
	check_domains(v->m);
}

/*
 * Try a list of states, the n-th and on. Result: how many ran. *end: the machine cannot go on: the
 * kernel was stopped, by right, has ended the machine by HC_SHUTDOWN, its CPU, or loops.
 */
static unsigned try_states(struct victim *v, unsigned n, bool *end)
{
	name_states(n);
	write_list(v);
	launch(v, "done", &(struct entry){ 0 });
	enum run_end how = run(v);
	*end = how != DONE;
	if (how == DONE) {
		check_vmm(v);
		return BATCH;
	}
	if (how == ENDED) {
		if (v->m->o.bochs)
			break_done(v, false); /* a trap may have brought another CPU there */
		machine_wait(v->m, 2);
		machine_pump(v->m);
		CHECK(v->m->exit_status % 2 == 1 && v->m->exit_status != FAULT_STATUS,
		      "they ended the machine with status %d", v->m->exit_status);
	}
	unsigned ran = (next_attack(v) - list_address(v) - 4 * BEFORE) / (4 * WORDS);
	return ran <= BATCH ? ran : 0; /* else an attack has stored there */
}

/* number: the seed; text: how many states. */
void random_states(const struct test *t)
{
	unsigned ends[VEC_EXCEPTIONS + 1] = { 0 }, machines = 0, n = 0, count, ran;
	struct victim *v = NULL;
	bool end = true;
	seed = t->number;
	for (count = (unsigned)atoi(t->text); n < count; n += ran) {
		if (end) {
			v = victim_start(&t->machine);
			if (v->alone)
				park_others(v);
			prepare_list(v);
			take_traps(v);
			machines++;
		}
		ran = try_states(v, n, &end);
		judge_context = NULL;
		if (ran)
			count_ends(v, ran, ends);
		if (end)
			machine_quit(v->m);
	}
	printf("%u states on %u machines; they ended by", n, machines);
	for (unsigned i = 0; i < COUNT(ends); i++)
		if (ends[i])
			printf(" %u: %u", i, ends[i]);
	printf("\n");
	CHECK(ends[VEC_BP] > n / 20 && ends[VEC_GP] > n / 16 && ends[VEC_PF] > n / 16,
	      "the states do not differ");
	if (!end)
		machine_quit(v->m);
}
