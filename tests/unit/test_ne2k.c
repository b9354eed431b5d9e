/* SPDX-License-Identifier: MIT */
/*
 * The NE2000 driver on a model of the card. A frame comes at each port access in turn; none may
 * stay in the card while the driver sleeps. And a card that lies about its frames.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "random.h"
#pragma GCC diagnostic ignored "-Wint-to-pointer-cast" /* the kernel's current(), not called */
#include "kernel/net/ne2k.c"

struct vo vo;

/* --- the card --- */

static uint8_t memory[0x10000], isr, imr, cr, curr, bnry;
static uint16_t dma_at;
static unsigned accesses, come_at, sleeps; /* come_at: the access before which a frame comes */
static bool in_handler;

/* A frame of `bytes` comes; its four bytes say that it has `says`, and that `next` follows. */
static void frame_comes(uint32_t bytes, uint32_t says, uint8_t next)
{
	uint8_t *at = memory + (curr << 8);
	at[0] = 1, at[1] = next, at[2] = (uint8_t)says, at[3] = (uint8_t)(says >> 8);
	memset(at + 4, 0x5A, bytes);
	curr = (uint8_t)(curr + 1 == RX_END ? RX_FIRST : curr + 1);
	isr |= RECEIVED;
}

static void right_frame(void)
{
	frame_comes(FRAME_MIN, FRAME_MIN + 4, curr + 1 == RX_END ? RX_FIRST : curr + 1);
}

/* The line is level: it interrupts as long as the card wants it, but not its own handler. */
static void interrupt_if_wanted(void)
{
	if (!(isr & imr) || in_handler)
		return;
	in_handler = true;
	interrupt();
	in_handler = false;
	CHECK(!(isr & imr));
}

static void before_access(void)
{
	if (++accesses == come_at)
		right_frame();
	interrupt_if_wanted();
}

static uint8_t card_in(uint16_t port)
{
	before_access();
	switch (port - BASE) {
	case CR: return (uint8_t)(cr & ~TRANSMIT);
	case ISR: return cr & PAGE1 ? curr : isr;
	case BNRY: return bnry;
	default: return 0;
	}
}

static void card_out(uint16_t port, uint8_t value)
{
	before_access();
	switch ((port - BASE) | (cr & PAGE1 && port != BASE ? 0x100u : 0)) {
	case CR: cr = value; break;
	case ISR: isr &= (uint8_t)~value; break;
	case IMR: imr = value; break;
	case BNRY: bnry = value; break;
	case RSAR: dma_at = (uint16_t)((dma_at & 0xFF00) | value); break;
	case RSAR + 1: dma_at = (uint16_t)(value << 8 | (dma_at & 0xFF)); break;
	case 0x100 | PAGE1_CURR: curr = value; break;
	}
	interrupt_if_wanted();
}

static void card_in_block(uint16_t port, void *to, unsigned n)
{
	before_access();
	CHECK(port == DATA && n <= 256 && n % 2 == 0 && !((uintptr_t)to & 3));
	for (unsigned i = 0; i < 2 * n; i++, dma_at++) {
		if (dma_at == RX_END << 8)
			dma_at = RX_FIRST << 8;
		((uint8_t *)to)[i] = memory[dma_at];
	}
	isr |= DMA_DONE;
}

/* --- the kernel --- */

uint32_t spin_lock_irq(struct spinlock *l) { return (void)l, 0; }
void spin_unlock_irq(struct spinlock *l, uint32_t flags) { (void)l, (void)flags; }
void mutex_lock(struct mutex *m) { (void)m; }
void mutex_unlock(struct mutex *m) { (void)m; }
void wake_all(struct wait_queue *q) { (void)q; }
void schedule(void) {}
void irq_install(unsigned line, void (*handler)(void)) { (void)line, (void)handler; }

/* The driver sleeps: whatever came is in its hands by now. Another frame wakes it. */
void wait_on_unkillable(struct wait_queue *q, struct spinlock *l)
{
	(void)q, (void)l;
	CHECK(imr & RECEIVED);
	CHECK(curr == next_page);
	CHECK(++sleeps <= 3);
	right_frame();
	interrupt_if_wanted();
}

static void power_on(void)
{
	vo.io.in8 = card_in;
	vo.io.out8 = card_out;
	vo.io.in16_block = card_in_block;
	isr = imr = cr = 0;
	came = false;
	come_at = 0;
	start();
	accesses = sleeps = 0;
}

/* Before each of the driver's accesses a frame comes; in round two it finds the mask open. */
static void test_each_moment(void **state)
{
	(void)state;
	static uint8_t buf[FRAME_ROOM] __attribute__((aligned(4)));
	unsigned last = 0;
	for (uint32_t moment = 1; moment < 200; moment++) {
		at_random(moment); /* for CHECK's message */
		power_on();
		come_at = moment;
		for (unsigned frames = 0; frames < 3; frames++) {
			memset(buf, 0, sizeof(buf));
			assert_int_equal(ne2k_receive(&device, buf), FRAME_MIN);
			assert_int_equal(buf[0], 0x5A);
			assert_int_equal(buf[FRAME_MIN - 1], 0x5A);
		}
		last = MAX(last, accesses);
	}
	assert_true(last > 40 && last < 199); /* all moments were tried */
}

/* The ring's end: frames go on at its beginning. */
static void test_round_the_ring(void **state)
{
	(void)state;
	static uint8_t buf[FRAME_ROOM] __attribute__((aligned(4)));
	power_on();
	for (unsigned i = 0; i < 3 * (RX_END - RX_FIRST); i++) {
		right_frame();
		assert_int_equal(ne2k_receive(&device, buf), FRAME_MIN);
		assert_int_equal(bnry, next_page == RX_FIRST ? RX_END - 1 : next_page - 1);
	}
}

/* What a card says of a frame is not trusted: it begins anew, and the next frame is right. */
static void test_lies(void **state)
{
	(void)state;
	for (uint32_t says = 0; says < 0x10000; says += says < 2000 ? 1 : 977) {
		uint8_t *buf = malloc(FRAME_ROOM);
		at_random(says + 1);
		power_on();
		frame_comes(FRAME_MIN, says, (uint8_t)below(256));
		uint32_t bytes = ne2k_receive(&device, buf);
		assert_true(bytes >= 14 && bytes <= FRAME_MAX);
		assert_true(next_page >= RX_FIRST && next_page < RX_END);
		free(buf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_moment),
		cmocka_unit_test(test_round_the_ring),
		cmocka_unit_test(test_lies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
