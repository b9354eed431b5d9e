/* SPDX-License-Identifier: MIT */
/*
 * Documentation is executed. In README.md and docs/ each block that begins with ```sh follows one
 * of two lines. <!-- test --> means that its lines are run, one by one, in the project's root, and
 * that each must end with status 0; a line that ends with a backslash goes on in the next.
 * <!-- soak test: NAME --> means the same for soak-documents only; the test NAME does what the
 * block shows in each run. <!-- no test: REASON --> says why the block is not run.
 */
#include "tests.h"
#include <glob.h>

enum mark { NO_MARK, RUN, SOAK, REASON };

static enum mark mark_of(const char *line)
{
	if (strcmp(line, "<!-- test -->") == 0)
		return RUN;
	if (strncmp(line, "<!-- soak test: ", 16) == 0)
		return SOAK;
	return strncmp(line, "<!-- no test: ", 14) == 0 ? REASON : NO_MARK;
}

static void run_line(const char *path, unsigned number, const char *line, double seconds)
{
	static char text[4000];
	int status = shell(text, sizeof(text), seconds, "%s", line);
	CHECK(status == 0, "%s:%u: `%s` ended with status %d:\n%s", path, number, line, status,
	      text);
}

/* The next line; in a block with those that continue it. number: of the last line read. */
static bool read_line(FILE *f, bool block, char *line, size_t size, unsigned *number)
{
	size_t n = 0;
	while (n + 1 < size && fgets(line + n, (int)(size - n), f)) {
		n += strcspn(line + n, "\n");
		line[n] = '\0';
		++*number;
		if (!block || n == 0 || line[n - 1] != '\\')
			return true;
		line[--n] = '\0';
	}
	return n > 0;
}

/* Run the marked blocks of a file. soak: those, too. Result: how many commands were run. */
static unsigned run_file(const char *path, bool soak, double seconds)
{
	char line[4000];
	unsigned commands = 0, number = 0;
	bool inside = false, run = false;
	enum mark mark = NO_MARK;
	FILE *f = fopen(path, "r");
	if (!f)
		give_up(BROKEN, "%s cannot be read", path);
	while (read_line(f, inside, line, sizeof(line), &number)) {
		if (strncmp(line, "```", 3) == 0) {
			bool shell_block = !inside && strcmp(line, "```sh") == 0;
			CHECK(!shell_block || mark != NO_MARK,
			      "%s:%u: this block of commands is neither tested nor says why", path,
			      number);
			inside = !inside;
			run = shell_block && (mark == RUN || (soak && mark == SOAK));
			mark = NO_MARK;
		} else if (inside && run && *line && *line != '#') {
			run_line(path, number, line, seconds);
			commands++;
		} else if (!inside && *line) {
			mark = mark_of(line);
		}
	}
	CHECK(!inside, "%s: a block does not end", path);
	fclose(f);
	return commands;
}

/* text: a pattern of file names; number: 1 for all blocks, also those of long runs. */
static void documents(const struct test *t)
{
	glob_t files;
	unsigned commands = 0;
	if (glob(t->text, 0, NULL, &files) == 0)
		for (size_t i = 0; i < files.gl_pathc; i++)
			commands += run_file(files.gl_pathv[i], t->number == 1, t->seconds);
	CHECK(commands > 0, "no command in %s is marked with <!-- test -->", t->text);
}

void host_command(const struct test *t)
{
	char text[6000];
	int status = shell(text, sizeof(text), t->seconds, "%s", t->text);
	CHECK(status == 0, "`%s` ended with status %d:\n%s", t->text, status, text);
}

/* The handbook, as a reader of its files and as a browser see it. */
static void handbook(const struct test *t)
{
	char text[6000];
	host_command(t);
	need_browser();
	int status = shell(text, sizeof(text), t->seconds, "NODE_PATH=%s/browser/node_modules "
			   "node tests/browser/handbook.js build/docs 2>&1", build_dir);
	CHECK(status == 0, "tests/browser/handbook.js ended with status %d:\n%s", status, text);
}

const struct test document_tests[] = {
	{ .name = "documents-readme", .run = documents, .seconds = 200, .text = "README.md" },
	{ .name = "documents-a-h", .run = documents, .seconds = 300, .text = "docs/[a-h]*.md" },
	{ .name = "documents-i", .run = documents, .seconds = 900, .text = "docs/i*.md" },
	{ .name = "documents-j-z", .run = documents, .seconds = 300, .text = "docs/[j-z]*.md" },
	{ .name = "make-docs", .run = handbook, .seconds = 600,
	  .text = "make docs && tests/docs/site build/docs" },
	{ .name = "make-demo", .run = host_command, .seconds = 200, .text = "make demo" },
	{ .name = "make-help", .run = host_command, .seconds = 30,
	  .text = "make help | grep -q demo" },
	{ .name = "make-doctor", .run = host_command, .seconds = 60, .text = "make doctor" },
	{ .name = "make-size", .run = host_command, .seconds = 60, .text = "make size" },
	{ .name = "make-check", .run = host_command, .seconds = 120, .text = "make check" },
	{ .name = "mutants-listed", .run = host_command, .seconds = 60,
	  .text = "build/mutate kernel vmm lib --list >/dev/null" },
	{ .name = "make-other-compiler", .run = host_command, .seconds = 200,
	  .text = "make -s kernel CC32=false 2>&1 | "
		  "grep -c '^make: CC32=.false. does not compile' | grep -qx 1 && "
		  "make -s kernel OPT=-Os && [ -s build/kernel-Os/cinnabar ] && "
		  "rm -r build/kernel-Os build/kernel-false" },
	{ .name = "plain-copy", .run = host_command, .seconds = 200,
	  .text = "tests/labs/plain-copy 2>&1" },
	{ .name = "report", .run = host_command, .seconds = 60, .text = "tests/report/check 2>&1" },
	{ 0 },
};

const struct test document_soak_tests[] = {
	{ .name = "soak-documents", .run = documents, .seconds = 3600, .number = 1,
	  .text = "docs/*.md" },
	{ 0 },
};
