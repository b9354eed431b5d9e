/* SPDX-License-Identifier: MIT */
/*
 * Guests, as the domain with control makes and ends them. The builder allocates frames of this
 * kernel's memory, writes a kernel (/boot/cinnabar), its page tables and its start record into
 * them, and gives them to the VMM, which checks all of it (domain_abi.h). At the guest's end the
 * frames come back to their homes.
 *
 * Context of all functions: process, may sleep, one at a time.
 */
#ifndef DOMAIN_DOMAIN_H
#define DOMAIN_DOMAIN_H

#include "domain_abi.h"
#include "mm/p2m.h"

struct back;
struct domain_wish {
	const char *root;    /* path of a file system that the guest gets in its memory, or NULL */
	const char *cmdline; /* boot options */
	uint32_t mem_kib;    /* memory */
	unsigned vcpus, weight;
	struct back *disk, *net; /* split.h; NULL: none */
};

/* What this kernel keeps of a guest: whose frames come back to which homes. */
struct guest {
	unsigned number; /* 0: the VMM does not know it */
	unsigned vcpus, nr_state;
	uint32_t nr_pfns, given; /* pages; of these the VMM has the first `given` */
	struct extent { pfn_t pfn; unsigned order; struct extent *next; } *blocks;
	pfn_t state[DOMAIN_FRAMES_MAX]; /* frames of the VMM's notes on it */
	uint32_t console_port, disk_port, net_port; /* this kernel's, paired with its; 0: none */
};

extern unsigned nr_guests; /* that there are; while there is one no detach happens */

/*
 * domain_create - build a guest in g, which is all zeros. The guest is paused then. *why: if it
 * fails, the cause in words. The back ends must stay until domain_destroy(). Result: 0; -EINVAL;
 * -ENOMEM; -ENOEXEC (no kernel that can be a guest); -ENODEV: this kernel is not in virtual mode,
 * or is a guest itself; an error of the file system, or of the VMM. After an error nothing is left
 * of it.
 */
int domain_create(struct guest *g, const struct domain_wish *w, const char **why);
/* End a guest, if it still is alive, take back its frames, close its ports; g is all zeros then. */
void domain_destroy(struct guest *g);
/* An operation of HC_DOMAIN on a guest, until it is no longer -EAGAIN. Result: the VMM's. */
int guest_op(const struct guest *g, unsigned operation, struct domain_op *o);

/* --- between domain.c, which talks to the VMM, and build.c --- */
/* Allocate and write the guest, and give it to the VMM. After an error g keeps what it has. */
int guest_build(struct guest *g, const struct domain_wish *w, const char **why);
/* DOMAIN_OPEN: the guest gets its number, and the VMM the frames of `state`. */
int guest_announce(struct guest *g, uint32_t weight);
/* Do an operation for the guest's first n pages; g->given becomes their number. */
int guest_pages(struct guest *g, unsigned operation, uint32_t n);
/* Lend what a back end has (NULL: nothing), and pair a port of the guest's with *own. */
int guest_join(const struct guest *g, const struct back *b, uint32_t port, uint32_t *own);

#endif
