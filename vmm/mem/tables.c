/* SPDX-License-Identifier: MIT */
/*
 * Frames become tables and directories, and ordinary frames again. A frame becomes a table in
 * three steps: first no page table maps it writable, then no TLB does, then its entries are
 * checked and counted.
 */
#include "vmm/mem/references.h"

int pde_get(struct cpu *c, pte_t pde)
{
	struct domain *d = domain_of(c);
	mfn_t mfn = pde >> PAGE_SHIFT;
	if (!(pde & PTE_P))
		return 0;
	if (!owned(d, mfn))
		return -EPERM;
	if (pde & ~(PTE_ALLOWED & ~PTE_G))
		return -EINVAL;
	if (frame_type(frame_current(d, mfn)) != TABLE) {
		struct vcpu *v = c->current;
		if (v->nr_fresh == v->fresh_limit)
			return -EAGAIN;
		int error = promote(c, mfn, TABLE);
		if (error)
			return error;
		if (v->nr_fresh < ARRAY_SIZE(v->fresh))
			v->fresh[v->nr_fresh++] = mfn;
	}
	frames[mfn].use++;
	return 0;
}

void pde_put(pte_t pde)
{
	if (pde & PTE_P)
		frames[pde >> PAGE_SHIFT].use--;
}

unsigned next_entry(const pte_t *entries, unsigned i, unsigned n)
{
	const pte_t *at = entries + i;
	uint32_t left = n - i;
	if (i >= n || *at)
		return i;
	__asm__("repe scasl" : "+D"(at), "+c"(left) : "a"(0) : "cc", "memory");
	return at[-1] ? (unsigned)(at - 1 - entries) : n;
}

void put_entries(const pte_t *entries, unsigned n, enum frame_type type)
{
	for (unsigned i = 0; (i = next_entry(entries, i, n)) < n; i++)
		type == TABLE ? pte_put(entries[i]) : pde_put(entries[i]);
}

bool same_upper(const struct domain *d, const pte_t *entries)
{
	const pte_t *a = entries + KERNEL_SLOT, *b = d->kernel_pdes;
	uint32_t n = ARRAY_SIZE(d->kernel_pdes);
	bool same;
	__asm__("repe cmpsl; sete %3" : "+S"(a), "+D"(b), "+c"(n), "=q"(same) : : "cc", "memory");
	return same;
}

/*
 * Check and count the entries of a table or directory. (lock)
 *
 * Exercise 1.10 (labs/01-paging/handout.md, 6.2): given the entries of a TABLE (1024, for
 * pte_get) or of a DIRECTORY (USER_ENTRIES, for pde_get; the rest must be same_upper(), else
 * -EPERM). Result: 0, and every entry is counted; or the first error, and no count has changed.
 */
static KEPT int get_entries(struct cpu *c, const pte_t *entries, enum frame_type type)
{
	const struct domain *d = domain_of(c);
	/* LAB 1 TODO 10 BEGIN */
	unsigned n = type == TABLE ? 1024 : USER_ENTRIES;
	for (unsigned i = 0; (i = next_entry(entries, i, n)) < n; i++) {
		int error = type == TABLE ? pte_get(d, entries[i]) : pde_get(c, entries[i]);
		if (error) {
			put_entries(entries, i, type);
			return error;
		}
	}
	if (type == DIRECTORY && !same_upper(d, entries)) {
		put_entries(entries, n, type);
		return -EPERM;
	}
	return 0;
	/* LAB 1 TODO 10 END */
}

/*
 * Make a frame that was a table WRITABLE: its home is its only mapping that may be writable.
 * (lock)
 */
static void set_plain(struct frame_entry *f)
{
	f->use = f->home & HOME_W ? 1 : 0;
}

/*
 * Make a frame a table or directory. The order keeps the kernel from changing an entry after
 * its check.
 *
 * Exercise 1.11 (labs/01-paging/handout.md, 6.3): given a frame of the domain's and its new
 * type. Result: -EBUSY if the frame must not become a table now (you decide when: the one rule,
 * 2.3), and nothing has changed. Otherwise the frame has the type, count 0, and is in the
 * domain's list; and if this CPU is attached, no CPU can write to it any more, at its home or by
 * a TLB entry from before. At attach its home must not change yet: frames_protect() and
 * cpu_install() do that for all, and a frame that is refused before has kept its home.
 */
int promote(struct cpu *c, mfn_t mfn, enum frame_type type)
{
	struct domain *d = domain_of(c);
	struct frame_entry *f = frame_current(d, mfn);
	/* LAB 1 TODO 11 BEGIN */
	if (frame_type(f) != WRITABLE || (f->use & COUNT_MASK) != (f->home & HOME_W ? 1u : 0u))
		return -EBUSY;
	f->use = (uint32_t)type << TYPE_SHIFT;
	enlist(d, mfn);
	if (c->attached) {
		home_protect(c, f, true);
		flush_everywhere(c);
	}
	/* LAB 1 TODO 11 END */
	enum window window = type == TABLE ? WINDOW_TABLE : WINDOW_DIRECTORY;
	int error = get_entries(c, map(c, mfn, window), type);
	if (error) {
		set_plain(f);
		if (c->attached)
			home_protect(c, f, false);
	}
	return error;
}

void demote(struct cpu *c, mfn_t mfn)
{
	struct frame_entry *f = &frames[mfn];
	struct domain *d = domain_of(c);
	for (struct vcpu *v = d->vcpus; v < d->vcpus + d->nr_vcpus; v++) {
		v->last_table = NO_TABLE;
		for (unsigned i = 0; v->fresh_for && i < v->nr_fresh; i++)
			if (v->fresh[i] == mfn)
				v->fresh[i] = d->directory; /* which is never fresh */
	}
	if (frame_type(f) == TABLE)
		put_entries(map(c, mfn, WINDOW_TABLE), 1024, TABLE);
	else
		put_entries(map(c, mfn, WINDOW_DIRECTORY), USER_ENTRIES, DIRECTORY);
	set_plain(f);
	flush_everywhere(c); /* no TLB keeps what this table said; only then may the kernel write */
	home_protect(c, f, false);
}

int fresh_begin(struct cpu *c, uint32_t call)
{
	struct vcpu *v = c->current;
	if (v->fresh_for != call || v->nr_fresh == ARRAY_SIZE(v->fresh))
		v->nr_fresh = v->fresh_error = 0;
	v->fresh_limit = v->nr_fresh + 1;
	return v->fresh_error;
}

int fresh_end(struct cpu *c, uint32_t call, int error)
{
	struct vcpu *v = c->current;
	if (error && error != -EAGAIN) {
		bool undoes = v->fresh_error; /* else this call has done enough */
		v->fresh_error = error;
		if (undoes && frames[v->fresh[--v->nr_fresh]].use == (uint32_t)TABLE << TYPE_SHIFT)
			demote(c, v->fresh[v->nr_fresh]);
		if (v->nr_fresh)
			error = -EAGAIN;
	}
	v->fresh_limit = NO_LIMIT;
	v->fresh_for = error == -EAGAIN ? call : 0;
	return error;
}
