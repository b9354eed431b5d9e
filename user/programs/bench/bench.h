/* SPDX-License-Identifier: MIT */
/* A row of the benchmark: what is measured, how often, and how the measurement is prepared. */
#ifndef BENCH_H
#define BENCH_H

#include "user.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define PAGE 4096u

struct row {
	const char *name; /* as in docs/data/references.json */
	uint32_t n;       /* operations in one measurement */
	void (*run)(uint32_t n);
	void (*overhead)(uint32_t n); /* measured, too, and subtracted; or NULL */
	void (*prepare)(uint32_t n);  /* before each measurement; or NULL */
	void (*finish)(void);         /* after the row; or NULL */
};

/*
 * Every system call of the benchmark must succeed: otherwise the row's figure would be that of an
 * error path.
 */
void need_at(int result, const char *file, int line);
#define need(result) need_at((int)(result), __FILE_NAME__, __LINE__)

/*
 * The cost of one operation: the median of a few measurements. The first one only warms up.
 * What cannot be part of an operation (overhead) is subtracted.
 */
uint32_t measure_row(const struct row *row);

/* Private pages that this process has mapped and written: what fork, exec and exit grow with. */
extern volatile uint8_t *resident;
extern uint32_t resident_pages;
/* Write to each resident page. */
void touch_resident(void);

/* Fork a child that ends at once, or that executes a program; wait for it. */
void fork_exit_wait(uint32_t n);
void fork_exec_wait(uint32_t n);
/* Wait for a child that must end with status 0. */
void wait_good(int pid);

extern const struct row process_rows[4], pipe_rows[8], memory_rows[6], file_rows[4];
/* A ring of two processes that do nothing but pass a token on; both have the resident pages. */
extern const struct row plain_ring;

/* bench growth: the rows that grow with the resident pages. */
void report_growth(void);
/* bench switch KIND NUMBER: attach and detach in a chosen state. Result: status. */
int switch_in_state(const char *kind, uint32_t n);

#endif
