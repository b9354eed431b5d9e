/* SPDX-License-Identifier: MIT */
/*
 * Cutting a line into words: quotes '...' "..." and \, variables $NAME $? $! $$, comments, and the
 * operators between commands.
 */
#include "sh.h"

static struct { char name[32], value[224]; } variables[32];

const char *variable_get(const char *name)
{
	static char number[16];
	if (strcmp(name, "?") == 0 || strcmp(name, "!") == 0 || strcmp(name, "$") == 0) {
		snprintf(number, sizeof(number), "%d",
			 *name == '?' ? last_status : *name == '!' ? last_background : getpid());
		return number;
	}
	for (uint32_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		if (strcmp(variables[i].name, name) == 0)
			return variables[i].value;
	return "";
}

void variable_set(const char *name, uint32_t length, const char *value)
{
	for (uint32_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		char *slot = variables[i].name;
		if (*slot && (strlen(slot) != length || strncmp(slot, name, length) != 0))
			continue;
		strlcpy(slot, name, length + 1 < 32 ? length + 1 : 32);
		strlcpy(variables[i].value, value, sizeof(variables[i].value));
		return;
	}
	dprintf(2, "sh: too many variables\n");
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static enum token operator_at(const char **s)
{
	static const struct { const char *text; enum token token; } table[] = {
		{ "2>", ERRORS }, { ">>", APPEND }, { "&&", AND }, { "||", OR }, { "|", PIPE },
		{ "<", LESS }, { ">", GREATER }, { "&", BACKGROUND }, { ";", SEMICOLON },
		{ "\n", SEMICOLON },
	};
	for (uint32_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strncmp(*s, table[i].text, strlen(table[i].text)) == 0) {
			*s += strlen(table[i].text);
			return table[i].token;
		}
	return WORD;
}

struct output { char *at, *end; };

static void put(struct output *o, char c)
{
	if (o->at < o->end)
		*o->at++ = c;
}

/* s: what follows a $: NAME, {NAME}, ?, ! or $. Result: what follows that. */
static const char *put_variable(struct output *o, const char *s)
{
	char name[32];
	uint32_t n = 0;
	bool braces = *s == '{';
	s += braces;
	if (*s == '?' || *s == '!' || *s == '$')
		name[n++] = *s++;
	else
		while (is_name(*s) && n < sizeof(name) - 1)
			name[n++] = *s++;
	name[n] = '\0';
	if (n == 0)
		put(o, '$');
	else
		for (const char *v = variable_get(name); *v; v++)
			put(o, *v);
	return s + (braces && *s == '}');
}

/* One word; result: what follows, or NULL if a quote is open. */
static const char *cut_word(const char *s, struct output *o)
{
	char quote = 0;
	for (; *s && (quote || !strchr(" \t\n|<>&;", *s)); s++) {
		if (*s == quote)
			quote = 0;
		else if (!quote && (*s == '"' || *s == '\''))
			quote = *s;
		else if (*s == '\\' && quote != '\'' && s[1])
			put(o, *++s);
		else if (*s == '$' && quote != '\'')
			s = put_variable(o, s + 1) - 1;
		else
			put(o, *s);
	}
	return quote ? NULL : s;
}

int words_cut(const char *line, struct word *words, char *text, uint32_t size)
{
	struct output o = { text, text + size - 1 };
	int n = 0;
	for (;;) {
		/* A newline after an operator means nothing. */
		while (*line == ' ' || *line == '\t' ||
		       (*line == '\n' && n && words[n - 1].token != WORD))
			line++;
		if (!*line || *line == '#')
			break;
		if (n == WORDS_MAX - 1 || o.at == o.end) {
			dprintf(2, "sh: line too long\n");
			return -1;
		}
		struct word *w = &words[n++];
		w->token = operator_at(&line);
		w->text = o.at;
		if (w->token == WORD && !(line = cut_word(line, &o))) {
			dprintf(2, "sh: a quote is not closed\n");
			return -1;
		}
		if (w->token == WORD) {
			*o.at = '\0';
			o.at += o.at < o.end;
		}
	}
	words[n].token = END;
	return n;
}
