/* SPDX-License-Identifier: MIT */
/*
 * The scheduler's policy, borrowed virtual time: who wakes up begins where the others are, shares
 * are as weights, and a warp is short and paid for. And its timers: of the ticks that a vCPU missed
 * it gets one; some timers at once are bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#pragma GCC diagnostic ignored "-Wint-to-pointer-cast" /* addresses of the VMM, not used */
#pragma GCC diagnostic ignored "-Wpointer-to-int-cast"
#include "vmm/sched/queue.c"
#include "vmm/sched/timers.c"

struct vmm_machine machine;
union cpu_stack vmm_cpus[VMM_MAX_CPUS]; /* not used, as the two functions */
void apic_send(unsigned cpu, unsigned vector) { (void)cpu, (void)vector; }
int apic_tick(unsigned hz) { return (int)hz; }
static struct cpu c;
static struct vcpu v[3];

static void put(struct vcpu *who, int64_t key, uint32_t warp)
{
	who->turn = (struct turn){ .key = key, .warp = warp, .weight_factor = 1 << WEIGHT_SHIFT };
	who->queued = true;
}

/* v[0] runs, and v[1] waits, if it has a key. */
static void prepare(int64_t runs, uint32_t runs_warp, int64_t waits, uint32_t waits_warp)
{
	c = (struct cpu){ .run = { .next = &c.run, .prev = &c.run, .key = INT64_MIN } };
	machine.ns_multiplier = 1u << 24;
	put(&v[0], runs, runs_warp);
	put(&v[1], waits, waits_warp);
	put(&v[2], 10, 0);
	c.chosen = c.resident = &v[0];
	if (waits)
		queue_enter(&c, &v[1].turn);
}

static int64_t wakes(int64_t key, uint32_t warp_ns)
{
	v[2].turn.key = key;
	v[2].turn.warp_ns = warp_ns;
	policy_wake(&c, &v[2]);
	return v[2].turn.key;
}

/* Sleep gives no credit. What another one borrows does not lower the floor. */
static void test_floor(void **state)
{
	(void)state;
	prepare(1000, 0, 0, 0);
	assert_int_equal(wakes(10, 0), 1000);
	assert_int_equal(wakes(3000, 0), 3000);
	prepare(1000, 0, 800, 0);
	assert_int_equal(wakes(10, 0), 800);
	prepare(1000 - 600, 600, 0, 0);
	assert_int_equal(wakes(10, 0), 1000);
	prepare(1000, 0, 1500 - 900, 900);
	assert_int_equal(wakes(10, 0), 1000);
	prepare(1200 - 600, 600, 1100 - 900, 900);
	assert_int_equal(wakes(10, 0), 1100);
	prepare(1000, 0, 0, 0);
	assert_int_equal(wakes(10, 300), 700);
	assert_int_equal(v[2].turn.warp, 300);
}

static uint32_t now;

/* The one that is next runs, to the end of its slice. */
static struct vcpu *run_slice(uint64_t ran[3])
{
	struct vcpu *who = policy_pick(&c, now);
	uint32_t ns = c.slice_end - now;
	c.chosen = who;
	now += ns;
	c.since += ns;
	ran[who - v] += ns;
	policy_charge(&c, who, ns);
	return who;
}

/* Weights 1:2:4 over ten seconds, within a slice. The first one is domain 0's, as usual. */
static void test_shares(void **state)
{
	(void)state;
	enum { SLICES = 2000 };
	static struct shared_rest rest;
	static struct domain d = { .rest = &rest };
	uint64_t ran[3] = { 0 };
	prepare(1, 0, 0, 0);
	v[0].domain = &d;
	sched_warm_up(&c);
	for (unsigned i = 1; i < 3; i++) {
		v[i].turn.weight_factor = (1 << WEIGHT_SHIFT) / (1 << i);
		queue_enter(&c, &v[i].turn);
	}
	now = c.slice_end = 0;
	for (unsigned i = 0; i < SLICES; i++)
		run_slice(ran);
	uint64_t all = ran[0] + ran[1] + ran[2];
	assert_int_equal(all, (uint64_t)SLICES * SLICE_NS);
	for (unsigned i = 0; i < 3; i++) {
		int64_t due = (int64_t)(all * (1u << i) / 7);
		assert_true(llabs((int64_t)ran[i] - due) <= 2 * (int64_t)SLICE_NS);
	}
}

/* One that is warped runs first, for WARP_LONGEST_NS at most, and pays for it. */
static void test_warp(void **state)
{
	(void)state;
	uint64_t ran[3] = { 0 };
	prepare(1000, 0, 1000, 0);
	now = 1, c.slice_end = now + SLICE_NS;
	wakes(10, 20000000);
	queue_enter(&c, &v[2].turn);
	assert_ptr_equal(run_slice(ran), &v[2]); /* although a slice had just begun */
	assert_int_equal(ran[2], WARP_LONGEST_NS);
	assert_int_equal(v[2].turn.warp, 0);
	assert_int_equal(v[2].turn.key, 1000 + WARP_LONGEST_NS);
	assert_ptr_not_equal(run_slice(ran), &v[2]);
	assert_ptr_not_equal(run_slice(ran), &v[2]);
	assert_ptr_equal(run_slice(ran), &v[2]);
	v[2].turn.warp_from = UINT64_MAX; /* its next warp is not due yet */
	assert_int_equal(wakes(v[2].turn.key, 20000000), v[2].turn.key);
	assert_int_equal(v[2].turn.warp, 0);
}

/*
 * A device does not wait: its interrupt lets domain 0 run at once, even while its next warp is not
 * due, but for WARP_DEVICE_NS only.
 */
static void test_device(void **state)
{
	(void)state;
	uint64_t ran[3] = { 0 };
	prepare(1000, 0, 0, 0);
	now = 1, c.slice_end = now + SLICE_NS;
	c.resident = &v[2];
	v[2].turn.warp_from = UINT64_MAX;
	wakes(2000, 20000000);
	queue_enter(&c, &v[2].turn);
	assert_ptr_equal(policy_pick(&c, now), &v[0]);
	policy_hurry(&c, now);
	assert_ptr_equal(run_slice(ran), &v[2]);
	assert_int_equal(ran[2], WARP_DEVICE_NS);
	assert_int_equal(v[2].turn.key, 2000 + WARP_DEVICE_NS);
	assert_true(v[2].turn.warp_from == UINT64_MAX && !v[2].turn.warp);
	assert_ptr_equal(run_slice(ran), &v[0]); /* the device is served */
	/* It runs when the interrupt comes, with a warp, or a slice, that is nearly over. */
	for (unsigned warped = 0; warped < 2; warped++) {
		prepare(2000, 0, 1000, 0);
		c.resident = &v[0];
		v[0].turn.warp_ns = 20000000;
		if (warped)
			begin_warp(&v[0].turn, 10000);
		c.slice_end = now + 10000;
		policy_hurry(&c, now);
		assert_ptr_equal(policy_pick(&c, now), &v[0]);
		assert_int_equal(c.slice_end - now, WARP_DEVICE_NS);
		assert_int_equal(WARP_LONGEST_NS - v[0].turn.warp_ran, WARP_DEVICE_NS);
	}
}

/* Of the ticks that it missed a vCPU gets one, and the next when that is due. */
static void test_ticks(void **state)
{
	(void)state;
	prepare(1, 0, 0, 0);
	v[0].posted = 0;
	v[0].tick_ns = 1;
	v[0].tick_at = 1;
	timer_begin(&v[0]);
	assert_int_equal(v[0].posted, 1u << EVENT_TIMER);
	v[0].posted = 0;
	v[0].tick_at = NEVER;
	assert_true(before(moment_now(), timer_begin(&v[0])));
	assert_int_equal(v[0].posted, 0);
}

/* All timers of a crowd are due: a few vCPUs wake at a time, and the rest as soon as may be. */
static void test_crowd(void **state)
{
	(void)state;
	enum { CROWD = 508 };
	static struct vcpu crowd[CROWD];
	static struct domain d = { .state = DOMAIN_RUNS };
	unsigned awake = 0, calls = 0;
	prepare(1, 0, 0, 0);
	c.tick_at = NEVER;
	for (unsigned i = CROWD; i-- > 0;) {
		put(&crowd[i], 1000 + CROWD - i, 0);
		crowd[i].domain = &d;
		crowd[i].queued = false, crowd[i].run = RUN_BLOCKED;
		crowd[i].once_at = 1 + i;
		crowd[i].timer_next = c.timers;
		c.timers = &crowd[i];
	}
	while (awake < CROWD) {
		unsigned before_call = awake;
		timers_expire(&c);
		for (awake = 0; awake < CROWD && crowd[awake].queued;)
			awake++;
		assert_in_range(awake - before_call, 1, EXPIRE_MAX);
		assert_int_equal(before(c.due, moment_now() + 1), awake < CROWD);
		calls++;
	}
	assert_int_equal(calls, (CROWD + EXPIRE_MAX - 1) / EXPIRE_MAX);
	assert_null(c.timers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_floor), cmocka_unit_test(test_shares),
		cmocka_unit_test(test_warp), cmocka_unit_test(test_device),
		cmocka_unit_test(test_ticks), cmocka_unit_test(test_crowd),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
