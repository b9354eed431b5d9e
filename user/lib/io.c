/* SPDX-License-Identifier: MIT */
/* Reading a file line by line, and a directory entry by entry. */
#include "user.h"

int read_line(struct reader *r, char *line, uint32_t size)
{
	uint32_t n = 0;
	for (;;) {
		if (r->at == r->end) {
			int got = read(r->fd, r->buf, sizeof(r->buf));
			if (got <= 0) {
				line[n] = '\0';
				return got < 0 ? got : n > 0;
			}
			r->at = 0;
			r->end = (uint32_t)got;
		}
		char c = r->buf[r->at++];
		if (c == '\n')
			break;
		if (n + 1 == size)
			return -ERANGE;
		line[n++] = c;
	}
	line[n] = '\0';
	return 1;
}

int dir_open(struct dir *d, const char *path)
{
	d->fd = open(path, O_RDONLY | O_DIRECTORY);
	d->at = d->end = 0;
	d->error = d->fd < 0 ? d->fd : 0;
	return d->error;
}

struct dirent *dir_next(struct dir *d)
{
	if (d->at == d->end) {
		int n = getdents(d->fd, d->buf, sizeof(d->buf));
		d->at = 0;
		d->end = n > 0 ? (uint32_t)n : 0;
		d->error = n < 0 ? n : 0;
		if (n <= 0)
			return NULL;
	}
	struct dirent *e = (struct dirent *)(d->buf + d->at);
	d->at += e->d_reclen;
	return e;
}

void dir_close(struct dir *d) { close(d->fd); }
