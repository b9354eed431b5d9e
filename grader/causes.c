/* SPDX-License-Identifier: MIT */
/*
 * Which failure explains which. A check stands on what earlier exercises built, so one mistake
 * fails many checks. A failure is a consequence if it says itself that another exercise is the
 * cause, if it needs an exercise whose own check fails, if a check fails that needs fewer
 * exercises, or if it has the same cause at the same place as an earlier one. It gets no points
 * either, and stands after the failure that explains it.
 */
#include "grader.h"

enum { EXERCISE_MAX = 31 }; /* test.needs has a bit for each */

/* The lines of a reason that tell the cause end at the command that starts the machine by hand. */
static const char *end_of_causes(const char *reason)
{
	const char *end = strstr(reason, "\nby hand: ");
	return end ? end : reason + strlen(reason);
}

/* The exercise after words in the lines that tell the cause; 0: they are not there. */
static unsigned number_after(const char *reason, const char *words)
{
	const char *at = strstr(reason, words);
	unsigned n = 0;
	if (at && at < end_of_causes(reason))
		sscanf(at + strlen(words), "%u", &n);
	return n <= EXERCISE_MAX ? n : 0;
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

/*
 * Where: the first place in an exercise; if there is none, the first place of all. Its caller, or
 * another CPU, may be in another exercise.
 */
static void find_place(struct cause *c, const char *reason)
{
	unsigned exercise = 0, n = 0;
	for (const char *line = reason; line && line < end_of_causes(reason);) {
		const char *place = place_of(line);
		if (place && !*c->where)
			c->where = text_line(place, strcspn(place, ")\n"));
		const char *in = place ? strstr(place, "), in exercise ") : NULL;
		if (in && in < line + strcspn(line, "\n") &&
		    sscanf(in, "), in exercise %u", &n) == 1 && n <= EXERCISE_MAX) {
			if (!exercise)
				c->where = text_line(place, strcspn(place, ")")), exercise = n;
			else if (n != exercise && !c->other)
				c->other = n;
		}
		line = strchr(line, '\n');
		line += line != NULL;
	}
	if (exercise && !c->sure)
		c->exercise = exercise, c->placed = true;
}

const char *cause_end(const char *reason)
{
	const char *end = reason + strcspn(reason, "\n");
	while (strncmp(end, "\n  ", 3) == 0) /* a line that continues the one above */
		end += 1 + strcspn(end + 1, "\n");
	return end;
}

char *cause_text(const char *reason)
{
	char *text = strndup(reason, (size_t)(cause_end(reason) - reason)), *end = text;
	if (!text)
		give_up(BROKEN, "no memory");
	for (const char *s = text; *s; s++)
		if (!strchr(" \n", *s))
			*end++ = *s;
		else if (end > text && end[-1] != ' ')
			*end++ = ' ';
	char *line = text_line(text, (size_t)(end - text));
	free(text);
	return line;
}

static struct cause read_cause(const struct result *r)
{
	static const struct { const char *begin, *number; bool waits; } words[] = {
		{ "exercise ", "exercise ", false },
		{ "", "cannot be judged until exercise ", true },
		{ "empty exercise: lab ", ", exercise ", true },
		{ "unfinished exercise: lab ", ", exercise ", true },
	};
	struct cause c = { .where = "", .exercise = r->test.exercise };
	c.text = cause_text(r->reason);
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]) && !c.sure; i++) {
		unsigned n = number_after(r->reason, words[i].number);
		c.sure = n > 0 && strncmp(r->reason, words[i].begin, strlen(words[i].begin)) == 0;
		if (c.sure)
			c.exercise = n, c.waits = words[i].waits;
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
 * The first failure of a check that judges one of these exercises (bits) alone. Result: its number,
 * or n.
 */
static unsigned alone(const struct result *r, unsigned n, unsigned exercises)
{
	for (unsigned k = 0; k < n; k++)
		if (failed(&r[k]) && !r[k].test.needs && exercises >> r[k].test.exercise & 1)
			return k;
	return n;
}

/* Whether the checks that judge this exercise alone have passed; there must be one. */
static bool passed(const struct result *r, unsigned n, unsigned exercise)
{
	unsigned good = 0;
	for (unsigned k = 0; k < n; k++)
		good += r[k].test.exercise == exercise && !r[k].test.needs &&
			r[k].outcome == PASSED;
	return good > 0 && alone(r, n, 1u << exercise) == n;
}

/*
 * The first failure of a check that needs some of these exercises (bits), but not all, and the one
 * in which the place of failure i lies. Result: its number, or n.
 */
static unsigned lesser(const struct result *r, const struct cause *c, unsigned n, unsigned i,
		       unsigned needs)
{
	for (unsigned k = 0; k < n; k++) {
		unsigned some = failed(&r[k]) ? r[k].test.needs : 0;
		if (some && some != needs && !(some & ~needs) &&
		    (!c[i].placed || some >> c[i].exercise & 1))
			return k;
	}
	return n;
}

/*
 * The failure that explains number i: the first of an exercise that i needs (that of its place
 * before others), else the first of a check that needs fewer, else the first of the exercise that i
 * names, else the first with the same cause. Result: its number, or i.
 */
static unsigned explanation(const struct result *r, const struct cause *c, unsigned n, unsigned i)
{
	unsigned needs = c[i].sure && !passed(r, n, c[i].exercise) ? 0 : r[i].test.needs;
	unsigned first = alone(r, n, needs);
	unsigned named = c[i].placed ? alone(r, n, needs & 1u << c[i].exercise) : n;
	if (first == n)
		first = lesser(r, c, n, i, needs);
	if (first < n)
		return named < n ? named : first;
	for (unsigned k = 0; k < n; k++)
		if (failed(&r[k]) && r[k].test.exercise == c[i].exercise &&
		    (c[i].sure ? c[k].exercise == c[i].exercise : same_cause(&c[k], &c[i])))
			return k;
	for (unsigned k = 0; k < i; k++)
		if (failed(&r[k]) && same_cause(&c[k], &c[i]))
			return k;
	return i;
}

/* The failure at the end of these explanations; i itself if they lead back to it. */
static unsigned first_cause(const struct result *r, const struct cause *c, unsigned n, unsigned i)
{
	unsigned k = explanation(r, c, n, i);
	for (unsigned hops = 0; k != i && hops < n; hops++) {
		unsigned next = explanation(r, c, n, k);
		if (next == k)
			return k;
		k = next;
	}
	return i;
}

void causes_find(const struct result *results, unsigned n, struct cause *causes)
{
	for (unsigned i = 0; i < n; i++)
		causes[i] = failed(&results[i]) ? read_cause(&results[i]) : (struct cause){ 0 };
	for (unsigned i = 0; i < n; i++) {
		unsigned k = failed(&results[i]) ? first_cause(results, causes, n, i) : i;
		if (k != i)
			causes[i].because = &results[k];
	}
}

unsigned causes_order(const struct result *results, unsigned n, const struct cause *causes,
		      unsigned order[MAX_CHECKS])
{
	unsigned found = 0;
	for (unsigned exercise = 0; exercise <= EXERCISE_MAX; exercise++)
		for (unsigned i = 0; i < n; i++)
			if (failed(&results[i]) && !causes[i].because &&
			    causes[i].exercise == exercise)
				order[found++] = i;
	return found;
}
