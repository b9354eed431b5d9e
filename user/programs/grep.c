/* SPDX-License-Identifier: MIT */
/* grep: print the lines that contain a text; -v: those that do not; -c: only their number. */
#include "user.h"

static bool invert, count_only;

/* Result: the number of lines found, or an error. */
static int search(int fd, const char *text, const char *prefix)
{
	static char line[65536];
	static struct reader reader;
	int found = 0, got;
	reader = (struct reader){ .fd = fd };
	while ((got = read_line(&reader, line, sizeof(line))) > 0)
		if ((strstr(line, text) != NULL) != invert) {
			found++;
			if (!count_only) {
				printf("%s%s", prefix, *prefix ? ":" : "");
				print(line, strlen(line));
				print("\n", 1);
			}
		}
	if (count_only)
		printf("%s%s%d\n", prefix, *prefix ? ":" : "", found);
	return got < 0 ? got : found;
}

int main(int argc, char **argv)
{
	int i = 1, found = 0, failed = 0;
	if (help_wanted(argc, argv))
		usage("[-v] [-c] TEXT [FILE...]", true);
	for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		invert |= strcmp(argv[i], "-v") == 0;
		count_only |= strcmp(argv[i], "-c") == 0;
		if (strcmp(argv[i], "-v") != 0 && strcmp(argv[i], "-c") != 0)
			usage("[-v] [-c] TEXT [FILE...]", false);
	}
	if (i == argc)
		usage("[-v] [-c] TEXT [FILE...]", false);
	const char *text = argv[i++];
	if (i == argc && (found = search(0, text, "")) < 0)
		complain("input", found), failed = 2;
	for (int first = i; i < argc; i++) {
		const char *prefix = argc - first > 1 ? argv[i] : "";
		int fd = open(argv[i], O_RDONLY), n = fd < 0 ? fd : search(fd, text, prefix);
		if (n < 0)
			complain(argv[i], n), failed = 2;
		else
			found += n;
		if (fd >= 0)
			close(fd);
	}
	return failed ? failed : found <= 0;
}
