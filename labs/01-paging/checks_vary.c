/* SPDX-License-Identifier: MIT */
/*
 * What code could look at to tell a call of a check from one of the kernel's, though no exercise
 * depends on it: how many CPUs there are, whether there is a VMM, the mode, the boot options, whose
 * call it is. Each call sees other values. The check itself does what the VO's operations of both
 * modes do.
 */
#include "checks.h"

static const char *const ops[NR_OPS] = {
	"mmu_set_pte", "mmu_set_ptes", "mmu_change_ptes", "mmu_flush_page", "mmu_flush_all",
};
static const char *const modes[] = { "native", "virtual" };

static uint32_t function(unsigned mode, const char *op)
{
	char name[40];
	snprintf(name, sizeof(name), "%s_%s", modes[mode], op);
	return symbol(name);
}

void watch_ops(struct guest *g, bool on)
{
	for (unsigned mode = 0; mode < LENGTH(modes); mode++)
		for (unsigned op = 0; op < NR_OPS; op++)
			if (on)
				break_at(g, function(mode, ops[op]));
			else
				break_off(g, function(mode, ops[op]));
}

unsigned op_here(const struct guest *g)
{
	unsigned op = 0;
	while (op < NR_OPS && function(0, ops[op]) != g->c.eip &&
	       function(1, ops[op]) != g->c.eip)
		op++;
	return op;
}

/* FAILED if a call instruction names the operation of one mode. */
static void want_by_vo(struct guest *g, unsigned op)
{
	uint32_t back = return_address(g), distance;
	struct { uint8_t opcode, distance[4]; } call = { 0 }; /* E8: vol. 2, CALL */
	virtual_read(g->m, g->c.cr3, back - sizeof(call), &call, sizeof(call));
	memcpy(&distance, call.distance, sizeof(distance));
	CHECK(call.opcode != 0xE8 || back + distance != g->c.eip,
	      "%s_%s() is called by its name: in the other mode it must not run; VO(mmu, %s) calls "
	      "that of the mode", g->c.eip == function(0, ops[op]) ? modes[0] : modes[1], ops[op],
	      ops[op] + strlen("mmu_"));
}

void do_op(struct guest *g, unsigned op)
{
	uint32_t at = argument(g, 0), values = argument(g, 1);
	want_by_vo(g, op);
	if (op == SET_PTE)
		set_word(g, at, values);
	if (op == SET_PTES || op == CHANGE_PTES)
		for (unsigned i = 0; i < argument(g, 2); i++)
			set_word(g, at + 4 * i, word_at(g, values + 4 * i));
	skip(g, 0);
}

/* --- for one call --- */

enum { MOST = 5 + NR_OPS + 1 };
static struct { uint32_t at, real; } kept[MOST];
static unsigned nr_kept;

/* If it is chosen, the word has this value until vary_end(). */
static void vary(struct guest *g, bool chosen, uint32_t at, uint32_t value)
{
	if (!chosen)
		return;
	kept[nr_kept].at = at, kept[nr_kept++].real = word_at(g, at);
	set_word(g, at, value);
}

static uint32_t coins; /* of this call, as bits */

/* After two calls come two with the opposite of all. */
static void toss(void)
{
	static uint32_t tossed[2];
	static unsigned calls;
	unsigned k = calls++ % 4;
	if (k < 2)
		tossed[k] = random_word();
	coins = k < 2 ? tossed[k] : ~tossed[k - 2];
}

static bool coin(void)
{
	bool heads = coins & 1;
	coins >>= 1;
	return heads;
}

/* Let the VO lead to the virtual operation in the place of the native one. */
static void vary_op(struct guest *g, const char *op)
{
	for (uint32_t at = symbol("vo"); at < symbol("vo") + VO_BYTES; at += 4)
		if (word_at(g, at) == function(0, op))
			vary(g, true, at, function(1, op));
}

void vary_begin(struct guest *g, uint32_t mm)
{
	enum { BYTES = 0x1000 };
	uint32_t task = task_of(&g->c);
	toss();
	bool virtual = coin();
	nr_kept = 0;
	vary(g, coin(), symbol("nr_cpus"), 2 + random_below(CPUS_MAX - 1));
	vary(g, coin(), symbol("boot_info"), 0); /* the command line */
	vary(g, coin(), symbol("header"), KERNEL_BASE + random_below(BYTES) * 4);
	vary(g, coin(), task + TASK_MM, mm);
	vary(g, coin(), task + TASK_PID, 2 + random_below(60));
	for (unsigned op = 0; op < NR_OPS && virtual; op++)
		vary_op(g, ops[op]);
	if (virtual)
		vary_op(g, "cpu_ring");
}

void vary_end(struct guest *g)
{
	while (nr_kept > 0) {
		nr_kept--;
		set_word(g, kept[nr_kept].at, kept[nr_kept].real);
	}
}
