/* SPDX-License-Identifier: MIT */
/*
 * This kernel as a guest, and its builder: usertests in guests, the smallest guest, a hundred at
 * once; and what a guest costs domain 0 that could not be built, or has ended: nothing. How a guest
 * ended is read where the VMM is told, and whose a frame is in the VMM's table.
 */
#include "rollback.h"
#include "vmm_abi.h"
#include <errno.h>

enum { OK = 0x10, LIVES = 100, CROWD = 100 };

/* The text for QEMU's -initrd: VMM, and a root in which guests have all programs, too. */
static const char *root_for_all(void)
{
	static char text[700];
	const char *root = work_path("root.ext2");
	shell_must(60, "mkdir -p %s && tools/mkroot %s/guest.ext2 %s/bin/* && ROOT_MIB=12 "
		   "ROOT_BOOT='%s/boot/cinnabar %s/guest.ext2' tools/mkroot %s %s/bin/*",
		   work_path("boot"), work_path("boot"), build_dir, build_dir, work_path("boot"),
		   root, build_dir);
	snprintf(text, sizeof(text), "%s vmm,%s rootfs", vmm_file, root);
	return text;
}

static struct machine *start_virtual(const struct machine_options *o)
{
	struct machine *m = start_to_prompt(o);
	command(m, "echo virtual >/proc/mode", 20);
	return m;
}

/* Count the frames that belong to guests. *guests: how many guests have some. */
static unsigned guest_frames(struct machine *m, unsigned *guests)
{
	struct cpu_state c[CPUS_MAX];
	unsigned n = 0, frames = m->o.mem ? m->o.mem * 256 : 64 * 256, of[256] = { 0 };
	machine_stop(m);
	machine_state(m, c);
	struct frame_state *f = frame_table_read(m, c[0].cr3, frames);
	for (unsigned i = 0; i < frames; i++)
		of[f[i].owner & 255]++;
	free(f);
	machine_continue(m);
	*guests = 0;
	for (unsigned i = 2; i < 0xFF; i++)
		n += of[i], *guests += of[i] > 0;
	return n;
}

static void check_no_guest(struct machine *m, const char *when)
{
	unsigned guests, frames = guest_frames(m, &guests);
	CHECK(frames == 0, "%s: %u frames are guests'", when, frames);
}

/* The shell keeps 50 lines: their memory is touched now, so that it is not missing later. */
static void fill_history(struct machine *m)
{
	for (unsigned i = 0; i < 50; i++)
		command(m, "true", 20);
}

/* KiB that are free, or hold blocks of files. */
static unsigned available(struct machine *m)
{
	unsigned idle = 0, cached = 0;
	const char *out = strstr(output_of(m, "cat /proc/meminfo", 20), "free ");
	CHECK(out && sscanf(out, "free %u cached %u", &idle, &cached) == 2, "no /proc/meminfo");
	return idle + cached;
}

static void break_alone(struct machine *m, uint32_t address, double seconds, const char *what)
{
	gdb_break(m, address, true);
	CHECK(gdb_run(m, seconds), "%s", what);
	gdb_break(m, address, false);
}

/* Guests that never end: they fork, write files, send frames. */
static void beside(struct machine *m, unsigned n)
{
	char text[120];
	for (unsigned i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "dom create x%u net 'cmdline=run=\"%sstress 100000\"'",
			 i, i % 2 ? "ping -c 100000 10.0.2.15 >/tmp/p & " : "");
		command(m, text, 60);
	}
}

/*
 * text: boot options of the guest, and what `dom create` is to be told. It must end well. number:
 * how many others run meanwhile; they must run to the end, too.
 */
static void whole(const struct test *t)
{
	struct machine_options o = t->machine;
	if (strstr(t->text, "usertests"))
		o.modules = root_for_all();
	struct machine *m = start_virtual(&o);
	beside(m, t->number);
	uint32_t end = vmm_symbol("guest_shutdown"), status = 0;
	struct cpu_state c[CPUS_MAX];
	machine_stop(m);
	if (!o.bochs)
		gdb_connect(m);
	debug_break(m, end, true);
	machine_send(m, t->text);
	machine_send(m, "\n");
	CHECK(debug_run(m, t->seconds), "the guest does not end");
	for (unsigned n = machine_state(m, c); n-- > 0;)
		status = c[n].eip == end ? c[n].edx : status;
	debug_break(m, end, false);
	if (o.bochs)
		machine_continue(m);
	else
		gdb_disconnect(m);
	machine_expect(m, PROMPT, 20);
	command(m, "dom console a </dev/null; dom kill a", 60);
	CHECK(status == OK, "the guest ended with status %#x", status);
	unsigned guests;
	guest_frames(m, &guests);
	CHECK(guests == t->number, "%u guests of %u are still there", guests, t->number);
	for (unsigned i = 0; i < t->number; i++) {
		char text[80];
		snprintf(text, sizeof(text), "dom list | grep x%u; dom kill x%u; dom kill x%u",
			 i, i, i);
		CHECK(strstr(output_of(m, text, 60), "runs"), "guest x%u does not run", i);
	}
	check_no_guest(m, "after the end");
	end_native(m);
}

/* --- failures --- */

/* At the entry of a function: return `result` at once. */
static void return_here(struct machine *m, uint32_t result)
{
	uint32_t caller, esp = gdb_register(m, GDB_ESP);
	gdb_read(m, esp, &caller, sizeof(caller));
	gdb_set_register(m, GDB_EAX, result);
	gdb_set_register(m, GDB_ESP, esp + 4);
	gdb_set_register(m, GDB_EIP, caller);
}

struct fault { const char *name; bool vmm; uint32_t result; };
static const struct fault out_of_memory[] = {
	{ "kmalloc", false, 0 }, { "frame_alloc", false, 0xFFFFFFFF }, { .name = NULL } };
static const struct fault refused[] = { { "hc_domain", true, (uint32_t)-EPERM }, { .name = NULL } };

static void breaks(struct machine *m, const struct fault *f, bool set)
{
	for (; f->name; f++)
		gdb_break(m, f->vmm ? vmm_symbol(f->name) : symbol(f->name), set);
}

/*
 * Let domain_create() run, with the n-th call of these functions failing, and all after it until
 * it gives up; of hypercalls only one. Result: whether there were so many calls.
 */
static bool create_with(struct machine *m, const struct fault *faults, unsigned n)
{
	uint32_t caller, eip = 0;
	bool failed = false, create = true;
	machine_stop(m);
	gdb_connect(m);
	machine_send(m, "dom create a mem=4M\n");
	break_alone(m, symbol("domain_create"), 60, "dom create makes no guest");
	gdb_read(m, gdb_register(m, GDB_ESP), &caller, sizeof(caller));
	gdb_break(m, caller, true);
	breaks(m, faults, true);
	for (unsigned at = 1; create; at++) {
		CHECK(gdb_run(m, 60), "domain_create() does not return");
		eip = gdb_register(m, GDB_EIP);
		create = eip != caller;
		for (const struct fault *f = faults; f->name && create; f++) {
			if (eip != (f->vmm ? vmm_symbol(f->name) : symbol(f->name)))
				continue;
			if (f->vmm ? at == n : at >= n)
				return_here(m, f->result), failed = true;
			else
				gdb_step(m);
		}
	}
	int result = (int)gdb_register(m, GDB_EAX);
	breaks(m, faults, false);
	gdb_break(m, caller, false);
	gdb_disconnect(m);
	machine_expect(m, PROMPT, 20);
	CHECK(failed == (result < 0), "call %u %s, and domain_create() gives %d", n,
	      failed ? "failed" : "did not fail", result);
	return failed;
}

static void sweep(struct machine *m, const struct fault *faults, unsigned least, unsigned step)
{
	unsigned n = 1;
	char what[80];
	for (bool failed = true; failed; n += step) {
		unsigned rest[2]; /* the first time slabs and caches may take a place */
		for (unsigned time = 0; time < 2; time++) {
			failed = create_with(m, faults, n);
			if (!failed)
				command(m, "dom kill a; dom kill a", 60);
			snprintf(what, sizeof(what), "call %u of %s fails", n, faults->name);
			check_no_guest(m, what);
			rest[time] = available(m);
		}
		CHECK(rest[0] <= rest[1], "%s: %u KiB are missing", what, rest[0] - rest[1]);
	}
	CHECK(n > least, "only %u calls of %s", n, faults->name);
}

static void failures(const struct test *t)
{
	struct machine *m = start_virtual(&t->machine);
	fill_history(m);
	sweep(m, out_of_memory, 12, 1);
	sweep(m, refused, 60, 7);
	end_native(m);
}

/* --- many --- */

static void lives(const struct test *t)
{
	struct machine *m = start_virtual(&t->machine);
	fill_history(m);
	unsigned before = 0;
	for (unsigned i = 0; i < LIVES / 2; i++) {
		command(m, "dom create a; dom create b vcpus=2 mem=4M; "
			"dom kill a; dom kill b; dom kill a; dom kill b", 60);
		if (i == 3) /* slabs have their frames by then */
			before = available(m);
	}
	check_no_guest(m, "after the lives");
	unsigned after = available(m);
	CHECK(before == after, "after %u lives %d KiB are missing", LIVES, (int)(before - after));
	end_native(m);
}

static void crowd(const struct test *t)
{
	char text[100];
	unsigned guests;
	struct machine *m = start_virtual(&t->machine);
	for (unsigned i = 0; i < CROWD; i++) {
		snprintf(text, sizeof(text), "dom create g%u mem=4M", i);
		command(m, text, 60);
	}
	guest_frames(m, &guests);
	CHECK(guests == CROWD, "%u guests have memory, not %u", guests, CROWD);
	command(m, "dom list", 120);
	for (unsigned i = 0; i < CROWD; i++) {
		snprintf(text, sizeof(text), "dom kill g%u; dom kill g%u", i, i);
		command(m, text, 60);
	}
	check_no_guest(m, "after the crowd");
	end_native(m);
}

/* --- random lives --- */

/* One order about one of a few guests. Result: whether it makes one. */
static bool random_order(char *to, size_t size)
{
	static const char *const orders[] = { "kill", "kill", "pause", "resume", "resume" };
	static const char *const ends[] = {
		"", " cmdline=run=true", " net", " net 'cmdline=run=\"ping -c 1 10.0.2.17\"'",
		" cmdline=panic=x", " 'cmdline=run=\"work 1\"'",
	};
	char name = (char)('a' + rand() % 6);
	bool create = rand() % 2;
	if (create)
		snprintf(to, size, "dom create %c mem=%uK vcpus=%u%s", name,
			 2048 + (unsigned)rand() % 2048, 1 + (unsigned)rand() % 4,
			 ends[rand() % 6]);
	else
		snprintf(to, size, "dom %s %c", orders[rand() % 5], name);
	return create;
}

/*
 * number lives: three orders at a time, in the middle of each other. When one of them begins, and
 * no CPU is in the VMM, D1, D4, D5 and V7 hold.
 */
static void random_lives(const struct test *t)
{
	struct machine *m = start_virtual(&t->machine);
	unsigned births = 0;
	srand(t->number);
	while (births < t->number) {
		char order[3][120], line[400];
		for (unsigned i = 0; i < 3; i++)
			births += random_order(order[i], sizeof(order[i]));
		snprintf(line, sizeof(line), "%s & %s & %s\n", order[0], order[1], order[2]);
		machine_stop(m);
		gdb_connect(m);
		machine_send(m, line);
		break_alone(m, symbol("domains_write"), 60, "no order comes");
		check_domains(m);
		check_frame_table(m);
		gdb_disconnect(m);
		machine_expect(m, PROMPT, 60);
	}
	for (char name = 'a'; name <= 'f'; name++) {
		char line[60];
		snprintf(line, sizeof(line), "sleep 1; dom kill %c; dom kill %c", name, name);
		command(m, line, 60);
	}
	check_no_guest(m, "after random lives");
	end_native(m);
}

/* --- what a guest of 8 MiB costs --- */

/* Result: instructions from a function's entry to its return. */
static uint64_t cost(struct machine *m, const char *order, const char *function)
{
	uint32_t caller;
	machine_stop(m);
	gdb_connect(m);
	machine_send(m, order);
	break_alone(m, symbol(function), 60, "the function is not called");
	uint64_t from = qmp_instructions(m);
	gdb_read(m, gdb_register(m, GDB_ESP), &caller, sizeof(caller));
	break_alone(m, caller, 60, "the function does not return");
	uint64_t n = qmp_instructions(m) - from;
	gdb_disconnect(m);
	machine_expect(m, PROMPT, 20);
	return n;
}

/* Beside the words that are zeroed (twice: at the birth and at the end) and copied. */
static void dear(const struct test *t)
{
	enum { PAGES = 2048, WORDS = 1024, ROOT = 256 * 256, IMAGE = 32 * 1024, LIMIT = 4000000 };
	struct machine *m = start_virtual(&t->machine);
	command(m, "dom create a; dom kill a; dom kill a", 60);
	uint64_t create = cost(m, "dom create a\n", "domain_create");
	uint64_t destroy = cost(m, "dom kill a\n", "domain_destroy");
	uint64_t words = 2ull * PAGES * WORDS + ROOT + IMAGE;
	printf("create %llu, destroy %llu instructions; %llu words\n", (unsigned long long)create,
	       (unsigned long long)destroy, (unsigned long long)words);
	CHECK(create + destroy < words + LIMIT, "create %llu and destroy %llu instructions, of "
	      "which %llu words are zeroed or copied", (unsigned long long)create,
	      (unsigned long long)destroy, (unsigned long long)words);
	command(m, "dom kill a; echo native >/proc/mode", 20);
	end_at_prompt(m);
}

#define USERTESTS(options) "dom create a mem=24M " options " cmdline=run=usertests"
const struct test guest_tests[] = {
	{ .name = "guest-usertests", .run = whole, .seconds = 300, .text = USERTESTS("") },
	{ .name = "guest-usertests-4vcpus-4cpus", .run = whole, .seconds = 300,
	  .text = USERTESTS("vcpus=4"), .machine = { .cpus = 4, .p2m = "shuffle:4" } },
	{ .name = "guest-smallest", .run = whole, .seconds = 60,
	  .text = "dom create a mem=2M 'cmdline=run=\"ls -l /bin\"'" },
	{ .name = "guest-smallest-bochs", .run = whole, .seconds = 120,
	  .text = "dom create a mem=2M 'cmdline=run=\"ls -l /bin\"'",
	  .machine = { .bochs = true, .guests = true } },
	{ .name = "guest-failures", .run = failures, .seconds = 300 },
	{ .name = "guest-lives-random", .run = random_lives, .seconds = 300, .number = 40 },
	{ .name = "guest-lives", .run = lives, .seconds = 300, .machine = { .cpus = 2 } },
	{ .name = "guest-crowd", .run = crowd, .seconds = 300, .machine = { .mem = 512 } },
	{ .name = "guest-cost", .run = dear, .seconds = 60 },
	{ 0 }
};
const struct test guest_soak_tests[] = {
	{ .name = "soak-guest-usertests-4vcpus", .run = whole, .seconds = 300,
	  .text = USERTESTS("vcpus=4"), .machine = { .p2m = "shuffle:3" } },
	{ .name = "soak-guest-usertests-beside", .run = whole, .seconds = 3000, .number = 5,
	  .text = USERTESTS(""), .machine = { .mem = 128 } },
	{ .name = "soak-guest-usertests-beside-4vcpus", .run = whole, .seconds = 3000, .number = 5,
	  .text = USERTESTS("vcpus=4"), .machine = { .mem = 128, .cpus = 4 } },
	{ .name = "soak-guest-usertests-bochs", .run = whole, .seconds = 3000,
	  .text = USERTESTS(""), .machine = { .bochs = true, .guests = true } },
	{ .name = "soak-guest-lives", .run = random_lives, .seconds = 20000, .number = 10000 },
	{ 0 }
};
