/* SPDX-License-Identifier: MIT */
/*
 * What the checks of lab 2 share, beside the harness: a probe, which is a machine stopped in the
 * middle of its attach at boot. The check itself says what the CPU executes next. So each part of
 * the lab is judged at work, and none needs the parts that come later.
 */
#ifndef LAB2_CHECKS_H
#define LAB2_CHECKS_H

#include "harness.h"

#define SYSCALL_VECTOR 0x80 /* include/abi.h, which also has names that the host uses otherwise */
enum { SECONDS = 10, BOCHS_SECONDS = 30, NULL_DR7 = 0x400 };

struct probe {
	struct guest g;
	struct cpu_state entry;       /* when vmm_call(VMM_INSTALL) began, in ring 0 */
	uint32_t stack;               /* its argument: end of the kernel's stack */
	uint32_t back;                /* its return address */
	uint32_t handlers[256];       /* the kernel's, by vector */
	uint32_t user_page, user_esp; /* of the first process's stack */
	uint32_t free_user;           /* where plant_user() puts code next */
};

/* --- the way down to ring 1 (checks_probe.c) --- */

/* Start the check's machine with mode=virtual and stop where the kernel calls vmm_call(op). */
struct probe *probe_enter(const struct test *t, uint32_t op);
/* From there to the call of a later step of the attach. */
void probe_next_step(struct probe *p, uint32_t op);
/* From the call of VMM_INSTALL to the first instruction in ring 1. */
void probe_descend(struct probe *p);
/* All of this: to the first instruction in ring 1, with the shared page all 0. */
struct probe *probe_start(const struct test *t);
/* Where the direct map shows the loaded page directory. */
uint32_t probe_directory(struct probe *p);

/* It must come to this address. why: what it is, and what may be wrong if it does not come. */
void probe_arrive(struct probe *p, uint32_t address, const char *why, ...)
	__attribute__((format(printf, 3, 4)));
/* Give up. An end that the machine is heading for (a panic) comes first, and so into the report. */
void probe_lost(struct probe *p, const char *why, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* Put code into the page of the first process's stack, for ring 3. Result: its address. */
uint32_t plant_user(struct probe *p, const void *code, size_t bytes);
/* Be in ring 1, or 3, at this place, from whatever ring. */
void go_ring(struct probe *p, unsigned ring, uint32_t eip, uint32_t esp);
/*
 * The local APIC holds interrupts back (by its task priority, SDM vol. 3, 11.8.3.1) from the stop
 * in ring 0 on, until this is called with true. The APIC is reached where the VMM has mapped it:
 * ring 1 can do so only because QEMU does not check segment limits.
 */
void allow_interrupts(struct probe *p, bool on);
/* Set virtual IF and the pending events. */
void set_shared(struct probe *p, uint32_t vif, uint32_t pending);

/* --- what the VMM's stub has saved (struct regs there) --- */

struct saved { uint32_t words[REGS_BYTES / 4]; };
/* At the first instruction of exit_handle() or hypercall_handle(). */
struct saved read_saved(struct probe *p);
/* One register of it, for example SAVED(s, EIP). */
#define SAVED(saved, name) ((saved).words[REGS_##name / 4])

/* --- descriptors (checks_tables.c) --- */

/* A member of the boot CPU's `struct cpu` in the VMM, for example CPU_AT(GDT): its address. */
#define CPU_AT(name) (vmm_symbol("vmm_cpus") + CPU_##name)
/* A segment's descriptor (SDM vol. 3, 3.4.5); last: address of its last byte. */
struct segment_fields { bool present; unsigned type, dpl, big; uint32_t base, last; };
struct segment_fields segment_of(uint64_t descriptor);
/* The VMM's descriptor of this selector. */
uint64_t read_descriptor(struct probe *p, unsigned selector);

typedef void check(const struct test *t);
check check_gdt, check_tss, check_idt;                            /* checks_tables.c */
check check_install, check_again, check_flush, check_descent;     /* checks_install.c */
check check_hardware;                                             /* checks_hardware.c */
check check_save, check_restore;                                  /* checks_flags.c */
check check_bounce_user, check_bounce_kernel, check_bounce_stack; /* checks_bounce.c */
check check_deliver, check_pending;                               /* checks_events.c */
check check_intruder, check_count, check_programs;                /* checks_whole.c */

#endif
