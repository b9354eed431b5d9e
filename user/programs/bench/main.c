/* SPDX-License-Identifier: MIT */
/*
 * bench: lmbench's rows, measured by the time-stamp counter. Under QEMU's -icount this counts
 * instructions, and the figures repeat exactly, except for the timer's ticks. So the median of a
 * few measurements is enough.
 *
 *	bench [ROW...]
 */
#include "bench.h"

enum { REPETITIONS = 5 };

void need_at(int result, const char *file, int line)
{
	if (result >= 0 || result < -4095) /* an address is no error */
		return;
	dprintf(2, "bench: %s:%d: %s\n", file, line, strerror(result));
	exit(1);
}

static uint32_t median(uint32_t *v, int n)
{
	for (int i = 1; i < n; i++)
		for (int j = i; j > 0 && v[j - 1] > v[j]; j--) {
			uint32_t higher = v[j - 1];
			v[j - 1] = v[j];
			v[j] = higher;
		}
	return v[n / 2];
}

/* The cost of one operation. The first measurement only warms up. */
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

static void report(const struct row *row)
{
	uint32_t whole = measure(row, row->run);
	uint32_t less = row->overhead ? measure(row, row->overhead) : 0;
	if (row->finish)
		row->finish();
	printf("bench %s %u\n", row->name, whole > less ? whole - less : 0);
}

static bool wanted(const char *name, int n, char **names)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(names[i], name))
			return true;
	return n == 0;
}

static void report_all(const struct row *rows, int n, int argc, char **argv)
{
	for (int i = 0; i < n; i++)
		if (wanted(rows[i].name, argc - 1, argv + 1))
			report(&rows[i]);
}

int main(int argc, char **argv)
{
	report_all(process_rows, COUNT(process_rows), argc, argv);
	report_all(pipe_rows, COUNT(pipe_rows), argc, argv);
	report_all(memory_rows, COUNT(memory_rows), argc, argv);
	report_all(file_rows, COUNT(file_rows), argc, argv);
	printf("bench done\n");
	return 0;
}
