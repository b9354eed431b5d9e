/* SPDX-License-Identifier: MIT */
/*
 * The frame table: a type and a count for every machine frame, which together keep the one rule that isolation rests on: a
 * frame that the hardware reads as page table or directory is mapped writable nowhere.
 *
 *   WRITABLE   any memory of the kernel's; counted are its writable mappings
 *   TABLE      a page table with checked entries; counted are the directory entries that refer to it
 *   DIRECTORY  a page directory with checked entries; counted are the CPUs that have it loaded
 *   SHARED     a table of the kernel's upper part, in every directory, or the kernel's own directory: fixed since warm-up
 *
 * Every frame of the kernel has one home: its page in the direct map. A frame that becomes a table has its home made
 * read-only, and must have no other writable mapping; a released one gets it back. A frame without a home is not the
 * kernel's to map.
 *
 * Types hold for one attachment: an entry with an older generation counts as WRITABLE with the mappings that the shared tables
 * give it. So attach and detach do not touch what is not in use.
 */
#include "vmm.h"

enum type { WRITABLE, TABLE, DIRECTORY, SHARED };

struct frame {
	uint32_t home; /* pfn << 12 | flags */
	uint32_t generation;
	uint32_t use;  /* type << 28 | count */
	uint32_t next; /* list of frames with a type, by mfn; LISTED if on it */
};
#define OWNED 0x1u      /* home is valid */
#define HOME_W 0x2u     /* home is writable while this is no table */
#define BASE_SHIFT 4    /* writable mappings in the shared tables */
#define BASE_MASK 0xFFu
#define COUNT_MASK 0x0FFFFFFFu
#define FOR_EVER 0xFFFFFFFFu
#define END 0xFFFFFFFFu
#define NO_TABLE 0xFFFFFFFFu
#define USER_ENTRIES KERNEL_SLOT
_Static_assert(sizeof(struct frame) == VMM_FRAME_BYTES, "the kernel reserves so much");

#define PTE_ALLOWED (PAGE_MASK | PTE_P | PTE_W | PTE_U | PTE_PWT | PTE_PCD | PTE_A | PTE_D | PTE_G | PTE_AVL)

static struct frame *frames;
static uint32_t generation = 1;
static uint32_t listed = END, nr_listed;
static mfn_t direct[VMM_SLOT - KERNEL_SLOT]; /* tables of the kernel's upper part */
static pte_t upper[1024 - KERNEL_SLOT];      /* what every directory has there */
static struct { mfn_t table; uint32_t index; pte_t pte; } hidden[4]; /* mappings of the interrupt controllers */
static unsigned nr_hidden;

/* --- windows: how the VMM reaches any frame --- */

inline void *map(struct cpu *c, mfn_t mfn, enum window kind)
{
	unsigned slot = kind * 256u + (mfn & 255);
	char *at = c->window_base + slot * PAGE_SIZE;
	pte_t pte = mfn << PAGE_SHIFT | PTE_P | PTE_W | PTE_A | PTE_D;
	if (unlikely(c->windows[slot] != pte)) {
		c->windows[slot] = pte;
		__asm__ volatile("invlpg (%0)" : : "r"(at) : "memory");
	}
	return at;
}

/* --- entries of the table --- */

static inline struct frame *fresh(mfn_t mfn)
{
	struct frame *f = &frames[mfn];
	if (unlikely(f->generation != generation && f->generation != FOR_EVER)) {
		f->generation = generation;
		f->use = f->home >> BASE_SHIFT & BASE_MASK;
		f->next = 0;
	}
	return f;
}

static enum type type_of(const struct frame *f) { return f->use >> 28; }

static bool owned(mfn_t mfn) { return mfn < boot.nr_mfns && frames[mfn].home & OWNED; }

static pte_t *home_of(struct cpu *c, const struct frame *f)
{
	uint32_t pfn = f->home >> PAGE_SHIFT;
	return (pte_t *)map(c, direct[pfn / 1024], WINDOW_HOME) + pfn % 1024;
}

/*
 * Make a frame's home read-only, or writable again. Only of homes that were writable when warm-up took stock (HOME_W): others,
 * the kernel's text, stay as they are. Nothing but the writable bit changes. Flushing is the caller's. Handout, 5.1.
 */
static void home_protect(struct cpu *c, const struct frame *f, bool protect)
{
	/* LAB 1 TODO 6 BEGIN */
	if (!(f->home & HOME_W))
		return;
	pte_t *home = home_of(c, f);
	*home = protect ? *home & ~(pte_t)PTE_W : *home | PTE_W;
	/* LAB 1 TODO 6 END */
}

/* --- warm-up --- */

/* The kernel's upper part: who owns what, and how often it is mapped writable. */
static void account_shared(struct cpu *c)
{
	const pte_t *directory = map(c, boot.directory, WINDOW_DIRECTORY);
	memcpy(upper, directory + KERNEL_SLOT, sizeof(upper));
	frames[boot.shared >> PAGE_SHIFT].home += 1u << BASE_SHIFT; /* we write there: it can never become a table */
	for (unsigned slot = 0; slot < VMM_SLOT - KERNEL_SLOT; slot++) {
		direct[slot] = upper[slot] & PTE_P ? upper[slot] >> PAGE_SHIFT : boot.directory;
		if (!(upper[slot] & PTE_P))
			continue;
		const pte_t *table = map(c, direct[slot], WINDOW_TABLE);
		for (unsigned i = 0; i < 1024; i++) {
			mfn_t mfn = table[i] >> PAGE_SHIFT;
			uint32_t pfn = slot * 1024 + i;
			if (!(table[i] & PTE_P))
				continue;
			if ((mfn == boot.lapic >> PAGE_SHIFT || mfn == boot.ioapic >> PAGE_SHIFT) && nr_hidden < ARRAY_SIZE(hidden)) {
				hidden[nr_hidden].table = direct[slot];
				hidden[nr_hidden].index = i;
				hidden[nr_hidden++].pte = table[i];
			}
			/*
			 * The entry of page i in this table, present. Of a frame of the machine's memory (below
			 * boot.nr_mfns) is noted: in the direct map (pfn below boot.nr_pfns) that this is its home, so pfn,
			 * OWNED, and HOME_W if it is writable here; and wherever it is writable, direct map or not, one more
			 * in the count at BASE_SHIFT. What home holds already stays. Handout, 5.2.
			 */
			/* LAB 1 TODO 7 BEGIN */
			if (mfn >= boot.nr_mfns)
				continue;
			if (pfn < boot.nr_pfns)
				frames[mfn].home |= pfn << PAGE_SHIFT | OWNED | (table[i] & PTE_W ? HOME_W : 0);
			if (table[i] & PTE_W)
				frames[mfn].home += 1u << BASE_SHIFT;
			/* LAB 1 TODO 7 END */
		}
	}
}

/*
 * The shared tables and the directory stay read-only from now on, in both modes: the kernel has no more to write there. Type
 * SHARED, count 0, in every generation. frames_warm_up() does this to each present table of the kernel's slots (KERNEL_SLOT to
 * VMM_SLOT - 1; `upper` goes on with the VMM's own) and to the kernel's directory; behind it no CPU (there is one) has a TLB
 * entry of before. The direct map's entries are global. Handout, 5.3.
 */
static void fix_shared(struct cpu *c, mfn_t mfn)
{
	struct frame *f = &frames[mfn];
	/* LAB 1 TODO 8 BEGIN */
	home_protect(c, f, true);
	f->generation = FOR_EVER;
	f->use = (uint32_t)SHARED << 28;
	/* LAB 1 TODO 8 END */
}

/* A frame stops being a table: no CPU may take it for one (lock). */
static void forget_tables(void)
{
	for (unsigned i = 0; i < boot.nr_cpus; i++)
		cpu_of(i)->table = NO_TABLE;
}

void frames_warm_up(struct cpu *c)
{
	frames = (struct frame *)(VMM_BASE + boot.image_bytes);
	memset(frames, 0, boot.nr_mfns * sizeof(struct frame));
	account_shared(c);
	forget_tables();
	/* LAB 1 TODO 8 BEGIN */
	for (unsigned slot = 0; slot < VMM_SLOT - KERNEL_SLOT; slot++)
		if (upper[slot] & PTE_P)
			fix_shared(c, direct[slot]);
	fix_shared(c, boot.directory);
	flush_local();
	/* LAB 1 TODO 8 END */
}

/* --- references --- */

/*
 * Whether a page table may hold this entry; if so, it is counted. One that is not present may hold anything. Else, in this
 * order: -EPERM if the frame is not the kernel's; -EINVAL if a bit is set that is not in PTE_ALLOWED; -EBUSY if the entry is
 * writable and the frame is no WRITABLE one. A writable entry that passes is one more in the count of its frame, which
 * must be fresh(). An error changes nothing. Handout, 6.1.
 */
static inline int pte_get(pte_t pte)
{
	/* LAB 1 TODO 9 BEGIN */
	if (!(pte & PTE_P))
		return 0;
	if (!owned(pte >> PAGE_SHIFT))
		return -EPERM;
	if (pte & ~PTE_ALLOWED)
		return -EINVAL;
	if (pte & PTE_W) {
		struct frame *f = fresh(pte >> PAGE_SHIFT);
		if (type_of(f) != WRITABLE)
			return -EBUSY;
		f->use++;
	}
	return 0;
	/* LAB 1 TODO 9 END */
}

static inline void pte_put(pte_t pte)
{
	if ((pte & (PTE_P | PTE_W)) == (PTE_P | PTE_W))
		frames[pte >> PAGE_SHIFT].use--;
}

static int promote(struct cpu *c, mfn_t mfn, enum type type);

static int pde_get(struct cpu *c, pte_t pde)
{
	mfn_t mfn = pde >> PAGE_SHIFT;
	if (!(pde & PTE_P))
		return 0;
	if (!owned(mfn))
		return -EPERM;
	if (pde & ~(PTE_ALLOWED & ~PTE_G))
		return -EINVAL;
	if (type_of(fresh(mfn)) != TABLE) {
		int error = promote(c, mfn, TABLE);
		if (error)
			return error;
	}
	frames[mfn].use++;
	return 0;
}

static void pde_put(pte_t pde)
{
	if (pde & PTE_P)
		frames[pde >> PAGE_SHIFT].use--;
}

/* The first entry at or behind i that is not 0; n if none is. */
static unsigned next_entry(const pte_t *entries, unsigned i, unsigned n)
{
	const pte_t *at = entries + i;
	uint32_t left = n - i;
	if (i >= n)
		return n;
	__asm__("repe scasl" : "+D"(at), "+c"(left) : "a"(0) : "cc", "memory");
	return at[-1] ? (unsigned)(at - 1 - entries) : n;
}

static void put_entries(const pte_t *entries, unsigned n, enum type type)
{
	for (unsigned i = 0; (i = next_entry(entries, i, n)) < n; i++)
		type == TABLE ? pte_put(entries[i]) : pde_put(entries[i]);
}

static bool same_upper(const pte_t *entries)
{
	const pte_t *a = entries + KERNEL_SLOT, *b = upper;
	uint32_t n = ARRAY_SIZE(upper);
	bool same;
	__asm__("repe cmpsl; sete %3" : "+S"(a), "+D"(b), "+c"(n), "=q"(same) : : "cc", "memory");
	return same;
}

/*
 * Check and count the entries of a table (1024, by pte_get), or those of a directory's user part (USER_ENTRIES, by pde_get),
 * whose upper part must be same_upper(), else -EPERM. next_entry() finds those that are not 0. Result: 0, or the first
 * error, and then nothing that was counted here stays counted (put_entries). Handout, 6.2.
 */
static int get_entries(struct cpu *c, const pte_t *entries, enum type type)
{
	/* LAB 1 TODO 10 BEGIN */
	unsigned n = type == TABLE ? 1024 : USER_ENTRIES;
	for (unsigned i = 0; (i = next_entry(entries, i, n)) < n; i++) {
		int error = type == TABLE ? pte_get(entries[i]) : pde_get(c, entries[i]);
		if (error) {
			put_entries(entries, i, type);
			return error;
		}
	}
	if (type == DIRECTORY && !same_upper(entries)) {
		put_entries(entries, n, type);
		return -EPERM;
	}
	return 0;
	/* LAB 1 TODO 10 END */
}

static void enlist(struct frame *f, mfn_t mfn)
{
	if (f->next) /* released and wanted again: still on the list */
		return;
	f->next = listed == END ? END : listed + 1;
	listed = mfn;
	nr_listed++;
}
#define NEXT(f) ((f)->next == END ? END : (f)->next - 1)

/*
 * Make a frame a table or directory: writable nowhere, then in no TLB, then its entries are checked; in any other order the
 * kernel could change an entry behind the check. -EBUSY unless it is WRITABLE and its home, if that is writable, its only
 * writable mapping. Then it has the type, count 0, and is on the list (enlist). While this CPU is attached its home is
 * protected and every CPU's TLB flushed; before, frames_protect() and cpu_install() do this for all. Handout, 6.3.
 */
static int promote(struct cpu *c, mfn_t mfn, enum type type)
{
	struct frame *f = fresh(mfn);
	/* LAB 1 TODO 11 BEGIN */
	if (type_of(f) != WRITABLE || (f->use & COUNT_MASK) != (f->home & HOME_W ? 1u : 0u))
		return -EBUSY;
	f->use = (uint32_t)type << 28;
	enlist(f, mfn);
	if (c->attached) {
		home_protect(c, f, true);
		flush_everywhere(c);
	}
	/* LAB 1 TODO 11 END */
	int error = get_entries(c, map(c, mfn, type == TABLE ? WINDOW_TABLE : WINDOW_DIRECTORY), type);
	if (error) {
		f->use = f->home & HOME_W ? 1 : 0;
		forget_tables();
		if (c->attached)
			home_protect(c, f, false);
	}
	return error;
}

/* A table or directory that nothing refers to becomes an ordinary frame. */
static void demote(struct cpu *c, mfn_t mfn)
{
	struct frame *f = &frames[mfn];
	bool table = type_of(f) == TABLE;
	put_entries(map(c, mfn, table ? WINDOW_TABLE : WINDOW_DIRECTORY), table ? 1024 : USER_ENTRIES, type_of(f));
	f->use = f->home & HOME_W ? 1 : 0;
	forget_tables();
	flush_everywhere(c); /* nobody walks it any more */
	home_protect(c, f, false);
}

/* Behind an error: the tables that these entries made us check are ordinary frames again. */
static void demote_unused(struct cpu *c, const pte_t *entries, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		mfn_t mfn = entries[i] >> PAGE_SHIFT;
		if (entries[i] & PTE_P && owned(mfn) && type_of(fresh(mfn)) == TABLE && !(frames[mfn].use & COUNT_MASK))
			demote(c, mfn);
	}
}

/* --- hypercalls --- */

static int update_table(struct cpu *c, pte_t *entries, const pte_t *values, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		pte_t old = c->old[i] = entries[i];
		if (old == values[i])
			continue;
		int error = pte_get(values[i]);
		if (unlikely(error)) {
			while (i--) { /* what was allowed before is so still: no type has changed */
				pte_get(c->old[i]);
				pte_put(values[i]);
				entries[i] = c->old[i];
			}
			return error;
		}
		entries[i] = values[i];
		pte_put(old);
	}
	return 0;
}

static int update_directory(struct cpu *c, pte_t *entries, const pte_t *values, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int error = pde_get(c, values[i]);
		if (error) {
			put_entries(values, i, DIRECTORY);
			demote_unused(c, values, i);
			return error;
		}
	}
	for (unsigned i = 0; i < n; i++) {
		pte_t old = entries[i];
		entries[i] = values[i];
		pde_put(old);
	}
	return 0;
}

static int __attribute__((noinline)) update_any(struct cpu *c, uint32_t machine, const pte_t *values, unsigned n)
{
	mfn_t mfn = machine >> PAGE_SHIFT;
	unsigned first = (machine & ~PAGE_MASK) / 4;
	if (machine & 3 || !owned(mfn))
		return -EINVAL;
	enum type type = type_of(fresh(mfn));
	if (type != TABLE && type != DIRECTORY)
		return -EPERM;
	if (first + n > (type == TABLE ? 1024 : USER_ENTRIES))
		return -EINVAL;
	if (type == DIRECTORY)
		return update_directory(c, (pte_t *)map(c, mfn, WINDOW_DIRECTORY) + first, values, n);
	c->table = mfn;
	return update_table(c, (pte_t *)map(c, mfn, WINDOW_TABLE) + first, values, n);
}

/* One entry of the same table as before, as a page fault makes it, takes the short way. */
int frames_update(struct cpu *c, uint32_t machine, const pte_t *values, unsigned n)
{
	pte_t value = *values;
	if (n != 1 || machine & 3 || machine >> PAGE_SHIFT != c->table)
		return update_any(c, machine, values, n);
	pte_t *entry = (pte_t *)((char *)map(c, machine >> PAGE_SHIFT, WINDOW_TABLE) + (machine & ~PAGE_MASK));
	int error = pte_get(value);
	if (!error) {
		pte_put(*entry);
		*entry = value;
	}
	return error;
}

int frames_load(struct cpu *c, mfn_t mfn)
{
	if (!owned(mfn))
		return -EPERM;
	struct frame *f = fresh(mfn);
	if (type_of(f) != DIRECTORY && mfn != boot.directory) {
		int error = promote(c, mfn, DIRECTORY);
		if (error) {
			demote_unused(c, map(c, mfn, WINDOW_DIRECTORY), USER_ENTRIES);
			return error;
		}
	}
	f->use++;
	frames[c->directory].use--;
	c->directory = mfn;
	__asm__ volatile("movl %0, %%cr3" : : "r"(mfn << PAGE_SHIFT) : "memory");
	return 0;
}

int frames_release(struct cpu *c, mfn_t mfn)
{
	if (!owned(mfn))
		return -EPERM;
	const struct frame *f = fresh(mfn);
	if (type_of(f) != TABLE && type_of(f) != DIRECTORY)
		return -EINVAL;
	if (f->use & COUNT_MASK)
		return -EBUSY;
	demote(c, mfn);
	return 0;
}

/* --- the switch --- */

int frames_account(struct cpu *c, const struct vmm_loaded *loaded)
{
	for (unsigned i = 0; i < loaded->n; i++) {
		mfn_t mfn = loaded->directory[i];
		if (!owned(mfn))
			return -EPERM;
		struct frame *f = fresh(mfn);
		if (type_of(f) != DIRECTORY && mfn != boot.directory) {
			int error = promote(c, mfn, DIRECTORY);
			if (error)
				return error;
		}
		f->use++;
		cpu_of(i)->directory = mfn;
	}
	return (int)nr_listed;
}

void frames_forget(void)
{
	if (++generation == FOR_EVER)
		generation = 1; /* after 2^32 attachments an old entry could pass for a new one: none is that old */
	forget_tables();
	listed = END;
	nr_listed = 0;
	frames[boot.directory].use = (uint32_t)SHARED << 28;
}

void frames_protect(struct cpu *c, bool protect)
{
	/* Homes of all that is on the list (NEXT) and still a table or directory. Handout, 6.4. */
	/* LAB 1 TODO 12 BEGIN */
	for (mfn_t mfn = listed; mfn != END; mfn = NEXT(&frames[mfn]))
		if (type_of(&frames[mfn]) != WRITABLE)
			home_protect(c, &frames[mfn], protect);
	/* LAB 1 TODO 12 END */
	for (unsigned i = 0; i < nr_hidden; i++)
		((pte_t *)map(c, hidden[i].table, WINDOW_HOME))[hidden[i].index] = protect ? 0 : hidden[i].pte;
	if (protect && c->attached) /* a detach that is rolled back; else cpu_install() does it */
		flush_everywhere(c);
}

bool frame_is_protected(struct cpu *c, uint32_t address)
{
	if (address < KERNEL_BASE || address >= VMM_BASE)
		return false;
	pte_t pte = ((pte_t *)map(c, direct[(address >> 22) - KERNEL_SLOT], WINDOW_HOME))[address >> PAGE_SHIFT & 1023];
	if (!(pte & PTE_P) || !owned(pte >> PAGE_SHIFT))
		return false;
	const struct frame *f = &frames[pte >> PAGE_SHIFT]; /* not fresh(): that writes, and we do not hold the lock */
	return (f->generation == generation || f->generation == FOR_EVER) && type_of(f) != WRITABLE;
}

/* --- invariant V7: everything counted again --- */

/* Add to the count of each frame what the typed tables, and the CPUs, refer to. */
static void count_references(struct cpu *c, uint32_t add)
{
	for (mfn_t mfn = listed; mfn != END; mfn = NEXT(&frames[mfn])) {
		enum type type = type_of(&frames[mfn]);
		if (type == WRITABLE)
			continue;
		unsigned n = type == TABLE ? 1024 : USER_ENTRIES;
		pte_t needed = type == TABLE ? PTE_P | PTE_W : PTE_P;
		const pte_t *entries = map(c, mfn, type == TABLE ? WINDOW_TABLE : WINDOW_DIRECTORY);
		for (unsigned i = 0; (i = next_entry(entries, i, n)) < n; i++)
			if ((entries[i] & needed) == needed)
				frames[entries[i] >> PAGE_SHIFT].use += add;
	}
	for (unsigned i = 0; i < boot.nr_cpus; i++)
		if (cpu_of(i)->attached)
			frames[cpu_of(i)->directory].use += add;
}

/* With all references taken off, a count is what the shared tables give, and a home is writable if the type allows it. */
uint32_t frames_recount(struct cpu *c)
{
	uint32_t differences = 0;
	count_references(c, -1u);
	for (mfn_t mfn = 0; mfn < boot.nr_mfns; mfn++) {
		const struct frame *f = &frames[mfn];
		if (f->generation != generation)
			continue;
		enum type type = type_of(f);
		uint32_t rest = f->use & COUNT_MASK, wanted = type == WRITABLE ? f->home >> BASE_SHIFT & BASE_MASK : 0;
		bool writable = *home_of(c, f) & PTE_W;
		if (rest != wanted || writable != (type == WRITABLE && f->home & HOME_W)) {
			vmm_printk("vmm: frame %#x, type %u: %d references too many, home %s\n", mfn, type, (int)(rest - wanted),
				   writable ? "writable" : "read-only");
			differences++;
		}
	}
	count_references(c, 1);
	return differences;
}
