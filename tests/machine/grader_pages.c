/* SPDX-License-Identifier: MIT */
/*
 * The grader's pages, as text and in a real browser (tests/browser): a submission's report, the
 * answers in it, and the page and the CSV of a class.
 */
#include "grading.h"

static char *page_text(const char *path)
{
	char *text = file_text(path);
	if (!text)
		give_up(FAILED, "%s was not written; the grader said:\n%s", path, said);
	return text;
}

static unsigned count(const char *text, const char *words)
{
	unsigned n = 0;
	for (const char *s = text; (s = strstr(s, words)); s++)
		n++;
	return n;
}

static void check_has(const char *page, const char *words, bool wanted)
{
	const char *at = strstr(page, words);
	CHECK(!at == !wanted, "the page %s \"%s\": ...%.200s", at ? "has" : "lacks", words,
	      at && at - page > 60 ? at - 60 : page);
}

static void browse(const char *script, const char *page)
{
	char text[4000];
	need_browser();
	int status = shell(text, sizeof(text), 200, "NODE_PATH=%s/browser/node_modules "
			   "node tests/browser/%s %s %s/%s 2>&1",
			   build_dir, script, page, build_dir, script);
	CHECK(status == 0, "tests/browser/%s ended with status %d:\n%s", script, status, text);
}

/*
 * Exercise 5 is empty, and another check stands on it. The page says first what explains the rest,
 * each cause once; it holds the section to read, and no path of this host.
 */
static void report_page(const struct test *t)
{
	const char *dir = reference("submission"), *page = work_path("r.html");
	const char *const paths[] = { "/tmp/", "/root" "/", "/home/", "/tree/", work_dir };
	char root[4096];
	(void)t;
	shell_must(10, "sed -i -e '/LAB 1 TODO 5 BEGIN/,/LAB 1 TODO 5 END/{/TODO/!d}' "
		       "-e '/LAB 1 TODO 5 BEGIN/a panic(\"lab 1, exercise 5 is empty: see "
		       "labs/01-paging/handout.md\");' %s/kernel/mm/vm.c", dir);
	check_status(run_grade("--submission %s --only 'holes unmap stale' --html %s", dir, page),
		     GRADED, "exercise 5 empty");
	check_said("mend first: exercise 5 (unmap): empty exercise: lab 1, exercise 5 "
		   "(kernel/mm/vm.c:");
	check_said("waits for that: stale\n");
	check_said("recording how this machine changes its mode");
	char *text = page_text(page);
	const char *first = strstr(text, "<section id=\"unmap\"");
	const char *second = strstr(text, "<section id=\"stale\"");
	CHECK(first && second && first < second, "the failure that explains comes later");
	const char *link = strstr(text, "href=\"#unmap\""), *passed = strstr(text, ">holes <");
	CHECK(link && passed && link < passed && passed < first,
	      "the overview is not first, or failures are not first in it");
	unsigned causes = count(text, "empty exercise: lab 1, exercise 5");
	CHECK(causes == 1, "the cause is told %u times", causes);
	check_has(text, "Mend exercise 5 first: <a href=\"#unmap\">unmap</a>", true);
	check_has(text, "<code>kernel/mm/vm.c:", true);
	check_has(text, "exercise 5 &middot; 0 of ", true);
	check_has(text, "<a href=\"#handout-4.3\">4.3</a>", true);
	check_has(text, "<a id=\"handout-4.3\">", true);
	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		check_has(text, paths[i], false);
	check_has(text, getcwd(root, sizeof(root)), false);
	browse("pages.js", page);
}

/*
 * Lab 2's answers: one that is markup and more, one left as it was, one taken out. The page shows
 * the first as text, without the words that it should have replaced; a note names the others.
 */
static void answers(const struct test *t)
{
	const char *dir = work_path("submission"), *page = work_path("r.html");
	const json_t *all;
	(void)t;
	shell_must(10, "mkdir %s && cp --parents $(grep -rl 'LAB 2 TODO' kernel vmm) "
		       "labs/02-deprivilege/answers.md %s && sed -i "
		       "-e '0,/^(your answer)/s//&\\n## <script>alert(1)<\\/script>\\n"
		       "`#include \"x\"`/' -e '/^## Question 2.3/,$d' "
		       "%s/labs/02-deprivilege/answers.md", dir, dir, dir);
	int status = shell(said, sizeof(said), SECONDS, "build/grader grade --lab 02-deprivilege "
			   "--submission %s --only gdt --json %s --html %s", dir,
			   work_path("r.json"), page);
	check_status(status, GRADED, "answers");
	check_said("questions without an answer in answers.md: 2.2 2.3 (");
	all = json_object_get(json_object_get(report(), "extra_data"), "answers");
	CHECK(score() == max_score() && json_array_size(all) == 3, "%d points, %zu answers",
	      score(), json_array_size(all));
	char *text = page_text(page);
	check_has(text, "Question 2.3: ", true);
	check_has(text, "## &#60;script&#62;alert(1)&#60;/script&#62;\n`#include", true);
	check_has(text, "<script>", false);
	check_has(text, "(your answer)", false);
	CHECK(count(text, "no answer</p>") == 2, "two questions have no answer:\n%s", text);
	browse("pages.js", page);
}

/* A class: reports as the grader writes them, with names that want to be more than text. */
static const struct { const char *name, *csv; int score; } class[] = {
	{ "=cmd|' A0", "\"'=cmd|' A0\",graded,90,100,", 90 },
	{ " +1", "\"' +1\",graded,20,100,", 20 },
	{ "\xEF\xBC\x9D" "1", "\"'\xEF\xBC\x9D" "1\",graded,70,100,", 70 },
	{ "a\"b<i>", "\"a\"\"b<i>\",graded,60,100,", 60 },
	{ "javascript:alert(1)", "\"javascript:alert(1)\",graded,100,100,", 100 },
	{ "refused", "\"refused\",refused,,,", -1 },
};
enum { CLASS = sizeof(class) / sizeof(class[0]) };

/* A test of a report. Whoever has less than its number of points fails it. */
static json_t *fake_test(const char *check, int points, bool passed)
{
	return json_pack("{s:s, s:i, s:i, s:s, s:{s:s, s:i, s:s, s:s}}", "name", check,
			 "score", passed ? points : 0, "max_score", points, "output", "",
			 "extra_data", "check", check, "exercise", 1,
			 "outcome", passed ? "pass" : "fail",
			 "cause", passed ? "" : "<b>wrong</b>");
}

static void write_report(const char *dir, unsigned i)
{
	char *path;
	json_t *tests = json_array(), *report;
	if (asprintf(&path, "%s/%s.json", dir, class[i].name) < 0)
		give_up(BROKEN, "no memory");
	if (class[i].score >= 0) {
		json_array_append_new(tests, fake_test("identity", 40, class[i].score > 30));
		json_array_append_new(tests, fake_test("holes", 60, class[i].score > 65));
	}
	report = json_pack("{s:s, s:o, s:{s:s, s:s, s:i, s:i}}", "output", "=1+1\nnote", "tests",
			   tests, "extra_data", "lab", LAB, "outcome",
			   class[i].score < 0 ? "refused" : "graded", "seed", 1, "max_score", 100);
	if (class[i].score >= 0)
		json_object_set_new(report, "score", json_integer(class[i].score));
	if (json_dump_file(report, path, 0) < 0)
		give_up(BROKEN, "%s cannot be written", path);
}

static void class_page(const struct test *t)
{
	const char *out = work_path("out"), *part = work_path("part");
	(void)t;
	shell_must(10, "mkdir %s %s %s/new && echo nothing >%s/new/README", out, part, part, part);
	for (unsigned i = 0; i < CLASS; i++)
		write_report(out, i);
	check_status(shell(said, sizeof(said), SECONDS, "build/grader class --lab " LAB " %s "
			   "--out %s", part, out), GRADED, "a part of a class");
	char *csv = page_text(work_path("out/summary.csv"));
	char *page = page_text(work_path("out/index.html"));
	CHECK(strncmp(csv, "submission,outcome,score,max_score,seed,failed,note,identity,holes,",
		      strlen("submission,outcome,score,max_score,seed,failed,note,identity,holes,")
		     ) == 0, "the CSV's columns are not in the lab's order:\n%.200s", csv);
	const char *first = strstr(page, "#holes"), *second = strstr(page, "#identity");
	CHECK(first && second && first < second, "the page's first check is not the most failed");
	for (unsigned i = 0; i < CLASS; i++)
		CHECK(strstr(csv, class[i].csv), "the CSV lacks %s:\n%s", class[i].csv, csv);
	CHECK(count(csv, "\"new\",refused,") == 1 && count(csv, "\n") == CLASS + 2,
	      "a run over a part does not keep the rest:\n%s", csv);
	CHECK(strstr(csv, "\"new holds none of the lab's files") && !strstr(csv, work_dir),
	      "the CSV has paths of this host:\n%s", csv);
	CHECK(strstr(csv, ",\"'=1+1 note\",40,60,"), "no points of each check:\n%s", csv);
	check_has(page, "href=\"./javascript%3Aalert%281%29.html#", false);
	check_has(page, "href=\"./javascript%3Aalert%281%29.html\"", true);
	check_has(page, "href=\"./a%22b%3Ci%3E.html#holes\"", true);
	check_has(page, "<b>wrong", false);
	check_has(page, "3 of 5 failed", false);
	check_has(page, "2 of 5 failed", true);
	browse("pages.js", work_path("out/index.html"));
	browse("class.js", work_path("out/index.html"));
}

const struct test grader_page_tests[] = {
	{ .name = "grader-report-page", .run = report_page, .seconds = 400 },
	{ .name = "grader-answers", .run = answers, .seconds = 400 },
	{ .name = "grader-class-page", .run = class_page, .seconds = 400 },
	{ 0 },
};
