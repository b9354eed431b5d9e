/* SPDX-License-Identifier: MIT */
/*
 * A recording of a machine as JSON, and the page that shows it. Each step is what can be seen from
 * outside at one moment: registers, descriptor tables, the address space, the VMM's frame table,
 * the shared page. A step keeps only what changed since the step before. The format is described
 * at the top of viewer.js.
 *
 *   struct recording *r = recording_begin(m, "attach");
 *   recording_step(r, ...); run or step the machine; recording_step(r, ...); ...
 *   page_write(file, recording_end(r), NULL);
 *
 * The machine has one CPU and is stopped at each step. Functions give up as machine.h says.
 */
#ifndef VIEWER_H
#define VIEWER_H

#include "machine.h"
#include <jansson.h>

/* --- recorder.c --- */

enum { NR_PHASES = 9 }; /* of a mode switch */

/*
 * Result: what a recording has beside its steps, for a page that reads the states itself (web/):
 * the names of phases and kinds, where the parts of the address space begin.
 */
json_t *recording_names(void);
/* Begin a recording. title: the page's headline. */
struct recording *recording_begin(struct machine *m, const char *title);
/*
 * What is recorded is a story about domains: its name, and the names of its phases. Each step also
 * has the domain that runs, and, if back_pages is not 0, the first back end's ring: back_pages is
 * where `struct back` has the ring's address.
 */
void recording_of_domains(struct recording *r, const char *story, const char *const *phases,
			  uint32_t back_pages);
/*
 * Record a step. direction: "attach", "detach", or what a page about domains is about; phase: its
 * number; stop: the function that begins here, or NULL. Result: EIP.
 */
uint32_t recording_step(struct recording *r, const char *direction, unsigned phase,
			const char *stop);
/*
 * End it, and add what the sources say of each place seen.
 * Result: the recording as JSON, for the caller to free.
 */
json_t *recording_end(struct recording *r);
/* End it without a result. */
void recording_drop(struct recording *r);

/* --- switch.c: recordings of mode switches --- */

struct switches {
	bool at_boot;        /* the attach of mode=virtual; else those asked for by /proc/mode: */
	bool attach, detach;
	bool instructions;   /* a step for each instruction; else for phases and VMM functions */
	unsigned until;      /* ends with the first step of this phase; NR_PHASES: after the last */
	double seconds;      /* limit for all of it */
};
/* Start the machine of these switches, stopped. */
struct machine *switches_start(const struct switches *s);
/*
 * Record them. Gives up FAILED if the machine ends, hangs, panics, or fails to switch; r then
 * holds what was recorded until that.
 */
void switches_record(struct machine *m, struct recording *r, const struct switches *s);

/* --- domains.c: recordings of domains at work --- */

enum domain_story { SWITCH_OF_DOMAINS, BLOCK_REQUEST };
/* Start a machine with a guest, and let it come to where the story begins. */
struct machine *domains_start(enum domain_story s);
/* Begin and end the recording of a story, by its phases, or with a step for each instruction. */
json_t *domains_record(struct machine *m, enum domain_story s, bool instructions);

/* --- places.c: where a recording of single steps stops --- */

enum { NO_PHASE = -1 };
struct stop { const char *name; int phase; }; /* a function, and the phase that begins there */
struct place { uint32_t address; const char *name; int phase; };
void place_add(uint32_t address, const char *name, int phase);
/* Add these functions of an ELF file; the last one has no name. */
void places_add(const char *elf, const struct stop *stops);
/* Result: NULL if no place has this address. */
const struct place *place_at(uint32_t address);
/* From now on a single step serves interrupts, but no timers. */
void steps_without_timers(struct machine *m);

/* --- state.c, space.c: the parts of a step --- */

/* The domain whose vCPU is in the processor: 0, or a guest's number. The VMM is attached. */
unsigned domain_now(struct machine *m, uint32_t cr3);
/* Result: the indices of the first back end's ring, and its first request; or NULL. */
json_t *ring_read(struct machine *m, uint32_t cr3, uint32_t back_pages);

/*
 * JSON that is costly to make and seldom changes: made again only if the words that it is made
 * from have changed.
 */
struct cached { uint32_t *words; size_t n; json_t *json; };
json_t *cached(struct cached *c, const uint32_t *words, size_t n,
	       json_t *(*make)(const uint32_t *words, size_t n));
struct caches { struct cached gdt, idt, map, frames; };

/*
 * Result: the state of the machine, without what the recorder adds. c: the CPU; task: address of
 * the kernel task that switches, or 0.
 */
json_t *state_read(struct machine *m, struct caches *caches, const struct cpu_state *c,
		   uint32_t task);
/* Result: the pages that a directory maps, as runs of pages that are alike. */
json_t *space_map(struct machine *m, struct cached *cache, uint32_t cr3);
/* Result: type and count of each machine frame. */
json_t *space_frames(struct machine *m, struct cached *cache, uint32_t cr3);
extern const char *const space_kinds[], *const frame_types[]; /* names; NULL at the end */

/* --- sources.c --- */

/*
 * Add to a recording, for each of n sorted code addresses: file, line, functions, instruction; and
 * those source lines with their neighbours.
 */
void sources_add(json_t *recording, const uint32_t *addresses, size_t n);

/* --- page.c --- */

/*
 * Write one HTML file that holds viewer and recording. reference: a second recording, against
 * which differences are marked, or NULL.
 */
void page_write(FILE *f, json_t *recording, json_t *reference);

#endif
