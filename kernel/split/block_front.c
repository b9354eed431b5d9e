/* SPDX-License-Identifier: MIT */
/*
 * A guest's disk: the front end. It cuts a transfer into requests of at most a page, and puts as
 * many as it has buffers before it notifies the back end once; it wants to be notified once, too,
 * when all are answered. Of each request it keeps a copy, its shadow: the back end's answers are
 * compared with shadows, and a request without answer can be put again into another ring.
 */
#include "domain/ports.h"
#include "proc/lock.h"
#include "split/split.h"

/* A request under way has the buffer with its shadow's number. */
struct shadow {
	struct block_request request;
	enum { FREE, RESERVED, ASKED, ANSWERED } state;
	int status;
	void *data; /* where what was read goes */
};

static struct blockdev front;
static bool front_read_only;
static unsigned front_port;
static char *front_buffers;
static struct spinlock front_lock; /* guards what follows */
static struct ring front_ring;
static uint32_t next_id;
static struct shadow shadows[BLOCK_BUFFERS];
static struct wait_queue front_waiters; /* for answers, and for free buffers */

/* What one caller wants. */
struct work {
	uint32_t op;
	const struct block_part *parts;
	unsigned n;    /* parts that are left, and */
	uint32_t done; /* how many sectors of the first of them were asked for */
	uint32_t mine; /* a bit for each shadow that is the caller's */
	int error;
};

static char *buffer_of(const struct shadow *s)
{
	return front_buffers + (s - shadows) * PAGE_SIZE;
}

/* --- with the lock held --- */

/* The other side lied: no request will be answered. */
static void give_up(void)
{
	front_ring.broken = true;
	for (struct shadow *s = shadows; s < shadows + BLOCK_BUFFERS; s++)
		if (s->state == ASKED)
			s->state = ANSWERED, s->status = -EIO;
}

/* Take the answers that are there. Each must have the id of a request under way. */
static void take_answers(void)
{
	union block_message m;
	int got;
	while ((got = ring_take(&front_ring, &m)) > 0) {
		struct shadow *s = &shadows[m.response.id % BLOCK_BUFFERS];
		if (s->state != ASKED || s->request.id != m.response.id) {
			got = -EPIPE;
			break;
		}
		s->state = ANSWERED;
		s->status = MIN(m.response.status, 0);
	}
	if (got < 0)
		give_up();
}

static uint32_t in_state(unsigned state)
{
	uint32_t bits = 0;
	for (unsigned i = 0; i < BLOCK_BUFFERS; i++)
		bits |= (uint32_t)(shadows[i].state == state) << i;
	return bits;
}

static bool wants_more(const struct work *w) { return w->n && !w->error; }

/* Wait until a request of the caller's is answered, or one more can be asked. */
static void wait(const struct work *w)
{
	for (;;) {
		take_answers();
		if (in_state(ANSWERED) & w->mine || (wants_more(w) && in_state(FREE)))
			return;
		uint32_t asked = front_ring.published - front_ring.taken;
		if (!asked || !ring_ask(&front_ring, asked))
			wait_on_unkillable(&front_waiters, &front_lock);
	}
}

static void answered(void *unused)
{
	(void)unused;
	uint32_t flags = spin_lock_irq(&front_lock);
	take_answers();
	wake_all(&front_waiters);
	spin_unlock_irq(&front_lock, flags);
}

/* --- a transfer --- */

/* Result: a shadow for a further request, or NULL: all are in use. */
static struct shadow *reserve(void)
{
	uint32_t flags = spin_lock_irq(&front_lock), free = in_state(FREE);
	struct shadow *s = free ? &shadows[__builtin_ctz(free)] : NULL;
	if (s)
		s->state = RESERVED;
	spin_unlock_irq(&front_lock, flags);
	return s;
}

/* Make the next request of w in s, whose buffer gets what is to be written. */
static void make_request(struct work *w, struct shadow *s)
{
	const struct block_part *p = w->parts;
	uint32_t some = MIN(p->n - w->done, BLOCK_SECTORS);
	s->data = (char *)p->data + w->done * SECTOR;
	s->request = (struct block_request){ .op = w->op, .sector = p->sector + w->done,
		.sectors = some, .buffer = (uint32_t)(s - shadows) };
	if (w->op == BLOCK_WRITE)
		memcpy(buffer_of(s), s->data, some * SECTOR);
	w->mine |= 1u << s->request.buffer;
	w->done += some;
	if (w->done == p->n)
		w->parts++, w->n--, w->done = 0;
}

/* Put the requests that were prepared, and notify the back end if it wants that. */
static void ask(const struct work *w)
{
	uint32_t flags = spin_lock_irq(&front_lock), fresh = in_state(RESERVED) & w->mine;
	for (; fresh; fresh &= fresh - 1) {
		struct shadow *s = &shadows[__builtin_ctz(fresh)];
		s->request.id = next_id++ * BLOCK_BUFFERS + s->request.buffer;
		s->state = ASKED;
		union block_message m = { .request = s->request };
		if (!ring_put(&front_ring, &m))
			give_up();
	}
	bool notify = !front_ring.broken && ring_publish(&front_ring);
	spin_unlock_irq(&front_lock, flags);
	if (notify)
		port_notify(front_port);
}

/* Give answered requests of w to the caller, and their buffers to whom waits for one. */
static void finish(struct work *w, uint32_t which)
{
	for (uint32_t bits = which; bits; bits &= bits - 1) {
		struct shadow *s = &shadows[__builtin_ctz(bits)];
		w->error = w->error ? w->error : s->status;
		if (w->op == BLOCK_READ && !s->status)
			memcpy(s->data, buffer_of(s), s->request.sectors * SECTOR);
		__atomic_store_n(&s->state, FREE, __ATOMIC_RELEASE);
	}
	w->mine &= ~which;
	uint32_t flags = spin_lock_irq(&front_lock);
	wake_all(&front_waiters);
	spin_unlock_irq(&front_lock, flags);
}

static int transfer(uint32_t op, const struct block_part *parts, unsigned n)
{
	struct work w = { .op = op, .parts = parts, .n = n };
	while (wants_more(&w) || w.mine) {
		struct shadow *s;
		while (wants_more(&w) && (s = reserve()))
			make_request(&w, s);
		ask(&w);
		uint32_t flags = spin_lock_irq(&front_lock);
		wait(&w);
		uint32_t which = in_state(ANSWERED) & w.mine;
		spin_unlock_irq(&front_lock, flags);
		finish(&w, which);
	}
	return w.error;
}

static int front_move(struct blockdev *d, bool write, const struct block_part *parts, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (parts[i].sector > d->sectors || parts[i].n > d->sectors - parts[i].sector)
			return -EINVAL;
	return write && front_read_only ? -EROFS
	       : transfer(write ? BLOCK_WRITE : BLOCK_READ, parts, n);
}

static int front_flush(struct blockdev *d)
{
	(void)d;
	return transfer(BLOCK_FLUSH, &(struct block_part){ 0 }, 1);
}

struct blockdev *block_front_init(const struct domain_start *start)
{
	if (!start->disk.port || start->disk.nr_buffers < BLOCK_BUFFERS)
		return NULL;
	front = (struct blockdev){ .name = "ring", .sectors = start->disk_sectors,
				   .depth = BLOCK_BUFFERS, .move = front_move,
				   .flush = front_flush };
	front_read_only = start->disk_read_only;
	front_port = start->disk.port;
	front_buffers = (char *)(uintptr_t)start->disk.buffers;
	ring_open(&front_ring, (struct ring_page *)(uintptr_t)start->disk.ring, RING_FRONT,
		  sizeof(union block_message));
	port_bind(front_port, answered, NULL);
	return &front;
}
