/* SPDX-License-Identifier: MIT */
/*
 * Memory is out at one place after the other: the debugger lets the n-th allocation of a workload
 * fail, or it and the next. The kernel must go on, its shell must run the next command, and nothing
 * may be lost.
 */
#include "rollback.h"

enum { NO_MEMORY = 0, NO_PFN = -1, ALLOCATIONS_MIN = 100, PASSES = 5 };

static const struct { const char *name; uint32_t fails; } allocators[] = {
	{ "kmalloc", NO_MEMORY }, { "frame_alloc", (uint32_t)NO_PFN },
	{ "frame_alloc_user", (uint32_t)NO_PFN },
};
enum { NR_ALLOCATORS = sizeof(allocators) / sizeof(allocators[0]) };

/* Processes, pages, pipes, names and files; sync tells the debugger that it is over. */
static const char workload[] =
	"sh -c 'cat < /etc/motd | wc > /tmp/x; mkdir /tmp/d; cd /tmp/d; mv ../x x; ls'; "
	"usertests mmap_file | grep passed; rm /tmp/d/x; rmdir /tmp/d; sync";

static void break_at_allocators(struct machine *m, bool set)
{
	for (unsigned i = 0; i < NR_ALLOCATORS; i++)
		gdb_break(m, symbol(allocators[i].name), set);
	gdb_break(m, symbol("sys_sync"), set);
}

/* At the entry of an allocator: return as it does when memory is out. */
static void fail_here(struct machine *m, uint32_t eip)
{
	for (unsigned i = 0; i < NR_ALLOCATORS; i++) {
		if (eip != symbol(allocators[i].name))
			continue;
		uint32_t caller, esp = gdb_register(m, GDB_ESP);
		gdb_read(m, esp, &caller, sizeof(caller));
		gdb_set_register(m, GDB_EAX, allocators[i].fails);
		gdb_set_register(m, GDB_ESP, esp + 4);
		gdb_set_register(m, GDB_EIP, caller);
	}
}

/* Let `row` allocations fail, from the n-th on. Result: whether there were so many. */
static bool fail_some(struct machine *m, unsigned n, unsigned row)
{
	uint32_t eip = 0, end = symbol("sys_sync");
	machine_stop(m);
	gdb_connect(m);
	break_at_allocators(m, true);
	machine_send(m, workload);
	machine_send(m, "\n");
	for (unsigned at = 1; at < n + row && eip != end; at++) {
		if (eip && at <= n)
			gdb_step(m); /* off the breakpoint */
		CHECK(gdb_run(m, 60), "the workload does not come to its end");
		eip = gdb_register(m, GDB_EIP);
		if (at >= n)
			fail_here(m, eip);
	}
	break_at_allocators(m, false);
	gdb_disconnect(m);
	return eip != end;
}

/* Result: KiB that are free, or would be at need; caches are given back first. */
static unsigned available(struct machine *m)
{
	unsigned idle = 0, cached = 0;
	const char *out = output_of(m, "usertests memory_full; cat /proc/meminfo", 60);
	out = strstr(out, "free ");
	CHECK(out && sscanf(out, "free %u cached %u", &idle, &cached) == 2, "no /proc/meminfo");
	return idle + cached;
}

/* Let each step-th allocation fail, the n-th first, each time `row` of them. */
static void fail_many(struct machine *m, unsigned n, unsigned step, unsigned row)
{
	for (; fail_some(m, n, row); n += step) {
		machine_expect(m, "$ ", 60);
		const char *out = output_of(m, "rm -f /tmp/x /tmp/d/x; rmdir /tmp/d; echo we''ll",
					    60);
		CHECK(strstr(out, "\nwell\n"), "after allocation %u failed: %s", n, out);
	}
	machine_expect(m, "$ ", 60);
	CHECK(n > ALLOCATIONS_MIN, "the workload has only %u allocations", n);
}

/*
 * text: the mode, of how many allocations one fails, and how many in a row. A pass may fill pools
 * and slabs; but if memory is lost, each pass costs some.
 */
static void memory_out(const struct test *t)
{
	char mode[10], text[100];
	unsigned step, row;
	sscanf(t->text, "%9s %u %u", mode, &step, &row);
	struct machine *m = start_to_prompt(&t->machine);
	snprintf(text, sizeof(text), "echo %s > /proc/mode", mode);
	command(m, text, 20);
	unsigned before, after = 0;
	for (unsigned pass = 0; pass < PASSES; pass++) {
		before = after;
		fail_many(m, 1 + judge_seed % step, step, row);
		after = available(m);
		if (pass > 0 && after >= before) {
			end_at_prompt(m);
			return;
		}
	}
	give_up(FAILED, "%u KiB are lost, and in each pass before some", before - after);
}

#define ROW(which, limit, options) \
	{ .name = which, .run = memory_out, .seconds = limit, .text = options }

const struct test memory_out_tests[] = {
	ROW("memory-out-native", 200, "native 47 1"),
	ROW("memory-out-virtual", 200, "virtual 47 2"),
	{ 0 },
};

const struct test memory_out_soak_tests[] = {
	ROW("soak-memory-out-native-1", 3600, "native 1 1"),
	ROW("soak-memory-out-native-2", 3600, "native 1 2"),
	ROW("soak-memory-out-virtual-1", 3600, "virtual 1 1"),
	ROW("soak-memory-out-virtual-2", 3600, "virtual 1 2"),
	{ 0 },
};
