/* SPDX-License-Identifier: MIT */
/*
 * What the CPUs tell each other during a switch, and the functions of switch.c that are the
 * steps of it, beside the phases.
 */
#ifndef SWITCH_RENDEZVOUS_H
#define SWITCH_RENDEZVOUS_H

#include "switch/record.h"

struct rendezvous {
	bool attach;
	unsigned leader;
	volatile bool wanted;                  /* else VEC_SWITCH comes too late: ignore it */
	volatile uint32_t arrived, busy, done; /* CPUs, as bits */
	volatile uint32_t order;               /* goes up by one with each order to the followers */
	uint32_t first_order;                  /* value of `order` at the request */
	void (*volatile step)(bool attach);    /* what is ordered; NULL: leave */
	volatile bool step_attach;             /* its direction */
	volatile int result;                   /* 1: not yet */
};

/* What each of them does stands in switch.c. */
int await(volatile uint32_t *bits) KEPT;
void everywhere(void (*step)(bool attach), bool attach) KEPT;
void translate_trap_frames(struct task *t, bool attach) KEPT;
void undo(unsigned failed) KEPT;
void dismiss(void) KEPT;
void lead(void) KEPT;
void follow(void) KEPT;

#endif
