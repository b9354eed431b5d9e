/* SPDX-License-Identifier: MIT */
/*
 * Split drivers: the front end in a guest asks through a ring (ring.h), the back end in domain 0
 * does. A channel's pages are domain 0's, and lent to the guest from its birth: nothing is mapped,
 * granted or copied by the VMM for a request. They are a ring or two, and data. In the guest they
 * lie one after the other; in domain 0 anywhere.
 */
#ifndef SPLIT_SPLIT_H
#define SPLIT_SPLIT_H

#include "dev/block.h"
#include "domain/domain.h"
#include "net/net.h"
#include "ring.h"

/* --- back.c: what back ends have in common. Context: process, may sleep --- */
enum { WIRE_FRAMES = 16, WIRE_PAGES = 2 + WIRE_FRAMES }; /* of a network card */
struct wire { struct ring out, in; }; /* one side's rings; a disk has `in` only */
enum { BLOCK_DEPTH = 16 }; /* requests under way, at most */
enum { BLOCK_DATA = BLOCK_LENT + BLOCK_DEPTH, BLOCK_PAGES = 1 + BLOCK_DATA }; /* of a disk */
_Static_assert(0 + WIRE_PAGES <= BLOCK_PAGES, "back.pages has room");
struct back {
	struct back *next;
	void *pages[BLOCK_PAGES]; /* a network card has fewer */
	unsigned nr_pages;
	unsigned port;          /* 0: not connected yet, or no more */
	volatile bool notified; /* the guest has put messages */
	/*
	 * Do as many messages as the ring has slots. Result: 1: there may be more; 0; -EPIPE: the
	 * ring is broken. Context: the task that serves.
	 */
	int (*serve)(struct back *b);
	struct wire wire;
	struct vnode *file;     /* of a disk; else NULL */
	bool read_only;
	uint8_t mac[MAC_BYTES]; /* of a network card; the builder sets the last byte */
};
/* All that are connected. Makers and enders of guests read it, or who holds the lock. */
extern struct back *backs;
extern struct spinlock backs_lock;
/* The task that serves. */
void back_main(void);
/*
 * Make a back end. Its pages are all zeros: nothing else of this kernel may be seen there. Result:
 * NULL if memory is out.
 */
struct back *back_create(int (*serve)(struct back *b), unsigned pages);
/* Serve: the guest notifies us by our port. Context: before the guest runs. */
void back_connect(struct back *b, unsigned port);
/* Serve no more, and free all. The port is closed, and no page is lent. NULL is allowed. */
void back_destroy(struct back *b);

/*
 * --- disks: a ring, and pages for data, of which a request names one. In BLOCK_LENT of them lies
 * a part of the guest's block cache; the others are for data that lie elsewhere. The answer to a
 * request is put into the same slot: answers have the order of requests. ---
 */
enum { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH };
#define BLOCK_SECTORS 8u                                  /* in one request */
struct block_message {
	uint32_t op, sector, sectors;
	int32_t status; /* of the answer: 0, or a negative errno value */
	uint32_t page;  /* where the data lie: which of the BLOCK_DATA pages after the ring */
};

/* The disk that the start record names. Context: boot of a guest, once, interrupts off. */
struct blockdev *block_front_init(const struct domain_start *start);

struct vnode;
/*
 * block_back_create - prepare a virtual disk over a file. Takes over the reference to the file,
 * also on error. Result: 0; -EINVAL: it is no file, or has less than a sector; -EBUSY: it is
 * another guest's disk, and not read-only for both; -ENOMEM.
 */
int block_back_create(struct vnode *file, bool read_only, struct back **out);

/*
 * --- networks: a wire of two rings, one for each direction. A message is the length of a frame,
 * which lies in half a page ---
 */
/* Open a side of an empty wire of WIRE_PAGES pages. */
void wire_open(struct wire *w, void *const *pages, enum ring_side side);
/*
 * wire_send - put a frame. Result: 1: notify the other side; 0; -EAGAIN: all slots are full, or
 * the wire is dead.
 * wire_receive - copy the next frame to buf. Result: its bytes, 14 to FRAME_MAX; 0: there is none;
 * -EPIPE: the other side lied. That the frame was taken is seen after ring_publish(&w->in).
 */
int wire_send(struct wire *w, const void *frame, uint32_t bytes);
int wire_receive(struct wire *w, void *buf);

/* The card of a guest; NULL: it has none. Context: boot of a guest, once, interrupts off. */
struct netdev *net_front_init(const struct domain_start *start);
/*
 * bridge_init - a card that reaches the guests, too, over the machine's card. Result: NULL if
 * that is. Context: boot.
 * net_back_create - prepare a guest's connection to the bridge. Result: as back_create().
 */
struct netdev *bridge_init(struct netdev *card);
struct back *net_back_create(void);

#endif
