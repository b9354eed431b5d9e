/* SPDX-License-Identifier: MIT */
/*
 * The sandbox: bubblewrap shows a program the system's tools and one tree, no network, no
 * other process, and a /tmp of its own. prlimit bounds what each process may use. Without
 * bubblewrap there are only these limits.
 */
#include "grader.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

enum { PROCESSES = 4096 };
#define SEARCH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static void add_all(struct arguments *a, char *const *argv)
{
	for (; *argv; argv++)
		arg(a, "%s", *argv);
}

static void add_limits(struct arguments *a, const struct sandbox *s)
{
	arg(a, "prlimit");
	arg(a, "--core=0");
	arg(a, "--nproc=%d", PROCESSES);
	arg(a, "--cpu=%u:%u", s->cpu_seconds, s->cpu_seconds + 5);
	arg(a, "--as=%llu", (unsigned long long)s->megabytes << 20);
	arg(a, "--fsize=%llu", (unsigned long long)s->file_megabytes << 20);
}

/* /bin and its like: links into /usr on most systems, directories of their own on others. */
static void add_top_directory(struct arguments *a, const char *name)
{
	char path[16], target[256];
	snprintf(path, sizeof(path), "/%s", name);
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	if (n > 0)
		arg(a, "--symlink"), arg(a, "%.*s", (int)n, target), arg(a, "%s", path);
	else
		arg(a, "--ro-bind-try"), arg(a, "%s", path), arg(a, "%s", path);
}

static void add_read_only(struct arguments *a, const char *path)
{
	arg(a, "--ro-bind-try"), arg(a, "%s", path), arg(a, "%s", path);
}

static void add_bubblewrap(struct arguments *a, const struct sandbox *s)
{
	static char *const options[] = {
		"bwrap", "--unshare-all", "--die-with-parent", "--new-session",
		"--cap-drop", "ALL", "--clearenv",
		"--setenv", "PATH", SEARCH, "--setenv", "LC_ALL", "C",
		"--setenv", "TMPDIR", "/tmp", "--setenv", "HOME", "/tmp", NULL,
	};
	static const char *const tops[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32" };
	static const char *const files[] = { "/etc/alternatives", "/etc/ld.so.cache",
					     "/etc/mke2fs.conf", "/etc/grub.d" };
	add_all(a, options);
	arg(a, "--ro-bind"), arg(a, "/usr"), arg(a, "/usr");
	for (unsigned i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
		add_top_directory(a, tops[i]);
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		add_read_only(a, files[i]);
	arg(a, "--proc"), arg(a, "/proc"), arg(a, "--dev"), arg(a, "/dev");
	arg(a, "--tmpfs"), arg(a, "/tmp");
	if (s) {
		arg(a, s->writable ? "--bind" : "--ro-bind"), arg(a, "%s", s->tree),
		arg(a, "/tree");
		arg(a, "--ro-bind"), arg(a, "/proc/self/exe"), arg(a, "/grader");
		arg(a, "--chdir"), arg(a, "/tree");
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
	arg(&a, "true");
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
		arg(&a, "env"), arg(&a, "-i");
		arg(&a, "-C"), arg(&a, "%s", s->tree);
		arg(&a, "LC_ALL=C");
		arg(&a, "PATH=%s", getenv("PATH") ? getenv("PATH") : SEARCH);
		arg(&a, "TMPDIR=%s", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	} else {
		add_bubblewrap(&a, s);
		if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
			give_up(BROKEN, "/proc/self/exe: %s", strerror(errno));
		for (unsigned i = 0; i < a.n; i++) /* its own, where bwrap reads it */
			if (strcmp(a.v[i], "/proc/self/exe") == 0)
				a.v[i] = strdup(self);
	}
	add_all(&a, argv);
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (nothing < 0)
		give_up(BROKEN, "/dev/null: %s", strerror(errno));
	pid_t pid = process_start(a.v, nothing, s->output, s->output);
	close(nothing);
	return pid;
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
