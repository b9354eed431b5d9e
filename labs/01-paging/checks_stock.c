/* SPDX-License-Identifier: MIT */
/*
 * The VMM's stock, taken by the check: frame table, owners, homes, and what warm-up notes of the
 * kernel's tables. The checks of exercises 6 and 8 to 12 rest on this, and not on exercises 6 to 8.
 */
#include "checks.h"

enum { SLOTS = VMM_SLOT - KERNEL_SLOT };

static uint32_t domain(uint32_t offset)
{
	return vmm_symbol("domain0") + offset;
}

uint32_t kernel_directory(struct guest *g)
{
	return page_walk(g->m, g->c.cr3, kernel_word(g->m, "kernel_directory")).machine >> 12;
}

bool *find_shared(struct guest *g)
{
	bool *shared = calloc(ALL_FRAMES, sizeof(*shared));
	uint32_t directory = kernel_directory(g);
	shared[directory] = true;
	for (unsigned slot = KERNEL_SLOT; slot < VMM_SLOT; slot++) {
		uint32_t pde = physical_word(g->m, (directory << 12) + 4 * slot);
		if (pde & P)
			shared[pde >> 12] = true;
	}
	return shared;
}

/* By mfn: how often the kernel's upper part maps it writable. Result: for the caller to free. */
static uint32_t *count_writable(struct guest *g)
{
	uint32_t *count = calloc(ALL_FRAMES, sizeof(*count)), table[1024];
	uint32_t directory = kernel_directory(g) << 12;
	for (unsigned slot = KERNEL_SLOT; slot < VMM_SLOT; slot++) {
		uint32_t pde = physical_word(g->m, directory + 4 * slot);
		if (!(pde & P))
			continue;
		physical_read(g->m, pde & -PAGE, table, sizeof(table));
		for (unsigned i = 0; i < 1024; i++)
			count[table[i] >> 12] += (table[i] & (P | W)) == (P | W);
	}
	/* The VMM maps the shared page, too. */
	count[page_walk(g->m, g->c.cr3, symbol("vmm_shared")).machine >> 12]++;
	return count;
}

struct entry *count_stock(struct guest *g)
{
	struct entry *frames = calloc(g->nr_mfns, sizeof(*frames));
	uint32_t *count = count_writable(g), owner = vmm_member(g, "domain0", DOMAIN_ID) & 0xFF;
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++) {
		uint32_t pfn = g->m2p[mfn], pte = pfn == NO_FRAME ? 0 : home_entry(g, pfn);
		bool home_w = pte & W;
		frames[mfn] = (struct entry){ .home = count[mfn] << BASE_SHIFT };
		if (pte & P && pte >> 12 == mfn)
			frames[mfn].home |= pfn << 12 | (home_w ? HOME_W : 0),
			frames[mfn].owner = owner;
	}
	free(count);
	return frames;
}

/* Write the frame table, and what account_shared() keeps of the kernel's directory. */
static void write_stock(struct guest *g, const struct entry *frames)
{
	uint32_t directory = kernel_directory(g), pdes[1024 - KERNEL_SLOT];
	uint32_t image = vmm_member(g, "machine", offsetof(struct vmm_machine, image_bytes));
	set_word(g, vmm_symbol("frames"), VMM_BASE + image);
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++)
		write_frame(g, mfn, &frames[mfn]);
	physical_read(g->m, (directory << 12) + 4 * KERNEL_SLOT, pdes, sizeof(pdes));
	set_words(g, domain(DOMAIN_KERNEL_PDES), pdes, LENGTH(pdes));
	for (unsigned slot = 0; slot < SLOTS; slot++)
		set_word(g, domain(DOMAIN_DIRECT_MAP_TABLES + 4 * slot),
			 pdes[slot] & P ? pdes[slot] >> 12 : directory);
}

void take_stock(struct guest *g, bool fix)
{
	struct entry *frames = count_stock(g);
	bool *shared = find_shared(g);
	for (uint32_t mfn = 0; mfn < g->nr_mfns && fix; mfn++)
		if (shared[mfn]) {
			frames[mfn].type = SHARED, frames[mfn].generation = FOR_EVER;
			set_home_entry(g, g->m2p[mfn], home_entry(g, g->m2p[mfn]) & ~(uint32_t)W);
		}
	write_stock(g, frames);
	set_word(g, domain(DOMAIN_NR_MASKED_MAPPINGS), 0);
	forget_types(g);
	free(frames), free(shared);
}

void forget_types(struct guest *g)
{
	uint32_t generation = vmm_generation(g) + 1;
	set_word(g, domain(DOMAIN_GENERATION), generation);
	set_word(g, domain(DOMAIN_LISTED), END_OF_LIST);
	set_word(g, domain(DOMAIN_NR_LISTED), 0);
	for (unsigned i = 0; i < VMM_MAX_CPUS; i++)
		set_word(g, domain(DOMAIN_VCPUS + i * VCPU_BYTES + VCPU_LAST_TABLE), NO_TABLE);
}

struct guest start_stock(void)
{
	struct machine_options o = { .p2m = judge_shuffle(5), .mem = some_memory(),
				     .cmdline = "mode=virtual run=true" };
	struct guest g = start_at(&o, vmm_symbol("frames_warm_up"));
	learn_p2m(&g);
	take_stock(&g, true);
	skip(&g, 0);
	run_to(&g, symbol("files_init_console"));
	/* The TLB's entries from before the tables were read-only. */
	CALL(&g, "native_mmu_flush_all");
	return g;
}

void look_at_each(void)
{
	static const struct { const char *context; void (*judge)(struct guest *g); } each[] = {
		{ "cannot be judged until exercise 6 (check `home`) is right", judge_home },
		{ "cannot be judged until exercise 9 (check `entries`) is right", judge_entries },
		{ "cannot be judged until exercise 10 (check `directories`) is right",
		  judge_directories },
		{ "cannot be judged until exercise 10 (check `undo`) is right", judge_undo },
		{ "cannot be judged until exercise 11 (check `promote`) is right", judge_promote },
		{ "cannot be judged until exercise 12 (check `protect`) is right", judge_protect },
	};
	struct guest g = start_stock();
	for (unsigned i = 0; i < LENGTH(each); i++)
		judge_base(&g, each[i].context, each[i].judge);
}

uint32_t cpu0(void)
{
	return vmm_symbol("vmm_cpus");
}

void lock(struct guest *g, bool on)
{
	set_word(g, vmm_symbol("vmm_lock_word"), on);
}

/* What an attach stores. Its code is not in the lab's tree: it is built in lab 2. */
static void store_attach(struct guest *g)
{
	enum { TSS_BUSY = 1 << 9 }; /* in the descriptor's upper word (SDM vol. 3, 8.2.2) */
	look(g, g->cpu);
	uint32_t busy = cpu0() + CPU_GDT + SEL_TSS + 4, vcpu = word_at(g, cpu0() + CPU_CURRENT);
	set_word(g, domain(DOMAIN_SERVED), true);
	set_word(g, vcpu + VCPU_DIRECTORY, g->c.cr3 >> PAGE_SHIFT);
	set_word(g, cpu0() + CPU_NATIVE_TR, g->c.tr.selector);
	set_word(g, cpu0() + CPU_TSS + offsetof(struct tss, esp1),
		 task_of(&g->c) + TASK_STACK_BYTES);
	set_word(g, busy, word_at(g, busy) | TSS_BUSY);
}

void set_attached(struct guest *g, unsigned cpus)
{
	if (cpus)
		store_attach(g);
	set_word(g, vmm_symbol("machine") + offsetof(struct vmm_machine, nr_cpus),
		 cpus ? cpus : 1 + random_below(VMM_MAX_CPUS));
	for (unsigned i = 0; i < VMM_MAX_CPUS; i++)
		set_word(g, cpu0() + i * CPU_BYTES + CPU_ATTACHED, i < cpus);
}

unsigned many_cpus(void)
{
	return 2 + random_below(VMM_MAX_CPUS - 1);
}

/* --- what a call may change --- */

struct entry current(struct entry e, uint32_t generation)
{
	if (e.generation != generation && e.generation != FOR_EVER) {
		e.generation = generation;
		e.type = WRITABLE, e.count = e.home >> BASE_SHIFT & BASE_MASK, e.next = 0;
	}
	return e;
}

void want_frames(struct guest *g, const struct entry *expected, const char *what)
{
	struct entry *now = read_frames(g);
	uint32_t generation = vmm_generation(g);
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++) {
		struct entry is = now[mfn], want = expected[mfn];
		if (is.generation == generation) /* it may have been brought up */
			want = current(want, generation);
		CHECK(is.type == want.type && is.count == want.count,
		      "%s: frame %#x (pfn %#x) is %s with count %u, expected %s with count %u",
		      what, mfn, g->m2p[mfn], type_name(is.type), is.count, type_name(want.type),
		      want.count);
		CHECK(is.home == want.home && is.owner == want.owner && is.next == want.next &&
			      is.generation == want.generation,
		      "%s: frame %#x (pfn %#x): home %#x, owner %u, next %#x, generation %#x, "
		      "expected %#x, %u, %#x, %#x", what, mfn, g->m2p[mfn], is.home, is.owner,
		      is.next, is.generation, want.home, want.owner, want.next, want.generation);
	}
	free(now);
}
