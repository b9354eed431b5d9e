/* SPDX-License-Identifier: MIT */
#ifndef VMM_TURN_H
#define VMM_TURN_H

#include <stdint.h>

/*
 * What the policy has of a vCPU: its place in the queue of a processor, where the one with the
 * least key is next (policy.h).
 */
struct turn {
	struct turn *next, *prev;
	int64_t key;
	uint32_t weight, weight_factor;
	uint32_t warp, warp_ns, warp_ran; /* bvt.h */
	uint64_t warp_from;
};

#endif
