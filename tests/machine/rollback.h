/* SPDX-License-Identifier: MIT */
/* Steps that tests of failing and of interrupted switches, and of guests, share (rollback.c). */
#ifndef ROLLBACK_H
#define ROLLBACK_H

#include "tests.h"

enum { REQUEST, GATHER, QUIESCE, ACCOUNT, PROTECT, INSTALL, TRANSLATE, COMMIT, RESUME, NR_PHASES };

/* Run a command. Result: what it printed, a part of the machine's log. */
const char *output_of(struct machine *m, const char *text, double seconds);
/*
 * Wait until a guest has ended. A machine that runs freely may get little time of its host.
 * Result: what stands on the guest's console, a part of the machine's log.
 */
const char *last_words(struct machine *m, const char *guest);
/* Stop the machine when it is idle, check the invariants of this mode, let it go on. */
void check_now(struct machine *m, bool is_virtual);

#endif
