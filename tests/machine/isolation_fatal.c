/* SPDX-License-Identifier: MIT */
/*
 * Attacks that the VMM answers by ending the run with a report: stores to page tables (rule 13) and
 * stacks on which it cannot build a frame (23, 24). Each starts a machine of its own. And what must
 * not outlive an attach: a breakpoint on the VMM's code (28).
 */
#include "isolation.h"

/* An address of the kernel that no page is mapped at: the last page below its own mappings. */
#define NOT_MAPPED (KERNEL_MAP_BASE - PAGE_SIZE)
#define STORE "a store to a page table"
#define NO_STACK "no kernel stack for a bounce"
#define ANY_RULE "the kernel broke a rule"

/* What `ebx` is relative to: nothing, or the page of the direct map that shows this table. */
enum where { AT, DIRECTORY, TABLE, SHARED };
static const struct fatal { const char *label; enum where where; uint32_t ebx; const char *rule; }
fatal[] = {
	/* 13 */
	{ "write_at", DIRECTORY, 0x400, STORE },
	{ "write_at", TABLE, 0, STORE },
	{ "exchange_at", SHARED, 0, STORE },
	{ "or_at", TABLE, 0x800, STORE },
	{ "compare_at", DIRECTORY, 4092, STORE },
	{ "string_at", TABLE, 16, STORE },
	{ "bits_at", TABLE, 0, STORE },
	{ "push_at", TABLE, 64, ANY_RULE },
	/* 23 */
	{ "stack_privileged", AT, 0, NO_STACK },
	{ "stack_privileged", AT, 8, NO_STACK },
	{ "stack_privileged", AT, KERNEL_BASE + 4, NO_STACK },
	{ "stack_privileged", AT, VMM_BASE + 0x8000, NO_STACK },
	{ "stack_privileged", AT, 0xFFFFFFFF, NO_STACK },
	{ "stack_emulated", TABLE, 64, NO_STACK },
	{ "stack_fault", DIRECTORY, 512, NO_STACK },
	{ "stack_privileged", AT, NOT_MAPPED, NO_STACK },
	{ "stack_privileged", AT, VMM_BASE + 4, NO_STACK },
	{ "stack_divide", AT, 8, NO_STACK },
	{ "stack_undefined", AT, 8, NO_STACK },
};

/* The address at which the direct map shows a machine frame. */
static uint32_t home_of(struct victim *v, uint32_t mfn)
{
	uint32_t pfn;
	virtual_read(v->m, v->start.cr3, kernel_word(v->m, "m2p") + 4 * mfn, &pfn, 4);
	return KERNEL_BASE + (pfn << PAGE_SHIFT);
}

static void fatal_one(const struct test *t, const struct fatal *f)
{
	struct victim *v = victim_start(&t->machine);
	struct machine *m = v->m;
	uint32_t cr3 = v->start.cr3;
	const uint32_t mfn[] = {
		[DIRECTORY] = v->directory,
		[TABLE] = v->table,
		[SHARED] = page_walk(m, cr3, pool_address(v, 0)).pde >> PAGE_SHIFT,
	};
	uint32_t ebx = f->ebx + (f->where == AT ? 0 : home_of(v, mfn[f->where]));
	uint32_t at = page_walk(m, cr3, ebx).machine & ~3u;
	uint32_t before = f->where == AT ? 0 : physical_word(m, at);
	CHECK(!ATTACK(v, f->label, .eax = before, .ebx = ebx, .ecx = 4),
	      "%s at %#x: the VMM let it pass, or bounced it (vector %u)", f->label, ebx,
	      v->trap.vector);
	CHECK(f->where == AT || physical_word(m, at) == before, "%s at %#x changed a page table",
	      f->label, ebx);
	victim_stopped(v, f->rule);
}

void stopped(const struct test *t)
{
	for (unsigned i = t->number, n = (unsigned)atoi(t->text); n--; i++)
		fatal_one(t, &fatal[i]);
}

/*
 * 24: the stack for entries from ring 3 lies in a page table, or where no page is. HC_LOAD accepts
 * such an address; the VMM finds out at the next entry from ring 3, here by INT3.
 */
void bad_entry_stack(const struct test *t)
{
	for (unsigned i = 0; i < 2; i++) {
		struct victim *v = victim_start(&t->machine);
		uint32_t table = v->table << PAGE_SHIFT, before[1024], after[1024];
		uint32_t stack = i ? NOT_MAPPED : home_of(v, v->table) + PAGE_SIZE / 2;
		physical_read(v->m, table, before, sizeof(before));
		ALLOWED(v, HC_LOAD, 0, stack, 0, 0);
		CHECK(!ATTACK(v, "done", .ring3 = true),
		      "INT3 in ring 3 was delivered on a bad stack");
		physical_read(v->m, table, after, sizeof(after));
		for (unsigned k = 0; k < 1024; k++)
			CHECK(((before[k] ^ after[k]) & ~(uint32_t)(PTE_A | PTE_D)) == 0,
			      "entry %u of the page table changed", k);
		victim_stopped(v, "its stack for entries from ring 3");
	}
}

/*
 * 28: the kernel sets a breakpoint on the VMM's code while it still is in ring 0. In virtual mode
 * DR7 must have no breakpoint enabled; after detach it must have the kernel's value again.
 */
void old_breakpoint(const struct test *t)
{
	static const char *const commands[] = {
		"echo virtual > /proc/mode; ls /bin | wc", "echo native > /proc/mode",
	}, *const wanted[] = { "DR7=00000400", "DR7=00000402" };
	struct victim *v = native_start(&t->machine);
	struct machine *m = v->m;
	gdb_set_register(m, GDB_ECX, vmm_symbol("hypercall_entry"));
	gdb_set_register(m, GDB_EBX, 0x402); /* bit 10 is always 1; G0; R/W0 = 0: execution */
	gdb_set_register(m, GDB_EDX, symbol("sys_getpid"));
	gdb_set_register(m, GDB_EIP, place(v, "set_breakpoint", false));
	machine_continue(m);
	machine_expect(m, PROMPT, 20);
	for (unsigned i = 0; i < 2; i++) {
		command(m, commands[i], 20);
		machine_stop(m);
		char *text = qmp_human(m, "info registers");
		CHECK(strstr(text, wanted[i]), "%s mode has not %s:\n%s", i ? "native" : "virtual",
		      wanted[i], text);
		free(text);
		machine_continue(m);
	}
	end_at_prompt(m);
}
