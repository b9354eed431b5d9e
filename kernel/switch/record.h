/* SPDX-License-Identifier: MIT */
/* The phases' table, and what is known of each switch, for /proc/switch. */
#ifndef SWITCH_RECORD_H
#define SWITCH_RECORD_H

#include "log/log.h"

enum phase_number { PHASE_REQUEST, PHASE_GATHER, PHASE_QUIESCE, PHASE_ACCOUNT, PHASE_PROTECT,
		    PHASE_INSTALL, PHASE_TRANSLATE, PHASE_COMMIT, PHASE_RESUME, NR_PHASES };

struct phase {
	const char *name;
	int (*run)(bool attach);
};
extern const struct phase phases[NR_PHASES]; /* in order; switch.c */

int request(bool attach) KEPT;
int gather(bool attach) KEPT;
int quiesce(bool attach) KEPT;
int account(bool attach) KEPT;
int protect(bool attach) KEPT;
int install(bool attach) KEPT;
int translate(bool attach) KEPT;
int commit(bool attach) KEPT;
int resume(bool attach) KEPT;

struct switch_record {
	bool attach;
	int error;
	unsigned failed;  /* the phase that failed, if error */
	unsigned fail;    /* the phase whose failure is rehearsed; 0: none */
	unsigned retries, cpus;
	uint32_t pinned;  /* tables and directories that attach accounted */
	uint64_t start;   /* of the last try; 0: there was none */
	uint32_t ends[NR_PHASES]; /* of the phases that ran: the time-stamp counter's low half */
};

/*
 * record_begin - a try begins: note the time. Context: the switch's mutex is held.
 */
void record_begin(struct switch_record *r);
/*
 * record_phase - a phase has ended: note the time. Context: the leader's CPU, interrupts off
 * or not; the switch's mutex is held.
 */
void record_phase(struct switch_record *r, unsigned phase);
/*
 * record_end - put a copy into the history, which /proc/switch shows. Context: the switch's
 * mutex is held.
 */
void record_end(const struct switch_record *r);

/*
 * switch_rehearse - let the next switch fail after a phase (gather .. translate); it rolls back.
 * Result: 0. Context: process.
 */
int switch_rehearse(unsigned phase);

#endif
