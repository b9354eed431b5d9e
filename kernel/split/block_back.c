/* SPDX-License-Identifier: MIT */
/*
 * Guests' disks: the back ends, over files. One task serves all guests in turn, each at most as
 * many requests as a ring has, so that none waits for another's stream of requests. A guest is not
 * trusted: its request is copied first, and each field of the copy is checked.
 */
#include "domain/ports.h"
#include "fs/vnode.h"
#include "mm/frame.h"
#include "proc/task.h"
#include "split/split.h"

struct block_back {
	struct block_back *next;
	struct vnode *file;
	bool read_only;
	uint32_t sectors;
	unsigned nr_pages;
	pfn_t pfns[1 + BLOCK_BUFFERS]; /* the ring's, the buffers' */
	unsigned port;                 /* 0: not connected yet */
	struct ring ring;
	volatile bool notified; /* the guest has put requests */
	uint32_t requests;      /* served */
};

static struct mutex mutex; /* guards the list, and is held while one of them is served */
static struct block_back *backs;
static struct spinlock lock; /* guards `work` */
static bool work;            /* a back end is notified */
static struct wait_queue server;

/* A port's handler, too. */
static void wake_server(void *back)
{
	((struct block_back *)back)->notified = true;
	uint32_t flags = spin_lock_irq(&lock);
	work = true;
	wake_all(&server);
	spin_unlock_irq(&lock, flags);
}

/* --- one guest --- */

static int move(struct block_back *b, const struct block_request *q)
{
	bool write = q->op == BLOCK_WRITE;
	if (q->op > BLOCK_WRITE || q->buffer >= BLOCK_BUFFERS || q->sectors < 1 ||
	    q->sectors > BLOCK_SECTORS || q->sector > b->sectors ||
	    q->sectors > b->sectors - q->sector)
		return -EINVAL;
	if (write && b->read_only)
		return -EROFS;
	char *data = pfn_to_virt(b->pfns[1 + q->buffer]);
	uint32_t at = q->sector * SECTOR, bytes = q->sectors * SECTOR;
	const struct vnode_ops *ops = b->file->ops;
	int n = write ? ops->write(b->file, at, data, bytes, false)
		      : ops->read(b->file, at, data, bytes, false);
	return n == (int)bytes ? 0 : -EIO;
}

/* Serve a guest's requests. Result: whether it may have more. */
static bool serve(struct block_back *b)
{
	union block_message m, answer;
	unsigned n = 0;
	int got = 0;
	while (n < b->ring.slots && (got = ring_take(&b->ring, &m)) > 0) {
		memset(&answer, 0, sizeof(answer)); /* all of it goes to the guest */
		answer.response.id = m.request.id;
		answer.response.status = m.request.op == BLOCK_FLUSH ? b->file->ops->sync(b->file)
				       : move(b, &m.request);
		ring_put(&b->ring, &answer);
		n++;
	}
	b->requests += n;
	if (got < 0) {
		printk("split: a guest's disk is disconnected: its ring is broken\n");
		port_unbind(b->port);
		b->port = 0;
		return false;
	}
	if (ring_publish(&b->ring))
		port_notify(b->port);
	return n == b->ring.slots || ring_ask(&b->ring, 1);
}

static void serve_all(void)
{
	mutex_lock(&mutex);
	for (struct block_back *b = backs; b; b = b->next)
		if (b->port && b->notified) {
			b->notified = false;
			if (serve(b))
				wake_server(b);
		}
	mutex_unlock(&mutex);
}

static void serve_main(void)
{
	for (;;) {
		uint32_t flags = spin_lock_irq(&lock);
		while (!work)
			wait_on_unkillable(&server, &lock);
		work = false;
		spin_unlock_irq(&lock, flags);
		serve_all();
	}
}

/* --- the life of a back end --- */

static void drop(struct block_back *b)
{
	while (b->nr_pages)
		frame_put(b->pfns[--b->nr_pages]);
	vnode_put(b->file);
	kfree(b);
}

/* Result: 0, -ENOMEM. */
static int get_pages(struct block_back *b)
{
	for (; b->nr_pages < ARRAY_SIZE(b->pfns); b->nr_pages++) {
		pfn_t pfn = b->pfns[b->nr_pages] = frame_alloc(0);
		if (pfn == NO_FRAME)
			return -ENOMEM;
		memset(pfn_to_virt(pfn), 0, PAGE_SIZE); /* the guest will see it */
	}
	struct ring_page *page = pfn_to_virt(b->pfns[0]);
	ring_clear(page);
	ring_open(&b->ring, page, RING_BACK, sizeof(union block_message));
	return 0;
}

/* Put b into the list. Result: 0, -EBUSY, -ENOMEM. */
static int add(struct block_back *b)
{
	static struct task *task;
	mutex_lock(&mutex);
	if (!task && (task = task_create("disks", serve_main)))
		sched_ready(task);
	int error = task ? 0 : -ENOMEM;
	for (struct block_back *o = backs; o && !error; o = o->next)
		if (o->file == b->file && !(o->read_only && b->read_only))
			error = -EBUSY;
	if (!error) {
		b->next = backs;
		backs = b;
	}
	mutex_unlock(&mutex);
	return error;
}

int block_back_create(struct vnode *file, bool read_only, struct block_back **out, pfn_t *pfns,
		      uint32_t *sectors)
{
	struct block_back *b = kzalloc(sizeof(*b));
	if (!b) {
		vnode_put(file);
		return -ENOMEM;
	}
	b->file = file;
	b->read_only = read_only;
	b->sectors = file->size / SECTOR;
	bool regular = (file->mode & S_IFMT) == S_IFREG;
	int error = regular && b->sectors ? get_pages(b) : -EINVAL;
	if (!error)
		error = add(b);
	if (error) {
		drop(b);
		return error;
	}
	memcpy(pfns, b->pfns, sizeof(b->pfns));
	*sectors = b->sectors;
	*out = b;
	return 0;
}

void block_back_connect(struct block_back *b, unsigned port)
{
	b->port = port;
	port_bind(port, wake_server, b);
	wake_server(b);
}

void block_back_destroy(struct block_back *b)
{
	if (!b)
		return;
	if (b->port)
		port_unbind(b->port);
	mutex_lock(&mutex);
	struct block_back **at = &backs;
	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	mutex_unlock(&mutex);
	drop(b);
}
