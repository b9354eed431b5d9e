/* SPDX-License-Identifier: MIT */
/*
 * The report as one HTML page that needs nothing else: a section for each check, the cause of
 * a failure first.
 */
#include "grader.h"
#include "viewer.h"
#include <errno.h>

static const char style[] =
	":root{color-scheme:light dark;"
	"--bad:#b3261e;--good:#1b6e3c;--dim:#666;--line:#ccc;--box:#f5f5f5}\n"
	"@media(prefers-color-scheme:dark){"
	":root{--bad:#ff8a80;--good:#7bd88f;--dim:#aaa;--line:#444;--box:#1e1e1e}}\n"
	"body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\n"
	"h1{font-size:1.4rem}h2{font-size:1.05rem;margin:0}\n"
	"section{border-top:1px solid var(--line);padding:.8rem 0}\n"
	"table{border-collapse:collapse}td{padding:.1rem 1rem .1rem 0;vertical-align:top}\n"
	"td:first-child,.dim{color:var(--dim)}\n"
	"pre{background:var(--box);padding:.6rem;overflow-x:auto;font-size:.85rem;"
	"white-space:pre-wrap}\n"
	".pass{color:var(--good)}.fail,.error{color:var(--bad)}.skip{color:var(--dim)}\n"
	".cause{font-weight:600;margin:.3rem 0}\n"
	"iframe{width:calc(100vw - 3rem);height:95vh;margin:.5rem 0 0 calc(50% - 50vw + 1.5rem);"
	"border:1px solid var(--line)}\n"
	"code{font-size:.9em}.score{font-size:1.2rem;font-weight:600}\n";

static void text(FILE *f, const char *s)
{
	for (; s && *s; s++)
		if (strchr("<>&\"'", *s))
			fprintf(f, "&#%d;", *s);
		else
			fputc(*s, f);
}

static const char *string(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));
	return s ? s : "";
}

static void row(FILE *f, const char *label, const char *value)
{
	fprintf(f, "<tr><td>%s</td><td>", label);
	text(f, value);
	fprintf(f, "</td></tr>\n");
}

static void paragraph(FILE *f, const char *kind, const char *s)
{
	fprintf(f, "<p class=\"%s\">", kind);
	text(f, s);
	fprintf(f, "</p>\n");
}

static long long integer(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static void heading(FILE *f, const json_t *test, const json_t *extra, const char *outcome)
{
	fprintf(f, "<section id=\"%s\">\n", string(extra, "check"));
	fprintf(f, "<h2><span class=\"%s\">%s</span> ", outcome, outcome);
	text(f, string(test, "name"));
	fprintf(f, " <span class=\"dim\">exercise %lld</span>", integer(extra, "exercise"));
	if (json_object_get(test, "max_score"))
		fprintf(f, " <span class=\"dim\">%lld of %lld</span>", integer(test, "score"),
			integer(test, "max_score"));
	fprintf(f, "</h2>\n");
}

static void section(FILE *f, const json_t *test)
{
	const json_t *extra = json_object_get(test, "extra_data");
	const char *outcome = string(extra, "outcome"), *output = string(test, "output");
	bool failed = strcmp(outcome, "fail") == 0;
	heading(f, test, extra, outcome);
	if (*string(extra, "cause"))
		paragraph(f, "cause", string(extra, "cause"));
	if (failed) {
		fprintf(f, "<p>Read: ");
		text(f, string(extra, "see"));
		fprintf(f, "<br>");
		text(f, string(extra, "next"));
		fprintf(f, "</p>\n");
	}
	if (*output) {
		fprintf(f, "<details%s><summary>what was seen</summary><pre>",
			failed ? " open" : "");
		text(f, output);
		fprintf(f, "</pre></details>\n");
	}
	fprintf(f, "</section>\n");
}

/* The viewer is a page of its own inside this one, so that its styles and keys stay its own. */
static void recording(FILE *f, const struct grading *g)
{
	const char *end = string(g->recording, "end");
	char *page;
	size_t size;
	fprintf(f, "<section id=\"recording\">\n<h2>How this machine changes its mode%s</h2>\n",
		g->reference ? ", beside the reference's" : "");
	if (json_array_size(json_object_get(g->recording, "steps")) == 0) {
		fprintf(f, "<p>It does not come so far: ");
		text(f, end);
		fprintf(f, "</p>\n</section>\n");
		return;
	}
	FILE *to = open_memstream(&page, &size);
	page_write(to, g->recording, g->reference);
	fclose(to);
	fprintf(f, "<iframe title=\"The recording, step by step\" srcdoc=\"");
	text(f, page);
	fprintf(f, "\"></iframe>\n</section>\n");
	free(page);
}

static void head(FILE *f, const json_t *report, const json_t *extra)
{
	const char *lab = string(extra, "lab");
	fprintf(f, "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
		   "<meta name=\"viewport\" content=\"width=device-width\">\n"
		   "<title>Cinnabar: %s</title>\n<style>\n%s</style>\n<h1>%s</h1>\n<p "
		   "class=\"score\">",
		lab, style, lab);
	if (json_object_get(report, "score"))
		fprintf(f, "%lld of %lld points", integer(report, "score"),
			integer(extra, "max_score"));
	else
		fprintf(f, "<span class=\"error\">no grade (%s)</span>", string(extra, "outcome"));
	fprintf(f, "</p>\n");
}

static void facts(FILE *f, const json_t *extra)
{
	char seed[24];
	snprintf(seed, sizeof(seed), "%lld", integer(extra, "seed"));
	fprintf(f, "<table>\n");
	row(f, "submission", string(extra, "submission"));
	row(f, "seed", seed);
	if (*string(extra, "only"))
		row(f, "only", string(extra, "only"));
	fprintf(f, "</table>\n");
}

void html_write(const char *path, json_t *report, const struct grading *g)
{
	const json_t *extra = json_object_get(report, "extra_data"), *test;
	bool recorded = g && g->recording;
	FILE *f = fopen(path, "w");
	size_t i;
	if (!f)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	head(f, report, extra);
	facts(f, extra);
	if (recorded)
		fprintf(f, "<p><a href=\"#recording\">How this machine changes its mode</a>, "
			   "step by step</p>\n");
	if (*string(report, "output")) {
		fprintf(f, "<pre>");
		text(f, string(report, "output"));
		fprintf(f, "</pre>\n");
	}
	json_array_foreach(json_object_get(report, "tests"), i, test)
		section(f, test);
	if (recorded)
		recording(f, g);
	fprintf(f, "</html>\n");
	if (fclose(f) != 0)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
}
