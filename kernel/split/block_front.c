/* SPDX-License-Identifier: MIT */
/*
 * A guest's disk: the front end. It cuts a transfer into requests, and puts as many as the ring has
 * slots before it notifies the back end once; it wants to be notified once, too, when all are
 * answered. Data in a page that the disk gave to the block cache are moved there by the back end;
 * all others are copied. Until the answer all that a request needs to be put again, into another
 * ring, is the caller's.
 */
#include "domain/ports.h"
#include "proc/lock.h"
#include "split/split.h"

static struct blockdev front;
static unsigned front_port;
static struct mutex transfers; /* one transfer at a time; guards the ring */
static struct ring front_ring;
static struct port_sleepers sleepers; /* the task that transfers */

/* Show the back end the requests, and wait until all are answered. */
static void ask(void)
{
	if (ring_publish(&front_ring))
		port_notify(front_port);
	uint32_t flags = spin_lock_irq(&sleepers.lock);
	while (!ring_ask(&front_ring, front_ring.published - front_ring.taken))
		wait_on_unkillable(&sleepers.queue, &sleepers.lock);
	spin_unlock_irq(&sleepers.lock, flags);
}

/* The page for the data of request number i of a transfer, if they lie elsewhere. */
static char *copy_page(unsigned i) { return front.pages + (BLOCK_LENT + i) * PAGE_SIZE; }

static int front_move(struct blockdev *d, bool write, const struct block_part *p, unsigned n)
{
	struct { char *data; uint32_t bytes; } copies[BLOCK_DEPTH]; /* by request */
	uint32_t done = 0; /* sectors of *p that were asked for */
	int error = 0;
	mutex_lock(&transfers);
	while (n && !error) {
		unsigned asked = 0, i;
		for (; n && asked < BLOCK_DEPTH; asked++) {
			char *data = (char *)p->data + done * SECTOR;
			struct block_message m = { p->n ? write : BLOCK_FLUSH, p->sector + done,
						   MIN(p->n - done, BLOCK_SECTORS), 0,
						   (size_t)(data - d->pages) / PAGE_SIZE };
			copies[asked].bytes = 0;
			if (m.page >= BLOCK_LENT) {
				m.page = BLOCK_LENT + asked;
				copies[asked].data = data;
				copies[asked].bytes = m.sectors * SECTOR;
				if (write)
					memcpy(copy_page(asked), data, copies[asked].bytes);
			}
			ring_put(&front_ring, &m, sizeof(m));
			done += m.sectors;
			if (done == p->n)
				p++, n--, done = 0;
		}
		if (!front_ring.broken)
			ask();
		for (i = 0; i < asked; i++) {
			struct block_message m;
			if (ring_take(&front_ring, &m, sizeof(m)) <= 0)
				m.status = -EIO;
			else if (!write && copies[i].bytes)
				memcpy(copies[i].data, copy_page(i), copies[i].bytes);
			error = error ? error : MIN(m.status, 0);
		}
	}
	mutex_unlock(&transfers);
	return error;
}

struct blockdev *block_front_init(const struct domain_start *start)
{
	front = (struct blockdev){ .name = "ring", .sectors = start->disk_sectors,
				   .depth = BLOCK_DEPTH, .move = front_move,
				   .pages = (char *)start->disk.ring + PAGE_SIZE,
				   .nr_pages = BLOCK_LENT,
				   .read_only = start->disk_read_only };
	front_port = start->disk.port;
	void *page = (void *)start->disk.ring;
	ring_open(&front_ring, &page, RING_FRONT, BLOCK_DEPTH, PAGE_SIZE);
	port_bind(front_port, port_wake, &sleepers);
	return &front;
}
