/* SPDX-License-Identifier: MIT */
/*
 * Mutants: copies of the project that differ from it by one token or one statement. A lab's lie
 * between the markers of its holes. Each is built and graded; one that keeps full marks shows what
 * no check sees. Other mutants lie in any function of kernel and VMM, and the tests judge them.
 */
#ifndef MUTANTS_H
#define MUTANTS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem, asprintf: so this header stands before the system's */
#endif
#include <stdbool.h>
#include <stddef.h>

/* --- source text (tokens.c, statements.c) --- */

enum token_kind { WORD, NUMBER, STRING, PUNCTUATION };
struct token {
	size_t at, length; /* in the text, in bytes */
	enum token_kind kind;
};

/* Split text[begin..end) into tokens; blanks and comments are none. Result: how many, up to max. */
unsigned tokens_split(const char *text, size_t begin, size_t end, struct token *t, unsigned max);
/* Whether the token reads like this. */
bool token_is(const char *text, const struct token *t, const char *word);
/* The index of the token that closes the bracket at token `open`; n if there is none. */
unsigned tokens_close(const char *text, const struct token *t, unsigned n, unsigned open);

struct statement {
	unsigned first, last; /* tokens */
	unsigned list;        /* statements that follow each other in one block have one number */
	bool simple;          /* up to a semicolon; else it has statements inside */
	bool only_body;       /* an `if` with one simple statement and no `else` */
};
/* Find the statements of C among n tokens, outer before inner. Result: how many, at most max. */
unsigned statements_find(const char *text, const struct token *t, unsigned n, struct statement *s,
			 unsigned max);

/* --- mutants (list.c) --- */

enum { MAX_MUTANTS = 100000, ID_BYTES = 64 };
struct mutant {
	char id[ID_BYTES];  /* FILE-EXERCISE-HASH or PATH-0-HASH; other lines do not change it */
	const char *file;
	const char *source; /* the unchanged text of that file */
	unsigned exercise;  /* 0: of no lab */
	unsigned line;
	const char *kind;   /* what was changed, for a reader */
	size_t at, length;  /* these bytes of the source become `text` */
	char *text;
};

/* Append the mutants of all holes "LAB lab TODO k" of a file. *n: how many there are. */
void mutants_of_file(const char *file, const char *source, unsigned lab, struct mutant *m,
		     unsigned *n);
/* Append the mutants of all functions of a file; in assembly, of all lines. */
void mutants_of_functions(const char *file, const char *source, struct mutant *m, unsigned *n);
/* The mutant's whole file, for the caller to free. */
char *mutant_source(const struct mutant *m);
/* The lines that differ, as "- LINE" and "+ LINE", for the caller to free. */
char *mutant_diff(const struct mutant *m);

#endif
