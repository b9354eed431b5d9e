/* SPDX-License-Identifier: MIT */
/*
 * Memory at boot: from the firmware's map to p2m, the kernel's own page directory and the frame allocator. All tables
 * that depend on the size of memory come out of one run of frames behind the kernel's image, which, like the image, keeps
 * pfn == mfn, so that the boot directory and the kernel's directory show them at the same addresses.
 */
#include "boot/boot.h"
#include "mm/frame.h"
#include "mm/frame_table.h"
#include "mm/vm.h"
#include "switch/switch.h"

extern char image_start[], readonly_end[], image_end[];

#define SLOTS_KERNEL_MAP ((KERNEL_MAP_END - KERNEL_MAP_BASE) >> 22)
#define FRAMES(bytes) DIV_UP(bytes, PAGE_SIZE)

pte_t *kernel_directory;
static struct p2m_order order;
pte_t *direct_map;
static struct frame_range usable[MAX_RANGES], reserved[3], fixed[2];
static unsigned nr_usable, nr_reserved = 2;
static pte_t *kernel_map_tables; /* SLOTS_KERNEL_MAP tables, one after the other */
static uint32_t kernel_map_used;
static char *boot_heap;

static void *boot_alloc(uint32_t frames)
{
	char *p = boot_heap;
	boot_heap += frames * PAGE_SIZE;
	return memset(p, 0, frames * PAGE_SIZE);
}

static void find_usable(void)
{
	uint32_t highest = 0;
	for (unsigned i = 0; i < boot_info.nr_ranges; i++) {
		const struct memory_range *r = &boot_info.ranges[i];
		struct frame_range f = { (uint32_t)((r->base + PAGE_SIZE - 1) >> PAGE_SHIFT),
					 (uint32_t)((r->base + r->bytes) >> PAGE_SHIFT) };
		if (r->type != 1 || f.first >= f.end)
			continue;
		usable[nr_usable++] = f;
		highest = MAX(highest, f.end);
	}
	reserved[0] = (struct frame_range){ 0, 1 }; /* the firmware's data */
	reserved[1] = (struct frame_range){ TRAMPOLINE >> PAGE_SHIFT, (TRAMPOLINE >> PAGE_SHIFT) + 1 };
	nr_mfns = highest;
	reserved[2] = vmm_reserve(usable, nr_usable);
	nr_reserved += reserved[2].end > 0;
	nr_pfns = MIN(p2m_count(usable, nr_usable, reserved, nr_reserved, nr_mfns), (uint32_t)MAX_PFNS);
}

/* The first run of usable frames behind the image that no module lies in. */
static mfn_t place_boot_heap(uint32_t frames)
{
	mfn_t at = virt_to_pfn(image_end);
	for (bool moved = true; moved;) {
		moved = false;
		for (unsigned i = 0; i < boot_info.nr_modules; i++) {
			const struct boot_module *m = &boot_info.modules[i];
			mfn_t first = m->machine >> PAGE_SHIFT, end = first + FRAMES(m->bytes);
			if (at < end && first < at + frames)
				at = end, moved = true;
		}
	}
	return at;
}

static void build_p2m(void)
{
	char text[32];
	if (boot_option("p2m", text, sizeof(text)) && p2m_parse(text, &order))
		panic("boot: p2m=%s is not known; use p2m=identity or p2m=shuffle:SEED", text);
	uint32_t tables = 1 + DIV_UP(nr_pfns, 1024u) + SLOTS_KERNEL_MAP;
	uint32_t frames = FRAMES(nr_pfns * sizeof(mfn_t)) + FRAMES(nr_mfns * sizeof(pfn_t)) +
			  FRAMES(nr_pfns * sizeof(struct frame)) + tables;
	mfn_t at = place_boot_heap(frames);
	if (at + frames + FRAME_LOW_WATER > nr_pfns)
		panic("boot: %u KiB of memory are too few for kernel and modules; give the machine more (MEM=n)",
		      nr_pfns * (PAGE_SIZE / 1024));
	boot_heap = pfn_to_virt(at);
	p2m = boot_alloc(FRAMES(nr_pfns * sizeof(mfn_t)));
	m2p = boot_alloc(FRAMES(nr_mfns * sizeof(pfn_t)));
	frame_table = boot_alloc(FRAMES(nr_pfns * sizeof(struct frame)));
	fixed[0] = (struct frame_range){ virt_to_pfn(image_start), virt_to_pfn(image_end) };
	fixed[1] = (struct frame_range){ at, at + frames };
	if (p2m_build(usable, nr_usable, reserved, nr_reserved, fixed, 2, order))
		panic("boot: the firmware's memory map has no room where the kernel was loaded");
}

/* The direct map: pfn n at KERNEL_BASE + n pages; the image's text and constants are read-only. */
static void build_directory(void)
{
	kernel_directory = boot_alloc(1);
	pte_t *table = direct_map = boot_alloc(DIV_UP(nr_pfns, 1024u));
	for (pfn_t pfn = 0; pfn < nr_pfns; pfn++) {
		bool writable = pfn < virt_to_pfn(image_start) || pfn >= virt_to_pfn(readonly_end);
		table[pfn] = pfn_to_mfn(pfn) << PAGE_SHIFT | PTE_P | PTE_G | PTE_A | PTE_D | (writable ? PTE_W : 0);
		if (pfn % 1024 == 0)
			kernel_directory[(KERNEL_BASE >> 22) + pfn / 1024] =
				pfn_to_mfn(virt_to_pfn(&table[pfn])) << PAGE_SHIFT | PTE_P | PTE_W | PTE_A;
	}
	kernel_map_tables = boot_alloc(SLOTS_KERNEL_MAP);
	for (unsigned i = 0; i < SLOTS_KERNEL_MAP; i++)
		kernel_directory[(KERNEL_MAP_BASE >> 22) + i] =
			pfn_to_mfn(virt_to_pfn(kernel_map_tables + i * 1024)) << PAGE_SHIFT | PTE_P | PTE_W | PTE_A;
	vmm_place(kernel_directory);
}

static bool in_module(mfn_t mfn)
{
	for (unsigned i = 0; i < boot_info.nr_modules; i++) {
		const struct boot_module *m = &boot_info.modules[i];
		if (mfn >= m->machine >> PAGE_SHIFT && mfn < (m->machine >> PAGE_SHIFT) + FRAMES(m->bytes))
			return true;
	}
	return false;
}

void mm_init(void)
{
	find_usable();
	build_p2m();
	build_directory();
	VO(mmu, load_directory)(pfn_to_mfn(virt_to_pfn(kernel_directory)));
	for (pfn_t pfn = nr_pfns; pfn-- > 0;) { /* from the top, so that low ones are given first */
		bool is_fixed = (pfn >= fixed[0].first && pfn < fixed[0].end) || (pfn >= fixed[1].first && pfn < fixed[1].end);
		if (is_fixed || in_module(pfn_to_mfn(pfn)))
			frame_table[pfn].refs = 1;
		else
			frame_free(pfn, 0);
	}
}

void *map_machine(uint32_t machine, uint32_t bytes, uint32_t flags)
{
	uint32_t offset = machine & ~PAGE_MASK, pages = FRAMES(offset + bytes), at = kernel_map_used;
	if (pages > (KERNEL_MAP_END - KERNEL_MAP_BASE) / PAGE_SIZE - at)
		panic("boot: no room to map %u KiB at machine address %#x", bytes / 1024, machine);
	kernel_map_used += pages;
	for (uint32_t i = 0; i < pages; i++)
		VO(mmu, set_pte)(&kernel_map_tables[at + i],
				 ((machine & PAGE_MASK) + i * PAGE_SIZE) | PTE_P | PTE_A | PTE_D | PTE_G | flags);
	return (void *)(KERNEL_MAP_BASE + at * PAGE_SIZE + offset);
}

int memmap_show(char *buf, size_t size)
{
	size_t n = 0;
	for (unsigned i = 0; i < boot_info.nr_ranges; i++) {
		const struct memory_range *r = &boot_info.ranges[i];
		n += snprintf(buf + MIN(n, size), size - MIN(n, size), "%08llx-%08llx %s\n", r->base, r->base + r->bytes,
			      r->type == 1 ? "usable" : "reserved");
	}
	if (order.shuffle)
		n += snprintf(buf + MIN(n, size), size - MIN(n, size), "p2m shuffle:%u\n", order.seed);
	else
		n += snprintf(buf + MIN(n, size), size - MIN(n, size), "p2m identity\n");
	n += snprintf(buf + MIN(n, size), size - MIN(n, size), "frames %u free %u\nimage pfn %x-%x\ntables pfn %x-%x\n", nr_pfns,
		      frames_free(), fixed[0].first, fixed[0].end, fixed[1].first, fixed[1].end);
	return (int)n;
}
