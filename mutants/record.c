/* SPDX-License-Identifier: MIT */
/*
 * The record of mutants, build/mutants/NAME.json, and what is printed of it. A run takes
 * over what is known of a mutant if the code of its file is unchanged. A survivor is tried again
 * when the checks have changed.
 */
#include "trial.h"
#include <errno.h>
#include <sys/stat.h>

const char *const fate_words[NR_FATES] = {
	"not tried", "not compiling", "same code", "found", "equal", "survivor", "error",
};

static const char *record_path(const struct campaign *c)
{
	static char path[300];
	snprintf(path, sizeof(path), "build/mutants/%s.json", c->name);
	return path;
}

/* A sum over the tokens of a file: comments and blanks do not count. */
static const char *code_sum(const char *source)
{
	enum { MOST = 100000 };
	static struct token t[MOST];
	static char text[20];
	uint64_t sum = 14695981039346656037u; /* FNV-1a */
	unsigned n = tokens_split(source, 0, strlen(source), t, MOST);
	for (unsigned i = 0; i < n; i++)
		for (size_t k = 0; k <= t[i].length; k++)
			sum = (sum ^ (k < t[i].length ? (unsigned char)source[t[i].at + k] : 0)) *
			      1099511628211u;
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)sum);
	return text;
}

static struct trial *find(const struct campaign *c, const char *id)
{
	for (struct trial *t = c->trials; t < c->trials + c->n; t++)
		if (strcmp(t->m->id, id) == 0)
			return t;
	return NULL;
}

static void take(struct campaign *c, json_t *j, bool same_program)
{
	const char *id, *word, *code, *by = NULL, *reason = NULL;
	double seconds;
	if (json_unpack(j, "{s:s,s:s,s:s,s:F,s?s,s?s}", "id", &id, "fate", &word, "code", &code,
			"seconds", &seconds, "by", &by, "reason", &reason) < 0)
		return;
	struct trial *t = find(c, id);
	enum fate fate = UNKNOWN;
	for (enum fate k = 0; k < NR_FATES; k++)
		fate = strcmp(fate_words[k], word) == 0 ? k : fate;
	if (!t || strcmp(code, code_sum(t->m->source)) != 0 || fate == EQUAL || fate == UNJUDGED ||
	    (fate == SURVIVOR && !same_program))
		return;
	t->fate = fate;
	t->by = by ? strdup(by) : NULL;
	t->reason = reason ? strdup(reason) : NULL;
	t->seconds = seconds;
}

void record_load(struct campaign *c)
{
	size_t i;
	json_t *j = json_load_file(record_path(c), 0, NULL), *one;
	const char *program = json_string_value(json_object_get(j, "program"));
	json_t *costs = json_object_get(j, "seconds_of_checks");
	bool same = program && strcmp(program, c->program) == 0;
	if (same && json_object_size(costs) > 0)
		c->costs = json_incref(costs);
	json_array_foreach(json_object_get(j, "mutants"), i, one)
		take(c, one, same);
}

/* All mutants of a lab; of the others those that a run drew. */
static bool is_recorded(const struct campaign *c, const struct trial *t)
{
	return c->lab || t->wanted || t->fate != UNKNOWN;
}

static json_t *counts(const struct campaign *c)
{
	json_t *j = json_object();
	unsigned made = 0;
	for (enum fate k = 0; k < NR_FATES; k++) {
		unsigned n = 0;
		for (const struct trial *t = c->trials; t < c->trials + c->n; t++)
			n += t->fate == k && is_recorded(c, t);
		json_object_set_new(j, fate_words[k], json_integer(n));
		made += n;
	}
	json_object_set_new(j, "made", json_integer(made));
	return j;
}

void record_write(const struct campaign *c)
{
	json_t *list = json_array();
	char new[310];
	for (const struct trial *t = c->trials; t < c->trials + c->n; t++) {
		if (!is_recorded(c, t))
			continue;
		char *diff = mutant_diff(t->m);
		json_t *j = json_pack("{s:s,s:s,s:i,s:i,s:s,s:s,s:s,s:f,s:o}", "id", t->m->id,
				      "file", t->m->file, "line", (int)t->m->line, "exercise",
				      (int)t->m->exercise, "kind", t->m->kind, "fate",
				      fate_words[t->fate], "code", code_sum(t->m->source),
				      "seconds", t->seconds, "diff", report_text(diff));
		if (t->by)
			json_object_set_new(j, "by", json_string(t->by));
		if (t->reason)
			json_object_set_new(j, "reason", report_text(t->reason));
		json_array_append_new(list, j);
		free(diff);
	}
	json_t *all = json_pack("{s:s,s:i,s:s,s:o,s:O,s:o}", "lab", c->name, "seed",
				(int)c->seed, "program", c->program, "counts", counts(c),
				"seconds_of_checks", c->costs, "mutants", list);
	snprintf(new, sizeof(new), "%s.new", record_path(c));
	if (!all || json_dump_file(all, new, JSON_INDENT(1)) < 0 || rename(new, record_path(c)) < 0)
		give_up(BROKEN, "%s: %s", new, strerror(errno));
	json_decref(all);
}

/* A line "ID: REASON". Result: the mutant, or NULL if no mutant has this ID; *bad: why. */
static struct trial *take_equal(struct campaign *c, char *line, const char **bad)
{
	char *reason = strstr(line, ": ");
	*bad = "no line of the form 'ID: REASON'";
	if (!reason)
		return NULL;
	*reason = '\0';
	*bad = "no mutant has this ID now; remove the line, or find its new ID";
	struct trial *t = find(c, line);
	if (!t)
		return NULL;
	t->fate = EQUAL;
	t->by = NULL;
	t->reason = strdup(reason + 2);
	return t;
}

/* Whether the line is about a mutant of the campaign's files. */
static bool is_of_file(const struct campaign *c, const char *line)
{
	bool found = c->lab;
	for (unsigned i = 0; c->files[i]; i++) {
		size_t n = strcspn(c->files[i], ".");
		found |= strncmp(line, c->files[i], n) == 0 && line[n] == '-';
	}
	return found;
}

unsigned record_equal(struct campaign *c)
{
	char *path, line[1000], *whole;
	const char *bad = "the first line begins with a blank";
	struct trial *t = NULL;
	unsigned wrong = 0;
	bool ours = true;
	if (asprintf(&path, c->lab ? "labs/%s/equal" : "mutants/equal", c->name) < 0)
		give_up(BROKEN, "no memory");
	FILE *f = fopen(path, "r");
	for (unsigned number = 1; f && fgets(line, sizeof(line), f); number++) {
		line[strcspn(line, "\n")] = '\0';
		if (*line != ' ')
			ours = is_of_file(c, line);
		if (!*line || *line == '#' || !ours)
			continue;
		if (*line != ' ') {
			t = take_equal(c, line, &bad);
			wrong += !t;
		} else if (t && asprintf(&whole, "%s%s", t->reason, line) > 0) {
			t->reason = whole;
		}
		if (!t)
			fprintf(stderr, "mutate: %s:%u: %s\n", path, number, bad);
	}
	if (f)
		fclose(f);
	free(path);
	return wrong;
}

/* --- printing --- */

unsigned record_count(const struct campaign *c, enum fate fate)
{
	unsigned n = 0;
	for (const struct trial *t = c->trials; t < c->trials + c->n; t++)
		n += t->wanted && t->fate == fate;
	return n;
}

static void print_exercises(const struct campaign *c)
{
	for (unsigned k = 1; k < MAX_CHECKS; k++) {
		unsigned made = 0, of[NR_FATES] = { 0 };
		for (const struct trial *t = c->trials; t < c->trials + c->n; t++)
			if (t->wanted && t->m->exercise == k)
				made++, of[t->fate]++;
		if (made == 0)
			continue;
		printf("  exercise %2u: %4u", k, made);
		for (enum fate f = 0; f < NR_FATES; f++)
			if (of[f])
				printf(", %u %s", of[f], fate_words[f]);
		printf("\n");
	}
}

static bool is_found(const struct trial *t)
{
	return t->wanted && t->fate == FOUND;
}

/* Each check or test, in the order in which the first mutants were found. */
static void print_checks(const struct campaign *c)
{
	const struct trial *end = c->trials + c->n;
	printf("  found by:");
	for (const struct trial *t = c->trials; t < end; t++) {
		unsigned n = 0, before = 0;
		for (const struct trial *x = c->trials; is_found(t) && x < end; x++)
			if (is_found(x) && strcmp(x->by, t->by) == 0)
				n++, before += x < t;
		if (n > 0 && before == 0)
			printf(" %s %u", t->by, n);
	}
}

void record_print(const struct campaign *c)
{
	for (const struct trial *t = c->trials; t < c->trials + c->n; t++) {
		if (!t->wanted || (t->fate != SURVIVOR && t->fate != UNJUDGED))
			continue;
		printf("\n%s %s: %s, %s:%u\n%s", fate_words[t->fate], t->m->id,
		       t->m->kind, t->m->file, t->m->line, mutant_diff(t->m));
		if (t->reason)
			printf("  %s: %.*s\n", t->by, (int)strcspn(t->reason, "\n"), t->reason);
	}
	unsigned made = 0;
	for (enum fate f = 0; f < NR_FATES; f++)
		made += record_count(c, f);
	printf("\n%s: %u mutants", c->name, made);
	for (enum fate f = 0; f < NR_FATES; f++)
		if (record_count(c, f))
			printf(", %u %s", record_count(c, f), fate_words[f]);
	printf("\n");
	if (c->lab)
		print_exercises(c);
	print_checks(c);
	printf("\n  all of them: %s\n", record_path(c));
}
