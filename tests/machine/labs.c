/* SPDX-License-Identifier: MIT */
/*
 * The labs, judged by grading: the handout as given is worth nothing and each of its holes is named, the reference
 * is worth all, each known-wrong submission exactly what its first lines say, and no handout holds a line of the solutions.
 */
#include "tests.h"
#include <dirent.h>
#include <jansson.h>

#define GRADE_SECONDS 400

/* A submission: the reference's files, patched; or the handout's if diff is "". Result: its directory. */
static const char *submission(const char *lab, const char *diff)
{
	const char *dir = work_path("submission");
	const char *from = diff && !*diff ? work_path("handout") : ".";
	if (diff && !*diff)
		shell_must(60, "QUIET=1 tools/handout %s %s", lab, from);
	shell_must(60,
		   "mkdir -p %s && cd %s && cp --parents $(grep -rlE 'LAB %d TODO' kernel vmm) %s",
		   dir, from, atoi(lab), dir);
	if (diff && *diff)
		shell_must(10, "patch -s -p1 -d %s <labs/%s/wrong/%s.diff", dir, lab, diff);
	return dir;
}

static json_t *grade(const char *lab, const char *dir, unsigned seed)
{
	const char *report = work_path("report.json");
	char text[8000];
	json_error_t error;
	int status = shell(text, sizeof(text), GRADE_SECONDS,
			   "build/grader grade --lab %s --submission %s --seed %u --json %s 2>&1",
			   lab, dir, seed, report);
	CHECK(status == 0, "the grader ended with status %d:\n%s", status, text);
	json_t *json = json_load_file(report, 0, &error);
	CHECK(json, "%s: %s", report, error.text);
	return json;
}

/* The names of the checks that did not pass, sorted as they come, with a blank behind each. */
static char *failed_checks(const json_t *report, char *buf, size_t size)
{
	size_t i, at = 0;
	const json_t *test;
	buf[0] = '\0';
	json_array_foreach(json_object_get(report, "tests"), i, test)
		if (strcmp(json_string_value(json_object_get(test, "status")), "passed") != 0) {
			const char *name = json_string_value(json_object_get(test, "name")); /* and its title */
			at += (size_t)snprintf(buf + at, size - at, "%.*s ",
					       (int)strcspn(name, ":"), name);
		}
	return buf;
}

static double score(const json_t *report)
{
	return json_number_value(json_object_get(report, "score"));
}

static void reference(const struct test *t)
{
	char names[2000];
	json_t *report = grade(t->text, submission(t->text, NULL), 1 + t->number);
	CHECK(score(report) == 100, "the reference gets %g points; it fails %s", score(report),
	      failed_checks(report, names, sizeof(names)));
}

static void handout(const struct test *t)
{
	char count[20], wanted[200] = "empty exercises:";
	json_t *report = grade(t->text, submission(t->text, ""), 1);
	char *text = json_dumps(report, 0);
	CHECK(score(report) == 0, "the handout as given gets %g points", score(report));
	shell(count, sizeof(count), 10,
	      "grep -rhoE 'LAB %d TODO [0-9]+ BEGIN' kernel vmm | sort -u | wc -l", atoi(t->text));
	CHECK(atoi(count) >= 5, "lab %s has only %s exercises", t->text, count);
	for (int k = 1; k <= atoi(count); k++)
		sprintf(wanted + strlen(wanted), " %d", k);
	CHECK(strstr(text, wanted), "the report does not say '%s':\n%s", wanted, text);
}

/* What the diff's first lines promise: "# NAME: value". Result: of this process, or "". */
static const char *promised(const char *lab, const char *diff, const char *name)
{
	static char value[500];
	shell(value, sizeof(value), 10,
	      "sed -n 's/^# %s: *//p' labs/%s/wrong/%s.diff | tr -d '\\n'", name, lab, diff);
	return value;
}

static void wrong(const struct test *t)
{
	char lab[40], failed[2000], wanted[2000];
	const char *diff = strchr(t->text, '/') + 1;
	snprintf(lab, sizeof(lab), "%.*s", (int)(diff - t->text - 1), t->text);
	json_t *report = grade(lab, submission(lab, diff), 1 + t->number);
	snprintf(wanted, sizeof(wanted), "%s ", promised(lab, diff, "Fails"));
	CHECK(strcmp(failed_checks(report, failed, sizeof(failed)), wanted) == 0,
	      "%s fails: %sbut should fail: %s", t->text, failed, wanted);
	double points = atof(promised(lab, diff, "Score"));
	CHECK(score(report) == points, "%s gets %g points instead of %g", t->text, score(report),
	      points);
	const char *says = promised(lab, diff, "Says");
	char *text = json_dumps(report, 0);
	CHECK(strstr(text, says), "the report of %s does not say '%s':\n%s", t->text, says, text);
}

/* Each check is failed by some wrong submission, or nobody has seen it fail. */
static void covered(const struct test *t)
{
	char text[2000];
	shell_must(
		10,
		"build/grader list | awk '/^[^ ]/ { on = $1 == \"%s:\" } on && $2 == \"exercise\" { print $4 }' >%s",
		t->text, work_path("checks"));
	CHECK(shell(text, sizeof(text), 10, "cat %s", work_path("checks")) == 0 && *text,
	      "'grader list' names no check of %s", t->text);
	shell(text, sizeof(text), 10,
	      "while read -r c; do grep -qE \"^# Fails: (.* )?$c( |$)\" labs/%s/wrong/*.diff || echo $c; done <%s",
	      t->text, work_path("checks"));
	CHECK(!*text, "no wrong submission fails these:\n%s", text);
}

/* The checks in Bochs, and how its debugger calls the place where each is stopped. */
static const struct { const char *check, *place; } in_bochs[] = {
	{ "tlb", "(switch_at_boot+0)" }, { "hardware", "vmm_call+0)" }, { "both-ways-bochs", "(request+0)" },
};
enum { NR_IN_BOCHS = sizeof(in_bochs) / sizeof(in_bochs[0]) };

/* `make debug` stops at the exercise: for each check of a lab but those in Bochs, or each number-th. */
static void debugs(const struct test *t)
{
	char names[2000], text[8000];
	unsigned i = 0, tried = 0;
	shell(names, sizeof(names), 10,
	      "build/grader list | awk '/^[^ ]/ { on = $1 == \"%s:\" } on && $2 == \"exercise\" { print $4 }'",
	      t->text);
	for (char *name = strtok(names, "\n"); name; name = strtok(NULL, "\n")) {
		bool bochs = false;
		for (unsigned k = 0; k < NR_IN_BOCHS; k++)
			bochs |= strcmp(name, in_bochs[k].check) == 0;
		if (i++ % t->number || bochs)
			continue;
		int status = shell(text, sizeof(text), 60, "build/grader debug %s -- -batch -ex 'cb where' 2>&1 </dev/null", name);
		CHECK(status == 0 && strstr(text, "Breakpoint 1") && strstr(text, "mode, ring "), "make debug TEST=%s: status %d\n%s", name,
		      status, text);
		tried++;
	}
	CHECK(tried >= 2, "only %u checks of %s were tried", tried, t->text);
}

/*
 * In Bochs the check's machine is one of Bochs's own debugger, stopped there. In a copy of the tree: the ISO is made
 * anew. The first t->number are left out.
 */
static void debugs_in_bochs(const struct test *t)
{
	static char text[30000];
	const char *tree = work_path("tree");
	shell_must(30,
		   "mkdir %s && tar -c --exclude=./.git --exclude=./build/handout . | tar -xC %s",
		   tree, tree);
	for (unsigned k = t->number; k < NR_IN_BOCHS; k++) {
		shell(text, sizeof(text), 100,
		      "echo q | env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C %s debug TEST=%s 2>&1",
		      tree, in_bochs[k].check);
		CHECK(strstr(text, in_bochs[k].place),
		      "make debug TEST=%s does not stop at %s:\n%s", in_bochs[k].check,
		      in_bochs[k].place, text);
	}
}

static void leaks(const struct test *t)
{
	char text[4000];
	int status = shell(text, sizeof(text), 60, "tests/labs/leaks %s 2>&1", t->text);
	CHECK(status == 0, "%s", text);
}

/* The wrong submissions of a lab, from its folder: in the ordinary run three of them (no slow ones) on one seed, else all on two. */
static unsigned add_wrong(struct test *list, unsigned n, const char *lab, bool all)
{
	struct dirent **names;
	char *dir;
	if (asprintf(&dir, "labs/%s/wrong", lab) < 0)
		return n;
	int files = scandir(dir, &names, NULL, alphasort);
	for (int i = 0, k = 1, each = files >= 5 ? (files - 2) / 3 : 1; i < files; i++) { /* two are . and .. */
		char *dot = strstr(names[i]->d_name, ".diff"), *name, *text;
		if (!dot)
			continue;
		*dot = '\0';
		for (unsigned seed = 0; seed < (all ? 2 : 1); seed++)
			if ((all || k % each == 3) &&
			    asprintf(&name, "lab-%s-%s-%u", lab, names[i]->d_name, seed + 1) > 0 &&
			    asprintf(&text, "%s/%s", lab, names[i]->d_name) > 0)
				list[n++] = (struct test){ .name = name, .run = wrong, .seconds = GRADE_SECONDS, .text = text, .number = seed };
		k++;
	}
	return n;
}

enum { LABS = 3, MAX_WRONG = 300 };
static const char *const lab_names[LABS] = { "01-paging", "02-deprivilege", "03-switch" };

const struct test *lab_tests(bool soak)
{
	static struct test list[MAX_WRONG];
	static const struct { const char *name; void (*run)(const struct test *t); } parts[] = {
		{ "reference", reference }, { "handout", handout }, { "leaks", leaks }, { "covered", covered },
	};
	unsigned n = 0;
	list[n++] = (struct test){ .name = soak ? "labs-debug-bochs-all" : "labs-debug-bochs", .run = debugs_in_bochs, .seconds = GRADE_SECONDS,
				   .number = soak ? 0 : NR_IN_BOCHS - 1 };
	for (unsigned i = 0; i < LABS; i++) {
		if (asprintf((char **)&list[n].name, soak ? "lab-%s-debug-all" : "lab-%s-debug",
			     lab_names[i]) > 0)
			list[n].run = debugs, list[n].seconds = GRADE_SECONDS,
			list[n].number = soak ? 1 : 7, list[n++].text = lab_names[i];
		if (soak &&
		    asprintf((char **)&list[n].name, "lab-%s-reference-2", lab_names[i]) > 0)
			list[n].run = reference, list[n].seconds = GRADE_SECONDS,
			list[n].number = 1, list[n++].text = lab_names[i];
		for (unsigned k = 0; k < sizeof(parts) / sizeof(parts[0]) && !soak; k++)
			if (asprintf((char **)&list[n].name, "lab-%s-%s", lab_names[i],
				     parts[k].name) > 0)
				list[n].run = parts[k].run, list[n].seconds = GRADE_SECONDS,
				list[n++].text = lab_names[i];
		n = add_wrong(list, n, lab_names[i], soak);
	}
	return list;
}
