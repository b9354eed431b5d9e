/* SPDX-License-Identifier: MIT */
/*
 * Control of guests by name: /proc/domains, and the guests' consoles. What a guest is made of:
 * domain.h.
 */
#ifndef DOMAIN_CONTROL_H
#define DOMAIN_CONTROL_H

#include "lib/lib.h"

/*
 * /proc/domains. Reading it gives a line for each guest, also for those that have ended:
 *   number name state KiB vcpus weight ran stolen switches exits end
 * state: runs, paused, ended; ran, stolen: milliseconds; end: how it ended, in words, or "-". The
 * last command that failed follows: "! pid reason". As snprintf().
 */
int domains_show(char *buf, size_t size);
/*
 * A command, one write for each:
 *   create NAME [mem=8M] [vcpus=1] [weight=256] [disk=FILE[:ro]] [cmdline="..."]
 *   pause NAME, resume NAME, weight NAME N
 *   kill NAME   end a guest; forget one that has ended
 * Result: bytes, or an error; the reason stands in the file then. Context: process.
 */
int domains_write(const void *buf, uint32_t bytes, bool user);
/* System calls (syscalls.def); pointers are user addresses. */
int sys_domain_read(uint32_t name, uint32_t position, uint32_t buf, uint32_t bytes);
int sys_domain_write(uint32_t name, uint32_t buf, uint32_t bytes);

#endif
