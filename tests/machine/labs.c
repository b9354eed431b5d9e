/* SPDX-License-Identifier: MIT */
/*
 * The labs, judged by grading. The handout gives no points and its report names each empty
 * exercise; the reference gives all points; each known-wrong submission exactly those that its
 * first lines promise; right submissions, written in another way, and the reference compiled in
 * another way get all. No handout holds a line of the solutions, and each check can be debugged.
 */
#include "labs.h"
#include <dirent.h>
#include <stdarg.h>

/* --- gradings --- */

const char *lab_submission(const char *lab, const char *diff)
{
	const char *dir = work_path("submission");
	const char *from = diff && !*diff ? work_path("handout") : ".";
	if (diff && !*diff)
		shell_must(60, "QUIET=1 tools/handout %s %s", lab, from);
	shell_must(60,
		   "mkdir -p %s && cd %s && cp --parents $(grep -rlE 'LAB %d TODO' kernel vmm) %s",
		   dir, from, atoi(lab), dir);
	if (diff && *diff)
		shell_must(10, "patch -s -p1 -d %s <labs/%s/%s.diff", dir, lab, diff);
	return dir;
}

const char *lab_tree(const char *lab)
{
	const char *tree = work_path("tree");
	shell_must(200, "QUIET=1 tools/handout %s %s && cp --parents "
		   "$(grep -rlE 'LAB %d TODO' kernel vmm) %s", lab, tree, atoi(lab), tree);
	return tree;
}

void lab_build(const char *tree)
{
	shell_must(200, "mkdir -p %s/build && tar -C build -c sources kernel user bin symbols boot "
			"rootfs.list rootfs.ext2 grader | tar -C %s/build -x && " ALONE
			"make -s -C %s all", tree, tree, tree);
}

json_t *lab_grade(const char *lab, const char *dir, unsigned seed)
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

char *lab_failed(const json_t *report, char *buf, size_t size)
{
	size_t i, at = 0;
	const json_t *test;
	buf[0] = '\0';
	json_array_foreach(json_object_get(report, "tests"), i, test)
		if (strcmp(json_string_value(json_object_get(test, "status")), "passed") != 0) {
			/* "NAME: TITLE" */
			const char *name = json_string_value(json_object_get(test, "name"));
			at += (size_t)snprintf(buf + at, size - at, "%.*s ",
					       (int)strcspn(name, ":"), name);
		}
	return buf;
}

double lab_score(const json_t *report)
{
	return json_number_value(json_object_get(report, "score"));
}

/* number: added to the seed. */
static void reference(const struct test *t)
{
	char names[2000];
	json_t *report = lab_grade(t->text, lab_submission(t->text, NULL), 1 + t->number);
	CHECK(lab_score(report) == 100, "the reference gets %g points; it fails %s",
	      lab_score(report), lab_failed(report, names, sizeof(names)));
	char *text = json_dumps(report, 0);
	CHECK(!strstr(text, "variables"), "the reference is said to have variables:\n%s", text);
}

static void handout(const struct test *t)
{
	char count[20], wanted[200] = "empty exercises:";
	json_t *report = lab_grade(t->text, lab_submission(t->text, ""), 1);
	char *text = json_dumps(report, 0);
	CHECK(lab_score(report) == 0, "the handout as given gets %g points", lab_score(report));
	shell(count, sizeof(count), 10,
	      "grep -rhoE 'LAB %d TODO [0-9]+ BEGIN' kernel vmm | sort -u | wc -l", atoi(t->text));
	CHECK(atoi(count) >= 5, "lab %s has only %s exercises", t->text, count);
	for (int k = 1; k <= atoi(count); k++)
		sprintf(wanted + strlen(wanted), " %d", k);
	CHECK(strstr(text, wanted), "the report does not say '%s':\n%s", wanted, text);
}

const char *lab_promised(const char *lab, const char *diff, const char *name)
{
	static char value[500];
	shell(value, sizeof(value), 10,
	      "sed -n 's/^# %s: *//p' labs/%s/%s.diff | tr -d '\\n'", name, lab, diff);
	return value;
}

/* text: LAB/wrong/NAME. Checks that fail, points and words of the report are those promised. */
static void wrong(const struct test *t)
{
	char lab[40], failed[2000], wanted[2000];
	const char *diff = strchr(t->text, '/') + 1;
	snprintf(lab, sizeof(lab), "%.*s", (int)(diff - t->text - 1), t->text);
	json_t *report = lab_grade(lab, lab_submission(lab, diff), 1 + t->number);
	snprintf(wanted, sizeof(wanted), "%s ", lab_promised(lab, diff, "Fails"));
	lab_failed(report, failed, sizeof(failed));
	CHECK(strcmp(failed, wanted) == 0, "%s fails: %sbut should fail: %s", t->text, failed,
	      wanted);
	double points = atof(lab_promised(lab, diff, "Score"));
	CHECK(lab_score(report) == points, "%s gets %g points instead of %g", t->text,
	      lab_score(report), points);
	const char *says = lab_promised(lab, diff, "Says");
	char *text = json_dumps(report, 0);
	CHECK(strstr(text, says), "the report of %s does not say '%s':\n%s", t->text, says, text);
}

/* --- checks --- */

/* The names of a lab's checks, one a line, in the order of the grader's list. */
static const char *check_names(const char *lab)
{
	static char names[2000];
	shell(names, sizeof(names), 10,
	      "build/grader list | awk '/^[^ ]/ { on = $1 == \"%s:\" } "
	      "on && $2 == \"exercise\" { print $4 }'", lab);
	CHECK(*names, "'grader list' names no check of %s", lab);
	return names;
}

/* Each check fails for some wrong submission; otherwise nobody has seen it fail. */
static void covered(const struct test *t)
{
	char text[2000];
	FILE *f = fopen(work_path("checks"), "w");
	fputs(check_names(t->text), f);
	fclose(f);
	shell(text, sizeof(text), 10,
	      "while read -r c; do grep -qE \"^# Fails: (.* )?$c( |$)\" labs/%s/wrong/*.diff || "
	      "echo $c; done <%s", t->text, work_path("checks"));
	CHECK(!*text, "no wrong submission fails these:\n%s", text);
}

/* The checks that run in Bochs, and how its debugger calls the place where each is stopped. */
static const struct { const char *check, *place; } in_bochs[] = {
	{ "tlb", "vmm:frames_warm_up+0)" },
	{ "hardware", "vmm:descend+0)" },
	{ "both-ways-bochs", "(request+0)" },
};
enum { NR_IN_BOCHS = sizeof(in_bochs) / sizeof(in_bochs[0]) };

static bool is_in_bochs(const char *check)
{
	for (unsigned k = 0; k < NR_IN_BOCHS; k++)
		if (strcmp(check, in_bochs[k].check) == 0)
			return true;
	return false;
}

/* What GDB shows at a stop in the state that the check judges, where other states look alike. */
static const struct { const char *check, *text; } states[] = {
	{ "again", "TSS busy" },
	{ "descent", "[ AC " },
	{ "restore", "pending: TIMER" },
	{ "bounce-user", " cs = 0x1b," },
	{ "bounce-kernel", " cs = 0x9," },
	{ "bounce-stack", "= 0xf7fff800" },
	{ "pending", "virtual IF 0, pending: TIMER" },
};

static void check_state(const char *check, const char *text)
{
	for (unsigned i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		CHECK(strcmp(check, states[i].check) != 0 || strstr(text, states[i].text),
		      "make debug TEST=%s does not stop in the state that the check judges, which "
		      "shows '%s':\n%s", check, states[i].text, text);
}

/*
 * GDB stopped in the function that the check's row names, by the row's condition, and what the row
 * wants to be seen was printed without an error.
 */
static void check_stop(const char *check, const char *text)
{
	static const char *const errors[] = {
		"Error in ", "condition at location 1,", "Undefined c", "Invalid", "No symbol",
	};
	char function[60] = "";
	const char *head = strstr(text, "\nstops at "), *stop = strstr(text, "hit Breakpoint ");
	const char *in = NULL;
	stop = stop ? stop : strstr(text, "\nBreakpoint "); /* with one CPU */
	if (head && stop && sscanf(head, "\nstops at %59[^(]", function) == 1)
		in = strstr(stop, function);
	CHECK(in && in < strchr(stop + 1, '\n'), "make debug TEST=%s does not stop in %s():\n%s",
	      check, function, text);
	CHECK(strstr(text, ", exercise ") && strstr(text, "; read: ") && strstr(stop, "\neax ") &&
	      strstr(stop, "\neip ") && strstr(stop, "mode, ring "),
	      "make debug TEST=%s does not show exercise, section and registers:\n%s", check, text);
	/* Before the line of the stop stands nothing but what the row asks for. */
	const char *end = stop;
	while (end > text && end[-1] != '\n')
		end--;
	for (const char *line = strchr(head + 1, '\n') + 1; line < end;
	     line = strchr(line, '\n') + 1)
		CHECK(*line == '\n' || strncmp(line, "(gdb) ", 6) == 0 ||
		      strncmp(line, "in ", 3) == 0 ||
		      strncmp(line, "[Switching to Thread ", 21) == 0, "make debug TEST=%s shows "
		      "what has nothing to do with the check:\n%s", check, text);
	for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		CHECK(!strstr(text, errors[i]),
		      "make debug TEST=%s: its stop_if or look is wrong:\n%s", check, text);
}

/*
 * `make debug` stops at the exercise: for each check of the lab that is not in Bochs, or each
 * number-th of them, in the tree of a student who has done the lab.
 */
enum { STOP_SECONDS = 20, DEBUG_SLICE = 6 };
static void debugs(const struct test *t)
{
	char *names = strdup(check_names(t->text)), text[16000];
	const char *tree = lab_tree(t->text);
	unsigned seen = 0, tried = 0;
	lab_build(tree);
	for (char *name = strtok(names, "\n"); name; name = strtok(NULL, "\n")) {
		if (is_in_bochs(name) || seen++ % t->number)
			continue;
		int status = shell(text, sizeof(text), STOP_SECONDS,
				   "%s/build/grader debug %s --lab %s -- -batch -ex 'cb where' "
				   "2>&1 </dev/null", tree, name, t->text);
		CHECK(status == 0, "make debug TEST=%s: status %d\n%s", name, status, text);
		check_stop(name, text);
		check_state(name, text);
		tried++;
	}
	free(names);
	CHECK(tried >= 15 / t->number, "only %u checks of %s were tried", tried, t->text);
}

/*
 * The same for checks in Bochs, where it is Bochs's own debugger that stops; the first `number` are
 * left out. It runs in a copy of the tree, because it makes the ISO anew.
 */
static void debugs_in_bochs(const struct test *t)
{
	static char text[30000];
	const char *tree = work_path("tree");
	shell_must(30, "mkdir %s && tar -c --exclude=./.git --exclude=./build/handout "
		       "--exclude=./build/course --exclude=./build/mutants . | tar -xC %s",
		   tree, tree);
	for (unsigned k = t->number; k < NR_IN_BOCHS; k++) {
		shell(text, sizeof(text), 100, "echo q | " ALONE "make -C %s debug TEST=%s 2>&1",
		      tree, in_bochs[k].check);
		CHECK(strstr(text, in_bochs[k].place),
		      "make debug TEST=%s does not stop at %s:\n%s", in_bochs[k].check,
		      in_bochs[k].place, text);
	}
}

/* --- leaks --- */

static void leaks(const struct test *t)
{
	char text[4000];
	int status = shell(text, sizeof(text), 200, "tests/labs/leaks %s 2>&1", t->text);
	CHECK(status == 0, "%s", text);
}

/* --- the list --- */

enum { LABS = 3, MAX_LAB_TESTS = 1200 };
static const char *const lab_names[LABS] = { "01-paging", "02-deprivilege", "03-switch" };
static struct test list[MAX_LAB_TESTS];
static unsigned nr_listed;

/* fmt: the test's name. */
static void __attribute__((format(printf, 4, 5)))
add(void (*run)(const struct test *t), const char *text, unsigned number, const char *fmt, ...)
{
	char *name;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&name, fmt, ap) < 0 || nr_listed + 1 == MAX_LAB_TESTS)
		give_up(BROKEN, "too many tests of labs");
	va_end(ap);
	list[nr_listed++] = (struct test){ .name = name, .run = run, .seconds = GRADE_SECONDS,
					   .text = text, .number = number };
}

/* kind: "wrong" or "right". */
static void add_submission(const char *lab, const char *kind, const char *diff, unsigned seeds)
{
	for (unsigned seed = 0; seed < seeds; seed++) {
		char *text;
		if (asprintf(&text, "%s/%s/%s", lab, kind, diff) > 0)
			add(*kind == 'w' ? wrong : lab_right, text, seed, "lab-%s-%s-%s-%u", lab,
			    kind, diff, seed + 1);
	}
}

static int is_diff(const struct dirent *file)
{
	const char *dot = strrchr(file->d_name, '.');
	return dot && strcmp(dot, ".diff") == 0;
}

/*
 * The wrong or the right submissions in a lab's folder. In the ordinary run the first of the wrong
 * ones, graded with one seed; with --soak all, with two seeds.
 */
static void add_submissions(const char *lab, const char *kind, bool all)
{
	struct dirent **names;
	char *dir;
	if (asprintf(&dir, "labs/%s/%s", lab, kind) < 0)
		return;
	int n = scandir(dir, &names, is_diff, alphasort);
	for (int i = 0; i < n; i++) {
		*strrchr(names[i]->d_name, '.') = '\0';
		if (all || i == 0)
			add_submission(lab, kind, names[i]->d_name, all ? 2 : 1);
	}
	free(dir);
}

static void add_compiled(const char *lab)
{
	for (unsigned k = 0; k < lab_nr_compilers; k++)
		add(lab_compiled, lab, k, "lab-%s-compiled-%s", lab, lab_compiler(k));
}

const struct test *lab_tests(bool soak)
{
	add(debugs_in_bochs, NULL, soak ? 0 : NR_IN_BOCHS - 1,
	    soak ? "labs-debug-bochs-all" : "labs-debug-bochs");
	if (!soak) {
		add(lab_mutant_found, lab_names[1], 6, "labs-mutant-found");
		add(lab_mutant_unbuilt, lab_names[0], 0, "labs-mutant-unbuilt");
	}
	for (unsigned i = 0; i < LABS; i++) {
		const char *lab = lab_names[i];
		add(debugs, lab, soak ? 1 : DEBUG_SLICE, soak ? "lab-%s-debug-all" : "lab-%s-debug",
		    lab);
		if (soak) {
			add(reference, lab, 1, "lab-%s-reference-2", lab);
			add(lab_right_together, lab, 8, "lab-%s-right", lab);
			add(lab_mutants, lab, 0, "lab-%s-mutants-all", lab);
			list[nr_listed - 1].seconds = MUTANT_SECONDS;
			add_compiled(lab);
		} else {
			add(reference, lab, 0, "lab-%s-reference", lab);
			add(handout, lab, 0, "lab-%s-handout", lab);
			add(leaks, lab, 0, "lab-%s-leaks", lab);
			add(covered, lab, 0, "lab-%s-covered", lab);
			add(lab_mutants_listed, lab, 0, "lab-%s-mutants", lab);
			add(lab_each_varied, lab, 0, "lab-%s-varied", lab);
		}
		add_submissions(lab, "wrong", soak);
		if (soak)
			add_submissions(lab, "right", soak);
	}
	return list;
}
