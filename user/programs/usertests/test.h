/* SPDX-License-Identifier: MIT */
/*
 * How a test is written: TEST(name) { ... }, and above it a comment with the rule that it proves.
 * The linker collects all tests in the section "tests". A test runs in a child process of its own,
 * in an empty directory, and passes when it returns. check() and fail() end it with a reason, also
 * from the processes that it started.
 */
#ifndef TEST_H
#define TEST_H

#include "layout.h"
#include "user.h"
#include "x86.h"

struct test {
	const char *name;
	void (*run)(void);
};

#define TEST(test_name)                                                                        \
	static void test_name(void);                                                           \
	static const struct test test_name##_entry __attribute__((used, section("tests"))) = { \
		#test_name, test_name};                                                        \
	static void test_name(void)

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))
#define PAGE 4096u
#define SELF "/bin/usertests"

enum { SKIP_STATUS = 77, REASON_FD = OPEN_MAX - 1 };

extern int big; /* -big: full sizes */

/* End the test: it failed, or it cannot run on this machine. The text is the report's reason. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#define check(cond) do { if (!(cond)) fail("%s:%d: %s", __FILE_NAME__, __LINE__, #cond); } while (0)
/* For results of system calls: both values are reported. */
#define check_is(expr, wanted)                                                            \
	do {                                                                              \
		int got_ = (int)(expr), wanted_ = (int)(wanted);                          \
		if (got_ != wanted_)                                                      \
			fail("%s:%d: %s is %d, not %d", __FILE_NAME__, __LINE__, #expr,   \
			     got_, wanted_);                                              \
	} while (0)
/* Its value is the result, which must not be an error. */
#define check_ok(expr)                                                                      \
	({                                                                                  \
		int got_ = (int)(expr);                                                     \
		if (got_ < 0)                                                               \
			fail("%s:%d: %s is %d", __FILE_NAME__, __LINE__, #expr, got_);      \
		got_;                                                                       \
	})

enum { /* CALL_name: its number */
#define SYSCALL(number, name, arguments) CALL_##name = number,
#include "syscalls.def"
#undef SYSCALL
};

/* A system call without the library: any number, any arguments. */
static inline int raw_call(uint32_t nr, uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e)
{
	int result;
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
			 : "memory");
	return result;
}

static inline uint32_t eflags(void)
{
	uint32_t flags;
	__asm__ volatile("pushfl; popl %0" : "=r"(flags));
	return flags;
}

/* --- help.c --- */
/* Run fn in a child, which exits with 0 when fn returns. Result: the child's pid. */
int start(void (*fn)(void));
/* Wait for a child. Result: its wait status. */
int wait_for(int pid);
/* Run fn in a child and wait for it. Result: the child's wait status. */
int status_of(void (*fn)(void));
/* fn must return or exit(0); or its process must end by the exception with this vector. */
#define check_child(fn) check_is(status_of(fn), WSTATUS_EXIT(0))
#define check_fault(fn, vector) check_is(status_of(fn), WSTATUS_FAULT(vector))
/* Kill a child of start(), and wait for it. */
void end(int pid);

/* Fill bytes with a sequence that depends on the seed. */
void fill(void *buf, uint32_t bytes, uint32_t seed);
/* Compare bytes with that sequence. Result: the offset of the first wrong byte; -1 if all agree. */
int differs(const void *buf, uint32_t bytes, uint32_t seed);
int all_zero(const void *buf, uint32_t bytes);
/* Make a file with such content. */
void make_file(const char *path, uint32_t bytes, uint32_t seed);
/* Check that a file has exactly this content. */
void check_file(const char *path, uint32_t bytes, uint32_t seed);
int exists(const char *path);
uint32_t size_of(const char *path);

/* mmap of anonymous memory; an error fails the test. */
void *map(uint32_t address, uint32_t bytes, int prot);
uint64_t now_ms(void);
uint32_t next_random(uint32_t *seed);

/* The first number after a word in a /proc file; the test fails if there is none. */
uint32_t proc_number(const char *path, const char *word);
int proc_tasks(void);

/* --- exec.c --- */
/* What the program does when a test executes it again (argv[1] begins with "@"). */
int helper(int argc, char **argv);

#endif
