/* SPDX-License-Identifier: MIT */
/*
 * Attacks on the one rule of memory: what the hardware reads as a page table is written by the VMM alone (rules 13 to
 * 22).
 */
#include "isolation.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
enum {
	TABLE = FREE_PAGE,
	DIRECTORY,
	PLAIN,
	FREE_SLOT = 0x280
}; /* pool pages; a slot of the directory without a table */

static uint32_t slot_machine(uint32_t directory, unsigned slot) { return (directory << PAGE_SHIFT) + slot * 4; }
static uint32_t entry(uint32_t mfn, uint32_t flags) { return mfn << PAGE_SHIFT | flags | PTE_P; }

static uint32_t free_slot(struct victim *v)
{
	uint32_t at = slot_machine(v->directory, FREE_SLOT);
	CHECK(physical_word(v->m, at) == 0, "the program uses directory slot %#x", FREE_SLOT);
	return at;
}

/* A frame's entry in the direct map. */
static bool home_writable(struct victim *v, unsigned page)
{
	return page_walk(v->m, v->start.cr3, pool_address(v, page)).writable;
}

/* 14: directory and tables may be mapped to be read, not written, also when only the RW bit changes (XSA-182). */
static void self_maps(struct victim *v)
{
	uint32_t at = pte_machine(v, TABLE), slot = free_slot(v),
		 shared = page_walk(v->m, v->start.cr3, pool_address(v, 0)).pde >> PAGE_SHIFT;
	const uint32_t tables[] = { v->table, v->directory, shared };
	for (unsigned i = 0; i < COUNT(tables); i++) {
		REFUSED(v, -EBUSY, HC_UPDATE, at, 1, entry(tables[i], PTE_W), 0);
		ALLOWED(v, HC_UPDATE, at, 1, entry(tables[i], 0), 0);
		for (uint32_t more = 0; more < 2; more++) /* twice: the short way for single updates, too */
			REFUSED(v, -EBUSY, HC_UPDATE, at, 1,
				entry(tables[i], PTE_W | (more ? PTE_U | PTE_A | PTE_D : 0)), 0);
		ALLOWED(v, HC_UPDATE, at, 1, 0, 0);
	}
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 1, entry(v->directory, 0), 0);
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 1, entry(v->directory, PTE_W), 0);
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 1, entry(shared, PTE_W), 0);
}

/* 15: a writable alias of a page table, by each operation that makes mappings. */
static void aliases(struct victim *v)
{
	uint32_t at = pte_machine(v, TABLE), slot = free_slot(v), data = pool_address(v, DATA_PAGE),
		 self = pool_mfn(v, TABLE);
	uint32_t bad = entry(v->table, PTE_W), values[8] = { 0 };
	for (unsigned n = 2; n <= 8; n += 3) {
		values[n - 1] = bad;
		pool_write(v, DATA_PAGE, 0, values, sizeof(values));
		REFUSED(v, -EBUSY, HC_UPDATE, at, n, data, 0);
		values[n - 1] = 0;
	}
	pool_clear(v, TABLE);
	pool_write(v, TABLE, 4092, &bad, 4); /* in a table before it is one */
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 1, entry(self, PTE_W | PTE_U), 0);
	bad = entry(self, PTE_W);
	pool_write(v, TABLE, 4092, &bad, 4); /* of itself */
	REFUSED(v, -EBUSY, HC_UPDATE, slot, 1, entry(self, PTE_W | PTE_U), 0);
	CHECK(home_writable(v, TABLE), "a refused table stays read-only");
	bad = 0;
	pool_write(v, TABLE, 4092, &bad, 4);
}

/*
 * 16: a frame that is mapped writable does not become a table, a table not writable; a released one is no table any
 * more (17).
 */
static void promotions(struct victim *v)
{
	uint32_t slot = free_slot(v), self = pool_mfn(v, TABLE), plain = pool_mfn(v, PLAIN), first = self << PAGE_SHIFT;
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
	REFUSED(v, -EPERM, HC_UPDATE, first, 1, entry(v->table, PTE_W), 0); /* as the short way remembers it */
	REFUSED(v, -EINVAL, HC_RELEASE, self, 0, 0, 0);
	pool_clear(v, TABLE);
}

void references(struct victim *v)
{
	self_maps(v);
	aliases(v);
	promotions(v);
}

/* 17, 20: directories: the upper part is the kernel's and the VMM's, to the bit; swaps around updates (XSA-286). */
void directories(struct victim *v)
{
	uint32_t entries[1024], mfn = pool_mfn(v, DIRECTORY), self = pool_mfn(v, TABLE), bad;
	static const unsigned slots[] = { 768, 800, 1007, 1008, 1023 };
	physical_read(v->m, v->directory << PAGE_SHIFT, entries, sizeof(entries));
	memset(entries, 0, 768 * 4);
	pool_clear(v, TABLE);
	pool_write(v, DIRECTORY, 0, entries, sizeof(entries));
	for (unsigned i = 0; i < COUNT(slots) * 2; i++) {
		bad = entries[slots[i / 2]] ^ (i & 1 ? PTE_U : 0x1000);
		pool_write(v, DIRECTORY, slots[i / 2] * 4, &bad, 4);
		REFUSED(v, -EPERM, HC_LOAD, mfn, 0, 0, 0);
		pool_write(v, DIRECTORY, slots[i / 2] * 4, &entries[slots[i / 2]], 4);
	}
	bad = entry(v->directory, PTE_W);
	pool_write(v, DIRECTORY, 0, &bad, 4);
	REFUSED(v, -EBUSY, HC_LOAD, mfn, 0, 0, 0);
	bad = entry(mfn, PTE_W);
	pool_write(v, DIRECTORY, 0, &bad, 4);
	REFUSED(v, -EBUSY, HC_LOAD, mfn, 0, 0, 0);
	CHECK(home_writable(v, DIRECTORY), "a refused directory stays read-only");
	pool_write(v, DIRECTORY, 4, &bad, 4); /* behind a table that is in order */
	bad = entry(self, PTE_W | PTE_U);
	pool_write(v, DIRECTORY, 0, &bad, 4);
	REFUSED(v, -EBUSY, HC_LOAD, mfn, 0, 0, 0);
	CHECK(home_writable(v, TABLE), "a table of a refused directory stays read-only");
	pool_write(v, DIRECTORY, 4, (uint32_t[]){ 0 }, 4);
	ALLOWED(v, HC_LOAD, mfn, 0, 0, 0);
	check_victim(v);
	REFUSED(v, -EBUSY, HC_RELEASE, mfn, 0, 0, 0);
	REFUSED(v, -EBUSY, HC_UPDATE, self << PAGE_SHIFT, 1, entry(mfn, PTE_W), 0);
	ALLOWED(v, HC_UPDATE, self << PAGE_SHIFT, 1, entry(self, 0), 0);
	ALLOWED(v, HC_LOAD, v->directory, 0, 0, 0);
	REFUSED(v, -EBUSY, HC_UPDATE, self << PAGE_SHIFT, 1, entry(mfn, PTE_W), 0);
	ALLOWED(v, HC_RELEASE, mfn, 0, 0, 0);
	REFUSED(v, -EPERM, HC_UPDATE, mfn << PAGE_SHIFT, 1, 0, 0);
	ALLOWED(v, HC_RELEASE, self, 0, 0, 0);
	pool_clear(v, TABLE), pool_clear(v, DIRECTORY);
}

/* --- 19 --- */

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

/* 19: each frame number in a page table, as a page table, as a directory, and to be released. */
void frame_numbers(struct victim *v)
{
	static const uint32_t far[] = { 0xA0, 0xB8, 0xFEC00, 0xFEE00, 0xFFFFF, 0x80000, 0x100000 - 0x20, 0x40000 };
	uint32_t nr = kernel_word(v->m, "nr_mfns"), at = pte_machine(v, TABLE), slot = free_slot(v), n = 0,
		 step = v->m->o.bochs ? 1009 : 1;
	bool *owned = owned_frames(v, nr);
	struct call *calls = malloc((nr + 64) * 2 * sizeof(*calls));
	for (uint32_t i = 0; i < nr + 16 + COUNT(far); i += step) {
		uint32_t mfn = i < nr + 16 ? i : far[i - nr - 16];
		calls[n++] = (struct call){ HC_UPDATE, at, 1, entry(mfn, 0), 0, 0 };
		if (mfn >= nr || !owned[mfn]) {
			calls[n++] = (struct call){ HC_UPDATE, slot, 1, entry(mfn, PTE_W), 0, -EPERM };
			calls[n++] = (struct call){ HC_LOAD, mfn, 0, 0, 0, -EPERM };
			calls[n++] = (struct call){ HC_RELEASE, mfn, 0, 0, 0, -EPERM };
			calls[n++] = (struct call){ HC_UPDATE, mfn << PAGE_SHIFT, 1, 0, 0, -EINVAL };
		}
	}
	struct call *done = malloc(n * sizeof(*done));
	memcpy(done, calls, n * sizeof(*done));
	hypercalls(v, done, n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t mfn = calls[i].edx >> PAGE_SHIFT;
		int want = calls[i].number == HC_UPDATE && calls[i].ebx == at ? (mfn < nr && owned[mfn] ? 0 : -EPERM)
									      : calls[i].result;
		if (calls[i].number == HC_LOAD && calls[i].ebx == 0)
			want = 0; /* 0: keep the directory */
		CHECK(done[i].result == want, "hypercall %u (%#x, %#x, %#x): %d, not %d", calls[i].number, calls[i].ebx,
		      calls[i].ecx, calls[i].edx, done[i].result, want);
	}
	ALLOWED(v, HC_UPDATE, at, 1, 0, 0);
	free(owned), free(calls), free(done);
}

/* 20: bits that an entry may not have, the upper slots of a directory, and the tables that all directories share. */
void entry_bits(struct victim *v)
{
	uint32_t at = pte_machine(v, TABLE), slot = free_slot(v), plain = pool_mfn(v, PLAIN),
		 kernel = kernel_word(v->m, "kernel_directory");
	uint32_t main = page_walk(v->m, v->start.cr3, kernel).machine,
		 shared = page_walk(v->m, v->start.cr3, kernel).pde & PAGE_MASK;
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

/* --- 16, 21: stale TLB entries --- */

/* A page is written, unmapped without a flush, becomes a page table; then a store by the stale entry. */
static void store_by_stale(struct victim *v, uint32_t flags, struct call *between, unsigned n)
{
	pool_clear(v, PLAIN);
	map_user(v, PLAIN, PTE_W | flags);
	write_calls(v, between, n);
	CHECK(ATTACK(v, "stale_store", .ebx = v->user + PLAIN * PAGE_SIZE, .edi = call_list(v), .ebp = n),
	      "a stale entry ended the machine");
	virtual_read(v->m, v->start.cr3, call_list(v), between, n * sizeof(*between));
	for (unsigned i = 0; i < n; i++)
		CHECK(between[i].result == 0, "hypercall %u of the preparation: %d", i, between[i].result);
}

static void promote_stale(struct victim *v, uint32_t flags)
{
	uint32_t mfn = pool_mfn(v, PLAIN), slot = free_slot(v);
	struct call calls[] = {
		{ HC_UPDATE, pte_machine(v, PLAIN), 1, 0, 0, 1 },
		{ HC_UPDATE, slot, 1, entry(mfn, PTE_W | PTE_U), 0, 1 },
	};
	store_by_stale(v, flags, calls, COUNT(calls));
	CHECK(!returned(v) && physical_word(v->m, mfn << PAGE_SHIFT) == 0,
	      "a page table was written through a stale TLB entry");
	want_trap(v, VEC_PF, PF_WRITE, "stale_store");
	CHECK(v->trap.eip == place(v, "stale_store_at", false), "fault at %#x", v->trap.eip);
	ALLOWED(v, HC_UPDATE, slot, 1, 0, VMM_FLUSH_ALL);
	ALLOWED(v, HC_RELEASE, mfn, 0, 0, 0);
}

void stale(struct victim *v) { promote_stale(v, PTE_U); }

/* 21: the same by an entry that outlives changes of CR3. The probe: does the emulator have such entries? */
void stale_global(struct victim *v)
{
	struct call probe[] = { { HC_UPDATE, pte_machine(v, PLAIN), 1, 0, 0, 1 },
				{ HC_FLUSH, VMM_FLUSH_ALL, 0, 0, 0, 1 } };
	store_by_stale(v, PTE_G, probe, COUNT(probe));
	if (!returned(v) && !v->m->o.bochs)
		give_up(SKIPPED, "this emulator drops global TLB entries with the others");
	want_return(v, "a store by a stale global TLB entry of plain memory");
	ALLOWED(v, HC_FLUSH, v->user + PLAIN * PAGE_SIZE, 0, 0, 0);
	promote_stale(v, PTE_G);
}

/* --- 22 --- */

static void one_access(struct victim *v, uint32_t address, bool write, bool ring3)
{
	struct walk w = page_walk(v->m, v->start.cr3, address);
	const char *label = write ? "write_at" : "read_at";
	bool allowed = w.present && (w.user || !ring3) && (w.writable || !write); /* CR0.WP is 1 */
	if (allowed)
		EXPECT_RETURN(v, label, .ebx = address, .ring3 = ring3);
	else
		EXPECT_TRAP(v, label, VEC_PF,
			    (w.present ? PF_PRESENT : 0u) | (write ? PF_WRITE : 0u) | (ring3 ? PF_USER : 0u),
			    .ebx = address, .ring3 = ring3);
	CHECK(allowed || v->address == address, "the fault at %#x was reported at %#x", address, v->address);
}

/* 22: all combinations of P, RW, U in both levels x access x ring, against our own walk over the tables. */
void access_matrix(struct victim *v)
{
	uint32_t slot = free_slot(v), self = pool_mfn(v, TABLE), plain = pool_mfn(v, PLAIN),
		 address = (uint32_t)FREE_SLOT << 22;
	pool_clear(v, TABLE);
	for (uint32_t pde = 0; pde < 4; pde++) {
		ALLOWED(v, HC_UPDATE, slot, 1, entry(self, pde << 1), VMM_FLUSH_ALL);
		for (uint32_t pte = 0; pte < 8; pte++) {
			ALLOWED(v, HC_UPDATE, self << PAGE_SHIFT, 1, plain << PAGE_SHIFT | pte, address);
			for (unsigned i = 0; i < 4; i++)
				if (!v->m->o.bochs || (i + pte + pde) % 3 == 0)
					one_access(v, address, i & 1, i & 2);
		}
	}
	ALLOWED(v, HC_UPDATE, slot, 1, 0, VMM_FLUSH_ALL);
	ALLOWED(v, HC_RELEASE, self, 0, 0, 0);
	pool_clear(v, TABLE);
}
