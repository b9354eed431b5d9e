/* SPDX-License-Identifier: MIT */
/*
 * The kernel log, and panic(), which ends a run that failed. Every kernel file may print, so
 * the files of this folder depend on lib only: they reach the console through a pointer that
 * kmain() sets.
 */
#ifndef LOG_LOG_H
#define LOG_LOG_H

#include "abi.h"
#include "lib/lib.h"
#include "x86.h"

/*
 * printk - print to the kernel log (kept for /proc/kmsg) and to the console: at most 255
 * characters, fmt as for snprintf(). Takes no lock, but log_console may. Texts that two
 * CPUs print at the same time may follow each other differently in log and console.
 * Context: any.
 */
void printk(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * log_console - the function that shows `bytes` characters of text, in any context. kmain()
 * sets it before the first text is printed. While it is NULL a text is only kept in the log.
 */
extern void (*log_console)(const char *text, uint32_t bytes);

/*
 * kmsg_show - /proc/kmsg: the last LOG_BYTES characters of the log. A text that another task
 * or CPU prints meanwhile may be incomplete, or stand in the place of the oldest text.
 * Result: as snprintf(). Context: any.
 */
int kmsg_show(char *buf, size_t size);

/*
 * ksym_find - the function that holds a kernel text address. Result: its name, and in
 * *offset the bytes from its start; "?" and 0 if there is none. Context: any.
 */
const char *ksym_find(uint32_t address, uint32_t *offset);

/*
 * panic - end the run, because the invariant that the message names is broken
 * (trap/panic.c). Stops the other CPUs; prints cause, CPU, ring, registers and a back
 * trace with symbols; ends the emulator with status PANIC_STATUS. Never returns. Context:
 * any.
 */
void panic(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
extern unsigned panicking; /* 0, or 1 + the index of the CPU that panics */

#define ASSERT(x) \
	do { \
		if (unlikely(!(x))) \
			panic("%s:%d: %s does not hold", __FILE__, __LINE__, #x); \
	} while (0)

/*
 * Arguments of VO(cpu, shutdown). QEMU's isa-debug-exit turns s into the exit status
 * 2 * s + 1.
 */
enum { PANIC_STATUS = 0x0F, OK_STATUS = 0x10 };

#endif
