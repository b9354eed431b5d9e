/* SPDX-License-Identifier: MIT */
/*
 * What a machine is, taken from outside to be compared later: registers, descriptor tables, interrupt controllers, the VO and all
 * mappings of the kernel's half; and its time, with the ticks that the kernel counted (V8).
 */
#include "judge.h"
#include <time.h>

enum { P = 1, AD = 0x60, FIRST_SLOT = KERNEL_BASE >> 22, END_SLOT = VMM_BASE >> 22 };
enum { STATE_WORDS = 64, VEC_TIMER = 0xEF };

struct snapshot {
	char text[40000];
	uint32_t entries[END_SLOT - FIRST_SLOT][1024]; /* page tables, without accessed and dirty bits */
};

void stop_idle(struct machine *m)
{
	struct cpu_state cpus[CPUS_MAX];
	for (int tries = 0; tries < 500; tries++) {
		unsigned halted = 0;
		usleep(m->o.bochs ? 300000 : 2000);
		machine_stop(m);
		for (unsigned i = 0; i < m->o.cpus && !m->o.bochs; i += 1)
			halted += machine_state(m, cpus) > i && cpus[i].halted;
		if (halted == m->o.cpus || m->o.bochs)
			return;
		machine_continue(m);
	}
	give_up(FAILED, "the machine is never idle");
}

static size_t add_words(char *text, size_t size, const char *what, const uint32_t *words, unsigned n)
{
	size_t at = (size_t)snprintf(text, size, "%s:", what);
	for (unsigned i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, size - at, " %x", words[i]);
	return at + (size_t)snprintf(text + at, size - at, "\n");
}

/* All registers, where the idle CPUs stand (not in Bochs), their TSSs, and the VO. */
static void add_state(struct machine *m, char *text, size_t size)
{
	struct cpu_state cpus[CPUS_MAX];
	uint32_t words[STATE_WORDS], bytes = symbol_bytes("vo");
	size_t at = strlen(text);
	for (unsigned i = 0, n = machine_state(m, cpus); i < n; i++) {
		const struct cpu_state *c = &cpus[i];
		if (!m->o.bochs)
			at += add_words(text + at, size - at, "ebp esp eip eflags cr3",
					(uint32_t[]){ c->ebp, c->esp, c->eip, c->eflags & 0x47700, c->cr3 }, 5);
		virtual_read(m, c->cr3, c->tr.base, words, 26 * 4);
		at += add_words(text + at, size - at, "tss", words, 26);
	}
	CHECK(bytes > 0 && bytes <= sizeof(words), "the VO has %u bytes", bytes);
	physical_read(m, symbol("vo") - KERNEL_BASE, words, bytes);
	add_words(text + at, size - at, "vo", words, bytes / 4);
}

struct snapshot *snapshot_take(struct machine *m)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	struct cpu_state cpus[CPUS_MAX];
	uint32_t directory[1024];
	stop_idle(m);
	fingerprint(m, s->text, sizeof(s->text));
	add_state(m, s->text, sizeof(s->text));
	machine_state(m, cpus);
	physical_read(m, cpus[0].cr3 & ~0xFFFu, directory, sizeof(directory));
	for (unsigned slot = FIRST_SLOT; slot < END_SLOT; slot++) {
		uint32_t *table = s->entries[slot - FIRST_SLOT];
		if (!(directory[slot] & P))
			continue;
		physical_read(m, directory[slot] & ~0xFFFu, table, 4096);
		for (unsigned i = 0; i < 1024; i++)
			table[i] = table[i] & P ? table[i] & ~(uint32_t)AD : 0;
	}
	machine_continue(m);
	return s;
}

/* The line in which two texts differ first, from the second. */
static const char *difference(const char *a, const char *b, int *bytes)
{
	const char *line = b;
	for (; *a && *a == *b; a++, b++)
		if (*b == '\n')
			line = b + 1;
	*bytes = (int)strcspn(line, "\n");
	return line;
}

void snapshot_compare(struct snapshot *before, struct machine *m)
{
	struct snapshot *after = snapshot_take(m);
	int bytes;
	if (strcmp(before->text, after->text) != 0) {
		const char *now = difference(before->text, after->text, &bytes);
		give_up(FAILED, "after a failed switch the machine is not as before: %.*s\nall of it was\n%sand is\n%s", bytes, now,
			before->text, after->text);
	}
	for (unsigned slot = 0; slot < END_SLOT - FIRST_SLOT; slot++)
		for (unsigned i = 0; i < 1024; i++)
			CHECK(before->entries[slot][i] == after->entries[slot][i],
			      "after a failed switch the mapping of %#x is %#x, it was %#x", KERNEL_BASE + (slot << 22 | i << 12),
			      after->entries[slot][i], before->entries[slot][i]);
	free(before), free(after);
}

/* --- time --- */

unsigned number_in(const char *text, const char *label, int base)
{
	const char *at = strstr(text, label);
	CHECK(at, "QEMU shows no %s in %s", label, text);
	return (unsigned)strtoul(at + strlen(label), NULL, base);
}

/* QEMU's virtual time by the CMOS clock, exact to a second; its zero is some day. */
static uint64_t clock_seconds(struct machine *m)
{
	char *text = qmp(m, "qom-get", "{\"path\":\"/machine\",\"property\":\"rtc-time\"}");
	struct tm tm = {
		.tm_year = (int)number_in(text, "\"tm_year\": ", 10),
		.tm_mon = (int)number_in(text, "\"tm_mon\": ", 10),
		.tm_mday = (int)number_in(text, "\"tm_mday\": ", 10),
		.tm_hour = (int)number_in(text, "\"tm_hour\": ", 10),
		.tm_min = (int)number_in(text, "\"tm_min\": ", 10),
		.tm_sec = (int)number_in(text, "\"tm_sec\": ", 10),
	};
	free(text);
	return (uint64_t)timegm(&tm);
}

#define PM_HZ 3579545.0 /* the ACPI timer: exact, but its 24 bits are full after 4.7 s (ACPI 4.8.3.3) */
#define PM_TURN (16777216 / PM_HZ)

uint64_t virtual_ns(struct machine *m)
{
	static uint64_t first_clock, first_count;
	char *text = qmp_human(m, "i /w 0x608");
	uint64_t count = number_in(text, "= ", 16) & 0xFFFFFF, seconds = clock_seconds(m);
	free(text);
	if (!first_clock)
		first_clock = seconds, first_count = count;
	double part = (double)((count - first_count) & 0xFFFFFF) / PM_HZ;
	double turns = ((double)(seconds - first_clock) - part) / PM_TURN;
	return (uint64_t)((part + (double)(uint64_t)(turns < 0 ? 0 : turns + 0.5) * PM_TURN) * 1e9);
}

struct moment moment(struct machine *m)
{
	char *lapic = qmp_human(m, "info lapic");
	struct moment now = {
		.ns = virtual_ns(m), .ticks = physical_word(m, symbol("counts") - KERNEL_BASE + 4 * VEC_TIMER),
		.period = number_in(lapic, "initial_count = ", 10) + 1, /* it counts down to 0 (QEMU, hw/intc/apic.c) */
		.left = number_in(lapic, "current_count = ", 10),
	};
	free(lapic);
	return now;
}

void check_ticks(const struct moment *a, const struct moment *b)
{
	CHECK(a->period == b->period, "a tick was every %u ns, now it is every %u ns", a->period, b->period);
	double came = ((double)(b->ns - a->ns) + b->left - a->left) / a->period;
	double more = b->ticks - a->ticks - came;
	CHECK(more > -1.5 && more < 1.5, "%u ticks were counted, %.2f came", b->ticks - a->ticks, came);
}
