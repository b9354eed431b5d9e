/* SPDX-License-Identifier: MIT */
/*
 * The programs' library: the one header that a program includes. A system call returns what the
 * kernel returns: a result, or a negative errno value. There is no errno variable.
 */
#ifndef USER_H
#define USER_H

#include "abi.h"
#include "lib/lib.h"

/* --- system calls: their contracts are in syscalls.def --- */
void exit(int code) __attribute__((noreturn)); /* after a flush() */
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
void *mmap(void *address, uint32_t bytes, int prot, int fd, uint32_t offset);
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
int net_open(int protocol, uint32_t port);
int net_send(int fd, const struct net_address *to, const void *buf, uint32_t bytes);
int net_receive(int fd, struct net_address *from, void *buf, uint32_t bytes, uint32_t ms);
int domain_console(struct guest_console *c, int write);

/* Whether a result of mmap() is an error. */
static inline bool is_error(const void *result) { return (uint32_t)result > (uint32_t)-4096; }

/* --- library --- */
char *strstr(const char *s, const char *part);
const char *strerror(int error); /* of an errno value, negative or positive */
/*
 * printf - print to standard output, through a buffer. The buffer is written when a text ends with
 * a newline, when it is full, and at exit. A text is cut off after 2047 bytes.
 * Result: 0, or the error of the write.
 */
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Print bytes in the same way, any number of them. */
int print(const char *text, uint32_t bytes);
/* Write what printf() has buffered. Result: 0, or the error, which is also reported. */
int flush(void);
/* Print to a descriptor at once, at most 2047 bytes. Result: bytes written, or an error. */
int dprintf(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Write all the bytes, by several calls if need be. Result: 0, or the error. */
int write_all(int fd, const void *buf, uint32_t bytes);
extern const char *program_name; /* the last part of argv[0] */
/* Print "program: what: reason" to standard error. error: an errno value, for the reason. */
void complain(const char *what, int error);
/*
 * usage - print how the program is called, and exit.
 * wanted (by --help): to standard output, with status 0; else to standard error, with status 2.
 */
void usage(const char *text, bool wanted) __attribute__((noreturn));
/* Whether argv[1] is --help. */
bool help_wanted(int argc, char **argv);
/*
 * no_options - the first argument's index for a program without options: 1, or 2 after "--".
 * An option ends the program by usage(how). At least `least` arguments must follow.
 */
int no_options(int argc, char **argv, int least, const char *how);
/*
 * number_of - the number that an argument is. Another word ends the program by usage(how).
 */
uint32_t number_of(const char *text, const char *how);
/*
 * lines_option - the number in -n N, -nN or -N; 10 without such an option.
 * how: for usage(). *next: the first argument after the option and "--".
 */
uint32_t lines_option(int argc, char **argv, const char *how, int *next);
/* The path from its last name on: "c/" of "a/b/c/". */
const char *last_part(const char *path);
/*
 * for_each_from - for programs FROM... TO: act(FROM, TO) for each, or act(FROM, TO/last part of
 * FROM) if TO is a directory. Result: the results of act ORed, or 1 after complaining.
 */
int for_each_from(int argc, char **argv, int (*act)(const char *from, const char *to));

/* Memory. malloc and strdup: NULL if memory is out. free(NULL) is allowed. */
void *malloc(size_t bytes);
void free(void *p);
char *strdup(const char *s);

/* Takes lines from a descriptor; begins as { .fd = descriptor }. */
struct reader { int fd; uint32_t at, end; char buf[512]; };
/*
 * read_line - the next line, without its newline.
 * Result: 1: a line; 0: the end; -ERANGE: it has more than size - 1 bytes; another error.
 */
int read_line(struct reader *r, char *line, uint32_t size);

/* Takes directory entries one by one. */
struct dir { int fd, error; uint32_t at, end; char buf[1024]; };
/* Result: 0, or the error. */
int dir_open(struct dir *d, const char *path);
/* The next entry, valid until the next call; NULL at the end, or on an error: d->error is not 0. */
struct dirent *dir_next(struct dir *d);
void dir_close(struct dir *d);

/* Time since boot, in nanoseconds. */
uint64_t now_ns(void);
uint64_t div_u64(uint64_t n, uint32_t by); /* the compiler's own helper is not linked */
static inline uint64_t rdtsc(void)
{
	uint64_t t;
	__asm__ volatile("rdtsc" : "=A"(t));
	return t;
}

#endif
