/* SPDX-License-Identifier: MIT */
/* Tokens of C and of assembly: words, numbers, strings, punctuation. */
#include "mutants.h"
#include <ctype.h>
#include <string.h>

/* Longer ones first. */
static const char *const operators[] = {
	"<<=", ">>=", "...", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "++", "--", "+=",
	"-=", "*=", "/=", "%=", "&=", "|=", "^=", "->",
};

/* How many bytes of blanks or of one comment begin here. */
static size_t blank(const char *s, size_t left)
{
	size_t n = 0;
	if (left >= 2 && memcmp(s, "/*", 2) == 0) {
		const char *end = memmem(s + 2, left - 2, "*/", 2);
		return end ? (size_t)(end + 2 - s) : left;
	}
	if (left >= 2 && memcmp(s, "//", 2) == 0)
		while (n < left && s[n] != '\n')
			n++;
	while (n < left && isspace((unsigned char)s[n]))
		n++;
	return n;
}

static size_t string(const char *s, size_t left)
{
	size_t n = 1;
	while (n < left && s[n] != s[0])
		n += s[n] == '\\' ? 2 : 1;
	return n < left ? n + 1 : left;
}

static bool in_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static size_t punctuation(const char *s, size_t left)
{
	for (unsigned i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		size_t n = strlen(operators[i]);
		if (n <= left && memcmp(s, operators[i], n) == 0)
			return n;
	}
	return 1;
}

unsigned tokens_split(const char *text, size_t begin, size_t end, struct token *t, unsigned max)
{
	unsigned n = 0;
	for (size_t at = begin; at < end && n < max;) {
		size_t skip = blank(text + at, end - at), length = 0;
		enum token_kind kind = isdigit((unsigned char)text[at]) ? NUMBER : WORD;
		if (skip > 0) {
			at += skip;
			continue;
		}
		while (at + length < end && in_word(text[at + length]))
			length++;
		if (length == 0) {
			bool quoted = text[at] == '"' || text[at] == '\'';
			kind = quoted ? STRING : PUNCTUATION;
			length = (quoted ? string : punctuation)(text + at, end - at);
		}
		t[n++] = (struct token){ at, length, kind };
		at += length;
	}
	return n;
}

bool token_is(const char *text, const struct token *t, const char *word)
{
	return strlen(word) == t->length && memcmp(text + t->at, word, t->length) == 0;
}

unsigned tokens_close(const char *text, const struct token *t, unsigned n, unsigned open)
{
	unsigned depth = 0;
	for (unsigned i = open; i < n; i++) {
		char c = t[i].kind == PUNCTUATION && t[i].length == 1 ? text[t[i].at] : ' ';
		depth += c == '(' || c == '[' || c == '{';
		depth -= c == ')' || c == ']' || c == '}';
		if (depth == 0)
			return i;
	}
	return n;
}
