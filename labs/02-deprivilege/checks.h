/* SPDX-License-Identifier: MIT */
/*
 * What the checks of lab 2 share (checks_probe.c): a machine stopped in the midst of its attach at boot, in which the
 * check itself says what the CPU executes next. Instructions are planted in free memory and run up to the first of a
 * few addresses; so each part of the lab is judged at work, and none needs those that come later.
 */
#ifndef LAB2_CHECKS_H
#define LAB2_CHECKS_H

#include "judge.h"
#include "vmm_abi.h"
#include "x86.h"

#define SYSCALL_VECTOR 0x80 /* include/abi.h, which has names of the host in it */
#define CPU_BYTES 8192
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
enum { SEL_VMM_CODE = 0x38, SEL_VMM_DATA = 0x40, GDT_ENTRIES_VIRTUAL = 9, NULL_DR7 = 0x400 };
enum { SECONDS = 10, BOCHS_SECONDS = 30 };

struct vmm_cpu { /* struct cpu of vmm/vmm.h */
	uint32_t index, shared, directory, flush_wanted;
	uint8_t attached, halted, unused[2];
	uint32_t table, windows, window_base, update[VMM_UPDATE_MAX], old[VMM_UPDATE_MAX];
	struct {
		struct descriptor_pointer gdtr, idtr;
		uint32_t tr, dr7, sysenter_cs;
	} native;
	struct tss tss, df_tss;
	uint64_t gdt[GDT_ENTRIES_VIRTUAL];
};
struct vmm_regs { /* struct regs there */
	uint32_t es, ds, edi, esi, ebp, unused_esp, ebx, edx, ecx, eax, vector, error, eip, cs, eflags, esp, ss;
};
/* A member of the boot CPU's, as an address or a value. */
#define CPU_AT(member) (vmm_symbol("vmm_cpus") + (uint32_t)offsetof(struct vmm_cpu, member))

struct probe {
	struct machine *m;
	struct cpu_state c;           /* at the last stop */
	struct cpu_state entry;       /* when vmm_call(VMM_INSTALL) began, in ring 0 */
	uint32_t stack;               /* its argument: end of the kernel's stack */
	uint32_t back;                /* where it returns to */
	uint32_t handlers[256];       /* the kernel's */
	uint32_t user_page, user_esp; /* of the first process's stack */
	uint32_t free, free_user;     /* where the next planted code goes */
};

/* Start the check's machine with mode=virtual and stop where the kernel calls vmm_call(op). */
struct probe *probe_enter(const struct test *t, uint32_t op);
/* From there to a later step. */
void probe_next_step(struct probe *p, uint32_t op);
/* Address of the loaded page directory in the kernel's direct map. */
uint32_t probe_directory(struct probe *p);
/* From there, of VMM_INSTALL, to the first instruction in ring 1. */
void probe_descend(struct probe *p);
/* Both. */
struct probe *probe_start(const struct test *t);

/* Let it run to the first of these addresses. Result: which; -1 if it stops nowhere, or ends. */
#define RUN(p, ...) probe_run(p, (const uint32_t[]){ __VA_ARGS__ }, COUNT(((const uint32_t[]){ __VA_ARGS__ })))
int probe_run(struct probe *p, const uint32_t *stops, unsigned n);
/* The same in pieces, for many stops: breakpoints on or off; run to the next. */
void probe_watch(struct probe *p, const uint32_t *stops, unsigned n, bool on);
int probe_next(struct probe *p, const uint32_t *stops, unsigned n);
/* It must come to this address. why: what it is, and what may be wrong if it does not come. */
void probe_arrive(struct probe *p, uint32_t address, const char *why, ...) __attribute__((format(printf, 3, 4)));
/* Give up; an end that the machine is heading for (a panic) comes first, and so into the report. */
void probe_lost(struct probe *p, const char *why, ...) __attribute__((noreturn, format(printf, 2, 3)));

/* Put code where no code was before. Result: its address. */
uint32_t plant(struct probe *p, const void *code, size_t bytes);
uint32_t plant_user(struct probe *p, const void *code, size_t bytes);
/* The next instruction. Ring 1, or 0 if the CPU is there. */
void go(struct probe *p, uint32_t eip, uint32_t esp);
/* Be in ring 1, or 3, at this place, from whatever ring. */
void go_ring(struct probe *p, unsigned ring, uint32_t eip, uint32_t esp);

/* Run planted code here, to its end, and be here again. */
void run_here(struct probe *p, const void *code, size_t bytes);
/*
 * The local APIC holds interrupts back (its task priority, SDM vol. 3, 11.8.3.1) from the stop in ring 0 on, until this
 * is called with true. It is reached where the VMM has it: ring 1 can only do that because QEMU does not check limits.
 */
void allow_interrupts(struct probe *p, bool on);

uint32_t read_word(struct probe *p, uint32_t address);
void write_words(struct probe *p, uint32_t address, const uint32_t *words, unsigned n);
enum { SHARED_VIF = 0, SHARED_PENDING = 4, SHARED_EXITS = 12 };
uint32_t shared_word(struct probe *p, unsigned offset);
void set_shared(struct probe *p, uint32_t vif, uint32_t pending);

/* A segment's descriptor (SDM vol. 3, 3.4.5); last: its last byte. */
struct segment_fields { bool present; unsigned type, dpl, big; uint32_t base, last; };
struct segment_fields segment_of(uint64_t descriptor);

typedef void check(const struct test *t);
check check_gdt, check_tss, check_idt;                            /* checks_tables.c */
check check_install, check_again, check_flush, check_descent;     /* checks_install.c */
check check_hardware;                                             /* checks_hardware.c */
check check_save, check_restore;                                  /* checks_flags.c */
check check_bounce_user, check_bounce_kernel, check_bounce_stack; /* checks_bounce.c */
check check_deliver, check_pending;                               /* checks_events.c */
check check_intruder, check_count, check_programs;                /* checks_whole.c */

#endif
