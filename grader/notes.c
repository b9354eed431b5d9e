/* SPDX-License-Identifier: MIT */
/* Notes on a grading, for its reader: what was missing, empty or odd. No points hang on them. */
#include "grader.h"

void note(struct grading *g, const char *fmt, ...)
{
	char *line, *all;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) < 0 || asprintf(&all, "%s%s\n", g->notes, line) < 0)
		give_up(BROKEN, "no memory");
	va_end(ap);
	if (!g->quiet)
		printf("note: %s\n", text_line(line, strlen(line)));
	g->notes = all;
}

/* Which exercises are empty: one of their holes is. */
static void note_empty(struct grading *g, unsigned n, const struct taken *t)
{
	enum { MAX_EXERCISES = 30 };
	char list[MAX_EXERCISES * 4] = "";
	bool empty[MAX_EXERCISES] = { false };
	struct hole holes[HOLES_MAX];
	for (unsigned i = 0; i < n; i++) {
		unsigned found = t->text[i] ? holes_find(t->text[i], holes) : 0;
		for (const struct hole *h = holes; h < holes + found; h++)
			if (h->lab == (unsigned)atoi(g->o->lab->name) &&
			    h->exercise < MAX_EXERCISES)
				empty[h->exercise] |= h->empty;
	}
	for (unsigned k = 1; k < MAX_EXERCISES; k++)
		if (empty[k])
			sprintf(list + strlen(list), " %u", k);
	if (*list)
		note(g, "empty exercises:%s", list);
}

/* A file of the lab's folder in the pristine tree; NULL if it is not there. */
static char *lab_text(const struct grading *g, const char *base, const char *name)
{
	char *path, *text;
	if (asprintf(&path, "%s/labs/%s/%s", base, g->o->lab->name, name) < 0)
		give_up(BROKEN, "no memory");
	text = file_text(path);
	free(path);
	return text;
}

static bool is_answers(const char *file)
{
	const char *slash = strrchr(file, '/');
	return slash && strcmp(slash, "/answers.md") == 0;
}

/* Which questions have no answer. text: the submission's, or NULL. */
static void note_answers(struct grading *g, const char *base, const char *text)
{
	char *questions = lab_text(g, base, "answers.md"), list[400] = "";
	const json_t *one;
	size_t i;
	g->answers = questions ? answers_read(questions, text) : NULL;
	json_array_foreach(g->answers, i, one) {
		const char *title = json_string_value(json_object_get(one, "question"));
		if (!*json_string_value(json_object_get(one, "answer")))
			snprintf(list + strlen(list), sizeof(list) - strlen(list), " %.*s",
				 (int)strcspn(title + 9, ":"), title + 9); /* "Question 1.2: " */
	}
	if (*list)
		note(g, "questions without an answer in answers.md:%s (a person reads the "
			"answers; no points of this report depend on them)", list);
}

void take_notes(struct grading *g, const char *base, bool own, char *const *files, unsigned n,
		const struct taken *t)
{
	const char *answers = NULL;
	for (unsigned i = 0; i < n; i++)
		if (is_answers(files[i]))
			answers = t->text[i];
		else if (!t->text[i])
			note(g, "%s is not in the submission: the handout's is used, with its "
				"empty exercises", files[i]);
	note_empty(g, n, t);
	note_answers(g, base, answers);
	g->handout = lab_text(g, base, "handout.md");
	char *changed = own ? lab_changed(base, g->o->lab, files, n) : "";
	if (*changed)
		note(g, "changed, but not handed in; others are graded without these changes: %s",
		     changed);
}

void note_disagreement(struct grading *g)
{
	const struct result *bochs = NULL;
	struct cause causes[MAX_CHECKS];
	bool qemu_passes = false;
	causes_find(g->results, g->n, causes);
	for (const struct result *r = g->results; r < g->results + g->n; r++)
		if (r->test.machine.bochs) /* one that waits for an exercise shows nothing */
			bochs = r->outcome == FAILED && !causes[r - g->results].waits ? r : bochs;
		else if (r->outcome != PASSED)
			return;
		else
			qemu_passes = true;
	if (bochs && qemu_passes)
		note(g, "QEMU and Bochs disagree: all checks in QEMU pass, but %s fails in Bochs. "
			"A PC does as Bochs: it enforces segment limits, null selectors and global "
			"pages, which QEMU does not (docs/isolation.md)", bochs->test.name);
}
