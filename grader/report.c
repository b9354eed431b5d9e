/* SPDX-License-Identifier: MIT */
/*
 * Reports. The JSON has Gradescope's results format, with our own words in extra_data; HTML
 * page and CSV line are made from it. Without a grade there is no "score" in it, so that
 * nothing can take an error for zero points.
 */
#include "grader.h"
#include <errno.h>
#include <sys/stat.h>

enum { FORMAT = 1 };

json_t *report_text(const char *text)
{
	char *shown = text_lines(text ? text : "");
	json_t *j = json_string(shown);
	free(shown);
	return j;
}

static void take_out(char *text, const char *path)
{
	size_t n = strlen(path);
	for (char *at = text; n > 1 && (at = strstr(at, path));)
		memmove(at, at + n, strlen(at + n) + 1);
}

/*
 * A text as JSON without the paths of this host: what lies below them keeps its name. Reports go to
 * students, and to other hosts.
 */
static json_t *text_for_all(const struct options *o, const char *text)
{
	char *copy = strdup(text ? text : ""), *above = strdup(o->submission), here[4096];
	char *slash = strrchr(above, '/');
	const char *paths[] = { grade_path(""), above, "/tmp/judge/", "/tree/",
				getcwd(here, sizeof(here) - 1) ? strcat(here, "/") : "" };
	if (slash)
		slash[1] = '\0';
	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		take_out(copy, paths[i]);
	json_t *j = report_text(copy);
	free(copy), free(above);
	return j;
}

bool report_counts(const struct result *r)
{
	return r->outcome != SKIPPED;
}

static char *first_line(const char *text)
{
	return text_line(text ? text : "", strcspn(text ? text : "", "\n"));
}

/* How the reader can look at a check. Result: for the caller to free. */
static char *next_step(const struct test *t)
{
	char *text;
	if (asprintf(&text, "stop just before it%s: make debug TEST=%s",
		     t->machine.bochs ? ", in Bochs's own debugger" : "", t->name) < 0)
		give_up(BROKEN, "no memory");
	return text;
}

/*
 * Whether this empty exercise was named before. It stops many checks; once is enough for a
 * reader.
 */
static bool seen_empty(const char *reason)
{
	static char *seen;
	char *line = first_line(reason);
	bool again = seen && strcmp(seen, line) == 0;
	if (strncmp(line, "empty exercise: ", 16) == 0)
		seen = line;
	return again;
}

/* Up to the command that starts the machine by hand; the rest is in the reports. */
static void print_reason(const char *reason)
{
	static const char by_hand[] = "by hand: ";
	for (const char *s = reason; *s && strncmp(s, by_hand, strlen(by_hand)) != 0;) {
		printf("        %s\n", first_line(s));
		s += strcspn(s, "\n");
		s += *s == '\n';
	}
}

void report_print(const struct grading *g, const struct result *r)
{
	static const char *const words[] = { "[ok]  ", "[FAIL]", "[skip]", "[ERR] " };
	const struct test *t = &r->test;
	struct cause causes[MAX_CHECKS], c;
	const char *colors[] = { "\033[32m", "\033[31m", "\033[33m", "\033[35m" };
	bool color = isatty(1) && !getenv("NO_COLOR");
	printf("%s%s%s %2u/%-2u %s: %s\n", color ? colors[r->outcome] : "", words[r->outcome],
	       color ? "\033[m" : "",
	       r->outcome == PASSED ? t->points : 0, t->points, t->name, t->title ? t->title : "");
	if (r->outcome == FAILED && seen_empty(r->reason)) {
		printf("        waits for that, too: %s\n", first_line(r->reason));
		fflush(stdout);
		return;
	}
	if (r->outcome == FAILED || r->outcome == BROKEN)
		print_reason(r->reason);
	causes_find(g->results, g->n, causes);
	c = causes[r - g->results];
	if (c.because && t->needs && (!c.sure || c.exercise != c.because->test.exercise))
		printf("        needs exercise %u: mend that first, see check %s\n",
		       c.because->test.exercise, c.because->test.name);
	else if (r->outcome == FAILED && !c.sure && c.other)
		printf("        this check judges exercise %u; the cause may lie in exercise %u or "
		       "%u\n", t->exercise, c.exercise, c.other);
	else if (r->outcome == FAILED && c.exercise != t->exercise && !c.sure)
		printf("        this check judges exercise %u; the cause may lie in exercise %u\n",
		       t->exercise, c.exercise);
	if (r->outcome == SKIPPED)
		printf("        %s\n", first_line(r->reason));
	if (r->outcome == FAILED)
		printf("        read: %s\n        %s\n", t->see ? t->see : "the handout",
		       next_step(t));
	fflush(stdout);
}

/* The checks that a failure explains, in one line. */
static void print_waiting(const struct grading *g, const struct cause *causes,
			  const struct result *r)
{
	const char *before = "            waits for that: ";
	for (unsigned i = 0; i < g->n; i++)
		if (causes[i].because == r) {
			printf("%s%s", before, g->results[i].test.name);
			before = ", ";
		}
	if (*before == ',')
		printf("\n");
}

void report_summary(const struct grading *g)
{
	enum { SHOWN = 3 };
	struct cause causes[MAX_CHECKS];
	unsigned order[MAX_CHECKS];
	causes_find(g->results, g->n, causes);
	unsigned n = causes_order(g->results, g->n, causes, order);
	for (unsigned i = 0; i < n && i < SHOWN; i++) {
		const struct result *r = &g->results[order[i]];
		const struct cause *c = &causes[order[i]];
		printf("%s exercise %u (%s): %s%s%s%s\n", i ? "      then:" : "mend first:",
		       c->exercise, r->test.name, c->text, *c->where ? " (" : "", c->where,
		       *c->where ? ")" : "");
		print_waiting(g, causes, r);
	}
	if (n > SHOWN)
		printf("            and %u more\n", n - SHOWN);
}

/* What a student reads of a check. */
static json_t *check_output(const struct options *o, const struct result *r)
{
	char *text;
	if (r->outcome == PASSED)
		return json_string("");
	if (asprintf(&text, "%s\nread: %s\n%s", r->reason,
		     r->test.see ? r->test.see : "the handout", next_step(&r->test)) < 0)
		give_up(BROKEN, "no memory");
	json_t *j = text_for_all(o, text);
	free(text);
	return j;
}

static json_t *check_json(const struct options *o, const struct result *r, const struct cause *c,
			  unsigned number, bool graded)
{
	static const char *const outcomes[] = { "pass", "fail", "skip", "error" };
	const struct test *t = &r->test;
	char *name, digits[16];
	snprintf(digits, sizeof(digits), "%u", number);
	if (asprintf(&name, "%s: %s", t->name, t->title ? t->title : "") < 0)
		give_up(BROKEN, "no memory");
	json_t *cause = r->outcome == PASSED ? json_string("") :
			text_for_all(o, cause_text(r->reason ? r->reason : ""));
	json_t *j = json_pack("{s:s, s:s, s:o,"
			      " s:{s:s, s:i, s:s, s:o, s:s, s:i, s:s, s:s, s:s, s:f}}",
			      "name", name,
			      "number", digits,
			      "output", check_output(o, r),
			      "extra_data",
			      "check", t->name,
			      "exercise", (int)t->exercise,
			      "outcome", outcomes[r->outcome],
			      "cause", cause,
			      "where", c->where ? c->where : "",
			      "mend", (int)(c->exercise ? c->exercise : t->exercise),
			      "because", c->because ? c->because->test.name : "",
			      "see", t->see ? t->see : "",
			      "next", next_step(t),
			      "seconds", r->seconds);
	if (graded && report_counts(r)) {
		json_object_set_new(j, "status",
				    json_string(r->outcome == PASSED ? "passed" : "failed"));
		json_object_set_new(j, "score", json_integer(r->outcome == PASSED ? t->points : 0));
		json_object_set_new(j, "max_score", json_integer(t->points));
	}
	free(name);
	return j;
}

json_t *report_json(const struct grading *g)
{
	const struct options *o = g->o;
	json_t *tests = json_array();
	struct cause causes[MAX_CHECKS];
	unsigned score = 0, max = 0;
	bool graded = true;
	char *output;
	causes_find(g->results, g->n, causes);
	for (unsigned i = 0; i < g->n; i++)
		graded &= g->results[i].outcome != BROKEN;
	for (unsigned i = 0; i < g->n; i++) {
		const struct result *r = &g->results[i];
		score += r->outcome == PASSED ? r->test.points : 0;
		max += report_counts(r) ? r->test.points : 0;
		json_array_append_new(tests, check_json(o, r, &causes[i], i + 1, graded));
	}
	const char *built = g->not_built ? g->not_built : "";
	bool line = !*built || built[strlen(built) - 1] == '\n';
	if (asprintf(&output, "%s%s%s", built, line ? "" : "\n", g->notes) < 0)
		give_up(BROKEN, "no memory");
	json_t *j = json_pack("{s:o, s:f, s:o,"
			      " s:{s:i, s:s, s:s, s:I, s:i, s:o, s:s, s:s, s:b, s:f, s:f}}",
			      "output", text_for_all(o, output),
			      "execution_time", g->seconds,
			      "tests", tests,
			      "extra_data",
			      "format", FORMAT,
			      "lab", o->lab->name,
			      "outcome", graded ? "graded" : "error",
			      "seed", (json_int_t)o->seed,
			      "max_score", (int)max,
			      "submission", report_text(o->submission),
			      "checksum", g->checksum,
			      "only", o->only ? o->only : "",
			      "sandbox", !o->no_sandbox,
			      "seconds", g->seconds,
			      "build_seconds", g->build_seconds);
	if (graded)
		json_object_set_new(j, "score", json_integer(score));
	if (g->answers)
		json_object_set(json_object_get(j, "extra_data"), "answers", g->answers);
	json_object_set(json_object_get(j, "extra_data"), "names", g->names);
	free(output);
	return j;
}

json_t *report_no_grade(const struct options *o, const char *outcome, const char *why)
{
	return json_pack("{s:o, s:[], s:{s:i, s:s, s:s, s:I, s:o}}",
			 "output", text_for_all(o, why),
			 "tests",
			 "extra_data",
			 "format", FORMAT,
			 "lab", o->lab->name,
			 "outcome", outcome,
			 "seed", (json_int_t)o->seed,
			 "submission", report_text(o->submission));
}

/*
 * The file that takes the place of `path` when it is whole. What is no file, such as /dev/null, is
 * written itself: rename() would take it away.
 */
static char *new_name(const char *path)
{
	char *name;
	struct stat s;
	bool other = stat(path, &s) == 0 && !S_ISREG(s.st_mode);
	if (asprintf(&name, "%s%s", path, other ? "" : ".new") < 0)
		give_up(BROKEN, "no memory");
	return name;
}

void report_write(const struct options *o, json_t *report, const struct grading *g)
{
	if (o->json) {
		char *name = new_name(o->json);
		if (json_dump_file(report, name, JSON_INDENT(2) | JSON_REAL_PRECISION(3)) < 0 ||
		    rename(name, o->json) < 0)
			give_up(BROKEN, "%s: %s", o->json, strerror(errno));
		free(name);
	}
	if (o->html) {
		char *name = new_name(o->html);
		html_write(name, report, g);
		if (rename(name, o->html) < 0)
			give_up(BROKEN, "%s: %s", o->html, strerror(errno));
		free(name);
	}
}
