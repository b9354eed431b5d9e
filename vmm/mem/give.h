/* SPDX-License-Identifier: MIT */
/* Frames of guests: taking stock of them, birth, and frames that change their owner. */
#ifndef VMM_GIVE_H
#define VMM_GIVE_H

#include "vmm/mem/frames.h"

/* warm_up.c */

/*
 * frames_note - note what an entry of a kernel table says of a frame; page: its number in kernel
 * space. frames_fix - a table stays read-only from now on.
 */
void frames_note(const struct domain *d, uint32_t page, pte_t pte);
void frames_fix(struct cpu *c, mfn_t mfn);

/* birth.c */

/*
 * frames_birth - check a guest's kernel tables by the same rules, and take stock of them; a part
 * at a time. Result: 0; -EAGAIN: call again; -EPERM: *rule tells which rule they break. (lock)
 */
int frames_birth(struct cpu *c, struct domain *d, const char **rule);

/* give.c: frames change their owner, or are lent. All with the lock */

/*
 * frames_give - n frames of this CPU's domain, each mapped only at its home, become `owner`'s: a
 * domain's id or VMM_OWNER. frames_lend - n such frames are lent to d. Results: 0; -EPERM, -EINVAL,
 * -EBUSY, -ENOSPC, and then nothing has changed.
 */
int frames_give(struct cpu *c, uint8_t owner, const mfn_t *mfns, unsigned n);
int frames_lend(struct cpu *c, struct domain *d, const mfn_t *mfns, unsigned n);
/* What was lent to d is its owner's alone again. Context: no CPU uses d's tables any more. */
void frames_end_loans(struct domain *d);
/*
 * frames_take - n frames of `owner`, whom no CPU runs any more, come to free homes of this CPU's
 * domain, filled with 0. Results: as frames_give().
 */
int frames_take(struct cpu *c, uint8_t owner, const mfn_t *mfns, const uint32_t *pfns, unsigned n);

#endif
