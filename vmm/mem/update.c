/* SPDX-License-Identifier: MIT */
/* What a kernel asks of its tables: store entries, load a directory, release a table. */
#include "vmm/mem/references.h"

/* Store entries of a page table: all are checked before the first is stored. (lock) */
static int update_table(struct cpu *c, pte_t *entries, const pte_t *values, unsigned n)
{
	const struct domain *d = domain_of(c);
	for (unsigned i = next_entry(values, 0, n); i < n; i++) {
		int error = pte_get(d, values[i]);
		if (unlikely(error)) {
			put_entries(values, i, TABLE);
			return error;
		}
	}
#pragma GCC unroll 4
	for (unsigned i = 0; i < n; i++)
		pte_put(entries[i]);
	memcpy(entries, values, n * sizeof(pte_t)); /* word by word */
	return 0;
}

/* Store entries of a directory: all are checked before the first is stored. (lock) */
static int __attribute__((noinline))
update_directory(struct cpu *c, pte_t *entries, const pte_t *values, unsigned n)
{
	int error = fresh_begin(c, (uint32_t)entries);
	unsigned i = 0;
	for (; i < n && !error; i += !error)
		error = pde_get(c, values[i]);
	if (error)
		put_entries(values, i, DIRECTORY);
	error = fresh_end(c, (uint32_t)entries, error);
	if (error)
		return error;
	for (i = 0; i < n; i++) {
		pte_t old = entries[i];
		entries[i] = values[i];
		pde_put(old);
	}
	return 0;
}

int frames_update(struct cpu *c, uint32_t at, const pte_t *values, unsigned n)
{
	VMM_ASSERT_LOCKED();
	mfn_t mfn = at >> PAGE_SHIFT;
	unsigned first = (at & ~PAGE_MASK) / 4;
	pte_t *entries;
	int error = frames_find(c, at, n, WINDOW_TABLE, &entries);
	if (!error)
		return update_table(c, entries, values, n);
	if (error != -EPERM || frame_type(&frames[mfn]) != DIRECTORY)
		return error;
	if (first + n > USER_ENTRIES)
		return -EINVAL;
	entries = map(c, mfn, WINDOW_DIRECTORY);
	return update_directory(c, entries + first, values, n);
}

/* noinline: the loop needs all registers */
static void __attribute__((noinline)) share(pte_t *source, pte_t *target, unsigned n)
{
	if (target)
		put_entries(target, n, TABLE);
	for (unsigned i = 0; i < n; i++) {
		pte_put(source[i]);
		pte_t pte = source[i] &= ~(pte_t)PTE_W;
		if (target)
			target[i] = pte;
	}
}

/*
 * The entries were checked when they were stored in the first table; and a read-only mapping has
 * no count. So the copies need no check of their own, except that domain 0 may have given a frame
 * away meanwhile, which a birth does not look for in a table that it has passed. Guests give none.
 */
int frames_share(struct cpu *c, uint32_t from, unsigned n, uint32_t to)
{
	pte_t *source, *target = NULL;
	VMM_ASSERT_LOCKED();
	int error = frames_find(c, from, n, WINDOW_TABLE, &source);
	if (!error && to)
		error = (from ^ to) < PAGE_SIZE ? -EINVAL :
			frames_find(c, to, n, WINDOW_HOME, &target);
	if (error)
		return error;
	for (unsigned i = 0; nr_guests && !domain_of(c)->guest && target && i < n; i++)
		if (source[i] & PTE_P && !owned(domain_of(c), source[i] >> PAGE_SHIFT))
			return -EPERM;
	share(source, target, n);
	return 0;
}

/*
 * Count that a vCPU has this directory loaded. A frame that is no directory yet is checked first
 * and becomes one. Result: 0, -EPERM, -EINVAL, -EBUSY. (lock)
 */
static inline int directory_get(struct cpu *c, struct vcpu *v, mfn_t mfn)
{
	const struct domain *d = v->domain;
	if (!owned(d, mfn))
		return -EPERM;
	struct frame_entry *f = frame_current(d, mfn);
	if (frame_type(f) != DIRECTORY && mfn != d->directory) {
		int error = d->served ? fresh_begin(c, mfn) : 0;
		if (!error)
			error = promote(c, mfn, DIRECTORY);
		if (d->served)
			error = fresh_end(c, mfn, error);
		if (error)
			return error;
	}
	f->use++;
	v->directory = mfn;
	return 0;
}

int frames_load(struct cpu *c, mfn_t mfn)
{
	mfn_t old = c->current->directory;
	VMM_ASSERT_LOCKED();
	int error = directory_get(c, c->current, mfn);
	if (error)
		return error;
	frames[old].use--;
	__asm__ volatile("movl %0, %%cr3" : : "r"(mfn << PAGE_SHIFT) : "memory");
	return 0;
}

int frames_release(struct cpu *c, mfn_t mfn)
{
	VMM_ASSERT_LOCKED();
	if (!owned(domain_of(c), mfn))
		return -EPERM;
	const struct frame_entry *f = frame_current(domain_of(c), mfn);
	if (frame_type(f) != TABLE && frame_type(f) != DIRECTORY)
		return -EINVAL;
	if (f->use & COUNT_MASK)
		return -EBUSY;
	demote(c, mfn);
	return 0;
}

int frames_trim(struct cpu *c)
{
	struct domain *d = domain_of(c);
	VMM_ASSERT_LOCKED();
	bool begins = d->trimmed == END_OF_LIST && !d->trimmed_once;
	if (begins && !flush_is_answered(c)) /* a silent CPU would let no demotion end */
		return -ETIMEDOUT;
	for (unsigned looked = 0, demoted = 0; looked < 100 && demoted < 2; looked++) {
		mfn_t before = d->trimmed;
		mfn_t mfn = before == END_OF_LIST ? d->listed : next_listed(before);
		if (mfn == END_OF_LIST) {
			d->trimmed = END_OF_LIST;
			d->trimmed_once = !d->trimmed_once;
			return d->trimmed_once ? -EAGAIN : 0;
		}
		struct frame_entry *f = &frames[mfn];
		bool plain = frame_type(f) == WRITABLE;
		if (!plain && f->use & COUNT_MASK) {
			d->trimmed = mfn;
			continue;
		}
		if (!plain)
			demote(c, mfn), demoted++;
		unlist(d, before, f);
	}
	return -EAGAIN;
}

int frames_account(struct cpu *c, const struct vmm_loaded *loaded)
{
	struct domain *d = domain_of(c);
	for (unsigned i = 0; i < loaded->n; i++) {
		int error = directory_get(c, &d->vcpus[i], loaded->directory[i]);
		if (error)
			return error;
	}
	return (int)d->nr_listed;
}
