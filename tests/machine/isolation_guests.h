/* SPDX-License-Identifier: MIT */
/*
 * Guests for the isolation tests: a few instructions of tests/isolation/guests.S in a handful of
 * frames of the pool, built by the debugger as a builder in domain 0 would: the attacks'
 * hypercalls open, give, and bear them.
 */
#ifndef ISOLATION_GUESTS_H
#define ISOLATION_GUESTS_H

#include "domain_abi.h"
#include "isolation.h"

/* Pages of a guest, by pfn: the code comes first, and all are mapped from KERNEL_BASE on. */
/* Statuses with which the code of guests ends (tests/isolation/guests.S). */
enum { GUEST_END = 7, GUEST_WRONG = 9 };
enum { GUEST_CODE, GUEST_SHARED, GUEST_DIRECTORY, GUEST_TABLE, GUEST_DATA, GUEST_FREE,
       GUEST_MEMORY = 8 };

struct guest_plan {
	unsigned first;     /* page of the pool where its memory begins; its state comes after it */
	unsigned vcpus;
	unsigned memory;    /* pages; 0: GUEST_MEMORY */
	unsigned weight;    /* 0: the usual one */
	uint32_t number;    /* what DOMAIN_OPEN gave */
	const char *label;  /* where it begins: guest_NAME */
	const char *handler; /* where all vectors lead: guest_NAME; NULL: to domain 0's handlers */
	uint32_t directory, shared; /* mfns for DOMAIN_BIRTH; 0: the right ones */
};

/* One HC_DOMAIN; op is written to the pool and read back. Result: its own. */
int domain_call(struct victim *v, uint32_t operation, struct domain_op *op);
/* The same, which must have this result. */
void guest_refuse(struct victim *v, int error, uint32_t operation, struct domain_op *op);
/* Where the last struct domain_op lies. */
uint32_t domain_op_address(const struct victim *v);
/* The frame of a page of the guest's. */
uint32_t guest_mfn(const struct guest_plan *g, unsigned page);
/* Write the guest's memory; open it and give it its frames. FAILED if one of these is refused. */
void guest_prepare(struct victim *v, struct guest_plan *g);
/* DOMAIN_BIRTH once, or until it is not -EAGAIN. Result: its own. */
int guest_bear_part(struct victim *v, const struct guest_plan *g);
int guest_bear(struct victim *v, const struct guest_plan *g);
/* All of these: afterwards it is paused. */
void guest_make(struct victim *v, struct guest_plan *g);
void guest_run(struct victim *v, const struct guest_plan *g, bool on);
/* Domain 0 waits for its next event: guests run. */
void guests_wait(struct victim *v);
/*
 * Domain 0 yields, and guests on its CPU run before it goes on. So do those on other CPUs: for some
 * time in QEMU, until domain 0's next event in Bochs.
 */
void guests_turn(struct victim *v);
/*
 * The same until this guest has counted on: what other CPUs of domain 0 do may take a turn's whole
 * time. FAILED if it does not.
 */
void guest_turn(struct victim *v, const struct guest_plan *g);
/* Domain 0 yields until the guest has ended. FAILED if it does not, or with another status. */
void guest_await_end(struct victim *v, const struct guest_plan *g, uint32_t status);
struct domain_info guest_info(struct victim *v, const struct guest_plan *g);
/* A word of the guest's memory, and of its data page, read from outside. */
uint32_t guest_word(struct victim *v, const struct guest_plan *g, unsigned page, unsigned offset);
void guest_set_word(struct victim *v, const struct guest_plan *g, unsigned page, unsigned offset,
		    uint32_t value);
/* The hypercalls of a guest, with arguments that lead as deep as can be. Result: how many. */
enum { CALLS_MOST = 32 };
unsigned guest_every_call(const struct guest_plan *g, struct call calls[CALLS_MOST]);
/* A guest_calls runs, makes n hypercalls, and ends; their results are in its data page. */
void guest_asks(struct victim *v, const struct guest_plan *g, const struct call *calls, unsigned n);
/* FAILED unless these were the results that are due. */
void guest_answers(struct victim *v, const struct guest_plan *g, const struct call *calls,
		   unsigned n);
/*
 * A victim whose other CPUs wait in ring 1, and a guest on its CPU 0, which is paused: the next
 * guests are for the other CPUs. (isolation_smp.c)
 */
struct victim *victim_elsewhere(const struct test *t, struct guest_plan *there);
/* Kill it if it lives, take its frames back, all filled with 0, and close it. */
void guest_end(struct victim *v, const struct guest_plan *g);

#endif
