/* SPDX-License-Identifier: MIT */
/*
 * Text from submissions. File names, the compiler's words and a guest's words may hold anything.
 * All of it passes this filter before it reaches a terminal, a log or a report. Kept is UTF-8 that
 * is shown as it stands; whatever is obeyed instead of shown becomes a question mark.
 */
#include "grader.h"
#include <ctype.h>
#include <errno.h>
#include <iconv.h>

/* Read a character of UTF-8. Result: its bytes; 0 if there is none at s. */
static unsigned decode(const unsigned char *s, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned bytes = *s < 0x80 ? 1 : *s < 0xC0 ? 0 : *s < 0xE0 ? 2 : *s < 0xF0 ? 3 :
			 *s < 0xF8 ? 4 : 0;
	*c = bytes > 1 ? *s & (0x7Fu >> bytes) : *s;
	for (unsigned i = 1; i < bytes; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 0;
		*c = *c << 6 | (s[i] & 0x3F);
	}
	bool surrogate = *c >= 0xD800 && *c <= 0xDFFF;
	return bytes && *c >= least[bytes] && *c <= 0x10FFFF && !surrogate ? bytes : 0;
}

/* Characters that steer a terminal or a browser: controls, line ends, directions of writing. */
static bool steers(uint32_t c)
{
	static const uint32_t ranges[][2] = {
		{ 0x00, 0x1F }, { 0x7F, 0x9F }, { 0xAD, 0xAD }, { 0x61C, 0x61C },
		{ 0x200B, 0x200F }, { 0x2028, 0x202E }, { 0x2060, 0x206F }, { 0xFEFF, 0xFEFF },
		{ 0xFFF9, 0xFFFF }, { 0xE0000, 0xE0FFF },
	};
	for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (c >= ranges[i][0] && c <= ranges[i][1])
			return true;
	return false;
}

static char *filter(const char *text, size_t n, bool lines)
{
	char *copy = strndup(text, n), *to = copy;
	uint32_t c;
	if (!copy)
		give_up(BROKEN, "no memory");
	for (const char *s = copy; *s;) {
		unsigned bytes = decode((const unsigned char *)s, &c);
		bool kept = bytes && (!steers(c) || c == '\t' || (lines && c == '\n'));
		if (kept)
			memmove(to, s, bytes);
		else
			*to = '?';
		to += kept ? bytes : 1;
		s += bytes ? bytes : 1;
	}
	*to = '\0';
	return copy;
}

char *text_line(const char *s, size_t n)
{
	return filter(s, n, false);
}

char *text_lines(const char *s)
{
	return filter(s, strlen(s), true);
}

/* --- sources --- */

enum { CTRL_Z = 0x1A }; /* once the end of a text, in DOS */

/* The encoding of a source that is no UTF-8: it has a mark, or zeros as Windows writes them. */
static const char *wide(const char *text, size_t bytes)
{
	static const struct { const char *mark; size_t bytes; const char *encoding; } marks[] = {
		{ "\xff\xfe\0\0", 4, "UTF-32LE" }, { "\0\0\xfe\xff", 4, "UTF-32BE" },
		{ "\xff\xfe", 2, "UTF-16LE" }, { "\xfe\xff", 2, "UTF-16BE" },
	};
	for (unsigned i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (bytes >= marks[i].bytes && memcmp(text, marks[i].mark, marks[i].bytes) == 0)
			return marks[i].encoding;
	if (bytes < 2 || !text[0] == !text[1])
		return NULL;
	return text[0] ? "UTF-16LE" : "UTF-16BE";
}

enum { GROWTH = 3 }; /* bytes of UTF-8 for a byte of what is converted, at most */

/*
 * Convert to UTF-8. What is no character becomes a question mark; half of one at the end is left
 * out. Result: bytes of the result; 0 if there is no such encoding. to: GROWTH * bytes.
 */
static size_t convert(const char *encoding, char *text, size_t bytes, char *to)
{
	size_t room = GROWTH * bytes, left = room;
	size_t unit = strstr(encoding, "32") ? 4 : strstr(encoding, "16") ? 2 : 1;
	iconv_t c = iconv_open("UTF-8", encoding);
	if (c == (iconv_t)-1)
		return 0;
	while (iconv(c, &text, &bytes, &to, &left) == (size_t)-1 && errno == EILSEQ &&
	       bytes >= unit) {
		text += unit, bytes -= unit;
		*to++ = '?', left--;
	}
	iconv_close(c);
	return room - left;
}

/* --- #line --- */

/* The character here, after line continuations. */
static char spliced(const char **s)
{
	for (size_t n; **s == '\\' && (*s)[1 + (n = strspn(*s + 1, " \t"))] == '\n';)
		*s += n + 2;
	return **s;
}

/* Pass over a word, if it stands here. */
static bool eat(const char **s, const char *word)
{
	const char *at = *s;
	for (; *word; word++, at++)
		if (spliced(&at) != *word)
			return false;
	*s = at;
	return true;
}

/* Pass over blanks and comments of this line. */
static void eat_blanks(const char **s)
{
	while (spliced(s) && strchr(" \t\f\v/", **s))
		if (eat(s, "/*")) {
			const char *end = strstr(*s, "*/"), *next = *s + strcspn(*s, "\n");
			*s = end && end < next ? end + 2 : next;
		} else if (**s == '/') {
			return;
		} else {
			(*s)++;
		}
}

/*
 * Whether a line of source gives other numbers or another name to the lines after it, as #line
 * does: reports would name these. Such a line can only be what a program has written, or a forger.
 */
static bool renumbers(const char *line)
{
	eat_blanks(&line);
	if (!eat(&line, "#") && !eat(&line, "%:") && !eat(&line, "?\?="))
		return false;
	eat_blanks(&line);
	bool word = eat(&line, "line");
	unsigned char next = (unsigned char)spliced(&line);
	return word ? !isalnum(next) && next != '_' : isdigit(next);
}

/* Empty this line, and those that it is continued on. Result: its end. */
static char *empty_line(char *line)
{
	for (char last = 0; *line && (*line != '\n' || last == '\\'); line++) {
		last = strchr(" \t", *line) ? last : *line;
		if (*line != '\n')
			*line = ' ';
	}
	return line;
}

unsigned text_unnumber(char *text)
{
	unsigned number = 0, first = 0;
	for (char *line = text; *line; number++) {
		char *end = line + strcspn(line, "\n"), *start = line;
		for (char *at; (at = strstr(start, "*/")) && at < end;)
			start = at + 2; /* the end of a comment that began on another line */
		start = renumbers(line) ? line : start;
		if (renumbers(start)) {
			first = first ? first : number + 1;
			end = empty_line(start);
		}
		for (char *at = line; at < end; at++)
			number += *at == '\n';
		line = end + (*end == '\n');
	}
	return first;
}

char *text_decode(char *text, size_t bytes, size_t *n)
{
	const char *encoding = wide(text, bytes);
	char *utf8 = calloc(1, GROWTH * bytes + 1), *from = text, *to = utf8;
	if (!utf8)
		give_up(BROKEN, "no memory");
	size_t converted = encoding ? convert(encoding, text, bytes, utf8) : 0;
	if (converted)
		from = utf8, bytes = converted;
	while (bytes >= 3 && memcmp(from, "\xef\xbb\xbf", 3) == 0) /* some programs add one more */
		from += 3, bytes -= 3;
	while (bytes > 0 && (from[bytes - 1] == '\0' || from[bytes - 1] == CTRL_Z))
		bytes--;
	for (size_t i = 0, returns = 0; i <= bytes; i++) {
		char c = i < bytes ? from[i] : '\0';
		if (c == '\r') {
			returns++;
			continue;
		}
		for (; returns > 0 && c != '\n'; returns--) /* lines of an old Mac */
			*to++ = '\n';
		returns = 0;
		if (c != '\0') /* the compiler ignores it, too */
			*to++ = c;
	}
	*to = '\0';
	*n = (size_t)(to - utf8);
	free(text);
	return utf8;
}

char *text_answers(char *text)
{
	uint32_t c;
	size_t bytes = strlen(text);
	for (const char *s = text; *s; s++)
		if (decode((const unsigned char *)s, &c) > 1)
			return text;
	char *utf8 = calloc(1, GROWTH * bytes + 1);
	if (!utf8)
		give_up(BROKEN, "no memory");
	convert("WINDOWS-1252", text, bytes, utf8);
	free(text);
	return utf8;
}
