/* SPDX-License-Identifier: MIT */
/*
 * rm: remove files; -r: also directories with all that they hold; -f: without a complaint about
 * names that do not exist.
 */
#include "user.h"

static bool recursive, force;

static int remove(const char *path);

/*
 * Remove a directory. It is closed while an entry goes away: a way down may have more directories
 * than a process can open. Result: 0, an error, or 1 after complaining about an entry.
 */
static int remove_directory(const char *path)
{
	struct { struct dir d; char below[PATH_MAX + 1]; } *m = malloc(sizeof(*m));
	int error = m ? dir_open(&m->d, path) : -ENOMEM, status = 0;
	for (struct dirent *e; !error && (e = dir_next(&m->d));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		int at = lseek(m->d.fd, 0, SEEK_CUR);
		dir_close(&m->d);
		/* What is cut is too long for the kernel. */
		snprintf(m->below, sizeof(m->below), "%s/%s", path, e->d_name);
		status |= remove(m->below);
		m->d.fd = open(path, O_RDONLY | O_DIRECTORY);
		at = m->d.fd < 0 ? m->d.fd : lseek(m->d.fd, at, SEEK_SET);
		error = at < 0 ? at : 0;
	}
	if (m && m->d.fd >= 0)
		dir_close(&m->d);
	error = error || !m ? error : m->d.error;
	free(m);
	return error ? error : status ? status : rmdir(path);
}

static int remove(const char *path)
{
	int error = unlink(path);
	if (error == -ENOENT && force)
		return 0;
	if (error == -EISDIR && recursive)
		error = remove_directory(path);
	if (error < 0)
		complain(path, error);
	return error != 0;
}

/* The root, and what ends in . or .., are there by mistake: everything else would go away. */
static bool is_mistake(const char *path)
{
	const char *name = last_part(path);
	uint32_t dots = 0;
	while (name[dots] == '.')
		dots++;
	return dots <= 2 && (name[dots] == '/' || (dots && !name[dots]));
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
	for (; i < argc; i++) {
		if (is_mistake(argv[i])) {
			dprintf(2, "rm: %s: neither the root nor . and .. are removed\n", argv[i]);
			status = 1;
			continue;
		}
		status |= remove(argv[i]);
	}
	return status;
}
