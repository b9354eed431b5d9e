/* SPDX-License-Identifier: MIT */
/* The system calls on files. Paths are copied from the program once; what an unfinished call took is given back. */
#include "dev/dev.h"
#include "fs/file.h"
#include "fs/path.h"
#include "mm/vm.h"
#include "proc/task.h"

#define IO_BYTES_MAX 0x7FFFF000u /* one call moves no more: its result is an int */

static bool readable(const struct file *f) { return (f->flags & O_ACCMODE) != O_WRONLY; }
static bool writable(const struct file *f) { return (f->flags & O_ACCMODE) != O_RDONLY; }

/* --- paths --- */

/* A kernel copy of a path, freed with kfree. */
static int path_copy(uint32_t path, char **out)
{
	*out = kmalloc(PATH_MAX);
	if (!*out)
		return -ENOMEM;
	int length = copy_string_from_user(*out, (const char *)path, PATH_MAX);
	if (length >= 0)
		return 0;
	kfree(*out);
	return length;
}

/* Copy and walk to the last component: *end and *copy are the caller's to give back, if the result is 0. */
static int path_begin(uint32_t path, char **copy, struct path_end *end)
{
	int error = path_copy(path, copy);
	if (error)
		return error;
	error = path_parent(*copy, end);
	if (error)
		kfree(*copy);
	return error;
}

static void path_finish(char *copy, struct path_end *end)
{
	vnode_put(end->dir);
	kfree(copy);
}

static int path_vnode(uint32_t path, struct vnode **out)
{
	char *copy;
	int error = path_copy(path, &copy);
	if (error)
		return error;
	error = vfs_lookup(copy, out);
	kfree(copy);
	return error;
}

/* --- read, write, position --- */

/* Whether f's position had to be locked: not if no other process has the file, because then none can get it meanwhile. */
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
	if ((f->vn->mode & S_IFMT) == S_IFCHR) /* no position; may wait for long */
		return f->vn->ops->read(f->vn, 0, (void *)buf, bytes, true);
	bool shared = position_lock(f);
	int n = f->vn->ops->read(f->vn, f->pos, (void *)buf, bytes, true);
	f->pos += n > 0 ? (uint32_t)n : 0;
	position_unlock(f, shared);
	return n;
}

int sys_write(uint32_t fd, uint32_t buf, uint32_t bytes)
{
	static struct mutex appending; /* the end stays the end between looking and writing, however often the file is open */
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
	int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? f->pos : f->vn->size, to = from + (int32_t)offset;
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

/* --- open, close --- */

/* The vnode to open: found, or made with O_CREAT. */
static int open_vnode(const struct path_end *end, uint32_t flags, struct vnode **out)
{
	int error = path_last(end, out);
	if (error == 0 && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
		vnode_put(*out);
		return -EEXIST;
	}
	if (error != -ENOENT || !(flags & O_CREAT))
		return error;
	if (end->slash || flags & O_DIRECTORY)
		return -EISDIR;
	error = end->dir->ops->create ? end->dir->ops->create(end->dir, end->name, end->length, out) : -EPERM;
	return error == -EEXIST && !(flags & O_EXCL) ? path_last(end, out) : error; /* another one was faster */
}

static int check_open(struct vnode *vn, uint32_t flags)
{
	if (is_dir(vn) && ((flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC)))
		return -EISDIR;
	if (flags & O_DIRECTORY && !is_dir(vn))
		return -ENOTDIR;
	if (flags & O_TRUNC && (flags & O_ACCMODE) != O_RDONLY && (vn->mode & S_IFMT) == S_IFREG && vn->ops->truncate)
		return vn->size ? vn->ops->truncate(vn, 0) : 0;
	return 0;
}

int sys_open(uint32_t path, uint32_t flags, uint32_t mode)
{
	const uint32_t known = O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_DIRECTORY;
	struct path_end end;
	struct vnode *vn;
	char *copy;
	(void)mode; /* one user: everything is allowed */
	if (flags & ~known || (flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	struct file *f = file_create((int)(flags & (O_ACCMODE | O_APPEND)), NULL, NULL); /* first, so that nothing is made in vain */
	if (!f)
		return -ENOMEM;
	int fd = file_install(f), error = fd < 0 ? fd : path_begin(path, &copy, &end);
	if (!error) {
		error = open_vnode(&end, flags, &vn);
		path_finish(copy, &end);
		if (!error && (error = check_open(vn, flags)))
			vnode_put(vn);
	}
	if (!error) {
		f->vn = vn;
		return fd;
	}
	if (fd >= 0)
		current()->files[fd] = NULL;
	file_put(f);
	return error;
}

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
	struct file *r = p ? file_create(O_RDONLY, NULL, p) : NULL, *w = r ? file_create(O_WRONLY, NULL, p) : NULL;
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

/* --- names --- */

int sys_mkdir(uint32_t path, uint32_t mode)
{
	struct path_end end;
	char *copy;
	(void)mode;
	int error = path_begin(path, &copy, &end);
	if (error)
		return error;
	error = !end.plain || path_is_mount(&end) ? -EEXIST
	      : !end.dir->ops->mkdir		  ? -EPERM
						  : end.dir->ops->mkdir(end.dir, end.name, end.length);
	path_finish(copy, &end);
	return error;
}

int sys_rmdir(uint32_t path)
{
	struct path_end end;
	char *copy;
	int error = path_begin(path, &copy, &end);
	if (error)
		return error;
	error = path_is_mount(&end) || !end.length ? -EBUSY
	      : !end.plain			   ? -EINVAL
	      : !end.dir->ops->rmdir		   ? -EPERM
						   : end.dir->ops->rmdir(end.dir, end.name, end.length);
	path_finish(copy, &end);
	return error;
}

int sys_unlink(uint32_t path)
{
	struct path_end end;
	char *copy;
	int error = path_begin(path, &copy, &end);
	if (error)
		return error;
	if (!end.plain || end.slash || path_is_mount(&end)) {
		struct vnode *vn; /* a directory, a file with a slash behind it, or nothing */
		error = path_last(&end, &vn);
		if (!error)
			vnode_put(vn);
		error = error ? error : -EISDIR;
	} else {
		error = end.dir->ops->unlink ? end.dir->ops->unlink(end.dir, end.name, end.length) : -EPERM;
	}
	path_finish(copy, &end);
	return error;
}

/* link and rename: two paths, of which the second one names what is made. */
static int two_paths(uint32_t from, uint32_t to, int (*act)(const struct path_end *, const struct path_end *))
{
	struct path_end a, b;
	char *copy_a, *copy_b;
	int error = path_begin(from, &copy_a, &a);
	if (error)
		return error;
	error = path_begin(to, &copy_b, &b);
	if (!error) {
		error = path_is_mount(&a) || path_is_mount(&b)	 ? -EBUSY
		      : !path_same_fs(a.dir, b.dir)		 ? -EXDEV
								 : act(&a, &b);
		path_finish(copy_b, &b);
	}
	path_finish(copy_a, &a);
	return error;
}

static int do_link(const struct path_end *from, const struct path_end *to)
{
	struct vnode *target;
	int error = path_last(from, &target);
	if (error)
		return error;
	error = is_dir(target)	      ? -EPERM
	      : !to->plain	      ? -EEXIST
	      : to->slash	      ? -ENOENT
	      : !to->dir->ops->link   ? -EPERM
				      : to->dir->ops->link(to->dir, to->name, to->length, target);
	vnode_put(target);
	return error;
}

static int do_rename(const struct path_end *from, const struct path_end *to)
{
	if (!from->plain || !to->plain)
		return -EBUSY;
	if (!from->dir->ops->rename)
		return -EPERM;
	if (from->slash || to->slash) { /* only directories may be called so */
		struct vnode *vn;
		int error = from->dir->ops->lookup(from->dir, from->name, from->length, &vn);
		if (error)
			return error;
		bool dir = is_dir(vn);
		vnode_put(vn);
		if (!dir)
			return -ENOTDIR;
	}
	return from->dir->ops->rename(from->dir, from->name, from->length, to->dir, to->name, to->length);
}

int sys_link(uint32_t from, uint32_t to) { return two_paths(from, to, do_link); }

int sys_rename(uint32_t from, uint32_t to) { return two_paths(from, to, do_rename); }

/* --- directories and status --- */

int sys_chdir(uint32_t path)
{
	struct task *t = current();
	struct vnode *vn;
	char *copy, *full = kmalloc(2 * PATH_MAX);
	int error = full ? path_copy(path, &copy) : -ENOMEM;
	if (error) {
		kfree(full);
		return error;
	}
	error = vfs_lookup(copy, &vn);
	if (!error) {
		uint32_t length = path_normalize(full, t->cwd ? t->cwd->path : "/", copy);
		struct cwd *c = length < PATH_MAX ? kmalloc(sizeof(*c) + length + 1) : NULL;
		error = !is_dir(vn) ? -ENOTDIR : length >= PATH_MAX ? -ENAMETOOLONG : !c ? -ENOMEM : 0;
		if (error) {
			vnode_put(vn);
			kfree(c);
		} else {
			*c = (struct cwd){ .refs = 1, .vn = vn };
			memcpy(c->path, full, length + 1);
			cwd_put(t->cwd);
			t->cwd = c;
		}
	}
	kfree(copy);
	kfree(full);
	return error;
}

int sys_getcwd(uint32_t buf, uint32_t bytes)
{
	const struct cwd *c = current()->cwd;
	const char *path = c ? c->path : "/";
	uint32_t length = (uint32_t)strlen(path);
	if (bytes <= length)
		return -ERANGE;
	return copy_to_user((void *)buf, path, length + 1) ? -EFAULT : (int)length;
}

static int put_stat(struct vnode *vn, uint32_t to)
{
	struct stat st;
	int error = vn->ops->stat(vn, &st);
	return error ? error : copy_to_user((void *)to, &st, sizeof(st));
}

int sys_stat(uint32_t path, uint32_t to)
{
	struct vnode *vn;
	int error = path_vnode(path, &vn);
	if (error)
		return error;
	error = put_stat(vn, to);
	vnode_put(vn);
	return error;
}

int sys_fstat(uint32_t fd, uint32_t to)
{
	struct file *f = file_of((int)fd);
	if (!f)
		return -EBADF;
	if (f->vn)
		return put_stat(f->vn, to);
	struct stat st = { .st_mode = S_IFIFO | 0600, .st_nlink = 1 };
	return copy_to_user((void *)to, &st, sizeof(st));
}

struct getdents { /* collects records in a kernel buffer: the file system is locked meanwhile */
	struct dirent_sink sink;
	char *buf;
	uint32_t used, size;
};

static bool emit(struct dirent_sink *sink, const char *name, unsigned length, uint32_t ino, unsigned d_type)
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
	struct getdents g = { .sink = { emit }, .size = MIN(bytes, (uint32_t)PAGE_SIZE), .buf = kmalloc(PAGE_SIZE) };
	if (!g.buf)
		return -ENOMEM;
	bool shared = position_lock(f);
	uint32_t cookie = f->pos;
	int error = f->vn->ops->readdir(f->vn, &cookie, &g.sink);
	if (!error && g.used == 0 && cookie == f->pos && bytes < sizeof(struct dirent) + NAME_MAX + 1 && cookie < f->vn->size)
		error = -EINVAL; /* not even one entry fits */
	if (!error && copy_to_user((void *)buf, g.buf, g.used))
		error = -EFAULT;
	if (!error)
		f->pos = cookie;
	position_unlock(f, shared);
	kfree(g.buf);
	return error ? error : (int)g.used;
}

int sys_sync(void) { return vfs_sync(); }
