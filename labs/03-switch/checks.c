/* SPDX-License-Identifier: MIT */
/*
 * The checks of lab 3: what each is called, what it is worth, and where to read about it. text: what `make debug` types, unless it
 * is a switch there and back.
 */
#include "checks.h"

#define FAIL "echo fail protect > /proc/switch; echo virtual > /proc/mode\n"

const struct test lab_03_checks[] = {
	{ .name = "phases", .run = lab3_phases, .points = 4, .exercise = 2, .seconds = 60, .machine = { .budget = 100 },
	  .title = "the leader does the phases in order", .see = "handout 3.2", .stop_at = "request" },
	{ .name = "vo-busy", .run = lab3_vo_busy, .points = 12, .exercise = 1, .seconds = 30, .machine = { .cpus = 2 },
	  .title = "no switch while a CPU is within the VO or holds it", .see = "handout 3.1", .stop_at = "quiesce" },
	{ .name = "silent-cpu", .run = lab3_silent_cpu, .points = 10, .exercise = 12, .seconds = 40, .machine = { .cpus = 3 },
	  .title = "a CPU that does not come ends the try, and harms nobody", .see = "handout 3.3, 6.2", .stop_at = "gather" },
	{ .name = "rendezvous", .run = lab3_rendezvous, .points = 14, .exercise = 5, .seconds = 40, .machine = { .cpus = 3 },
	  .title = "every CPU has done a step before any goes on", .see = "handout 3.4, 3.5", .stop_at = "install" },
	{ .name = "attach", .run = lab3_attach, .points = 8, .exercise = 8, .seconds = 60, .machine = { .budget = 100 },
	  .title = "the VO is exchanged in commit, and the machine is whole", .see = "handout 4.2", .stop_at = "commit" },
	{ .name = "frames", .run = lab3_frames, .points = 10, .exercise = 7, .seconds = 30, .machine = { .free_running = true },
	  .title = "saved code selectors, in both directions", .see = "handout 4.1; SDM vol. 3, 6.12.1", .stop_at = "translate",
	  .text = "switcher 20 0 torn 40\n" },
	{ .name = "detach", .run = lab3_detach, .points = 10, .exercise = 10, .seconds = 60, .machine = { .budget = 100 },
	  .title = "everything as before attach, no TLB entry left", .see = "handout 5.2; SDM vol. 3, 8.2.2, 4.10.4.1", .stop_at = "commit" },
	{ .name = "events", .run = lab3_events, .points = 10, .exercise = 9, .seconds = 60, .machine = { .budget = 100 },
	  .title = "pending interrupts come once, in the new mode", .see = "handout 5.1; SDM vol. 3, 11.8", .stop_at = "install" },
	{ .name = "sweep", .run = lab3_sweep, .points = 3, .exercise = 9, .seconds = 60, .machine = { .budget = 350 },
	  .title = "the tick at many instructions of a switch", .see = "handout 5.1", .stop_at = "request" },
	{ .name = "both-ways-smp4", .run = lab3_both_ways, .points = 3, .exercise = 6, .seconds = 30, .machine = { .cpus = 4 },
	  .title = "four processors, there and back", .see = "handout 3.5", .stop_at = "request" },
	{ .name = "roll-back", .run = lab3_roll_back, .points = 8, .exercise = 11, .seconds = 60, .machine = { .budget = 100 },
	  .title = "a failure in any phase leaves all as it was", .see = "handout 6.1", .stop_at = "switch_mode", .text = FAIL },
	{ .name = "roll-back-smp3", .run = lab3_roll_back_smp, .points = 3, .exercise = 11, .seconds = 40, .machine = { .cpus = 3 },
	  .title = "the same with three processors", .see = "handout 6.1", .stop_at = "switch_mode", .text = FAIL },
	{ .name = "finale", .run = lab3_finale, .points = 3, .exercise = 11, .seconds = 25, .number = 500, .machine = { .free_running = true },
	  .title = "a thousand switches under load", .see = "handout 7", .stop_at = "switch_mode" },
	{ .name = "both-ways-bochs", .run = lab3_bochs, .points = 2, .exercise = 10, .seconds = 120, .machine = { .bochs = true },
	  .title = "there and back in Bochs", .see = "handout 7", .stop_at = "request" },
	{ 0 },
};
