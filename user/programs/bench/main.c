/* SPDX-License-Identifier: MIT */
/*
 * bench: lmbench's rows, measured by the time-stamp counter. Under QEMU's -icount this counts
 * instructions, and the figures repeat exactly, except for the timer's ticks. So the median of a
 * few measurements is enough.
 *
 *	bench [ROW...]               the rows of all tables, or those that are named
 *	bench growth                 rows over the number of resident pages
 *	bench switch KIND NUMBER     what an attach and a detach meet (switch.c)
 */
#include "bench.h"
#include "median.h"

enum { REPETITIONS = 5 };

void need_at(int result, const char *file, int line)
{
	if (result >= 0 || result < -4095) /* an address is no error */
		return;
	dprintf(2, "bench: %s:%d: %s\n", file, line, strerror(result));
	exit(1);
}

static uint32_t measure(const struct row *row, void (*run)(uint32_t n))
{
	uint32_t cost[REPETITIONS];
	for (int i = -1; i < REPETITIONS; i++) {
		if (row->prepare)
			row->prepare(row->n);
		uint64_t before = rdtsc();
		run(row->n);
		uint64_t ticks = rdtsc() - before;
		if (i >= 0)
			cost[i] = (uint32_t)div_u64(ticks + row->n / 2, row->n);
	}
	return median(cost, REPETITIONS);
}

static void nothing(uint32_t n) { (void)n; }

/* Each row reads the counter equally often: so it is known from outside, too, what is measured. */
uint32_t measure_row(const struct row *row)
{
	uint32_t whole = measure(row, row->run);
	uint32_t less = measure(row, row->overhead ? row->overhead : nothing);
	if (row->finish)
		row->finish();
	return !row->overhead ? whole : whole > less ? whole - less : 0;
}

static bool wanted(const char *name, int n, char **names)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(names[i], name))
			return true;
	return n == 0;
}

/* Result: how many rows have these names. */
static int report_all(const struct row *rows, int n, int argc, char **argv)
{
	int reported = 0;
	for (int i = 0; i < n; i++)
		if (wanted(rows[i].name, argc - 1, argv + 1)) {
			printf("bench %s %u\n", rows[i].name, measure_row(&rows[i]));
			reported++;
		}
	return reported;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "switch"))
		return switch_in_state(argv[2], strtou(argv[3], NULL));
	if (argc == 2 && !strcmp(argv[1], "growth")) {
		report_growth();
		return 0;
	}
	int reported = report_all(process_rows, COUNT(process_rows), argc, argv);
	reported += report_all(pipe_rows, COUNT(pipe_rows), argc, argv);
	reported += report_all(memory_rows, COUNT(memory_rows), argc, argv);
	reported += report_all(file_rows, COUNT(file_rows), argc, argv);
	if (!reported)
		usage("[ROW... | growth | switch KIND N]", help_wanted(argc, argv));
	printf("bench done\n");
	return 0;
}
