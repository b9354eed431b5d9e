/* SPDX-License-Identifier: MIT */
/*
 * The forms in which honest students hand in (tests/submissions/layouts): each is taken as the
 * plain files are, which its checksum tells. They are one class. And a class in general: what is in
 * it, which checks, and what a second run leaves as it is.
 */
#include "grading.h"
#include <dirent.h>

/* Result: a value of extra_data of a report in the directory `out`, or "". */
static const char *extra(const char *name, const char *key)
{
	char *path;
	if (asprintf(&path, "%s/%s", work_path("out"), name) < 0)
		give_up(BROKEN, "no memory");
	json_t *j = json_load_file(path, 0, NULL);
	const char *s = json_string_value(json_object_get(json_object_get(j, "extra_data"), key));
	return s ? s : "";
}

/* Reports of another lab are not overwritten; an old refusal is none of this run. */
static void old_reports(void)
{
	const char *out = work_path("class/reports"), *class = work_path("class");
	check_status(shell(said, sizeof(said), 60, "build/grader class --lab 03-switch --out %s %s",
			   out, class), REFUSED, "a folder of another lab's reports");
	check_said("is a report of " LAB ": give each lab a folder of its own");
	shell_must(10, "cd %s && mkdir ../nobody && sed 's/\"graded\"/\"refused\"/' flat.json "
		   ">nobody.json && mkdir -p nobody.html/x", out);
	check_status(shell(said, sizeof(said), SECONDS, "build/grader class --lab " LAB
			   " --only %s --out %s %s", one_check(), out, class), NO_GRADE,
		     "a report that cannot be written");
	check_said("error: nobody: its grading ended without a report, with status 1");
	shell_must(10, "cd %s && grep -q 'href=\"./nobody.json\"' index.html && "
		   "! grep -q nobody.html index.html", out);
}

/* The reports may lie among the submissions. */
static void reports_inside(void)
{
	for (unsigned run = 0; run < 2; run++) {
		check_status(shell(said, sizeof(said), SECONDS, "build/grader class --lab " LAB
				   " --only %s --out %s %s", one_check(),
				   work_path("class/reports"), work_path("class")), GRADED,
			     "reports in the class's folder");
		check_said("note: skipped: reports is the folder of the reports");
	}
}

static void run_class(const char *class, const char *more)
{
	check_status(shell(said, sizeof(said), SECONDS, "build/grader class --lab " LAB
			   " --only %s --out %s %s %s", one_check(), work_path("out"), class, more),
		     GRADED, "a class");
}

static void check_same(const char *name)
{
	const char *sum = extra(name, "checksum"), *plain = extra("plain.json", "checksum");
	CHECK(strcmp(extra(name, "outcome"), "graded") == 0 && *plain && strcmp(sum, plain) == 0,
	      "%s is not graded as the plain files are:\n%s", name, said);
}

/* Nothing that a terminal obeys reaches it, whatever entries and files are called. */
static void check_printable(const char *what, const char *text)
{
	for (const char *s = text; *s; s++)
		CHECK(*s == '\n' || *s == '\t' || (unsigned char)*s >= ' ',
		      "%s has a control character %#x", what, *s);
}

/*
 * The plain files' report is there for the others, too, before their run: each keeps it, and is not
 * graded, only if the same files are taken from it. The long ones are graded: their report's name
 * is another.
 */
static void layouts(const struct test *t)
{
	unsigned n = 0;
	(void)t;
	need_sandbox();
	build_handout();
	const char *class = work_path("class"), *one = work_path("one"), *out = work_path("out");
	shell_must(60, "tests/submissions/layouts %s %s", solved_p2m("reference"), class);
	shell_must(10, "mkdir %s && cp -r %s/plain %s", one, class, one);
	run_class(one, "");
	shell_must(10, "cd %s && for f in *; do case $f in plain | grades.csv | long*) ;; "
		   "*) cp %s/plain.json %s/\"$f.json\";; esac; done", class, out, out);
	run_class(class, "");
	check_said("note: skipped: grades.csv is no directory, tar or zip");
	check_said("M\303\274ller?[2J");
	check_printable("what the grader printed", said);
	DIR *d = opendir(work_path("out"));
	for (struct dirent *e; d && (e = readdir(d));)
		if (strstr(e->d_name, ".json"))
			check_same(e->d_name), n++;
	closedir(d);
	CHECK(n == 36, "%u of 36 submissions have a report", n);
}

/* A second run keeps reports and logs of what has a grade; other checks are another grade. */
static void again(const struct test *t)
{
	char text[200];
	const char *log = work_path("out/flat.log");
	(void)t;
	solved_p2m("class/plain");
	shell_must(10, "mkdir %s && cp $(find %s -type f) %s", work_path("class/flat"),
		   work_path("class/plain"), work_path("class/flat"));
	shell_must(10, "mkdir -p %s", work_path("none"));
	check_status(shell(said, sizeof(said), 60, "build/grader class --lab " LAB " %s",
			   work_path("none")), REFUSED, "a class of nobody");
	check_said("holds no submissions");
	run_class(work_path("class"), "");
	shell_must(10, "grep -q 'points' %s && grep -q 'p2m.c was taken as kernel/mm/p2m.c' %s && "
		   "cd %s && sha256sum *.log *.json >../sums", log, log, work_path("out"));
	run_class(work_path("class"), "");
	CHECK(shell(said, sizeof(said), 10, "cd %s && sha256sum -c --quiet ../sums && ! ls *.new",
		    work_path("out")) == 0, "a second run changes what has a grade:\n%s", said);
	run_class(work_path("class"), "--only walk");
	CHECK(strcmp(extra("plain.json", "only"), "walk") == 0,
	      "other checks are not graded: the old report counts");
	snprintf(text, sizeof(text), "build/grader class --lab " LAB " --only nothing %s",
		 work_path("class"));
	check_status(shell(said, sizeof(said), 60, "%s", text), REFUSED, "a check that is none");
	reports_inside();
	old_reports();
}

const struct test grader_layout_tests[] = {
	{ .name = "grader-layouts", .run = layouts, .seconds = 300 },
	{ .name = "grader-class-again", .run = again, .seconds = 120 },
	{ 0 },
};
