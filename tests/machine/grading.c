/* SPDX-License-Identifier: MIT */
/* Steps of the tests that grade: see grading.h. */
#include "grading.h"
#include <errno.h>

char said[20000];

void need_sandbox(void)
{
	char why[300];
	if (!sandbox_works(why, sizeof(why)))
		give_up(SKIPPED, "no sandbox can be had here: %s", why);
}

int run_grade(const char *fmt, ...)
{
	char *arguments;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&arguments, fmt, ap) < 0)
		give_up(BROKEN, "no memory");
	va_end(ap);
	unlink(work_path("r.json"));
	return shell(said, sizeof(said), SECONDS, GRADE "--json %s %s", work_path("r.json"),
		     arguments);
}

json_t *report(void)
{
	json_t *j = json_load_file(work_path("r.json"), 0, NULL);
	if (!j)
		give_up(FAILED, "no JSON report was written; the grader said:\n%s", said);
	return j;
}

int score(void)
{
	json_t *s = json_object_get(report(), "score");
	return s ? (int)json_integer_value(s) : -1;
}

int max_score(void)
{
	return (int)json_integer_value(
		json_object_get(json_object_get(report(), "extra_data"), "max_score"));
}

void check_status(int status, int want, const char *what)
{
	CHECK(status == want, "%s: the grader ended with status %d instead of %d:\n%s", what,
	      status, want, said);
}

void check_said(const char *text)
{
	CHECK(strstr(said, text), "the grader does not say \"%s\" but:\n%s", text, said);
}

void check_no_grade(int status, const char *what)
{
	check_status(status, NO_GRADE, what);
	CHECK(score() == -1, "%s: the report of an error has a score of %d", what, score());
}

const char *reference(const char *name)
{
	const char *dir = work_path(name);
	shell_must(10, "mkdir -p %s && cp --parents $(grep -rl 'LAB 1 TODO' kernel vmm include) %s",
		   dir, dir);
	return dir;
}

const char *solved_p2m(const char *name)
{
	static bool handout;
	const char *dir = work_path(name);
	if (!handout)
		shell_must(SECONDS, "mkdir -p build && flock build/.lock " ALONE
			   "make -s build/handout/" LAB "/build/.made");
	handout = true;
	shell_must(10, "mkdir -p %s && cd build/handout/" LAB " && "
		   "cp --parents $(grep -v '[.]md$' labs/" LAB "/files) %s && "
		   "cp ../../../kernel/mm/p2m.c %s/kernel/mm/p2m.c", dir, dir, dir);
	return dir;
}

const char *with_code(const char *name, const char *text)
{
	const char *dir = solved_p2m(name);
	FILE *f = fopen(work_path("code"), "w");
	if (!f)
		give_up(BROKEN, "code: %s", strerror(errno));
	fprintf(f, "%s\n", text);
	fclose(f);
	shell_must(10, "sed -i -e '/^int p2m_build(/,/^{/{/^{/r %s' -e '}' %s/kernel/mm/p2m.c && "
		       "grep -qF -f %s %s/kernel/mm/p2m.c",
		   work_path("code"), dir, work_path("code"), dir);
	return dir;
}

const char *one_check(void)
{
	static char name[100];
	if (shell(name, sizeof(name), 10,
		  "build/grader list --lab " LAB " | awk 'NR == 2 { printf \"%%s\", $4 }'") != 0 ||
	    !*name)
		give_up(BROKEN, "build/grader list: %s", name);
	return name;
}

void build_handout(void)
{
	check_status(run_grade("--submission %s --only %s", solved_p2m("built"), one_check()),
		     GRADED, "the reference");
}
