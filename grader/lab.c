/* SPDX-License-Identifier: MIT */
/*
 * Labs, and the trees in which they are graded. The pristine tree is built once and kept; each
 * grading works in a copy.
 */
#include "grader.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

const struct lab *lab_find(const char *name)
{
	for (const struct lab *l = all_labs; name && l->name; l++)
		if (strcmp(l->name, name) == 0)
			return l;
	return NULL;
}

static bool listed(const char *list, const char *name)
{
	char *copy = strdup(list), *word = strtok(copy, ", ");
	while (word && strcmp(word, name) != 0)
		word = strtok(NULL, ", ");
	free(copy);
	return word;
}

/* A mistyped name would only make the maximum smaller, so it ends the program. */
unsigned lab_checks(const struct lab *lab, const char *only, struct result results[MAX_CHECKS])
{
	unsigned n = 0, i;
	for (const struct test *t = lab->checks; t->name && n < MAX_CHECKS; t++)
		if (!only || listed(only, t->name))
			results[n++].test = *t;
	for (char *word = strtok(strdup(only ? only : ""), ", "); word; word = strtok(NULL, ", ")) {
		for (i = 0; i < n && strcmp(results[i].test.name, word) != 0;)
			i++;
		if (i == n)
			give_up(FAILED, "%s has no check %s; 'build/grader "
					"list --lab %s' names them", lab->name, word, lab->name);
	}
	if (n == 0)
		give_up(FAILED, "--only names no check; 'build/grader list --lab %s' does",
			lab->name);
	return n;
}

void lab_enter_root(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	for (int up = 0; n > 0 && up < 2; up++) { /* ROOT/build/grader */
		path[n] = '\0';
		n = strrchr(path, '/') - path;
	}
	if (n <= 0)
		give_up(BROKEN, "/proc/self/exe cannot be read");
	path[n] = '\0';
	if (chdir(path) < 0)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
}

/*
 * One process writes and builds build/handout (LOCK_EX, as the Makefile does), or many copy it
 * (LOCK_SH). Result: a descriptor, whose closing unlocks.
 */
static int lock(int how)
{
	int fd = open("build/.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600), error;
	if (fd < 0 && (errno == EROFS || errno == EACCES)) /* built by somebody else, for good */
		fd = open("build", O_RDONLY | O_CLOEXEC);
	do {
		stop_if_interrupted();
		error = fd < 0 || flock(fd, how) < 0 ? errno : 0;
	} while (error == EINTR);
	if (error)
		give_up(BROKEN, "build/.lock: %s", strerror(error));
	return fd;
}

/*
 * Write and build a lab's tree, unless that is done. Its make inherits no options of a make that
 * runs the grader.
 */
static void build(const struct lab *lab)
{
	int fd = lock(LOCK_EX);
	run_tool(NULL, 0, 600, "env -i PATH=\"$PATH\" TMPDIR=\"${TMPDIR:-/tmp}\" LC_ALL=C "
		 "make -s build/handout/%s/build/.made", lab->name);
	close(fd);
}

static bool exists(const char *base, const struct lab *lab, const char *name)
{
	char *path;
	if (asprintf(&path, "%s/labs/%s/%s", base, lab->name, name) < 0)
		give_up(BROKEN, "no memory");
	bool there = access(path, R_OK) == 0;
	free(path);
	return there;
}

const char *lab_base(const struct lab *lab, bool ready, bool *own)
{
	char *base;
	*own = exists(".", lab, "manifest");
	if (*own)
		return "."; /* the make that runs the grader has built it */
	if (asprintf(&base, "build/handout/%s", lab->name) < 0)
		give_up(BROKEN, "no memory");
	if (!ready)
		build(lab);
	return base;
}

unsigned lab_files(const char *base, const struct lab *lab, char *files[MAX_FILES], char **text)
{
	char *path, line[300];
	size_t size;
	unsigned n = 0;
	if (asprintf(&path, "%s/labs/%s/files", base, lab->name) < 0)
		give_up(BROKEN, "no memory");
	FILE *f = fopen(path, "r"), *all = open_memstream(text, &size);
	while (f && n < MAX_FILES && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (*line) {
			files[n++] = strdup(line);
			fprintf(all, "%s\n", line);
		}
	}
	fclose(all);
	if (!f || n == 0)
		give_up(BROKEN, "%s names no files; run 'make handout LAB=%s' again", path,
			lab->name);
	fclose(f);
	free(path);
	return n;
}

void lab_read_tree(const char *base, const struct lab *lab, struct lab_tree *tree)
{
	enum { SUM = 64, NAME = SUM + 2 }; /* as sha256sum writes them */
	char *path, line[4096];
	if (asprintf(&path, "%s/labs/%s/manifest", base, lab->name) < 0)
		give_up(BROKEN, "no memory");
	memset(tree, 0, sizeof(*tree));
	tree->n = lab_files(base, lab, tree->files, &tree->text);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (tree->nr_all % 256 == 0)
			tree->all = realloc(tree->all, (tree->nr_all + 256) * sizeof(*tree->all));
		if (strlen(line) > NAME)
			tree->all[tree->nr_all++] = strdup(line + NAME);
	}
	if (!f)
		give_up(BROKEN, "%s: %s; run 'make handout LAB=%s' again", path, strerror(errno),
			lab->name);
	fclose(f);
	free(path);
}

/* make compares times: with a clock that was put back it would not see what has changed. */
static void check_clock(const char *base)
{
	struct stat s;
	char *path;
	if (asprintf(&path, "%s/build/cinnabar", base) < 0)
		give_up(BROKEN, "no memory");
	if (stat(path, &s) == 0 && s.st_mtime > time(NULL) + 1)
		give_up(BROKEN, "%s was built in the future: set this host's clock, or run "
			"'make clean'", path);
	free(path);
}

/* Only what a build needs is copied; with its times, which make compares. Owners do not matter. */
void lab_copy(const char *base, const char *to)
{
	check_clock(base);
	int fd = lock(LOCK_SH);
	run_tool(NULL, 0, 120,
		 "mkdir -p '%s/build' && cd '%s' && "
		 "c='cp -R --preserve=mode,timestamps' && "
		 "$c Makefile include lib kernel vmm user tools labs '%s' && cd build && "
		 "$c sources cinnabar vmm rootfs.list rootfs.ext2 kernel user bin boot symbols "
		 "'%s/build'",
		 to, base, to, to);
	close(fd);
}

char *lab_changed(const char *base, const struct lab *lab, char *const *files, unsigned n)
{
	char text[4000], *changed;
	size_t size;
	shell(text, sizeof(text), 20,
	      "cd '%s' && sha256sum -c --quiet labs/%s/manifest 2>/dev/null", base, lab->name);
	FILE *f = open_memstream(&changed, &size);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		bool ours = false;
		line[strcspn(line, ":")] = '\0';
		for (unsigned i = 0; i < n; i++)
			ours |= strcmp(line, files[i]) == 0;
		if (!ours)
			fprintf(f, "%s%s", ftell(f) > 0 ? ", " : "", line);
	}
	fclose(f);
	return changed;
}

static bool in_path(const char *program)
{
	char *path = strdup(getenv("PATH") ? getenv("PATH") : ""), file[4096];
	bool found = false;
	for (char *dir = strtok(path, ":"); dir && !found; dir = strtok(NULL, ":")) {
		snprintf(file, sizeof(file), "%s/%s", dir, program);
		found = access(file, X_OK) == 0;
	}
	free(path);
	return found;
}

void lab_check_tools(const struct test *checks)
{
	static const char *const programs[] = { "qemu-system-i386", "make", "gcc", "ld",
						"addr2line", "objdump", "prlimit",
						"sha256sum" };
	bool bochs = false;
	for (const struct test *t = checks; t->name; t++)
		bochs |= t->machine.bochs;
	for (unsigned i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (!in_path(programs[i]))
			give_up(BROKEN, "%s is missing; run 'make setup'", programs[i]);
	if (bochs && (!in_path("bochs") || !in_path("grub-mkrescue")))
		give_up(BROKEN, "bochs or grub-mkrescue is missing; run 'make setup'");
}
