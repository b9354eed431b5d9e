/* SPDX-License-Identifier: MIT */
/*
 * Attacks on the one rule of memory: a frame that the hardware reads as a page table is written by
 * the VMM alone (rules 14 to 17, 19 and 20). isolation_tlb.c has stale TLB entries and the matrix
 * of accesses, isolation_random.c random operations.
 */
#include "isolation.h"

/* Pages of the pool. */
enum { TABLE = FREE_PAGE, DIRECTORY, PLAIN };

/* Whether the direct map shows this page writable. */
static bool home_writable(struct victim *v, unsigned page)
{
	return page_walk(v->m, v->start.cr3, pool_address(v, page)).writable;
}

/* --- 14 to 17: references --- */

/*
 * 14: directory and tables may be mapped for reading, not for writing; also when an update changes
 * only the W bit of an entry that is there (XSA-182).
 */
static void self_maps(struct victim *v)
{
	uint32_t at = pte_machine(v, TABLE), slot = free_slot(v);
	uint32_t shared = page_walk(v->m, v->start.cr3, pool_address(v, 0)).pde >> PAGE_SHIFT;
	const uint32_t tables[] = { v->table, v->directory, shared };
	for (unsigned i = 0; i < COUNT(tables); i++) {
		uint32_t mfn = tables[i];
		REFUSED(v, -EBUSY, HC_UPDATE, at, 1, entry(mfn, PTE_W), 0);
		ALLOWED(v, HC_UPDATE, at, 1, entry(mfn, 0), 0);
		/* both now go the VMM's short way, since the table is the one updated last */
		REFUSED(v, -EBUSY, HC_UPDATE, at, 1, entry(mfn, PTE_W), 0);
		REFUSED(v, -EBUSY, HC_UPDATE, at, 1, entry(mfn, PTE_W | PTE_U | PTE_A | PTE_D), 0);
		ALLOWED(v, HC_UPDATE, at, 1, 0, 0);
	}
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 1, entry(v->directory, 0), 0);
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 1, entry(v->directory, PTE_W), 0);
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 1, entry(shared, PTE_W), 0);
}

/* 15: a writable alias of a page table, by each operation that makes mappings. */
static void aliases(struct victim *v)
{
	uint32_t at = pte_machine(v, TABLE), slot = free_slot(v);
	uint32_t data = pool_address(v, DATA_PAGE), self = pool_mfn(v, TABLE);
	uint32_t bad = entry(v->table, PTE_W), values[8] = { 0 };
	for (unsigned n = 2; n <= 8; n += 3) { /* the last value of a batch */
		values[n - 1] = bad;
		pool_write(v, DATA_PAGE, 0, values, sizeof(values));
		REFUSED(v, -EBUSY, HC_UPDATE, at, n, data, 0);
		values[n - 1] = 0;
	}
	/* the last entry of a page that is to become a table: it maps a table */
	pool_clear(v, TABLE);
	pool_write(v, TABLE, 4092, &bad, 4);
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 1, entry(self, PTE_W | PTE_U), 0);
	/* or the page itself */
	bad = entry(self, PTE_W);
	pool_write(v, TABLE, 4092, &bad, 4);
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 1, entry(self, PTE_W | PTE_U), 0);
	CHECK(home_writable(v, TABLE), "a refused table stays read-only");
	bad = 0;
	pool_write(v, TABLE, 4092, &bad, 4);
}

/*
 * 16, 17: a frame that is mapped writable cannot become a table; a table cannot be mapped writable;
 * a frame that was released is no table any more.
 */
static void promotions(struct victim *v)
{
	uint32_t slot = free_slot(v), self = pool_mfn(v, TABLE), plain = pool_mfn(v, PLAIN);
	uint32_t first = self << PAGE_SHIFT; /* machine address of its entry 0 */
	map_user(v, TABLE, PTE_W);
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 1, entry(self, PTE_W | PTE_U), 0);
	map_user(v, TABLE, 0);
	REFUSED(v, -EPERM, HC_UPDATE, first, 1, entry(plain, 0), 0);
	ALLOWED(v, HC_UPDATE, slot, 1, entry(self, PTE_W | PTE_U), 0);
	CHECK(!home_writable(v, TABLE), "a page table's page in the direct map is writable");
	REFUSED(v, -EBUSY, HC_UPDATE, pte_machine(v, TABLE), 1, entry(self, PTE_W), 0);
	ALLOWED(v, HC_UPDATE, first, 1, entry(plain, PTE_W), 0);
	ALLOWED(v, HC_UPDATE, first + 4, 1, entry(plain, PTE_W), 0);
	REFUSED(v, -EBUSY, HC_UPDATE, first, 1, entry(self, PTE_W), 0);
	REFUSED(v, -EBUSY, HC_UPDATE, slot + 4, 1, entry(plain, PTE_W), 0);
	REFUSED(v, -EBUSY, HC_RELEASE, self, 0, 0, 0);
	REFUSED(v, -EBUSY, HC_RELEASE, v->table, 0, 0, 0);
	REFUSED(v, -EBUSY, HC_RELEASE, v->directory, 0, 0, 0);
	REFUSED(v, -EINVAL, HC_RELEASE, plain, 0, 0, 0);
	check_frame_table(v->m);
	ALLOWED(v, HC_UPDATE, slot, 1, 0, VMM_FLUSH_ALL);
	ALLOWED(v, HC_UPDATE, first, 1, entry(plain, PTE_W), 0);
	ALLOWED(v, HC_RELEASE, self, 0, 0, 0);
	CHECK(home_writable(v, TABLE), "a released table stays read-only");
	/* the VMM must forget that this was the table it updated last */
	REFUSED(v, -EPERM, HC_UPDATE, first, 1, entry(v->table, PTE_W), 0);
	REFUSED(v, -EINVAL, HC_RELEASE, self, 0, 0, 0);
	pool_clear(v, TABLE);
}

/* Calls of HC_SHARE that must change nothing. */
static void bad_shares(struct victim *v, uint32_t from, uint32_t to)
{
	uint32_t plain = pool_mfn(v, PLAIN) << PAGE_SHIFT, directory = v->directory << PAGE_SHIFT;
	uint32_t vmm = page_walk(v->m, v->start.cr3, VMM_BASE).machine & PAGE_MASK;
	const struct { uint32_t from, n, to; int error; } bad[] = {
		{ from, 0, to, -EINVAL }, { from, 1025, to, -EINVAL }, { from + 1, 1, to, -EINVAL },
		{ from, 1, to + 2, -EINVAL }, { to + 4092, 2, 0, -EINVAL },
		{ from, 2, to + 4092, -EINVAL }, { from, 1, from, -EINVAL },
		{ from, 2, from + 4, -EINVAL }, { from, 1, vmm, -EINVAL }, { vmm, 1, to, -EINVAL },
		{ from, 1, plain, -EPERM }, { plain, 1, to, -EPERM }, { directory, 1, to, -EPERM },
		{ from, 1, directory, -EPERM }, { from, 0xFFFFFFFF, to, -EINVAL },
	};
	uint32_t before = physical_word(v->m, from);
	for (unsigned i = 0; i < COUNT(bad); i++)
		REFUSED(v, bad[i].error, HC_SHARE, bad[i].from, bad[i].n, bad[i].to, 0);
	CHECK(physical_word(v->m, from) == before && physical_word(v->m, to) == 0,
	      "a call of HC_SHARE that failed has changed an entry");
}

/* 14, 16: a shared entry is read-only in both tables, and the old entry of the second is put. */
static void shares(struct victim *v)
{
	uint32_t slot = free_slot(v), table = pool_mfn(v, TABLE), plain = pool_mfn(v, PLAIN);
	uint32_t from = pte_machine(v, PLAIN), to = table << PAGE_SHIFT;
	pool_clear(v, TABLE);
	ALLOWED(v, HC_UPDATE, slot, 1, entry(table, PTE_W | PTE_U), 0);
	map_user(v, PLAIN, PTE_W);
	bad_shares(v, from, to);
	ALLOWED(v, HC_UPDATE, to, 1, entry(pool_mfn(v, DATA_PAGE), PTE_W), 0);
	ALLOWED(v, HC_SHARE, from, 1, to, 0);
	CHECK(physical_word(v->m, from) == entry(plain, 0) &&
	      physical_word(v->m, to) == entry(plain, 0),
	      "HC_SHARE leaves %#x and %#x", physical_word(v->m, from), physical_word(v->m, to));
	check_frame_table(v->m);
	ALLOWED(v, HC_UPDATE, from, 1, entry(plain, PTE_W), 0);
	ALLOWED(v, HC_SHARE, from, 1, 0, 0);
	CHECK(physical_word(v->m, from) == entry(plain, 0), "HC_SHARE leaves an entry writable");
	check_frame_table(v->m);
	map_user(v, PLAIN, 0);
	ALLOWED(v, HC_UPDATE, to, 1, 0, 0);
	ALLOWED(v, HC_UPDATE, slot, 1, 0, VMM_FLUSH_ALL);
	ALLOWED(v, HC_RELEASE, table, 0, 0, 0);
}

void references(struct victim *v)
{
	shares(v);
	self_maps(v);
	aliases(v);
	promotions(v);
}

/* --- 17, 20: directories --- */

/* Fill the pool's page DIRECTORY: no user part, the upper part as in all directories. */
static void write_directory(struct victim *v, uint32_t entries[1024])
{
	physical_read(v->m, v->directory << PAGE_SHIFT, entries, 4096);
	memset(entries, 0, 768 * 4);
	pool_write(v, DIRECTORY, 0, entries, 4096);
}

/* A directory whose upper part differs in one bit is refused. */
static void upper_parts(struct victim *v, const uint32_t entries[1024], uint32_t mfn)
{
	static const unsigned slots[] = { 768, 800, 1007, 1008, 1023 };
	for (unsigned i = 0; i < COUNT(slots) * 2; i++) {
		unsigned slot = slots[i / 2];
		uint32_t bad = entries[slot] ^ (i & 1 ? PTE_U : 0x1000);
		pool_write(v, DIRECTORY, slot * 4, &bad, 4);
		REFUSED(v, -EPERM, HC_LOAD, mfn, 0, 0, 0);
		pool_write(v, DIRECTORY, slot * 4, &entries[slot], 4);
	}
}

/* A directory whose user part refers to directories is refused; nothing of it stays typed. */
static void bad_user_parts(struct victim *v, uint32_t mfn, uint32_t self)
{
	uint32_t bad = entry(v->directory, PTE_W), good = entry(self, PTE_W | PTE_U), none = 0;
	pool_write(v, DIRECTORY, 0, &bad, 4);
	REFUSED(v, -EBUSY, HC_LOAD, mfn, 0, 0, 0);
	bad = entry(mfn, PTE_W);
	pool_write(v, DIRECTORY, 0, &bad, 4);
	REFUSED(v, -EBUSY, HC_LOAD, mfn, 0, 0, 0);
	CHECK(home_writable(v, DIRECTORY), "a refused directory stays read-only");
	/* slot 0 refers to a good table, slot 1 to the directory itself */
	pool_write(v, DIRECTORY, 4, &bad, 4);
	pool_write(v, DIRECTORY, 0, &good, 4);
	REFUSED(v, -EBUSY, HC_LOAD, mfn, 0, 0, 0);
	CHECK(home_writable(v, TABLE), "a table of a refused directory stays read-only");
	pool_write(v, DIRECTORY, 4, &none, 4);
}

/*
 * 17, 20: the upper part of a directory must be the kernel's and the VMM's, to the bit; and
 * directories change places around updates (XSA-286).
 */
void directories(struct victim *v)
{
	uint32_t entries[1024], mfn = pool_mfn(v, DIRECTORY), self = pool_mfn(v, TABLE), none = 0;
	pool_clear(v, TABLE);
	write_directory(v, entries);
	upper_parts(v, entries, mfn);
	bad_user_parts(v, mfn, self);
	ALLOWED(v, HC_LOAD, mfn, 0, 0, 0);
	check_victim(v);
	REFUSED(v, -EBUSY, HC_RELEASE, mfn, 0, 0, 0);
	REFUSED(v, -EBUSY, HC_UPDATE, self << PAGE_SHIFT, 1, entry(mfn, PTE_W), 0);
	ALLOWED(v, HC_UPDATE, self << PAGE_SHIFT, 1, entry(self, 0), 0);
	ALLOWED(v, HC_LOAD, v->directory, 0, 0, 0);
	REFUSED(v, -EBUSY, HC_UPDATE, self << PAGE_SHIFT, 1, entry(mfn, PTE_W), 0);
	REFUSED(v, -EBUSY, HC_LOAD, v->table, ENTRY_STACK(v), 0, 0);
	REFUSED(v, -EPERM, HC_LOAD, 0xFFFFF, ENTRY_STACK(v), 0, 0);
	ALLOWED(v, HC_LOAD, mfn, ENTRY_STACK(v), 0, 0);
	REFUSED(v, -EBUSY, HC_RELEASE, mfn, 0, 0, 0);
	ALLOWED(v, HC_LOAD, v->directory, ENTRY_STACK(v), 0, 0);
	ALLOWED(v, HC_RELEASE, mfn, 0, 0, 0);
	pool_write(v, DIRECTORY, 4 * KERNEL_SLOT, &none, 4);
	REFUSED(v, -EPERM, HC_LOAD, mfn, ENTRY_STACK(v), 0, 0);
	REFUSED(v, -EPERM, HC_UPDATE, mfn << PAGE_SHIFT, 1, 0, 0);
	ALLOWED(v, HC_RELEASE, self, 0, 0, 0);
	pool_clear(v, TABLE), pool_clear(v, DIRECTORY);
}

/* --- 19: frame numbers --- */

/* The kernel's own frames are those of its p2m; the VMM's and devices' are not among them. */
static bool *owned_frames(struct victim *v, uint32_t nr_mfns)
{
	uint32_t n = kernel_word(v->m, "nr_pfns"), *p2m = malloc(n * 4);
	bool *owned = calloc(nr_mfns, 1);
	virtual_read(v->m, v->start.cr3, kernel_word(v->m, "p2m"), p2m, n * 4);
	for (uint32_t pfn = 0; pfn < n; pfn++)
		if (p2m[pfn] < nr_mfns)
			owned[p2m[pfn]] = true;
	free(p2m);
	return owned;
}

/*
 * Calls that use a frame: as a mapped page; and a foreign one also as a page table, as a directory,
 * to be released, and to be updated. result: what is due. Result: how many calls.
 */
static unsigned calls_with(struct victim *v, uint32_t mfn, bool own, struct call calls[5])
{
	uint32_t at = pte_machine(v, TABLE), slot = slot_machine(v->directory, FREE_SLOT);
	/* HC_LOAD of 0 keeps the directory */
	int load = mfn == 0 ? 0 : -EPERM;
	calls[0] = (struct call){ HC_UPDATE, at, 1, entry(mfn, 0), 0, own ? 0 : -EPERM };
	if (own)
		return 1;
	calls[1] = (struct call){ HC_UPDATE, slot, 1, entry(mfn, PTE_W), 0, -EPERM };
	calls[2] = (struct call){ HC_LOAD, mfn, 0, 0, 0, load };
	calls[3] = (struct call){ HC_RELEASE, mfn, 0, 0, 0, -EPERM };
	calls[4] = (struct call){ HC_UPDATE, mfn << PAGE_SHIFT, 1, 0, 0, -EINVAL };
	return 5;
}

/* 19: each machine frame number there is, and some far beyond memory. In Bochs every 1009th. */
void frame_numbers(struct victim *v)
{
	static const uint32_t far[] = {
		0xA0, 0xB8, 0xFEC00, 0xFEE00, 0xFFFFF, 0x80000, 0x100000 - 0x20, 0x40000,
	};
	uint32_t nr = kernel_word(v->m, "nr_mfns"), beyond = nr + 16, n = 0;
	bool *owned = owned_frames(v, nr);
	struct call *calls = malloc((beyond + COUNT(far)) * 5 * sizeof(*calls));
	(void)free_slot(v);
	for (uint32_t i = 0; i < beyond + COUNT(far); i += v->m->o.bochs ? 1009 : 1) {
		uint32_t mfn = i < beyond ? i : far[i - beyond];
		n += calls_with(v, mfn, mfn < nr && owned[mfn], &calls[n]);
	}
	struct call *done = malloc(n * sizeof(*done));
	memcpy(done, calls, n * sizeof(*done));
	hypercalls(v, done, n);
	for (uint32_t i = 0; i < n; i++)
		CHECK(done[i].result == calls[i].result, "hypercall %u (%#x, %#x, %#x): %d, not %d",
		      calls[i].number, calls[i].ebx, calls[i].ecx, calls[i].edx, done[i].result,
		      calls[i].result);
	ALLOWED(v, HC_UPDATE, pte_machine(v, TABLE), 1, 0, 0);
	free(owned), free(calls), free(done);
}

/* --- 20: entries --- */

/*
 * 20: bits that an entry may not have; the upper slots of a directory; the tables that all
 * directories share.
 */
void entry_bits(struct victim *v)
{
	uint32_t at = pte_machine(v, TABLE), slot = free_slot(v), plain = pool_mfn(v, PLAIN);
	/* machine addresses of the kernel's own directory, and of the table that maps it */
	struct walk w = page_walk(v->m, v->start.cr3, kernel_word(v->m, "kernel_directory"));
	uint32_t main = w.machine, shared = w.pde & PAGE_MASK;
	REFUSED(v, -EINVAL, HC_UPDATE, at, 1, entry(plain, PTE_PS), 0);
	REFUSED(v, -EINVAL, HC_UPDATE, slot, 1, entry(plain, PTE_PS | PTE_W), 0);
	/* 4 MiB of memory that begins with the firmware's */
	REFUSED(v, -EPERM, HC_UPDATE, slot, 1, entry(0, PTE_PS | PTE_W), 0);
	REFUSED(v, -EINVAL, HC_UPDATE, slot, 1, entry(plain, PTE_G), 0);
	for (unsigned i = 768; i < 1024; i += i == 768 || i > 1000 ? 1 : 29)
		REFUSED(v, -EINVAL, HC_UPDATE, slot_machine(v->directory, i), 1, 0, 0);
	REFUSED(v, -EPERM, HC_UPDATE, main, 1, 0, 0);
	REFUSED(v, -EPERM, HC_UPDATE, main + 4092, 1, 0, 0);
	REFUSED(v, -EPERM, HC_UPDATE, shared, 1, entry(plain, PTE_W), 0);
	REFUSED(v, -EINVAL, HC_RELEASE, main >> PAGE_SHIFT, 0, 0, 0);
	REFUSED(v, -EINVAL, HC_RELEASE, shared >> PAGE_SHIFT, 0, 0, 0);
	for (unsigned i = 1008; i < 1024; i++) { /* the VMM's own tables */
		uint32_t pde = physical_word(v->m, slot_machine(v->directory, i));
		if (pde & PTE_P)
			REFUSED(v, -EINVAL, HC_UPDATE, pde & PAGE_MASK, 1, 0, 0);
	}
}
