/* SPDX-License-Identifier: MIT */
/*
 * The report as one HTML page that needs nothing else: an overview of all checks, failed ones
 * first; then each failure with its cause, its place and what to read; the answers; the recording;
 * the sections of the handout. It is made from the JSON report.
 */
#include "html.h"
#include "viewer.h"
#include <errno.h>

static const char style[] =
	"body{max-width:56rem}\n"
	"section{border-top:1px solid var(--line);padding:.8rem 0}\n"
	".facts td{padding:.1rem 1rem .1rem 0;vertical-align:top}\n"
	".facts td:first-child{color:var(--dim);white-space:nowrap}\n"
	".overview{width:100%;margin:.8rem 0}\n"
	".overview th{white-space:nowrap;font-size:.85rem}\n"
	".overview th,.overview td{padding:.25rem .6rem .25rem 0;vertical-align:top;"
	"border-bottom:1px solid var(--line)}\n"
	".overview .number{text-align:right;padding:.25rem 0 .25rem .6rem}\n"
	".overview td:first-child,.overview td.number{white-space:nowrap}\n"
	".score{font-size:1.25rem;font-weight:600}\n"
	".cause{font-weight:600}.answer{white-space:pre-wrap;border-left:3px solid var(--line);"
	"padding-left:.8rem}\n"
	".handout{border-left:3px solid var(--line);padding-left:.8rem}"
	".item{padding-left:1rem;text-indent:-1rem}\n"
	"iframe{width:100%;height:95vh;border:1px solid var(--line)}\n"
	"@media(min-width:60rem){iframe{width:calc(100vw - 3rem);"
	"margin-left:calc(50% - 50vw + 1.5rem)}}\n";

/* --- the order of the checks --- */

static const json_t *extra_of(const json_t *test) { return json_object_get(test, "extra_data"); }
static const char *outcome_of(const json_t *test) { return json_text(extra_of(test), "outcome"); }

/* Errors, causes, consequences, what was skipped, what passed. */
static unsigned rank(const json_t *test)
{
	static const char *const outcomes[] = { "error", "fail", "", "skip", "pass" };
	unsigned i = 0;
	while (i < 4 && strcmp(outcome_of(test), outcomes[i]) != 0)
		i++;
	return i == 1 && *json_text(extra_of(test), "because") ? 2 : i;
}

/* Causes are in the order of the exercises to mend. */
static unsigned order(const json_t *tests, const json_t *ordered[MAX_CHECKS])
{
	enum { RANKS = 5, CAUSES = 1, EXERCISES = 32 };
	const json_t *test;
	unsigned n = 0;
	size_t i;
	for (unsigned want = 0; want < RANKS; want++)
		for (unsigned k = 0; k < (want == CAUSES ? EXERCISES : 1); k++)
			json_array_foreach(tests, i, test)
				if (rank(test) == want && n < MAX_CHECKS && (want != CAUSES ||
				    json_number(extra_of(test), "mend") == k))
					ordered[n++] = test;
	return n;
}

/* Whether there is more to say of a check than the overview says: not if nothing was run. */
static bool has_section(const json_t *test)
{
	return strcmp(outcome_of(test), "pass") != 0 &&
	       strncmp(json_text(extra_of(test), "cause"), "nothing was run", 15) != 0;
}

/* --- head and overview --- */

static void row(FILE *f, const char *label, const char *value)
{
	fprintf(f, "<tr><td>%s<td>", label);
	html_text(f, value);
	fprintf(f, "\n");
}

static void score(FILE *f, const json_t *report, const json_t *extra)
{
	fprintf(f, "<p class=\"score\">");
	if (json_object_get(report, "score"))
		fprintf(f, "%lld of %lld points", json_number(report, "score"),
			json_number(extra, "max_score"));
	else
		fprintf(f, "<span class=\"error\">no grade (%s)</span>",
			json_text(extra, "outcome"));
	fprintf(f, "</p>\n");
}

/* Of the submission's path only the last name: the rest is this host's. */
static void facts(FILE *f, const json_t *extra)
{
	const char *path = json_text(extra, "submission"), *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char seed[24];
	snprintf(seed, sizeof(seed), "%lld", json_number(extra, "seed"));
	fprintf(f, "<table class=\"facts\">\n");
	row(f, "submission", strcmp(name, ".") == 0 || !*name ? "this tree" : name);
	row(f, "seed", seed);
	if (*json_text(extra, "only"))
		row(f, "only", json_text(extra, "only"));
	fprintf(f, "</table>\n");
}

static void overview(FILE *f, const json_t *const *tests, unsigned n)
{
	fprintf(f, "<table class=\"overview\">\n<tr><th><th>check<th class=\"number\">exercise"
		   "<th class=\"number\">points\n");
	for (unsigned i = 0; i < n; i++) {
		const json_t *extra = extra_of(tests[i]);
		const char *outcome = outcome_of(tests[i]), *check = json_text(extra, "check");
		bool linked = has_section(tests[i]);
		const char *title = strstr(json_text(tests[i], "name"), ": ");
		fprintf(f, "<tr><td class=\"%s\">%s<td>", outcome, outcome);
		fprintf(f, linked ? "<a href=\"#%s\">%s</a>" : "%s%s", linked ? check : "", check);
		fprintf(f, " <span class=\"dim\">");
		html_text(f, title ? title + 2 : "");
		fprintf(f, "</span><td class=\"number\">%lld<td class=\"number\">",
			json_number(extra, "exercise"));
		if (json_object_get(tests[i], "max_score"))
			fprintf(f, "%lld of %lld", json_number(tests[i], "score"),
				json_number(tests[i], "max_score"));
		fprintf(f, "\n");
	}
	fprintf(f, "</table>\n");
}

/* --- a check that did not pass --- */

static void folded(FILE *f, const char *title, const char *s, const char *end)
{
	s += strspn(s, "\n");
	if (s >= end)
		return;
	fprintf(f, "<details><summary>%s</summary><pre>", title);
	html_bytes(f, s, (size_t)(end - s));
	fprintf(f, "</pre></details>\n");
}

/* What stands after the cause; the machine's command and log are of use to few. */
static void details(FILE *f, const char *output)
{
	const char *end = output + strlen(output);
	for (const char *s = output; (s = strstr(s, "\nread: ")); s++)
		end = s;
	const char *seen = cause_end(output), *machine = strstr(seen, "\nby hand: ");
	folded(f, "what was seen", seen, machine && machine < end ? machine : end);
	if (machine && machine < end)
		folded(f, "the machine by hand, and the end of its serial line", machine, end);
}

/* A failure that another one explains: its cause is not told twice. */
static bool consequence(FILE *f, const json_t *const *tests, unsigned n, const json_t *extra)
{
	const char *because = json_text(extra, "because"), *text = json_text(extra, "cause");
	for (unsigned i = 0; i < n && *because; i++) {
		const json_t *other = extra_of(tests[i]);
		if (strcmp(json_text(other, "check"), because) != 0)
			continue;
		fprintf(f, "<p class=\"cause\">Mend exercise %lld first: <a href=\"#%s\">%s</a>"
			   "</p>\n", json_number(other, "mend"), because, because);
		return strcmp(json_text(other, "cause"), text) == 0;
	}
	return false;
}

static void cause(FILE *f, const json_t *extra)
{
	const char *where = json_text(extra, "where");
	long long mend = json_number(extra, "mend"), own = json_number(extra, "exercise");
	fprintf(f, "<p class=\"cause\">");
	html_text(f, json_text(extra, "cause"));
	fprintf(f, "</p>\n");
	if (*where) {
		fprintf(f, "<p>at <code>");
		html_text(f, where);
		fprintf(f, "</code>");
		if (mend != own)
			fprintf(f, ", in exercise %lld", mend);
		fprintf(f, "</p>\n");
	}
	if (mend != own && !*json_text(extra, "because"))
		fprintf(f, "<p>This check judges exercise %lld, and the cause may lie in exercise "
			   "%lld.</p>\n", own, mend);
}

static void section(FILE *f, const json_t *const *tests, unsigned n, const json_t *test,
		    const char *handout)
{
	const json_t *extra = extra_of(test);
	const char *outcome = outcome_of(test), *check = json_text(extra, "check");
	fprintf(f, "<section id=\"%s\">\n<h2><span class=\"%s\">%s</span> ", check, outcome,
		outcome);
	html_text(f, json_text(test, "name"));
	fprintf(f, "</h2>\n<p class=\"dim\">exercise %lld", json_number(extra, "exercise"));
	if (json_object_get(test, "max_score"))
		fprintf(f, " &middot; %lld of %lld points", json_number(test, "score"),
			json_number(test, "max_score"));
	fprintf(f, "</p>\n");
	if (!consequence(f, tests, n, extra))
		cause(f, extra);
	if (strcmp(outcome, "fail") == 0) {
		fprintf(f, "<p>Read: ");
		handout_write_see(f, handout, json_text(extra, "see"));
		fprintf(f, "<br>Stop just before it: <code>make debug TEST=%s</code></p>\n", check);
	}
	details(f, json_text(test, "output"));
	fprintf(f, "</section>\n");
}

/* --- what follows the checks --- */

static void answers(FILE *f, const json_t *all)
{
	const json_t *one;
	size_t i;
	if (json_array_size(all) == 0)
		return;
	fprintf(f, "<section id=\"answers\">\n<h2>Questions and answers</h2>\n"
		   "<p class=\"dim\">No points depend on them here: a person reads them.</p>\n");
	json_array_foreach(all, i, one) {
		const char *answer = json_text(one, "answer");
		fprintf(f, "<h3>");
		html_text(f, json_text(one, "question"));
		fprintf(f, *answer ? "</h3>\n<div class=\"answer\">" :
			"</h3>\n<p class=\"fail\">no answer</p><div>");
		html_text(f, answer);
		fprintf(f, "</div>\n");
	}
	fprintf(f, "</section>\n");
}

/* The viewer is a page of its own inside this one, so that its styles and keys stay its own. */
static void recording(FILE *f, const struct grading *g)
{
	const char *end = json_text(g->recording, "end");
	char *page;
	size_t size;
	fprintf(f, "<section id=\"recording\">\n<h2>How this machine changes its mode%s</h2>\n",
		g->reference ? ", beside the reference's" : "");
	if (json_array_size(json_object_get(g->recording, "steps")) == 0) {
		fprintf(f, "<p>It does not come so far: ");
		html_text(f, end);
		fprintf(f, "</p>\n</section>\n");
		return;
	}
	FILE *to = open_memstream(&page, &size);
	page_write(to, g->recording, g->reference);
	fclose(to);
	fprintf(f, "<iframe title=\"The recording, step by step\" srcdoc=\"");
	html_text(f, page);
	fprintf(f, "\"></iframe>\n</section>\n");
	free(page);
}

static void sections_of_handout(FILE *f, const json_t *const *tests, unsigned n,
				const char *handout)
{
	const char *sees[MAX_CHECKS];
	unsigned failed = 0;
	for (unsigned i = 0; i < n; i++)
		if (has_section(tests[i]))
			sees[failed++] = json_text(extra_of(tests[i]), "see");
	if (failed == 0 || !handout)
		return;
	fprintf(f, "<section>\n<h2>From the handout</h2>\n");
	handout_write_sections(f, handout, sees, failed);
	fprintf(f, "</section>\n");
}

void html_write(const char *path, json_t *report, const struct grading *g)
{
	const json_t *extra = json_object_get(report, "extra_data"), *tests[MAX_CHECKS];
	const json_t *answered = json_object_get(extra, "answers");
	const char *handout = g ? g->handout : NULL;
	unsigned n = order(json_object_get(report, "tests"), tests);
	char *title;
	FILE *f = fopen(path, "w");
	if (!f || asprintf(&title, "Cinnabar: %s", json_text(extra, "lab")) < 0)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	html_begin(f, title, style);
	score(f, report, extra);
	facts(f, extra);
	if (*json_text(report, "output")) {
		fprintf(f, "<pre>");
		html_text(f, json_text(report, "output"));
		fprintf(f, "</pre>\n");
	}
	if (n > 0)
		overview(f, tests, n);
	if (json_array_size(answered) > 0)
		fprintf(f, "<p><a href=\"#answers\">Questions and answers</a></p>\n");
	if (g && g->recording)
		fprintf(f, "<p><a href=\"#recording\">How this machine changes its mode</a>, "
			   "step by step</p>\n");
	for (unsigned i = 0; i < n; i++)
		if (has_section(tests[i]))
			section(f, tests, n, tests[i], handout);
	answers(f, answered);
	if (g && g->recording)
		recording(f, g);
	sections_of_handout(f, tests, n, handout);
	fprintf(f, "</html>\n");
	free(title);
	if (fclose(f) != 0)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
}
