/* SPDX-License-Identifier: MIT */
/*
 * The sandbox: bubblewrap shows a program the system's tools and one tree, no network, no other process, and a /tmp of its own;
 * prlimit bounds what each process may use. Without bubblewrap there are the limits only.
 */
#include "grader.h"
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

enum { MAX_ARGS = 128, PROCESSES = 4096 };
#define SEARCH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct arguments { char *v[MAX_ARGS]; unsigned n; };

static void add(struct arguments *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct arguments *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (a->n + 1 >= MAX_ARGS || vasprintf(&a->v[a->n++], fmt, ap) < 0)
		give_up(BROKEN, "no memory for arguments");
	va_end(ap);
}

static void add_all(struct arguments *a, char *const *argv)
{
	for (; *argv; argv++)
		add(a, "%s", *argv);
}

static void add_limits(struct arguments *a, const struct sandbox *s)
{
	add(a, "prlimit"), add(a, "--core=0"), add(a, "--nproc=%d", PROCESSES), add(a, "--cpu=%u:%u", s->cpu_seconds, s->cpu_seconds + 5);
	add(a, "--as=%llu", (unsigned long long)s->megabytes << 20), add(a, "--fsize=%llu", (unsigned long long)s->file_megabytes << 20);
}

/* /bin and its like: links into /usr on most systems, directories of their own on others. */
static void add_top_directory(struct arguments *a, const char *name)
{
	char path[16], target[256];
	snprintf(path, sizeof(path), "/%s", name);
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	if (n > 0)
		add(a, "--symlink"), add(a, "%.*s", (int)n, target), add(a, "%s", path);
	else
		add(a, "--ro-bind-try"), add(a, "%s", path), add(a, "%s", path);
}

static void add_read_only(struct arguments *a, const char *path)
{
	add(a, "--ro-bind-try"), add(a, "%s", path), add(a, "%s", path);
}

static void add_bubblewrap(struct arguments *a, const struct sandbox *s)
{
	static char *const options[] = { "bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv",
		"--setenv", "PATH", SEARCH, "--setenv", "LC_ALL", "C", "--setenv", "TMPDIR", "/tmp", "--setenv", "HOME", "/tmp", NULL };
	static const char *const tops[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32" };
	static const char *const files[] = { "/etc/alternatives", "/etc/ld.so.cache", "/etc/mke2fs.conf", "/etc/grub.d" };
	add_all(a, options);
	add(a, "--ro-bind"), add(a, "/usr"), add(a, "/usr");
	for (unsigned i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
		add_top_directory(a, tops[i]);
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		add_read_only(a, files[i]);
	add(a, "--proc"), add(a, "/proc"), add(a, "--dev"), add(a, "/dev");
	add(a, "--tmpfs"), add(a, "/tmp");
	if (s) {
		add(a, s->writable ? "--bind" : "--ro-bind"), add(a, "%s", s->tree), add(a, "/tree");
		add(a, "--ro-bind"), add(a, "/proc/self/exe"), add(a, "/grader");
		add(a, "--chdir"), add(a, "/tree");
	}
}

bool sandbox_works(char *why, size_t size)
{
	struct arguments a = { .n = 0 };
	char text[300] = "";
	FILE *f = tmpfile();
	if (!f)
		give_up(BROKEN, "no temporary file: %s", strerror(errno));
	add_bubblewrap(&a, NULL);
	add(&a, "true");
	int status = process_wait(process_start(a.v, -1, fileno(f), fileno(f)), 20);
	rewind(f);
	if (fread(text, 1, sizeof(text) - 1, f) == 0)
		snprintf(text, sizeof(text), "bwrap ended with status %d", status);
	fclose(f);
	text[strcspn(text, "\n")] = '\0';
	snprintf(why, size, "%s", text);
	return status == 0;
}

pid_t sandbox_start(const struct sandbox *s, char *const argv[])
{
	struct arguments a = { .n = 0 };
	char self[4096] = "";
	add_limits(&a, s);
	if (s->none) {
		add(&a, "env"), add(&a, "-i"), add(&a, "-C"), add(&a, "%s", s->tree), add(&a, "LC_ALL=C");
		add(&a, "PATH=%s", getenv("PATH")), add(&a, "TMPDIR=%s", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	} else {
		add_bubblewrap(&a, s);
		if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
			give_up(BROKEN, "/proc/self/exe: %s", strerror(errno));
		for (unsigned i = 0; i < a.n; i++) /* its own, where bwrap reads it */
			if (strcmp(a.v[i], "/proc/self/exe") == 0)
				a.v[i] = strdup(self);
	}
	add_all(&a, argv);
	return process_start(a.v, -1, s->output, s->output);
}

const char *sandbox_self(const struct sandbox *s)
{
	static char self[4096];
	if (!s->none)
		return "/grader";
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		give_up(BROKEN, "/proc/self/exe: %s", strerror(errno));
	return self;
}
