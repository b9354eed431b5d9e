/* SPDX-License-Identifier: MIT */
/*
 * What students' computers and course platforms make of a file's name. A browser or file manager
 * marks a copy: " (1)" or "-1" before the ending, " - Copy", "Copy of "; Windows adds ".txt".
 * Canvas and Blackboard put the student's name and numbers before it, with '_' between; Moodle
 * puts "..._assignsubmission_file_" there; Brightspace numbers, name and date, with " - " between.
 */
#include "grader.h"

/* Whether s begins with these words, whatever the letters' case. Result: their bytes, or 0. */
static size_t begins(const char *s, const char *words)
{
	size_t n = strlen(words);
	return strncasecmp(s, words, n) == 0 ? n : 0;
}

/* Whether all of s is a number with this before and after it. */
static bool numbered(const char *s, const char *before, const char *after)
{
	size_t n = begins(s, before), digits = strspn(s + n, "0123456789");
	return n && digits && strcmp(s + n + digits, after) == 0;
}

/* Whether this, between the stem of a name and its ending, is nothing or the mark of a copy. */
static bool copy_mark(const char *s)
{
	size_t copy = begins(s, " - copy");
	copy = copy ? copy : begins(s, " copy");
	s += copy;
	return !*s || numbered(s, " (", ")") || numbered(s, "(", ")") || numbered(s, "-", "") ||
	       (copy && numbered(s, " ", ""));
}

/* Whether a name is ours, or that of a copy of ours. */
static bool like(const char *found, const char *ours)
{
	const char *end = strrchr(ours, '.');
	size_t stem = end ? (size_t)(end - ours) : strlen(ours);
	found += strspn(found, " ");
	found += begins(found, "copy of ");
	size_t n = strlen(found), ending = strlen(ours) - stem;
	while (n && strchr(" .", found[n - 1])) /* nothing that one sees */
		n--;
	if (n > 4 && strncasecmp(found + n - 4, ".txt", 4) == 0)
		n -= 4;
	if (n < stem + ending || strncasecmp(found, ours, stem) != 0 ||
	    strncasecmp(found + n - ending, ours + stem, ending) != 0)
		return false;
	char *between = strndup(found + stem, n - ending - stem);
	if (!between)
		give_up(BROKEN, "no memory");
	bool mark = copy_mark(between);
	free(between);
	return mark;
}

/* Whether the part before a '_' is one that a platform puts before the name: numbers, or "file". */
static bool platforms(const char *part, size_t n)
{
	return (n == 4 && strncmp(part, "file", n) == 0) ||
	       (n > 0 && strspn(part, "0123456789-") >= n);
}

bool name_of_archive(const char *name)
{
	static const char *const ends[] = {
		".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z",
		".rar",
	};
	const char *end = strrchr(name, '.');
	for (unsigned i = 0; end && i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcasecmp(end, ends[i]) == 0)
			return true;
	return false;
}

enum likeness name_likeness(const char *found, const char *ours)
{
	if (like(found, ours))
		return LIKE;
	size_t number = strspn(found, "0123456789-");
	if (number && strncmp(found + number, " - ", 3) == 0)
		for (const char *at = found; (at = strstr(at, " - ")); at++)
			if (like(at + 3, ours))
				return SENT;
	const char *part = strchr(found, '_');
	for (const char *end; part && (end = strchr(part + 1, '_')); part = end)
		if (platforms(part + 1, (size_t)(end - part - 1)) && like(end + 1, ours))
			return SENT;
	return UNLIKE;
}
