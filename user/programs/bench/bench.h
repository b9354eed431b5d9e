/* SPDX-License-Identifier: MIT */
/* A row of the benchmark: what is measured, how often, and how it is made ready. */
#ifndef BENCH_H
#define BENCH_H

#include "user.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define PAGE 4096u

struct row {
	const char *name;             /* as in docs/data/references.json */
	uint32_t n;                   /* operations in one measurement */
	void (*run)(uint32_t n);      /* what is measured */
	void (*overhead)(uint32_t n); /* NULL, or what is measured in the same way and taken off */
	void (*prepare)(uint32_t n);  /* before each measurement, not measured; NULL: nothing to do */
	void (*finish)(void);         /* after the row */
};

/* Every result in the benchmark must be good: else the row's figure would be that of an error path. */
void need_at(int result, const char *file, int line);
#define need(result) need_at((int)(result), __FILE_NAME__, __LINE__)

extern const struct row process_rows[4], pipe_rows[6], memory_rows[4], file_rows[4];

#endif
