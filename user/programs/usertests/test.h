/* SPDX-License-Identifier: MIT */
/*
 * How a test is written: TEST(name) { ... } with the rule it proves in the comment above. The linker collects all
 * of them in the section "tests". A test runs in a child process of its own, in an empty directory, and holds if it
 * returns; check() and fail() end it with a reason, from any process that it started, too.
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

/* End the test: it does not hold, or cannot be made here. The text becomes the reason in the report. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#define STRING2(x) #x
#define STRING(x) STRING2(x)
#define check(cond) do { if (!(cond)) fail("%s:%d: %s", __FILE_NAME__, __LINE__, #cond); } while (0)
/* Both values are reported: for results of system calls. */
#define check_is(expr, wanted)                                                                       \
	do {                                                                                         \
		int got_ = (int)(expr), wanted_ = (int)(wanted);                                     \
		if (got_ != wanted_)                                                                 \
			fail("%s:%d: %s is %d, not %d", __FILE_NAME__, __LINE__, #expr, got_, wanted_); \
	} while (0)
/* The result when it is no error. */
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

/* A system call with nothing between: any number, any arguments. */
static inline int raw_call(uint32_t nr, uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e)
{
	int result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
	return result;
}

static inline uint32_t eflags(void)
{
	uint32_t flags;
	__asm__ volatile("pushfl; popl %0" : "=r"(flags));
	return flags;
}

/* --- help.c --- */
/* Run fn in a child of its own; the child exits with 0 when fn returns. Result: pid, or the wait status. */
int start(void (*fn)(void));
int status_of(void (*fn)(void));
int wait_for(int pid);
/* fn must end its process with exit(0), or by the exception with this vector. */
#define check_child(fn) check_is(status_of(fn), WSTATUS_EXIT(0))
#define check_fault(fn, vector) check_is(status_of(fn), WSTATUS_FAULT(vector))
/* Kill a child that start() gave, and wait for it. */
void end(int pid);

/* Fill or check bytes with a sequence that depends on the seed; check reports the first wrong offset, or -1. */
void fill(void *buf, uint32_t bytes, uint32_t seed);
int differs(const void *buf, uint32_t bytes, uint32_t seed);
int all_zero(const void *buf, uint32_t bytes);
/* Make a file with such content; check that it has it. */
void make_file(const char *path, uint32_t bytes, uint32_t seed);
void check_file(const char *path, uint32_t bytes, uint32_t seed);
int exists(const char *path);
uint32_t size_of(const char *path);

/* mmap with the result as a pointer; the test fails if it is an error. */
void *map(uint32_t address, uint32_t bytes, int prot);
uint64_t now_ms(void);
uint32_t next_random(uint32_t *seed);

/* A number that follows a word in a /proc file; fails the test if it is not there. */
uint32_t proc_number(const char *path, const char *word);
int proc_tasks(void);

/* --- exec.c --- what the program does when a test executes it again: see there */
int helper(int argc, char **argv);

#endif
