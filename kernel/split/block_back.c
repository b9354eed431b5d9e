/* SPDX-License-Identifier: MIT */
/*
 * Guests' disks: the back ends, over files. A guest is not trusted: its request is copied first,
 * and each field of the copy is checked.
 */
#include "domain/ports.h"
#include "fs/vnode.h"
#include "split/split.h"

static int move(struct back *b, const struct block_message *q)
{
	bool write = q->op == BLOCK_WRITE;
	const struct vnode_ops *ops = b->file->ops;
	uint32_t sectors = b->file->size / SECTOR;
	if (q->op == BLOCK_FLUSH)
		return ops->sync(b->file);
	if (q->op > BLOCK_WRITE || q->sectors < 1 || q->sectors > BLOCK_SECTORS ||
	    q->sector > sectors || q->sectors > sectors - q->sector || q->page >= BLOCK_DATA)
		return -EINVAL;
	if (write && b->read_only)
		return -EROFS;
	return ops->direct(b->file, write, q->sector * SECTOR, b->pages[1 + q->page],
			   q->sectors * SECTOR) ? -EIO : 0;
}

static int serve(struct back *b)
{
	struct ring *r = &b->wire.in;
	struct block_message m;
	unsigned n = 0;
	int got = 0;
	for (; n < BLOCK_DEPTH && (got = ring_take(r, &m, sizeof(m))) > 0; n++) {
		m.status = move(b, &m);
		ring_put(r, &m, sizeof(m));
	}
	if (got < 0)
		return got;
	if (ring_publish(r))
		port_notify(b->port);
	return n == BLOCK_DEPTH || ring_ask(r, 1);
}

int block_back_create(struct vnode *file, bool read_only, struct back **out)
{
	int error = (file->mode & S_IFMT) == S_IFREG && file->size >= SECTOR ? 0 : -EINVAL;
	for (struct back *o = backs; o; o = o->next)
		if (o->file == file && !(o->read_only && read_only))
			error = -EBUSY;
	struct back *b = error ? NULL : back_create(serve, BLOCK_PAGES);
	if (!b) {
		vnode_put(file);
		return error ? error : -ENOMEM;
	}
	b->file = file;
	b->read_only = read_only;
	ring_open(&b->wire.in, b->pages, RING_BACK, BLOCK_DEPTH, PAGE_SIZE);
	ring_clear(b->wire.in.page);
	*out = b;
	return 0;
}
