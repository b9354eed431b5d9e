/* SPDX-License-Identifier: MIT */
/*
 * The grader's report on a wrong submission shows where its machine left the reference's way; a
 * real browser (tests/browser/report.js) looks at the report. The submissions are lab 2's.
 */
#include "tests.h"
#include <jansson.h>

#define LAB "02-deprivilege"
/* For sed: each backslash of the C code twice. */
#define TRIPLE_FAULT \
	"__asm__ volatile(\"lidt %0; ud2\" : : " \
	"\"m\"(*(const char (*)[6])\"\\\\0\\\\0\\\\0\\\\0\\\\0\"));"

#define CHANGED "vmm/cpu/cpu.c"
/* What becomes what in that file, and what the report must show for it first. */
static const struct mistake {
	const char *from, *to;
	const char *check; /* the one that is graded */
	const char *status, *difference;
} mistakes[] = {
	{ "VMM_BASE / PAGE_SIZE - 1;", "VMM_BASE / PAGE_SIZE;", "gdt",
	  "step 10 of 15: attach, install, in cpu_install()",
	  "GDT 0008 limit: fc000fff, reference: fbffffff" },
	{ "c->tss.esp1 = kernel_stack;", TRIPLE_FAULT, "install",
	  "step 10 of 10: attach, install, in cpu_install(); the recording ends here: "
	  "the machine ends, by a triple fault or by itself", "" },
};

/* Grade a submission with these further options. Result: the JSON report without its times. */
static json_t *grade(const struct mistake *w, const char *dir, const char *options)
{
	char text[8000];
	json_t *test;
	size_t i;
	int status = shell(text, sizeof(text), 170, "build/grader grade --lab " LAB
			   " --submission %s --only %s --json %s %s 2>&1",
			   dir, w->check, work_path("report.json"), options);
	CHECK(status == 0, "the grader ended with status %d:\n%s", status, text);
	json_t *report = json_load_file(work_path("report.json"), 0, NULL);
	json_t *extra = json_object_get(report, "extra_data");
	json_object_del(report, "execution_time");
	json_object_del(extra, "seconds");
	json_object_del(extra, "build_seconds");
	json_array_foreach(json_object_get(report, "tests"), i, test)
		json_object_del(json_object_get(test, "extra_data"), "seconds");
	return report;
}

/*
 * number: the mistake. The report's page opens at the step where the two machines part; the grading
 * itself does not depend on the recording (of the first mistake).
 */
static void in_report(const struct test *t)
{
	const struct mistake *w = &mistakes[t->number];
	const char *dir = work_path("submission"), *page = work_path("report.html");
	char text[8000], *html;
	if (asprintf(&html, "--html %s", page) < 0)
		give_up(BROKEN, "no memory");
	need_browser();
	shell_must(10, "mkdir -p %s && cp --parents $(grep -rl 'LAB 2 TODO' kernel vmm) %s && "
		       "sed -i 's|%s|%s|' %s/" CHANGED " && ! cmp -s " CHANGED " %s/" CHANGED,
		   dir, dir, w->from, w->to, dir, dir);
	json_t *with = grade(w, dir, html), *without = t->number ? with : grade(w, dir, "");
	CHECK(json_equal(with, without) && json_integer_value(json_object_get(with, "score")) == 0,
	      "with a recording the grading is\n%s\nwithout one\n%s",
	      json_dumps(with, JSON_INDENT(1)), json_dumps(without, JSON_INDENT(1)));
	int status = shell(text, sizeof(text), 120, "NODE_PATH=%s/browser/node_modules "
			   "node tests/browser/report.js %s %s/%s.png '%s' '%s' 2>&1", build_dir,
			   page, build_dir, t->name, w->status, w->difference);
	CHECK(status == 0, "tests/browser/report.js ended with status %d:\n%s", status, text);
}

const struct test trace_report_tests[] = {
	{ .name = "trace-report-gdt", .run = in_report, .seconds = 600, .number = 0 },
	{ .name = "trace-report-triple-fault", .run = in_report, .seconds = 600, .number = 1 },
	{ 0 },
};
