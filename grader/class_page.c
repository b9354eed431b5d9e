/* SPDX-License-Identifier: MIT */
/*
 * A class as one HTML page: a row for each submission, a column for each check, the check that most
 * failed first, and a link from each cell to its place in the submission's report. The page sorts
 * its rows without a script: a radio button chooses which number orders them.
 */
#include "class_report.h"
#include <sys/stat.h>

static const char style[] =
	".scrolls{overflow-x:auto;margin:.8rem 0}\n"
	/* Cells of a grid have an order, rows of a table have none: a row's cells share one. */
	"#class{display:grid;width:max-content;overflow-wrap:normal}\n"
	"#class tbody,#class thead,#class tr{display:contents}\n"
	"#class td,#class th{padding:.2rem .5rem;border-bottom:1px solid var(--line);"
	"order:var(--name)}\n"
	"#class thead th{order:-1;writing-mode:vertical-rl;transform:rotate(180deg);"
	"text-align:left;border-bottom:0;justify-self:center;padding:.5rem .2rem}\n"
	"#class thead th.plain{writing-mode:horizontal-tb;transform:none;align-self:end;"
	"justify-self:start}\n"
	"#class tbody th{position:sticky;left:0;background:Canvas;max-width:14rem;"
	"overflow-wrap:anywhere;font-weight:400}\n"
	"#class td{text-align:center}\n"
	"@media(max-width:40rem){#class tbody th{max-width:8rem}}\n"
	"body:has(#by-score:checked) #class tbody :is(td,th){order:var(--score)}\n"
	"body:has(#by-outcome:checked) #class tbody :is(td,th){order:var(--outcome)}\n"
	"label{margin-right:1rem;white-space:nowrap}\n";

static void cell(FILE *f, const struct student *s, const struct column *k, const char *orders)
{
	static const struct { const char *outcome, *sign; } signs[] = {
		{ "pass", "\u2713" }, { "fail", "\u2717" }, { "skip", "\u2013" }, { "error", "!" },
	};
	const char *outcome = outcome_of(find_test(s->report, k->check));
	fprintf(f, "<td style=\"%s\">", orders);
	for (unsigned i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (strcmp(outcome, signs[i].outcome) != 0)
			continue;
		fprintf(f, "<a class=\"%s\" title=\"%s: %s\" href=\"./", outcome, k->check,
			outcome);
		html_address(f, s->name);
		fprintf(f, i == 0 ? ".html\">%s</a>" : ".html#%s\">", i == 0 ? signs[i].sign :
			k->check);
		if (i > 0)
			fprintf(f, "%s</a>", signs[i].sign);
	}
}

/* Whether a submission has a page: it has none if its grader was killed. */
static bool has_page(const struct class *c, const struct student *s)
{
	struct stat st;
	char *path = class_path(c->o, s->name, ".html");
	bool has = stat(path, &st) == 0 && S_ISREG(st.st_mode);
	free(path);
	return has;
}

/* Place of a row in each order; rows with equal numbers stand by name. */
static void row(FILE *f, const struct class *c, unsigned number)
{
	const struct student *s = &c->students[number];
	bool graded = json_object_get(s->report, "score");
	long long score = graded ? json_number(s->report, "score") : -1;
	const char *outcome = outcome_of(s->report);
	char orders[120];
	snprintf(orders, sizeof(orders), "--name:%u;--score:%lld;--outcome:%u", number,
		 score * c->n + number, number + (graded ? c->n : 0));
	fprintf(f, "<tr><th scope=\"row\" style=\"%s\"><a href=\"./", orders);
	html_address(f, s->name);
	fprintf(f, "%s\">", has_page(c, s) ? ".html" : ".json");
	html_text(f, text_line(s->name, strlen(s->name)));
	fprintf(f, "</a><td style=\"%s\">", orders);
	if (graded)
		fprintf(f, "%lld", score);
	else
		fprintf(f, "<span class=\"%s\">%s</span>", outcome, outcome);
	for (unsigned k = 0; k < c->nr_columns; k++)
		cell(f, s, &c->columns[k], orders);
	fprintf(f, "\n");
}

static void matrix(FILE *f, const struct class *c)
{
	fprintf(f, "<p>Rows by <label><input type=\"radio\" name=\"by\" id=\"by-name\" checked> "
		   "name</label><label><input type=\"radio\" name=\"by\" id=\"by-score\"> "
		   "points, lowest first</label><label><input type=\"radio\" name=\"by\" "
		   "id=\"by-outcome\"> without a "
		   "grade first</label></p>\n<div class=\"scrolls\" tabindex=\"0\">"
		   "<table id=\"class\" style=\"grid-template-columns:repeat(%u,auto)\">\n"
		   "<thead><tr><th class=\"plain\">submission<th class=\"plain\">points",
		c->nr_columns + 2);
	for (unsigned k = 0; k < c->nr_columns; k++) {
		fprintf(f, "<th scope=\"col\" title=\"exercise %lld: ", c->columns[k].exercise);
		html_text(f, c->columns[k].title);
		fprintf(f, "\">%s", c->columns[k].check);
	}
	fprintf(f, "\n<tbody>\n");
	for (unsigned i = 0; i < c->n; i++)
		row(f, c, i);
	fprintf(f, "</table></div>\n");
}

static const char *cause_of(const struct student *s, const char *check)
{
	return json_text(json_object_get(find_test(s->report, check), "extra_data"), "cause");
}

/* The cause that most submissions have for a check. Result: of how many; *cause: its text. */
static unsigned most_often(const struct class *c, const char *check, const char **cause)
{
	unsigned most = 0;
	*cause = "";
	for (unsigned i = 0; i < c->n; i++) {
		const char *text = cause_of(&c->students[i], check);
		unsigned same = 0;
		for (unsigned k = i; k < c->n && *text; k++)
			same += strcmp(text, cause_of(&c->students[k], check)) == 0;
		if (same > most)
			most = same, *cause = text;
	}
	return most;
}

static void checks(FILE *f, const struct class *c)
{
	const char *cause;
	fprintf(f, "<h2>Checks, most failed first</h2>\n");
	for (unsigned k = 0; k < c->nr_columns; k++) {
		const struct column *x = &c->columns[k];
		unsigned often = most_often(c, x->check, &cause);
		fprintf(f, "<p><strong>%s</strong>: ", x->check);
		html_text(f, x->title);
		fprintf(f, "<br><span class=\"dim\">exercise %lld, %lld points; ", x->exercise,
			x->points);
		if (x->judged)
			fprintf(f, "%u of %u failed", x->failed, x->judged);
		else
			fprintf(f, "not judged");
		if (often > 0)
			fprintf(f, ", %u of them: ", often);
		html_text(f, cause);
		fprintf(f, "</span></p>\n");
	}
}

void class_page(FILE *f, const struct class *c)
{
	char *title;
	unsigned graded = 0;
	double sum = 0;
	for (unsigned i = 0; i < c->n; i++)
		if (json_object_get(c->students[i].report, "score")) {
			graded++;
			sum += (double)json_number(c->students[i].report, "score");
		}
	if (asprintf(&title, "Cinnabar: %s, the class", c->o->lab->name) < 0)
		give_up(BROKEN, "no memory");
	html_begin(f, title, style);
	fprintf(f, "<p>%u submissions, %u of them with a grade", c->n, graded);
	if (graded > 0)
		fprintf(f, ", %.1f points on average", sum / graded);
	fprintf(f, ". <a href=\"./summary.csv\">summary.csv</a> has the same for a spreadsheet."
		   "</p>\n");
	matrix(f, c);
	checks(f, c);
	fprintf(f, "</html>\n");
	free(title);
}
