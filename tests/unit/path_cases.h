/* SPDX-License-Identifier: MIT */
/*
 * Path resolution over a small tree in memory whose vnodes count their references; part of
 * test_pipe_path.c.
 */
static struct node {
	const char *name;
	int parent;
	bool dir;
	struct vnode vn;
} tree[] = {
	{ "disk", 0, true, { 0 } }, { "a", 0, true, { 0 } }, { "b", 1, true, { 0 } },
	{ "f", 2, false, { 0 } },
	{ "proc", 0, true, { 0 } }, { "dev", 0, true, { 0 } }, { "PROC", 6, true, { 0 } },
	{ "mode", 6, false, { 0 } },
	{ "DEV", 8, true, { 0 } },
};

static int tree_lookup(struct vnode *dir, const char *name, unsigned length, struct vnode **out)
{
	struct node *d = container_of(dir, struct node, vn);
	assert_true(d->dir);
	assert_in_range(length, 1, NAME_MAX);
	if (is_dotdot(name, length)) {
		*out = vnode_get(&tree[d->parent].vn);
		return 0;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(tree); i++)
		if (&tree[tree[i].parent] == d && &tree[i] != d && strlen(tree[i].name) == length &&
		    memcmp(tree[i].name, name, length) == 0) {
			*out = vnode_get(&tree[i].vn);
			return 0;
		}
	return -ENOENT;
}

static void tree_release(struct vnode *vn)
{
	fail_msg("%s lost a reference", container_of(vn, struct node, vn)->name);
}
static const struct vnode_ops tree_ops = { .lookup = tree_lookup, .release = tree_release };

int ext2_unmount(void) { return 0; }
int ext2_mount(struct blockdev *disk, struct vnode **out)
{
	(void)disk;
	*out = vnode_get(&tree[0].vn);
	return 0;
}
struct vnode *pseudofs_root(const char *which)
{
	return vnode_get(&tree[strcmp(which, "proc") ? 8 : 6].vn);
}

static int path_setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(tree); i++)
		tree[i].vn = (struct vnode){ .ops = &tree_ops,
					     .refs = 1,
					     .mode = tree[i].dir ? S_IFDIR : S_IFREG };
	return vfs_init(NULL);
}

static unsigned references(void)
{
	unsigned n = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(tree); i++)
		n += tree[i].vn.refs;
	return n;
}

static void test_lookup(void **state)
{
	static char longest[NAME_MAX + 3], too_long[NAME_MAX + 3], inside[NAME_MAX + 8];
	const struct { const char *path; int found; } cases[] = {
		{ "/", 0 }, { "//", 0 }, { ".", 2 }, { "..", 1 }, { "../..", 0 },
		{ "../../../..", 0 }, { "/..", 0 }, { "/../.", 0 },
		{ "/a/b/f", 3 }, { "f", 3 }, { "./f", 3 }, { "../b//./f", 3 }, { "/a/b/", 2 },
		{ "/a//b///", 2 },
		{ "/a/b/f/", -ENOTDIR }, { "f/..", -ENOTDIR }, { "f/x", -ENOTDIR },
		{ "f/.", -ENOTDIR }, { "", -ENOENT },
		{ "/x", -ENOENT }, { "/x/y", -ENOENT }, { "/a/", 1 }, { "/pro", -ENOENT },
		{ "/procx", -ENOENT },
		{ "/proc", 6 }, { "/proc/", 6 }, { "/proc/.", 6 }, { "/proc/mode", 7 },
		{ "/proc/..", 0 }, { "/proc/../dev", 8 },
		{ "/proc/../a/b/f", 3 }, { "../../proc/mode", 7 }, { "/proc/mode/", -ENOTDIR },
		{ "/a/proc", -ENOENT },
		{ longest, -ENOENT }, { too_long, -ENAMETOOLONG }, { inside, -ENAMETOOLONG },
	};
	struct cwd *c = malloc(sizeof(*c) + 8);
	(void)state;
	memset(longest, 'n', NAME_MAX);
	memset(too_long, 'n', NAME_MAX + 1);
	memset(inside, 'n', NAME_MAX + 1);
	memcpy(inside + NAME_MAX + 1, "/f", 3);
	c->vn = &tree[2].vn;
	self.cwd = c;
	unsigned before = references();
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vnode *vn;
		int error = vfs_lookup(cases[i].path, &vn);
		int found = error ? error : (int)(container_of(vn, struct node, vn) - tree);
		if (found != cases[i].found)
			fail_msg("\"%s\" gives %d, not %d", cases[i].path, found, cases[i].found);
		if (!error)
			vnode_put(vn);
		assert_int_equal(references(), before);
	}
	self.cwd = NULL;
	free(c);
}

static void test_last(void **state)
{
	const struct { const char *path, *name; int dir; bool plain, slash, mount; } cases[] = {
		{ "/new", "new", 0, true, false, false },
		{ "/a/new/", "new", 1, true, true, false },
		{ "/", "", 0, false, false, false }, { "/a/..", "..", 1, false, false, false },
		{ "/a/./", ".", 1, false, true, false },
		{ "/proc", "proc", 0, true, false, true },
		{ "/proc/new", "new", 6, true, false, false },
	};
	(void)state;
	unsigned before = references();
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct path_end e;
		assert_int_equal(path_parent(cases[i].path, &e), 0);
		assert_ptr_equal(e.dir, &tree[cases[i].dir].vn);
		assert_int_equal(e.length, strlen(cases[i].name));
		assert_memory_equal(e.name, cases[i].name, e.length);
		assert_int_equal(e.plain, cases[i].plain);
		assert_int_equal(e.slash, cases[i].slash);
		assert_int_equal(path_is_mount(&e), cases[i].mount);
		vnode_put(e.dir);
	}
	assert_int_equal(references(), before);
	assert_true(path_same_fs(&tree[0].vn, &tree[2].vn));
	assert_false(path_same_fs(&tree[0].vn, &tree[6].vn));
	assert_false(path_same_fs(&tree[8].vn, &tree[6].vn));
}

static void test_normalize(void **state)
{
	const struct { const char *from, *path, *out; } cases[] = {
		{ "/", ".", "/" }, { "/", "a", "/a" }, { "/a", "b/", "/a/b" },
		{ "/a/b", "..", "/a" }, { "/a", "..", "/" },
		{ "/a", "../..", "/" }, { "/a", "/", "/" }, { "/a", "//b//c", "/b/c" },
		{ "/a", "./x/../y", "/a/y" },
		{ "/abc", "...", "/abc/..." }, { "/a", "../../b", "/b" },
	};
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		/* exactly as long as it may become, for the sanitizer */
		char *out = malloc(strlen(cases[i].from) + strlen(cases[i].path) + 2);
		uint32_t n = path_normalize(out, cases[i].from, cases[i].path);
		assert_string_equal(out, cases[i].out);
		assert_int_equal(n, strlen(out));
		free(out);
	}
}
