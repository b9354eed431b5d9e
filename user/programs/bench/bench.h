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

extern const struct row process_rows[4], pipe_rows[6], memory_rows[4], file_rows[4];

#endif
