/* SPDX-License-Identifier: MIT */
/*
 * Which failure explains which. A check stands on what earlier exercises built, so one mistake
 * fails many checks. A failure that says itself that another exercise is the cause, or that has the
 * same cause at the same place as an earlier one, is a consequence. It gets no points either, and
 * stands after the failure that explains it.
 */
#include "grader.h"

/* The lines of a reason that tell the cause end at the command that starts the machine by hand. */
static const char *end_of_causes(const char *reason)
{
	const char *end = strstr(reason, "\nby hand: ");
	return end ? end : reason + strlen(reason);
}

/* The number after words in the lines that tell the cause; 0: they are not there. */
static unsigned number_after(const char *reason, const char *words)
{
	const char *at = strstr(reason, words);
	unsigned n = 0;
	if (at && at < end_of_causes(reason))
		sscanf(at + strlen(words), "%u", &n);
	return n;
}

/* What a line "at: function (file:line), in exercise 5" says; NULL if it is no such line. */
static const char *place_of(const char *line)
{
	line += strspn(line, " ");
	if (strncmp(line, "at: ", 4) != 0 && strncmp(line, "called from: ", 13) != 0)
		return NULL;
	size_t n = strcspn(line, "\n"), open = strcspn(line, "(");
	return open < n ? line + open + 1 : NULL;
}

/* Where: the first place in an exercise; if there is none, the first place of all. */
static void find_place(struct cause *c, const char *reason)
{
	unsigned exercise = 0;
	for (const char *line = reason; line && line < end_of_causes(reason);) {
		const char *place = place_of(line);
		if (place && !*c->where)
			c->where = text_line(place, strcspn(place, ")\n"));
		const char *in = place ? strstr(place, "), in exercise ") : NULL;
		if (in && in < line + strcspn(line, "\n") && !exercise) {
			c->where = text_line(place, strcspn(place, ")"));
			sscanf(in, "), in exercise %u", &exercise);
		}
		line = strchr(line, '\n');
		line += line != NULL;
	}
	if (exercise && !c->sure)
		c->exercise = exercise;
}

static struct cause read_cause(const struct result *r)
{
	static const char *const words[] = {
		"cannot be judged until exercise ", "empty exercise: lab ",
		"unfinished exercise: lab ",
	};
	struct cause c = { .where = "", .exercise = r->test.exercise };
	c.text = text_line(r->reason, strcspn(r->reason, "\n"));
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]) && !c.sure; i++) {
		unsigned n = number_after(r->reason, words[i]);
		c.sure = n > 0 && (i == 0 || strncmp(r->reason, words[i], strlen(words[i])) == 0);
		if (c.sure)
			c.exercise = i == 0 ? n : number_after(r->reason, ", exercise ");
	}
	find_place(&c, r->reason);
	return c;
}

static bool failed(const struct result *r) { return r->outcome == FAILED; }

static bool same_cause(const struct cause *a, const struct cause *b)
{
	bool at_all = *a->where || a->sure;
	return at_all && strcmp(a->text, b->text) == 0 && strcmp(a->where, b->where) == 0;
}

/*
 * The failure that explains number i: the first one of the exercise that i names, else the first
 * with the same cause. Result: its number, or i.
 */
static unsigned explanation(const struct result *r, const struct cause *c, unsigned n, unsigned i)
{
	for (unsigned k = 0; k < n; k++)
		if (failed(&r[k]) && r[k].test.exercise == c[i].exercise &&
		    (c[i].sure ? c[k].exercise == c[i].exercise : same_cause(&c[k], &c[i])))
			return k;
	for (unsigned k = 0; k < i; k++)
		if (failed(&r[k]) && same_cause(&c[k], &c[i]))
			return k;
	return i;
}

void causes_find(const struct result *results, unsigned n, struct cause *causes)
{
	for (unsigned i = 0; i < n; i++)
		causes[i] = failed(&results[i]) ? read_cause(&results[i]) : (struct cause){ 0 };
	for (unsigned i = 0; i < n; i++) {
		unsigned k = failed(&results[i]) ? explanation(results, causes, n, i) : i;
		if (k != i && explanation(results, causes, n, k) == k)
			causes[i].because = &results[k];
	}
}
