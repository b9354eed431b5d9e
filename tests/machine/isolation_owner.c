/* SPDX-License-Identifier: MIT */
/*
 * Every frame has an owner, and a domain may use only its own. The debugger gives frames of the
 * running kernel to another domain, by changing their owner in the VMM's frame table; from then on
 * every way to use them must be refused and must change nothing. With the owner set back all is
 * allowed again.
 */
#include "isolation.h"
#include "offsets.h"

/* Pages of the pool. */
enum { PLAIN_PAGE = FREE_PAGE, TABLE_PAGE, DIRECTORY_PAGE, NEW_TABLE_PAGE, NEW_DIRECTORY_PAGE,
       OLD_PAGE };

/* --- the frame table, from outside --- */

static uint32_t frame_entry(struct victim *v, uint32_t mfn)
{
	uint32_t frames;
	virtual_read(v->m, v->start.cr3, vmm_symbol("frames"), &frames, 4);
	return frames + mfn * FRAME_ENTRY_BYTES;
}

static uint8_t own_id(struct victim *v)
{
	uint8_t id;
	virtual_read(v->m, v->start.cr3, vmm_symbol("domain0") + DOMAIN_ID, &id, 1);
	return id;
}

static void set_owner(struct victim *v, uint32_t mfn, uint8_t owner)
{
	uint32_t at = frame_entry(v, mfn) + FRAME_ENTRY_OWNER;
	physical_write(v->m, page_walk(v->m, v->start.cr3, at).machine, &owner, 1);
}

static void give_away(struct victim *v, unsigned page)
{
	set_owner(v, pool_mfn(v, page), (uint8_t)(own_id(v) + 1));
}

static void take_back(struct victim *v, unsigned page)
{
	set_owner(v, pool_mfn(v, page), own_id(v));
}

/*
 * What must not change: the frame table, as the VMM reads it in this attachment, and the page-table
 * entries that the attacks aim at.
 */
struct state {
	struct frame_state *frames;
	uint32_t entries[8], slots[2];
};

static struct state state_now(struct victim *v)
{
	uint32_t nr = kernel_word(v->m, "nr_mfns");
	struct state s = { .frames = frame_table_read(v->m, v->start.cr3, nr) };
	physical_read(v->m, pte_machine(v, PLAIN_PAGE), s.entries, sizeof(s.entries));
	physical_read(v->m, slot_machine(v->directory, FREE_SLOT), s.slots, sizeof(s.slots));
	return s;
}

/* Type and count of a frame; those that an entry from an earlier attachment stands for. */
static uint32_t use_of(const struct frame_state *f)
{
	bool old = f->validity == FRAME_OLD;
	return old ? f->shared_mappings : (uint32_t)f->type << TYPE_SHIFT | f->count;
}

/* Compare, and drop both. */
static void check_unchanged(struct victim *v, struct state before, const char *what)
{
	uint32_t nr = kernel_word(v->m, "nr_mfns");
	struct state now = state_now(v);
	for (uint32_t mfn = 0; mfn < nr; mfn++) {
		const struct frame_state *old = &before.frames[mfn], *new = &now.frames[mfn];
		CHECK(new->owner == old->owner && use_of(new) == use_of(old),
		      "%s: frame %#x had use %#x and has %#x", what, mfn, use_of(old),
		      use_of(new));
	}
	CHECK(memcmp(now.entries, before.entries, sizeof(now.entries)) == 0 &&
	      memcmp(now.slots, before.slots, sizeof(now.slots)) == 0,
	      "%s changed a page-table entry", what);
	free(before.frames), free(now.frames);
}

/* A hypercall that is refused with this error and changes nothing. */
#define REFUSED_WHOLLY(v, error, what, ...) \
	do { \
		struct state before = state_now(v); \
		REFUSED(v, error, __VA_ARGS__); \
		check_unchanged(v, before, what); \
	} while (0)

/* --- attacks --- */

/* Make the VMM take a table for the one that was updated last, so that its short way is used. */
static void update_last(struct victim *v, uint32_t table_entry)
{
	ALLOWED(v, HC_UPDATE, table_entry, 1, 0, 0);
}

/* Map a foreign frame: one entry by both ways, in a batch, and in a table that is new. */
static void map_foreign(struct victim *v, uint32_t foreign)
{
	uint32_t at = pte_machine(v, PLAIN_PAGE), slot = slot_machine(v->directory, FREE_SLOT + 1);
	uint32_t other_table = pool_mfn(v, TABLE_PAGE) << PAGE_SHIFT;
	uint32_t new_table = pool_mfn(v, NEW_TABLE_PAGE), own = entry(new_table, PTE_W);
	for (uint32_t flags = 0; flags <= PTE_W; flags += PTE_W) {
		uint32_t bad = entry(foreign, flags), batch[3] = { own, bad, own };
		update_last(v, at);
		REFUSED_WHOLLY(v, -EPERM, "an entry, the short way", HC_UPDATE, at, 1, bad, 0);
		update_last(v, other_table);
		REFUSED_WHOLLY(v, -EPERM, "an entry, the long way", HC_UPDATE, at, 1, bad, 0);
		pool_write(v, DATA_PAGE, 0, batch, sizeof(batch));
		REFUSED_WHOLLY(v, -EPERM, "a batch", HC_UPDATE, at, 3, pool_address(v, DATA_PAGE),
			       0);
		pool_write(v, NEW_TABLE_PAGE, 4092, &bad, 4);
		REFUSED_WHOLLY(v, -EPERM, "a new table", HC_UPDATE, slot, 1,
			       entry(new_table, PTE_W | PTE_U), 0);
		pool_clear(v, NEW_TABLE_PAGE);
	}
}

/* Use a foreign frame as a table, as a directory, in a new directory; release and update it. */
static void use_foreign(struct victim *v, uint32_t foreign)
{
	uint32_t slot = slot_machine(v->directory, FREE_SLOT + 1);
	uint32_t new_directory = pool_mfn(v, NEW_DIRECTORY_PAGE);
	uint32_t bad = entry(foreign, PTE_W | PTE_U), none = 0;
	update_last(v, pte_machine(v, PLAIN_PAGE));
	REFUSED_WHOLLY(v, -EPERM, "a directory entry", HC_UPDATE, slot, 1, bad, 0);
	REFUSED_WHOLLY(v, -EPERM, "a load", HC_LOAD, foreign, 0, 0, 0);
	REFUSED_WHOLLY(v, -EPERM, "a load with a stack", HC_LOAD, foreign, ENTRY_STACK(v), 0, 0);
	REFUSED_WHOLLY(v, -EPERM, "a release", HC_RELEASE, foreign, 0, 0, 0);
	REFUSED_WHOLLY(v, -EINVAL, "an update of it", HC_UPDATE, foreign << PAGE_SHIFT, 1, 0, 0);
	pool_write(v, NEW_DIRECTORY_PAGE, 0, &bad, 4);
	REFUSED_WHOLLY(v, -EPERM, "a new directory", HC_LOAD, new_directory, 0, 0, 0);
	pool_write(v, NEW_DIRECTORY_PAGE, 0, &none, 4);
}

/* A page of the pool with the upper part that all directories have. */
static void write_directory(struct victim *v, unsigned page)
{
	uint32_t entries[1024];
	physical_read(v->m, v->directory << PAGE_SHIFT, entries, sizeof(entries));
	memset(entries, 0, KERNEL_SLOT * 4);
	pool_write(v, page, 0, entries, sizeof(entries));
}

/* All that was refused, now that the frames are the kernel's own; then everything is put back. */
static void allowed_again(struct victim *v, uint32_t slot)
{
	uint32_t at = pte_machine(v, PLAIN_PAGE), plain = pool_mfn(v, PLAIN_PAGE);
	uint32_t table = pool_mfn(v, TABLE_PAGE), directory = pool_mfn(v, DIRECTORY_PAGE);
	update_last(v, at);
	ALLOWED(v, HC_UPDATE, at, 1, entry(plain, PTE_W), 0);
	update_last(v, table << PAGE_SHIFT);
	ALLOWED(v, HC_UPDATE, at, 1, 0, 0);
	ALLOWED(v, HC_UPDATE, slot + 4, 1, entry(table, PTE_W | PTE_U), 0);
	ALLOWED(v, HC_UPDATE, slot + 4, 1, 0, VMM_FLUSH_ALL);
	ALLOWED(v, HC_LOAD, directory, 0, 0, 0);
	ALLOWED(v, HC_UPDATE, directory << PAGE_SHIFT, 1, 0, 0);
	ALLOWED(v, HC_LOAD, v->directory, 0, 0, 0);
	ALLOWED(v, HC_UPDATE, slot, 1, 0, VMM_FLUSH_ALL);
	ALLOWED(v, HC_RELEASE, table, 0, 0, 0);
	ALLOWED(v, HC_RELEASE, directory, 0, 0, 0);
	ALLOWED(v, HC_RECOUNT, 0, 0, 0, 0);
}

static void use_while_foreign(struct victim *v, unsigned page)
{
	give_away(v, page);
	use_foreign(v, pool_mfn(v, page));
	take_back(v, page);
}

/*
 * A frame table's entry as an earlier attachment left it: the frame was a directory then, and is
 * plain memory now. It must be checked before it is loaded.
 */
static void old_directory(struct victim *v)
{
	uint32_t mfn = pool_mfn(v, OLD_PAGE), words[2] = { 0, DIRECTORY << TYPE_SHIFT };
	uint32_t at = frame_entry(v, mfn) + FRAME_ENTRY_GENERATION;
	virtual_read(v->m, v->start.cr3, vmm_symbol("domain0") + DOMAIN_GENERATION, words, 4);
	words[0]--;
	pool_clear(v, OLD_PAGE);
	physical_write(v->m, page_walk(v->m, v->start.cr3, at).machine, words, sizeof(words));
	REFUSED(v, -EPERM, HC_LOAD, mfn, ENTRY_STACK(v), 0, 0);
}

/*
 * Frames of each type are given away in turn: plain memory, a directory, a table that a directory
 * refers to, and one that nothing refers to (which an error of a load makes plain memory again if
 * it is the kernel's).
 */
void owners(struct victim *v)
{
	uint32_t slot = free_slot(v), table = pool_mfn(v, TABLE_PAGE);
	for (unsigned page = PLAIN_PAGE; page <= NEW_DIRECTORY_PAGE; page++)
		pool_clear(v, page);
	write_directory(v, DIRECTORY_PAGE);
	write_directory(v, NEW_DIRECTORY_PAGE);
	ALLOWED(v, HC_LOAD, pool_mfn(v, DIRECTORY_PAGE), 0, 0, 0);
	ALLOWED(v, HC_LOAD, v->directory, 0, 0, 0);
	use_while_foreign(v, PLAIN_PAGE);
	use_while_foreign(v, DIRECTORY_PAGE);
	old_directory(v);
	ALLOWED(v, HC_UPDATE, slot, 1, entry(table, PTE_W | PTE_U), 0);
	use_while_foreign(v, TABLE_PAGE);
	ALLOWED(v, HC_UPDATE, slot, 1, 0, 0);
	use_while_foreign(v, TABLE_PAGE);
	ALLOWED(v, HC_UPDATE, slot, 1, entry(table, PTE_W | PTE_U), 0);
	give_away(v, PLAIN_PAGE);
	map_foreign(v, pool_mfn(v, PLAIN_PAGE));
	take_back(v, PLAIN_PAGE);
	allowed_again(v, slot);
	for (unsigned page = PLAIN_PAGE; page <= NEW_DIRECTORY_PAGE; page++)
		pool_clear(v, page);
}
