/* SPDX-License-Identifier: MIT */
/*
 * Attacks that the VMM answers by ending the run with a report: stores to page tables (rule 13) and
 * stacks on which it cannot build a frame (23, 24). Each starts a machine of its own. And what must
 * not outlive an attach: a breakpoint on the VMM's code (28).
 */
#include "isolation.h"
#include "offsets.h"

/* An address of the kernel that no page is mapped at: the last page below its own mappings. */
#define NOT_MAPPED (KERNEL_MAP_BASE - PAGE_SIZE)
#define STORE "a store to a page table"
#define NO_STACK "no kernel stack for a bounce"
#define ANY_RULE "the kernel broke a rule"

/* What `ebx` is relative to: nothing, or the page of the direct map that shows this table. */
enum where { AT, IN_DIRECTORY, IN_TABLE, IN_SHARED };
static const struct fatal { const char *label; enum where where; uint32_t ebx; const char *rule; }
fatal[] = {
	/* 13 */
	{ "write_at", IN_DIRECTORY, 0x400, STORE },
	{ "write_at", IN_TABLE, 0, STORE },
	{ "exchange_at", IN_SHARED, 0, STORE },
	{ "or_at", IN_TABLE, 0x800, STORE },
	{ "compare_at", IN_DIRECTORY, 4092, STORE },
	{ "string_at", IN_TABLE, 16, STORE },
	{ "bits_at", IN_TABLE, 0, STORE },
	{ "push_at", IN_TABLE, 64, ANY_RULE },
	/* 23 */
	{ "stack_privileged", AT, 0, NO_STACK },
	{ "stack_privileged", AT, 8, NO_STACK },
	{ "stack_privileged", AT, KERNEL_BASE + 4, NO_STACK },
	{ "stack_privileged", AT, VMM_BASE + 0x8000, NO_STACK },
	{ "stack_privileged", AT, 0xFFFFFFFF, NO_STACK },
	{ "stack_emulated", IN_TABLE, 64, NO_STACK },
	{ "stack_fault", IN_DIRECTORY, 512, NO_STACK },
	{ "stack_privileged", AT, NOT_MAPPED, NO_STACK },
	{ "stack_privileged", AT, VMM_BASE + 4, NO_STACK },
	{ "stack_divide", AT, 16, NO_STACK },
	{ "stack_undefined", AT, 16, NO_STACK },
	/* The frame wraps into the VMM. v86 looks there first, QEMU and Bochs at page 0. */
	{ "stack_divide", AT, 8, ANY_RULE },
	/* A direct gate's frame, across the ends of the stack's segment: Bochs only. */
	{ "stack_undefined", AT, 0, NO_STACK },
	{ "stack_undefined", AT, 8, NO_STACK },
	{ "stack_undefined", AT, VMM_BASE + 4, NO_STACK },
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
		[IN_DIRECTORY] = v->directory,
		[IN_TABLE] = v->table,
		[IN_SHARED] = page_walk(m, cr3, pool_address(v, 0)).pde >> PAGE_SHIFT,
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
 * such an address; the VMM finds out at the next entry from ring 3: by INT3, which has a direct
 * gate, or by a page fault, which is bounced. HC_LOAD refuses the VMM's memory, but a guest can
 * begin with such a stack: here the debugger sets it.
 */
void bad_entry_stack(const struct test *t)
{
	for (unsigned i = 0; i < 5; i++) {
		struct victim *v = victim_start(&t->machine);
		uint32_t esp1 = vmm_symbol("vmm_cpus") + v->cpu * CPU_BYTES + CPU_TSS + TSS_ESP1;
		uint32_t own = vmm_symbol("vmm_idt") + PAGE_SIZE / 2;
		uint32_t stack = i == 4 ? own : i & 1 ? NOT_MAPPED :
				 home_of(v, v->table) + PAGE_SIZE / 2;
		uint32_t page = i == 4 ? page_walk(v->m, v->start.cr3, own).machine & PAGE_MASK :
				v->table << PAGE_SHIFT, before[1024], after[1024];
		physical_read(v->m, page, before, sizeof(before));
		if (i < 4)
			ALLOWED(v, HC_LOAD, 0, stack, 0, 0);
		else
			physical_write(v->m, page_walk(v->m, v->start.cr3, esp1).machine, &stack,
				       sizeof(stack));
		CHECK(!(i < 2 ? ATTACK(v, "done", .ring3 = true) :
				ATTACK(v, "read_at", .ring3 = true, .ebx = PAGE_SIZE)),
		      "%s in ring 3 was delivered on the stack %#x",
		      i < 2 ? "INT3" : "a page fault", stack);
		physical_read(v->m, page, after, sizeof(after));
		for (unsigned k = 0; k < 1024; k++)
			CHECK(((before[k] ^ after[k]) & ~(uint32_t)(PTE_A | PTE_D)) == 0,
			      "word %u of the page at %#x changed", k, stack);
		victim_stopped(v, i < 2 ? "its stack for entries from ring 3" : NO_STACK);
	}
}

/*
 * 28: the kernel sets a breakpoint on the VMM's code while it still is in ring 0. In virtual mode
 * DR7 must have no breakpoint enabled; after detach it must have the kernel's value again.
 * number: 1 for EXIT=eager, which stores and loads DR7 at each exit.
 */
void old_breakpoint(const struct test *t)
{
	static const char *const commands[] = {
		"echo virtual > /proc/mode; ls /bin | wc", "echo native > /proc/mode",
	}, *const wanted[] = { "DR7=00000400", "DR7=00000402" };
	if (t->number)
		use_eager_build();
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
