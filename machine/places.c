/* SPDX-License-Identifier: MIT */
/*
 * A place in the source, as a student needs it: function, file and line; the exercise whose hole
 * holds the line; if it is none, the first caller in the student's files, and the first one in an
 * exercise.
 */
#include "diagnosis.h"

/* Split "function (file:line)". Result: whether it has a file and a line. */
static bool parse(const char *where, char file[200], unsigned *line)
{
	const char *open = strchr(where, '('), *colon = strrchr(where, ':');
	if (!open || !colon || colon < open || colon - open > 200)
		return false;
	snprintf(file, 200, "%.*s", (int)(colon - open - 1), open + 1);
	*line = (unsigned)atoi(colon + 1);
	return true;
}

/* Whether "function (file:line)" is in one of the student's files. */
static bool students(const char *where)
{
	char file[200];
	unsigned n;
	if (!judge_files || !parse(where, file, &n))
		return false;
	for (const char *line = judge_files; *line; line += strcspn(line, "\n") + 1)
		if (strcspn(line, "\n") == strlen(file) && strncmp(line, file, strlen(file)) == 0)
			return true;
	return false;
}

/* The hole of this lab that holds "function (file:line)"; exercise 0: none. */
static struct hole hole_in(const char *where)
{
	char file[200];
	unsigned line;
	struct hole h = { 0 };
	if (students(where) && parse(where, file, &line))
		h = hole_at(file, line);
	return h.lab == judge_lab ? h : (struct hole){ 0 };
}

static void print_place(FILE *f, const char *label, const char *where)
{
	unsigned exercise = hole_in(where).exercise;
	fprintf(f, "\n%s%s", label, where);
	if (exercise)
		fprintf(f, ", in exercise %u", exercise);
	else if (judge_files && strchr(where, '('))
		fprintf(f, students(where) ? ", outside of the exercises" : ", given code");
}

/*
 * The place among those of one address (an inlined function, then its callers) that the student
 * wrote, best of all in an exercise; NULL if there is none. first: the innermost.
 */
static const char *own_place(char *places, const char **first)
{
	const char *own = NULL;
	char *rest = places;
	*first = strsep(&rest, "\n");
	for (const char *place = *first; place; place = strsep(&rest, "\n"))
		if (students(place) && (!own || hole_in(place).exercise)) {
			own = place;
			if (hole_in(place).exercise)
				break;
		}
	return own;
}

void print_where(FILE *f, const char *label, const uint32_t *addresses, unsigned n)
{
	bool named = false; /* a place in the student's files */
	for (unsigned i = 0; i < n; i++) {
		const char *first, *own = own_place(symbol_where(addresses[i] - (i > 0)), &first);
		bool in_exercise = own && hole_in(own).exercise;
		if (i == 0)
			print_place(f, label, first);
		if ((in_exercise || (own && !named)) && (i > 0 || own != first))
			print_place(f, "called from: ", own);
		if (in_exercise)
			return;
		named |= own != NULL;
	}
}

char *symbol_place(uint32_t address)
{
	char *places = symbol_where(address), *last = strrchr(places, '\n');
	char *end = strdup(last ? last + 1 : places);
	const char *first, *own = own_place(places, &first);
	char *place = own ? strdup(own) : end;
	if (!end || !place)
		give_up(BROKEN, "no memory");
	if (own)
		free(end);
	free(places);
	return place;
}

struct hole hole_of(uint32_t address)
{
	const char *first, *own = own_place(symbol_where(address), &first);
	return own ? hole_in(own) : (struct hole){ 0 };
}

bool is_students(uint32_t address)
{
	const char *first;
	return own_place(symbol_where(address), &first);
}
