/* SPDX-License-Identifier: MIT */
/*
 * Pseudo-physical memory. The kernel numbers its frames from 0 to nr_pfns - 1 without
 * holes: these numbers are pfns. The machine's frames (mfns) have holes (E820), and some
 * belong to others than the kernel. p2m and m2p translate. They are built at boot and
 * constant from then on, so they need no lock. Pure logic, tested on the host.
 */
#ifndef MM_P2M_H
#define MM_P2M_H

#include "vo/vo.h"

#define NO_FRAME 0xFFFFFFFFu

struct frame_range { uint32_t first, end; }; /* the frames first to end - 1 */

extern mfn_t *p2m; /* nr_pfns entries */
extern pfn_t *m2p; /* nr_mfns entries, NO_FRAME where the kernel owns nothing */
extern uint32_t nr_pfns, nr_mfns;

/* The boot option p2m=identity (the default) or p2m=shuffle:SEED. */
struct p2m_order { bool shuffle; uint32_t seed; };

/*
 * p2m_count - how many frames below max_mfn the kernel can get. usable: n ranges, which
 * may overlap and stand in any order; reserved: ranges that do not count although they
 * are usable.
 */
uint32_t p2m_count(const struct frame_range *usable, unsigned n, const struct frame_range *reserved,
		   unsigned nr_reserved, uint32_t max_mfn);

/*
 * p2m_build - fill p2m and m2p, which are allocated, with nr_pfns and nr_mfns set.
 * usable, reserved: as for p2m_count, whose result with nr_mfns is at least nr_pfns;
 * fixed: frames that keep pfn == mfn (the kernel's image, the boot heap). Without
 * shuffling pfn == mfn holds wherever the frame is usable; a pfn whose own frame is not
 * usable gets a frame from nr_pfns on. Shuffling permutes all frames but the fixed ones,
 * in an order that order.seed determines.
 * Result: 0, or -EINVAL if a fixed frame is not usable or not below nr_pfns. Context:
 * boot.
 */
int p2m_build(const struct frame_range *usable, unsigned n, const struct frame_range *reserved,
	      unsigned nr_reserved, const struct frame_range *fixed, unsigned nr_fixed,
	      struct p2m_order order);

/*
 * p2m_parse - read an order: "identity", or "shuffle:SEED" with a decimal seed, or a
 * hexadecimal one after 0x. Result: 0, or -EINVAL with *order unchanged.
 */
int p2m_parse(const char *text, struct p2m_order *order);

/* pfn: below nr_pfns. */
static inline mfn_t pfn_to_mfn(pfn_t pfn) { return p2m[pfn]; }
/* mfn: any. Result: NO_FRAME if the kernel does not own the frame. */
static inline pfn_t mfn_to_pfn(mfn_t mfn) { return mfn < nr_mfns ? m2p[mfn] : NO_FRAME; }

#endif
