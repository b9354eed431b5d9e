/* SPDX-License-Identifier: MIT */
/*
 * What the VMM keeps about a domain, changed by the debugger: its rights, which every call that
 * needs one must ask for; and the number of its generation, which must not begin again at a number
 * that entries of the frame table still have. And that the VMM has a directory of its own.
 */
#include "isolation.h"
#include "offsets.h"

static uint32_t domain_word(struct machine *m, uint32_t cr3, unsigned offset)
{
	uint32_t word;
	virtual_read(m, cr3, vmm_symbol("domain0") + offset, &word, sizeof(word));
	return word;
}

static void set_domain_word(struct machine *m, uint32_t cr3, unsigned offset, uint32_t value)
{
	struct walk w = page_walk(m, cr3, vmm_symbol("domain0") + offset);
	CHECK(w.present, "domain0 is not mapped");
	physical_write(m, w.machine, &value, sizeof(value));
}

/* --- rights --- */

enum { SCRATCH = 0x3FF, COM1_LINE = 4, NR_LINES = 16, PRINT_BYTES = 1 << 14 };

/* As in vmm/vmm.h, which is not for the host. */
enum { RIGHT_DEVICES = 1, RIGHT_MACHINE = 2 };

static void set_rights(struct victim *v, uint32_t rights)
{
	set_domain_word(v->m, v->start.cr3, DOMAIN_RIGHTS, rights);
}

/* Calls that are refused for want of a right, and leave the machine's registers unchanged. */
static void refused_wholly(struct victim *v, const struct call *calls, unsigned n)
{
	char before[PRINT_BYTES], after[PRINT_BYTES];
	for (unsigned i = 0; i < n; i++) {
		fingerprint(v->m, before, sizeof(before));
		want_result(v, -EPERM, &calls[i]);
		fingerprint(v->m, after, sizeof(after));
		CHECK(strcmp(before, after) == 0, "hypercall %u (%#x, %#x) changed the machine:\n"
		      "%sbecame\n%s", calls[i].number, calls[i].ebx, calls[i].ecx, before, after);
	}
}

/* A level-triggered line, masked: HC_END would let it through. */
static uint32_t masked_level_line(struct victim *v)
{
	for (uint32_t line = 0; line < NR_LINES; line++)
		if (hypercall(v, HC_END, line, 0, 0, 0) == 0) {
			ALLOWED(v, HC_MASK, line, 1, 0, 0);
			return line;
		}
	give_up(BROKEN, "no line of this machine is level-triggered");
}

static uint32_t scratch(struct victim *v)
{
	return (uint32_t)hypercall(v, HC_IO, SCRATCH, 0, VMM_IO_IN8, 0);
}

/* Without RIGHT_DEVICES: no port, no line; the calls that need the other right stay. */
static void no_devices(struct victim *v, uint32_t level)
{
	const uint32_t pattern[2] = { 0x12345678, 0x9ABCDEF0 };
	uint32_t data = pool_address(v, DATA_PAGE), read[2];
	const struct call calls[] = {
		{ HC_IO, SCRATCH, 0, VMM_IO_IN8, 0, 0 },
		{ HC_IO, SCRATCH, 0xA5, VMM_IO_OUT8, 0, 0 },
		{ HC_IO, 0x1F0, data, VMM_IO_IN_BLOCK, 4, 0 },
		{ HC_IO, 0x1F0, data, VMM_IO_OUT_BLOCK, 4, 0 },
		{ HC_MASK, COM1_LINE, 1, 0, 0, 0 },
		{ HC_MASK, level, 0, 0, 0, 0 },
		{ HC_MASK, NR_LINES, 0, 0, 0, 0 },
		{ HC_END, level, 0, 0, 0, 0 },
		{ HC_END, NR_LINES, 0, 0, 0, 0 },
	};
	ALLOWED(v, HC_IO, SCRATCH, 0x5A, VMM_IO_OUT8, 0);
	pool_write(v, DATA_PAGE, 0, pattern, sizeof(pattern));
	set_rights(v, RIGHT_MACHINE);
	refused_wholly(v, calls, COUNT(calls));
	REFUSED(v, -EINVAL, HC_DETACH, 77, 0, 0, 0);
	set_rights(v, RIGHT_MACHINE | RIGHT_DEVICES);
	physical_read(v->m, pool_mfn(v, DATA_PAGE) << PAGE_SHIFT, read, sizeof(read));
	CHECK(memcmp(read, pattern, sizeof(read)) == 0, "a refused input stored %#x", read[0]);
	CHECK(scratch(v) == 0x5A, "a refused output reached the port: %#x", scratch(v));
}

/* Without RIGHT_MACHINE: no step of a detach, no recount, no end of the run. */
static void no_machine(struct victim *v)
{
	const struct call calls[] = {
		{ HC_DETACH, VMM_UNPROTECT, 0, 0, 0, 0 },
		{ HC_DETACH, VMM_PROTECT, 0, 0, 0, 0 },
		{ HC_DETACH, VMM_INSTALL, 0, 0, 0, 0 },
		{ HC_DETACH, 77, 0, 0, 0, 0 },
		{ HC_RECOUNT, 0, 0, 0, 0, 0 },
		{ HC_SHUTDOWN, 0, 0, 0, 0, 0 },
		{ HC_SHUTDOWN, 0x80, 0, 0, 0, 0 },
	};
	set_rights(v, RIGHT_DEVICES);
	for (unsigned i = 0; i < COUNT(calls); i++) {
		refused_wholly(v, &calls[i], 1);
		check_victim(v);
	}
	CHECK(scratch(v) == 0x5A, "a port needs RIGHT_MACHINE");
	set_rights(v, RIGHT_MACHINE | RIGHT_DEVICES);
}

/*
 * Each right is taken away in turn; with both given back, every call works. (HC_SHUTDOWN works when
 * the test ends.)
 */
void rights(struct victim *v)
{
	char before[PRINT_BYTES], after[PRINT_BYTES];
	uint32_t data = pool_address(v, DATA_PAGE), level = masked_level_line(v);
	fingerprint(v->m, before, sizeof(before));
	no_devices(v, level);
	no_machine(v);
	ALLOWED(v, HC_IO, 0x1F0, data, VMM_IO_IN_BLOCK, 4);
	ALLOWED(v, HC_MASK, COM1_LINE, 1, 0, 0);
	fingerprint(v->m, after, sizeof(after));
	CHECK(strcmp(before, after) != 0, "HC_MASK masked nothing");
	ALLOWED(v, HC_MASK, COM1_LINE, 0, 0, 0);
	ALLOWED(v, HC_END, level, 0, 0, 0);
	ALLOWED(v, HC_MASK, level, 1, 0, 0);
	ALLOWED(v, HC_DETACH, VMM_UNPROTECT, 0, 0, 0);
	ALLOWED(v, HC_DETACH, VMM_PROTECT, 0, 0, 0);
	fingerprint(v->m, after, sizeof(after));
	CHECK(strcmp(before, after) == 0, "the machine became\n%s, it was\n%s", after, before);
}

/* --- generations --- */

/*
 * Let programs start in virtual mode, to end in native mode: the VMM never hears of their end. The
 * entries of their page tables, and of the pages that they map, keep type, count and generation.
 */
static void leave_entries(struct machine *m)
{
	for (unsigned i = 0; i < 8; i++)
		command(m, "sleep 1 &", 20);
}

static void await_their_end(struct machine *m) { command(m, "sleep 2", 20); }

/*
 * Switch, and stop the machine when it is idle, with the invariants checked. In virtual mode no
 * more frames have a type than this attachment put into its list. Result: the generation.
 */
static uint32_t switch_to(struct machine *m, bool is_virtual)
{
	struct cpu_state cpus[CPUS_MAX];
	uint32_t nr = kernel_word(m, "nr_mfns"), typed = 0;
	command(m, is_virtual ? "echo virtual > /proc/mode" : "echo native > /proc/mode", 20);
	stop_idle(m);
	is_virtual ? check_whole(m) : check_mode(m, false);
	machine_state(m, cpus);
	struct frame_state *frames = frame_table_read(m, cpus[0].cr3, nr);
	for (uint32_t mfn = 0; mfn < nr; mfn++)
		typed += frames[mfn].validity == FRAME_CURRENT &&
			 frames[mfn].type != FRAME_WRITABLE;
	free(frames);
	uint32_t listed = domain_word(m, cpus[0].cr3, DOMAIN_NR_LISTED);
	CHECK(typed <= listed && (typed > 0) == is_virtual,
	      "%u frames have a type, and %u are in the list", typed, listed);
	return domain_word(m, cpus[0].cr3, DOMAIN_GENERATION);
}

/*
 * Attach, detach, attach, detach, while the generation goes round. first: that of the first attach.
 * again: the one whose entries a later attachment must not take for its own.
 */
static void go_round(struct machine *m, uint32_t first, uint32_t again)
{
	struct cpu_state cpus[CPUS_MAX];
	stop_idle(m);
	machine_state(m, cpus);
	set_domain_word(m, cpus[0].cr3, DOMAIN_GENERATION, first - 1);
	machine_continue(m);
	for (unsigned i = 0; i < 4; i++, first++) {
		if (first == FOR_EVER)
			first = 1;
		uint32_t is = switch_to(m, i % 2 == 0);
		CHECK(is == first, "switch %u: the generation is %#x, not %#x", i, is, first);
		machine_continue(m);
		if (i % 2)
			await_their_end(m);
		else if (is == again)
			leave_entries(m);
	}
}

/*
 * The generation reaches FOR_EVER and restarts at 1: first at a detach, so that the next attachment
 * is number 2, as the machine's first one was; then twice at an attach, which makes it number 1.
 */
void generations(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	go_round(m, 2, 2);
	go_round(m, FOR_EVER - 1, 0);
	go_round(m, FOR_EVER, 1);
	go_round(m, FOR_EVER, 0);
	command(m, "echo virtual > /proc/mode", 20);
	struct victim *v = victim_at_prompt(m);
	ALLOWED(v, HC_RECOUNT, 0, 0, 0, 0);
	victim_end(v);
}

/* --- the VMM's own directory --- */

/*
 * The VMM's stack is not mapped, so the next exit is a double fault. Its task has a stack of its
 * own and the VMM's own directory, and it ends the run: nothing of the kernel is needed for that.
 */
void double_fault(const struct test *t)
{
	struct victim *v = victim_start(&t->machine);
	struct machine *m = v->m;
	uint32_t cr3 = v->start.cr3, esp0 = KERNEL_MAP_BASE - PAGE_SIZE;
	uint32_t tss = vmm_symbol("vmm_cpus") + CPU_TSS;
	uint32_t directory = page_walk(m, cr3, vmm_symbol("vmm_directory")).machine;
	physical_write(m, page_walk(m, cr3, tss + offsetof(struct tss, esp0)).machine, &esp0, 4);
	debug_break(m, symbol("trap_handle"), false);
	debug_break(m, vmm_symbol("end_run"), true);
	debug_set_register(m, GDB_ESP, pool_address(v, STACK_PAGE) + PAGE_SIZE / 2);
	debug_set_register(m, GDB_EIP, place(v, "hypercall", false));
	CHECK(debug_run(m, 20), "the VMM does not end the run after a double fault");
	struct cpu_state c[CPUS_MAX];
	machine_state(m, c);
	CHECK(c[0].cpl == 0 && c[0].tr.selector == SEL_DF_TSS && c[0].cr3 == directory &&
	      c[0].eax == VMM_FAULT_STATUS,
	      "a double fault ends in ring %u with TR %#x, CR3 %#x and status %#x; the VMM's own "
	      "directory is at %#x", c[0].cpl, c[0].tr.selector, c[0].cr3, c[0].eax, directory);
	machine_quit(m);
}
