/* SPDX-License-Identifier: MIT */
/*
 * A ring: a page that two sides share, in which requests go one way and responses the other. The
 * front end puts requests and takes responses; the back end takes requests and puts responses, into
 * the same slots: a request's slot is free again for its response. Indices count for ever, modulo
 * 2^32; slot number is index modulo slots. Data that belong to a message lie in further pages.
 *
 * No notification is lost. The one who takes writes `event`, the index at which it wants to be
 * woken, and looks at `produced` again before it sleeps. The one who puts writes `produced` and
 * looks at `event` afterwards. Each has a full fence between its write and its read, so at least
 * one of the two sees what the other wrote (tests/unit/test_ring.c tries every order).
 *
 * The other side may lie. What it writes is read once, into private memory, and checked there; an
 * index that no honest side can have ends the use of this ring for good. What a message means is
 * the user's to check, on the private copy.
 */
#ifndef RING_H
#define RING_H

#include "abi.h"
#include "lib/lib.h"

#ifndef RING_LOAD /* tests replace these, to see and to order each access */
#define RING_LOAD(at) __atomic_load_n(at, __ATOMIC_ACQUIRE)
#define RING_STORE(at, value) __atomic_store_n(at, value, __ATOMIC_RELEASE)
#define RING_FENCE() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

enum ring_side { RING_FRONT, RING_BACK };
enum { RING_BYTES = 4096 - 64 }; /* of all slots */

struct ring_page {
	struct ring_way {
		uint32_t produced; /* messages put so far; written by the side that puts */
		uint32_t event;    /* index of the message that wakes the side that takes */
	} ways[2]; /* by the side that puts: requests, responses */
	uint8_t unused[48];
	uint8_t slots[RING_BYTES];
};
_Static_assert(sizeof(struct ring_page) == 4096, "a ring is a page");

/* One side's private part. */
struct ring {
	struct ring_page *page;
	void *const *data; /* pages */
	enum ring_side side;
	uint32_t slots, slot_bytes, data_bytes;
	uint32_t put, published;    /* messages of this side: written; seen by the other side */
	uint32_t taken;             /* messages of the other side */
	bool broken;                /* the other side lied */
};

/* Make an empty ring of the page. Once, before either side opens it. */
static inline void ring_clear(struct ring_page *page)
{
	memset(page, 0, sizeof(*page));
	page->ways[RING_FRONT].event = page->ways[RING_BACK].event = 1;
}

/*
 * Open a side of an empty ring. pages: the ring's, and those of the data; data_bytes: of a slot's
 * data, a divisor of 4096; slots: a power of two. A message has at most RING_BYTES / slots bytes.
 */
static inline void ring_open(struct ring *r, void *const *pages, enum ring_side side,
			     uint32_t slots, uint32_t data_bytes)
{
	*r = (struct ring){ .page = pages[0], .data = pages + 1, .data_bytes = data_bytes,
			    .side = side, .slots = slots,
			    .slot_bytes = RING_BYTES / slots / 4 * 4 };
}

static inline void *ring_slot(const struct ring *r, uint32_t index)
{
	return r->page->slots + (index & (r->slots - 1)) * r->slot_bytes;
}

/* Where the data of a message lie. */
static inline void *ring_data(const struct ring *r, uint32_t index)
{
	uint32_t at = (index & (r->slots - 1)) * r->data_bytes;
	return (uint8_t *)r->data[at / sizeof(*r->page)] + at % sizeof(*r->page);
}

/*
 * How many messages can be put now. Front end: slots without a request that waits for its response.
 * Back end: requests taken and not yet answered.
 */
static inline uint32_t ring_room(const struct ring *r)
{
	return r->side == RING_FRONT ? r->slots - (r->put - r->taken) : r->taken - r->put;
}

/*
 * Put a message; the other side sees it after ring_publish(). Result: whether there was room.
 */
static inline bool ring_put(struct ring *r, const void *message, uint32_t bytes)
{
	if (r->broken || !ring_room(r))
		return false;
	__builtin_memcpy(ring_slot(r, r->put++), message, bytes); /* a few words: no call */
	return true;
}

/* Show the other side what was put. Result: whether it wants to be notified now. */
static inline bool ring_publish(struct ring *r)
{
	struct ring_way *way = &r->page->ways[r->side];
	uint32_t old = r->published;
	r->published = r->put;
	RING_STORE(&way->produced, r->put);
	RING_FENCE();
	return r->put - RING_LOAD(&way->event) < r->put - old; /* event in (old, put] */
}

/*
 * Copy the other side's next message into private memory. Result: 1; 0: there is none; -EPIPE: its
 * index is a lie, now or before, and this ring is dead.
 */
static inline int ring_take(struct ring *r, void *message, uint32_t bytes)
{
	/* An honest front end has at most one request a slot, a back end one response a request. */
	uint32_t most = r->side == RING_FRONT ? r->published - r->taken
					      : r->slots - (r->taken - r->put);
	if (!r->broken) {
		uint32_t ready = RING_LOAD(&r->page->ways[!r->side].produced) - r->taken;
		r->broken = ready > most;
		if (!ready)
			return 0;
	}
	if (r->broken)
		return -EPIPE;
	__builtin_memcpy(message, ring_slot(r, r->taken), bytes);
	barrier(); /* the user's checks read the copy */
	r->taken++;
	return 1;
}

/*
 * Ask for a notification when `more` further messages are there (1: at the next one). Result:
 * whether one is there already: take it instead of sleeping.
 */
static inline bool ring_ask(struct ring *r, uint32_t more)
{
	struct ring_way *way = &r->page->ways[!r->side];
	RING_STORE(&way->event, r->taken + more);
	RING_FENCE();
	return RING_LOAD(&way->produced) - r->taken >= more;
}

#endif
