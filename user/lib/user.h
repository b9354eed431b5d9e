/* SPDX-License-Identifier: MIT */
/*
 * The programs' library: everything that a program includes. System calls return what the kernel returns, negative errno
 * values on error; there is no errno variable.
 */
#ifndef USER_H
#define USER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "abi.h"

/* --- system calls: contracts in syscalls.def --- */
void exit(int code) __attribute__((noreturn)); /* prints what printf holds first */
int fork(void);
int read(int fd, void *buf, uint32_t bytes);
int write(int fd, const void *buf, uint32_t bytes);
int open(const char *path, int flags, ...);
int close(int fd);
int waitpid(int pid, int *status, int options);
int exec(const char *path, char *const argv[]);
int link(const char *from, const char *to);
int unlink(const char *path);
int rename(const char *from, const char *to);
int chdir(const char *path);
int mkdir(const char *path, int mode);
int rmdir(const char *path);
int lseek(int fd, int offset, int whence);
int getpid(void);
int getppid(void);
int kill(int pid);
int dup(int fd);
int dup2(int fd, int to);
int pipe(int fds[2]);
int stat(const char *path, struct stat *st);
int fstat(int fd, struct stat *st);
int getdents(int fd, void *buf, uint32_t bytes);
int getcwd(char *buf, uint32_t bytes);
void *mmap(void *address, uint32_t bytes, int prot, int fd, uint32_t offset); /* is_error() tells errors */
int munmap(void *address, uint32_t bytes);
int mprotect(void *address, uint32_t bytes, int prot);
int sleep(uint32_t ms);
int yield(void);
int clock(uint64_t *ns);
int on_fault(void (*handler)(struct fault_context *)); /* NULL: none */
int fault_return(const struct fault_context *context);
int setpgid(int pid, int pgid);
int tty_foreground(int pgid);
int tty_raw(int on);
int sync(void);
int shutdown(int status);
int ftruncate(int fd, uint32_t bytes);

static inline bool is_error(const void *result) { return (uint32_t)result > (uint32_t)-4096; }

/* --- text and memory: the kernel's own (kernel/lib), as in C11 --- */
void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t max);
char *strchr(const char *s, int c);
size_t strlcpy(char *to, const char *from, size_t size);
uint32_t strtou(const char *s, const char **end); /* decimal, or hexadecimal after 0x */
int vsnprintf(char *buf, size_t size, const char *format, va_list ap);
int snprintf(char *buf, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* --- library --- */
char *strstr(const char *s, const char *part);
const char *strerror(int error); /* of a negative errno value, or a positive one */
/* Print to standard output, written at each newline's end, when the buffer is full, and at exit. 0, or the write's error. */
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int flush(void);
/* Print to a descriptor at once. Result: bytes written or an error. */
int dprintf(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Write everything. 0, or the error. */
int write_all(int fd, const void *buf, uint32_t bytes);
/* "program: what: reason" to standard error; error is a negative errno value. program_name is argv[0]'s last part. */
extern const char *program_name;
void complain(const char *what, int error);
/* Print the usage text to standard error, or to standard output for --help, and exit with 2 or 0. */
void usage(const char *text, bool wanted) __attribute__((noreturn));
/* Whether argv[1] is --help. */
bool help_wanted(int argc, char **argv);
/* The path from its last name on: "c/" of "a/b/c/". */
const char *last_part(const char *path);

/* Memory: NULL if it is out. free(NULL) is allowed. */
void *malloc(size_t bytes);
void free(void *p);
char *strdup(const char *s);

/* Lines from a descriptor. 1: a line, without its newline and NUL-terminated; 0: the end; negative: an error. */
struct reader { int fd; uint32_t at, end; char buf[512]; };
int read_line(struct reader *r, char *line, uint32_t size);

/* Directory entries, one by one; NULL at the end, or on error (then error is not 0). */
struct dir { int fd, error; uint32_t at, end; char buf[1024]; };
int dir_open(struct dir *d, const char *path);
struct dirent *dir_next(struct dir *d);
void dir_close(struct dir *d);

uint64_t now_ns(void);
uint64_t div_u64(uint64_t n, uint32_t by); /* the compiler's own helper is not linked */
static inline uint64_t rdtsc(void)
{
	uint64_t t;
	__asm__ volatile("rdtsc" : "=A"(t));
	return t;
}

#endif
