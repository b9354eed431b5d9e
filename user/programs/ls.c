/* SPDX-License-Identifier: MIT */
/*
 * ls: list directories, sorted by name; -l: with type, links, size and inode number; -a: with
 * hidden names.
 */
#include "user.h"

static bool with_details, all;

static char type_letter(uint32_t mode)
{
	return "?pc?d?b?-?l?s???"[(mode & S_IFMT) >> 12];
}

static void show(const char *name, const char *path)
{
	struct stat st;
	int error = with_details ? stat(path, &st) : 0;
	if (error)
		complain(path, error);
	else if (with_details)
		printf("%c %3u %8u %5u %s\n", type_letter(st.st_mode), st.st_nlink, st.st_size,
		       st.st_ino, name);
	else
		printf("%s\n", name);
}

static int list_directory(const char *path)
{
	struct dir d;
	char **names = NULL, full[PATH_MAX + 1]; /* what is cut is too long for stat() */
	uint32_t n = 0, room = 0;
	if (dir_open(&d, path)) {
		complain(path, d.error);
		return 1;
	}
	for (struct dirent *e; (e = dir_next(&d));) {
		if (e->d_name[0] == '.' && !all)
			continue;
		if (n == room) {
			char **more = malloc((room = room ? room * 2 : 64) * sizeof(*names));
			if (more && n)
				memcpy(more, names, n * sizeof(*names));
			free(names);
			names = more;
		}
		char *copy = names ? strdup(e->d_name) : NULL;
		if (!copy) {
			complain(path, ENOMEM);
			exit(1);
		}
		uint32_t at = n++;
		for (; at && strcmp(names[at - 1], copy) > 0; at--)
			names[at] = names[at - 1];
		names[at] = copy;
	}
	for (uint32_t i = 0; i < n; i++) {
		snprintf(full, sizeof(full), "%s/%s", path, names[i]);
		show(names[i], full);
	}
	dir_close(&d);
	if (d.error)
		complain(path, d.error);
	return d.error != 0;
}

int main(int argc, char **argv)
{
	int i = 1, status = 0;
	if (help_wanted(argc, argv))
		usage("[-a] [-l] [PATH...]", true);
	/* up to "--" */
	for (bool more = true; more && i < argc && argv[i][0] == '-' && argv[i][1]; i++)
		for (const char *s = argv[i] + 1; (more = strcmp(s, "-") != 0) && *s; s++) {
			if (*s != 'a' && *s != 'l')
				usage("[-a] [-l] [PATH...]", false);
			*(*s == 'a' ? &all : &with_details) = true;
		}
	if (i == argc)
		return list_directory(".");
	for (bool many = argc - i > 1; i < argc; i++) {
		struct stat st;
		int error = stat(argv[i], &st);
		if (error) {
			complain(argv[i], error);
			status = 1;
		} else if ((st.st_mode & S_IFMT) == S_IFDIR) {
			if (many)
				printf("%s:\n", argv[i]);
			status |= list_directory(argv[i]);
		} else {
			show(argv[i], argv[i]);
		}
	}
	return status;
}
