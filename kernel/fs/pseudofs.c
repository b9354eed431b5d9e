/* SPDX-License-Identifier: MIT */
/*
 * The vnode operations of the pseudo file systems. Their vnodes exist once and are never
 * freed; a vnode's place in `files` is its entry's place in the table.
 */
#include "fs/pseudofs.h"
#include "mm/vm.h"

#define TEXT_ORDER 3 /* room for one file's text: 32 KiB */

struct tree {
	struct vnode vn; /* the directory */
	const struct pseudofs_entry *entries;
	struct vnode files[PSEUDOFS_FILES_MAX];
};

static struct tree *tree_of(const struct vnode *vn) { return vn->fs; }

static const struct pseudofs_entry *entry_of(const struct vnode *vn)
{
	return &tree_of(vn)->entries[vn - tree_of(vn)->files];
}

static int lookup(struct vnode *dir, const char *name, unsigned length, struct vnode **out)
{
	struct tree *t = tree_of(dir);
	for (unsigned i = 0; t->entries[i].name; i++)
		if (strncmp(t->entries[i].name, name, length) == 0 && !t->entries[i].name[length]) {
			*out = vnode_get(&t->files[i]);
			return 0;
		}
	return -ENOENT;
}

static int readdir(struct vnode *dir, uint32_t *cookie, struct dirent_sink *sink)
{
	struct tree *t = tree_of(dir);
	for (; *cookie < dir->size; ++*cookie) {
		uint32_t i = *cookie - 2;
		const char *name = *cookie == 0 ? "." : *cookie == 1 ? ".." : t->entries[i].name;
		const struct vnode *vn = *cookie < 2 ? dir : &t->files[i];
		if (!sink->emit(sink, name, (unsigned)strlen(name), vn->ino, vn->mode >> 12))
			break;
	}
	return 0;
}

static int read_text(const struct pseudofs_entry *e, uint32_t offset, void *to, uint32_t bytes,
		     bool user)
{
	pfn_t pfn = frame_alloc(TEXT_ORDER);
	if (pfn == NO_FRAME)
		return -ENOMEM;
	char *text = pfn_to_virt(pfn);
	const uint32_t size = PAGE_SIZE << TEXT_ORDER;
	uint32_t length = (uint32_t)e->show(text, size), n; /* MIN() would call it twice */
	length = MIN(length, size - 1);
	n = offset < length ? MIN(length - offset, bytes) : 0;
	int error = 0;
	if (user)
		error = copy_to_user(to, text + offset, n);
	else
		memcpy(to, text + offset, n);
	frame_free(pfn, TEXT_ORDER);
	return error ? error : (int)n;
}

static int read(struct vnode *vn, uint32_t offset, void *buf, uint32_t bytes, bool user)
{
	const struct pseudofs_entry *e = entry_of(vn);
	return e->show ? read_text(e, offset, buf, bytes, user) : e->read(buf, bytes, user);
}

static int write(struct vnode *vn, uint32_t offset, const void *buf, uint32_t bytes, bool user)
{
	(void)offset;
	return entry_of(vn)->write ? entry_of(vn)->write(buf, bytes, user) : -EPERM;
}

static int stat(struct vnode *vn, struct stat *st)
{
	*st = (struct stat){ .st_dev = 2, .st_ino = vn->ino, .st_mode = vn->mode, .st_nlink = 1,
			     .st_size = vn->size };
	return 0;
}

static void release(struct vnode *vn)
{
	panic("the last reference to /proc or /dev inode %u was dropped", vn->ino);
}

static const struct vnode_ops dir_ops = {
	.lookup = lookup, .readdir = readdir, .stat = stat, .release = release,
};
static const struct vnode_ops file_ops = {
	.read = read, .write = write, .stat = stat, .release = release,
};

static uint16_t mode_of(const struct pseudofs_entry *e)
{
	return !e->show ? S_IFCHR | 0666 : e->write ? S_IFREG | 0644 : S_IFREG | 0444;
}

struct vnode *pseudofs_root(const char *name)
{
	static struct tree trees[2];
	bool proc = strcmp(name, "proc") == 0;
	struct tree *t = &trees[proc];
	t->entries = proc ? procfs_entries : devfs_entries;
	unsigned n = 0;
	for (; t->entries[n].name; n++)
		t->files[n] = (struct vnode){ .ops = &file_ops, .refs = 1, .ino = 2 + n,
					      .mode = mode_of(&t->entries[n]), .fs = t };
	t->vn = (struct vnode){ .ops = &dir_ops, .refs = 1, .ino = 1, .mode = S_IFDIR | 0555,
				.size = n + 2, .fs = t };
	return vnode_get(&t->vn);
}
