/* SPDX-License-Identifier: MIT */
/*
 * The system calls on paths. A path is copied from the program once, so that it cannot
 * change while it is walked. A call that fails gives back all that it took.
 */
#include "fs/file.h"
#include "fs/path.h"
#include "mm/vm.h"
#include "proc/task.h"

/* Copy a path from user memory; the caller frees *out with kfree(). */
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

/* Copy a path and walk it up to its last component. After 0 the caller calls path_finish(). */
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

/* --- open --- */

/* Find the vnode to open; with O_CREAT, make it if there is none. *out gets a reference. */
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
	error = -EPERM;
	if (end->dir->ops->create)
		error = end->dir->ops->create(end->dir, end->name, end->length, out);
	if (error == -EEXIST && !(flags & O_EXCL)) /* another process has made it meanwhile */
		error = path_last(end, out);
	return error;
}

static int check_open(struct vnode *vn, uint32_t flags)
{
	if (is_dir(vn) && ((flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC)))
		return -EISDIR;
	if (flags & O_DIRECTORY && !is_dir(vn))
		return not_dir(vn);
	if (!is_dir(vn) && !vn->ops->read) /* a link; or a device, pipe or socket on the disk */
		return is_link(vn) ? -ELOOP : -ENODEV;
	if (flags & O_TRUNC && (flags & O_ACCMODE) != O_RDONLY && (vn->mode & S_IFMT) == S_IFREG &&
	    vn->ops->truncate)
		return vn->size ? vn->ops->truncate(vn, 0) : 0;
	return vn->size > FILE_BYTES_MAX ? -EFBIG : 0;
}

int sys_open(uint32_t path, uint32_t flags, uint32_t mode)
{
	const uint32_t known = O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_DIRECTORY;
	struct path_end end;
	struct vnode *vn;
	char *copy;
	(void)mode; /* there is one user, who may do everything */
	if (flags & ~known || (flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	/* First the descriptor: a file that could not be opened must not be made. */
	struct file *f = file_create((int)(flags & (O_ACCMODE | O_APPEND)), NULL, NULL);
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

/* --- names --- */

int sys_mkdir(uint32_t path, uint32_t mode)
{
	struct path_end end;
	char *copy;
	(void)mode;
	int error = path_begin(path, &copy, &end);
	if (error)
		return error;
	if (!end.plain || path_is_mount(&end))
		error = -EEXIST;
	else if (!end.dir->ops->mkdir)
		error = -EPERM;
	else
		error = end.dir->ops->mkdir(end.dir, end.name, end.length);
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
	if (path_is_mount(&end) || !end.length)
		error = -EBUSY;
	else if (!end.plain)
		error = -EINVAL;
	else if (!end.dir->ops->rmdir)
		error = -EPERM;
	else
		error = end.dir->ops->rmdir(end.dir, end.name, end.length);
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
		struct vnode *vn; /* the path cannot name a file: find the right error */
		error = path_last(&end, &vn);
		if (!error)
			vnode_put(vn);
		error = error ? error : -EISDIR;
	} else {
		error = -EPERM;
		if (end.dir->ops->unlink)
			error = end.dir->ops->unlink(end.dir, end.name, end.length);
	}
	path_finish(copy, &end);
	return error;
}

/* link and rename: `from` exists, `to` is the new name. */
static int two_paths(uint32_t from, uint32_t to,
		     int (*act)(const struct path_end *, const struct path_end *))
{
	struct path_end a, b;
	char *copy_a, *copy_b;
	int error = path_begin(from, &copy_a, &a);
	if (error)
		return error;
	error = path_begin(to, &copy_b, &b);
	if (!error) {
		if (path_is_mount(&a) || path_is_mount(&b))
			error = -EBUSY;
		else
			error = path_same_fs(a.dir, b.dir) ? act(&a, &b) : -EXDEV;
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
	if (is_dir(target))
		error = -EPERM;
	else if (!to->plain)
		error = -EEXIST;
	else if (to->slash)
		error = -ENOENT;
	else if (!to->dir->ops->link)
		error = -EPERM;
	else
		error = to->dir->ops->link(to->dir, to->name, to->length, target);
	vnode_put(target);
	return error;
}

static int do_rename(const struct path_end *from, const struct path_end *to)
{
	if (!from->plain || !to->plain)
		return -EBUSY;
	if (!from->dir->ops->rename)
		return -EPERM;
	if (from->slash || to->slash) { /* a slash at the end is for directories only */
		struct vnode *vn;
		int error = from->dir->ops->lookup(from->dir, from->name, from->length, &vn);
		if (error)
			return error;
		bool dir = is_dir(vn);
		vnode_put(vn);
		if (!dir)
			return -ENOTDIR;
	}
	return from->dir->ops->rename(from->dir, from->name, from->length, to->dir, to->name,
				      to->length);
}

int sys_link(uint32_t from, uint32_t to) { return two_paths(from, to, do_link); }

int sys_rename(uint32_t from, uint32_t to) { return two_paths(from, to, do_rename); }

/* --- current directory, status --- */

/* Make a current directory for vn. path: its name, seen from the old current directory. */
static int cwd_create(struct vnode *vn, const char *path, struct cwd **out)
{
	const struct cwd *old = current()->cwd;
	char *full = is_dir(vn) ? kmalloc(2 * PATH_MAX) : NULL;
	if (!full)
		return is_dir(vn) ? -ENOMEM : not_dir(vn);
	uint32_t length = path_normalize(full, old ? old->path : "/", path);
	struct cwd *c = length < PATH_MAX ? kmalloc(sizeof(*c) + length + 1) : NULL;
	if (c) {
		*c = (struct cwd){ .refs = 1, .vn = vnode_get(vn) };
		memcpy(c->path, full, length + 1);
	}
	kfree(full);
	*out = c;
	return c ? 0 : length < PATH_MAX ? -ENOMEM : -ENAMETOOLONG;
}

int sys_chdir(uint32_t path)
{
	struct vnode *vn;
	struct cwd *c;
	char *copy;
	int error = path_copy(path, &copy);
	if (error)
		return error;
	error = vfs_lookup(copy, &vn);
	if (!error) {
		error = cwd_create(vn, copy, &c);
		vnode_put(vn);
	}
	kfree(copy);
	if (error)
		return error;
	cwd_put(current()->cwd);
	current()->cwd = c;
	return 0;
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

int sys_stat(uint32_t path, uint32_t to)
{
	struct vnode *vn;
	int error = path_vnode(path, &vn);
	if (error)
		return error;
	error = vnode_stat_user(vn, to);
	vnode_put(vn);
	return error;
}
