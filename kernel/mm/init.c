/* SPDX-License-Identifier: MIT */
/*
 * Memory at boot: from the firmware's map to p2m, the kernel's own page directory and the
 * frame allocator. All tables whose size depends on the memory's size lie in one run of frames
 * above the kernel's image, the boot heap. Image and boot heap keep pfn == mfn, so the boot
 * directory and the kernel's directory map them at equal addresses.
 */
#include "boot/boot.h"
#include "domain_abi.h"
#include "mm/frame.h"
#include "mm/frame_table.h"
#include "mm/vm.h"
#include "switch/switch.h"

extern char image_start[], readonly_end[], image_end[];

#define SLOTS_KERNEL_MAP ((KERNEL_MAP_END - KERNEL_MAP_BASE) >> 22)
#define FRAMES(bytes) DIV_UP(bytes, PAGE_SIZE)

pte_t *kernel_directory;
pte_t *direct_map;
static struct p2m_order order;
static struct frame_range usable[2 * MAX_RANGES], reserved[3], fixed[2];
static unsigned nr_usable, nr_reserved = 2;
static pte_t *kernel_map_tables; /* SLOTS_KERNEL_MAP tables, one after the other */
static uint32_t kernel_map_used;
static char *boot_heap;

/* The next frames of the boot heap, cleared. */
static void *boot_alloc(uint32_t frames)
{
	char *p = boot_heap;
	boot_heap += frames * PAGE_SIZE;
	return memset(p, 0, frames * PAGE_SIZE);
}

/* Frames in [first, end) are not usable, although a range may say so. */
static void exclude(uint32_t first, uint32_t end)
{
	for (unsigned i = 0; i < nr_usable; i++) {
		struct frame_range *u = &usable[i];
		if (u->end <= first || u->first >= end)
			continue;
		if (u->first < first && end < u->end && nr_usable < ARRAY_SIZE(usable))
			usable[nr_usable++] = (struct frame_range){ end, u->end };
		if (u->first < first)
			u->end = first;
		else
			u->first = MIN(end, u->end);
	}
}

/* Note usable and reserved machine frames, and count those that the kernel gets. */
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
	for (unsigned i = 0; i < boot_info.nr_ranges; i++) {
		const struct memory_range *r = &boot_info.ranges[i];
		uint64_t end = r->base + r->bytes + PAGE_SIZE - 1;
		if (r->type != 1 && r->bytes)
			exclude((uint32_t)(r->base >> PAGE_SHIFT), (uint32_t)(end >> PAGE_SHIFT));
	}
	reserved[0] = (struct frame_range){ 0, 1 }; /* the firmware's data */
	reserved[1].first = TRAMPOLINE >> PAGE_SHIFT;
	reserved[1].end = reserved[1].first + 1;
	nr_mfns = highest;
	reserved[2] = vmm_reserve(usable, nr_usable);
	nr_reserved += reserved[2].end > 0;
	uint32_t count = p2m_count(usable, nr_usable, reserved, nr_reserved, nr_mfns);
	nr_pfns = MIN(count, (uint32_t)MAX_PFNS);
	if (nr_pfns < count)
		printk("boot: %u MiB of memory are used, and %u MiB below 4 GiB are left out\n",
		       nr_pfns >> 8, (count - nr_pfns) >> 8);
}

/*
 * The first run of frames above the image that no module lies in. p2m_build() fails if a
 * frame of the run is not usable.
 */
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

/*
 * Place the boot heap, allocate the tables that are as large as memory, and fill p2m and
 * m2p.
 */
static void build_p2m(void)
{
	char text[32];
	if (boot_option("p2m", text, sizeof(text)) && p2m_parse(text, &order))
		panic("boot: p2m=%s is not known; use p2m=identity or p2m=shuffle:SEED, with "
		      "a SEED from 0 to 4294967295", text);
	uint32_t tables = 1 + DIV_UP(nr_pfns, 1024u) + SLOTS_KERNEL_MAP; /* build_directory() */
	uint32_t frames = FRAMES(nr_pfns * sizeof(mfn_t)) + FRAMES(nr_mfns * sizeof(pfn_t)) +
			  FRAMES(nr_pfns * sizeof(struct frame)) + tables;
	mfn_t at = place_boot_heap(frames);
	if (at + frames + FRAME_LOW_WATER > nr_pfns)
		panic("boot: %u KiB of memory are too few for kernel and modules; "
		      "give the machine more (MEM=n)", nr_pfns * (PAGE_SIZE / 1024));
	boot_heap = pfn_to_virt(at);
	p2m = boot_alloc(FRAMES(nr_pfns * sizeof(mfn_t)));
	m2p = boot_alloc(FRAMES(nr_mfns * sizeof(pfn_t)));
	frame_table = boot_alloc(FRAMES(nr_pfns * sizeof(struct frame)));
	fixed[0] = (struct frame_range){ virt_to_pfn(image_start), virt_to_pfn(image_end) };
	fixed[1] = (struct frame_range){ at, at + frames };
	if (p2m_build(usable, nr_usable, reserved, nr_reserved, fixed, 2, order))
		panic("boot: the firmware's memory map has no room where the kernel was loaded");
}

/* The directory entry for a page table of the kernel's. */
static pte_t pde_make(const pte_t *table)
{
	return pfn_to_mfn(virt_to_pfn(table)) << PAGE_SHIFT | PTE_P | PTE_W | PTE_A;
}

/*
 * The kernel's directory: the direct map (pfn n at KERNEL_BASE + n pages; the image's
 * text and constants are read-only), empty tables for map_machine(), and the VMM's place.
 */
static void build_directory(void)
{
	kernel_directory = boot_alloc(1);
	pte_t *table = direct_map = boot_alloc(DIV_UP(nr_pfns, 1024u));
	for (pfn_t pfn = 0; pfn < nr_pfns; pfn++) {
		bool writable = pfn < virt_to_pfn(image_start) || pfn >= virt_to_pfn(readonly_end);
		table[pfn] = pfn_to_mfn(pfn) << PAGE_SHIFT | PTE_P | PTE_G | PTE_A | PTE_D |
			     (writable ? PTE_W : 0);
		if (pfn % 1024 == 0)
			kernel_directory[KERNEL_SLOT + pfn / 1024] = pde_make(&table[pfn]);
	}
	kernel_map_tables = boot_alloc(SLOTS_KERNEL_MAP);
	for (unsigned i = 0; i < SLOTS_KERNEL_MAP; i++)
		kernel_directory[(KERNEL_MAP_BASE >> 22) + i] =
			pde_make(kernel_map_tables + i * 1024);
	vmm_place(kernel_directory);
}

static bool in_module(mfn_t mfn)
{
	for (unsigned i = 0; i < boot_info.nr_modules; i++) {
		const struct boot_module *m = &boot_info.modules[i];
		mfn_t first = m->machine >> PAGE_SHIFT;
		if (mfn >= first && mfn < first + FRAMES(m->bytes))
			return true;
	}
	return false;
}

static bool is_fixed(pfn_t pfn)
{
	for (unsigned i = 0; i < ARRAY_SIZE(fixed); i++)
		if (pfn >= fixed[i].first && pfn < fixed[i].end)
			return true;
	return false;
}

/* Give all frames to the allocator but those that are in use. */
static void free_rest(void)
{
	for (pfn_t pfn = nr_pfns; pfn-- > 0;) /* downwards, so that low frames are taken first */
		if (is_fixed(pfn) || in_module(pfn_to_mfn(pfn)))
			frame_table[pfn].refs = 1;
		else
			frame_free(pfn, 0);
}

void mm_init(void)
{
	find_usable();
	build_p2m();
	build_directory();
	VO(mmu, load_directory)(pfn_to_mfn(virt_to_pfn(kernel_directory)));
	free_rest();
}

void mm_init_guest(const struct domain_start *s)
{
	nr_pfns = s->nr_pfns;
	nr_mfns = s->nr_mfns;
	p2m = (mfn_t *)s->p2m;
	m2p = (pfn_t *)s->m2p;
	kernel_directory = (pte_t *)s->directory;
	direct_map = (pte_t *)s->direct_map;
	boot_heap = pfn_to_virt(s->taken_end);
	frame_table = boot_alloc(FRAMES(nr_pfns * sizeof(struct frame)));
	fixed[0] = (struct frame_range){ virt_to_pfn(image_start), virt_to_pfn(image_end) };
	fixed[1] = (struct frame_range){ s->taken_first, virt_to_pfn(boot_heap) };
	free_rest();
}

void *map_machine(uint32_t machine, uint32_t bytes, uint32_t flags)
{
	uint32_t offset = machine & ~PAGE_MASK, pages = FRAMES(offset + bytes);
	uint32_t at = kernel_map_used;
	if (pages > (KERNEL_MAP_END - KERNEL_MAP_BASE) / PAGE_SIZE - at)
		panic("boot: no room to map %u KiB at machine address %#x", bytes / 1024, machine);
	kernel_map_used += pages;
	flags |= PTE_P | PTE_A | PTE_D | PTE_G;
	for (uint32_t i = 0; i < pages; i++)
		VO(mmu, set_pte)(&kernel_map_tables[at + i],
				 ((machine & PAGE_MASK) + i * PAGE_SIZE) | flags);
	return (void *)(KERNEL_MAP_BASE + at * PAGE_SIZE + offset);
}

void unmap_machine(const void *first)
{
	uint32_t at = ((uint32_t)first - KERNEL_MAP_BASE) / PAGE_SIZE;
	while (kernel_map_used > at) {
		kernel_map_used--;
		VO(mmu, set_pte)(&kernel_map_tables[kernel_map_used], 0);
		VO(mmu, flush_page)(KERNEL_MAP_BASE + kernel_map_used * PAGE_SIZE);
	}
}

int memmap_show(char *buf, size_t size)
{
	size_t n = 0;
	for (unsigned i = 0; i < boot_info.nr_ranges; i++) {
		const struct memory_range *r = &boot_info.ranges[i];
		n = appendf(buf, size, n, "%08llx-%08llx %s\n", r->base, r->base + r->bytes,
			    r->type == 1 ? "usable" : "reserved");
	}
	if (order.shuffle)
		n = appendf(buf, size, n, "p2m shuffle:%u\n", order.seed);
	else
		n = appendf(buf, size, n, "p2m identity\n");
	n = appendf(buf, size, n, "frames %u free %u\n", nr_pfns, frames_free());
	return (int)appendf(buf, size, n, "image pfn %x-%x\ntables pfn %x-%x\n", fixed[0].first,
			    fixed[0].end, fixed[1].first, fixed[1].end);
}
