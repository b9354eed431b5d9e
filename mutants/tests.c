/* SPDX-License-Identifier: MIT */
/*
 * What judges a mutant that is in no lab: the project's own tests (build/tests/run), one after the
 * other until one fails. First comes what found another mutant of the file, then the unit tests
 * that include it, then those of its folder that see most in the shortest time. A unit test is
 * built in the mutant's tree, from the mutant's files.
 */
#include "trial.h"

enum { TEST_SECONDS = 400 };

/* Of the rows whose folder holds the file the first one counts. A name with * is a prefix. */
static const struct { const char *folder, *names; } lists[] = {
	{ "vmm/mem/", "isolation-14-22-shuffle isolation-18-random isolation-49-50-births "
		      "isolation-59-loans isolation-16-* isolation-44-* isolation-17-* "
		      "isolation-4* isolation-* rollback-* virtual-* switch-*" },
	{ "vmm/call/", "isolation-31-* isolation-18-random isolation-19-* isolation-32-* "
		       "isolation-49-* isolation-5* dom-life guest-lives isolation-0* "
		       "isolation-2* isolation-* guest-* dom-* virtual-* switch-* rollback-*" },
	{ "vmm/sched/", "isolation-53-* isolation-52-* guest-lives guest-c* isolation-46-* "
			"dom-life* domains-* isolation-56-* guest-* virtual-* isolation-*" },
	{ "vmm/domain/", "guest-usertests isolation-49-* isolation-56-* isolation-54-* guest-lives "
			 "dom-life isolation-43-guest-* isolation-47-* dom-* guest-* "
			 "isolation-*" },
	{ "vmm/", "switch-registers isolation-25-30-events isolation-debug isolation-42-* "
		  "isolation-0* isolation-2* isolation-3* virtual-in-a-row isolation-* rollback-* "
		  "virtual-* switch-* sweep-* panic* paste-virtual" },
	{ "kernel/switch/", "rollback-gather-smp4 rollback-t* switch-pairs-smp4 rollback-* "
			    "switch-* virtual-* sweep-* gdb-phases" },
	{ "kernel/vo/", "virtual-in-a-row virtual-usertests rollback-t* virtual-* switch-* "
			"native-* usertests-* rollback-* isolation-* sweep-*" },
	{ "kernel/trap/", "virtual-in-a-row panic* usertests-* virtual-* switch-* native-* "
			  "hostile-* isolation-0* rollback-* stress* sweep-* keyboard control-c" },
	{ "kernel/mm/", "usertests-identity native-* usertests-debug memory-out-* hostile-m* "
			"virtual-* usertests-* stress* switch-* hostile-p* fuzz* rollback-*" },
	{ "kernel/domain/", "dom-life dom-refused guest-lives guest-f* dom-* guest-* virtual-*" },
	{ "kernel/split/", "dom-disks dom-life guest-lives dom-* guest-*" },
	{ "kernel/net/", "net-*" },
	{ "kernel/fs/", "usertests-identity shell-lines disk* hostile-ext2-* root-image "
			"usertests-debug memory-out-* usertests-* stress* paste* fuzz*" },
	{ "kernel/proc/", "native-first-entry usertests-identity switch-usertests "
			  "control-c net-host-smp2 usertests-* stress* switch-* virtual-* fuzz* "
			  "memory-out-* shell-lines net-* dom-life guest-lives panic* boot-* "
			  "native-*" },
	{ "kernel/dev/", "keyboard paste* control-c long-lines edit-keys disk* power-off-* "
			 "usertests-* shell-lines hostile-*" },
	{ "kernel/boot/", "boot-* native-* hostile-* virtual-* power-off-*" },
	{ "", "usertests-* stress* shell-lines virtual-* switch-* memory-out-* fuzz* panic* boot-* "
	      "native-* disk* hostile-* control-c deterministic" },
};

/* Names of tests that found other mutants of the file. */
static const char *finders(const struct campaign *c, const char *file)
{
	static char names[20000];
	size_t n = 0;
	for (const struct trial *t = c->trials; t < c->trials + c->n; t++)
		if (t->fate == FOUND && n < sizeof(names) && strcmp(t->m->file, file) == 0)
			n += (size_t)snprintf(names + n, sizeof(names) - n, " %s", t->by);
	return names;
}

/*
 * The names of the tests, a line each: no test of ISO images, which a tree lacks; those in
 * Bochs and v86 last, because they are slow.
 */
static void list_tests(const struct campaign *c, const char *file, const char *root, char *names,
		       size_t size)
{
	unsigned i = 0;
	while (strncmp(file, lists[i].folder, strlen(lists[i].folder)) != 0)
		i++;
	shell(names, size, 60,
	      "cd '%s'; units=$(grep -lE ' %s( |$)' build/unit/*.d | "
	      "sed 's/.*test_/unit-/; s/[.]d$//'); set -f; "
	      "for name in %s $units %s; do "
	      "build/tests/run -l --unit build/unit $name; done | "
	      "awk '/-iso/ || seen[$0]++ { next } /-bochs|-v86/ { late = late $0 \"\\n\"; next } "
	      "{ print } END { printf \"%%s\", late }'",
	      root, file, finders(c, file), lists[i].names);
	if (!*names)
		give_up(BROKEN, "no test for %s is found in %s/build/tests/run", file, root);
}

/*
 * Whether this is no unit test, or one that builds in the mutant's tree. Its compiler takes a
 * warning for an error: then others judge. The unchanged tree has it built.
 */
static bool is_built(const struct mutant *m, const char *name)
{
	char command[200];
	const char *unit = name + strlen("unit-");
	if (strncmp(name, "unit-", strlen("unit-")) != 0)
		return true;
	snprintf(command, sizeof(command), "rm -f build/unit/test_%s && make -s build/unit/test_%s",
		 unit, unit);
	return trial_builds(m, command);
}

/* Run one test on what is built in `tree`. *reason: what it says if it does not pass. */
static enum outcome run_test(const char *name, const char *tree, const char *root, char **reason)
{
	static char said[8000];
	char start[100];
	int status = shell(said, sizeof(said), TEST_SECONDS,
			   "cd '%s' && '%s/build/tests/run' -j 1 --unit build/unit '%s' 2>&1 | "
			   "sed -n -E 's/^(FAIL|ERR) [^:[]*: /\\1 /p'",
			   tree, root, name);
	*reason = NULL;
	if (status == 0 && !*said)
		return PASSED;
	snprintf(start, sizeof(start), "%.5s", said);
	*reason = strdup(*said ? said + strcspn(said, " ") + 1 : "the test did not end");
	return strncmp(start, "FAIL ", 5) == 0 ? FAILED : BROKEN;
}

void tests_judge(const struct campaign *c, struct trial *t, const char *root)
{
	static char names[20000];
	char *rest = names, *unchanged;
	double start = trial_cpu();
	list_tests(c, t->m->file, root, names, sizeof(names));
	t->fate = SURVIVOR;
	while (t->fate == SURVIVOR && (t->by = strsep(&rest, "\n")) && *t->by) {
		if (c->limit && trial_cpu() - start > c->limit) {
			t->fate = UNJUDGED, t->reason = "the time is over before this test";
			return;
		}
		if (!is_built(t->m, t->by))
			continue;
		enum outcome outcome = run_test(t->by, ".", root, &t->reason);
		if (outcome == PASSED)
			continue;
		t->fate = outcome == FAILED ? FOUND : UNJUDGED;
		if (run_test(t->by, root, root, &unchanged) != PASSED)
			t->fate = UNJUDGED, t->reason = unchanged;
	}
	if (t->fate == SURVIVOR)
		t->by = NULL;
}
