/* SPDX-License-Identifier: MIT */
/*
 * What may be where in an address space: a short list of areas sorted by address.
 * Mapping, unmapping and protecting cut areas at the borders of the range and join
 * neighbours that are alike.
 */
#include "mm/area.h"
#include "fs/vnode.h"

#define MMAP_BASE 0x40000000 /* where the search for a free range begins */
#define PROT_ALL (PROT_READ | PROT_WRITE | PROT_EXEC)

struct area *area_copy(const struct area *a)
{
	struct area *copy = kmalloc(sizeof(*copy));
	if (copy) {
		*copy = *a;
		if (copy->vn)
			vnode_get(copy->vn);
	}
	return copy;
}

void area_free(struct area *a)
{
	vnode_put(a->vn);
	kfree(a);
}

static void area_insert(struct mm *mm, struct area *a)
{
	struct area **at = &mm->areas;
	while (*at && (*at)->start < a->start)
		at = &(*at)->next;
	a->next = *at;
	*at = a;
}

struct area *area_find(const struct mm *mm, uint32_t address)
{
	struct area *a = mm->areas;
	while (a && a->end <= address)
		a = a->next;
	return a && a->start <= address ? a : NULL;
}

static bool area_overlaps(const struct mm *mm, uint32_t start, uint32_t end)
{
	for (struct area *a = mm->areas; a && a->start < end; a = a->next)
		if (a->end > start)
			return true;
	return false;
}

/* Whether areas cover all of [start, end). */
static bool area_covers(const struct mm *mm, uint32_t start, uint32_t end)
{
	for (struct area *a = mm->areas; a && a->start <= start; a = a->next)
		if (a->end > start && (start = a->end) >= end)
			return true;
	return false;
}

/* The first free range of `bytes` at or above `base`, or 0 if there is none. */
static uint32_t area_gap(const struct mm *mm, uint32_t base, uint32_t bytes)
{
	for (struct area *a = mm->areas; a; a = a->next) {
		if (a->end <= base)
			continue;
		if (a->start > base && a->start - base >= bytes)
			break;
		base = a->end;
	}
	return base <= USER_END - bytes ? base : 0;
}

/* Cut the area that has `address` inside it in two. Result: 0, -ENOMEM. */
static int split_at(struct mm *mm, uint32_t address)
{
	struct area *a = area_find(mm, address), *upper;
	if (!a || a->start == address)
		return 0;
	upper = area_copy(a);
	if (!upper)
		return -ENOMEM;
	uint32_t lower_bytes = address - a->start;
	upper->start = a->end = address;
	upper->offset += lower_bytes;
	upper->file_bytes -= MIN(upper->file_bytes, lower_bytes);
	a->file_bytes = MIN(a->file_bytes, lower_bytes);
	a->next = upper;
	return 0;
}

/*
 * Cut areas so that no area crosses start or end. Result: 0, or -ENOMEM; a cut made until
 * then stays and changes nothing for the program.
 */
static int area_split(struct mm *mm, uint32_t start, uint32_t end)
{
	int error = split_at(mm, start);
	return error ? error : split_at(mm, end);
}

/* Whether b continues what a maps: zeros, or the file from where a ends. */
static bool same_source(const struct area *a, const struct area *b)
{
	uint32_t bytes = a->end - a->start;
	if (a->vn != b->vn)
		return false;
	return !a->vn || (a->offset + bytes == b->offset &&
			  (a->file_bytes == bytes || b->file_bytes == 0));
}

/* Join neighbours that have one access and one source. */
static void area_merge(struct mm *mm)
{
	for (struct area *a = mm->areas; a && a->next;) {
		struct area *b = a->next;
		if (a->end != b->start || a->prot != b->prot || !same_source(a, b)) {
			a = b;
			continue;
		}
		a->end = b->end;
		a->file_bytes += b->file_bytes;
		a->next = b->next;
		area_free(b);
	}
}

int32_t mm_map(struct mm *mm, uint32_t address, uint32_t bytes, int prot, struct vnode *vn,
	       uint32_t offset, uint32_t file_bytes)
{
	if (bytes == 0 || (address | offset) & ~PAGE_MASK || prot & ~PROT_ALL)
		return -EINVAL;
	if (bytes > USER_END - USER_BASE)
		return -ENOMEM;
	bytes = ROUND_UP(bytes, PAGE_SIZE);
	if (address && (address < USER_BASE || address > USER_END - bytes))
		return -EINVAL;
	if (!address && (address = area_gap(mm, MMAP_BASE, bytes)) == 0)
		return -ENOMEM;
	struct area want = { .start = address, .end = address + bytes, .prot = prot, .vn = vn,
			     .offset = offset, .file_bytes = vn ? file_bytes : 0 };
	if (area_overlaps(mm, want.start, want.end))
		return -EEXIST;
	struct area *a = area_copy(&want);
	if (!a)
		return -ENOMEM;
	area_insert(mm, a);
	area_merge(mm);
	return (int32_t)address;
}

/* Check a range for unmap or protect, and round its size up. */
static bool range_ok(uint32_t address, uint32_t *bytes)
{
	if (address & ~PAGE_MASK || *bytes == 0)
		return false;
	if (address < USER_BASE || address >= USER_END || *bytes > USER_END - address)
		return false;
	*bytes = ROUND_UP(*bytes, PAGE_SIZE);
	return true;
}

int mm_unmap(struct mm *mm, uint32_t address, uint32_t bytes)
{
	if (!range_ok(address, &bytes))
		return -EINVAL;
	int error = area_split(mm, address, address + bytes);
	if (error)
		return error;
	for (struct area **at = &mm->areas; *at;) {
		struct area *a = *at;
		if (a->start < address || a->start >= address + bytes) {
			at = &a->next;
			continue;
		}
		drop_pages(mm, a->start, a->end, true);
		*at = a->next;
		area_free(a);
	}
	drop_tables(mm, address, address + bytes);
	return 0;
}

int mm_protect(struct mm *mm, uint32_t address, uint32_t bytes, int prot)
{
	if (prot & ~PROT_ALL || !range_ok(address, &bytes))
		return -EINVAL;
	if (!area_covers(mm, address, address + bytes))
		return -ENOMEM;
	int error = area_split(mm, address, address + bytes);
	if (error)
		return error;
	for (struct area *a = mm->areas; a; a = a->next)
		if (a->start >= address && a->start < address + bytes && a->prot != prot) {
			a->prot = prot;
			protect_pages(mm, a->start, a->end, prot);
		}
	area_merge(mm);
	return 0;
}
