/* SPDX-License-Identifier: MIT */
/* tail: print the last lines (10, or -n N, or -N) of a file or of standard input. */
#include "user.h"

static const char how[] = "[-n LINES] [FILE]";

/* Read all that comes into memory. Result: its length, or an error. */
static int read_all(int fd, char **text)
{
	uint32_t size = 0, length = 0;
	int n = 1;
	for (*text = NULL; n > 0; length += (uint32_t)n) {
		if (length == size) {
			char *more = malloc(size = size ? size * 2 : 4096);
			if (!more)
				return -ENOMEM;
			memcpy(more, *text, length);
			free(*text);
			*text = more;
		}
		n = read(fd, *text + length, size - length);
		if (n < 0)
			return n;
	}
	return (int)length;
}

int main(int argc, char **argv)
{
	int i;
	uint32_t lines = lines_option(argc, argv, how, &i);
	if (i + 1 < argc)
		usage(how, false);
	char *text;
	int fd = i < argc ? open(argv[i], O_RDONLY) : 0, n = fd < 0 ? fd : read_all(fd, &text);
	if (n < 0) {
		complain(i < argc ? argv[i] : "input", n);
		return 1;
	}
	int at = n;
	while (at > 0 && lines) /* a newline before the last byte ends the line before */
		lines -= --at > 0 && text[at - 1] == '\n';
	return write_all(1, text + at, (uint32_t)(n - at)) != 0;
}
