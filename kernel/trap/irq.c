/* SPDX-License-Identifier: MIT */
/*
 * The handlers of the ISA interrupt lines, and how many interrupts of each vector every
 * CPU has had (/proc/interrupts).
 */
#include "dev/dev.h"
#include "trap/trap.h"

static void (*handlers[NR_IRQ])(void);
static uint32_t counts[MAX_CPUS][256];

void irq_install(unsigned line, void (*handler)(void))
{
	handlers[line] = handler;
	VO(irq, mask)(line, false);
}

void irq_handle(unsigned line)
{
	if (handlers[line])
		handlers[line]();
}

void irq_count(unsigned vector) { counts[this_cpu()][vector]++; }

static const char *name_of(unsigned vector)
{
	static const struct { unsigned vector; const char *name; } names[] = {
		{ VEC_IRQ + 1, "keyboard" }, { VEC_IRQ + 4, "serial" },
		{ VEC_IRQ + 3, "network" },  { VEC_IRQ + 9, "network" },
		{ VEC_TIMER, "timer" },      { VEC_RESCHED, "reschedule" },
		{ VEC_SWITCH, "switch" },    { VEC_PORT, "port" },
		{ VEC_SPURIOUS, "spurious" },
	};
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].vector == vector)
			return names[i].name;
	return "other";
}

int irq_show(char *buf, size_t size)
{
	size_t n = 0;
	for (unsigned v = VEC_EXCEPTIONS; v < 256; v++) {
		uint32_t sum = 0;
		for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
			sum += counts[cpu][v];
		if (!sum)
			continue;
		n = appendf(buf, size, n, "%02x", v);
		for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
			n = appendf(buf, size, n, " %u", counts[cpu][v]);
		n = appendf(buf, size, n, " %s\n", name_of(v));
	}
	return (int)n;
}
