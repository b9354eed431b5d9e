/* SPDX-License-Identifier: MIT */
/*
 * Records domains at work from outside, as switch.c records mode switches: how the CPU comes from a
 * guest to domain 0, and one read of a guest's disk, through the ring and back.
 */
#include "judge.h"
#include "offsets.h"
#include "viewer.h"
#include "vmm_abi.h"
#include "x86.h"

enum { MEMORY = 32, PHASES_MAX = 8, MAX_STEPS = 400000, RECORDED = 40000 };

/* A story: its name, its phases, and the functions with which the phases after the first begin. */
static const struct tale {
	const char *title, *name, *begin;
	const char *phases[PHASES_MAX + 1], *begins[PHASES_MAX];
} tales[] = {
	[SWITCH_OF_DOMAINS] = {
		"a domain switch", "domain switch", "exit_entry",
		{ "interrupt", "note", "choose", "exchange", "memory", "deliver" },
		{ "irq_arrived", "vcpu_schedule", "exchange", "exchange_memory", "event_deliver" },
	},
	[BLOCK_REQUEST] = {
		"a read of a guest's disk", "block request", "front_move",
		{ "ask", "notify", "switch", "wake", "serve", "answer", "back", "take" },
		{ "port_notify", "vcpu_schedule", "ports_handle", "serve", "ring_publish",
		  "vcpu_schedule", "ring_take" },
	},
};

static const struct stop kernel_stops[] = {
	{ "front_move", 0 }, { "port_notify", 0 }, { "ports_handle", 0 }, { "wake_server", 0 },
	{ "serve_all", 0 }, { "serve", 0 }, { "ring_take", 0 }, { "ext2_direct", 0 },
	{ "ring_publish", 0 }, { "ring_ask", 0 }, { "sched_idle", 0 }, { "port_wake", 0 },
	{ "panic", 0 }, { NULL, 0 },
};
static const struct stop vmm_stops[] = {
	{ "irq_arrived", 0 }, { "timer_fired", 0 }, { "hypercall_handle", 0 }, { "port_send", 0 },
	{ "vcpu_post", 0 }, { "hazard_handle", 0 }, { "vcpu_schedule", 0 }, { "timers_expire", 0 },
	{ "hand_over", 0 }, { "exchange", 0 }, { "exchange_fpu", 0 }, { "exchange_memory", 0 },
	{ "event_deliver", 0 }, { "bounce", 0 }, { "vmm_panic", 0 }, { NULL, 0 },
};

static unsigned domain_here(struct machine *m)
{
	struct cpu_state c[CPUS_MAX];
	machine_state(m, c);
	return domain_now(m, c[0].cr3);
}

static void run_to(struct machine *m, uint32_t address)
{
	gdb_break(m, address, true);
	if (!gdb_run(m, 60))
		give_up(FAILED, "the machine does not come to %#x", address);
	gdb_break(m, address, false);
}

/* Where the timer's interrupt enters the VMM. */
static uint32_t timer_entry(struct machine *m)
{
	struct cpu_state c[CPUS_MAX];
	uint32_t gate[2];
	machine_state(m, c);
	virtual_read(m, c[0].cr3, c[0].idt.base + 8 * VEC_TIMER, gate, sizeof(gate));
	return (gate[0] & 0xFFFF) | (gate[1] & 0xFFFF0000);
}

/* Let the timer interrupt a guest. */
static void await_timer(struct machine *m)
{
	do
		run_to(m, timer_entry(m));
	while (domain_here(m) == 0);
}

/* A guest computes, and domain 0 sleeps. */
static void begin_switch(struct machine *m)
{
	command(m, "dom create one 'cmdline=run=\"cat /dev/zero >/dev/null\"'", 60);
	command(m, "sleep 0.1", 60);
	machine_stop(m);
	gdb_connect(m);
	await_timer(m);
}

static void step_to(struct machine *m, uint32_t address)
{
	unsigned n = 0;
	do {
		gdb_step(m);
		if (++n == MAX_STEPS)
			give_up(FAILED, "the guest does not come to %#x", address);
	} while (gdb_register(m, GDB_EIP) != address || !domain_here(m));
}

/*
 * A guest reads its root. The stop at its first request lets a tick come, which is over when that
 * one returns.
 */
static void begin_request(struct machine *m)
{
	uint32_t front = symbol("front_move"), back;
	machine_stop(m);
	gdb_connect(m);
	machine_send(m, "dom create one disk=/boot/guest.ext2:ro\n");
	run_to(m, front);
	gdb_read(m, gdb_register(m, GDB_ESP), &back, sizeof(back));
	steps_without_timers(m);
	step_to(m, back);
	step_to(m, front);
}

struct machine *domains_start(enum domain_story s)
{
	places_add(kernel_file, kernel_stops);
	places_add(vmm_file, vmm_stops);
	struct machine *m = start_to_prompt(&(struct machine_options){ .mem = MEMORY });
	command(m, "echo virtual >/proc/mode", 20);
	s == BLOCK_REQUEST ? begin_request(m) : begin_switch(m);
	steps_without_timers(m);
	return m;
}

/*
 * Whether the story is over: the kernel of domain 0 runs, or the guest's call has returned. back:
 * that call's return address.
 */
static bool over(struct machine *m, enum domain_story s, uint32_t eip, uint32_t back)
{
	return s == BLOCK_REQUEST ? eip == back && domain_here(m) : eip < VMM_BASE;
}

/* Result: NULL if the story took another way: the timer was the guest's own, and it goes on. */
static json_t *record(struct machine *m, enum domain_story s, bool instructions)
{
	const struct tale *t = &tales[s];
	const char *last = t->begin;
	char title[100];
	uint32_t back = 0, eip, before;
	unsigned phase = 0, n = 0;
	snprintf(title, sizeof(title), "Cinnabar: %s, %s", t->title,
		 instructions ? "instruction by instruction" : "step by step");
	struct recording *r = recording_begin(m, title);
	recording_of_domains(r, t->name, t->phases,
			     s == BLOCK_REQUEST ? kernel_member("back", "pages") : 0);
	if (s == BLOCK_REQUEST)
		gdb_read(m, gdb_register(m, GDB_ESP), &back, sizeof(back));
	eip = recording_step(r, t->name, phase, last);
	do {
		before = eip;
		gdb_step(m);
		eip = gdb_register(m, GDB_EIP);
		const struct place *place = place_at(eip);
		bool stop = place && strcmp(place->name, last) != 0;
		last = stop ? place->name : last;
		if (stop && t->begins[phase] && strcmp(last, t->begins[phase]) == 0)
			phase++;
		if ((stop || (instructions && eip != before)) && !over(m, s, eip, back))
			recording_step(r, t->name, phase, stop ? last : NULL);
		if (++n == RECORDED || strstr(last, "panic"))
			give_up(FAILED, "the story has no end after %u instructions; last: %s()", n,
				last);
	} while (!over(m, s, eip, back));
	if (t->begins[phase] && s == BLOCK_REQUEST)
		give_up(FAILED, "the story ends in its phase %s", t->phases[phase]);
	if (t->begins[phase])
		return recording_drop(r), NULL;
	recording_step(r, t->name, phase, NULL);
	return recording_end(r);
}

json_t *domains_record(struct machine *m, enum domain_story s, bool instructions)
{
	json_t *json;
	while (!(json = record(m, s, instructions)))
		await_timer(m);
	return json;
}
