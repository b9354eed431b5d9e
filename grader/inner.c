/* SPDX-License-Identifier: MIT */
/*
 * The judge inside the sandbox: it runs a lab's checks over the tree that is its working directory,
 * and writes a line for each.
 */
#include "grader.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/*
 * In million instructions a CPU: at least five times what a sound kernel takes in the longest wait
 * of any check, which is mostly its boot. A check that has a budget of its own, for programs that
 * run long, has ten times what these take.
 */
enum { BUDGET = 100 };
static struct result *first;

static void report(const struct result *r, unsigned done, unsigned all)
{
	(void)done, (void)all;
	json_t *j = json_pack("{s:i,s:i,s:o,s:f}", "check", (int)(r - first), "outcome",
			      (int)r->outcome, "reason", report_text(r->reason),
			      "seconds", r->seconds);
	char *line = j ? json_dumps(j, JSON_COMPACT) : NULL;
	if (!line || dprintf(RESULTS_FD, "%s\n", line) < 0)
		give_up(BROKEN, "a result cannot be written");
	free(line);
	json_decref(j);
}

int inner(int argc, char **argv)
{
	static struct result results[MAX_CHECKS];
	const struct lab *lab = argc == 5 ? lab_find(argv[0]) : NULL;
	char *files[MAX_FILES];
	if (!lab || fcntl(RESULTS_FD, F_SETFD, FD_CLOEXEC) < 0)
		give_up(FAILED, "`judge` is for the grader itself");
	judge_seed = (unsigned)strtoul(argv[1], NULL, 10);
	machine_budget = BUDGET;
	machine_strict = true;
	lab_files(".", lab, files, (char **)&judge_files);
	within_read();
	judge_lab = (unsigned)atoi(lab->name);
	unsigned n = lab_checks(lab, *argv[4] ? argv[4] : NULL, results);
	if (mkdir(argv[3], 0700) < 0)
		give_up(BROKEN, "%s: %s", argv[3], strerror(errno));
	first = results;
	judge_all(&(struct judge){ .jobs = (unsigned)atoi(argv[2]), .base_dir = argv[3],
				   .report = report }, results, n);
	return 0;
}
