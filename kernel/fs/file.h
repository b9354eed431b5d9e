/* SPDX-License-Identifier: MIT */
/* Open files: what a descriptor refers to, shared by dup and fork. A file is a vnode with a position, or a pipe's end. */
#ifndef FS_FILE_H
#define FS_FILE_H

#include "fs/vnode.h"

struct pipe;
struct task;

struct cwd { /* a current directory: never changed, only replaced */
	uint32_t refs; /* atomic */
	struct vnode *vn;
	char path[]; /* absolute, normalized */
};

struct file {
	uint32_t refs; /* atomic */
	int flags;     /* O_ACCMODE, O_APPEND */
	struct vnode *vn; /* or NULL: */
	struct pipe *pipe;
	uint32_t pos;
	struct mutex lock; /* of pos */
};

/* The file behind a descriptor of the current process, not a new reference (one task uses the table); NULL if none. */
struct file *file_of(int fd);
struct file *file_get(struct file *f);
void file_put(struct file *f); /* the last one closes */
/* A new open file that takes over the reference to vn, or the pipe's end; NULL if memory is out. */
struct file *file_create(int flags, struct vnode *vn, struct pipe *pipe);
int file_install(struct file *f); /* takes over f: lowest free descriptor of the current process, or -EMFILE and f stays the caller's */
void cwd_put(struct cwd *c);      /* NULL is allowed */

/* fork and exit */
void files_fork(struct task *child); /* the current process's descriptors, cwd */
void files_close(struct task *t);
/* Open /dev/console as descriptors 0, 1, 2 of the current process, cwd "/". For the first process. 0, -errno. */
int files_init_console(void);
uint32_t files_open(void); /* in the whole system, for tests and /proc/files */

/* pipe.c. buf is a user address. Results: bytes, 0 at the end, -EPIPE, -EINTR, -EFAULT. */
struct pipe *pipe_create(void); /* one reader, one writer; NULL if memory is out */
int pipe_read(struct pipe *p, void *buf, uint32_t bytes);
int pipe_write(struct pipe *p, const void *buf, uint32_t bytes);
void pipe_close(struct pipe *p, bool writer);

/* System calls on files: arguments as in syscalls.def, pointers are user addresses (calls.c; those on paths: name_calls.c). */
int sys_read(uint32_t fd, uint32_t buf, uint32_t bytes);
int sys_write(uint32_t fd, uint32_t buf, uint32_t bytes);
int sys_open(uint32_t path, uint32_t flags, uint32_t mode);
int sys_close(uint32_t fd);
int sys_link(uint32_t from, uint32_t to);
int sys_unlink(uint32_t path);
int sys_rename(uint32_t from, uint32_t to);
int sys_chdir(uint32_t path);
int sys_mkdir(uint32_t path, uint32_t mode);
int sys_rmdir(uint32_t path);
int sys_lseek(uint32_t fd, uint32_t offset, uint32_t whence);
int sys_dup(uint32_t fd);
int sys_dup2(uint32_t fd, uint32_t to);
int sys_pipe(uint32_t fds);
int sys_stat(uint32_t path, uint32_t st);
int sys_fstat(uint32_t fd, uint32_t st);
int sys_getdents(uint32_t fd, uint32_t buf, uint32_t bytes);
int sys_getcwd(uint32_t buf, uint32_t bytes);
int sys_ftruncate(uint32_t fd, uint32_t bytes);
int sys_sync(void);

#endif
