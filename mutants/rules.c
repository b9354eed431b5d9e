/* SPDX-License-Identifier: MIT */
/* What becomes of a token: operators, constants, conditions, arguments, registers. */
#include "hole.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ARGUMENTS = 16 };
/* A piece of the file's text as the two arguments of "%.*s". */
#define PIECE(from, to) (int)((to) - (from)), hole.text + (from)

/* --- operators --- */

struct rule { const char *from, *to, *kind; };

/* These stand between two operands, or change one. */
static const struct rule binary[] = {
	{ "<", "<=", "strict" }, { "<=", "<", "strict" }, { ">", ">=", "strict" },
	{ ">=", ">", "strict" }, { "<", ">", "turned" }, { ">", "<", "turned" },
	{ "<=", ">=", "turned" }, { ">=", "<=", "turned" }, { "==", "!=", "turned" },
	{ "!=", "==", "turned" }, { "+", "-", "operator" }, { "-", "+", "operator" },
	{ "+=", "-=", "operator" }, { "-=", "+=", "operator" }, { "&", "|", "operator" },
	{ "|", "&", "operator" }, { "&=", "|=", "operator" }, { "|=", "&=", "operator" },
	{ "|=", "=", "operator" }, { "&=", "=", "operator" }, { "+=", "=", "operator" },
	{ "-=", "=", "operator" }, { "^", "|", "operator" }, { "*", "+", "operator" },
	{ "/", "*", "operator" }, { "%", "/", "operator" }, { "<<", ">>", "operator" },
	{ ">>", "<<", "operator" }, { "&&", "||", "operator" }, { "||", "&&", "operator" },
};
static const struct rule unary[] = {
	{ "!", "", "negation" }, { "~", "", "negation" }, { "-", "", "negation" },
};
static const struct rule anywhere[] = {
	{ "++", "--", "operator" }, { "--", "++", "operator" }, { "true", "false", "constant" },
	{ "false", "true", "constant" }, { "continue", "break", "jump" },
	{ "je", "jne", "turned" }, { "jne", "je", "turned" }, { "jz", "jnz", "turned" },
	{ "jnz", "jz", "turned" }, { "jc", "jnc", "turned" }, { "jnc", "jc", "turned" },
	{ "ja", "jb", "turned" }, { "jb", "ja", "turned" },
};

static bool after_operand(unsigned i)
{
	static const char *const no_operand[] = { "return", "case", "else", "do", NULL };
	if (i == 0)
		return false;
	return hole_is(i - 1, ")") || hole_is(i - 1, "]") ||
	       (hole.t[i - 1].kind != PUNCTUATION && !hole_is_one_of(i - 1, no_operand));
}

static void apply(const struct rule *rules, unsigned n, unsigned i)
{
	for (const struct rule *r = rules; r < rules + n; r++)
		if (hole_is(i, r->from))
			hole_add(r->kind, hole.t[i].at, hole_end(i), "%s", r->to);
}

#define APPLY(rules, i) apply(rules, sizeof(rules) / sizeof(rules[0]), i)

/* --- constants --- */

static void number(unsigned i)
{
	char *suffix, *text = strndup(hole.text + hole.t[i].at, hole.t[i].length);
	unsigned long value = strtoul(text, &suffix, 0);
	const unsigned long others[] = { value + 1, value - 1, 0, 1 };
	const char *form = strncmp(text, "0x", 2) == 0 ? "0x%lX%s" : "%lu%s";
	for (unsigned k = 0; k < 4; k++) {
		bool known = others[k] == value || (value == 0 && k == 1);
		for (unsigned j = 0; j < k; j++)
			known |= others[j] == others[k];
		char new[40];
		snprintf(new, sizeof(new), form, others[k], suffix);
		if (!known)
			hole_add("constant", hole.t[i].at, hole_end(i), "%s", new);
	}
	free(text);
}

/* A macro or an enumerator, by its capitals; no member, and no macro with arguments. */
static bool is_constant(unsigned i)
{
	bool capital = false;
	for (size_t k = hole.t[i].at; k < hole_end(i); k++) {
		if (islower((unsigned char)hole.text[k]))
			return false;
		capital |= isupper((unsigned char)hole.text[k]) != 0;
	}
	return capital && hole.t[i].length > 1 && !hole_is(i, "NULL") && !hole_is(i + 1, "(") &&
	       !(i > 0 && (hole_is(i - 1, ".") || hole_is(i - 1, "->")));
}

static void constant(unsigned i)
{
	hole_add("constant", hole.t[i].at, hole_end(i), "0");
	hole_add("constant", hole.t[i].at, hole_end(i), "1");
	hole_add("constant", hole.t[i].at, hole_end(i), "(%.*s + 1)", (int)hole.t[i].length,
	    hole.text + hole.t[i].at);
}

/* --- calls and conditions --- */

/* An `if` or `while` that compares nothing is turned as a whole. */
static void condition(unsigned i)
{
	static const char *const comparisons[] = { "<", "<=", ">", ">=", "==", "!=", "!", NULL };
	unsigned close = tokens_close(hole.text, hole.t, hole.n, i + 1);
	if (close == hole.n)
		return;
	for (unsigned k = i + 2; k < close; k++)
		if (hole_is_one_of(k, comparisons))
			return;
	size_t from = hole.t[i + 1].at, to = hole_end(close);
	hole_add("turned", from, to, "(!%.*s)", (int)(to - from), hole.text + from);
}

/* `x |= y` for an atomic or, and so on. */
static void not_atomic(unsigned i, const size_t *from, const size_t *to, unsigned n)
{
	static const struct { const char *end, *operator; } kinds[] = {
		{ "_or", "|=" }, { "_and", "&=" }, { "_add", "+=" }, { "_sub", "-=" },
	};
	char *word = strndup(hole.text + hole.t[i].at, hole.t[i].length), *end = strrchr(word, '_');
	unsigned close = tokens_close(hole.text, hole.t, hole.n, i + 1);
	for (unsigned k = 0; k < 4 && end && n >= 2 && strstr(word, "atomic"); k++)
		if (strcmp(end, kinds[k].end) == 0)
			hole_add("not atomic", hole.t[i].at, hole_end(close), "*(%.*s) %s %.*s",
				 PIECE(from[0], to[0]), kinds[k].operator, PIECE(from[1], to[1]));
	free(word);
}

/* Each argument becomes a copy of its neighbour. open: the bracket after the function. */
static void call(unsigned i, unsigned open)
{
	size_t from[MAX_ARGUMENTS], to[MAX_ARGUMENTS]; /* bytes */
	unsigned close = tokens_close(hole.text, hole.t, hole.n, open), n = 0;
	if (close == hole.n || close == open + 1)
		return;
	for (unsigned k = open + 1, first = k; k <= close && n < MAX_ARGUMENTS; k++) {
		if (k == close || hole_is(k, ",")) {
			from[n] = hole.t[first].at;
			to[n++] = hole_end(k - 1);
			first = k + 1;
		} else if (hole_is(k, "(") || hole_is(k, "[") || hole_is(k, "{")) {
			k = tokens_close(hole.text, hole.t, hole.n, k);
		}
	}
	for (unsigned k = 0; k + 1 < n; k++) {
		hole_add("argument", from[k], to[k], "%.*s", PIECE(from[k + 1], to[k + 1]));
		hole_add("argument", from[k + 1], to[k + 1], "%.*s", PIECE(from[k], to[k]));
	}
	not_atomic(i, from, to, n);
}

static void brackets(unsigned i)
{
	static const char *const conditions[] = { "if", "while", NULL };
	static const char *const no_call[] = { "for", "switch", "return", "sizeof", "volatile",
					       NULL };
	if (!hole_is(i + 1, "("))
		return;
	if (hole_is_one_of(i, conditions))
		condition(i);
	else if (hole_is(i, ")") || (hole.t[i].kind == WORD && !hole_is_one_of(i, no_call)))
		call(i, i + 1);
}

static void machine_register(unsigned i)
{
	static const char *const registers[] = {
		"eax", "ecx", "edx", "ebx", "esi", "edi", "ebp", "esp", "eax", NULL,
		"ax", "cx", "dx", "bx", "ax", NULL, "al", "cl", "dl", "bl", "al", NULL,
		"ds", "es", "fs", "gs", "ds", NULL,
	};
	for (unsigned k = 0; k + 1 < sizeof(registers) / sizeof(registers[0]); k++)
		if (registers[k] && registers[k + 1] && hole_is(i, registers[k])) {
			hole_add("register", hole.t[i].at, hole_end(i), "%s", registers[k + 1]);
			return;
		}
}

void rules_apply(unsigned i)
{
	if (after_operand(i))
		APPLY(binary, i);
	else
		APPLY(unary, i);
	APPLY(anywhere, i);
	if (hole.t[i].kind == NUMBER)
		number(i);
	else if (hole.t[i].kind == WORD && is_constant(i))
		constant(i);
	if (!hole.assembly)
		brackets(i);
	else if (i > 0 && hole_is(i - 1, "%"))
		machine_register(i);
}
