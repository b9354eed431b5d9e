/* SPDX-License-Identifier: MIT */
/* The areas of an address space: a short list sorted by address, cut and joined as mappings change. */
#include "mm/area.h"
#include "fs/vnode.h"

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

void area_insert(struct mm *mm, struct area *a)
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

bool area_overlaps(const struct mm *mm, uint32_t start, uint32_t end)
{
	for (struct area *a = mm->areas; a && a->start < end; a = a->next)
		if (a->end > start)
			return true;
	return false;
}

bool area_covers(const struct mm *mm, uint32_t start, uint32_t end)
{
	for (struct area *a = mm->areas; a && a->start <= start; a = a->next)
		if (a->end > start && (start = a->end) >= end)
			return true;
	return false;
}

uint32_t area_gap(const struct mm *mm, uint32_t base, uint32_t bytes)
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

/* Cut the area that has `address` inside it in two. */
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

int area_split(struct mm *mm, uint32_t start, uint32_t end)
{
	int error = split_at(mm, start);
	return error ? error : split_at(mm, end);
}

void area_merge(struct mm *mm)
{
	for (struct area *a = mm->areas; a && a->next;) {
		struct area *b = a->next;
		uint32_t bytes = a->end - a->start;
		bool same_source = a->vn == b->vn &&
				   (!a->vn || (a->offset + bytes == b->offset && (a->file_bytes == bytes || b->file_bytes == 0)));
		if (a->end != b->start || a->prot != b->prot || !same_source) {
			a = b;
			continue;
		}
		a->end = b->end;
		a->file_bytes += b->file_bytes;
		a->next = b->next;
		area_free(b);
	}
}
