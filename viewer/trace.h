/* SPDX-License-Identifier: MIT */
/*
 * A recording of a machine as JSON, and the page that shows it. Every step is what can be seen from outside at one moment:
 * registers, descriptor tables, the address space, the VMM's frame table, the shared page. Only what changed since the step
 * before is kept. The format is described at the top of viewer.js.
 *
 *   struct trace *t = trace_begin(m, "attach");
 *   trace_step(t, ...), run or step the machine, trace_step(t, ...), ...
 *   page_write(file, trace_end(t), NULL);
 *
 * One CPU; the machine is stopped at each step. Errors end the judgement (machine.h).
 */
#ifndef TRACE_H
#define TRACE_H

#include "machine.h"
#include <jansson.h>

enum { NR_PHASES = 9 };
extern const char *const trace_phases[NR_PHASES]; /* names, in order */

struct trace *trace_begin(struct machine *m, const char *title);
/*
 * Record a step. direction: "attach" or "detach"; phase: its number; stop: the function at whose begin it is, or NULL.
 * Result: EIP.
 */
uint32_t trace_step(struct trace *t, const char *direction, unsigned phase, const char *stop);
/* Add what the sources say of each place that was seen. Result: the recording, for the caller to free. */
json_t *trace_end(struct trace *t);

/* --- switch.c: what is recorded of mode switches --- */

struct switches {
	bool at_boot;        /* the attach of mode=virtual; else attach and detach by /proc/mode, of those wanted: */
	bool attach, detach;
	bool instructions;   /* a step after each one; else at phases and functions of the VMM */
	unsigned until;      /* the first phase of which only the begin is recorded; NR_PHASES: all is */
	double seconds;      /* for all of it */
};
/* Start the machine, stopped. */
struct machine *switches_start(const struct switches *s);
/* Record. A machine that ends, hangs, panics, or fails to switch: gives up FAILED; what was recorded till then is in t. */
void switches_record(struct machine *m, struct trace *t, const struct switches *s);

/* --- state.c, space.c: the parts of a step --- */

/* Something that seldom changes, and is costly as JSON: made again only if the words that it comes from differ. */
struct cached { uint32_t *words; size_t n; json_t *json; };
json_t *cached(struct cached *c, const uint32_t *words, size_t n, json_t *(*make)(const uint32_t *words, size_t n));
struct caches { struct cached gdt, idt, map, frames; };

/* Everything of a step but what the recorder itself adds. task: address of the task that switches, 0: none. */
json_t *state_read(struct machine *m, struct caches *caches, const struct cpu_state *c, uint32_t task);
json_t *space_map(struct machine *m, struct cached *cache, uint32_t cr3);
json_t *space_frames(struct machine *m, struct cached *cache, uint32_t cr3);
extern const char *const space_kinds[], *const frame_types[]; /* NULL ends them */

/* --- sources.c --- */

/* For each of n code addresses, sorted: file, line, functions, instruction; and those lines with their neighbours. */
void sources_add(json_t *trace, const uint32_t *addresses, size_t n);

/* --- page.c --- */

/* One HTML file with viewer and data in it. reference: another recording, whose differences are marked, or NULL. */
void page_write(FILE *f, json_t *trace, json_t *reference);

#endif
