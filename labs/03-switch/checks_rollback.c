/* SPDX-License-Identifier: MIT */
/* Checks of the way back from a switch that fails, and the finale: a thousand switches under load. */
#include "checks.h"

static const char *const phases[] = { "gather", "quiesce", "account", "protect", "install", "translate" };
enum { NR_PHASES = sizeof(phases) / sizeof(phases[0]) };

/* Ask for a mode; it must fail so, and nothing may have changed. */
static void fails(struct machine *m, bool to_virtual, int wanted, const char *why)
{
	machine_continue(m);
	struct snapshot *before = snapshot_take(m);
	machine_stop(m);
	int error = lab3_switch(m, to_virtual);
	CHECK(error == wanted, "%s: the writer of /proc/mode gets %s, not %s", why, lab3_error(error), lab3_error(wanted));
	judge_context = why;
	to_virtual ? check_native(m) : check_whole(m); /* before anybody stumbles over what is left */
	lab3_rest(m);
	to_virtual ? check_native(m) : check_whole(m);
	judge_context = NULL;
	CHECK(lab3_vo_is(m, to_virtual ? "native_vo" : "virtual_vo"), "%s: the table in use is the wrong one", why);
	CHECK(!to_virtual || lab3_vmm_word(m, "nr_listed") == 0, "%s: the VMM still has types of %u frames: VMM_FORGET is missing", why,
	      lab3_vmm_word(m, "nr_listed"));
	machine_continue(m);
	snapshot_compare(before, m);
	machine_stop(m);
}

static void rehearse(struct machine *m, bool to_virtual, unsigned first)
{
	for (unsigned p = first; p < NR_PHASES; p++) {
		char text[100], why[100];
		snprintf(text, sizeof(text), "echo fail %s > /proc/switch", phases[p]);
		snprintf(why, sizeof(why), "a failure behind %s of %s", phases[p], to_virtual ? "attach" : "detach");
		machine_continue(m);
		command(m, text, SECONDS);
		stop_idle(m);
		fails(m, to_virtual, -EIO, why);
	}
}

/* An entry of the shell's page table that shows the VMM's memory: account must refuse it. */
static void bad_entry(struct machine *m)
{
	machine_continue(m);
	struct snapshot *before = snapshot_take(m);
	machine_stop(m);
	lab3_ask(m, true);
	unsigned cpu = lab3_run_to(m, "account", "the VO is free");
	struct cpu_state c = lab3_state(m, cpu);
	uint32_t directory[1024], table[1024], at, entry = page_walk(m, c.cr3, VMM_BASE).machine | PTE_P | PTE_U, none = 0;
	unsigned slot = 0, i = 0;
	physical_read(m, c.cr3 & ~0xFFFu, directory, sizeof(directory));
	while (slot < 1023 && !(directory[slot] & PTE_P))
		slot++;
	physical_read(m, directory[slot] & ~0xFFFu, table, sizeof(table));
	while (i < 1024 && table[i])
		i++;
	CHECK(i < 1024, "the first page table of the shell has no free entry");
	at = (directory[slot] & ~0xFFFu) + 4 * i;
	physical_write(m, at, &entry, 4);
	int error = lab3_result(m, cpu);
	CHECK(error == -EPERM, "account() returns %s", lab3_error(error));
	physical_write(m, at, &none, 4);
	lab3_rest(m);
	check_native(m);
	CHECK(lab3_vmm_word(m, "nr_listed") == 0, "account failed, and the VMM still has types of %u frames: VMM_FORGET is missing",
	      lab3_vmm_word(m, "nr_listed"));
	machine_continue(m);
	snapshot_compare(before, m);
	machine_stop(m);
}

void lab3_roll_back(const struct test *t)
{
	struct machine *m = lab3_start(t, 12);
	stop_idle(m);
	bad_entry(m);
	rehearse(m, true, 0);
	lab3_switch_must(m, true);
	check_whole(m);
	rehearse(m, false, 0);
	lab3_switch_must(m, false);
	check_native(m);
}

void lab3_roll_back_smp(const struct test *t)
{
	struct machine *m = lab3_start(t, 13);
	stop_idle(m);
	rehearse(m, true, 3);
	lab3_switch_must(m, true);
	check_whole(m);
	rehearse(m, false, 3);
	lab3_switch_must(m, false);
	check_native(m);
}

/* --- the finale --- */

/* A file of the root file system that root_check() has saved. */
static char *file_of(const char *path)
{
	char *text = calloc(1, 4096);
	int status = shell(text, 4096, 20, "PATH=$PATH:/usr/sbin:/sbin debugfs -R 'cat %s' %s 2>&1", path, work_path("ramdisk.ext2"));
	if (status != 0)
		give_up(BROKEN, "debugfs: status %d: %s", status, text);
	return text;
}

/* The same programs, once in native mode and once while the mode changes all the time: the files must be the same. */
void lab3_finale(const struct test *t)
{
	char line[100];
	struct machine *m = lab3_start(t, 14);
	machine_continue(m);
	command(m, "work 4 > /before && torn 20 && echo well >> /before", t->seconds);
	stop_idle(m);
	uint32_t switches = kernel_word(m, "nr_switches"), types = lab3_vmm_word(m, "generation");
	machine_continue(m);
	snprintf(line, sizeof(line), "switcher %u 0 work 4 > /after; switcher %u 0 torn 20 && echo well >> /after; sync", t->number / 2,
		 t->number / 2);
	command(m, line, t->seconds);
	stop_idle(m);
	switches = kernel_word(m, "nr_switches") - switches, types = lab3_vmm_word(m, "generation") - types;
	CHECK(switches >= 2 * t->number && types >= t->number, "%u switches by the kernel's count, %u by the VMM's; %u are due", switches,
	      types, 2 * t->number);
	lab3_check_native(m);
	root_check(m);
	char *before = file_of("/before"), *after = file_of("/after");
	CHECK(strlen(before) > 100 && strstr(before, "well\n"), "the programs did not end well without switches:\n%s", before);
	for (char *l = strtok(strdup(before), "\n"); l; l = strtok(NULL, "\n")) /* whoever is ready first writes first */
		CHECK(strstr(after, l), "under switches no program writes \"%s\":\n%s", l, after);
}
