/* SPDX-License-Identifier: MIT */
/* The lists of the machine tests, one a file, for the runner. */
#ifndef TESTS_H
#define TESTS_H

#include "judge.h"

/* The end of a list has no name. soak: with --soak only. */
extern const struct test boot_tests[], native_tests[], program_tests[], hostile_tests[], disk_tests[], document_tests[];
extern const struct test boot_soak_tests[], soak_tests[], switch_tests[], switch_soak_tests[], rollback_tests[], rollback_soak_tests[];
extern const struct test isolation_tests[], isolation_soak_tests[], grader_tests[], grader_soak_tests[];
extern const struct test grader_run_tests[], grader_run_soak_tests[];
extern const struct test trace_tests[], trace_report_tests[];
extern const struct test sensitive_tests[];
extern const struct test gdb_tests[], gdb_tool_tests[];
const struct test *lab_tests(bool soak); /* labs.c: as many as there are wrong submissions */
void need_browser(void); /* trace.c: install what drives it */
void bench(const struct test *t), bench_switch(const struct test *t), demo(const struct test *t); /* --bench and so on */

#endif
