/* SPDX-License-Identifier: MIT */
/*
 * The tools of the isolation tests: a machine in virtual mode is stopped in its kernel, and the
 * debugger lets its CPU execute attacks, one at a time.
 *
 * The attacks and the memory they work on lie in a pool: a block of frames that the kernel's
 * allocator holds as free. Page 0 of the pool has the code, page 1 the stack of ring 1, page 2 the
 * stack for entries from ring 3; the others are for experiments. The virtual IF is 0 meanwhile, so
 * no event makes the kernel execute anything else. Each attack ends by a trap to the kernel; the
 * test reads the trap frame, and the next attack starts at that stop.
 */
#ifndef ISOLATION_H
#define ISOLATION_H

#include "tests.h"
#include "vmm_abi.h"
#include "x86.h"
#include <errno.h> /* the kernel has the same numbers */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
/* As in include/abi.h, which cannot be included: its names are those of the host's headers. */
#define SYSCALL_VECTOR 0x80
/* Exit statuses of QEMU when the VMM ends the run. */
enum {
	STOPPED_STATUS = 2 * VMM_STOPPED_STATUS + 1, /* the kernel broke a rule */
	FAULT_STATUS = 2 * VMM_FAULT_STATUS + 1,     /* the VMM itself failed */
};
/* Exceptions that include/x86.h does not name. */
enum { VEC_INVALID_TSS = 10, VEC_STACK = 12 };
/* With more memory than usual the pool has most. */
enum { POOL_PAGES = 512, POOL_PAGES_MOST = 1024, POOL_PAGES_LEAST = 16 };
/* Pages of the pool. */
enum { CODE_PAGE, STACK_PAGE, ENTRY_PAGE, USER_STACK_PAGE, DATA_PAGE, FREE_PAGE };
enum { PARK_PAGE = POOL_PAGES_LEAST - 1 };
/* What `launch` of tests/isolation pops, and where it lies in the page of the stack. */
enum { LAUNCH_WORDS = 14, STACK_TOP = PAGE_SIZE - 256 };

struct trap { /* what tests read of the kernel's struct trap_frame */
	uint32_t gs, fs, es, ds;
	uint32_t edi, esi, ebp, ebx, edx, ecx, eax;
	uint32_t vector, error;
	uint32_t eip, cs, eflags;
};

struct victim {
	struct machine *m;
	struct cpu_state start; /* at the first stop */
	uint32_t pfn, pages;    /* the pool; lists of hypercalls lie in its upper half */
	uint32_t directory;     /* mfn of the loaded page directory */
	uint32_t table;         /* mfn of a page table of user space that has free entries */
	uint32_t user;          /* the first free address there: page n can be at user + n * 4096 */
	uint32_t shared;        /* machine address of the CPU's struct vmm_shared */
	bool alone;             /* QEMU with several CPUs: only CPU 0 runs in an attack */
	bool parks;             /* other CPUs are parked when they get a trap */
	bool (*run)(struct victim *v, struct cpu_state cpus[]); /* run_and_park(), mostly */
	unsigned cpu;           /* that runs the attacks; Bochs: the one that the shell was on */
	uint32_t eaten;         /* events that were delivered to an attack, as bits */
	struct trap trap;       /* how the last attack ended */
	uint32_t list;          /* machine address of the list of states, if there is one */
	uint32_t address;       /* the fault address, if it ended by a page fault (virtual mode) */
	uint32_t user_esp;      /* ESP, if it ended in ring 3 */
};

/* Registers for an attack; 0 where not named. */
struct entry {
	uint32_t eax, ebx, ecx, edx, esi, edi, ebp, flags;
	bool ring3;
};

/* --- a machine to attack (isolation_victim.c) --- */

/* Start a machine, attach the VMM, and stop in a system call of the shell. */
struct victim *victim_start(const struct machine_options *o);
/* The same with a machine that is at the prompt, in virtual mode. */
struct victim *victim_at_prompt(struct machine *m);
/*
 * The same in native mode, for comparison: attack_at() then runs in ring 0 with interrupts off.
 * The caller sets the breakpoint at trap_handle. There are no user addresses.
 */
struct victim *native_start(const struct machine_options *o);
/* The same with a machine that is at the prompt, in native mode. */
struct victim *native_at_prompt(struct machine *m);
/*
 * Let the native kernel, which is stopped in a system call, run a piece of tests/isolation that
 * ends by a jump to EDI, and go on to its prompt. EBX is an argument, ESI the address of the local
 * APIC, EBP that of the IOAPIC. (isolation_inherit.c)
 */
void run_native(struct victim *v, const char *label, uint32_t ebx);
/*
 * Undo what victim_start() changed, check V1 to V7, let the shell go on to its prompt, run a
 * command there, and end the machine.
 */
void victim_end(struct victim *v);
/* The VMM must have ended the machine, and its report must contain this rule. */
void victim_stopped(struct victim *v, const char *rule);
/* Check the invariants V1 to V7 now. */
void check_victim(struct victim *v);
/* SKIPPED if this emulator lets a read beyond a segment limit pass, although V5 holds. */
void skip_without_limits(struct victim *v);

/* --- the memory that attacks use (isolation.c) --- */

/* Where a label of tests/isolation is for ring 1, or for ring 3. */
uint32_t place(const struct victim *v, const char *label, bool ring3);
uint32_t pool_address(const struct victim *v, unsigned page); /* in the direct map */
uint32_t pool_mfn(struct victim *v, unsigned page);
void pool_write(struct victim *v, unsigned page, unsigned offset, const void *data, size_t bytes);
void pool_clear(struct victim *v, unsigned page);
/* Map a pool page at its user address; flags without PTE_P. 0: unmap it. */
void map_user(struct victim *v, unsigned page, uint32_t flags);
/* Machine address of the page-table entry for a pool page's user address. */
uint32_t pte_machine(const struct victim *v, unsigned page);
/* A word of the CPU's struct vmm_shared. */
uint32_t shared_word(struct victim *v, unsigned offset);
void set_shared_word(struct victim *v, unsigned offset, uint32_t value);
enum {
	SHARED_VIF = offsetof(struct vmm_shared, vif),
	SHARED_PENDING = offsetof(struct vmm_shared, pending),
	SHARED_ADDRESS = offsetof(struct vmm_shared, address),
	SHARED_EXITS = offsetof(struct vmm_shared, exits),
};

/* --- attacks (isolation.c) --- */

/*
 * Bochs with several CPUs overlooks a breakpoint on the first instruction of a CPU's turn. So there
 * is one on the second instruction of a function, too, after its push %ebp.
 */
static inline bool two_breaks(const struct machine *m) { return m->o.bochs && m->o.cpus > 1; }
static inline bool is_at(const struct victim *v, const struct cpu_state *c, uint32_t function)
{
	return c->eip - function <= two_breaks(v->m);
}
/* Set or remove the breakpoints on a function. */
void break_function(struct machine *m, const char *function, bool set);
/*
 * Run until the attacking CPU, or the end of the machine, stops it. A CPU of Bochs that gets a trap
 * meanwhile is parked: it spins in ring 1, without events. Result: whether it stopped.
 */
bool run_and_park(struct victim *v, struct cpu_state cpus[CPUS_MAX]);
/* Let a CPU that stands in ring 1 spin there. */
void park(struct victim *v, unsigned cpu);
/*
 * Park all other CPUs: they take their ticks, and are parked then. Meanwhile this one spins, too.
 * In Bochs it was done at the start.
 */
void park_others(struct victim *v);
/* Park each other CPU that is at a trap. Result: how many. */
unsigned park_trapped(struct victim *v, const struct cpu_state *cpus);

/* What `launch` pops to start an attack at eip. */
void launch_block(const struct victim *v, uint32_t eip, const struct entry *e,
		  uint32_t block[LAUNCH_WORDS]);
/* Run from eip until the kernel gets a trap. Result: false if the VMM ended the machine instead. */
bool attack_at(struct victim *v, uint32_t eip, const struct entry *e);
/* The same from a label. In ring 3 events can come first: they are kept, and it runs again. */
bool attack(struct victim *v, const char *label, const struct entry *e);
#define ATTACK(v, label, ...) attack(v, label, &(struct entry){ __VA_ARGS__ })
/* If the last trap was an event: make it pending again when the test ends. */
void event_eaten(struct victim *v);
/* Whether the last attack executed its last instruction. */
bool returned(const struct victim *v);
/* FAILED unless it did; or unless it ended by this trap. what: names the attack in the message. */
void want_return(const struct victim *v, const char *what);
void want_trap(const struct victim *v, unsigned vector, uint32_t error, const char *what);
/* Run an attack and expect that it ends by this trap; or that it returns. */
#define EXPECT_TRAP(v, label, vector, error, ...) \
	do { \
		CHECK(ATTACK(v, label, __VA_ARGS__), "%s ended the machine (status %d)", label, \
		      (v)->m->exit_status); \
		want_trap(v, vector, error, label); \
	} while (0)
#define EXPECT_RETURN(v, label, ...) \
	do { \
		CHECK(ATTACK(v, label, __VA_ARGS__), "%s ended the machine (status %d)", label, \
		      (v)->m->exit_status); \
		want_return(v, label); \
	} while (0)

/* --- hypercalls from ring 1 (isolation.c) --- */

struct call {
	uint32_t number, ebx, ecx, edx, esi;
	int32_t result; /* filled in by hypercalls() */
};
/* One hypercall. Result: its own. */
int hypercall(struct victim *v, uint32_t number, uint32_t ebx, uint32_t ecx, uint32_t edx,
	      uint32_t esi);
/* One hypercall, which must have this result. */
void want_result(struct victim *v, int result, const struct call *c);
/* The stack for entries from ring 3, whose load makes a HC_LOAD go the short way (fast.S). */
#define ENTRY_STACK(v) (pool_address(v, ENTRY_PAGE) + PAGE_SIZE)
#define REFUSED(v, error, ...) want_result(v, error, &(struct call){ __VA_ARGS__, 0 })
#define ALLOWED(v, ...) REFUSED(v, 0, __VA_ARGS__)
/*
 * Run a list of n hypercalls in one attack and store their results in it. The list must fit in half
 * of the pool: 43690 calls in a pool of POOL_PAGES, 1365 in one of POOL_PAGES_LEAST.
 */
void hypercalls(struct victim *v, struct call *calls, unsigned n);
/* Only write the list, to call_list(); for attacks that run it themselves. */
void write_calls(struct victim *v, const struct call *calls, unsigned n);
uint32_t call_list(const struct victim *v);

/* --- groups of attacks; those of one test run on the same machine, one after the other --- */

typedef void part(struct victim *v);
/* isolation_cpu.c */
part privileged, flags, ports, interrupts;
/* isolation_segments.c */
part selectors, ldt_selectors, sysenter, nulls, null_accesses, limits, user_limits;
/* isolation_calls.c */
part debug_traps, icebp, fpu, events, arguments;
/* isolation_memory.c */
part references, directories, frame_numbers, entry_bits;
/* isolation_tlb.c */
part stale, stale_global, access_matrix;
/* isolation_owner.c */
part owners;
/* isolation_domain.c */
part rights;
/* isolation_detach.c */
part detach_orders, recount_entries, failed_calls, long_loads, partial_loads, endless_loads, vm86,
	nmi, nmi_short_way, invlpg;
/* isolation_lines.c */
part level_line;
/* isolation_random.c */
part random_references, random_references_soak, fuzz_calls, fuzz_calls_soak;

/* isolation_born.c */
part guest_lives, guest_births, guest_vcpus, guest_remains, guest_last_frame, guest_vm86;
/* isolation_apart.c */
part guest_translations, guest_registers, guest_rights, guest_events, guest_deaths,
	guest_deaths_soak;
/* isolation_time.c */
part guest_lines, guest_slices, guest_timers, guest_wakes, guest_idle;
/* isolation_kill.c */
part guest_fuzz, guest_fuzz_soak;
/* isolation_bounds.c */
part longest_calls;
/* isolation_ports.c */
part guest_ports, guest_all_ports, guest_limits, guest_loans;

/* --- whole tests (isolation_fatal.c) --- */

/* Images of vCPUs, delayed and eager, or with poison (isolation_images.c). */
void images(const struct test *t);
/* What exits and domain switches cost (isolation_cost.c). */
void exit_costs(const struct test *t);
/* Each attack of a row must end its machine. t->number: the first row; t->text: how many. */
void stopped(const struct test *t);
void bad_entry_stack(const struct test *t);
void old_breakpoint(const struct test *t);
/* --- and some of isolation_detach.c and isolation_domain.c --- */
void gdt_is_table(const struct test *t);
void tables_are_tables(const struct test *t);
void end_of_segment(const struct test *t);
void own_failure(const struct test *t);
void machine_check(const struct test *t);
/* --- isolation_inherit.c --- */
void inherited(const struct test *t);
void inherited_unseen(const struct test *t);
void apic_moved(const struct test *t);
void warm_up_refuses(const struct test *t);
/* --- isolation_lines.c --- */
void level_serial(const struct test *t);
void bus_masters(const struct test *t);
void behind_bridges(const struct test *t);
void too_many_functions(const struct test *t);
void vector_without_gate(const struct test *t);
/* --- isolation_states.c --- */
void random_states(const struct test *t); /* text: how many; number: the seed */
/* Killed at each n-th instruction of each hypercall; text: n (isolation_kill.c). */
void kills(const struct test *t);
/* --- isolation_smp.c --- */
/* A victim whose last CPU stands at a trap to the kernel (its tick), too. */
struct victim *two_victims(const struct test *t);
void promoted_elsewhere(const struct test *t);
void released_elsewhere(const struct test *t);
void detach_elsewhere(const struct test *t);
void timer_elsewhere(const struct test *t);
void given_elsewhere(const struct test *t);
void frames_race(const struct test *t);
void load_elsewhere(const struct test *t);
void stops_elsewhere(const struct test *t);
void posted_elsewhere(const struct test *t);
void generations(const struct test *t);
void double_fault(const struct test *t);

/* --- entries of page tables --- */

static inline uint32_t entry(uint32_t mfn, uint32_t flags)
{
	return mfn << PAGE_SHIFT | flags | PTE_P;
}
/* A slot of the page directory that has no table: user addresses 0xA0000000 to 0xA03FFFFF. */
enum { FREE_SLOT = 0x280 };
static inline uint32_t slot_machine(uint32_t directory, unsigned slot)
{
	return (directory << PAGE_SHIFT) + slot * 4;
}
/* Machine address of the loaded directory's FREE_SLOT. FAILED if the program uses it. */
uint32_t free_slot(struct victim *v);

#endif
