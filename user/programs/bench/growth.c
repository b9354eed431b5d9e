/* SPDX-License-Identifier: MIT */
/*
 * bench growth: what a process costs that has more and more resident pages. Before each
 * measurement the process writes to all of them, so each is its own, and writable.
 */
#include "bench.h"

static int child; /* not yet waited for, or 0 */

static void reap(void)
{
	if (child)
		wait_good(child);
	child = 0;
}

static void touch(uint32_t n)
{
	(void)n;
	reap();
	touch_resident();
}

/* Until fork() returns here; the child's end is not part of it. */
static void fork_call(uint32_t n)
{
	(void)n;
	child = fork();
	if (child == 0)
		exit(0);
	need(child);
}

static void touch_and_fork(uint32_t n)
{
	touch(n);
	fork_call(n);
}

/* The child has all pages of the parent, writes none, and ends; the parent waits for it. */
static void exit_wait(uint32_t n)
{
	(void)n;
	reap();
}

/* After the child's end each page has one owner again, but is still read-only. */
static void child_was_there(uint32_t n)
{
	touch_and_fork(n);
	reap();
}

static void rewrite(uint32_t n)
{
	(void)n;
	touch_resident();
}

static void report(const struct row *row)
{
	printf("growth %s %u %u\n", row->name, resident_pages, measure_row(row));
}

static void report_all(void)
{
	const struct row rows[] = {
		{"fork_call", 1, fork_call, NULL, touch, reap},
		{"exit_wait", 1, exit_wait, NULL, touch_and_fork, NULL},
		{"fork_exit_wait", 1, fork_exit_wait, NULL, touch, NULL},
		{"fork_exec_wait", 1, fork_exec_wait, NULL, touch, NULL},
		{"rewrite_page", resident_pages, rewrite, NULL, child_was_there, NULL},
	};
	for (int i = 0; i < COUNT(rows); i++)
		if (rows[i].n > 0)
			report(&rows[i]);
	report(&plain_ring);
}

void report_growth(void)
{
	static const uint32_t sizes[] = {0, 16, 64, 256, 1024, 4096};
	for (int i = 0; i < COUNT(sizes); i++) {
		resident_pages = sizes[i];
		if (resident_pages) {
			resident = mmap(NULL, resident_pages * PAGE, PROT_READ | PROT_WRITE, -1, 0);
			need((int)resident);
		}
		report_all();
		if (resident_pages)
			need(munmap((void *)resident, resident_pages * PAGE));
	}
}
