/* SPDX-License-Identifier: MIT */
/*
 * Split drivers: the front end in a guest asks through a ring (ring.h), the back end in domain 0
 * does. A disk's ring page and BLOCK_BUFFERS pages for data are domain 0's, and lent to the guest
 * from its birth: nothing is mapped, granted or copied by the VMM for a request.
 */
#ifndef SPLIT_SPLIT_H
#define SPLIT_SPLIT_H

#include "dev/block.h"
#include "domain_abi.h"
#include "ring.h"
#include "vo/vo.h"

enum { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH };
#define BLOCK_BUFFERS 16 /* so many requests can be under way */
#define BLOCK_SECTORS 8u /* in one request: a buffer's */

struct block_request {
	uint32_t id; /* the front end's; the response has it, too */
	uint32_t op, sector, sectors, buffer;
};
struct block_response {
	uint32_t id;
	int32_t status; /* 0, or a negative errno value */
};
union block_message { /* what a slot of the ring holds */
	struct block_request request;
	struct block_response response;
};

/* --- block_front.c --- */
/*
 * The disk that the start record names; NULL: it names none. Context: boot of a guest, once,
 * interrupts off.
 */
struct blockdev *block_front_init(const struct domain_start *start);

/* --- block_back.c. Context: process, may sleep --- */
struct block_back;
struct vnode;
/*
 * block_back_create - prepare a virtual disk over a file, with the pages to lend; pfns gets
 * their 1 + BLOCK_BUFFERS pfns, the ring's first. Takes over the reference to the file, also on
 * error. Result: 0; -EINVAL: it is no file, or has less than a sector; -EBUSY: it is another
 * guest's disk, and not read-only for both; -ENOMEM.
 */
int block_back_create(struct vnode *file, bool read_only, struct block_back **out, pfn_t *pfns,
		      uint32_t *sectors);
/* Serve: the guest notifies us by our port. Context: before the guest runs. */
void block_back_connect(struct block_back *b, unsigned port);
/* Serve no more, and free all. The pages are no longer lent. NULL is allowed. */
void block_back_destroy(struct block_back *b);

#endif
