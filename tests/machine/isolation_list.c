/* SPDX-License-Identifier: MIT */
/*
 * The list of the isolation tests: each names the groups of attacks that one machine must survive.
 * The numbers in the names are those of the rules in docs/isolation.md.
 */
#include "isolation_guests.h"

static const struct { const char *name; part *run; } parts[] = {
#define PART(f) { #f, f }
	PART(privileged), PART(flags), PART(ports), PART(interrupts), PART(selectors),
	PART(ldt_selectors), PART(sysenter), PART(nulls), PART(null_accesses), PART(limits),
	PART(user_limits),
	PART(debug_traps), PART(icebp), PART(fpu), PART(events), PART(arguments),
	PART(references), PART(frame_numbers), PART(entry_bits), PART(directories), PART(stale),
	PART(stale_global), PART(access_matrix), PART(owners), PART(rights),
	PART(detach_orders), PART(recount_entries), PART(failed_calls), PART(long_loads),
	PART(vm86), PART(nmi), PART(invlpg), PART(level_line),
	PART(random_references), PART(random_references_soak), PART(fuzz_calls),
	PART(fuzz_calls_soak), PART(guest_lives), PART(guest_births), PART(guest_translations),
	PART(guest_registers), PART(guest_rights), PART(guest_events), PART(guest_deaths),
	PART(guest_deaths_soak), PART(guest_ports), PART(guest_limits),
	PART(guest_last_frame), PART(guest_vm86), PART(guest_fuzz), PART(guest_fuzz_soak),
	PART(guest_lines), PART(guest_slices), PART(guest_timers), PART(guest_idle),
	PART(longest_calls), PART(guest_vcpus), PART(guest_remains), PART(guest_wakes),
	PART(guest_loans), PART(guest_all_ports), PART(partial_loads), PART(endless_loads),
	PART(nmi_short_way),
};

static part *part_of(const char *name)
{
	for (unsigned i = 0; i < COUNT(parts); i++)
		if (strcmp(parts[i].name, name) == 0)
			return parts[i].run;
	give_up(BROKEN, "no part %s", name);
}

/* Parts that share a machine, and what is checked after each. */
static void run_parts(struct victim *v, const char *names, part *check)
{
	char *text = strdup(names), *rest = text;
	for (char *name; (name = strsep(&rest, " "));) {
		part_of(name)(v);
		check(v);
	}
}

/* text: parts that share a machine, which must survive them; number: which build. */
enum { DEBUG_BUILD = 1, ROBIN_BUILD };
static void survive(const struct test *t)
{
	if (t->number == DEBUG_BUILD)
		use_debug_build();
	if (t->number == ROBIN_BUILD)
		use_robin_build();
	struct victim *v = victim_start(&t->machine);
	run_parts(v, t->text, check_victim);
	ALLOWED(v, HC_RECOUNT, 0, 0, 0, 0);
	victim_end(v);
}

static void check_frames(struct victim *v)
{
	check_frame_table(v->m);
	check_domains(v->m);
}

/* The same with several CPUs: guests live on the other ones. */
static void survive_elsewhere(const struct test *t)
{
	struct guest_plan there;
	struct victim *v = victim_elsewhere(t, &there);
	run_parts(v, t->text, check_frames);
	guest_end(v, &there);
	ALLOWED(v, HC_RECOUNT, 0, 0, 0, 0);
	check_victim(v);
	machine_quit(v->m);
}

/*
 * Random hypercalls change what the kernel needs (ticks, masks, devices) and show programs what
 * they should not see, so the kernel cannot go on. Only the CPU's invariants are checked here, the
 * frame table by the part itself.
 */
static void fuzz(const struct test *t)
{
	struct victim *v = victim_start(&t->machine);
	struct cpu_state cpus[CPUS_MAX];
	part_of(t->text)(v);
	machine_state(v->m, cpus);
	check_cpu_virtual(v->m, 0, &cpus[0]);
	machine_quit(v->m);
}

#define ROW(n, f, s, words, ...) \
	{ .name = "isolation-" n, .run = f, .seconds = s, .text = words, __VA_ARGS__ }
#define SURVIVE(n, parts) ROW(n, survive, 120, parts, )
#define BOCHS(n, parts) ROW(n "-bochs", survive, 200, parts, .machine = { .bochs = true })
#define SMP4(n, parts) ROW(n "-smp4", survive_elsewhere, 200, parts, .machine = { .cpus = 4 })
#define BOCHS4(n, parts) \
	{ .name = "soak-isolation-" n "-bochs-smp4", .run = survive_elsewhere, .seconds = 600, \
	  .text = parts, .machine = { .bochs = true, .cpus = 4 } }
#define V86(n, parts) ROW(n "-v86", survive, 200, parts, .machine = { .v86 = true, .mem = 16 })
#define STOPPED(n, first, count, ...) \
	ROW(n, stopped, 200, count, .number = first, .machine = { __VA_ARGS__ })
#define STATES(n, s, count, k, ...) \
	{ .name = n, .run = random_states, .seconds = s, .text = count, .number = k, \
	  .machine = { __VA_ARGS__ } }
#define ELSEWHERE(n, f) /* with another CPU, and with seven */ \
	ROW(n "-smp2", f, 60, NULL, .machine = { .cpus = 2 }), \
	ROW(n "-smp8", f, 60, NULL, .machine = { .cpus = 8 })
#define REFUSES(n, which, words) ROW(n, warm_up_refuses, 60, words, .number = which)
const struct test isolation_tests[] = {
	SURVIVE("01-privileged", "privileged"),
	SURVIVE("02-03-12-flags", "flags"),
	SURVIVE("04-ports", "ports"),
	SURVIVE("05-interrupts", "interrupts"),
	SURVIVE("06-07-selectors", "selectors"),
	SURVIVE("08-09-limits", "limits"),
	SURVIVE("08-programs", "user_limits"),
	SURVIVE("10-nulls", "nulls"),
	SURVIVE("10-null-accesses", "null_accesses"),
	SURVIVE("11-sysenter", "sysenter"),
	STOPPED("13-stores", 0, "8", 0),
	SURVIVE("14-17-references", "references"),
	SURVIVE("16-stale", "stale"),
	SURVIVE("17-directories", "directories"),
	SURVIVE("18-random", "random_references"),
	SURVIVE("19-frame-numbers", "frame_numbers"),
	SURVIVE("20-entry-bits", "entry_bits"),
	SURVIVE("21-stale-global", "stale_global"),
	SURVIVE("22-access-matrix", "access_matrix"),
	STOPPED("23-stacks", 8, "12", 0),
	ROW("24-entry-stack", bad_entry_stack, 60, NULL, ),
	ROW("double-fault", double_fault, 60, NULL, ),
	ROW("double-fault-bochs", double_fault, 100, NULL, .machine = { .bochs = true }),
	SURVIVE("25-30-events", "events"),
	SURVIVE("25-level-line", "level_line"),
	ROW("25-level-serial", level_serial, 60, NULL, .machine = { .paused = true }),
	ROW("25-level-serial-bochs", level_serial, 120, NULL,
	    .machine = { .paused = true, .bochs = true }),
	ROW("41-bus-masters", bus_masters, 60, NULL, .machine = { .paused = true }),
	ROW("41-many-functions", too_many_functions, 60, NULL, .machine = { .paused = true }),
	ROW("41-behind-bridges", behind_bridges, 60, NULL, .machine = { .paused = true }),
	ROW("41-vector-without-gate", vector_without_gate, 60, NULL, ),
	SURVIVE("26-fpu", "fpu"),
	SURVIVE("27-29-debug-traps", "debug_traps"),
	SURVIVE("27-icebp", "icebp"),
	ROW("28-old-breakpoint", old_breakpoint, 60, NULL, ),
	ROW("28-old-breakpoint-eager", old_breakpoint, 60, NULL, .number = 1),
	ROW("31-fuzz", fuzz, 120, "fuzz_calls", ),
	SURVIVE("32-36-arguments", "arguments"),
	SURVIVE("owner", "owners"),
	SURVIVE("rights", "rights"),
	SURVIVE("42-detach", "detach_orders recount_entries"),
	SURVIVE("17-55-failed-calls", "failed_calls long_loads partial_loads endless_loads"),
	ROW("55-longest", survive, 120, "longest_calls", .machine = { .mem = 96 }),
	SURVIVE("43-vm86", "vm86 nmi"),
	SURVIVE("43-nmi", "nmi_short_way"),
	SURVIVE("invlpg", "invlpg"),
	ROW("own-failure", own_failure, 60, NULL, ),
	ROW("machine-check", machine_check, 60, NULL, ),
	ROW("machine-check-bochs", machine_check, 100, NULL, .machine = { .bochs = true }),
	ROW("43-gdt", gdt_is_table, 60, NULL, ),
	ROW("43-idt-tss", tables_are_tables, 60, NULL, ),
	ROW("43-segment-end-bochs", end_of_segment, 200, NULL, .machine = { .bochs = true }),
	ROW("41-inherited", inherited, 90, NULL, ),
	ROW("41-apic-moved-bochs", apic_moved, 120, NULL,
	    .machine = { .bochs = true, .paused = true, .cmdline = "mode=virtual" }),
	ROW("41-inherited-unseen", inherited_unseen, 20, NULL, ),
	REFUSES("44-user-half", 0, "its directory maps user addresses"),
	REFUSES("44-alias", 1, "is mapped twice"),
	REFUSES("44-vmm-block", 2, "it maps the VMM's memory"),
	REFUSES("44-direct-map", 3, "is mapped twice"),
	REFUSES("44-large-page", 4, "a slot has no page table of its own"),
	STATES("isolation-43-states", 120, "8000", 1, 0),
	STATES("isolation-43-states-smp4", 120, "1500", 2, .cpus = 4),
	STATES("isolation-43-states-smp8", 120, "400", 3, .cpus = 8),
	STATES("isolation-43-states-bochs-smp4", 120, "1000", 4, .bochs = true, .cpus = 4),
	ELSEWHERE("16-promoted", promoted_elsewhere),
	ELSEWHERE("16-released", released_elsewhere),
	ELSEWHERE("42-detach", detach_elsewhere),
	ROW("56-timer-smp2", timer_elsewhere, 60, NULL, .machine = { .cpus = 2 }),
	ROW("48-given-smp2", given_elsewhere, 60, NULL, .machine = { .cpus = 2 }),
	ROW("48-race-smp2", frames_race, 120, NULL, .number = 2, .machine = { .cpus = 2 }),
	ROW("48-race-smp4", frames_race, 120, NULL, .number = 7, .machine = { .cpus = 4 }),
	ROW("55-load-smp2", load_elsewhere, 60, NULL, .machine = { .cpus = 2 }),
	ROW("report-smp2", stops_elsewhere, 60, NULL, .machine = { .cpus = 2 }),
	ROW("57-posted-smp2", posted_elsewhere, 60, NULL, .machine = { .cpus = 2 }),
	ROW("generations", generations, 120, NULL, ),
	ROW("14-22-shuffle", survive, 120, "references stale directories access_matrix",
	    .machine = { .p2m = "shuffle:4" }),
	/* Where a call needs the lock, the debug build asserts that it is taken. It recounts. */
	ROW("debug", survive, 120,
	    "arguments events rights failed_calls detach_orders references",
	    .number = DEBUG_BUILD),
	SURVIVE("guest", "guest_lives guest_vcpus guest_remains guest_wakes"),
	SURVIVE("49-50-births", "guest_births"),
	SURVIVE("14-newborn", "guest_last_frame"),
	SURVIVE("43-guest-vm86", "guest_vm86"),
	SURVIVE("46-51-registers", "guest_translations guest_registers"),
	ROW("51-images", images, 120, NULL, ),
	ROW("51-images-debug", images, 120, NULL, .number = 1),
	SURVIVE("47-60-guest-rights", "guest_rights"),
	SURVIVE("52-53-guest-events", "guest_events"),
	SURVIVE("52-guest-lines", "guest_lines"),
	SURVIVE("53-guest-time", "guest_slices guest_timers guest_idle"),
	SURVIVE("54-57-ports", "guest_ports guest_limits guest_all_ports"),
	SURVIVE("59-loans", "guest_loans"),
	SURVIVE("56-deaths", "guest_deaths"),
	SURVIVE("31-guest-fuzz", "guest_fuzz"),
	ROW("56-kills", kills, 120, "600", .number = 5, .machine = { .cpus = 2 }),
	ROW("guests-debug", survive, 200, "guest_lives guest_births guest_translations "
	    "guest_registers guest_rights guest_events guest_lines guest_slices guest_timers "
	    "guest_idle guest_vm86 guest_deaths", .number = DEBUG_BUILD),
	{ .name = "domains-exit-costs", .run = exit_costs, .seconds = 200 },
	SMP4("46-51-registers", "guest_translations guest_registers"),
	SMP4("47-60-guest-rights", "guest_rights guest_vm86 guest_last_frame"),
	SMP4("49-50-births", "guest_births guest_vcpus guest_remains guest_wakes"),
	SMP4("52-53-guest-events", "guest_events guest_slices guest_idle"),
	SMP4("54-59-ports", "guest_ports guest_limits guest_all_ports guest_loans"),
	SMP4("56-deaths", "guest_deaths"),
	SMP4("31-guest-fuzz", "guest_fuzz"),
	BOCHS("49-50-births", "guest_lives guest_births"),
	BOCHS("46-51-registers", "guest_translations guest_registers"),
	BOCHS("47-57-guests", "guest_rights guest_events guest_ports guest_last_frame guest_vm86"),
	BOCHS("53-guest-time", "guest_slices guest_timers guest_idle"),
	BOCHS("56-deaths", "guest_deaths"),
	BOCHS("54-59-guests", "guest_loans guest_limits guest_all_ports"),
	BOCHS("01-12", "privileged flags selectors sysenter nulls null_accesses"),
	BOCHS("05-interrupts", "interrupts"),
	BOCHS("08-09-limits", "limits user_limits"),
	BOCHS("14-22-memory", "references stale stale_global directories access_matrix"),
	BOCHS("25-30-events", "events fpu debug_traps icebp vm86"),
	STOPPED("13-stores-bochs", 0, "2", .bochs = true),
	STOPPED("23-stacks-bochs", 16, "7", .bochs = true),
	V86("01-12", "privileged selectors sysenter nulls null_accesses"),
	V86("02-03-12-flags", "flags"),
	V86("06-ldt", "ldt_selectors"),
	V86("05-interrupts", "interrupts"),
	V86("08-09-limits", "limits user_limits"),
	V86("14-22-memory", "references stale stale_global directories access_matrix"),
	V86("25-30-events", "events fpu vm86"),
	V86("27-29-debug-traps", "debug_traps"),
	V86("27-icebp", "icebp"),
	STOPPED("13-stores-v86", 0, "2", .v86 = true, .mem = 16),
	STOPPED("23-stacks-v86", 8, "2", .v86 = true, .mem = 16),
	{ 0 },
};

const struct test isolation_soak_tests[] = {
	BOCHS4("46-51-registers", "guest_translations guest_registers"),
	BOCHS4("47-60-guest-rights", "guest_rights guest_vm86 guest_last_frame"),
	BOCHS4("49-50-births", "guest_births guest_vcpus guest_remains guest_wakes"),
	BOCHS4("52-53-guest-events", "guest_events guest_idle"),
	BOCHS4("54-59-ports", "guest_ports guest_limits guest_all_ports guest_loans"),
	BOCHS4("56-deaths", "guest_deaths"),
	{ .name = "soak-isolation-18-random", .run = survive, .seconds = 3600,
	  .text = "random_references_soak" },
	STATES("soak-isolation-43-states", 36000, "1000000", 11, 0),
	STATES("soak-isolation-43-states-smp4", 36000, "1000000", 12, .cpus = 4),
	STATES("soak-isolation-43-states-bochs", 36000, "1000000", 13, .bochs = true),
	STATES("soak-isolation-43-states-bochs-smp4", 36000, "1000000", 14, .bochs = true,
	       .cpus = 4),
	{ .name = "soak-isolation-31-fuzz", .run = fuzz, .seconds = 3600,
	  .text = "fuzz_calls_soak" },
	{ .name = "soak-domains-exit-costs", .run = exit_costs, .seconds = 600, .number = 1,
	  .machine = { .mem = 96 } },
	{ .name = "soak-isolation-robin", .run = survive, .seconds = 600, .number = ROBIN_BUILD,
	  .text = "guest_lives guest_translations guest_registers guest_rights guest_events "
		  "guest_lines guest_slices guest_timers guest_idle guest_ports guest_deaths" },
	{ .name = "soak-isolation-31-guest-fuzz", .run = survive, .seconds = 3600,
	  .text = "guest_fuzz_soak" },
	{ .name = "soak-isolation-56-kills", .run = kills, .seconds = 36000, .text = "1",
	  .number = 1, .machine = { .cpus = 2 } },
	{ .name = "soak-isolation-56-deaths", .run = survive, .seconds = 3600,
	  .text = "guest_deaths_soak" },
	{ .name = "soak-isolation-56-deaths-bochs", .run = survive, .seconds = 3600,
	  .text = "guest_deaths", .machine = { .bochs = true } },
	{ .name = "soak-isolation-56-deaths-debug", .run = survive, .seconds = 3600,
	  .text = "guest_deaths", .number = DEBUG_BUILD },
	{ .name = "soak-isolation-13-stores-v86", .run = stopped, .seconds = 3600,
	  .text = "8", .machine = { .v86 = true, .mem = 16 } },
	{ .name = "soak-isolation-23-stacks-v86", .run = stopped, .seconds = 3600,
	  .number = 8, .text = "12", .machine = { .v86 = true, .mem = 16 } },
	{ 0 },
};
