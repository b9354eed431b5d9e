/* SPDX-License-Identifier: MIT */
/* The system calls on descriptors. A pipe has no position, so its calls take no position's lock. */
#include "fs/file.h"
#include "fs/path.h"
#include "mm/vm.h"
#include "proc/task.h"

#define IO_BYTES_MAX 0x7FFFF000u /* of one call, whose result is an int */

static bool readable(const struct file *f) { return (f->flags & O_ACCMODE) != O_WRONLY; }
static bool writable(const struct file *f) { return (f->flags & O_ACCMODE) != O_RDONLY; }

/* --- read, write, position --- */

/*
 * Lock f's position if others could move it. A file with one reference belongs to the current
 * process alone, and no other task can get it meanwhile. Result: for position_unlock().
 */
static bool position_lock(struct file *f)
{
	bool shared = __atomic_load_n(&f->refs, __ATOMIC_ACQUIRE) > 1;
	if (shared)
		mutex_lock(&f->lock);
	return shared;
}

static void position_unlock(struct file *f, bool shared)
{
	if (shared)
		mutex_unlock(&f->lock);
}

int sys_read(uint32_t fd, uint32_t buf, uint32_t bytes)
{
	struct file *f = file_of((int)fd);
	if (!f || !readable(f))
		return -EBADF;
	bytes = MIN(bytes, IO_BYTES_MAX);
	if (f->pipe)
		return pipe_read(f->pipe, (void *)buf, bytes);
	if (!f->vn->ops->read)
		return is_dir(f->vn) ? -EISDIR : -EINVAL;
	if ((f->vn->mode & S_IFMT) == S_IFCHR) /* has no position, and may wait for long */
		return f->vn->ops->read(f->vn, 0, (void *)buf, bytes, true);
	bool shared = position_lock(f);
	int n = f->vn->ops->read(f->vn, f->pos, (void *)buf, bytes, true);
	f->pos += n > 0 ? (uint32_t)n : 0;
	position_unlock(f, shared);
	return n;
}

int sys_write(uint32_t fd, uint32_t buf, uint32_t bytes)
{
	/*
	 * Held from reading a file's size until the data is written there: no other O_APPEND
	 * write may come in between.
	 */
	static struct mutex appending;
	struct file *f = file_of((int)fd);
	if (!f || !writable(f))
		return -EBADF;
	bytes = MIN(bytes, IO_BYTES_MAX);
	if (f->pipe)
		return pipe_write(f->pipe, (const void *)buf, bytes);
	if (!f->vn->ops->write)
		return is_dir(f->vn) ? -EISDIR : -EINVAL;
	if ((f->vn->mode & S_IFMT) == S_IFCHR)
		return f->vn->ops->write(f->vn, 0, (const void *)buf, bytes, true);
	bool shared = position_lock(f), append = f->flags & O_APPEND;
	if (append) {
		mutex_lock(&appending);
		f->pos = f->vn->size;
	}
	int n = f->vn->ops->write(f->vn, f->pos, (const void *)buf, bytes, true);
	f->pos += n > 0 ? (uint32_t)n : 0;
	if (append)
		mutex_unlock(&appending);
	position_unlock(f, shared);
	return n;
}

int sys_lseek(uint32_t fd, uint32_t offset, uint32_t whence)
{
	struct file *f = file_of((int)fd);
	if (!f)
		return -EBADF;
	if (f->pipe || (f->vn->mode & S_IFMT) == S_IFCHR)
		return -ESPIPE;
	if (whence > SEEK_END)
		return -EINVAL;
	bool shared = position_lock(f);
	int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? f->pos : f->vn->size;
	int64_t to = from + (int32_t)offset;
	int result = to < 0 || to > (int64_t)FILE_BYTES_MAX ? -EINVAL : (int)to;
	if (result >= 0)
		f->pos = (uint32_t)result;
	position_unlock(f, shared);
	return result;
}

int sys_ftruncate(uint32_t fd, uint32_t bytes)
{
	struct file *f = file_of((int)fd);
	if (!f || !writable(f))
		return -EBADF;
	if (f->pipe || !f->vn->ops->truncate)
		return -EINVAL;
	return f->vn->ops->truncate(f->vn, bytes);
}

/* --- the table of descriptors --- */

int sys_close(uint32_t fd)
{
	struct file *f = file_of((int)fd);
	if (!f)
		return -EBADF;
	current()->files[fd] = NULL;
	file_put(f);
	return 0;
}

int sys_dup(uint32_t fd)
{
	struct file *f = file_of((int)fd);
	if (!f)
		return -EBADF;
	int to = file_install(f);
	if (to >= 0)
		file_get(f);
	return to;
}

int sys_dup2(uint32_t fd, uint32_t to)
{
	struct file *f = file_of((int)fd), *old = file_of((int)to);
	if (!f || to >= OPEN_MAX)
		return -EBADF;
	if (f == old)
		return (int)to;
	current()->files[to] = file_get(f);
	if (old)
		file_put(old);
	return (int)to;
}

int sys_pipe(uint32_t fds)
{
	struct pipe *p = pipe_create();
	struct file *r = p ? file_create(O_RDONLY, NULL, p) : NULL;
	struct file *w = r ? file_create(O_WRONLY, NULL, p) : NULL;
	int fd[2] = { -1, -1 }, error = w ? 0 : -ENOMEM;
	if (!error && ((fd[0] = file_install(r)) < 0 || (fd[1] = file_install(w)) < 0))
		error = -EMFILE;
	if (!error)
		error = copy_to_user((void *)fds, fd, sizeof(fd));
	if (!error)
		return 0;
	for (int i = 0; i < 2; i++)
		if (fd[i] >= 0)
			current()->files[fd[i]] = NULL;
	if (r)
		file_put(r);
	else if (p)
		pipe_close(p, false);
	if (w)
		file_put(w);
	else if (p)
		pipe_close(p, true);
	return error;
}

/* --- status, directories --- */

int vnode_stat_user(struct vnode *vn, uint32_t to)
{
	struct stat st;
	int error = vn->ops->stat(vn, &st);
	return error ? error : copy_to_user((void *)to, &st, sizeof(st));
}

int sys_fstat(uint32_t fd, uint32_t to)
{
	struct file *f = file_of((int)fd);
	if (!f)
		return -EBADF;
	if (f->vn)
		return vnode_stat_user(f->vn, to);
	struct stat st = { .st_mode = S_IFIFO | 0600, .st_nlink = 1 };
	return copy_to_user((void *)to, &st, sizeof(st));
}

/*
 * Records are collected in a kernel buffer, and copied after readdir() has unlocked the
 * file system.
 */
struct getdents {
	struct dirent_sink sink;
	char *buf;
	uint32_t used, size;
};

static bool emit(struct dirent_sink *sink, const char *name, unsigned length, uint32_t ino,
		 unsigned d_type)
{
	struct getdents *g = container_of(sink, struct getdents, sink);
	uint32_t need = ROUND_UP((uint32_t)sizeof(struct dirent) + length + 1, 4u);
	if (g->size - g->used < need)
		return false;
	struct dirent *d = (struct dirent *)(g->buf + g->used);
	memset(d, 0, need);
	d->d_ino = ino;
	d->d_reclen = (uint16_t)need;
	d->d_type = (uint8_t)d_type;
	memcpy(d->d_name, name, length);
	g->used += need;
	return true;
}

int sys_getdents(uint32_t fd, uint32_t buf, uint32_t bytes)
{
	struct file *f = file_of((int)fd);
	if (!f)
		return -EBADF;
	if (!f->vn || !is_dir(f->vn))
		return -ENOTDIR;
	struct getdents g = { .sink = { emit }, .size = MIN(bytes, (uint32_t)PAGE_SIZE),
			      .buf = kmalloc(PAGE_SIZE) };
	if (!g.buf)
		return -ENOMEM;
	bool shared = position_lock(f);
	uint32_t cookie = f->pos;
	int error = f->vn->ops->readdir(f->vn, &cookie, &g.sink);
	if (!error && g.used == 0 && cookie == f->pos && cookie < f->vn->size &&
	    bytes < sizeof(struct dirent) + NAME_MAX + 1)
		error = -EINVAL; /* the buffer is too small for the next entry */
	if (!error && copy_to_user((void *)buf, g.buf, g.used))
		error = -EFAULT;
	if (!error)
		f->pos = cookie;
	position_unlock(f, shared);
	kfree(g.buf);
	return error ? error : (int)g.used;
}

int sys_sync(void) { return vfs_sync(); }
