/* SPDX-License-Identifier: MIT */
/*
 * This kernel as a guest. The image is the one that boots on a PC, with a second entry: guest_entry
 * (boot/boot.S). It begins in ring 1, with paging on, with nothing but the start record
 * (domain_abi.h) that its builder wrote. Behind the Multiboot header stands a struct
 * guest_header, in which the builder finds what it must know of the image.
 */
#ifndef DOMAIN_GUEST_H
#define DOMAIN_GUEST_H

#include "domain_abi.h"

#define GUEST_MAGIC 0x74736567 /* "gest" */
#define GUEST_HEADER 12        /* bytes from the image's start: the Multiboot header */

#ifndef __ASSEMBLER__
struct guest_header { /* kernel addresses, but for the first two */
	uint32_t magic, abi;
	uint32_t entry, syscall_entry;
	uint32_t stubs, stubs_end; /* pairs of vector and address (include/stubs.h) */
	uint32_t shared, readonly_end, image_end;
};

struct blockdev;

/* The start record; NULL unless this kernel is a guest. Any context. */
extern const struct domain_start *guest_start;
/* The first C function of a guest. */
void guest_main(const struct domain_start *s) __attribute__((noreturn));
/* The guest's root device; panics if it was given none. Context: process, once. */
struct blockdev *guest_root(void);
#endif
#endif
