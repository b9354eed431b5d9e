/* SPDX-License-Identifier: MIT */
/* `make web`: the page, as a real browser shows it (tests/browser/web.js). */
#include "tests.h"

/* Tests run at the same time: the lock lets only one of them make the page. */
static void need_page(void)
{
	char text[8000];
	need_browser();
	int status = shell(text, sizeof(text), 200, "flock %s/npm.lock " ALONE
			   "make -s %s/web/index.html 2>&1", build_dir, build_dir);
	CHECK(status == 0, "make web ended with status %d:\n%s", status, text);
}

static void in_browser(const struct test *t)
{
	char text[8000];
	need_page();
	int status = shell(text, sizeof(text), 400,
		       "NODE_PATH=%s/browser/node_modules node tests/browser/web.js "
		       "%s/web/index.html %s/%s %s 2>&1",
		       build_dir, build_dir, build_dir, t->name, t->text);
	CHECK(status == 0, "tests/browser/web.js ended with status %d:\n%s", status, text);
}

/* v86 under Node: what the machine does there, and what v86 enforces (web/witness.js). */
static void witness(const struct test *t)
{
	char text[8000];
	(void)t;
	need_page();
	int status = shell(text, sizeof(text), 200, "node web/witness.js %s 2>&1", build_dir);
	CHECK(status == 0, "web/witness.js ended with status %d:\n%s", status, text);
}

const struct test web_tests[] = {
	{ .name = "web-witness", .run = witness, .seconds = 300 },
	{ .name = "web-page", .run = in_browser, .seconds = 300, .text = "short" },
	{ 0 },
};
const struct test web_soak_tests[] = {
	{ .name = "soak-web-page", .run = in_browser, .seconds = 600, .text = "" },
	{ 0 },
};
