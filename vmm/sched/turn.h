/* SPDX-License-Identifier: MIT */
#ifndef VMM_TURN_H
#define VMM_TURN_H

#include <stdint.h>

/* A place in the queue of a processor: the vCPU with the least key is next (policy.h). */
struct turn {
	struct turn *next, *prev;
	int64_t key;
	uint32_t warp; /* bvt.h */
};

#endif
