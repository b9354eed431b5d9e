/* SPDX-License-Identifier: MIT */
/*
 * The frame table: an owner, a type and a count for every machine frame. Together they keep the
 * one rule that isolation rests on: a frame that the hardware reads as a page table or a page
 * directory is mapped writable nowhere.
 *
 *   WRITABLE   any memory of a kernel's; the count is that of its writable mappings
 *   TABLE      a page table with checked entries; the count is that of directory entries that
 *              refer to it
 *   DIRECTORY  a page directory with checked entries; the count is that of CPUs that have it loaded
 *   SHARED     a table of the kernel's upper part, which is in every directory, or the kernel's own
 *              directory: fixed since warm-up; the count of the directory is that of CPUs that
 *              have it loaded
 *   LENT       memory of one domain that the kernel tables of another one map, too (`next` has the
 *              other one's id); it never becomes a table. For pages of rings
 *
 * Every frame of a domain has one home: its page in the kernel's direct map. The home of a
 * frame that becomes a table is made read-only, and there must be no other writable mapping;
 * the home becomes writable again when the frame is released. A domain may map only frames that
 * it owns.
 *
 * A type is valid only during the attachment in which it was given. An entry from an earlier
 * attachment (an older generation) is read as WRITABLE; its count is then the number of
 * writable mappings in the shared tables. So attach and detach do not touch frames that are not
 * in use.
 */
#ifndef VMM_FRAMES_H
#define VMM_FRAMES_H

#include "vmm/cpu/cpu.h"

enum frame_type { WRITABLE, TABLE, DIRECTORY, SHARED, LENT };

struct frame_entry {
	uint32_t home; /* pfn << PAGE_SHIFT | writable shared mappings << BASE_SHIFT | HOME_W */
	uint32_t generation;
	uint32_t use; /* type << TYPE_SHIFT | count */
	uint32_t owner : 8; /* domain's id; 0: not a domain's */
	uint32_t next : 24; /* of the domain's list: mfn + 1, or END_OF_LIST; 0: not in the list */
};
_Static_assert(sizeof(struct frame_entry) == VMM_FRAME_BYTES, "the kernel reserves this much");

#define FRAME_ENTRY_OWNER (offsetof(struct frame_entry, use) + 4) /* a bit field has no offsetof */
#define HOME_W 0x1u /* the home is writable while the frame is no table */
#define BASE_SHIFT 4
#define BASE_MASK 0xFFu
#define TYPE_SHIFT 28
#define COUNT_MASK 0x0FFFFFFFu
#define FOR_EVER 0xFFFFFFFFu /* the generation of frames whose type never changes */
#define END_OF_LIST 0xFFFFFFu
#define USER_ENTRIES KERNEL_SLOT /* of a directory */
#define PTE_ALLOWED \
	(PAGE_MASK | PTE_P | PTE_W | PTE_U | PTE_PWT | PTE_PCD | PTE_A | PTE_D | PTE_G | PTE_AVL)

extern struct frame_entry *frames; /* machine.nr_mfns of them */

/* A window is a page of the VMM's addresses through which this CPU reaches any frame. */
enum window { WINDOW_TABLE, WINDOW_DIRECTORY, WINDOW_HOME, NR_WINDOWS };
/* Map a machine frame. Result: its address, valid until the next map() of the same kind. */
static inline void *map(struct cpu *c, mfn_t mfn, enum window kind)
{
	unsigned slot = kind * 256u + (mfn & 255);
	char *at = c->window_base + slot * PAGE_SIZE;
	pte_t pte = mfn << PAGE_SHIFT | PTE_P | PTE_W | PTE_A | PTE_D;
	if (unlikely(c->windows[slot] != pte)) {
		c->windows[slot] = pte;
		__asm__ volatile("invlpg (%0)" : : "r"(at) : "memory");
	}
	return at;
}

static inline struct domain *domain_of(const struct cpu *c) { return c->current->domain; }

static inline enum frame_type frame_type(const struct frame_entry *f)
{
	return f->use >> TYPE_SHIFT;
}

/* Whether a domain owns a frame. Any number may be asked for. */
static inline bool owned(const struct domain *d, mfn_t mfn)
{
	return mfn < machine.nr_mfns && frames[mfn].owner == d->id;
}

/* Whether a frame is the VMM's own memory. */
static inline bool is_own_block(mfn_t mfn)
{
	return mfn - (machine.block >> PAGE_SHIFT) < machine.block_bytes >> PAGE_SHIFT;
}

/* The entry of a frame of this domain, brought up to the current attachment. (lock) */
static inline struct frame_entry *frame_current(const struct domain *d, mfn_t mfn)
{
	struct frame_entry *f = &frames[mfn];
	if (unlikely(f->generation != d->generation && f->generation != FOR_EVER)) {
		f->generation = d->generation;
		f->use = f->home >> BASE_SHIFT & BASE_MASK;
		f->next = 0;
	}
	return f;
}

/*
 * frames_find - find n entries of a TABLE of the domain's, from a machine address on, and map them.
 * Result: 0; -EINVAL; -EPERM: the frame is the domain's, but no TABLE. (lock)
 */
static inline int frames_find(struct cpu *c, uint32_t at, unsigned n, enum window window,
			      pte_t **entries)
{
	const struct domain *d = domain_of(c);
	mfn_t mfn = at >> PAGE_SHIFT;
	unsigned first = (at & ~PAGE_MASK) / 4;
	if (at & 3 || n - 1 >= 1024 - first || !owned(d, mfn))
		return -EINVAL;
	if (frame_type(frame_current(d, mfn)) != TABLE)
		return -EPERM;
	*entries = (pte_t *)map(c, mfn, window) + first;
	return 0;
}

/* frames.c: homes, and the list of frames with a type */

/* The entry of its owner's direct map that is this frame's home. */
pte_t *home_of(struct cpu *c, const struct frame_entry *f);
/* Make a frame's home read-only, or writable again. The caller flushes TLBs. */
void home_protect(struct cpu *c, const struct frame_entry *f, bool protect);
/* Add a frame that got a type to the domain's list; its entry is current. (lock) */
void enlist(struct domain *d, mfn_t mfn);
/* The frame after this one in the list, or END_OF_LIST. (lock) */
static inline mfn_t next_listed(mfn_t mfn)
{
	uint32_t next = frames[mfn].next;
	return next == END_OF_LIST ? END_OF_LIST : next - 1;
}
/* Take the frame after `before`, or the first one (END_OF_LIST), off the list. (lock) */
void unlist(struct domain *d, mfn_t before, struct frame_entry *f);
/* Clear what all vCPUs of the domain know of tables: there are none now. (lock) */
void forget_last_tables(struct domain *d);
/*
 * frames_protect - make the homes of all tables read-only and unmap the interrupt controllers
 * (attach), or the opposite (detach). Flushes TLBs only when it takes back a part of a detach:
 * cpu_install() and cpu_restore() do it otherwise. Context: all other CPUs wait in the
 * rendezvous; on an attached CPU also (lock).
 */
void frames_protect(struct cpu *c, bool protect);
/*
 * frames_forget - begin a new generation: all types and counts of the domain become old.
 * Context: the kernel is native; all other CPUs wait in the rendezvous.
 */
void frames_forget(struct domain *d);
/* Whether the page at a kernel address holds a table. Any address; without the lock. */
bool frame_is_protected(struct cpu *c, uint32_t address);

/* warm_up.c */

/*
 * frames_check_kernel - whether the kernel's own tables keep the rules that no later check looks
 * at. Result: the rule that they break, or NULL. Context: before frames_warm_up().
 */
const char *frames_check_kernel(struct cpu *c, const struct domain *d);

/*
 * frames_warm_up - take stock of the kernel's tables, and fix them. Context: warm-up; one CPU
 * runs.
 */
void frames_warm_up(struct cpu *c, struct domain *d);

/* tables.c: frames become tables and directories, and ordinary frames again */

/* The index of the first entry from i on that is not 0; n or more if there is none. */
unsigned next_entry(const pte_t *entries, unsigned i, unsigned n);
/* Whether a directory's upper part is the kernel's own. */
bool same_upper(const struct domain *d, const pte_t *entries);
/* Take back the references of n entries of a TABLE or of a DIRECTORY. (lock) */
void put_entries(const pte_t *entries, unsigned n, enum frame_type type);
/*
 * Check and count a directory entry; its table is promoted if need be. Result: 0, -EPERM,
 * -EINVAL, -EBUSY, -EAGAIN (fresh_begin). (lock)
 */
int pde_get(struct cpu *c, pte_t pde);
/* Take back the reference of an entry that pde_get() let pass. (lock) */
void pde_put(pte_t pde);
/*
 * Check the entries of a WRITABLE frame, and make it a TABLE or DIRECTORY. Result: 0; -EBUSY if
 * it is mapped writable or has another type; or an error of its entries, and then it is
 * WRITABLE again. Tables that a refused directory refers to may be left with a type and count
 * 0, for fresh_end(). (lock)
 */
int promote(struct cpu *c, mfn_t mfn, enum frame_type type);
/* Make a table or directory that nothing refers to an ordinary frame. (lock) */
void demote(struct cpu *c, mfn_t mfn);
/*
 * fresh_begin, fresh_end - around what promotes tables for a call (any number but 0 that names
 * it). Once a table was promoted, but not at attach, pde_get() gives -EAGAIN: what is promoted
 * stays so, and the call is to begin again. The check of a full table takes some 45,000
 * instructions. After any other error the tables that this call promoted become plain memory
 * again, one at a time: fresh_end gives -EAGAIN meanwhile, fresh_begin the error. Result of
 * fresh_end: else its error. (lock)
 */
int fresh_begin(struct cpu *c, uint32_t call);
int fresh_end(struct cpu *c, uint32_t call, int error);
#define NO_LIMIT 0xFFFFFFFFu

/*
 * update.c: what kernels ask for. Results: 0, -EPERM, -EINVAL, -EBUSY. After an error of
 * frames_update(), frames_load() or frames_release() nothing has changed. After -EAGAIN of the
 * first two some tables are checked: the call is to be repeated.
 */

/*
 * frames_account - check and count the directories that the CPUs have loaded (VMM_ACCOUNT).
 * Result: number of frames with a type, or an error; then the caller calls frames_forget(), to
 * drop what was counted. Context: attach; all other CPUs wait in the rendezvous.
 */
int frames_account(struct cpu *c, const struct vmm_loaded *loaded);
/*
 * frames_update - store n entries from a machine address on (HC_UPDATE). n is 1 to
 * VMM_UPDATE_MAX; values are the VMM's copy. The caller flushes. (lock)
 */
int frames_update(struct cpu *c, uint32_t at, const pte_t *values, unsigned n);
/*
 * frames_share - make n entries from a machine address on read-only, and copy them to `to`, if
 * that is not 0 (HC_SHARE). The caller flushes. (lock)
 */
int frames_share(struct cpu *c, uint32_t from, unsigned n, uint32_t to);
/*
 * frames_trim - make some of the tables and directories that nothing refers to plain memory, and
 * take them off the list (HC_TRIM). It goes through the list twice, because a directory keeps its
 * tables. Result: 0 when that is done, else -EAGAIN: call again; -ETIMEDOUT if a CPU is silent,
 * so that no flush would end. (lock)
 */
int frames_trim(struct cpu *c);
/* frames_load - load a directory on this CPU (HC_LOAD). (lock) */
int frames_load(struct cpu *c, mfn_t directory);
/* frames_release - a table or directory becomes plain memory (HC_RELEASE). (lock) */
int frames_release(struct cpu *c, mfn_t mfn);

/* recount.c */

/*
 * frames_recount - count everything again (invariant V7). Result: number of frames that differ,
 * which are printed. Meanwhile the counts are not valid. (lock)
 */
uint32_t frames_recount(struct cpu *c);
/*
 * frames_protect_again - a detach is taken back: protect the tables, and recount them, while the
 * other CPUs stand still. Result: 0; -EBUSY if a CPU is native already, -EPERM if the recount finds
 * a difference; then nothing is protected. (lock)
 */
int frames_protect_again(struct cpu *c);

#endif
