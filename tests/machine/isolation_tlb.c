/* SPDX-License-Identifier: MIT */
/*
 * What the TLB adds: a store through an entry from before a frame became a page table (rules 16
 * and 21), and all combinations of page-table bits against an own walk over the tables (22).
 */
#include "isolation.h"

/* Pages of the pool. */
enum { TABLE = FREE_PAGE, PLAIN = FREE_PAGE + 2 };

/* --- 16, 21: stale TLB entries --- */

/*
 * Map the page PLAIN writable, store to it once, run the n hypercalls of `between`, which must all
 * succeed, and store again: if the hypercalls flushed nothing, the TLB still has the entry.
 */
static void store_by_stale(struct victim *v, uint32_t flags, struct call *between, unsigned n)
{
	pool_clear(v, PLAIN);
	map_user(v, PLAIN, PTE_W | flags);
	write_calls(v, between, n);
	CHECK(ATTACK(v, "stale_store", .ebx = v->user + PLAIN * PAGE_SIZE, .edi = call_list(v),
		     .ebp = n), "a stale entry ended the machine");
	virtual_read(v->m, v->start.cr3, call_list(v), between, n * sizeof(*between));
	for (unsigned i = 0; i < n; i++)
		CHECK(between[i].result == 0, "hypercall %u of the preparation: %d", i,
		      between[i].result);
}

/* The page is unmapped without a flush and becomes a page table: the store must fault. */
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

/*
 * 21: the same with a global entry, which outlives a load of CR3. First a probe whether this
 * emulator has such entries: the page is unmapped, all TLB entries that are not global are dropped,
 * and the store must still pass.
 */
void stale_global(struct victim *v)
{
	struct call probe[] = {
		{ HC_UPDATE, pte_machine(v, PLAIN), 1, 0, 0, 1 },
		{ HC_FLUSH, VMM_FLUSH_ALL, 0, 0, 0, 1 },
	};
	store_by_stale(v, PTE_G, probe, COUNT(probe));
	if (!returned(v) && !v->m->o.bochs)
		give_up(SKIPPED, "this emulator drops global TLB entries with the others");
	want_return(v, "a store by a stale global TLB entry of plain memory");
	ALLOWED(v, HC_FLUSH, v->user + PLAIN * PAGE_SIZE, 0, 0, 0);
	promote_stale(v, PTE_G);
}

/* --- 22: the matrix --- */

static void one_access(struct victim *v, uint32_t address, bool write, bool ring3)
{
	struct walk w = page_walk(v->m, v->start.cr3, address);
	const char *label = write ? "write_at" : "read_at";
	/* CR0.WP is 1: ring 1, too, may only write where W is set */
	bool allowed = w.present && (w.user || !ring3) && (w.writable || !write);
	uint32_t error = (w.present ? PF_PRESENT : 0u) | (write ? PF_WRITE : 0u) |
			 (ring3 ? PF_USER : 0u);
	if (allowed)
		EXPECT_RETURN(v, label, .ebx = address, .ring3 = ring3);
	else
		EXPECT_TRAP(v, label, VEC_PF, error, .ebx = address, .ring3 = ring3);
	CHECK(allowed || v->address == address, "the fault at %#x was reported at %#x", address,
	      v->address);
}

/* 22: all combinations of P, W and U in both levels, read and write, rings 1 and 3. */
void access_matrix(struct victim *v)
{
	uint32_t slot = free_slot(v), self = pool_mfn(v, TABLE), plain = pool_mfn(v, PLAIN);
	uint32_t address = (uint32_t)FREE_SLOT << 22;
	pool_clear(v, TABLE);
	for (uint32_t pde = 0; pde < 4; pde++) {
		ALLOWED(v, HC_UPDATE, slot, 1, entry(self, pde << 1), VMM_FLUSH_ALL);
		for (uint32_t pte = 0; pte < 8; pte++) {
			ALLOWED(v, HC_UPDATE, self << PAGE_SHIFT, 1, plain << PAGE_SHIFT | pte,
				address);
			for (unsigned i = 0; i < 4; i++)
				if (!v->m->o.bochs || (i + pte + pde) % 3 == 0)
					one_access(v, address, i & 1, i & 2);
		}
	}
	ALLOWED(v, HC_UPDATE, slot, 1, 0, VMM_FLUSH_ALL);
	ALLOWED(v, HC_RELEASE, self, 0, 0, 0);
	pool_clear(v, TABLE);
}
