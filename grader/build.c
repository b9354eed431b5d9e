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

enum { BUILD_CPU_SECONDS = 30, BUILD_SECONDS = 300, BUILD_MIB = 1024, BUILD_FILE_MIB = 64 };
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

static int make(struct sandbox *s, const char *jobs, const char *log)
{
	s->output = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (s->output < 0)
		give_up(BROKEN, "%s: %s", log, strerror(errno));
	pid_t pid = sandbox_start(s, (char *[]){ "make", (char *)jobs, "all", NULL });
	setpgid(pid, pid);
	int status = wait_for(pid, BUILD_SECONDS);
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
	if (status >= KILLED || status == KILLED - 128 + SIGKILL)
		give_up(BROKEN, "the build was killed from outside: %s", text);
	if (status >= 0 && status != MAKE_FAILED)
		give_up(BROKEN, "make was not run (status %d): %s", status, text);
	if (asprintf(&probe, "%s/probe", tree) < 0 || !room)
		give_up(BROKEN, "no memory");
	write_file(probe, room, 1 << 20);
	unlink(probe);
	free(probe), free(room);
}

/* The last question before a submission is blamed: do the pristine files build here? */
static void check_pristine(struct sandbox s, const char *base, char *const *files, unsigned n)
{
	const char *log = grade_path("pristine.log");
	s.tree = grade_path("pristine");
	lab_copy(base, s.tree);
	for (unsigned i = 0; i < n; i++)
		shell_must(10, "touch '%s/%s'", s.tree, files[i]);
	if (make(&s, "-j2", log) != 0)
		give_up(BROKEN, "nothing can be built here, not even the pristine files: %s",
			build_messages(log));
}

void build_submission(struct grading *g, struct sandbox s, const char *base, char *const *files,
		      unsigned n)
{
	const char *log = grade_path("build.log");
	double start = clock_seconds();
	s.writable = true;
	s.cpu_seconds = BUILD_CPU_SECONDS;
	s.megabytes = BUILD_MIB;
	s.file_megabytes = BUILD_FILE_MIB;
	int status = make(&s, "-j2", log);
	if (status > 0 && status < KILLED)
		status = make(&s, "-j1", log); /* messages in order */
	if (status != 0) {
		char *text = build_messages(log);
		check_environment(s.tree, status, text);
		if (base)
			check_pristine(s, base, files, n);
		if (asprintf(&g->not_built,
			     "the submission does not build%s (limits: %d s of CPU time, %d s in "
			     "all, %d MiB of memory, files of %d MiB)\n%s",
			     status < 0 ? " within its time" : "", BUILD_CPU_SECONDS,
			     BUILD_SECONDS, BUILD_MIB, BUILD_FILE_MIB, text) < 0)
			give_up(BROKEN, "no memory");
	}
	g->build_seconds = clock_seconds() - start;
}
