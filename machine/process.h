/* SPDX-License-Identifier: MIT */
/*
 * What every part of this library stands on: giving up with an outcome, private files, the
 * clock, child processes and shell commands.
 *
 * Errors end the judgement. A function that cannot do its work calls give_up(), which does not
 * return. So callers need no error paths; each judgement runs in a process of its own.
 */
#ifndef PROCESS_H
#define PROCESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* asprintf, pipe2: so this header stands before the system's */
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* --- the judgement (judge.c) --- */

/*
 * FAILED: the guest is wrong. BROKEN: this host or the test is wrong, for example because a
 * tool is missing or a file cannot be written.
 */
enum outcome { PASSED, FAILED, SKIPPED, BROKEN };
/* End this judgement. why, and what follows: the reason, as for printf(). */
void give_up(enum outcome outcome, const char *why, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
/* Private directory for sockets, logs and images. The judge makes and removes it. */
extern const char *work_dir;
/* Result: the path of a file in work_dir. It is never freed. */
const char *work_path(const char *name);

/* --- time (process.c) --- */

/* Result: seconds of the host's monotonic clock. */
double clock_seconds(void);
/*
 * For what cannot count its own work: whether these seconds have passed since start, by
 * clock_seconds(). On a busy host each second takes as many as a process waits there for one second
 * of processor time.
 */
bool time_is_over(double start, double seconds);
/*
 * Result: the seconds in which a process has run or has slept: without those in which it waited for
 * a processor of this host.
 */
double process_clock(pid_t pid);
/* Whether all threads of a process sleep: none runs, or waits for a processor or a disk. */
bool process_sleeps(pid_t pid);
/* Seconds of processor time that a child has used; 0 after its end. */
double process_cpu(pid_t pid);

/* --- processes (process.c) --- */

/* A command line under construction: arg() appends to it, process_start(v) runs it. */
struct arguments { char *v[128]; unsigned n; };
/* Append one argument, formatted as by printf(). */
void arg(struct arguments *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * Start a child process, which is killed when this process ends. argv: the program and its
 * arguments, NULL at the end. in, out, err: its standard descriptors; -1: inherit ours.
 * Result: its process id.
 */
pid_t process_start(char *const argv[], int in, int out, int err);
/* Wait until a child ends, fd (-1: none) has something to read or has closed, or for ms. */
void process_pause(pid_t pid, int fd, int ms);
/*
 * Wait until a child ends. seconds: the limit; 0: do not wait.
 * Result: its exit status; KILLED + the signal's number; -1 if it still runs.
 */
int process_wait(pid_t pid, double seconds);
/* Above any exit status, because a guest chooses that of QEMU. */
enum { KILLED = 256 };
/* Kill a child and collect it. */
void process_kill(pid_t pid);
/*
 * Run a shell command without standard input. seconds: after these it is killed. The first
 * size - 1 bytes of its output and its errors are put into output, and a NUL after them.
 * Result: as process_wait(); 124 or 137 if its time was over.
 */
int shell(char *output, size_t size, double seconds, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Run a shell command that must succeed: gives up BROKEN with its output if it does not. */
void shell_must(double seconds, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
