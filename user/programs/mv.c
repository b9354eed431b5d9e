/* SPDX-License-Identifier: MIT */
/* mv: rename a file or directory, or move several into a directory. */
#include "user.h"

int main(int argc, char **argv)
{
	struct stat st;
	int status = 0, i = no_options(argc, argv, 2, "FROM... TO");
	const char *to = argv[argc - 1];
	bool into = stat(to, &st) == 0 && (st.st_mode & S_IFMT) == S_IFDIR;
	if (argc - i > 2 && !into) {
		complain(to, ENOTDIR);
		return 1;
	}
	for (; i < argc - 1; i++) {
		char path[PATH_MAX];
		snprintf(path, sizeof(path), into ? "%s/%s" : "%s", to, last_part(argv[i]));
		int error = rename(argv[i], path);
		if (error)
			complain(argv[i], error), status = 1;
	}
	return status;
}
