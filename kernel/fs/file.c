/* SPDX-License-Identifier: MIT */
/* Each process's table of descriptors, and the reference counts of the open files in them. */
#include "fs/file.h"
#include "mm/frame.h"
#include "proc/task.h"

static uint32_t nr_open; /* atomic */

struct file *file_of(int fd) { return fd >= 0 && fd < OPEN_MAX ? current()->files[fd] : NULL; }

struct file *file_get(struct file *f)
{
	__atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
	return f;
}

struct file *file_create(int flags, struct vnode *vn, struct pipe *pipe)
{
	struct file *f = kmalloc(sizeof(*f));
	if (f) {
		*f = (struct file){ .refs = 1, .flags = flags, .vn = vn, .pipe = pipe };
		__atomic_fetch_add(&nr_open, 1, __ATOMIC_RELAXED);
	}
	return f;
}

void file_put(struct file *f)
{
	if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (f->pipe)
		pipe_close(f->pipe, (f->flags & O_ACCMODE) == O_WRONLY);
	vnode_put(f->vn);
	kfree(f);
	__atomic_fetch_sub(&nr_open, 1, __ATOMIC_RELAXED);
}

int file_install(struct file *f)
{
	struct task *t = current();
	for (int fd = 0; fd < OPEN_MAX; fd++)
		if (!t->files[fd]) {
			t->files[fd] = f;
			return fd;
		}
	return -EMFILE;
}

uint32_t files_open(void) { return __atomic_load_n(&nr_open, __ATOMIC_RELAXED); }

void cwd_put(struct cwd *c)
{
	if (c && __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0) {
		vnode_put(c->vn);
		kfree(c);
	}
}

void files_fork(struct task *child)
{
	struct task *t = current();
	for (int fd = 0; fd < OPEN_MAX; fd++)
		if (t->files[fd])
			child->files[fd] = file_get(t->files[fd]);
	child->cwd = t->cwd;
	if (child->cwd)
		__atomic_fetch_add(&child->cwd->refs, 1, __ATOMIC_RELAXED);
}

void files_close(struct task *t)
{
	for (int fd = 0; fd < OPEN_MAX; fd++)
		if (t->files[fd]) {
			file_put(t->files[fd]);
			t->files[fd] = NULL;
		}
	cwd_put(t->cwd);
	t->cwd = NULL;
}

int files_init_console(void)
{
	struct task *t = current();
	struct vnode *vn;
	int error = vfs_lookup("/dev/console", &vn);
	if (error)
		return error;
	t->files[0] = file_create(O_RDWR, vn, NULL);
	if (!t->files[0])
		return -ENOMEM;
	t->files[1] = file_get(t->files[0]);
	t->files[2] = file_get(t->files[0]);
	return 0;
}
