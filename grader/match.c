/* SPDX-License-Identifier: MIT */
/*
 * Which file of a submission is which of the lab's files. Students hand in the whole tree, a folder
 * too many, or the files without folders. A file whose path ends in the lab's own path is *in
 * place*; what stands before that is its root. A file in place wins; without one a file of the same
 * name is taken if there is only one. Two that could be meant are refused, never guessed at. An
 * archive in the archive counts if nothing outside of it does.
 */
#include "grader.h"

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

bool submission_wants(const char *path, char *const *wanted, unsigned n)
{
	const char *slash = last_part(path), *back = strrchr(slash, '\\');
	for (unsigned i = 0; i < n; i++)
		if (name_likeness(back ? back + 1 : slash, last_part(wanted[i])))
			return true;
	return false;
}

/* Where the part of a path before this place begins. */
static size_t part_before(const char *path, size_t at)
{
	for (at--; at > 0 && path[at - 1] != '/';)
		at--;
	return at;
}

/* How many parts at their ends two paths have in common. */
static unsigned common(const char *found, const char *ours)
{
	size_t a = (size_t)(last_part(found) - found), b = (size_t)(last_part(ours) - ours);
	unsigned n = 0;
	if (!name_likeness(found + a, ours + b))
		return 0;
	for (n = 1; a > 0 && b > 0; n++) {
		size_t x = part_before(found, a), y = part_before(ours, b);
		if (a - x != b - y || strncasecmp(found + x, ours + y, a - x) != 0)
			break;
		a = x, b = y;
	}
	return n;
}

static unsigned parts(const char *path)
{
	unsigned n = 1;
	while ((path = strchr(path, '/')))
		path++, n++;
	return n;
}

/*
 * Whether a part of the path is a folder at the top of our tree, but not the one of `ours`; or a
 * folder in labs/, which another lab's is if the path does not end as `ours` does.
 */
static bool elsewhere(const char *path, const char *ours, const struct lab_tree *tree)
{
	for (const char *end; (end = strchr(path, '/')); path = end + 1) {
		size_t n = (size_t)(end + 1 - path);
		if (strncasecmp(path, ours, n) == 0)
			return strncasecmp(path, "labs/", n) == 0 && strchr(end + 1, '/');
		for (unsigned i = 0; i < tree->nr_all; i++)
			if (strncasecmp(path, tree->all[i], n) == 0)
				return true;
	}
	return false;
}

/* Folders that computers add to an archive, and names that they hide. */
static bool hidden(const char *path)
{
	for (const char *part = path; part; part = strchr(part, '/'), part += part != NULL)
		if (strncmp(part, "__MACOSX/", 9) == 0 ||
		    (*part == '.' && part[1] != '/' && part[1] != '\0'))
			return true;
	return false;
}

/* Without "./", "/", "C:/" at its start, where nothing is unpacked. ".." leads nowhere. */
static void normalize(struct found *f)
{
	if (f->path[0] && f->path[1] == ':')
		f->path += 2;
	while (*f->path == '/' || strncmp(f->path, "./", 2) == 0)
		f->path++;
	for (const char *part = f->path; part; part = strchr(part, '/'), part += part != NULL)
		if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
			give_up(FAILED, "the archive has an entry outside of itself: %s", f->path);
}

/* Find the lab's file that a found one is, and whether it is in place. */
static void find_place(struct found *f, const struct lab_tree *tree)
{
	unsigned best = 0, n;
	for (unsigned i = 0; i < tree->n; i++)
		if ((n = common(f->path, tree->files[i])) > best)
			best = n, f->place = (int)i;
	for (unsigned i = 0; f->place >= 0 && i < tree->nr_all; i++)
		if (common(f->path, tree->all[i]) > best)
			f->place = -1; /* it is another file of the tree */
	if (f->place < 0)
		return;
	const char *ours = tree->files[f->place];
	bool like = name_likeness(last_part(f->path), last_part(ours)) == LIKE;
	f->whole = like && best == parts(ours);
	f->root = strlen(f->path) - strlen(last_part(f->path));
	if (f->whole)
		f->root -= strlen(ours) - strlen(last_part(ours));
	else if (elsewhere(f->path, ours, tree))
		f->place = -1;
}

/* Whether b's root lies below a's. */
static bool contains(const struct found *a, const struct found *b)
{
	return a->root < b->root && strncmp(a->path, b->path, a->root) == 0;
}

void match(struct finds *all, const struct lab_tree *tree)
{
	enum { COPIES_LIMIT = 1000 };
	struct found *end = all->v + all->n;
	unsigned placed = 0, outer = 0;
	for (struct found *f = all->v; f < end; f++) {
		normalize(f);
		if (!hidden(f->path))
			find_place(f, tree);
		placed += f->place >= 0;
		outer += f->place >= 0 && !f->inner;
	}
	for (struct found *f = all->v; f < end; f++)
		if (f->inner && outer)
			f->place = -1;
	if (placed > COPIES_LIMIT)
		give_up(FAILED, "the submission holds %u files with names of the lab's files: hand "
			"in each once", placed);
	for (struct found *f = all->v; f < end; f++)
		for (const struct found *other = all->v; f->place >= 0 && other < end; other++)
			if (other->place >= 0 && other->whole && contains(other, f))
				f->nested = true; /* a copy inside of the tree that counts */
}

bool match_any(const struct finds *all)
{
	for (const struct found *f = all->v; f < all->v + all->n; f++)
		if (f->place >= 0)
			return true;
	return false;
}

/* Whether a path ends in the first n bytes of `ours`. */
static bool ends_in(const char *path, const char *ours, size_t n)
{
	size_t bytes = strlen(path);
	return bytes >= n && strncmp(path + bytes - n, ours, n) == 0 &&
	       (bytes == n || path[bytes - n - 1] == '/');
}

/* Refuse a link in the place of a folder in which the lab's file would lie. */
static void check_links(const struct finds *all, const char *ours)
{
	for (const struct found *f = all->v; f < all->v + all->n; f++)
		for (const char *end = ours; f->kind == FOUND_LINK && (end = strchr(end, '/'));
		     end++)
			if (ends_in(f->path, ours, (size_t)(end - ours)))
				give_up(FAILED, "%s lies behind a link, %s: only plain files are "
					"taken", ours, f->path);
}

struct found *match_choice(struct grading *g, const struct finds *all,
			   const struct lab_tree *tree, unsigned i)
{
	struct found *best = NULL, *second = NULL;
	bool again = false;
	const char *ours = tree->files[i];
	for (struct found *f = all->v; f < all->v + all->n; f++) {
		if (f->place != (int)i || (f->nested && f->whole))
			continue;
		if (!best || f->whole > best->whole)
			best = f, second = NULL, again = false;
		else if (strcmp(f->path, best->path) == 0)
			best = f, again = true;
		else if (f->whole == best->whole)
			second = f;
	}
	if (again && !second)
		note(g, "%s is in the archive more than once: the last one counts", best->path);
	if (second)
		give_up(FAILED, "%s is in the submission more than once, as %s and as %s: hand in "
			"one", ours, best->path, second->path);
	if (!best) {
		check_links(all, ours);
		return NULL;
	}
	if (best->kind != FOUND_FILE)
		give_up(FAILED, "%s is a link or device; only plain files are taken", best->path);
	if (!best->whole)
		note(g, "%s was taken as %s", best->path, ours);
	return best;
}

/* Names of a few files, for a message. Result: to be freed. */
static char *names(const struct finds *all, bool (*which)(const struct found *))
{
	enum { SHOWN = 6 };
	unsigned n = 0;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	for (const struct found *x = all->v; x < all->v + all->n; x++)
		if (which(x) && ++n <= SHOWN)
			fprintf(f, "%s%.100s", n > 1 ? ", " : "", x->path);
	if (n > SHOWN)
		fprintf(f, " and %u more", n - SHOWN);
	fclose(f);
	return text;
}

static bool shown(const struct found *f)
{
	return !hidden(f->path);
}

/* Whether there is a Git repository, of which no file is looked at. */
static bool has_git(const char *submission, const struct finds *all)
{
	char path[4096];
	bool git = snprintf(path, sizeof(path), "%s/.git", submission) < (int)sizeof(path) &&
		   access(path, F_OK) == 0;
	for (const struct found *f = all->v; f < all->v + all->n; f++)
		git |= strncmp(f->path, ".git/", 5) == 0 || strstr(f->path, "/.git/");
	return git;
}

static bool is_own(const struct found *f)
{
	return f->own;
}

/* Whether a file lies where a taken one does: in its folder, or in a folder of the lab's tree. */
static bool beside(const struct found *f, const struct found *taken, const struct lab_tree *tree)
{
	if (taken->place < 0 || taken->nested || strncmp(f->path, taken->path, taken->root) != 0)
		return false;
	const char *rest = f->path + taken->root, *end = strchr(rest, '/');
	if (!end)
		return !taken->whole;
	for (unsigned i = 0; i < tree->n; i++)
		if (strncasecmp(rest, tree->files[i], (size_t)(end + 1 - rest)) == 0)
			return true;
	return strncmp(rest, "include/", 8) == 0;
}

/* Whether it is a source that the tree of the lab does not have: the student's own. */
static bool own_source(const struct found *f, const struct finds *all, const struct lab_tree *tree)
{
	const char *dot = strrchr(f->path, '.');
	if (f->place >= 0 || f->kind != FOUND_FILE || hidden(f->path) || !dot ||
	    (strcasecmp(dot, ".h") && strcasecmp(dot, ".c") && strcasecmp(dot, ".s")))
		return false;
	for (unsigned i = 0; i < tree->nr_all; i++)
		if (common(f->path, tree->all[i]) > 0)
			return false;
	for (const struct found *taken = all->v; taken < all->v + all->n; taken++)
		if (beside(f, taken, tree))
			return true;
	return false;
}

void match_notes(struct grading *g, struct finds *all, const struct lab_tree *tree,
		 const struct taken *t)
{
	enum { ENOUGH = 1000 }; /* a note need not be complete */
	bool any = false;
	for (unsigned i = 0; i < tree->n; i++)
		any |= t->text[i] != NULL;
	if (!any)
		give_up(FAILED, "%s holds none of the lab's files. It holds: %s. Wanted are the "
			"files that labs/%s/files names, with their folders: %s ...%s",
			g->o->submission, all->n ? names(all, shown) : "nothing", g->o->lab->name,
			tree->files[0], has_git(g->o->submission, all) ?
			" Of a Git repository (.git) nothing is taken: hand in the files" : "");
	for (unsigned i = 0; i < all->n && i < ENOUGH; i++)
		all->v[i].own = own_source(&all->v[i], all, tree);
	char *own = names(all, is_own);
	if (*own) {
		g->own_files = own;
		note(g, "not taken: %s. Only the files that labs/%s/files names are taken: what "
			"they need must stand in them", own, g->o->lab->name);
	}
}
