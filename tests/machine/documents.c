/* SPDX-License-Identifier: MIT */
/*
 * Documentation is executed: in README.md and docs/, each block that begins with ```sh after a line <!-- test --> is run,
 * line by line, from the project's root; a line that ends with another status than 0 fails.
 */
#include "tests.h"
#include <glob.h>

static unsigned run_file(const char *path, double seconds)
{
	static char text[4000];
	char line[1000];
	unsigned commands = 0, number = 0;
	bool marked = false, inside = false;
	FILE *f = fopen(path, "r");
	if (!f)
		give_up(BROKEN, "%s cannot be read", path);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		number++;
		if (strncmp(line, "```", 3) == 0) {
			inside = marked && strcmp(line, "```sh") == 0;
			marked = false;
		} else if (inside && *line && *line != '#') {
			int status = shell(text, sizeof(text), seconds, "%s", line);
			CHECK(status == 0, "%s:%u: `%s` ended with status %d:\n%s", path, number, line, status, text);
			commands++;
		} else if (*line) {
			marked = strcmp(line, "<!-- test -->") == 0;
		}
	}
	fclose(f);
	return commands;
}

static void documents(const struct test *t)
{
	glob_t files;
	unsigned commands = run_file("README.md", t->seconds);
	if (glob("docs/*.md", 0, NULL, &files) == 0)
		for (size_t i = 0; i < files.gl_pathc; i++)
			commands += run_file(files.gl_pathv[i], t->seconds);
	CHECK(commands > 0, "no command in README.md or docs/ is marked with <!-- test -->");
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
	{ .name = "documents", .run = documents, .seconds = 300 },
	{ .name = "make-help", .run = host_command, .seconds = 30, .text = "make help | grep -q demo" },
	{ .name = "make-doctor", .run = host_command, .seconds = 60, .text = "make doctor" },
	{ .name = "make-size", .run = host_command, .seconds = 60, .text = "make size" },
	{ .name = "make-check", .run = host_command, .seconds = 120, .text = "make check" },
	{ .name = "report", .run = host_command, .seconds = 60, .text = "tests/report/check 2>&1" },
	{ 0 },
};
