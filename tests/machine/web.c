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

/* The handbook's links "Try it here" lead to the page. number: how many there are. */
static void in_handbook(const struct test *t)
{
	char text[8000], out[300];
	need_page();
	snprintf(out, sizeof(out), "%s", work_path("docs"));
	int status = shell(text, sizeof(text), 400,
			   "sphinx-build -q -W --keep-going -n -E -c docs -d %s.trees -b html . %s "
			   "2>&1 && tests/docs/site %s 2>&1", out, out, out);
	CHECK(status == 0, "the handbook: status %d:\n%s", status, text);
	shell(text, sizeof(text), 20,
	      "grep -rho 'machine.html#lesson=[1-6]\"' %s --include='*.html' | wc -l", out);
	CHECK((unsigned)atoi(text) == t->number, "%s links lead to the page, not %u", text,
	      t->number);
}

/* `make web` in a handout gives the page, whose machine stops at an empty exercise. */
static void in_handout(const struct test *t)
{
	char text[8000], tree[300];
	need_page();
	snprintf(tree, sizeof(tree), "%s", work_path("handout"));
	shell_must(120, "QUIET=1 tools/handout %s %s", t->text, tree);
	int status = shell(text, sizeof(text), 400, "flock %s/npm.lock " ALONE
			   "make -s -C %s web 2>&1", build_dir, tree);
	CHECK(status == 0, "make web ended with status %d:\n%s", status, text);
	CHECK(strstr(text, "exercise 1 is empty"), "no exercise is empty:\n%s", text);
	status = shell(text, sizeof(text), 200,
		       "NODE_PATH=%s/browser/node_modules node tests/browser/web.js "
		       "%s/build/web/index.html %s/%s empty 2>&1", build_dir, tree, build_dir,
		       t->name);
	CHECK(status == 0, "tests/browser/web.js ended with status %d:\n%s", status, text);
}

/* Where npm's registry is not to be had, make says what it lacks. */
static void without_network(const struct test *t)
{
	char text[8000], tree[300];
	(void)t;
	snprintf(tree, sizeof(tree), "%s", work_path("web"));
	int status = shell(text, sizeof(text), 60,
			   "npm_config_registry=http://127.0.0.1:9 npm_config_cache=%s/npm "
			   "make -s B=%s %s/web/node_modules/.package-lock.json 2>&1",
			   tree, tree, tree);
	CHECK(status != 0, "there was a network");
	CHECK(strstr(text, "web: npm gave no v86 and xterm.js; without a network"),
	      "make does not say what it lacks:\n%s", text);
}

const struct test web_tests[] = {
	{ .name = "web-witness", .run = witness, .seconds = 300 },
	{ .name = "web-page", .run = in_browser, .seconds = 300, .text = "short" },
	{ .name = "web-no-network", .run = without_network, .seconds = 100 },
	{ 0 },
};
const struct test web_soak_tests[] = {
	{ .name = "soak-web-page", .run = in_browser, .seconds = 600, .text = "" },
	{ .name = "soak-web-handbook", .run = in_handbook, .seconds = 600, .number = 13 },
	{ .name = "soak-web-handout", .run = in_handout, .seconds = 900, .text = "01-paging" },
	{ 0 },
};
