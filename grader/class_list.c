/* SPDX-License-Identifier: MIT */
/*
 * What a class consists of: which entries of a directory are submissions, and which old reports
 * count.
 */
#include "grader.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

char *class_submission(const struct options *o, const char *name)
{
	char *path;
	if (asprintf(&path, "%s/%s", o->submission, name) < 0)
		give_up(BROKEN, "no memory");
	return path;
}

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* Whether the file could be an archive: by its name, or by its first bytes. */
static bool like_archive(const char *path)
{
	static const char *const magic[] = { "PK", "\x1f\x8b", "BZh", "\xfd" "7zXZ",
					     "\x28\xb5\x2f\xfd" };
	char text[512] = "";
	if (name_of_archive(path))
		return true;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	close(fd);
	for (unsigned i = 0; n > 0 && i < sizeof(magic) / sizeof(magic[0]); i++)
		if (strncmp(text, magic[i], strlen(magic[i])) == 0)
			return true;
	return n == sizeof(text) && memcmp(text + 257, "ustar", 5) == 0;
}

/* Students hand in such files instead of an archive. Each is refused, but has its row. */
static bool handed_in(const char *name)
{
	static const char *const ends[] = { ".c", ".h", ".S", ".patch", ".diff", ".lz", ".lzma",
					    ".lz4", ".cpio", ".Z", ".bundle" };
	const char *end = strrchr(name, '.');
	for (unsigned i = 0; end && i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcasecmp(end, ends[i]) == 0)
			return true;
	return false;
}

/* Whether an entry is a submission. Other files in the directory are none; a note names them. */
static bool is_submission(const struct options *o, const char *name)
{
	struct stat st;
	char *path = class_submission(o, name);
	bool there = stat(path, &st) == 0;
	bool one = there && (S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) &&
						(like_archive(path) || handed_in(name))));
	bool out = there && same_directory(path, o->out);
	if (!one || out)
		printf("note: skipped: %s is %s\n", text_line(name, strlen(name)),
		       out ? "the folder of the reports" : "no directory, tar or zip");
	free(path);
	return one && !out;
}

/*
 * An old report without a grade goes: it could be taken for that of this run. Gives up FAILED if
 * the report is another lab's, which would be lost.
 */
static void check_old_report(const struct options *o, const char *name)
{
	const char *lab = o->lab->name, *outcome = "";
	char *path = class_path(o, name, ".json");
	json_t *j = json_load_file(path, 0, NULL);
	json_unpack(j, "{s:{s:s,s:s}}", "extra_data", "lab", &lab, "outcome", &outcome);
	if (strcmp(lab, o->lab->name) != 0)
		give_up(FAILED, "%s is a report of %s: give each lab a folder of its own", path,
			lab);
	if (strcmp(outcome, "graded") != 0)
		unlink(path);
	json_decref(j);
	free(path);
}

unsigned class_list(const struct options *o, char ***list)
{
	struct dirent **names;
	unsigned count = 0;
	int n = scandir(o->submission, &names, visible, alphasort);
	if (n < 0)
		give_up(FAILED, "%s: %s", o->submission, strerror(errno));
	*list = calloc((size_t)n + 1, sizeof(**list));
	for (int i = 0; i < n; i++)
		if (is_submission(o, names[i]->d_name))
			(*list)[count++] = names[i]->d_name;
	for (unsigned i = 0; i < count; i++)
		check_old_report(o, (*list)[i]);
	if (count == 0)
		give_up(FAILED, "%s holds no submissions: a directory, tar or zip for each",
			o->submission);
	return count;
}
