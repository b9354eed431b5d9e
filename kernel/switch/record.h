/* SPDX-License-Identifier: MIT */
/* What is known of each switch: time-stamp counter at the end of every phase, and how it ended. For /proc/switch. */
#ifndef SWITCH_HISTORY_H
#define SWITCH_HISTORY_H

#include "log/log.h"

enum phase_number { PHASE_REQUEST, PHASE_GATHER, PHASE_QUIESCE, PHASE_ACCOUNT, PHASE_PROTECT, PHASE_INSTALL, PHASE_TRANSLATE,
		    PHASE_COMMIT, PHASE_RESUME, NR_PHASES };

struct phase {
	const char *name;
	int (*run)(bool attach);
};
extern const struct phase phases[NR_PHASES];
int request(bool attach), gather(bool attach), quiesce(bool attach), account(bool attach), protect(bool attach),
	install(bool attach), translate(bool attach), commit(bool attach), resume(bool attach);

struct switch_record {
	bool attach;
	int error;
	unsigned failed;  /* phase, if error */
	unsigned fail;    /* phase that shall fail: a rehearsal; 0: none */
	unsigned retries, cpus;
	uint32_t pinned;  /* tables and directories accounted at attach */
	uint64_t start;   /* of the last try; 0: no try yet */
	uint64_t at;      /* end of the last phase */
	uint32_t ticks[NR_PHASES];
};

void record_begin(struct switch_record *r);
void record_phase(struct switch_record *r, unsigned phase);
/* Keep it for /proc/switch. */
void record_end(const struct switch_record *r);

/* Let the next switch fail behind this phase (account .. translate): all is rolled back. Result: 0. */
int switch_rehearse(unsigned phase);

#endif
