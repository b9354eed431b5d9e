/* SPDX-License-Identifier: MIT */
/*
 * Pseudo-physical memory. The kernel numbers its frames 0 .. nr_pfns-1 without holes (pfn); the machine's frames (mfn)
 * have holes (E820) and owners other than the kernel. p2m and m2p translate. Pure logic, host-tested.
 */
#ifndef MM_P2M_H
#define MM_P2M_H

#include "vo/vo.h"

#define NO_FRAME 0xFFFFFFFFu

struct frame_range { uint32_t first, end; }; /* machine frames first .. end-1 */

extern mfn_t *p2m;
extern pfn_t *m2p;
extern uint32_t nr_pfns, nr_mfns; /* m2p has nr_mfns entries; NO_FRAME where the kernel owns nothing */

/* Order of the pool's frames: p2m=identity (default) or p2m=shuffle:SEED. */
struct p2m_order { bool shuffle; uint32_t seed; };

/*
 * p2m_count - number of usable frames in ranges (which may overlap, in any order) below max_mfn, not in reserved.
 */
uint32_t p2m_count(const struct frame_range *usable, unsigned n, const struct frame_range *reserved, unsigned nr_reserved,
		   uint32_t max_mfn);

/*
 * p2m_build - fill p2m[0..nr_pfns-1] and m2p[0..nr_mfns-1] (both must be set and sized).
 * usable, reserved: as for p2m_count; fixed: frames that keep pfn == mfn (kernel image, boot memory).
 * Identity keeps pfn == mfn wherever the frame is usable; pfns that the machine has no frame for get usable ones
 * from nr_pfns on. Shuffle permutes all but the fixed ones by a generator seeded with order.seed.
 * Result: 0; -EINVAL if a fixed frame is not usable or not below nr_pfns.
 */
int p2m_build(const struct frame_range *usable, unsigned n, const struct frame_range *reserved, unsigned nr_reserved,
	      const struct frame_range *fixed, unsigned nr_fixed, struct p2m_order order);

/* "identity" or "shuffle:SEED" (decimal, or hexadecimal after 0x). Result: 0, -EINVAL and *order unchanged. */
int p2m_parse(const char *text, struct p2m_order *order);

static inline mfn_t pfn_to_mfn(pfn_t pfn) { return p2m[pfn]; }
/* Result: NO_FRAME if the kernel does not own the frame. */
static inline pfn_t mfn_to_pfn(mfn_t mfn) { return mfn < nr_mfns ? m2p[mfn] : NO_FRAME; }

#endif
