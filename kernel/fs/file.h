/* SPDX-License-Identifier: MIT */
/*
 * Open files. A descriptor is a small number in the table of one process; it refers to an
 * open file, which dup and fork share. An open file is a vnode with a position, or one end
 * of a pipe.
 */
#ifndef FS_FILE_H
#define FS_FILE_H

#include "fs/vnode.h"

struct pipe;
struct task;

/* A current directory, shared by fork. Never changed: chdir replaces it. */
struct cwd {
	uint32_t refs; /* atomic */
	struct vnode *vn;
	char path[]; /* absolute, normalized */
};

struct file {
	uint32_t refs; /* atomic */
	int flags;     /* O_ACCMODE, O_APPEND */
	struct vnode *vn;  /* NULL for a pipe */
	struct pipe *pipe; /* NULL for a vnode */
	uint32_t pos;      /* in bytes; for a directory, what readdir() needs */
	struct mutex lock; /* guards pos if refs > 1 */
};

/* --- file.c. Context: process, may sleep, no spin lock held --- */
/*
 * The current process's open file for fd, or NULL. No new reference: no other task changes
 * the table.
 */
struct file *file_of(int fd);
/* Take one more reference. Result: f. */
struct file *file_get(struct file *f);
/* Drop a reference; the last one closes the file. */
void file_put(struct file *f);
/*
 * Make an open file with one reference. The file takes over the caller's reference to vn, or
 * one end of the pipe. Result: NULL if memory is out; the caller keeps vn or the end then.
 */
struct file *file_create(int flags, struct vnode *vn, struct pipe *pipe);
/*
 * Give f the lowest free descriptor of the current process. The descriptor takes over the
 * caller's reference. Result: the descriptor; or -EMFILE, and the caller keeps the reference.
 */
int file_install(struct file *f);
/* Drop a reference to a current directory. NULL is allowed. */
void cwd_put(struct cwd *c);

/* fork: give the child the current process's open files and current directory. */
void files_fork(struct task *child);
/* exit: close the open files of t, and drop its current directory. */
void files_close(struct task *t);
/* Open /dev/console as descriptors 0, 1 and 2 of the first process, the current one. 0, -errno. */
int files_init_console(void);
/* Number of open files in the system (/proc/files): tests find leaks by it. Context: any. */
uint32_t files_open(void);

/* --- pipe.c. Context: process, may sleep, no spin lock held --- */
/* A pipe with both ends open; NULL if memory is out. */
struct pipe *pipe_create(void);
/*
 * Move bytes between a pipe and the user address buf. pipe_read waits until at least one byte
 * can be read, pipe_write until all bytes are written. Result: bytes done, 0 at the end (all
 * writers closed); -EPIPE (no reader), -EINTR, -EFAULT.
 */
int pipe_read(struct pipe *p, void *buf, uint32_t bytes);
int pipe_write(struct pipe *p, const void *buf, uint32_t bytes);
/* Close one end, whose last user is the caller; the second close frees the pipe. */
void pipe_close(struct pipe *p, bool writer);

/*
 * --- calls.c, name_calls.c: system calls on descriptors, and on paths ---
 * Arguments and results as in syscalls.def; pointers are user addresses.
 */
int sys_read(uint32_t fd, uint32_t buf, uint32_t bytes);
int sys_write(uint32_t fd, uint32_t buf, uint32_t bytes);
int sys_close(uint32_t fd);
int sys_lseek(uint32_t fd, uint32_t offset, uint32_t whence);
int sys_dup(uint32_t fd);
int sys_dup2(uint32_t fd, uint32_t to);
int sys_pipe(uint32_t fds);
int sys_fstat(uint32_t fd, uint32_t st);
int sys_getdents(uint32_t fd, uint32_t buf, uint32_t bytes);
int sys_ftruncate(uint32_t fd, uint32_t bytes);
int sys_sync(void);

int sys_open(uint32_t path, uint32_t flags, uint32_t mode);
int sys_link(uint32_t from, uint32_t to);
int sys_unlink(uint32_t path);
int sys_rename(uint32_t from, uint32_t to);
int sys_chdir(uint32_t path);
int sys_mkdir(uint32_t path, uint32_t mode);
int sys_rmdir(uint32_t path);
int sys_stat(uint32_t path, uint32_t st);
int sys_getcwd(uint32_t buf, uint32_t bytes);

#endif
