/* SPDX-License-Identifier: MIT */
/* Steps of the tests of the debugger's commands: let GDB look at a machine, judge what it says. */
#ifndef GDB_ASK_H
#define GDB_ASK_H

#include "tests.h"

#define GDB "gdb -q -nx -batch -x tools/gdb/cinnabar.py"

extern char gdb_text[200000]; /* what GDB said last */
extern char *gdb_part;        /* where want() looks: all of it, or the last answer() */

/* Let GDB run these commands, one a line, on the latest machine; the machine stays stopped. */
void ask(const char *commands);
/* The same for an array that ends with NULL; then answer() finds what each command said. */
void ask_all(const char *const *commands);
/* What GDB said to one command of the last ask_all(). */
const char *answer(const char *command);
/* FAILED unless gdb_part contains this. */
void want(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
