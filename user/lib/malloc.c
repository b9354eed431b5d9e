/* SPDX-License-Identifier: MIT */
/*
 * malloc: a block belongs to a power-of-two class and is cut from a 64 KiB piece of anonymous
 * memory; a block above 16 KiB is a mapping of its own. The head before a block holds its size.
 */
#include "user.h"

enum { MIN_SHIFT = 5, MAX_SHIFT = 14, CHUNK = 65536, HEAD = 16 };

struct head { uint32_t size, pad[3]; }; /* size: of the block, head included */

static struct free_block { struct free_block *next; } *free_lists[MAX_SHIFT + 1];
static char *chunk;
static uint32_t chunk_left;

static char *get_pages(uint32_t bytes)
{
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, -1, 0);
	return is_error(at) ? NULL : at;
}

void *malloc(size_t bytes)
{
	unsigned shift = MIN_SHIFT;
	struct head *h;
	if (bytes > 0x40000000)
		return NULL;
	bytes += HEAD;
	while (shift <= MAX_SHIFT && 1u << shift < bytes)
		shift++;
	if (shift > MAX_SHIFT) {
		h = (struct head *)get_pages(bytes);
	} else {
		bytes = 1u << shift;
		h = (struct head *)free_lists[shift];
		if (h) {
			free_lists[shift] = free_lists[shift]->next;
		} else {
			if (chunk_left < bytes) {
				chunk = get_pages(CHUNK);
				chunk_left = chunk ? CHUNK : 0;
			}
			h = (struct head *)chunk;
			if (chunk) {
				chunk += bytes;
				chunk_left -= bytes;
			}
		}
	}
	if (!h)
		return NULL;
	h->size = bytes;
	return h + 1;
}

void free(void *p)
{
	struct head *h = (struct head *)p - 1;
	if (!p)
		return;
	if (h->size > 1u << MAX_SHIFT) {
		munmap(h, h->size);
		return;
	}
	struct free_block **list = &free_lists[__builtin_ctz(h->size)], *b = (struct free_block *)h;
	b->next = *list;
	*list = b;
}

char *strdup(const char *s)
{
	size_t bytes = strlen(s) + 1;
	char *copy = malloc(bytes);
	return copy ? memcpy(copy, s, bytes) : NULL;
}
