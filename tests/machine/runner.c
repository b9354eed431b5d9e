/* SPDX-License-Identifier: MIT */
/*
 * The test runner: each test in a process of its own, with its own directory and time limit, some at a time. A test
 * ends by returning (passed) or by give_up(), which sends outcome and reason up a pipe; whatever else ends it is a failure.
 */
#include "tests.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { MAX_TESTS = 256, MAX_JOBS = 16, REASON_BYTES = 16384 };

struct result {
	struct test test;
	pid_t pid; /* while it runs */
	int pipe;
	double start, seconds;
	bool done, timed_out;
	char outcome; /* enum outcome as a digit: the first byte in the pipe */
	char dir[300];
	char *reason;
	size_t reason_bytes;
};

static struct result results[MAX_TESTS];
static unsigned nr_results, nr_done, jobs = 2, running;
static char base_dir[256];
static const char *current_name;
static int report_fd = -1;
static volatile sig_atomic_t interrupted;
const char *work_dir, *build_dir = "build", *kernel_file = "build/cinnabar", *vmm_file = "build/vmm";

void give_up(enum outcome outcome, const char *why, ...)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	va_list ap;
	va_start(ap, why);
	fputc('0' + (int)outcome, f);
	vfprintf(f, why, ap);
	va_end(ap);
	if (outcome != SKIPPED && report_fd >= 0) {
		fprintf(f, "\nagain: build/tests/run %s\n", current_name);
		for (const struct machine *m = machines; m; m = m->next)
			machine_describe(m, f);
	}
	fclose(f);
	for (size_t done = 0; done < size;) {
		ssize_t n = write(report_fd >= 0 ? report_fd : 2, text + done, size - done);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	for (struct machine *m = machines; m; m = m->next)
		machine_quit(m);
	_exit(1);
}

static void add_test(const struct test *t)
{
	if (nr_results == MAX_TESTS)
		give_up(BROKEN, "too many tests");
	results[nr_results++].test = *t;
}

static void add_tests(const struct test *t)
{
	for (; t->name; t++)
		add_test(t);
}

/* A host unit test: a program that passes by exit status 0. */
static void run_unit(const struct test *t)
{
	char text[REASON_BYTES / 2];
	int status = shell(text, sizeof(text), t->seconds, "%s 2>&1", t->text);
	CHECK(status == 0, "%s ended with status %d:\n%s", t->text, status, text);
}

static void add_units(const char *dir)
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char *path, *name;
		struct stat s;
		if (strncmp(names[i]->d_name, "test_", 5) != 0 || asprintf(&path, "%s/%s", dir, names[i]->d_name) < 0 ||
		    asprintf(&name, "unit-%s", names[i]->d_name + 5) < 0)
			continue;
		if (stat(path, &s) == 0 && S_ISREG(s.st_mode) && (s.st_mode & S_IXUSR))
			add_test(&(struct test){ .name = name, .run = run_unit, .seconds = 60, .text = path });
	}
	if (n < 0)
		give_up(BROKEN, "%s: %s", dir, strerror(errno));
}

/* The test's own limit: a verdict with the serial log's tail. If it is stuck deeper, the runner ends it a little later. */
static void time_over(int sig)
{
	(void)sig;
	give_up(FAILED, "not done within its time limit");
}

/* In the test's process. */
static void child(struct result *r, int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	signal(SIGINT, SIG_DFL), signal(SIGTERM, SIG_DFL), signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, time_over);
	alarm(r->test.seconds);
	report_fd = fd;
	current_name = r->test.name;
	work_dir = r->dir;
	r->test.run(&r->test);
	for (struct machine *m = machines; m; m = m->next)
		machine_quit(m);
	if (write(fd, "0", 1) != 1)
		_exit(1);
	_exit(0);
}

static void start(struct result *r, unsigned index)
{
	int fds[2];
	snprintf(r->dir, sizeof(r->dir), "%s/%u", base_dir, index);
	if (mkdir(r->dir, 0700) < 0 || pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		give_up(BROKEN, "%s: %s", r->dir, strerror(errno));
	r->start = now();
	r->outcome = '0' + FAILED;
	fflush(stdout);
	r->pid = fork();
	if (r->pid == 0) {
		fcntl(fds[1], F_SETFL, 0);
		child(r, fds[1]);
	}
	setpgid(r->pid, r->pid);
	close(fds[1]);
	r->pipe = fds[0];
	running++;
}

static void collect(struct result *r)
{
	char buf[4096];
	for (ssize_t n; (n = read(r->pipe, buf, sizeof(buf))) > 0;) {
		if (r->reason_bytes + (size_t)n > REASON_BYTES)
			continue;
		r->reason = realloc(r->reason, r->reason_bytes + (size_t)n + 1);
		memcpy(r->reason + r->reason_bytes, buf, (size_t)n);
		r->reason[r->reason_bytes += (size_t)n] = '\0';
	}
}

static void remove_dir(const char *dir)
{
	pid_t pid = process_start((char *[]){ "rm", "-rf", (char *)dir, NULL }, -1, -1, -1);
	process_wait(pid, 30);
}

static void print_result(const struct result *r)
{
	static const char *const words[] = { "ok  ", "FAIL", "skip", "ERR " };
	printf("[%3u/%u] %s %s (%.1f s)\n", nr_done, nr_results, words[r->outcome - '0'], r->test.name, r->seconds);
	if (r->outcome != '0' + PASSED)
		for (const char *s = r->reason; *s;) { /* indented */
			size_t n = strcspn(s, "\n");
			printf("        %.*s\n", (int)n, s);
			s += n + (s[n] == '\n');
		}
	fflush(stdout);
}

static void finish(struct result *r, int status)
{
	collect(r);
	close(r->pipe);
	kill(-r->pid, SIGKILL); /* what the test left behind, in its own process group */
	r->seconds = now() - r->start;
	r->done = true;
	r->pid = 0;
	running--, nr_done++;
	if (r->reason_bytes > 0 && r->reason[0] >= '0' && r->reason[0] <= '3') {
		r->outcome = r->reason[0];
		memmove(r->reason, r->reason + 1, r->reason_bytes);
	} else {
		free(r->reason);
		if ((r->timed_out ? asprintf(&r->reason, "not done within %u s; again: build/tests/run %s", r->test.seconds, r->test.name)
				  : asprintf(&r->reason, "ended without a verdict, wait status %#x; again: build/tests/run %s", status,
					     r->test.name)) < 0)
			r->reason = "no memory";
	}
	remove_dir(r->dir);
	print_result(r);
}

static void poll_running(void)
{
	for (unsigned i = 0; i < nr_results; i++) {
		struct result *r = &results[i];
		int status;
		if (r->pid == 0)
			continue;
		collect(r);
		if (waitpid(r->pid, &status, WNOHANG) == r->pid) {
			finish(r, status);
		} else if (!r->timed_out && (interrupted || now() - r->start > r->test.seconds + 10)) {
			r->timed_out = true;
			kill(r->pid, SIGKILL);
		}
	}
	usleep(5000);
}

static void run_all(void)
{
	for (unsigned i = 0; i < nr_results && !interrupted;) {
		if (running < jobs)
			start(&results[i], i), i++;
		else
			poll_running();
	}
	while (running)
		poll_running();
}

static void xml_text(FILE *f, const char *s)
{
	for (; *s; s++)
		if (strchr("<>&\"", *s))
			fprintf(f, "&#%d;", *s);
		else if ((unsigned char)*s >= ' ' || *s == '\n' || *s == '\t')
			fputc(*s, f);
}

static void write_xml(const char *path, const unsigned count[4], double seconds)
{
	static const char *const elements[] = { NULL, "failure", "skipped", "error" };
	FILE *f = fopen(path, "w");
	if (!f)
		give_up(BROKEN, "%s: %s", path, strerror(errno));
	fprintf(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	fprintf(f, "<testsuite name=\"cinnabar\" tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\" time=\"%.1f\">\n",
		nr_done, count[FAILED], count[BROKEN], count[SKIPPED], seconds);
	for (const struct result *r = results; r < results + nr_results; r++) {
		if (!r->done)
			continue;
		const char *element = elements[r->outcome - '0'];
		fprintf(f, "<testcase classname=\"machine\" name=\"%s\" time=\"%.1f\">", r->test.name, r->seconds);
		if (element) {
			fprintf(f, "<%s>", element);
			xml_text(f, r->reason);
			fprintf(f, "</%s>", element);
		}
		fprintf(f, "</testcase>\n");
	}
	fprintf(f, "</testsuite>\n");
	fclose(f);
}

static int summarize(double seconds)
{
	unsigned count[4] = { 0 };
	char path[300];
	for (const struct result *r = results; r < results + nr_results; r++)
		count[r->outcome - '0'] += r->done;
	snprintf(path, sizeof(path), "%s/tests.xml", build_dir);
	write_xml(path, count, seconds);
	if (count[SKIPPED] || count[BROKEN])
		printf("%u tests in %.0f s, %u skipped, %u with an error of the environment (counted as failed)\n", nr_done, seconds,
		       count[SKIPPED], count[BROKEN]);
	if (interrupted)
		printf("interrupted: %u tests did not run\n", nr_results - nr_done);
	printf("%u passed, %u failed\n", count[PASSED], count[FAILED] + count[BROKEN]);
	return count[FAILED] + count[BROKEN] > 0 || interrupted;
}

/* Keep only tests that an argument names, or whose prefix it is with a * at its end. */
static void select_tests(char **names, int n)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < nr_results; i++)
		for (int k = 0; k < n; k++) {
			size_t length = strlen(names[k]);
			bool prefix = length > 0 && names[k][length - 1] == '*';
			if (strncmp(results[i].test.name, names[k], prefix ? length - 1 : length + 1) == 0) {
				results[kept++] = results[i];
				break;
			}
		}
	nr_results = kept;
}

static void interrupt(int sig)
{
	interrupted = sig;
}

static int usage(const char *program)
{
	fprintf(stderr, "usage: %s [-l] [-j JOBS] [--unit DIR] [--soak | --bench | --bench-switch | --demo] [NAME | PREFIX*]...\n", program);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct test shows[] = {
		{ .name = "bench", .run = bench, .seconds = 600 },
		{ .name = "bench-switch", .run = bench_switch, .seconds = 600 },
		{ .name = "demo", .run = demo, .seconds = 200, .machine = { .cpus = 2, .p2m = "shuffle:2026" } },
	};
	const struct test *show = NULL;
	bool list = false, soak = false;
	const char *unit = NULL;
	int i = 1;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "-l") == 0)
			list = true;
		else if (strcmp(argv[i], "-j") == 0 && i + 1 < argc)
			jobs = (unsigned)atoi(argv[++i]);
		else if (strcmp(argv[i], "--unit") == 0 && i + 1 < argc)
			unit = argv[++i];
		else if (strcmp(argv[i], "--soak") == 0)
			soak = true;
		else {
			for (unsigned k = 0; k < 3; k++)
				if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, shows[k].name) == 0)
					show = &shows[k];
			if (!show)
				return usage(argv[0]);
		}
	}
	if (jobs < 1 || jobs > MAX_JOBS)
		return usage(argv[0]);
	if (show) {
		add_test(show);
	} else if (soak) {
		add_tests(soak_tests), add_tests(switch_soak_tests), add_tests(rollback_soak_tests), add_tests(isolation_soak_tests);
	} else {
		if (unit)
			add_units(unit);
		add_tests(boot_tests), add_tests(native_tests), add_tests(program_tests), add_tests(switch_tests), add_tests(rollback_tests);
		add_tests(isolation_tests), add_tests(hostile_tests), add_tests(disk_tests), add_tests(document_tests);
	}
	if (i < argc)
		select_tests(argv + i, argc - i);
	if (list) {
		for (unsigned k = 0; k < nr_results; k++)
			puts(results[k].test.name);
		return 0;
	}
	if (nr_results == 0) {
		fprintf(stderr, "no test has such a name; -l lists them\n");
		return 2;
	}
	const char *tmp = getenv("TMPDIR");
	snprintf(base_dir, sizeof(base_dir), "%s/cinnabar.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(base_dir))
		give_up(BROKEN, "%s: %s", base_dir, strerror(errno));
	struct sigaction stop = { .sa_handler = interrupt };
	sigaction(SIGINT, &stop, NULL), sigaction(SIGTERM, &stop, NULL), sigaction(SIGHUP, &stop, NULL);
	double start_time = now();
	run_all();
	remove_dir(base_dir);
	return summarize(now() - start_time);
}
