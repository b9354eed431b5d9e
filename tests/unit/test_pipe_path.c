/* SPDX-License-Identifier: MIT */
/*
 * Pipes between threads: a lost wakeup hangs the test, and every byte is compared. And path
 * resolution over a small tree in memory whose vnodes count their references.
 */
#include "pipe_path_host.h"
#include "pipe_cases.h"
#include "path_cases.h"

int main(void)
{
	const struct CMUnitTest pipes[] = {
		cmocka_unit_test(test_pipe_ends), cmocka_unit_test(test_pipe_records),
		cmocka_unit_test(test_pipe_readers),
		cmocka_unit_test(test_pipe_turns),
	};
	const struct CMUnitTest paths[] = {
		cmocka_unit_test(test_lookup), cmocka_unit_test(test_last),
		cmocka_unit_test(test_normalize),
	};
	int failed = cmocka_run_group_tests(pipes, pipe_setup, NULL);
	return failed + cmocka_run_group_tests(paths, path_setup, NULL);
}
