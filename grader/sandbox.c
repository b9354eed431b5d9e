/* SPDX-License-Identifier: MIT */
/*
 * The sandbox: bubblewrap shows a program the system's tools and one tree, no network, no
 * other process, and a /tmp of its own, which alone can be written. prlimit bounds what each
 * process may use, the guard (guard.c) what all may use together. Without bubblewrap there are
 * only prlimit's limits.
 */
#include "grader.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>

enum { PROCESSES = 512 }; /* at most, unless the sandbox says otherwise */
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
	arg(a, "--nproc=4096"); /* this host may count all of the user's */
	if (s->cpu_seconds)
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

/* Whether this process is root with all that root may do; in a container it may be less. */
static bool is_root(void)
{
	enum { SYS_ADMIN = 21 }; /* capabilities(7) */
	unsigned long long set = 0;
	char line[200];
	FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "CapEff: %llx", &set);
	if (f)
		fclose(f);
	return geteuid() == 0 && (set >> SYS_ADMIN & 1);
}

/*
 * If this process is root: the user of its sandboxes, who owns nothing and runs nothing else.
 * Namespaces of users that containers make have 65536 users at least. Else 0.
 */
static unsigned sandbox_user(void)
{
	enum { FIRST = 20000, USERS = 40000 };
	return is_root() ? FIRST + (unsigned)getpid() % USERS : 0;
}

static unsigned user; /* for own_file() */
static int own_file(const char *path, const struct stat *s, int kind, struct FTW *at)
{
	(void)kind, (void)at;
	return s->st_uid == user && s->st_gid == user ? 0 : lchown(path, user, user);
}

/* The grader: this program, or the one beside the test runner. Never freed. */
static const char *grader(void)
{
	static char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n < 7 || strcmp(path + n - 7, "/grader") != 0)
		return realpath("build/grader", path) ? path : "";
	return path;
}

static void add_tree(struct arguments *a, const struct sandbox *s)
{
	arg(a, s->writable ? "--bind" : "--ro-bind"), arg(a, "%s", s->tree), arg(a, "/tree");
	arg(a, "--ro-bind"), arg(a, "%s", grader()), arg(a, "/grader");
	arg(a, "--chdir"), arg(a, "/tree"), arg(a, "--as-pid-1");
}

/* The first process, with the limits of all together. */
static void add_guard(struct arguments *a, const struct sandbox *s)
{
	arg(a, "/grader"), arg(a, "guard");
	arg(a, "%u", s->processes ? s->processes : PROCESSES);
	arg(a, "%u", s->memory ? s->memory : 2 * s->megabytes);
	arg(a, "%u", s->all_cpu_seconds), arg(a, "%u", s->idle_seconds);
	arg(a, "%u", sandbox_user());
}

static void add_bubblewrap(struct arguments *a, const struct sandbox *s)
{
	static char *const options[] = {
		"--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts",
		"--unshare-cgroup-try", "--die-with-parent", "--new-session",
		"--cap-drop", "ALL", "--clearenv",
		"--setenv", "PATH", SEARCH, "--setenv", "LC_ALL", "C",
		"--setenv", "TMPDIR", "/tmp", "--setenv", "HOME", "/tmp", NULL,
	};
	static const char *const tops[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32" };
	static const char *const files[] = { "/etc/alternatives", "/etc/ld.so.cache",
					     "/etc/mke2fs.conf", "/etc/grub.d" };
	/* Root needs no namespace of users: the guard becomes another user, and can end it. */
	static char *const root[] = { "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID",
				      "--cap-add", "CAP_KILL", NULL };
	arg(a, "bwrap");
	if (!is_root())
		arg(a, "--unshare-user");
	add_all(a, options);
	if (is_root())
		add_all(a, root);
	arg(a, "--ro-bind"), arg(a, "/usr"), arg(a, "/usr");
	for (unsigned i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
		add_top_directory(a, tops[i]);
	arg(a, "--dir"), arg(a, "/etc"); /* else only root could read what is in it */
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		add_read_only(a, files[i]);
	arg(a, "--proc"), arg(a, "/proc"), arg(a, "--dev"), arg(a, "/dev");
	arg(a, "--tmpfs"), arg(a, "/tmp");
	if (s)
		add_tree(a, s);
	arg(a, "--remount-ro"), arg(a, "/dev"), arg(a, "--remount-ro"), arg(a, "/");
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
	add_limits(&a, s);
	if (s->none) {
		arg(&a, "env"), arg(&a, "-i");
		arg(&a, "-C"), arg(&a, "%s", s->tree);
		arg(&a, "LC_ALL=C");
		arg(&a, "PATH=%s", getenv("PATH") ? getenv("PATH") : SEARCH);
		arg(&a, "TMPDIR=%s", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	} else {
		add_bubblewrap(&a, s);
		add_guard(&a, s);
		user = sandbox_user();
		if (user && nftw(s->tree, own_file, 16, FTW_PHYS) != 0)
			give_up(BROKEN, "%s: %s", s->tree, strerror(errno));
	}
	add_all(&a, argv);
	int in = s->input > 0 ? s->input : open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (in < 0)
		give_up(BROKEN, "/dev/null: %s", strerror(errno));
	pid_t pid = process_start(a.v, in, s->output, s->output);
	setpgid(pid, pid);
	if (in != s->input)
		close(in);
	for (unsigned i = 0; i < a.n; i++)
		free(a.v[i]);
	return pid;
}

const char *sandbox_self(const struct sandbox *s)
{
	return s->none ? grader() : "/grader";
}
