/* SPDX-License-Identifier: MIT */
/* make trace: records mode switches from outside (switch.c) and writes a page. */
#include "judge.h"
#include "trace.h"
#include <errno.h>

static const char *out = "build/trace.html";
static struct switches options = { .attach = true, .detach = true, .until = NR_PHASES, .seconds = 600 };

static void record(const struct test *test)
{
	(void)test;
	char title[100];
	snprintf(title, sizeof(title), "Cinnabar: %s%s%s, %s", options.attach ? "attach" : "",
		 options.attach && options.detach ? " and " : "", options.detach ? "detach" : "",
		 options.instructions ? "instruction by instruction" : "phase by phase");
	struct machine *m = switches_start(&options);
	struct trace *t = trace_begin(m, title);
	switches_record(m, t, &options);
	json_t *json = trace_end(t);
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
	fputs("usage: trace [OUT=file.html] [STEPS=phases|instructions] [DIRECTION=attach|detach|both]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *value = strchr(argv[i], '=');
		if (strncmp(argv[i], "OUT=", 4) == 0 && value[1])
			out = value + 1;
		else if (strcmp(argv[i], "STEPS=phases") == 0 || strcmp(argv[i], "STEPS=instructions") == 0)
			options.instructions = value[1] == 'i';
		else if (strcmp(argv[i], "DIRECTION=attach") == 0 || strcmp(argv[i], "DIRECTION=detach") == 0 ||
			 strcmp(argv[i], "DIRECTION=both") == 0)
			options.attach = value[1] != 'd', options.detach = value[1] != 'a';
		else
			return usage();
	}
	struct result result = { .test = { .name = "trace", .run = record, .seconds = 600 } };
	char *base_dir = judge_make_dir();
	judge_all(&(struct judge){ .jobs = 1, .base_dir = base_dir, .again = "build/", .report = report }, &result, 1);
	judge_remove_dir(base_dir);
	return result.outcome != PASSED;
}
