/* SPDX-License-Identifier: MIT */
/*
 * The system-call ABI, on which kernel and programs agree. A number never changes its
 * meaning; new calls get new numbers.
 *
 * Calling convention: `int 0x80`, with the number in EAX and the arguments in EBX, ECX,
 * EDX, ESI, EDI. The result is in EAX, a negative errno value on error. All other registers
 * are preserved. syscalls.def lists the calls.
 */
#ifndef ABI_H
#define ABI_H

#define SYSCALL_VECTOR 0x80

/* Error numbers, with Linux's values on i386, which readers know. */
#define EPERM 1
#define ENOENT 2
#define ESRCH 3
#define EINTR 4
#define EIO 5
#define E2BIG 7
#define ENOEXEC 8
#define EBADF 9
#define ECHILD 10
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EBUSY 16
#define EEXIST 17
#define EXDEV 18
#define ENODEV 19
#define ENOTDIR 20
#define EISDIR 21
#define EINVAL 22
#define ENFILE 23
#define EMFILE 24
#define ENOTTY 25
#define EFBIG 27
#define ENOSPC 28
#define ESPIPE 29
#define EROFS 30
#define EMLINK 31
#define EPIPE 32
#define ERANGE 34
#define ENAMETOOLONG 36
#define ENOSYS 38
#define ENOTEMPTY 39
#define ELOOP 40
#define EMSGSIZE 90
#define EADDRINUSE 98
#define ENETUNREACH 101
#define ETIMEDOUT 110
#define EHOSTUNREACH 113
#define EUCLEAN 117 /* the file system's structure is damaged */

#ifndef __ASSEMBLER__
#include <stdint.h>

enum { /* open flags */
	O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_ACCMODE = 3,
	O_CREAT = 0x40, O_EXCL = 0x80, O_TRUNC = 0x200, O_APPEND = 0x400, O_DIRECTORY = 0x10000,
};

enum { SEEK_SET, SEEK_CUR, SEEK_END };

enum { PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4 };

#define WNOHANG 1 /* waitpid option */

enum { /* st_mode, as ext2 stores it */
	S_IFMT = 0xF000, S_IFDIR = 0x4000, S_IFREG = 0x8000, S_IFCHR = 0x2000, S_IFIFO = 0x1000,
	S_IFLNK = 0xA000, S_IFBLK = 0x6000, S_IFSOCK = 0xC000,
};

struct stat {
	uint32_t st_dev, st_ino;
	uint16_t st_mode, st_nlink;
	uint32_t st_size;   /* bytes */
	uint32_t st_blocks; /* 512-byte units */
	uint32_t st_mtime;  /* seconds since 1970; the clock starts at the image's last change */
};

struct dirent { /* getdents() fills whole records */
	uint32_t d_ino;
	uint16_t d_reclen; /* bytes of this record, a multiple of 4 */
	uint8_t d_type;    /* S_IFMT bits >> 12 */
	char d_name[];     /* ends with NUL */
};

/* Protocols of net_open(), with their numbers in IPv4: echo (ping), and datagrams. */
enum { NET_ICMP = 1, NET_UDP = 17 };

/* Another machine's end: 10.0.2.2 is 0x0A000202. */
struct net_address {
	uint32_t address;
	uint32_t port; /* of UDP; of an echo its sequence number; 16 bits */
};

enum { NAME_MAX = 255, PATH_MAX = 1024, OPEN_MAX = 32, ARG_BYTES_MAX = 16384 };

/*
 * A fault of a program, as the program's handler gets it: the kernel puts the context on
 * the program's stack, and calls handler(struct fault_context *) there. The handler returns
 * to the restorer, which calls fault_return(context); the program goes on with the
 * registers of the context, which the handler may have changed. System call on_fault names
 * handler and restorer.
 */
struct fault_context {
	uint32_t vector, error; /* exception number, error code */
	uint32_t address;       /* CR2 of a page fault, else 0 */
	uint32_t edi, esi, ebp, ebx, edx, ecx, eax, eip, eflags, esp;
};

/* What is written to /proc/domains: texts end with NUL; create uses all fields, weight its own. */
enum { GUEST_CREATE, GUEST_KILL, GUEST_PAUSE, GUEST_RESUME, GUEST_WEIGHT };
enum { GUEST_NAME_BYTES = 16 };
struct guest_command {
	uint32_t what, mem_kib, vcpus, weight, read_only, net; /* read_only: of the disk */
	char name[GUEST_NAME_BYTES], disk[512], cmdline[256]; /* disk: a path; empty: none */
};

/* A guest's console: text that it printed from `position` on, which moves; or text to type. */
struct guest_console {
	char name[GUEST_NAME_BYTES], text[256];
	uint32_t position, bytes; /* bytes: that text has room for, or that are typed */
};

/* Status that waitpid() stores: the code of exit(), or what ended the process. */
#define WSTATUS_EXIT(code) (((code) & 0xFF) << 8)
#define WSTATUS_KILLED 9                        /* kill() or Ctrl-C */
#define WSTATUS_FAULT(vector) (0x40 | (vector)) /* an exception, 0 <= vector < 32 */
#ifndef WIFEXITED /* in host tests the C library has macros with this meaning */
#define WIFEXITED(s) (((s) & 0x7F) == 0)
#define WEXITSTATUS(s) (((s) >> 8) & 0xFF)
#endif
#define WIFKILLED(s) ((s) == WSTATUS_KILLED)
#define WIFFAULT(s) (((s) & 0x60) == 0x40)
#define WFAULT(s) ((s) & 0x1F)
#endif
#endif
