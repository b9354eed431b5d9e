/* SPDX-License-Identifier: MIT */
/* Which mutants a hole has: rules over its tokens, its calls, and its statements. */
#include "hole.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STATEMENTS = 1000 };

struct hole hole;

bool hole_is(unsigned i, const char *word)
{
	return i < hole.n && token_is(hole.text, &hole.t[i], word);
}

bool hole_is_one_of(unsigned i, const char *const *words)
{
	while (*words && !hole_is(i, *words))
		words++;
	return *words;
}

size_t hole_end(unsigned i)
{
	return hole.t[i].at + hole.t[i].length;
}

/* --- a new mutant --- */

static uint32_t hash(uint32_t sum, const char *s, size_t n)
{
	while (n--)
		sum = (sum ^ (unsigned char)*s++) * 16777619u; /* FNV-1a */
	return sum;
}

/* From the changed line without its indentation: moved code keeps its mutants' names. */
static void name(struct mutant *m)
{
	const char *line = hole.text + m->at, *base = strrchr(m->file, '/');
	struct mutant *first = hole.list + *hole.found;
	while (first > hole.list && first[-1].file == m->file)
		first--;
	while (line > hole.text && line[-1] != '\n')
		line--;
	line += strspn(line, " \t");
	size_t column = hole.text + m->at > line ? (size_t)(hole.text + m->at - line) : 0;
	uint32_t sum = hash(2166136261u, line, column + m->length + strcspn(line + column +
			    m->length, "\n"));
	sum = hash(hash(sum, m->kind, strlen(m->kind)), m->text, strlen(m->text));
	sum = hash(sum, (char *)&column, sizeof(column));
	base = base && m->exercise ? base + 1 : m->file;
	for (struct mutant *x = first; x <= hole.list + *hole.found;) { /* equal: the next number */
		snprintf(m->id, sizeof(m->id), "%.*s-%u-%06x", (int)strcspn(base, "."), base,
			 m->exercise, sum & 0xFFFFFF);
		for (x = first; x < hole.list + *hole.found && strcmp(x->id, m->id) != 0;)
			x++;
		if (x == hole.list + *hole.found)
			return;
		sum = sum * 16777619u + 1;
	}
}

/* The bytes from..to of the hole's file become this text. */
void hole_add(const char *kind, size_t from, size_t to, const char *fmt, ...)
{
	va_list ap;
	struct mutant m = { .file = hole.file, .source = hole.text, .exercise = hole.exercise,
			    .line = 1, .kind = kind, .at = from, .length = to - from };
	va_start(ap, fmt);
	if (vasprintf(&m.text, fmt, ap) < 0)
		abort();
	va_end(ap);
	if (*hole.found == MAX_MUTANTS ||
	    (strlen(m.text) == m.length && memcmp(m.text, hole.text + from, m.length) == 0)) {
		free(m.text);
		return;
	}
	for (size_t at = 0; at < from; at++)
		m.line += hole.text[at] == '\n';
	name(&m);
	hole.list[(*hole.found)++] = m;
}

/* Tokens first..last, without which the lines after them keep their numbers. */
static void add_without(const char *kind, unsigned first, unsigned last, const char *instead)
{
	char lines[200] = "";
	size_t n = 0;
	for (size_t at = hole.t[first].at; at < hole_end(last); at++)
		if (hole.text[at] == '\n' && n < sizeof(lines) - 1)
			lines[n++] = '\n';
	hole_add(kind, hole.t[first].at, hole_end(last), "%s%s", instead, lines);
}

/* Whether a token begins here, or the inside of a string: no comment's line. */
static bool has_code(size_t from, size_t to)
{
	for (unsigned i = 0; i < hole.n; i++)
		if (hole.t[i].at < to && from < hole_end(i))
			return true;
	return false;
}

/* Two pieces, one after the other, change places. */
static void add_swap(const char *kind, size_t a, size_t a_end, size_t b, size_t b_end)
{
	hole_add(kind, a, b_end, "%.*s%.*s%.*s", (int)(b_end - b), hole.text + b, (int)(b - a_end),
	    hole.text + a_end, (int)(a_end - a), hole.text + a);
}

/* --- statements, instructions --- */

static void statements(void)
{
	static struct statement s[MAX_STATEMENTS];
	unsigned n = statements_find(hole.text, hole.t, hole.n, s, MAX_STATEMENTS);
	for (unsigned i = 0; i < n; i++) {
		bool block = hole_is(s[i].first, "{"), empty = hole_is(s[i].first, ";");
		if (!block && !empty && !s[i].only_body)
			add_without("dropped", s[i].first, s[i].last, ";");
		for (unsigned k = i + 1; k < n; k++)
			if (s[k].list == s[i].list) {
				add_swap("moved", hole.t[s[i].first].at, hole_end(s[i].last),
					 hole.t[s[k].first].at, hole_end(s[k].last));
				break;
			}
	}
}

/* The pieces between two separators: each is dropped, and changes places with the next. */
static void pieces(size_t begin, size_t end, char separator)
{
	size_t last = 0, last_end = 0;
	for (size_t at = begin, stop; at < end; at = stop + 1) {
		const char *found = memchr(hole.text + at, separator, end - at);
		stop = found ? (size_t)(found - hole.text) : end;
		size_t from = at + strspn(hole.text + at, " \t"), to = stop;
		const char *comment = memmem(hole.text + from, stop - from, "/*", 2);
		to = comment ? (size_t)(comment - hole.text) : stop;
		while (to > from && isspace((unsigned char)hole.text[to - 1]))
			to--;
		if (to <= from || !has_code(from, to))
			continue;
		hole_add("dropped", from, to, "%s", "");
		if (last_end)
			add_swap("moved", last, last_end, from, to);
		last = from, last_end = to;
	}
}

/* The instructions of an asm statement stand in a string. */
static void inline_assembly(unsigned i)
{
	static const char *const words[] = { "asm", "__asm__", NULL };
	if (hole_is_one_of(i, words) && i + 3 < hole.n && hole.t[i + 3].kind == STRING)
		pieces(hole.t[i + 3].at + 1, hole_end(i + 3) - 1, ';');
}

/* --- a file --- */

static void open_file(const char *file, const char *source, struct mutant *m, unsigned *n)
{
	size_t length = strlen(file);
	hole = (struct hole){ .file = file, .text = source, .list = m, .found = n,
			      .assembly = length > 2 && strcmp(file + length - 2, ".S") == 0 };
}

static void add_all(void)
{
	hole.n = tokens_split(hole.text, hole.begin, hole.end, hole.t, MAX_TOKENS);
	for (unsigned i = 0; i < hole.n; i++) {
		rules_apply(i);
		inline_assembly(i);
	}
	if (hole.assembly)
		pieces(hole.begin, hole.end, '\n');
	else
		statements();
}

void mutants_of_file(const char *file, const char *source, unsigned lab, struct mutant *m,
		     unsigned *n)
{
	char marker[40];
	open_file(file, source, m, n);
	snprintf(marker, sizeof(marker), "LAB %u TODO ", lab);
	for (const char *at = source; (at = strstr(at, marker));) {
		at += strlen(marker);
		if (sscanf(at, "%u BEGIN", &hole.exercise) != 1 ||
		    strncmp(at + strspn(at, "0123456789"), " BEGIN", 6) != 0)
			continue;
		char text[60];
		snprintf(text, sizeof(text), "%s%u END", marker, hole.exercise);
		const char *end = strstr(at, text);
		if (!end)
			return;
		while (end[-1] != '\n')
			end--;
		hole.begin = (size_t)(at + strcspn(at, "\n") + 1 - source);
		hole.end = (size_t)(end - source);
		add_all();
	}
}

void mutants_of_functions(const char *file, const char *source, struct mutant *m, unsigned *n)
{
	static struct token t[MAX_FILE_TOKENS];
	unsigned count = tokens_split(source, 0, strlen(source), t, MAX_FILE_TOKENS);
	open_file(file, source, m, n);
	if (hole.assembly) {
		hole.end = strlen(source);
		add_all();
		return;
	}
	for (unsigned i = 1; i < count; i++) {
		bool body = token_is(source, &t[i], "{") && token_is(source, &t[i - 1], ")");
		unsigned close = tokens_close(source, t, count, i);
		if (!token_is(source, &t[i], "{") || close == count)
			continue;
		hole.begin = t[i].at + 1, hole.end = t[close].at;
		if (body)
			add_all();
		i = close;
	}
}

/* --- what a mutant looks like --- */

char *mutant_source(const struct mutant *m)
{
	char *text;
	if (asprintf(&text, "%.*s%s%s", (int)m->at, m->source, m->text,
		     m->source + m->at + m->length) < 0)
		abort();
	return text;
}

static void lines(FILE *f, char mark, const char *text, size_t from, size_t to)
{
	while (from > 0 && text[from - 1] != '\n')
		from--;
	while (from <= to && text[from]) {
		size_t n = strcspn(text + from, "\n");
		if (strspn(text + from, " \t;") < n || mark == '-')
			fprintf(f, "%c %.*s\n", mark, (int)n, text + from);
		from += n + (text[from + n] == '\n');
	}
}

char *mutant_diff(const struct mutant *m)
{
	char *text, *changed = mutant_source(m);
	size_t bytes, new = strlen(m->text);
	FILE *f = open_memstream(&text, &bytes);
	lines(f, '-', m->source, m->at, m->at + (m->length ? m->length - 1 : 0));
	lines(f, '+', changed, m->at, m->at + (new ? new - 1 : 0));
	fclose(f);
	free(changed);
	return text;
}
