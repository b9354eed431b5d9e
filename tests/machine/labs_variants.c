/* SPDX-License-Identifier: MIT */
/*
 * What is right in another form, and what is wrong in a small way: right submissions, the reference
 * from another compiler, and one-token mutants of the solutions (tools/mutate).
 */
#include "labs.h"

/* Each check passes. dir: a submission that is right. */
static void want_all(const char *lab, const char *dir, unsigned seed)
{
	char failed[2000];
	size_t i;
	json_t *one, *report = lab_grade(lab, dir, seed);
	json_array_foreach(json_object_get(report, "tests"), i, one)
		CHECK(strcmp(json_string_value(json_object_get(one, "status")), "passed") == 0,
		      "right, but %g points; it fails %s\nfirst: %s", lab_score(report),
		      lab_failed(report, failed, sizeof(failed)),
		      json_string_value(json_object_get(one, "output")));
	CHECK(lab_score(report) == 100, "right, but %g points", lab_score(report));
}

/* text: LAB/right/NAME. It differs from the reference in what its first line says. */
void lab_right(const struct test *t)
{
	char lab[40];
	const char *diff = strchr(t->text, '/') + 1;
	snprintf(lab, sizeof(lab), "%.*s", (int)(diff - t->text - 1), t->text);
	CHECK(*lab_promised(lab, diff, "Right") && *lab_promised(lab, diff, "Exercise"),
	      "labs/%s.diff lacks a line '# Right: WHAT IS OTHER' or '# Exercise: K'", t->text);
	want_all(lab, lab_submission(lab, diff), 1 + t->number);
}

/*
 * One submission from as many of a lab's right ones as do not change the same lines. text: the lab;
 * number: how many there are at least.
 */
void lab_right_together(const struct test *t)
{
	char taken[2000];
	const char *dir = lab_submission(t->text, NULL);
	shell(taken, sizeof(taken), 60,
	      "p='patch -s -f -p1 -F0 --no-backup-if-mismatch -r - -d %s'; "
	      "for d in labs/%s/right/*.diff; do "
	      "$p --dry-run <$d >/dev/null 2>&1 && $p <$d && echo \"$d\"; done", dir, t->text);
	unsigned n = 0;
	for (const char *s = taken; (s = strchr(s, '\n')); s++)
		n++;
	CHECK(n >= t->number, "only %u right submissions go together:\n%s", n, taken);
	judge_context = taken;
	want_all(t->text, dir, 1);
}

/* Each exercise is written in another way by some right submission. */
void lab_each_varied(const struct test *t)
{
	char text[2000];
	shell(text, sizeof(text), 10,
	      "grep -rhoE 'LAB %d TODO [0-9]+ BEGIN' kernel vmm | sort -u | "
	      "while read -r _ _ _ k _; do "
	      "grep -qsE \"^# Exercise: (.* )?$k( |$)\" labs/%s/right/*.diff || echo $k; done",
	      atoi(t->text), t->text);
	CHECK(!*text, "no right submission of labs/%s/right varies exercises:\n%s", t->text, text);
}

/* --- compilers --- */

/* What becomes of a line of the Makefile. */
static const struct { const char *name, *option, *value; } compilers[] = {
	{ "O0", "OPT", "-O0" }, { "clang", "CC32", "clang -m32" }, { "O3", "OPT", "-O3" },
	{ "Os", "OPT", "-Os" }, { "clang-O0", "CC32", "clang -m32 -O0" },
};
const unsigned lab_nr_compilers = sizeof(compilers) / sizeof(compilers[0]);

const char *lab_compiler(unsigned k)
{
	return compilers[k].name;
}

/*
 * The reference is graded in a student's tree whose Makefile compiles the kernel and the VMM in
 * another way.
 */
void lab_compiled(const struct test *t)
{
	const char *tree = lab_tree(t->text), *report = work_path("report.json");
	const char *option = compilers[t->number].option, *value = compilers[t->number].value;
	char text[8000], failed[2000];
	json_error_t error;
	if (strncmp(value, "clang", 5) == 0 &&
	    shell(text, sizeof(text), 10, "clang --version") != 0)
		give_up(SKIPPED, "clang is not installed");
	shell_must(10, "sed -i 's/^%s ?= .*/%s := %s/' %s/Makefile && "
		   "grep -qxF '%s := %s' %s/Makefile", option, option, value, tree, option, value,
		   tree);
	lab_build(tree);
	int status = shell(text, sizeof(text), GRADE_SECONDS, "%s/build/grader grade --lab %s "
			   "--submission %s --seed 1 --json %s 2>&1", tree, t->text, tree, report);
	json_t *json = json_load_file(report, 0, &error);
	CHECK(status == 0 && json, "the grader ended with status %d:\n%s", status, text);
	CHECK(lab_score(json) == 100, "with %s=%s the reference gets %g points; it fails %s\n%s",
	      option, value, lab_score(json), lab_failed(json, failed, sizeof(failed)), text);
}

/* --- mutants --- */

/* Each line of labs/LAB/equal names a mutant that there is. */
void lab_mutants_listed(const struct test *t)
{
	static char text[400000];
	int status = shell(text, sizeof(text), 100, "build/mutate %s --list 2>&1", t->text);
	CHECK(status == 0, "tools/mutate ended with status %d:\n%s", status, text);
	CHECK(strlen(text) > 10000, "there are few mutants:\n%s", text);
}

/* One that a check finds: the last statement that is dropped from the number-th exercise. */
void lab_mutant_found(const struct test *t)
{
	static char text[8000];
	int status = shell(text, sizeof(text), GRADE_SECONDS, "build/mutate %s --only "
			   "$(build/mutate %s --list --exercise %u | awk '$2 == \"dropped\" "
			   "{ id = $1 } END { print id }') 2>&1", t->text, t->text, t->number);
	CHECK(status == 0 && strstr(text, "1 found"), "status %d:\n%s", status, text);
}

/* A full disk is no fault of the mutant: from then on its file does not compile. */
void lab_mutant_unbuilt(const struct test *t)
{
	char text[8000], id[100], file[100];
	shell(text, sizeof(text), 100, "build/mutate %s --list", t->text);
	CHECK(sscanf(text, "%99s %*s %99[^:]", id, file) == 2, "no mutant is listed:\n%s", text);
	shell_must(10, "sed \"s|FILE|%s|g; s|ROOT|$PWD|; s|GCC|$(command -v gcc)|\" <<'END' "
		   ">%s/gcc && chmod +x %s/gcc\n"
		   "#!/bin/sh\n"
		   "case \"$PWD $*\" in *.trees*FILE*)\n"
		   "	cmp -s FILE ROOT/FILE || : >${0%%/*}/full\n"
		   "	[ ! -e ${0%%/*}/full ] || { echo No space left; exit 1; } >&2\n"
		   "esac\n"
		   "exec GCC \"$@\"\n"
		   "END", file, work_dir, work_dir);
	int status = shell(text, sizeof(text), GRADE_SECONDS,
			   "PATH=%s:$PATH build/mutate %s --only %s 2>&1", work_dir, t->text, id);
	CHECK(status == 2 && strstr(text, "the unchanged code does not build, either: No space"),
	      "status %d:\n%s", status, text);
}

/* No mutant survives but those in labs/LAB/equal, and these do survive. */
void lab_mutants(const struct test *t)
{
	static char text[100000];
	int status = shell(text, sizeof(text), t->seconds,
			   "build/mutate %s >%s 2>&1; s=$?; sed -n '/^$/,$p' %s; exit $s",
			   t->text, work_path("said"), work_path("said"));
	CHECK(status == 0, "status %d:\n%s", status, text);
	shell(text, sizeof(text), t->seconds, "sed -n 's/^\\([^#: ]*\\): .*/\\1/p' labs/%s/equal | "
	      "while read -r id; do build/mutate %s --only $id 2>&1 </dev/null | "
	      "grep '^survivor' >/dev/null || echo $id; done", t->text, t->text);
	CHECK(!*text, "these are called equal and are found, or have no code of their own:\n%s",
	      text);
}
