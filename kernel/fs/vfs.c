/* SPDX-License-Identifier: MIT */
/*
 * Path resolution over vnode operations. The root file system is on a disk; the pseudo file
 * systems are mounted over directories of its root. So a mount point is recognised by its
 * name in the root directory, before the disk is asked. The system call copies a path once;
 * components of the copy are passed on as pointer and length.
 */
#include "fs/file.h"
#include "fs/path.h"
#include "proc/task.h"

static struct vnode *root;
static struct mount {
	const char *name;    /* in the root directory */
	struct vnode *root;
} mounts[] = { { "proc", NULL }, { "dev", NULL } };

void vnode_put(struct vnode *vn)
{
	ASSERT_MAY_SLEEP();
	uint32_t refs = vn ? __atomic_load_n(&vn->refs, __ATOMIC_RELAXED) : 0;
	while (refs > 1)
		if (__atomic_compare_exchange_n(&vn->refs, &refs, refs - 1, true, __ATOMIC_RELEASE,
						__ATOMIC_RELAXED))
			return;
	if (vn)
		vn->ops->release(vn);
}

static bool is_dot(const char *name, unsigned length) { return length == 1 && name[0] == '.'; }
static bool is_dotdot(const char *name, unsigned length)
{
	return length == 2 && name[0] == '.' && name[1] == '.';
}

/* What is mounted over this entry of the root directory, or NULL. */
static struct vnode *mounted(const char *name, unsigned length)
{
	for (struct mount *m = mounts; m < mounts + ARRAY_SIZE(mounts); m++)
		if (strncmp(m->name, name, length) == 0 && !m->name[length])
			return m->root;
	return NULL;
}

/*
 * The mount whose root is dir. Result: NULL if dir is on the disk: a pseudo file system has no
 * directory but its root.
 */
static const struct mount *mount_of(const struct vnode *dir)
{
	for (struct mount *m = mounts; m < mounts + ARRAY_SIZE(mounts); m++)
		if (m->root == dir)
			return m;
	return NULL;
}

/* Go from a directory to one of its entries, "." or "..": *out gets a reference. */
static int step(struct vnode *dir, const char *name, unsigned length, struct vnode **out)
{
	*out = NULL;
	if (length == 0 || is_dot(name, length))
		*out = dir;
	else if (is_dotdot(name, length) && (dir == root || mount_of(dir)))
		*out = root;
	else if (dir == root)
		*out = mounted(name, length);
	if (!*out)
		return dir->ops->lookup(dir, name, length, out);
	vnode_get(*out);
	return 0;
}

/* Set *end to the component of dir with which path begins. The reference to dir passes to *end. */
static void component(struct path_end *end, struct vnode *dir, const char *path)
{
	while (*path == '/')
		path++;
	const char *name = path;
	while (*path && *path != '/')
		path++;
	*end = (struct path_end){ .dir = dir, .name = name, .length = (unsigned)(path - name),
				  .slash = *path };
}

int path_parent(const char *path, struct path_end *end)
{
	ASSERT_MAY_SLEEP();
	struct task *t = current();
	struct vnode *dir = *path == '/' || !t->cwd ? root : t->cwd->vn;
	int error = *path ? 0 : -ENOENT;
	if (!error)
		component(end, vnode_get(dir), path);
	while (!error) {
		const char *rest = end->name + end->length;
		if (!is_dir(end->dir) || end->length > NAME_MAX) {
			error = end->length > NAME_MAX ? -ENAMETOOLONG : not_dir(end->dir);
		} else {
			while (*rest == '/')
				rest++;
			if (!*rest)
				break;
			error = step(end->dir, end->name, end->length, &dir);
		}
		vnode_put(end->dir);
		if (!error)
			component(end, dir, rest);
	}
	end->plain = !error && end->length && !is_dot(end->name, end->length) &&
		     !is_dotdot(end->name, end->length);
	return error;
}

int path_last(const struct path_end *end, struct vnode **out)
{
	int error = step(end->dir, end->name, end->length, out);
	if (!error && end->slash && !is_dir(*out)) {
		error = not_dir(*out);
		vnode_put(*out);
	}
	return error;
}

int vfs_lookup(const char *path, struct vnode **out)
{
	struct path_end end;
	int error = path_parent(path, &end);
	if (error)
		return error;
	error = path_last(&end, out);
	vnode_put(end.dir);
	return error;
}

bool path_is_mount(const struct path_end *end)
{
	return end->dir == root && mounted(end->name, end->length);
}

bool path_same_fs(const struct vnode *a, const struct vnode *b)
{
	return mount_of(a) == mount_of(b);
}

uint32_t path_normalize(char *out, const char *from, const char *path)
{
	uint32_t n = 0; /* characters in out; the root is the empty text at first */
	if (*path != '/' && from[1])
		n = (uint32_t)strlcpy(out, from, PATH_MAX);
	while (*path) {
		struct path_end c;
		component(&c, NULL, path);
		path = c.name + c.length;
		if (is_dotdot(c.name, c.length)) {
			while (n && out[--n] != '/')
				;
		} else if (c.length && !is_dot(c.name, c.length)) {
			out[n++] = '/';
			memcpy(out + n, c.name, c.length);
			n += c.length;
		}
	}
	if (!n)
		out[n++] = '/';
	out[n] = 0;
	return n;
}

int vnode_read(struct vnode *vn, uint32_t offset, void *buf, uint32_t bytes)
{
	uint32_t done = 0;
	while (vn->ops->read && done < bytes) {
		int n = vn->ops->read(vn, offset + done, (char *)buf + done, bytes - done, false);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (uint32_t)n;
	}
	return vn->ops->read ? (int)done : -EINVAL;
}

int vfs_sync(void) { return root->ops->sync(root); }

int vfs_unmount(void) { return ext2_unmount(); }

int vfs_init(struct blockdev *disk)
{
	int error = ext2_mount(disk, &root);
	for (struct mount *m = mounts; !error && m < mounts + ARRAY_SIZE(mounts); m++) {
		struct vnode *under;
		error = root->ops->lookup(root, m->name, (unsigned)strlen(m->name), &under);
		if (error)
			break;
		if (!is_dir(under))
			error = -ENOTDIR;
		vnode_put(under);
		m->root = pseudofs_root(m->name);
	}
	return error;
}
