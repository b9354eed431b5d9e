/* SPDX-License-Identifier: MIT */
/*
 * A virtual machine seen from outside: start QEMU or Bochs, talk over its serial line, stop it, and read registers,
 * descriptor tables, physical memory and page tables without asking the guest. Used by the tests and by the grader.
 *
 * Errors end the judgement: every function here that cannot do its work calls give_up(), which the program defines
 * and which does not return. So callers need no error paths; each judgement runs in a process of its own.
 */
#ifndef MACHINE_H
#define MACHINE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* asprintf, pipe2; so this header comes first */
#endif
#include "layout.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* --- what the program that uses this library provides --- */

/* FAILED: the guest is wrong. BROKEN: this host or the test is (a tool is missing, a file cannot be written). */
enum outcome { PASSED, FAILED, SKIPPED, BROKEN };
void give_up(enum outcome outcome, const char *why, ...) __attribute__((noreturn, format(printf, 2, 3)));
extern const char *work_dir;  /* private directory for sockets, logs and images; the program removes it */
extern const char *build_dir;   /* where rootfs.ext2 and cinnabar.iso are */
extern const char *kernel_file, *vmm_file; /* the ELF files that are booted and whose symbols count */

/* --- processes (process.c) --- */

/* A command in the making: add its arguments, start v. */
struct arguments { char *v[128]; unsigned n; };
void arg(struct arguments *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Start argv; it dies with us. in, out, err: descriptors, or -1 to inherit. Result: its process id. */
pid_t process_start(char *const argv[], int in, int out, int err);
/* Wait for its end. Result: exit status, KILLED + signal number, or -1 if it still runs after the time. */
enum { KILLED = 256 }; /* above any exit status: a guest chooses that of QEMU */
int process_wait(pid_t pid, double seconds);
void process_kill(pid_t pid);
/* Run a shell command to its end. Result: exit status; the first size - 1 bytes of its output are put into output. */
int shell(char *output, size_t size, double seconds, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The same, where only success will do: give_up(BROKEN) with the output. */
void shell_must(double seconds, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
double now(void); /* seconds, monotonic */
/* A path below work_dir, for the life of this process. */
const char *work_path(const char *name);

/* --- machines (machine.c, bochs.c) --- */

struct machine_options {
	bool bochs;          /* else QEMU; Bochs always boots from an ISO */
	bool iso;            /* boot an ISO made for this machine, else QEMU's -kernel */
	const char *iso_file; /* boot this ISO as it is */
	unsigned cpus;       /* 0 is 1 */
	unsigned mem;        /* MiB; 0 is 64 */
	const char *p2m;     /* p2m= word; NULL is identity */
	const char *cmdline; /* more words, or NULL */
	const char *modules; /* NULL: the root image; else QEMU's -initrd text ("" for none) */
	const char *disk;    /* image file of the first ATA disk, or NULL */
	bool free_running;   /* one CPU without -icount: time is the host's */
	bool counted;        /* several CPUs with -icount, too: they take turns, and their instructions count together */
	bool paused;         /* do not start the CPUs */
	unsigned budget;     /* million instructions, where they are counted; 0: machine_budget */
};

/*
 * Waiting. Where instructions are counted (QEMU, one CPU) and there is a budget, it alone says that a machine takes too long, so
 * that a verdict does not depend on the host's speed; the seconds are then a backstop, and passing them is the host's fault.
 */
extern unsigned machine_budget;   /* million instructions; 0, the default: none */
extern double machine_patience;   /* all limits in seconds are multiplied by this; default 1 */
extern bool machine_debugged;     /* a person with GDB has it: it starts stopped, and nothing has a limit */
extern bool machine_traced;       /* QEMU writes all traps to work_path("traps") */

struct machine {
	struct machine_options o;
	pid_t pid;           /* 0 after its end */
	int serial, serial_in, qmp, gdb; /* what it says, what it hears */
	int monitor_in, monitor_out; /* Bochs's debugger */
	char *said;          /* by it, since the last command */
	size_t said_bytes;
	bool answered;       /* up to its prompt */
	bool stopped;        /* Bochs: the debugger has the machine */
	char *log;           /* all serial output so far, NUL ended */
	size_t log_bytes, seen; /* expect() goes on from seen */
	int exit_status;     /* after its end: as process_wait */
	uint64_t instructions; /* when last asked */
	double asked, moved; /* when that was, and when they were more than before */
	bool late;           /* a wait ended because its limit was passed */
	bool root_checked;
	uint8_t *ram;        /* QEMU: physical memory, shared with us; stays after the machine's end */
	size_t ram_bytes;
	char *by_hand;       /* the command that starts the same machine on a terminal */
	struct machine *next;
};
extern struct machine *machines; /* all that were started, latest first */

/* What shutdown(0) and a panic make QEMU return; shutdown(s) gives EXIT_OK + 2 * s. */
enum { EXIT_PANIC = 2 * 0x0F + 1, EXIT_OK = 2 * 0x10 + 1 }; /* PANIC_STATUS, OK_STATUS of kernel/log/log.h */

struct machine *machine_start(const struct machine_options *o);
/* Wait until text comes on the serial line, behind what was seen before. Gives up FAILED with the log's tail. */
void machine_expect(struct machine *m, const char *text, double seconds);
/* The same without a verdict. Result: whether it came. */
bool machine_sees(struct machine *m, const char *text, double seconds);
void machine_send(struct machine *m, const char *text);
/* Wait for the machine's own end. Result: exit status, for Bochs the one QEMU would give. FAILED if it does not end. */
int machine_wait(struct machine *m, double seconds);
void machine_stop(struct machine *m); /* all CPUs */
void machine_continue(struct machine *m);
void machine_quit(struct machine *m); /* end it now; harmless after its end */
/* Read what the serial line has; for loops that wait for something else. */
void machine_pump(struct machine *m);
/* Whether it ended by itself. An emulator that a signal ended is no verdict: gives up BROKEN. */
bool machine_ended(struct machine *m);
/* For such loops, too: when to stop waiting, from a limit in seconds; and whether that is now, or the budget is used up. */
double machine_limit(double seconds);
bool machine_late(struct machine *m, double limit);
/* How to start it again by hand, and the last lines of its serial log. */
void machine_describe(const struct machine *m, FILE *to);

/* Bochs only (bochs.c): machine.c calls them. */
void bochs_start(struct machine *m);
char *bochs_command(struct machine *m, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* answer, to be freed */
void bochs_stop(struct machine *m);
bool bochs_stopped(struct machine *m); /* in a shutdown, say */
int bochs_wait(struct machine *m, double seconds);
bool bochs_run(struct machine *m, double seconds);
/* QEMU and Bochs: an ISO with kernel, root image and command line of m. Result: its path. */
const char *machine_make_iso(const struct machine *m);
/* The kernel command line of m. */
const char *machine_cmdline(const struct machine *m);

/* --- QMP (qmp.c) --- */

void qmp_connect(struct machine *m, const char *path);
/* Execute a command; arguments as JSON text, or NULL. Result: its "return" as JSON text, to be freed. */
char *qmp(struct machine *m, const char *command, const char *arguments);
/* The same; NULL if the machine has ended. */
char *qmp_if_there(struct machine *m, const char *command, const char *arguments);
/* A command of the human monitor. Result: its answer, to be freed. */
char *qmp_human(struct machine *m, const char *command);
/* Instructions executed since power on, of all CPUs together (-icount only); those of the last time if it has ended. */
uint64_t qmp_instructions(struct machine *m);
/* Press keys together on the PS/2 keyboard, named as QEMU does: "ctrl", "c". */
void qmp_keys(struct machine *m, const char *const *keys, unsigned n);

/* --- GDB's remote protocol (gdb.c) --- */

void gdb_connect(struct machine *m); /* stops the machine */
/* Forget what the stub reports of a stop that QMP asked for. */
void gdb_settle(struct machine *m);
/* Send a command. Result: the answer's text, valid until the next call. */
const char *gdb_command(struct machine *m, double seconds, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void gdb_break(struct machine *m, uint32_t address, bool set);
/* Let it run until it stops by itself. Result: whether it did within the time. */
bool gdb_run(struct machine *m, double seconds);
void gdb_step(struct machine *m);
/* Let only these CPUs (bits) run, or execute one instruction. Result: the one that stopped by itself; -1 if none did until then. */
int gdb_run_cpus(struct machine *m, unsigned cpus, bool step, double limit);
void gdb_select(struct machine *m, unsigned cpu); /* whose registers the functions below mean; a stop selects its CPU */
enum gdb_register { GDB_EAX, GDB_ECX, GDB_EDX, GDB_EBX, GDB_ESP, GDB_EBP, GDB_ESI, GDB_EDI, GDB_EIP, GDB_EFLAGS, GDB_CS };
uint32_t gdb_register(struct machine *m, enum gdb_register r);
void gdb_read(struct machine *m, uint32_t address, void *buf, size_t bytes); /* virtual addresses */
void gdb_set_register(struct machine *m, enum gdb_register r, uint32_t value);
/* A halted CPU stands elsewhere, with interrupts on or off. Result: where it stood. */
uint32_t gdb_put_idle(struct machine *m, unsigned cpu, bool interrupts, uint32_t eip);
/*
 * The same, behind the hlt of a function's "cli; hlt; jmp", as if it were stopped for ever. Without its interrupt flag alone it
 * would idle on when QEMU wakes it for nothing, as it does now and then.
 */
uint32_t gdb_silence(struct machine *m, unsigned cpu, uint32_t function);

/* The same for both emulators (QEMU: after gdb_connect). The machine is stopped by its debugger. One breakpoint in Bochs. */
void debug_break(struct machine *m, uint32_t address, bool set);
void debug_set_register(struct machine *m, enum gdb_register r, uint32_t value);
/* Let it run. Result: whether it stopped by itself within the time; of QEMU false also if the machine ended. */
bool debug_run(struct machine *m, double seconds);

/* --- symbols (symbols.c): of kernel_file --- */

uint32_t symbol(const char *name); /* gives up if there is none */
uint32_t symbol_bytes(const char *name); /* how long the variable is */
bool symbol_exists(const char *name);
uint32_t vmm_symbol(const char *name); /* the same of vmm_file */
uint32_t attack_symbol(const char *name); /* of tests/isolation, which is linked at 0 */
uint32_t attack_word(uint32_t address);   /* 32 bits of its code */
/* Source of an address of kernel or VMM, as "function (file:line)"; to be freed. */
char *symbol_where(uint32_t address);
/* The 32-bit word at a link address, as the file has it. */
uint32_t symbol_file_word(uint32_t address);

/* --- state of the CPUs (state.c); the machine must be stopped --- */

struct segment { uint32_t selector, base, limit, flags; };
struct cpu_state {
	uint32_t eax, ebx, ecx, edx, esi, edi, ebp, esp, eip, eflags, cr0, cr2, cr3, cr4, cpl;
	struct segment es, cs, ss, ds, fs, gs, ldt, tr, gdt, idt;
	bool halted;
};
enum { CPUS_MAX = 8 };
/* Result: how many CPUs there are. */
unsigned machine_state(struct machine *m, struct cpu_state cpus[CPUS_MAX]);

/* --- memory (memory.c); the machine must be stopped, or at its end --- */

void physical_read(struct machine *m, uint32_t address, void *buf, size_t bytes);
uint32_t physical_word(struct machine *m, uint32_t address);
/* Whole words. Not where code was executed before: QEMU keeps what it translated. */
void physical_write(struct machine *m, uint32_t address, const void *buf, size_t bytes);
/* A kernel variable by name, read through its place in the image. */
uint32_t kernel_word(struct machine *m, const char *name);

/* An own page-table walk (SDM vol. 3, 4.3): two levels and 4 MiB pages. */
struct walk {
	bool present;
	uint32_t pde, pte; /* pte: of a 4 MiB page the same as pde */
	uint32_t machine;  /* address */
	bool user, writable;
};
struct walk page_walk(struct machine *m, uint32_t cr3, uint32_t address);
void virtual_read(struct machine *m, uint32_t cr3, uint32_t address, void *buf, size_t bytes);

/* --- root file systems (root.c) --- */

/* A private copy of the built root image. Result: its path. */
const char *root_copy(const char *name);
/* e2fsck -fn, from outside. Gives up FAILED with what it found. */
void root_check_file(const char *path);
/* The same for whatever root the machine used, RAM disk or disk. It must have synced and be stopped or at its end. */
void root_check(struct machine *m);

#endif
