/* SPDX-License-Identifier: MIT */
/*
 * Random hypercalls from a seeded generator: operations on page tables among a few frames (rule
 * 18), and all operations with any arguments (31). After each round the frame table is compared
 * with a recount from outside.
 */
#include "isolation.h"

enum { CALLS = 2000, ACTORS = 12, FIRST = FREE_PAGE + 8, SLOTS = 4 };

static uint32_t seed = 1;

/* 0 .. n-1 */
static uint32_t any(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)seed * n >> 32);
}

static void check_recount(struct victim *v)
{
	int differences = hypercall(v, HC_RECOUNT, 0, 0, 0, 0);
	CHECK(differences == 0, "the VMM's own recount finds %d differences", differences);
}

/* --- 18 --- */

/* The actors: frames that become tables and directories. The first three have the upper part. */
static void prepare_actors(struct victim *v, uint32_t mfn[ACTORS])
{
	uint32_t entries[1024];
	physical_read(v->m, v->directory << PAGE_SHIFT, entries, sizeof(entries));
	memset(entries, 0, 768 * 4);
	for (unsigned i = 0; i < ACTORS; i++) {
		mfn[i] = pool_mfn(v, FIRST + i);
		pool_clear(v, FIRST + i);
		if (i < 3)
			pool_write(v, FIRST + i, 0, entries, sizeof(entries));
	}
}

static struct call random_reference(struct victim *v, const uint32_t mfn[ACTORS])
{
	static const uint32_t flags[] = {
		0, PTE_P, PTE_P | PTE_W, PTE_P | PTE_W | PTE_U, PTE_P | PTE_U,
	};
	uint32_t a = mfn[any(ACTORS)];
	uint32_t value = mfn[any(ACTORS)] << PAGE_SHIFT | flags[any(COUNT(flags))];
	uint32_t at = (a << PAGE_SHIFT) + any(8) * 4;
	uint32_t slot = slot_machine(v->directory, FREE_SLOT + any(SLOTS));
	switch (any(9)) {
	case 0:
		return (struct call){ HC_LOAD, any(3) ? mfn[any(4)] : v->directory, 0, 0, 0, 1 };
	case 1:
		if (any(4) == 0)
			return (struct call){ HC_TRIM, 0, 0, 0, 0, 1 };
		return (struct call){ HC_RELEASE, a, 0, 0, 0, 1 };
	case 2:
		return (struct call){ HC_UPDATE, slot, 1, value, VMM_FLUSH_ALL, 1 };
	case 3:
		at = pte_machine(v, FREE_PAGE + any(8));
		return (struct call){ HC_UPDATE, at, 1, value, 0, 1 };
	case 4:
		value = pool_address(v, DATA_PAGE) + any(16) * 4;
		return (struct call){ HC_UPDATE, at, 2 + any(6), value, 0, 1 };
	case 5:
		value = any(3) ? (mfn[any(ACTORS)] << PAGE_SHIFT) + any(8) * 4 : 0;
		at = any(2) ? at : pte_machine(v, FREE_PAGE + any(8));
		return (struct call){ HC_SHARE, at, 1 + any(8), value, 0, 1 };
	default:
		return (struct call){ HC_UPDATE, at, 1, value, any(2) ? VMM_FLUSH_ALL : 0, 1 };
	}
}

static void random_batch_values(struct victim *v, const uint32_t mfn[ACTORS])
{
	uint32_t values[32];
	for (unsigned i = 0; i < COUNT(values); i++)
		values[i] = any(3) ? mfn[any(ACTORS)] << PAGE_SHIFT | any(8) : 0;
	pool_write(v, DATA_PAGE, 0, values, sizeof(values));
}

/*
 * While another directory was loaded, HC_TRIM may have made this table or directory plain memory:
 * then the kernel clears its entries by itself.
 */
static void clear_if_plain(struct victim *v, uint32_t mfn, uint32_t at, unsigned n)
{
	static const uint32_t zeros[8];
	uint32_t pfn, m2p = kernel_word(v->m, "m2p");
	virtual_read(v->m, v->start.cr3, m2p + 4 * mfn, &pfn, 4);
	if (page_walk(v->m, v->start.cr3, KERNEL_BASE + (pfn << PAGE_SHIFT)).writable)
		physical_write(v->m, at, zeros, 4 * n);
}

/* Take all references away, in the order in which it is allowed: every frame is plain memory. */
static void clean_up(struct victim *v, const uint32_t mfn[ACTORS])
{
	_Static_assert(SLOTS <= 8, "zeros[] of clear_if_plain()");
	clear_if_plain(v, v->directory, slot_machine(v->directory, FREE_SLOT), SLOTS);
	clear_if_plain(v, v->table, pte_machine(v, FREE_PAGE), 8);
	ALLOWED(v, HC_LOAD, v->directory, 0, 0, 0);
	for (unsigned i = 0; i < SLOTS; i++)
		ALLOWED(v, HC_UPDATE, slot_machine(v->directory, FREE_SLOT + i), 1, 0,
			VMM_FLUSH_ALL);
	for (unsigned i = 0; i < 8; i++)
		ALLOWED(v, HC_UPDATE, pte_machine(v, FREE_PAGE + i), 1, 0, VMM_FLUSH_ALL);
	for (unsigned round = 0; round < 2; round++) /* directories, then tables */
		for (unsigned i = 0; i < ACTORS; i++)
			hypercall(v, HC_RELEASE, mfn[i], 0, 0, 0);
	for (unsigned i = 0; i < ACTORS; i++)
		CHECK(page_walk(v->m, v->start.cr3, pool_address(v, FIRST + i)).writable,
		      "frame %#x is not plain memory again", mfn[i]);
}

static void random_rounds(struct victim *v, unsigned rounds)
{
	uint32_t mfn[ACTORS], good = 0;
	struct call *calls = malloc(CALLS * sizeof(*calls));
	prepare_actors(v, mfn);
	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < CALLS; i++)
			calls[i] = random_reference(v, mfn);
		random_batch_values(v, mfn);
		hypercalls(v, calls, CALLS);
		for (unsigned i = 0; i < CALLS; i++) {
			int32_t r = calls[i].result;
			CHECK(r == 0 || r == -EPERM || r == -EBUSY || r == -EINVAL ||
			      (r == -EAGAIN && calls[i].number == HC_TRIM),
			      "call %u of round %u: %d", i, round, r);
			good += r == 0;
		}
		check_frame_table(v->m); /* a writable mapping of a table would be one too many */
	}
	check_recount(v);
	CHECK(good > rounds * CALLS / 10, "only %u of the random operations were allowed", good);
	clean_up(v, mfn);
	free(calls);
}

void random_references(struct victim *v) { random_rounds(v, 2); }
void random_references_soak(struct victim *v) { random_rounds(v, 1000000 / CALLS); }

/* --- 31 --- */

static uint32_t random_argument(struct victim *v)
{
	const uint32_t values[] = {
		/* small numbers, ports, edges of the address space */
		0, 1, 2, 3, 4, 64, 65, 0x60, 0x3F8, 0x1F0,
		0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFF000,
		KERNEL_BASE, KERNEL_BASE - 4, VMM_BASE, VMM_BASE - 4, KERNEL_MAP_BASE - PAGE_SIZE,
		/* what means something to the VMM */
		v->user, v->table, v->directory,
		pte_machine(v, FREE_PAGE + any(8)),
		slot_machine(v->directory, any(1024)),
		slot_machine(v->table, any(1024)),
		pool_mfn(v, FREE_PAGE + any(8)),
		pool_mfn(v, FREE_PAGE + any(8)) << PAGE_SHIFT | any(4096),
		v->table << PAGE_SHIFT | any(4096),
		/* anything */
		any(0x20000) << PAGE_SHIFT | any(4096),
		any(256), any(0x10000), any(0xFFFFFFFF),
	};
	return values[any(COUNT(values))];
}

/*
 * Not the operations by which a kernel may end the run, stop a CPU, wait, or leave virtual mode;
 * nor a recount, which takes long.
 */
static struct call random_call(struct victim *v)
{
	static const uint32_t numbers[] = {
		HC_UPDATE, HC_UPDATE, HC_LOAD, HC_RELEASE, HC_FLUSH, HC_EVENTS, HC_FPU_TRAP,
		HC_MASK, HC_END, HC_SEND, HC_TICK, HC_IO, HC_SHARE, HC_TRIM,
		NR_HYPERCALLS,
	};
	struct call c = { numbers[any(COUNT(numbers))], random_argument(v), random_argument(v),
			  random_argument(v), random_argument(v), 1 };
	if (any(16) == 0 && c.number == NR_HYPERCALLS)
		c.number = NR_HYPERCALLS + any(0xFFFFFF00);
	if (c.number == HC_UPDATE && any(2))
		c.ecx = 1;
	if (c.number == HC_IO && any(4))
		c.edx = any(4);
	/* input into the kernel's own memory is allowed, and would break the kernel */
	if (c.number == HC_IO && c.edx == VMM_IO_IN_BLOCK && c.ecx >= KERNEL_BASE &&
	    c.ecx < VMM_BASE - PAGE_SIZE)
		c.ecx = pool_address(v, DATA_PAGE);
	return c;
}

/* 31: the VMM survives whatever it is asked for, and its frame table is right afterwards. */
static void fuzz_rounds(struct victim *v, unsigned rounds)
{
	struct call *calls = malloc(CALLS * sizeof(*calls));
	for (unsigned round = 0; round < rounds; round++) {
		for (unsigned i = 0; i < CALLS; i++)
			calls[i] = random_call(v);
		hypercalls(v, calls, CALLS);
		for (unsigned i = 0; i < CALLS; i++)
			CHECK(calls[i].result >= -133 && calls[i].result <= 0xFF,
			      "call %u of round %u gave %d", i, round, calls[i].result);
		set_shared_word(v, SHARED_PENDING, 0);
		ALLOWED(v, HC_LOAD, v->directory, pool_address(v, ENTRY_PAGE) + PAGE_SIZE, 0, 0);
		check_frame_table(v->m);
	}
	check_recount(v);
	free(calls);
}

void fuzz_calls(struct victim *v) { fuzz_rounds(v, 1); }
void fuzz_calls_soak(struct victim *v) { fuzz_rounds(v, 1000000 / CALLS); }
