/* SPDX-License-Identifier: MIT */
/*
 * Random states (rule 43): an attack starts with random registers, segments, flags, stack and
 * address, in ring 1 or 3, most of them at the edges of what is mapped. It may end by any trap, or
 * the kernel may be stopped with a report: then the next machine is started. The VMM itself must
 * not fail. An NMI comes in between, too.
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
	"hypercall", "read_ds", "write_ds", "read_ss", "write_es", "load_ds", "load_ss", "pop_ds",
	"far_jump", "far_call", "far_return", "iret_to", "iret_outer", "near_jump", "near_return",
	"push_at", "pop_at", "string_at", "exchange_at", "null_hypercall", "load_all",
	"stack_privileged", "stack_emulated", "stack_fault", "stack_divide", "stack_undefined",
	"iret_flags", "popf_read", "flags_hypercall", "nested_iret", "step_hypercall", "interrupt",
	"iret_vm", "sysenter", "fpu",
};

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

/* One state. Result: whether the machine goes on; else the kernel was stopped, by right. */
static bool try_state(struct victim *v, unsigned n)
{
	static const uint32_t none;
	const char *label = labels[any(COUNT(labels))];
	struct entry e = random_entry(v);
	uint32_t at = any(16) ? place(v, label, e.ring3) : value(v);
	if (e.ring3)
		e.edi = place(v, "launch", true);
	pool_write(v, DATA_PAGE, 0, &none, 4);
	if (attack_at(v, at, &e)) {
		set_shared_word(v, SHARED_VIF, 0);
		set_shared_word(v, SHARED_PENDING, 0);
		return true;
	}
	machine_pump(v->m);
	CHECK(v->m->exit_status == STOPPED_STATUS && strstr(v->m->log, "the kernel broke a rule"),
	      "state %u (%s at %#x, EBX %#x, ring %u) ended the machine with status %d", n, label,
	      at, e.ebx, e.ring3 ? 3 : 1, v->m->exit_status);
	machine_quit(v->m);
	return false;
}

/* number: how many states; the seed is judge_seed's. */
void random_states(const struct test *t)
{
	struct victim *v = NULL;
	unsigned stops = 0, n;
	seed = t->number;
	for (n = 0; n < (unsigned)atoi(t->text); n++) {
		if (!v)
			v = victim_start(&t->machine);
		if (!try_state(v, n))
			v = NULL, stops++;
	}
	printf("%u states, %u of which stopped the kernel\n", n, stops);
	if (v)
		machine_quit(v->m);
}
