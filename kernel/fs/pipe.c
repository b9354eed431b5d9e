/* SPDX-License-Identifier: MIT */
/*
 * Pipes: a ring of bytes in which each end owns its own position, so that a reader and a writer work at the same time
 * without a lock. Several tasks at one end take turns by its `busy` word: the bytes go straight from and to user
 * memory, which may fault and sleep, so no spin lock may be held then. The spin lock guards sleeping and waking only.
 *
 * No waking is lost: who finds the pipe not ready first says so in `waiting`, then looks once more before it sleeps; who
 * moves a position looks at `waiting` afterwards. Both do it with a locked instruction between, so at least one of
 * them sees what the other did. `waiting` is the least number of bytes that a sleeper needs: a writer is not woken for
 * each byte that somebody reads.
 */
#include "fs/file.h"
#include "mm/frame.h"
#include "mm/vm.h"

#define PIPE_ORDER 4     /* 64 KiB: few context switches on bulk data; one frame when memory is scattered */
#define PIPE_ATOMIC 4096 /* writes up to this size are not mixed with others */

struct pipe_end {
	uint32_t pos;     /* bytes that went through here, modulo 2^32: changed by the holder of busy */
	uint32_t busy;    /* a task is copying here */
	uint32_t waiting; /* bytes that the least demanding sleeper needs, 0 if none sleeps */
	uint32_t open;
	struct wait_queue queue;
};

struct pipe {
	struct pipe_end ends[2]; /* reader's, writer's: index with `writer` */
	char *data;
	uint32_t size; /* a power of two */
	unsigned order;
	struct spinlock lock;
};

static inline uint32_t load(const uint32_t *at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }

/* Bytes that this end could move now. Exact or too small for the holder of busy; a guess for others. */
static inline uint32_t room(const struct pipe *p, bool writer)
{
	uint32_t used = load(&p->ends[true].pos) - load(&p->ends[false].pos);
	return writer ? p->size - used : used;
}

static inline bool ready(const struct pipe *p, bool writer, uint32_t need)
{
	return room(p, writer) >= need || !load(&p->ends[!writer].open);
}

static int wait_ready(struct pipe *p, bool writer, uint32_t need)
{
	struct pipe_end *self = &p->ends[writer];
	int error = 0;
	spin_lock(&p->lock);
	while (!error) {
		__atomic_exchange_n(&self->waiting, self->waiting ? MIN(self->waiting, need) : need, __ATOMIC_SEQ_CST);
		if (!load(&self->busy) && ready(p, writer, need))
			break;
		error = wait_on(&self->queue, &p->lock);
	}
	if (!self->queue.first)
		__atomic_store_n(&self->waiting, 0, __ATOMIC_RELAXED);
	spin_unlock(&p->lock);
	return error;
}

static void wake(struct pipe *p)
{
	spin_lock(&p->lock);
	for (unsigned i = 0; i < 2; i++) {
		struct pipe_end *e = &p->ends[i];
		if (e->waiting && ready(p, i, e->waiting)) {
			__atomic_store_n(&e->waiting, 0, __ATOMIC_RELAXED); /* who sleeps again says so again */
			wake_all(&e->queue);
		}
	}
	spin_unlock(&p->lock);
}

/* Give back the end, having moved so many bytes. */
static inline void leave(struct pipe *p, bool writer, uint32_t moved)
{
	struct pipe_end *self = &p->ends[writer];
	__atomic_store_n(&self->pos, self->pos + moved, __ATOMIC_RELEASE);
	__atomic_exchange_n(&self->busy, 0, __ATOMIC_SEQ_CST);
	if (load(&self->waiting) | load(&p->ends[!writer].waiting))
		wake(p);
}

/* Become the one task that works at this end, with `need` bytes ready or the other end closed. Result: 0, -EINTR. */
static inline int claim(struct pipe *p, bool writer, uint32_t need)
{
	struct pipe_end *self = &p->ends[writer];
	for (;;) {
		if (ready(p, writer, need) && !__atomic_exchange_n(&self->busy, 1, __ATOMIC_SEQ_CST)) {
			if (likely(ready(p, writer, need)))
				return 0;
			leave(p, writer, 0); /* another one was faster; who needs less may have gone to sleep over our busy */
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
	n = MIN(n, bytes); /* room() may grow meanwhile: asked once */
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
		error = load(&p->ends[false].open) ? copy_from_user(p->data + at, from, first) : -EPIPE;
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
	if (pfn == NO_FRAME)
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
