/* SPDX-License-Identifier: MIT */
/* cp: copy a file, or several into a directory. */
#include "user.h"

static int copy(const char *from, const char *to)
{
	static char buf[4096];
	struct stat a, b;
	int n = stat(from, &a);
	if (n || (a.st_mode & S_IFMT) == S_IFDIR) {
		complain(from, n ? n : EISDIR);
		return 1;
	}
	if (stat(to, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino) {
		dprintf(2, "cp: %s and %s are the same file\n", from, to);
		return 1;
	}
	int in = open(from, O_RDONLY);
	int out = in < 0 ? in : open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	const char *about = in < 0 ? from : to;
	n = out;
	while (n >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
		n = write_all(out, buf, (uint32_t)n);
	if (n < 0)
		complain(about, n);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return n < 0;
}

int main(int argc, char **argv) { return for_each_from(argc, argv, copy); }
