/* SPDX-License-Identifier: MIT */
/*
 * Guests, as the domain with control makes and ends them. The builder allocates frames of this
 * kernel's memory, writes a kernel (/boot/cinnabar), its page tables and its start record into
 * them, and gives them to the VMM, which checks all of it (domain_abi.h). At the guest's end the
 * frames come back to their homes.
 *
 * A number names a guest until domain_destroy(). Results: 0 or more; -ENODEV: this kernel is not
 * in virtual mode, or is a guest itself; -ESRCH: there is no such guest; or the VMM's error.
 * Context of all functions: process, may sleep.
 */
#ifndef DOMAIN_DOMAIN_H
#define DOMAIN_DOMAIN_H

#include "domain_abi.h"
#include "mm/p2m.h"

#define LENT_MAX (GUEST_LOANS / 2)

/* Pages of this kernel's that the guest may use, too: a ring, and its buffers. */
struct lent {
	uint32_t n; /* 0: none */
	pfn_t pfns[LENT_MAX]; /* the ring comes first */
};

struct domain_wish {
	const char *root;    /* path of a file system that the guest gets in its memory, or NULL */
	const char *cmdline; /* boot options */
	uint32_t mem_kib;    /* memory */
	unsigned vcpus, weight;
	struct lent disk;
	uint32_t disk_sectors;
	bool disk_read_only;
};

struct domain_born { /* this kernel's ports, paired with the guest's; 0: none */
	uint32_t console_port, disk_port;
};

extern unsigned nr_guests; /* that there are; while there is one no detach happens */

/*
 * domain_create - build a guest, which is paused then. *why: if it fails, the cause in words. The
 * lent pages must stay until domain_destroy(). Result: the guest's number, from 1 on; -EINVAL,
 * -ENOMEM, -ENOEXEC (no kernel that can be a guest), an error of the file system. After an error
 * nothing is left of it.
 */
int domain_create(const struct domain_wish *w, struct domain_born *born, const char **why);
/*
 * domain_destroy - end a guest, if it still is alive, take back its frames, and forget it. Result:
 * 0, -ESRCH.
 */
int domain_destroy(int number);
/* Let a guest run, or pause it. */
int domain_run(int number, bool on);
/* Set the guest's weight; 256 is usual. */
int domain_weight(int number, uint32_t weight);
/* How the guest does, or how it ended. */
int domain_info(int number, struct domain_info *info);
/*
 * domain_output - copy the guest's output from *position on (bytes since birth) to a buffer.
 * Result: bytes; *position is that of the next one. What is older than CONSOLE_BYTES is skipped.
 * domain_input - type bytes for the guest. Result: bytes taken.
 * Each moves at most CONSOLE_CALL bytes.
 */
int domain_output(int number, uint32_t *position, void *buf, uint32_t bytes);
int domain_input(int number, const void *text, uint32_t bytes);

#endif
