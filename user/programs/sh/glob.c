/* SPDX-License-Identifier: MIT */
/* Names of files that fit a pattern: * is any text, ? one byte; after \ a byte is itself. */
#include "sh.h"

/* Only the last * before a difference takes more: so the time is at most length * name. */
static bool fits(const char *pattern, uint32_t length, const char *name)
{
	const char *end = pattern + length, *star = NULL, *rest = name;
	for (;;) {
		if (pattern < end && *pattern == '*') {
			star = ++pattern;
			rest = name;
			continue;
		}
		bool escaped = end - pattern > 1 && *pattern == '\\';
		const char *p = pattern + escaped;
		if (p < end && *name && (*p == *name || (*p == '?' && !escaped))) {
			pattern = p + 1;
			name++;
		} else if (pattern == end && !*name) {
			return true;
		} else if (star && *rest) {
			pattern = star;
			name = ++rest;
		} else {
			return false;
		}
	}
}

bool field_add(struct fields *f, const char *text)
{
	uint32_t bytes = strlen(text) + 1;
	if (f->n == WORDS_MAX - 1 || bytes > (uint32_t)(f->text + sizeof(f->text) - f->at))
		return false;
	f->argv[f->n++] = memcpy(f->at, text, bytes);
	f->argv[f->n] = NULL;
	f->at += bytes;
	return true;
}

/*
 * Add all names that begin with path, of n bytes, and go on as the pattern says. Result: false if
 * there is no room.
 */
static bool walk(char *path, uint32_t n, const char *pattern, struct fields *f)
{
	const char *end = strchr(pattern, '/');
	uint32_t length = end ? (uint32_t)(end - pattern) : strlen(pattern);
	struct dir d;
	struct stat st;
	bool ok = true;
	if (*pattern == '/' && n + 1 < PATH_MAX) { /* at the start, or doubled */
		path[n++] = *pattern++;
		path[n] = '\0';
		return walk(path, n, pattern, f);
	}
	if (dir_open(&d, n ? path : "."))
		return true;
	for (struct dirent *e; ok && (e = dir_next(&d));) {
		uint32_t bytes = strlen(e->d_name);
		if ((e->d_name[0] == '.' && *pattern != '.') || !fits(pattern, length, e->d_name) ||
		    n + bytes + 2 > PATH_MAX)
			continue;
		memcpy(path + n, e->d_name, bytes + 1);
		if (end) /* whether it is a directory: not each file system says so in d_type */
			strlcpy(path + n + bytes, "/", 2);
		if (end && end[1])
			ok = walk(path, n + bytes + 1, end + 1, f);
		else if (!end || stat(path, &st) == 0)
			ok = field_add(f, path);
		path[n] = '\0';
	}
	dir_close(&d);
	return ok;
}

int glob(const char *pattern, struct fields *f)
{
	char path[PATH_MAX] = "";
	int first = f->n;
	if (!walk(path, 0, pattern, f))
		return -1;
	for (int i = first + 1; i < f->n; i++) { /* sort */
		char *name = f->argv[i];
		int to = i;
		for (; to > first && strcmp(f->argv[to - 1], name) > 0; to--)
			f->argv[to] = f->argv[to - 1];
		f->argv[to] = name;
	}
	return f->n - first;
}
