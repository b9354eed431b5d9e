/* SPDX-License-Identifier: MIT */
/* What course platforms are given and told (tests/courses). */
#include "grading.h"

static void adapters(const struct test *t)
{
	need_sandbox();
	host_command(t);
}

const struct test course_tests[] = {
	{ .name = "course-adapters", .run = adapters, .seconds = 600,
	  .text = "tests/courses/adapters 2>&1" },
	{ 0 },
};
const struct test course_soak_tests[] = {
	{ .name = "course-containers", .run = adapters, .seconds = 1200,
	  .text = "tests/courses/adapters --containers 2>&1" },
	{ 0 },
};
