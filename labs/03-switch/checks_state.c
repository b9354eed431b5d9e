/* SPDX-License-Identifier: MIT */
/* Checks of what a switch carries over: the VO, saved selectors, pending interrupts. */
#include "checks.h"

/* --- commit --- */

/* The table changes in commit(), wholly, and nowhere else. */
static void watch_commit(struct machine *m, bool attach)
{
	const char *from = attach ? "native_vo" : "virtual_vo", *to = attach ? "virtual_vo" : "native_vo";
	lab3_ask(m, attach);
	unsigned cpu = lab3_run_to(m, "commit", "the phases before it are done");
	CHECK(lab3_vo_is(m, from), "before commit() the table in use is not %s any more", from);
	int error = lab3_result(m, cpu);
	CHECK(error == 0, "commit() returns %s", lab3_error(error));
	CHECK(lab3_vo_is(m, to), "behind commit() the table in use is not %s", to);
}

void lab3_attach(const struct test *t)
{
	struct machine *m = lab3_start(t, 5);
	watch_commit(m, true);
	lab3_rest(m);
	lab3_check_virtual(m);
	machine_continue(m);
	command(m, "ls /bin | wc; cat /proc/tasks", 20);
	stop_idle(m);
	lab3_check_virtual(m);
}

/* --- frames of interrupted kernel code --- */

enum { MAX_FAULTS = 3000, MAX_LIST = 1000, MAX_TRIES = 100 };

/* The keyboard's controller is told that a key came (8042, command D2): that works while the machine is stopped. */
static void key(struct machine *m)
{
	free(qmp_human(m, "o /b 0x64 0xd2"));
	free(qmp_human(m, "o /b 0x60 0x2a")); /* shift */
}

/* Let a task be preempted in the kernel, in the middle of a page fault of the kernel's: so it has two frames. Result: the task. */
static uint32_t preempt_one(struct machine *m)
{
	for (unsigned i = 0; i < MAX_FAULTS; i++) {
		lab3_run_to(m, "mm_fault", "programs fault");
		struct cpu_state c = lab3_state(m, 0);
		uint32_t task = task_of(&c);
		if (!lab3_word(m, &c, task + TASK_FRAMES) || lab3_word(m, &c, task + TASK_PREEMPT))
			continue;
		lab3_set_word(m, &c, task + TASK_HAZARD, 1); /* HAZARD_RESCHED: the next interrupt ends its turn */
		key(m);
		return task;
	}
	give_up(BROKEN, "no page fault of the kernel's in %u", MAX_FAULTS);
}

/* Result: how many frames. */
static unsigned check_frames_of(struct machine *m, const struct cpu_state *c, uint32_t task, bool attach)
{
	unsigned n = 0, wanted = SEL_KCODE | (attach ? 1 : 0);
	for (uint32_t f = lab3_word(m, c, task + TASK_FRAMES); f && n < MAX_LIST; f = lab3_word(m, c, f + FRAME_OUTER), n++) {
		uint32_t cs = lab3_word(m, c, f + FRAME_CS), eip = lab3_word(m, c, f + FRAME_EIP);
		CHECK(cs == wanted, "frame %u of the task at %#x, interrupted at %#x, has CS %#x before commit(); to go on in ring %u it "
		      "needs %#x: %s", n + 1, task, eip, cs, wanted & 1, wanted, attach ? "an IRET from ring 1 to 0x08 faults"
		      : "ring 0 takes the frame for one with ESP and SS, and pops two words more");
	}
	return n;
}

/* One try. seen: in which directions it was seen at the commit. */
static void frames_once(struct machine *m, bool seen[2])
{
	uint32_t task = preempt_one(m), n = 0;
	lab3_run_to(m, "commit", "the switcher changes the mode all the time");
	struct cpu_state c = lab3_state(m, 0);
	bool attach = lab3_word(m, &c, c.esp + 4) & 0xFF;
	CHECK(check_frames_of(m, &c, task_of(&c), attach) > 0, "the leader has no frame of the kernel's");
	for (uint32_t at = kernel_word(m, "preempted"); at && n < MAX_LIST; at = lab3_word(m, &c, at + TASK_PREEMPTED_NEXT), n++)
		seen[attach] |= check_frames_of(m, &c, at, attach) >= 2 && at == task; /* else it has gone on already */
}

void lab3_frames(const struct test *t)
{
	struct machine *m = lab3_start(t, 6);
	bool seen[2] = { false, false };
	machine_send(m, "switcher 20 0 torn 40\n");
	for (unsigned i = 0; !seen[0] || !seen[1]; i++)
		if (i == MAX_TRIES)
			give_up(BROKEN, "no switch with a preempted task in %u", i);
		else
			frames_once(m, seen);
	machine_continue(m);
	machine_expect(m, PROMPT, 10); /* and with them right, all go on */
}

/* --- events --- */

enum { KEYBOARD = VEC_IRQ + 1, SERIAL_LINE = 4, SCI_LINE = 9, PENDING = 4 };

/* Vectors come as often as is due: key and resched; ticks, the switch's own and the shell's serial line as they like; no other. */
static void check_counts(struct machine *m, const uint32_t before[256], uint32_t key, uint32_t resched, const char *what)
{
	for (unsigned v = VEC_EXCEPTIONS; v < 256; v++) {
		uint32_t n = lab3_count(m, v) - before[v], due = v == KEYBOARD ? key : v == VEC_RESCHED ? resched : 0;
		CHECK(n == due || v == VEC_TIMER || v == VEC_SWITCH || v == VEC_IRQ + SERIAL_LINE, "%s: vector %#x came %u times, %u is due", what, v,
		      n, due);
	}
}

static void read_counts(struct machine *m, uint32_t counts[256])
{
	for (unsigned v = 0; v < 256; v++)
		counts[v] = lab3_count(m, v);
}

static uint32_t *pending_of(struct machine *m) { return (uint32_t *)(m->ram + symbol("vmm_shared") - KERNEL_BASE + PENDING); }

/* A key at the begin of this phase. It must come once, when the switch is over. */
static void key_within(struct machine *m, bool attach, const char *phase)
{
	uint32_t before[256];
	char what[80];
	lab3_ask(m, attach);
	lab3_run_to(m, phase, "a switch was asked for");
	read_counts(m, before);
	key(m);
	if (!attach && strcmp(phase, "account") == 0) {
		lab3_run_to(m, "install", "a switch was asked for");
		if (!(*pending_of(m) >> 1 & 1))
			give_up(FAILED, "the VMM did not post the keyboard's event: is irq_arrived() as it was?");
	}
	lab3_rest(m);
	snprintf(what, sizeof(what), "a key was pressed in %s of %s", phase, attach ? "attach" : "detach");
	check_counts(m, before, 1, 0, what);
	attach ? lab3_check_virtual(m) : lab3_check_native(m);
}

static bool line_masked(struct machine *m, unsigned line)
{
	char label[16], *text = qmp_human(m, "info pic"), *at;
	snprintf(label, sizeof(label), "pin %-2u ", line);
	if (!(at = strstr(text, label)))
		give_up(BROKEN, "QEMU shows no %sof the IOAPIC: %s", label, text);
	at[strcspn(at, "\n")] = '\0';
	bool masked = strstr(at, "masked") != NULL;
	free(text);
	return masked;
}

/* Another CPU seems to be at the IOAPIC: irq_reinject() must wait for it. */
static void want_lock(struct machine *m)
{
	uint32_t lock = vmm_symbol("vmm_lock_word"), places[] = { vmm_symbol("irq_reinject"), vmm_symbol("vmm_lock_wait"), symbol("translate") };
	struct cpu_state c;
	for (unsigned k = 0; k < 3; k++)
		lab3_stop_at(m, places[k]);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(lab3_run_cpus(m, 1, SECONDS) == 0 && (c = lab3_state(m, 0)).eip == places[i],
		      i ? "irq_reinject() does not wait for the VMM's lock, under which another CPU may be at the IOAPIC"
			: "the VMM does not come to irq_reinject()");
		lab3_set_word(m, &c, lock, !i);
	}
	for (unsigned k = 0; k < 3; k++)
		lab3_pass(m, places[k]);
}

/* Events as the VMM posts them: an interrupt between CPUs, and a level-triggered line, which is masked meanwhile. */
static void events_at_detach(struct machine *m)
{
	lab3_ask(m, false);
	lab3_run_to(m, "install", "a switch was asked for");
	*pending_of(m) |= 1u << EVENT_RESCHED | 1u << SCI_LINE;
	uint32_t before[256];
	read_counts(m, before);
	if (!line_masked(m, SCI_LINE))
		give_up(FAILED, "line %u is not masked: is irq_arrived() as it was?", SCI_LINE);
	want_lock(m);
	lab3_rest(m);
	check_counts(m, before, 0, 1, "EVENT_RESCHED and a level-triggered line, whose device asks no more, were pending at detach");
	CHECK(!line_masked(m, SCI_LINE), "line %u, level-triggered, was pending at detach and stays masked: its device never interrupts again",
	      SCI_LINE);
	lab3_check_native(m);
}

void lab3_events(const struct test *t)
{
	struct machine *m = lab3_start(t, 7);
	stop_idle(m);
	key_within(m, true, "protect");
	key_within(m, false, "account");
	key_within(m, true, "translate");
	key_within(m, false, "translate");
	lab3_switch_must(m, true);
	events_at_detach(m);
}

/* --- ticks --- */

enum { SWEEP_STEP = 1201, SWEEP_LAST = 9000, SWITCHES_A_STEP = 6 };

void lab3_sweep(const struct test *t)
{
	char text[60];
	unsigned first = 3 + judge_seed * 2654435761u % SWEEP_STEP, wanted = 0;
	struct machine *m = lab3_start(t, 8);
	stop_idle(m);
	struct moment before = moment(m);
	uint32_t switches = kernel_word(m, "nr_switches");
	for (unsigned k = first; k <= SWEEP_LAST; k += SWEEP_STEP)
		wanted += SWITCHES_A_STEP;
	snprintf(text, sizeof(text), "ticks %u %u %u\n", first, SWEEP_LAST, SWEEP_STEP);
	machine_send(m, text);
	machine_continue(m);
	machine_expect(m, "\n", 5);
	machine_expect(m, PROMPT, t->seconds);
	stop_idle(m);
	struct moment after = moment(m);
	switches = kernel_word(m, "nr_switches") - switches;
	CHECK(switches == wanted, "%u switches were made, not %u: the program that counts the ticks ended early", switches, wanted);
	check_ticks(&before, &after);
	lab3_check_native(m);
}
