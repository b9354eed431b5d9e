/* SPDX-License-Identifier: MIT */
/*
 * A guest's disk: the front end. It cuts a transfer into requests, and puts as many as the ring has
 * slots before it notifies the back end once; it wants to be notified once, too, when all are
 * answered. Until then all that a request needs to be put again, into another ring, is the
 * caller's.
 */
#include "domain/ports.h"
#include "proc/lock.h"
#include "split/split.h"

static struct blockdev front;
static unsigned front_port;
static struct mutex transfers; /* one transfer at a time; guards the ring */
static struct ring front_ring;
static void *front_pages[BLOCK_PAGES];
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

/* A request's place in a transfer. */
struct piece { char *data; uint32_t bytes; };

static int transfer(uint32_t op, const struct block_part *p, unsigned n)
{
	struct piece pieces[BLOCK_DEPTH], *at;
	uint32_t done = 0; /* sectors of *p that were asked for */
	int error = 0;
	mutex_lock(&transfers);
	while (n && !error) {
		for (at = pieces; n && at < pieces + BLOCK_DEPTH; at++) {
			struct block_message m = { .op = op, .sector = p->sector + done,
						   .sectors = MIN(p->n - done, BLOCK_SECTORS) };
			*at = (struct piece){ (char *)p->data + done * SECTOR, m.sectors * SECTOR };
			if (ring_put(&front_ring, &m, sizeof(m)) && op == BLOCK_WRITE)
				memcpy(ring_data(&front_ring, front_ring.put - 1), at->data,
				       at->bytes);
			done += m.sectors;
			if (done == p->n)
				p++, n--, done = 0;
		}
		if (!front_ring.broken)
			ask();
		for (struct piece *end = at, *at = pieces; at < end; at++) {
			struct block_message m;
			if (ring_take(&front_ring, &m, sizeof(m)) <= 0)
				m.status = -EIO;
			else if (op == BLOCK_READ)
				memcpy(at->data, ring_data(&front_ring, front_ring.taken - 1),
				       at->bytes);
			error = error ? error : MIN(m.status, 0);
		}
	}
	mutex_unlock(&transfers);
	return error;
}

static int front_move(struct blockdev *d, bool write, const struct block_part *parts, unsigned n)
{
	(void)d;
	return transfer(write ? BLOCK_WRITE : BLOCK_READ, parts, n);
}

static int front_flush(struct blockdev *d)
{
	(void)d;
	return transfer(BLOCK_FLUSH, &(struct block_part){ 0 }, 1);
}

struct blockdev *block_front_init(const struct domain_start *start)
{
	front = (struct blockdev){ .name = "ring", .sectors = start->disk_sectors,
				   .depth = BLOCK_DEPTH, .move = front_move,
				   .flush = front_flush,
				   .read_only = start->disk_read_only };
	front_port = start->disk.port;
	for (unsigned i = 0; i < BLOCK_PAGES; i++)
		front_pages[i] = (void *)(start->disk.ring + i * PAGE_SIZE);
	ring_open(&front_ring, front_pages, RING_FRONT, BLOCK_DEPTH, PAGE_SIZE);
	port_bind(front_port, port_wake, &sleepers);
	return &front;
}
