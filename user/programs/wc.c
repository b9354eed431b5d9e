/* SPDX-License-Identifier: MIT */
/* wc: count lines, words and bytes. */
#include "user.h"

struct counts { uint32_t lines, words, bytes; };

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
	return printf("%7u %7u %7u %s\n", c.lines, c.words, c.bytes, name) != 0;
}

int main(int argc, char **argv)
{
	struct counts total = { 0 };
	int status = 0;
	if (help_wanted(argc, argv))
		usage("[FILE...]", true);
	if (argc == 1)
		return count(0, "", &total);
	for (int i = 1; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY);
		if (fd < 0)
			complain(argv[i], fd), status = 1;
		else
			status |= count(fd, argv[i], &total), close(fd);
	}
	if (argc > 2)
		printf("%7u %7u %7u total\n", total.lines, total.words, total.bytes);
	return status;
}
