/* SPDX-License-Identifier: MIT */
/* A switch that fails is rolled back; and the finale: a thousand switches under load. */
#include "checks.h"

/* Of the idle machine, which is stopped afterwards. */
static struct snapshot *take_snapshot(struct guest *g)
{
	machine_continue(g->m);
	struct snapshot *s = snapshot_take(g->m);
	machine_stop(g->m);
	return s;
}

/* The machine is as it was, and stopped afterwards. */
static void want_unchanged(struct guest *g, struct snapshot *before)
{
	machine_continue(g->m);
	snapshot_compare(before, g->m);
	machine_stop(g->m);
}

static void want_old_mode(struct guest *g, bool to_virtual)
{
	if (to_virtual)
		check_native(g->m);
	else
		check_whole(g->m);
}

/* Ask for a mode. This must fail with an error, and nothing may have changed. */
static void want_failure(struct guest *g, bool to_virtual, int wanted, const char *why)
{
	struct snapshot *before = take_snapshot(g);
	int error = switch_once(g, to_virtual);
	CHECK(error == wanted, "%s: the writer of /proc/mode gets %s, not %s", why,
	      error_text(error), error_text(wanted));
	judge_context = why;
	want_old_mode(g, to_virtual); /* before a program comes upon what is left */
	rest(g);
	want_old_mode(g, to_virtual);
	judge_context = NULL;
	CHECK(vo_is(g, to_virtual ? "native_vo" : "virtual_vo"),
	      "%s: the table in use is the wrong one", why);
	uint32_t counted = to_virtual ? nr_counted(g) : 0;
	CHECK(counted == 0, "%s: the VMM still has types or counts of %u frames: VMM_FORGET is "
	      "missing", why, counted);
	want_unchanged(g, before);
}

/* Let the kernel fail after each of these phases (/proc/switch). */
static void rehearse(struct guest *g, bool to_virtual, const char *phases)
{
	char list[60], text[100], why[100];
	snprintf(list, sizeof(list), "%s", phases);
	for (char *phase = strtok(list, " "); phase; phase = strtok(NULL, " ")) {
		snprintf(text, sizeof(text), "echo fail %s > /proc/switch", phase);
		snprintf(why, sizeof(why), "a failure after %s of %s", phase,
			 to_virtual ? "attach" : "detach");
		machine_continue(g->m);
		command(g->m, text, SECONDS);
		settle(g);
		want_failure(g, to_virtual, -EIO, why);
	}
}

/* The directory that this CPU is to run on is a frame of the VMM's: account must refuse it. */
static void bad_directory(struct guest *g)
{
	struct snapshot *before = take_snapshot(g);
	ask(g, true);
	reach(g, "account", "the VO is free");
	uint32_t vmm = page_walk(g->m, g->c.cr3, VMM_BASE).machine >> PAGE_SHIFT;
	set_word(g, symbol("loaded") + 4, vmm); /* after its `n` */
	int error = result_of(g);
	CHECK(error == -EPERM, "account() returns %s", error_text(error));
	rest(g);
	check_native(g->m);
	uint32_t counted = nr_counted(g);
	CHECK(counted == 0, "account failed, and the VMM still has types or counts of %u frames: "
	      "VMM_FORGET is missing", counted);
	want_unchanged(g, before);
}

/* Failures in both directions. */
static void rehearse_both(struct guest *g, const char *attach, const char *detach)
{
	rehearse(g, true, attach);
	must_switch(g, true);
	check_whole(g->m);
	rehearse(g, false, detach);
	must_switch(g, false);
	check_native(g->m);
}

void check_roll_back(const struct test *t)
{
	struct guest g = start(t, 12);
	settle(&g);
	bad_directory(&g);
	rehearse_both(&g, "gather account translate", "quiesce protect install");
}

void check_roll_back_smp(const struct test *t)
{
	struct guest g = start(t, 13);
	settle(&g);
	there_and_back(&g);
	rehearse_both(&g, "install", "translate");
}

/* --- the finale --- */

/* A file of the root file system that root_check() has saved. */
static char *file_of(const char *path)
{
	enum { BYTES = 8192 };
	char *text = calloc(1, BYTES);
	int status = shell(text, BYTES, 20,
			   "PATH=$PATH:/usr/sbin:/sbin debugfs -R 'cat %s' %s 2>&1",
			   path, work_path("ramdisk.ext2"));
	if (status != 0)
		give_up(BROKEN, "debugfs: status %d: %s", status, text);
	return text;
}

/* The programs' files are equal, but for the order of their lines: the faster one writes first. */
static void want_same_output(void)
{
	char *before = file_of("/before"), *after = file_of("/after");
	CHECK(strlen(before) > 100 && strstr(before, "well\n"),
	      "the programs did not end well without switches:\n%s", before);
	for (char *l = strtok(strdup(before), "\n"); l; l = strtok(NULL, "\n"))
		CHECK(strstr(after, l), "under switches no program writes \"%s\":\n%s", l, after);
}

static void run(struct guest *g, const char *line, double seconds)
{
	machine_continue(g->m);
	command(g->m, line, seconds);
	settle(g);
}

/* Let so many switches end: many stops, at which QEMU keeps what it has translated. */
static void pass_switches(struct guest *g, unsigned n)
{
	uint32_t count = symbol("nr_switches");
	g->seconds = SECONDS;
	gdb_watch(g->m, count, true);
	for (; n > 0; n--)
		CHECK(go_on(g, ALL_CPUS) >= 0, "no switch ends within %g s: the mode is changed "
		      "all the time", g->seconds);
	gdb_watch(g->m, count, false);
}

/* Look at some switches, which no kernel can guess. */
static void look_now_and_then(struct guest *g)
{
	enum { LOOKS = 8, MOST_BETWEEN = 9 };
	for (unsigned i = 0; i < LOOKS; i++) {
		pass_switches(g, random_below(MOST_BETWEEN));
		look_at_switch(g);
	}
}

/*
 * The same programs, once in native mode and once while the mode changes: with each tick, and then
 * all the time, which makes more than a thousand switches.
 */
void check_finale(const struct test *t)
{
	char line[120];
	struct guest g = start(t, 14);
	run(&g, "work 1 > /before && ls -l /bin >> /before && echo well >> /before", t->seconds);
	uint32_t switches = kernel_word(g.m, "nr_switches"), attachments = nr_attachments(&g);
	snprintf(line, sizeof(line),
		 "switcher %u 1 work 1 > /after; switcher %u 0 ls -l /bin >> /after && "
		 "echo well >> /after; sync\n",
		 t->number / 2, t->number / 2);
	machine_send(g.m, line);
	look_now_and_then(&g);
	machine_continue(g.m);
	machine_expect(g.m, PROMPT, t->seconds);
	settle(&g);
	switches = kernel_word(g.m, "nr_switches") - switches;
	attachments = nr_attachments(&g) - attachments;
	CHECK(switches >= 2 * t->number && attachments >= t->number,
	      "%u switches by the kernel's count, %u by the VMM's; %u are due", switches,
	      attachments, 2 * t->number);
	want_native(&g);
	root_check(g.m);
	want_same_output();
}
