/* SPDX-License-Identifier: MIT */
/* exec: the new program gets its arguments and the open files, and nothing else of the old one. */
#include "test.h"

static char words[ARG_BYTES_MAX + 10000];

/* Word i of a list that both sides can make: its length and letters follow from the seed. */
static int make_word(char *to, uint32_t *seed)
{
	int length = (int)(next_random(seed) % 50);
	for (int i = 0; i < length; i++)
		to[i] = (char)('!' + next_random(seed) % 90);
	to[length] = 0;
	return length;
}

static int check_args(int argc, char **argv)
{
	uint32_t seed = 5;
	for (int i = 2; i < argc; i++) {
		make_word(words, &seed);
		if (strcmp(argv[i], words))
			return 1;
	}
	return argv[argc] == NULL && !strcmp(argv[0], SELF) ? 0 : 2;
}

/*
 * What usertests does when a test executes it with a first argument "@...": it looks at its own
 * state as a new program. Most of these arguments let it exit with 0 if all is well.
 */
int helper(int argc, char **argv)
{
	uint16_t x87_control = 0;
	char c = 'x';
	if (!strcmp(argv[1], "@args"))
		return check_args(argc, argv);
	if (!strcmp(argv[1], "@count"))
		return argc & 0xFF;
	if (!strcmp(argv[1], "@state")) {
		__asm__ volatile("fnstcw %0" : "=m"(x87_control));
		if (eflags() & (EFLAGS_DF | EFLAGS_NT | EFLAGS_AC | EFLAGS_IOPL))
			return 1;
		return x87_control == 0x37F ? 0 : 2;
	}
	if (!strcmp(argv[1], "@fault"))
		__asm__ volatile("ud2");
	if (!strcmp(argv[1], "@write"))
		return write(REASON_FD - 1, &c, 1) == 1 ? 0 : 1;
	return 99;
}

/* Run this program as helper(). Result: its wait status. */
static int run(char *const *argv)
{
	int pid = check_ok(fork());
	if (pid == 0)
		fail("exec of %s: %d", SELF, exec(SELF, (char **)argv));
	return wait_for(pid);
}

static int run_mode(const char *mode)
{
	const char *argv[] = {SELF, mode, NULL};
	return run((char *const *)argv);
}

/* Many arguments of different lengths, empty ones too, arrive unchanged. */
TEST(exec_arguments)
{
	static char *argv[203] = {SELF, "@args"};
	uint32_t seed = 5;
	char *at = words;
	for (int i = 2; i < 202; i++) {
		argv[i] = at;
		at += make_word(at, &seed) + 1;
	}
	check_is(run(argv), 0);
}

/* Arguments of ARG_BYTES_MAX bytes in all fit; more give E2BIG, and the caller goes on. */
TEST(exec_argument_limits)
{
	static char *argv[] = {SELF, "@count", words, NULL, NULL};
	uint32_t used = sizeof(SELF) + sizeof("@count");
	memset(words, 'w', sizeof(words));
	words[ARG_BYTES_MAX - used - 1] = 0;
	check_is(run(argv), WSTATUS_EXIT(3));
	words[ARG_BYTES_MAX - used - 1] = 'w';
	words[ARG_BYTES_MAX - used] = 0;
	check_is(exec(SELF, argv), -E2BIG);
	argv[3] = words;
	check_is(exec(SELF, argv), -E2BIG);
	static char *many[8000] = {SELF, "@count"};
	for (int i = 2; i < 7999; i++)
		many[i] = "";
	check_is(run(many), WSTATUS_EXIT(7999 & 0xFF));
	for (int i = 2; i < 7999; i++)
		many[i] = "123";
	check_is(exec(SELF, many), -E2BIG);
}

static void exec_without_arguments(void)
{
	char *argv[] = {NULL};
	exec("/bin/true", argv);
}

/* A program can be started with no arguments at all; what it does then is its own affair. */
TEST(exec_no_arguments)
{
	int status = status_of(exec_without_arguments);
	check(WIFEXITED(status) || WIFFAULT(status));
}

/* What cannot be executed gives an error, and the caller goes on. */
TEST(exec_errors)
{
	static char *argv[] = {"x", NULL};
	check_is(exec("missing", argv), -ENOENT);
	check_is(exec("", argv), -ENOENT);
	check_is(exec("/bin", argv), -EISDIR);
	check(exec("/dev/console", argv) < 0);
	check(exec("/proc/uptime", argv) < 0);
	make_file("empty", 0, 0);
	check_is(exec("empty", argv), -ENOEXEC);
	make_file("noise", 10000, 1);
	check_is(exec("noise", argv), -ENOEXEC);
	check_is(exec("noise/x", argv), -ENOTDIR);
}

static void set_odd_state(void)
{
	uint16_t control = 0x27F;
	char *argv[] = {SELF, "@state", NULL};
	__asm__ volatile("fldcw %0; fldpi; fldpi" : : "m"(control));
	__asm__ volatile("pushfl; orl %0, (%%esp); popfl; std"
			 : : "i"(EFLAGS_AC | EFLAGS_NT) : "memory", "cc");
	raw_call(CALL_exec, (uint32_t)SELF, (uint32_t)argv, 0, 0, 0);
	exit(98);
}

/* A new program begins with clean flags and a fresh FPU, whatever the old one did. */
TEST(exec_clean_state) { check_child(set_odd_state); }

static void set_handler(void)
{
	char *argv[] = {SELF, "@fault", NULL};
	/* In the new program this address means nothing. */
	raw_call(CALL_on_fault, (uint32_t)exec_errors, (uint32_t)exec_errors, 0, 0, 0);
	exec(SELF, argv);
}

/* Fault handlers end with the program that set them. */
TEST(exec_forgets_handler) { check_fault(set_handler, VEC_UD); }

/* Open files stay open. */
TEST(exec_keeps_files)
{
	int p[2];
	char c = 0;
	check_is(pipe(p), 0);
	check_is(dup2(p[1], REASON_FD - 1), REASON_FD - 1);
	close(p[1]);
	check_is(run_mode("@write"), 0);
	check_is(read(p[0], &c, 1), 1);
	check_is(c, 'x');
}

/* exec again and again leaves nothing over. */
TEST(exec_many)
{
	for (int i = 0; i < 20; i++)
		check_is(run_mode("@count"), WSTATUS_EXIT(2));
}

/* A program's file may be deleted while the program runs or starts. */
TEST(exec_deleted_file)
{
	static char *argv[] = {"copy", "@count", "a", NULL};
	int from = check_ok(open(SELF, O_RDONLY, 0)), n;
	int to = check_ok(open("copy", O_WRONLY | O_CREAT, 0755));
	while ((n = check_ok(read(from, words, 8192))) > 0)
		check_is(write(to, words, (size_t)n), n);
	close(from);
	close(to);
	int pid = check_ok(fork());
	if (pid == 0)
		exit(-exec("copy", argv));
	check_is(unlink("copy"), 0);
	int status = wait_for(pid);
	check(status == WSTATUS_EXIT(3) || status == WSTATUS_EXIT(ENOENT));
}
