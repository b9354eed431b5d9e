/* SPDX-License-Identifier: MIT */
/*
 * Records of switches: the time-stamp counter at the end of every phase, and how each switch
 * ended.
 */
#include "domain/domain.h"
#include "domain/guest.h"
#include "switch/record.h"
#include "switch/switch.h"

#define HISTORY 32

static struct switch_record history[HISTORY];
static uint32_t nr_switches;

static uint64_t read_tsc(void)
{
	uint64_t t;
	__asm__ volatile("rdtsc" : "=A"(t));
	return t;
}

void record_begin(struct switch_record *r) { r->start = read_tsc(); }

void record_phase(struct switch_record *r, unsigned phase)
{
	r->ends[phase] = (uint32_t)read_tsc();
}

void record_end(const struct switch_record *r) { history[nr_switches++ % HISTORY] = *r; }

static const char *reason(int error)
{
	switch (error) {
	case -EBUSY: return "the VO was in use at every try, or a page table is mapped writable";
	case -ETIMEDOUT: return "a CPU did not answer";
	case -EIO: return "rehearsed failure";
	case -EPERM: return "a page table maps what the kernel does not own";
	default: return "error";
	}
}

static size_t show_record(char *buf, size_t size, size_t n, const struct switch_record *r)
{
	uint32_t at = (uint32_t)r->start;
	n = appendf(buf, size, n, "%s %u", r->attach ? "attach" : "detach",
		    r->ends[PHASE_RESUME] - at);
	for (unsigned p = 0; p < NR_PHASES; p++) {
		bool ran = !r->error || p <= r->failed || p == PHASE_RESUME;
		uint32_t end = ran ? r->ends[p] : at;
		n = appendf(buf, size, n, " %u", end - at);
		at = end;
	}
	n = appendf(buf, size, n, " %u %u %u ", r->retries, r->cpus, r->pinned);
	if (!r->error)
		return appendf(buf, size, n, "ok\n");
	return appendf(buf, size, n, "%s: %s (%d)\n", phases[r->failed].name, reason(r->error),
		       r->error);
}

int switch_show(char *buf, size_t size)
{
	size_t n = appendf(buf, size, 0, "# number direction total");
	for (unsigned p = 0; p < NR_PHASES; p++)
		n = appendf(buf, size, n, " %s", phases[p].name);
	n = appendf(buf, size, n, " retries cpus pinned result\n");
	for (uint32_t i = nr_switches > HISTORY ? nr_switches - HISTORY : 0; i < nr_switches; i++) {
		n = appendf(buf, size, n, "%u ", i + 1);
		n = show_record(buf, size, n, &history[i % HISTORY]);
	}
	if (guest_start)
		n = appendf(buf, size, n, "refused: a guest stays in full mode\n");
	if (nr_guests)
		n = appendf(buf, size, n, "no detach: guests live on this VMM: %u\n", nr_guests);
	return (int)n;
}
