/* SPDX-License-Identifier: MIT */
/*
 * The exercises' holes in a source file: the lines between the comments `LAB n TODO k BEGIN` and
 * `END`. An exercise is empty if its hole still holds what the handout has there, a panic with the
 * exercise's number, and nothing else. What a file says elsewhere, and what it prints, counts
 * nothing.
 */
#include "judge.h"
#include <ctype.h>

/* The end of a comment or a string that begins at s; else s. */
static const char *skip_comment(const char *s)
{
	const char *end = s;
	if (strncmp(s, "/*", 2) == 0)
		end = strstr(s + 2, "*/");
	else if (strncmp(s, "//", 2) == 0)
		return s + strcspn(s, "\n");
	else
		return s;
	return end ? end + 2 : s + strlen(s);
}

/* Copy the code of a text without comments and blanks; to has room for it. */
static void squeeze(const char *s, const char *end, char *to)
{
	for (bool quoted = false; s < end && *s; s++) {
		while (!quoted && s < end && skip_comment(s) != s)
			s = skip_comment(s);
		if (s >= end || !*s)
			break;
		quoted ^= *s == '"' && s[-1] != '\\';
		if (!isspace((unsigned char)*s))
			*to++ = *s;
	}
	*to = '\0';
}

/* Whether code begins with the handout's words before the text of its panic, and ends after it. */
static bool is_panic(const char *code, const char *before, const char *text, const char *after)
{
	size_t n = strlen(before);
	if (strncmp(code, before, n) != 0 || strncmp(code + n, text, strlen(text)) != 0)
		return false;
	const char *end = strchr(code + n, '"');
	return end && strcmp(end, after) == 0;
}

/* What tools/handout writes into a hole, in C and in assembly. */
static bool is_empty(const char *s, const char *end, unsigned lab, unsigned exercise)
{
	static const char assembly[] = "pushl$1fcall%spanic.pushsection.rodata1:.asciz\"";
	char *code = malloc((size_t)(end - s) + 1), text[64], before[80];
	bool empty = false;
	squeeze(s, end, code);
	snprintf(text, sizeof(text), "lab%u,exercise%uisempty:", lab, exercise);
	for (unsigned vmm = 0; vmm < 2; vmm++) {
		const char *prefix = vmm ? "vmm_" : "";
		snprintf(before, sizeof(before), "%spanic(\"", prefix);
		empty |= is_panic(code, before, text, "\");");
		snprintf(before, sizeof(before), assembly, prefix);
		empty |= is_panic(code, before, text, "\".popsection");
	}
	free(code);
	return empty;
}

/* Whether a line is the comment `LAB n TODO k BEGIN` or `END` (word). */
static bool is_marker(const char *line, const char *word, unsigned *lab, unsigned *exercise)
{
	char found[8];
	line += strspn(line, " \t");
	if (strncmp(line, "/*", 2) != 0 && strncmp(line, "//", 2) != 0)
		return false;
	return sscanf(line + 2, " LAB %u TODO %u %7[A-Z]", lab, exercise, found) == 3 &&
	       strcmp(found, word) == 0;
}

unsigned holes_find(const char *text, struct hole holes[HOLES_MAX])
{
	const char *begin = NULL;
	unsigned n = 0, lab, exercise, number = 1;
	for (const char *line = text; *line && n < HOLES_MAX; number++) {
		const char *next = line + strcspn(line, "\n");
		next += *next == '\n';
		if (is_marker(line, "BEGIN", &lab, &exercise)) {
			begin = next;
			holes[n] = (struct hole){ .lab = lab, .exercise = exercise,
						  .first = number };
		} else if (begin && is_marker(line, "END", &lab, &exercise) &&
			   lab == holes[n].lab && exercise == holes[n].exercise) {
			holes[n].last = number;
			holes[n].empty = is_empty(begin, line, lab, exercise);
			begin = NULL, n++;
		}
		line = next;
	}
	return n;
}

char *file_text(const char *path)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = fopen(path, "r");
	if (!f)
		return NULL;
	if (getdelim(&text, &size, '\0', f) < 0) {
		free(text);
		text = NULL;
	}
	fclose(f);
	return text;
}

struct hole hole_at(const char *file, unsigned line)
{
	struct hole holes[HOLES_MAX], none = { 0 };
	char *text = file_text(file);
	unsigned n = text ? holes_find(text, holes) : 0;
	free(text);
	for (unsigned i = 0; i < n; i++)
		if (holes[i].first <= line && line <= holes[i].last)
			return holes[i];
	return none;
}
