/* SPDX-License-Identifier: MIT */
/*
 * Pipes: a ring of bytes in which each end owns its own position, so that a reader and a
 * writer work at the same time without a lock. Several tasks at one end take turns by this
 * end's `busy` word. A spin lock cannot take its place: the bytes go straight from and to user
 * memory, and an access there may fault and sleep. The pipe's spin lock guards only sleeping
 * and waking.
 *
 * No wake-up is lost. A task that finds the pipe not ready writes its need into `waiting`,
 * and looks at the positions again before it sleeps. A task that has moved a position looks
 * at `waiting` afterwards. Each has a locked instruction between its write and its read, so
 * at least one of the two sees what the other wrote.
 */
#include "fs/file.h"
#include "mm/frame.h"
#include "mm/vm.h"

#define PIPE_ORDER 4     /* 64 KiB: few context switches on bulk data */
#define PIPE_ATOMIC 4096 /* bytes of a write that are not mixed with other writes */

struct pipe_end {
	uint32_t pos;     /* bytes that have passed here, modulo 2^32 */
	uint32_t busy;    /* a task copies at this end; it alone changes pos */
	uint32_t waiting; /* the smallest need of a sleeper, in bytes; 0 if none sleeps */
	uint32_t open;
	struct wait_queue queue; /* under the pipe's lock */
};

struct pipe {
	struct pipe_end ends[2]; /* the reader's, the writer's: index with `writer` */
	char *data;
	uint32_t size; /* a power of two */
	unsigned order;
	struct spinlock lock;
};

static inline uint32_t load(const uint32_t *at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }

/*
 * Bytes that this end could move now. For the task that set busy the result is exact or too
 * small; for others it is a guess.
 */
static inline uint32_t room(const struct pipe *p, bool writer)
{
	uint32_t used = load(&p->ends[true].pos) - load(&p->ends[false].pos);
	return writer ? p->size - used : used;
}

static inline bool ready(const struct pipe *p, bool writer, uint32_t need)
{
	return room(p, writer) >= need || !load(&p->ends[!writer].open);
}

/*
 * Sleep until no task is busy at this end, and `need` bytes are ready or the other end is
 * closed. Result: 0, -EINTR.
 */
static int wait_ready(struct pipe *p, bool writer, uint32_t need)
{
	struct pipe_end *self = &p->ends[writer];
	int error = 0;
	spin_lock(&p->lock);
	while (!error) {
		uint32_t least = self->waiting ? MIN(self->waiting, need) : need;
		__atomic_exchange_n(&self->waiting, least, __ATOMIC_SEQ_CST);
		if (!load(&self->busy) && ready(p, writer, need))
			break;
		error = wait_on(&self->queue, &p->lock);
	}
	if (!self->queue.first)
		__atomic_store_n(&self->waiting, 0, __ATOMIC_RELAXED);
	spin_unlock(&p->lock);
	return error;
}

/* Wake the tasks at both ends whose need is met. */
static void wake(struct pipe *p)
{
	spin_lock(&p->lock);
	for (unsigned i = 0; i < 2; i++) {
		struct pipe_end *e = &p->ends[i];
		if (e->waiting && ready(p, i, e->waiting)) {
			/* A task that goes back to sleep writes its need again. */
			__atomic_store_n(&e->waiting, 0, __ATOMIC_RELAXED);
			wake_all(&e->queue);
		}
	}
	spin_unlock(&p->lock);
}

/* Count the bytes that were moved, clear busy, and wake the sleepers that can go on now. */
static inline void leave(struct pipe *p, bool writer, uint32_t moved)
{
	struct pipe_end *self = &p->ends[writer];
	__atomic_store_n(&self->pos, self->pos + moved, __ATOMIC_RELEASE);
	__atomic_exchange_n(&self->busy, 0, __ATOMIC_SEQ_CST);
	if (load(&self->waiting) | load(&p->ends[!writer].waiting))
		wake(p);
}

/* Set busy at this end, once `need` bytes are ready or the other end is closed. 0, -EINTR. */
static inline int claim(struct pipe *p, bool writer, uint32_t need)
{
	ASSERT_MAY_SLEEP();
	struct pipe_end *self = &p->ends[writer];
	for (;;) {
		if (ready(p, writer, need) &&
		    !__atomic_exchange_n(&self->busy, 1, __ATOMIC_SEQ_CST)) {
			if (likely(ready(p, writer, need)))
				return 0;
			/*
			 * Another task took the bytes. A task that needs less may have
			 * gone to sleep because this end was busy.
			 */
			leave(p, writer, 0);
		}
		int error = wait_ready(p, writer, need);
		if (error)
			return error;
	}
}

int pipe_read(struct pipe *p, void *buf, uint32_t bytes)
{
	if (!bytes)
		return 0;
	int error = claim(p, false, 1);
	if (error)
		return error;
	uint32_t n = room(p, false), at = p->ends[false].pos & (p->size - 1), first;
	n = MIN(n, bytes); /* not MIN(room(), bytes), which would read it twice */
	first = MIN(n, p->size - at);
	error = copy_to_user(buf, p->data + at, first);
	if (n > first && !error)
		error = copy_to_user((char *)buf + first, p->data, n - first);
	leave(p, false, error ? 0 : n);
	return error ? error : (int)n;
}

int pipe_write(struct pipe *p, const void *buf, uint32_t bytes)
{
	uint32_t done = 0;
	int error = 0;
	while (done < bytes && !error) {
		error = claim(p, true, MIN(bytes - done, (uint32_t)PIPE_ATOMIC));
		if (error)
			break;
		const char *from = (const char *)buf + done;
		uint32_t n = room(p, true), at = p->ends[true].pos & (p->size - 1), first;
		n = MIN(n, bytes - done);
		first = MIN(n, p->size - at);
		error = -EPIPE;
		if (load(&p->ends[false].open))
			error = copy_from_user(p->data + at, from, first);
		if (n > first && !error)
			error = copy_from_user(p->data, from + first, n - first);
		leave(p, true, error ? 0 : n);
		done += error ? 0 : n;
	}
	return done ? (int)done : error;
}

struct pipe *pipe_create(void)
{
	struct pipe *p = kzalloc(sizeof(*p));
	if (!p)
		return NULL;
	pfn_t pfn = frame_alloc(p->order = PIPE_ORDER);
	if (pfn == NO_FRAME) /* memory is scattered: one frame will do */
		pfn = frame_alloc(p->order = 0);
	if (pfn == NO_FRAME) {
		kfree(p);
		return NULL;
	}
	p->data = pfn_to_virt(pfn);
	p->size = PAGE_SIZE << p->order;
	p->ends[false].open = p->ends[true].open = true;
	return p;
}

void pipe_close(struct pipe *p, bool writer)
{
	spin_lock(&p->lock);
	__atomic_store_n(&p->ends[writer].open, false, __ATOMIC_RELEASE);
	bool last = !p->ends[!writer].open;
	__atomic_store_n(&p->ends[!writer].waiting, 0, __ATOMIC_RELAXED);
	wake_all(&p->ends[!writer].queue);
	spin_unlock(&p->lock);
	if (last) {
		frame_free(virt_to_pfn(p->data), p->order);
		kfree(p);
	}
}
