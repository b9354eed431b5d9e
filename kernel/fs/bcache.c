/* SPDX-License-Identifier: MIT */
/*
 * The block cache: a hash table finds blocks, a list in the order of last use says what to
 * evict. Of the device's own pages each is given to a new block in turn. The block that had it is
 * evicted, unless it was used twice, or must be written: that one gets a frame. So what is read
 * once only, as most of a long file, is never copied here, and evicts nothing else.
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

/* The block, if it is in the cache. */
static struct block *look(struct bcache *c, uint32_t number)
{
	struct block *b = *bucket(c, number);
	while (b && b->number != number)
		b = b->hash_next;
	return b;
}

/* Which page of the device's these data are in; dev->nr_pages or more: in none. */
static size_t lent_page(const struct bcache *c, const char *data)
{
	return (size_t)(data - c->dev->pages) / PAGE_SIZE;
}

static bool is_borrowed(const struct bcache *c, const struct block *b)
{
	return lent_page(c, b->data) < c->dev->nr_pages;
}

static char *data_alloc(const struct bcache *c)
{
	if (c->block_bytes < PAGE_SIZE)
		return kmalloc(c->block_bytes);
	pfn_t pfn = frame_alloc(0);
	return pfn == NO_FRAME ? NULL : pfn_to_virt(pfn);
}

static void data_free(struct bcache *c, char *data)
{
	size_t page = lent_page(c, data);
	if (page < c->dev->nr_pages)
		c->borrowers[page] = NULL, c->nr_borrowed--;
	else if (c->block_bytes < PAGE_SIZE)
		kfree(data);
	else
		frame_put(virt_to_pfn(data));
}

/* Read or write n blocks, all under way at once. flush: make the writes durable. */
static int transfer(struct bcache *c, struct block **blocks, unsigned n, bool write, bool flush)
{
	struct block_part parts[AT_ONCE + 1];
	uint32_t each = c->block_bytes / SECTOR;
	for (unsigned i = 0; i < n; i++) {
		if (blocks[i]->number >= c->dev->sectors / each)
			return -EIO;
		parts[i] = (struct block_part){ blocks[i]->number * each, each, blocks[i]->data };
	}
	parts[n] = (struct block_part){ 0 };
	return block_move(c->dev, write, parts, n + flush);
}

static int write_back(struct bcache *c, struct block *b)
{
	int error = b->dirty ? transfer(c, &b, 1, true, false) : 0;
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
	kfree(c->spare);
	c->spare = b;
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

/* Let a block's data lie in a frame of its own. */
static int move_out(struct bcache *c, struct block *b)
{
	char *own = data_alloc(c);
	if (!own)
		return -ENOMEM;
	memcpy(own, b->data, PAGE_SIZE);
	data_free(c, b->data);
	b->data = own;
	return 0;
}

/* A page of the device's for the new block b; NULL if it has none, or all are held. */
static char *borrow(struct bcache *c, struct block *b)
{
	unsigned n = c->block_bytes == PAGE_SIZE ? c->dev->nr_pages : 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned page = c->hand++ % n;
		struct block *old = c->borrowers[page];
		if (old && old->uses)
			continue;
		if (old) {
			old->uses++; /* memory or the device may be waited for: hold it */
			bool stays = (old->dirty || old->used > 1) && !move_out(c, old);
			int error = stays ? 0 : write_back(c, old);
			old->uses--;
			if (error)
				continue;
			if (!stays) {
				c->evicted[old->number % BCACHE_BUCKETS] = old->number;
				discard(c, old);
			}
		}
		c->borrowers[page] = b;
		c->nr_borrowed++;
		return c->dev->pages + page * PAGE_SIZE;
	}
	return NULL;
}

/* The block, held, as the newest one; NULL if it is not in the cache. */
static struct block *find(struct bcache *c, uint32_t number)
{
	struct block *b = look(c, number);
	if (b) {
		b->uses++;
		if (c->newest != b) {
			b->used += b->used < 2;
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
	struct block *b = c->spare;
	c->spare = NULL; /* kmalloc() may evict, too */
	b = b ? b : kmalloc(sizeof(*b));
	char *data = b && c->dev->nr_pages ? borrow(c, b) : NULL;
	if (b && !data)
		data = data_alloc(c);
	if (!data) {
		kfree(b);
		return NULL;
	}
	*b = (struct block){ .number = number, .uses = 1, .data = data,
			     .used = 1 + (c->evicted[number % BCACHE_BUCKETS] == number),
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
		blocks[n] = look(c, b->number + n) ? NULL : insert(c, b->number + n);
		if (!blocks[n])
			break;
		blocks[n]->used--; /* its first use is still to come */
	}
	int error = transfer(c, blocks, n, false, false);
	c->expected = b->number + n;
	for (unsigned i = 1; i < n; i++) {
		blocks[i]->uses--;
		if (error)
			discard(c, blocks[i]);
	}
	return error && n > 1 ? transfer(c, &b, 1, false, false) : error;
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
	if (c->block_bytes == PAGE_SIZE && !is_borrowed(c, b) &&
	    unlikely(frame_refs(virt_to_pfn(b->data)) > 1) && move_out(c, b))
		return -ENOMEM;
	c->dirty += !b->dirty;
	b->dirty = true;
	b->meta = meta;
	return 0;
}

int bcache_frame(struct bcache *c, struct block *b, pfn_t *out)
{
	ASSERT_MUTEX(&c->lock);
	int error = !is_borrowed(c, b) ? 0 : b->uses > 1 ? -EBUSY : move_out(c, b);
	if (!error)
		frame_get(*out = virt_to_pfn(b->data));
	return error;
}

int bcache_direct(struct bcache *c, bool write, uint32_t number, void *buf)
{
	ASSERT_MUTEX(&c->lock);
	struct block *b = look(c, number);
	uint32_t each = c->block_bytes / SECTOR;
	struct block_part part = { number * each, each, buf };
	if (b && (b->uses || !write))
		return -EBUSY;
	int error = block_move(c->dev, write, &part, 1);
	if (b && !error)
		discard(c, b); /* what it had is written over */
	return error;
}

void bcache_forget(struct bcache *c, uint32_t number)
{
	ASSERT_MUTEX(&c->lock);
	struct block *b = look(c, number);
	if (!b)
		return;
	if (b->uses == 0) {
		discard(c, b);
	} else if (b->dirty) {
		b->dirty = false;
		c->dirty--;
	}
}

/* Write changed blocks, data or what refers to them. *flushed: nothing was left after that. */
static int sync_pass(struct bcache *c, bool meta, bool *flushed)
{
	struct block *batch[AT_ONCE], *b = c->oldest;
	unsigned n = 0, most = MAX(1u, MIN(c->dev->depth, AT_ONCE));
	int result = 0;
	while ((b && c->dirty) || n) {
		if (b && b->dirty && b->meta == meta) {
			b->uses++; /* the device may sleep: hold it */
			batch[n++] = b;
		}
		if (n == most || (n && (!b || !b->newer))) {
			*flushed = c->dirty == n;
			int error = transfer(c, batch, n, true, *flushed);
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
	bool flushed = false;
	int data = sync_pass(c, false, &flushed), meta = data ? 0 : sync_pass(c, true, &flushed);
	int flush = flushed ? 0 : transfer(c, NULL, 0, true, true);
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
		if (b->uses || is_borrowed(c, b) || (b->dirty && !may_sleep))
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
	kfree(c->spare);
	c->spare = NULL;
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
	const struct bcache *c = active;
	return c ? (uint32_t)((uint64_t)(c->count - c->nr_borrowed) * c->block_bytes / PAGE_SIZE)
		 : 0;
}
