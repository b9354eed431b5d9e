/* SPDX-License-Identifier: MIT */
/* Parts of the grader's pages: text that is no markup, whatever it holds, and the common style. */
#ifndef HTML_H
#define HTML_H

#include "grader.h"

/* Write text, or n bytes of it, so that a browser shows it and obeys nothing of it. */
void html_text(FILE *f, const char *s);
void html_bytes(FILE *f, const char *s, size_t n);
/* A link's address: all but letters, digits and "-._~" is percent-encoded. */
void html_address(FILE *f, const char *s);
/* The beginning of a page, up to its <h1>. style: rules of this page's own. */
void html_begin(FILE *f, const char *title, const char *style);

/* A string or a number of an object; "" or 0 if there is none. */
const char *json_text(const json_t *j, const char *key);
long long json_number(const json_t *j, const char *key);

/*
 * handout.c: a check's `see`, with links to the sections of the handout that are there. handout:
 * its text, or NULL.
 */
void handout_write_see(FILE *f, const char *handout, const char *see);
/* These sections, each once and folded. sees: of n checks. */
void handout_write_sections(FILE *f, const char *handout, const char *const *sees, unsigned n);

#endif
