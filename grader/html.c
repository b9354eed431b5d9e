/* SPDX-License-Identifier: MIT */
/* The report as one HTML page that needs nothing else: a section for each check, the cause of a failure first. */
#include "grader.h"
#include "viewer.h"
#include <errno.h>

static const char style[] =
	":root{color-scheme:light dark;--bad:#b3261e;--good:#1b6e3c;--dim:#666;--line:#ccc;--box:#f5f5f5}\n"
	"@media(prefers-color-scheme:dark){:root{--bad:#ff8a80;--good:#7bd88f;--dim:#aaa;--line:#444;--box:#1e1e1e}}\n"
	"body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\n"
	"h1{font-size:1.4rem}h2{font-size:1.05rem;margin:0}section{border-top:1px solid var(--line);padding:.8rem 0}\n"
	"table{border-collapse:collapse}td{padding:.1rem 1rem .1rem 0;vertical-align:top}td:first-child,.dim{color:var(--dim)}\n"
	"pre{background:var(--box);padding:.6rem;overflow-x:auto;font-size:.85rem;white-space:pre-wrap}\n"
	".pass{color:var(--good)}.fail,.error{color:var(--bad)}.skip{color:var(--dim)}.cause{font-weight:600;margin:.3rem 0}\n"
	"iframe{width:calc(100vw - 3rem);height:95vh;margin:.5rem 0 0 calc(50% - 50vw + 1.5rem);border:1px solid var(--line)}\n"
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

static void section(FILE *f, const json_t *test)
{
	const json_t *extra = json_object_get(test, "extra_data"), *max = json_object_get(test, "max_score");
	const char *outcome = string(extra, "outcome"), *output = string(test, "output"), *cause = string(extra, "cause");
	fprintf(f, "<section id=\"%s\">\n<h2><span class=\"%s\">%s</span> ", string(extra, "check"), outcome, outcome);
	text(f, string(test, "name"));
	fprintf(f, " <span class=\"dim\">exercise %lld</span>", json_integer_value(json_object_get(extra, "exercise")));
	if (max)
		fprintf(f, " <span class=\"dim\">%lld of %lld</span>", json_integer_value(json_object_get(test, "score")), json_integer_value(max));
	fprintf(f, "</h2>\n");
	if (*cause) {
		fprintf(f, "<p class=\"cause\">");
		text(f, cause);
		fprintf(f, "</p>\n");
	}
	if (strcmp(outcome, "fail") == 0) {
		fprintf(f, "<p>Read: ");
		text(f, string(extra, "see"));
		fprintf(f, "<br>");
		text(f, string(extra, "next"));
		fprintf(f, "</p>\n");
	}
	if (*output) {
		fprintf(f, "<details%s><summary>what was seen</summary><pre>", strcmp(outcome, "fail") == 0 ? " open" : "");
		text(f, output);
		fprintf(f, "</pre></details>\n");
	}
	fprintf(f, "</section>\n");
}

/* The viewer is a page of its own within this one: its looks and keys stay there. */
static void recording(FILE *f, const struct grading *g)
{
	const char *end = string(g->recording, "end");
	char *page;
	size_t size;
	fprintf(f, "<section id=\"recording\">\n<h2>How this machine changes its mode%s</h2>\n", g->reference ? ", beside the reference's" : "");
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

void html_write(const char *path, json_t *report, const struct grading *g)
{
	const json_t *extra = json_object_get(report, "extra_data"), *score = json_object_get(report, "score"), *test;
	FILE *f = fopen(path, "w");
	char seed[24];
	size_t i;
	if (!f)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	snprintf(seed, sizeof(seed), "%lld", json_integer_value(json_object_get(extra, "seed")));
	fprintf(f, "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n"
		   "<title>Cinnabar: %s</title>\n<style>\n%s</style>\n<h1>%s</h1>\n<p class=\"score\">", string(extra, "lab"), style,
		string(extra, "lab"));
	if (score)
		fprintf(f, "%lld of %lld points", json_integer_value(score), json_integer_value(json_object_get(extra, "max_score")));
	else
		fprintf(f, "<span class=\"error\">no grade (%s)</span>", string(extra, "outcome"));
	fprintf(f, "</p>\n<table>\n");
	row(f, "submission", string(extra, "submission"));
	row(f, "seed", seed);
	if (*string(extra, "only"))
		row(f, "only", string(extra, "only"));
	fprintf(f, "</table>\n");
	if (g && g->recording)
		fprintf(f, "<p><a href=\"#recording\">How this machine changes its mode</a>, step by step</p>\n");
	if (*string(report, "output")) {
		fprintf(f, "<pre>");
		text(f, string(report, "output"));
		fprintf(f, "</pre>\n");
	}
	json_array_foreach(json_object_get(report, "tests"), i, test)
		section(f, test);
	if (g && g->recording)
		recording(f, g);
	fprintf(f, "</html>\n");
	if (fclose(f) != 0)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
}
