/* SPDX-License-Identifier: MIT */
/*
 * The shell's parts: edit.c reads a line, words.c cuts it into words, run.c runs it, and
 * builtins.c has the commands that the shell does itself.
 */
#ifndef SH_H
#define SH_H

#include "user.h"

enum { LINE_MAX = 1024, WORDS_MAX = 128, HISTORY_MAX = 50 };

enum token { WORD, PIPE, LESS, GREATER, APPEND, ERRORS, BACKGROUND, SEMICOLON, AND, OR, END };

struct word {
	enum token token;
	char *text; /* of a WORD: quotes are removed and variables replaced */
};

/* --- words.c --- */
/*
 * words_cut - cut a line into words.
 * words: WORDS_MAX of them. text, size: room for the words' texts.
 * Result: number of words, after which END follows; -1 after a message if the line is wrong.
 */
int words_cut(const char *line, struct word *words, char *text, uint32_t size);
const char *variable_get(const char *name); /* "" if it is not set */
/* length: of the name, which need not end with NUL. Without room nothing is set. */
void variable_set(const char *name, uint32_t length, const char *value);

/* --- run.c --- */
extern bool interactive;
extern int last_status, last_background;
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

#endif
