/* SPDX-License-Identifier: MIT */
/* Completing: the files, or for a command the programs, whose names begin with the last word. */
#include "sh.h"

/* Append c to the text of n bytes, after a \ if it is one of `special`. Result: the new length. */
static uint32_t append(char *text, uint32_t n, uint32_t size, char c, const char *special)
{
	bool escape = strchr(special, c) != NULL;
	if (n + 2 + escape > size)
		return n;
	if (escape)
		text[n++] = '\\';
	text[n++] = c;
	text[n] = '\0';
	return n;
}

/* Find the last word. *command: whether it is a command. *quote: which is open at its end. */
static const char *last_word(const char *line, bool *command, char *quote)
{
	*command = true;
	for (;;) {
		const char *end = word_end(line, quote);
		if (!*end)
			return line;
		if (end > line)
			*command = false;
		if (strchr("|&;", *end))
			*command = true;
		line = end + 1;
	}
}

void complete(const char *line, char *more, uint32_t size, struct fields *f)
{
	char pattern[PATH_MAX], quote, open = 0;
	bool command;
	const char *word = last_word(line, &command, &quote);
	uint32_t typed = 0, n = 0, same = 0;
	*f = (struct fields){ .at = f->text };
	more[0] = '\0';
	if (command && !strchr(word, '/')) {
		n = typed = 5;
		strlcpy(pattern, "/bin/", sizeof(pattern));
	}
	for (const char *s = word; *s; s++) {
		if (*s == open)
			open = 0;
		else if (!open && (*s == '"' || *s == '\''))
			open = *s;
		else if (*s != '\\' || open == '\'' || *++s)
			typed++, n = append(pattern, n, sizeof(pattern) - 1, *s, "*?\\");
	}
	strlcpy(pattern + n, "*", 2);
	if (glob(pattern, f) <= 0)
		return;
	const char *first = f->argv[0], *last = f->argv[f->n - 1]; /* sorted */
	while (first[same] && first[same] == last[same])
		same++;
	while (same > typed && (first[same] & 0xC0) == 0x80) /* never a part of a letter (UTF-8) */
		same--;
	n = 0;
	for (uint32_t i = typed; i < same; i++) /* a ' ends its quote, and begins it again */
		if (quote == '\'' && first[i] == '\'')
			for (const char *s = "'\\''"; *s; s++)
				n = append(more, n, size, *s, "");
		else
			n = append(more, n, size, first[i], quote == '\'' ? "" :
				   quote ? "\"\\$`" : BREAKS "\"'\\$`*?#");
	if (f->n > 1)
		return;
	struct stat st;
	bool dir = stat(first, &st) == 0 && (st.st_mode & S_IFMT) == S_IFDIR;
	if (quote && !dir)
		n = append(more, n, size, quote, "");
	append(more, n, size, dir ? '/' : ' ', "");
}
