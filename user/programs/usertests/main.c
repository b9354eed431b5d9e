/* SPDX-License-Identifier: MIT */
/*
 * usertests: the kernel's rules, proven from user space. Every test runs in a child of its own.
 * Free frames, open files and processes are counted before and after it: what is missing or left
 * over then is a failure of the kernel.
 *
 *	usertests [-l] [-big] [-not] [NAME...]
 *
 * -not: all tests but those that are named.
 */
#include <stdarg.h>
#include "test.h"

/* The linker's symbols: start and end of the section "tests". */
extern const struct test __start_tests[], __stop_tests[];

#define HOME "/tmp/usertests"
#define TIME_LIMIT_MS 60000

int big;
static int others; /* -not */

struct counts { int frames, files, tasks; };

static int reason_pipe[2];

static void __attribute__((noreturn)) give_up(int status, const char *format, va_list ap)
{
	char text[300];
	vsnprintf(text, sizeof(text), format, ap);
	if (write(REASON_FD, text, strlen(text)) < 0)
		printf("usertests: %s\n", text); /* no test failed, but this program itself */
	write(REASON_FD, "\n", 1);
	exit(status);
}

void fail(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	give_up(1, format, ap);
}

void skip(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	give_up(SKIP_STATUS, format, ap);
}

static struct counts count(void)
{
	sync(); /* the frame of a changed block counts neither as free nor as cached */
	uint32_t kib = proc_number("/proc/meminfo", "free");
	kib += proc_number("/proc/meminfo", "cached");
	return (struct counts){
		.frames = (int)(kib / 4),
		.files = (int)proc_number("/proc/files", ""),
		.tasks = proc_tasks(),
	};
}

/*
 * Count again until nothing is missing, but not for ever. A process gives its memory back shortly
 * after its parent hears of its end; an orphan only when init reaps it.
 */
static struct counts count_settled(struct counts wanted)
{
	struct counts now = count();
	for (int i = 0; i < 50; i++) {
		if (now.frames >= wanted.frames && now.files <= wanted.files &&
		    now.tasks <= wanted.tasks)
			break;
		sleep(20);
		now = count();
	}
	return now;
}

/* Delete all that a directory holds: what one test leaves must not matter to the next. */
static void scrub(const char *path)
{
	static char buf[2048];
	for (int again = 1; again;) {
		int fd = open(path, O_RDONLY | O_DIRECTORY, 0);
		int n = fd < 0 ? 0 : getdents(fd, buf, sizeof(buf));
		close(fd);
		again = 0;
		for (int at = 0; at < n;) {
			struct dirent *d = (struct dirent *)(buf + at);
			at += d->d_reclen;
			if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
				continue;
			chdir(path);
			if (unlink(d->d_name) == 0 || rmdir(d->d_name) == 0) {
				again = 1;
				continue;
			}
			char below[NAME_MAX + 1];
			snprintf(below, sizeof(below), "%s", d->d_name);
			/* One step at a time: the whole path may be too long for one call. */
			if (chdir(below) == 0) {
				scrub(".");
				chdir("..");
				again = rmdir(below) == 0;
			}
			break; /* the inner scrub() has overwritten buf */
		}
		chdir(path);
	}
}

static void clean_home(void)
{
	mkdir(HOME, 0755);
	chdir(HOME);
	scrub(HOME);
	chdir("/");
}

static void run_child(const struct test *t)
{
	setpgid(0, 0);
	dup2(reason_pipe[1], REASON_FD);
	close(reason_pipe[0]);
	close(reason_pipe[1]);
	if (chdir(HOME) < 0)
		fail("no directory " HOME);
	t->run();
	if ((eflags() & (EFLAGS_IF | EFLAGS_IOPL)) != EFLAGS_IF)
		fail("eflags is 0x%x at the end", eflags());
	exit(0);
}

/*
 * Read the reason that the test wrote into text. A newline is written first: it ends the reading
 * if the test wrote nothing.
 */
static void read_reason(char *text, int size)
{
	int n = 0;
	char c;
	write(reason_pipe[1], "\n", 1);
	while (read(reason_pipe[0], &c, 1) == 1 && c != '\n')
		if (n < size - 1)
			text[n++] = c;
	text[n] = 0;
}

static int await(int pid)
{
	int status = 0, result;
	uint64_t limit = now_ms() + TIME_LIMIT_MS;
	/* EFAULT: a test has taken all memory, so that the page of `status` cannot be copied. */
	for (; (result = waitpid(pid, &status, WNOHANG)) == 0 || result == -EFAULT; sleep(10))
		if (now_ms() > limit) {
			kill(-pid);
			waitpid(pid, &status, 0);
			return -1;
		}
	kill(-pid); /* all that it left running */
	return status;
}

/* Run a test once. Result: 0, 1 or SKIP_STATUS; the reason is in why. */
static int run_once(const struct test *t, char *why, int size)
{
	clean_home();
	if (pipe(reason_pipe) < 0)
		return snprintf(why, (size_t)size, "no pipe"), 1;
	int pid = fork();
	if (pid == 0)
		run_child(t);
	int status = pid < 0 ? pid : await(pid), result = 1;
	read_reason(why, size);
	close(reason_pipe[0]);
	close(reason_pipe[1]);
	if (pid < 0)
		snprintf(why, (size_t)size, "fork gave %d", pid);
	else if (status == -1)
		snprintf(why, (size_t)size, "did not end within %d s", TIME_LIMIT_MS / 1000);
	else if (WIFEXITED(status))
		result = WEXITSTATUS(status);
	else
		snprintf(why, (size_t)size, "ended with status 0x%x", (uint32_t)status);
	clean_home();
	return result;
}

/*
 * Run a test and count before and after it. The kernel's caches may grow in the first run, so only
 * frames that are missing after each of three runs are a leak. Files and processes must not be more
 * than before. There may be fewer: with several CPUs, processes of an earlier test may end late.
 */
static int run_counted(const struct test *t, char *why, int size)
{
	int lost = 0;
	for (int run = 0; run < 3; run++) {
		struct counts before = count();
		int result = run_once(t, why, size);
		struct counts after = count_settled(before);
		if (result != 0)
			return result;
		if (after.files > before.files || after.tasks > before.tasks) {
			snprintf(why, (size_t)size,
				 "%d files open, %d before; %d processes, %d before", after.files,
				 before.files, after.tasks, before.tasks);
			return 1;
		}
		lost = before.frames - after.frames;
		if (lost <= 0)
			return 0;
	}
	snprintf(why, (size_t)size, "lost %d frames", lost);
	return 1;
}

static int wanted(const struct test *t, int n, char **names)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(names[i], t->name))
			return !others;
	return others || n == 0;
}

static int run_all(int n, char **names)
{
	static char again[4000];
	int passed = 0, failed = 0, skipped = 0;
	unsigned length = 0;
	char why[320];
	for (const struct test *t = __start_tests; t < __stop_tests; t++) {
		if (!wanted(t, n, names))
			continue;
		int result = run_counted(t, why, sizeof(why));
		if (result == 0)
			printf("ok %s\n", t->name);
		else
			printf("%s %s: %s\n", result == SKIP_STATUS ? "skip" : "FAIL", t->name,
			       why);
		if (result != 0 && result != SKIP_STATUS && length < sizeof(again) - 1)
			length += (unsigned)snprintf(again + length, sizeof(again) - length,
						     "failed: %s: %s\n", t->name, why);
		passed += result == 0;
		skipped += result == SKIP_STATUS;
		failed += result != 0 && result != SKIP_STATUS;
	}
	if (passed + failed + skipped < n)
		printf("some of the names are no tests: see usertests -l\n");
	rmdir(HOME);
	printf("%s", again);
	printf("usertests: %d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed || passed + skipped < n;
}

int main(int argc, char **argv)
{
	int first = 1;
	if (argc > 1 && argv[1][0] == '@')
		return helper(argc, argv);
	if (help_wanted(argc, argv))
		usage("-l | [-big] [-not] [TEST...]", true);
	if (argc > 1 && !strcmp(argv[1], "-l")) {
		for (const struct test *t = __start_tests; t < __stop_tests; t++)
			printf("%s\n", t->name);
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "-big"))
		big = first++;
	if (first < argc && !strcmp(argv[first], "-not"))
		others = first++;
	return run_all(argc - first, argv + first);
}
