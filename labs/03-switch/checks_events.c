/* SPDX-License-Identifier: MIT */
/*
 * What a switch carries over: pending interrupts become events, and events interrupts; each comes
 * once. And the time: no tick is lost.
 */
#include "checks.h"

enum { KEYBOARD_LINE = 1, SERIAL_LINE = 4, SCI_LINE = 9 };

void press_key(struct guest *g)
{
	free(qmp_human(g->m, "o /b 0x64 0xd2"));
	free(qmp_human(g->m, "o /b 0x60 0x2a")); /* shift */
}

/* --- events --- */

/*
 * Vectors came as often as is due: the key's and VEC_RESCHED. Ticks, the switch's own and the
 * shell's serial line come as they like; no other may come.
 */
static void want_vectors(struct guest *g, const uint32_t before[256], uint32_t key,
			 uint32_t resched, const char *what)
{
	for (unsigned v = VEC_EXCEPTIONS; v < 256; v++) {
		uint32_t n = count_of_vector(g, v) - before[v], due = 0;
		if (v == VEC_TIMER || v == VEC_SWITCH || v == VEC_IRQ + SERIAL_LINE)
			continue;
		if (v == VEC_IRQ + KEYBOARD_LINE)
			due = key;
		else if (v == VEC_RESCHED)
			due = resched;
		CHECK(n == due, "%s: vector %#x came %u times, %u is due", what, v, n, due);
	}
}

static void read_counts(struct guest *g, uint32_t counts[256])
{
	for (unsigned v = 0; v < 256; v++)
		counts[v] = count_of_vector(g, v);
}

static uint32_t pending(struct guest *g)
{
	return shared_word(g, VMM_SHARED_PENDING);
}

/* A key is pressed when this phase begins. It must come once, when the switch is over. */
static void key_within(struct guest *g, bool attach, const char *phase)
{
	uint32_t before[256];
	char what[80];
	ask(g, attach);
	reach(g, phase, "a switch was asked for");
	read_counts(g, before);
	press_key(g);
	if (!attach && strcmp(phase, "account") == 0) {
		reach(g, "install", "a switch was asked for");
		CHECK(pending(g) >> KEYBOARD_LINE & 1,
		      "the VMM did not post the keyboard's event: is irq_arrived() as it was?");
	}
	rest(g);
	snprintf(what, sizeof(what), "a key was pressed in %s of %s", phase,
		 attach ? "attach" : "detach");
	want_vectors(g, before, 1, 0, what);
	if (attach)
		want_virtual(g);
	else
		want_native(g);
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
static void want_lock(struct guest *g)
{
	static const char *const places[] = { "irq_reinject", "vmm_lock_wait", "translate" };
	uint32_t lock = vmm_symbol("vmm_lock_word");
	watch(g, places, LENGTH(places), true);
	CHECK(go_on(g, 1) == 0 && g->c.eip == vmm_symbol("irq_reinject"),
	      "the VMM does not come to irq_reinject()");
	set_word(g, lock, 1);
	CHECK(go_on(g, 1) == 0 && g->c.eip == vmm_symbol("vmm_lock_wait"),
	      "irq_reinject() does not wait for the VMM's lock, under which another CPU may be at "
	      "the IOAPIC");
	set_word(g, lock, 0);
	watch(g, places, LENGTH(places), false);
}

/*
 * Events as the VMM posts them are pending at a detach: an interrupt between CPUs, and a
 * level-triggered line, which is masked meanwhile.
 */
static void events_at_detach(struct guest *g)
{
	static const char what[] = "EVENT_RESCHED and a level-triggered line, whose device asks no "
				   "more, were pending at detach";
	uint32_t before[256];
	ask(g, false);
	reach(g, "install", "a switch was asked for");
	set_shared_word(g, VMM_SHARED_PENDING, pending(g) | 1u << EVENT_RESCHED | 1u << SCI_LINE);
	read_counts(g, before);
	CHECK(line_masked(g->m, SCI_LINE),
	      "line %u, which the kernel has masked, is not masked any more, although it was not "
	      "pending at the detach before: irq_reinject() has let it through (exercise 9; or, if "
	      "that is right, irq_arrived(), which is given, is not as it was)", SCI_LINE);
	want_lock(g);
	rest(g);
	want_vectors(g, before, 0, 1, what);
	CHECK(!line_masked(g->m, SCI_LINE),
	      "line %u, level-triggered, was pending at detach and stays masked: its device never "
	      "interrupts again", SCI_LINE);
	want_native(g);
}

void check_events(const struct test *t)
{
	struct guest g = start(t, 7);
	settle(&g);
	key_within(&g, true, "protect");
	key_within(&g, false, "account");
	key_within(&g, true, "translate");
	key_within(&g, false, "translate");
	must_switch(&g, true);
	events_at_detach(&g);
}

/* --- ticks --- */

enum { SWEEP_STEP = 1801, SWEEP_LAST = 5400, SWITCHES_A_STEP = 6, LOOKS = 10 };

void check_sweep(const struct test *t)
{
	char text[60];
	unsigned first = 3 + judge_seed * 2654435761u % SWEEP_STEP, wanted = 0;
	struct guest g = start(t, 8);
	settle(&g);
	struct moment before = moment(g.m);
	uint32_t switches = kernel_word(g.m, "nr_switches");
	for (unsigned k = first; k <= SWEEP_LAST; k += SWEEP_STEP)
		wanted += SWITCHES_A_STEP;
	snprintf(text, sizeof(text), "ticks %u %u %u\n", first, SWEEP_LAST, SWEEP_STEP);
	machine_send(g.m, text);
	for (unsigned i = 0; i < LOOKS; i++)
		look_at_switch(&g);
	machine_continue(g.m);
	machine_expect(g.m, PROMPT, t->seconds);
	settle(&g);
	struct moment after = moment(g.m);
	switches = kernel_word(g.m, "nr_switches") - switches;
	CHECK(switches == wanted,
	      "%u switches were made, not %u: the program that counts the ticks ended early",
	      switches, wanted);
	check_ticks(&before, &after);
	want_native(&g);
}
