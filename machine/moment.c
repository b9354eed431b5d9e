/* SPDX-License-Identifier: MIT */
/* QEMU's virtual time, read from outside, and the kernel's ticks beside it (V8). */
#include "judge.h"
#include "x86.h"

/* The ACPI timer is exact, but its 24 bits overflow after 4.7 s (ACPI 4.8.3.3). */
#define PM_HZ 3579545.0
#define PM_TICKS 0x1000000
#define PM_TURN (PM_TICKS / PM_HZ) /* s */
#define PM_PORT "0x608"

unsigned number_in(const char *text, const char *label, int base)
{
	const char *at = strstr(text, label);
	CHECK(at, "QEMU shows no %s in %s", label, text);
	return (unsigned)strtoul(at + strlen(label), NULL, base);
}

/* The ACPI timer gives the part of a turn; the CMOS clock tells how many turns have passed. */
uint64_t virtual_ns(struct machine *m)
{
	static uint64_t first_seconds, first_count;
	char *text = qmp_human(m, "i /w " PM_PORT);
	uint64_t count = number_in(text, "= ", 16) % PM_TICKS, seconds = qmp_clock(m);
	free(text);
	if (!first_seconds)
		first_seconds = seconds, first_count = count;
	double part = (double)((count - first_count) % PM_TICKS) / PM_HZ;
	double turns = ((double)(seconds - first_seconds) - part) / PM_TURN;
	uint64_t whole_turns = turns < 0 ? 0 : (uint64_t)(turns + 0.5);
	return (uint64_t)((part + (double)whole_turns * PM_TURN) * 1e9);
}

struct moment moment(struct machine *m)
{
	char *lapic = qmp_human(m, "info lapic");
	struct moment result = {
		.ns = virtual_ns(m),
		.ticks = physical_word(m, symbol("counts") - KERNEL_BASE + 4 * VEC_TIMER),
		/* The timer counts down to 0, and its unit is 1 ns (QEMU, hw/intc/apic.c). */
		.period = number_in(lapic, "initial_count = ", 10) + 1,
		.left = number_in(lapic, "current_count = ", 10),
	};
	free(lapic);
	return result;
}

void check_ticks(const struct moment *a, const struct moment *b)
{
	CHECK(a->period == b->period, "a tick was every %u ns, now it is every %u ns", a->period,
	      b->period);
	double came = ((double)(b->ns - a->ns) + b->left - a->left) / a->period;
	double more = b->ticks - a->ticks - came;
	CHECK(more > -1.5 && more < 1.5, "%u ticks were counted, %.2f came", b->ticks - a->ticks,
	      came);
}
