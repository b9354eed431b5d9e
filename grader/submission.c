/* SPDX-License-Identifier: MIT */
/*
 * What is taken from a submission: the contents of the lab's files, as bytes. Nothing is unpacked,
 * so no path, link, owner or mode of an archive ever reaches a disk. Directories are walked in the
 * order of their names, and no link is followed. What is found lies in a list; match.c chooses.
 */
#include "grader.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { DEPTH_LIMIT = 64 };

void finds_add(struct finds *all, const char *path, enum found_kind kind, char *text, size_t bytes)
{
	if (all->n % 1024 == 0)
		all->v = realloc(all->v, (all->n + 1024) * sizeof(*all->v));
	char *name = strdup(path), *slashes = strdup(path);
	if (!all->v || !name || !slashes)
		give_up(BROKEN, "no memory");
	for (char *c = slashes; *c; c++) /* as Windows writes paths */
		if (*c == '\\')
			*c = '/';
	all->v[all->n++] = (struct found){ .name = name, .path = slashes, .kind = kind,
					   .text = text, .bytes = bytes, .place = -1 };
}

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void walk(int dir, const char *path, unsigned depth, struct finds *all);

/* Add an entry of a directory, or all that lies below it. path: "" or its own, with a slash. */
static void add_entry(int dir, const char *path, const char *name, unsigned depth,
		      struct finds *all)
{
	struct stat s;
	char *full;
	if (asprintf(&full, "%s%s", path, name) < 0)
		give_up(BROKEN, "no memory");
	bool there = fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) == 0;
	if (there && S_ISDIR(s.st_mode)) {
		int below = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		char *prefix;
		if (asprintf(&prefix, "%s/", full) < 0)
			give_up(BROKEN, "no memory");
		if (below >= 0)
			walk(below, prefix, depth + 1, all);
		free(prefix);
	} else if (there) {
		finds_add(all, full, S_ISREG(s.st_mode) ? FOUND_FILE : S_ISLNK(s.st_mode) ?
			  FOUND_LINK : FOUND_DEVICE, NULL, 0);
	}
	free(full);
}

/* List a directory, whose descriptor is closed, and what lies below it. */
static void walk(int dir, const char *path, unsigned depth, struct finds *all)
{
	struct dirent **names;
	if (depth > DEPTH_LIMIT)
		give_up(FAILED, "%.100s... : folders lie in one another more than %d deep", path,
			DEPTH_LIMIT);
	int n = scandirat(dir, ".", &names, visible, alphasort);
	if (depth == 0 && n < 0)
		give_up(FAILED, "this directory cannot be read: %s", strerror(errno));
	for (int i = 0; i < n; i++) {
		if (all->n > ENTRIES_LIMIT)
			give_up(FAILED, "the directory holds more than %d files: hand in the lab's "
				"files alone", ENTRIES_LIMIT);
		stop_if_interrupted();
		add_entry(dir, path, names[i]->d_name, depth, all);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	close(dir);
}

/* Read the file of a directory that was chosen. A component that has become a link is refused. */
static void read_file(const char *root, struct found *f)
{
	struct stat s;
	char *copy = strdup(f->name), *part = copy;
	int at = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (char *slash; at >= 0 && (slash = strchr(part, '/')); part = slash + 1) {
		*slash = '\0';
		int next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		at = next;
	}
	int fd = at < 0 ? -1 : openat(at, part, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &s) < 0 || !S_ISREG(s.st_mode))
		give_up(FAILED, "%s cannot be read as a plain file: %s", f->path, strerror(errno));
	f->text = calloc(1, FILE_LIMIT + 2);
	ssize_t got = f->text ? read(fd, f->text, FILE_LIMIT + 1) : -1;
	if (got < 0)
		give_up(BROKEN, "%s: %s", f->path, strerror(errno));
	f->bytes = (size_t)got;
	close(fd), close(at);
	free(copy);
}

/*
 * Read the archives of a directory that holds no file of the lab: usually one, or one for each
 * folder. Result: what is in them, below the archive's name.
 */
static struct finds archives_of(struct grading *g, struct sandbox s, const struct lab_tree *tree,
				const struct finds *all)
{
	enum { ARCHIVES_LIMIT = 16 };
	struct finds found = { 0 };
	unsigned archives = 0;
	char *path;
	for (const struct found *f = all->v; f < all->v + all->n; f++) {
		if (f->kind != FOUND_FILE || !name_of_archive(f->path))
			continue;
		if (++archives > ARCHIVES_LIMIT)
			give_up(FAILED, "the directory holds more than %d archives: hand in one",
				ARCHIVES_LIMIT);
		note(g, "the archive %s in this directory is a part of the submission", f->path);
		if (asprintf(&path, "%s/%s", g->o->submission, f->name) < 0)
			give_up(BROKEN, "no memory");
		unsigned before = found.n;
		archive_read(path, s, tree, &found);
		free(path);
		for (struct found *in = found.v + before; in < found.v + found.n; in++)
			if (asprintf(&in->path, "%s/%s", f->path, in->path) < 0)
				give_up(BROKEN, "no memory");
	}
	return found;
}

void submission_take(struct grading *g, struct sandbox s, const struct lab_tree *tree,
		     struct taken *t)
{
	const char *path = g->o->submission;
	struct finds all = { 0 };
	struct stat st;
	if (stat(path, &st) < 0)
		give_up(FAILED, "submission %s: %s", path, strerror(errno));
	bool directory = S_ISDIR(st.st_mode);
	if (directory)
		walk(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), "", 0, &all);
	else if (!S_ISREG(st.st_mode))
		give_up(FAILED, "%s is no directory and no file", path);
	else
		archive_read(path, s, tree, &all);
	match(&all, tree);
	if (directory && !match_any(&all)) {
		struct finds inside = archives_of(g, s, tree, &all);
		if (inside.n) {
			all = inside;
			match(&all, tree);
			directory = false;
		}
	}
	memset(t, 0, sizeof(*t));
	g->names = json_object();
	for (unsigned i = 0; i < tree->n; i++) {
		struct found *f = match_choice(g, &all, tree, i);
		if (f && directory)
			read_file(path, f);
		if (f && f->bytes > FILE_LIMIT)
			give_up(FAILED, "%s has more than %d KiB", f->path, FILE_LIMIT >> 10);
		if (!f)
			continue;
		if (directory && strcmp(f->name, tree->files[i]) != 0)
			json_object_set_new(g->names, tree->files[i], report_text(f->name));
		t->text[i] = text_decode(f->text, f->bytes, &t->bytes[i]);
		const char *end = strrchr(tree->files[i], '.');
		bool words = end && strcmp(end, ".md") == 0;
		if (words) {
			t->text[i] = text_answers(t->text[i]);
			t->bytes[i] = strlen(t->text[i]);
		}
		if (t->bytes[i] == 0)
			note(g, "%s is an empty file", f->path);
		unsigned line = words ? 0 : text_unnumber(t->text[i]);
		if (line)
			note(g, "%s:%u is taken as an empty line: reports name the lines of the "
				"files as they are", tree->files[i], line);
	}
	match_notes(g, &all, tree, t);
}
