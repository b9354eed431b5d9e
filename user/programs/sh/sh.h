/* SPDX-License-Identifier: MIT */
/*
 * The shell's parts: edit.c reads a line and complete.c completes a name in it; words.c cuts the
 * line into words and expands them, with glob.c; run.c runs it, and builtins.c has the commands
 * that the shell does itself.
 */
#ifndef SH_H
#define SH_H

#include "user.h"

enum { LINE_MAX = 1024, WORDS_MAX = 128, HISTORY_MAX = 50, KILLED = 137 };
#define BREAKS " \t\n|<>&;" /* what ends a word */

enum token {
	WORD, PIPE, LESS, GREATER, APPEND, ERRORS, APPEND_ERRORS, ERRORS_TO_1, OUTPUT_TO_2,
	BACKGROUND, SEMICOLON, AND, OR, NOT_THERE, END,
};

struct word {
	enum token token;
	const char *text; /* of a WORD, as it stands in the line */
	uint32_t length;
};

struct fields { /* what words become */
	int n;
	char *argv[WORDS_MAX]; /* NULL follows the last one */
	char *at;              /* free part of text */
	char text[8192];
};

/* --- words.c --- */
/*
 * words_cut - cut a line into words.
 * words: WORDS_MAX of them. Result: number of words, after which END follows; -1 after a message.
 */
int words_cut(const char *line, struct word *words);
/* Result: where the word at s ends. *quote: the quote that is open there, or 0. */
const char *word_end(const char *s, char *quote);
/* Append the fields that a word becomes: none, one or several. Result: false after a message. */
bool word_expand(const struct word *w, struct fields *f);
/* The length of the variable's name at s: letters, _ and, but for the first one, digits. */
uint32_t name_length(const char *s);
const char *variable_get(const char *name); /* "" if it is not set */
/* length: of the name, which need not end with NUL. Result: false after a message. */
bool variable_set(const char *name, uint32_t length, const char *value);

/* --- glob.c --- */
/* Append a copy of text. Result: false if there is no room. */
bool field_add(struct fields *f, const char *text);
/* Append the paths that fit a pattern, sorted. Result: how many; -1 if there is no room. */
int glob(const char *pattern, struct fields *f);

/* --- run.c --- */
extern bool interactive;
extern int last_status, last_background;
/* Remember the status of a background process that has ended; -1: forget and return it, or -1. */
int ended(int pid, int status);
/* Result: the status of the line's last command. */
int run_line(const char *line);
/* Run all lines of a file, or of the terminal with a prompt. Result: the last command's status. */
int run_file(int fd, bool prompting);

/* --- builtins.c --- */
/* Run argv if it is a built-in command. Result: whether it is one; then *status is its status. */
bool builtin(int argc, char **argv, int *status);

/* --- edit.c --- */
/* Read a line with a prompt, history and editing. Result: 1; 0 at the end of the input. */
int edit_line(char *line, uint32_t size);
void history_show(void);

/* --- complete.c --- */
/*
 * complete - how the word before the end of a line goes on.
 * more: what to insert, at most `size` bytes with NUL. candidates: the names, if there are several.
 */
void complete(const char *line, char *more, uint32_t size, struct fields *candidates);

#endif
