/* SPDX-License-Identifier: MIT */
/* make bench-domains: what its files share (domains_bench.c). */
#ifndef DOMAINS_BENCH_H
#define DOMAINS_BENCH_H

#include "bench.h"

/*
 * Print a figure and keep it. goal: what it should be at most, or, below 0, at least that much
 * without its sign; 0: none. unequal: what a reader must know to compare, or "".
 */
void figure(const char *what, double value, const char *unit, double goal, const char *unequal);
/* Keep a table under a name in the file. */
void keep(const char *name, json_t *table);

/*
 * Start a machine in virtual mode. Its root has all programs, and what guests are made of: in the
 * guests' memory a root with `programs` of `kib` KiB (NULL: all programs), and the file /disk, an
 * image with all programs and the file /data of DATA_MIB MiB.
 */
enum { DATA_MIB = 4 };
struct machine *start_host(const struct machine_options *o, const char *programs, unsigned kib);

struct times { uint64_t ran, stolen; };
/* What the first vCPU of a domain was charged. id: 1 is domain 0, a guest's is its number + 1. */
struct times times_of(struct machine *m, unsigned id);
/* The machine address of that vCPU's structure in the VMM. The machine is stopped for both. */
uint32_t vcpu_at(struct machine *m, uint32_t *cr3, unsigned id);

/*
 * Let a guest live whose command is `create g` and `words`; it is the last one made, and gets this
 * id. Nothing of it is printed before its end, so that nothing but it runs.
 * Result: what it had used.
 */
struct times life(struct machine *m, unsigned id, const char *words);
/* The same. Result: its last output, a part of the log. */
const char *life_words(struct machine *m, unsigned id, const char *words);

/* domains_rows.c: the rows of `bench` and applications: native, virtual, in a guest. */
void bench_rows(void);
void applications(void);
void several_cpus(void);

/* isolation_cost.c: what exits and switches cost, delayed and eager. many: 100 domains, too. */
json_t *exit_cost_table(const struct machine_options *o, bool many);

#endif
