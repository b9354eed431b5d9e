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
 *   number name state KiB vcpus weight ran stolen switches exits status reason
 * state: runs, paused, ended, killed; ran, stolen: milliseconds; status: how it ended, -1 after
 * a panic; reason: the rule that it broke, in words, or nothing. If the last command was to make
 * a guest and the builder failed, "! pid reason" follows. As
 * snprintf().
 */
int domains_show(char *buf, size_t size);
/*
 * Each write is a struct guest_command (abi.h). Result: bytes; -EINVAL: the name is empty,
 * or has blanks or control characters, or another field is wrong; -EEXIST: there is such a guest;
 * -ESRCH: there is none; -ECHILD: it has ended; -ENODEV: native mode; what opening the disk gives,
 * or -EBUSY: the disk is another guest's; -ENOMEM. Nothing is left of a guest that could not be
 * made. Context: process.
 */
int domains_write(const void *buf, uint32_t bytes, bool user);
/* System call (syscalls.def); console: a user address. */
int sys_domain_console(uint32_t console, uint32_t write);

#endif
