/* SPDX-License-Identifier: MIT */
/*
 * What judges a mutant that is in no lab: the project's own tests (build/tests/run), one after the
 * other until one fails. Those that see most in the shortest time come first. A unit test is built
 * in the mutant's tree, from the mutant's files.
 */
#include "trial.h"

enum { TEST_SECONDS = 400 };

/* Of the rows whose folder holds the file the first one counts. A name with * is a prefix. */
static const struct { const char *folder, *names; } lists[] = {
	{ "vmm/mem/", "isolation-14-22-shuffle isolation-18-random isolation-16-* isolation-44-* "
		      "isolation-17-* isolation-4* isolation-* rollback-* virtual-* switch-*" },
	{ "vmm/sched/", "unit-policy isolation-53-* isolation-52-* guest-lives guest-c* "
			"isolation-46-* dom-life* domains-* isolation-56-* guest-* virtual-* "
			"isolation-*" },
	{ "vmm/domain/", "isolation-49-* isolation-56-* isolation-54-* guest-lives dom-life "
			 "isolation-43-guest-* isolation-47-* dom-* guest-* isolation-*" },
	{ "vmm/", "isolation-25-30-events isolation-debug isolation-42-* isolation-0* isolation-2* "
		  "isolation-3* virtual-in-a-row isolation-* rollback-* virtual-* switch-* "
		  "sweep-* panic* paste-virtual" },
	{ "kernel/switch/", "rollback-gather-smp4 rollback-t* switch-pairs-smp4 rollback-* "
			    "switch-* virtual-* sweep-* gdb-phases" },
	{ "kernel/vo/", "virtual-in-a-row virtual-usertests rollback-t* virtual-* switch-* "
			"native-* usertests-* rollback-* isolation-* sweep-*" },
	{ "kernel/trap/", "virtual-in-a-row panic* usertests-* virtual-* switch-* native-* "
			  "hostile-* isolation-0* rollback-* stress* sweep-* keyboard control-c" },
	{ "kernel/mm/", "unit-frame unit-p2m unit-vm native-* usertests-* memory-out-* virtual-* "
			"stress* hostile-m* switch-* hostile-p* fuzz* rollback-*" },
	{ "kernel/domain/", "dom-life dom-refused guest-lives guest-f* dom-* guest-* virtual-*" },
	{ "kernel/split/", "unit-split unit-bridge dom-disks dom-life guest-lives dom-* guest-*" },
	{ "kernel/net/", "unit-ne2k unit-net unit-bridge net-*" },
	{ "kernel/fs/", "unit-ext2* unit-pipe_path usertests-* disk* hostile-ext2-* memory-out-* "
			"shell-lines stress* paste* root-image fuzz*" },
	{ "kernel/proc/", "unit-elf native-first-entry usertests-identity switch-usertests "
			  "control-c net-host-smp2 usertests-* stress* switch-* virtual-* fuzz* "
			  "memory-out-* shell-lines net-* dom-life guest-lives panic* boot-* "
			  "native-*" },
	{ "kernel/dev/", "keyboard paste* control-c long-lines edit-keys disk* power-off-* "
			 "usertests-* shell-lines hostile-*" },
	{ "kernel/boot/", "boot-* native-* hostile-* virtual-* power-off-*" },
	{ "", "usertests-* stress* shell-lines virtual-* switch-* memory-out-* fuzz* panic* boot-* "
	      "native-* disk* hostile-* control-c deterministic" },
};

/*
 * The names of the tests, a line each: no test of ISO images, which a tree lacks; those in
 * Bochs last, because they are slow.
 */
static void list_tests(const char *file, const char *root, char *names, size_t size)
{
	unsigned i = 0;
	while (strncmp(file, lists[i].folder, strlen(lists[i].folder)) != 0)
		i++;
	shell(names, size, 60,
	      "set -f; for name in %s; do "
	      "'%s/build/tests/run' -l --unit '%s/build/unit' $name; done | "
	      "awk '/-iso/ || seen[$0]++ { next } /-bochs/ { late = late $0 \"\\n\"; next } "
	      "{ print } END { printf \"%%s\", late }'", lists[i].names, root, root);
	if (!*names)
		give_up(BROKEN, "no test for %s is found in %s/build/tests/run", file, root);
}

/*
 * Run one test on what is built in `tree`. *reason: what it says if it does not pass. A unit test
 * is built in a mutant's tree, but not in the root, which other trials use, too. One that does
 * not build passes: its compiler takes a warning for an error, and others judge.
 */
static enum outcome run_test(const char *name, const char *tree, const char *root, char **reason)
{
	static char said[8000];
	char start[100];
	int status = shell(said, sizeof(said), TEST_SECONDS,
			   "cd '%s' && case %s in unit-*) u=build/unit/test_%s; "
			   "[ . -ef '%s' ] || { rm -f $u; make -s $u >/dev/null 2>&1; } || exit 0; "
			   "esac; "
			   "'%s/build/tests/run' -j 1 --unit build/unit '%s' 2>&1 | "
			   "sed -n -E 's/^(FAIL|ERR) [^:[]*: /\\1 /p'",
			   tree, name, name + strcspn(name, "-") + 1, root, root, name);
	*reason = NULL;
	if (status == 0 && !*said)
		return PASSED;
	snprintf(start, sizeof(start), "%.5s", said);
	*reason = strdup(*said ? said + strcspn(said, " ") + 1 : "the test did not end");
	return strncmp(start, "FAIL ", 5) == 0 ? FAILED : BROKEN;
}

void tests_judge(struct trial *t, const char *root, unsigned limit)
{
	static char names[20000];
	char *rest = names, *unchanged;
	double start = clock_seconds();
	list_tests(t->m->file, root, names, sizeof(names));
	t->fate = SURVIVOR;
	while (t->fate == SURVIVOR && (t->by = strsep(&rest, "\n")) && *t->by) {
		if (limit && clock_seconds() - start > limit) {
			t->fate = UNJUDGED, t->reason = "the time is over before this test";
			return;
		}
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
