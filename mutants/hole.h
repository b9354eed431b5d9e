/* SPDX-License-Identifier: MIT */
/* The hole or function whose mutants are being made, for rules.c and who calls it, list.c. */
#ifndef HOLE_H
#define HOLE_H

#include "mutants.h"

enum { MAX_TOKENS = 4000, MAX_FILE_TOKENS = 100000 };

struct hole {
	const char *file, *text; /* the whole file's text */
	unsigned exercise;
	size_t begin, end;       /* between the markers or the braces, in bytes */
	bool assembly;
	struct token t[MAX_TOKENS];
	unsigned n;
	struct mutant *list;     /* where mutants go, and how many are there */
	unsigned *found;
};
extern struct hole hole;

/* Whether token i reads like this; like one of these, NULL after the last. */
bool hole_is(unsigned i, const char *word);
bool hole_is_one_of(unsigned i, const char *const *words);
/* Where token i ends, in bytes. */
size_t hole_end(unsigned i);
/* A new mutant: the bytes from..to of the file become this text. Equal text makes none. */
void hole_add(const char *kind, size_t from, size_t to, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Add the mutants that change token i, or the call or the condition that begins there. */
void rules_apply(unsigned i);

#endif
