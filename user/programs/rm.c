/* SPDX-License-Identifier: MIT */
/*
 * rm: remove files; -r: also directories with all that they hold; -f: without a complaint about
 * names that do not exist.
 */
#include "user.h"

static bool recursive, force;

static int remove(const char *path)
{
	struct dir d;
	int error = unlink(path), status = 0;
	if (error == -ENOENT && force)
		return 0;
	if (error == -EISDIR && recursive && (error = dir_open(&d, path)) == 0) {
		char *below = malloc(PATH_MAX);
		for (struct dirent *e; below && (e = dir_next(&d));)
			if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
				snprintf(below, PATH_MAX, "%s/%s", path, e->d_name);
				status |= remove(below);
			}
		free(below);
		dir_close(&d);
		error = !below ? -ENOMEM : d.error ? d.error : status ? 0 : rmdir(path);
	}
	if (error)
		complain(path, error);
	return status || error;
}

int main(int argc, char **argv)
{
	int i = 1, status = 0;
	/* up to "--" */
	for (bool more = true; more && i < argc && argv[i][0] == '-' && argv[i][1]; i++)
		for (const char *s = argv[i] + 1; (more = strcmp(s, "-") != 0) && *s; s++) {
			if (*s != 'r' && *s != 'f')
				usage("[-r] [-f] PATH...", help_wanted(argc, argv));
			*(*s == 'r' ? &recursive : &force) = true;
		}
	if (i == argc && !force)
		usage("[-r] [-f] PATH...", false);
	for (; i < argc; i++)
		status |= remove(argv[i]);
	return status;
}
