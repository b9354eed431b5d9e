/* SPDX-License-Identifier: MIT */
/*
 * Exercises 11 and 12, each alone, on a stock that the check has taken. Where they call
 * home_protect() the check makes the home read-only or writable; where promote() calls
 * get_entries() the check looks, and answers. So exercises 6, 9 and 10 may be empty.
 */
#include "checks.h"

static void give_entry(struct guest *g, uint32_t mfn, uint32_t generation, unsigned type,
		       uint32_t count, uint32_t next)
{
	struct entry e = read_frame(g, mfn);
	e.generation = generation, e.type = type, e.count = count, e.next = next;
	write_frame(g, mfn, &e);
}

static uint32_t text_frame(struct guest *g, unsigned k)
{
	return g->p2m[(symbol("image_start") - KERNEL_BASE) / PAGE + k];
}

/* home_protect() was called: do its work. Result: the frame. */
static uint32_t protect_for(struct guest *g)
{
	uint32_t mfn = (g->c.edx - frame_address(g, 0)) / FRAME_ENTRY_BYTES, pfn;
	CHECK(mfn < g->nr_mfns && frame_address(g, mfn) == g->c.edx && g->m2p[mfn] != NO_FRAME,
	      "home_protect() is called with %#x, which is no entry of a frame of the kernel's",
	      g->c.edx);
	pfn = g->m2p[mfn];
	uint32_t entry = home_entry(g, pfn) & ~(uint32_t)W;
	if (read_frame(g, mfn).home & HOME_W)
		set_home_entry(g, pfn, g->c.ecx & 0xFF ? entry : entry | W);
	skip(g, 0);
	return mfn;
}

/* --- exercise 11 --- */

/* A frame as it is before promote(), and what promote() must do with it. */
struct frame {
	const char *what;
	uint32_t mfn;
	unsigned type;    /* that it has */
	uint32_t count;
	unsigned age;     /* how many attachments old type and count are */
	bool attached, listed;
	int error;        /* of get_entries() */
	bool busy;        /* promote() must refuse */
};

static bool home_is_writable(struct guest *g, uint32_t mfn)
{
	return home_entry(g, g->m2p[mfn]) & W;
}

/* At get_entries(): all steps before it are done. flushed: since the home is read-only. */
static void want_ready(struct guest *g, const struct frame *f, unsigned type, bool home_writable,
		       bool flushed)
{
	struct entry e = read_frame(g, f->mfn);
	uint32_t listed = vmm_member(g, "domain0", DOMAIN_LISTED);
	CHECK(!f->busy, "promote(%s): its entries are checked, expected -EBUSY", f->what);
	CHECK(e.type == type && e.count == 0,
	      "promote(%s): when its entries are checked it is %s with count %u, expected %s with "
	      "count 0", f->what, type_name(e.type), e.count, type_name(type));
	CHECK(e.generation == vmm_generation(g),
	      "promote(%s): when its entries are checked its generation is %#x, expected %#x: its "
	      "type is for this attachment", f->what, e.generation, vmm_generation(g));
	CHECK(e.next && (f->listed || listed == f->mfn),
	      "promote(%s): when its entries are checked it is not in the domain's list (enlist)",
	      f->what);
	CHECK(!f->listed || (listed != f->mfn && e.next == END_OF_LIST),
	      "promote(%s): it was in the domain's list, and is put there once more, so the list "
	      "has no end (enlist)", f->what);
	bool writable = home_is_writable(g, f->mfn), want = home_writable && !f->attached;
	CHECK(writable == want, "promote(%s) %s: when its entries are checked its home is %s, "
	      "expected %s", f->what,
	      f->attached ? "while attached" : "at attach, when frames_protect() comes later",
	      writable ? "writable" : "read-only", want ? "writable" : "read-only");
	CHECK(!f->attached || flushed,
	      "promote(%s) while attached: its entries are checked before every CPU's TLB was "
	      "flushed with the home read-only (flush_everywhere)", f->what);
}

enum { HOME_PROTECT, FLUSH, GET_ENTRIES };

static void want_busy(struct guest *g, const struct frame *f, const struct entry *before,
		      bool home_writable)
{
	struct entry now = read_frame(g, f->mfn), was = current(*before, vmm_generation(g));
	CHECK(now.type == was.type && now.count == was.count && now.next == was.next &&
	      home_is_writable(g, f->mfn) == home_writable,
	      "promote(%s) refuses, but changes the frame: it is now %s with count %u, its home %s "
	      "and it is %s the domain's list", f->what, type_name(now.type), now.count,
	      home_is_writable(g, f->mfn) ? "writable" : "read-only", now.next ? "in" : "not in");
}

static void promote_once(struct guest *g, const struct frame *f, unsigned type)
{
	const char *const names[] = { "home_protect", "flush_everywhere", "get_entries" };
	bool home_writable = home_is_writable(g, f->mfn), flushed = false, looked = false;
	unsigned n = vmm_symbol_exists("get_entries") ? 3 : 2; /* else: built into promote() */
	give_entry(g, f->mfn, vmm_generation(g) - f->age, f->type, f->count,
		   f->listed ? END_OF_LIST : 0);
	struct entry before = read_frame(g, f->mfn);
	set_attached(g, !f->attached ? 0 : type == TABLE ? 1 : many_cpus());
	watch(g, names, n, true);
	lock(g, true);
	call_begin(g, vmm_symbol("promote"), WORDS(cpu0(), f->mfn, type));
	for (uint32_t eip; (eip = call_next(g));)
		if (eip == vmm_symbol(names[HOME_PROTECT])) {
			uint32_t mfn = protect_for(g);
			CHECK(mfn == f->mfn, "promote(%s, frame %#x) changes the home of frame %#x",
			      f->what, f->mfn, mfn);
		} else if (eip == vmm_symbol(names[FLUSH])) {
			flushed |= !home_is_writable(g, f->mfn);
			skip(g, 0);
		} else {
			want_ready(g, f, type, home_writable, flushed);
			looked = true;
			skip(g, (uint32_t)f->error);
		}
	int got = (int)call_end(g), want = f->busy ? -EBUSY : f->error;
	lock(g, false);
	watch(g, names, n, false);
	set_attached(g, 0);
	CHECK(got == want, "promote(%s): gives %s, expected %s", f->what, error_text(got),
	      error_text(want));
	if (f->busy)
		want_busy(g, f, &before, home_writable);
	else
		CHECK(looked || n < 3, "promote(%s): its entries are not checked", f->what);
	if (!f->busy && !f->error && !looked)
		want_ready(g, f, type, home_writable, flushed);
	set_home_entry(g, g->m2p[f->mfn], home_entry(g, g->m2p[f->mfn]) | (home_writable ? W : 0));
	forget_types(g);
}

void judge_promote(struct guest *g)
{
	uint32_t data = new_frame(g), text = text_frame(g, 1);
	const struct frame frames[] = {
		{ "data", data, WRITABLE, 1, .age = 0 },
		{ "data", data, WRITABLE, 1, .attached = true },
		{ "data with a bad entry", data, WRITABLE, 1, .attached = true, .error = -EPERM },
		{ "data that was released and is on the list", data, WRITABLE, 1, .listed = true },
		{ "text, mapped writable nowhere", text, WRITABLE, 0, .age = 0 },
		{ "text, mapped writable nowhere", text, WRITABLE, 0, .attached = true },
		{ "a table of an earlier attachment", data, TABLE, 3, .age = 1 },
		{ "data with an alias", data, WRITABLE, 2, .busy = true },
		{ "data with an alias", data, WRITABLE, 2, .attached = true, .busy = true },
		{ "data with many aliases", data, WRITABLE, 257, .busy = true },
		{ "text with a writable alias", text, WRITABLE, 1, .busy = true },
		{ "text with a writable alias", text, WRITABLE, 1, .attached = true, .busy = true },
		{ "a table, count 1", data, TABLE, 1, .busy = true },
		{ "a directory, count 1", data, DIRECTORY, 1, .busy = true },
		{ "a table of text, count 0", text, TABLE, 0, .busy = true },
		{ "a table of the kernel's, count 1", data, SHARED, 1, .attached = true,
		  .busy = true },
		{ "a lent frame, count 1", data, LENT, 1, .listed = true, .busy = true },
	};
	for (unsigned type = TABLE; type <= DIRECTORY; type++)
		for (unsigned i = 0; i < LENGTH(frames); i++) {
			struct frame f = frames[i];
			char what[80];
			snprintf(what, sizeof(what), "%s, as %s", f.what, type_name(type));
			f.what = what;
			promote_once(g, &f, type);
		}
}

void check_promote(const struct test *t)
{
	struct guest g = start_stock();
	(void)t;
	judge_promote(&g);
}

/* --- exercise 12 --- */

/* Frames of the list, the first one last in it. */
struct listed { uint32_t mfn; unsigned type; uint32_t count; };

static void make_list(struct guest *g, const struct listed *l, unsigned n)
{
	uint32_t last = END_OF_LIST;
	for (unsigned i = 0; i < n; i++) {
		give_entry(g, l[i].mfn, vmm_generation(g), l[i].type, l[i].count,
			   last == END_OF_LIST ? END_OF_LIST : last + 1);
		last = l[i].mfn;
	}
	set_word(g, vmm_symbol("domain0") + DOMAIN_LISTED, last);
	set_word(g, vmm_symbol("domain0") + DOMAIN_NR_LISTED, n);
}

static void protect_all(struct guest *g, bool protect)
{
	static const char *const names[] = { "home_protect" };
	watch(g, names, 1, true);
	call_begin(g, vmm_symbol("frames_protect"), WORDS(cpu0(), protect));
	while (call_next(g))
		protect_for(g);
	call_end(g);
	watch(g, names, 1, false);
}

/* By pfn: whether the home is writable. */
static bool *homes(struct guest *g)
{
	bool *writable = malloc(g->nr_pfns);
	for (uint32_t pfn = 0; pfn < g->nr_pfns; pfn++)
		writable[pfn] = home_entry(g, pfn) & W;
	return writable;
}

static void want_protected(struct guest *g, const struct listed *l, unsigned n, bool protect,
			   const bool *before)
{
	for (uint32_t pfn = 0; pfn < g->nr_pfns; pfn++) {
		bool want = before[pfn], is = home_entry(g, pfn) & W;
		const char *what = "not on the list";
		for (unsigned i = 0; i < n; i++)
			if (l[i].mfn == g->p2m[pfn]) {
				what = type_name(l[i].type);
				want = want && !(protect && l[i].type != WRITABLE);
			}
		CHECK(is == want, "the home of frame %#x (pfn %#x, %s) is %s, expected %s",
		      g->p2m[pfn], pfn, what, is ? "writable" : "read-only",
		      want ? "writable" : "read-only");
	}
}

/* One call; whatever goes wrong in it is said to be in this call. */
static void protect_once(struct guest *g, const struct listed *l, unsigned n, bool protect,
			 const bool *before)
{
	const char *context = judge_context;
	char text[300];
	snprintf(text, sizeof(text), "%s%sframes_protect(%s), %u frames listed",
		 context ? context : "", context ? ": " : "", protect ? "true" : "false", n);
	judge_context = text;
	protect_all(g, protect);
	want_protected(g, l, n, protect, before);
	judge_context = context;
}

static void protect_list(struct guest *g, const struct listed *l, unsigned n)
{
	bool *before = homes(g);
	make_list(g, l, n);
	struct entry *frames = read_frames(g);
	protect_once(g, l, n, true, before);
	protect_once(g, l, n, false, before);
	want_frames(g, frames, "frames_protect() must not change the frame table");
	free(before), free(frames);
}

/* If the compiler left no call of home_protect() in frames_protect(), exercise 6 must be right. */
static void need_home(struct guest *g, const struct listed *l)
{
	static const char *const names[] = { "home_protect" };
	make_list(g, l, 1);
	watch(g, names, 1, true);
	call_begin(g, vmm_symbol("frames_protect"), WORDS(cpu0(), false));
	bool called = call_next(g) != 0;
	call_end(g);
	watch(g, names, 1, false);
	if (!called)
		judge_base(g, "cannot be judged until exercise 6 (check `home`) is right",
			   judge_home);
}

void judge_protect(struct guest *g)
{
	const struct listed list[] = {
		{ new_frame(g), TABLE, 2 }, { new_frame(g), WRITABLE, 1 },
		{ new_frame(g), DIRECTORY, 1 }, { text_frame(g, 2), TABLE, 1 },
		{ new_frame(g), TABLE, 0 }, { new_frame(g), WRITABLE, 3 },
		{ new_frame(g), DIRECTORY, 0 },
	};
	need_home(g, list);
	for (unsigned n = 0; n <= LENGTH(list); n++)
		protect_list(g, list, n);
	forget_types(g);
}

void check_protect(const struct test *t)
{
	struct guest g = start_stock();
	(void)t;
	judge_protect(&g);
}
