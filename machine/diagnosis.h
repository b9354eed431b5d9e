/* SPDX-License-Identifier: MIT */
/* Inside of the library: the parts of a diagnosis (diagnose.c). Each prints to f. */
#ifndef DIAGNOSIS_H
#define DIAGNOSIS_H

#include "judge.h"

enum { MAX_CALLS = 24 };

/* --- places in the source (places.c) --- */

/*
 * Print the place of an instruction, with its exercise, its first caller in the student's files,
 * and its first one in an exercise. addresses: the instruction's, then the return addresses of the
 * calls that led there.
 */
void print_where(FILE *f, const char *label, const uint32_t *addresses, unsigned n);
/* Result: the hole that holds the instruction at an address; exercise 0 if none does. */
struct hole hole_of(uint32_t address);
/* Whether an address lies in a file that students change. */
bool is_students(uint32_t address);

/* --- the last words of a machine (messages.c) --- */

/*
 * Print why the machine ended its run, if the machine's state proves that it did: the kernel's
 * panic, the VMM's failure, or the rule that the kernel broke. Result: whether it did.
 */
bool print_last_words(FILE *f, struct machine *m);

/* --- traps (traps.c) --- */

/* Print an exception in words: name, error code and what that says, the address of a #PF. */
void print_trap(FILE *f, unsigned vector, unsigned error, uint32_t address);
/* The test has ended by a triple fault: print the traps that led to it. */
void print_triple_fault(FILE *f, const struct test *t);

#endif
