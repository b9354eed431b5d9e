/* SPDX-License-Identifier: MIT */
/*
 * A class at one sight, from the reports in its folder: summary.csv, a row for each submission and
 * a column for each check; and index.html with the same, the check that most failed first
 * (class_page.c).
 */
#include "class_report.h"
#include <dirent.h>
#include <errno.h>
#include <sys/mman.h>

/* --- where a submission's reports are --- */

/* SHA-256 of a name, as text: nobody finds two names with the same. */
static void sum_name(const char *name, char sum[65])
{
	enum { SUM_SECONDS = 60 };
	int in = memfd_create("name", MFD_CLOEXEC), out = memfd_create("sum", MFD_CLOEXEC);
	size_t n = strlen(name);
	bool good = write(in, name, n) == (ssize_t)n && lseek(in, 0, SEEK_SET) == 0 &&
		    wait_for(process_start((char *[]){ "sha256sum", NULL }, in, out, -1),
			     SUM_SECONDS) == 0 &&
		    pread(out, sum, 64, 0) == 64;
	if (!good)
		give_up(BROKEN, "sha256sum: %s", strerror(errno));
	sum[64] = '\0';
	close(in), close(out);
}

/*
 * A long name is cut, so that ends can follow, and a sum keeps it unique. index.html is the
 * class's. A name with "~" could be one that got a sum.
 */
char *class_path(const struct options *o, const char *name, const char *end)
{
	enum { LONGEST = 150 };
	char *path, sum[65] = "";
	bool summed = strlen(name) > LONGEST || strcmp(name, "index") == 0 || strchr(name, '~');
	if (summed)
		sum_name(name, sum);
	if (asprintf(&path, "%s/%.*s%s%s%s", o->out, LONGEST, name, summed ? "~" : "", sum,
		     end) < 0)
		give_up(BROKEN, "no memory");
	return path;
}

/* --- reading --- */

const char *outcome_of(const json_t *j)
{
	return json_text(json_object_get(j, "extra_data"), "outcome");
}

const json_t *find_test(const json_t *report, const char *check)
{
	const json_t *test;
	size_t i;
	json_array_foreach(json_object_get(report, "tests"), i, test)
		if (strcmp(json_text(json_object_get(test, "extra_data"), "check"), check) == 0)
			return test;
	return NULL;
}

static int is_report(const struct dirent *e)
{
	size_t n = strlen(e->d_name);
	return e->d_name[0] != '.' && n > 5 && strcmp(e->d_name + n - 5, ".json") == 0;
}

/* All reports of this lab in the folder, by name. */
static void read_students(struct class *c)
{
	struct dirent **names;
	int n = scandir(c->o->out, &names, is_report, alphasort);
	char *path;
	if (n < 0)
		give_up(BROKEN, "%s: %s", c->o->out, strerror(errno));
	c->students = calloc((size_t)n + 1, sizeof(*c->students));
	for (int i = 0; i < n; i++) {
		if (asprintf(&path, "%s/%s", c->o->out, names[i]->d_name) < 0)
			give_up(BROKEN, "no memory");
		json_t *report = json_load_file(path, 0, NULL);
		const json_t *extra = json_object_get(report, "extra_data");
		if (strcmp(json_text(extra, "lab"), c->o->lab->name) == 0)
			c->students[c->n++] = (struct student){
				strndup(names[i]->d_name, strlen(names[i]->d_name) - 5), report };
		else
			json_decref(report);
		free(path);
	}
}

static int most_failed_first(const void *a, const void *b)
{
	const struct column *x = a, *y = b;
	return x->failed != y->failed ? (x->failed < y->failed) - (x->failed > y->failed) :
	       (int)x->number - (int)y->number;
}

static void count_columns(struct class *c)
{
	for (const struct test *t = c->o->lab->checks; t->name && c->nr_columns < MAX_CHECKS; t++) {
		struct column *k = &c->columns[c->nr_columns];
		*k = (struct column){ .number = c->nr_columns++, .check = t->name,
				      .title = t->title ? t->title : "",
				      .exercise = t->exercise, .points = t->points };
		for (unsigned i = 0; i < c->n; i++) {
			const char *s = outcome_of(find_test(c->students[i].report, t->name));
			k->judged += strcmp(s, "pass") == 0 || strcmp(s, "fail") == 0;
			k->failed += strcmp(s, "fail") == 0;
		}
	}
}

/* --- CSV --- */

/*
 * A field in quotes, safe for any spreadsheet: a quote is doubled, and no field begins a formula,
 * not even after blanks, nor with the wide forms of = + - and @ (U+FF1D, FF0B, FF0D, FF20).
 */
static void csv_field(FILE *f, const char *s)
{
	static const char *const wide[] = { "\uFF1D", "\uFF0B", "\uFF0D", "\uFF20" };
	const char *first = s + strspn(s, " \t\r\n");
	bool formula = first != s + strspn(s, " ") || (*first && strchr("=+-@", *first));
	for (unsigned i = 0; i < 4; i++)
		formula |= strncmp(first, wide[i], strlen(wide[i])) == 0;
	fprintf(f, formula ? "\"'" : "\"");
	for (; *s; s++)
		fprintf(f, *s == '"' ? "\"\"" : "%c", strchr("\r\n", *s) ? ' ' : *s);
	fprintf(f, "\"");
}

/* The names of the checks that failed, with blanks between. */
static char *failed_checks(const json_t *report)
{
	const json_t *test;
	char *text;
	size_t i, size;
	FILE *f = open_memstream(&text, &size);
	json_array_foreach(json_object_get(report, "tests"), i, test)
		if (strcmp(outcome_of(test), "fail") == 0)
			fprintf(f, "%s%s", ftell(f) > 0 ? " " : "",
				json_text(json_object_get(test, "extra_data"), "check"));
	fclose(f);
	return text;
}

static void csv_row(FILE *f, const struct class *c, const struct student *s)
{
	const json_t *extra = json_object_get(s->report, "extra_data");
	bool graded = json_object_get(s->report, "score");
	char *failed = failed_checks(s->report);
	csv_field(f, text_line(s->name, strlen(s->name)));
	fprintf(f, ",%s,", outcome_of(s->report));
	if (graded)
		fprintf(f, "%lld,%lld", json_number(s->report, "score"),
			json_number(extra, "max_score"));
	fprintf(f, "%s,%lld,", graded ? "" : ",", json_number(extra, "seed"));
	csv_field(f, failed);
	fprintf(f, ",");
	csv_field(f, json_text(s->report, "output"));
	free(failed);
	for (unsigned k = 0; k < c->nr_columns; k++) {
		const json_t *test = find_test(s->report, c->columns[k].check);
		if (graded && json_object_get(test, "max_score"))
			fprintf(f, ",%lld", json_number(test, "score"));
		else
			fprintf(f, ",%s", outcome_of(test));
	}
	fprintf(f, "\n");
}

static void write_csv(FILE *f, const struct class *c)
{
	fprintf(f, "submission,outcome,score,max_score,seed,failed,note");
	for (unsigned k = 0; k < c->nr_columns; k++)
		fprintf(f, ",%s", c->columns[k].check);
	fprintf(f, "\n");
	for (unsigned i = 0; i < c->n; i++)
		csv_row(f, c, &c->students[i]);
}

/* --- both --- */

/* Write a file of the class's folder; it becomes a new file first, so none is ever half written. */
static void write_whole(const struct class *c, const char *name,
			void (*write)(FILE *f, const struct class *c))
{
	char *path, *new;
	if (asprintf(&path, "%s/%s", c->o->out, name) < 0 || asprintf(&new, "%s.new", path) < 0)
		give_up(BROKEN, "no memory");
	FILE *f = fopen(new, "w");
	if (f)
		write(f, c);
	if (!f || fclose(f) != 0 || rename(new, path) < 0)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	free(path), free(new);
}

void class_write(const struct options *o)
{
	struct class c = { .o = o };
	read_students(&c);
	count_columns(&c);
	write_whole(&c, "summary.csv", write_csv); /* its columns are always in the lab's order */
	qsort(c.columns, c.nr_columns, sizeof(c.columns[0]), most_failed_first);
	write_whole(&c, "index.html", class_page);
	for (unsigned i = 0; i < c.n; i++) {
		free(c.students[i].name);
		json_decref(c.students[i].report);
	}
	free(c.students);
}
