/* SPDX-License-Identifier: MIT */
/*
 * Submissions in archives. A process in the sandbox reads the archive from its standard input,
 * front to end, and writes what it finds as records (struct record). Nothing is unpacked to a disk:
 * an entry's name is only a name. An archive may be compressed once, and may hold archives of which
 * the same is true; which way is read from the first bytes here, because libarchive by itself would
 * go through any number of layers. What is unpacked counts in every layer.
 */
#include "grader.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sys/stat.h>

enum { CPU_SECONDS = 20, SECONDS = 60, MEGABYTES = 1024, FILE_MEGABYTES = 64, PROCESSES = 16 };
enum { NAME_LIMIT = 4096, INNER_LIMIT = 8 << 20 };

#define NO_ARCHIVE "it is damaged, or no tar or zip, or compressed more than once " \
	"(at most once is taken): "

/* Before the path and the contents of an entry. REFUSED: the path is the message. */
struct record {
	enum { FILE_RECORD, REFUSED_RECORD } kind;
	enum found_kind found;
	bool inner; /* of an archive that is in the archive */
	size_t path, bytes;
};

/* --- inside of the sandbox --- */

static void write_record(struct record r, const char *path, const char *text)
{
	r.path = strlen(path);
	FILE *f = stdout;
	if (fwrite(&r, sizeof(r), 1, f) != 1 || fwrite(path, 1, r.path, f) != r.path ||
	    fwrite(text, 1, r.bytes, f) != r.bytes)
		_exit(ENVIRONMENT);
}

static void refuse(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void refuse(const char *fmt, ...)
{
	char text[2000];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	write_record((struct record){ .kind = REFUSED_RECORD }, text, "");
	fflush(stdout);
	_exit(GRADED);
}

struct compression {
	const char *magic;
	unsigned bytes;
	int (*support)(struct archive *);
	int code;
};

/* Refuse what is handed in instead of an archive. */
static void refuse_others(const char *first, size_t n)
{
	static const struct { const char *magic, *what; } others[] = {
		{ "7z\xbc\xaf\x27\x1c", "a 7-Zip archive" }, { "Rar!", "a RAR archive" },
		{ "# v2 git bundle", "a Git bundle" }, { "# v3 git bundle", "a Git bundle" },
		{ "<!doctype html", "a web page, saved instead of the archive" },
		{ "<html", "a web page, saved instead of the archive" },
		{ "diff ", "a patch" }, { "--- ", "a patch" }, { "from ", "a patch, or a mail" },
		{ "/*", "a single file" }, { "#include", "a single file" },
		{ "%PDF", "a PDF file" }, { "070701", "a cpio archive" },
		{ "\x1f\x9d", "compressed by compress" }, { "LZIP", "compressed by lzip" },
		{ "\x04\x22\x4d\x18", "compressed by lz4" }, { "]", "compressed by lzma" },
	};
	size_t blanks = strspn(first, " \t\r\n\xef\xbb\xbf");
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		size_t length = strlen(others[i].magic);
		if (n - blanks >= length &&
		    strncasecmp(first + blanks, others[i].magic, length) == 0)
			refuse("it is %s: hand in a tar or zip of the lab's files", others[i].what);
	}
}

/* A reader for an archive that begins so: libarchive may read this kind of compression alone. */
static struct archive *reader(const char *first)
{
	static const struct compression kinds[] = {
		{ "\x1f\x8b", 2, archive_read_support_filter_gzip, ARCHIVE_FILTER_GZIP },
		{ "BZh", 3, archive_read_support_filter_bzip2, ARCHIVE_FILTER_BZIP2 },
		{ "\xfd" "7zXZ", 6, archive_read_support_filter_xz, ARCHIVE_FILTER_XZ },
		{ "\x28\xb5\x2f\xfd", 4, archive_read_support_filter_zstd, ARCHIVE_FILTER_ZSTD },
	};
	struct archive *a = archive_read_new();
	bool compressed = false;
	if (!a)
		_exit(ENVIRONMENT);
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (memcmp(first, kinds[i].magic, kinds[i].bytes) == 0) {
			kinds[i].support(a);
			archive_read_append_filter(a, kinds[i].code);
			compressed = true;
		}
	archive_read_support_format_tar(a);
	if (!compressed)
		archive_read_support_format_zip(a);
	return a;
}

/*
 * Read an entry to its end, whatever size its header gives. text: room for limit + 1 bytes, or
 * NULL. all: grows by its bytes. Result: its bytes; limit + 1 if it has more than the limit.
 */
static size_t read_entry(struct archive *a, const char *name, char *text, size_t limit, size_t *all)
{
	static char scrap[65536];
	size_t bytes = 0;
	for (la_ssize_t got = 1; got > 0;) {
		bool room = text && bytes <= limit;
		got = room ? archive_read_data(a, text + bytes, limit + 1 - bytes) :
			     archive_read_data(a, scrap, sizeof(scrap));
		if (got < 0)
			refuse("the archive is damaged at %s: %s", name, archive_error_string(a));
		bytes += room || !text ? (size_t)got : 0;
		*all += (size_t)got;
		if (*all > UNPACKED_LIMIT)
			refuse("the archive unpacks to more than %d MiB (at %s)",
			       UNPACKED_LIMIT >> 20, name);
	}
	return bytes;
}

struct wanted { char *v[MAX_FILES]; unsigned n; };

static int read_entries(struct archive *a, const struct wanted *w, const char *above);

/* Read an archive that is an entry of the archive. One that is damaged just ends. */
static void read_inner(struct archive *outer, const char *name, const struct wanted *w, size_t *all)
{
	static char inner[INNER_LIMIT + 1];
	memset(inner, 0, 8); /* of the archive before, for reader() */
	size_t bytes = read_entry(outer, name, inner, INNER_LIMIT, all);
	struct archive *a = reader(inner);
	if (bytes <= INNER_LIMIT && archive_read_open_memory(a, inner, bytes) == ARCHIVE_OK)
		read_entries(a, w, name);
	archive_read_free(a);
}

/* above: the archive in which this archive lies, or NULL. */
static void read_one(struct archive *a, struct archive_entry *e, const struct wanted *w,
		     const char *above)
{
	static size_t all;
	static char text[FILE_LIMIT + 1];
	const char *name = archive_entry_pathname(e);
	char path[2 * NAME_LIMIT + 2];
	struct record r = { .found = FOUND_FILE, .inner = above };
	if (!name || strlen(name) > NAME_LIMIT) /* no name of ours: those are ASCII */
		name = "(a name that cannot be read)";
	snprintf(path, sizeof(path), "%s%s%s", above ? above : "", above ? "/" : "", name);
	if (archive_entry_filetype(e) == AE_IFDIR)
		return;
	if (archive_entry_filetype(e) == AE_IFLNK || archive_entry_hardlink(e))
		r.found = FOUND_LINK;
	else if (archive_entry_filetype(e) != AE_IFREG)
		r.found = FOUND_DEVICE;
	bool keep = submission_wants(name, w->v, w->n), inner = !above && name_of_archive(name);
	size_t bytes = inner ? 0 : read_entry(a, path, keep ? text : NULL, FILE_LIMIT, &all);
	r.bytes = keep ? bytes : 0;
	write_record(r, path, text);
	if (inner)
		read_inner(a, path, w, &all);
}

/* Result: how libarchive ended. */
static int read_entries(struct archive *a, const struct wanted *w, const char *above)
{
	static unsigned entries;
	struct archive_entry *e;
	int status;
	while ((status = archive_read_next_header(a, &e)) == ARCHIVE_OK || status == ARCHIVE_WARN) {
		if (++entries > ENTRIES_LIMIT)
			refuse("the archive has more than %d entries", ENTRIES_LIMIT);
		if (archive_entry_is_encrypted(e))
			refuse("the archive has a password");
		read_one(a, e, w, above);
	}
	return status;
}

int archive_inner(char *list)
{
	struct wanted w = { .n = 0 };
	char first[64] = "";
	ssize_t n = pread(0, first, sizeof(first) - 1, 0);
	if (n < 0)
		return ENVIRONMENT;
	struct archive *a = reader(first);
	bool opened = archive_read_open_fd(a, 0, 65536) == ARCHIVE_OK;
	for (char *name = strtok(list, "\n"); name && w.n < MAX_FILES; name = strtok(NULL, "\n"))
		w.v[w.n++] = name;
	/* In the locale "C" libarchive gives no name that is not ASCII. */
	setlocale(LC_CTYPE, "C.UTF-8");
	if (!opened || read_entries(a, &w, NULL) != ARCHIVE_EOF) {
		refuse_others(first, (size_t)n);
		refuse(NO_ARCHIVE "%s", archive_error_string(a));
	}
	return fflush(stdout) == 0 ? GRADED : ENVIRONMENT;
}

/* --- outside --- */

/* Read bytes into new memory, with a NUL after them. Result: NULL if the file has no more. */
static char *read_bytes(FILE *f, size_t bytes)
{
	char *text = bytes <= (size_t)FILE_MEGABYTES << 20 ? calloc(1, bytes + 1) : NULL;
	return text && fread(text, 1, bytes, f) == bytes ? text : NULL;
}

/* The process inside may be one that the archive has taken over: a record is only a claim. */
static void read_records(const char *path, FILE *f, struct finds *found)
{
	struct record r;
	while (fread(&r, sizeof(r), 1, f) == 1) {
		char *name = read_bytes(f, r.path), *text = read_bytes(f, r.bytes);
		if (!name || !text || r.bytes > FILE_LIMIT + 1)
			give_up(FAILED, "%s: its list of files breaks off", path);
		if (r.kind == REFUSED_RECORD)
			give_up(FAILED, "%s: %s", path, name);
		finds_add(found, name, r.found, text, r.bytes);
		found->v[found->n - 1].inner = r.inner;
		free(name);
	}
}

void archive_read(const char *path, struct sandbox s, const struct lab_tree *tree,
		  struct finds *found)
{
	char *argv[] = { (char *)sandbox_self(&s), "unpack", tree->text, NULL };
	s.tree = grade_path("unpack");
	s.cpu_seconds = CPU_SECONDS, s.megabytes = MEGABYTES, s.file_megabytes = FILE_MEGABYTES;
	s.processes = PROCESSES, s.memory = MEGABYTES;
	s.input = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	FILE *f = fopen(grade_path("unpacked"), "w+e");
	if (s.input < 0)
		give_up(FAILED, "%s: %s", path, strerror(errno));
	if (!f || mkdir(s.tree, 0755) < 0)
		give_up(BROKEN, "%s: %s", s.tree, strerror(errno));
	s.output = fileno(f);
	int status = wait_for(sandbox_start(&s, argv), SECONDS);
	close(s.input);
	rewind(f);
	bool killed = status == 128 + SIGKILL || status == KILLED + SIGKILL;
	if (status == SANDBOX_LIMIT || status < 0 || (status >= 128 && !killed))
		give_up(FAILED, "%s: reading it takes more than %d s, or %d MiB of memory", path,
			CPU_SECONDS, MEGABYTES);
	if (status != GRADED)
		give_up(BROKEN, "%s: the archive could not be read here (status %d)", path, status);
	read_records(path, f, found);
	fclose(f);
	rmdir(s.tree);
}
