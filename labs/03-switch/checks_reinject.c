/* SPDX-License-Identifier: MIT */
/*
 * Exercise 9, alone: irq_reinject(), called while the kernel is native. What it did is read from
 * the local APIC and the IOAPIC.
 */
#include "creep.h"

enum { MOST_STEPS = 2000 };
enum { CASCADE = 2 }; /* of the old controllers: no line of its own */
static unsigned here = 1; /* the CPU that the function runs on: not the first one */

static uint32_t cpu_address(void)
{
	return vmm_symbol("vmm_cpus") + here * CPU_BYTES;
}

#define EVENTS ((1u << NR_EVENTS) - 1)

/* What the interrupt controllers hold: vectors that wait in this CPU's local APIC, masked lines. */
struct controllers { bool waits[256], level[NR_IRQ], masked[NR_IRQ]; };

/* The line of the IOAPIC's pin, in QEMU's list. Pin 2 has line 0 (docs/machine.md). */
static void read_line(const char *text, unsigned line, struct controllers *c)
{
	char label[16], row[200];
	snprintf(label, sizeof(label), "pin %-2u ", line ? line : 2);
	const char *at = strstr(text, label);
	if (!at)
		give_up(BROKEN, "QEMU shows no %sof the IOAPIC: %s", label, text);
	snprintf(row, sizeof(row), "%.*s", (int)strcspn(at, "\n"), at);
	c->level[line] = strstr(row, "level") != NULL;
	c->masked[line] = strstr(row, "masked") != NULL;
}

static struct controllers read_controllers(struct guest *g)
{
	struct controllers c = { 0 };
	char ask[20];
	snprintf(ask, sizeof(ask), "info lapic %u", g->cpu);
	char *lapic = qmp_human(g->m, ask), *pic = qmp_human(g->m, "info pic");
	char *at = strstr(lapic, "IRR");
	if (!at)
		give_up(BROKEN, "QEMU shows no IRR: %s", lapic);
	at[strcspn(at, "\n")] = '\0';
	for (char *word = strtok(at + 3, " \t\r"); word; word = strtok(NULL, " \t\r"))
		if (strtoul(word, NULL, 10) < 256)
			c.waits[strtoul(word, NULL, 10)] |= *word >= '0' && *word <= '9';
	for (unsigned line = 0; line < NR_IRQ; line++)
		if (line != CASCADE)
			read_line(pic, line, &c);
	free(lapic), free(pic);
	return c;
}

static unsigned vector_of_event(unsigned event)
{
	return event < NR_IRQ ? VEC_IRQ + event : VEC_TIMER + event - EVENT_TIMER;
}

/* Where this CPU's shared page has `pending`. */
static uint32_t pending_at(struct guest *g)
{
	uint32_t vcpu = word_at(g, cpu_address());
	return word_at(g, vcpu + VCPU_SHARED) + VMM_SHARED_PENDING;
}

static void want_edge(const struct controllers *before, const struct controllers *after,
		      unsigned event, bool due)
{
	unsigned vector = vector_of_event(event);
	bool came = after->waits[vector] && (due || !before->waits[vector]);
	CHECK(came == due || (vector == VEC_TIMER && came), /* the tick comes by itself, too */
	      "event %u (vector %#x, an edge) was %spending, and its vector %s in the local APIC "
	      "of CPU %u after irq_reinject(): %s (exercise 9)", event, vector, due ? "" : "not ",
	      came ? "waits" : "does not wait", here,
	      due ? "the interrupt is lost" : "an interrupt that nobody sent");
}

static void want_level(const struct controllers *before, const struct controllers *after,
		       unsigned line, bool due)
{
	unsigned vector = vector_of_event(line);
	bool wanted = due ? false : before->masked[line];
	CHECK(after->masked[line] == wanted,
	      "line %u (level-triggered) was %spending, and the IOAPIC's entry %s masked after "
	      "irq_reinject(): %s (exercise 9)", line, due ? "" : "not ",
	      after->masked[line] ? "is" : "is not",
	      due ? "its device never interrupts again" : "the VMM lets a line through that the "
	      "kernel had masked");
	CHECK(!after->waits[vector] || before->waits[vector],
	      "line %u is level-triggered, and its vector %#x waits in the local APIC of CPU %u "
	      "after irq_reinject(): the IOAPIC would send it by itself if the device still asked, "
	      "so it comes twice, or for nothing (exercise 9)", line, vector, here);
}

/* Bits of `pending` that are no events have become no interrupts. */
static void want_no_others(const struct controllers *before, const struct controllers *after)
{
	for (unsigned vector = 0; vector < 256; vector++) {
		bool known = false;
		for (unsigned event = 0; event < NR_EVENTS; event++)
			known |= event != CASCADE && vector_of_event(event) == vector;
		CHECK(known || !after->waits[vector] || before->waits[vector],
		      "vector %#x, which belongs to no event, waits in the local APIC of CPU %u "
		      "after irq_reinject(): bits of `pending` outside EVENT_BITS mean nothing "
		      "(exercise 9)", vector, here);
	}
}

static void want_reinjected(struct guest *g, const struct controllers *before, uint32_t events)
{
	struct controllers after = read_controllers(g);
	uint32_t left = word_at(g, pending_at(g)) & EVENTS;
	for (unsigned event = 0; event < NR_EVENTS; event++)
		if (event == CASCADE)
			continue;
		else if (event < NR_IRQ && before->level[event])
			want_level(before, &after, event, events >> event & 1);
		else
			want_edge(before, &after, event, events >> event & 1);
	want_no_others(before, &after);
	CHECK(left == 0,
	      "`pending` is %#x, not 0, after irq_reinject(): these events come a second time when "
	      "the VMM attaches again (exercise 9)", left);
	CHECK(vmm_word(g, "vmm_lock_word") == 0,
	      "irq_reinject() returns with the VMM's lock: the next CPU waits for ever "
	      "(exercise 9)");
}

static void begin_reinject(struct guest *g, uint32_t events)
{
	set_word(g, pending_at(g), events | ~EVENTS);
	begin_at(g, vmm_symbol("irq_reinject"), WORDS(cpu_address()));
}

/* Whether vectors must be sent for these events, also without the timer's. */
static bool has_edges(const struct controllers *before, uint32_t events)
{
	for (unsigned event = 0; event < NR_EVENTS; event++)
		if (events >> event & 1 && event != EVENT_TIMER &&
		    !(event < NR_IRQ && before->level[event]))
			return true;
	return false;
}

/*
 * The timer's vector may wait in the local APIC already: that it is sent shows in the call. Who
 * sends the others, and calls nothing, writes to the local APIC: only what waits there is judged.
 */
static void reinject(struct guest *g, uint32_t events)
{
	const uint32_t send = vmm_symbol("apic_send");
	unsigned calls = 0, ticks = 0, due = events >> EVENT_TIMER & 1;
	struct controllers before = read_controllers(g);
	begin_reinject(g, events);
	break_at(g, send);
	do {
		run_on(g, "irq_reinject() is called, and hangs (exercise 9)");
		calls += g->c.eip == send;
		ticks += g->c.eip == send && g->c.edx == VEC_TIMER; /* regparm */
	} while (g->c.eip == send);
	break_off(g, send);
	CHECK(call_ended(g), "irq_reinject() comes to %s (exercise 9)",
	      symbol_place(g->c.eip));
	leave(g);
	want_reinjected(g, &before, events);
	CHECK(ticks == due || (calls == 0 && has_edges(&before, events)),
	      "apic_send() is called %u times with the timer's vector %#x, not %u: event %u was "
	      "%spending (exercise 9)", ticks, VEC_TIMER, due, EVENT_TIMER, due ? "" : "not ");
}

/* Another CPU is at the IOAPIC. When it has gone, this one changes the entry, with the lock. */
static void reinject_locked(struct guest *g, unsigned line)
{
	uint32_t lock = vmm_symbol("vmm_lock_word"), wait = vmm_symbol("vmm_lock_wait");
	struct controllers before = read_controllers(g), now;
	set_word(g, lock, 1);
	begin_reinject(g, 1u << line);
	int end = creep_on(g, &wait, 1);
	now = read_controllers(g);
	CHECK(end != RETURNED && now.masked[line] == before.masked[line],
	      "irq_reinject() does not wait for the VMM's lock, under which another CPU may be at "
	      "the IOAPIC: an entry takes two accesses (exercise 9)");
	set_word(g, lock, 0);
	bool held = false, outside = false;
	now = before;
	for (unsigned i = 0; end != RETURNED; i++) {
		CHECK(i < MOST_STEPS, "irq_reinject() has not returned after %u instructions with "
		      "one event, at %s (exercise 9)", i, symbol_place(g->c.eip));
		end = creep_some(g, 1);
		bool holds = vmm_word(g, "vmm_lock_word"), was = now.masked[line];
		if (held != holds)
			now = read_controllers(g);
		outside |= was != now.masked[line] && holds; /* changed before it was locked */
		held = holds;
	}
	leave(g);
	outside |= now.masked[line]; /* changed after it was unlocked */
	want_reinjected(g, &before, 1u << line);
	CHECK(!outside, "irq_reinject() lets line %u through when it does not hold the VMM's lock: "
			"another CPU may come between its two accesses to the IOAPIC (exercise 9)",
	      line);
}

/* Mask a line as irq_arrived() does, or let it through. */
static void mask_line(struct guest *g, unsigned line, bool masked)
{
	set_word(g, vmm_symbol("vmm_lock_word"), 1);
	begin_at(g, vmm_symbol("irq_mask"), WORDS(line, masked));
	run_on(g, "irq_mask() is called");
	leave(g);
	set_word(g, vmm_symbol("vmm_lock_word"), 0);
}

/* All level-triggered lines are masked, and some others. Result: the former, as bits. */
static uint32_t set_lines(struct guest *g)
{
	uint32_t levels = 0;
	for (unsigned line = 0; line < NR_IRQ; line++)
		if (line != CASCADE)
			mask_line(g, line, true);
	struct controllers c = read_controllers(g);
	for (unsigned line = 0; line < NR_IRQ; line++)
		if (c.level[line])
			levels |= 1u << line;
		else if (line != CASCADE && random_below(2))
			mask_line(g, line, false);
	CHECK(levels, "no line is level-triggered");
	return levels;
}

void check_reinject(const struct test *t)
{
	uint32_t parts[3] = { 0 };
	struct guest g = enter(t, 9);
	choose(&g, here);
	unsigned line = (unsigned)__builtin_ctz(set_lines(&g));
	for (unsigned event = 0; event < NR_EVENTS; event++)
		if (event != CASCADE)
			parts[random_below(3)] |= 1u << event;
	reinject_locked(&g, line);
	mask_line(&g, line, true);
	reinject(&g, 0);
	for (unsigned i = 0; i < 3; i++) {
		choose(&g, here = 2 - i % 2);
		reinject(&g, parts[i]);
	}
}
