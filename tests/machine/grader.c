/* SPDX-License-Identifier: MIT */
/*
 * The grader against those who would cheat it or break it, and against environments that break beneath it: only what the machine shows
 * gives points, and what is the environment's fault gives no grade at all. Lab 1 carries the tests.
 */
#include "tests.h"
#include "grader.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/stat.h>

#define LAB "01-paging"
#define GRADE "build/grader grade --lab " LAB " "
enum { REFUSED = USAGE, NO_GRADE = ENVIRONMENT, SECONDS = 400 };

static char said[20000]; /* what the grader printed last */

static void need_sandbox(void)
{
	char why[300];
	if (!sandbox_works(why, sizeof(why)))
		give_up(SKIPPED, "no sandbox can be had here: %s", why);
}

/* Grade, with its report in work_path("r.json"). Result: exit status. */
static int run_grade(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int run_grade(const char *fmt, ...)
{
	char *arguments;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&arguments, fmt, ap) < 0)
		give_up(BROKEN, "no memory");
	va_end(ap);
	unlink(work_path("r.json"));
	return shell(said, sizeof(said), SECONDS, GRADE "--json %s %s", work_path("r.json"), arguments);
}

static json_t *report(void)
{
	json_t *j = json_load_file(work_path("r.json"), 0, NULL);
	if (!j)
		give_up(FAILED, "no JSON report was written; the grader said:\n%s", said);
	return j;
}

/* Points of the last grading; -1 if it gave no grade. */
static int score(void)
{
	json_t *s = json_object_get(report(), "score");
	return s ? (int)json_integer_value(s) : -1;
}

static int max_score(void)
{
	return (int)json_integer_value(json_object_get(json_object_get(report(), "extra_data"), "max_score"));
}

static void check_status(int status, int want, const char *what)
{
	CHECK(status == want, "%s: the grader ended with status %d instead of %d:\n%s", what, status, want, said);
}

static void check_said(const char *text)
{
	CHECK(strstr(said, text), "the grader does not say \"%s\" but:\n%s", text, said);
}

static void check_no_grade(int status, const char *what)
{
	check_status(status, NO_GRADE, what);
	CHECK(score() == -1, "%s: the report of an error has a score of %d", what, score());
}

/* A directory with the reference's files. */
static const char *reference(const char *name)
{
	const char *dir = work_path(name);
	shell_must(10, "mkdir -p %s && cp --parents $(grep -rl 'LAB 1 TODO' kernel vmm include) %s", dir, dir);
	return dir;
}

/* Its first statement of the first exercise becomes text. */
static const char *with_code(const char *name, const char *text)
{
	const char *dir = reference(name);
	FILE *f = fopen(work_path("code"), "w");
	if (!f)
		give_up(BROKEN, "code: %s", strerror(errno));
	fprintf(f, "%s\n", text);
	fclose(f);
	shell_must(10, "sed -i -e '/^int p2m_build(/,/^{/{/^{/r %s' -e '}' %s/kernel/mm/p2m.c && grep -qF -f %s %s/kernel/mm/p2m.c",
		   work_path("code"), dir, work_path("code"), dir);
	return dir;
}

/* The shortest grading that runs a machine. */
static const char *one_check(void)
{
	static char name[100];
	if (shell(name, sizeof(name), 10, "build/grader list --lab " LAB " | awk 'NR == 2 { printf \"%%s\", $4 }'") != 0 || !*name)
		give_up(BROKEN, "build/grader list: %s", name);
	return name;
}

/* A TCP port of this host that can be reached. */
static int listening_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) < 0 || listen(fd, 4) < 0 || getsockname(fd, (struct sockaddr *)&a, &size) < 0)
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
	check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED, "a directory");
	CHECK(score() > 0, "the reference in a directory gets no points:\n%s", said);
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char *command;
		if (asprintf(&command, commands[i], dir, file, file, file) < 0)
			give_up(BROKEN, "no memory");
		shell_must(20, "%s", command);
		check_status(run_grade("--submission %s --only %s", file, one_check()), GRADED, command);
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
		check_status(run_grade("--submission %s --only %s", file, one_check()), REFUSED, command);
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
	shell_must(10, "cd %s && mkdir -p kernel/boot labs/" LAB " grader tools && echo '#error arrived' >kernel/boot/main.c && "
		   "printf 'all:\\n\\tfalse\\n' >Makefile && echo exit 1 >tools/ksyms && echo '#error' >labs/" LAB "/checks.c", dir);
	check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED, "more files than wanted");
	CHECK(score() > 0, "a file arrived that is not the lab's:\n%s", said);
	shell_must(10, "rm %s/kernel/mm/p2m.c", dir);
	check_status(run_grade("--submission %s --only %s", dir, one_check()), GRADED, "a file is missing");
	check_said("kernel/mm/p2m.c is not in the submission");
	check_said("empty exercise");
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
	int port = listening_port(), log = open(work_path("log"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	(void)t;
	s.output = log;
	shell_must(10, "mkdir -p %s/tree %s && echo all: >%s/Makefile && echo all: >%s/tree/Makefile", tree, outside, tree, tree);
	snprintf(setting, sizeof(setting), "HOST=%d PORT=%d OUTSIDE=%s; ", (int)getpid(), port, outside);
	for (unsigned writable = 0; writable < 2; writable++)
		for (unsigned i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
			char *script;
			if (asprintf(&script, "%s%s", setting, forbidden[i]) < 0)
				give_up(BROKEN, "no memory");
			s.writable = writable;
			int status = process_wait(sandbox_start(&s, (char *[]){ "bash", "-c", script, NULL }), 20);
			bool allowed = writable && i < 2; /* the tree, while it is built */
			CHECK((status == 0) == allowed, "in the sandbox, `%s` ends with status %d", forbidden[i], status);
		}
	s.writable = false;
	CHECK(process_wait(sandbox_start(&s, (char *[]){ "bash", "-c", "cat Makefile && echo x >/tmp/new && gcc --version", NULL }), 20) == 0,
	      "what is needed does not work in the sandbox");
	CHECK(process_wait(sandbox_start(&s, (char *[]){ "bash", "-c", "while :; do :; done", NULL }), 60) > 0,
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
	static const char *const codes[] = { SAY END(0x10), SAY END(0x44), SAY "__asm__ volatile(\"cli; hlt\"); for (;;) ;" };
	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		bool whole = t->number; /* in Bochs all three hang, and only the clock tells */
		check_status(run_grade("--submission %s %s%s", with_code("forged", codes[i]), whole ? "" : "--only ", whole ? "" : one_check()),
			     GRADED, codes[i]);
		CHECK(score() == 0 && !strstr(said, "does not build"), "a forged run gets %d points:\n%s", score(), said);
	}
#undef SAY
#undef END
}

/* The cause stands first: a triple fault with its trap, and a hang with its place. */
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
		check_status(run_grade("--submission %s --only %s", with_code("cause", cases[i].code), one_check()), GRADED, cases[i].code);
		CHECK(score() == 0, "%s: %d points", cases[i].code, score());
		check_said(cases[i].message);
		check_said("kernel/mm/p2m.c:");
	}
}

/* --- environments --- */

static void no_qemu(const struct test *t)
{
	const char *bin = work_path("bin");
	(void)t;
	shell_must(10, "mkdir %s && ln -s /usr/bin/* /usr/sbin/* %s/ 2>/dev/null; rm %s/qemu-system-i386", bin, bin, bin);
	int status = shell(said, sizeof(said), SECONDS, "PATH=%s %s --submission . --json %s", bin, GRADE, work_path("r.json"));
	check_no_grade(status, "QEMU is missing");
	check_said("qemu-system-i386 is missing");
}

/* Where the grader may not set its limits nothing is built, and that is no fault of the submission's. */
static void no_limits(const struct test *t)
{
	const char *bin = work_path("bin");
	(void)t;
	shell_must(10, "mkdir %s && printf '#!/bin/sh\necho prlimit: not permitted\nexit 1\n' >%s/prlimit && chmod +x %s/prlimit", bin, bin, bin);
	int status = shell(said, sizeof(said), SECONDS, "PATH=%s:$PATH %s --no-sandbox --submission . --json %s", bin, GRADE, work_path("r.json"));
	check_no_grade(status, "no limits can be set");
	check_said("prlimit: not permitted");
}

/* A compiler that fails with everything is not the submission's fault. */
static void no_compiler(const struct test *t)
{
	const char *bin = work_path("bin");
	(void)t;
	shell_must(300, "make -s build/handout/" LAB "/build/.made && make -s -C build/handout/" LAB " all");
	shell_must(10, "mkdir %s && ln -s /usr/bin/* /usr/sbin/* %s/ 2>/dev/null; rm -f %s/*gcc* && ln -s /bin/false %s/gcc", bin, bin, bin, bin);
	int status = shell(said, sizeof(said), SECONDS, "PATH=%s %s --submission . --no-sandbox --json %s", bin, GRADE, work_path("r.json"));
	check_no_grade(status, "the compiler fails");
	check_said("not even the pristine files");
}

static pid_t parent_of(pid_t pid, char *name, size_t size)
{
	char path[64], text[400] = "";
	int parent = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "r");
	if (f && !fgets(text, sizeof(text), f))
		text[0] = '\0';
	if (f)
		fclose(f);
	char *open = strchr(text, '('), *close = strrchr(text, ')');
	if (!open || !close)
		return 0;
	snprintf(name, size, "%.*s", (int)(close - open - 1), open + 1);
	sscanf(close + 1, " %*c %d", &parent);
	return parent;
}

/* A process with this name that ancestor started, or what it started. 0: none. */
static pid_t descendant(pid_t ancestor, const char *wanted)
{
	DIR *d = opendir("/proc");
	pid_t found = 0;
	for (struct dirent *e; d && !found && (e = readdir(d));) {
		char name[64] = "", other[64];
		pid_t pid = atoi(e->d_name), up = pid > 0 ? parent_of(pid, name, sizeof(name)) : 0;
		if (strncmp(name, wanted, strlen(wanted)) != 0)
			continue;
		while (up > 1 && up != ancestor)
			up = parent_of(up, other, sizeof(other));
		found = up == ancestor ? pid : 0;
	}
	if (d)
		closedir(d);
	return found;
}

static void killed(const struct test *t)
{
	const char *json = work_path("r.json");
	(void)t;
	pid_t qemu = 0, pid = process_start((char *[]){ "build/grader", "grade", "--lab", LAB, "--submission", ".", "--json", (char *)json, NULL },
					    -1, -1, -1);
	for (double end = now() + SECONDS; !qemu && now() < end; usleep(1000))
		qemu = descendant(pid, "qemu-system");
	CHECK(qemu && kill(qemu, SIGKILL) == 0, "no emulator could be killed");
	said[0] = '\0';
	check_no_grade(process_wait(pid, SECONDS), "the emulator is killed");
	char *text = json_dumps(report(), 0);
	CHECK(strstr(text, "ended by signal 9"), "the report does not say that QEMU was killed:\n%s", text);
}

/* No room at all; and room for the build, but not for a machine's memory. */
static void full_disk(const struct test *t)
{
	static const unsigned mib[] = { 2, 40 };
	(void)t;
	need_sandbox();
	for (unsigned i = 0; i < 2; i++) {
		unlink(work_path("r.json"));
		int status = shell(said, sizeof(said), SECONDS, "bwrap --dev-bind / / --size %u --tmpfs /mnt --setenv TMPDIR /mnt "
				   GRADE "--submission . --no-sandbox --jobs 4 --json %s", mib[i] << 20, work_path("r.json"));
		check_no_grade(status, "the disk is full");
	}
}

/* --- repeated and many --- */

static json_t *without_times(json_t *j)
{
	const char *key;
	json_t *value;
	size_t i;
	void *next;
	json_object_del(j, "seconds"), json_object_del(j, "build_seconds"), json_object_del(j, "execution_time");
	json_object_foreach_safe(j, next, key, value)
		without_times(value);
	json_array_foreach(j, i, value)
		without_times(value);
	return j;
}

static void repeated(const struct test *t)
{
	static const char *const submissions[] = { ".", "build/handout/" LAB };
	for (unsigned s = 0; s < 2; s++) {
		json_t *first = NULL;
		for (unsigned i = 0; i < t->number; i++) {
			bool whole = s && t->number >= 50;
			check_status(run_grade("--submission %s %s%s", submissions[s], whole ? "" : "--only ", whole ? "" : one_check()),
				     GRADED, submissions[s]);
			json_t *j = without_times(report());
			if (!first)
				first = j;
			CHECK(json_equal(first, j), "grading %u of %s differs:\n%s\nfrom the first:\n%s", i + 1, submissions[s],
			      json_dumps(j, JSON_INDENT(1)), json_dumps(first, JSON_INDENT(1)));
		}
	}
}

static long count_files(const char *pattern)
{
	char text[32];
	shell(text, sizeof(text), 10, "ls %s 2>/dev/null | wc -l", pattern);
	return atol(text);
}

/* Interrupted after the first, then the rest, then nothing but the one that changed. */
static void class_resumes(const struct test *t)
{
	const char *dir = work_path("class"), *out = work_path("out");
	char *in;
	(void)t;
	reference("class/b"), reference("class/c");
	shell_must(10, "mkdir %s/a && echo nothing >%s/a/README && echo '#error' >>%s/c/kernel/mm/vm.c && tar -C %s/b -czf %s/d.tgz .", dir, dir, dir,
		   dir, dir);
	pid_t pid = process_start((char *[]){ "build/grader", "class", "--lab", LAB, (char *)dir, "--out", (char *)out, "--jobs", "1", NULL }, -1,
				  -1, -1);
	if (asprintf(&in, "%s/*.json", out) < 0)
		give_up(BROKEN, "no memory");
	for (double end = now() + SECONDS; count_files(in) < 2 && now() < end; usleep(10000))
		;
	kill(pid, SIGINT);
	CHECK(process_wait(pid, 20) == 130, "an interrupted class does not say so by its status");
	CHECK(count_files(in) < 4, "all were graded before the interruption");
	int status = shell(said, sizeof(said), SECONDS, "build/grader class --lab " LAB " %s --out %s --jobs 2", dir, out);
	check_status(status, GRADED, "the rest of the class");
	check_said("4 of 4 submissions done, 0 of them with an error");
	check_said("refused: a: ");
	shell_must(10, "cd %s && grep -q '\"c\",graded,0,' summary.csv && sha256sum b.json d.tgz.json >sums && echo >>%s/c/kernel/mm/vm.c", out, dir);
	shell_must(SECONDS, "build/grader class --lab " LAB " %s --out %s", dir, out);
	CHECK(shell(said, sizeof(said), 10, "cd %s && sha256sum -c --quiet sums", out) == 0, "what had a grade was graded again:\n%s", said);
}

/* A student's tree grades itself, where it was unpacked, and tells of changes that nobody will see. */
static void student(const struct test *t)
{
	const char *tree = work_path("student"), *dir = reference("solved");
	(void)t;
	check_status(run_grade("--submission . --only %s", one_check()), GRADED, "the reference"); /* writes and builds the student tree */
	shell_must(20, "cp -a build/handout/" LAB " %s && cp -r %s/. %s && echo '/* changed */' >>%s/kernel/boot/main.c", tree, dir, tree, tree);
	int status = shell(said, sizeof(said), SECONDS, "env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C %s grade", tree);
	check_status(status, GRADED, "make grade");
	check_said("not handed in; others are graded without these changes: kernel/boot/main.c\n");
	shell_must(10, "grep -q '\"score\"' %s/build/grade.json && grep -q '<h1>' %s/build/grade.html && grep -q '<testsuite' %s/build/grade.xml",
		   tree, tree, tree);
	CHECK(!strstr(said, "[FAIL]") && strstr(said, "[ok]"), "the solved student tree does not pass:\n%s", said);
}

/* The archive for Gradescope does its work from where it is unpacked; its set-up, which installs packages, is left out. */
static void gradescope(const struct test *t)
{
	const char *root = work_path("autograder"), *dir = reference("submission");
	(void)t;
	shell_must(SECONDS, "env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make gradescope LAB=" LAB);
	shell_must(SECONDS, "mkdir -p %s/source && cp -r %s %s/submission && cd %s/source && unzip -q $OLDPWD/build/gradescope-" LAB ".zip && "
		   "bash -n setup.sh && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C tree all build/grader", root, dir, root, root);
	shell_must(SECONDS, "AUTOGRADER=%s %s/source/run_autograder", root, root);
	shell_must(10, "cp %s/results/results.json %s", root, work_path("r.json"));
	CHECK(score() > 0 && score() == max_score(), "Gradescope's archive gives the reference %d points", score());
}

static void usage(const struct test *t)
{
	static const char *const wrong[] = { "", "frobnicate", "grade", "grade --lab 99 --submission .", "grade --lab " LAB, "grade --bogus",
		"grade --lab " LAB " --submission . --seed x", "grade --lab " LAB " --submission . --seed", "grade --lab " LAB " --submission . more",
		"grade --lab " LAB " --submission . --only nothing", "grade --lab " LAB " --submission /nowhere", "class --lab " LAB,
		"debug nothing", "judge x" };
	(void)t;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		check_status(shell(said, sizeof(said), 60, "build/grader %s", wrong[i]), 1, wrong[i]);
		CHECK(*said, "build/grader %s says nothing", wrong[i]);
	}
	check_status(shell(said, sizeof(said), 10, "build/grader help && build/grader list"), 0, "help and list");
}

const struct test grader_tests[] = {
	{ .name = "grader-forms", .run = forms, .seconds = 120 },
	{ .name = "grader-archives", .run = archives, .seconds = 120 },
	{ .name = "grader-whitelist", .run = whitelist, .seconds = 60 },
	{ .name = "grader-outside-files", .run = outside_files, .seconds = 120 },
	{ .name = "grader-sandbox", .run = sandboxed, .seconds = 120 },
	{ .name = "grader-bombs", .run = bombs, .seconds = 200 },
	{ .name = "grader-forged", .run = forged, .seconds = 400 },
	{ .name = "grader-causes", .run = causes, .seconds = 200 },
	{ .name = "grader-no-qemu", .run = no_qemu, .seconds = 60 },
	{ .name = "grader-no-compiler", .run = no_compiler, .seconds = 200 },
	{ .name = "grader-no-limits", .run = no_limits, .seconds = 60 },
	{ .name = "grader-killed", .run = killed, .seconds = 300 },
	{ .name = "grader-full-disk", .run = full_disk, .seconds = 300 },
	{ .name = "grader-repeated", .run = repeated, .seconds = 200, .number = 5 },
	{ .name = "grader-class", .run = class_resumes, .seconds = 200 },
	{ .name = "grader-student", .run = student, .seconds = 200 },
	{ .name = "grader-usage", .run = usage, .seconds = 60 },
	{ 0 },
};
const struct test grader_soak_tests[] = {
	{ .name = "grader-forged-whole", .run = forged, .seconds = 1500, .number = 1 },
	{ .name = "grader-gradescope", .run = gradescope, .seconds = 300 },
	{ .name = "grader-repeated-50", .run = repeated, .seconds = 1200, .number = 50 },
	{ 0 },
};
