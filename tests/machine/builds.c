/* SPDX-License-Identifier: MIT */
/* Builds in unusual surroundings, and what is said where something is missing (tests/builds). */
#include "grading.h"

static void build_test(const struct test *t)
{
	need_sandbox();
	host_command(t);
}

const struct test build_tests[] = {
	{ .name = "build-messages", .run = build_test, .seconds = 120,
	  .text = "tests/builds/messages 2>&1" },
	{ 0 },
};
const struct test build_soak_tests[] = {
	{ .name = "build-surroundings", .run = build_test, .seconds = 1200,
	  .text = "tests/builds/surroundings 2>&1" },
	{ 0 },
};
