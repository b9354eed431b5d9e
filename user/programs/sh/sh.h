/* SPDX-License-Identifier: MIT */
/* The shell's parts: words.c cuts a line into words, run.c runs it, builtins.c is what it does itself, edit.c reads lines. */
#ifndef SH_H
#define SH_H

#include "user.h"

enum { LINE_MAX = 1024, WORDS_MAX = 128, HISTORY_MAX = 50 };

enum token { WORD, PIPE, LESS, GREATER, APPEND, ERRORS, BACKGROUND, SEMICOLON, AND, OR, END };

struct word {
	enum token token;
	char *text; /* of a WORD, quotes removed and variables replaced */
};

/* words.c: cut a line. text: room for the words' texts. Result: number of words, END last; or -1 after a message. */
int words_cut(const char *line, struct word *words, char *text, uint32_t size);
const char *variable_get(const char *name);
void variable_set(const char *name, uint32_t length, const char *value);

/* run.c */
extern bool interactive;
extern int last_status, last_background;
int run_line(const char *line);       /* the status of its last command */
int run_file(int fd, bool prompting); /* line by line */

/* builtins.c: whether argv[0] is one; its status in *status */
bool builtin(int argc, char **argv, int *status);

/* edit.c: read a line with a prompt, history and editing. 1, 0 at the end, or an error. */
int edit_line(char *line, uint32_t size);
void history_show(void);

#endif
