/* SPDX-License-Identifier: MIT */
/*
 * The statements of a piece of C, found by recursive descent over its tokens. The piece need not be
 * a whole function. A macro with brackets and then a statement counts as a loop.
 */
#include "mutants.h"

struct parser {
	const char *text;
	const struct token *t;
	unsigned n;
	struct statement *s;
	unsigned found, max, lists;
};

static unsigned one(struct parser *p, unsigned at, unsigned list);

static bool at_word(const struct parser *p, unsigned at, const char *word)
{
	return at < p->n && token_is(p->text, &p->t[at], word);
}

/* The token after the bracket that opens at `at`. */
static unsigned after_bracket(const struct parser *p, unsigned at)
{
	unsigned close = at_word(p, at, "(") ? tokens_close(p->text, p->t, p->n, at) : at;
	return close < p->n ? close + 1 : p->n;
}

/* Statements up to a closing brace, or to the end. Result: the token there. */
static unsigned many(struct parser *p, unsigned at)
{
	unsigned list = p->lists++;
	while (at < p->n && !at_word(p, at, "}"))
		at = one(p, at, list);
	return at;
}

static bool is_loop(const struct parser *p, unsigned at)
{
	unsigned next = after_bracket(p, at + 1);
	if (at_word(p, at, "while") || at_word(p, at, "for") || at_word(p, at, "switch"))
		return true;
	return p->t[at].kind == WORD && at_word(p, at + 1, "(") && next < p->n &&
	       (p->t[next].kind == WORD || at_word(p, next, "{"));
}

/* Up to the semicolon. Result: the token after it. */
static unsigned simple(const struct parser *p, unsigned at)
{
	while (at < p->n && !at_word(p, at, ";")) {
		bool open = at_word(p, at, "(") || at_word(p, at, "[") || at_word(p, at, "{");
		at = open ? tokens_close(p->text, p->t, p->n, at) + 1 : at + 1;
	}
	return at < p->n ? at + 1 : p->n;
}

/* Result: the token after the whole statement. */
static unsigned if_else(struct parser *p, unsigned at, struct statement *s)
{
	unsigned body = p->found;
	at = one(p, after_bracket(p, at + 1), p->lists++);
	if (at_word(p, at, "else"))
		return one(p, at + 1, p->lists++);
	s->only_body = body < p->found && p->s[body].simple;
	return at;
}

static unsigned one(struct parser *p, unsigned at, unsigned list)
{
	struct statement last, *s = at < p->n && p->found < p->max ? &p->s[p->found++] : &last;
	*s = (struct statement){ .first = at, .list = list };
	if (at_word(p, at, "{")) {
		at = many(p, at + 1) + 1;
	} else if (at_word(p, at, "if")) {
		at = if_else(p, at, s);
	} else if (at_word(p, at, "do")) {
		at = one(p, at + 1, p->lists++);
		at = simple(p, at);
	} else if (at < p->n && is_loop(p, at)) {
		at = one(p, after_bracket(p, at + 1), p->lists++);
	} else {
		at = simple(p, at);
		s->simple = true;
	}
	at = at < p->n ? at : p->n;
	s->last = at - 1;
	return at;
}

unsigned statements_find(const char *text, const struct token *t, unsigned n, struct statement *s,
			 unsigned max)
{
	struct parser p = { .text = text, .t = t, .n = n, .s = s, .max = max };
	for (unsigned at = many(&p, 0); at < n;) /* a closing brace too many: go on after it */
		at = many(&p, at + 1);
	return p.found;
}
