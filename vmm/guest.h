/* SPDX-License-Identifier: MIT */
/* What the VMM keeps about a guest beside its struct domain. */
#ifndef VMM_GUEST_H
#define VMM_GUEST_H

#include "vmm/vmm.h"

/* What only a guest has, in the frames that its builder gave for this. */
struct guest {
	uint64_t idt[256];
	char output[CONSOLE_BYTES], typed[CONSOLE_TYPED];
	uint32_t written, nr_typed; /* bytes since birth; bytes in `typed` */
	uint32_t status; /* how it ended */
	const char *reason; /* the rule that it broke */
	mfn_t state[DOMAIN_FRAMES_MAX]; /* the frames of this */
	uint32_t owned, nr_loans; /* frames */
	mfn_t loans[GUEST_LOANS];
	uint32_t birth_slot, birth_mfn; /* how far the checks at birth are */
	struct port ports[GUEST_PORTS];
	struct domain domain; /* last: it ends after nr_vcpus vCPUs */
};
#define GUEST_BYTES(n) \
	(offsetof(struct guest, domain.vcpus) + (n) * sizeof(struct vcpu))
_Static_assert(GUEST_BYTES(1) <= DOMAIN_FRAMES(1) * PAGE_SIZE, "fits in its frames");
_Static_assert(GUEST_BYTES(GUEST_MAX_VCPUS) <= DOMAIN_FRAMES_MAX * PAGE_SIZE, "fits, too");

#endif
