/* SPDX-License-Identifier: MIT */
/*
 * Address spaces on a machine with p2m=shuffle: random map, unmap, protect, fork, faults and
 * writes, against a model of every page. The page tables are read as the hardware reads them, by
 * machine frame numbers. At the end every frame must be back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "layout.h"
#undef USER_END
#define USER_END 0xC0000000u
#undef KERNEL_BASE /* an address that the sanitizer does not use for its shadow memory */
#define KERNEL_BASE 0x40000000u
#undef KERNEL_SLOT
#define KERNEL_SLOT 768u
#include "kernel/mm/p2m.c"
#include "kernel/mm/frame.c"
#include "kernel/mm/kmalloc.c"
#define take pool_take
#define lock pool_lock
#include "kernel/mm/area.c"
#include "kernel/mm/pool.c"
#pragma GCC diagnostic ignored "-Wint-to-pointer-cast" /* current(), not called here */
#include "kernel/mm/vm.c"
#include "kernel/mm/fault.c"
#include "kernel/fs/vnode.h"

#define FRAMES 2048u
#define PAGES 48u /* in the model; they lie on both sides of a page table's end */
#define FIRST (0x40400000u - 24 * PAGE_SIZE)
#define SPACES 3

/* Of the host; its header has names of ours. */
extern void *mmap(void *at, size_t bytes, int prot, int flags, int fd, long offset);
enum { HOST_PRIVATE = 2, HOST_ANONYMOUS = 0x20, HOST_FIXED_NOREPLACE = 0x100000 };

struct vo vo;
uint32_t vo_uses[MAX_CPUS];
pte_t *kernel_directory;

void spin_lock(struct spinlock *l) { assert_int_equal(l->held++, 0); }
void spin_unlock(struct spinlock *l) { assert_int_equal(--l->held, 0); }
void vo_hold(void) {}
void vo_release(void) {}
void panic(const char *fmt, ...) { fail_msg("panic: %s", fmt); abort(); }
uint32_t strtou(const char *s, const char **end) { return (uint32_t)strtoul(s, (char **)end, 0); }
static void set_pte(pte_t *at, pte_t value) { *at = value; }
static void set_ptes(pte_t *at, const pte_t *values, unsigned n)
{
	memcpy(at, values, n * sizeof(*at));
}
static void share_ptes(pte_t *from, pte_t *to, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		to[i] = from[i] &= ~(pte_t)PTE_W;
}
static void nothing(mfn_t m) { (void)m; }
static void flush_page(uint32_t a) { (void)a; }
static void flush_all(void) {}
static void change_ptes(pte_t *at, const pte_t *values, unsigned n, uint32_t flush)
{
	(void)flush;
	set_ptes(at, values, n);
}

/* A file of one page and a half; its frames stand for the block cache's. */
static pfn_t file_frames[2];
static int file_page(struct vnode *vn, uint32_t index, pfn_t *out)
{
	(void)vn;
	if (index >= 2)
		return -EIO;
	frame_get(*out = file_frames[index]);
	return 0;
}
static const struct vnode_ops file_ops = { .page = file_page };
static struct vnode file = { .ops = &file_ops, .refs = 1, .size = PAGE_SIZE * 3 / 2 };
void vnode_put(struct vnode *vn)
{
	if (vn)
		vn->refs--;
}

struct page { bool mapped; int prot; uint32_t content; };
static struct { struct mm *mm; struct page pages[PAGES]; } spaces[SPACES];

static uint32_t address_of(unsigned page) { return FIRST + page * PAGE_SIZE; }

/* The memory that the processor would reach; NULL if the access faults. */
static uint32_t *walk(const struct mm *mm, uint32_t address, bool write)
{
	pte_t pde = mm->directory[address >> 22];
	if (!(pde & PTE_P))
		return NULL;
	pte_t pte = ((pte_t *)pfn_to_virt(m2p[pde >> PAGE_SHIFT]))[address >> PAGE_SHIFT & 1023];
	if (!(pte & PTE_P) || !(pte & PTE_U) || (write && !(pte & PTE_W)))
		return NULL;
	if (pte & PTE_W)
		/* a writable frame must not be shared */
		assert_int_equal(frame_refs(m2p[pte >> PAGE_SHIFT]), 1);
	return pfn_to_virt(m2p[pte >> PAGE_SHIFT]);
}

/* One access, with the fault handled as the kernel would. */
static uint32_t *touch(struct mm *mm, uint32_t address, bool write)
{
	uint32_t *at = walk(mm, address, write);
	if (!at && mm_fault(mm, address, write ? PF_WRITE : 0) == 0)
		at = walk(mm, address, write), assert_non_null(at);
	return at;
}

static void check(unsigned s)
{
	for (unsigned i = 0; spaces[s].mm && i < PAGES; i++) {
		const struct page *p = &spaces[s].pages[i];
		uint32_t *at = touch(spaces[s].mm, address_of(i) + 8, false);
		assert_int_equal(!!at, p->mapped && p->prot != PROT_NONE);
		if (at)
			assert_int_equal(*at, p->content);
		assert_int_equal(
			!!walk(spaces[s].mm, address_of(i), true) && !(p->prot & PROT_WRITE), 0);
	}
}

static void random_step(unsigned s)
{
	struct mm *mm = spaces[s].mm;
	struct page *pages = spaces[s].pages;
	unsigned from = (unsigned)rand() % PAGES, n = 1 + (unsigned)rand() % 12, free = 0, i;
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
				     PROT_READ | PROT_WRITE };
	int prot = prots[rand() % 4];
	n = MIN(n, PAGES - from);
	for (i = from; i < from + n; i++)
		free += !pages[i].mapped;
	switch (rand() % 6) {
	case 0:
	case 1: { /* map zeros or the file */
		bool from_file = rand() % 3 == 0;
		int32_t at = mm_map(mm, address_of(from), n * PAGE_SIZE - (uint32_t)(rand() % 4000),
				    prot, from_file ? &file : NULL, 0,
				    MIN(n * PAGE_SIZE, file.size));
		assert_int_equal(at, free == n ? (int32_t)address_of(from) : -EEXIST);
		for (i = from; free == n && i < from + n; i++)
			pages[i] = (struct page){ true, prot,
						  from_file && i - from < 2 ? 0xF00D + i - from
									    : 0 };
		break;
	}
	case 2:
		assert_int_equal(mm_unmap(mm, address_of(from), n * PAGE_SIZE), 0);
		for (i = from; i < from + n; i++)
			pages[i].mapped = false;
		break;
	case 3:
		assert_int_equal(mm_protect(mm, address_of(from), n * PAGE_SIZE, prot),
				 free ? -ENOMEM : 0);
		for (i = from; !free && i < from + n; i++)
			pages[i].prot = prot;
		break;
	default:
		for (i = from; i < from + n; i++) {
			uint32_t *at = touch(mm, address_of(i), true), value = (uint32_t)rand();
			assert_int_equal(!!at, pages[i].mapped && (pages[i].prot & PROT_WRITE));
			if (at)
				*at = pages[i].content = value;
		}
	}
}

static void fork_step(unsigned from, unsigned to)
{
	if (spaces[to].mm)
		mm_destroy(spaces[to].mm);
	spaces[to].mm = mm_fork(spaces[from].mm);
	assert_non_null(spaces[to].mm);
	assert_int_equal(mm_pages(spaces[to].mm), mm_pages(spaces[from].mm));
	memcpy(spaces[to].pages, spaces[from].pages, sizeof(spaces[to].pages));
}

static int machine(void **state)
{
	(void)state;
	struct frame_range usable[] = { { 1, 150 }, { 300, 4000 } }, fixed[] = { { 16, 32 } };
	assert_ptr_equal(mmap((void *)(uintptr_t)KERNEL_BASE, FRAMES * PAGE_SIZE,
			      PROT_READ | PROT_WRITE,
			      HOST_PRIVATE | HOST_ANONYMOUS | HOST_FIXED_NOREPLACE, -1, 0),
			 (void *)(uintptr_t)KERNEL_BASE);
	nr_pfns = FRAMES, nr_mfns = 4000;
	p2m = calloc(nr_pfns, sizeof(*p2m)), m2p = calloc(nr_mfns, sizeof(*m2p));
	frame_table = calloc(nr_pfns, sizeof(*frame_table));
	assert_int_equal(p2m_build(usable, 2, NULL, 0, fixed, 1, (struct p2m_order){ true, 7 }), 0);
	vo.mmu.set_pte = set_pte, vo.mmu.set_ptes = set_ptes, vo.mmu.release_table = nothing;
	vo.mmu.share_ptes = share_ptes;
	vo.mmu.flush_page = flush_page, vo.mmu.flush_all = flush_all;
	vo.mmu.change_ptes = change_ptes;
	kernel_directory = calloc(1024, sizeof(pte_t));
	for (unsigned i = KERNEL_SLOT; i < 1024; i++)
		kernel_directory[i] = i << 22 | PTE_P;
	for (pfn_t pfn = 32; pfn < nr_pfns; pfn++)
		frame_free(pfn, 0);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t *at = pfn_to_virt(file_frames[i] = frame_alloc(0));
		memset(at, 0, PAGE_SIZE);
		at[0] = 0xF00D + i;
	}
	return 0;
}

static void random_operations(void **state)
{
	(void)state;
	uint32_t before = frames_free() + kmalloc_idle() + pools_idle();
	for (unsigned seed = 1; seed <= 20; seed++) {
		print_message("seed %u\n", seed);
		srand(seed);
		spaces[0].mm = mm_create();
		memset(spaces[0].pages, 0, sizeof(spaces[0].pages));
		for (int i = 0; i < 400; i++) {
			unsigned s = (unsigned)rand() % SPACES, other = (unsigned)rand() % SPACES;
			if (!spaces[s].mm)
				continue;
			random_step(s);
			if (other != s && rand() % 4 == 0)
				fork_step(s, other);
			for (s = 0; s < SPACES; s++)
				check(s);
		}
		for (unsigned s = 0; s < SPACES; s++) {
			for (unsigned i = KERNEL_SLOT; spaces[s].mm && i < 1024; i++)
				assert_int_equal(spaces[s].mm->directory[i], kernel_directory[i]);
			if (spaces[s].mm)
				mm_destroy(spaces[s].mm);
			spaces[s].mm = NULL;
		}
		assert_int_equal(frames_free() + kmalloc_idle() + pools_idle(), before);
		assert_int_equal(file.refs, 1);
	}
}

static void bad_arguments(void **state)
{
	(void)state;
	struct mm *mm = mm_create();
	assert_int_equal(mm_map(mm, 0, 0, PROT_READ, NULL, 0, 0), -EINVAL);
	assert_int_equal(mm_map(mm, 0x1001, 1, PROT_READ, NULL, 0, 0), -EINVAL);
	assert_int_equal(mm_map(mm, 0x1000, 1, 8, NULL, 0, 0), -EINVAL);
	assert_int_equal(mm_map(mm, USER_END, 1, PROT_READ, NULL, 0, 0), -EINVAL);
	assert_int_equal(mm_map(mm, USER_END - PAGE_SIZE, PAGE_SIZE + 1, PROT_READ, NULL, 0, 0),
			 -EINVAL);
	assert_int_equal(mm_map(mm, 0, 0xFFFFFFFF, PROT_READ, NULL, 0, 0), -ENOMEM);
	assert_int_equal(mm_map(mm, VMM_BASE, PAGE_SIZE, PROT_READ, NULL, 0, 0), -EINVAL);
	assert_int_equal(mm_unmap(mm, 0, PAGE_SIZE), -EINVAL);
	assert_int_equal(mm_unmap(mm, 0x2000, 0xFFFFFFFF), -EINVAL);
	assert_int_equal(mm_protect(mm, 0x2000, PAGE_SIZE, PROT_READ), -ENOMEM);
	assert_int_equal(mm_fault(mm, 0x2000, 0), -EFAULT);
	mm_destroy(mm);
}

/*
 * Memory runs out in the middle of each operation: it must give an error, and all memory must come
 * back.
 */
static void memory_out(void **state)
{
	(void)state;
	uint32_t before = frames_free() + kmalloc_idle() + pools_idle();
	static pfn_t hoard[FRAMES];
	for (unsigned left = 0; left < 60; left++) {
		unsigned n = 0;
		struct mm *mm = mm_create(), *copy = NULL;
		mm_map(mm, 0x400000, 40 * PAGE_SIZE, PROT_READ | PROT_WRITE, NULL, 0, 0);
		mm_map(mm, 0x80000000, 40 * PAGE_SIZE, PROT_READ | PROT_WRITE, NULL, 0, 0);
		mm_touch(mm, 0x400000);
		while (frames_free() > left)
			hoard[n++] = frame_alloc(0);
		copy = mm_fork(mm);
		for (uint32_t i = 0; i < 40; i++) {
			int e = mm_fault(mm, 0x80000000 + i * PAGE_SIZE, PF_WRITE);
			assert_true(e == 0 || e == -ENOMEM);
		}
		while (n)
			frame_free(hoard[--n], 0);
		mm_destroy(mm);
		if (copy)
			mm_destroy(copy);
		assert_int_equal(frames_free() + kmalloc_idle() + pools_idle(), before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations), cmocka_unit_test(bad_arguments),
		cmocka_unit_test(memory_out),
	};
	return cmocka_run_group_tests(tests, machine, NULL);
}
