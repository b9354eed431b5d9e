/* SPDX-License-Identifier: MIT */
/* Between the two files that make guests: domain.c, which talks to the VMM, and build.c. */
#ifndef DOMAIN_BUILD_H
#define DOMAIN_BUILD_H

#include "domain/domain.h"
#include "domain/guest.h"
#include "mm/frame.h"

#define DISK_PORT (CONSOLE_PORT + 1) /* of a guest */

/* What this kernel keeps of a guest: whose frames come back to which homes. */
struct guest {
	unsigned number; /* 0: the VMM does not know it */
	unsigned vcpus, nr_state;
	uint32_t nr_pfns, given; /* pages; of these the VMM has the first `given` */
	struct block { pfn_t pfn; unsigned order; struct block *next; } *blocks;
	pfn_t state[DOMAIN_FRAMES_MAX]; /* frames of the VMM's notes on it */
};

/*
 * guest_build - allocate and write the guest g (number 0, memory and vCPUs as wished), and give it
 * to the VMM. Result, born, why: as domain_create(), but after an error g keeps what it has.
 */
int guest_build(struct guest *g, const struct domain_wish *w, struct domain_born *born,
		const char **why);

/* An operation of HC_DOMAIN on a guest, until it is no longer -EAGAIN. Result: the VMM's. */
int guest_op(const struct guest *g, unsigned operation, struct domain_op *o);
/* DOMAIN_OPEN: the guest gets its number, and the VMM the frames of `state`. */
int guest_announce(struct guest *g, uint32_t weight);
/* DOMAIN_GIVE: all memory. */
int guest_give(struct guest *g);
/* Lend pages (NULL: none), and pair a port of the guest's with *own. Nothing if there are none. */
int guest_join(const struct guest *g, const struct lent *l, uint32_t port, uint32_t *own);

#endif
