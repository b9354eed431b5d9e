/* SPDX-License-Identifier: MIT */
/*
 * A machine seen from outside: start QEMU or Bochs, talk over its serial line, stop it, and read
 * registers, descriptor tables, physical memory and page tables without asking the guest. For
 * the tests, the labs' checks, the grader and the viewer.
 *
 * Functions give up (process.h) when they cannot do their work. An argument `seconds` is a limit
 * in seconds of the machine's own time (time.c): a verdict does not depend on the host's speed.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include "process.h"
#include "layout.h"

/* Where the built files are. Default: build/, build/cinnabar, build/vmm. (judge.c) */
extern const char *build_dir;               /* has rootfs.ext2 and cinnabar.iso */
extern const char *kernel_file, *vmm_file;  /* the ELF files to boot; their symbols count */

/* --- machines (machine.c) --- */

enum { BOCHS_HZ = 50000000 }; /* instructions in a second of Bochs's time */

struct machine_options {
	bool bochs;           /* Bochs; else QEMU */
	bool v86;             /* v86 in QEMU's place (v86.c): one CPU, no disk, no network */
	bool iso;             /* boot an ISO made for this machine; else as QEMU's -kernel does */
	const char *iso_file; /* boot this ISO */
	/* QEMU: this board, without the device that ends it with a status; NULL: a pc with it. */
	const char *board;
	const char *processor; /* Bochs: this model; NULL: its newest one */
	unsigned cpus;        /* 0 is 1 */
	unsigned mem;         /* MiB; 0 is 64 */
	const char *p2m;      /* value of the boot option p2m=; NULL is identity */
	const char *cmdline;  /* more boot options, or NULL */
	const char *modules;  /* text of QEMU's -initrd, "" for none; NULL: VMM and root image */
	const char *disk;     /* image file of the first ATA disk, or NULL */
	/*
	 * An NE2000, in one of two networks. net_files: with a host that the emulator plays, whose
	 * TFTP server has this folder: 10.0.2.2 (QEMU), 192.168.10.1 (Bochs). net_port: with the
	 * machine that has net_port ^ 1; frames are UDP datagrams between these two ports of this
	 * host. Bochs takes an even one only. 0, NULL: no card.
	 */
	const char *net_files;
	unsigned net_port;
	bool free_running;    /* without -icount: time is the host's, and CPUs run in parallel */
	bool stands_still;    /* no jump to the next timer while the debugger has stopped it */
	bool paused;          /* do not start the CPUs */
	bool guests;          /* Bochs: the end of a guest is not the end of the machine */
	unsigned budget;      /* million instructions; 0: machine_budget */
};

/*
 * Time (time.c). QEMU counts the instructions of all CPUs together, unless the machine is free
 * running: MIPS million instructions are a second. Bochs counts those of each CPU, and the time in
 * which it is halted: BOCHS_HZ are a second. In a machine that is free running a second is one in
 * which the emulator runs or sleeps; it is longer on a busy host.
 *
 * A budget makes limits shorter: the longest wait, in million instructions a CPU; all waits may
 * take BUDGET_WAITS times as many.
 */
enum { MIPS = 100, BUDGET_WAITS = 5 };
extern unsigned machine_budget; /* 0, the default: none */
extern bool machine_debugged;   /* for a person with GDB: starts stopped, nothing has a limit */
extern bool machine_traced;     /* QEMU logs all traps in work_path("traps") */
extern bool machine_strict;     /* QEMU logs code outside of all functions: outside_check() */

/* A socket, and what has come from it but is not used yet. */
struct stream { int fd; size_t at, n; char bytes[4096]; };

struct machine {
	struct machine_options o;
	pid_t pid;                       /* 0 after its end */
	int serial, serial_in;           /* descriptors: what it says, what it hears */
	struct stream qmp, gdb;          /* of QEMU; gdb.fd is -1 before gdb_connect() */
	char posted[2048];               /* packets for the GDB stub that were not sent yet, */
	size_t posted_bytes;             /* their bytes, */
	unsigned posted_packets;         /* and how many must be answered by OK */
	int monitor_in, monitor_out;     /* Bochs's debugger */
	char *said;                      /* what that said since the last command */
	size_t said_bytes;
	bool answered;                   /* said ends with the prompt */
	bool stopped;                    /* Bochs: the debugger has the machine */
	uintptr_t *blocks;               /* where in Bochs its memory lies; NULL: unknown */
	unsigned held;                   /* QEMU: CPUs (bits) that the present run leaves alone */
	char *log;                       /* all serial output until now, NUL at the end */
	size_t log_bytes;
	size_t seen;                     /* place in log after the last text waited for */
	int exit_status;                 /* after its end: as process_wait() */
	char end[32];                    /* QEMU's reason if it reset or turned off, or "" */
	uint64_t instructions;           /* executed, when last asked for */
	/* The present one (time.c). */
	struct { double limit, idle, from, moved, moved_cpu, ask, cpu; uint64_t clock; } wait;
	bool late;                       /* it passed its limit, or the machine executes nothing */
	uint8_t *ram;                    /* QEMU: physical memory, also after the end */
	size_t ram_bytes;
	char *by_hand;                   /* command that starts this machine on a terminal */
	struct machine *next;
};
/* All machines that this process started, the latest first. */
extern struct machine *machines;

/* QEMU's exit status after a panic and after shutdown(0); after shutdown(s): EXIT_OK + 2 * s. */
enum { EXIT_PANIC = 2 * 0x0F + 1, EXIT_OK = 2 * 0x10 + 1 };

/* Start a machine. Its options are copied, but not the strings that they name. */
struct machine *machine_start(const struct machine_options *o);
/*
 * Wait until text comes on the serial line, after what was seen before. Gives up FAILED if the
 * machine ends or the time is over first.
 */
void machine_expect(struct machine *m, const char *text, double seconds);
/* Wait as machine_expect(), without a verdict. Result: whether the text came. */
bool machine_sees(struct machine *m, const char *text, double seconds);
/* Type text on the serial line. */
void machine_send(struct machine *m, const char *text);
/*
 * Wait until the machine ends by itself; FAILED if it does not in time.
 * Result: QEMU's exit status; of Bochs the status that QEMU would give.
 */
int machine_wait(struct machine *m, double seconds);
/* Stop all CPUs. */
void machine_stop(struct machine *m);
/* Let all CPUs run again. */
void machine_continue(struct machine *m);
/* End the emulator at once. Harmless after its end. */
void machine_quit(struct machine *m);
/* Read what has come on the serial line; for loops that wait for something else. */
void machine_pump(struct machine *m);
/* Result: whether it ended by itself. Gives up BROKEN if a signal ended the emulator. */
bool machine_ended(struct machine *m);
/*
 * How a machine has ended, as words after "the machine": "was reset by a triple fault", "ended with
 * status 31". Valid until the next call.
 */
const char *machine_end(const struct machine *m);
/* Whether a triple fault ended it (QEMU). */
bool machine_triple_fault(const struct machine *m);
/* A wait begins that has a limit. */
void machine_wait_begins(struct machine *m, double seconds);
/*
 * Result: whether the wait must end: its limit has passed, or the machine will never execute
 * anything. Gives up BROKEN if it is the emulator that stands still.
 */
bool machine_late(struct machine *m);
/* Print how to start the machine by hand, and the last lines of its serial log. */
void machine_describe(const struct machine *m, FILE *to);

/* --- code outside of the kernel's and the VMM's functions (outside.c, within.c) --- */

/* Give up FAILED if a strict machine in QEMU has executed such code, of which none was allowed. */
void outside_check(void);
/* Read where the instructions of judge_files are in both images: code within these is none, too. */
void within_read(void);
/* From now on this memory may hold code. */
void outside_allow(uint32_t begin, uint32_t end);

/* --- QEMU's machine protocol, QMP (qmp.c) --- */

/*
 * Execute a command. arguments: JSON text, or NULL. Result: its "return" as JSON text, to be
 * freed. Gives up FAILED if the machine has ended.
 */
char *qmp(struct machine *m, const char *command, const char *arguments);
/* Execute as qmp(). Result: NULL if the machine has ended. */
char *qmp_if_there(struct machine *m, const char *command, const char *arguments);
/* Execute a command of the human monitor. Result: its answer, to be freed. */
char *qmp_human(struct machine *m, const char *command);
/*
 * Result: instructions executed since power on, by all CPUs together (-icount only); after the
 * machine's end, the number of the last call.
 */
uint64_t qmp_instructions(struct machine *m);
/*
 * Result: seconds of the CMOS clock, which is the machine's own time (-icount only): it also passes
 * while all CPUs are halted. Not exact: the guest may set it.
 */
uint64_t qmp_clock(struct machine *m);
/* Press keys together on the PS/2 keyboard. keys: QEMU's names, for example "ctrl", "c". */
void qmp_keys(struct machine *m, const char *const *keys, unsigned n);

/* --- GDB's remote protocol, QEMU only (gdb.c) --- */

enum gdb_register {
	GDB_EAX, GDB_ECX, GDB_EDX, GDB_EBX, GDB_ESP, GDB_EBP, GDB_ESI, GDB_EDI,
	GDB_EIP, GDB_EFLAGS, GDB_CS
};

/* Connect to the stub. The machine is stopped afterwards. */
void gdb_connect(struct machine *m);
/* Let the machine go on without a debugger. */
void gdb_disconnect(struct machine *m);
/* Leave the stub to another debugger: the machine stays stopped. */
void gdb_close(struct machine *m);
/* Send a command. Result: the text of the answer, valid until the next call. */
const char *gdb_command(struct machine *m, double seconds, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * Send a command with the next one that has an answer, or before QMP's next; each answer is a round
 * trip between three threads. This one's must be OK: another one gives up then.
 */
void gdb_post(struct machine *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As qmp_human(), which is slower, but of a stopped machine only. */
char *gdb_monitor(struct machine *m, const char *command);
/* Set a breakpoint at a virtual address, or clear it. */
void gdb_break(struct machine *m, uint32_t address, bool set);
/*
 * Stop after a write to this word by this address, or after a read, or no more. QEMU then keeps the
 * code that it has translated; after a breakpoint and a single step it has forgotten all.
 */
void gdb_watch(struct machine *m, uint32_t address, bool set);
void gdb_watch_reads(struct machine *m, uint32_t address, bool set);
/* Let it run. Result: whether it stopped by itself in time. */
bool gdb_run(struct machine *m, double seconds);
/* Execute one instruction. */
void gdb_step(struct machine *m);
/*
 * Let only some CPUs run, or execute one instruction. cpus: a bit for each. Result: the CPU that
 * stopped by itself; -1: none did in time.
 */
int gdb_run_cpus(struct machine *m, unsigned cpus, bool step, double seconds);
/* Select the CPU for the functions below. A stop selects the CPU that stopped. */
void gdb_select(struct machine *m, unsigned cpu);
uint32_t gdb_register(struct machine *m, enum gdb_register r);
struct cpu_state;
/*
 * Read registers, in one packet. All else of a CPU's state becomes 0: what segments and tables the
 * CPU has loaded, and whether it is halted. Not of v86.
 */
void gdb_registers(struct machine *m, struct cpu_state *c);
/* Write a register. */
void gdb_set_register(struct machine *m, enum gdb_register r, uint32_t value);
/* Read memory at a virtual address. */
void gdb_read(struct machine *m, uint32_t address, void *buf, size_t bytes);
/*
 * Move a halted CPU to another EIP, with its interrupt flag on or off.
 * Result: the EIP that it had.
 */
uint32_t gdb_put_idle(struct machine *m, unsigned cpu, bool interrupts, uint32_t eip);
/*
 * Silence a halted CPU, as if it were stopped for ever: its next instruction is the jmp in the
 * "cli; hlt; jmp" of a function. With its interrupt flag off alone it would still be in the idle
 * loop, and go on there when QEMU wakes it for no reason, as sometimes happens.
 * function: an address. Result: the EIP that the CPU had.
 */
uint32_t gdb_silence(struct machine *m, unsigned cpu, uint32_t function);

/* --- either debugger of a stopped machine; QEMU: after gdb_connect() (debugger.c) --- */

/* Set a breakpoint, or clear it. */
void debug_break(struct machine *m, uint32_t address, bool set);
/* Which CPU debug_set_register() is about: the one that stopped last, until this is called. */
void debug_select(struct machine *m, unsigned cpu);
/* Write a register, GDB_EAX to GDB_EIP. */
void debug_set_register(struct machine *m, enum gdb_register r, uint32_t value);
/*
 * Let it run. Result: whether it stopped by itself in time. In QEMU a machine that ends has not
 * stopped; Bochs stops at the shutdown.
 */
bool debug_run(struct machine *m, double seconds);

/* --- symbols of kernel_file and vmm_file (symbols.c) --- */

/* Result: the address of a kernel symbol. Gives up FAILED unless there is exactly one. */
uint32_t symbol(const char *name);
/* Result: the size of a kernel variable in bytes. */
uint32_t symbol_bytes(const char *name);
bool symbol_exists(const char *name);
/* Where a member lies in a kernel's structure, by the kernel's debug data. */
uint32_t kernel_member(const char *type, const char *name);
/* As symbol(), of the VMM. */
uint32_t vmm_symbol(const char *name);
bool vmm_symbol_exists(const char *name);
/* Address of a symbol of the attack programs (tests/isolation), which are linked at 0. */
uint32_t attack_symbol(const char *name);
/* 32 bits of the attack programs' code. */
uint32_t attack_word(uint32_t address);
/*
 * Source of an address of kernel or VMM, as "function (file:line)": one line, and one more for each
 * function into which that one was inlined. To be freed.
 */
char *symbol_where(uint32_t address);
/*
 * The same in one line: of a function and those into which it was inlined, the one that the student
 * wrote, best of all in an exercise; if there is none, the last. To be freed. (places.c)
 */
char *symbol_place(uint32_t address);
/* "/where/it/was/built/kernel/mm/vm.c:12": the part from kernel/ on, if that file is here. */
const char *symbol_below_here(const char *line);
/* The function of kernel or VMM that holds an address, as "name+0x1c"; NULL; to be freed. */
char *symbol_offset(uint32_t address);
/*
 * The kernel as a boot loader leaves it: machine addresses of its begin, its end and its first
 * instruction. Result: its bytes, to be freed.
 */
uint8_t *symbol_file_image(uint32_t *begin, uint32_t *end, uint32_t *entry);
/* The 32-bit word that kernel_file holds for an address. */
uint32_t symbol_file_word(uint32_t address);

/* --- state of the CPUs (state.c); the machine is stopped --- */

struct segment { uint32_t selector, base, limit, flags; };
struct cpu_state {
	uint32_t eax, ebx, ecx, edx, esi, edi, ebp, esp, eip, eflags;
	uint32_t cr0, cr2, cr3, cr4, cpl;
	struct segment es, cs, ss, ds, fs, gs, ldt, tr, gdt, idt;
	bool halted; /* QEMU only */
};
enum { CPUS_MAX = 8 };
/* Read the registers of all CPUs. Result: how many CPUs there are. */
unsigned machine_state(struct machine *m, struct cpu_state cpus[CPUS_MAX]);
/* Those of one CPU: faster. */
struct cpu_state machine_cpu(struct machine *m, unsigned cpu);

/* --- memory (memory.c); the machine is stopped, or has ended (QEMU) --- */

/* Read memory at a machine address. Gives up FAILED where there is none. */
void physical_read(struct machine *m, uint32_t address, void *buf, size_t bytes);
uint32_t physical_word(struct machine *m, uint32_t address);
/*
 * Write whole words at a machine address. Not for code that has been executed: QEMU keeps its
 * translation.
 */
void physical_write(struct machine *m, uint32_t address, const void *buf, size_t bytes);
/* Read a word of a kernel variable. The kernel's image has pfn == mfn. */
uint32_t kernel_word(struct machine *m, const char *name);

/* Our own walk over two levels of page tables and 4 MiB pages (SDM vol. 3, 4.3). */
struct walk {
	bool present;
	uint32_t pde, pte; /* of a 4 MiB page both are the directory entry */
	uint32_t machine;  /* machine address */
	bool user, writable;
};
struct walk page_walk(struct machine *m, uint32_t cr3, uint32_t address);
/* Read memory at a virtual address. Gives up FAILED where nothing is mapped. */
void virtual_read(struct machine *m, uint32_t cr3, uint32_t address, void *buf, size_t bytes);

/* --- the VMM's frame table (frame_table.c, vmm/mem/frames.h); the machine is stopped --- */

enum frame_type { FRAME_WRITABLE, FRAME_TABLE, FRAME_DIRECTORY, FRAME_SHARED };
struct frame_state {
	unsigned owner;           /* domain's id; 0: no domain */
	unsigned shared_mappings; /* writable mappings in the kernel's own page tables */
	/* Whether type and count are valid: not since an earlier attachment, now, or always. */
	enum { FRAME_OLD, FRAME_CURRENT, FRAME_FIXED } validity;
	enum frame_type type;
	uint32_t count;
};
/* How many entries it has. The kernel cannot change that: its own number it can. */
uint32_t frame_table_entries(struct machine *m, uint32_t cr3);
/* Read the entries of n frames, as types are valid for domain 0. Result: to be freed. */
struct frame_state *frame_table_read(struct machine *m, uint32_t cr3, uint32_t n);

/* --- root file systems (root.c) --- */

/* Copy the built root image into work_dir. Result: the copy's path. */
const char *root_copy(const char *name);
/* Check an image with e2fsck -fn. Gives up FAILED with what that found. */
void root_check_file(const char *path);
/*
 * Check the root file system that the machine used, on its RAM disk or its disk. It must have
 * synced; it is stopped or has ended.
 */
void root_check(struct machine *m);

#endif
