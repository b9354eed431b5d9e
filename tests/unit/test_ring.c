/* SPDX-License-Identifier: MIT */
/*
 * The ring core. Its lost-wake-up argument is tried in every order: the code of ring.h itself runs
 * as two coroutines, and each access to an index is a step. Stores go through a store buffer, as
 * on x86 (SDM vol. 3, 8.2.3.4): when the buffer's store reaches memory is a step, too. Each run
 * follows one sequence of choices; the next run takes the next one, until all have been taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <ucontext.h>

static uint32_t step_load(const uint32_t *at);
static void step_store(uint32_t *at, uint32_t value);
static void step_fence(void);
#define RING_LOAD(at) step_load(at)
#define RING_STORE(at, value) step_store(at, value)
#define RING_FENCE() step_fence()
#include "ring.h"

enum { SIDES = 2, STACK = 64 * 1024, CHOICES = 100, BUFFER = 8 };

/* --- one run --- */

struct side {
	ucontext_t context;
	char stack[STACK];
	struct { uint32_t *at, value; } buffer[BUFFER]; /* its stores, the oldest first */
	unsigned buffered;
	bool done, asleep, notified, fencing;
} sides[SIDES];
static struct side *running; /* NULL: outside of a run, every access is done at once */
static ucontext_t scheduler;
static struct ring_page page;
static uint8_t data[2][sizeof(struct ring_page)];
static void *const pages[] = { &page, data[1], data[0] }; /* anywhere, in any order */
static struct ring rings[SIDES];

static bool without_fence, without_look; /* mistakes that must be found */

/* The running side's next step waits until it is chosen. */
static void pause_side(void)
{
	if (!running)
		return;
	swapcontext(&running->context, &scheduler);
	running->fencing = running->asleep = running->notified = false;
}

static void flush_one(struct side *s)
{
	*s->buffer[0].at = s->buffer[0].value;
	memmove(s->buffer, s->buffer + 1, --s->buffered * sizeof(s->buffer[0]));
}

static void (*after_load)(void); /* what a liar does between two loads */

static uint32_t step_load(const uint32_t *at)
{
	pause_side();
	for (unsigned i = running ? running->buffered : 0; i-- > 0;)
		if (running->buffer[i].at == at)
			return running->buffer[i].value;
	uint32_t value = *at;
	if (after_load)
		after_load();
	return value;
}

static void step_store(uint32_t *at, uint32_t value)
{
	if (!running) {
		*at = value;
		return;
	}
	pause_side();
	assert_true(running->buffered < BUFFER);
	running->buffer[running->buffered].at = at;
	running->buffer[running->buffered++].value = value;
}

static void step_fence(void)
{
	if (running)
		running->fencing = !without_fence; /* its next step waits until memory has all */
}

/* --- all runs --- */

static struct { unsigned taken, of; } choices[CHOICES];
static unsigned nr_choices, at_choice;

/* Result: one of 0 .. of - 1; each in its turn. */
static unsigned choose(unsigned of)
{
	assert_true(at_choice < CHOICES);
	if (at_choice == nr_choices) {
		choices[nr_choices].taken = 0;
		choices[nr_choices++].of = of;
	}
	return choices[at_choice++].taken;
}

static bool next_run(void)
{
	while (nr_choices && choices[nr_choices - 1].taken + 1 == choices[nr_choices - 1].of)
		nr_choices--;
	if (nr_choices)
		choices[nr_choices - 1].taken++;
	at_choice = 0;
	return nr_choices;
}

static void run(struct side *s)
{
	running = s;
	swapcontext(&scheduler, &s->context);
	running = NULL;
}

/* Let a side do its next step, or memory take its oldest store. Result: whether any could. */
static bool step(void)
{
	struct { struct side *side; bool flush; } can[2 * SIDES];
	unsigned n = 0;
	for (struct side *s = sides; s < sides + SIDES; s++) {
		if (!s->done && (!s->asleep || s->notified) && (!s->fencing || !s->buffered))
			can[n].side = s, can[n++].flush = false;
		if (s->buffered)
			can[n].side = s, can[n++].flush = true;
	}
	if (!n)
		return false;
	unsigned i = n == 1 ? 0 : choose(n);
	if (can[i].flush)
		flush_one(can[i].side);
	else
		run(can[i].side);
	return true;
}

/* --- the scenario: some messages, put one by one and taken by a side that sleeps --- */

static uint32_t messages, wanted_at_once;

static void producer(void)
{
	for (uint32_t i = 1; i <= messages; i++) {
		assert_true(ring_put(&rings[RING_FRONT], &i, sizeof(i)));
		if (ring_publish(&rings[RING_FRONT]))
			sides[RING_BACK].notified = true;
	}
	running->done = true;
	pause_side();
}

static void consumer(void)
{
	struct ring *r = &rings[RING_BACK];
	for (uint32_t i = 1, message; i <= messages;) {
		if (ring_take(r, &message, sizeof(message)) == 1)
			assert_int_equal(message, i++);
		else if (!ring_ask(r, MIN(wanted_at_once, messages - i + 1)) || without_look)
			running->asleep = true; /* before its next step */
	}
	running->done = true;
	pause_side();
}

/* How many slots of so many bytes a ring has. */
static uint32_t most_slots(uint32_t bytes)
{
	uint32_t slots = 1;
	while (slots * 2 * bytes <= RING_BYTES)
		slots *= 2;
	return slots;
}

static void start_side(enum ring_side i, void (*main)(void))
{
	struct side *s = &sides[i];
	ring_open(&rings[i], pages, i, most_slots(sizeof(uint32_t)), 0);
	s->buffered = 0;
	s->done = s->asleep = s->notified = s->fencing = false;
	getcontext(&s->context);
	s->context.uc_stack.ss_sp = s->stack;
	s->context.uc_stack.ss_size = STACK;
	makecontext(&s->context, main, 0);
	run(s); /* up to its first step */
}

static void start(void)
{
	ring_clear(&page);
	start_side(RING_FRONT, producer);
	start_side(RING_BACK, consumer);
}

/* Result: whether the consumer slept for ever in one of all runs. *runs: how many were needed. */
static bool lost(uint32_t n, uint32_t at_once, unsigned *runs)
{
	messages = n, wanted_at_once = at_once, *runs = 0, nr_choices = at_choice = 0;
	do {
		start();
		while (step())
			;
		assert_true(sides[RING_FRONT].done);
		++*runs;
	} while (sides[RING_BACK].done && next_run());
	return !sides[RING_BACK].done;
}

static void test_no_wakeup_is_lost(void **state)
{
	(void)state;
	unsigned runs, more;
	assert_false(lost(2, 1, &runs));
	assert_false(lost(3, 2, &more));
	print_message("%u orders of two messages, %u of three\n", runs, more);
	assert_true(runs > 1000 && more > 1000);
}

static void test_mistakes_are_found(void **state)
{
	(void)state;
	unsigned runs;
	without_look = true;
	assert_true(lost(2, 1, &runs));
	without_look = false, without_fence = true;
	assert_true(lost(2, 1, &runs));
	without_fence = false;
}

/* --- without a scheduler: sizes, notifications, lies --- */

static void open_both(uint32_t bytes)
{
	ring_clear(&page);
	for (unsigned i = 0; i < SIDES; i++)
		ring_open(&rings[i], pages, i, most_slots(bytes), 2 * sizeof(page) / 4);
}

/* The indices pass 2^32 in the middle: both sides begin shortly below it. */
static void begin_at(uint32_t index)
{
	for (unsigned i = 0; i < SIDES; i++) {
		rings[i].put = rings[i].published = rings[i].taken = index;
		page.ways[i] = (struct ring_way){ index, index + 1 };
	}
}

static void test_round(void **state)
{
	(void)state;
	struct ring *front = &rings[RING_FRONT], *back = &rings[RING_BACK];
	for (uint32_t bytes = 4; bytes <= 2016; bytes = bytes * 2 - bytes / 7 * 4) {
		uint8_t out[2016], in[2016];
		open_both(bytes);
		begin_at(0xFFFFFFFB);
		assert_true(front->slot_bytes >= bytes);
		assert_true(front->slots * front->slot_bytes <= sizeof(page.slots));
		for (uint32_t round = 0; round < 3; round++) {
			uint32_t n = 0;
			for (; memset(out, (int)n, bytes), ring_put(front, out, bytes); n++)
				;
			assert_int_equal(n, front->slots);
			assert_int_equal(ring_take(back, in, bytes), 0); /* not yet published */
			assert_true(ring_publish(front));
			assert_false(ring_put(back, in, bytes)); /* nothing to answer */
			for (uint32_t i = 0; i < n; i++) {
				memset(out, (int)i, bytes);
				assert_int_equal(ring_take(back, in, bytes), 1);
				assert_memory_equal(in, out, bytes);
				assert_false(ring_put(front, out, bytes));
				assert_true(ring_put(back, in, bytes));
			}
			assert_false(ring_ask(back, 1));
			assert_true(ring_publish(back));
			while (ring_take(front, in, bytes) == 1)
				;
			assert_int_equal(ring_room(front), front->slots);
			assert_false(ring_ask(front, 1));
		}
	}
}

/* Four slots with half a page of data each, in two pages: each slot has its own. */
static void test_data(void **state)
{
	(void)state;
	open_both(1000);
	assert_int_equal(rings[RING_FRONT].slots, 4);
	for (uint32_t i = 0; i < 12; i++) {
		uint8_t *want = (uint8_t *)pages[1 + i % 4 / 2] + i % 2 * sizeof(page) / 2;
		assert_ptr_equal(ring_data(&rings[RING_FRONT], i), want);
		assert_ptr_equal(ring_data(&rings[RING_BACK], i - 12), want); /* beyond 2^32 */
	}
}

/* Of 1,000 messages in groups of 16, each group notifies once; who does not ask is left alone. */
static void test_thresholds(void **state)
{
	(void)state;
	unsigned notified = 0;
	uint32_t message = 0;
	open_both(64);
	for (unsigned i = 0; i < 1000; i++) {
		assert_true(ring_put(&rings[RING_FRONT], &(uint8_t[64]){ 0 }, 64));
		bool now = ring_publish(&rings[RING_FRONT]);
		notified += now;
		while (now && ring_take(&rings[RING_BACK], (uint8_t[64]){ 0 }, 64) == 1)
			assert_true(ring_put(&rings[RING_BACK], &(uint8_t[64]){ 0 }, 64));
		if (now) {
			ring_publish(&rings[RING_BACK]);
			while (ring_take(&rings[RING_FRONT], (uint8_t[64]){ 0 }, 64) == 1)
				message++;
			assert_false(ring_ask(&rings[RING_BACK], 16));
		}
	}
	assert_int_equal(notified, 1 + 999 / 16);
	assert_int_equal(message, 1 + 999 / 16 * 16);
}

/* Indices that jump or go back are a lie to either side, also if they become right again. */
static void test_index_lies(void **state)
{
	(void)state;
	uint32_t word = 0;
	for (unsigned liar = 0; liar < SIDES; liar++) {
		static const uint32_t lies[] = { 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF };
		for (unsigned i = 0; i < ARRAY_SIZE(lies); i++) {
			struct ring *honest = &rings[!liar];
			open_both(4);
			begin_at(77);
			uint32_t right = page.ways[liar].produced;
			page.ways[liar].produced += lies[i] +
				(liar == RING_FRONT && i == 0 ? honest->slots : 0);
			assert_int_equal(ring_take(honest, &word, sizeof(word)), -EPIPE);
			page.ways[liar].produced = right;
			assert_int_equal(ring_take(honest, &word, sizeof(word)), -EPIPE);
			assert_false(ring_put(honest, &word, sizeof(word)));
		}
	}
	/* One response more than requests were taken */
	open_both(4);
	assert_true(ring_put(&rings[RING_FRONT], &word, sizeof(word)));
	ring_publish(&rings[RING_FRONT]);
	page.ways[RING_BACK].produced = 2;
	assert_int_equal(ring_take(&rings[RING_FRONT], &word, sizeof(word)), -EPIPE);
}

static void jump(void) { page.ways[RING_FRONT].produced += 0x1000; }

/* An index that changes between two loads, a message that changes after it was taken. */
static void test_double_fetch(void **state)
{
	(void)state;
	uint32_t request = 0x600D, taken = 0;
	open_both(4);
	assert_true(ring_put(&rings[RING_FRONT], &request, sizeof(request)));
	ring_publish(&rings[RING_FRONT]);
	after_load = jump;
	int result = ring_take(&rings[RING_BACK], &taken, sizeof(taken));
	after_load = NULL;
	memset(page.slots, 0xBD, sizeof(page.slots));
	assert_int_equal(result, 1);
	assert_int_equal(taken, 0x600D);
	assert_int_equal(ring_take(&rings[RING_BACK], &taken, sizeof(taken)), -EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_wakeup_is_lost),
		cmocka_unit_test(test_mistakes_are_found),
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_data), cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_index_lies),
		cmocka_unit_test(test_double_fetch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
