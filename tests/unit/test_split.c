/* SPDX-License-Identifier: MIT */
/*
 * A guest's disk, with both ends in one process. Whoever waits lets the other side work. Then each
 * side in turn meets a peer that lies, in the ring's page and in its messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "layout.h"
#include "random.h"
#undef KERNEL_BASE /* an address that the sanitizer does not use for its shadow memory */
#define KERNEL_BASE 0x40000000u

#pragma GCC diagnostic ignored "-Wint-to-pointer-cast" /* the kernel's current(), not called */
#include "kernel/split/back.c"
#include "kernel/split/block_front.c"
#include "kernel/split/block_back.c"

extern void *mmap(void *at, size_t bytes, int prot, int flags, int fd, long offset);
extern int memfd_create(const char *name, unsigned flags), ftruncate(int fd, long bytes);
enum { HOST_SHARED = 1, HOST_FIXED = 0x10, HOST_FIXED_NOREPLACE = 0x100000 };
enum { FRAMES = 4 * BLOCK_PAGES, SECTORS = 200, FRONT_PORT = 3, BACK_PORT = 300 };
#define GUEST_VIEW 0x50000000u /* here the guest has the pages of the disk, one after the other */
static int memory;             /* all frames */

/* --- the kernel --- */

static uint8_t content[SECTORS * SECTOR];
static int file_error;
static unsigned syncs, frames, sent_to_back, sent_to_front, max_served;
static struct { void (*run)(void *); void *data; } bound[512];
static bool no_answers; /* the test plays the back end */

void printk(const char *fmt, ...) { (void)fmt; }
uint32_t spin_lock_irq(struct spinlock *l) { return (void)l, 0; }
void spin_unlock_irq(struct spinlock *l, uint32_t flags) { (void)l, (void)flags; }
void mutex_lock(struct mutex *m) { (void)m; }
void mutex_unlock(struct mutex *m) { (void)m; }
void spin_lock(struct spinlock *l) { (void)l; }
void spin_unlock(struct spinlock *l) { (void)l; }
void wake_all(struct wait_queue *q) { (void)q; }
void *kzalloc(size_t bytes) { return calloc(1, bytes); }
void kfree(void *p) { free(p); }
void vnode_put(struct vnode *vn) { vn->refs--; }
pfn_t frame_alloc(unsigned order)
{
	pfn_t pfn = frames;
	CHECK(!order && (frames += 2) <= FRAMES); /* no two are neighbours */
	memset(pfn_to_virt(pfn), 0xA5, PAGE_SIZE << order); /* old content: nobody else's */
	return pfn;
}
void frame_free(pfn_t pfn, unsigned order) { (void)pfn, (void)order; }
void port_wake(void *waiters) { (void)waiters; }

void port_bind(unsigned port, void (*run)(void *), void *data)
{
	bound[port].run = run;
	bound[port].data = data;
}
void port_notify(unsigned port)
{
	unsigned peer = port == FRONT_PORT ? BACK_PORT : FRONT_PORT;
	sent_to_back += peer == BACK_PORT;
	sent_to_front += peer == FRONT_PORT;
	if (bound[peer].run)
		bound[peer].run(bound[peer].data);
}

/* The front end waits: the back end's task has its turn. */
void wait_on_unkillable(struct wait_queue *q, struct spinlock *l)
{
	(void)l;
	CHECK(q == &sleepers.queue && work && !no_answers); /* else it would sleep for ever */
	work = false;
	uint32_t before = backs->wire.in.taken;
	serve_all();
	max_served = MAX(max_served, backs->wire.in.taken - before);
}

/* --- the file --- */

static int file_direct(struct vnode *vn, bool write, uint32_t at, void *buf, uint32_t bytes)
{
	CHECK(vn->size == sizeof(content) && at + bytes <= sizeof(content));
	CHECK((uintptr_t)buf % PAGE_SIZE == 0 && bytes <= PAGE_SIZE);
	if (!file_error)
		memcpy(write ? content + at : buf, write ? buf : content + at, bytes);
	return file_error;
}

static int file_sync(struct vnode *vn) { return (void)vn, syncs++, file_error; }

static const struct vnode_ops file_ops = {
	.direct = file_direct, .sync = file_sync,
};
static struct vnode file = { .ops = &file_ops, .mode = S_IFREG, .size = sizeof(content) };

static int disk_read(uint32_t sector, uint32_t n, void *buf)
{
	return front_move(&front, false, &(struct block_part){ sector, n, buf }, n > 0);
}

static int disk_write(uint32_t sector, uint32_t n, void *buf)
{
	return front_move(&front, true, &(struct block_part){ sector, n, buf }, 1);
}

/* --- set-up --- */

static struct back *back;
static struct blockdev *disk;
static struct ring_page *page;

static void refused(struct vnode *vn, bool read_only, int error)
{
	struct back *b;
	unsigned refs = vn->refs;
	assert_int_equal(block_back_create(vn, read_only, &b), error);
	assert_int_equal(vn->refs, refs - 1);
}

static void open_disk(bool read_only)
{
	back_destroy(back);
	frames = syncs = file_error = sent_to_back = sent_to_front = max_served = 0;
	no_answers = work = false;
	file.refs = 1;
	assert_int_equal(block_back_create(&file, read_only, &back), 0);
	static uint8_t zeros[PAGE_SIZE];
	for (unsigned i = 1; i < BLOCK_PAGES; i++)
		assert_memory_equal(back->pages[i], zeros, PAGE_SIZE);
	struct domain_start start = { .disk_sectors = SECTORS, .disk_read_only = read_only };
	start.disk.port = FRONT_PORT;
	start.disk.ring = GUEST_VIEW;
	page = back->pages[0];
	for (unsigned i = 0; i < BLOCK_PAGES; i++) {
		void *at = (void *)(uintptr_t)(GUEST_VIEW + i * PAGE_SIZE);
		assert_ptr_equal(mmap(at, PAGE_SIZE, 3, HOST_SHARED | HOST_FIXED, memory,
				      virt_to_pfn(back->pages[i]) * PAGE_SIZE), at);
	}
	disk = block_front_init(&start);
	back_connect(back, BACK_PORT);
	serve_all();
	work = false;
}

static void fill_content(void)
{
	for (unsigned i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i / SECTOR * 7 + i);
}

/* --- two honest sides --- */

static void test_reads_and_writes(void **state)
{
	(void)state;
	static uint8_t buf[SECTORS * SECTOR], want[SECTORS * SECTOR];
	open_disk(false);
	fill_content();
	memcpy(want, content, sizeof(want));
	for (unsigned round = 0; round < 2000; round++) {
		at_random(round + 1);
		uint32_t sector = below(SECTORS), n = below(SECTORS - sector + 1);
		if (below(2)) {
			for (uint32_t i = 0; i < n * SECTOR; i++)
				want[sector * SECTOR + i] = buf[i] = (uint8_t)below(256);
			assert_int_equal(disk_write(sector, n, buf), 0);
		} else {
			assert_int_equal(disk_read(sector, n, buf), 0);
			assert_memory_equal(buf, want + sector * SECTOR, n * SECTOR);
		}
		assert_int_equal(front_ring.put, front_ring.taken);
	}
	assert_memory_equal(content, want, sizeof(want));
	syncs = 0;
	assert_int_equal(disk_write(0, 0, buf), 0); /* durable */
	assert_int_equal(syncs, 1);
	assert_true(max_served <= back->wire.in.slots);
}

static void test_errors(void **state)
{
	(void)state;
	static uint8_t buf[SECTORS * SECTOR];
	open_disk(true);
	assert_int_equal(disk_write(0, 1, buf), -EROFS);
	assert_int_equal(disk_read(SECTORS, 1, buf), -EINVAL);
	assert_int_equal(disk_read(1, SECTORS, buf), -EINVAL);
	assert_int_equal(disk_read(0xFFFFFFFF, 2, buf), -EINVAL);
	assert_int_equal(disk_read(SECTORS, 0, buf), 0);
	file_error = -ENOMEM;
	assert_int_equal(disk_read(0, SECTORS, buf), -EIO);
	file_error = 0;
	assert_int_equal(disk_read(0, SECTORS, buf), 0);
}

/* 16 requests at a time: at most 150 notifications for 1,000 requests, both ways together. */
static void test_notifications(void **state)
{
	(void)state;
	static uint8_t buf[BLOCK_DEPTH][BLOCK_SECTORS * SECTOR];
	struct block_part parts[BLOCK_DEPTH];
	open_disk(false);
	uint32_t before = back->wire.in.taken;
	sent_to_back = sent_to_front = 0;
	for (unsigned i = 0; i < 1000 / BLOCK_DEPTH; i++) {
		for (unsigned k = 0; k < BLOCK_DEPTH; k++)
			parts[k] = (struct block_part){
				(i * 11 + k * 5) % (SECTORS - BLOCK_SECTORS), BLOCK_SECTORS, buf[k]
			};
		assert_int_equal(disk->move(disk, false, parts, BLOCK_DEPTH), 0);
	}
	uint32_t n = back->wire.in.taken - before;
	print_message("%u requests: %u notifications to the back end, %u to the front end\n", n,
		      sent_to_back, sent_to_front);
	assert_int_equal(n, 1000 / BLOCK_DEPTH * BLOCK_DEPTH);
	assert_true((sent_to_back + sent_to_front) * 1000 <= 150 * n);
}

/* A file is one guest's, or read-only for all. */
static void test_sharing(void **state)
{
	(void)state;
	struct back *second;
	open_disk(false);
	refused(&file, false, -EBUSY);
	refused(&file, true, -EBUSY);
	open_disk(true);
	refused(&file, false, -EBUSY);
	assert_int_equal(block_back_create(&file, true, &second), 0);
	back_destroy(second);
	struct vnode bad = { .ops = &file_ops, .mode = S_IFDIR, .size = 4096, .refs = 1 };
	refused(&bad, true, -EINVAL);
	bad.mode = S_IFREG, bad.size = SECTOR - 1, bad.refs = 1;
	refused(&bad, true, -EINVAL);
}

/* --- a guest that lies --- */

static struct ring liar; /* its own hand on the ring */

/* Put a request as it is, and serve. Result: the status; 1: there is no answer. */
static int ask_raw(struct block_message m)
{
	assert_true(ring_put(&liar, &m, sizeof(m)));
	ring_publish(&liar);
	back->notified = true;
	serve_all();
	return ring_take(&liar, &m, sizeof(m)) == 1 ? m.status : 1;
}

static void lie(bool read_only)
{
	open_disk(read_only);
	fill_content();
	ring_open(&liar, back->pages, RING_FRONT, BLOCK_DEPTH, PAGE_SIZE);
}

static void test_bad_requests(void **state)
{
	(void)state;
	enum { MOST = BLOCK_SECTORS };
	static const struct { struct block_message q; int status; } cases[] = {
		{ { BLOCK_READ, 0, MOST, 77, 0 }, 0 },
		{ { BLOCK_READ, SECTORS - MOST, MOST, 0, BLOCK_DATA - 1 }, 0 },
		{ { BLOCK_READ, SECTORS - MOST + 1, MOST, 0, 0 }, -EINVAL },
		{ { BLOCK_READ, SECTORS, 1, 0, 0 }, -EINVAL },
		{ { BLOCK_READ, 0xFFFFFFFF, 8, 0, 0 }, -EINVAL }, /* the end wraps round */
		{ { BLOCK_READ, 0x800000, 8, 0, 0 }, -EINVAL },   /* the byte offset would */
		{ { BLOCK_READ, 0, MOST + 1, 0, 0 }, -EINVAL },
		{ { BLOCK_READ, 0, 0, 0, 0 }, -EINVAL },
		{ { BLOCK_READ, 0, 0x800001, 0, 0 }, -EINVAL },
		{ { BLOCK_WRITE, 0, MOST + 1, 0, 0 }, -EINVAL },
		{ { BLOCK_FLUSH + 1, 0, 8, 0, 0 }, -EINVAL },
		{ { 0xFFFFFFFF, 0, 8, 0, 0 }, -EINVAL },
		{ { BLOCK_READ, 0, 1, 0, BLOCK_DATA }, -EINVAL }, /* a page after the last one */
		{ { BLOCK_READ, 0, 1, 0, 0xFFFFFFFF }, -EINVAL }, /* the ring's own */
		{ { BLOCK_WRITE, 0, 1, 0, 0 }, -EROFS },
		{ { BLOCK_READ, 0, 8, 0, 0 }, 0 },
	};
	lie(true);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(ask_raw(cases[i].q), cases[i].status);
}

static void change_request(void)
{
	((struct block_message *)page->slots)->sector = 0x1000;
	((struct block_message *)page->slots)->sectors = 0x1000;
	((struct block_message *)page->slots)->page = 0x1000;
}

/* The request in the ring changes as soon as it was looked at: the copy counts. */
static int change_too(struct vnode *vn, bool write, uint32_t at, void *buf, uint32_t bytes)
{
	change_request();
	return file_direct(vn, write, at, buf, bytes);
}

static void test_double_fetch(void **state)
{
	(void)state;
	static const struct vnode_ops changing = { .direct = change_too };
	lie(false);
	file.ops = &changing;
	assert_int_equal(ask_raw((struct block_message){ BLOCK_READ, 3, 2, 0, 5 }), 0);
	file.ops = &file_ops;
	assert_memory_equal(back->pages[1 + 5], content + 3 * SECTOR, 2 * SECTOR);
}

/* An index that no honest guest has ends the disk: at once, without a loop, and for good. */
static void test_index_jump(void **state)
{
	(void)state;
	static const uint32_t jumps[] = { BLOCK_DEPTH + 1, 1000, 0x7FFFFFFF, 0xFFFFFFFF };
	for (unsigned i = 0; i < ARRAY_SIZE(jumps); i++) {
		lie(false);
		assert_int_equal(back->wire.in.slots + 1, jumps[0]);
		page->ways[RING_FRONT].produced += jumps[i];
		back->notified = true;
		serve_all();
		assert_int_equal(back->wire.in.taken, 0);
		assert_int_equal(back->port, 0);
		assert_int_equal(ask_raw((struct block_message){ BLOCK_READ, 0, 1, 0, 0 }), 1);
	}
}

/* While it is served it puts more and more: the others have their turn after a ring's depth. */
static int ask_too(struct vnode *vn, bool write, uint32_t at, void *buf, uint32_t bytes)
{
	RING_STORE(&page->ways[RING_FRONT].produced, back->wire.in.taken + 1);
	return file_direct(vn, write, at, buf, bytes);
}

static void test_endless(void **state)
{
	(void)state;
	static const struct vnode_ops endless = { .direct = ask_too };
	lie(false);
	struct block_message m = { BLOCK_READ, 0, 1, 0, 0 };
	for (unsigned i = 0; i < back->wire.in.slots; i++)
		memcpy(ring_slot(&liar, i), &m, sizeof(m));
	page->ways[RING_FRONT].produced = 1;
	back->notified = true;
	file.ops = &endless;
	serve_all();
	file.ops = &file_ops;
	assert_int_equal(back->wire.in.taken, back->wire.in.slots);
	assert_true(back->notified && work);
}

/* --- a back end that lies --- */

static struct ring fake;
static struct block_message seen[BLOCK_DEPTH];
static unsigned nr_seen;
static void (*answer_all)(void);

/* The front end waits in vain, or is answered as the case wants. */
static void fake_notified(void *unused)
{
	(void)unused;
	while (ring_take(&fake, &seen[nr_seen % BLOCK_DEPTH], sizeof(seen[0])) == 1)
		nr_seen++;
	answer_all();
	if (fake.put != fake.published)
		ring_publish(&fake);
}

static void answer(unsigned n, int status)
{
	for (struct block_message m = { .status = status }; n--;)
		assert_true(ring_put(&fake, &m, sizeof(m)));
}

static void jump(void) { page->ways[RING_BACK].produced += 1000; }
static void back_jump(void) { page->ways[RING_BACK].produced -= 1; }
static void answer_and_jump(void) { answer(2, 0), ring_publish(&fake), jump(); }
static void one_more(void) { page->ways[RING_BACK].produced = nr_seen + 1; }
static void positive(void) { answer(nr_seen, 5); }
static void error(void) { answer(nr_seen, -ENOSPC); }

static void test_lying_back_end(void **state)
{
	(void)state;
	static uint8_t buf[3 * BLOCK_SECTORS * SECTOR];
	static const struct { void (*answers)(void); int result; } cases[] = {
		{ jump, -EIO }, { back_jump, -EIO }, { answer_and_jump, -EIO }, { one_more, -EIO },
		{ positive, 0 }, { error, -ENOSPC },
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		open_disk(false);
		no_answers = true;
		nr_seen = 0;
		answer_all = cases[i].answers;
		ring_open(&fake, back->pages, RING_BACK, BLOCK_DEPTH, PAGE_SIZE);
		port_bind(BACK_PORT, fake_notified, NULL);
		assert_int_equal(disk_read(0, 3 * BLOCK_SECTORS, buf), cases[i].result);
		assert_int_equal(nr_seen, 3);
		if (cases[i].result == -EIO) /* for good */
			assert_int_equal(disk_read(0, 24, buf), -EIO);
		port_bind(BACK_PORT, wake_server, back);
	}
}

int main(void)
{
	memory = memfd_create("frames", 0);
	if (ftruncate(memory, FRAMES * PAGE_SIZE) ||
	    mmap((void *)(uintptr_t)KERNEL_BASE, FRAMES * PAGE_SIZE, 3,
		 HOST_SHARED | HOST_FIXED_NOREPLACE, memory, 0) != (void *)(uintptr_t)KERNEL_BASE)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_and_writes),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_notifications),
		cmocka_unit_test(test_sharing),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_double_fetch),
		cmocka_unit_test(test_index_jump),
		cmocka_unit_test(test_endless),
		cmocka_unit_test(test_lying_back_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
