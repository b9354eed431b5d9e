/* SPDX-License-Identifier: MIT */
/*
 * What is taken from a submission: the contents of the lab's files, as bytes. Nothing is
 * unpacked, so no path, link, owner or mode of an archive ever reaches a disk. Directories are
 * walked without following a link.
 */
#include "grader.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

int submission_match(const char *path, char *const *wanted, unsigned n, size_t *prefix)
{
	const char *slash = strchr(path, '/');
	for (unsigned i = 0; i < n; i++) {
		*prefix = 0;
		if (strcmp(path, wanted[i]) == 0)
			return (int)i;
		*prefix = slash ? (size_t)(slash + 1 - path) : 0;
		if (slash && strcmp(slash + 1, wanted[i]) == 0)
			return (int)i;
	}
	return -1;
}

/* Open a path below dir, no component of which may be a link. Result: descriptor, or -1. */
static int open_beneath(int dir, const char *path)
{
	char *copy = strdup(path), *part = copy;
	int at = dup(dir);
	for (char *slash; at >= 0 && (slash = strchr(part, '/')); part = slash + 1) {
		*slash = '\0';
		int next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		at = next;
	}
	if (at >= 0) {
		int file = openat(at, part, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		int error = errno;
		close(at);
		errno = error;
		at = file;
	}
	free(copy);
	return at;
}

static void take_file(int dir, const char *name, struct taken *t, unsigned i)
{
	struct stat s;
	int fd = open_beneath(dir, name);
	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		give_up(FAILED, "%s: is or lies behind a link: only plain files are taken", name);
	if (fd < 0)
		give_up(FAILED, "%s: %s", name, strerror(errno));
	if (fstat(fd, &s) < 0 || !S_ISREG(s.st_mode))
		give_up(FAILED, "%s is no plain file", name);
	if (s.st_size > FILE_LIMIT)
		give_up(FAILED, "%s has %lld KiB; at most %d are taken", name,
			(long long)s.st_size >> 10, FILE_LIMIT >> 10);
	t->text[i] = calloc(1, FILE_LIMIT + 1);
	ssize_t got = read(fd, t->text[i], FILE_LIMIT);
	if (!t->text[i] || got < 0)
		give_up(BROKEN, "%s: %s", name, strerror(errno));
	t->bytes[i] = (size_t)got;
	close(fd);
}

static void take_directory(int dir, char *const *wanted, unsigned n, struct taken *t)
{
	for (unsigned i = 0; i < n; i++)
		take_file(dir, wanted[i], t, i);
}

/* The same in a directory below. What is none is left out. */
static void take_below(int dir, const char *name, char *const *wanted, unsigned n, struct taken *t)
{
	int below = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (below < 0)
		return;
	take_directory(below, wanted, n, t);
	close(below);
}

static bool nothing(const struct taken *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (t->text[i])
			return false;
	return true;
}

void submission_take(const char *path, char *const *wanted, unsigned n, struct taken *t)
{
	struct stat s;
	memset(t, 0, sizeof(*t));
	if (stat(path, &s) < 0)
		give_up(FAILED, "submission %s: %s", path, strerror(errno));
	if (!S_ISDIR(s.st_mode)) {
		archive_take(path, wanted, n, t);
	} else {
		int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *d = dir < 0 ? NULL : fdopendir(dup(dir));
		if (!d)
			give_up(BROKEN, "%s: %s", path, strerror(errno));
		take_directory(dir, wanted, n, t);
		for (struct dirent *e; nothing(t, n) && (e = readdir(d));)
			if (e->d_name[0] != '.')
				take_below(dir, e->d_name, wanted, n, t);
		closedir(d);
		close(dir);
	}
	if (nothing(t, n))
		give_up(FAILED, "%s holds none of the lab's files (%s ...)", path, wanted[0]);
}

/* The rest of a directive's line. Result: what is wrong if it names a file outside; or NULL. */
static const char *bad_include(const char *rest)
{
	size_t line = strcspn(rest, "\n");
	const char *open = strpbrk(rest, "\"<");
	if (!open || open >= rest + line)
		return "an #include that does not name its file";
	if (open[1] == '/')
		return "an #include with an absolute path";
	const char *dots = strstr(open, "..");
	return dots && dots < rest + line ? "an #include that leaves the tree" : NULL;
}

/*
 * This is for a clear message. That no file outside of the tree can be read is the sandbox's work.
 * Result: what is wrong with the line, or NULL.
 */
static const char *bad_line(const char *line)
{
	static const char *const directives[] = { ".incbin", ".include" };
	size_t n = strcspn(line, "\n");
	for (unsigned i = 0; i < 2; i++) {
		const char *at = strstr(line, directives[i]);
		if (at && at < line + n)
			return directives[i];
	}
	while (*line == ' ' || *line == '\t')
		line++;
	if (*line != '#' && strncmp(line, "%:", 2) != 0)
		return NULL;
	line += *line == '#' ? 1 : 2;
	while (*line == ' ' || *line == '\t')
		line++;
	if (strncmp(line, "embed", 5) == 0)
		return "#embed";
	return strncmp(line, "include", 7) == 0 ? bad_include(line + 7) : NULL;
}

char *submission_refusal(const char *name, const char *text, size_t bytes)
{
	unsigned number = 1;
	char *binary;
	if (strlen(text) < bytes &&
	    asprintf(&binary, "%s has a NUL byte in it: that is no source", name) > 0)
		return binary;
	for (const char *line = text;; number++) {
		const char *what = bad_line(line);
		char *message;
		if (what && asprintf(&message,
				     "%s:%u: %s: a submission may use the tree's own files only",
				     name, number, what) > 0)
			return message;
		line += strcspn(line, "\n");
		if (!*line++)
			return NULL;
	}
}
