/* SPDX-License-Identifier: MIT */
/* Bad pointers: every pointer argument of every system call, with every kind of bad address. */
#include "test.h"

/*
 * Arguments by letter. Pointers: s path, v argv, r buffer that the kernel reads, w buffer that the
 * kernel writes, o structure that the kernel writes, c context that the kernel reads. Others: d
 * descriptor of a file, D of a directory, k of a socket, n buffer's size, 0 zero, - any child.
 */
static const struct { const char *name, *arguments; } signatures[] = {
	{"exit", ""}, {"fork", ""}, {"read", "dwn"}, {"write", "drn"}, {"open", "s00"},
	{"close", ""}, {"waitpid", "-o0"}, {"exec", "sv"}, {"link", "ss"}, {"unlink", "s"},
	{"rename", "ss"}, {"chdir", "s"}, {"mkdir", "s0"}, {"rmdir", "s"}, {"lseek", ""},
	{"getpid", ""}, {"getppid", ""}, {"kill", ""}, {"dup", ""}, {"dup2", ""}, {"pipe", "o"},
	{"stat", "so"}, {"fstat", "do"}, {"getdents", "Dwn"}, {"getcwd", "wn"}, {"mmap", ""},
	{"munmap", ""}, {"mprotect", ""}, {"sleep", ""}, {"yield", ""}, {"clock", "o"},
	{"on_fault", ""}, {"fault_return", "c"}, {"setpgid", ""}, {"tty_foreground", ""},
	{"tty_raw", ""}, {"sync", ""}, {"shutdown", ""}, {"ftruncate", ""},
	{"net_open", ""}, {"net_send", "krrn"}, {"net_receive", ""}, {"domain_console", "c0"},
};

static const struct { const char *name; uint32_t number; int arguments; } calls[] = {
#define SYSCALL(number, name, arguments) {#name, number, arguments},
#include "syscalls.def"
#undef SYSCALL
};

static const char *arguments_of(const char *name)
{
	for (int i = 0; i < COUNT(signatures); i++)
		if (!strcmp(signatures[i].name, name))
			return signatures[i].arguments;
	fail("%s has no line in the table of signatures", name);
}

/*
 * Bad addresses. not: letters for which the address is good, or partly good; straddles: the first
 * bytes there are good.
 */
static struct { uint32_t at; const char *not; int straddles; } bad[] = {
	{0, "", 0}, {1, "", 0}, {0xFFE, "", 0}, {0x30000000, "", 0}, {KERNEL_BASE - 2, "s", 1},
	{KERNEL_BASE, "", 0}, {KERNEL_BASE + 0x100000, "", 0}, {KERNEL_MAP_BASE, "", 0},
	{VMM_BASE - 1, "", 0}, {VMM_BASE, "", 0}, {0xFFFFFFFC, "", 0}, {0xFFFFFFFF, "", 0},
	{0, "", 0} /* PROT_NONE */, {0, "rsvc", 0} /* read-only */,
	{0, "", 1} /* end of a mapping */,
};
enum { NONE_AT = 12, READ_ONLY_AT, END_AT };

enum { SIZE = 100 };
static uint8_t good_buffer[4 * PAGE];
static char *good_argv[] = {"x", NULL};
static int file, directory, socket; /* socket: -ENODEV without a network card */

static void make_bad_addresses(void)
{
	uint8_t *p = map(0x20000000, 4 * PAGE, PROT_READ | PROT_WRITE);
	memset(p, 'a', 4 * PAGE);
	check_is(mprotect(p, PAGE, PROT_NONE), 0);
	check_is(mprotect(p + PAGE, PAGE, PROT_READ), 0);
	check_is(munmap(p + 3 * PAGE, PAGE), 0);
	bad[NONE_AT].at = (uint32_t)p + 8;
	bad[READ_ONLY_AT].at = (uint32_t)p + PAGE + 8;
	bad[END_AT].at = (uint32_t)p + 3 * PAGE - 2;
}

static uint32_t good_argument(char letter, int i)
{
	switch (letter) {
	case 's': return (uint32_t)(i ? "good2" : "good");
	case 'v': return (uint32_t)good_argv;
	case 'd': return (uint32_t)file;
	case 'D': return (uint32_t)directory;
	case 'k': return (uint32_t)socket;
	case 'n': return SIZE;
	case '-': return (uint32_t)-1;
	case '0': return 0;
	default: return (uint32_t)good_buffer;
	}
}

static void nothing(void) {}

static void try(int call, int argument, int kind)
{
	const char *letters = arguments_of(calls[call].name);
	uint32_t a[5] = {0};
	for (int i = 0; letters[i]; i++)
		a[i] = i == argument ? bad[kind].at : good_argument(letters[i], i);
	if (calls[call].number == CALL_waitpid) {
		if (a[1] == 0)
			return; /* a NULL status is allowed */
		start(nothing);
	}
	lseek(file, 0, SEEK_SET);
	lseek(directory, 0, SEEK_SET);
	int result = raw_call(calls[call].number, a[0], a[1], a[2], a[3], a[4]);
	while (calls[call].number == CALL_waitpid && waitpid(-1, NULL, 0) > 0)
		;
	bool partial = bad[kind].straddles && result >= 0 && result <= 2;
	if (result != -EFAULT && !(partial && strchr("rw", letters[argument])))
		fail("%s with 0x%x as argument %d: %d", calls[call].name, a[argument], argument + 1,
		     result);
}

/* A bad pointer gives EFAULT, and the process goes on. */
TEST(pointers_everywhere)
{
	make_bad_addresses();
	make_file("good", 1000, 1);
	file = check_ok(open("good", O_RDWR, 0));
	directory = check_ok(open("/bin", O_RDONLY, 0));
	socket = net_open(NET_UDP, 0);
	for (int call = 0; call < COUNT(calls); call++) {
		const char *letters = arguments_of(calls[call].name);
		check((int)strlen(letters) <= calls[call].arguments);
		for (int argument = 0; letters[argument]; argument++)
			for (int kind = 0; kind < COUNT(bad); kind++)
				if (strchr("svrwoc", letters[argument]) &&
				    (letters[0] != 'k' || socket >= 0) &&
				    !strchr(bad[kind].not, letters[argument]))
					try(call, argument, kind);
	}
	check(!exists("good2"));
}

/* The strings of argv are pointers, too: bad ones give EFAULT. */
TEST(pointers_in_argv)
{
	make_bad_addresses();
	for (int kind = 0; kind < COUNT(bad); kind++) {
		char *argv[] = {"x", (char *)bad[kind].at, NULL};
		if (bad[kind].at && !strchr(bad[kind].not, 's'))
			check_is(exec("/bin/true", argv), -EFAULT);
	}
	char **unterminated = (char **)(bad[END_AT].at + 2 - 8);
	unterminated[0] = unterminated[1] = "x";
	check_is(exec("/bin/true", unterminated), -EFAULT);
}

/* Pipes, the console and files of /proc refuse bad pointers, too. */
TEST(pointers_all_files)
{
	int p[2], proc = check_ok(open("/proc/meminfo", O_RDONLY, 0));
	int tty = check_ok(open("/dev/console", O_RDWR, 0));
	make_bad_addresses();
	check_is(pipe(p), 0);
	check_is(write(p[1], "0123456789", 10), 10);
	for (int kind = 0; kind < COUNT(bad); kind++) {
		if (bad[kind].straddles)
			continue;
		check_is(read(p[0], (void *)bad[kind].at, 10), -EFAULT);
		check_is(read(proc, (void *)bad[kind].at, 10), -EFAULT);
		if (kind == READ_ONLY_AT)
			continue;
		check_is(write(p[1], (void *)bad[kind].at, 10), -EFAULT);
		check_is(write(tty, (void *)bad[kind].at, 10), -EFAULT);
	}
	check_ok(read(p[0], good_buffer, 1)); /* the pipe still works */
}

/* A length that reaches past all memory is an error, or the call stops where the data ends. */
TEST(pointers_huge_lengths)
{
	static const uint32_t lengths[] = {
		0x7FFFFFFF, 0x80000000, 0xC0000000, 0xFFFFF000, 0xFFFFFFFF,
	};
	make_bad_addresses();
	make_file("good", 1000, 1);
	file = check_ok(open("good", O_RDWR, 0));
	directory = check_ok(open(".", O_RDONLY, 0));
	for (int i = 0; i < COUNT(lengths); i++) {
		int n;
		n = raw_call(CALL_read, (uint32_t)file, (uint32_t)good_buffer, lengths[i], 0, 0);
		check(n == -EFAULT || n == -EINVAL || (n >= 0 && n <= 1000));
		lseek(file, 0, SEEK_SET);
		n = raw_call(CALL_write, (uint32_t)file, bad[END_AT].at, lengths[i], 0, 0);
		check(n == -EFAULT || n == -EINVAL || n == -EFBIG || (n >= 0 && n <= 2));
		n = raw_call(CALL_getdents, (uint32_t)directory, (uint32_t)good_buffer, lengths[i],
			     0, 0);
		check(n == -EFAULT || n == -EINVAL || (n >= 0 && n <= (int)sizeof(good_buffer)));
		n = raw_call(CALL_getcwd, (uint32_t)good_buffer, lengths[i], 0, 0, 0);
		check(n == -EFAULT || n == -EINVAL || n == (int)strlen("/tmp/usertests"));
		lseek(file, 0, SEEK_SET);
	}
	check_is(size_of("good"), 1000);
}

/* Zero bytes move nothing, wherever the pointer points. */
TEST(pointers_zero_length)
{
	make_file("good", 1000, 1);
	file = check_ok(open("good", O_RDWR, 0));
	int n = read(file, (void *)0x30000000, 0);
	check(n == 0 || n == -EFAULT);
	n = write(file, (void *)KERNEL_BASE, 0);
	check(n == 0 || n == -EFAULT);
}

/* A buffer may lie on pages that are not there yet: the kernel brings them in. */
TEST(pointers_untouched_pages)
{
	make_file("good", 3 * PAGE, 1);
	file = check_ok(open("good", O_RDWR, 0));
	uint8_t *p = map(0, 4 * PAGE, PROT_READ | PROT_WRITE);
	check_is(read(file, p + 100, 3 * PAGE), 3 * PAGE);
	check_is(differs(p + 100, 3 * PAGE, 1), -1);
	p = map(0, 4 * PAGE, PROT_READ);
	check_is(write(file, p + 100, 3 * PAGE), 3 * PAGE);
	check_is(munmap(p, 4 * PAGE), 0);
}

/* A number that is no system call gives ENOSYS. */
TEST(bad_call_numbers)
{
	static const uint32_t wrong[] = {
		0, 1000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0x80000010, 0x40000010, 0xC0000000,
		0xFFFFFFFF,
	};
	for (int i = 0; i < COUNT(wrong); i++)
		check_is(raw_call(wrong[i], 1, 2, 3, 4, 5), -ENOSYS);
	uint32_t last = calls[COUNT(calls) - 1].number;
	for (uint32_t nr = last + 1; nr < last + 300; nr++)
		check_is(raw_call(nr, 1, 2, 3, 4, 5), -ENOSYS);
}
