/* SPDX-License-Identifier: MIT */
/*
 * The checks of lab 3: what each is called, what it is worth, and where to read about it. text is
 * what `make debug` types; without it, that is a switch there and back.
 */
#include "checks.h"

#define FAIL "echo fail protect > /proc/switch; echo virtual > /proc/mode\n"
#define SDM "SDM vol. 3, "

#define ROW(k, n, function, worth) \
	.exercise = k, .name = n, .run = check_##function, .points = worth

const struct test lab_03_checks[] = {
	{ ROW(2, "phases", phases, 4), .seconds = 60, .machine = { .budget = 100 },
	  .title = "the leader does the phases in order",
	  .see = "handout 3.2", .stop_at = "request" },
	{ ROW(1, "vo-busy", vo_busy, 12), .seconds = 30, .machine = { .cpus = 2 },
	  .title = "no switch while a CPU is within the VO or holds it",
	  .see = "handout 3.1", .stop_at = "quiesce" },
	{ ROW(12, "silent-cpu", silent_cpu, 10), .seconds = 40, .machine = { .cpus = 3 },
	  .title = "a CPU that does not come ends the try, and harms nobody",
	  .see = "handout 3.3, 6.2", .stop_at = "gather" },
	{ ROW(5, "rendezvous", rendezvous, 14), .seconds = 40, .machine = { .cpus = 3 },
	  .title = "every CPU has done a step before any goes on",
	  .see = "handout 3.4, 3.5", .stop_at = "install" },

	{ ROW(8, "attach", attach, 8), .seconds = 60, .machine = { .budget = 100 },
	  .title = "the VO is exchanged in commit, and the machine is whole",
	  .see = "handout 4.2", .stop_at = "commit" },
	{ ROW(7, "frames", frames, 10), .seconds = 30, .machine = { .free_running = true },
	  .title = "saved code selectors, in both directions",
	  .see = "handout 4.1; " SDM "6.12.1", .stop_at = "translate",
	  .text = "switcher 20 0 torn 40\n" },
	{ ROW(10, "detach", detach, 10), .seconds = 60, .machine = { .budget = 100 },
	  .title = "everything as before attach, no TLB entry left",
	  .see = "handout 5.2; " SDM "8.2.2, 4.10.4.1", .stop_at = "commit" },
	{ ROW(9, "events", events, 10), .seconds = 60, .machine = { .budget = 100 },
	  .title = "pending interrupts come once, in the new mode",
	  .see = "handout 5.1; " SDM "11.8", .stop_at = "install" },
	{ ROW(9, "sweep", sweep, 3), .seconds = 60, .machine = { .budget = 350 },
	  .title = "the tick at many instructions of a switch",
	  .see = "handout 5.1", .stop_at = "request" },
	{ ROW(6, "both-ways-smp4", both_ways, 3), .seconds = 30, .machine = { .cpus = 4 },
	  .title = "four processors, there and back",
	  .see = "handout 3.5", .stop_at = "request" },

	{ ROW(11, "roll-back", roll_back, 8), .seconds = 60, .machine = { .budget = 100 },
	  .title = "a failure in any phase leaves all as it was",
	  .see = "handout 6.1", .stop_at = "switch_mode", .text = FAIL },
	{ ROW(11, "roll-back-smp3", roll_back_smp, 3), .seconds = 40, .machine = { .cpus = 3 },
	  .title = "the same with three processors",
	  .see = "handout 6.1", .stop_at = "switch_mode", .text = FAIL },
	{ ROW(11, "finale", finale, 3), .seconds = 25, .number = 500,
	  .machine = { .free_running = true }, .title = "a thousand switches under load",
	  .see = "handout 7", .stop_at = "switch_mode" },
	{ ROW(10, "both-ways-bochs", bochs, 2), .seconds = 120, .machine = { .bochs = true },
	  .title = "there and back in Bochs",
	  .see = "handout 7", .stop_at = "request" },
	{ 0 },
};
