/* SPDX-License-Identifier: MIT */
/*
 * The checks of lab 3: what each is called, what it is worth, and where to read about it. text is
 * what `make debug` types; without it, that is a switch there and back.
 */
#include "checks.h"

#define FAIL "echo fail protect > /proc/switch; echo virtual > /proc/mode\n"
#define SDM "SDM vol. 3, "
#define EVENTS "p/x c->current->shared->pending;p/x vmm_lock_word"

#define EVENTS_HINT "If no event pends: `set var c->current->shared->pending = 2` makes the " \
	"keyboard's line one to follow."

/* Steps are of this CPU: else GDB lets the others run meanwhile, and may stop on one of them. */
#define STEPS "set scheduler-locking step;"

/* The leader is told that its time is over (-ETIMEDOUT), while the others come. */
#define SILENT "await;set confirm off;return -110"

#define ROW(k, n, function, worth) \
	.exercise = k, .name = n, .run = check_##function, .points = worth

/* For checks of single functions: three CPUs, of which the check lets one run at a time. */
#define ALONE .seconds = 40, .machine = { .cpus = 3 }

const struct test lab_03_checks[] = {
	{ ROW(1, "vo-busy", vo_busy, 6), ALONE,
	  .title = "each CPU says whether it is in the VO, or holds it",
	  .see = "handout 3.1; " SDM "8.1.2", .stop_at = "switch_interrupt",
	  .look = STEPS "cb where;p rendezvous;x/3xw vo_uses",
	  .hint = "If no CPU is busy: `set var vo_uses[N] = 1` makes CPU N hold the VO; and 0 "
		  "before the next try." },
	{ ROW(2, "phases", phases, 7), ALONE,
	  .title = "the leader does the phases in order, until one fails",
	  .see = "handout 3.2", .stop_at = "lead", .look = "p rendezvous;p record" },
	{ ROW(3, "await", await, 6), ALONE,
	  .title = "the leader waits for all others, and at most a second",
	  .see = "handout 3.3", .stop_at = "await", .look = "p/x *bits;p nr_cpus" },
	{ ROW(4, "quiesce", quiesce, 3), ALONE,
	  .title = "no switch while a CPU is busy",
	  .see = "handout 3.4", .stop_at = "quiesce", .look = STEPS "p/x rendezvous.busy",
	  .hint = "If no CPU is busy: `set var rendezvous.busy = 1` says that CPU 0 is." },
	{ ROW(5, "orders", orders, 8), ALONE,
	  .title = "every CPU has done a step before the leader goes on",
	  .see = "handout 3.5", .stop_at = "everywhere", .look = "p step;p rendezvous" },
	{ ROW(6, "follow", follow, 8), ALONE,
	  .title = "a follower does each step once, and then says so",
	  .see = "handout 3.6", .stop_at = "follow", .look = "cb where;p rendezvous" },
	{ ROW(7, "selectors", selectors, 6), ALONE,
	  .title = "saved code selectors get the ring of the new mode",
	  .see = "handout 4.1; SDM vol. 2, IRET", .stop_at = "translate_trap_frames",
	  .look = STEPS "p attach;p/x *(struct trap_frame *)t->trap_frames" },
	{ ROW(8, "commit", commit, 5), ALONE,
	  .title = "the VO is exchanged, wholly",
	  .see = "handout 4.2", .stop_at = "commit", .look = STEPS "p attach;cb vo" },
	{ ROW(9, "reinject", reinject, 8), ALONE,
	  .title = "each pending event becomes an interrupt, once",
	  .see = "handout 5.1; " SDM "11.8", .stop_at = "irq_reinject", .look = STEPS EVENTS,
	  .hint = EVENTS_HINT },
	{ ROW(10, "give-back", cpu_restore, 8), ALONE,
	  .title = "registers and tables are those from before attach, and the TLB is empty",
	  .see = "handout 5.2; " SDM "8.2.2, 4.10.4.1", .stop_at = "cpu_restore",
	  .look = STEPS "p/x c->native;cb gdt;cb tss" },
	{ ROW(11, "undo", undo_phases, 6), ALONE,
	  .title = "what was done is undone, last first",
	  .see = "handout 6.1", .stop_at = "undo", .text = FAIL,
	  .look = "p failed;p rendezvous.attach" },
	{ ROW(12, "dismiss", dismiss, 4), ALONE,
	  .title = "those that came are sent away, and nobody is waited for",
	  .first = SILENT, .see = "handout 6.2", .stop_at = "dismiss",
	  .look = STEPS "p rendezvous" },

	{ ROW(6, "rendezvous", rendezvous, 4), .seconds = 40, .needs = EXERCISES(1, 8),
	  .machine = { .cpus = 3 },
	  .title = "a real switch of three processors, one of them late",
	  .see = "handout 3.5, 3.6", .stop_at = "install", .look = "cb where;p rendezvous" },
	{ ROW(8, "attach", attach, 2), .seconds = 60, .needs = EXERCISES(1, 8),
	  .title = "the VO is exchanged in commit, and the machine is whole",
	  .see = "handout 4.2", .stop_at = "commit", .stop_if = "attach",
	  .look = "cb vo;cb where" },
	{ ROW(10, "detach", detach, 2), .seconds = 60, .needs = EXERCISES(1, 10),
	  .title = "everything as before attach",
	  .see = "handout 5.2", .stop_at = "commit", .stop_if = "!attach",
	  .look = "cb where;cb gdt;cb tss" },
	{ ROW(7, "frames", frames, 3), .seconds = 30, .needs = EXERCISES(1, 10),
	  .title = "saved code selectors of a preempted task, in both directions",
	  .see = "handout 4.1; " SDM "6.12.1", .stop_at = "translate_trap_frames",
	  .text = "switcher 1 0 torn 2\n",
	  .look = "p attach;p/x *(struct trap_frame *)t->trap_frames" },
	{ ROW(9, "events", events, 3), .seconds = 60, .needs = EXERCISES(1, 10),
	  .title = "pending interrupts come once, in the new mode",
	  .see = "handout 5.1; " SDM "11.8", .stop_at = "irq_reinject", .look = EVENTS,
	  .hint = EVENTS_HINT },
	{ ROW(9, "sweep", sweep, 2), .seconds = 60, .needs = EXERCISES(1, 10),
	  .machine = { .budget = 300 },
	  .title = "the tick at many instructions of a switch",
	  .see = "handout 5.1", .stop_at = "irq_reinject", .look = EVENTS, .hint = EVENTS_HINT },
	{ ROW(11, "roll-back", roll_back, 3), .seconds = 60, .needs = EXERCISES(1, 11),
	  .title = "a failure in any phase leaves all as it was",
	  .see = "handout 6.1", .stop_at = "undo", .text = FAIL,
	  .look = "p failed;p rendezvous.attach" },
	{ ROW(12, "silent-cpu", silent_cpu, 2), .seconds = 40, .machine = { .cpus = 3 },
	  .needs = EXERCISES(1, 3) | EXERCISES(6, 6) | EXERCISES(12, 12),
	  .title = "a CPU that does not come ends the try, and harms nobody",
	  .first = SILENT, .see = "handout 3.3, 6.2", .stop_at = "dismiss",
	  .look = "cb where;p rendezvous" },
	{ ROW(11, "roll-back-smp4", roll_back_smp, 2), .seconds = 40, .needs = EXERCISES(1, 11),
	  .machine = { .cpus = 4 },
	  .title = "there and back, and failures on the way, with four processors",
	  .see = "handout 6.1", .stop_at = "undo", .text = FAIL,
	  .look = "p failed;p rendezvous.attach" },
	{ ROW(10, "finale", finale, 1), .seconds = 60, .needs = EXERCISES(1, 11),
	  .number = 100,
	  .machine = { .budget = 250 }, .title = "a thousand switches under load",
	  .see = "handout 7", .stop_at = "switch_mode" },
	{ ROW(10, "both-ways-bochs", bochs, 1), .seconds = 120, .needs = EXERCISES(1, 10),
	  .machine = { .bochs = true },
	  .title = "there and back in Bochs",
	  .see = "handout 7", .stop_at = "request" },
	{ 0 },
};
