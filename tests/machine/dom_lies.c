/* SPDX-License-Identifier: MIT */
/*
 * Rules 37, 58 and 61: a guest lies in the rings of its disk and of its network card, while it and
 * an honest guest have traffic there. The debugger writes what a hostile front end could write, at
 * the moment when the back end in domain 0 begins to look. The request is refused, or the ring is
 * given up; the honest guest's work is not disturbed, and its disk is clean.
 */
#include "offsets.h"
#include "rollback.h"
#include "x86.h"
#include "vmm_abi.h"
#include <errno.h>

enum { LIARS_NET = 1, LIARS_DISK }; /* places in the list, from its end: the liar is born last */
enum { SLOTS_AT = 64, SECONDS = 60, MOST_SECTORS = 8, DATA_PAGES = 45 };

enum kind { REQUEST_LIE, LENGTH_LIE, JUMP_LIE };
static const struct lie {
	const char *name;
	unsigned back;
	enum kind kind;
	/* a request's op, sector, sectors, status, page; a frame's length; how far to jump */
	uint32_t words[5];
} lies[] = {
	{ "no such operation", LIARS_DISK, REQUEST_LIE, { 9, 0, 1 } },
	{ "a sector that is none", LIARS_DISK, REQUEST_LIE, { 0, 0xFFFFFFFF, 1 } },
	{ "no sectors", LIARS_DISK, REQUEST_LIE, { 0, 0, 0 } },
	{ "too many sectors", LIARS_DISK, REQUEST_LIE, { 1, 0, MOST_SECTORS + 1 } },
	{ "a sum that wraps", LIARS_DISK, REQUEST_LIE, { 1, 0xFFFFFFF8, MOST_SECTORS } },
	{ "a page after the last one", LIARS_DISK, REQUEST_LIE, { 1, 0, 8, 0, DATA_PAGES } },
	{ "the ring's own page", LIARS_DISK, REQUEST_LIE, { 0, 0, 8, 0, 0xFFFFFFFF } },
	{ "an index of the disk goes back", LIARS_DISK, JUMP_LIE, { 0xFFFFFF00 } },
	{ "an index of the disk jumps", LIARS_DISK, JUMP_LIE, { 1000 } },
	{ "a short frame", LIARS_NET, LENGTH_LIE, { 5 } },
	{ "a frame longer than any", LIARS_NET, LENGTH_LIE, { 0xFFFFFFFF } },
	{ "a frame longer than its slot", LIARS_NET, LENGTH_LIE, { 1519 } },
	{ "an index of the network jumps", LIARS_NET, JUMP_LIE, { 17 } },
};

/* --- domain 0's memory, whoever runs --- */

static uint32_t directory_of_0(struct machine *m)
{
	struct cpu_state c[CPUS_MAX];
	uint32_t mfn;
	machine_state(m, c);
	virtual_read(m, c[0].cr3, vmm_symbol("domain0") + DOMAIN_DIRECTORY, &mfn, 4);
	return mfn << PAGE_SHIFT;
}

static uint32_t word_of_0(struct machine *m, uint32_t address)
{
	uint32_t word;
	virtual_read(m, directory_of_0(m), address, &word, 4);
	return word;
}

static void set_word_of_0(struct machine *m, uint32_t address, uint32_t value)
{
	physical_write(m, page_walk(m, directory_of_0(m), address).machine, &value, 4);
}

/* The struct back with this place in the list, counted from its end. */
static uint32_t back_at(struct machine *m, unsigned place)
{
	uint32_t all[8], n = 0;
	for (uint32_t at = symbol("backs"); (at = word_of_0(m, at)) && n < 8; at += BACK_NEXT)
		all[n++] = at;
	CHECK(n >= place, "there are %u back ends only", n);
	return all[n - place];
}

/* --- lies --- */

/* The back end is about to take a message. Result: the address of its slot. */
static uint32_t tell(struct machine *m, uint32_t back, const struct lie *l)
{
	uint32_t ring = back + BACK_IN, page = word_of_0(m, ring + RING_PAGE);
	uint32_t taken = word_of_0(m, ring + RING_TAKEN), slots = word_of_0(m, ring + RING_SLOTS);
	uint32_t slot = page + SLOTS_AT +
			(taken & (slots - 1)) * word_of_0(m, ring + RING_SLOT_BYTES);
	if (l->kind == JUMP_LIE)
		set_word_of_0(m, page, word_of_0(m, page) + l->words[0]);
	for (unsigned i = 0; i < (l->kind == REQUEST_LIE ? 5 : l->kind == LENGTH_LIE); i++)
		set_word_of_0(m, slot + i * 4, l->words[i]);
	return slot;
}

/* Run to the entry of this back end, when a message waits. */
static void await_message(struct machine *m, uint32_t back)
{
	uint32_t at = word_of_0(m, back + BACK_SERVE), ring = back + BACK_IN, waits = 0, argument;
	gdb_break(m, at, true);
	while (!waits) {
		CHECK(gdb_run(m, SECONDS), "nobody serves the liar");
		gdb_read(m, gdb_register(m, GDB_ESP) + 4, &argument, sizeof(argument));
		if (argument == back)
			waits = word_of_0(m, word_of_0(m, ring + RING_PAGE)) !=
				word_of_0(m, ring + RING_TAKEN);
		if (!waits)
			gdb_step(m);
	}
	gdb_break(m, at, false);
}

/* The back end answers into the slot. Soon after, the guest may put its next request there. */
static void expect_refusal(struct machine *m, uint32_t slot, const char *name)
{
	uint32_t status = slot + 12;
	gdb_watch(m, status, true);
	CHECK(gdb_run(m, SECONDS), "%s: there is no answer", name);
	gdb_watch(m, status, false);
	CHECK((int)word_of_0(m, status) == -EINVAL, "%s: the request's status is %d", name,
	      (int)word_of_0(m, status));
}

static void lie(struct machine *m, const struct lie *l)
{
	uint32_t caller;
	command(m, "dom create liar mem=4M disk=/tmp/l net 'cmdline=run=\""
		   "ping -c 10000 10.0.2.15 >/tmp/p & stress 10000\"'", 60);
	machine_stop(m);
	gdb_connect(m);
	uint32_t back = back_at(m, l->back);
	await_message(m, back);
	uint32_t slot = tell(m, back, l);
	gdb_read(m, gdb_register(m, GDB_ESP), &caller, sizeof(caller));
	if (l->kind == REQUEST_LIE)
		expect_refusal(m, slot, l->name);
	gdb_break(m, caller, true);
	CHECK(gdb_run(m, SECONDS), "%s: the back end does not come to an end", l->name);
	int result = (int)gdb_register(m, GDB_EAX);
	gdb_break(m, caller, false);
	CHECK(l->kind == REQUEST_LIE ? result >= 0 : result == -EPIPE,
	      "%s: the ring's status is %d", l->name, result);
	gdb_disconnect(m);
	command(m, "true", 20);
	machine_stop(m);
	bool connected = word_of_0(m, back + BACK_PORT) != 0;
	CHECK(connected == (l->kind == REQUEST_LIE), "%s: the ring is %sconnected", l->name,
	      connected ? "" : "not ");
	machine_continue(m);
	command(m, "dom kill liar; dom kill liar", 60);
}

static void lying(const struct test *t)
{
	struct machine *m = start_to_prompt(&t->machine);
	command(m, "echo virtual >/proc/mode; cp /boot/guest.ext2 /tmp/l; cp /tmp/l /tmp/h", 60);
	command(m, "dom create honest mem=4M disk=/tmp/h net 'cmdline=run=\"work 3\"'", 60);
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
		lie(m, &lies[i]);
	CHECK(strstr(last_words(m, "honest"), "work files:"),
	      "the honest guest did not do its work");
	command(m, "dom kill honest; sync", 20);
	end_native(m);
	shell_must(30, "PATH=$PATH:/usr/sbin:/sbin; "
		   "debugfs -R 'dump /tmp/h %s' %s && test -s %s", work_path("h.ext2"),
		   work_path("ramdisk.ext2"), work_path("h.ext2"));
	root_check_file(work_path("h.ext2"));
}

const struct test dom_lies_tests[] = {
	{ .name = "dom-lies", .run = lying, .seconds = 300 },
	{ .name = "dom-lies-4cpus", .run = lying, .seconds = 300, .machine = { .cpus = 4 } },
	{ 0 },
};
