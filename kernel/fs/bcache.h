/* SPDX-License-Identifier: MIT */
/*
 * The block cache: blocks of a file system in memory, written back later. One mutex guards the cache and the file system
 * on it; its owner may enter again, because copying to a program's memory can fault in a page of the same file system.
 * A block is held (`uses`) from get to put and is not evicted meanwhile. 4 KiB blocks lie in whole frames, which can be
 * mapped into programs; bcache_change then gives the cache a frame of its own, and the mappers keep what they have.
 */
#ifndef FS_BCACHE_H
#define FS_BCACHE_H

#include "dev/dev.h"

#define BCACHE_BUCKETS 1024u

struct block {
	struct block *hash_next, *newer, *older; /* newer, older: by last use */
	uint32_t number;
	uint16_t uses;
	bool dirty, meta; /* meta: written after the data that it refers to */
	char *data;
};

struct bcache {
	struct blockdev *dev;
	uint32_t block_bytes;
	struct mutex lock;
	unsigned depth; /* how often the owner entered */
	struct block *buckets[BCACHE_BUCKETS], *newest, *oldest;
	uint32_t count, limit, dirty;
};

/* Use c for dev from now on, for blocks of so many bytes (1024, 2048, 4096). The one cache that bcache_flush works on. */
void bcache_init(struct bcache *c, struct blockdev *dev, uint32_t block_bytes);
/* Forget everything, changed or not: for a mount that failed. */
void bcache_drop(struct bcache *c);
void bcache_enter(struct bcache *c);
void bcache_leave(struct bcache *c);

/* All below: with the cache entered. Errors: -EIO, -ENOMEM. */
/* The block's content. */
int bcache_get(struct bcache *c, uint32_t number, struct block **out);
/* The block without reading it: the caller fills it all. */
int bcache_new(struct bcache *c, uint32_t number, struct block **out);
void bcache_put(struct block *b);
/* Must precede a change of the data: marks it for writing back. */
int bcache_change(struct bcache *c, struct block *b, bool meta);
/* The block is free now: what is in the cache need not be written. */
void bcache_forget(struct bcache *c, uint32_t number);
/* Write all changed blocks: data, then what refers to it; make the device keep them. */
int bcache_sync(struct bcache *c);

/* Any process context. */
void bcache_flush(void);      /* sync, if anything changed */
uint32_t bcache_frames(void); /* memory in use, in frames */

#endif
