/* SPDX-License-Identifier: MIT */
/*
 * Words. A line is cut into words and operators before it runs; a word is expanded only when its
 * command runs: quotes '...' "..." and \ go away, variables $NAME $? $! $$ become their values, and
 * * and ? the names of files that fit.
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

bool variable_set(const char *name, uint32_t length, const char *value)
{
	if (length >= sizeof(variables[0].name) || strlen(value) >= sizeof(variables[0].value)) {
		dprintf(2, "sh: a name may have 31 bytes, and its value 223\n");
		return false;
	}
	for (uint32_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		char *slot = variables[i].name;
		if (*slot && (strlen(slot) != length || strncmp(slot, name, length) != 0))
			continue;
		strlcpy(slot, name, length + 1);
		strlcpy(variables[i].value, value, sizeof(variables[i].value));
		return true;
	}
	dprintf(2, "sh: too many variables\n");
	return false;
}

uint32_t name_length(const char *s)
{
	uint32_t n = 0;
	while ((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= 'A' && s[n] <= 'Z') || s[n] == '_' ||
	       (n && s[n] >= '0' && s[n] <= '9'))
		n++;
	return n;
}

/* --- cutting --- */

static enum token operator_at(const char **s)
{
	static const struct { const char *text; enum token token; } table[] = {
		{ "2>&1", ERRORS_TO_1 }, { "1>&2", OUTPUT_TO_2 }, { ">&2", OUTPUT_TO_2 },
		{ "2>&", NOT_THERE }, { "1>&", NOT_THERE }, { ">&", NOT_THERE },
		{ "<&", NOT_THERE }, { "<<", NOT_THERE }, { "<>", NOT_THERE },
		{ ">|", NOT_THERE }, { "&>", NOT_THERE }, { "|&", NOT_THERE }, { ";;", NOT_THERE },
		{ "2>>", APPEND_ERRORS }, { "2>", ERRORS }, { "1>>", APPEND }, { "1>", GREATER },
		{ "0<", LESS }, { ">>", APPEND }, { "&&", AND },
		{ "||", OR }, { "|", PIPE }, { "<", LESS }, { ">", GREATER }, { "&", BACKGROUND },
		{ ";", SEMICOLON }, { "\n", SEMICOLON },
	};
	for (uint32_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strncmp(*s, table[i].text, strlen(table[i].text)) == 0) {
			*s += strlen(table[i].text);
			return table[i].token;
		}
	if (**s < '0' || **s > '9' || ((*s)[1] != '<' && (*s)[1] != '>'))
		return WORD;
	*s += 2; /* a descriptor that no program has */
	return NOT_THERE;
}

const char *word_end(const char *s, char *quote)
{
	*quote = 0;
	for (; *s && (*quote || !strchr(BREAKS, *s)); s++) {
		if (*s == *quote)
			*quote = 0;
		else if (!*quote && (*s == '"' || *s == '\''))
			*quote = *s;
		else if (*s == '\\' && *quote != '\'' && s[1])
			s++;
	}
	return s;
}

int words_cut(const char *line, struct word *words)
{
	char quote;
	int n = 0;
	for (;;) {
		/* A newline after an operator means nothing. */
		while (*line == ' ' || *line == '\t' ||
		       (*line == '\n' && n && words[n - 1].token != WORD))
			line++;
		if (*line == '#')
			line = strchr(line, '\n') ? strchr(line, '\n') : line + strlen(line);
		if (!*line)
			break;
		if (n == WORDS_MAX - 1) {
			dprintf(2, "sh: more than %d words in a line\n", WORDS_MAX - 1);
			return -1;
		}
		struct word *w = &words[n++];
		const char *begin = line;
		w->token = operator_at(&line);
		w->text = line;
		if (w->token == WORD)
			line = word_end(line, &quote);
		w->length = (uint32_t)(line - w->text);
		if (w->token == WORD && quote) {
			dprintf(2, "sh: a quote is not closed\n");
			return -1;
		}
		if (w->token == NOT_THERE) {
			dprintf(2, "sh: %.*s is not there; `help` tells what is\n",
				(int)(line - begin), begin);
			return -1;
		}
	}
	words[n].token = END;
	return n;
}

/* --- expanding --- */

/*
 * A word that is being expanded: a pattern for glob(), with \ before a character that stands for
 * itself. `open`: a field has begun, if only by a pair of quotes. `wild`: it has * or ?.
 */
static struct { char pattern[LINE_MAX * 2]; uint32_t length; bool open, wild; } field;
static const char *problem;

static void put(char c, bool quoted)
{
	field.open = true;
	if (field.length + 2 >= sizeof(field.pattern))
		return; /* seen by end_field() */
	if (quoted && (c == '*' || c == '?' || c == '\\'))
		field.pattern[field.length++] = '\\';
	else
		field.wild |= c == '*' || c == '?';
	field.pattern[field.length++] = c;
}

/* Append the finished field, or the names that fit it. Result: false if there is no room. */
static bool end_field(struct fields *f)
{
	if (!field.open)
		return true;
	field.pattern[field.length] = '\0';
	int n = field.wild ? glob(field.pattern, f) : 0;
	bool ok = n >= 0 && field.length + 2 < sizeof(field.pattern);
	if (n == 0) {
		char *text = field.pattern;
		for (const char *s = text; *s; s++)
			*text++ = *s == '\\' && s[1] ? *++s : *s;
		*text = '\0';
		ok = ok && field_add(f, field.pattern);
	}
	field.length = 0;
	field.open = field.wild = false;
	return ok;
}

/*
 * s: a $, and NAME, {NAME}, ?, ! or $; or a `. quoted: blanks in the value do not end the field.
 * Result: what follows that; NULL if there is a `problem`.
 */
static const char *put_variable(struct fields *f, const char *s, bool quoted)
{
	char name[sizeof(variables[0].name)] = "";
	bool command = *s++ == '`', braces = *s == '{';
	s += braces;
	uint32_t n = *s == '?' || *s == '!' || *s == '$' ? 1 : name_length(s);
	if (n < sizeof(name)) /* no longer one is set */
		strlcpy(name, s, n + 1);
	s += n;
	if (command || (braces ? n == 0 || *s != '}' :
				 n == 0 && *s && strchr("(#@*0123456789", *s))) {
		problem = "only $NAME or ${NAME} can stand here";
		return NULL;
	}
	if (n == 0)
		put('$', true);
	for (const char *v = n ? variable_get(name) : ""; *v; v++) {
		if (quoted || (*v != ' ' && *v != '\t'))
			put(*v, quoted);
		else if (!end_field(f))
			return NULL;
	}
	return s + braces;
}

bool word_expand(const struct word *w, struct fields *f)
{
	const char *s = w->text, *end = s + w->length;
	char quote = 0;
	uint32_t n = name_length(s);
	bool whole = n && s[n] == '=' && f->n == 0; /* NAME=value is one field */
	field.length = 0;
	field.open = field.wild = false;
	problem = "more than there is room for";
	for (; s && s < end; s++) {
		if (*s == quote)
			quote = 0;
		else if (!quote && (*s == '"' || *s == '\''))
			quote = *s, field.open = true;
		else if (*s == '\\' && quote != '\'' && s + 1 < end)
			put(*++s, true);
		else if ((*s == '$' || *s == '`') && quote != '\'' &&
			 (s = put_variable(f, s, quote || whole)))
			s--;
		else if (s)
			put(*s, quote || whole);
		else
			break;
	}
	if (s && end_field(f))
		return true;
	dprintf(2, "sh: %.*s: %s\n", (int)w->length, w->text, problem);
	return false;
}
