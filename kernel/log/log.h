/* SPDX-License-Identifier: MIT */
/* What every kernel file may use: the library, the kernel log, and the end of a run that failed. */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "abi.h"
#include "lib/lib.h"
#include "x86.h"

/*
 * printk - print to the kernel log (kept for /proc/kmsg) and to both consoles.
 * fmt: %d %i %u %x %X %p %c %s %%, with 0, -, #, width and precision (also *), l, ll and z. Any context.
 */
void printk(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * panic - a broken invariant, named by the message: print cause, CPU, ring, registers, back trace with symbols, stop all
 * CPUs and end the emulator with status PANIC_STATUS. Any context. Never returns.
 * panic_begin, panic_end: the same in two steps, for who prints other registers between them than those of the caller.
 */
void panic(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void panic_begin(void);
void panic_end(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
#define ASSERT(x) do { if (unlikely(!(x))) panic("%s:%d: %s does not hold", __FILE__, __LINE__, #x); } while (0)

/* What VO(cpu, shutdown) is given: isa-debug-exit turns status s into QEMU's exit status 2s + 1. */
enum { PANIC_STATUS = 0x0F, OK_STATUS = 0x10 };

/* Symbols: name of the function that holds a kernel text address, offset in it; "?" if none (log/ksyms.c). */
const char *ksym_find(uint32_t address, uint32_t *offset);
/* Print the call chain that starts at frame pointer ebp. */
void backtrace(uint32_t ebp);

#endif
