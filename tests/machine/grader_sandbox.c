/* SPDX-License-Identifier: MIT */
/*
 * The sandbox by itself: what a program in it can reach, and what it can use up. Each attack is a
 * script that runs in it as the compiler and the emulators do.
 */
#include "grading.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A TCP port of this host that can be reached. */
static int listening_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) < 0 || listen(fd, 4) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &size) < 0)
		give_up(BROKEN, "no port to listen on: %s", strerror(errno));
	return ntohs(a.sin_port);
}

/* Result: the exit status of a shell script in the sandbox. */
static int in_sandbox(const struct sandbox *s, const char *script, double seconds)
{
	char *argv[] = { "bash", "-c", (char *)script, NULL };
	return process_wait(sandbox_start(s, argv), seconds);
}

/*
 * A program in the sandbox cannot write outside of the tree, nor to the tree while it is judged; it
 * cannot reach a network, or see a process of the host. What a build needs works.
 */
static void sandboxed(const struct test *t)
{
	static const char *const forbidden[] = {
		/* allowed while the tree is built */
		"echo x >tree/new", "cd tree && echo x >Makefile",
		/* always forbidden */
		"echo x >/usr/new", "echo x >/grader", "cat /etc/passwd", "cat /etc/shadow",
		"ls /root", "ls /home", "kill -0 $HOST",
		"grep -q '^ *[^l ][^o].*:' /proc/net/dev", /* a network interface but lo */
		"exec 3<>/dev/tcp/127.0.0.1/$PORT", "mount -t tmpfs none /mnt",
		"mknod /tmp/d b 8 0", "echo x >$OUTSIDE/new",
		"dd if=/dev/zero of=/tmp/large bs=1M count=65",
	};
	const char *tree = work_path("tree"), *outside = work_path("outside");
	int log = open(work_path("log"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct sandbox s = { .tree = tree, .cpu_seconds = 3, .megabytes = 512,
			     .file_megabytes = 64, .output = log };
	(void)t;
	need_sandbox();
	int port = listening_port();
	shell_must(10, "mkdir -p %s/tree %s && echo all: >%s/Makefile && "
		       "echo all: >%s/tree/Makefile", tree, outside, tree, tree);
	for (unsigned k = 0; k < 2 * COUNT(forbidden); k++) {
		unsigned i = k % COUNT(forbidden);
		char *script;
		s.writable = k >= COUNT(forbidden);
		if (asprintf(&script, "HOST=%d PORT=%d OUTSIDE=%s; %s", (int)getpid(), port,
			     outside, forbidden[i]) < 0)
			give_up(BROKEN, "no memory");
		int status = in_sandbox(&s, script, 20);
		bool allowed = s.writable && i < 2;
		CHECK((status == 0) == allowed, "in the sandbox, `%s` ends with status %d",
		      forbidden[i], status);
	}
	s.writable = false;
	CHECK(in_sandbox(&s, "cat Makefile && echo x >/tmp/new && gcc --version", 20) == 0,
	      "what is needed does not work in the sandbox");
	CHECK(in_sandbox(&s, "while :; do :; done", 60) > 0, "no limit of CPU time in the sandbox");
	close(log);
}

/* --- what all processes of a sandbox use together --- */

/* Processes of this host that are a script of this test, in which the mark stands. */
static unsigned shells(void)
{
	char text[32];
	shell(text, sizeof(text), 20, "grep -sl '[m]ark-%d' /proc/[0-9]*/cmdline | wc -l",
	      (int)getpid());
	return (unsigned)atoi(text);
}

/* Each of them would use up this host, with limits that hold for a process alone. */
static const struct { const char *script, *says; } attacks[] = {
	{ "f() { f | f & }; f; sleep 60", "processes" },
	{ "while :; do sleep 60 & done", "processes" },
	{ "for i in {1..99}; do (while echo noise; do :; done) & done; wait", "processes" },
	{ "for i in {1..12}; do tail /dev/zero & done; wait", "memory" },
	{ "for i in {1..30}; do head -c 60M /dev/zero >/tmp/$i; done; sleep 60", "memory" },
	{ "for i in 1 2 3 4; do (while :; do :; done) & done; wait", "CPU time" },
	{ "for i in {1..1000}; do (while [ $((j++)) -lt 40000 ]; do :; done); done", "CPU time" },
	{ "read x </dev/ptmx", "nothing has run" },
	{ "kill -STOP $$", "nothing has run" },
	{ "trap '' TERM HUP INT; sleep 1000 & wait", "nothing has run" },
};

/* Whoever attacks is ended, by the limit that is for it, within seconds; and nothing is left. */
static void bounded(const struct test *t)
{
	char text[2000];
	struct sandbox s = { .tree = work_path("tree"), .writable = true, .cpu_seconds = 60,
			     .megabytes = 512, .file_megabytes = 64, .processes = 100,
			     .memory = 700, .idle_seconds = 3 };
	(void)t;
	need_sandbox();
	shell_must(10, "mkdir %s", s.tree);
	for (unsigned i = 0; i < COUNT(attacks); i++) {
		FILE *f = tmpfile();
		unsigned most = 0, now;
		char *script;
		double start = clock_seconds();
		int status = -1;
		s.output = fileno(f);
		s.all_cpu_seconds = strcmp(attacks[i].says, "CPU time") == 0 ? 1 : 4;
		if (asprintf(&script, "%s # mark-%d", attacks[i].script, (int)getpid()) < 0)
			give_up(BROKEN, "no memory");
		char *argv[] = { "bash", "-c", script, NULL };
		pid_t pid = sandbox_start(&s, argv);
		while (status < 0 && clock_seconds() < start + 60) {
			status = process_wait(pid, 0.05);
			now = shells();
			most = now > most ? now : most;
		}
		if (fseek(f, -300, SEEK_END) < 0)
			rewind(f);
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		fclose(f);
		if (status < 0)
			process_kill(pid);
		CHECK(status == SANDBOX_LIMIT && strstr(text, attacks[i].says),
		      "`%s` ended with status %d and said: %s", attacks[i].script, status, text);
		CHECK(most < 220, "`%s` had %u processes", attacks[i].script, most);
		for (double end = clock_seconds() + 10; shells() > 0; usleep(10000))
			CHECK(clock_seconds() < end, "`%s` left processes", attacks[i].script);
	}
}

/* When the process that started a sandbox ends, however it ends, all in the sandbox ends. */
static void dies_with_parent(const struct test *t)
{
	struct sandbox s = { .tree = work_path("tree"), .writable = true, .cpu_seconds = 60,
			     .megabytes = 512, .file_megabytes = 64, .output = 2 };
	(void)t;
	need_sandbox();
	shell_must(10, "mkdir %s", s.tree);
	char *argv[] = { "bash", "-c", "trap '' TERM; setsid sleep 1234567 & touch /tree/up; "
			 "sleep 1234567", NULL };
	pid_t pid = fork();
	if (pid == 0) {
		sandbox_start(&s, argv);
		for (;;)
			pause();
	}
	for (double end = clock_seconds() + 20; access(work_path("tree/up"), F_OK) < 0;)
		CHECK(clock_seconds() < end, "the sandbox does not start");
	process_kill(pid);
	char text[100];
	for (double end = clock_seconds() + 10; usleep(10000), shell(text, sizeof(text), 10,
	     "grep -lz '123456[7]' /proc/[0-9]*/cmdline 2>/dev/null | grep -v /self/") == 0;)
		CHECK(clock_seconds() < end, "processes are left: %s", text);
}

const struct test grader_sandbox_tests[] = {
	{ .name = "grader-sandbox", .run = sandboxed, .seconds = 120 },
	{ .name = "grader-bounded", .run = bounded, .seconds = 200 },
	{ .name = "grader-orphans", .run = dies_with_parent, .seconds = 60 },
	{ 0 },
};
