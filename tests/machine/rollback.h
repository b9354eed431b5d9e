/* SPDX-License-Identifier: MIT */
/* Steps that the tests of failing and of interrupted switches share (rollback.c). */
#ifndef ROLLBACK_H
#define ROLLBACK_H

#include "tests.h"

enum { REQUEST, GATHER, QUIESCE, ACCOUNT, PROTECT, INSTALL, TRANSLATE, COMMIT, RESUME, NR_PHASES };

/* Run a command. Result: what it printed, a part of the machine's log. */
const char *output_of(struct machine *m, const char *text, double seconds);
/* Stop the machine when it is idle, check the invariants of this mode, let it go on. */
void check_now(struct machine *m, bool is_virtual);

#endif
