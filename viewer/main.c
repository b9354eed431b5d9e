/* SPDX-License-Identifier: MIT */
/*
 * The program of `make trace`: records mode switches (switch.c) or domains (domains.c) from outside
 * and writes a page.
 * `trace names` prints the names of phases, kinds and types, for the page of `make web`.
 */
#include "judge.h"
#include "viewer.h"
#include <errno.h>

static const char *out = "build/trace.html";
static struct switches options = {
	.attach = true, .detach = true, .until = NR_PHASES, .seconds = 600,
};

/* What is recorded: a mode switch, or a story about domains. */
enum { MODE_SWITCH = -1 };
static int story = MODE_SWITCH;

static json_t *record_switches(void)
{
	char title[100];
	snprintf(title, sizeof(title), "Cinnabar: %s%s%s, %s", options.attach ? "attach" : "",
		 options.attach && options.detach ? " and " : "", options.detach ? "detach" : "",
		 options.instructions ? "instruction by instruction" : "phase by phase");
	struct machine *m = switches_start(&options);
	struct recording *r = recording_begin(m, title);
	switches_record(m, r, &options);
	return recording_end(r);
}

/* The test to run, for judge_all(): it gives up as any test does. */
static void record(const struct test *test)
{
	(void)test;
	json_t *json = story == MODE_SWITCH ? record_switches() :
		domains_record(domains_start((enum domain_story)story), (enum domain_story)story,
			       options.instructions);
	FILE *f = fopen(out, "w");
	if (!f)
		give_up(BROKEN, "%s: %s", out, strerror(errno));
	page_write(f, json, NULL);
	if (fclose(f) != 0)
		give_up(BROKEN, "%s: %s", out, strerror(errno));
	printf("trace: %zu steps in %s\n", json_array_size(json_object_get(json, "steps")), out);
	fflush(stdout);
	json_decref(json);
}

static void report(const struct result *r, unsigned done, unsigned all)
{
	(void)done, (void)all;
	if (r->outcome != PASSED)
		fprintf(stderr, "trace: %s\n", r->reason);
}

static int usage(void)
{
	fputs("usage: trace [OUT=file.html] [STEPS=phases|instructions] "
	      "[DIRECTION=attach|detach|both | OF=domains|request]\n"
	      "       trace names\n", stderr);
	return 2;
}

/* Result: whether the argument is known. */
static bool read_option(const char *text)
{
	if (strncmp(text, "OUT=", 4) == 0 && text[4])
		out = text + 4;
	else if (strcmp(text, "STEPS=phases") == 0)
		options.instructions = false;
	else if (strcmp(text, "STEPS=instructions") == 0)
		options.instructions = true;
	else if (strcmp(text, "DIRECTION=attach") == 0)
		options.attach = true, options.detach = false;
	else if (strcmp(text, "DIRECTION=detach") == 0)
		options.attach = false, options.detach = true;
	else if (strcmp(text, "DIRECTION=both") == 0)
		options.attach = options.detach = true;
	else if (strcmp(text, "OF=domains") == 0)
		story = SWITCH_OF_DOMAINS;
	else if (strcmp(text, "OF=request") == 0)
		story = BLOCK_REQUEST;
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "names") == 0)
		return json_dumpf(recording_names(), stdout, JSON_COMPACT) < 0;
	for (int i = 1; i < argc; i++)
		if (!read_option(argv[i]))
			return usage();
	bool there = access(out, F_OK) == 0;
	FILE *f = fopen(out, "a"); /* before it is worked for */
	if (!f) {
		fprintf(stderr, "trace: %s: %s\n", out, strerror(errno));
		return 1;
	}
	fclose(f);
	struct result result = { .test = { .name = "trace", .run = record, .seconds = 600 } };
	char *base_dir = judge_make_dir();
	struct judge judge = {
		.jobs = 1, .base_dir = base_dir, .again = "make", .report = report,
	};
	judge_all(&judge, &result, 1);
	judge_remove_dir(base_dir);
	if (result.outcome != PASSED && !there)
		unlink(out);
	return result.outcome != PASSED;
}
