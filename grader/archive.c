/* SPDX-License-Identifier: MIT */
/*
 * Submissions in archives, which libarchive reads from front to end. An archive that tries
 * something (paths that leave it, a link in a wanted file's place, a bomb) is refused as a
 * whole, and the message names the entry.
 */
#include "grader.h"
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

static bool leaves(const char *path)
{
	if (*path == '/')
		return true;
	for (const char *part = path; part; part = strchr(part, '/'), part += part != NULL)
		if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
			return true;
	return false;
}

/*
 * Read an entry to its end, whatever size its header gives. Result: its contents if keep, else
 * NULL. *bytes: its size, which is added to *all.
 */
static char *read_entry(struct archive *a, const char *name, bool keep, size_t *bytes, size_t *all)
{
	static char scrap[65536];
	char *text = keep ? calloc(1, FILE_LIMIT + 1) : NULL;
	*bytes = 0;
	for (;;) {
		size_t room = keep ? FILE_LIMIT + 1 - *bytes : sizeof(scrap);
		la_ssize_t got = archive_read_data(a, keep ? text + *bytes : scrap, room);
		if (got < 0)
			give_up(FAILED, "the archive is damaged at %s: %s", name,
				archive_error_string(a));
		if (got == 0)
			break;
		*bytes += (size_t)got, *all += (size_t)got;
		if (keep && *bytes > FILE_LIMIT)
			give_up(FAILED, "%s has more than %d KiB", name, FILE_LIMIT >> 10);
		if (*all > UNPACKED_LIMIT)
			give_up(FAILED, "the archive unpacks to more than %d MiB (at %s)",
				UNPACKED_LIMIT >> 20, name);
	}
	return text;
}

static struct archive *open_archive(const char *path)
{
	struct archive *a = archive_read_new();
	if (!a)
		give_up(BROKEN, "no memory");
	/* In the locale "C" libarchive gives no name at all that is not ASCII. */
	setlocale(LC_CTYPE, "C.UTF-8");
	archive_read_support_filter_gzip(a), archive_read_support_filter_bzip2(a);
	archive_read_support_filter_xz(a), archive_read_support_filter_zstd(a);
	archive_read_support_format_tar(a), archive_read_support_format_zip(a);
	if (archive_read_open_filename(a, path, 65536) != ARCHIVE_OK)
		give_up(FAILED, "%s is no directory, tar or zip, or damaged: %s", path,
			archive_error_string(a));
	return a;
}

void archive_take(const char *path, char *const *wanted, unsigned n, struct taken *t)
{
	struct archive *a = open_archive(path);
	struct archive_entry *e;
	char *top = NULL;
	size_t all = 0, bytes, prefix;
	int status;
	for (unsigned entries = 0;;) {
		status = archive_read_next_header(a, &e);
		if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
			break;
		const char *name = archive_entry_pathname(e);
		if (!name || ++entries > ENTRIES_LIMIT)
			give_up(FAILED, "the archive has an entry with no readable name, "
					"or more than %d entries", ENTRIES_LIMIT);
		while (strncmp(name, "./", 2) == 0)
			name += 2;
		if (leaves(name))
			give_up(FAILED, "the archive has an entry outside of itself: %s", name);
		char *own = strdup(name);
		int i = submission_match(own, wanted, n, &prefix);
		if (i >= 0 && (archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e) ||
			       archive_entry_symlink(e)))
			give_up(FAILED, "%s is a link or device in the archive; "
					"only plain files are taken", own);
		char *text = read_entry(a, own, i >= 0, &bytes, &all);
		if (i >= 0) {
			if (!top)
				top = strndup(own, prefix);
			if (t->text[i] || strlen(top) != prefix || strncmp(top, own, prefix) != 0)
				give_up(FAILED, "%s is in the archive more than once", wanted[i]);
			t->text[i] = text, t->bytes[i] = bytes;
		}
		free(own);
	}
	if (status != ARCHIVE_EOF)
		give_up(FAILED, "%s: the archive is damaged, or of a kind that is "
				"not taken (tar, zip): %s", path, archive_error_string(a));
	archive_read_free(a);
	free(top);
}
