/* SPDX-License-Identifier: MIT */
/*
 * Building a submission in the sandbox. If it does not build, that is its own fault only if
 * nothing else is to blame. A make that was killed, a full disk, and a host on which even the
 * pristine files do not build are errors of the environment, and there is no grade. What the
 * build says decides nothing: a submission can make the compiler say anything.
 */
#include "grader.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>

/* A whole build takes 10 s of CPU time, 100 MiB and 20 processes. */
enum { CPU_SECONDS = 30, IDLE_SECONDS = 5, PROCESS_MIB = 1024, ALL_MIB = 2048, PROCESSES = 128 };
enum { FILE_MIB = 16, SECONDS = 300 };
enum { MESSAGE_BYTES = 6000 };

void write_file(const char *path, const char *text, size_t bytes)
{
	FILE *f = fopen(path, "w");
	if (!f || fwrite(text, 1, bytes, f) != bytes || fclose(f) != 0)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
}

void build_place(const char *tree, char *const *files, unsigned n, const struct taken *t)
{
	char old[FILE_LIMIT + 1];
	for (unsigned i = 0; i < n; i++) {
		char *path;
		if (!t->text[i])
			continue;
		if (asprintf(&path, "%s/%s", tree, files[i]) < 0)
			give_up(BROKEN, "no memory");
		FILE *f = fopen(path, "r");
		size_t bytes = f ? fread(old, 1, sizeof(old), f) : 0;
		if (f)
			fclose(f);
		if (bytes != t->bytes[i] || memcmp(old, t->text[i], bytes) != 0)
			write_file(path, t->text[i], t->bytes[i]);
		free(path);
	}
}

char *build_messages(const char *path)
{
	char line[1000], *text;
	size_t size;
	FILE *f = fopen(path, "r"), *to = open_memstream(&text, &size);
	while (f && fgets(line, sizeof(line), f) && ftell(to) < MESSAGE_BYTES)
		if (!(strncmp(line, "  ", 2) == 0 && line[2] >= 'A' && line[2] <= 'Z'))
			fputs(line, to);
	if (f)
		fclose(f);
	fclose(to);
	return text;
}

/* One job at a time: what the compiler says comes in the same order on each host. */
static int make(struct sandbox *s, const char *log)
{
	s->output = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (s->output < 0)
		give_up(BROKEN, "%s: %s", log, strerror(errno));
	char *argv[] = { "make", "-j1", "all", NULL };
	int status = wait_for(sandbox_start(s, argv), SECONDS);
	close(s->output);
	return status;
}

/*
 * Give up BROKEN if it is the environment's fault that nothing was built. Room on the disk is tried
 * out: a number of free blocks would not be believed.
 */
static void check_environment(const char *tree, int status, const char *text)
{
	enum { MAKE_FAILED = 2 }; /* bwrap, prlimit and env have other statuses of their own */
	char *probe, *room = calloc(1, 1 << 20);
	if (status >= 128)
		give_up(BROKEN, "the build was killed from outside: %s", text);
	if (status >= 0 && status != MAKE_FAILED && status != SANDBOX_LIMIT)
		give_up(BROKEN, "make was not run (status %d): %s", status, text);
	if (asprintf(&probe, "%s/probe", tree) < 0 || !room)
		give_up(BROKEN, "no memory");
	write_file(probe, room, 1 << 20);
	unlink(probe);
	free(probe), free(room);
}

/*
 * The last question before a submission is blamed: do the pristine files build here? Those that the
 * submission changed are compiled.
 */
static void check_pristine(struct sandbox s, const char *base, const struct lab_tree *tree)
{
	const char *log = grade_path("pristine.log"), *failed = s.tree;
	s.tree = grade_path("pristine");
	lab_copy(base, s.tree);
	for (unsigned i = 0; i < tree->n; i++)
		run_tool(NULL, 0, 10, "cmp -s '%s/%s' '%s/%s' || touch '%s/%s'", base,
			 tree->files[i], failed, tree->files[i], s.tree, tree->files[i]);
	if (make(&s, log) != 0)
		give_up(BROKEN, "nothing can be built here, not even the pristine files: %s",
			build_messages(log));
}

/* Say why it does not build, with what the reader may not know. */
static void explain(struct grading *g, int status, const char *messages)
{
	const char *missing = "";
	char *own = "";
	if (strstr(messages, "No such file"))
		missing = "only the files that the lab's list names are taken, and no header of "
			  "your own\n";
	if (*missing && g->own_files &&
	    asprintf(&own, "not taken were: %s\n", g->own_files) < 0)
		give_up(BROKEN, "no memory");
	char limits[200] = "";
	if (status < 0 || status == SANDBOX_LIMIT)
		snprintf(limits, sizeof(limits), " within its limits (%d s of CPU time, %d s in "
			 "all, %d MiB of memory a process, files of %d MiB)", CPU_SECONDS, SECONDS,
			 PROCESS_MIB, FILE_MIB);
	if (asprintf(&g->not_built, "the submission does not build%s\n%s%s%s", limits, missing,
		     own, messages) < 0)
		give_up(BROKEN, "no memory");
}

void build_submission(struct grading *g, struct sandbox s, const char *base,
		      const struct lab_tree *tree)
{
	const char *log = grade_path("build.log");
	double start = clock_seconds();
	s.writable = true;
	s.cpu_seconds = s.all_cpu_seconds = CPU_SECONDS, s.idle_seconds = IDLE_SECONDS;
	s.megabytes = PROCESS_MIB, s.memory = ALL_MIB, s.processes = PROCESSES;
	s.file_megabytes = FILE_MIB;
	int status = make(&s, log);
	if (status != 0) {
		char *text = build_messages(log);
		check_environment(s.tree, status, text);
		if (base)
			check_pristine(s, base, tree);
		explain(g, status, text);
	} else {
		build_look(g, s, base, tree);
	}
	g->build_seconds = clock_seconds() - start;
}
