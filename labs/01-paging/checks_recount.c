/* SPDX-License-Identifier: MIT */
/*
 * The VMM's frame table, read from outside, and the recount on which the checks of exercises 9 to
 * 12 rest: what the typed tables refer to is counted again and compared.
 */
#include "checks.h"

enum { OWNER_BITS = 8 }; /* the rest of that word is `next` */

static struct entry unpack(const uint8_t *raw)
{
	uint32_t use, last;
	struct entry e;
	memcpy(&e.home, raw + FRAME_ENTRY_HOME, 4);
	memcpy(&e.generation, raw + FRAME_ENTRY_GENERATION, 4);
	memcpy(&use, raw + FRAME_ENTRY_USE, 4);
	memcpy(&last, raw + FRAME_ENTRY_OWNER, 4);
	e.type = use >> TYPE_SHIFT, e.count = use & COUNT_MASK;
	e.owner = last & ((1u << OWNER_BITS) - 1), e.next = last >> OWNER_BITS;
	return e;
}

struct entry *read_frames(struct guest *g)
{
	struct entry *frames = malloc(g->nr_mfns * sizeof(*frames));
	uint8_t *raw = malloc(g->nr_mfns * FRAME_ENTRY_BYTES);
	virtual_read(g->m, g->c.cr3, vmm_word(g, "frames"), raw, g->nr_mfns * FRAME_ENTRY_BYTES);
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++)
		frames[mfn] = unpack(raw + mfn * FRAME_ENTRY_BYTES);
	free(raw);
	return frames;
}

struct entry read_frame(struct guest *g, uint32_t mfn)
{
	uint8_t raw[FRAME_ENTRY_BYTES];
	virtual_read(g->m, g->c.cr3, vmm_word(g, "frames") + mfn * FRAME_ENTRY_BYTES, raw,
		     sizeof(raw));
	return unpack(raw);
}

void write_frame(struct guest *g, uint32_t mfn, const struct entry *e)
{
	const uint32_t words[] = { e->home, e->generation, e->type << TYPE_SHIFT | e->count,
				   e->owner | e->next << OWNER_BITS };
	_Static_assert(sizeof(words) == FRAME_ENTRY_BYTES, "struct frame_entry has four words");
	set_words(g, frame_address(g, mfn), words, LENGTH(words));
}

uint32_t frame_address(struct guest *g, uint32_t mfn)
{
	return vmm_word(g, "frames") + mfn * FRAME_ENTRY_BYTES;
}

const char *type_name(unsigned type)
{
	static const char *const names[] = { "WRITABLE", "TABLE", "DIRECTORY", "SHARED" };
	return type < LENGTH(names) ? names[type] : "no type (its count went below 0)";
}

uint32_t vmm_generation(struct guest *g)
{
	return vmm_member(g, "domain0", DOMAIN_GENERATION);
}

/* One entry of a typed table, which refers to frame `to`. */
static void want_reference(const struct entry *frames, uint32_t generation, uint32_t mfn,
			   unsigned i, uint32_t to)
{
	unsigned type = frames[mfn].type;
	const struct entry *f = &frames[to];
	bool no_type = f->generation != generation && f->generation != FOR_EVER;
	CHECK(type == TABLE || f->type == TABLE,
	      "directory %#x, entry %#x refers to frame %#x, which is %s", mfn, i, to,
	      type_name(f->type));
	CHECK(type == DIRECTORY || f->type == WRITABLE || no_type,
	      "table %#x, entry %#x maps frame %#x writable, which is a %s (V3)", mfn, i, to,
	      type_name(f->type));
}

/* By mfn: how often the typed tables refer to it. */
static uint32_t *recount(struct guest *g, const struct entry *frames, uint32_t generation)
{
	uint32_t *count = calloc(ALL_FRAMES, sizeof(*count)), entries[1024];
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++) {
		unsigned type = frames[mfn].type;
		if (frames[mfn].generation != generation || (type != TABLE && type != DIRECTORY))
			continue;
		physical_read(g->m, mfn << 12, entries, sizeof(entries));
		for (unsigned i = 0; i < (type == TABLE ? 1024 : KERNEL_SLOT); i++) {
			uint32_t needed = type == TABLE ? P | W : P, to = entries[i] >> 12;
			if ((entries[i] & needed) != needed)
				continue;
			CHECK(to < g->nr_mfns, "frame %#x is a %s, and its entry %#x is %#x", mfn,
			      type_name(type), i, entries[i]);
			count[to]++;
			want_reference(frames, generation, mfn, i, to);
		}
	}
	return count;
}

static void want_list(struct guest *g, const struct entry *frames, uint32_t generation,
		      const char *when)
{
	uint32_t n = 0, typed = 0;
	bool *on = calloc(ALL_FRAMES, sizeof(*on));
	for (uint32_t mfn = vmm_member(g, "domain0", DOMAIN_LISTED); mfn != END_OF_LIST; n++) {
		CHECK(mfn < g->nr_mfns && !on[mfn],
		      "%s: the list of typed frames is broken at frame %#x", when, mfn);
		on[mfn] = true;
		uint32_t next = frames[mfn].next;
		mfn = next == END_OF_LIST ? END_OF_LIST : next - 1;
	}
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++)
		if (frames[mfn].generation == generation && frames[mfn].type != WRITABLE) {
			typed++;
			CHECK(on[mfn],
			      "%s: frame %#x is a %s, but not on the list: "
			      "protect will overlook it",
			      when, mfn, type_name(frames[mfn].type));
		}
	CHECK(typed <= n, "%s: %u frames have a type, the list has %u", when, typed, n);
	free(on);
}

static void want_count(uint32_t mfn, const struct entry *f, uint32_t generation,
		       uint32_t references, const char *when)
{
	if (f->generation != generation) {
		CHECK(references == 0 || f->generation == FOR_EVER,
		      "%s: %u references to frame %#x were not counted", when, references, mfn);
		return;
	}
	uint32_t all = references + (f->type == WRITABLE ? f->home >> BASE_SHIFT & BASE_MASK : 0);
	CHECK(f->count == all,
	      "%s: frame %#x is %s with count %u, but there are %u references (V7): %s", when, mfn,
	      type_name(f->type), f->count, all,
	      f->count > all ? "what was counted for something refused was not taken back"
			     : "not all were counted");
}

void want_counts(struct guest *g, unsigned loads, const char *when)
{
	struct entry *frames = read_frames(g);
	uint32_t generation = vmm_generation(g), *count = recount(g, frames, generation);
	count[g->c.cr3 >> 12] += loads;
	for (uint32_t mfn = 0; mfn < g->nr_mfns; mfn++)
		want_count(mfn, &frames[mfn], generation, count[mfn], when);
	want_list(g, frames, generation, when);
	free(frames), free(count);
}
