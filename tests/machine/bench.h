/* SPDX-License-Identifier: MIT */
/* Instructions counted from outside, by QEMU's log of executed blocks. */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include "tests.h"
#include <jansson.h>

/*
 * Result: the lines "bench ROW VALUE" in an output of the program `bench`, after this mark and up
 * to a line that begins with "mode ". (bench.c)
 */
json_t *bench_parse(const char *log, const char *mark);

/* bench_heavy.c */

/* What is counted in a block: heavy instructions by class, all, and a program's RDTSC. */
enum { INT, IRET, CR3, CR, INVLPG, IO, CLI_STI, SELECTOR, SYSTEM_TABLES, LOCKED, FXSAVE,
       NR_CLASSES, INSTRUCTIONS = NR_CLASSES, READS, NR_COUNTS };

/* A run of a command; the serial line goes to a file. */
struct blocks_run { unsigned cpus, mib; const char *command, *serial; };
/* A processor executes a block, which begins at pc, with this CPL. */
typedef void block_fn(void *context, unsigned cpu, unsigned cpl, uint32_t pc,
		      const uint32_t n[NR_COUNTS]);
/* bench_follow - run it under QEMU's instruction counter, and call fn for each executed block. */
void bench_follow(const struct blocks_run *run, block_fn *fn, void *context);

/*
 * bench_heavy - run these rows of the program `bench`, named in its order, in one mode. Result:
 * for each row the heavy instructions of one operation, by class.
 */
json_t *bench_heavy(bool virtual, const char *wanted);
/* Print such results of both modes as a table. */
void bench_heavy_print(json_t *native, json_t *virtual);

/* bench_window.c */

/*
 * bench_windows - for how many instructions a processor has interrupts off in a switch, from
 * outside: the longest time of all processors, in the cheapest switch. Result: an object
 * with cpus, pages (resident ones of the loaded process), attach, detach.
 */
json_t *bench_windows(unsigned cpus, unsigned pages);

#endif
