/* SPDX-License-Identifier: MIT */
/*
 * What a submission's code can be. The grader and its sandbox against code that reads the host's
 * files, breaks the compiler, or forges the output of a machine that passes: only what the machine
 * shows from outside gives points. And of an honest mistake the report names the cause first.
 */
#include "grading.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Append text to a file below work_dir, or write it anew. */
static void write_code(const char *name, const char *mode, const char *text)
{
	FILE *f = fopen(work_path(name), mode);
	if (!f || fprintf(f, "%s\n", text) < 0 || fclose(f) != 0)
		give_up(BROKEN, "%s: %s", name, strerror(errno));
}

/* --- files of the host --- */

/* Each line is refused with a message: graded with 0 points, and the environment is not blamed. */
static void outside_files(const struct test *t)
{
	static const struct { const char *line, *message; } cases[] = {
		{ "#include \"/etc/passwd\"", "absolute path" },
		{ "  #  include </etc/passwd>", "absolute path" },
		{ "%:include \"/etc/passwd\"", "absolute path" },
		{ "#include \"../../../secret.h\"", "leaves the tree" },
		{ "#include NAME", "does not name its file" },
		{ "__asm__(\".incbin \\\"/etc/passwd\\\"\");", ".incbin" },
		{ "__asm__(\".include \\\"/etc/passwd\\\"\");", ".include" },
		/* a message that looks as if the compiler had been killed */
		{ "#error gcc: fatal error: Killed signal terminated program cc1",
		  "does not build" },
		/* not to be seen in the text; but in the sandbox there is nothing to read */
		{ "__asm__(\".inc\" \"bin \\\"/etc/passwd\\\"\");", "does not build" },
		{ "#define I <stdio.h>\n#define X(x) x\n"
		  "__asm__(\".inc\" \"lude \\\"/etc/shadow\\\"\");", "does not build" },
	};
	(void)t;
	need_sandbox();
	for (unsigned i = 0; i < COUNT(cases); i++) {
		const char *dir = reference("include");
		write_code("include/kernel/mm/p2m.c", "a", cases[i].line);
		check_status(run_grade("--submission %s", dir), GRADED, cases[i].line);
		CHECK(score() == 0, "%s: %d points", cases[i].line, score());
		check_said(cases[i].message);
	}
}

/* --- the sandbox --- */

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

/* --- code that would choose "error" instead of a grade --- */

/* A build that looks killed gets 0 points; one that reads its input finds none. */
static void outcomes(const struct test *t)
{
	static const struct { const char *code; int score; } cases[] = {
		{ "__asm__(\".print \\\"gcc: fatal error: Killed signal terminated program cc1\\\""
		  "\\n.err\");", 0 },
		{ "#inc\\\nlude \"/dev/stdin\"", 100 },
	};
	(void)t;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		const char *dir = reference("outcome");
		write_code("outcome/kernel/mm/p2m.c", "a", cases[i].code);
		check_status(run_grade("--submission %s", dir), GRADED, cases[i].code);
		CHECK(score() == cases[i].score, "%s: %d points", cases[i].code, score());
	}
}

/* --- code that breaks the compiler --- */

/* Each ends the build by the limits of time and memory: 0 points. */
static void bombs(const struct test *t)
{
#define TEN(x) x " " x " " x " " x " " x " " x " " x " " x " " x " " x
	static const struct { const char *mode, *code; } codes[] = {
		{ "a", "__asm__(\".rept 2000000000\\n.long 1,2,3,4\\n.endr\");" },
		{ "a", "char bomb[3000000000u] = { 1 };" },
		/* a string of 40 million characters */
		{ "a", "#define A \"0123456789\" \"0123456789\" \"0123456789\" \"0123456789\"\n"
		       "#define B " TEN("A") "\n#define C " TEN("B") "\n"
		       "#define D " TEN("C") "\n#define E " TEN("D") "\n"
		       "#define F " TEN("E") "\n#define G " TEN("F") "\n"
		       "const char *bomb = G G G G;" },
		/* a file that includes itself twice, 150 levels deep */
		{ "w", "#ifndef DEEP\n#define DEEP 1\n#endif\n#if __INCLUDE_LEVEL__ < 150\n"
		       "#include \"mm/p2m.c\"\n#include \"mm/p2m.c\"\n#endif" },
	};
#undef TEN
	(void)t;
	for (unsigned i = 0; i < COUNT(codes); i++) {
		const char *dir = reference("bomb"), *code = codes[i].code;
		write_code("bomb/kernel/mm/p2m.c", codes[i].mode, code);
		check_status(run_grade("--submission %s", dir), GRADED, code);
		CHECK(score() == 0, "%s: %d points", code, score());
		check_said("does not build (limits:");
	}
}

/* --- code that pretends --- */

/*
 * A machine that prints what a passing one prints, and then ends with its exit status, or with one
 * as if QEMU had been killed, or hangs. number: 1 for the whole grading, with Bochs, where all
 * three hang and only the clock ends them.
 */
static void forged(const struct test *t)
{
#define SAY "printk(\"Cinnabar: 65536 KiB, 1 CPU, ring 0\\n" \
	    "all tests passed\\nscore: 100\\n$ $ $ \");"
#define END(status) \
	"__asm__ volatile(\"outl %0, %1\" : : \"a\"(" #status "), \"Nd\"((unsigned short)0xF4));" \
	" for (;;) ;"
	static const char *const codes[] = {
		SAY END(0x10),
		SAY END(0x44),
		SAY "__asm__ volatile(\"cli; hlt\"); for (;;) ;",
	};
#undef SAY
#undef END
	bool whole = t->number;
	const char *only = whole ? "" : "--only ", *check = whole ? "" : one_check();
	for (unsigned i = 0; i < COUNT(codes); i++) {
		const char *dir = with_code("forged", codes[i]);
		check_status(run_grade("--submission %s %s%s", dir, only, check), GRADED, codes[i]);
		CHECK(score() == 0 && !strstr(said, "does not build"),
		      "a forged run gets %d points:\n%s", score(), said);
	}
}

const struct test grader_tests[] = {
	{ .name = "grader-outside-files", .run = outside_files, .seconds = 120 },
	{ .name = "grader-sandbox", .run = sandboxed, .seconds = 120 },
	{ .name = "grader-outcomes", .run = outcomes, .seconds = 200 },
	{ .name = "grader-bombs", .run = bombs, .seconds = 200 },
	{ .name = "grader-forged", .run = forged, .seconds = 400 },
	{ 0 },
};
const struct test grader_soak_tests[] = {
	{ .name = "grader-forged-whole", .run = forged, .seconds = 1500, .number = 1 },
	{ 0 },
};
