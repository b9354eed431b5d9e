/* SPDX-License-Identifier: MIT */
/*
 * ext2 on disks that mke2fs made: random operations against a model in memory, at every block size
 * and also when the disk is full; e2fsck checks each result.
 */
#include "ext2_model.h"

/* --- operations on the file system and the model --- */

static void make_entry(int d, int name, unsigned kind) /* 0 file, 1 directory, 2 link */
{
	struct vnode *dir = open_node(d), *vn = NULL;
	int target = kind == 2 ? random_node(below(20) == 0) : -1,
	    want = nodes[d].entries[name] ? -EEXIST : 0, n;
	if (kind == 2) {
		if (target != 0 && nodes[target].links == 0 && !nodes[target].handle) {
			vnode_put(dir);
			return;
		}
		vn = open_node(target);
		want = nodes[target].dir	  ? -EPERM
		       : want			  ? want
		       : nodes[target].links == 0 ? -ENOENT
						  : 0;
		if (agrees(dir->ops->link(dir, NAME(name), vn), want, "link"))
			nodes[d].entries[name] = target + 1, nodes[target].links++;
	} else if ((n = new_node(kind, d)) >= 0) {
		int got = kind ? dir->ops->mkdir(dir, NAME(name))
			       : dir->ops->create(dir, NAME(name), &vn);
		if (agrees(got, want, kind ? "mkdir" : "create"))
			nodes[d].entries[name] = n + 1;
		else
			vn = NULL, nodes[n].links = 0, settle(n);
		if (vn && below(6) == 0)
			nodes[n].handle = vnode_get(vn);
	}
	vnode_put(vn);
	vnode_put(dir);
}

static void remove_entry(int d, int name, bool as_dir)
{
	struct vnode *dir = open_node(d);
	int n = nodes[d].entries[name] - 1, want = n < 0 ? -ENOENT : 0;
	if (n >= 0 && as_dir)
		want = !nodes[n].dir ? -ENOTDIR : is_empty(n) ? 0 : -ENOTEMPTY;
	else if (n >= 0 && nodes[n].dir)
		want = -EISDIR;
	int got = as_dir ? dir->ops->rmdir(dir, NAME(name)) : dir->ops->unlink(dir, NAME(name));
	if (agrees(got, want, as_dir ? "rmdir" : "unlink")) {
		nodes[d].entries[name] = 0;
		nodes[n].links--;
		settle(n);
	}
	vnode_put(dir);
}

static int may_rename(int n, int to, int old)
{
	if (n < 0 || n == old)
		return n < 0 ? -ENOENT : 0;
	for (int up = to; nodes[n].dir; up = nodes[up].parent) {
		if (up == n)
			return -EINVAL;
		if (up == 0)
			break;
	}
	if (old >= 0 && nodes[n].dir != nodes[old].dir)
		return nodes[n].dir ? -ENOTDIR : -EISDIR;
	return old >= 0 && nodes[old].dir && !is_empty(old) ? -ENOTEMPTY : 0;
}

static void rename_entry(int from, int name, int to, int new_name)
{
	struct vnode *a = open_node(from), *b = open_node(to);
	char text[NAME_MAX + 1];
	int n = nodes[from].entries[name] - 1, old = nodes[to].entries[new_name] - 1;
	memcpy(text, name_of(name), sizeof(text));
	int got = a->ops->rename(a, text, (unsigned)strlen(text), b, NAME(new_name));
	if (agrees(got, may_rename(n, to, old), "rename") && n != old) {
		nodes[from].entries[name] = 0;
		nodes[to].entries[new_name] = n + 1;
		nodes[n].parent = nodes[n].dir ? to : nodes[n].parent;
		if (old >= 0)
			nodes[old].links--, settle(old);
	}
	vnode_put(a), vnode_put(b);
}

/* The block at a place in a file, past the cache or from it. */
static void check_block(const struct node *f, struct vnode *vn, uint32_t at)
{
	static char buf[4096];
	uint32_t n = filesystem.block_bytes;
	at -= at % n;
	if (at + n > f->size)
		return;
	CHECK(vn->ops->direct(vn, false, at, buf, n) == 0);
	CHECK(memcmp(buf, f->data + at, n) == 0);
}

static void change_file(struct node *f, struct vnode *vn)
{
	static char buf[30000];
	uint32_t at = below(4) ? MIN(f->size, CONTENT - 1) : below(CONTENT),
		 n = below(5) ? below(9000) : below(sizeof(buf));
	if (below(4) == 0) { /* a whole block */
		n = filesystem.block_bytes;
		at -= at % n;
	}
	if (below(4)) {
		n = MIN(n, CONTENT - at);
		for (uint32_t i = 0; i < n; i++)
			buf[i] = (char)random32();
		bool direct = n == filesystem.block_bytes && at % n == 0 && at + n <= f->size;
		int done = direct ? vn->ops->direct(vn, true, at, buf, n)
				  : vn->ops->write(vn, at, buf, n, below(2));
		done = direct && !done ? (int)n : done;
		bool cut = done == -ENOSPC || (done > 0 && done < (int)n);
		CHECK(done == (int)n || (cut && nearly_full()));
		done = MAX(done, 0);
		memcpy(f->data + at, buf, (uint32_t)done);
		f->size = done ? MAX(f->size, at + (uint32_t)done) : f->size;
		check_block(f, vn, at);
	} else {
		agrees(vn->ops->truncate(vn, at), 0, "truncate");
		if (at < f->size)
			memset(f->data + at, 0, f->size - at);
		f->size = at;
	}
}

static void check_part(const struct node *f, struct vnode *vn, uint32_t at, uint32_t n)
{
	char *buf = malloc(n);
	uint32_t want = at < f->size ? MIN(n, f->size - at) : 0;
	CHECK(vn->ops->read(vn, at, buf, n, below(2)) == (int)want);
	CHECK(memcmp(buf, f->data + at, want) == 0);
	free(buf);
}

static void unmap(struct mapping *m)
{
	if (!m->pfn)
		return;
	CHECK(memcmp(pfn_to_virt(m->pfn), m->content, PAGE_SIZE) == 0);
	frame_put(m->pfn);
	m->pfn = 0;
}

static void check_page(const struct node *f, struct vnode *vn)
{
	/* mostly at the end of the file, where files change */
	uint32_t index = below(3) ? f->size / PAGE_SIZE : below(CONTENT / PAGE_SIZE);
	struct mapping *m = &mappings[below(ARRAY_SIZE(mappings))];
	unmap(m);
	if (index == CONTENT / PAGE_SIZE)
		return;
	memcpy(m->content, f->data + index * PAGE_SIZE, PAGE_SIZE);
	CHECK(vn->ops->page(vn, index, &m->pfn) == 0);
	CHECK(memcmp(pfn_to_virt(m->pfn), m->content, PAGE_SIZE) == 0);
}

/* A random name, in use or not; sometimes that of a directory, if there is one. */
static int some_name(int d)
{
	int name = 1 + (int)below(NAMES - 1);
	bool dirs = below(2);
	for (int i = 1; dirs && i < NAMES; i++)
		if (nodes[d].entries[i] && nodes[nodes[d].entries[i] - 1].dir && below(2))
			return i;
	return name;
}

static void operation(void)
{
	int d = random_node(true), to = random_node(true), n = random_node(false);
	int name = 1 + (int)below(NAMES - 1);
	uint32_t what = below(100);
	if (what < 25)
		make_entry(d, name, what < 14 ? 0 : what < 20 ? 1 : 2);
	else if (what < 40)
		remove_entry(d, name, what < 30);
	else if (what < 48)
		rename_entry(d, some_name(d), to, some_name(to));
	if (what < 48 || !nodes[n].data || (nodes[n].links == 0 && !nodes[n].handle))
		return;
	struct vnode *vn = open_node(n);
	if (what < 80)
		change_file(&nodes[n], vn);
	else if (what < 90)
		check_part(&nodes[n], vn, below(CONTENT / 2), 1 + below(CONTENT / 2)),
		check_block(&nodes[n], vn, below(CONTENT));
	else if (what < 95)
		check_page(&nodes[n], vn);
	else if (nodes[n].handle)
		vnode_put(nodes[n].handle), nodes[n].handle = NULL;
	vnode_put(vn);
	settle(n);
}

/* --- the whole tree, and the end --- */

struct listing { struct dirent_sink sink; int left; bool seen[NAMES]; const struct node *dir; };

static bool emit(struct dirent_sink *sink, const char *name, unsigned length, uint32_t ino,
		 unsigned type)
{
	struct listing *l = container_of(sink, struct listing, sink);
	(void)ino;
	if (l->left-- == 0)
		return false;
	for (int i = 0; i < NAMES && name[0] != '.'; i++)
		if (strlen(name_of(i)) == length && memcmp(name_of(i), name, length) == 0) {
			CHECK(!l->seen[i] && l->dir->entries[i]);
			CHECK(type == (nodes[l->dir->entries[i] - 1].dir ? 4 : 8));
			l->seen[i] = true;
			return true;
		}
	CHECK(type == 4 && (length == 1 || (length == 2 && name[1] == '.')));
	return true;
}

static void check_tree(void)
{
	for (int n = 0; n < NODES; n++) {
		struct node *node = &nodes[n];
		struct stat st;
		if (!node->used || (node->links == 0 && !node->handle))
			continue;
		struct vnode *vn = open_node(n);
		uint32_t cookie = 0, subdirs = 0;
		struct listing l = { .sink.emit = emit, .dir = node };
		CHECK(vn->ops->stat(vn, &st) == 0);
		if (!node->dir)
			check_part(node, vn, 0, CONTENT);
		for (int last = -1; node->dir && last != (int)cookie;) {
			last = (int)cookie;
			l.left = 1 + (int)below(5); /* entries that fit into the reader's buffer */
			CHECK(vn->ops->readdir(vn, &cookie, &l.sink) == 0);
		}
		for (int i = 0; node->dir && i < NAMES; i++) {
			CHECK(l.seen[i] == (node->entries[i] != 0));
			subdirs += node->entries[i] && nodes[node->entries[i] - 1].dir;
		}
		CHECK(st.st_nlink == (node->dir ? 2 + subdirs : node->links));
		CHECK(node->dir || st.st_size == node->size);
		vnode_put(vn);
	}
}

static void close_all(void)
{
	for (int n = 0; n < NODES; n++)
		if (nodes[n].handle) {
			vnode_put(nodes[n].handle), nodes[n].handle = NULL;
			settle(n);
		}
	for (unsigned i = 0; i < ARRAY_SIZE(mappings); i++)
		unmap(&mappings[i]);
}

static void random_life(uint32_t block_bytes, uint32_t kib, int days, int operations)
{
	set_fault(FAULT_NONE, 0);
	make_disk(block_bytes, kib);
	model_reset();
	for (int day = 0; day < days; day++) {
		CHECK(mount_disk() == 0);
		check_tree();
		for (int i = 0; i < operations; i++)
			operation();
		check_tree();
		close_all();
		CHECK(unmount_disk() == 0);
		CHECK(log_lines == 0);
		check_disk();
	}
}

static void test_random(void **state)
{
	(void)state;
	for (uint32_t s = 1; s <= 9; s++) {
		at_random(s);
		/* the last seeds have small disks, which become full */
		random_life(1024u << s % 3, s < 7 ? 8192 : 1024 << s % 3, 3, 1500);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
	};
	int failed = cmocka_run_group_tests_name("ext2", tests, host_setup, host_teardown);
	for (int n = 0; n < NODES; n++)
		free(nodes[n].data);
	return failed;
}
