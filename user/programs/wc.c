/* SPDX-License-Identifier: MIT */
/* wc: count lines, words and bytes; -l: only lines. */
#include "user.h"

struct counts { uint32_t lines, words, bytes; };
static bool lines_only;

static int show(const struct counts *c, const char *name)
{
	if (lines_only)
		return printf("%u%s%s\n", c->lines, *name ? " " : "", name) != 0;
	return printf("%7u %7u %7u %s\n", c->lines, c->words, c->bytes, name) != 0;
}

static int count(int fd, const char *name, struct counts *total)
{
	static char buf[4096];
	struct counts c = { 0 };
	bool in_word = false;
	int n;
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		c.bytes += (uint32_t)n;
		for (int i = 0; i < n; i++) {
			bool space = buf[i] == ' ' || buf[i] == '\n' || buf[i] == '\t';
			c.lines += buf[i] == '\n';
			c.words += !space && !in_word;
			in_word = !space;
		}
	}
	if (n < 0) {
		complain(name, n);
		return 1;
	}
	total->lines += c.lines, total->words += c.words, total->bytes += c.bytes;
	return show(&c, name);
}

int main(int argc, char **argv)
{
	struct counts total = { 0 };
	int status = 0;
	lines_only = argc > 1 && strcmp(argv[1], "-l") == 0;
	argc -= lines_only, argv += lines_only;
	int first = no_options(argc, argv, 0, "[-l] [FILE...]");
	if (first == argc)
		return count(0, "", &total);
	for (int i = first; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY);
		if (fd < 0)
			complain(argv[i], fd), status = 1;
		else
			status |= count(fd, argv[i], &total), close(fd);
	}
	return argc - first > 1 ? status | show(&total, "total") : status;
}
