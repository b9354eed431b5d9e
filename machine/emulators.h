/* SPDX-License-Identifier: MIT */
/*
 * Inside of the library: what machine.c asks of the emulators: QEMU (qemu.c, qmp.c, gdb.c), v86 in
 * QEMU's place (v86.c), and Bochs (bochs.c). Callers outside use machine.h, which hides which one
 * they have.
 */
#ifndef EMULATORS_H
#define EMULATORS_H

#include "machine.h"

/* --- both --- */

/* Result: the path of a file of this machine's in work_dir, as work_path(). */
const char *machine_path(const struct machine *m, const char *name);
/* Result: the kernel command line of m, valid until the next call. */
const char *machine_cmdline(const struct machine *m);
/*
 * Wait for the end of a machine whose connections have closed, which happens a moment before its
 * process ends. seconds: as time_is_over(). Result: whether it ended in time.
 */
bool machine_ends(struct machine *m, double seconds);
/* Make an ISO with kernel, VMM, root image and command line of m. Result: its path. */
const char *machine_make_iso(const struct machine *m);

/* --- QEMU --- */

/* Connect a stream to a Unix socket. what: for the reason. */
void stream_connect(struct stream *s, const char *path, const char *what);
/*
 * Result: the next byte; STREAM_NONE if none comes within ms; STREAM_END if QEMU has closed the
 * socket.
 */
enum { STREAM_NONE = -1, STREAM_END = -2 };
int stream_byte(struct stream *s, int ms);

/*
 * The arguments that start v86 for m, which then answers as QEMU does (v86.c). ram: descriptor of
 * the file that is to show its memory.
 */
void v86_arguments(struct machine *m, int ram, struct arguments *a);
/* Result: how many bytes of that file follow the memory. */
size_t v86_flags(const struct machine *m);
/* Make the file show this memory as it is now. */
void v86_show(struct machine *m, uint32_t address, size_t bytes);
/* Start QEMU for m, with memory, serial line and QMP connected; it runs unless m is paused. */
void qemu_start(struct machine *m);
/* Connect to QEMU's machine protocol on a socket. */
void qmp_connect(struct machine *m, const char *path);
/* The arguments by which QEMU logs the code outside of the text only (outside.c). */
void outside_arguments(struct arguments *a);
/* Write what is within the student's instructions: more ranges of a -dfilter (within.c). */
void within_filter(FILE *f);
/* Result: whether an address is that of a byte there, and not of an instruction's first one. */
bool within_instruction(uint32_t address);
/* QEMU has ended: read why from what it said last. */
void qmp_read_end(struct machine *m);
/* Read and drop the stub's report of a stop that QMP caused. The machine is stopped. */
void gdb_settle(struct machine *m);
/* Send what was posted. */
void gdb_flush(struct machine *m);

/* --- Bochs --- */

/* Make the option ROM and the disk from which m boots without GRUB (bochs_image.c). */
void bochs_make_image(const struct machine *m, const char *rom, const char *disk);

/* Start Bochs for m, with the serial line connected; it runs unless m is paused. */
void bochs_start(struct machine *m);
/* Send the debugger a command, and do not wait for its answer. */
void bochs_send(struct machine *m, const char *command);
/* Send the debugger a command. Result: its answer, to be freed. The machine is stopped. */
char *bochs_command(struct machine *m, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
#define BOCHS_MARK 0xC1AB0000u /* and a block's number (bochs_memory.c) */
/*
 * Read memory of the stopped machine without its debugger (bochs_memory.c). Result: false if it
 * cannot be read so: the host forbids it, or few bytes are the first that are read.
 */
bool bochs_memory_read(struct machine *m, uint32_t address, void *buf, size_t bytes);
/* Interrupt the machine, unless it is stopped: its debugger has it then. */
void bochs_stop(struct machine *m);
/*
 * Bochs's time: the instructions that each CPU has executed since power on, with the time in which
 * it was halted. A running machine is interrupted for a moment.
 */
uint64_t bochs_ticks(struct machine *m);
/* Result: whether the debugger has the machine, for example because it is in its shutdown. */
bool bochs_stopped(struct machine *m);
/* As machine_wait(). */
int bochs_wait(struct machine *m, double seconds);
/* Let it run. Result: whether it stopped by itself in time. */
bool bochs_run(struct machine *m, double seconds);

#endif
