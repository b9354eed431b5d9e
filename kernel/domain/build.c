/* SPDX-License-Identifier: MIT */
/*
 * The builder. Guest memory is written where it lies in this kernel's direct map, before it is
 * given away. In the guest's own numbering (its pfns) it looks like this:
 *
 *   0            free
 *   KERNEL_LOAD  the kernel's image, as on a PC
 *   image_end    page directory, direct map, tables for KERNEL_MAP_BASE, p2m, m2p, start record,
 *                and the root file system, if it is to lie in memory
 *   taken_end    free
 *
 * The m2p is an array over all machine frames in the guest's addresses, too, but only where the
 * guest owns frames it has pages of its own: everywhere else lies the same page of NO_FRAME.
 */
#include "domain/domain.h"
#include "domain/guest.h"
#include "fs/vnode.h"
#include "mm/frame.h"
#include "proc/elf.h"
#include "proc/task.h"
#include "split/split.h"

enum { DISK_PORT = CONSOLE_PORT + 1, NET_PORT }; /* a guest's */
#define EXTENT_ORDER 8 /* of the largest blocks of guest memory: 1 MiB */
#define RESERVE 256u  /* frames that stay free for this kernel itself */
#define SPARE 64u     /* frames that a guest must have left for itself */
#define HEADER_BYTES 512
#define KERNEL_PDE (PTE_P | PTE_W | PTE_A)
#define KERNEL_PTE (PTE_P | PTE_A | PTE_D | PTE_G)

/* The builder's notes. Numbers of frames are the guest's pfns. */
struct build {
	struct guest *guest;
	const struct domain_wish *wish;
	struct vnode *kernel, *root;
	struct elf_image image;
	struct guest_header header;
	pfn_t directory, direct_map, map_tables, p2m, m2p, start, root_at, end;
	uint32_t nr_map_tables;
	char head[HEADER_BYTES];  /* of the kernel's file */
	uint16_t m2p_pages[1024]; /* for each 1,024 machine frames: its page of the m2p; 0: none */
	uint32_t handlers[256];
};

/* --- memory --- */

/* Where this kernel has a page of the guest's. */
static void *page(const struct guest *g, pfn_t pfn)
{
	const struct extent *b = g->blocks;
	for (; pfn >> b->order; b = b->next)
		pfn -= 1u << b->order;
	return pfn_to_virt(b->pfn + pfn);
}

/* Word i of an array that begins at the guest's page `first`. */
static uint32_t *word(const struct guest *g, pfn_t first, uint32_t i)
{
	return (uint32_t *)page(g, first + i / 1024) + i % 1024;
}

static mfn_t mfn_of(const struct guest *g, pfn_t pfn)
{
	return pfn_to_mfn(virt_to_pfn(page(g, pfn)));
}

/* Allocate the guest's memory, all zeros, and the frames for the VMM's notes on it. */
static int take_memory(struct guest *g)
{
	struct extent **end = &g->blocks;
	unsigned order = EXTENT_ORDER;
	for (uint32_t got = 0; got < g->nr_pfns;) {
		while (got + (1u << order) > g->nr_pfns)
			order--;
		struct extent *b = kzalloc(sizeof(*b));
		pfn_t pfn = b && frames_free() > RESERVE + (1u << order) ? frame_alloc(order) :
									   NO_FRAME;
		if (pfn == NO_FRAME) {
			kfree(b);
			if (!order)
				return -ENOMEM;
			/* What is in between is for this kernel: single frames come from less. */
			order = order > 6 ? order - 1 : 0;
			continue;
		}
		b->pfn = pfn;
		b->order = order;
		*end = b;
		end = &b->next;
		got += 1u << order;
		memset(pfn_to_virt(pfn), 0, PAGE_SIZE << order);
	}
	for (; g->nr_state < DOMAIN_FRAMES(g->vcpus); g->nr_state++) {
		pfn_t pfn = frame_alloc(0);
		if (pfn == NO_FRAME)
			return -ENOMEM;
		g->state[g->nr_state] = pfn;
	}
	return 0;
}

/* --- the image --- */

/* Read a part of a file into the guest's pages from `pfn` on. */
static int load(struct guest *g, struct vnode *vn, uint32_t offset, pfn_t pfn, uint32_t bytes)
{
	for (uint32_t done = 0, some; done < bytes; done += some) {
		some = MIN(bytes - done, (uint32_t)PAGE_SIZE);
		int n = vnode_read(vn, offset + done, page(g, pfn++), some);
		if (n != (int)some)
			return n < 0 ? n : -EIO;
	}
	return 0;
}

/* Whether the kernel's file can be a guest of this memory; fills image and header. */
static int check_image(struct build *b)
{
	const uint32_t first = KERNEL_BASE + KERNEL_LOAD;
	int n = vnode_read(b->kernel, 0, b->head, HEADER_BYTES);
	if (n < 0)
		return n;
	if (elf_parse(b->head, (uint32_t)n, b->kernel->size, VMM_BASE, &b->image) ||
	    b->image.n == 0 || b->image.segments[0].start != first)
		return -ENOEXEC;
	n = vnode_read(b->kernel, b->image.segments[0].offset + GUEST_HEADER, &b->header,
		       sizeof(b->header));
	if (n < 0)
		return n;
	if (b->header.magic != GUEST_MAGIC || b->header.abi != VMM_ABI_VERSION)
		return -ENOEXEC;
	for (const uint32_t *h = &b->header.entry; h <= &b->header.image_end; h++)
		if (*h < first || *h > b->header.image_end || *h > KERNEL_MAP_BASE)
			return -ENOEXEC;
	for (unsigned i = 0; i < b->image.n; i++) {
		const struct elf_segment *s = &b->image.segments[i];
		if (s->start < first || s->start + s->bytes > b->header.image_end)
			return -ENOEXEC;
	}
	return 0;
}

static int load_image(struct build *b)
{
	int error = 0;
	for (unsigned i = 0; i < b->image.n && !error; i++) {
		const struct elf_segment *s = &b->image.segments[i];
		error = load(b->guest, b->kernel, s->offset,
			     (s->start - KERNEL_BASE) >> PAGE_SHIFT, s->file_bytes);
	}
	return error;
}

/* The handlers, which the kernel of the image would itself put into its IDT. */
static void find_handlers(struct build *b)
{
	uint32_t at = (b->header.stubs - KERNEL_BASE) / 4, end = b->header.stubs_end - KERNEL_BASE;
	for (; at + 2 <= end / 4; at += 2)
		b->handlers[*word(b->guest, 0, at) % 256] = *word(b->guest, 0, at + 1);
	b->handlers[SYSCALL_VECTOR] = b->header.syscall_entry;
}

/* --- tables --- */

/* Choose the place of all that follows the image. Result: 0, -ENOMEM. */
static int lay_out(struct build *b)
{
	struct guest *g = b->guest;
	b->directory = (b->header.image_end - KERNEL_BASE) >> PAGE_SHIFT;
	b->direct_map = b->directory + 1;
	b->map_tables = b->direct_map + DIV_UP(g->nr_pfns, 1024u);
	b->nr_map_tables = DIV_UP(GUEST_LOANS + DIV_UP(nr_mfns, 1024u), 1024u);
	b->p2m = b->map_tables + b->nr_map_tables;
	b->m2p = b->p2m + DIV_UP(g->nr_pfns, 1024u);
	pfn_t next = b->m2p + 1; /* the first one is the page of NO_FRAME */
	for (const struct extent *k = g->blocks; k; k = k->next)
		for (uint32_t i = 0; i < 1u << k->order; i++) {
			uint16_t *at = &b->m2p_pages[pfn_to_mfn(k->pfn + i) / 1024];
			if (!*at)
				*at = (uint16_t)(next++ - b->m2p);
		}
	b->start = next;
	b->root_at = b->start + 1;
	b->end = b->root_at + (b->root ? DIV_UP(b->root->size, PAGE_SIZE) : 0);
	return b->end + SPARE > g->nr_pfns ? -ENOMEM : 0;
}

/* The direct map, p2m and m2p: a word of each for each page. */
static void fill_maps(struct build *b)
{
	struct guest *g = b->guest;
	pfn_t first = KERNEL_LOAD >> PAGE_SHIFT;
	pfn_t end = (b->header.readonly_end - KERNEL_BASE) >> PAGE_SHIFT;
	for (pfn_t pfn = b->m2p; pfn < b->start; pfn++)
		memset(page(g, pfn), 0xFF, PAGE_SIZE); /* NO_FRAME */
	pfn_t pfn = 0;
	for (const struct extent *k = g->blocks; k; k = k->next)
		for (uint32_t i = 0; i < 1u << k->order; i++, pfn++) {
			mfn_t mfn = pfn_to_mfn(k->pfn + i);
			*word(g, b->p2m, pfn) = mfn;
			*word(g, b->m2p + b->m2p_pages[mfn / 1024], mfn % 1024) = pfn;
			*word(g, b->direct_map, pfn) =
				mfn << PAGE_SHIFT | KERNEL_PTE |
				(pfn >= first && pfn < end ? 0 : PTE_W);
		}
}

static uint32_t address_of(pfn_t pfn) { return (uint32_t)pfn_to_virt(pfn); }

/* Let n entries of the directory from `slot` on name the tables at `first`. */
static void fill_directory(const struct build *b, uint32_t slot, pfn_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		*word(b->guest, b->directory, slot + i) =
			mfn_of(b->guest, first + i) << PAGE_SHIFT | KERNEL_PDE;
}

/* Map lent pages behind those that are mapped already. Result: what the guest must know. */
static struct domain_channel lend(const struct build *b, struct domain_start *s,
				  const struct back *back, uint32_t port)
{
	if (!back)
		return (struct domain_channel){ 0 };
	uint32_t at = KERNEL_MAP_BASE + s->map_used * PAGE_SIZE;
	for (uint32_t i = 0; i < back->nr_pages; i++)
		*word(b->guest, b->map_tables, s->map_used++) =
			pfn_to_mfn(virt_to_pfn(back->pages[i])) << PAGE_SHIFT | KERNEL_PTE | PTE_W;
	return (struct domain_channel){ port, at };
}

static void fill_start(struct build *b)
{
	const struct domain_wish *w = b->wish;
	const struct guest *g = b->guest;
	struct domain_start *s = page(g, b->start);
	fill_directory(b, KERNEL_SLOT, b->direct_map, DIV_UP(g->nr_pfns, 1024u));
	fill_directory(b, KERNEL_MAP_BASE >> 22, b->map_tables, b->nr_map_tables);
	*s = (struct domain_start){
		.magic = START_MAGIC, .abi = VMM_ABI_VERSION, .bytes = sizeof(*s),
		.domain = g->number, .nr_pfns = g->nr_pfns, .nr_mfns = nr_mfns,
		.nr_vcpus = w->vcpus, .shared = virt_to_pfn((void *)b->header.shared),
		.p2m = address_of(b->p2m), .directory = address_of(b->directory),
		.direct_map = address_of(b->direct_map), .map_tables = address_of(b->map_tables),
		.taken_first = b->directory, .taken_end = b->end,
		.root = b->root_at, .root_bytes = b->root ? b->root->size : 0,
		.console_port = CONSOLE_PORT, .ip = net.address + g->number,
	};
	s->disk = lend(b, s, w->disk, DISK_PORT);
	if (w->disk) {
		s->disk_sectors = w->disk->file->size / SECTOR;
		s->disk_read_only = w->disk->read_only;
	}
	s->net = lend(b, s, w->net, NET_PORT);
	if (w->net) {
		w->net->mac[MAC_BYTES - 1] = (uint8_t)g->number;
		memcpy(s->mac, w->net->mac, MAC_BYTES);
	}
	s->m2p = KERNEL_MAP_BASE + s->map_used * PAGE_SIZE;
	for (uint32_t i = 0; i < DIV_UP(nr_mfns, 1024u); i++)
		*word(g, b->map_tables, s->map_used++) =
			mfn_of(g, b->m2p + b->m2p_pages[i]) << PAGE_SHIFT | KERNEL_PTE;
	strlcpy(s->cmdline, w->cmdline ? w->cmdline : "", sizeof(s->cmdline));
}

/* --- the steps --- */

/* Files, memory, image and tables; nothing is known to the VMM but that the guest is to come. */
static int write_guest(struct build *b, const char **why)
{
	struct guest *g = b->guest;
	int error = vfs_lookup("/boot/cinnabar", &b->kernel);
	*why = "/boot/cinnabar is not there, or is no kernel that can be a guest";
	if (error || (error = check_image(b)))
		return error;
	*why = "the root file system cannot be opened";
	if (b->wish->root && (error = vfs_lookup(b->wish->root, &b->root)))
		return error;
	*why = "there is not enough free memory";
	if ((error = take_memory(g)))
		return error;
	*why = "kernel and root file system do not fit in that memory";
	if ((error = lay_out(b)))
		return error;
	*why = "a file cannot be read";
	error = load_image(b);
	if (!error && b->root)
		error = load(g, b->root, 0, b->root_at, b->root->size);
	find_handlers(b);
	return error;
}

/* Tell the VMM, give it all, and let it check. */
static int give_guest(struct build *b, const char **why)
{
	struct guest *g = b->guest;
	int error = guest_announce(g, b->wish->weight);
	*why = "the VMM refuses it";
	if (error)
		return error;
	fill_maps(b);
	fill_start(b);
	if ((error = guest_pages(g, DOMAIN_GIVE, g->nr_pfns)) ||
	    (error = guest_join(g, b->wish->disk, DISK_PORT, &g->disk_port)) ||
	    (error = guest_join(g, b->wish->net, NET_PORT, &g->net_port)) ||
	    (error = guest_join(g, NULL, CONSOLE_PORT, &g->console_port)))
		return error;
	struct domain_op o = {
		.directory = mfn_of(g, b->directory), .eip = b->header.entry,
		.shared = mfn_of(g, (b->header.shared - KERNEL_BASE) >> PAGE_SHIFT),
		.esi = address_of(b->start), .handlers = (uint32_t)b->handlers,
	};
	error = guest_op(g, DOMAIN_BIRTH, &o);
	if (error && !guest_op(g, DOMAIN_INFO, &o))
		printk("domain: the guest's tables are refused: %s\n", o.info.reason);
	return error;
}

int guest_build(struct guest *g, const struct domain_wish *w, const char **why)
{
	*why = "there is not enough free memory";
	struct build *b = kzalloc(sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->guest = g;
	b->wish = w;
	int error = write_guest(b, why);
	if (!error)
		error = give_guest(b, why);
	vnode_put(b->kernel);
	vnode_put(b->root);
	kfree(b);
	return error;
}
