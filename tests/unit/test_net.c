/* SPDX-License-Identifier: MIT */
/*
 * What the kernel does with frames that come: right ones, cut ones, changed ones, random ones. Each
 * frame is handled twice in memory of its size, or of the least that a reply needs: once with the
 * right bytes after its end, once with others. What is sent and what programs get may not depend
 * on those. The sanitizer sees each byte that is read or
 * written outside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "random.h"
#pragma GCC diagnostic ignored "-Wint-to-pointer-cast" /* the kernel's current(), not called */
#include "kernel/net/net.c"

enum { ME = 0x0A00020F, PEER = 0x0A000202 };
static const uint8_t my_mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static const uint8_t peer_mac[6] = { 0x52, 0x55, 10, 0, 2, 2 };

/* What came out. */
static struct out {
	unsigned sent, delivered;
	uint32_t bytes, sum, port; /* of the last */
	uint8_t frame[FRAME_ROOM];
} out;

static uint32_t mix(const uint8_t *data, uint32_t bytes)
{
	uint32_t hash = bytes;
	while (bytes--)
		hash = hash * 31 + *data++;
	return hash;
}

static int host_send(struct netdev *d, const void *frame, uint32_t bytes)
{
	(void)d;
	CHECK(bytes >= FRAME_MIN && bytes <= FRAME_MAX);
	out.sent++;
	out.bytes = bytes;
	memcpy(out.frame, frame, bytes);
	return 0;
}

bool socket_input(uint8_t protocol, uint16_t port, const struct net_address *from,
		  const uint8_t *data, uint32_t bytes)
{
	CHECK(from->port <= 0xFFFF && bytes < FRAME_MAX);
	out.delivered++;
	out.port = port;
	out.bytes = bytes;
	out.sum = mix(data, bytes) + protocol + from->address + from->port;
	return true;
}

static struct netdev host_card = { .name = "host", .send = host_send };

/* The rest of the kernel. */
void spin_lock(struct spinlock *l) { (void)l; }
void spin_unlock(struct spinlock *l) { (void)l; }
int sleep_ms(uint32_t ms) { return (void)ms, 0; }
bool boot_option(const char *name, char *buf, size_t size)
{
	return (void)name, (void)buf, (void)size, false;
}
struct task *task_create(const char *name, void (*fn)(void)) { return (void)name, (void)fn, NULL; }
void sched_ready(struct task *t) { (void)t; }
uint32_t strtou(const char *s, const char **end)
{
	return (uint32_t)strtoul(s, (char **)end, 10);
}
void panic(const char *fmt, ...) { (void)fmt; abort(); }

/* --- frames of a peer --- */

static uint32_t frame_bytes;
static uint8_t made[FRAME_ROOM];

static uint32_t words(const uint8_t *at, uint32_t bytes, uint32_t sum)
{
	for (uint32_t i = 0; i < bytes; i++)
		sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
	return sum;
}

static uint16_t checksum(uint32_t sum) { return (uint16_t)~(sum % 0xFFFF ? sum % 0xFFFF : 0xFFFF); }

static void make_frame(uint16_t type, uint32_t bytes)
{
	memcpy(made, my_mac, 6);
	memcpy(made + 6, peer_mac, 6);
	put16(made + 12, type);
	frame_bytes = bytes;
}

static void make_arp(uint16_t operation, uint32_t target)
{
	memcpy(made + 14, "\0\1\10\0\6\4", 6);
	put16(made + 20, operation);
	memcpy(made + 22, peer_mac, 6);
	put32(made + 28, PEER);
	memset(made + 32, 0, 6);
	put32(made + 38, target);
	make_frame(0x0806, 42);
}

/* payload: made from 14 + head on. */
static void make_ip(uint8_t protocol, uint32_t head, uint32_t bytes)
{
	uint8_t *ip = made + 14;
	memset(ip, 0, 20);
	memset(ip + 20, 1, head - 20); /* options: NOP */
	ip[0] = (uint8_t)(0x40 | head / 4);
	put16(ip + 2, head + bytes);
	ip[8] = 64;
	ip[9] = protocol;
	put32(ip + 12, PEER);
	put32(ip + 16, ME);
	put16(ip + 10, checksum(words(ip, head, 0)));
	make_frame(0x0800, 14 + head + bytes);
}

static void make_echo(uint8_t type, uint32_t head, uint32_t bytes)
{
	uint8_t *icmp = made + 14 + head;
	for (uint32_t i = 0; i < bytes; i++)
		icmp[8 + i] = (uint8_t)(i * 3 + 1);
	memset(icmp, 0, 8);
	icmp[0] = type;
	put16(icmp + 4, 0x1234);
	put16(icmp + 6, 7);
	put16(icmp + 2, checksum(words(icmp, 8 + bytes, 0)));
	make_ip(1, head, 8 + bytes);
}

static void make_udp(uint32_t head, uint32_t bytes)
{
	uint8_t *udp = made + 14 + head, pseudo[12] = { 10, 0, 2, 2, 10, 0, 2, 15, 0, 17 };
	for (uint32_t i = 0; i < bytes; i++)
		udp[8 + i] = (uint8_t)(i * 5 + 2);
	put16(udp, 69);
	put16(udp + 2, 5000);
	put16(udp + 4, 8 + bytes);
	put16(udp + 6, 0);
	put16(pseudo + 10, 8 + bytes);
	put16(udp + 6, checksum(words(udp, 8 + bytes, words(pseudo, 12, 0))));
	make_ip(17, head, 8 + bytes);
}

/* Handle `bytes` of the made frame. right: so are the bytes after it. Result: what came out. */
static struct out handle_with(uint32_t bytes, bool right)
{
	uint32_t room = MAX(bytes, (uint32_t)FRAME_MIN);
	uint8_t *frame = malloc(room);
	memcpy(frame, made, room);
	if (!right)
		memset(frame + bytes, 0xA5, room - bytes);
	out = (struct out){ 0 };
	net_input(frame, bytes);
	free(frame);
	return out;
}

static struct out handle(uint32_t bytes)
{
	static struct neighbour before[NEIGHBOURS];
	unsigned before_oldest = oldest;
	memcpy(before, neighbours, sizeof(before));
	struct out a = handle_with(bytes, true), b;
	memcpy(neighbours, before, sizeof(before));
	oldest = before_oldest;
	b = handle_with(bytes, false);
	assert_memory_equal(&a, &b, sizeof(a));
	return a;
}

static int setup(void **state)
{
	(void)state;
	memcpy(host_card.mac, my_mac, 6);
	net_init(&host_card);
	assert_int_equal(net.address, ME);
	return 0;
}

/* --- right frames --- */

static void test_arp(void **state)
{
	(void)state;
	uint8_t mac[6];
	make_arp(2, ME);
	handle(frame_bytes);
	assert_false(neighbour_find(PEER, mac)); /* nobody asked */
	make_arp(1, ME + 1);
	assert_int_equal(handle(frame_bytes).sent, 0);
	assert_false(neighbour_find(PEER, mac));
	make_arp(1, ME);
	struct out o = handle(frame_bytes);
	assert_int_equal(o.sent, 1);
	assert_int_equal(o.bytes, FRAME_MIN);
	static const uint8_t reply[] = {
		0x52, 0x55, 10, 0, 2, 2, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 6, 0, 1, 8, 0, 6, 4,
		0, 2, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 10, 0, 2, 15, 0x52, 0x55, 10, 0, 2, 2, 10,
		0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	};
	assert_memory_equal(o.frame, reply, sizeof(reply));
	assert_true(neighbour_find(PEER, mac));
	assert_memory_equal(mac, peer_mac, 6);
}

static void test_echo(void **state)
{
	(void)state;
	for (uint32_t head = 20; head <= 60; head += 4)
		for (uint32_t bytes = 0; bytes < 100; bytes++) {
			make_echo(8, head, bytes);
			struct out o = handle(frame_bytes);
			assert_int_equal(o.sent, 1);
			assert_memory_equal(o.frame, peer_mac, 6);
			assert_int_equal(words(o.frame + 14, 20, 0) % 0xFFFF, 0);
			assert_int_equal(words(o.frame + 34, 8 + bytes, 0) % 0xFFFF, 0);
			assert_int_equal(o.frame[34], 0);
			assert_memory_equal(o.frame + 38, made + 14 + head + 4, 4 + bytes);
			assert_int_equal(get32(o.frame + 26), ME);
			assert_int_equal(get32(o.frame + 30), PEER);
		}
	make_echo(0, 20, 56);
	struct out o = handle(frame_bytes);
	assert_int_equal(o.delivered, 1);
	assert_int_equal(o.port, 0x1234);
}

static void test_udp(void **state)
{
	(void)state;
	for (uint32_t bytes = 0; bytes < 100; bytes++) {
		make_udp(20, bytes);
		struct out o = handle(frame_bytes + (bytes % 2 ? 9 : 0)); /* padded */
		assert_int_equal(o.delivered, 1);
		assert_int_equal(o.bytes, bytes);
		assert_int_equal(o.port, 5000);
		assert_int_equal(o.sum, mix(made + 42, bytes) + 17 + PEER + 69);
	}
}

/* --- wrong frames: nothing may come of them --- */

static void refused(uint32_t bytes)
{
	uint32_t before = net.dropped;
	struct out o = handle(bytes);
	assert_int_equal(o.sent + o.delivered, 0);
	assert_int_equal(net.dropped, before + 2);
}

static void test_cut(void **state)
{
	(void)state;
	make_arp(1, ME);
	for (uint32_t bytes = 0; bytes < frame_bytes; bytes++)
		refused(bytes);
	make_echo(8, 24, 10);
	for (uint32_t bytes = 0; bytes < frame_bytes; bytes++)
		refused(bytes);
	make_udp(20, 10);
	for (uint32_t bytes = 0; bytes < frame_bytes; bytes++)
		refused(bytes);
}

/* Each bit behind the MAC addresses is covered by a check or by a sum. */
static void test_changed_bits(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 2; kind++)
		for (uint32_t bit = 12 * 8;; bit++) {
			kind ? make_udp(20, 20) : make_echo(8, 20, 20);
			if (bit == frame_bytes * 8)
				break;
			made[bit / 8] ^= (uint8_t)(1 << bit % 8);
			refused(frame_bytes);
		}
}

/* Fields that lie although the sums are right. */
static void test_lies(void **state)
{
	(void)state;
	static const struct { uint32_t at, value; } lies[] = {
		{ 2, 19 }, { 2, 0xFFFF }, { 2, 61 }, { 6, 0x2000 }, { 6, 1 }, { 12, 0x0A01 },
	};
	for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
		make_echo(8, 20, 32);
		put16(made + 14 + lies[i].at, lies[i].value);
		put16(made + 24, 0);
		put16(made + 24, checksum(words(made + 14, 20, 0)));
		refused(frame_bytes);
	}
	put16(made + 14, 0x4400); /* a header of 16 bytes, its sum right: UDP would begin there */
	made[23] = 17;
	put32(made + 34, 8u << 16);
	put16(made + 24, 0);
	put16(made + 24, checksum(words(made + 14, 16, 0)));
	refused(frame_bytes);
	for (uint32_t bytes = 0; bytes < 8; bytes++) { /* no room for ICMP's header */
		make_echo(0, 20, 0);
		put16(made + 36, 0xFFFF);
		make_ip(1, 20, bytes);
		refused(frame_bytes);
	}
	make_arp(1, ME);
	put32(made + 28, ME); /* somebody else says that this is his address */
	refused(frame_bytes);
	static const uint32_t sizes[] = { 0, 7, 29, 0xFFFF };
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		make_udp(20, 20);
		put16(made + 38, sizes[i]);
		put16(made + 40, 0); /* no sum */
		refused(frame_bytes);
	}
	for (uint8_t head = 0; head < 16; head++) {
		make_echo(8, 20, 20);
		made[14] = 0x40 | head;
		put16(made + 24, 0);
		put16(made + 24, checksum(words(made + 14, MIN(head * 4u, 48u), 0)));
		if (head < 5 || head > 12)
			refused(frame_bytes);
		else
			handle(frame_bytes);
	}
}

static void test_random(void **state)
{
	(void)state;
	for (uint32_t run = 1; run <= 60000; run++) {
		at_random(run);
		uint32_t bytes = below(80), head = 20 + below(11) * 4;
		switch (below(4)) {
		case 0: make_arp((uint16_t)below(4), ME + below(2)); break;
		case 1: make_echo((uint8_t)(below(2) * 8), head, bytes); break;
		case 2: make_udp(head, bytes); break;
		default: make_ip((uint8_t)below(20), head, bytes); break;
		}
		for (unsigned changes = below(6); changes; changes--)
			made[12 + below(60)] = (uint8_t)below(256);
		if (below(2)) { /* the sum does not keep the rest from being read */
			put16(made + 24, 0);
			put16(made + 24, checksum(words(made + 14, (made[14] & 15) * 4u, 0)));
		}
		handle(below(frame_bytes * 3) < frame_bytes ? below(frame_bytes) : frame_bytes);
	}
}

static void test_output(void **state)
{
	(void)state;
	static uint8_t frame[FRAME_ROOM];
	assert_int_equal(net_output(frame, 0x0A000302, 17, 8), -ENETUNREACH);
	assert_int_equal(net_output(frame, ME, 17, 8), -ENETUNREACH);
	assert_int_equal(net_output(frame, 0x0A0002FF, 17, 8), -ENETUNREACH);
	assert_int_equal(net_output(frame, PEER, 17, IP_PAYLOAD_MAX + 1), -EMSGSIZE);
	out = (struct out){ 0 };
	assert_int_equal(net_output(frame, 0x0A000263, 17, 8), -EHOSTUNREACH);
	assert_int_equal(out.sent, ARP_TRIES);
	assert_memory_equal(out.frame, everybody, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arp), cmocka_unit_test(test_echo),
		cmocka_unit_test(test_udp), cmocka_unit_test(test_cut),
		cmocka_unit_test(test_changed_bits), cmocka_unit_test(test_lies),
		cmocka_unit_test(test_random), cmocka_unit_test(test_output),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
