/* SPDX-License-Identifier: MIT */
/*
 * What the checks of lab 2 share, beside the harness: a probe, which is a machine stopped in the
 * middle of its attach at boot. The check itself says what the CPU executes next. What an
 * exercise rests on is not the submission's: the check stores the descriptor tables, loads them
 * and goes down to ring 1 by its own hands, so each exercise is judged alone.
 *
 * The machine has one CPU. The check tells the VMM at warm-up that there are more, and lets the
 * VMM and the kernel take the CPU for one of the others: then data of CPU 0 are wrong.
 */
#ifndef LAB2_CHECKS_H
#define LAB2_CHECKS_H

#include "harness.h"

#define SYSCALL_VECTOR 0x80 /* include/abi.h, which also has names that the host uses otherwise */
enum { SECONDS = 10, BOCHS_SECONDS = 30, SHARED_WORDS = 16 };

struct probe {
	struct guest g;
	const struct test *t;
	unsigned nr_cpus, cpu;        /* for the VMM: how many there are, and which this one is */
	struct cpu_state entry;       /* when the kernel called vmm_call() last, in ring 0 */
	uint32_t stack;               /* its argument: end of the kernel's stack */
	uint32_t back;                /* its return address */
	uint32_t handlers[256];       /* the kernel's, by vector */
	uint32_t user_page, user_esp; /* of the first process's stack */
	uint32_t user_text;           /* the same page once more, where its text is to be */
	uint32_t free_user;           /* where plant_user() puts code next */
	uint32_t iret, frame;         /* planted once, for go_ring() */
	bool watching;                /* watch_ends() */
};

/* --- the machine and the way down to ring 1 (checks_probe.c) --- */

/* Start the check's machine with mode=virtual and stop where the kernel asks for warm-up. */
struct probe *probe_boot(const struct test *t);
/* From there over the warm-up, after which the check stores its own tables. */
void probe_warm(struct probe *p);
/* From a VMM call to the call of a later step of the attach. */
void probe_next_step(struct probe *p, uint32_t op);
/* All of this, to the call of a step. */
struct probe *probe_enter(const struct test *t, uint32_t op);
/*
 * From the call of VMM_INSTALL to cpu_install(). On this way the VMM lets interrupts come; they are
 * held back again.
 */
void probe_to_install(struct probe *p);
/* At the call of VMM_INSTALL: load the check's tables, which leaves the TLB as it is. */
void probe_load(struct probe *p);
/* With these tables: on to the kernel's return address in ring 1, with result 0. */
void probe_descend(struct probe *p);
/* All of this: to ring 1, with the CPU's shared page 0 and those of the other CPUs at random. */
struct probe *probe_start(const struct test *t);
/* The submission's own way: from power on to the call of a step. */
struct probe *probe_own_way(const struct test *t, uint32_t op);

/* --- running (checks_run.c) --- */

/*
 * Run to the first of these addresses. Result: its index. Else give up FAILED: `what` does not lead
 * there, and what happened instead: a panic, a fault, a stopped kernel, an empty exercise.
 */
int probe_run(struct probe *p, const char *what, const uint32_t *addresses, unsigned n);
#define PROBE_RUN(p, what, ...) probe_run(p, what, WORDS(__VA_ARGS__))
/* Run cpus_warm_up() from its first instruction to its return. Result: NULL, or what went wrong. */
const char *probe_pass(struct probe *p);
/*
 * Run a function again, from its first instruction, where its natural call was stopped in state
 * `at`: with these first two arguments.
 */
void probe_again(struct probe *p, const char *what, const struct cpu_state *at, uint32_t eax,
		 uint32_t edx);
/* It must come to this address (either emulator). why: what that is. */
void probe_arrive(struct probe *p, uint32_t address, const char *why, ...)
	__attribute__((format(printf, 3, 4)));
/* The stops at which probe_run() tells what happened instead are there, or not. */
void watch_ends(struct probe *p, bool on);
/* What a text says, from a format. Never freed. */
const char *text_of(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A place in the code: "0xc0101234, function (file:line)". Never freed. */
const char *place(uint32_t address);
/* The first byte of the instruction at an address; 0 if nothing is mapped there. */
uint8_t opcode_at(struct guest *g, uint32_t eip);
/* "vector 14 (#PF page fault)", "vector 0xef (the timer)". Never freed. */
const char *vector_text(unsigned vector);

/*
 * Show the page of the first process's stack at user_text, too: its text is not loaded yet. The
 * directory has the page table twice.
 */
void show_user(struct probe *p, bool on);
/* Put code for ring 3 where the first process's text is to be. Result: its address. */
uint32_t plant_user(struct probe *p, const void *code, size_t bytes);
/* Be in ring 1, or 3, at this place, from an inner ring or from there. */
void go_ring(struct probe *p, unsigned ring, uint32_t eip, uint32_t esp);
/*
 * The local APIC holds interrupts back (by its task priority, SDM vol. 3, 11.8.3.1) from the stop
 * in ring 0 on, until this is called with true. Until then its number is that of the CPU that the
 * check plays. The APIC is reached where the VMM has mapped it: ring 1 can do so only because QEMU
 * does not check segment limits.
 */
void allow_interrupts(struct probe *p, bool on);

/* --- what kernel and VMM share (checks_run.c) --- */

/* A word of this CPU's struct vmm_shared, by its offset. */
uint32_t own_shared(struct probe *p, uint32_t offset);
/* Set virtual IF and the pending events of this CPU. */
void set_shared(struct probe *p, uint32_t vif, uint32_t pending);
/* The whole page. */
struct shared_page { uint32_t words[VMM_MAX_CPUS][SHARED_WORDS]; };
struct shared_page read_shared(struct probe *p);
/* A word of a struct vmm_shared by name: "pending", "exits[2] (protection)". Never freed. */
const char *shared_name(unsigned word);
/* No word of another CPU has changed since `before`. what: what was done meanwhile. */
void want_others_kept(struct probe *p, const struct shared_page *before, const char *what);

/* What the VMM's stub has saved (struct regs there): at the first instruction of its handlers. */
struct saved { uint32_t words[REGS_BYTES / 4]; };
struct saved read_saved(struct probe *p);
/* One register of it, for example SAVED(s, EIP). */
#define SAVED(saved, name) ((saved).words[REGS_##name / 4])

/* --- descriptors (checks_tables.c) --- */

/* The struct cpu of a CPU in the VMM; a member of it, for example CPU_AT(2, GDT): addresses. */
#define CPU_BLOCK(cpu) (vmm_symbol("vmm_cpus") + (cpu) * CPU_BYTES)
#define CPU_AT(cpu, name) (CPU_BLOCK(cpu) + CPU_##name)
/* A segment's descriptor (SDM vol. 3, 3.4.5); last: address of its last byte. */
struct segment_fields { bool present; unsigned type, dpl, big; uint32_t base, last; };
struct segment_fields segment_of(uint64_t descriptor);
/* A CPU's descriptor of this selector in the VMM. */
uint64_t read_descriptor(struct probe *p, unsigned cpu, unsigned selector);
/* The right GDT of a CPU; and that the CPU has it, its TSS busy or not. */
void right_gdt(unsigned cpu, uint64_t gdt[VMM_GDT_ENTRIES]);
void want_gdt(struct probe *p, unsigned cpu, bool busy);
/* GDTR, IDTR, TR and LDTR are this CPU's (checks_install.c). */
void want_tables(const struct probe *p);
/* Store the right GDT and TSS of each CPU, and the right IDT. */
void store_tables(struct probe *p);
void store_idt(struct probe *p);

/* --- the whole (checks_base.c) --- */

/*
 * Boot, with the test's command to run, as far as ring 1, by what the submission has built. Each
 * exercise is tried once; events and bounces from code with these flags. p2m: the order of machine
 * frames; NULL: as `make run` has it.
 */
struct probe *whole_start(const struct test *t, const char *p2m, uint32_t flags);

typedef void check(const struct test *t);
check check_gdt, check_tss, check_idt;                            /* checks_tables.c */
check check_install, check_again, check_flush;                    /* checks_install.c */
check check_descent, check_hardware;                              /* checks_descent.c */
check check_save, check_restore;                                  /* checks_flags.c */
check check_bounce_user, check_bounce_kernel, check_bounce_stack; /* checks_bounce.c */
check check_deliver, check_pending;                               /* checks_events.c */
check check_intruder, check_count, check_programs;                /* checks_whole.c */

#endif
