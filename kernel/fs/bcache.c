/* SPDX-License-Identifier: MIT */
/*
 * The block cache: a hash table finds blocks, a list in the order of last use says what to
 * evict.
 */
#include "fs/bcache.h"
#include "proc/task.h"

enum { AT_ONCE = 16 }; /* blocks in one transfer, at most */

static struct bcache *active;

void bcache_enter(struct bcache *c)
{
	if (c->lock.owner != current())
		mutex_lock(&c->lock);
	c->depth++;
}

void bcache_leave(struct bcache *c)
{
	if (--c->depth == 0)
		mutex_unlock(&c->lock);
}

static struct block **bucket(struct bcache *c, uint32_t number)
{
	return &c->buckets[number % BCACHE_BUCKETS];
}

static void list_remove(struct bcache *c, struct block *b)
{
	*(b->newer ? &b->newer->older : &c->newest) = b->older;
	*(b->older ? &b->older->newer : &c->oldest) = b->newer;
}

static void list_add(struct bcache *c, struct block *b)
{
	b->older = c->newest;
	b->newer = NULL;
	*(c->newest ? &c->newest->newer : &c->oldest) = b;
	c->newest = b;
}

static char *data_alloc(const struct bcache *c)
{
	if (c->block_bytes < PAGE_SIZE)
		return kmalloc(c->block_bytes);
	pfn_t pfn = frame_alloc(0);
	return pfn == NO_FRAME ? NULL : pfn_to_virt(pfn);
}

static void data_free(const struct bcache *c, char *data)
{
	if (c->block_bytes < PAGE_SIZE)
		kfree(data);
	else
		frame_put(virt_to_pfn(data));
}

/* Read or write n blocks, all under way at once. */
static int transfer(struct bcache *c, struct block **blocks, unsigned n, bool write)
{
	struct block_part parts[AT_ONCE];
	uint32_t each = c->block_bytes / SECTOR;
	for (unsigned i = 0; i < n; i++) {
		if (blocks[i]->number >= c->dev->sectors / each)
			return -EIO;
		parts[i] = (struct block_part){ blocks[i]->number * each, each, blocks[i]->data };
	}
	return block_move(c->dev, write, parts, n);
}

static int write_back(struct bcache *c, struct block *b)
{
	int error = b->dirty ? transfer(c, &b, 1, true) : 0;
	if (!error && b->dirty) {
		b->dirty = false;
		c->dirty--;
	}
	return error;
}

/* Take a block out of the cache and free it, without writing it. */
static void discard(struct bcache *c, struct block *b)
{
	struct block **at = bucket(c, b->number);
	while (*at != b)
		at = &(*at)->hash_next;
	*at = b->hash_next;
	list_remove(c, b);
	c->dirty -= b->dirty;
	c->count--;
	data_free(c, b->data);
	kfree(b);
}

/*
 * Evict the least recently used blocks until there is room for a new one; changed blocks are
 * written first.
 */
static void make_room(struct bcache *c)
{
	for (struct block *b = c->oldest, *next; b && c->count >= c->limit; b = next) {
		next = b->newer;
		if (b->uses)
			continue;
		b->uses++; /* the device may sleep: hold it */
		int error = write_back(c, b);
		next = b->newer;
		if (--b->uses == 0 && !error)
			discard(c, b);
	}
}

/* The block, held, as the newest one; NULL if it is not in the cache. */
static struct block *find(struct bcache *c, uint32_t number)
{
	struct block *b = *bucket(c, number);
	while (b && b->number != number)
		b = b->hash_next;
	if (b) {
		b->uses++;
		if (c->newest != b) {
			list_remove(c, b);
			list_add(c, b);
		}
	}
	return b;
}

/* A new block, held, its data not set; NULL if memory is out. */
static struct block *insert(struct bcache *c, uint32_t number)
{
	if (c->count >= c->limit)
		make_room(c);
	struct block *b = kmalloc(sizeof(*b));
	char *data = b ? data_alloc(c) : NULL;
	if (!data) {
		kfree(b);
		return NULL;
	}
	*b = (struct block){ .number = number, .uses = 1, .data = data,
			     .hash_next = *bucket(c, number) };
	*bucket(c, number) = b;
	list_add(c, b);
	c->count++;
	return b;
}

/*
 * Read the new block b. If the blocks before it were the last that were read, those after it are
 * wanted soon: the device reads some of them at the same time, if it can.
 */
static int fetch(struct bcache *c, struct block *b)
{
	struct block *blocks[AT_ONCE] = { b };
	uint32_t end = c->dev->sectors / (c->block_bytes / SECTOR);
	unsigned n = 1, most = b->number == c->expected ? MIN(c->dev->depth, AT_ONCE) : 1;
	for (; n < most && b->number + n < end; n++) {
		struct block **at = bucket(c, b->number + n), *there = *at;
		while (there && there->number != b->number + n)
			there = there->hash_next;
		blocks[n] = there ? NULL : insert(c, b->number + n);
		if (!blocks[n])
			break;
	}
	int error = transfer(c, blocks, n, false);
	c->expected = b->number + n;
	for (unsigned i = 1; i < n; i++) {
		blocks[i]->uses--;
		if (error)
			discard(c, blocks[i]);
	}
	return error && n > 1 ? transfer(c, &b, 1, false) : error;
}

int bcache_get(struct bcache *c, uint32_t number, struct block **out)
{
	ASSERT_MUTEX(&c->lock);
	struct block *b = find(c, number);
	if (!b) {
		b = insert(c, number);
		if (!b)
			return -ENOMEM;
		int error = fetch(c, b);
		if (error) {
			discard(c, b);
			return error;
		}
	}
	*out = b;
	return 0;
}

int bcache_new(struct bcache *c, uint32_t number, struct block **out)
{
	ASSERT_MUTEX(&c->lock);
	*out = find(c, number);
	if (!*out)
		*out = insert(c, number);
	return *out ? 0 : -ENOMEM;
}

void bcache_put(struct block *b) { b->uses--; }

int bcache_change(struct bcache *c, struct block *b, bool meta)
{
	ASSERT_MUTEX(&c->lock);
	if (c->block_bytes == PAGE_SIZE && unlikely(frame_refs(virt_to_pfn(b->data)) > 1)) {
		char *own = data_alloc(c);
		if (!own)
			return -ENOMEM;
		memcpy(own, b->data, PAGE_SIZE);
		data_free(c, b->data);
		b->data = own;
	}
	c->dirty += !b->dirty;
	b->dirty = true;
	b->meta = meta;
	return 0;
}

void bcache_forget(struct bcache *c, uint32_t number)
{
	ASSERT_MUTEX(&c->lock);
	struct block *b = *bucket(c, number);
	while (b && b->number != number)
		b = b->hash_next;
	if (!b)
		return;
	if (b->uses == 0) {
		discard(c, b);
	} else if (b->dirty) {
		b->dirty = false;
		c->dirty--;
	}
}

static int sync_pass(struct bcache *c, bool meta)
{
	struct block *batch[AT_ONCE], *b = c->oldest;
	unsigned n = 0, most = MAX(1u, MIN(c->dev->depth, AT_ONCE));
	int result = 0;
	while (b || n) {
		if (b && b->dirty && b->meta == meta) {
			b->uses++; /* the device may sleep: hold it */
			batch[n++] = b;
		}
		if (n == most || (n && (!b || !b->newer))) {
			int error = transfer(c, batch, n, true);
			result = error ? error : result;
			for (; n; n--) {
				batch[n - 1]->uses--;
				batch[n - 1]->dirty &= error != 0;
				c->dirty -= !error;
			}
		}
		b = b ? b->newer : NULL;
	}
	return result;
}

int bcache_sync(struct bcache *c)
{
	ASSERT_MUTEX(&c->lock);
	int data = sync_pass(c, false), meta = data ? 0 : sync_pass(c, true);
	int flush = c->dev->flush ? c->dev->flush(c->dev) : 0;
	return data ? data : meta ? meta : flush;
}

/*
 * Memory is short: free blocks that are not held; changed ones are written first. Waits for
 * the lock and for the device, unless preemption is off. Waiting for the lock is safe: its
 * owner never waits for a lock that a caller of frame_alloc() may hold. Result: blocks freed.
 */
static uint32_t shrink(uint32_t wanted)
{
	struct bcache *c = active;
	uint32_t given = 0;
	bool mine = c->lock.owner == current(), may_sleep = current()->preempt == 0;
	if (!mine && !mutex_try(&c->lock)) {
		if (!may_sleep)
			return 0;
		mutex_lock(&c->lock);
	}
	for (struct block *b = c->oldest, *next; b && given < wanted + 8; b = next) {
		next = b->newer;
		if (b->uses || (b->dirty && !may_sleep))
			continue;
		b->uses++; /* the device may sleep: hold it */
		int error = write_back(c, b);
		next = b->newer;
		if (--b->uses == 0 && !error) {
			discard(c, b);
			given++;
		}
	}
	if (!mine)
		mutex_unlock(&c->lock);
	return given;
}

void bcache_init(struct bcache *c, struct blockdev *dev, uint32_t block_bytes)
{
	memset(c, 0, sizeof(*c)); /* too large for the stack, where a literal may be built */
	c->dev = dev;
	c->block_bytes = block_bytes;
	c->limit = MAX(nr_pfns / 4, 64u);
	active = c;
	frame_shrinker = shrink;
}

void bcache_drop(struct bcache *c)
{
	while (c->oldest)
		discard(c, c->oldest);
}

void bcache_flush(void)
{
	if (!active)
		return;
	bcache_enter(active);
	if (active->dirty && bcache_sync(active))
		printk("%s: writing back failed\n", active->dev->name);
	bcache_leave(active);
}

uint32_t bcache_frames(void)
{
	return active ? (uint32_t)((uint64_t)active->count * active->block_bytes / PAGE_SIZE) : 0;
}
