/* SPDX-License-Identifier: MIT */
/*
 * The block cache: blocks of a file system in memory, written to the device later. One
 * mutex guards the cache and the file system in it. Its owner may enter again: an access to
 * a program's memory can fault in a page from the same file system. A block is held
 * (`uses`) from get to put, and a held block is not evicted. A block of 4 KiB fills a
 * frame, which can be mapped into programs, too. Before such a block is changed,
 * bcache_change() gives the cache a frame of its own: what was mapped does not change.
 * Some devices have pages from which and to which they move data without a copy (dev/block.h):
 * new blocks lie there.
 */
#ifndef FS_BCACHE_H
#define FS_BCACHE_H

#include "dev/block.h"
#include "mm/frame.h"
#include "proc/lock.h"

#define BCACHE_BUCKETS 1024u

struct block {
	struct block *hash_next, *newer, *older; /* newer, older: by last use */
	uint32_t number; /* on the disk, in blocks */
	uint16_t uses;   /* gets without put: not evicted while > 0 */
	uint8_t used;    /* how often it was wanted: 2 is as good as more */
	bool dirty;      /* to be written back */
	bool meta;       /* refers to other blocks, and is written after them */
	char *data;
};

struct bcache {
	struct blockdev *dev;
	uint32_t block_bytes;
	struct mutex lock;
	unsigned depth; /* how often the owner has entered */
	uint32_t expected; /* the block after the last one read from the device */
	struct block *buckets[BCACHE_BUCKETS], *newest, *oldest;
	struct block *spare; /* the last one that was evicted: the next one will be it */
	uint32_t count, limit, dirty; /* blocks: in the cache, aimed at, to be written back */
	struct block *borrowers[BLOCK_LENT]; /* the blocks in the device's pages */
	uint32_t hand, nr_borrowed;          /* the page that is next; pages in use */
	uint32_t evicted[BCACHE_BUCKETS];    /* by hash: the last number that lost such a page */
};

/*
 * Make c an empty cache of dev, for blocks of block_bytes (1024, 2048, 4096), and the cache
 * that bcache_flush() and frame_shrinker work on. Context: boot.
 */
void bcache_init(struct bcache *c, struct blockdev *dev, uint32_t block_bytes);
/* Free all blocks without writing: for a mount that failed. */
void bcache_drop(struct bcache *c);
/*
 * Take and release the cache's mutex; calls of one task nest. Context: process, no spin
 * lock held.
 */
void bcache_enter(struct bcache *c);
void bcache_leave(struct bcache *c);

/*
 * The next eight are called between enter and leave, and may sleep. Result: 0, -EIO, -ENOMEM.
 * bcache_get - hold a block; it is read from the device if it is not in the cache.
 */
int bcache_get(struct bcache *c, uint32_t number, struct block **out);
/* Hold a block whose old content does not matter: the caller fills it all. */
int bcache_new(struct bcache *c, uint32_t number, struct block **out);
/* Let go of a block that was held. */
void bcache_put(struct block *b);
/*
 * Mark a block for writing back; meta: see struct block. Call it before b->data is changed:
 * the data may move.
 */
int bcache_change(struct bcache *c, struct block *b, bool meta);
/* The frame of b's data, with a reference for the caller. -EBUSY: others hold b: copy it. */
int bcache_frame(struct bcache *c, struct block *b, pfn_t *out);
/*
 * Move a block between the device and buf, which the cache shall not have. -EBUSY: it has it, and
 * it is to be read, or is held: use it there.
 */
int bcache_direct(struct bcache *c, bool write, uint32_t number, void *buf);
/* The block is free on the disk now: do not write it back. */
void bcache_forget(struct bcache *c, uint32_t number);
/* Write all changed blocks, first data, then what refers to it; make the writes durable. */
int bcache_sync(struct bcache *c);

/* Enter, and sync if anything has changed; an error is printed. Context: process, may sleep. */
void bcache_flush(void);
/* Frames that the blocks take. Context: any; the number may be out of date. */
uint32_t bcache_frames(void);

#endif
