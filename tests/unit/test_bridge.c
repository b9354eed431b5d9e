/* SPDX-License-Identifier: MIT */
/*
 * Wires and the bridge: two guests, a card and this kernel's own network in one process, which
 * count what they get. Then guests lie: in lengths, in indices, about who they are, without end.
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
#include "kernel/split/wire.c"
#include "kernel/split/net_back.c"

extern void *mmap(void *at, size_t bytes, int prot, int flags, int fd, long offset);
enum { HOST_PRIVATE = 2, HOST_ANONYMOUS = 0x20, HOST_FIXED_NOREPLACE = 0x100000 };
enum { GUESTS = 2, FRAMES = 2 * GUESTS * WIRE_PAGES, PORT = 300 };

/* --- the kernel --- */

static unsigned frames, freed, notified[GUESTS], on_card, in_own, last_bytes;

void printk(const char *fmt, ...) { (void)fmt; }
uint32_t spin_lock_irq(struct spinlock *l) { return (void)l, 0; }
void spin_unlock_irq(struct spinlock *l, uint32_t flags) { (void)l, (void)flags; }
void spin_lock(struct spinlock *l) { CHECK(!l->held); l->held = 1; }
void spin_unlock(struct spinlock *l) { l->held = 0; }
void mutex_lock(struct mutex *m) { (void)m; }
void mutex_unlock(struct mutex *m) { (void)m; }
void wake_all(struct wait_queue *q) { (void)q; }
void wait_on_unkillable(struct wait_queue *q, struct spinlock *l) { (void)q, (void)l; }
void *kzalloc(size_t bytes) { return calloc(1, bytes); }
void vnode_put(struct vnode *vn) { CHECK(!vn); }
void kfree(void *p) { free(p); }
pfn_t frame_alloc(unsigned order)
{
	CHECK(!order && frames < FRAMES);
	memset(pfn_to_virt(frames), 0xA5, PAGE_SIZE); /* old content: nobody else's */
	return (frames += 2) - 2; /* no two are neighbours */
}
void frame_free(pfn_t pfn, unsigned order) { (void)pfn, freed += !order; }
void port_bind(unsigned port, void (*run)(void *), void *data) { (void)port, run(data); }
void port_notify(unsigned port) { CHECK(port - PORT < GUESTS); notified[port - PORT]++; }

/* What reaches the card and this kernel's network; that may answer in the frame's buffer. */
static int card_send(struct netdev *d, const void *frame, uint32_t bytes)
{
	(void)d, (void)frame;
	CHECK(bytes >= FRAME_MIN && bytes <= FRAME_MAX && !backs_lock.held);
	on_card++;
	last_bytes = bytes;
	return 0;
}
void net_input(uint8_t *frame, uint32_t bytes)
{
	CHECK(bytes >= FRAME_MIN && !backs_lock.held);
	memset(frame, 0x77, FRAME_ROOM);
	in_own++;
}
static struct netdev test_card = { .name = "test", .mac = { 0x52, 0x54, 9, 8, 7, 6 },
				   .send = card_send };

/* --- guests --- */

static struct guest_end {
	struct back *back;
	struct wire wire;
} guests[GUESTS];

static void open_guests(void)
{
	static const uint8_t zeros[PAGE_SIZE];
	frames = freed = on_card = in_own = 0;
	memset(notified, 0, sizeof(notified));
	assert_ptr_equal(bridge_init(&test_card), &bridge);
	for (unsigned i = 0; i < GUESTS; i++) {
		struct back *b = net_back_create();
		assert_non_null(b);
		b->mac[5] = (uint8_t)(i + 1);
		guests[i].back = b;
		for (unsigned k = 1; k < WIRE_PAGES / 2; k++)
			assert_memory_equal(b->pages[k], zeros, PAGE_SIZE);
		wire_open(&guests[i].wire, b->pages, RING_FRONT);
		assert_int_equal(guests[i].wire.out.slots, WIRE_FRAMES);
		back_connect(b, PORT + i);
	}
}

static void close_guests(void)
{
	for (unsigned i = 0; i < GUESTS; i++)
		back_destroy(guests[i].back);
	assert_null(backs);
	assert_int_equal(freed, GUESTS * WIRE_PAGES);
}

static const uint8_t all[6] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };
static const uint8_t stranger[6] = { 0x52, 0x55, 10, 0, 2, 2 };
static const uint8_t *mac_of(unsigned i) { return guests[i].back->mac; }

static uint8_t *make(const uint8_t *to, const uint8_t *from)
{
	static uint8_t frame[FRAME_ROOM];
	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
	memset(frame + 12, 0x33, sizeof(frame) - 12);
	return frame;
}

/* Guest i sends; the bridge serves. Result: as wire_send(). */
static int send(unsigned i, const uint8_t *to, const uint8_t *from, uint32_t bytes)
{
	int result = wire_send(&guests[i].wire, make(to, from), bytes);
	guests[i].back->notified = true;
	serve_all();
	return result;
}

/* Frames that wait for guest i, which takes them. */
static unsigned got(unsigned i)
{
	uint8_t buf[FRAME_ROOM];
	unsigned n = 0;
	for (int bytes; (bytes = wire_receive(&guests[i].wire, buf)) > 0; n++)
		last_bytes = (unsigned)bytes;
	ring_publish(&guests[i].wire.in);
	return n;
}

/* --- who gets what --- */

static void test_ways(void **state)
{
	(void)state;
	open_guests();
	const struct { const uint8_t *to; unsigned other, card, own; } ways[] = {
		{ mac_of(1), 1, 0, 0 }, { stranger, 0, 1, 0 }, { test_card.mac, 0, 0, 1 },
		{ all, 1, 1, 1 }, { mac_of(0), 0, 0, 0 },
	};
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		on_card = in_own = 0;
		assert_true(send(0, ways[i].to, mac_of(0), 60 + i) >= 0);
		assert_int_equal(got(1), ways[i].other);
		assert_int_equal(on_card, ways[i].card);
		assert_int_equal(in_own, ways[i].own);
		assert_int_equal(got(0), 0);
		if (ways[i].other)
			assert_int_equal(last_bytes, 60 + i);
	}
	on_card = 0;
	bridge.send(&bridge, make(mac_of(1), test_card.mac), FRAME_MAX);
	assert_int_equal(got(1), 1);
	assert_int_equal(on_card, 0);
	bridge.send(&bridge, make(all, test_card.mac), 60);
	bridge.send(&bridge, make(stranger, test_card.mac), 60);
	assert_int_equal(got(0) + got(1), 2);
	assert_int_equal(on_card, 2);
	close_guests();
}

/* A frame from an address that is not the guest's, or too short for a card, goes nowhere. */
static void test_wrong_frames(void **state)
{
	(void)state;
	open_guests();
	send(0, all, mac_of(1), 60);
	send(0, all, test_card.mac, 60);
	send(0, all, mac_of(0), FRAME_MIN - 1);
	assert_int_equal(got(1) + on_card + in_own, 0);
	assert_true(guests[0].back->port);
	send(0, all, mac_of(0), FRAME_MAX);
	assert_int_equal(got(1) + on_card + in_own, 3);
	close_guests();
}

/* --- liars --- */

/* A length that no frame has ends the wire, and nothing beyond a slot is read. */
static void test_lengths(void **state)
{
	(void)state;
	static const uint32_t lengths[] = { 0, 13, FRAME_MAX + 1, PAGE_SIZE, 0x7FFFFFFF, ~0u };
	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		open_guests();
		struct ring *out = &guests[0].wire.out;
		*(uint32_t *)ring_slot(out, out->put++) = lengths[i];
		ring_publish(out);
		send(0, all, mac_of(0), 60);
		assert_int_equal(guests[0].back->port, 0);
		assert_int_equal(got(1) + on_card + in_own, 0);
		send(1, all, mac_of(1), 60); /* the other guest goes on */
		assert_int_equal(on_card, 1);
		close_guests();
	}
}

static void test_index_jumps(void **state)
{
	(void)state;
	static const uint32_t jumps[] = { WIRE_FRAMES + 1, 1000, 0x7FFFFFFF, 0xFFFFFFFF };
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(jumps); i++) {
		open_guests();
		bool answers = i % 2; /* it lies about frames that it has taken, or that it puts */
		struct ring *r = answers ? &guests[0].wire.in : &guests[0].wire.out;
		r->page->ways[answers ? RING_BACK : RING_FRONT].produced += jumps[i / 2];
		guests[0].back->notified = true;
		serve_all();
		assert_int_equal(guests[0].back->port == 0, !answers);
		send(1, all, mac_of(1), 60);
		assert_int_equal(on_card, 1);
		assert_int_equal(guests[0].back->wire.out.put, 0);
		close_guests();
	}
}

/* The frame changes as soon as it was looked at: all that is used comes from the copy. */
static void test_double_fetch(void **state)
{
	(void)state;
	open_guests();
	struct ring *out = &guests[0].wire.out;
	uint32_t index = out->put;
	assert_int_equal(wire_send(&guests[0].wire, make(mac_of(1), mac_of(0)), 60), 1);
	uint8_t buf[FRAME_ROOM];
	assert_int_equal(wire_receive(&guests[0].back->wire, buf), 60);
	*(uint32_t *)ring_slot(out, index) = 0x44;
	memset(ring_data(out, index), 0x44, FRAME_ROOM);
	assert_memory_equal(buf + 6, mac_of(0), 6);
	close_guests();
}

/* A flood: the others have their turn after 16 frames; a full wire loses frames, and only those. */
static void test_flood(void **state)
{
	(void)state;
	open_guests();
	unsigned turns = 0, sent = 0;
	for (unsigned i = 0; i < 1000; i++) {
		while (wire_send(&guests[0].wire, make(all, mac_of(0)), 60) >= 0)
			sent++;
		guests[0].back->notified = true;
		unsigned before = on_card;
		serve_all();
		turns++;
		assert_true(on_card - before <= WIRE_FRAMES && on_card > before);
		assert_true(guests[0].back->notified);
	}
	assert_int_equal(on_card, turns * WIRE_FRAMES);
	assert_int_equal(sent, on_card);
	assert_int_equal(got(1), WIRE_FRAMES); /* it slept meanwhile */
	send(0, mac_of(1), mac_of(0), 60);
	assert_int_equal(got(1), 1);
	close_guests();
}

int main(void)
{
	if (mmap((void *)(uintptr_t)KERNEL_BASE, FRAMES * PAGE_SIZE, 3,
		 HOST_PRIVATE | HOST_ANONYMOUS | HOST_FIXED_NOREPLACE, -1,
		 0) != (void *)(uintptr_t)KERNEL_BASE)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_wrong_frames),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_index_jumps),
		cmocka_unit_test(test_double_fetch),
		cmocka_unit_test(test_flood),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
