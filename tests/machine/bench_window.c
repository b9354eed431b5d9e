/* SPDX-License-Identifier: MIT */
/*
 * For how long a switch keeps interrupts off, on each processor: from its call of
 * switch_interrupt(), the handler of VEC_SWITCH, to the IRET of the kernel with which the handler
 * ends. What a processor executes while it waits for others counts, too.
 */
#include "bench.h"

struct windows {
	uint32_t begin;           /* switch_interrupt() */
	unsigned open;            /* processors that are in a switch */
	uint32_t count[CPUS_MAX]; /* 0: not in one */
	unsigned from;            /* ring in which it began */
	uint32_t longest;         /* of all processors, in this switch */
	uint32_t best[2];         /* by the ring in which a switch ends: detach, attach */
};

static void watch_block(void *context, unsigned cpu, unsigned cpl, uint32_t pc, const uint32_t *n)
{
	struct windows *w = context;
	uint32_t *count = &w->count[cpu];
	if (pc == w->begin && !*count) {
		if (w->open++ == 0)
			w->from = cpl, w->longest = 0;
		*count = 1;
	}
	if (!*count)
		return;
	*count += n[INSTRUCTIONS];
	if (*count > w->longest)
		w->longest = *count;
	/* An IRET of the VMM's leads into the kernel's half of a switch. */
	if (!n[IRET] || pc >= VMM_BASE)
		return;
	*count = 0;
	if (--w->open == 0 && cpl != w->from && w->longest < w->best[cpl]) /* else: tried in vain */
		w->best[cpl] = w->longest;
}

json_t *bench_windows(unsigned cpus, unsigned pages)
{
	static struct windows w;
	char command[100], serial[300];
	w = (struct windows){ .begin = symbol("switch_interrupt"),
			      .best = { UINT32_MAX, UINT32_MAX } };
	snprintf(serial, sizeof(serial), "%s/window.serial", build_dir);
	snprintf(command, sizeof(command), "bench switch pages %u", pages);
	bench_follow(&(struct blocks_run){ cpus, 128, command, serial }, watch_block, &w);
	CHECK(w.best[0] != UINT32_MAX && w.best[1] != UINT32_MAX,
	      "no switch of each direction was seen");
	return json_pack("{s:I,s:I,s:I,s:I}", "cpus", (json_int_t)cpus, "pages", (json_int_t)pages,
			 "attach", (json_int_t)w.best[1], "detach", (json_int_t)w.best[0]);
}
