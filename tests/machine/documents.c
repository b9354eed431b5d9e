/* SPDX-License-Identifier: MIT */
/*
 * Documentation is executed: in README.md and docs/, each block that begins with ```sh follows a line <!-- test -->, and is run,
 * line by line, from the project's root, where each line must end with status 0; or a line <!-- no test: REASON -->.
 */
#include "tests.h"
#include <glob.h>

enum mark { NO_MARK, RUN, REASON };

static enum mark mark_of(const char *line)
{
	if (strcmp(line, "<!-- test -->") == 0)
		return RUN;
	return strncmp(line, "<!-- no test: ", 14) == 0 ? REASON : NO_MARK;
}

static void run_line(const char *path, unsigned number, const char *line, double seconds)
{
	static char text[4000];
	int status = shell(text, sizeof(text), seconds, "%s", line);
	CHECK(status == 0, "%s:%u: `%s` ended with status %d:\n%s", path, number, line, status, text);
}

/* Result: how many commands were run. */
static unsigned run_file(const char *path, double seconds)
{
	char line[1000];
	unsigned commands = 0, number = 0;
	bool inside = false, run = false;
	enum mark mark = NO_MARK;
	FILE *f = fopen(path, "r");
	if (!f)
		give_up(BROKEN, "%s cannot be read", path);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		number++;
		if (strncmp(line, "```", 3) == 0) {
			bool shell_block = !inside && strcmp(line, "```sh") == 0;
			CHECK(!shell_block || mark != NO_MARK, "%s:%u: this block of commands is neither tested nor says why", path, number);
			inside = !inside;
			run = shell_block && mark == RUN;
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

/* text: pattern of files' names. */
static void documents(const struct test *t)
{
	glob_t files;
	unsigned commands = 0;
	if (glob(t->text, 0, NULL, &files) == 0)
		for (size_t i = 0; i < files.gl_pathc; i++)
			commands += run_file(files.gl_pathv[i], t->seconds);
	CHECK(commands > 0, "no command in %s is marked with <!-- test -->", t->text);
}

/* A command on the host that must succeed. */
static void host_command(const struct test *t)
{
	char text[6000];
	int status = shell(text, sizeof(text), t->seconds, "%s", t->text);
	CHECK(status == 0, "`%s` ended with status %d:\n%s", t->text, status, text);
}

/* `make check` passes, and its own self-test shows that it finds a planted instruction. */
const struct test document_tests[] = {
	{ .name = "documents-readme", .run = documents, .seconds = 200, .text = "README.md" },
	{ .name = "documents-a-h", .run = documents, .seconds = 300, .text = "docs/[a-h]*.md" },
	{ .name = "documents-i-z", .run = documents, .seconds = 300, .text = "docs/[i-z]*.md" },
	{ .name = "make-docs", .run = host_command, .seconds = 60, .text = "make docs && tests/docs/site build/docs" },
	{ .name = "make-demo", .run = host_command, .seconds = 200, .text = "make demo" },
	{ .name = "make-help", .run = host_command, .seconds = 30, .text = "make help | grep -q demo" },
	{ .name = "make-doctor", .run = host_command, .seconds = 60, .text = "make doctor" },
	{ .name = "make-size", .run = host_command, .seconds = 60, .text = "make size" },
	{ .name = "make-check", .run = host_command, .seconds = 120, .text = "make check" },
	{ .name = "report", .run = host_command, .seconds = 60, .text = "tests/report/check 2>&1" },
	{ 0 },
};
