/* SPDX-License-Identifier: MIT */
/* The grader against those who would cheat it or break it: only what the machine shows gives points. */
#include "grading.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>

/* A TCP port of this host that can be reached. */
static int listening_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) < 0 || listen(fd, 4) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &size) < 0)
		give_up(BROKEN, "no port to listen on: %s", strerror(errno));
	return ntohs(a.sin_port);
}

/* --- what a submission can be --- */

static void forms(const struct test *t)
{
	static const char *const commands[] = { "tar -C %s -cf %s .", "tar -C %s/.. -czf %s reference", "tar -C %s -cJf %s .",
		"tar -C %s/.. --zstd -cf %s reference", "cd %s && zip -qr %s.zip . && mv %s.zip %s",
		"cd %s/.. && zip -qr %s.zip reference && mv %s.zip %s",
		"cd %s/.. && cp -r reference M\u00fcller && python3 -m zipfile -c %s M\u00fcller" };
	const char *dir = reference("reference"), *file = work_path("submission");
	(void)t;
	check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED,
		     "a directory");
	CHECK(score() > 0, "the reference in a directory gets no points:\n%s", said);
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char *command;
		if (asprintf(&command, commands[i], dir, file, file, file) < 0)
			give_up(BROKEN, "no memory");
		shell_must(20, "%s", command);
		check_status(run_grade("--submission %s --only %s", file, one_check()), GRADED,
			     command);
		CHECK(score() > 0, "%s: no points:\n%s", command, said);
	}
}

/* Each is refused as a whole, with a message, and leaves nothing behind. */
static void archives(const struct test *t)
{
	static const struct { const char *command, *message; } cases[] = {
		{ "cp -r good bad && tar -P -cf %s good $PWD/good/kernel/mm/p2m.c", "outside of itself" },
		{ "mkdir -p d && cd d && tar -P -cf %s ../good/kernel/mm/p2m.c", "outside of itself" },
		{ "cp -r good link && ln -sf /etc/passwd link/kernel/mm/p2m.c && tar -cf %s link", "link" },
		{ "cp -r good hard && ln -f hard/kernel/mm/vm.c hard/kernel/mm/p2m.c && tar --sort=name -cf %s hard", "link" },
		{ "cp -r good fifo && rm fifo/kernel/mm/p2m.c && mkfifo fifo/kernel/mm/p2m.c && tar -cf %s fifo", "device" },
		{ "cp -r good bomb && truncate -s 300M bomb/zeros && tar -czf %s bomb", "unpacks to more than" },
		{ "cp -r good big && head -c 400000 /dev/zero >>big/kernel/mm/p2m.c && tar -cf %s big", "more than 256 KiB" },
		{ "cp -r good twice && tar -cf %s good twice", "more than once" },
		{ "tar -czf - good | head -c 3000 >%s", "damaged" },
		{ "tar -cf - good | head -c 30000 >%s", "damaged" },
		{ "zip -qr z.zip good && head -c 9000 z.zip >%s", "damaged" },
		{ "head -c 5000 /dev/urandom >%s", "tar" },
		{ ": >%s", "" },
		{ "cp -r good linked && ln -sf /etc/passwd linked/kernel/mm/p2m.c && rm -f %s && ln -s linked %s", "link" },
		{ "mkdir moved && mv linked/kernel moved/ && ln -sfn moved/kernel linked/kernel && rm -f %s && ln -s linked %s", "link" },
	};
	const char *file = work_path("submission");
	(void)t;
	reference("good");
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *command;
		if (asprintf(&command, cases[i].command, file, file) < 0)
			give_up(BROKEN, "no memory");
		shell_must(30, "cd %s && { %s; }", work_dir, command);
		check_status(run_grade("--submission %s --only %s", file, one_check()), REFUSED,
			     command);
		check_said("refused: ");
		check_said(cases[i].message);
		CHECK(score() == -1, "%s: it has a score", command);
	}
}

/* Files that are not the lab's do not arrive: these would break the build, or give points. */
static void whitelist(const struct test *t)
{
	const char *dir = reference("more");
	(void)t;
	shell_must(
		10,
		"cd %s && mkdir -p kernel/boot labs/" LAB
		" grader tools && echo '#error arrived' >kernel/boot/main.c && "
		"printf 'all:\\n\\tfalse\\n' >Makefile && echo exit 1 >tools/ksyms && echo '#error' >labs/" LAB
		"/checks.c",
		dir);
	check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED,
		     "more files than wanted");
	CHECK(score() > 0, "a file arrived that is not the lab's:\n%s", said);
	shell_must(10, "rm %s/kernel/mm/p2m.c", dir);
	check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED,
		     "a file is missing");
	check_said("kernel/mm/p2m.c is not in the submission");
	check_said("empty exercise");
}

/* Several checks by name: what is scored is what was asked for, and the page says to which exercise each belongs. */
static void some_checks(const struct test *t)
{
	const char *dir = reference("some"), *page = work_path("some.html");
	(void)t;
	check_status(run_grade("--submission %s --only 'walk, identity' --html %s", dir, page),
		     GRADED, "two checks");
	CHECK(json_array_size(json_object_get(report(), "tests")) == 2 && score() == 12 &&
		      score() == max_score(),
	      "walk and identity give %d of %d points:\n%s", score(), max_score(), said);
	check_said("12 of 12 points");
	shell_must(10, "grep 'identity:.*exercise 1<' %s && grep 'walk:.*exercise 3<' %s", page,
		   page);
	check_status(run_grade("--submission %s --only 'identity wlak'", dir), REFUSED,
		     "a name that is none");
	check_said("has no check wlak;");
	check_status(run_grade("--submission %s --only ', '", dir), REFUSED, "no name");
}

/* --- what its code can be --- */

/* Lines that are refused with a message: graded, 0 points, and the environment is not blamed. */
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
		{ "#error gcc: fatal error: Killed signal terminated program cc1", "does not build" }, /* it was not */
		/* not seen in the text; there is nothing to be had in the sandbox */
		{ "__asm__(\".inc\" \"bin \\\"/etc/passwd\\\"\");", "does not build" },
		{ "#define I <stdio.h>\n#define X(x) x\n__asm__(\".inc\" \"lude \\\"/etc/shadow\\\"\");", "does not build" },
	};
	(void)t;
	need_sandbox();
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *dir = reference("include");
		FILE *f = fopen(work_path("include/kernel/mm/p2m.c"), "a");
		if (!f || fprintf(f, "%s\n", cases[i].line) < 0 || fclose(f) != 0)
			give_up(BROKEN, "p2m.c: %s", strerror(errno));
		check_status(run_grade("--submission %s", dir), GRADED, cases[i].line);
		CHECK(score() == 0, "%s: %d points", cases[i].line, score());
		check_said(cases[i].message);
	}
}

/* What runs in the sandbox cannot write outside, nor to the tree while it judges, reach a network, or see a process of the host. */
static void sandboxed(const struct test *t)
{
	static const char *const forbidden[] = { "echo x >tree/new", "cd tree && echo x >Makefile", "echo x >/usr/new", "echo x >/grader",
		"cat /etc/passwd", "cat /etc/shadow", "ls /root", "ls /home", "kill -0 $HOST", "grep -q '^ *[^l ][^o].*:' /proc/net/dev",
		"exec 3<>/dev/tcp/127.0.0.1/$PORT", "mount -t tmpfs none /mnt", "mknod /tmp/d b 8 0", "echo x >$OUTSIDE/new",
		"dd if=/dev/zero of=/tmp/large bs=1M count=65" };
	const char *tree = work_path("tree"), *outside = work_path("outside");
	char setting[400];
	struct sandbox s = { .tree = tree, .cpu_seconds = 3, .megabytes = 512, .file_megabytes = 64, .output = -1 };
	need_sandbox();
	int port = listening_port(),
	    log = open(work_path("log"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	(void)t;
	s.output = log;
	shell_must(10,
		   "mkdir -p %s/tree %s && echo all: >%s/Makefile && echo all: >%s/tree/Makefile",
		   tree, outside, tree, tree);
	snprintf(setting, sizeof(setting), "HOST=%d PORT=%d OUTSIDE=%s; ", (int)getpid(), port,
		 outside);
	for (unsigned writable = 0; writable < 2; writable++)
		for (unsigned i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
			char *script;
			if (asprintf(&script, "%s%s", setting, forbidden[i]) < 0)
				give_up(BROKEN, "no memory");
			s.writable = writable;
			int status = process_wait(
				sandbox_start(&s, (char *[]){ "bash", "-c", script, NULL }), 20);
			bool allowed = writable && i < 2; /* the tree, while it is built */
			CHECK((status == 0) == allowed, "in the sandbox, `%s` ends with status %d",
			      forbidden[i], status);
		}
	s.writable = false;
	CHECK(process_wait(
		      sandbox_start(&s,
				    (char *[]){ "bash", "-c",
						"cat Makefile && echo x >/tmp/new && gcc --version",
						NULL }),
		      20) == 0,
	      "what is needed does not work in the sandbox");
	CHECK(process_wait(
		      sandbox_start(&s, (char *[]){ "bash", "-c", "while :; do :; done", NULL }),
		      60) > 0,
	      "no limit of CPU time in the sandbox");
	close(log);
}

/* Code that the compiler chokes on ends the build by its limits. */
static void bombs(const struct test *t)
{
	static const char *const lines[] = {
		"__asm__(\".rept 2000000000\\n.long 1,2,3,4\\n.endr\");",
		"char bomb[3000000000u] = { 1 };",
		"#define A \"0123456789\" \"0123456789\" \"0123456789\" \"0123456789\"\n#define B A A A A A A A A A A\n"
		"#define C B B B B B B B B B B\n"
		"#define D C C C C C C C C C C\n#define E D D D D D D D D D D\n#define F E E E E E E E E E E\n#define G F F F F F F F F F F\n"
		"const char *bomb = G G G G;",
		"#ifndef DEEP\n#define DEEP 1\n#endif\n#if __INCLUDE_LEVEL__ < 150\n#include \"mm/p2m.c\"\n#include \"mm/p2m.c\"\n#endif",
	};
	(void)t;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *dir = reference("bomb");
		FILE *f = fopen(work_path("bomb/kernel/mm/p2m.c"), i == 3 ? "w" : "a");
		if (!f || fprintf(f, "%s\n", lines[i]) < 0 || fclose(f) != 0)
			give_up(BROKEN, "p2m.c: %s", strerror(errno));
		check_status(run_grade("--submission %s", dir), GRADED, lines[i]);
		CHECK(score() == 0, "%s: %d points", lines[i], score());
		check_said("does not build (limits:");
	}
}

/* A machine that says what a passing one says, and ends as it does, or as if somebody had killed QEMU, or hangs. */
static void forged(const struct test *t)
{
#define SAY "printk(\"Cinnabar: 65536 KiB, 1 CPU, ring 0\\nall tests passed\\nscore: 100\\n$ $ $ \");"
#define END(status) "__asm__ volatile(\"outl %0, %1\" : : \"a\"(" #status "), \"Nd\"((unsigned short)0xF4)); for (;;) ;"
	static const char *const codes[] = { SAY END(0x10), SAY END(0x44),
					     SAY "__asm__ volatile(\"cli; hlt\"); for (;;) ;" };
	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		bool whole = t->number; /* in Bochs all three hang, and only the clock tells */
		check_status(run_grade("--submission %s %s%s", with_code("forged", codes[i]),
				       whole ? "" : "--only ", whole ? "" : one_check()),
			     GRADED, codes[i]);
		CHECK(score() == 0 && !strstr(said, "does not build"),
		      "a forged run gets %d points:\n%s", score(), said);
	}
#undef SAY
#undef END
}

/* The cause stands first: a triple fault with its trap, a hang or an exception with its place. */
static void causes(const struct test *t)
{
	static const struct { const char *code, *message; } cases[] = {
		{ "__asm__ volatile(\"lidt %0; ud2\" : : \"m\"(*(const char (*)[6])\"\\0\\0\\0\\0\\0\"));", "triple fault" },
		{ "__asm__ volatile(\"lidt %0; ud2\" : : \"m\"(*(const char (*)[6])\"\\0\\0\\0\\0\\0\"));", "#UD invalid opcode" },
		{ "__asm__ volatile(\"cli; hlt\");", "halted with interrupts off" },
		{ "for (;;) __asm__ volatile(\"\");", "no boot: the machine hangs" },
		{ "panic(\"lab 1, exercise 3 is empty: see labs/" LAB "/handout.md\");", "empty exercise: lab 1, exercise 3" },
	};
	(void)t;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check_status(run_grade("--submission %s --only %s",
				       with_code("cause", cases[i].code), one_check()),
			     GRADED, cases[i].code);
		CHECK(score() == 0, "%s: %d points", cases[i].code, score());
		check_said(cases[i].message);
		check_said("kernel/mm/p2m.c:");
	}
	/* an exception: where it came, not where it was reported */
	const char *dir = reference("fault");
	shell_must(
		10,
		"sed -i '/LAB 1 TODO 5 BEGIN/a *(volatile int *)0xF0000000u = 1;' %s/kernel/mm/vm.c",
		dir);
	check_status(run_grade("--submission %s --only program", dir), GRADED, "an exception");
	check_said("at: drop_pages (kernel/mm/vm.c:");
	/* a name of the kernel's: which of the two the check would look at is not the student's to choose */
	shell_must(10,
		   "echo '__attribute__((used)) static void kmain(void) { }' >>%s/kernel/mm/p2m.c",
		   dir = reference("clash"));
	check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED,
		     "a name that is there already");
	check_said("more than one symbol kmain");
}

const struct test grader_tests[] = {
	{ .name = "grader-forms", .run = forms, .seconds = 120 },
	{ .name = "grader-archives", .run = archives, .seconds = 120 },
	{ .name = "grader-whitelist", .run = whitelist, .seconds = 60 },
	{ .name = "grader-some-checks", .run = some_checks, .seconds = 120 },
	{ .name = "grader-outside-files", .run = outside_files, .seconds = 120 },
	{ .name = "grader-sandbox", .run = sandboxed, .seconds = 120 },
	{ .name = "grader-bombs", .run = bombs, .seconds = 200 },
	{ .name = "grader-forged", .run = forged, .seconds = 400 },
	{ .name = "grader-causes", .run = causes, .seconds = 200 },
	{ 0 },
};
const struct test grader_soak_tests[] = {
	{ .name = "grader-forged-whole", .run = forged, .seconds = 1500, .number = 1 },
	{ 0 },
};
