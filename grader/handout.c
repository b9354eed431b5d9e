/* SPDX-License-Identifier: MIT */
/*
 * The sections of the handout that a report's failures refer to, as HTML, so that the page needs no
 * other file. A check's `see` is "handout 4.1, 5.3; SDM vol. 3, 4.3" or "handout, exercise 3; ...".
 * Of Markdown there is what the handouts use: headings, paragraphs, code, lists, folded hints.
 */
#include "grader.h"
#include "html.h"
#include <ctype.h>

/* --- references --- */

/* Cut the next reference ("4.1", "exercise 3") off a `see`. Result: it, to be freed; or NULL. */
static char *next_reference(const char **see)
{
	static const char handout[] = "handout";
	if (strncmp(*see, handout, strlen(handout)) == 0)
		*see += strlen(handout);
	*see += strspn(*see, ", ");
	size_t n = strcspn(*see, ",;");
	bool ours = isdigit((unsigned char)**see) || strncmp(*see, "exercise ", 9) == 0;
	char *reference = ours ? strndup(*see, n) : NULL;
	*see += ours ? n : 0;
	return reference;
}

static unsigned level_of(const char *line)
{
	unsigned level = (unsigned)strspn(line, "#");
	return line[level] == ' ' ? level : 0;
}

/* Whether a heading is that of a reference: "4.1 Exercise 3: ..." is 4.1 and exercise 3. */
static bool is_of(const char *heading, const char *reference)
{
	const char *s = heading + strspn(heading, "# ");
	size_t n = strlen(reference), colon = strcspn(s, ":\n");
	if (isdigit((unsigned char)*reference))
		return strncmp(s, reference, n) == 0 && (s[n] == ' ' || s[n] == '.');
	const char *word = strstr(s, "xercise");
	unsigned wanted = (unsigned)atoi(reference + strlen("exercise "));
	for (s = word; s && s < heading + colon + (size_t)(strspn(heading, "# ")); s++)
		if (isdigit((unsigned char)*s) && !isdigit((unsigned char)s[-1]) &&
		    (unsigned)atoi(s) == wanted)
			return true;
	return false;
}

/* Find a section, with those below it. Result: its heading's line, or NULL; *end: after it. */
static const char *find_section(const char *text, const char *reference, const char **end)
{
	const char *found = NULL;
	unsigned level = 0;
	bool code = false;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		code ^= strncmp(line, "```", 3) == 0;
		unsigned now = code ? 0 : level_of(line);
		*end = line;
		if (found && now && now <= level)
			return found;
		if (!found && now && is_of(line, reference))
			found = line, level = now;
	}
	*end = text + strlen(text);
	return found;
}

static void write_id(FILE *f, const char *reference)
{
	fprintf(f, "handout-");
	for (const char *s = reference; *s; s++)
		fputc(*s == ' ' ? '-' : *s, f);
}

void handout_write_see(FILE *f, const char *handout, const char *see)
{
	const char *s = see, *end;
	if (strncmp(see, "handout", 7) != 0 || !handout) {
		html_text(f, see);
		return;
	}
	fprintf(f, "handout");
	for (char *reference; (reference = next_reference(&s)); free(reference)) {
		bool there = find_section(handout, reference, &end);
		fputc(' ', f);
		if (there) {
			fprintf(f, "<a href=\"#");
			write_id(f, reference);
			fprintf(f, "\">");
		}
		html_text(f, reference);
		fprintf(f, there ? "</a>%s" : "%s", *s == ',' ? "," : "");
	}
	html_text(f, s);
}

/* --- Markdown --- */

/* Text of a line with `code` and **strong**; of a link there is its text. */
static void write_inline(FILE *f, const char *s, size_t n)
{
	bool code = false, strong = false;
	for (const char *end = s + n; s < end; s++) {
		const char *close = *s == '[' && !code ? memchr(s, ']', (size_t)(end - s)) : NULL;
		if (*s == '`') {
			fprintf(f, (code = !code) ? "<code>" : "</code>");
		} else if (!code && strncmp(s, "**", 2) == 0) {
			fprintf(f, (strong = !strong) ? "<strong>" : "</strong>");
			s++;
		} else if (close && close[1] == '(' && strchr(close, ')')) {
			html_bytes(f, s + 1, (size_t)(close - s - 1));
			s = strchr(close, ')');
		} else {
			html_bytes(f, s, 1);
		}
	}
	fprintf(f, "%s%s", code ? "</code>" : "", strong ? "</strong>" : "");
}

enum kind { BLANK, TEXT, ITEM, CODE, TAG, HEADING };

static enum kind kind_of(const char *line, size_t n, bool fenced)
{
	if (fenced || (n > 4 && strncmp(line, "    ", 4) == 0) || *line == '|')
		return CODE;
	if (n == 0)
		return BLANK;
	if (level_of(line))
		return HEADING;
	if (strncmp(line, "<details", 8) == 0 || strncmp(line, "</details", 9) == 0 ||
	    strncmp(line, "<summary>", 9) == 0)
		return TAG;
	if (strncmp(line, "* ", 2) == 0 || strncmp(line, "- ", 2) == 0 ||
	    (isdigit((unsigned char)*line) && strncmp(line + strspn(line, "0123456789"), ". ",
						      2) == 0))
		return ITEM;
	return TEXT;
}

/* A folded hint: its tags are passed on, whatever else the line holds is text. */
static void write_tag(FILE *f, const char *line, size_t n)
{
	static const char *const tags[] = { "<details>", "</details>", "<summary>", "</summary>" };
	for (const char *end = line + n; line < end;) {
		unsigned i = 0;
		while (i < 4 && strncmp(line, tags[i], strlen(tags[i])) != 0)
			i++;
		if (i < 4)
			fputs(tags[i], f);
		else
			html_bytes(f, line, 1);
		line += i < 4 ? strlen(tags[i]) : 1;
	}
	fputc('\n', f);
}

/* What stands between lines of two kinds: the ends and beginnings of blocks. */
static void write_between(FILE *f, enum kind before, enum kind now)
{
	static const char *const begin[] = { "", "<p>", "<p class=\"item\">", "<pre>", "", "" };
	static const char *const end[] = { "", "</p>\n", "</p>\n", "</pre>\n", "", "" };
	bool goes_on = (now == before && now != ITEM) || (before == ITEM && now == TEXT);
	if (!goes_on)
		fprintf(f, "%s%s", end[before], begin[now]);
}

static void write_markdown(FILE *f, const char *s, const char *end)
{
	enum kind before = BLANK;
	bool fenced = false;
	while (s < end) {
		size_t n = strcspn(s, "\n");
		const char *line = s;
		s += n + (s[n] == '\n');
		if (strncmp(line, "```", 3) == 0) {
			fenced = !fenced;
			continue;
		}
		enum kind now = kind_of(line, n, fenced);
		if (now == BLANK && before == CODE && kind_of(s, strcspn(s, "\n"), false) == CODE)
			now = CODE; /* an empty line within a block of code */
		write_between(f, before, now);
		if (now == HEADING)
			fprintf(f, "<h3>"), write_inline(f, line + strspn(line, "# "),
							 n - strspn(line, "# "));
		else if (now == CODE)
			html_bytes(f, line, n);
		else if (now == TAG)
			write_tag(f, line, n);
		else
			write_inline(f, line, n);
		fprintf(f, now == HEADING ? "</h3>\n" : now == BLANK || now == TAG ? "" : "\n");
		before = before == ITEM && now == TEXT ? ITEM : now;
	}
	write_between(f, before, BLANK);
}

static void write_section(FILE *f, const char *section, const char *end, const char *reference)
{
	const char *title = section + strspn(section, "# "), *rest = strchr(section, '\n');
	fprintf(f, "<details class=\"handout\"><summary>");
	write_inline(f, title, strcspn(title, "\n"));
	/* inside, so that a link to it opens the section */
	fprintf(f, "</summary>\n<a id=\"");
	write_id(f, reference);
	fprintf(f, "\"></a>\n");
	write_markdown(f, rest && rest < end ? rest + 1 : end, end);
	fprintf(f, "</details>\n");
}

void handout_write_sections(FILE *f, const char *handout, const char *const *sees, unsigned n)
{
	char *done = strdup("\n"), *longer;
	for (unsigned i = 0; handout && i < n; i++) {
		const char *see = sees[i], *end;
		for (char *reference; (reference = next_reference(&see)); free(reference)) {
			const char *section = find_section(handout, reference, &end);
			if (asprintf(&longer, "%s%s\n", done, reference) < 0)
				give_up(BROKEN, "no memory");
			if (section && !strstr(done, longer + strlen(done) - 1))
				write_section(f, section, end, reference);
			free(done);
			done = longer;
		}
	}
	free(done);
}
