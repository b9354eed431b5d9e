/* SPDX-License-Identifier: MIT */
/*
 * The isolation tests' tools (isolation.c): a machine in virtual mode, stopped in the kernel, whose CPU executes
 * attacks.
 *
 * Attacks and what they work on lie in a block of frames that the kernel's allocator has free: page 0 has the code,
 * page 1 the stack of ring 1, page 2 that of entries from ring 3, the others are for experiments. Virtual IF is 0
 * meanwhile, so the kernel executes nothing else; each attack ends by a trap, whose frame is read, and the next one
 * begins there.
 */
#ifndef ISOLATION_H
#define ISOLATION_H

#include "tests.h"
#include "vmm_abi.h"
#include "x86.h"
#include <errno.h> /* the kernel has the same numbers */

#define SYSCALL_VECTOR 0x80 /* include/abi.h, which has names of the host in it */
enum { STOPPED_STATUS = 2 * VMM_STOPPED_STATUS + 1, FAULT_STATUS = 2 * VMM_FAULT_STATUS + 1 };
enum { POOL_PAGES = 512, POOL_PAGES_LEAST = 16 };
enum { CODE_PAGE, STACK_PAGE, ENTRY_PAGE, USER_STACK_PAGE, DATA_PAGE, FREE_PAGE }; /* of the pool */

struct trap { /* struct trap_frame of kernel/proc/task.h */
	uint32_t gs, fs, es, ds, edi, esi, ebp, outer, ebx, edx, ecx, eax, vector, error, eip, cs, eflags, esp, ss;
};

struct victim {
	struct machine *m;
	struct cpu_state start;   /* when it was stopped */
	uint32_t pfn, pages;      /* of the pool; the list of hypercalls is in its upper half */
	uint32_t directory, table; /* mfn; table: a page table of user space with free entries */
	uint32_t user;            /* address of the first of them: pool page n can be mapped at user + n * 4096 */
	uint32_t shared;          /* machine address of the CPU's struct vmm_shared */
	uint32_t eaten;           /* events that were delivered to an attack */
	struct trap trap;         /* how the last attack ended */
	uint32_t address;         /* of its page fault */
};

/* Registers for an attack; 0 where not named. */
struct entry { uint32_t eax, ebx, ecx, edx, esi, edi, ebp, flags; bool ring3; };

struct victim *victim_start(const struct machine_options *o);
/* The same in native mode, for comparison: attack_at() runs in ring 0, interrupts off. The caller sets the breakpoint at trap_handle. */
struct victim *native_start(const struct machine_options *o);
/* Everything as before, checked (V1 to V7); back to the prompt, where a command works; end. */
void victim_end(struct victim *v);
/* The end of a machine that an attack has stopped, with this rule in the VMM's report. */
void victim_stopped(struct victim *v, const char *rule);

/* Where a label is for ring 1, or ring 3. */
uint32_t place(const struct victim *v, const char *label, bool ring3);
uint32_t pool_address(const struct victim *v, unsigned page); /* direct map */
uint32_t pool_mfn(struct victim *v, unsigned page);
void pool_write(struct victim *v, unsigned page, unsigned offset, const void *data, size_t bytes);
void pool_clear(struct victim *v, unsigned page);

/* Run until it traps to the kernel. Result: false if the machine ended instead, by an end of the VMM's. */
bool attack_at(struct victim *v, uint32_t eip, const struct entry *e);
#define ATTACK(v, label, ...) attack(v, label, &(struct entry){ __VA_ARGS__ })
bool attack(struct victim *v, const char *label, const struct entry *e);
bool returned(const struct victim *v); /* the last attack came to its end */
/* The last attack must have ended so. what: for the message. */
void want_return(const struct victim *v, const char *what);
void event_eaten(struct victim *v); /* if the last trap was one: back to the pending ones at the end */
void want_trap(const struct victim *v, unsigned vector, uint32_t error, const char *what);
/* Run and expect #GP(error), or what else. */
#define EXPECT_TRAP(v, label, vector, error, ...) do { \
	CHECK(ATTACK(v, label, __VA_ARGS__), "%s ended the machine (status %d)", label, (v)->m->exit_status); \
	want_trap(v, vector, error, label); } while (0)
#define EXPECT_RETURN(v, label, ...) do { \
	CHECK(ATTACK(v, label, __VA_ARGS__), "%s ended the machine (status %d)", label, (v)->m->exit_status); \
	want_return(v, label); } while (0)
/* A hypercall, or one of a list of them. */
struct call { uint32_t number, ebx, ecx, edx, esi; int32_t result; };
void want_result(struct victim *v, int result, const struct call *c);
int hypercall(struct victim *v, uint32_t number, uint32_t ebx, uint32_t ecx, uint32_t edx, uint32_t esi);
#define REFUSED(v, error, ...) want_result(v, error, &(struct call){ __VA_ARGS__, 0 })
#define ALLOWED(v, ...) REFUSED(v, 0, __VA_ARGS__)
/* A list of hypercalls, run at one go (n <= 1000 in QEMU). Results are stored in it. */
void hypercalls(struct victim *v, struct call *calls, unsigned n);
void write_calls(struct victim *v, const struct call *calls, unsigned n); /* for stale_store: they are at call_list() */
uint32_t call_list(const struct victim *v);

/* Map a pool page at its user address, flags without PTE_P; 0: unmap. */
void map_user(struct victim *v, unsigned page, uint32_t flags);
uint32_t pte_machine(const struct victim *v, unsigned page); /* machine address of that entry */
uint32_t shared_word(struct victim *v, unsigned offset);
void set_shared_word(struct victim *v, unsigned offset, uint32_t value);
enum { SHARED_VIF = 0, SHARED_PENDING = 4, SHARED_ADDRESS = 8, SHARED_EXITS = 12 };

/* Invariants V1 to V7, now; and the VMM's own recount. */
void check_victim(struct victim *v);
/* Whether the emulator checks segment limits: an access beyond one that V5 has found right. */
void skip_without_limits(struct victim *v);

/* Attacks that share a machine; isolation_*.c. */
typedef void part(struct victim *v);
/* isolation_cpu.c */
part privileged, flags, ports, interrupts, selectors, sysenter, nulls, null_accesses, limits, user_limits;
/* isolation_calls.c */
part debug_traps, icebp, fpu, events, arguments;
/* isolation_memory.c */
part references, directories, frame_numbers, entry_bits, stale, stale_global, access_matrix;
/* isolation_random.c */
part random_references, random_references_soak, fuzz_calls, fuzz_calls_soak;

#endif
